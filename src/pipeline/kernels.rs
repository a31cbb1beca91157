//! Kernels that lie inside, over bytes that stay the same: for `benches/kernels.rs` to measure.

use std::hint::black_box;

use super::codec::jpeg::encode::forward::{self, Block};
use super::codec::jpeg::encode::quantiser::{Plane, quantiser};
use super::codec::png::encode::filter;
use super::codec::png::unfilter::unfilter;
use super::color::{coded, linear};
use super::resize::kernel::{self, Lines, PAIRS};
use super::resize::weights::Axis;
use super::resize::{Column, ROWS, Span, Strip};
use crate::plan::JpegQuality;
use crate::simd::Level;

/// One of them.
pub struct Kernel {
    /// What it does.
    pub name: &'static str,
    /// Bytes that it writes.
    pub n_bytes: usize,
    /// Runs it once.
    pub run: Box<dyn FnMut(Level)>,
}

/// Pixels of a row, and of a row that is made of it.
const WIDTH: usize = 4096;
const SMALL_WIDTH: usize = 2048;
/// Strips of a plane.
const N_STRIPS: usize = WIDTH / 16;

/// All of them, over these bytes.
/// # Panics
/// If there are fewer than `N_BYTES`.
#[must_use]
pub fn all(bytes: &[u8]) -> Vec<Kernel> {
    let bytes = bytes.to_vec();
    let samples: Vec<i16> = bytes.iter().map(|&byte| i16::from(byte) * 128).collect();
    let mut kernels = Vec::new();
    for (name, has_variance) in [("sRGB to light, RGB", false), ("and what pixels lost", true)] {
        let (pixels, variances) = (bytes.as_chunks::<3>().0[..2 * WIDTH].to_vec(), vec![90; 2 * WIDTH]);
        let mut strips = vec![Strip::default(); 3 * N_STRIPS];
        let run = move |level| {
            let rows = linear::RowPair {
                pixels: [&pixels[..WIDTH], &pixels[WIDTH..]],
                variances: has_variance.then(|| [&variances[..WIDTH], &variances[WIDTH..]]),
            };
            linear::from_srgb(level, rows, black_box(&mut strips));
        };
        kernels.push(Kernel { name, n_bytes: 3 * 2 * 2 * WIDTH, run: Box::new(run) });
    }
    kernels.extend([vertical(&samples), horizontal(&samples), coded(&samples), transform(&samples)]);
    for (name, number) in [("PNG: undo Sub", 1), ("undo Up", 2), ("undo Average", 3), ("undo Paeth", 4)] {
        let (stride, n_rows) = (3 * SMALL_WIDTH, 8);
        let mut scanlines = bytes[..(stride + 1) * n_rows].to_vec();
        scanlines.chunks_exact_mut(stride + 1).for_each(|scanline| scanline[0] = number);
        let mut rows = vec![0; stride * (n_rows + 1)];
        let run = move |level| _ = black_box(unfilter(level, 3, stride, &scanlines, &mut rows));
        kernels.push(Kernel { name, n_bytes: stride * n_rows, run: Box::new(run) });
    }
    let stride = 3 * SMALL_WIDTH;
    let run = move |level| _ = black_box(filter::adaptive(level, 3, stride, &bytes, 1..9));
    kernels.push(Kernel { name: "PNG: the best filter", n_bytes: stride * 8, run: Box::new(run) });
    kernels
}

/// Bytes that `all` needs.
pub const N_BYTES: usize = 3 * 2 * WIDTH * ROWS;

/// A half in both directions, which takes 12 rows or columns for one.
fn half(n: usize) -> Axis {
    Axis::new(Span { start: 0.0, length: n as f64 }, n as u32, n as u32 / 2)
}

fn vertical(samples: &[i16]) -> Kernel {
    let axis = half(64);
    let strips: Vec<Strip> = (0..32).flat_map(|_| samples.as_chunks::<16>().0.as_chunks::<2>().0).copied().collect();
    let starts: Vec<usize> = (0..32).map(|pair| pair * N_STRIPS).collect();
    let mut turned = vec![Default::default(); N_STRIPS];
    let run = move |level| {
        let lines = Lines { strips: &strips, starts: &starts, first: 0 };
        kernel::vertical(level, lines, &axis, ROWS as u32, black_box(&mut turned));
    };
    Kernel { name: "8 rows of a half as many", n_bytes: WIDTH * ROWS * 2, run: Box::new(run) }
}

fn horizontal(samples: &[i16]) -> Kernel {
    let axis = half(WIDTH);
    let plane = N_STRIPS * PAIRS;
    let turned = samples.as_chunks::<16>().0[..3 * plane].to_vec();
    let mut columns = vec![Column::default(); 3 * SMALL_WIDTH];
    let run = move |level| kernel::horizontal(level, &turned, plane, &axis, black_box(&mut columns));
    Kernel { name: "8 rows half as wide, RGB", n_bytes: 3 * SMALL_WIDTH * ROWS * 2, run: Box::new(run) }
}

fn coded(samples: &[i16]) -> Kernel {
    let columns: Vec<Column> = samples.as_chunks::<8>().0[..3 * SMALL_WIDTH].to_vec();
    let mut bytes = vec![0; columns.len() * ROWS];
    let n_bytes = bytes.len();
    let run = move |level| coded::to_srgb::<3>(level, &columns, black_box(&mut bytes));
    Kernel { name: "light to sRGB, RGB", n_bytes, run: Box::new(run) }
}

fn transform(samples: &[i16]) -> Kernel {
    let quantiser = quantiser(Plane::Luma, JpegQuality::default());
    let samples = samples[..WIDTH * 8].to_vec();
    let mut blocks = vec![Block::EMPTY; WIDTH / 8];
    let run = move |level| forward::transform(level, &samples, &quantiser, black_box(&mut blocks));
    Kernel { name: "forward DCT and quantisation", n_bytes: WIDTH * 8 * 2, run: Box::new(run) }
}
