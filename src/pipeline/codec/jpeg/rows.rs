//! The decoder: gives one row after the other, at a scale of N/8, and holds no more samples than two rows of MCUs; of a
//! progressive picture it also holds the coefficients that the scale shows.
//!
//! At full scale the arithmetic is that of libjpeg's accurate integer method: inverse DCT, triangle filters for chroma of
//! half size, and the conversion of JFIF 1.02 in fixed point.

use super::color;
use super::entropy::{Blocks, Sequential};
use super::geometry::Scaled;
use super::plane::{BlockRows, Plane};
use super::progressive::Progressive;
use super::structure::{Frame, Process, Structure};
use super::{DecodeError, Wanted};
use crate::pipeline::codec::{Row, Rows};
use crate::raster::{Layout, Size};
use crate::simd::Level;

/// What the components of a picture mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gray,
    YCbCr,
    Rgb,
    Cmyk,
    /// With 255 for no ink, as Adobe's marker says.
    InvertedCmyk,
    Ycck,
}

impl Coding {
    /// By the number of components, Adobe's marker and, as libjpeg does, their names.
    pub(super) fn of(structure: &Structure) -> Option<Self> {
        let ids: Vec<u8> = structure.frame.components.iter().map(|component| component.id).collect();
        match (ids.len(), structure.adobe_transform) {
            (1, _) => Some(Self::Gray),
            (3, Some(0)) => Some(Self::Rgb),
            (3, None) if ids == *b"RGB" => Some(Self::Rgb),
            (3, _) => Some(Self::YCbCr),
            (4, Some(2)) => Some(Self::Ycck),
            (4, Some(_)) => Some(Self::InvertedCmyk),
            (4, None) => Some(Self::Cmyk),
            _ => None,
        }
    }

    const fn layout(self) -> Layout {
        match self {
            Self::Gray => Layout::Gray,
            Self::YCbCr | Self::Rgb => Layout::Rgb,
            Self::Cmyk | Self::InvertedCmyk | Self::Ycck => Layout::Cmyk,
        }
    }
}

/// Where coefficients come from.
#[derive(Debug)]
enum Feed<'a> {
    /// Scans that each have other components, read in step.
    Sequential(Vec<Part<'a>>),
    Progressive(Progressive),
}

/// A sequential scan.
#[derive(Debug)]
struct Part<'a> {
    scan: Sequential<'a>,
    /// The components of the scan, by their positions in the frame.
    components: Vec<usize>,
    blocks: Vec<Blocks>,
}

/// Gives rows in ascending order; any may be left out.
#[derive(Debug)]
pub(super) struct RowDecoder<'a> {
    level: Level,
    size: Size,
    coding: Coding,
    feed: Feed<'a>,
    /// The components that are shown.
    planes: Vec<Plane>,
    /// The scaled components, shown or not.
    components: Vec<Scaled>,
    /// The columns that are asked for.
    columns: (u32, u32),
    /// MCUs per row and rows of them in interleaved scans, and how many of those are decoded.
    mcus: (u32, u32),
    n_mcu_rows: u32,
    /// Damage that was found while rows were read.
    damage: Option<DecodeError>,
    wide: [Vec<u8>; 4],
    pixels: Vec<u8>,
    variance: Vec<u16>,
}

impl<'a> RowDecoder<'a> {
    /// Whether it takes pictures of this frame: their sampling factors divide the largest ones.
    pub(super) fn takes(frame: &Frame) -> bool {
        frame.components.len() != 2
            && frame.components.iter().all(|component| Scaled::new(frame, component, 8).is_some())
    }

    /// A decoder for what is wanted of a file; `None` if it is not of a kind that this takes: sampling factors that do not
    /// divide the largest ones.
    /// # Errors
    /// If it is damaged in a way that shows before the first row: a progressive picture is read whole.
    pub(super) fn new(level: Level, structure: &Structure<'a>, wanted: &Wanted) -> Result<Option<Self>, DecodeError> {
        let frame = &structure.frame;
        let eighths = wanted.eighths.get();
        let scaled = frame.components.iter().map(|component| Scaled::new(frame, component, eighths));
        let (Some(components), Some(mut coding)) = (scaled.collect::<Option<Vec<_>>>(), Coding::of(structure)) else {
            return Ok(None);
        };
        if coding == Coding::YCbCr && wanted.is_gray && components[0].reduction == (1, 1) {
            coding = Coding::Gray;
        }
        let n_shown = if coding == Coding::Gray { 1 } else { components.len() };
        let tables = frame.components.iter().map(|component| {
            let missing = || DecodeError::damaged("a component has no quantisation table");
            structure.quantisation(component).ok_or_else(missing)
        });
        let tables = tables.collect::<Result<Vec<_>, _>>()?;
        let planes = components.iter().zip(&tables).take(n_shown).map(|(&scaled, table)| Plane::new(scaled, table));
        let planes = planes.collect();
        let feed = match frame.process {
            Process::Sequential => Feed::Sequential(parts(level, structure, &components, &tables, n_shown)?),
            Process::Progressive => {
                Feed::Progressive(Progressive::read(level, structure, &components[..n_shown], &tables)?)
            }
        };
        let full = frame.size();
        let size = Size::new((full.width * eighths).div_ceil(8), (full.height * eighths).div_ceil(8));
        let scale = |end: u32| (u64::from(end) * u64::from(eighths)).div_ceil(8) as u32;
        let columns = (wanted.region.x * eighths / 8, scale(wanted.region.x + wanted.region.size.width));
        Ok(Some(Self {
            level,
            size,
            coding,
            feed,
            planes,
            components,
            columns,
            mcus: frame.mcus(),
            n_mcu_rows: 0,
            damage: None,
            wide: Default::default(),
            pixels: vec![0; size.width as usize * coding.layout().channels()],
            variance: vec![0; size.width as usize],
        }))
    }

    /// Decodes the next row of MCUs, for rows of the picture from `y` on.
    fn mcu_row(&mut self, y: u32) {
        if self.damage.is_none()
            && let Err(error) = self.decode_row(y)
        {
            self.damage = Some(error);
        }
        if self.damage.is_some() {
            // What is shown of a damaged picture is never answered.
            for plane in &mut self.planes {
                let across = plane.scaled.padded_blocks().0;
                let coefficients = vec![0; across as usize * plane.scaled.area()];
                let blocks = BlockRows { coefficients: &coefficients, variances: &[], group: (1, 1), n_groups: across };
                while plane.needs_more(y) {
                    plane.append(self.level, blocks, y, self.columns);
                }
            }
        }
        self.n_mcu_rows += 1;
    }

    fn decode_row(&mut self, y: u32) -> Result<(), DecodeError> {
        match &mut self.feed {
            Feed::Sequential(parts) => {
                for part in parts {
                    for row in 0..part.n_rows(&self.components) {
                        let Some(n_mcus) = part.n_mcus(&self.components, self.mcus, self.n_mcu_rows, row) else {
                            continue;
                        };
                        part.scan.mcus(n_mcus as usize, &mut part.blocks)?;
                        part.show(self.level, &mut self.planes, n_mcus, y, self.columns);
                    }
                }
            }
            Feed::Progressive(progressive) => {
                for (index, plane) in self.planes.iter_mut().enumerate() {
                    let down = plane.scaled.factors.1;
                    for row in self.n_mcu_rows * down..(self.n_mcu_rows + 1) * down {
                        if let Some(blocks) = progressive.row(index, row) {
                            plane.append(self.level, blocks, y, self.columns);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl Part<'_> {
    /// How many times it is read for a row of MCUs of the picture: a scan of one component has its blocks row by row.
    fn n_rows(&self, components: &[Scaled]) -> u32 {
        match self.components[..] {
            [index] => components[index].factors.1,
            _ => 1,
        }
    }

    /// MCUs of one of these rows; `None` below the picture.
    fn n_mcus(&self, components: &[Scaled], mcus: (u32, u32), mcu_row: u32, row: u32) -> Option<u32> {
        match self.components[..] {
            [index] => {
                let scaled = components[index];
                (mcu_row * scaled.factors.1 + row < scaled.blocks.1).then_some(scaled.blocks.0)
            }
            _ => Some(mcus.0),
        }
    }

    fn show(&self, level: Level, planes: &mut [Plane], n_mcus: u32, y: u32, columns: (u32, u32)) {
        let is_single = self.components.len() == 1;
        for (&index, blocks) in self.components.iter().zip(&self.blocks) {
            if let Some(plane) = planes.get_mut(index) {
                let group = if is_single { (1, 1) } else { plane.scaled.factors };
                let Blocks { coefficients, variances } = blocks;
                let blocks = BlockRows { coefficients, variances, group, n_groups: n_mcus };
                plane.append(level, blocks, y, columns);
            }
        }
    }
}

/// The scans of a sequential picture, of which each component must be in exactly one.
fn parts<'a>(
    level: Level,
    structure: &Structure<'a>,
    components: &[Scaled],
    tables: &[[u16; 64]],
    n_shown: usize,
) -> Result<Vec<Part<'a>>, DecodeError> {
    let mut parts: Vec<Part> = Vec::new();
    for scan in &structure.scans {
        let indices: Vec<usize> = scan.components.iter().map(|component| component.index).collect();
        if parts.iter().any(|part| part.components.iter().any(|index| indices.contains(index))) {
            return Err(DecodeError::damaged("a component is in two scans"));
        }
        let kept: Vec<_> = indices
            .iter()
            .map(|&index| {
                let mut kept = components[index].kept(index == 0);
                kept.side = if index < n_shown { kept.side } else { 0 };
                kept
            })
            .collect();
        let tables: Vec<_> = indices.iter().map(|&index| tables[index]).collect();
        let blocks = indices.iter().map(|_| Blocks::default()).collect();
        let scan = Sequential::new(level, &structure.frame, scan, &kept, &tables)?;
        parts.push(Part { scan, components: indices, blocks });
    }
    let n_found: usize = parts.iter().map(|part| part.components.len()).sum();
    if n_found < components.len() { Err(DecodeError::damaged("a component is in no scan")) } else { Ok(parts) }
}

impl Rows for RowDecoder<'_> {
    fn size(&self) -> Size {
        self.size
    }

    fn layout(&self) -> Layout {
        self.coding.layout()
    }

    fn row(&mut self, y: u32) -> Row<'_> {
        assert!(y < self.size.height, "row {y} of {}", self.size.height);
        while self.planes.iter().any(|plane| plane.needs_more(y)) {
            self.mcu_row(y);
        }
        let (columns, level) = (self.columns, self.level);
        let channels = self.coding.layout().channels();
        let pixels = &mut self.pixels[columns.0 as usize * channels..columns.1 as usize * channels];
        let mut planes = self.planes.iter().zip(&mut self.wide).map(|(plane, wide)| plane.row(level, y, columns, wide));
        let mut next = || planes.next().unwrap_or_default();
        match self.coding {
            Coding::Gray => pixels.copy_from_slice(next()),
            Coding::YCbCr => color::to_rgb(level, next(), next(), next(), pixels),
            Coding::Rgb => color::interleave([next(), next(), next()], pixels),
            Coding::Cmyk => color::interleave([next(), next(), next(), next()], pixels),
            Coding::InvertedCmyk => color::interleave_inverted([next(), next(), next(), next()], pixels),
            Coding::Ycck => color::to_cmyk(next(), next(), next(), next(), pixels),
        }
        let has_variance = self.planes.first().is_some_and(|plane| plane.variance(y, &mut self.variance));
        Row { samples: &self.pixels, variance: has_variance.then_some(&self.variance) }
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        let beyond = self.size.height;
        while self.n_mcu_rows < self.mcus.1 && self.damage.is_none() {
            self.mcu_row(beyond);
        }
        self.damage.take().map_or(Ok(()), Err)
    }
}
