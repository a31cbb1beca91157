//! Images in a folder of the local disk. The same folder holds objects (`objects`), which have pages of names (`list`).

mod beneath;
mod list;
mod objects;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open, statat};
use rustix::io::Errno;

use super::incoming::remove_leftovers;
use super::{Found, Incoming, Storage, StoreError, Unread};
use crate::metrics::metrics;
use crate::transform::{SourcePath, SourceVersion};

/// Largest file that is taken into memory; a photograph of 100 megapixels has about 50 MB.
pub(super) const MAX_FILE_BYTES: u64 = 256 << 20;

/// How sources are opened. Without O_NONBLOCK, opening a named pipe would wait for a writer.
const OPEN: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// A folder that is held open: paths are resolved below it by the kernel, so that neither `..` nor a symbolic
/// link can lead out of it, not even one that is swapped in between a check and its use.
#[derive(Debug)]
pub struct LocalStorage {
    root: Arc<OwnedFd>,
}

/// A regular file that was opened but not read.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    path: SourcePath,
}

impl LocalStorage {
    /// Opens a folder, and creates it if it is missing.
    /// # Errors
    /// If it cannot be created or opened, with a text that names it.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let describe = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot use the image folder {}: {error}", folder.display()))
        };
        std::fs::create_dir_all(folder).map_err(describe)?;
        let root = open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| describe(error.into()))?;
        // A folder that may only be read is good for everything but uploads.
        if let Err(error) = remove_leftovers(folder) {
            tracing::warn!(%error, "cannot look for unfinished uploads");
        }
        Ok(Self { root: Arc::new(root) })
    }

    #[cfg(test)]
    pub(super) fn root(&self) -> &Arc<OwnedFd> {
        &self.root
    }

    fn find_resolved(&self, path: &SourcePath, how: ResolveFlags) -> Result<Found, StoreError> {
        let file = self.open_resolved(path, how).map_err(|error| match error {
            // One file that may not be seen is not there; a folder that may not be is trouble.
            Errno::ACCESS => match self.search() {
                Ok(()) => StoreError::NotFound(path.clone()),
                Err(error) => backend("looking into the image folder", path, error),
            },
            error => classify(error.into(), path),
        })?;
        opened(file, path)
    }

    fn open_resolved(&self, path: &SourcePath, how: ResolveFlags) -> rustix::io::Result<OwnedFd> {
        beneath::open(&*self.root, path.as_str(), OPEN, how)
    }
}

/// Symbolic links are followed inside the folder only.
impl Storage for LocalStorage {
    fn find(&self, path: &SourcePath) -> Result<Found, StoreError> {
        self.find_resolved(path, ResolveFlags::empty())
    }

    /// Without a disk, if the kernel has all of the path in its memory.
    fn find_at_once(&self, path: &SourcePath) -> Option<Found> {
        // A kernel before 5.12 does not know the flag: then every source is looked for the other way.
        self.find_resolved(path, ResolveFlags::CACHED).ok()
    }

    fn look_at_once(&self, path: &SourcePath) -> Option<Option<Found>> {
        match self.open_resolved(path, ResolveFlags::CACHED) {
            Ok(file) => opened(file, path).ok().map(Some),
            Err(Errno::NOENT) => Some(None),
            Err(_) => None,
        }
    }

    fn begin(&self) -> Result<Incoming, StoreError> {
        Incoming::new(&self.root)
    }

    /// It cannot if the folder was removed, or the disk does not answer.
    fn check(&self) -> Result<(), StoreError> {
        let removed = || io::Error::new(io::ErrorKind::NotFound, "the image folder was removed");
        let status = fstat(&*self.root).map_err(io::Error::from);
        let is_there = status.and_then(|status| if status.st_nlink == 0 { Err(removed()) } else { Ok(()) });
        is_there.and_then(|()| self.search()).map_err(StoreError::Folder)
    }
}

impl LocalStorage {
    /// Whether anything can be found in the folder: it may have become another's.
    fn search(&self) -> io::Result<()> {
        match statat(&*self.root, "pixlserv-is-looking", AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn opened(file: OwnedFd, path: &SourcePath) -> Result<Found, StoreError> {
    let status = fstat(&file).map_err(|error| backend("status", path, error.into()))?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(StoreError::NotFound(path.clone()));
    }
    let version = version_of(&status);
    let modified = time_of(version.modified_ns);
    let placed = time_of(i128::from(status.st_ctime) * 1_000_000_000 + i128::from(status.st_ctime_nsec));
    let content = Unread::File(OpenFile { file: File::from(file), path: path.clone() });
    Ok(Found { content, version, modified, placed })
}

impl OpenFile {
    /// Reads to the end, which may have moved since the size was looked at; tells whether it has not.
    pub(super) fn read(mut self, version: SourceVersion) -> Result<(Vec<u8>, bool), StoreError> {
        let size_bytes = version.size_bytes;
        if size_bytes > MAX_FILE_BYTES {
            return Err(StoreError::TooLarge { bytes: size_bytes, limit: MAX_FILE_BYTES });
        }
        let mut content = Vec::with_capacity(size_bytes as usize + 1);
        let read = (&mut self.file).take(MAX_FILE_BYTES + 1).read_to_end(&mut content);
        read.map_err(|error| backend("reading", &self.path, error))?;
        if content.len() as u64 > MAX_FILE_BYTES {
            return Err(StoreError::TooLarge { bytes: content.len() as u64, limit: MAX_FILE_BYTES });
        }
        let status = fstat(&self.file).map_err(|error| backend("status", &self.path, error.into()))?;
        let is_whole = version_of(&status) == version && content.len() as u64 == size_bytes;
        Ok((content, is_whole))
    }
}

fn version_of(status: &Stat) -> SourceVersion {
    let modified_ns = i128::from(status.st_mtime) * 1_000_000_000 + i128::from(status.st_mtime_nsec);
    SourceVersion { size_bytes: u64::try_from(status.st_size).unwrap_or_default(), modified_ns, tag: 0 }
}

fn backend(operation: &'static str, path: &SourcePath, source: io::Error) -> StoreError {
    metrics().storage_errors.with_label_values(&["failed"]).inc();
    StoreError::Backend { operation, path: path.to_string(), source }
}

/// What cannot be there, or may not be seen, is not found; only failures of the machine are failures.
fn classify(error: io::Error, path: &SourcePath) -> StoreError {
    let errno = Errno::from_io_error(&error);
    let failed = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::IO, Errno::INTR, Errno::AGAIN, Errno::NOSYS];
    match errno {
        Some(errno) if !failed.contains(&errno) => StoreError::NotFound(path.clone()),
        _ => backend("opening", path, error),
    }
}

fn time_of(modified_ns: i128) -> SystemTime {
    // Times before 1970 exist on disks, but HTTP has no use for them.
    let nanoseconds = u64::try_from(modified_ns).unwrap_or_default();
    UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}
