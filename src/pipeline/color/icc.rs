//! Embedded ICC profiles (ICC.1): gray and matrix profiles become tone curves and a matrix, which is exact in
//! linear light and cheap after resizing; all others, CMYK among them, become a table from device to sRGB.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use moxcms::{
    ColorProfile, DataColorSpace, Layout as IccLayout, ParsingOptions, RenderingIntent, ToneReprCurve,
    TransformExecutor, TransformOptions,
};

use super::curve::{BLACK, srgb_decode, srgb_encode, working};
use crate::raster::Layout;

/// Larger profiles are ignored; the largest printing profiles in circulation have 2 to 3 MB.
const MAX_PROFILE_BYTES: usize = 4 << 20;

/// Tone curves of the channels: the working sample of each 8-bit code.
type Curves = [[u16; 256]; 3];

/// How a device's numbers become linear sRGB.
pub(super) enum Device {
    /// They are sRGB, or close enough that no 8-bit code changes.
    Srgb,
    /// A tone curve per channel, then a matrix from linear device light to linear sRGB.
    Matrix(Box<Curves>, [[f32; 3]; 3]),
    /// One tone curve for gray.
    Gray(Box<Curves>),
    /// A table from the device's bytes to sRGB bytes.
    Table(Table),
}

/// A transform of whole rows through a profile's look-up tables.
pub(super) struct Table {
    transform: Arc<dyn TransformExecutor<u8> + Send + Sync>,
    /// Bytes per pixel in and out.
    channels: (usize, usize),
}

impl Table {
    /// sRGB bytes of a row; alpha passes through.
    pub(super) fn apply(&self, row: &[u8]) -> Vec<u8> {
        let mut converted = vec![0; row.len() / self.channels.0 * self.channels.1];
        self.transform.transform(row, &mut converted).expect("the row was measured with the transform's layouts");
        converted
    }
}

impl Device {
    /// The device that a profile describes; sRGB where there is none, or none that can be used.
    pub(super) fn new(profile: Option<&[u8]>, layout: Layout) -> Self {
        let usable = profile.filter(|bytes| bytes.len() <= MAX_PROFILE_BYTES);
        // A profile comes from outside: a panic while reading it means a profile that cannot be used.
        usable
            .and_then(|bytes| catch_unwind(AssertUnwindSafe(|| Self::read(bytes, layout))).ok().flatten())
            .unwrap_or(Self::Srgb)
    }

    fn read(bytes: &[u8], layout: Layout) -> Option<Self> {
        let options = ParsingOptions { max_profile_size: MAX_PROFILE_BYTES + 1, ..ParsingOptions::default() };
        let profile = ColorProfile::new_from_slice_with_options(bytes, options).ok()?;
        match (profile.color_space, layout) {
            (DataColorSpace::Gray, Layout::Gray | Layout::GrayAlpha) => {
                let curve = curve(profile.gray_trc.as_ref()?)?;
                Some(if keeps_codes(&curve) { Self::Srgb } else { Self::Gray(Box::new([curve; 3])) })
            }
            (DataColorSpace::Rgb, Layout::Rgb | Layout::Rgba) if has_matrix_only(&profile) => matrix(&profile),
            (DataColorSpace::Rgb, Layout::Rgb) => table(&profile, IccLayout::Rgb, IccLayout::Rgb, (3, 3)),
            (DataColorSpace::Rgb, Layout::Rgba) => table(&profile, IccLayout::Rgba, IccLayout::Rgba, (4, 4)),
            (DataColorSpace::Cmyk, Layout::Cmyk) => table(&profile, IccLayout::Rgba, IccLayout::Rgb, (4, 3)),
            _ => None,
        }
    }

    /// The tone curves that apply to each channel.
    pub(super) fn curves(&self) -> [&[u16; 256]; 3] {
        match self {
            Self::Srgb | Self::Table(_) => [srgb_decode(); 3],
            Self::Matrix(curves, _) | Self::Gray(curves) => [&curves[0], &curves[1], &curves[2]],
        }
    }

    /// Linear device light as linear sRGB; what sRGB cannot show is clipped per channel.
    pub(super) fn to_srgb(&self, color: [u16; 3]) -> [u16; 3] {
        let Self::Matrix(_, matrix) = self else { return color };
        let [r, g, b] = color.map(|channel| f32::from(channel) - f32::from(BLACK));
        // `as` saturates; what is left outside of black and white is clipped with the transfer function.
        matrix.map(|row| (row[0] * r + row[1] * g + row[2] * b + f32::from(BLACK)).round() as u16)
    }
}

/// Profiles with look-up tables mean them to be used, even if there is a matrix as well.
fn has_matrix_only(profile: &ColorProfile) -> bool {
    profile.is_matrix_shaper()
        && profile.lut_a_to_b_perceptual.is_none()
        && profile.lut_a_to_b_colorimetric.is_none()
        && profile.lut_a_to_b_saturation.is_none()
}

fn matrix(profile: &ColorProfile) -> Option<Device> {
    let curves =
        [curve(profile.red_trc.as_ref()?)?, curve(profile.green_trc.as_ref()?)?, curve(profile.blue_trc.as_ref()?)?];
    let matrix = profile.transform_matrix(&ColorProfile::new_srgb()).v.map(|row| row.map(|value| value as f32));
    if matrix.iter().flatten().any(|value| !value.is_finite()) {
        return None;
    }
    let identity = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0f32]];
    // Profiles of sRGB differ in the last digits of their primaries: up to 0.0008 among the ones in circulation.
    let is_near = matrix.iter().flatten().zip(identity.iter().flatten()).all(|(a, b)| (a - b).abs() < 0.002);
    let is_srgb = is_near && curves.iter().all(keeps_codes);
    Some(if is_srgb { Device::Srgb } else { Device::Matrix(Box::new(curves), matrix) })
}

/// Whether a tone curve gives every code the light that sRGB gives it, to less than a code.
fn keeps_codes(curve: &[u16; 256]) -> bool {
    (0..=255u8).all(|code| srgb_encode()[usize::from(curve[usize::from(code)])].abs_diff(code) <= 1)
}

fn curve(curve: &ToneReprCurve) -> Option<[u16; 256]> {
    let evaluator = curve.make_linear_evaluator().ok()?;
    Some(std::array::from_fn(|code| working(f64::from(evaluator.evaluate_value(code as f32 / 255.0)))))
}

fn table(profile: &ColorProfile, from: IccLayout, to: IccLayout, channels: (usize, usize)) -> Option<Device> {
    let options = TransformOptions { rendering_intent: RenderingIntent::Perceptual, ..TransformOptions::default() };
    let transform = profile.create_transform_8bit(from, &ColorProfile::new_srgb(), to, options).ok()?;
    Some(Device::Table(Table { transform, channels }))
}
