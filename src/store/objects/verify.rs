//! Whether a bucket can be used as it must be, with words that name what is to be mended.

use std::sync::Arc;

use super::{Content, Fetched, InMemory, ObjectError, Objects};
use crate::index::process_name;

/// Lists, and looks for an object that is not there.
/// # Errors
/// If one of that is refused, or the storage fails.
pub fn verify_reading(objects: &dyn Objects) -> Result<(), ObjectError> {
    objects.list("cache/", None, 1)?;
    match objects.get(&name(), None, &mut InMemory::new(1024)) {
        Ok(_) | Err(ObjectError::Missing) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Stores, reads and removes an object.
/// # Errors
/// If one of that is refused, or the storage fails.
pub fn verify_writing(objects: &dyn Objects) -> Result<(), ObjectError> {
    let name = name();
    let content = Arc::new(b"pixlserv looks whether it may write here".to_vec());
    if let Err(error) = objects.put(&name, &Content::Bytes(Arc::clone(&content)), "text/plain") {
        // It may have been stored all the same.
        let _ = objects.delete(&name);
        return Err(error);
    }
    let mut read = InMemory::new(1024);
    let fetched = objects.get(&name, None, &mut read);
    let deleted = objects.delete(&name);
    match fetched? {
        Fetched::Whole(_) if read.bytes == *content => deleted,
        _ => Err(ObjectError::Failed("what was stored is not what is read".to_owned())),
    }
}

/// Below the names of cached answers, with a name that none has.
fn name() -> String {
    format!("cache/.pixlserv-check-{}", process_name())
}
