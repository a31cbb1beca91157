//! Files to pixels and back. The decoders are libraries, but for JPEGs too large to hold. Around them stands a wall:
//! limits from the header before anything is decoded, files that a library gets wrong or shows in part are refused or
//! decoded by another, and a panic inside a library is an error of that file.

mod exif;
mod jpeg;
mod png;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::plan::Encode;
use crate::raster::{Format, Header, Layout, Pixmap, Size};

pub use jpeg::RowDecoder;

/// The longest side that is read; JPEG allows no more, and working memory grows with the width.
const MAX_SIDE: u32 = 65_535;

/// What a source may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most pixels of a source, by its header.
    pub max_source_pixels: u64,
}

/// Why a source is not shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Neither JPEG nor PNG, or a rare kind of them that is not read.
    #[error("unsupported image: {0}")]
    Unsupported(String),
    /// More pixels than allowed.
    #[error("too many pixels: {pixels}, allowed: {limit}")]
    TooManyPixels {
        /// Width × height of the header.
        pixels: u64,
        /// The configured limit.
        limit: u64,
    },
    /// Cut, damaged or contradictory.
    #[error("damaged image: {0}")]
    Damaged(String),
}

impl DecodeError {
    /// The message without what a library may have put around it: one line, at most 200 characters.
    fn damaged(message: &str) -> Self {
        let line = message.lines().next().unwrap_or_default();
        Self::Damaged(line.chars().filter(|c| !c.is_control()).take(200).collect())
    }
}

/// Pixels as stored, before orientation and colour conversion.
#[derive(Debug)]
pub struct Decoded<'a> {
    /// In the layout of the file; 16-bit samples are reduced to 8.
    pub pixels: Pixels<'a>,
    /// The embedded ICC profile, if there is a whole one.
    pub profile: Option<Vec<u8>>,
}

/// Where the pixels of a source are.
#[derive(Debug)]
pub enum Pixels<'a> {
    /// In memory.
    Whole(Pixmap),
    /// Still in the file: decoded as they are asked for.
    Rows(Box<RowDecoder<'a>>),
}

impl Pixels<'_> {
    /// Width and height as stored.
    #[must_use]
    pub fn size(&self) -> Size {
        match self {
            Self::Whole(pixmap) => pixmap.size(),
            Self::Rows(rows) => rows.size(),
        }
    }

    /// Meaning of the bytes.
    #[must_use]
    pub fn layout(&self) -> Layout {
        match self {
            Self::Whole(pixmap) => pixmap.layout(),
            Self::Rows(rows) => rows.layout(),
        }
    }
}

/// Reads the header of a source without decoding it.
/// # Errors
/// If it is no JPEG or PNG, its header is damaged, or it has more pixels than allowed.
pub fn probe(source: &[u8], limits: Limits) -> Result<Header, DecodeError> {
    let header = match format_of(source)? {
        Format::Jpeg => jpeg::probe(source)?,
        Format::Png => png::probe(source)?,
    };
    let pixels = header.stored.pixels();
    if pixels > limits.max_source_pixels {
        return Err(DecodeError::TooManyPixels { pixels, limit: limits.max_source_pixels });
    }
    Ok(header)
}

/// Decodes a source that `probe` has let pass.
/// # Errors
/// If it is cut, damaged, or of a kind that is not read.
pub fn decode(source: &[u8]) -> Result<Decoded<'_>, DecodeError> {
    match format_of(source)? {
        Format::Jpeg => contain(|| jpeg::decode(source)),
        Format::Png => contain(|| png::decode(source)),
    }
}

/// The format of a source, told from its first bytes.
/// # Errors
/// If it is neither JPEG nor PNG; names what it is instead, if that is known.
pub fn format_of(source: &[u8]) -> Result<Format, DecodeError> {
    Format::of(source).ok_or_else(|| DecodeError::Unsupported(unknown(source)))
}

/// Encodes a picture without any metadata; sRGB is what readers assume then.
#[must_use]
pub fn encode(image: &Pixmap, encode: Encode) -> Vec<u8> {
    match encode.format {
        Format::Jpeg => jpeg::encode(image, encode.quality),
        Format::Png => png::encode(image),
    }
}

/// Turns a panic of a library into an error of the file that made it panic.
fn contain<'a>(decode: impl FnOnce() -> Result<Decoded<'a>, DecodeError>) -> Result<Decoded<'a>, DecodeError> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(DecodeError::damaged("the decoder cannot make sense of it")))
}

/// Checks what a header says of width and height.
fn checked_size(width: u32, height: u32) -> Result<Size, DecodeError> {
    let size = Size::new(width, height);
    let side = width.max(height);
    if side > MAX_SIDE {
        return Err(DecodeError::Unsupported(format!("a side of {side} pixels, at most {MAX_SIDE} are read")));
    }
    if size.is_empty() { Err(DecodeError::damaged("width or height is 0")) } else { Ok(size) }
}

fn unknown(source: &[u8]) -> String {
    let kinds: [(&str, usize, &[u8]); 10] = [
        ("GIF", 0, b"GIF8"),
        ("WebP", 8, b"WEBP"),
        ("AVIF", 4, b"ftypavif"),
        ("HEIC", 4, b"ftyphei"),
        ("BMP", 0, b"BM"),
        ("TIFF", 0, b"II*\0"),
        ("TIFF", 0, b"MM\0*"),
        ("JPEG XL", 0, b"\xFF\x0A"),
        ("PDF", 0, b"%PDF"),
        ("SVG", 0, b"<svg"),
    ];
    let kind =
        kinds.iter().find(|(_, offset, magic)| source.get(*offset..).is_some_and(|bytes| bytes.starts_with(magic)));
    match kind {
        Some((name, ..)) => format!("{name} is not supported, only JPEG and PNG are"),
        None => "the file is neither JPEG nor PNG".to_owned(),
    }
}
