//! The reference.

pub(super) fn to_rgb(y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8]) {
    for ((pixel, &y), (&cb, &cr)) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(y).zip(cb.iter().zip(cr)) {
        *pixel = rgb_of(y, cb, cr);
    }
}

pub(super) fn to_cmyk(y: &[u8], cb: &[u8], cr: &[u8], k: &[u8], cmyk: &mut [u8]) {
    for ((pixel, (&y, &k)), (&cb, &cr)) in
        cmyk.as_chunks_mut::<4>().0.iter_mut().zip(y.iter().zip(k)).zip(cb.iter().zip(cr))
    {
        let [cyan, magenta, yellow] = rgb_of(y, cb, cr);
        *pixel = [cyan, magenta, yellow, 255 - k];
    }
}

#[inline]
fn rgb_of(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let byte = |value: i32| value.clamp(0, 255) as u8;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    [
        byte(y + ((91_881 * cr + 32_768) >> 16)),
        byte(y + ((-22_554 * cb - 46_802 * cr + 32_768) >> 16)),
        byte(y + ((116_130 * cb + 32_768) >> 16)),
    ]
}

pub(super) fn interleave<const N: usize, const INVERSION: u8>(planes: [&[u8]; N], pixels: &mut [u8]) {
    let (pixels, rest) = pixels.as_chunks_mut::<N>();
    assert!(rest.is_empty() && planes.iter().all(|plane| plane.len() == pixels.len()));
    let planes = planes.map(|plane| &plane[..pixels.len()]);
    for x in 0..pixels.len() {
        for (channel, plane) in planes.iter().enumerate() {
            pixels[x][channel] = plane[x] ^ INVERSION;
        }
    }
}
