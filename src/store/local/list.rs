//! Pages of objects: a walk through folders in the order of whole names. The entries of a folder come from the disk in
//! any order; of those, only as many are kept as a page may need.

use std::collections::BinaryHeap;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, FileType, OFlags, ResolveFlags, statat};

use super::super::objects::{Listed, MAX_NAME_BYTES, ObjectError, Page};
use super::objects::{check_name, is_nowhere, state_of, unopened};
use super::{LocalStorage, beneath};
use crate::transform::RESERVED_PREFIX;

/// Largest page.
const MAX_PAGE: usize = 1000;

/// What [`Objects::list`](super::super::objects::Objects::list) promises.
pub(super) fn page(
    storage: &LocalStorage,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Page, ObjectError> {
    let limit = limit.min(MAX_PAGE);
    // One more, to know whether there is another page.
    let mut walk = Walk { storage, prefix, after: after.unwrap_or_default(), n_wanted: limit + 1, objects: Vec::new() };
    let folder = prefix.rfind('/').map_or("", |slash| &prefix[..=slash]);
    if folder.is_empty() || check_name(&folder[..folder.len() - 1]).is_ok() {
        walk.folder(folder)?;
    }
    let mut objects = walk.objects;
    let is_more = objects.len() > limit;
    objects.truncate(limit);
    let next = objects.last().filter(|_| is_more).map(|last| last.name.clone());
    Ok(Page { objects, next })
}

struct Walk<'a> {
    storage: &'a LocalStorage,
    prefix: &'a str,
    after: &'a str,
    n_wanted: usize,
    objects: Vec<Listed>,
}

impl Walk<'_> {
    /// Takes what is in a folder, whose name ends with `/`, or is empty.
    fn folder(&mut self, folder: &str) -> Result<(), ObjectError> {
        let mut seen = String::new();
        loop {
            let (names, is_all) = self.first_names(folder, &seen)?;
            for name in &names {
                if name.ends_with('/') {
                    self.folder(name)?
                } else {
                    self.file(name)?
                }
                if self.objects.len() == self.n_wanted {
                    return Ok(());
                }
            }
            // Folders may be empty, and files gone: then those that were not kept have their turn.
            match names.into_iter().next_back() {
                Some(last) if !is_all => seen = last,
                _ => return Ok(()),
            }
        }
    }

    fn file(&mut self, name: &str) -> Result<(), ObjectError> {
        match self.storage.find_object(name, OFlags::PATH | OFlags::CLOEXEC) {
            Err(ObjectError::Missing) => {}
            found => {
                let state = state_of(&found?.1);
                let (size_bytes, modified) = (state.size_bytes, state.modified);
                self.objects.push(Listed { name: name.to_owned(), size_bytes, modified });
            }
        }
        Ok(())
    }

    /// The first names in a folder that are wanted and come after `seen`, in order, and whether these are all. Those of
    /// folders end with `/`: so they have the place of the objects in them, as `a.b` < `a/b` < `a0`.
    fn first_names(&self, folder: &str, seen: &str) -> Result<(Vec<String>, bool), ObjectError> {
        let mut first = BinaryHeap::new();
        let mut is_all = true;
        let Some(open) = self.open(folder)? else { return Ok((Vec::new(), true)) };
        for entry in Dir::read_from(&open).map_err(unopened)? {
            let entry = entry.map_err(unopened)?;
            let Ok(part) = entry.file_name().to_str() else { continue };
            if matches!(part, "." | "..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => statat(&open, part, AtFlags::SYMLINK_NOFOLLOW)
                    .map_or(FileType::Unknown, |status| FileType::from_raw_mode(status.st_mode)),
                kind => kind,
            };
            let name = match kind {
                FileType::Directory => format!("{folder}{part}/"),
                FileType::RegularFile | FileType::Symlink => format!("{folder}{part}"),
                _ => continue,
            };
            if name.as_str() <= seen || !self.is_wanted(&name) {
                continue;
            }
            first.push(name);
            if first.len() > self.n_wanted {
                first.pop();
                is_all = false;
            }
        }
        Ok((first.into_sorted_vec(), is_all))
    }

    /// Whether this is, or may hold, what the page is of.
    fn is_wanted(&self, name: &str) -> bool {
        let is_folder = name.ends_with('/');
        (name.starts_with(self.prefix) || is_folder && self.prefix.starts_with(name))
            && (name > self.after || is_folder && self.after.starts_with(name))
            && name.len() <= MAX_NAME_BYTES
            && !name.starts_with(RESERVED_PREFIX)
    }

    fn open(&self, folder: &str) -> Result<Option<OwnedFd>, ObjectError> {
        let path = if folder.is_empty() { "." } else { folder };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Links to folders are not followed here: their objects have other names already.
        match beneath::open(&*self.storage.root, path, flags, ResolveFlags::NO_SYMLINKS) {
            Ok(folder) => Ok(Some(folder)),
            Err(error) if is_nowhere(error) => Ok(None),
            Err(error) => Err(unopened(error)),
        }
    }
}
