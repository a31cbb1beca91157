//! The reference: fixed point with 16 fractional bits, rounded to nearest.

/// 0.299, 0.587 and 0.114 times 65536; they add up to 65536, so that white stays white.
const RED: u32 = 19_595;
const GREEN: u32 = 38_470;
const BLUE: u32 = 7_471;

fn luma(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * RED + u32::from(g) * GREEN + u32::from(b) * BLUE + 32_768) >> 16) as u8
}

/// One byte of luma per pixel.
pub(super) fn luma_of_rgb(pixels: &[[u8; 3]]) -> Vec<u8> {
    pixels.iter().map(|&[r, g, b]| luma(r, g, b)).collect()
}

/// One byte of luma per pixel, on black.
pub(super) fn luma_of_rgba(pixels: &[[u8; 4]]) -> Vec<u8> {
    pixels.iter().map(|&[r, g, b, alpha]| luma(on_black(r, alpha), on_black(g, alpha), on_black(b, alpha))).collect()
}

/// One byte of gray per pixel, on black.
pub(super) fn luma_of_gray_alpha(pixels: &[[u8; 2]]) -> Vec<u8> {
    pixels.iter().map(|&[gray, alpha]| on_black(gray, alpha)).collect()
}

/// `channel · alpha / 255` in 16 bits and then cut to 8, as Go's `image/color` has it: recorded answers agree to 1.
fn on_black(channel: u8, alpha: u8) -> u8 {
    let (channel, alpha) = (u32::from(channel) * 257, u32::from(alpha) * 257);
    ((channel * alpha / 65_535) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_is_within_half_a_level_of_the_formula() {
        for r in (0..=255).step_by(5) {
            for g in (0..=255).step_by(5) {
                for b in (0..=255).step_by(5) {
                    let exact = 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
                    let error = (f64::from(luma(r, g, b)) - exact).abs();
                    assert!(error < 0.503, "{r} {g} {b}: {error}");
                }
            }
        }
        assert_eq!(luma(255, 255, 255), 255);
    }
}
