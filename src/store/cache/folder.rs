//! The files of the cache: `ab/cdef….jpg` for the answer that is named `abcdef…`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use super::super::leftover::remove;
use super::format_named;
use crate::raster::Format;
use crate::transform::VariantId;

/// How a name begins while its file is written.
pub(super) const TEMPORARY: &str = ".new-";

/// How often a new file may be removed by others before it is given up.
const CREATE_TRIES: usize = 3;

/// The folder of all files.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Differs between processes, also between those that have the same number in different containers.
    writer: u128,
    n_written: AtomicU64,
}

/// A file that has its name, and is locked until this is dropped.
#[derive(Debug)]
pub(super) struct Written {
    locked: File,
}

impl Written {
    /// Whether the file still has its name, which a purge may have removed, or another writer given to another.
    pub(super) fn has_name(&self) -> bool {
        self.locked.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
    }
}

/// The name of an answer's file below the folder of the cache.
#[must_use]
pub fn file_name(id: &VariantId, format: Format) -> String {
    let hex = id.to_string();
    format!("{}/{}.{}", &hex[..2], &hex[2..], format.extension())
}

impl Folder {
    /// Makes the folder, which a proxy may read, if it is not there.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        make_folder(root)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let writer = since.as_nanos() << 32 | u128::from(std::process::id());
        Ok(Self { root: root.to_owned(), writer, n_written: AtomicU64::new(0) })
    }

    /// The folder of the answers whose names begin with `first`.
    pub(super) fn part(&self, first: u8) -> PathBuf {
        self.root.join(format!("{first:02x}"))
    }

    pub(super) fn path(&self, id: &VariantId, format: Format) -> PathBuf {
        self.root.join(file_name(id, format))
    }

    /// The bytes of a file that must have this many.
    pub(super) fn read(&self, id: &VariantId, format: Format, n_bytes: u64) -> io::Result<Vec<u8>> {
        let file = File::open(self.path(id, format))?;
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "its length is wrong");
        if file.metadata()?.len() != n_bytes {
            return Err(wrong());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(n_bytes).map_err(|_| wrong())?);
        file.take(n_bytes).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == n_bytes { Ok(bytes) } else { Err(wrong()) }
    }

    /// The size of a file.
    pub(super) fn size(&self, id: &VariantId, format: Format) -> io::Result<u64> {
        Ok(fs::metadata(self.path(id, format))?.len())
    }

    /// Whether a file is there, as far as the kernel can tell without a disk.
    pub(super) fn is_there_at_once(&self, id: &VariantId, format: Format) -> bool {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        openat2(CWD, self.path(id, format), flags, Mode::empty(), ResolveFlags::CACHED).is_ok()
    }

    /// Writes a file under another name and gives it its own.
    pub(super) fn write(
        &self,
        id: &VariantId,
        format: Format,
        bytes: &[u8],
        modified: SystemTime,
        fsync: bool,
    ) -> io::Result<Written> {
        let part = self.part(id.0[0]);
        let number = self.n_written.fetch_add(1, Ordering::Relaxed);
        let temporary = part.join(format!("{TEMPORARY}{:x}-{number}", self.writer));
        let file = match create(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_folder(&part)?;
                create(&temporary)?
            }
            file => file?,
        };
        let written = fill(&file, bytes, modified, fsync).and_then(|()| fs::rename(&temporary, self.path(id, format)));
        if let Err(error) = written {
            remove(&temporary)?;
            return Err(error);
        }
        if fsync {
            File::open(&part)?.sync_all()?;
        }
        Ok(Written { locked: file })
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, id: &VariantId, format: Format) -> io::Result<()> {
        remove(&self.path(id, format))
    }
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

/// A new file, locked. A pass over leftovers may take it for one before the lock is there; after that, none will.
fn create(path: &Path) -> io::Result<File> {
    for _ in 0..CREATE_TRIES {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
        file.lock()?;
        if file.metadata()?.nlink() > 0 {
            return Ok(file);
        }
    }
    Err(io::Error::other("the file is removed again and again"))
}

fn fill(mut file: &File, bytes: &[u8], modified: SystemTime, fsync: bool) -> io::Result<()> {
    file.write_all(bytes)?;
    file.set_modified(modified)?;
    if fsync { file.sync_all() } else { Ok(()) }
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}
