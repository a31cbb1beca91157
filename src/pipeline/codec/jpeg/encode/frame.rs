//! A picture as components of blocks, made one row of units (T.81: MCU) at a time.

use super::color::{self, Planes, Rgb, SharedPlanes};
use super::forward::{self, Block, Quantiser};
use super::quantiser::{self, Plane, Steps};
use super::tokens::{self, Tables};
use crate::plan::JpegQuality;
use crate::raster::{Layout, Pixmap};
use crate::simd::Level;

/// From here on chroma is kept at full size.
pub(super) const FULL_CHROMA_QUALITY: u8 = 90;

/// How the picture is taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sampling {
    /// Gray alone.
    Gray,
    /// Chroma for each pixel.
    Full,
    /// Chroma for each 2×2 pixels.
    Quarter,
}

/// One component.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) plane: Plane,
    /// Blocks of a unit, in width and height.
    pub(super) side: usize,
    /// Blocks in width and height that hold pixels.
    pub(super) size: (usize, usize),
    quantiser: Quantiser,
}

/// A picture that is to be encoded.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    image: &'a Pixmap,
    sampling: Sampling,
    pub(super) steps: Vec<Steps>,
    pub(super) components: Vec<Component>,
    /// Units in width and height.
    pub(super) units: (usize, usize),
}

/// The blocks of a row of units: for each component its rows of blocks.
pub(super) struct Band {
    samples: [Vec<i16>; 3],
    pub(super) blocks: [Vec<Vec<Block>>; 3],
}

impl<'a> Frame<'a> {
    /// # Panics
    /// If the picture has alpha or is CMYK.
    pub(super) fn new(image: &'a Pixmap, quality: JpegQuality) -> Self {
        let sampling = match image.layout() {
            Layout::Gray => Sampling::Gray,
            Layout::Rgb if quality.get() >= FULL_CHROMA_QUALITY => Sampling::Full,
            Layout::Rgb => Sampling::Quarter,
            layout => unreachable!("a JPEG source became {layout:?}"),
        };
        let (width, height) = (image.size().width as usize, image.size().height as usize);
        let unit = sampling.unit();
        let component = |plane: Plane, side: usize| {
            let pixels = unit / side;
            let size = (width.div_ceil(pixels), height.div_ceil(pixels));
            Component { plane, side, size, quantiser: quantiser::quantiser(plane, quality) }
        };
        let luma = quantiser::steps(Plane::Luma, quality);
        let chroma = quantiser::steps(Plane::Chroma, quality);
        let first = component(Plane::Luma, unit / 8);
        let (steps, components) = match sampling {
            Sampling::Gray => (vec![luma], vec![first]),
            Sampling::Full | Sampling::Quarter => {
                let others = [(); 2].map(|()| component(Plane::Chroma, 1));
                (vec![luma, chroma], std::iter::once(first).chain(others).collect())
            }
        };
        Self { image, sampling, steps, components, units: (width.div_ceil(unit), height.div_ceil(unit)) }
    }

    /// The tables of codes and the numbers that they have in the file.
    pub(super) const fn tables(&self) -> &'static [(u8, Tables)] {
        match self.sampling {
            Sampling::Gray => &[(0, tokens::LUMA)],
            Sampling::Full | Sampling::Quarter => &[(0, tokens::LUMA), (1, tokens::CHROMA)],
        }
    }

    pub(super) fn n_pixels(&self) -> usize {
        self.image.size().width as usize * self.image.size().height as usize
    }

    /// Memory for a row of units.
    pub(super) fn band(&self) -> Band {
        let stride = (self.image.size().width as usize).next_multiple_of(color::BLOCK);
        let mut band = Band { samples: Default::default(), blocks: Default::default() };
        for (index, component) in self.components.iter().enumerate() {
            let stride = stride * component.side * 8 / self.sampling.unit();
            band.samples[index] = vec![0; stride * 8 * component.side];
            band.blocks[index] = vec![vec![Block::EMPTY; component.size.0]; component.side];
        }
        band
    }

    /// Fills the band with the blocks of a row of units. Beyond the right and lower edge the last pixels go on.
    pub(super) fn fill(&self, level: Level, unit_row: usize, band: &mut Band) {
        let top = unit_row * self.sampling.unit();
        match self.sampling {
            Sampling::Gray => self.fill_gray(top, &mut band.samples),
            Sampling::Full => self.fill_full(level, top, &mut band.samples),
            Sampling::Quarter => self.fill_quarter(level, top, &mut band.samples),
        }
        for ((component, samples), rows) in self.components.iter().zip(&band.samples).zip(&mut band.blocks) {
            let n_samples = samples.len() / component.side;
            for (samples, blocks) in samples.chunks_exact(n_samples).zip(rows) {
                forward::transform(level, samples, &component.quantiser, blocks);
            }
        }
    }

    fn fill_gray(&self, top: usize, samples: &mut [Vec<i16>; 3]) {
        let stride = samples[0].len() / 8;
        for (y, samples) in samples[0].chunks_exact_mut(stride).enumerate() {
            let row = self.row(top + y);
            for (sample, &gray) in samples.iter_mut().zip(row) {
                *sample = i16::from(gray) << 7;
            }
            samples[row.len()..].fill(i16::from(row[row.len() - 1]) << 7);
        }
    }

    fn fill_full(&self, level: Level, top: usize, samples: &mut [Vec<i16>; 3]) {
        let [y, cb, cr] = samples.each_mut().map(|samples| samples.as_chunks_mut().0);
        let n_blocks = y.len() / 8;
        let rows = y.chunks_exact_mut(n_blocks).zip(cb.chunks_exact_mut(n_blocks)).zip(cr.chunks_exact_mut(n_blocks));
        for (index, ((y, cb), cr)) in rows.enumerate() {
            let (blocks, last) = padded(self.row(top + index));
            let (y, y_last) = y.split_at_mut(blocks.len());
            let (cb, cb_last) = cb.split_at_mut(blocks.len());
            let (cr, cr_last) = cr.split_at_mut(blocks.len());
            color::convert(level, blocks, Planes { y, cb, cr });
            color::convert(level, last.as_slice(), Planes { y: y_last, cb: cb_last, cr: cr_last });
        }
    }

    fn fill_quarter(&self, level: Level, top: usize, samples: &mut [Vec<i16>; 3]) {
        let [y, cb, cr] = samples;
        let (y, cb, cr) = (y.as_chunks_mut().0, cb.as_chunks_mut().0, cr.as_chunks_mut().0);
        let n_blocks = y.len() / 16;
        let rows =
            y.chunks_exact_mut(2 * n_blocks).zip(cb.chunks_exact_mut(n_blocks)).zip(cr.chunks_exact_mut(n_blocks));
        for (index, ((y, cb), cr)) in rows.enumerate() {
            let (upper, upper_last) = padded(self.row(top + 2 * index));
            let (lower, lower_last) = padded(self.row(top + 2 * index + 1));
            let (y_upper, y_lower) = y.split_at_mut(n_blocks);
            let (y_upper, y_upper_last) = y_upper.split_at_mut(upper.len());
            let (y_lower, y_lower_last) = y_lower.split_at_mut(upper.len());
            let (cb, cb_last) = cb.split_at_mut(upper.len());
            let (cr, cr_last) = cr.split_at_mut(upper.len());
            color::convert_shared(level, [upper, lower], SharedPlanes { y: [y_upper, y_lower], cb, cr });
            let last = SharedPlanes { y: [y_upper_last, y_lower_last], cb: cb_last, cr: cr_last };
            color::convert_shared(level, [upper_last.as_slice(), lower_last.as_slice()], last);
        }
    }

    /// A row of pixels, or the last.
    fn row(&self, index: usize) -> &'a [u8] {
        let stride = self.image.size().width as usize * self.image.layout().channels();
        let index = index.min(self.image.size().height as usize - 1);
        &self.image.bytes()[index * stride..(index + 1) * stride]
    }
}

impl Component {
    /// The number of its tables in the file.
    pub(super) const fn table(&self) -> u8 {
        match self.plane {
            Plane::Luma => 0,
            Plane::Chroma => 1,
        }
    }
}

impl Sampling {
    /// Pixels of a unit, in width and height.
    pub(super) const fn unit(self) -> usize {
        match self {
            Self::Gray | Self::Full => 8,
            Self::Quarter => 16,
        }
    }
}

/// A row as whole blocks, and what is left over as one that goes on with its last pixel.
fn padded(row: &[u8]) -> (&[Rgb], Option<Rgb>) {
    let (blocks, rest) = row.as_chunks::<{ size_of::<Rgb>() }>();
    let last = rest.last_chunk::<3>().map(|pixel| {
        let mut block = [0; size_of::<Rgb>()];
        let (head, tail) = block.split_at_mut(rest.len());
        head.copy_from_slice(rest);
        tail.as_chunks_mut().0.fill(*pixel);
        block
    });
    (blocks, last)
}
