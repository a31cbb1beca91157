//! Named sequences of bytes, each with a state: what a folder, Amazon S3 and Google Cloud Storage have in common.
//!
//! [`Objects`] is what the rest of the store uses. An object storage is a `Backend`, which makes one HTTP request for
//! each of its calls; `Remote` makes an [`Objects`] of it: what fails is tried again (`attempts`), and what comes is
//! believed only when it is whole.

mod agent;
mod attempts;
mod gcs;
mod remote;
mod s3;
mod time;
mod verify;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use gcs::{GcsOptions, gcs};
pub(crate) use remote::Remote;
pub use s3::{S3Options, s3};
pub use verify::{verify_reading, verify_writing};

/// Longest name in bytes; S3 and GCS allow no more.
pub const MAX_NAME_BYTES: usize = 1024;

/// Objects under names of UTF-8, 1 to [`MAX_NAME_BYTES`] bytes long, without control characters. `/` has no meaning but
/// for folders of a disk.
pub trait Objects: fmt::Debug + Send + Sync {
    /// Brings an object into `into`, unless its state is still the one of this tag.
    /// # Errors
    /// If there is none, or it does not come whole.
    fn get(&self, name: &str, unless: Option<&str>, into: &mut dyn Sink) -> Result<Fetched, ObjectError>;

    /// The state of an object.
    /// # Errors
    /// If there is none, or the storage fails.
    fn head(&self, name: &str) -> Result<ObjectState, ObjectError>;

    /// Stores an object, in place of what has the name. It is there, whole and on the disk, once this returns; before
    /// that, the name has its old object or none.
    /// # Errors
    /// If the storage fails; then the name may have the new object all the same.
    fn put(&self, name: &str, content: &Content, content_type: &str) -> Result<(), ObjectError>;

    /// Removes an object; one that is not there is removed already.
    /// # Errors
    /// If the storage fails.
    fn delete(&self, name: &str) -> Result<(), ObjectError>;

    /// Up to `limit` objects whose names begin with `prefix`, ordered by the bytes of their names: the first ones, or
    /// those after [`Page::next`]. At most 1,000.
    /// # Errors
    /// If the storage fails.
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, ObjectError>;

    /// Whether the storage can be used now; asks it, if it was not asked lately.
    /// # Errors
    /// If it cannot.
    fn check(&self) -> Result<(), ObjectError>;
}

/// What is known of an object without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectState {
    /// Differs between contents: the entity tag of HTTP without its quotation marks.
    pub tag: String,
    /// Size of the content.
    pub size_bytes: u64,
    /// When it was stored, to the second or finer.
    pub modified: SystemTime,
    /// Its media type; empty where the storage keeps none.
    pub content_type: String,
}

/// What came of a `get`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// All of it is in the sink, and this is its state.
    Whole(ObjectState),
    /// It still has the tag; nothing came.
    Unchanged,
}

/// Takes the content of an object.
pub trait Sink {
    /// An object begins, possibly once more: what came before does not count.
    /// # Errors
    /// If it is not wanted, as when it is too large; then nothing more comes.
    fn begin(&mut self, state: &ObjectState) -> io::Result<()>;

    /// The next bytes.
    /// # Errors
    /// If they cannot be kept; then nothing more comes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// A sink in memory, with a limit.
#[derive(Debug)]
pub struct InMemory {
    /// What has come.
    pub bytes: Vec<u8>,
    limit: u64,
}

impl InMemory {
    /// Takes up to `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { bytes: Vec::new(), limit }
    }
}

impl Sink for InMemory {
    fn begin(&mut self, state: &ObjectState) -> io::Result<()> {
        if state.size_bytes > self.limit {
            return Err(too_large(self.limit));
        }
        self.bytes.clear();
        let n_bytes = usize::try_from(state.size_bytes).map_err(io::Error::other)?;
        self.bytes.try_reserve_exact(n_bytes).map_err(|_| io::ErrorKind::OutOfMemory.into())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if (self.bytes.len() + bytes.len()) as u64 > self.limit {
            return Err(too_large(self.limit));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

fn too_large(limit: u64) -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {limit} bytes"))
}

/// What is stored: it can be read again, for another attempt.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory.
    Bytes(Arc<Vec<u8>>),
    /// The first bytes of a file.
    File {
        /// Read at positions of its own, so that others may use it at the same time.
        file: Arc<File>,
        /// How many.
        n_bytes: u64,
    },
}

impl Content {
    /// Its size.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { n_bytes, .. } => *n_bytes,
        }
    }

    /// Reads it from the beginning.
    #[must_use]
    pub fn reader(&self) -> ContentReader {
        ContentReader { content: self.clone(), position: 0 }
    }
}

/// Reads a [`Content`] from its beginning to its end.
#[derive(Debug)]
pub struct ContentReader {
    content: Content,
    position: u64,
}

impl Read for ContentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = match &self.content {
            Content::Bytes(bytes) => {
                let rest = &bytes[usize::try_from(self.position).map_or(bytes.len(), |at| at.min(bytes.len()))..];
                let n_read = rest.len().min(buffer.len());
                buffer[..n_read].copy_from_slice(&rest[..n_read]);
                n_read
            }
            Content::File { file, n_bytes } => {
                let n_left = usize::try_from(n_bytes - self.position).unwrap_or(usize::MAX);
                let n_wanted = n_left.min(buffer.len());
                file.read_at(&mut buffer[..n_wanted], self.position)?
            }
        };
        self.position += n_read as u64;
        Ok(n_read)
    }
}

/// Some of the objects, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Name, size and time of each.
    pub objects: Vec<Listed>,
    /// What the next page begins after, if there is one; it means something only to the storage.
    pub next: Option<String>,
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// When it was stored.
    pub modified: SystemTime,
}

/// Why an object cannot be had or stored. Reasons are sentences without a capital or a full stop, and without secrets.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// There is no such object.
    #[error("there is no such object")]
    Missing,
    /// The storage refuses, and would refuse again: a wrong key, no such bucket, no permission, a wrong clock. The reason
    /// names what is to be mended.
    #[error("{0}")]
    Refused(String),
    /// The storage cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// It fails, or what comes of it is damaged, also when tried again.
    #[error("{0}")]
    Failed(String),
    /// It did not answer in time.
    #[error("{0}")]
    TimedOut(String),
    /// Its answer began, but did not come whole, or too slowly, also when tried again.
    #[error("{0}")]
    Broken(String),
    /// What came could not be kept, or what was to be stored not be read.
    #[error("keeping the content failed")]
    Content(#[source] io::Error),
}

/// One try at a time of what [`Objects`] promises, over HTTP. `left` is the time until the head of the answer must be
/// there; the content has its own limits (`agent`).
pub(crate) trait Backend: fmt::Debug + Send + Sync {
    /// Asks for an object; its content is still to be read.
    fn get(&self, name: &str, unless: Option<&str>, left: Duration) -> Result<Answer, ObjectError>;

    fn head(&self, name: &str, left: Duration) -> Result<ObjectState, ObjectError>;

    /// `md5` is that of the content, for the storage to compare.
    fn put(
        &self,
        name: &str,
        content: &Content,
        md5: &[u8; 16],
        content_type: &str,
        left: Duration,
    ) -> Result<(), ObjectError>;

    fn delete(&self, name: &str, left: Duration) -> Result<(), ObjectError>;

    fn list(&self, prefix: &str, after: Option<&str>, limit: usize, left: Duration) -> Result<Page, ObjectError>;
}

/// The head of an answer to a `get`, with its body behind it.
pub(crate) enum Answer {
    Unchanged,
    Object {
        state: ObjectState,
        /// Of the content, where the storage tells.
        md5: Option<[u8; 16]>,
        body: Box<dyn Read + Send>,
    },
}
