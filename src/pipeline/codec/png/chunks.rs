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
}

/// Walks from the signature to the end chunk.
/// # Errors
/// If the header is damaged, or a palette is of a length that png 0.18.1 panics on.
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
    };
    let mut n_colors = 0;
    let mut count = 0;
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
            b"eXIf" if chunks.exif.is_none() => chunks.exif = Some(chunk.data),
            b"IEND" => {
                chunks.has_end = true;
                break;
            }
            _ => {}
        }
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
