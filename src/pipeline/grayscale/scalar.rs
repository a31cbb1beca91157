//! The reference: fixed point with 16 fractional bits, rounded to nearest.

use super::{BLUE, GREEN, RED};

pub(super) fn luma(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * RED + u32::from(g) * GREEN + u32::from(b) * BLUE + 32_768) >> 16) as u8
}

/// See `super::luma_of_rgb`.
pub(super) fn luma_of_rgb(pixels: &[[u8; 3]], gray: &mut [u8]) {
    for (gray, &[r, g, b]) in gray.iter_mut().zip(pixels) {
        *gray = luma(r, g, b);
    }
}

/// See `super::luma_of_rgba`.
pub(super) fn luma_of_rgba(pixels: &[[u8; 4]], gray: &mut [u8]) {
    for (gray, &[r, g, b, alpha]) in gray.iter_mut().zip(pixels) {
        *gray = luma(on_black(r, alpha), on_black(g, alpha), on_black(b, alpha));
    }
}

/// Writes the gray of every pixel, on black.
pub(super) fn luma_of_gray_alpha(pixels: &[[u8; 2]], gray: &mut [u8]) {
    for (on, &[gray, alpha]) in gray.iter_mut().zip(pixels) {
        *on = on_black(gray, alpha);
    }
}

/// `channel · alpha / 255` in 16 bits and then cut to 8, as Go's `image/color` has it: recorded answers agree to 1.
fn on_black(channel: u8, alpha: u8) -> u8 {
    let (channel, alpha) = (u32::from(channel) * 257, u32::from(alpha) * 257);
    ((channel * alpha / 65_535) >> 8) as u8
}
