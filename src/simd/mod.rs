//! Which instruction sets this CPU has: found once at start, passed down as a `Level`, and the only place of raw
//! pointers. The kernels themselves live with the stage that they serve.

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_64;

#[cfg(target_arch = "x86_64")]
pub use x86_64::Avx2;

/// An instruction set that kernels are written for; a value exists only where the CPU has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What every CPU of the architecture has; the reference that the others equal bit for bit.
    Scalar,
    /// 256-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
}

impl Level {
    /// The fastest level of this CPU.
    #[must_use]
    pub fn best() -> Self {
        Self::available().pop().unwrap_or(Self::Scalar)
    }

    /// Every level of this CPU, the fastest last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let levels = [
            Some(Self::Scalar),
            #[cfg(target_arch = "x86_64")]
            Avx2::detect().map(Self::Avx2),
        ];
        levels.into_iter().flatten().collect()
    }

    /// The level of a name; `auto` is the best one.
    /// # Errors
    /// If there is no such name, or the CPU lacks what it stands for.
    pub fn named(name: &str) -> Result<Self, String> {
        match name {
            "auto" => Ok(Self::best()),
            "scalar" => Ok(Self::Scalar),
            #[cfg(target_arch = "x86_64")]
            "avx2" => Avx2::detect().map(Self::Avx2).ok_or_else(|| "this CPU has no AVX2".to_owned()),
            #[cfg(target_arch = "x86_64")]
            _ => Err(format!("must be auto, scalar or avx2, got {name:?}")),
            #[cfg(not(target_arch = "x86_64"))]
            _ => Err(format!("must be auto or scalar, got {name:?}")),
        }
    }

    /// Its name, as `named` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_found_by_its_name() {
        for level in Level::available() {
            assert_eq!(Level::named(level.name()), Ok(level));
        }
        assert_eq!(Level::named("auto"), Ok(Level::best()));
    }

    #[test]
    fn an_unknown_name_is_told_what_is_allowed() {
        let error = Level::named("AVX2").unwrap_err();
        assert!(error.starts_with("must be auto"), "{error}");
        assert!(error.ends_with("got \"AVX2\""), "{error}");
    }

    /// A machine states its levels in `PIXLSERV_EXPECT_LEVELS` (`scalar,avx2`), so that equivalence tests cannot skip
    /// one unseen. Read while compiling, which keeps the room free of the environment; cargo rebuilds if it changes.
    #[test]
    fn the_expected_levels_are_there() {
        for name in option_env!("PIXLSERV_EXPECT_LEVELS").unwrap_or("scalar").split(',') {
            let level = Level::named(name.trim()).unwrap_or_else(|error| panic!("level {name:?}: {error}"));
            assert!(Level::available().contains(&level), "{name:?} is not available");
        }
    }
}
