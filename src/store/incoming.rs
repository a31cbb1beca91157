//! A file on its way to the other images. For a folder, it has no name while it is written, so that neither a crash nor a
//! client that leaves lets anything remain, and gets its own in one step, when it is on the disk.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::leftover::remove_leftover;
use super::objects::{Content, Objects};
use super::{StoreError, bucket};
use crate::raster::Format;
use crate::transform::{RESERVED_PREFIX, SourcePath};

/// Tells files apart that one process writes at the same time.
static N_NAMED: AtomicU64 = AtomicU64::new(0);

/// A file without a name. It goes with this value, unless it is stored.
#[derive(Debug)]
pub struct Incoming {
    place: Place,
    file: File,
    n_bytes: u64,
}

/// Where it will get its name.
#[derive(Debug)]
enum Place {
    Folder {
        folder: Arc<OwnedFd>,
        /// One that no image can have: on file systems without files that have no name, and for what takes the place of
        /// another. The file is locked as long.
        temporary: Option<String>,
    },
    Bucket(Arc<dyn Objects>),
}

impl Incoming {
    pub(super) fn new(folder: &Arc<OwnedFd>) -> Result<Self, StoreError> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        let unnamed = openat(&**folder, ".", flags, Mode::from_raw_mode(0o644));
        match unnamed {
            // The name is given by way of /proc, which may be missing.
            Ok(file) if Path::new("/proc/self/fd").exists() => {
                let place = Place::Folder { folder: Arc::clone(folder), temporary: None };
                Ok(Self { place, file: file.into(), n_bytes: 0 })
            }
            Ok(_) | Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => Self::named(folder),
            Err(error) => Err(failed("creating a file", error.into())),
        }
    }

    /// As `new`, with a temporary name: only what has one can take the place of another file.
    pub(super) fn named(folder: &Arc<OwnedFd>) -> Result<Self, StoreError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let number = N_NAMED.fetch_add(1, Ordering::Relaxed);
        let name = format!("{RESERVED_PREFIX}{since:x}-{:x}-{number}", std::process::id());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&**folder, name.as_str(), flags, Mode::from_raw_mode(0o644));
        let file = File::from(file.map_err(|error| failed("creating a file", error.into()))?);
        let place = Place::Folder { folder: Arc::clone(folder), temporary: Some(name) };
        let incoming = Self { place, file, n_bytes: 0 };
        incoming.file.lock().map_err(|error| failed("locking a file", error))?;
        Ok(incoming)
    }

    /// One that is on its way into a bucket, and in `folder` before.
    pub(super) fn for_bucket(objects: &Arc<dyn Objects>, folder: &Path) -> Result<Self, StoreError> {
        let file = bucket::unnamed_file(folder).map_err(|error| failed("creating a file", error))?;
        Ok(Self { place: Place::Bucket(Arc::clone(objects)), file, n_bytes: 0 })
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

    /// Gives the file its name, once it is in the bucket or on the disk itself; a file that has the name already is left
    /// alone on a disk.
    /// # Errors
    /// If there is a file of that name, or the storage fails. The name is not given then, unless the last step failed, by
    /// which it would have survived a power cut; or a bucket has stored it without saying so.
    pub fn store(&self, name: &SourcePath, format: Format) -> Result<(), StoreError> {
        let (folder, temporary) = match &self.place {
            Place::Folder { folder, temporary } => (folder, temporary),
            Place::Bucket(objects) => {
                let file = self.file.try_clone().map_err(|error| failed("reading a file", error))?;
                let content = Content::File { file: Arc::new(file), n_bytes: self.n_bytes };
                return bucket::store(&**objects, name, &content, format);
            }
        };
        self.file.sync_all().map_err(|error| failed("writing a file", error))?;
        let linked = match temporary {
            Some(temporary) => linkat(&**folder, temporary.as_str(), &**folder, name.as_str(), AtFlags::empty()),
            None => {
                let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                linkat(CWD, path, &**folder, name.as_str(), AtFlags::SYMLINK_FOLLOW)
            }
        };
        linked.map_err(|error| failed("naming a file", error.into()))?;
        sync_folder(&**folder).map_err(|error| failed("writing the image folder", error))
    }

    /// Gives a file that is `named` this name in `folder`, once it is on the disk, in place of what has the name. Its
    /// time is that of now to the nanosecond, finer than what the system gives by itself.
    /// # Errors
    /// What the disk says. The name is not given then, unless the last step failed.
    pub(super) fn replace(mut self, folder: impl AsFd, name: &str) -> io::Result<()> {
        let Place::Folder { folder: root, temporary } = &mut self.place else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        self.file.set_modified(SystemTime::now())?;
        self.file.sync_all()?;
        renameat(&**root, temporary.as_deref().ok_or(io::ErrorKind::InvalidInput)?, folder.as_fd(), name)?;
        *temporary = None;
        sync_folder(folder)
    }
}

/// Brings the names of a folder to the disk. Folders are held open for paths only: those cannot be written through.
pub(super) fn sync_folder(folder: impl AsFd) -> io::Result<()> {
    let folder = openat(folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    File::from(folder).sync_all()
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Place::Folder { folder, temporary: Some(temporary) } = &self.place
            && let Err(error) = unlinkat(&**folder, temporary.as_str(), AtFlags::empty())
        {
            tracing::warn!(%error, "cannot remove an unfinished file; the next start does");
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
        incoming.store(&name, Format::Jpeg).unwrap();
        drop(incoming);
        assert_eq!(names(), ["1-a.jpg"]);
        let mut second = begin(storage.root()).unwrap();
        second.write(b"others").unwrap();
        assert!(
            matches!(second.store(&name, Format::Jpeg), Err(StoreError::Backend { .. })),
            "nothing is written over"
        );
        assert_eq!(std::fs::read(folder.path().join("1-a.jpg")).unwrap(), b"some bytes");
        drop((second, begin(storage.root()).unwrap()));
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
