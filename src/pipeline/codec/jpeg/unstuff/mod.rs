//! The kernel that takes byte stuffing out of entropy-coded data (ITU-T T.81 §B.1.1.5), as much as there is room for.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod scalar;
#[cfg(test)]
mod tests;

use crate::simd::Level;

/// How far a copy came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unstuffed {
    /// Bytes of the source that are done with.
    pub read: usize,
    /// Bytes of the target that are set.
    pub written: usize,
    /// Why there are no more.
    pub stop: Stop,
}

/// Why a copy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The target is full, whatever follows.
    Full,
    /// The source has no more, or only an 0xFF whose second byte is not there.
    End,
    /// An 0xFF follows that is not stuffed: a marker, or fill bytes before one.
    Marker,
}

/// Copies entropy-coded bytes, 0xFF00 as 0xFF, until the target is full, the source ends, or an 0xFF is followed by
/// anything but 0x00; that one is left to be read. What the target has behind the written bytes is arbitrary.
#[must_use]
pub fn unstuff(level: Level, source: &[u8], target: &mut [u8]) -> Unstuffed {
    match level {
        Level::Scalar => scalar::unstuff(source, target),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(cpu) => avx2::unstuff(cpu, source, target),
    }
}
