//! What was made before: in memory, else on disk. It never fails a request, and never answers what a purge took back.
//!
//! The generation of the cache grows with every purge. Work notes it when it begins, and what it makes carries it
//! along: an answer of an older generation counts only after a look at what was purged since.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::flights::Lead;
use super::hot::{Hot, HotImage};
use super::turns::Turn;
use super::{Answer, Image, Made, Origin, now_us};
use crate::store::cache::{CacheOptions, Fill, Purge, Purges, VariantCache, file_name};
use crate::transform::{SourcePath, VariantId};

/// Answers that were made before, if any are to be kept.
#[derive(Debug)]
pub struct Cache {
    hot: Option<Hot>,
    disk: Option<Arc<VariantCache>>,
    /// What was purged up to a generation.
    purged: RwLock<(u64, Purges)>,
}

/// An answer that is in memory, if there is room for it, and not on disk yet.
pub(super) struct Remembered {
    hot: Option<Arc<HotImage>>,
    fill: Fill,
}

/// What holds a flight open until its answer is where the next request finds it.
pub(super) type MakeLead = Lead<(VariantId, u64), Made>;

impl Cache {
    /// A cache on disk, with `memory_bytes` of hot answers in front of it.
    #[must_use]
    pub fn new(disk: Arc<VariantCache>, memory_bytes: u64) -> Self {
        Self { hot: (memory_bytes > 0).then(|| Hot::new(memory_bytes)), disk: Some(disk), purged: RwLock::default() }
    }

    /// A cache that keeps nothing.
    #[must_use]
    pub fn none() -> Self {
        Self { hot: None, disk: None, purged: RwLock::default() }
    }

    /// Other bounds from now on. What is not kept in memory now is not later.
    pub fn set_limits(&self, options: CacheOptions, memory_bytes: u64) {
        if let Some(hot) = &self.hot {
            hot.set_capacity(memory_bytes);
        }
        if let Some(disk) = &self.disk {
            disk.set_options(options);
        }
    }

    /// Whether anything is kept at all.
    pub(super) fn keeps(&self) -> bool {
        self.hot.is_some() || self.disk.is_some()
    }

    /// Writes what is still to be written; false if `timeout` was not enough.
    pub(super) fn close(&self, timeout: Duration) -> bool {
        self.disk.as_ref().is_none_or(|disk| disk.close(timeout))
    }

    /// Grows with every purge. Never waits; `None` where it would have to.
    pub(super) fn generation_at_once(&self) -> Option<u64> {
        self.disk.as_ref().map_or(Some(0), |disk| disk.generation_at_once())
    }

    /// Grows with every purge.
    pub(super) fn generation(&self) -> u64 {
        self.disk.as_ref().map_or(0, |disk| disk.generation())
    }

    /// The last purge of a source. Tag and time of its answers change with it, since a purge says that they may be
    /// others although nothing of the source tells. Never waits; `None` if it would have to.
    pub(super) fn last_purge_at_once(&self, source: &SourcePath) -> Option<Purge> {
        self.last_purge_as_of(self.generation_at_once()?, source)
    }

    /// As `last_purge_at_once`, after a look at the index if there were new ones.
    pub(super) fn last_purge(&self, source: &SourcePath) -> Purge {
        let generation = self.generation();
        if let Some(last) = self.last_purge_as_of(generation, source) {
            return last;
        }
        let purges = self.disk.as_ref().map(|disk| disk.purges());
        let mut purged = self.purged.write().unwrap_or_else(PoisonError::into_inner);
        match purges {
            // Nobody can tell whether it was this one.
            Some(None) => return Purge { generation, at_us: now_us() }.max(purged.1.last_of(source.as_str())),
            Some(Some(purges)) if purged.0 <= generation => *purged = (generation, purges),
            _ => {}
        }
        purged.1.last_of(source.as_str())
    }

    fn last_purge_as_of(&self, generation: u64, source: &SourcePath) -> Option<Purge> {
        let purged = self.purged.read().unwrap_or_else(PoisonError::into_inner);
        (purged.0 == generation).then(|| purged.1.last_of(source.as_str()))
    }

    /// An answer in memory of which no purge can have been since. Never waits.
    pub(super) fn at_once(&self, id: &VariantId) -> Option<Arc<HotImage>> {
        let hot = self.hot.as_ref()?.get(id)?;
        let is_current = Some(hot.generation()) == self.generation_at_once();
        is_current.then(|| {
            self.touch(id);
            hot
        })
    }

    /// Where the file of an answer in memory is below the folder of the cache: the answer may have left the disk before
    /// the memory. Never waits.
    pub(super) fn locate_at_once(&self, id: &VariantId) -> Option<String> {
        let hot = self.at_once(id).filter(|hot| hot.is_on_disk())?;
        let format = hot.image.format;
        let is_there = self.disk.as_ref()?.is_there_at_once(id, format);
        is_there.then(|| file_name(id, format))
    }

    /// An answer in memory or on disk. `generation` was read before.
    pub(super) fn get(&self, answer: &Answer, generation: u64) -> Option<(Image, Origin)> {
        if let Some(hot) = self.hot_and_right(answer, generation) {
            self.touch(&answer.id);
            return Some((hot.image.clone(), Origin::Memory));
        }
        let found = self.disk.as_ref()?.get(&answer.id)?;
        let image = Image { format: found.format, bytes: Arc::new(found.bytes) };
        if let Some(hot) = &self.hot {
            hot.insert(answer.id, image.clone(), found.generation.min(generation), true);
        }
        self.touch(&answer.id);
        Some((image, Origin::Disk))
    }

    /// Where the file of an answer is, below the folder of the cache.
    pub(super) fn locate(&self, answer: &Answer) -> Option<String> {
        let place = self.disk.as_ref()?.locate(&answer.id)?;
        self.touch(&answer.id);
        Some(place)
    }

    /// Keeps an answer in memory; what is returned is for the disk.
    pub(super) fn remember(&self, answer: &Answer, image: &Image, generation: u64) -> Remembered {
        let hot = self.hot.as_ref().map(|hot| hot.insert(answer.id, image.clone(), generation, false));
        let fill = Fill {
            id: answer.id,
            source: answer.source.clone(),
            version: answer.version,
            description: answer.describe(),
            format: image.format,
            bytes: Arc::clone(&image.bytes),
            modified: answer.modified,
            generation,
        };
        Remembered { hot, fill }
    }

    /// Keeps an answer on disk, and `leads` until it is there, or cannot be: one for this server, one for all.
    pub(super) fn write(&self, remembered: Remembered, leads: (MakeLead, Turn)) {
        let Remembered { hot, fill } = remembered;
        let done = move |is_kept| {
            if let Some(hot) = hot.filter(|_| is_kept) {
                hot.set_on_disk();
            }
            drop(leads);
        };
        if let Some(disk) = &self.disk {
            disk.keep(fill, Box::new(done));
        }
    }

    /// Whether an answer is on disk, as the index says.
    pub(super) fn is_on_disk(&self, id: &VariantId) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.has(id))
    }

    fn hot_and_right(&self, answer: &Answer, generation: u64) -> Option<Arc<HotImage>> {
        let hot = self.hot.as_ref()?;
        let image = hot.get(&answer.id)?;
        if image.generation() == generation {
            // While the index cannot be asked, a purge that others have done tells itself by the file that it has removed.
            let is_told = self.generation_at_once().is_some();
            return Some(image).filter(|image| is_told || self.is_there(&answer.id, image));
        }
        let is_purged = self.disk.as_ref().is_some_and(|disk| disk.is_purged(&answer.source, image.generation()));
        if is_purged {
            hot.remove(&answer.id);
            return None;
        }
        image.confirm(generation);
        Some(image)
    }

    fn is_there(&self, id: &VariantId, image: &HotImage) -> bool {
        let disk = self.disk.as_ref();
        image.is_on_disk() && disk.is_some_and(|disk| disk.is_there(id, image.image.format))
    }

    fn touch(&self, id: &VariantId) {
        if let Some(disk) = &self.disk {
            disk.touch(id);
        }
    }
}
