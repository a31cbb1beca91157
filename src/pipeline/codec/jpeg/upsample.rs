//! Chroma of half size back to full size by triangle filters, and YCbCr to RGB; rounding as in libjpeg.

/// Twice as wide: each sample is three parts the nearer and one part the further neighbour.
pub(super) fn wider(row: &[u8], wide: &mut [u8]) {
    let last = row.len() - 1;
    for (x, out) in wide.iter_mut().enumerate() {
        let near = u32::from(row[x / 2]);
        *out = match x % 2 {
            0 if x == 0 => row[0],
            0 => ((3 * near + u32::from(row[x / 2 - 1]) + 1) >> 2) as u8,
            _ if x / 2 == last => row[last],
            _ => ((3 * near + u32::from(row[x / 2 + 1]) + 2) >> 2) as u8,
        };
    }
}

/// Twice as high: three parts of the nearer row and one of the further.
pub(super) fn higher(near: &[u8], far: &[u8], is_upper: bool, out: &mut [u8]) {
    let bias = if is_upper { 1 } else { 2 };
    for ((out, &near), &far) in out.iter_mut().zip(near).zip(far) {
        *out = ((3 * u32::from(near) + u32::from(far) + bias) >> 2) as u8;
    }
}

/// Both at once, rounded once.
pub(super) fn wider_and_higher(near: &[u8], far: &[u8], wide: &mut [u8]) {
    let sum = |x: usize| 3 * u32::from(near[x]) + u32::from(far[x]);
    let last = near.len() - 1;
    for (x, out) in wide.iter_mut().enumerate() {
        let this = sum(x / 2);
        *out = match x % 2 {
            0 if x == 0 => (4 * this + 8) >> 4,
            0 => (3 * this + sum(x / 2 - 1) + 8) >> 4,
            _ if x / 2 == last => (4 * this + 7) >> 4,
            _ => (3 * this + sum(x / 2 + 1) + 7) >> 4,
        } as u8;
    }
}

/// JFIF 1.02 page 3 in 16-bit fixed point: R = Y + 1.402 Cr, G = Y - 0.34414 Cb - 0.71414 Cr, B = Y + 1.772 Cb.
pub(super) fn to_rgb(y: &[u8], cb: &[u8], cr: &[u8], rgb: &mut [u8]) {
    let byte = |value: i32| value.clamp(0, 255) as u8;
    for ((pixel, &y), (&cb, &cr)) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(y).zip(cb.iter().zip(cr)) {
        let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
        *pixel = [
            byte(y + ((91_881 * cr + 32_768) >> 16)),
            byte(y + ((-22_554 * cb - 46_802 * cr + 32_768) >> 16)),
            byte(y + ((116_130 * cb + 32_768) >> 16)),
        ];
    }
}
