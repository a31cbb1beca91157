//! AVX2 of x86-64: the proof that the CPU has it.

/// Proof that this CPU runs AVX2: only `detect` makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

impl Avx2 {
    /// The proof, if this CPU and the operating system have AVX2.
    #[must_use]
    pub fn detect() -> Option<Self> {
        std::arch::is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}
