//! Working samples: linear light in 16 bits with headroom, and the sRGB transfer function of IEC 61966-2-1 as tables.
//! The tables are the only statics of the pipeline: constants that the compiler cannot compute yet.

use std::sync::LazyLock;

/// Black as a working sample. A filter with negative lobes leaves the range of its input by up to a fifth, and may come
/// back in its second pass: clipped in between, single pixels were wrong by 40 codes.
pub(super) const BLACK: u16 = 9_362;
/// White minus black: 46,811 steps, 14 of them between the two darkest codes.
pub(super) const RANGE: u16 = 46_811;

static DECODE: LazyLock<[u16; 256]> =
    LazyLock::new(|| std::array::from_fn(|code| working(light_of_code(code as f64 / 255.0))));

static ENCODE: LazyLock<Box<[u8; 65_536]>> = LazyLock::new(|| {
    let table: Vec<u8> = (0..65_536u32)
        .map(|value| {
            let light = ((f64::from(value) - f64::from(BLACK)) / f64::from(RANGE)).clamp(0.0, 1.0);
            (code_of_light(light) * 255.0).round() as u8
        })
        .collect();
    table.into_boxed_slice().try_into().expect("65,536 values were made")
});

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

/// The working sample of an 8-bit sRGB code.
pub(in crate::pipeline) fn srgb_decode() -> &'static [u16; 256] {
    &DECODE
}

/// The 8-bit sRGB code of a working sample, nearest in code value; clipped outside of black and white.
pub(in crate::pipeline) fn srgb_encode() -> &'static [u8; 65_536] {
    &ENCODE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_what_was_decoded_is_the_identity() {
        for code in 0..=255u8 {
            assert_eq!(srgb_encode()[usize::from(srgb_decode()[usize::from(code)])], code);
        }
    }
}
