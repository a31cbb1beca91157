//! JPEG: the structure of a file decides who decodes it.
//!
//! Ours (`rows`) gives rows, at any scale from 1/8 to 8/8. It takes all but sampling factors that do not divide each other;
//! those are left to jpeg-decoder, which decodes whole pictures. It shows cut or contradictory data as a gray rest, so the
//! entropy-coded data is walked through before (`entropy::check`).

pub mod color;
pub(in crate::pipeline) mod encode;
mod entropy;
mod geometry;
mod huffman;
pub mod idct;
mod plane;
mod progressive;
mod rows;
mod structure;
pub mod unstuff;
pub mod upsample;

use jpeg_decoder::ColorTransform;

use super::{DecodeError, Decoded, Pixels, Rows, Wanted, checked_size, exif};
use crate::pipeline::color as color_of;
use crate::plan::Eighths;
use crate::raster::{Format, Header, Layout, Orientation, Pixmap};
use crate::simd::Level;
use structure::{Process, Structure};

pub(super) use encode::encode;
use rows::RowDecoder;

/// What the decoder's time goes into, for benches to measure.
#[doc(hidden)]
pub mod kernels {
    pub use super::{color, idct, unstuff, upsample};
}

/// More scans than any encoder writes; each costs a pass over the picture. libjpeg-turbo's documentation names
/// the attack: 5,001 scans in 186 KB took it 20 s.
const MAX_SCANS: usize = 100;

pub(super) fn probe(source: &[u8]) -> Result<Header, DecodeError> {
    let head = structure::read_head(source)?;
    let frame = head.frame.ok_or_else(|| DecodeError::damaged("there is no frame header before the first scan"))?;
    let stored = checked_size(u32::from(frame.width), u32::from(frame.height))?;
    let orientation = head.exif.map_or(Orientation::NORMAL, exif::orientation);
    let streamed_bytes = streamed_bytes(&frame);
    let decoded_bytes = streamed_bytes + frame.samples();
    Ok(Header { format: Format::Jpeg, stored, orientation, decoded_bytes, streamed_bytes })
}

/// What decoding holds at full scale: of a sequential picture a row of MCUs, as coefficients and as samples, the rows of
/// pixels that are made of them, and what a second reader has of the blocks ahead; of a progressive one all its
/// coefficients. What is not for `RowDecoder` has planes beside the picture.
fn streamed_bytes(frame: &structure::Frame) -> u64 {
    if !RowDecoder::takes(frame) {
        return frame.samples() * 3;
    }
    let (h_max, v_max) = frame.largest_factors();
    let (width, height) = (u64::from(frame.width).next_multiple_of(u64::from(8 * h_max)), u64::from(8 * v_max));
    let n_components = frame.components.len() as u64;
    let rows = width * (height + 8) * n_components * 3 + width * 16 + (64 << 10);
    match frame.process {
        Process::Sequential => rows + (4 * frame.samples()).min(2 * entropy::MAX_AHEAD_BYTES as u64),
        Process::Progressive => {
            let blocks: u64 = frame
                .components
                .iter()
                .filter_map(|component| geometry::Scaled::new(frame, component, 8))
                .map(|scaled| scaled.padded_blocks())
                .map(|(across, down)| u64::from(across) * u64::from(down))
                .sum();
            rows + blocks * (64 * 2 + 8)
        }
    }
}

/// Decodes what is wanted, or, where this decoder does not take the file, the whole picture at full size.
pub(super) fn decode<'a>(level: Level, source: &'a [u8], wanted: &Wanted) -> Result<Decoded<'a>, DecodeError> {
    let structure = structure::read(source, MAX_SCANS)?;
    let profile = structure.profile();
    // Gray of a picture in another colour space than sRGB is not its luma.
    let is_gray = wanted.is_gray && profile.as_ref().is_none_or(|bytes| color_of::is_srgb(bytes));
    let wanted = Wanted { is_gray, ..*wanted };
    if let Some(rows) = RowDecoder::new(level, &structure, &wanted)? {
        let profile = profile.filter(|_| rows.layout() != Layout::Gray || structure.frame.components.len() == 1);
        return Ok(Decoded { pixels: Pixels::Rows(Box::new(rows)), profile, eighths: wanted.eighths });
    }
    let pixmap = decode_whole(source, &structure)?;
    Ok(Decoded { pixels: Pixels::Whole(pixmap), profile, eighths: Eighths::ALL })
}

/// By a library: sampling factors that do not divide each other, so several components.
fn decode_whole(source: &[u8], structure: &Structure) -> Result<Pixmap, DecodeError> {
    entropy::check(structure)?;
    let size = structure.frame.size();
    match structure.frame.components.len() {
        3 => Ok(Pixmap::new(size, Layout::Rgb, decode_with_jpeg_decoder(source, structure)?)),
        4 => Ok(Pixmap::new(size, Layout::Cmyk, decode_inks(source, structure)?)),
        count => Err(DecodeError::Unsupported(format!("a JPEG of {count} components"))),
    }
}

fn decode_with_jpeg_decoder(source: &[u8], structure: &Structure) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = jpeg_decoder::Decoder::new(source);
    if structure.frame.components.len() == 4 {
        let is_ycck = structure.adobe_transform == Some(2);
        decoder.set_color_transform(if is_ycck { ColorTransform::YCCK } else { ColorTransform::CMYK });
    }
    decoder.decode().map_err(|error| match error {
        jpeg_decoder::Error::Unsupported(feature) => DecodeError::Unsupported(format!("JPEG with {feature:?}")),
        error => DecodeError::damaged(&error.to_string()),
    })
}

/// CMYK with 0 for no ink.
fn decode_inks(source: &[u8], structure: &Structure) -> Result<Vec<u8>, DecodeError> {
    // jpeg-decoder inverts always, which is right for files with Adobe's marker: they store 255 for no ink.
    let mut inks = decode_with_jpeg_decoder(source, structure)?;
    if structure.adobe_transform.is_none() {
        inks.iter_mut().for_each(|ink| *ink = 255 - *ink);
    }
    Ok(inks)
}

#[cfg(test)]
mod tests;
