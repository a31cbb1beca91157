//! Colours: what the numbers of a source mean in linear sRGB light, and back to 8-bit sRGB.
//! Pixels are resampled as working samples (see `curve`) with premultiplied alpha.

pub(super) mod coded;
mod curve;
mod icc;
pub(super) mod linear;
#[cfg(test)]
mod tests;

use super::codec::Row;
use super::resize::{Column, Strip};
use crate::raster::Layout;
use crate::simd::Level;
use icc::Device;
use linear::RowPair;

pub(super) use curve::{code_of_light, light_of_code};

/// How the pixels of one source become linear sRGB light.
pub struct Conversion {
    source: Layout,
    device: Device,
}

/// Whether RGB of an embedded profile is sRGB.
pub(super) fn is_srgb(profile: &[u8]) -> bool {
    matches!(Device::new(Some(profile), Layout::Rgb), Device::Srgb)
}

impl Conversion {
    /// The conversion for an embedded profile. Without a profile, or with one that cannot be used for this
    /// layout, RGB and gray count as sRGB; CMYK is converted by `(255 - ink) * (255 - black) / 255`.
    #[must_use]
    pub fn new(profile: Option<&[u8]>, source: Layout) -> Self {
        Self { source, device: Device::new(profile, source) }
    }

    /// Whether stored bytes are the bytes of the answer already.
    pub(super) fn is_identity(&self) -> bool {
        matches!(self.device, Device::Srgb) && self.source != Layout::Cmyk
    }

    /// What the bytes mean after conversion.
    pub(super) const fn output_layout(&self) -> Layout {
        match self.source {
            Layout::Cmyk => Layout::Rgb,
            layout => layout,
        }
    }

    /// Whether tone curves apply to stored samples.
    pub(super) fn takes_stored(&self) -> bool {
        !matches!(self.device, Device::Table(_)) && self.source != Layout::Cmyk
    }

    /// Appends a row of stored samples as numbers that a tone curve per channel applies to.
    pub(super) fn append_curve_input(&self, row: &[u8], samples: &mut Vec<u8>) {
        match &self.device {
            Device::Table(table) => table.append(row, samples),
            _ if self.source == Layout::Cmyk => {
                samples.extend(row.as_chunks().0.iter().flat_map(|&ink| without_profile(ink)));
            }
            _ => samples.extend_from_slice(row),
        }
    }

    /// Turns two rows that tone curves apply to into strips of working samples, plane after plane.
    pub(super) fn linearise(&self, level: Level, rows: [Row; 2], strips: &mut [Strip]) {
        match self.output_layout().channels() {
            1 => self.linearise_channels::<1>(level, rows, strips),
            2 => self.linearise_channels::<2>(level, rows, strips),
            3 => self.linearise_channels::<3>(level, rows, strips),
            _ => self.linearise_channels::<4>(level, rows, strips),
        }
    }

    fn linearise_channels<const CHANNELS: usize>(&self, level: Level, rows: [Row; 2], strips: &mut [Strip]) {
        let [a, b] = rows;
        let pixels = [a, b].map(|row| row.samples.as_chunks().0);
        let variances = a.variance.zip(b.variance).map(|(a, b)| [a, b]);
        let rows = RowPair::<CHANNELS> { pixels, variances };
        match self.device.curves() {
            None => linear::from_srgb(level, rows, strips),
            Some(curves) => linear::scalar::from_curves(curves, rows, strips),
        }
    }

    /// Turns columns of working samples, channels interleaved, into rows of sRGB bytes with straight alpha: as many as
    /// `bytes` has, at most 8. The columns are spoilt.
    pub(super) fn delinearise(&self, level: Level, columns: &mut [Column], bytes: &mut [u8]) {
        match self.output_layout().channels() {
            1 => coded::to_srgb::<1>(level, columns, bytes),
            2 => coded::to_srgb::<2>(level, columns, bytes),
            3 => {
                self.device.to_srgb::<3>(columns);
                coded::to_srgb::<3>(level, columns, bytes);
            }
            _ => {
                self.device.to_srgb::<4>(columns);
                coded::to_srgb::<4>(level, columns, bytes);
            }
        }
    }
}

/// CMYK without a profile, as browsers and Pillow convert it.
fn without_profile([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    [c, m, y].map(|ink| ((u32::from(255 - ink) * u32::from(255 - k) + 127) / 255) as u8)
}
