//! Files to pixels and back, row by row where the format allows. JPEG is decoded and encoded by ours, PNG with the help of
//! libraries. Around them stands a wall: limits from the header before anything is decoded, files that a library gets wrong
//! or shows in part are refused or decoded by another, and a panic is an error of that file.

mod exif;
pub(super) mod jpeg;
pub(super) mod png;
mod shared;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::plan::{Eighths, Encode};
use crate::raster::{Format, Header, Layout, Pixmap, Rect, Size};
use crate::simd::Level;

#[doc(hidden)]
pub use jpeg::kernels as jpeg_kernels;
pub use shared::Shared;

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

    /// What a panic of a library says of a file.
    fn senseless() -> Self {
        Self::damaged("the decoder cannot make sense of it")
    }
}

/// What is wanted of a source.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The scale, where the format allows it.
    pub eighths: Eighths,
    /// The region that is shown, in pixels of the whole picture as stored. Others may be left out.
    pub region: Rect,
    /// Whether luma is enough.
    pub is_gray: bool,
}

impl Wanted {
    /// All of a picture of this size.
    #[must_use]
    pub const fn all(size: Size) -> Self {
        Self { eighths: Eighths::ALL, region: Rect::whole(size), is_gray: false }
    }
}

/// Pixels as stored, before orientation and colour conversion.
#[derive(Debug)]
pub struct Decoded<'a> {
    /// In the layout of the file; 16-bit samples are reduced to 8.
    pub pixels: Pixels<'a>,
    /// The embedded ICC profile, if there is a whole one.
    pub profile: Option<Vec<u8>>,
    /// The scale that they are decoded at.
    pub eighths: Eighths,
}

/// Where the pixels of a source are.
#[derive(Debug)]
pub enum Pixels<'a> {
    /// In memory.
    Whole(Pixmap),
    /// Still in the file: decoded as they are asked for.
    Rows(Box<dyn Rows + 'a>),
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

    /// To be asked when all rows are taken that are needed: what is in memory was checked before.
    /// # Errors
    /// If anything in the file is damaged.
    pub fn finish(&mut self) -> Result<(), DecodeError> {
        match self {
            Self::Whole(_) => Ok(()),
            Self::Rows(rows) => rows.finish(),
        }
    }
}

/// A row of a source.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its pixels, as the layout says.
    pub samples: &'a [u8],
    /// For pictures that are decoded at a reduced size: the variance that each pixel has lost, in squared code values
    /// (0 to 16383), that of luma.
    pub variance: Option<&'a [u16]>,
}

/// A source that gives its rows one after the other. Rows may be left out, but none is asked for again, nor one above it.
pub trait Rows: std::fmt::Debug {
    /// Width and height as stored.
    fn size(&self) -> Size;
    /// Meaning of the bytes.
    fn layout(&self) -> Layout;
    /// A row; black, where the data is damaged.
    /// # Panics
    /// If the row is above one that was given before, or below the picture.
    fn row(&mut self, y: u32) -> Row<'_>;
    /// Reads what no row was asked of. Nothing that was made of the rows is to be shown before this has been asked.
    /// # Errors
    /// If anything in the file is damaged.
    fn finish(&mut self) -> Result<(), DecodeError>;
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

/// Decodes what is wanted of a source that `probe` has let pass. Rows that are decoded as they are asked for may turn out
/// damaged: `Rows::finish` tells.
/// # Errors
/// If it is cut, damaged, or of a kind that is not read.
pub fn decode<'a>(level: Level, source: &'a [u8], wanted: &Wanted) -> Result<Decoded<'a>, DecodeError> {
    match format_of(source)? {
        Format::Jpeg => contain(|| jpeg::decode(level, source, wanted)),
        Format::Png => contain(|| png::decode(level, source)),
    }
}

/// Decodes a source that `probe` has let pass, all of it, for nothing but what is wrong with it.
/// # Errors
/// If it is cut, damaged, or of a kind that is not read.
pub fn check(level: Level, source: &[u8]) -> Result<(), DecodeError> {
    // No region is asked for: at full size every scan is read all the same.
    decode(level, source, &Wanted::all(Size::new(0, 0)))?.pixels.finish()
}

/// The format of a source, told from its first bytes.
/// # Errors
/// If it is neither JPEG nor PNG; names what it is instead, if that is known.
pub fn format_of(source: &[u8]) -> Result<Format, DecodeError> {
    Format::of(source).ok_or_else(|| DecodeError::Unsupported(unknown(source)))
}

/// Encodes a picture without any metadata; sRGB is what readers assume then.
#[must_use]
pub fn encode(level: Level, image: &Pixmap, encode: Encode) -> Vec<u8> {
    match encode.format {
        Format::Jpeg => jpeg::encode(level, image, encode),
        Format::Png => png::encode(level, image),
    }
}

/// Turns a panic of a library into an error of the file that made it panic.
fn contain<T>(decode: impl FnOnce() -> Result<T, DecodeError>) -> Result<T, DecodeError> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| Err(DecodeError::senseless()))
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
