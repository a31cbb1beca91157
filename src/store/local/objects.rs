//! Objects as files: the parts of a name are folders, which are made as needed and stay.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, mkdirat, unlinkat};
use rustix::io::Errno;

use super::super::incoming::{Incoming, sync_folder};
use super::super::objects::{Content, Fetched, MAX_NAME_BYTES, ObjectError, ObjectState, Objects, Page, Sink};
use super::super::{Storage, StoreError};
use super::{LocalStorage, OPEN, beneath, time_of, version_of};
use crate::transform::RESERVED_PREFIX;

/// Content is read and written in pieces of this size.
const PIECE_BYTES: usize = 64 << 10;
/// Looks at a file, or leads to one, without reading it.
const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
const ANYHOW: ResolveFlags = ResolveFlags::empty();

impl Objects for LocalStorage {
    fn get(&self, name: &str, unless: Option<&str>, into: &mut dyn Sink) -> Result<Fetched, ObjectError> {
        let (file, status) = self.find_object(name, OPEN)?;
        let state = state_of(&status);
        if unless == Some(state.tag.as_str()) {
            return Ok(Fetched::Unchanged);
        }
        into.begin(&state).map_err(ObjectError::Content)?;
        let mut file = File::from(file);
        let mut piece = vec![0; PIECE_BYTES];
        let mut n_bytes = 0;
        loop {
            let n_read = file.read(&mut piece).map_err(|error| failed("reading", error))?;
            n_bytes += n_read as u64;
            if n_read == 0 || n_bytes > state.size_bytes {
                break;
            }
            into.write(&piece[..n_read]).map_err(ObjectError::Content)?;
        }
        let after = fstat(&file).map_err(|error| failed("reading", error.into()))?;
        if n_bytes == state.size_bytes && version_of(&after) == version_of(&status) {
            Ok(Fetched::Whole(state))
        } else {
            Err(ObjectError::Failed("the file was changed while it was read".to_owned()))
        }
    }

    fn head(&self, name: &str) -> Result<ObjectState, ObjectError> {
        self.find_object(name, PATH).map(|(_, status)| state_of(&status))
    }

    fn put(&self, name: &str, content: &Content, _content_type: &str) -> Result<(), ObjectError> {
        check_name(name).map_err(|reason| ObjectError::Refused(reason.to_owned()))?;
        let (folder, file_name) = self.make_folder_of(name).map_err(not_stored)?;
        let incoming = fill(Incoming::named(&self.root).map_err(not_written)?, content)?;
        incoming.replace(folder, file_name).map_err(not_stored)
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        match self.find_object(name, PATH) {
            Err(ObjectError::Missing) => return Ok(()),
            found => found?,
        };
        let (folder, file_name) = split(name);
        let removed = beneath::open(&*self.root, folder.unwrap_or("."), PATH | OFlags::DIRECTORY, ANYHOW)
            .and_then(|folder| unlinkat(&folder, file_name, AtFlags::empty()).map(|()| folder));
        match removed {
            Ok(folder) => sync_folder(folder).map_err(|error| failed("removing", error)),
            // Another was faster.
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(failed("removing", error.into())),
        }
    }

    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, ObjectError> {
        super::list::page(self, prefix, after, limit)
    }

    fn check(&self) -> Result<(), ObjectError> {
        Storage::check(self).map_err(|error| ObjectError::Unreachable(error.to_string()))
    }
}

impl LocalStorage {
    /// Opens the regular file of a name.
    pub(super) fn find_object(&self, name: &str, how: OFlags) -> Result<(OwnedFd, Stat), ObjectError> {
        check_name(name).map_err(|_| ObjectError::Missing)?;
        let opened = beneath::open(&*self.root, name, how, ANYHOW);
        let file = opened.map_err(|error| if is_nowhere(error) { ObjectError::Missing } else { unopened(error) })?;
        let status = fstat(&file).map_err(|error| failed("looking", error.into()))?;
        if FileType::from_raw_mode(status.st_mode) == FileType::RegularFile {
            Ok((file, status))
        } else {
            Err(ObjectError::Missing)
        }
    }

    /// The folder of a name, made if it is not there, and the last part of the name.
    fn make_folder_of<'a>(&self, name: &'a str) -> io::Result<(OwnedFd, &'a str)> {
        let open = |path: &str| beneath::open(&*self.root, path, PATH | OFlags::DIRECTORY, ANYHOW);
        let (Some(path), file_name) = split(name) else { return Ok((open(".")?, name)) };
        match open(path) {
            Err(Errno::NOENT) => {}
            folder => return Ok((folder?, file_name)),
        }
        let mut folder = open(".")?;
        for (slash, _) in name.match_indices('/') {
            let path = &name[..slash];
            folder = match open(path) {
                Err(Errno::NOENT) => {
                    match mkdirat(&folder, split(path).1, Mode::from_raw_mode(0o755)) {
                        // Another was faster, and may not have come to the next step.
                        Ok(()) | Err(Errno::EXIST) => sync_folder(&folder)?,
                        Err(error) => return Err(error.into()),
                    }
                    open(path)?
                }
                folder => folder?,
            };
        }
        Ok((folder, file_name))
    }
}

/// The folder of a name, if it is not the root, and its last part.
fn split(name: &str) -> (Option<&str>, &str) {
    name.rsplit_once('/').map_or((None, name), |(folder, file_name)| (Some(folder), file_name))
}

/// Whether a disk can have a file of this name, as far as the name tells; and why not.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return Err("a name has 1 to 1024 bytes");
    }
    if name.chars().any(char::is_control) {
        return Err("a name has no control characters");
    }
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("a folder cannot have names with empty parts, '.' and '..'");
    }
    if name.starts_with(RESERVED_PREFIX) {
        return Err("names of this beginning are for unfinished files");
    }
    Ok(())
}

pub(super) fn state_of(status: &Stat) -> ObjectState {
    let version = version_of(status);
    let placed_ns = i128::from(status.st_ctime) * 1_000_000_000 + i128::from(status.st_ctime_nsec);
    // The low halves of times are enough to tell them apart.
    let (modified, placed) = (version.modified_ns as u64, placed_ns as u64);
    ObjectState {
        tag: format!("{:x}-{modified:x}-{placed:x}-{:x}", version.size_bytes, status.st_ino),
        size_bytes: version.size_bytes,
        modified: time_of(version.modified_ns),
        content_type: String::new(),
    }
}

fn fill(mut incoming: Incoming, content: &Content) -> Result<Incoming, ObjectError> {
    let mut reader = content.reader();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match reader.read(&mut piece).map_err(ObjectError::Content)? {
            0 if incoming.n_bytes() == content.n_bytes() => return Ok(incoming),
            0 => return Err(ObjectError::Content(io::ErrorKind::UnexpectedEof.into())),
            n_read => incoming.write(&piece[..n_read]).map_err(not_written)?,
        }
    }
}

/// Whether there can be nothing: not there, below a file, too long, or outside of the folder.
pub(super) fn is_nowhere(error: Errno) -> bool {
    [Errno::NOENT, Errno::NOTDIR, Errno::NAMETOOLONG, Errno::LOOP, Errno::XDEV, Errno::NXIO].contains(&error)
}

pub(super) fn unopened(error: Errno) -> ObjectError {
    failed("opening", error.into())
}

fn failed(operation: &str, error: io::Error) -> ObjectError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => ObjectError::Refused(format!("{operation} is not permitted: {error}")),
        _ => ObjectError::Failed(format!("{operation} failed: {error}")),
    }
}

fn not_written(error: StoreError) -> ObjectError {
    match error {
        StoreError::Full { source, .. } => ObjectError::Content(source),
        StoreError::Backend { operation, source, .. } => failed(operation, source),
        error => ObjectError::Failed(error.to_string()),
    }
}

/// Why a file did not get its name.
fn not_stored(error: io::Error) -> ObjectError {
    use io::ErrorKind;
    let refused = |reason: &str| ObjectError::Refused(format!("the folder cannot have this name: {reason}"));
    match (error.kind(), Errno::from_io_error(&error)) {
        (ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem, _) => {
            ObjectError::Content(error)
        }
        (_, Some(Errno::NAMETOOLONG)) => refused("a part of it is too long"),
        (_, Some(Errno::NOTDIR)) => refused("a part of it is a file"),
        (_, Some(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY)) => refused("it is that of a folder"),
        (_, Some(Errno::LOOP | Errno::XDEV)) => refused("it leads elsewhere"),
        _ => failed("storing", error),
    }
}
