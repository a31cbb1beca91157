//! The sRGB transfer function of IEC 61966-2-1 as tables.
//! They are the only statics of the pipeline: constants that the compiler cannot compute yet.

use std::sync::LazyLock;

static DECODE: LazyLock<[u16; 256]> = LazyLock::new(|| {
    std::array::from_fn(|code| {
        let coded = code as f64 / 255.0;
        let light = if coded <= 0.04045 { coded / 12.92 } else { ((coded + 0.055) / 1.055).powf(2.4) };
        (light * 65_535.0).round() as u16
    })
});

static ENCODE: LazyLock<Box<[u8; 65_536]>> = LazyLock::new(|| {
    let table: Vec<u8> = (0..65_536u32)
        .map(|value| {
            let light = f64::from(value) / 65_535.0;
            let coded = if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
            (coded * 255.0).round() as u8
        })
        .collect();
    table.into_boxed_slice().try_into().expect("65,536 values were made")
});

/// 16-bit linear light of an 8-bit sRGB code.
pub(in crate::pipeline) fn srgb_decode() -> &'static [u16; 256] {
    &DECODE
}

/// 8-bit sRGB code of 16-bit linear light, nearest in code value.
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
