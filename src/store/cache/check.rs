//! Whether files and records fit together: after a crash, they may not. Goes through the cache part by part, so that
//! neither memory nor a lock is held for all of it.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::path::Path;

use super::super::leftover::remove_leftover;
use super::complaints::is_away;
use super::folder::{TEMPORARY, parse_name};
use super::{Shelf, format_of};
use crate::index::{Id, IndexError, Record};
use crate::raster::Format;
use crate::transform::VariantId;

/// Records read at once.
const PAGE: usize = 1000;

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
    #[error("reading the folder of the cache")]
    Folder(#[from] io::Error),
}

impl Shelf {
    /// The pass at the start of a server, and when the index is back after an absence; what it finds is logged.
    pub(super) fn tidy(&self, is_over: &dyn Fn() -> bool) {
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
        let mut files = self.files(first, report)?;
        let mut from: Id = [0; 32];
        from[0] = first;
        loop {
            let page = self.index.page(&from, PAGE)?;
            for record in page.iter().filter(|record| record.id[0] == first) {
                files.remove(&VariantId(record.id));
                if self.is_right(record, depth) || self.mend(&VariantId(record.id))? {
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
        for (id, format) in files {
            let is_unwanted = || self.index.find(&id.0).is_ok_and(|record| record.is_none());
            if is_unwanted() && remove_leftover(&self.folder.path(&id, format), is_unwanted)? {
                self.recall.note(&id, None);
                report.n_orphans += 1;
            }
        }
        Ok(())
    }

    /// The files of one part. Those that were never finished go.
    fn files(&self, first: u8, report: &mut Report) -> io::Result<HashMap<VariantId, Format>> {
        let mut files = HashMap::new();
        let entries = match std::fs::read_dir(self.folder.part(first)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            if name.starts_with(TEMPORARY) {
                report.n_unfinished += u64::from(remove_leftover(Path::new(&entry.path()), || true)?);
            } else {
                // What has another name is not ours to remove.
                files.extend(parse_name(first, name));
            }
        }
        Ok(files)
    }

    /// Looks at an answer once more, and removes record and file if they do not fit. True if they do, or are gone.
    pub(super) fn mend(&self, id: &VariantId) -> Result<bool, CheckError> {
        let Some(record) = self.index.find(&id.0)? else {
            return Ok(true);
        };
        if self.is_right(&record, Depth::Content) {
            return Ok(true);
        }
        self.index.remove(&[record.id])?;
        self.recall.note(id, None);
        if let Some(format) = format_of(&record) {
            self.folder.remove(id, format)?;
        }
        Ok(false)
    }

    fn is_right(&self, record: &Record, depth: Depth) -> bool {
        let id = VariantId(record.id);
        let Some(format) = format_of(record) else {
            return false;
        };
        match depth {
            Depth::Size => self.folder.size(&id, format).is_ok_and(|bytes| bytes == record.bytes),
            Depth::Content => self
                .folder
                .read(&id, format, record.bytes)
                .is_ok_and(|bytes| crc32fast::hash(&bytes) == record.checksum),
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
