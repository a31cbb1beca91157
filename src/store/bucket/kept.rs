//! Contents of sources that were fetched lately, in files without names: they are gone with the process.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::super::local::MAX_FILE_BYTES;
use super::super::objects::{ObjectState, Sink};
use super::known::State;
use super::unnamed_file;
use crate::transform::SourcePath;

/// Files that are open at once, for a whole limit of small ones.
const MAX_FILES: u64 = 1024;

/// Contents, in all no larger than allowed.
pub(super) struct Kept {
    limit_bytes: u64,
    contents: Cache<SourcePath, Arc<KeptContent>, Weight>,
}

/// The content of a source in one state.
#[derive(Debug)]
pub(super) struct KeptContent {
    tag: Arc<str>,
    file: File,
    n_bytes: u64,
}

#[derive(Clone, Debug)]
struct Weight {
    least: u64,
}

impl Weighter<SourcePath, Arc<KeptContent>> for Weight {
    fn weight(&self, _: &SourcePath, content: &Arc<KeptContent>) -> u64 {
        content.n_bytes.max(self.least)
    }
}

impl Kept {
    pub(super) fn new(limit_bytes: u64) -> Self {
        let options = OptionsBuilder::new()
            // An entry may be as large as its shard.
            .shards(1)
            .estimated_items_capacity(256)
            .weight_capacity(limit_bytes)
            .build()
            .expect("both capacities are given");
        let weight = Weight { least: (limit_bytes / MAX_FILES).max(1) };
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        Self { limit_bytes, contents: Cache::with_options(options, weight, hasher, lifecycle) }
    }

    /// The largest content that is kept: no larger one can be read.
    pub(super) fn largest(&self) -> u64 {
        self.limit_bytes.min(MAX_FILE_BYTES)
    }

    pub(super) fn insert(&self, path: &SourcePath, state: &State, spool: Spool) {
        if let Some(file) = spool.file {
            let content = KeptContent { tag: Arc::clone(&state.tag), file, n_bytes: state.version.size_bytes };
            self.contents.insert(path.clone(), Arc::new(content));
        }
    }

    /// All bytes of a source in a state, if they are here.
    pub(super) fn read(&self, path: &SourcePath, state: &State) -> Option<Vec<u8>> {
        let content = self.contents.get(path).filter(|content| content.tag == state.tag)?;
        let mut bytes = vec![0; usize::try_from(content.n_bytes).ok()?];
        match content.file.read_exact_at(&mut bytes, 0) {
            Ok(()) => Some(bytes),
            Err(_) => {
                self.contents.remove(path);
                None
            }
        }
    }
}

/// Takes a content into a file without a name.
pub(super) struct Spool {
    folder: PathBuf,
    limit_bytes: u64,
    file: Option<File>,
    /// Of what came, also if it could not be kept.
    pub(super) state: Option<ObjectState>,
}

impl Spool {
    pub(super) fn new(folder: &Path, limit_bytes: u64) -> Self {
        Self { folder: folder.to_owned(), limit_bytes, file: None, state: None }
    }
}

impl Sink for Spool {
    fn begin(&mut self, state: &ObjectState) -> io::Result<()> {
        self.state = Some(state.clone());
        if state.size_bytes > self.limit_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.file = Some(unnamed_file(&self.folder)?);
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.as_mut().map_or(Err(io::ErrorKind::NotFound.into()), |file| file.write_all(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn contents_are_bounded_and_belong_to_a_state() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(1 << 20);
        let path = |number: u32| SourcePath::new(&format!("{number}.jpg")).unwrap();
        let state = |tag: &str, size_bytes| ObjectState {
            tag: tag.to_owned(),
            size_bytes,
            modified: UNIX_EPOCH,
            content_type: String::new(),
        };
        let keep = |number, tag: &str, content: &[u8]| {
            let state = state(tag, content.len() as u64);
            let mut spool = Spool::new(folder.path(), kept.largest());
            spool.begin(&state)?;
            spool.write(content)?;
            kept.insert(&path(number), &State::of(&state), spool);
            io::Result::Ok(State::of(&state))
        };
        let a = keep(1, "a", b"first").unwrap();
        let b = keep(1, "b", b"second").unwrap();
        assert_eq!((kept.read(&path(1), &a), kept.read(&path(1), &b)), (None, Some(b"second".to_vec())));
        for number in 0..3000 {
            keep(number, "small", b"x").unwrap();
        }
        assert!(kept.contents.len() <= MAX_FILES as usize, "each has a file open");
        for number in 0..10 {
            keep(number, "large", &vec![7; 400_000]).unwrap();
            assert!(kept.contents.weight() <= 1 << 20);
        }
        assert_eq!(kept.read(&path(9), &State::of(&state("large", 400_000))).unwrap().len(), 400_000);
        assert!(keep(1, "huge", &vec![0; (1 << 20) + 1]).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing has a name");
    }
}
