//! PNG out: in the smallest colour type that holds every pixel exactly, compressed by what the picture is, a photograph
//! or a drawing.

pub(in crate::pipeline) mod filter;
mod reduce;

use super::deflate::{Search, compress};
use crate::raster::{Pixmap, Size};
use crate::simd::Level;
use reduce::Reduced;

/// Rows of a sample: two bands of so many.
const SAMPLE_ROWS: usize = 40;
/// Candidates of the search in a sample, in a filtered answer, which has many that are not worth it, and in others.
const SAMPLE_DEPTH: usize = 4;
const FILTERED_DEPTH: usize = 8;
const DEPTH: usize = 24;
/// A picture in which fewer pixels in a hundred equal the one to the left is a photograph.
const FLAT_PERCENT: usize = 15;
/// What the quick search may take in bytes, in percent of the thorough one, which takes several times as long.
const QUICK_PERCENT: usize = 106;
/// And in percent of what is not filtered, where that alone tells.
const PHOTOGRAPH_PERCENT: usize = 85;

/// Encodes without metadata; readers take sRGB then.
/// # Panics
/// If the picture is CMYK, which no PNG source is.
pub(in crate::pipeline::codec) fn encode(level: Level, image: &Pixmap) -> Vec<u8> {
    let picture = reduce::run(image);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let Size { width, height } = picture.size;
    let [w, h] = [width, height].map(u32::to_be_bytes);
    let kind = [picture.bit_depth, picture.color_type, 0, 0, 0];
    chunk(&mut file, *b"IHDR", |data| data.extend([&w[..], &h, &kind].concat()));
    if !picture.palette.is_empty() {
        chunk(&mut file, *b"PLTE", |data| data.extend(picture.palette.iter().flat_map(|&[r, g, b, _]| [r, g, b])));
        // Opaque colours are the last.
        let alphas: Vec<u8> = picture.palette.iter().map(|color| color[3]).take_while(|&alpha| alpha < 255).collect();
        if !alphas.is_empty() {
            chunk(&mut file, *b"tRNS", |data| data.extend(alphas));
        }
    }
    let (filtering, search) = way(level, &picture);
    let scanlines = filtering.scanlines(level, &picture, 0..height as usize);
    chunk(&mut file, *b"IDAT", |data| *data = compress(&scanlines, search, std::mem::take(data)));
    chunk(&mut file, *b"IEND", |_| ());
    file
}

/// Appends a chunk; `fill` appends its data.
fn chunk(file: &mut Vec<u8>, kind: [u8; 4], fill: impl FnOnce(&mut Vec<u8>)) {
    let start = file.len();
    file.extend_from_slice(&[0; 4]);
    file.extend_from_slice(&kind);
    fill(file);
    let length = (file.len() - start - 8) as u32;
    file[start..start + 4].copy_from_slice(&length.to_be_bytes());
    let sum = crc32fast::hash(&file[start + 4..]);
    file.extend_from_slice(&sum.to_be_bytes());
}

/// Whether scanlines are filtered.
#[derive(Clone, Copy, Debug)]
enum Filtering {
    /// What repeats stays as it is.
    Off,
    /// By the filter whose bytes are the smallest, row by row.
    Adaptive,
}

impl Filtering {
    fn scanlines(self, level: Level, picture: &Reduced, rows: std::ops::Range<usize>) -> Vec<u8> {
        let stride = picture.stride;
        match self {
            Self::Adaptive => filter::adaptive(level, picture.bytes_per_pixel(), stride, &picture.rows, rows),
            Self::Off => {
                let mut scanlines = Vec::with_capacity(rows.len() * (stride + 1));
                for row in picture.rows[rows.start * stride..rows.end * stride].chunks_exact(stride) {
                    scanlines.push(0);
                    scanlines.extend_from_slice(row);
                }
                scanlines
            }
        }
    }
}

/// How a picture is compressed: photographs are known by their pixels, of others a sample is compressed each way.
fn way(level: Level, picture: &Reduced) -> (Filtering, Search) {
    if picture.is_packed() {
        return (Filtering::Off, Search::Thorough(DEPTH));
    }
    let bands = sample(picture.size.height as usize);
    if flat_percent(picture, &bands) < FLAT_PERCENT {
        return (Filtering::Adaptive, Search::Quick);
    }
    let length = |filtering: Filtering, search| {
        let bands = bands.iter().map(|band| filtering.scanlines(level, picture, band.clone()));
        compress(&bands.collect::<Vec<_>>().concat(), search, Vec::new()).len()
    };
    let quick = length(Filtering::Adaptive, Search::Quick);
    let unfiltered = length(Filtering::Off, Search::Thorough(SAMPLE_DEPTH));
    if quick * 100 <= unfiltered * PHOTOGRAPH_PERCENT {
        return (Filtering::Adaptive, Search::Quick);
    }
    let filtered = length(Filtering::Adaptive, Search::Thorough(SAMPLE_DEPTH));
    if quick * 100 <= filtered.min(unfiltered) * QUICK_PERCENT {
        (Filtering::Adaptive, Search::Quick)
    } else if filtered < unfiltered {
        (Filtering::Adaptive, Search::Thorough(FILTERED_DEPTH))
    } else {
        (Filtering::Off, Search::Thorough(DEPTH))
    }
}

/// Rows that stand for all.
fn sample(height: usize) -> Vec<std::ops::Range<usize>> {
    if height <= SAMPLE_ROWS * 3 {
        return std::iter::once(0..height).collect();
    }
    [height / 5, height * 3 / 5].map(|first| first..first + SAMPLE_ROWS).to_vec()
}

/// How many pixels in a hundred equal the one to their left.
fn flat_percent(picture: &Reduced, bands: &[std::ops::Range<usize>]) -> usize {
    let (stride, n) = (picture.stride, picture.bytes_per_pixel());
    let (mut n_flat, mut n_pixels) = (0, 1);
    for row in bands.iter().cloned().flatten().map(|y| &picture.rows[y * stride..(y + 1) * stride]) {
        n_flat += row.chunks_exact(n).zip(row[n..].chunks_exact(n)).filter(|(left, pixel)| left == pixel).count();
        n_pixels += stride / n;
    }
    n_flat * 100 / n_pixels
}

#[cfg(test)]
mod tests;
