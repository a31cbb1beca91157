//! Embedded ICC profiles (ICC.1): gray and matrix profiles become tone curves and a matrix, which is exact in
//! linear light and cheap after resizing; all others, CMYK among them, become a table from device to sRGB.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use moxcms::{
    ColorProfile, DataColorSpace, Layout as IccLayout, ParsingOptions, RenderingIntent, ToneReprCurve,
    TransformExecutor, TransformOptions,
};

use super::coded::scalar::code_of;
use super::curve::{BLACK, RANGE, stored, working};
use super::linear::scalar::{Curve, SRGB};
use crate::pipeline::resize::Column;
use crate::raster::Layout;

/// Larger profiles are ignored; the largest printing profiles in circulation have 2 to 3 MB.
const MAX_PROFILE_BYTES: usize = 4 << 20;

/// Tone curves of the channels.
type Curves = [Curve; 3];

/// How a device's numbers become linear sRGB.
pub(super) enum Device {
    /// They are sRGB, or close enough that no 8-bit code changes.
    Srgb,
    /// A tone curve per channel, that of sRGB where there is none, then a matrix from linear device light to linear sRGB.
    Matrix(Option<Box<Curves>>, [[f32; 3]; 3]),
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
    /// Appends the sRGB bytes of a row; alpha passes through.
    pub(super) fn append(&self, row: &[u8], samples: &mut Vec<u8>) {
        let start = samples.len();
        samples.resize(start + row.len() / self.channels.0 * self.channels.1, 0);
        let converted = &mut samples[start..];
        self.transform.transform(row, converted).expect("the row was measured with the transform's layouts");
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

    /// The tone curves that apply to each channel, if they are not that of sRGB.
    pub(super) fn curves(&self) -> Option<[&Curve; 3]> {
        match self {
            Self::Srgb | Self::Table(_) => None,
            Self::Matrix(curves, _) => curves.as_ref().map(|curves| curves.each_ref()),
            Self::Gray(curves) => Some(curves.each_ref()),
        }
    }

    /// Turns columns of linear device light, multiplied by alpha or not, into linear sRGB. What sRGB cannot show is
    /// clipped per channel with the transfer function.
    pub(super) fn to_srgb<const CHANNELS: usize>(&self, columns: &mut [Column]) {
        let Self::Matrix(_, matrix) = self else { return };
        let black = f32::from(stored(BLACK));
        for pixel in columns.as_chunks_mut::<CHANNELS>().0 {
            let Some(colour) = pixel.first_chunk_mut::<3>() else { return };
            let light = colour.map(|column| column.map(|sample| f32::from(sample) - black));
            for (column, row) in colour.iter_mut().zip(matrix) {
                for (index, sample) in column.iter_mut().enumerate() {
                    let sum = row[0] * light[0][index] + row[1] * light[1][index] + row[2] * light[2][index] + black;
                    *sample = rounded(sum);
                }
            }
        }
    }
}

/// To nearest, halves to even, and held within 16 bits. Beside 1.5 · 2²³ the last bit of an `f32` is worth 1; unlike `as`,
/// this is a few vector instructions everywhere.
fn rounded(value: f32) -> i16 {
    const UNIT: f32 = 12_582_912.0;
    (value.clamp(i16::MIN.into(), i16::MAX.into()) + UNIT).to_bits().wrapping_sub(UNIT.to_bits()) as i16
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
    if is_srgb {
        return Some(Device::Srgb);
    }
    let has_srgb_curves = curves.iter().all(is_srgb_curve);
    Some(Device::Matrix((!has_srgb_curves).then(|| Box::new(curves)), matrix))
}

/// Whether a tone curve is that of sRGB but for rounding, as that of Display P3 is: for it there is a kernel. Four steps of
/// working samples are a third of the darkest code at most, a thousandth of the light less than a tenth of the others.
fn is_srgb_curve(curve: &Curve) -> bool {
    curve.light.iter().zip(&SRGB.light).all(|(&found, &expected)| {
        let light = i32::from(expected) - i32::from(stored(BLACK));
        (i32::from(found) - i32::from(expected)).abs() <= 4 + light / 1000
    })
}

/// Whether a tone curve gives every code the light that sRGB gives it, to less than a code.
fn keeps_codes(curve: &Curve) -> bool {
    (0..=255u8).all(|code| code_of(curve.light[usize::from(code)]).abs_diff(code) <= 1)
}

fn curve(curve: &ToneReprCurve) -> Option<Curve> {
    let evaluator = curve.make_linear_evaluator().ok()?;
    let light: [f64; 256] = std::array::from_fn(|code| f64::from(evaluator.evaluate_value(code as f32 / 255.0)));
    Some(Curve {
        light: light.map(|light| stored(working(light))),
        bend: std::array::from_fn(|code| bend(&light, code)),
    })
}

/// Half of the second derivative by central differences, 8 codes wide: curves come as tables of 16 bits, whose steps
/// would be all that differences of single codes show. Not below 0: averaging codes darkens, it never brightens.
fn bend(light: &[f64; 256], code: usize) -> i16 {
    const STEP: usize = 8;
    let middle = code.clamp(STEP, 255 - STEP);
    let [before, at, after] = [middle - STEP, middle, middle + STEP].map(|code| light[code].clamp(0.0, 1.0));
    let second = (before - 2.0 * at + after) / (STEP * STEP) as f64;
    // In the unit of `linear::BEND`; `as` saturates.
    (second * f64::from(RANGE) * 8_192.0).clamp(0.0, f64::from(i16::MAX)) as i16
}

fn table(profile: &ColorProfile, from: IccLayout, to: IccLayout, channels: (usize, usize)) -> Option<Device> {
    let options = TransformOptions { rendering_intent: RenderingIntent::Perceptual, ..TransformOptions::default() };
    let transform = profile.create_transform_8bit(from, &ColorProfile::new_srgb(), to, options).ok()?;
    Some(Device::Table(Table { transform, channels }))
}
