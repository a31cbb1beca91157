//! Answers that were made before, in files (`files`) beside an index (`index`) that knows their sizes and uses. A hit reads; all
//! writing is done by one thread, the keeper, so that neither a slow disk nor a full one holds anything up.
//!
//! # What holds
//!
//! - A file has its final name only when it is whole: it is written under another and renamed. A record follows its
//!   file, and goes before it. So a crash leaves a file without a record, or a record without a file, and the pass at
//!   the start (`check`) removes both; nothing half-written is ever served, since length and checksum of the record
//!   must fit.
//! - Whoever writes a file on a disk holds a lock on it until its record is in the index: what is locked is not taken for a
//!   leftover.
//! - A purge removes files while nobody can write the index, so that it takes none that is made anew; whoever writes
//!   one looks whether it is still there once it is recorded. When the command ends that asked for the purge, the
//!   generation is another, and nothing made from what was read before it is kept or found.
//! - Nothing here fails a request. What goes wrong is a miss, and is logged once a minute.
//!
//! # When the index is away
//!
//! Redis may be out of reach for a while. Then hits go on for what this process has found or written before (`recall`),
//! and what is made is written as long as the limit surely holds, its record waiting (`keeper::backlog`). When it is
//! back, the records come first, then the uses that were counted, then a pass over all: it may have lost records of
//! files that are there.

mod admin;
mod bucket;
mod check;
mod complaints;
mod files;
mod folder;
mod keeper;
mod recall;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::objects::Objects;
use crate::index::{Index, Order, Record};
pub use crate::index::{Purge, Purges};
use crate::raster::Format;
use crate::transform::{SourcePath, SourceVersion, VariantId};
use bucket::BucketFiles;
use complaints::{Complaints, is_away};
use files::Files;
use folder::Folder;
use keeper::Keeper;
use recall::{Known, Recall};

pub use check::{CheckError, Report};
pub use files::file_name;

/// What goes first when the cache is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Strategy {
    /// The least recently used.
    #[default]
    Lru,
    /// The least frequently used.
    Lfu,
}

impl Strategy {
    /// Who goes, for people.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Lru => "least recently used",
            Self::Lfu => "least frequently used",
        }
    }
}

impl FromStr for Strategy {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_uppercase().as_str() {
            "LRU" => Ok(Self::Lru),
            "LFU" => Ok(Self::Lfu),
            _ => Err(format!("must be LRU or LFU, got {text:?}")),
        }
    }
}

/// How a cache behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// Bytes of all files; 0 is no limit.
    pub limit_bytes: u64,
    /// What goes first.
    pub strategy: Strategy,
    /// Bytes of answers that may wait in memory to be written; more are not kept.
    pub unwritten_bytes: u64,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { limit_bytes: 0, strategy: Strategy::default(), unwritten_bytes: 64 << 20 }
    }
}

/// Where files of answers are kept.
#[derive(Clone, Debug)]
pub enum Place {
    /// In the folder `cache` of a folder.
    Folder {
        /// That folder.
        data_path: PathBuf,
        /// Whether a file is on the disk itself before it gets its name.
        fsync: bool,
    },
    /// Under `cache/` in a bucket.
    Bucket(Arc<dyn Objects>),
}

/// Why the cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Its folder cannot be made.
    #[error("cannot use the cache folder {path}")]
    Folder {
        /// The folder.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Its thread cannot be started.
    #[error("cannot start the thread of the cache")]
    Thread(#[source] std::io::Error),
}

/// An answer to be kept.
#[derive(Debug)]
pub struct Fill {
    /// Its name.
    pub id: VariantId,
    /// What it was made from.
    pub source: SourcePath,
    /// In which state that was.
    pub version: SourceVersion,
    /// What was done, for people.
    pub description: String,
    /// Of the file.
    pub format: Format,
    /// The file.
    pub bytes: Arc<Vec<u8>>,
    /// The time that the file gets: that of the source.
    pub modified: SystemTime,
    /// [`VariantCache::generation`] before the source was read.
    pub generation: u64,
}

/// An answer that was found.
#[derive(Debug)]
pub struct Cached {
    /// The whole file, as it was kept.
    pub bytes: Vec<u8>,
    /// Of the file.
    pub format: Format,
    /// [`VariantCache::generation`] before it was looked for.
    pub generation: u64,
}

/// A folder of answers and its index, for a server: with a thread that writes.
#[derive(Debug)]
pub struct VariantCache {
    shelf: Arc<Shelf>,
    keeper: Keeper,
}

/// Files and records: what a server and the command line have in common.
#[derive(Debug)]
pub struct Shelf {
    files: Box<dyn Files>,
    index: Arc<dyn Index>,
    recall: Recall,
    complaints: Complaints,
}

impl Shelf {
    /// Opens the cache at a place, and makes it if it is not there; `index` has its records.
    /// # Errors
    /// If its folder cannot be made or opened.
    pub fn open(place: &Place, index: Arc<dyn Index>) -> Result<Self, CacheError> {
        let files: Box<dyn Files> = match place {
            Place::Folder { data_path, fsync } => {
                let root = data_path.join("cache");
                let failed = |source| CacheError::Folder { path: root.display().to_string(), source };
                Box::new(Folder::open(&root, *fsync).map_err(failed)?)
            }
            Place::Bucket(objects) => Box::new(BucketFiles::new(Arc::clone(objects))),
        };
        let recall = Recall::new(index.can_be_away());
        Ok(Self { files, index, recall, complaints: Complaints::default() })
    }
}

impl VariantCache {
    /// Opens the cache at a place for a server: its thread starts, and looks in the background for what a crash
    /// has left behind.
    /// # Errors
    /// If its folder cannot be made or opened, or the thread cannot be started.
    pub fn open(place: &Place, index: Arc<dyn Index>, options: CacheOptions) -> Result<Self, CacheError> {
        // The clock may have been set back since it was last open.
        if let Ok(Some(latest)) = index.latest_use() {
            LAST_USE_US.fetch_max(latest, Ordering::Relaxed);
        }
        let shelf = Arc::new(Shelf::open(place, index)?);
        let keeper = Keeper::start(&shelf, options).map_err(CacheError::Thread)?;
        Ok(Self { shelf, keeper })
    }

    /// Other options from now on, or from a second later.
    pub fn set_options(&self, options: CacheOptions) {
        self.keeper.set_options(options);
    }

    /// The generation after the last purge. Asked with every hit: never waits; `None` where it would have to.
    #[must_use]
    pub fn generation_at_once(&self) -> Option<u64> {
        self.shelf.index.generation_at_once()
    }

    /// The generation after the last purge.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.shelf.index.generation()
    }

    /// What was purged so far; nothing if that cannot be told.
    #[must_use]
    pub fn purges(&self) -> Option<Purges> {
        self.shelf.index.purges().inspect_err(|error| self.shelf.complaints.about("asking the index", error)).ok()
    }

    /// Whether a source was purged after `generation`; also if that cannot be told.
    #[must_use]
    pub fn is_purged(&self, source: &SourcePath, generation: u64) -> bool {
        let is_purged = self.shelf.index.is_purged_since(source.as_str(), generation);
        is_purged.unwrap_or_else(|error| {
            self.shelf.complaints.about("asking the index", &error);
            true
        })
    }

    /// An answer, if it is there and whole.
    #[must_use]
    pub fn get(&self, id: &VariantId) -> Option<Cached> {
        let generation = self.generation();
        self.found(id, |Known { format, bytes, checksum }| match self.shelf.files.read(id, format, bytes) {
            Ok(bytes) if crc32fast::hash(&bytes) == checksum => Ok(Some(Cached { bytes, format, generation })),
            Ok(_) => Err("a file of the cache is damaged".into()),
            Err(error) if files::is_away(&error) => {
                self.shelf.complaints.about("reading a file", &error);
                Ok(None)
            }
            Err(error) => Err(format!("a file of the cache cannot be read: {error}")),
        })
    }

    /// The name of an answer's file below the folder of the cache, if the file is there.
    #[must_use]
    pub fn locate(&self, id: &VariantId) -> Option<String> {
        self.found(id, |Known { format, bytes, .. }| match self.shelf.files.size(id, format) {
            Ok(found) if found == bytes => Ok(Some(file_name(id, format))),
            _ => Err("a file of the cache is not what it was".into()),
        })
    }

    /// What `look` makes of an answer that is recorded, or a miss. `look` tells what is wrong with the file.
    fn found<T>(&self, id: &VariantId, look: impl Fn(Known) -> Result<Option<T>, String>) -> Option<T> {
        // The keeper may have removed the answer between the two looks, which is no damage: its record is gone then. A
        // purge removes files first, so that it may still look like damage, for a moment.
        if let Ok(found) = look(self.find(id)?) {
            return found;
        }
        look(self.find(id)?).unwrap_or_else(|reason| self.mend(id, &reason))
    }

    /// Whether an answer is recorded.
    #[must_use]
    pub fn has(&self, id: &VariantId) -> bool {
        self.shelf.index.find(&id.0).is_ok_and(|record| record.is_some())
    }

    /// Whether the file of an answer is there. Never waits: false also where that would need a disk.
    #[must_use]
    pub fn is_there_at_once(&self, id: &VariantId, format: Format) -> bool {
        self.shelf.files.is_there_at_once(id, format)
    }

    /// As `is_there_at_once`, after a look at the disk. What is in a bucket counts as there: a look would cost each hit a
    /// request.
    #[must_use]
    pub fn is_there(&self, id: &VariantId, format: Format) -> bool {
        self.shelf.files.are_shared() || self.shelf.files.size(id, format).is_ok()
    }

    /// Notes a request for an answer; in memory, for the keeper to write down with others.
    pub fn touch(&self, id: &VariantId) {
        self.keeper.touch(id);
    }

    /// Hands an answer to the keeper, who calls `done` when it is kept, or will not be.
    pub fn keep(&self, fill: Fill, done: Box<dyn FnOnce(bool) + Send>) {
        self.keeper.keep(&self.shelf, fill, done);
    }

    /// Writes what is still to be written, for as long as `timeout` at most, and ends the keeper. False if there was
    /// not time enough.
    pub fn close(&self, timeout: Duration) -> bool {
        self.keeper.stop(timeout)
    }

    fn find(&self, id: &VariantId) -> Option<Known> {
        match self.shelf.index.find(&id.0) {
            Ok(record) => {
                let known = record.as_ref().and_then(Known::of);
                self.shelf.recall.note(id, known);
                known
            }
            Err(error) if is_away(&error) => self.shelf.recall.get(id),
            Err(error) => {
                self.shelf.complaints.about("asking the index", &error);
                None
            }
        }
    }

    /// A miss that is to be looked at.
    fn mend<T>(&self, id: &VariantId, reason: &str) -> Option<T> {
        self.shelf.complaints.note("what was found", reason);
        self.shelf.recall.note(id, None);
        self.keeper.mend(id);
        None
    }
}

impl From<Strategy> for Order {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Lru => Self::LeastRecent,
            Strategy::Lfu => Self::LeastFrequent,
        }
    }
}

fn format_of(record: &Record) -> Option<Format> {
    format_named(&record.extension)
}

fn format_named(extension: &str) -> Option<Format> {
    [Format::Jpeg, Format::Png].into_iter().find(|format| format.extension() == extension)
}

/// The latest use that is known.
static LAST_USE_US: AtomicI64 = AtomicI64::new(i64::MIN);

/// Microseconds since 1970, of something that is used now: later than all that was used before in this process, also after
/// the clock was set back. Else what is new would be the first to make room, for as long as it was set back.
fn use_us() -> i64 {
    let now = now_us();
    let later = |last: i64| Some(now.max(last.saturating_add(1)));
    LAST_USE_US
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, later)
        .map_or(now, |last| now.max(last.saturating_add(1)))
}

/// Microseconds since 1970.
fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
