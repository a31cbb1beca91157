//! What is known of sources without asking the storage.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use ring::digest::{SHA256, digest};

use super::super::objects::ObjectState;
use crate::transform::{SourcePath, SourceVersion};

/// Memory for it.
const MAX_BYTES: u64 = 16 << 20;
/// What a source takes beside its name and tag.
const OVERHEAD_BYTES: usize = 250;

/// The sources that were looked at last.
pub(super) struct Known {
    entries: Cache<SourcePath, Arc<Entry>, Weight>,
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<SourcePath, Arc<Entry>> for Weight {
    fn weight(&self, path: &SourcePath, entry: &Arc<Entry>) -> u64 {
        let tag = entry.state.as_ref().map_or(0, |state| state.tag.len());
        (path.as_str().len() + tag + OVERHEAD_BYTES) as u64
    }
}

/// What a look has found.
#[derive(Debug)]
pub(super) struct Entry {
    /// `None` if there was no such source.
    pub(super) state: Option<State>,
    until: Instant,
    /// Of the index, before the look, or when it was found that no purge since was about this.
    generation: AtomicU64,
}

/// The state of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// As the storage gave it.
    pub(super) tag: Arc<str>,
    pub(super) version: SourceVersion,
    pub(super) modified: SystemTime,
}

impl Known {
    pub(super) fn new() -> Self {
        let options = OptionsBuilder::new()
            // Nearly all reads come from one thread.
            .shards(1)
            .estimated_items_capacity(usize::try_from(MAX_BYTES).unwrap_or(usize::MAX) / OVERHEAD_BYTES / 2)
            .weight_capacity(MAX_BYTES)
            .build()
            .expect("both capacities are given");
        Self {
            entries: Cache::with_options(options, Weight, DefaultHashBuilder::default(), DefaultLifecycle::default()),
        }
    }

    pub(super) fn get(&self, path: &SourcePath) -> Option<Arc<Entry>> {
        self.entries.get(path)
    }

    pub(super) fn insert(&self, path: &SourcePath, entry: Entry) -> Arc<Entry> {
        let entry = Arc::new(entry);
        self.entries.insert(path.clone(), Arc::clone(&entry));
        entry
    }
}

impl Entry {
    pub(super) fn new(state: Option<State>, time: Duration, generation: u64) -> Self {
        Self { state, until: Instant::now() + time, generation: AtomicU64::new(generation) }
    }

    /// Whether the storage need not be asked again.
    pub(super) fn is_fresh(&self) -> bool {
        Instant::now() < self.until
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Notes that no purge up to `generation` was about this.
    pub(super) fn confirm(&self, generation: u64) {
        self.generation.fetch_max(generation, Ordering::AcqRel);
    }
}

impl State {
    pub(super) fn of(state: &ObjectState) -> Self {
        Self::new(state.tag.as_str(), state.size_bytes, state.modified)
    }

    fn new(tag: &str, size_bytes: u64, modified: SystemTime) -> Self {
        let hash = digest(&SHA256, tag.as_bytes());
        let part: [u8; 16] = hash.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes");
        // 0 is that of files.
        let version = SourceVersion { size_bytes, modified_ns: 0, tag: u128::from_be_bytes(part).max(1) };
        Self { tag: tag.into(), version, modified }
    }

    /// For other servers: size, time in nanoseconds, generation, tag.
    pub(super) fn print(&self, generation: u64) -> String {
        let modified = self.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("{} {} {generation} {}", self.version.size_bytes, modified.as_nanos(), self.tag)
    }

    /// What `print` has written, and the generation.
    pub(super) fn parse(text: &str) -> Option<(Self, u64)> {
        let mut parts = text.splitn(4, ' ');
        let size_bytes = parts.next()?.parse().ok()?;
        let modified = UNIX_EPOCH.checked_add(Duration::from_nanos(parts.next()?.parse().ok()?))?;
        let generation = parts.next()?.parse().ok()?;
        Some((Self::new(parts.next()?, size_bytes, modified), generation))
    }
}

/// The name under which servers tell each other of a source.
pub(super) fn note_name(path: &SourcePath) -> String {
    digest(&SHA256, path.as_str().as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_survive_the_way_to_other_servers() {
        let modified = UNIX_EPOCH + Duration::from_nanos(1_795_451_763_000_000_123);
        let state = State::new("a tag \" with spaces", 7, modified);
        assert_eq!(State::parse(&state.print(9)), Some((state, 9)));
        for wrong in ["", "1 2 3", "a 2 3 t", "1 -2 3 t", "1 2 x t", "1 99999999999999999999999 3 t"] {
            assert_eq!(State::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_known_is_bounded() {
        let known = Known::new();
        for number in 0..100_000 {
            let path = SourcePath::new(&format!("{number:0>100}")).unwrap();
            known.insert(&path, Entry::new(None, Duration::from_secs(60), 0));
        }
        assert!(known.entries.weight() <= MAX_BYTES && known.entries.len() > 10_000);
    }
}
