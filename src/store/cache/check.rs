//! Whether files and records fit together: after a crash, they may not. Goes through the cache part by part, so that
//! neither memory nor a lock is held for all of it.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::complaints::is_away;
use super::files::{self, Listed, Part};
use super::{Shelf, format_of};
use crate::index::{Id, IndexError, Record, process_name};
use crate::transform::VariantId;

/// Records read at once.
const PAGE: usize = 1000;

/// The claim on a pass over files that servers share, and how soon there is not to be another.
const TIDYING: &str = "tidy";
const TIDYING_CLAIM: Duration = Duration::from_mins(10);

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Answers that are as they should be.
    pub n_good: u64,
    /// Records whose file is missing, has another length or, if that was looked at, other content; removed.
    pub n_bad: u64,
    /// Files without a record; removed.
    pub n_orphans: u64,
    /// Files whose writer has died; removed.
    pub n_unfinished: u64,
}

impl Report {
    /// Whether nothing had to be removed.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.n_bad + self.n_orphans + self.n_unfinished == 0
    }
}

/// How closely a file is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Size,
    Content,
}

/// Why a pass was given up.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The index failed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The folder cannot be read, or not be written to.
    #[error("reading the files of the cache")]
    Folder(#[from] io::Error),
}

impl Shelf {
    /// The pass at the start of a server, and when the index is back after an absence; what it finds is logged.
    pub(super) fn tidy(&self, is_over: &dyn Fn() -> bool) {
        // What many servers have, one looks through for all.
        if self.files.are_shared()
            && let Some(shared) = self.index.shared()
            && !shared.claim(TIDYING, &process_name(), TIDYING_CLAIM).unwrap_or(false)
        {
            return;
        }
        match self.check_all(Depth::Size, is_over) {
            Ok(report) if report.is_clean() => {}
            Ok(Report { n_bad, n_orphans, n_unfinished, .. }) => tracing::info!(
                "the cache was left in the middle of work: removed {n_bad} records without their file, {n_orphans} \
                 files without a record and {n_unfinished} unfinished files"
            ),
            // It is done once the index is back.
            Err(error) if is_away(&error) => {}
            Err(error) => tracing::warn!(error = &error as &dyn Error, "the cache could not be looked through"),
        }
    }

    /// Looks at every file and record, content included, and removes what is wrong.
    /// # Errors
    /// If folder or index cannot be read.
    pub fn verify(&self) -> Result<Report, CheckError> {
        self.check_all(Depth::Content, &|| false)
    }

    fn check_all(&self, depth: Depth, is_over: &dyn Fn() -> bool) -> Result<Report, CheckError> {
        let mut report = Report::default();
        for first in 0..=u8::MAX {
            if is_over() {
                break;
            }
            self.check_part(first, depth, &mut report)?;
        }
        Ok(report)
    }

    /// Everything whose name begins with one byte.
    fn check_part(&self, first: u8, depth: Depth, report: &mut Report) -> Result<(), CheckError> {
        let Part { mut files, n_unfinished } = self.files.part(first)?;
        report.n_unfinished += n_unfinished;
        let mut from: Id = [0; 32];
        from[0] = first;
        loop {
            let page = self.index.page(&from, PAGE)?;
            for record in page.iter().filter(|record| record.id[0] == first) {
                let listed = files.remove(&VariantId(record.id));
                let has_size = listed.is_some_and(|listed| listed.n_bytes == record.bytes);
                if has_size && depth == Depth::Size || self.mend(&VariantId(record.id))? {
                    report.n_good += 1;
                } else {
                    report.n_bad += 1;
                }
            }
            match page.last() {
                Some(last) if last.id[0] == first && page.len() == PAGE => from = successor(last.id),
                _ => break,
            }
        }
        for (id, Listed { format, .. }) in files {
            let is_unwanted = || self.index.find(&id.0).is_ok_and(|record| record.is_none());
            if is_unwanted() && self.files.remove_leftover(&id, format, &is_unwanted)? {
                self.recall.note(&id, None);
                report.n_orphans += 1;
            }
        }
        Ok(())
    }

    /// Looks at an answer once more, and removes record and file if they do not fit. True if they do, or are gone.
    pub(super) fn mend(&self, id: &VariantId) -> Result<bool, CheckError> {
        let Some(record) = self.index.find(&id.0)? else {
            return Ok(true);
        };
        if self.is_right(&record)? {
            return Ok(true);
        }
        self.index.remove(&[record.id])?;
        self.recall.note(id, None);
        if let Some(format) = format_of(&record) {
            self.files.remove(id, format)?;
        }
        Ok(false)
    }

    /// Whether the file of a record has its content.
    fn is_right(&self, record: &Record) -> io::Result<bool> {
        let Some(format) = format_of(record) else {
            return Ok(false);
        };
        match self.files.read(&VariantId(record.id), format, record.bytes) {
            Ok(bytes) => Ok(crc32fast::hash(&bytes) == record.checksum),
            Err(error) if files::is_away(&error) => Err(error),
            Err(_) => Ok(false),
        }
    }
}

/// The next name.
fn successor(mut id: Id) -> Id {
    for byte in id.iter_mut().rev() {
        let (next, is_over) = byte.overflowing_add(1);
        *byte = next;
        if !is_over {
            break;
        }
    }
    id
}
