//! What servers that share an index tell each other: claims on work that one of them should do, and what one has found
//! out for all. None of it lasts; without it the work is merely done more than once.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};

use super::IndexError;

/// Claims and notes, under names of up to 64 letters, digits and hyphens.
pub trait Shared: Send + Sync {
    /// Claims a piece of work for `time`, also once more; false if another has it. `who` is different for each process.
    /// # Errors
    /// If the index fails.
    fn claim(&self, work: &str, who: &str, time: Duration) -> Result<bool, IndexError>;

    /// Gives a claim up, if one has it.
    /// # Errors
    /// If the index fails.
    fn release(&self, work: &str, who: &str) -> Result<(), IndexError>;

    /// Tells all servers a text, for `time`.
    /// # Errors
    /// If the index fails.
    fn tell(&self, name: &str, text: &str, time: Duration) -> Result<(), IndexError>;

    /// What was told last under a name, and for how long it will still be told.
    /// # Errors
    /// If the index fails.
    fn told(&self, name: &str) -> Result<Option<(String, Duration)>, IndexError>;
}

/// A name that no other process has: at random, and by time and number where there are no random numbers.
#[must_use]
pub fn process_name() -> String {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let mut random = [0; 16];
        let _ = SystemRandom::new().fill(&mut random);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut name = format!("{:x}-{:x}-", since.as_nanos(), std::process::id());
        for byte in random {
            // Writing to a text does not fail.
            let _ = write!(name, "{byte:02x}");
        }
        name
    });
    NAME.clone()
}
