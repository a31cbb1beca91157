//! PNG: every colour type and depth in, 8 bits a channel out.
//!
//! The library reads the chunks, checks them, and decodes interlaced pictures. Of all others the image data is inflated
//! and unfiltered here, some rows at a time: they never stand in memory whole, and four scanlines together are unfiltered
//! several times as fast as one after the other.

mod chunks;
mod deflate;
pub(in crate::pipeline) mod encode;
mod expand;
mod rows;
mod scanlines;
pub(in crate::pipeline) mod unfilter;

use png::{BitDepth, DecodingError, Transformations};

use super::{DecodeError, Decoded, Pixels, checked_size, exif};
use crate::plan::Eighths;
use crate::raster::{self, Format, Layout, Orientation, Pixmap, Size};
use crate::simd::Level;
use expand::Expansion;
use rows::PngRows;

pub(super) use encode::encode;

/// What the library may allocate beside the pixels: an inflated ICC profile most of all.
const MAX_LIBRARY_BYTES: usize = 8 << 20;

pub(super) fn probe(source: &[u8]) -> Result<raster::Header, DecodeError> {
    let chunks = chunks::read(source)?;
    let stored = checked_size(chunks.width, chunks.height)?;
    let orientation = chunks.exif.map_or(Orientation::NORMAL, exif::orientation);
    let (decoded_bytes, streamed_bytes) = memory(&chunks, stored);
    Ok(raster::Header { format: Format::Png, stored, orientation, decoded_bytes, streamed_bytes })
}

/// What the rows take, or the whole picture where it is kept for several answers: a byte for each sample; interlaced
/// pictures of 16 bits stand in memory as such before they are reduced.
fn memory(chunks: &chunks::Chunks, size: Size) -> (u64, u64) {
    let whole = size.pixels() * chunks.n_channels() as u64;
    let rows = PngRows::memory(size.width, chunks.bits_per_pixel(), chunks.n_channels()) as u64;
    match (chunks.is_interlaced, chunks.bit_depth) {
        (false, _) => (whole + rows, rows),
        (true, 16) => (whole * 3, whole * 3),
        (true, _) => (whole, whole),
    }
}

/// Rows to be asked for; interlaced pictures whole.
pub(super) fn decode(level: Level, source: &[u8]) -> Result<Decoded<'_>, DecodeError> {
    let header = read_header(source)?;
    let profile = header.profile.clone();
    let pixels = if header.is_interlaced {
        Pixels::Whole(Pixmap::new(header.size, header.layout, interlaced(source)?))
    } else {
        Pixels::Rows(Box::new(PngRows::new(level, header)))
    };
    Ok(Decoded { pixels, profile, eighths: Eighths::ALL })
}

/// What is known of a picture before its image data is inflated.
struct Header<'a> {
    size: Size,
    layout: Layout,
    is_interlaced: bool,
    expansion: Expansion,
    /// As stored.
    bits_per_pixel: usize,
    profile: Option<Vec<u8>>,
    /// The contents of the image data chunks.
    chunks: Vec<&'a [u8]>,
}

/// Has the library read all chunks, and check their sums and their order; it inflates no image data for that.
fn read_header(source: &[u8]) -> Result<Header<'_>, DecodeError> {
    let chunks = chunks::read(source)?;
    let size = checked_size(chunks.width, chunks.height)?;
    if !chunks.has_end {
        return Err(DecodeError::damaged("the file is cut off"));
    }
    let mut reader = open(source)?;
    let info = reader.info();
    let (expansion, layout) = Expansion::new(info).ok_or_else(|| DecodeError::damaged("there is no palette"))?;
    let (is_interlaced, profile) = (info.interlaced, info.icc_profile.as_ref().map(|profile| profile.to_vec()));
    reader.finish().map_err(|error| Failure::from(error).into_error())?;
    let bits_per_pixel = chunks.bits_per_pixel();
    Ok(Header { size, layout, is_interlaced, expansion, bits_per_pixel, profile, chunks: chunks.image_data })
}

type Reader<'a> = png::Reader<std::io::Cursor<&'a [u8]>>;

/// Reads up to the image data. A profile that is too large or damaged does not hide the picture.
fn open(source: &[u8]) -> Result<Reader<'_>, DecodeError> {
    open_with(source, Profile::Read).or_else(|error| match error {
        Failure::Limits => open_with(source, Profile::Ignore).map_err(Failure::into_error),
        error => Err(error.into_error()),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Profile {
    Read,
    Ignore,
}

fn open_with(source: &[u8], profile: Profile) -> Result<Reader<'_>, Failure> {
    let mut options = png::DecodeOptions::default();
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(profile == Profile::Ignore);
    options.set_ignore_adler32(false);
    let mut decoder = png::Decoder::new_with_options(std::io::Cursor::new(source), options);
    decoder.set_limits(png::Limits { bytes: MAX_LIBRARY_BYTES });
    decoder.set_transformations(Transformations::EXPAND);
    Ok(decoder.read_info()?)
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

/// All samples of an interlaced picture, by the library.
fn interlaced(source: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut reader = open(source)?;
    let too_large = || DecodeError::damaged("it needs too much memory");
    let mut bytes = vec![0; reader.output_buffer_size().ok_or_else(too_large)?];
    reader.next_frame(&mut bytes).map_err(|error| Failure::from(error).into_error())?;
    match reader.output_color_type().1 {
        BitDepth::Sixteen => Ok(bytes.as_chunks().0.iter().map(|&sample| expand::to_8_bits(sample)).collect()),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests;
