//! The chunks of a PNG file (ISO/IEC 15948 §5.3), walked without decoding.

use super::DecodeError;

/// More chunks than any encoder writes, but for one image data chunk a byte.
const MAX_CHUNKS: usize = 200_000;

/// What the walk has found.
#[derive(Debug)]
pub(super) struct Chunks<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Bits per sample or palette index.
    pub(super) bit_depth: u8,
    /// 0 gray, 2 RGB, 3 palette, 4 gray with alpha, 6 RGB with alpha.
    pub(super) color_type: u8,
    pub(super) is_interlaced: bool,
    /// Whether there is a `tRNS` chunk.
    pub(super) has_transparency: bool,
    /// The TIFF structure of the `eXIf` chunk.
    pub(super) exif: Option<&'a [u8]>,
    /// Whether the file has its end chunk.
    pub(super) has_end: bool,
    /// The contents of the image data chunks, which stand one after the other.
    pub(super) image_data: Vec<&'a [u8]>,
}

impl Chunks<'_> {
    /// Bits per pixel as stored.
    pub(super) fn bits_per_pixel(&self) -> usize {
        let n_samples = match self.color_type {
            0 | 3 => 1,
            4 => 2,
            2 => 3,
            _ => 4,
        };
        n_samples * usize::from(self.bit_depth)
    }

    /// Samples per pixel once decoded.
    pub(super) fn n_channels(&self) -> usize {
        match self.color_type {
            0 if !self.has_transparency => 1,
            0 | 4 => 2,
            2 | 3 if !self.has_transparency => 3,
            _ => 4,
        }
    }
}

/// Walks from the signature to the end chunk.
/// # Errors
/// If the header is damaged or of no kind that there is, or a palette is of a length that png 0.18.1 panics on.
pub(super) fn read(source: &[u8]) -> Result<Chunks<'_>, DecodeError> {
    let mut rest = source.get(8..).unwrap_or_default();
    let header = next(&mut rest).filter(|chunk| chunk.kind == *b"IHDR");
    let header = header.and_then(|chunk| chunk.data.first_chunk::<13>());
    let header = header.ok_or_else(|| DecodeError::damaged("there is no image header"))?;
    let [width, height] =
        [0, 4].map(|at| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]));
    let mut chunks = Chunks {
        width,
        height,
        bit_depth: header[8],
        color_type: header[9],
        is_interlaced: header[12] != 0,
        has_transparency: false,
        exif: None,
        has_end: false,
        image_data: Vec::new(),
    };
    // Whatever is computed of bits per pixel needs that there are some.
    if !matches!((chunks.color_type, chunks.bit_depth), (0 | 2 | 4 | 6, 8 | 16) | (3, 8) | (0 | 3, 1 | 2 | 4)) {
        let (kind, depth) = (chunks.color_type, chunks.bit_depth);
        return Err(DecodeError::Damaged(format!("there is no colour type {kind} of {depth} bits")));
    }
    let mut n_colors = 0;
    let mut count = 0;
    let mut previous = *b"IHDR";
    while let Some(chunk) = next(&mut rest) {
        count += 1;
        if count > MAX_CHUNKS {
            return Err(DecodeError::Damaged(format!("more than {MAX_CHUNKS} chunks")));
        }
        match &chunk.kind {
            b"PLTE" if !chunk.data.len().is_multiple_of(3) => {
                return Err(DecodeError::damaged("the palette's length is no multiple of 3"));
            }
            b"PLTE" => n_colors = chunk.data.len() / 3,
            b"tRNS" if chunks.color_type == 3 && chunk.data.len() > n_colors => {
                return Err(DecodeError::damaged("there are more transparencies than colours in the palette"));
            }
            b"tRNS" => chunks.has_transparency = true,
            b"IDAT" if chunks.image_data.is_empty() || previous == *b"IDAT" => chunks.image_data.push(chunk.data),
            b"eXIf" if chunks.exif.is_none() => chunks.exif = Some(chunk.data),
            b"IEND" => {
                chunks.has_end = true;
                break;
            }
            _ => {}
        }
        previous = chunk.kind;
    }
    Ok(chunks)
}

struct Chunk<'a> {
    kind: [u8; 4],
    data: &'a [u8],
}

/// The next whole chunk; `None` where the file is cut.
fn next<'a>(rest: &mut &'a [u8]) -> Option<Chunk<'a>> {
    let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
    let kind = *rest.get(4..)?.first_chunk()?;
    let data = rest.get(8..)?.get(..length)?;
    *rest = rest.get(12 + length..)?;
    Some(Chunk { kind, data })
}
