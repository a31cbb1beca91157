//! Working samples: linear light in 16 bits with headroom; and the sRGB transfer function of IEC 61966-2-1.

/// Black as a working sample. A filter with negative lobes leaves the range of its input by up to a fifth, and may come
/// back in its second pass: clipped in between, single pixels were wrong by 40 codes.
pub(super) const BLACK: u16 = 9_362;
/// White minus black: 46,811 steps, 14 of them between the two darkest codes.
pub(super) const RANGE: u16 = 46_811;
/// White as it is stored.
pub(super) const WHITE: i16 = stored(BLACK + RANGE);

/// A working sample as it is kept: with a sign, for multiplications that add in pairs.
pub(super) const fn stored(sample: u16) -> i16 {
    (sample ^ 0x8000).cast_signed()
}

/// Undoes `stored`.
pub(super) const fn loaded(sample: i16) -> u16 {
    sample.cast_unsigned() ^ 0x8000
}

/// Linear light of an sRGB code, both 0 to 1.
pub(in crate::pipeline) fn light_of_code(code: f64) -> f64 {
    if code <= 0.04045 { code / 12.92 } else { ((code + 0.055) / 1.055).powf(2.4) }
}

/// The sRGB code of linear light, both 0 to 1.
pub(in crate::pipeline) fn code_of_light(light: f64) -> f64 {
    if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}

/// The working sample of linear light from 0 to 1.
pub(super) fn working(light: f64) -> u16 {
    BLACK + (light.clamp(0.0, 1.0) * f64::from(RANGE)).round() as u16
}
