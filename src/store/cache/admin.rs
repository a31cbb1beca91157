//! What the command line does with a cache, while servers use it.

use super::{Shelf, now_us};
use crate::index::{IndexError, Record, Totals};

/// Records read at once.
const PAGE: usize = 1000;

impl Shelf {
    /// Number and size of all answers.
    /// # Errors
    /// If the index fails.
    pub fn totals(&self) -> Result<Totals, IndexError> {
        self.index.totals()
    }

    /// The generation after the last purge; the embedded store counts purges so.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.index.generation()
    }

    /// Gives every record whose source begins with `prefix` to `take`, ordered by source, until that returns false.
    /// # Errors
    /// If the index fails.
    pub fn list(&self, prefix: &str, mut take: impl FnMut(&Record) -> bool) -> Result<(), IndexError> {
        let mut last: Option<Record> = None;
        loop {
            let page = self.index.list(prefix, last.as_ref(), PAGE)?;
            if page.is_empty() || !page.iter().all(&mut take) {
                return Ok(());
            }
            last = page.into_iter().last();
        }
    }

    /// Removes all answers of a source; what is being made of it will not be kept. Returns how many went.
    /// # Errors
    /// If the index fails; then some files may be removed, of which the next look at them finds that they are missing.
    pub fn purge(&self, source: &str) -> Result<usize, IndexError> {
        // A server may make an answer anew under the same name, as soon as it can be recorded: only the old file goes.
        if !self.files.are_shared() {
            return Ok(self.index.purge(source, now_us(), &mut |gone| self.remove_files(gone))?.len());
        }
        // A bucket is too slow for that. If the new file goes, too, the next hit finds it missing.
        let gone = self.index.purge(source, now_us(), &mut |_| {})?;
        self.remove_files(&gone);
        Ok(gone.len())
    }

    /// Removes all answers; what is being made will not be kept. Returns how many went, and their bytes.
    /// # Errors
    /// If the index fails; then some may be removed already, and none of them is served any more.
    pub fn clear(&self) -> Result<Totals, IndexError> {
        let (mut cleared, mut late) = (Totals::default(), Vec::new());
        self.index.clear(now_us(), &mut |gone| {
            cleared.records += gone.len() as u64;
            cleared.bytes += gone.iter().map(|gone| gone.bytes).sum::<u64>();
            if self.files.are_shared() {
                late.extend_from_slice(gone);
            } else {
                self.remove_files(gone);
            }
        })?;
        self.remove_files(&late);
        Ok(cleared)
    }
}
