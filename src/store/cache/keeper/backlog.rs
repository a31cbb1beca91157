//! Answers that were written while the index could not be reached: their files are there, and their records wait.

use crate::index::Record;

/// Records that wait, at most; beyond them nothing is kept.
const MAX_RECORDS: usize = 4096;

/// Records for the index, in the order in which their files were written.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    records: Vec<(Record, u64)>,
    n_bytes: u64,
    /// Bytes of all answers when the index told last.
    total: Option<u64>,
}

impl Backlog {
    /// Notes the bytes of all answers.
    pub(super) fn note_total(&mut self, n_bytes: u64) {
        self.total = Some(n_bytes);
    }

    /// Whether so many more may wait, without the cache becoming larger than `limit` (0 is none) as far as is known.
    pub(super) fn has_room(&self, n_records: usize, n_bytes: u64, limit: u64) -> bool {
        let fits = limit == 0 || self.total.is_some_and(|total| total + self.n_bytes + n_bytes <= limit);
        fits && self.records.len() + n_records <= MAX_RECORDS
    }

    pub(super) fn add(&mut self, records: Vec<(Record, u64)>) {
        self.n_bytes += records.iter().map(|(record, _)| record.bytes).sum::<u64>();
        self.records.extend(records);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records that have waited longest.
    pub(super) fn first(&self, n_records: usize) -> &[(Record, u64)] {
        &self.records[..n_records.min(self.records.len())]
    }

    /// Forgets those.
    pub(super) fn remove_first(&mut self, n_records: usize) {
        let removed = self.records.drain(..n_records.min(self.records.len()));
        self.n_bytes -= removed.map(|(record, _)| record.bytes).sum::<u64>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bytes: u64) -> (Record, u64) {
        let record = Record {
            id: [0; 32],
            source: String::new(),
            version: String::new(),
            description: String::new(),
            extension: String::new(),
            bytes,
            checksum: 0,
            made_us: 0,
            last_access_us: 0,
            count: 0,
        };
        (record, 0)
    }

    #[test]
    fn it_is_bounded_by_records_and_bytes() {
        let mut backlog = Backlog::default();
        assert!(backlog.has_room(1, u64::MAX, 0) && !backlog.has_room(1, 1, 100), "how full the cache is is not known");
        backlog.note_total(50);
        assert!(backlog.has_room(1, 50, 100) && !backlog.has_room(1, 51, 100));
        backlog.add(vec![record(20), record(30)]);
        assert!(backlog.has_room(1, 0, 100) && !backlog.has_room(1, 1, 100));
        backlog.remove_first(1);
        assert!(backlog.has_room(1, 20, 100) && !backlog.has_room(1, 21, 100));
        assert_eq!(backlog.first(9).len(), 1);
        backlog.add(vec![record(0); MAX_RECORDS - 2]);
        assert!(backlog.has_room(1, 0, 0) && !backlog.has_room(2, 0, 0));
        backlog.remove_first(usize::MAX);
        assert!(backlog.is_empty() && backlog.has_room(MAX_RECORDS, 50, 100));
    }
}
