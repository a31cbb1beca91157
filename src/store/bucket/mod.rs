//! Images in a bucket of an object storage.
//!
//! # What is asked, and how often
//!
//! The state of a source (`known`) counts for `revalidate` after it was looked at, by any server that shares the index;
//! then it is looked at again, by its tag. A source that is not known is fetched at once, since who asks for it wants it
//! most likely: one request tells its state and brings its content, which is kept on the disk (`kept`), so that other
//! sizes of it cost no request. What many wait for is asked once (`once`).
//!
//! # When the storage is away
//!
//! What was known last counts on, so that what is cached is served; what would have to be read fails.

mod kept;
mod known;
mod once;
mod unread;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::objects::{Content, Fetched, ObjectError, Objects};
use super::{Found, Incoming, Storage, StoreError, Unread as AnyUnread};
use crate::index::Index;
use crate::raster::Format;
use crate::transform::SourcePath;
pub(super) use unread::Unread;

use kept::{Kept, Spool};
use known::{Entry, Known, State};
use once::Once;

/// How long it counts that a source is not there: who stores one does not wait long, and who asks for nothing does not
/// ask the storage each time.
const MAX_MISSING: Duration = Duration::from_secs(5);
/// What servers tell each other of a source that has gone: whoever wants it asks the storage.
const NOTHING: &str = "-";
/// When a storage that has failed is asked again for what is known of a source.
const RETRY: Duration = Duration::from_secs(5);
/// How often the log tells of trouble that costs no request its answer.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// How a bucket is used.
#[derive(Clone, Debug)]
pub struct BucketOptions {
    /// How long the state of a source counts.
    pub revalidate: Duration,
    /// Bytes of sources that are kept on the disk; 0 for none.
    pub kept_bytes: u64,
    /// Where that is, and where uploads are received.
    pub work_folder: PathBuf,
}

/// A bucket as a place for sources.
#[derive(Debug)]
pub struct BucketStorage {
    bucket: Arc<Bucket>,
}

struct Bucket {
    objects: Arc<dyn Objects>,
    index: Arc<dyn Index>,
    revalidate: Duration,
    work_folder: PathBuf,
    known: Known,
    kept: Kept,
    /// Looks that are under way, with the content of what is found, or not necessarily.
    looks: Once<(SourcePath, Wants), Looked>,
    complained: Mutex<Option<Instant>>,
}

/// What a look is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wants {
    State,
    Content,
}

type Looked = Result<Arc<Entry>, Arc<ObjectError>>;

impl BucketStorage {
    /// Begins to use a bucket.
    /// # Errors
    /// If the folder for its work cannot be made or written to.
    pub fn open(objects: Arc<dyn Objects>, index: Arc<dyn Index>, options: BucketOptions) -> io::Result<Self> {
        let BucketOptions { revalidate, kept_bytes, work_folder } = options;
        std::fs::create_dir_all(&work_folder)?;
        tempfile::tempfile_in(&work_folder)?;
        let bucket = Bucket {
            objects,
            index,
            revalidate,
            work_folder,
            known: Known::new(),
            kept: Kept::new(kept_bytes),
            looks: Once::default(),
            complained: Mutex::default(),
        };
        Ok(Self { bucket: Arc::new(bucket) })
    }

    fn found(&self, path: &SourcePath, entry: Arc<Entry>) -> Result<Found, StoreError> {
        let Some(State { version, modified, .. }) = entry.state.clone() else {
            return Err(StoreError::NotFound(path.clone()));
        };
        let content = AnyUnread::Object(Unread { bucket: Arc::clone(&self.bucket), path: path.clone(), entry });
        Ok(Found { content, version, modified, placed: modified })
    }
}

impl Storage for BucketStorage {
    fn find(&self, path: &SourcePath) -> Result<Found, StoreError> {
        let bucket = &self.bucket;
        let generation = bucket.index.generation();
        let known = bucket.known.get(path).filter(|entry| bucket.is_current(path, entry, generation));
        let entry = match known {
            Some(entry) => entry,
            None => bucket.look(path, Wants::State, generation).map_err(|error| failed(path.as_str(), error))?,
        };
        self.found(path, entry)
    }

    fn find_at_once(&self, path: &SourcePath) -> Option<Found> {
        self.look_at_once(path)?
    }

    fn look_at_once(&self, path: &SourcePath) -> Option<Option<Found>> {
        let entry = self.bucket.known.get(path)?;
        let is_current = entry.is_fresh() && self.bucket.index.generation_at_once() == Some(entry.generation());
        is_current.then(|| self.found(path, entry).ok())
    }

    fn begin(&self) -> Result<Incoming, StoreError> {
        Incoming::for_bucket(&self.bucket.objects, &self.bucket.work_folder)
    }

    fn check(&self) -> Result<(), StoreError> {
        self.bucket.objects.check().map_err(|error| failed("a look", Arc::new(error)))
    }
}

impl Bucket {
    /// Whether what is known of a source counts: not for too long, and not when the source was purged since.
    fn is_current(&self, path: &SourcePath, entry: &Entry, generation: u64) -> bool {
        if !entry.is_fresh() {
            return false;
        }
        if entry.generation() == generation {
            return true;
        }
        // If that cannot be told, it is not sure.
        let is_purged = self.index.is_purged_since(path.as_str(), entry.generation()).unwrap_or(true);
        if !is_purged {
            entry.confirm(generation);
        }
        !is_purged
    }

    /// Looks at a source, together with all who want the same now.
    fn look(&self, path: &SourcePath, wants: Wants, generation: u64) -> Looked {
        // One looks again; for the others, what is known counts until that is done, unless the source was purged.
        let known = self.known.get(path).filter(|entry| wants == Wants::State && entry.state.is_some());
        let meanwhile = known.filter(|entry| entry.generation() == generation).map(Ok);
        let late = || Err(Arc::new(ObjectError::TimedOut("it is fetched for others, too slowly".to_owned())));
        let look = || self.look_alone(path, wants, generation).map_err(Arc::new);
        self.looks.run((path.clone(), wants), meanwhile, late, look)
    }

    fn look_alone(&self, path: &SourcePath, wants: Wants, generation: u64) -> Result<Arc<Entry>, ObjectError> {
        let began = Instant::now();
        if wants == Wants::State
            && let Some(state) = self.told(path, generation)
        {
            return Ok(state);
        }
        let before = self.known.get(path).and_then(|entry| entry.state.clone());
        let unless = before.as_ref().filter(|_| wants == Wants::State).map(|state| &*state.tag);
        let state = match self.fetch(path, unless) {
            Ok(Some(state)) => state,
            Ok(None) => before.ok_or_else(|| ObjectError::Failed("it says that nothing has changed".to_owned()))?,
            Err(ObjectError::Missing) => return Ok(self.miss(path, before.is_some(), generation)),
            Err(error) => {
                let Some(before) = before.filter(|_| wants == Wants::State) else {
                    return Err(error);
                };
                self.complain(&format!(
                    "the storage fails, and what is known of images counts until it is back: {error}"
                ));
                return Ok(self.known.insert(path, Entry::new(Some(before), RETRY, generation)));
            }
        };
        Ok(self.learn(path, state, generation, began))
    }

    /// Notes the state that a source had when a look at it began, and tells it to other servers.
    fn learn(&self, path: &SourcePath, state: State, generation: u64, began: Instant) -> Arc<Entry> {
        let time = self.revalidate.saturating_sub(began.elapsed());
        self.tell(path, &state.print(generation), time);
        self.known.insert(path, Entry::new(Some(state), time, generation))
    }

    /// Notes that there is no such source; other servers are told if there was one.
    fn miss(&self, path: &SourcePath, was_there: bool, generation: u64) -> Arc<Entry> {
        let time = self.revalidate.min(MAX_MISSING);
        if was_there {
            self.tell(path, NOTHING, time);
        }
        self.known.insert(path, Entry::new(None, time, generation))
    }

    fn tell(&self, path: &SourcePath, text: &str, time: Duration) {
        if let Some(shared) = self.index.shared().filter(|_| !time.is_zero()) {
            // If that fails, they ask the storage.
            let _ = shared.tell(&known::note_name(path), text, time);
        }
    }

    /// Asks for a source, and keeps its content if there is room; `None` if its tag is still that.
    fn fetch(&self, path: &SourcePath, unless: Option<&str>) -> Result<Option<State>, ObjectError> {
        if self.kept.largest() == 0 {
            let state = self.objects.head(path.as_str())?;
            return Ok(Some(State::of(&state)).filter(|state| unless != Some(&*state.tag)));
        }
        let mut spool = Spool::new(&self.work_folder, self.kept.largest());
        match self.objects.get(path.as_str(), unless, &mut spool) {
            Ok(Fetched::Unchanged) => Ok(None),
            Ok(Fetched::Whole(state)) => {
                let state = State::of(&state);
                self.kept.insert(path, &state, spool);
                Ok(Some(state))
            }
            // It is too large to be kept, or the disk is full: whoever needs the content asks for it.
            Err(ObjectError::Content(error)) if spool.state.is_some() => {
                if error.kind() != io::ErrorKind::FileTooLarge {
                    self.complain(&format!("images cannot be kept on the disk: {error}"));
                }
                Ok(spool.state.as_ref().map(State::of))
            }
            Err(error) => Err(error),
        }
    }

    /// What another server has found out lately, or this one before.
    fn told(&self, path: &SourcePath, generation: u64) -> Option<Arc<Entry>> {
        let (text, left) = self.index.shared()?.told(&known::note_name(path)).ok()??;
        let (state, then) = State::parse(&text)?;
        let entry = Entry::new(Some(state), left.min(self.revalidate), then);
        self.is_current(path, &entry, generation).then(|| self.known.insert(path, entry))
    }

    fn complain(&self, text: &str) {
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if complained.is_none_or(|at| at.elapsed() >= COMPLAINT_INTERVAL) {
            *complained = Some(Instant::now());
            tracing::warn!("the bucket: {text}");
        }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({:?})", self.objects)
    }
}

/// Stores a file that was received.
pub(super) fn store(
    objects: &dyn Objects,
    name: &SourcePath,
    content: &Content,
    format: Format,
) -> Result<(), StoreError> {
    objects.put(name.as_str(), content, format.media_type()).map_err(|error| failed(name.as_str(), Arc::new(error)))
}

/// What a failure of the object storage is for those who asked.
fn failed(name: &str, error: Arc<ObjectError>) -> StoreError {
    match (&*error, SourcePath::new(name)) {
        (ObjectError::Missing, Ok(path)) => StoreError::NotFound(path),
        (ObjectError::TimedOut(_), _) => StoreError::TooSlow { path: name.to_owned(), source: error },
        _ => StoreError::Away { path: name.to_owned(), source: error },
    }
}

/// A new file without a name, which goes with whoever holds it.
pub(super) fn unnamed_file(folder: &Path) -> io::Result<File> {
    tempfile::tempfile_in(folder)
}
