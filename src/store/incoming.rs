//! A file on its way into the folder of images: it has no name while it is written, so that neither a crash nor a
//! client that leaves lets anything remain, and gets its own in one step, when it is on the disk.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat, unlinkat};
use rustix::io::Errno;

use super::StoreError;
use super::leftover::remove_leftover;
use crate::transform::{RESERVED_PREFIX, SourcePath};

/// Tells files apart that one process writes at the same time.
static N_NAMED: AtomicU64 = AtomicU64::new(0);

/// A file without a name. It goes with this value, unless it is stored.
#[derive(Debug)]
pub struct Incoming {
    folder: Arc<OwnedFd>,
    file: File,
    n_bytes: u64,
    /// On file systems without files that have no name: one that no image can have. The file is locked as long.
    temporary: Option<String>,
}

impl Incoming {
    pub(super) fn new(folder: &Arc<OwnedFd>) -> Result<Self, StoreError> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        let unnamed = openat(&**folder, ".", flags, Mode::from_raw_mode(0o644));
        match unnamed {
            // The name is given by way of /proc, which may be missing.
            Ok(file) if Path::new("/proc/self/fd").exists() => {
                Ok(Self { folder: Arc::clone(folder), file: file.into(), n_bytes: 0, temporary: None })
            }
            Ok(_) | Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => Self::named(folder),
            Err(error) => Err(failed("creating a file", error.into())),
        }
    }

    fn named(folder: &Arc<OwnedFd>) -> Result<Self, StoreError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let number = N_NAMED.fetch_add(1, Ordering::Relaxed);
        let name = format!("{RESERVED_PREFIX}{since:x}-{:x}-{number}", std::process::id());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&**folder, name.as_str(), flags, Mode::from_raw_mode(0o644));
        let file = File::from(file.map_err(|error| failed("creating a file", error.into()))?);
        let incoming = Self { folder: Arc::clone(folder), file, n_bytes: 0, temporary: Some(name) };
        incoming.file.lock().map_err(|error| failed("locking a file", error))?;
        Ok(incoming)
    }

    /// Appends to the file.
    /// # Errors
    /// If the disk is full, or fails.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(|error| failed("writing a file", error))?;
        self.n_bytes += bytes.len() as u64;
        Ok(())
    }

    /// How much was written.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// All that was written.
    /// # Errors
    /// If the disk fails.
    pub fn read(&self) -> Result<Vec<u8>, StoreError> {
        let failed = |error| failed("reading a file", error);
        let n_bytes = usize::try_from(self.n_bytes).map_err(|error| failed(io::Error::other(error)))?;
        let mut content = vec![0; n_bytes];
        self.file.read_exact_at(&mut content, 0).map_err(failed)?;
        Ok(content)
    }

    /// Gives the file its name, once it is on the disk itself; a file that has the name already is left alone.
    /// # Errors
    /// If there is a file of that name, or the disk fails. The name is not given then, unless the last step failed, by
    /// which it would have survived a power cut.
    pub fn store(self, name: &SourcePath) -> Result<(), StoreError> {
        self.file.sync_all().map_err(|error| failed("writing a file", error))?;
        let linked = match &self.temporary {
            Some(temporary) => {
                linkat(&*self.folder, temporary.as_str(), &*self.folder, name.as_str(), AtFlags::empty())
            }
            None => {
                let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                linkat(CWD, path, &*self.folder, name.as_str(), AtFlags::SYMLINK_FOLLOW)
            }
        };
        linked.map_err(|error| failed("naming a file", error.into()))?;
        // The folder is held open for paths only: those cannot be written through.
        let folder = openat(&*self.folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let folder = folder.map_err(|error| failed("opening the image folder", error.into()))?;
        File::from(folder).sync_all().map_err(|error| failed("writing the image folder", error))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary
            && let Err(error) = unlinkat(&*self.folder, temporary.as_str(), AtFlags::empty())
        {
            tracing::warn!(%error, "cannot remove an unfinished upload; the next start does");
        }
    }
}

/// Removes what a crash has left of files with names.
pub(super) fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(RESERVED_PREFIX)) {
            remove_leftover(&entry.path(), || true)?;
        }
    }
    Ok(())
}

fn failed(operation: &'static str, source: io::Error) -> StoreError {
    use io::ErrorKind;
    let is_full = matches!(
        source.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem | ErrorKind::FileTooLarge
    );
    if is_full {
        return StoreError::Full { operation, source };
    }
    StoreError::Backend { operation, path: "an upload".to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::super::LocalStorage;
    use super::*;

    fn check(begin: impl Fn(&Arc<OwnedFd>) -> Result<Incoming, StoreError>) {
        let folder = tempfile::tempdir().unwrap();
        let names = || {
            let entries = std::fs::read_dir(folder.path()).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort_unstable();
            names
        };
        let storage = LocalStorage::open(folder.path()).unwrap();
        let name = SourcePath::new("1-a.jpg").unwrap();
        let mut incoming = begin(storage.root()).unwrap();
        incoming.write(b"some ").unwrap();
        incoming.write(b"bytes").unwrap();
        assert_eq!((incoming.n_bytes(), incoming.read().unwrap()), (10, b"some bytes".to_vec()));
        // A pass over leftovers takes nothing that is being written.
        remove_leftovers(folder.path()).unwrap();
        incoming.store(&name).unwrap();
        assert_eq!(names(), ["1-a.jpg"]);
        let mut second = begin(storage.root()).unwrap();
        second.write(b"others").unwrap();
        assert!(matches!(second.store(&name), Err(StoreError::Backend { .. })), "nothing is written over");
        assert_eq!(std::fs::read(folder.path().join("1-a.jpg")).unwrap(), b"some bytes");
        drop(begin(storage.root()).unwrap());
        assert_eq!(names(), ["1-a.jpg"], "what is not stored is gone");
    }

    #[test]
    fn a_file_comes_whole_or_not_at_all() {
        check(Incoming::new);
        check(Incoming::named);
    }

    #[test]
    fn leftovers_are_removed_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".pixlserv-1"), "left").unwrap();
        std::fs::write(folder.path().join(".other"), "kept").unwrap();
        LocalStorage::open(folder.path()).unwrap();
        assert!(!folder.path().join(".pixlserv-1").exists() && folder.path().join(".other").exists());
    }
}
