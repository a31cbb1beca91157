//! How much memory the server may take, and what follows from it for the bounds that the file does not set. The limit is that
//! of the file, else the one that the system sets for the process (its cgroup).

use std::fs;
use std::path::Path;

use super::{Cache, FrontDoor};

/// What the program takes without any work: code, threads, index, buffers of allocators.
const BASE_BYTES: u64 = 64 << 20;
/// Larger numbers are how a cgroup says that there is no limit.
const NO_LIMIT: u64 = 1 << 60;
/// Less is not enough to serve anything.
const MIN_LIMIT: u64 = 128 << 20;
/// Memory for ten photographs of 8 megapixels, or for one of 24 and more for each thread.
const WORK_BYTES: u64 = 256 << 20;
const WORK_BYTES_PER_THREAD: u64 = 64 << 20;
/// Less is enough for nothing.
const MIN_WORK_BYTES: u64 = 16 << 20;
/// What an upload takes in memory while it comes.
const UPLOAD_BYTES: u64 = 256 << 10;
/// What a connection takes beside a head that has not come to its end.
const CONNECTION_BYTES: u64 = 1 << 10;

/// A limit of memory for all of the process, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// The limit.
    pub bytes: u64,
    /// `memory-limit` or `the cgroup`.
    pub source: &'static str,
}

/// The limit as the file has it: 0 leaves it to the system.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemoryBytes(pub(super) u64);

impl TryFrom<i64> for MemoryBytes {
    type Error = String;
    fn try_from(bytes: i64) -> Result<Self, String> {
        match u64::try_from(bytes) {
            Ok(bytes) if bytes == 0 || (MIN_LIMIT..NO_LIMIT).contains(&bytes) => Ok(Self(bytes)),
            _ => Err(format!("must be 0 or {MIN_LIMIT} to {}, got {bytes}", NO_LIMIT - 1)),
        }
    }
}

/// Bounds of memory that the file does not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shares {
    pub(super) work: u64,
    pub(super) cache: u64,
    pub(super) unwritten: u64,
    pub(super) unsent: u64,
    pub(super) uploads: u32,
    pub(super) connections: u32,
}

impl Shares {
    /// The usual ones for this many threads that draw, and heads of this size; with a limit, no more than together fit
    /// into it.
    pub(super) fn new(limit: Option<MemoryLimit>, n_threads: usize, head_bytes: u32) -> Self {
        let (cache, door) = (Cache::default(), FrontDoor::default());
        let usual = Self {
            work: WORK_BYTES.max(WORK_BYTES_PER_THREAD * n_threads as u64),
            cache: cache.memory_bytes,
            unwritten: cache.unwritten_bytes,
            unsent: door.max_unsent_bytes,
            uploads: door.max_uploads,
            connections: door.max_connections,
        };
        let Some(MemoryLimit { bytes, .. }) = limit else {
            return usual;
        };
        let room = bytes.saturating_sub(BASE_BYTES).max(bytes / 4);
        // How many of something fit into a sixteenth, or two of them.
        let number = |sixteenths: u64, bytes: u64, usual: u32| {
            u32::try_from((room * sixteenths / 16 / bytes).clamp(1, usual.into())).unwrap_or(usual)
        };
        // With sources and stamps, work takes 11/8 of its share. All together is 15/16 of the room.
        Self {
            work: usual.work.min(room * 5 / 16).max(MIN_WORK_BYTES),
            cache: usual.cache.min(room / 8),
            unwritten: usual.unwritten.min(room / 16),
            unsent: usual.unsent.min(room / 8).max(1 << 20),
            uploads: number(1, UPLOAD_BYTES, usual.uploads),
            connections: number(2, u64::from(head_bytes) + CONNECTION_BYTES, usual.connections),
        }
    }
}

impl super::Config {
    /// What one image may take: no bound but where the process has one. What needs more than the memory for all pixels is
    /// made alone, and must leave room for the program and what is kept.
    #[must_use]
    pub fn most_memory_of_one(&self) -> u64 {
        let room = |limit: MemoryLimit| limit.bytes.saturating_sub(BASE_BYTES) / 4 * 3;
        self.memory_limit.map_or(u64::MAX, |limit| room(limit).max(self.work.memory_bytes))
    }

    /// What the process takes if everything is at its bound: of pixels, with their sources and stamps, of caches and queues,
    /// of uploads.
    #[must_use]
    pub fn most_memory(&self) -> u64 {
        let (work, door) = (self.work.memory_bytes, &self.front_door);
        let cache = if self.cache.is_enabled { self.cache.memory_bytes + self.cache.unwritten_bytes } else { 0 };
        // Each may have sent a head that is not whole, or be ahead with the next one.
        let connections = u64::from(door.max_connections) * (u64::from(door.max_head_bytes) + CONNECTION_BYTES);
        BASE_BYTES
            + work
            + work / 4
            + work / 8
            + cache
            + door.max_unsent_bytes
            + u64::from(door.max_uploads) * UPLOAD_BYTES
            + connections
    }
}

/// The limit of the cgroup of this process, or of one around it: the smallest. `None` if there is none.
pub(super) fn of_cgroup() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    smallest(&groups, Path::new("/sys/fs/cgroup"))
}

/// `groups` is what `/proc/self/cgroup` says: `0::/path` of version 2, `7:memory:/path` of version 1. A path need not be
/// there where the process sees only its own part of the tree; then what stands at the root is its own.
fn smallest(groups: &str, root: &Path) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let (root, files): (_, &[&str]) = match controllers {
            "" => (root.to_owned(), &["memory.max", "memory.high"]),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (root.join("memory"), &["memory.limit_in_bytes"])
            }
            _ => return None,
        };
        let own = root.join(path.trim_start_matches('/'));
        let around = own.ancestors().take_while(|folder| folder.starts_with(&root));
        let limits = around.flat_map(|folder| files.iter().filter_map(move |file| limit_in(&folder.join(file))));
        limits.min()
    });
    limits.min()
}

fn limit_in(file: &Path) -> Option<u64> {
    // `max` is no number.
    let bytes = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    (bytes < NO_LIMIT).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Environment};
    use super::*;

    #[test]
    fn the_smallest_limit_around_the_process_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("system.slice/pixlserv.service/memory.max", "max\n");
        write("system.slice/memory.max", "1000000\n");
        write("system.slice/pixlserv.service/memory.high", "2000000\n");
        let groups = "0::/system.slice/pixlserv.service\n";
        assert_eq!(smallest(groups, root), Some(1_000_000));
        assert_eq!(smallest("0::/\n", root), None);
        write("memory.max", "77\n");
        assert_eq!(smallest("0::/not/seen/from/here\n", root), Some(77), "what stands at the root is its own");
        write("memory/docker/x/memory.limit_in_bytes", "5000\n");
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(smallest("4:cpu,memory:/docker/x\n3:cpuset:/\n", root), Some(5000));
        assert_eq!(smallest("3:cpuset:/\nnonsense\n", root), None);
    }

    #[test]
    fn shares_fit_into_the_limit() {
        let most = |text: &str| Config::parse(text, Path::new("."), &Environment::default()).unwrap().most_memory();
        for mega in [128, 150, 192_u64, 256, 384, 512, 1024, 4096, 65_536] {
            let limit = mega << 20;
            let bytes = most(&format!("memory-limit: {limit}\n"));
            assert!(bytes <= limit, "{mega} MB: {bytes} bytes");
            assert!(mega > 1024 || bytes >= limit * 7 / 10, "{mega} MB: only {} MB", bytes >> 20);
        }
        let usual = Shares::new(None, 64, 16_384);
        assert_eq!((usual.work, usual.uploads), (4 << 30, 512));
    }
}
