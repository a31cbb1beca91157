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
    png_of(u32::from(width), u32::from(height), png::ColorType::Rgb, &gradient(width, height))
}

/// A PNG of these samples, eight bits each.
pub(crate) fn png_of(width: u32, height: u32, color: png::ColorType, samples: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(samples).unwrap();
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

/// The number of components that a JPEG declares: SOF0 to SOF2 have length, precision, height and width before it.
pub(crate) fn jpeg_components(file: &[u8]) -> u8 {
    let start = file.windows(2).position(|two| two[0] == 0xff && (0xc0..=0xc2).contains(&two[1])).unwrap();
    file[start + 9]
}

/// A picture that is looked at pixel by pixel.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Rows of RGBA with straight alpha.
    pub(crate) pixels: Vec<[u8; 4]>,
}

impl Picture {
    pub(crate) fn new(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 4]) -> Self {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| pixel(x, y)).collect();
        Self { width, height, pixels }
    }

    /// One opaque colour.
    pub(crate) fn flat(width: u32, height: u32, [r, g, b]: [u8; 3]) -> Self {
        Self::new(width, height, |_, _| [r, g, b, 255])
    }

    /// An opaque picture whose neighbouring pixels all differ.
    pub(crate) fn motley(width: u32, height: u32) -> Self {
        let wrapped = |value: u32| (value % 251) as u8;
        Self::new(width, height, |x, y| {
            [wrapped(x * 37 + y * 11), wrapped(x * 5 + y * 83), wrapped(x * 101 + y * 3 + 90), 255]
        })
    }

    /// Reads a PNG of any kind with eight bits or less.
    pub(crate) fn of_png(file: &[u8]) -> Self {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut samples = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut samples).unwrap();
        samples.truncate(info.buffer_size());
        let pixels = match info.color_type {
            png::ColorType::Grayscale => samples.iter().map(|&gray| [gray, gray, gray, 255]).collect(),
            png::ColorType::GrayscaleAlpha => {
                samples.as_chunks().0.iter().map(|&[gray, alpha]| [gray, gray, gray, alpha]).collect()
            }
            png::ColorType::Rgb => samples.as_chunks().0.iter().map(|&[r, g, b]| [r, g, b, 255]).collect(),
            png::ColorType::Rgba => samples.as_chunks().0.to_vec(),
            png::ColorType::Indexed => unreachable!("palettes are expanded"),
        };
        Self { width: info.width, height: info.height, pixels }
    }

    /// As RGBA, or as RGB where all of it is opaque.
    pub(crate) fn png(&self) -> Vec<u8> {
        if self.pixels.iter().all(|pixel| pixel[3] == 255) {
            let samples: Vec<u8> = self.pixels.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect();
            return png_of(self.width, self.height, png::ColorType::Rgb, &samples);
        }
        png_of(self.width, self.height, png::ColorType::Rgba, self.pixels.as_flattened())
    }

    pub(crate) fn at(&self, x: u32, y: u32) -> [u8; 4] {
        assert!(x < self.width && y < self.height, "({x}, {y}) of {} × {}", self.width, self.height);
        self.pixels[(y * self.width + x) as usize]
    }

    /// The pixel, if it lies on the picture.
    pub(crate) fn get(&self, x: i64, y: i64) -> Option<[u8; 4]> {
        let (x, y) = (u32::try_from(x).ok()?, u32::try_from(y).ok()?);
        (x < self.width && y < self.height).then(|| self.at(x, y))
    }

    /// The box around all pixels that are not as `ground`: left, top, right and bottom, the last two behind it.
    pub(crate) fn drawn_box(&self, ground: [u8; 4]) -> Option<[u32; 4]> {
        let drawn = (0..self.height).flat_map(|y| (0..self.width).map(move |x| (x, y)));
        let boxes = drawn.filter(|&(x, y)| self.at(x, y) != ground).map(|(x, y)| [x, y, x + 1, y + 1]);
        boxes.reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])])
    }

    /// Says where it differs from what it should be, in any channel by more than `tolerance`.
    #[track_caller]
    pub(crate) fn assert_like(&self, wanted: &Self, tolerance: u8, what: &str) {
        assert_eq!((self.width, self.height), (wanted.width, wanted.height), "{what}");
        for y in 0..self.height {
            for x in 0..self.width {
                let (got, wanted) = (self.at(x, y), wanted.at(x, y));
                let is_like = got.iter().zip(wanted).all(|(&got, wanted)| got.abs_diff(wanted) <= tolerance);
                assert!(is_like, "{what}: ({x}, {y}) is {got:?}, wanted {wanted:?}");
            }
        }
    }
}
