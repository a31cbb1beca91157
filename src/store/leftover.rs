//! Files that were never finished. Who writes one holds a lock on it; one that is not locked was left behind by a
//! crash.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Removes a file that nobody is writing; false if somebody is, or if it is gone. `is_unwanted` is asked once nobody
/// can be writing it any more.
pub(super) fn remove_leftover(path: &Path, is_unwanted: impl FnOnce() -> bool) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    if file.try_lock().is_err() || !is_unwanted() {
        return Ok(false);
    }
    remove(path)?;
    Ok(true)
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
