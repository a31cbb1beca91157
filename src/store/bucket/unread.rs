//! A source that was found, and its content, which is here or still to be fetched.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::super::local::MAX_FILE_BYTES;
use super::super::objects::{Fetched, InMemory, ObjectError};
use super::known::{Entry, State};
use super::{Bucket, StoreError, Wants, failed};
use crate::transform::SourcePath;

/// What is needed to read it.
pub(in super::super) struct Unread {
    pub(super) bucket: Arc<Bucket>,
    pub(super) path: SourcePath,
    pub(super) entry: Arc<Entry>,
}

impl Unread {
    /// Brings the content, and tells whether the source is still what it was when it was found.
    pub(in super::super) fn read(self) -> Result<(Vec<u8>, bool), StoreError> {
        let Some(state) = &self.entry.state else {
            return Err(StoreError::NotFound(self.path));
        };
        let size_bytes = state.version.size_bytes;
        if size_bytes > MAX_FILE_BYTES {
            return Err(StoreError::TooLarge { bytes: size_bytes, limit: MAX_FILE_BYTES });
        }
        let bucket = &self.bucket;
        if let Some(content) = bucket.kept.read(&self.path, state) {
            return Ok((content, true));
        }
        if size_bytes <= bucket.kept.largest() {
            let looked = bucket.look(&self.path, Wants::Content, self.entry.generation());
            let now = looked.map_err(|error| failed(self.path.as_str(), error))?;
            match &now.state {
                None => return Err(StoreError::NotFound(self.path)),
                Some(now) if now.tag != state.tag => return Ok((Vec::new(), false)),
                Some(now) => {
                    if let Some(content) = bucket.kept.read(&self.path, now) {
                        return Ok((content, true));
                    }
                }
            }
        }
        self.read_into_memory(state)
    }

    /// For what is not kept.
    fn read_into_memory(&self, state: &State) -> Result<(Vec<u8>, bool), StoreError> {
        let began = Instant::now();
        let mut content = InMemory::new(MAX_FILE_BYTES);
        match self.bucket.objects.get(self.path.as_str(), None, &mut content) {
            Ok(Fetched::Whole(now)) if *now.tag == *state.tag => Ok((content.bytes, true)),
            Ok(Fetched::Whole(now)) => {
                self.bucket.learn(&self.path, State::of(&now), self.entry.generation(), began);
                Ok((Vec::new(), false))
            }
            Ok(Fetched::Unchanged) => Ok((Vec::new(), false)),
            Err(ObjectError::Missing) => {
                self.bucket.miss(&self.path, true, self.entry.generation());
                Err(StoreError::NotFound(self.path.clone()))
            }
            Err(error) => Err(failed(self.path.as_str(), Arc::new(error))),
        }
    }
}

impl fmt::Debug for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unread({})", self.path)
    }
}
