//! Room 6: what is kept. Sources are found by their path; nothing outside of the storage can be named.

mod bucket;
pub mod cache;
mod incoming;
mod leftover;
mod local;
pub mod objects;
mod storage;

use std::sync::Arc;
use std::time::SystemTime;

use crate::transform::{SourcePath, SourceVersion};
use objects::ObjectError;

pub use bucket::{BucketOptions, BucketStorage};
pub use incoming::Incoming;
pub use local::LocalStorage;
pub use storage::Storage;

/// Why a stored image cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No such image, or nothing that may be read as one.
    #[error("Image not found: {0}")]
    NotFound(SourcePath),
    /// A file beyond what the server takes into memory.
    #[error("the stored file has {bytes} bytes, allowed: {limit}")]
    TooLarge {
        /// Size of the file.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The image was written to whenever it was read.
    #[error("{0} is being changed, try again")]
    Changing(SourcePath),
    /// The storage has no room, or may not be written to.
    #[error("{operation} failed: no room")]
    Full {
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The folder of the images cannot be used.
    #[error(transparent)]
    Folder(std::io::Error),
    /// The object storage cannot be reached, or refuses, or fails.
    #[error("the object storage has failed for {path}")]
    Away {
        /// With which object.
        path: String,
        /// Why.
        #[source]
        source: Arc<ObjectError>,
    },
    /// The object storage did not answer in time.
    #[error("the object storage was too slow for {path}")]
    TooSlow {
        /// With which object.
        path: String,
        /// How it was so.
        #[source]
        source: Arc<ObjectError>,
    },
    /// The storage itself failed.
    #[error("{operation} failed for {path}")]
    Backend {
        /// What was tried.
        operation: &'static str,
        /// With which image.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// A source that was found, with its content still unread.
#[derive(Debug)]
pub struct Found {
    content: Unread,
    /// Its state when it was found.
    pub version: SourceVersion,
    /// When it was changed last.
    pub modified: SystemTime,
    /// When it was changed or put there last, whatever time it carries.
    pub placed: SystemTime,
}

impl Found {
    /// Reads the content, and tells whether the source stayed the same meanwhile.
    /// # Errors
    /// If it is too large, or cannot be read.
    pub fn read(self) -> Result<(Vec<u8>, bool), StoreError> {
        match self.content {
            Unread::File(file) => file.read(self.version),
            Unread::Object(object) => object.read(),
        }
    }
}

#[derive(Debug)]
enum Unread {
    File(local::OpenFile),
    Object(bucket::Unread),
}
