//! Files of answers as objects of a bucket, under `cache/`. Servers of several machines have them: a file without a
//! record may be one that another is about to record, so that only old ones are taken for leftovers.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, SystemTime};

use super::super::objects::{Content, Fetched, InMemory, ObjectError, Objects};
use super::files::{Files, Listed, NewFile, Part, Written, file_name, parse_name, wrong_length};
use crate::raster::Format;
use crate::transform::VariantId;

/// Names of answers begin so; no image can be named so.
const PREFIX: &str = "cache/";
/// A file without a record is a leftover when it is so old: no record waits for so long.
const LEFTOVER_AGE: Duration = Duration::from_hours(24);
/// Files that are written or removed at once: each waits for the network most of the time.
const MAX_CALLS: usize = 16;
/// Objects listed at once.
const PAGE: usize = 1000;

/// The objects.
#[derive(Debug)]
pub(super) struct BucketFiles {
    objects: Arc<dyn Objects>,
}

impl BucketFiles {
    pub(super) fn new(objects: Arc<dyn Objects>) -> Self {
        Self { objects }
    }

    fn write_one(&self, file: &NewFile) -> io::Result<Written> {
        let content = Content::Bytes(Arc::clone(file.bytes));
        let put = self.objects.put(&name(&file.id, file.format), &content, file.format.media_type());
        put.map(|()| Written { locked: None }).map_err(as_io)
    }
}

impl Files for BucketFiles {
    fn read(&self, id: &VariantId, format: Format, n_bytes: u64) -> io::Result<Vec<u8>> {
        let mut content = InMemory::new(n_bytes);
        match self.objects.get(&name(id, format), None, &mut content) {
            Ok(Fetched::Whole(_)) if content.bytes.len() as u64 == n_bytes => Ok(content.bytes),
            Ok(_) => Err(wrong_length()),
            Err(ObjectError::Content(error)) if error.kind() == io::ErrorKind::FileTooLarge => Err(wrong_length()),
            Err(error) => Err(as_io(error)),
        }
    }

    fn size(&self, id: &VariantId, format: Format) -> io::Result<u64> {
        self.objects.head(&name(id, format)).map(|state| state.size_bytes).map_err(as_io)
    }

    fn is_there_at_once(&self, _: &VariantId, _: Format) -> bool {
        false
    }

    fn write(&self, files: &[NewFile]) -> Vec<io::Result<Written>> {
        side_by_side(files, |file| self.write_one(file))
    }

    fn remove(&self, id: &VariantId, format: Format) -> io::Result<()> {
        self.objects.delete(&name(id, format)).map_err(as_io)
    }

    fn remove_all(&self, files: &[(VariantId, Format)]) -> Vec<io::Result<()>> {
        side_by_side(files, |(id, format)| self.remove(id, *format))
    }

    fn part(&self, first: u8) -> io::Result<Part> {
        let prefix = format!("{PREFIX}{first:02x}/");
        let mut part = Part::default();
        let mut after: Option<String> = None;
        loop {
            let page = self.objects.list(&prefix, after.as_deref(), PAGE).map_err(as_io)?;
            for object in page.objects {
                let name = object.name.strip_prefix(&prefix).unwrap_or_default();
                // What has another name is not ours to remove.
                if let Some((id, format)) = parse_name(first, name) {
                    part.files.insert(id, Listed { format, n_bytes: object.size_bytes });
                }
            }
            if page.next.is_none() {
                return Ok(part);
            }
            if page.next == after {
                return Err(as_io(ObjectError::Failed("a list of objects does not end".to_owned())));
            }
            after = page.next;
        }
    }

    fn remove_leftover(&self, id: &VariantId, format: Format, is_unwanted: &dyn Fn() -> bool) -> io::Result<bool> {
        let modified = match self.objects.head(&name(id, format)) {
            Err(ObjectError::Missing) => return Ok(false),
            state => state.map_err(as_io)?.modified,
        };
        let age = SystemTime::now().duration_since(modified).unwrap_or_default();
        if age < LEFTOVER_AGE || !is_unwanted() {
            return Ok(false);
        }
        self.remove(id, format)?;
        Ok(true)
    }

    fn are_shared(&self) -> bool {
        true
    }
}

/// Does the same with each, some of them at the same time.
fn side_by_side<I: Sync, T: Send>(items: &[I], work: impl Fn(&I) -> T + Sync) -> Vec<T> {
    if let [item] = items {
        return vec![work(item)];
    }
    let next = Mutex::new(items.iter().enumerate());
    let done = Mutex::new(Vec::new());
    let take = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work_through = || {
        while let Some((index, item)) = take() {
            let result = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..items.len().min(MAX_CALLS) {
            // With fewer threads it takes longer.
            let _ = thread::Builder::new().name("cache-bucket".to_owned()).spawn_scoped(scope, work_through);
        }
        work_through();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

fn name(id: &VariantId, format: Format) -> String {
    format!("{PREFIX}{}", file_name(id, format))
}

/// What `super::files` tells apart.
fn as_io(error: ObjectError) -> io::Error {
    match error {
        ObjectError::Missing => io::ErrorKind::NotFound.into(),
        ObjectError::Content(error) => error,
        error => io::Error::new(io::ErrorKind::NotConnected, error),
    }
}
