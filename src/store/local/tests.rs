//! What only a disk has: links, folders, leftovers, and an order in which things come to it.

use std::os::unix::fs::symlink;
use std::process::Command;

use super::super::objects::{Content, Fetched, InMemory, ObjectError, ObjectState, Objects, Sink};
use super::*;
use crate::transform::RESERVED_PREFIX;

fn find(storage: &LocalStorage, path: &str) -> Result<Vec<u8>, StoreError> {
    storage.find(&SourcePath::new(path).unwrap())?.read().map(|(content, _)| content)
}

#[test]
fn only_regular_files_below_the_root_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("images");
    let storage = LocalStorage::open(&root).unwrap();
    std::fs::create_dir(folder.path().join("images-secret")).unwrap();
    std::fs::write(folder.path().join("images-secret/canary"), "canary").unwrap();
    std::fs::create_dir(root.join("folder")).unwrap();
    std::fs::write(root.join("folder/a"), "inside").unwrap();
    symlink("a", root.join("folder/link")).unwrap();
    symlink("../folder/a", root.join("folder/around")).unwrap();
    symlink(folder.path().join("images-secret/canary"), root.join("out")).unwrap();
    symlink("../images-secret", root.join("outfolder")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();

    assert_eq!(find(&storage, "folder/a").unwrap(), b"inside");
    assert_eq!(find(&storage, "folder/link").unwrap(), b"inside");
    assert_eq!(find(&storage, "folder/around").unwrap(), b"inside");
    for hidden in ["out", "outfolder/canary", "folder", "pipe", "missing", "folder/a/b", "proc/self/root"] {
        assert!(matches!(find(&storage, hidden), Err(StoreError::NotFound(_))), "{hidden}");
    }
}

fn content(text: &str) -> Content {
    Content::Bytes(Arc::new(text.as_bytes().to_vec()))
}

fn put(storage: &LocalStorage, name: &str, text: &str) -> Result<(), ObjectError> {
    Objects::put(storage, name, &content(text), "")
}

fn get(storage: &LocalStorage, name: &str) -> Result<Vec<u8>, ObjectError> {
    let mut sink = InMemory::new(1 << 20);
    storage.get(name, None, &mut sink).map(|_| sink.bytes)
}

fn names(storage: &LocalStorage, prefix: &str) -> Vec<String> {
    let page = storage.list(prefix, None, 1000).unwrap();
    page.objects.into_iter().map(|listed| listed.name).collect()
}

fn is_missing<T>(result: Result<T, ObjectError>) -> bool {
    matches!(result, Err(ObjectError::Missing))
}

#[test]
fn links_lead_to_no_object_outside() {
    let folder = tempfile::tempdir().unwrap();
    let (root, outside) = (folder.path().join("images"), folder.path().join("outside"));
    let storage = LocalStorage::open(&root).unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("canary"), "canary").unwrap();
    put(&storage, "folder/a", "inside").unwrap();
    symlink(&outside, root.join("out")).unwrap();
    symlink(outside.join("canary"), root.join("file")).unwrap();
    symlink("folder/a", root.join("link")).unwrap();
    symlink("folder", root.join("around")).unwrap();
    symlink(".", root.join("loop")).unwrap();

    for name in ["out/canary", "file", "../outside/canary", "/etc/passwd", "out", "folder", "folder/a/", "folder//a"] {
        assert!(is_missing(get(&storage, name)) && is_missing(storage.head(name)), "{name}");
        storage.delete(name).unwrap();
    }
    for name in ["out/new", "../outside/new", "..", "/new", "folder/./new", "out/folder/new"] {
        assert!(matches!(put(&storage, name, "new"), Err(ObjectError::Refused(_))), "{name}");
    }
    put(&storage, "file", "in its place").unwrap();
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(std::fs::read(outside.join("canary")).unwrap(), b"canary");
    assert_eq!(get(&storage, "link").unwrap(), b"inside");
    assert_eq!(get(&storage, "around/a").unwrap(), b"inside");
    // Each object once, though a link leads to its folder.
    assert_eq!(names(&storage, ""), ["file", "folder/a", "link"]);
    for prefix in ["out/", "around/", "loop/", "../", "/", "folder//", "./"] {
        assert!(names(&storage, prefix).is_empty(), "{prefix}");
    }
    storage.delete("link").unwrap();
    assert_eq!(names(&storage, ""), ["file", "folder/a"]);
}

#[test]
fn what_a_disk_cannot_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let storage = LocalStorage::open(folder.path()).unwrap();
    put(&storage, "folder/file", "text").unwrap();
    let (long, longest) = ("n".repeat(256), "n/".repeat(512) + "n");
    let cases = [
        ("folder", "the folder cannot have this name: it is that of a folder"),
        ("folder/file/below", "the folder cannot have this name: a part of it is a file"),
        ("folder/file/be/low", "the folder cannot have this name: a part of it is a file"),
        (&long, "the folder cannot have this name: a part of it is too long"),
        (&format!("{long}/a"), "the folder cannot have this name: a part of it is too long"),
        (&longest, "a name has 1 to 1024 bytes"),
        ("", "a name has 1 to 1024 bytes"),
        ("a\0b", "a name has no control characters"),
        ("a//b", "a folder cannot have names with empty parts, '.' and '..'"),
        (".pixlserv-1", "names of this beginning are for unfinished files"),
    ];
    for (name, expected) in cases {
        let refused = put(&storage, name, "new");
        assert!(matches!(&refused, Err(ObjectError::Refused(reason)) if reason == expected), "{name}: {refused:?}");
        assert!(is_missing(get(&storage, name)) && is_missing(storage.head(name)), "{name}");
        storage.delete(name).unwrap();
    }
    assert_eq!(names(&storage, ""), ["folder/file"]);
}

#[test]
fn unfinished_and_odd_files_are_no_objects() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".pixlserv-1"), "left").unwrap();
    let storage = LocalStorage::open(folder.path()).unwrap();
    assert!(!folder.path().join(".pixlserv-1").exists());
    std::fs::write(folder.path().join(".pixlserv-2"), "unfinished").unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, folder.path().join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    put(&storage, ".hidden", "an object").unwrap();
    assert!(is_missing(get(&storage, ".pixlserv-2")));
    assert_eq!(names(&storage, ""), [".hidden"]);

    let incomplete = Content::File { file: Arc::new(tempfile::tempfile().unwrap()), n_bytes: 1 };
    let failed = Objects::put(&storage, ".hidden", &incomplete, "");
    assert!(matches!(failed, Err(ObjectError::Content(_))), "{failed:?}");
    assert_eq!(get(&storage, ".hidden").unwrap(), b"an object");
    let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort_unstable();
    assert_eq!(left, [".hidden", ".pixlserv-2", "empty", "pipe"], "what is not stored is gone");
}

#[test]
fn folders_are_walked_in_the_order_of_whole_names() {
    let folder = tempfile::tempdir().unwrap();
    let storage = LocalStorage::open(folder.path()).unwrap();
    let expected = ["a!", "a.b/c", "a.txt", "a/b/c", "a/b0", "a/c", "a0", "b/a", "ä"];
    for name in expected.iter().rev() {
        put(&storage, name, "text").unwrap();
    }
    // More empty folders than a page keeps, before and between what there is.
    for number in 0..50 {
        std::fs::create_dir_all(folder.path().join(format!("a/b/a{number}/e"))).unwrap();
        std::fs::create_dir_all(folder.path().join(format!("0{number}"))).unwrap();
    }
    for limit in [1, 2, 7, 1000] {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = storage.list("", after.as_deref(), limit).unwrap();
            assert!(page.objects.len() == limit || page.next.is_none());
            all.extend(page.objects.into_iter().map(|listed| listed.name));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(all, expected);
    }
    assert_eq!(names(&storage, "a/"), ["a/b/c", "a/b0", "a/c"]);
    assert_eq!(names(&storage, "a/b"), ["a/b/c", "a/b0"]);
    assert_eq!(names(&storage, "a."), ["a.b/c", "a.txt"]);
    assert!(names(&storage, "a/b/c/").is_empty());
}

/// Does something once it knows what will come.
struct Meddler<F>(F);

impl<F: Fn()> Sink for Meddler<F> {
    fn begin(&mut self, _: &ObjectState) -> io::Result<()> {
        (self.0)();
        Ok(())
    }

    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_change_while_reading_is_no_content_and_a_new_object_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let storage = LocalStorage::open(folder.path()).unwrap();
    let path = folder.path().join("a");
    for meddled in ["shorter", "of some size", "longer than before"] {
        put(&storage, "a", "of SOME size").unwrap();
        let result = storage.get("a", None, &mut Meddler(|| std::fs::write(&path, meddled).unwrap()));
        assert!(matches!(result, Err(ObjectError::Failed(_))), "{meddled}: {result:?}");
    }
    put(&storage, "a", "old").unwrap();
    let old = storage.head("a").unwrap();
    let fetched = storage.get("a", None, &mut Meddler(|| put(&storage, "a", "new").unwrap()));
    assert_eq!(fetched.unwrap(), Fetched::Whole(old.clone()));
    assert_ne!(storage.head("a").unwrap().tag, old.tag);
}

/// What the test below has traced.
#[test]
fn an_object_is_stored_two_folders_deep() {
    let folder = tempfile::tempdir().unwrap();
    let storage = LocalStorage::open(folder.path()).unwrap();
    put(&storage, "new/folder/object", "text").unwrap();
    storage.delete("new/folder/object").unwrap();
}

#[test]
fn all_is_on_the_disk_before_a_step_builds_on_it() {
    let trace = tempfile::NamedTempFile::new().unwrap();
    let traced = Command::new("strace")
        .args(["-f", "-y", "-e", "trace=mkdirat,fsync,renameat,renameat2,unlinkat", "-o"])
        .arg(trace.path())
        .arg(std::env::current_exe().unwrap())
        .arg("store::local::tests::an_object_is_stored_two_folders_deep")
        .output();
    if !traced.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: nothing can be traced here");
        return;
    }
    let trace = std::fs::read_to_string(trace.path()).unwrap();
    let steps: Vec<_> = trace.lines().filter_map(step).collect();
    let expected = [
        "mkdirat new",
        "fsync .",
        "mkdirat folder",
        "fsync new",
        "fsync temporary",
        "renameat object",
        "fsync new/folder",
        "unlinkat object",
        "fsync new/folder",
    ];
    let position = steps.iter().position(|step| step == expected[0]).unwrap();
    assert_eq!(steps[position..][..expected.len()], expected, "{trace}");
}

/// A line of a trace: the call, and what of.
fn step(line: &str) -> Option<String> {
    let (call, arguments) = line.split_once('(')?;
    let call = call.split_whitespace().next_back()?.trim_end_matches('2');
    if call != "fsync" {
        return Some(format!("{call} {}", arguments.rsplit('"').nth(1)?));
    }
    let path = arguments.split(['<', '>']).nth(1)?;
    if path.contains(RESERVED_PREFIX) {
        return Some("fsync temporary".to_owned());
    }
    // Below the temporary folder, which is below that of the system.
    let (_, below) = path.split_once("/.tmp")?;
    Some(format!("fsync {}", below.split_once('/').map_or(".", |(_, below)| below)))
}
