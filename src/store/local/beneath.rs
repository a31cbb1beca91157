//! Opens what lies below a folder, and nothing else. The kernel resolves the whole path at once (`openat2`, Linux 5.6), so that
//! neither `..` nor a symbolic link leads out, not even one that is swapped in meanwhile. Where a sandbox forbids that call
//! (systemd's `RestrictSUIDSGID`, which `DynamicUser` takes with it; some containers), the path is walked a part at a time, and
//! no link is followed at all.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::{Errno, Result};

/// Whether the call was found to be forbidden.
static IS_FORBIDDEN: AtomicBool = AtomicBool::new(false);

/// Opens `path` below `root`. `how` may ask for more than that nothing outside is reached.
pub(super) fn open(root: impl AsFd, path: &str, flags: OFlags, how: ResolveFlags) -> Result<OwnedFd> {
    if !IS_FORBIDDEN.load(Ordering::Relaxed) {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | how;
        match openat2(&root, path, flags, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM) if is_forbidden() => {
                IS_FORBIDDEN.store(true, Ordering::Relaxed);
                tracing::warn!(
                    "openat2 is not allowed here: symbolic links among the images are not followed, and hits take longer"
                );
            }
            result => return result,
        }
    }
    if how.contains(ResolveFlags::CACHED) {
        // Whether a disk would be waited for cannot be known.
        return Err(Errno::AGAIN);
    }
    walk(root, path, flags)
}

/// A single file may be forbidden, too: what everybody may open tells the two apart.
fn is_forbidden() -> bool {
    let tried = openat2(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::empty());
    matches!(tried, Err(Errno::NOSYS | Errno::PERM))
}

/// Opens a path a part at a time. Each is opened in the folder that the one before it is, and is no link.
fn walk(root: impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd> {
    const STEP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    let mut folder = openat(root, ".", STEP, Mode::empty())?;
    let mut parts = path.split('/').filter(|part| !matches!(*part, "" | ".")).peekable();
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(Errno::XDEV);
    }
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        // A slash at the end asks for a folder.
        let is_folder = !is_last || path.ends_with('/');
        let step = if is_last { flags | OFlags::NOFOLLOW } else { STEP };
        let step = if is_folder { step | OFlags::DIRECTORY } else { step };
        let opened = openat(&folder, part, step, Mode::empty())?;
        if is_last {
            return not_a_link(opened);
        }
        folder = opened;
    }
    openat(&folder, ".", flags, Mode::empty())
}

/// With `O_PATH` a link itself is opened.
fn not_a_link(opened: OwnedFd) -> Result<OwnedFd> {
    let status = rustix::fs::fstat(&opened)?;
    let kind = rustix::fs::FileType::from_raw_mode(status.st_mode);
    if kind == rustix::fs::FileType::Symlink { Err(Errno::LOOP) } else { Ok(opened) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    /// Device and number of what was opened.
    fn identity(opened: Result<OwnedFd>) -> Option<(u64, u64)> {
        let status = fs::File::from(opened.ok()?).metadata().unwrap();
        Some((status.dev(), status.ino()))
    }

    #[test]
    fn both_ways_open_the_same_and_neither_leads_out() {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        for file in ["x.jpg", "a/x.jpg", "a/b/x.jpg", "../secret.jpg"] {
            fs::write(root.join(file), file).unwrap();
        }
        symlink("../secret.jpg", root.join("out.jpg")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("/", root.join("top")).unwrap();
        symlink("a", root.join("inside")).unwrap();
        symlink("x.jpg", root.join("link.jpg")).unwrap();
        let folder = fs::File::open(&root).unwrap();
        let both = |path: &str, flags: OFlags| {
            let flags = flags | OFlags::CLOEXEC;
            (identity(open(&folder, path, flags, ResolveFlags::empty())), identity(walk(&folder, path, flags)))
        };
        for flags in [OFlags::RDONLY, OFlags::PATH, OFlags::RDONLY | OFlags::NONBLOCK] {
            for path in ["x.jpg", "a/x.jpg", "a/b/x.jpg", ".", "a", "a/", "a//b/x.jpg", "./a/./x.jpg"] {
                let (by_kernel, by_walk) = both(path, flags);
                assert!(by_kernel.is_some() && by_kernel == by_walk, "{path}: {by_kernel:?} {by_walk:?}");
            }
            let nowhere = [
                "out.jpg",
                "up/secret.jpg",
                "top/etc/passwd",
                "../secret.jpg",
                "a/../../secret.jpg",
                "/etc/passwd",
                "missing.jpg",
                "x.jpg/",
                "x.jpg/y",
                "..",
                "a/b/../../../secret.jpg",
            ];
            for path in nowhere {
                assert_eq!(both(path, flags), (None, None), "{path}");
            }
            // Links that stay inside are followed by the kernel alone.
            for path in ["link.jpg", "inside/x.jpg"] {
                let (by_kernel, by_walk) = both(path, flags);
                assert!(by_kernel.is_some() && by_walk.is_none(), "{path}");
            }
        }
    }
}
