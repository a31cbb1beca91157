//! What can go wrong on the way through the rooms.

use super::UploadError;
pub use super::gate::Busy;
use crate::transform::{SourcePath, TransformError};

// Causes that `http` tells apart; it does not know the rooms that they come from.
pub use crate::access::AccessError;
pub use crate::pipeline::DecodeError;
pub use crate::store::StoreError;

pub use super::stamps::MarkError;

/// One variant per room that can refuse.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// They may not.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The upload is not as it must be.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The request is against the rules, or its answer would be too large.
    #[error(transparent)]
    Transform(#[from] TransformError),
    /// The source is not there, or the storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It needs more memory than the process may take.
    #[error("the image needs {} MB of memory, allowed: {} MB", bytes >> 20, limit >> 20)]
    TooLarge {
        /// What its header and the request come to, at most.
        bytes: u64,
        /// What one image may take.
        limit: u64,
    },
    /// There was no place or no memory to make the image in time.
    #[error("too busy, try again")]
    Busy(Busy),
    /// The work on the image ended without a result; the log has the panic.
    #[error("the work on the image was interrupted")]
    Interrupted,
    /// The system has no random numbers, so that no name can be made.
    #[error("the system gives no random numbers")]
    NoRandomNumbers,
    /// A watermark of the transformation cannot be drawn.
    #[error("the watermark {mark} cannot be used")]
    Watermark {
        /// As the configuration names it.
        mark: SourcePath,
        /// Why not.
        #[source]
        cause: MarkError,
    },
}

/// An error and its causes in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
