//! The kernel that turns RGB into the planes of a JPEG: luma and chroma by JFIF 1.02 (BT.601, full range), chroma also
//! as the mean of 2×2 pixels.
//!
//! Planes are `i16` in units of 1/128, so that nothing is lost before the transform: luma is 0 to 32640, chroma −16320
//! to 16320. A product is `round(channel · 128 · factor / 32768)`, and a sample the sum of three. The mean of four
//! pixels is taken of their channels, exactly: the sum times 32 is their mean in units of 1/128.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;
#[cfg(test)]
mod tests;

use crate::simd::Level;

/// Pixels of a block; rows come in whole ones.
pub(super) const BLOCK: usize = 32;

/// Interleaved RGB of a block.
pub(super) type Rgb = [u8; 3 * BLOCK];

/// Factors of red, green and blue for each plane, times 32768. They add up to 32768 for luma, else to 0: gray has no
/// colour.
const LUMA: [i16; 3] = [9_798, 19_235, 3_735];
const BLUE: [i16; 3] = [-5_529, -10_855, 16_384];
const RED: [i16; 3] = [16_384, -13_720, -2_664];

/// The planes of one row.
#[derive(Debug)]
pub(super) struct Planes<'a> {
    pub(super) y: &'a mut [[i16; BLOCK]],
    pub(super) cb: &'a mut [[i16; BLOCK]],
    pub(super) cr: &'a mut [[i16; BLOCK]],
}

/// The planes of two rows that share their chroma.
#[derive(Debug)]
pub(super) struct SharedPlanes<'a> {
    pub(super) y: [&'a mut [[i16; BLOCK]]; 2],
    pub(super) cb: &'a mut [[i16; BLOCK / 2]],
    pub(super) cr: &'a mut [[i16; BLOCK / 2]],
}

/// Writes luma and chroma of every pixel.
/// # Panics
/// If the slices differ in length.
pub(super) fn convert(level: Level, row: &[Rgb], planes: Planes<'_>) {
    for length in [planes.y.len(), planes.cb.len(), planes.cr.len()] {
        assert_eq!(length, row.len());
    }
    match level {
        Level::Scalar => scalar::convert(row, planes),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::convert(cpu, row, planes),
    }
}

/// Writes the luma of every pixel of two rows, and the chroma of every 2×2 pixels.
/// # Panics
/// If the slices differ in length.
pub(super) fn convert_shared(level: Level, rows: [&[Rgb]; 2], planes: SharedPlanes<'_>) {
    for length in [rows[1].len(), planes.y[0].len(), planes.y[1].len(), planes.cb.len(), planes.cr.len()] {
        assert_eq!(length, rows[0].len());
    }
    match level {
        Level::Scalar => scalar::convert_shared(rows, planes),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::convert_shared(cpu, rows, planes),
    }
}
