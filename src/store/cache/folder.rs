//! Files of answers in a folder of the disk.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

use super::super::leftover::{remove, remove_leftover};
use super::files::{Files, Listed, NewFile, Part, Written, file_name, parse_name, wrong_length};
use crate::raster::Format;
use crate::transform::VariantId;

/// How a name begins while its file is written.
const TEMPORARY: &str = ".new-";

/// How often a new file may be removed by others before it is given up.
const CREATE_TRIES: usize = 3;

/// The folder of all files.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// Differs between processes, also between those that have the same number in different containers.
    writer: u128,
    n_written: AtomicU64,
    /// Whether a file is on the disk itself before it gets its name.
    fsync: bool,
}

impl Folder {
    /// Makes the folder, which a proxy may read, if it is not there.
    pub(super) fn open(root: &Path, fsync: bool) -> io::Result<Self> {
        make_folder(root)?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let writer = since.as_nanos() << 32 | u128::from(std::process::id());
        Ok(Self { root: root.to_owned(), writer, n_written: AtomicU64::new(0), fsync })
    }

    /// The folder of the answers whose names begin with `first`.
    fn part_path(&self, first: u8) -> PathBuf {
        self.root.join(format!("{first:02x}"))
    }

    fn path(&self, id: &VariantId, format: Format) -> PathBuf {
        self.root.join(file_name(id, format))
    }

    /// Writes a file under another name and gives it its own.
    fn write_one(&self, file: &NewFile) -> io::Result<Written> {
        let part = self.part_path(file.id.0[0]);
        let number = self.n_written.fetch_add(1, Ordering::Relaxed);
        let temporary = part.join(format!("{TEMPORARY}{:x}-{number}", self.writer));
        let locked = match create(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_folder(&part)?;
                create(&temporary)?
            }
            file => file?,
        };
        let written = fill(&locked, file.bytes, file.modified, self.fsync)
            .and_then(|()| fs::rename(&temporary, self.path(&file.id, file.format)));
        if let Err(error) = written {
            remove(&temporary)?;
            return Err(error);
        }
        if self.fsync {
            File::open(&part)?.sync_all()?;
        }
        Ok(Written { locked: Some(locked) })
    }
}

impl Files for Folder {
    fn read(&self, id: &VariantId, format: Format, n_bytes: u64) -> io::Result<Vec<u8>> {
        let file = File::open(self.path(id, format))?;
        if file.metadata()?.len() != n_bytes {
            return Err(wrong_length());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(n_bytes).map_err(|_| wrong_length())?);
        file.take(n_bytes).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == n_bytes { Ok(bytes) } else { Err(wrong_length()) }
    }

    fn size(&self, id: &VariantId, format: Format) -> io::Result<u64> {
        Ok(fs::metadata(self.path(id, format))?.len())
    }

    /// As far as the kernel can tell without a disk.
    fn is_there_at_once(&self, id: &VariantId, format: Format) -> bool {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        openat2(CWD, self.path(id, format), flags, Mode::empty(), ResolveFlags::CACHED).is_ok()
    }

    fn write(&self, files: &[NewFile]) -> Vec<io::Result<Written>> {
        files.iter().map(|file| self.write_one(file)).collect()
    }

    fn remove(&self, id: &VariantId, format: Format) -> io::Result<()> {
        remove(&self.path(id, format))
    }

    fn part(&self, first: u8) -> io::Result<Part> {
        let mut part = Part::default();
        let entries = match fs::read_dir(self.part_path(first)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(part),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            if name.starts_with(TEMPORARY) {
                part.n_unfinished += u64::from(remove_leftover(&entry.path(), || true)?);
                continue;
            }
            // What has another name is not ours to remove; and one may be gone by now.
            if let (Some((id, format)), Ok(metadata)) = (parse_name(first, name), entry.metadata()) {
                part.files.insert(id, Listed { format, n_bytes: metadata.len() });
            }
        }
        Ok(part)
    }

    fn remove_leftover(&self, id: &VariantId, format: Format, is_unwanted: &dyn Fn() -> bool) -> io::Result<bool> {
        remove_leftover(&self.path(id, format), is_unwanted)
    }

    fn are_shared(&self) -> bool {
        false
    }
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
