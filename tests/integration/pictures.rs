//! Small pictures drawn for the tests.

/// The pixels of a gradient with a diagonal edge, as rows of RGB.
fn gradient(width: u16, height: u16) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(usize::from(width) * usize::from(height) * 3);
    for y in 0..height {
        for x in 0..width {
            let ramp = |part: u16, whole: u16| (u32::from(part) * 255 / u32::from(whole.max(1))) as u8;
            pixels.extend([ramp(x, width), ramp(y, height), if x > y { 200 } else { 40 }]);
        }
    }
    pixels
}

pub(crate) fn png(width: u16, height: u16) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, u32::from(width), u32::from(height));
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&gradient(width, height)).unwrap();
    writer.finish().unwrap();
    file
}

pub(crate) fn jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut file, 90);
    encoder.encode(&gradient(width, height), width, height, jpeg_encoder::ColorType::Rgb).unwrap();
    file
}

/// A picture whose parts are all different and hard to compress: about half a byte a pixel.
pub(crate) fn noise(width: u16, height: u16) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let pixels: Vec<u8> = (0..usize::from(width) * usize::from(height)).map(|_| next()).collect();
    let mut file = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut file, 75);
    encoder.encode(&pixels, width, height, jpeg_encoder::ColorType::Luma).unwrap();
    file
}

/// Width and height that the head of a PNG declares.
pub(crate) fn png_size(file: &[u8]) -> (u32, u32) {
    assert!(file.starts_with(b"\x89PNG\r\n\x1a\n"), "not a PNG: {:?}", &file[..file.len().min(40)]);
    let number = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}
