//! A watermark as a stamp.

use super::Stamp;
use crate::pipeline::{DecodeError, render};
use crate::plan::MarkPlan;
use crate::raster::{Layout, Pixmap};
use crate::simd::Level;
use crate::transform::Opacity;

/// Decodes the image of a watermark, and brings it to its size and opacity.
/// # Errors
/// If it cannot be decoded.
pub fn mark(level: Level, source: &[u8], plan: &MarkPlan, opacity: Opacity) -> Result<Stamp, DecodeError> {
    let image = render(level, source, &plan.image)?;
    let size = image.size();
    Ok(Stamp::new(size, premultiplied(&image, opacity), plan.frame, plan.offset))
}

fn premultiplied(image: &Pixmap, opacity: Opacity) -> Vec<[u8; 4]> {
    let bytes = image.bytes();
    let percent = u32::from(opacity.percent());
    // One division, rounded once: channel · alpha / 255 · percent / 100.
    let ink = |channel: u8, alpha: u8| ((u32::from(channel) * u32::from(alpha) * percent + 12_750) / 25_500) as u8;
    let pixel = |[r, g, b, alpha]: [u8; 4]| [ink(r, alpha), ink(g, alpha), ink(b, alpha), ink(255, alpha)];
    match image.layout() {
        Layout::Gray => bytes.iter().map(|&gray| pixel([gray, gray, gray, 255])).collect(),
        Layout::GrayAlpha => {
            bytes.as_chunks().0.iter().map(|&[gray, alpha]| pixel([gray, gray, gray, alpha])).collect()
        }
        Layout::Rgb => bytes.as_chunks().0.iter().map(|&[r, g, b]| pixel([r, g, b, 255])).collect(),
        Layout::Rgba => bytes.as_chunks().0.iter().map(|&rgba| pixel(rgba)).collect(),
        Layout::Cmyk => unreachable!("converted to RGB while resizing"),
    }
}
