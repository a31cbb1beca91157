//! Rates that several servers count together.

use std::time::Duration;

use super::IndexError;

/// A rate as the generic cell rate algorithm (ITU-T I.371) has it: `burst` at once, then one in each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Microseconds; above 0.
    pub interval_us: i64,
    /// Above 0.
    pub burst: u32,
}

impl Rate {
    /// How far the theoretical arrival time may be ahead of the clock after an accepted request.
    #[must_use]
    pub fn burst_us(self) -> i64 {
        self.interval_us.saturating_mul(i64::from(self.burst))
    }
}

/// Counts that all servers of an index share, by the clock of the index.
pub trait Rates: Send + Sync {
    /// Counts a request of `who`, or says how long it is until the next would be accepted; a refused one does not
    /// count.
    /// # Errors
    /// If the index fails.
    fn take(&self, who: &str, rate: Rate) -> Result<Result<(), Duration>, IndexError>;
}
