//! Uploads whose eager transformations are still to be run. A job is done at least once: who takes it has it for a
//! while, and if nobody has ended it by then, another takes it.

use super::IndexError;

/// Jobs that may wait; no more are taken.
pub const MAX_JOBS: u64 = 10_000;

/// A job that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The image.
    pub source: String,
    /// How often it was taken, this time included.
    pub n_tries: u32,
}

/// The queue of jobs. There is one job at most for a source.
pub trait Jobs: Send + Sync {
    /// Adds a job that may be taken from now on; one for the same source is replaced. False if there are [`MAX_JOBS`]
    /// others already. What was added survives the end of the process.
    /// # Errors
    /// If the index fails; then nothing has changed.
    fn push_job(&self, source: &str, now_us: i64) -> Result<bool, IndexError>;

    /// Takes the job that has waited longest, for as long as `until_us`; `None` if there is none to be had.
    /// # Errors
    /// If the index fails; then nothing has changed.
    fn claim_job(&self, now_us: i64, until_us: i64) -> Result<Option<Claimed>, IndexError>;

    /// Keeps a job that was taken for longer. Nothing if it has ended.
    /// # Errors
    /// If the index fails; then nothing has changed.
    fn renew_job(&self, source: &str, until_us: i64) -> Result<(), IndexError>;

    /// Ends a job, if it has not ended before.
    /// # Errors
    /// If the index fails; then nothing has changed.
    fn end_job(&self, source: &str) -> Result<(), IndexError>;

    /// How many jobs there are, taken ones among them.
    /// # Errors
    /// If the index fails.
    fn n_jobs(&self) -> Result<u64, IndexError>;
}
