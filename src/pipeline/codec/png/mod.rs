//! PNG: every colour type and depth in, 8 bits a channel out.

mod chunks;
mod encode;

use png::{BitDepth, ColorType, DecodingError, Transformations};

use super::{DecodeError, Decoded, Pixels, checked_size, exif};
use crate::raster::{Format, Header, Layout, Orientation, Pixmap, Size};

pub(super) use encode::encode;

/// What the library may allocate beside the pixels: an inflated ICC profile most of all.
const MAX_LIBRARY_BYTES: usize = 8 << 20;

pub(super) fn probe(source: &[u8]) -> Result<Header, DecodeError> {
    let chunks = chunks::read(source)?;
    let stored = checked_size(chunks.width, chunks.height)?;
    let orientation = chunks.exif.map_or(Orientation::NORMAL, exif::orientation);
    Ok(Header { format: Format::Png, stored, orientation, decoded_bytes: decoded_bytes(&chunks, stored) })
}

/// A byte for each sample; interlaced pictures of 16 bits stand in memory as such before they are reduced.
fn decoded_bytes(chunks: &chunks::Chunks, size: Size) -> u64 {
    let channels = match chunks.color_type {
        0 if !chunks.has_transparency => 1,
        0 | 4 => 2,
        2 | 3 if !chunks.has_transparency => 3,
        _ => 4,
    };
    let is_doubled = chunks.is_interlaced && chunks.bit_depth == 16;
    size.pixels() * channels * if is_doubled { 3 } else { 1 }
}

pub(super) fn decode(source: &[u8]) -> Result<Decoded<'static>, DecodeError> {
    let chunks = chunks::read(source)?;
    let size = checked_size(chunks.width, chunks.height)?;
    if !chunks.has_end {
        return Err(DecodeError::damaged("the file is cut off"));
    }
    // A profile that is too large or damaged does not hide the picture.
    decode_with(source, size, Profile::Read).or_else(|error| match error {
        Failure::Limits => decode_with(source, size, Profile::Ignore).map_err(Failure::into_error),
        error => Err(error.into_error()),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Profile {
    Read,
    Ignore,
}

enum Failure {
    Limits,
    Other(DecodeError),
}

impl Failure {
    fn into_error(self) -> DecodeError {
        match self {
            Self::Limits => DecodeError::damaged("it needs too much memory"),
            Self::Other(error) => error,
        }
    }
}

impl From<DecodingError> for Failure {
    fn from(error: DecodingError) -> Self {
        match error {
            DecodingError::LimitsExceeded => Self::Limits,
            error => Self::Other(DecodeError::damaged(&error.to_string())),
        }
    }
}

fn decode_with(source: &[u8], size: Size, profile: Profile) -> Result<Decoded<'static>, Failure> {
    let mut options = png::DecodeOptions::default();
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(profile == Profile::Ignore);
    options.set_ignore_adler32(false);
    let mut decoder = png::Decoder::new_with_options(std::io::Cursor::new(source), options);
    decoder.set_limits(png::Limits { bytes: MAX_LIBRARY_BYTES });
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info()?;
    let (color, depth) = reader.output_color_type();
    let layout = match color {
        ColorType::Grayscale => Layout::Gray,
        ColorType::GrayscaleAlpha => Layout::GrayAlpha,
        ColorType::Rgb => Layout::Rgb,
        ColorType::Rgba => Layout::Rgba,
        ColorType::Indexed => unreachable!("palettes are expanded"),
    };
    let profile = reader.info().icc_profile.as_ref().map(|profile| profile.to_vec());
    let bytes = if reader.info().interlaced {
        whole_frame(&mut reader, depth)?
    } else {
        rows(&mut reader, depth, size, layout)?
    };
    reader.finish()?;
    Ok(Decoded { pixels: Pixels::Whole(Pixmap::new(size, layout, bytes)), profile })
}

type Reader<'a> = png::Reader<std::io::Cursor<&'a [u8]>>;

/// Row by row, so that 16-bit samples never stand in memory all together.
fn rows(reader: &mut Reader, depth: BitDepth, size: Size, layout: Layout) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::with_capacity(size.pixels() as usize * layout.channels());
    for _ in 0..size.height {
        let row = reader.next_row()?.ok_or_else(|| Failure::Other(DecodeError::damaged("rows are missing")))?;
        match depth {
            BitDepth::Sixteen => bytes.extend(row.data().as_chunks().0.iter().map(|&sample| to_8_bits(sample))),
            _ => bytes.extend_from_slice(row.data()),
        }
    }
    Ok(bytes)
}

fn whole_frame(reader: &mut Reader, depth: BitDepth) -> Result<Vec<u8>, Failure> {
    let length = reader.output_buffer_size().ok_or(Failure::Limits)?;
    let mut bytes = vec![0; length];
    reader.next_frame(&mut bytes)?;
    match depth {
        BitDepth::Sixteen => Ok(bytes.as_chunks().0.iter().map(|&sample| to_8_bits(sample)).collect()),
        _ => Ok(bytes),
    }
}

/// 16 bits to 8, rounded to nearest: `value · 255 / 65535` (PNG specification §13.12).
fn to_8_bits(sample: [u8; 2]) -> u8 {
    ((u32::from(u16::from_be_bytes(sample)) * 255 + 32_895) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_are_rounded() {
        for value in 0..=u16::MAX {
            let exact = (f64::from(value) * 255.0 / 65_535.0).round() as u8;
            assert_eq!(to_8_bits(value.to_be_bytes()), exact, "{value}");
        }
    }
}
