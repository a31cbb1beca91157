//! Where the files of answers are: a folder of the disk (`folder`), or a bucket of an object storage (`bucket`). Both
//! name them alike: `ab/cdef….jpg` for the answer that is named `abcdef…`.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use super::format_named;
use crate::raster::Format;
use crate::transform::VariantId;

/// Files of answers. A failure of the kind that `is_away` knows says nothing of a file.
pub(super) trait Files: fmt::Debug + Send + Sync {
    /// The bytes of a file that must have this many.
    fn read(&self, id: &VariantId, format: Format, n_bytes: u64) -> io::Result<Vec<u8>>;

    /// The size of a file.
    fn size(&self, id: &VariantId, format: Format) -> io::Result<u64>;

    /// Whether a file is there, as far as can be told without waiting.
    fn is_there_at_once(&self, id: &VariantId, format: Format) -> bool;

    /// Writes files. Each has its name only when it is whole.
    fn write(&self, files: &[NewFile]) -> Vec<io::Result<Written>>;

    /// Removes a file, if it is there.
    fn remove(&self, id: &VariantId, format: Format) -> io::Result<()>;

    /// The same for many.
    fn remove_all(&self, files: &[(VariantId, Format)]) -> Vec<io::Result<()>> {
        files.iter().map(|(id, format)| self.remove(id, *format)).collect()
    }

    /// The files whose names begin with `first`. Those that were never finished are removed.
    fn part(&self, first: u8) -> io::Result<Part>;

    /// Removes a file that nobody is writing; false if somebody may be, or if it is gone. `is_unwanted` is asked once
    /// nobody can be writing it any more.
    fn remove_leftover(&self, id: &VariantId, format: Format, is_unwanted: &dyn Fn() -> bool) -> io::Result<bool>;

    /// Whether servers of several machines have them.
    fn are_shared(&self) -> bool;
}

/// A file that is to be written.
pub(super) struct NewFile<'a> {
    pub(super) id: VariantId,
    pub(super) format: Format,
    pub(super) bytes: &'a Arc<Vec<u8>>,
    pub(super) modified: SystemTime,
}

/// A file that has its name; in a folder, it is locked until this is dropped.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) locked: Option<File>,
}

impl Written {
    /// Whether the file still has its name, which a purge may have removed, or another writer given to another. In a
    /// bucket that is not known; a hit finds out.
    pub(super) fn has_name(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        self.locked.as_ref().is_none_or(|file| file.metadata().is_ok_and(|metadata| metadata.nlink() > 0))
    }
}

/// Some of the files.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) files: HashMap<VariantId, Listed>,
    /// How many were removed that had never been finished.
    pub(super) n_unfinished: u64,
}

/// A file that is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed {
    pub(super) format: Format,
    pub(super) n_bytes: u64,
}

/// The name of an answer's file below the folder of the cache.
#[must_use]
pub fn file_name(id: &VariantId, format: Format) -> String {
    let hex = id.to_string();
    format!("{}/{}.{}", &hex[..2], &hex[2..], format.extension())
}

/// The answer that a file of the part `first` is, if it is one.
pub(super) fn parse_name(first: u8, name: &str) -> Option<(VariantId, Format)> {
    let (hex, extension) = name.split_once('.')?;
    let format = format_named(extension)?;
    let mut id = [0; 32];
    id[0] = first;
    if hex.len() != 62 || !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    for (byte, digits) in id[1..].iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some((VariantId(id), format))
}

/// Whether a failure is that of a storage that cannot be reached now.
pub(super) fn is_away(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotConnected
}

/// The failure of a file that has not the length that it should.
pub(super) fn wrong_length() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "its length is wrong")
}
