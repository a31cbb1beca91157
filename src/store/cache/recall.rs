//! What this process has found in the index or written there, for the time when the index cannot be reached: hits go
//! on. A purge has removed the file, and one of the same name that was made since has another checksum or the same
//! content.

use quick_cache::sync::Cache;

use super::format_named;
use crate::index::{Gone, Record};
use crate::raster::Format;
use crate::transform::VariantId;

/// Answers that are recalled, at most.
const MAX_RECALLED: usize = 1 << 16;

/// What it takes to read an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) format: Format,
    pub(super) bytes: u64,
    pub(super) checksum: u32,
}

impl Known {
    /// `None` if the record is of a file that is none of ours.
    pub(super) fn of(record: &Record) -> Option<Self> {
        let format = format_named(&record.extension)?;
        Some(Self { format, bytes: record.bytes, checksum: record.checksum })
    }
}

/// Answers that are known; none where the index is always there.
#[derive(Debug)]
pub(super) struct Recall {
    known: Option<Cache<VariantId, Known>>,
}

impl Recall {
    pub(super) fn new(can_be_away: bool) -> Self {
        Self { known: can_be_away.then(|| Cache::new(MAX_RECALLED)) }
    }

    pub(super) fn get(&self, id: &VariantId) -> Option<Known> {
        self.known.as_ref()?.get(id)
    }

    /// Notes what the index has of an answer.
    pub(super) fn note(&self, id: &VariantId, known: Option<Known>) {
        match (&self.known, known) {
            (Some(all), Some(known)) => all.insert(*id, known),
            (Some(all), None) => drop(all.remove(id)),
            (None, _) => {}
        }
    }

    /// Forgets what is gone.
    pub(super) fn forget(&self, gone: &[Gone]) {
        for gone in gone {
            self.note(&VariantId(gone.id), None);
        }
    }
}
