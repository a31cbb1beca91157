//! Where sources are.

use std::fmt;

use super::{Found, Incoming, StoreError};
use crate::transform::SourcePath;

/// A place for sources: a folder of the local disk, or a bucket of an object storage.
pub trait Storage: fmt::Debug + Send + Sync {
    /// Finds a source.
    /// # Errors
    /// If there is none that may be read, or the storage fails.
    fn find(&self, path: &SourcePath) -> Result<Found, StoreError>;

    /// As `find`, without waiting for a disk or a network; `None` if that would be needed, or if there is no such source.
    fn find_at_once(&self, path: &SourcePath) -> Option<Found>;

    /// As `find_at_once`, but `Some(None)` if it is known that there is no such source.
    fn look_at_once(&self, path: &SourcePath) -> Option<Option<Found>>;

    /// A new file, which gets its name when it is whole.
    /// # Errors
    /// If it cannot be written to.
    fn begin(&self) -> Result<Incoming, StoreError>;

    /// Whether the storage can be used.
    /// # Errors
    /// If it cannot.
    fn check(&self) -> Result<(), StoreError>;
}
