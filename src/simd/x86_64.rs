//! AVX2 of x86-64: the proof that the CPU has it, loads and stores behind array references.

#![expect(unsafe_code, reason = "loads and stores go through raw pointers, here and nowhere else")]

use std::arch::x86_64::{
    __m128i, __m256, __m256i, _mm_loadu_si128, _mm_storeu_si128, _mm256_castsi256_si128, _mm256_extracti128_si256,
    _mm256_loadu_ps, _mm256_loadu_si256, _mm256_set_m128i, _mm256_storeu_si256,
};

/// Proof that this CPU runs AVX2, BMI1, BMI2 and LZCNT, which came together with Haswell and Zen: only `detect` makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

impl Avx2 {
    /// The proof, if this CPU and the operating system have all of them.
    #[must_use]
    pub fn detect() -> Option<Self> {
        let has_all = std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("bmi2")
            && std::arch::is_x86_feature_detected!("lzcnt");
        has_all.then_some(Self(()))
    }
}

/// 32 bytes, the first in the lowest lane.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the reference guarantees 32 readable bytes, and this load asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// 16 numbers of 16 bits, the first in the lowest lane.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load_words<T: bytemuck::Pod>(words: &[T; 16]) -> __m256i {
    const { assert!(size_of::<T>() == 2) };
    // SAFETY: the reference guarantees 32 readable bytes, and this load asks for no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

/// Writes 32 bytes, the lowest lane first.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store(bytes: &mut [u8; 32], value: __m256i) {
    // SAFETY: the reference guarantees 32 writable bytes, and this store asks for no alignment.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), value) }
}

/// Two times 16 bytes: `low` in the lower 128-bit lane, `high` in the upper.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load_lanes(low: &[u8; 16], high: &[u8; 16]) -> __m256i {
    _mm256_set_m128i(load_half(high), load_half(low))
}

/// Writes the lower 128-bit lane to `low`, the upper to `high`.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store_lanes(low: &mut [u8; 16], high: &mut [u8; 16], value: __m256i) {
    store_half(low, _mm256_castsi256_si128(value));
    store_half(high, _mm256_extracti128_si256::<1>(value));
}

/// 16 bytes, the first in the lowest lane.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load_half(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: the reference guarantees 16 readable bytes, and this load asks for no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// Writes 16 bytes, the lowest lane first.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store_half(bytes: &mut [u8; 16], value: __m128i) {
    // SAFETY: the reference guarantees 16 writable bytes, and this store asks for no alignment.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), value) }
}

/// 16 numbers of 16 bits, the first in the lowest lane.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load_i16(numbers: &[i16; 16]) -> __m256i {
    // SAFETY: the reference guarantees 32 readable bytes, and this load asks for no alignment.
    unsafe { _mm256_loadu_si256(numbers.as_ptr().cast()) }
}

/// Writes 16 numbers of 16 bits, the lowest lane first.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store_i16(numbers: &mut [i16; 16], value: __m256i) {
    // SAFETY: the reference guarantees 32 writable bytes, and this store asks for no alignment.
    unsafe { _mm256_storeu_si256(numbers.as_mut_ptr().cast(), value) }
}

/// Writes 8 numbers of 16 bits, the lowest lane first.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store_half_i16(numbers: &mut [i16; 8], value: __m128i) {
    // SAFETY: the reference guarantees 16 writable bytes, and this store asks for no alignment.
    unsafe { _mm_storeu_si128(numbers.as_mut_ptr().cast(), value) }
}

/// 16 numbers of 16 bits without a sign, the first in the lowest lane.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load_u16(numbers: &[u16; 16]) -> __m256i {
    // SAFETY: the reference guarantees 32 readable bytes, and this load asks for no alignment.
    unsafe { _mm256_loadu_si256(numbers.as_ptr().cast()) }
}

/// 8 numbers of 16 bits, the first in the lowest lane.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load_half_i16(numbers: &[i16; 8]) -> __m128i {
    // SAFETY: the reference guarantees 16 readable bytes, and this load asks for no alignment.
    unsafe { _mm_loadu_si128(numbers.as_ptr().cast()) }
}

/// 8 numbers, the first in the lowest lane.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn load_f32(numbers: &[f32; 8]) -> __m256 {
    // SAFETY: the reference guarantees 32 readable bytes, and this load asks for no alignment.
    unsafe { _mm256_loadu_ps(numbers.as_ptr()) }
}

/// Writes two times 8 numbers of 16 bits: the lower 128-bit lane to `low`, the upper to `high`.
#[inline]
#[target_feature(enable = "avx2")]
pub(crate) fn store_i16_lanes(low: &mut [i16; 8], high: &mut [i16; 8], value: __m256i) {
    store_half_i16(low, _mm256_castsi256_si128(value));
    store_half_i16(high, _mm256_extracti128_si256::<1>(value));
}

/// An index of a byte shuffle that yields 0.
pub(crate) const Z: u8 = 0x80;

/// The same 16 bytes for both 128-bit lanes.
pub(crate) const fn both(bytes: [u8; 16]) -> [u8; 32] {
    let mut twice = [0; 32];
    let mut index = 0;
    while index < 32 {
        twice[index] = bytes[index % 16];
        index += 1;
    }
    twice
}
