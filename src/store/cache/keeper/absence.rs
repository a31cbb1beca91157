//! What the keeper does about an index that cannot be reached, and once it is back.

use std::time::Instant;

use super::super::complaints::is_away;
use super::super::format_named;
use super::{MAX_BATCH, Pending, TIDY_INTERVAL, Worker, has_name, tidy};
use crate::index::Record;
use crate::transform::VariantId;

impl Worker {
    /// Lets records of files that are written wait for the index, if there is room. Tells which are kept.
    pub(super) fn defer(&mut self, records: &[(Record, u64)], written: &[Pending]) -> Vec<bool> {
        let n_bytes = records.iter().map(|(record, _)| record.bytes).sum();
        if !self.backlog.has_room(records.len(), n_bytes, self.options.limit_bytes) {
            return vec![false; records.len()];
        }
        let is_kept: Vec<bool> = written.iter().map(has_name).collect();
        let kept = records.iter().zip(&is_kept).filter(|(_, is_kept)| **is_kept);
        self.backlog.add(kept.map(|(record, _)| record.clone()).collect());
        is_kept
    }

    /// Tells the index what it has missed; then files and records are looked through, since it may have lost some.
    pub(super) fn catch_up(&mut self) {
        let n_returns = self.shelf.index.n_returns();
        // What fails to be removed from a bucket is found there later, as are files of servers that have died.
        self.is_untidy |= self.shelf.files.are_shared() && self.tidied.elapsed() >= TIDY_INTERVAL;
        if n_returns == self.n_returns && self.backlog.is_empty() && !self.is_untidy {
            return;
        }
        if !self.settle() || !self.flush() {
            return;
        }
        self.is_untidy |= n_returns != self.n_returns;
        self.n_returns = n_returns;
        if !self.is_untidy || !self.tidying.is_finished() {
            return;
        }
        // The limit may be exceeded: others were told of their records meanwhile.
        let began = self.make_room(0).map_err(|error| self.shelf.complaints.about("making room", &error)).is_ok();
        if began {
            match tidy(&self.shelf, &self.is_stopping, n_returns) {
                Ok(tidying) => (self.tidying, self.is_untidy, self.tidied) = (tidying, false, Instant::now()),
                Err(error) => self.shelf.complaints.about("starting a thread", &error),
            }
        }
    }

    /// Records what was written without the index; false if it is away again.
    fn settle(&mut self) -> bool {
        while !self.backlog.is_empty() {
            let batch = self.backlog.first(MAX_BATCH);
            let n_records = batch.len();
            let there: Vec<_> = batch.iter().filter(|(record, _)| self.is_there(record)).cloned().collect();
            match self.shelf.index.insert(&there) {
                Ok(inserted) => {
                    self.shelf.remove_files(&inserted.gone);
                    self.is_untidy |= inserted.is_kept.contains(&false);
                }
                Err(error) if is_away(&error) => return false,
                Err(error) => {
                    self.shelf.complaints.about("writing the index", &error);
                    self.is_untidy = true;
                }
            }
            // Files of those that are refused have no record: the pass removes them.
            self.backlog.remove_first(n_records);
        }
        true
    }

    /// Whether the file of a record that has waited is still there. In a bucket, a hit finds out.
    fn is_there(&self, record: &Record) -> bool {
        if self.shelf.files.are_shared() {
            return true;
        }
        let size = |format| self.shelf.files.size(&VariantId(record.id), format);
        format_named(&record.extension).is_some_and(|format| size(format).is_ok_and(|bytes| bytes == record.bytes))
    }
}
