//! JPEG: the structure of a file decides who decodes it.
//!
//! zune-jpeg is fast, but wrong or unwilling for several scans of a sequential picture and for unusual sampling
//! factors; jpeg-decoder takes those, and four components. Both show cut or contradictory data as a gray rest, so
//! the entropy-coded data is walked through before (`entropy`). Sequential pictures that should not stand in memory
//! whole are decoded row by row by ours (`rows`).

mod encode;
mod entropy;
mod huffman;
mod idct;
mod rows;
mod structure;
mod upsample;

use jpeg_decoder::ColorTransform;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

use super::{DecodeError, Decoded, Pixels, checked_size, exif};
use crate::raster::{Format, Header, Layout, Orientation, Pixmap};
use structure::{Process, Structure};

pub(super) use encode::encode;
pub use rows::RowDecoder;

/// Sequential pictures above are decoded row by row: 128 MiB are 44 megapixels of RGB. Below, zune-jpeg is faster.
const MAX_WHOLE_BYTES: u64 = 128 << 20;

/// More scans than any encoder writes; each costs a pass over the picture. libjpeg-turbo's documentation names
/// the attack: 5,001 scans in 186 KB took it 20 s.
const MAX_SCANS: usize = 100;

pub(super) fn probe(source: &[u8]) -> Result<Header, DecodeError> {
    let head = structure::read_head(source)?;
    let frame = head.frame.ok_or_else(|| DecodeError::damaged("there is no frame header before the first scan"))?;
    let stored = checked_size(u32::from(frame.width), u32::from(frame.height))?;
    let orientation = head.exif.map_or(Orientation::NORMAL, exif::orientation);
    Ok(Header { format: Format::Jpeg, stored, orientation, decoded_bytes: decoded_bytes(&frame, head.n_first) })
}

/// A byte for each sample of the picture. Progressive pictures also keep two for each coefficient, and what is not for
/// zune-jpeg has its planes beside the picture. `RowDecoder` takes less, but a header cannot tell whether it will do.
fn decoded_bytes(frame: &structure::Frame, n_first: usize) -> u64 {
    let is_one_scan = n_first == frame.components.len();
    match frame.process {
        Process::Sequential if is_one_scan && frame.has_usual_sampling() => frame.samples(),
        Process::Sequential => frame.samples() * 2,
        Process::Progressive => frame.samples() * 3,
    }
}

pub(super) fn decode(source: &[u8]) -> Result<Decoded<'_>, DecodeError> {
    let structure = structure::read(source, MAX_SCANS)?;
    entropy::check(&structure)?;
    if structure.frame.samples() > MAX_WHOLE_BYTES
        && let Some(rows) = RowDecoder::new(&structure)
    {
        return Ok(Decoded { pixels: Pixels::Rows(Box::new(rows)), profile: structure.profile() });
    }
    let pixmap = match structure.frame.components.len() {
        1 => Pixmap::new(structure.frame.size(), Layout::Gray, decode_planes(source, &structure)?),
        3 => Pixmap::new(structure.frame.size(), Layout::Rgb, decode_planes(source, &structure)?),
        4 => Pixmap::new(structure.frame.size(), Layout::Cmyk, decode_inks(source, &structure)?),
        count => return Err(DecodeError::Unsupported(format!("a JPEG of {count} components"))),
    };
    Ok(Decoded { pixels: Pixels::Whole(pixmap), profile: structure.profile() })
}

/// Gray or RGB bytes.
fn decode_planes(source: &[u8], structure: &Structure) -> Result<Vec<u8>, DecodeError> {
    if is_for_zune(structure) {
        decode_with_zune(source, structure)
    } else {
        decode_with_jpeg_decoder(source, structure)
    }
}

/// Whether zune-jpeg 0.5.15 is known to be right: one scan, or progressive, and the usual sampling factors.
fn is_for_zune(structure: &Structure) -> bool {
    let is_one_pass = structure.frame.process == Process::Progressive || structure.scans.len() == 1;
    is_one_pass && structure.frame.has_usual_sampling()
}

fn decode_with_zune(source: &[u8], structure: &Structure) -> Result<Vec<u8>, DecodeError> {
    let color = if structure.frame.components.len() == 1 { ColorSpace::Luma } else { ColorSpace::RGB };
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(color);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(source), options);
    decoder.decode().map_err(|error| DecodeError::damaged(&error.to_string()))
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
