//! Hot answers in memory.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::Image;
use crate::metrics::{self, metrics};
use crate::transform::VariantId;

/// What an answer takes beside its bytes: key, counts, a place in the table.
const OVERHEAD_BYTES: u64 = 200;
/// The size that most answers have, for the first size of the table.
const USUAL_BYTES: u64 = 32 << 10;

/// Answers in memory, those that are asked for again and again; in all no larger than allowed.
#[derive(Debug)]
pub(super) struct Hot {
    images: Cache<VariantId, Arc<HotImage>, Weight>,
}

/// An answer and what is known of it.
#[derive(Debug)]
pub(super) struct HotImage {
    pub(super) image: Image,
    /// The generation of the cache in which this was known to be right.
    generation: AtomicU64,
    is_on_disk: AtomicBool,
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<VariantId, Arc<HotImage>> for Weight {
    fn weight(&self, _: &VariantId, hot: &Arc<HotImage>) -> u64 {
        hot.image.bytes.len() as u64 + OVERHEAD_BYTES
    }
}

/// A cache for so many bytes, whose entries usually have `usual_bytes`, which sizes the first table.
pub(super) fn bounded<K: Eq + Hash, V: Clone, W: Weighter<K, V> + Clone>(
    bytes: u64,
    usual_bytes: u64,
    weighter: W,
) -> Cache<K, V, W> {
    let options = OptionsBuilder::new()
        // Nearly all reads come from one thread; and an entry may be as large as its shard.
        .shards(1)
        .estimated_items_capacity(usize::try_from(bytes / usual_bytes).unwrap_or(usize::MAX).clamp(16, 1 << 16))
        .weight_capacity(bytes)
        .build()
        .expect("both capacities are given");
    Cache::with_options(options, weighter, DefaultHashBuilder::default(), DefaultLifecycle::default())
}

impl Hot {
    /// Room for so many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        Self { images: bounded(bytes, USUAL_BYTES, Weight) }
    }

    /// Another room from now on.
    pub(super) fn set_capacity(&self, bytes: u64) {
        self.images.set_capacity(bytes);
        self.show();
    }

    pub(super) fn get(&self, id: &VariantId) -> Option<Arc<HotImage>> {
        self.images.get(id)
    }

    pub(super) fn insert(&self, id: VariantId, image: Image, generation: u64, is_on_disk: bool) -> Arc<HotImage> {
        let is_on_disk = AtomicBool::new(is_on_disk);
        let hot = Arc::new(HotImage { image, generation: AtomicU64::new(generation), is_on_disk });
        self.images.insert(id, Arc::clone(&hot));
        self.show();
        hot
    }

    pub(super) fn remove(&self, id: &VariantId) {
        self.images.remove(id);
        self.show();
    }

    fn show(&self) {
        metrics::show(&metrics().cache_memory_bytes, self.images.weight());
    }
}

impl HotImage {
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Notes that no purge up to `generation` was about this.
    pub(super) fn confirm(&self, generation: u64) {
        self.generation.fetch_max(generation, Ordering::AcqRel);
    }

    pub(super) fn is_on_disk(&self) -> bool {
        self.is_on_disk.load(Ordering::Relaxed)
    }

    pub(super) fn set_on_disk(&self) {
        self.is_on_disk.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::Format;

    #[test]
    fn memory_is_bounded_and_large_answers_fit() {
        let hot = Hot::new(1 << 20);
        let image = |n_bytes| Image { format: Format::Png, bytes: Arc::new(vec![0; n_bytes]) };
        for number in 0..1000_u16 {
            let mut id = [0; 32];
            id[..2].copy_from_slice(&number.to_be_bytes());
            hot.insert(VariantId(id), image(10_000), 0, false);
            assert!(hot.images.weight() <= 1 << 20);
        }
        assert!(hot.images.len() > 90, "{}", hot.images.len());
        hot.insert(VariantId([9; 32]), image(900_000), 0, false);
        assert!(hot.get(&VariantId([9; 32])).is_some());
        hot.insert(VariantId([8; 32]), image(2 << 20), 0, false);
        assert!(hot.get(&VariantId([8; 32])).is_none() && hot.images.weight() <= 1 << 20);
    }
}
