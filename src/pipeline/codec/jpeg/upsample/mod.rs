//! The kernels that bring rows of chroma to the size of luma: triangle filters where it is half as large, whose rounding
//! is that of libjpeg's "fancy upsampling" (halves go up and down in turn), and repetition where it is smaller.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;
#[cfg(test)]
mod tests;

use crate::simd::Level;

/// Twice as wide: three parts of the nearer sample and one of the further, which at the ends is the nearer again. The
/// last sample of the wide row may be left out.
/// # Panics
/// If the row is not half as long as the wide one, rounded up.
pub fn wider(level: Level, row: &[u8], wide: &mut [u8]) {
    assert_eq!(row.len(), wide.len().div_ceil(2));
    match level {
        Level::Scalar => scalar::wider(row, wide),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::wider(cpu, row, wide),
    }
}

/// Twice as high: three parts of the nearer row and one of the further. `is_upper` is whether this is the upper one of the
/// two rows that are made of the nearer: halves go down there, and up in the lower one.
/// # Panics
/// If the rows differ in length.
pub fn higher(level: Level, near: &[u8], far: &[u8], is_upper: bool, out: &mut [u8]) {
    assert_eq!((near.len(), far.len()), (out.len(), out.len()));
    match level {
        Level::Scalar => scalar::higher(near, far, is_upper, out),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::higher(cpu, near, far, is_upper, out),
    }
}

/// Both at once, rounded once.
/// # Panics
/// If the rows are not half as long as the wide one, rounded up.
pub fn wider_and_higher(level: Level, near: &[u8], far: &[u8], wide: &mut [u8]) {
    let length = wide.len().div_ceil(2);
    assert_eq!((near.len(), far.len()), (length, length));
    match level {
        Level::Scalar => scalar::wider_and_higher(near, far, wide),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::wider_and_higher(cpu, near, far, wide),
    }
}

/// Every sample `factor` times; of the last one, some may be left out.
/// # Panics
/// If the row has not as many samples as that needs.
pub fn repeated(row: &[u8], factor: usize, wide: &mut [u8]) {
    assert_eq!(row.len(), wide.len().div_ceil(factor));
    match factor {
        2 => scalar::repeated::<2>(row, wide),
        3 => scalar::repeated::<3>(row, wide),
        4 => scalar::repeated::<4>(row, wide),
        _ => wide.chunks_mut(factor).zip(row).for_each(|(wide, &sample)| wide.fill(sample)),
    }
}
