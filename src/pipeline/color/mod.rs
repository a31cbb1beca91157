//! Colours: what the numbers of a source mean in linear sRGB light, and back to 8-bit sRGB.
//! Pixels are resampled as working samples (see `curve`) with premultiplied alpha.

mod curve;
mod icc;

use std::borrow::Cow;

use crate::raster::Layout;
use curve::{BLACK, RANGE, srgb_encode};
use icc::Device;

pub(super) use curve::{code_of_light, light_of_code};
#[cfg(test)]
pub(super) use curve::{srgb_decode, srgb_encode as encode_table};

/// How the pixels of one source become linear sRGB light.
pub struct Conversion {
    source: Layout,
    device: Device,
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

    /// Turns a row of stored pixels into working samples, appended to `linear`.
    pub(super) fn linearise(&self, row: &[u8], linear: &mut Vec<u16>) {
        let row = self.to_curve_input(row);
        let curves = self.device.curves();
        match self.output_layout() {
            Layout::Gray => linear.extend(row.iter().map(|&gray| curves[0][usize::from(gray)])),
            Layout::GrayAlpha => {
                for &[gray, alpha] in row.as_chunks().0 {
                    linear.extend([premultiplied(curves[0][usize::from(gray)], alpha), from_8_bits(alpha)]);
                }
            }
            Layout::Rgba => {
                for &[r, g, b, alpha] in row.as_chunks().0 {
                    let color = [curves[0][usize::from(r)], curves[1][usize::from(g)], curves[2][usize::from(b)]];
                    linear.extend(color.map(|channel| premultiplied(channel, alpha)));
                    linear.push(from_8_bits(alpha));
                }
            }
            Layout::Rgb | Layout::Cmyk => {
                for &[r, g, b] in row.as_chunks().0 {
                    linear.extend([curves[0][usize::from(r)], curves[1][usize::from(g)], curves[2][usize::from(b)]]);
                }
            }
        }
    }

    /// Turns working samples into bytes of sRGB with straight alpha, appended to `bytes`.
    pub(super) fn delinearise(&self, linear: &[u16], bytes: &mut Vec<u8>) {
        let encode = srgb_encode();
        match self.output_layout() {
            Layout::Gray => bytes.extend(linear.iter().map(|&gray| encode[usize::from(gray)])),
            Layout::GrayAlpha => {
                for &[gray, alpha] in linear.as_chunks().0 {
                    bytes.extend([encode[usize::from(straight(gray, alpha))], to_8_bits(alpha)]);
                }
            }
            Layout::Rgba => {
                for &[r, g, b, alpha] in linear.as_chunks().0 {
                    let color = self.device.to_srgb([r, g, b].map(|channel| straight(channel, alpha)));
                    bytes.extend(color.map(|channel| encode[usize::from(channel)]));
                    bytes.push(to_8_bits(alpha));
                }
            }
            Layout::Rgb | Layout::Cmyk => {
                for &color in linear.as_chunks().0 {
                    bytes.extend(self.device.to_srgb(color).map(|channel| encode[usize::from(channel)]));
                }
            }
        }
    }

    /// Stored numbers as numbers that a tone curve per channel applies to.
    fn to_curve_input<'a>(&self, row: &'a [u8]) -> Cow<'a, [u8]> {
        match &self.device {
            Device::Table(table) => Cow::Owned(table.apply(row)),
            _ if self.source == Layout::Cmyk => {
                Cow::Owned(row.as_chunks().0.iter().flat_map(|&ink| without_profile(ink)).collect())
            }
            _ => Cow::Borrowed(row),
        }
    }
}

/// CMYK without a profile, as browsers and Pillow convert it.
fn without_profile([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    [c, m, y].map(|ink| ((u32::from(255 - ink) * u32::from(255 - k) + 127) / 255) as u8)
}

fn premultiplied(channel: u16, alpha: u8) -> u16 {
    BLACK + ((u32::from(channel - BLACK) * u32::from(alpha) + 127) / 255) as u16
}

/// Undoes premultiplication. Negative lobes of the filter may have left more colour than alpha, or less than none.
fn straight(channel: u16, alpha: u16) -> u16 {
    let (channel, alpha) = (u32::from(channel.saturating_sub(BLACK)), u32::from(alpha.saturating_sub(BLACK)));
    if alpha == 0 {
        return BLACK;
    }
    BLACK + ((channel * u32::from(RANGE) + alpha / 2) / alpha).min(u32::from(RANGE)) as u16
}

fn from_8_bits(alpha: u8) -> u16 {
    BLACK + ((u32::from(alpha) * u32::from(RANGE) + 127) / 255) as u16
}

fn to_8_bits(alpha: u16) -> u8 {
    let alpha = u32::from(alpha.saturating_sub(BLACK)).min(u32::from(RANGE));
    ((alpha * 255 + u32::from(RANGE) / 2) / u32::from(RANGE)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_linear_light() {
        for (layout, channels) in [(Layout::Gray, 1), (Layout::Rgb, 3), (Layout::GrayAlpha, 2), (Layout::Rgba, 4)] {
            let conversion = Conversion::new(None, layout);
            let row: Vec<u8> = (0..=255u8)
                .flat_map(|value| {
                    if layout.has_alpha() { vec![value; channels - 1] } else { vec![value; channels] }
                        .into_iter()
                        .chain(layout.has_alpha().then_some(255))
                })
                .collect();
            let (mut linear, mut bytes) = (Vec::new(), Vec::new());
            conversion.linearise(&row, &mut linear);
            conversion.delinearise(&linear, &mut bytes);
            assert_eq!(bytes, row, "{layout:?}");
        }
    }

    #[test]
    fn ink_without_a_profile_darkens() {
        assert_eq!(without_profile([0, 0, 0, 0]), [255; 3]);
        assert_eq!(without_profile([255, 0, 0, 0]), [0, 255, 255]);
        assert_eq!(without_profile([0, 0, 0, 255]), [0; 3]);
        assert_eq!(without_profile([128, 0, 0, 128]), [63, 127, 127]);
    }
}
