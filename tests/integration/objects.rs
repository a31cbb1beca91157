//! What every storage of objects has to do, be it a folder or a service: one suite for all.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use pixlserv::store::LocalStorage;
use pixlserv::store::objects::{
    self, Content, Fetched, GcsOptions, InMemory, Listed, ObjectError, ObjectState, Objects, Page, S3Options, Sink,
};
use ring::digest::{Context, SHA256};
use tempfile::TempDir;

use crate::client::{Until, together};
use crate::gcs_server::GcsServer;
use crate::s3_server::S3Server;
use crate::server::PATIENCE;

/// Clocks of storages may differ so much.
const MINUTE: Duration = Duration::from_secs(60);
/// No storage hands content on in larger pieces, however large it is.
const MAX_PIECE_BYTES: usize = 1 << 20;
const JPEG: &str = "image/jpeg";

/// Names with signs that mean something to URLs, queries, XML, shells or folders.
const SIGNS: &[&str] = &[
    "a b", " a", "a ", "a+b", "a%b", "a%2Fb", "a%252Fb", "a%20b", "a/b", "a&b=c&", "a&amp;b", "a#b", "a?b=c", "a;b",
    "a:b", "a,b", "a=b", "a'b", "a\"b", "a<b>", "a~b", "a\\b", "a@b", "a$b", "a!b", "a*b", "a(b)", "a[b]", "a{b}",
    "a|b", "a^b", "a`b", "a..b", "...", ".a", "-a", "~", "a.jpg", "A.JPG", "null",
];
/// Names with letters beyond ASCII. The first two look the same.
const LETTERS: &[&str] =
    &["\u{e9}", "e\u{301}", "Ä/ö/ü.jpg", "日本語", "😀", "\u{202e}abc", "\u{a0}", "\u{feff}a", "\u{10ffff}"];

/// In what storages may differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// They give back the content type of an object.
    pub(crate) keeps_types: bool,
}

#[test]
fn a_folder_conforms() {
    let folder = TempDir::new().unwrap();
    let objects: Arc<dyn Objects> = Arc::new(LocalStorage::open(folder.path()).unwrap());
    conforms(&objects, Kind { keeps_types: false });
}

#[test]
fn amazon_s3_conforms() {
    let server = S3Server::start();
    let options = S3Options {
        region: server.region.clone(),
        endpoint: Some(server.endpoint()),
        bucket: server.bucket.clone(),
        access_key_id: server.access_key.clone(),
        secret_access_key: server.secret.clone(),
    };
    conforms(&objects::s3(&options, PATIENCE).unwrap(), Kind { keeps_types: true });
}

#[test]
fn google_cloud_storage_conforms() {
    let Some(server) = GcsServer::start() else { return };
    let options = GcsOptions {
        issuer: server.issuer.clone(),
        key: server.key().to_owned(),
        bucket: server.bucket.clone(),
        endpoint: Some(server.endpoint()),
        token_url: Some(server.token_url()),
    };
    conforms(&objects::gcs(&options, PATIENCE).unwrap(), Kind { keeps_types: true });
}

/// Fails unless `objects`, which are none yet, do what [`Objects`] promises.
pub(crate) fn conforms(objects: &Arc<dyn Objects>, kind: Kind) {
    let objects = &**objects;
    objects.check().unwrap();
    assert_eq!(objects.list("", None, 1000).unwrap(), Page::default());
    missing_objects_are_missing(objects);
    names_are_kept_byte_by_byte(objects);
    any_size_comes_back(objects);
    what_is_put_takes_the_place(objects);
    unchanged_objects_need_not_come(objects);
    states_tell_what_was_put(objects, kind);
    readers_see_whole_objects(objects);
    writers_do_not_lose_each_other(objects);
    pages_hold_all_once_in_order(objects);
}

fn bytes(content: impl Into<Vec<u8>>) -> Content {
    Content::Bytes(Arc::new(content.into()))
}

fn put(objects: &dyn Objects, name: &str, content: impl Into<Vec<u8>>) {
    objects.put(name, &bytes(content), JPEG).unwrap_or_else(|error| panic!("putting {name:?}: {error:?}"));
}

fn get(objects: &dyn Objects, name: &str) -> (Vec<u8>, ObjectState) {
    let mut sink = InMemory::new(64 << 20);
    match objects.get(name, None, &mut sink) {
        Ok(Fetched::Whole(state)) => (sink.bytes, state),
        other => panic!("getting {name:?}: {other:?}"),
    }
}

/// All pages of so many names.
fn pages(objects: &dyn Objects, prefix: &str, limit: usize) -> Vec<Listed> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = objects.list(prefix, after.as_deref(), limit).unwrap();
        assert!(page.objects.len() <= limit, "{} objects in a page of {limit}", page.objects.len());
        all.extend(page.objects);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

fn names(listed: &[Listed]) -> Vec<&str> {
    listed.iter().map(|listed| listed.name.as_str()).collect()
}

#[track_caller]
fn assert_missing<T: Debug>(result: Result<T, ObjectError>) {
    assert!(matches!(result, Err(ObjectError::Missing)), "{result:?}");
}

fn missing_objects_are_missing(objects: &dyn Objects) {
    put(objects, "missing/one/there", "content");
    for name in
        ["missing", "missing/one", "missing/one/the", "missing/one/there/below", "missing/two", "Missing/one/there"]
    {
        assert_missing(objects.head(name));
        assert_missing(objects.get(name, None, &mut InMemory::new(0)));
        assert_missing(objects.get(name, Some("0123456789abcdef0123456789abcdef"), &mut InMemory::new(0)));
        objects.delete(name).unwrap();
    }
    assert_eq!(get(objects, "missing/one/there").0, b"content");
    for _ in 0..2 {
        objects.delete("missing/one/there").unwrap();
        assert_missing(objects.head("missing/one/there"));
    }
    assert_eq!(objects.list("missing/", None, 1000).unwrap(), Page::default());
}

fn names_are_kept_byte_by_byte(objects: &dyn Objects) {
    let longest = format!("names/{}", "n".repeat(202)) + &format!("/{}", "m".repeat(203)).repeat(4);
    let wide = format!("names/{}", "/世界".repeat(60).trim_start_matches('/'));
    let mut all: Vec<String> = [SIGNS, LETTERS].concat().iter().map(|name| format!("names/{name}")).collect();
    all.extend([longest, wide]);
    all.sort_unstable();
    assert_eq!(all.iter().map(String::len).max(), Some(1024));
    for name in &all {
        put(objects, name, name.as_bytes());
    }
    for name in &all {
        let (content, state) = get(objects, name);
        assert_eq!(content, name.as_bytes());
        assert_eq!(objects.head(name).unwrap(), state);
        let listed = objects.list(name, None, 1000).unwrap();
        assert_eq!(names(&listed.objects).first(), Some(&name.as_str()));
    }
    assert_eq!(names(&pages(objects, "names/", 1000)), all);
    // Each name is once what a page begins after.
    assert_eq!(names(&pages(objects, "names/", 1)), all);
    for (index, name) in all.iter().enumerate() {
        objects.delete(name).unwrap();
        assert_missing(objects.head(name));
        assert_eq!(pages(objects, "names/", 1000).len(), all.len() - index - 1, "{name:?} took others along");
    }
}

/// Keeps nothing but the checksum of what comes.
struct Hashing {
    hash: Context,
    n_bytes: u64,
    announced: Option<ObjectState>,
}

impl Sink for Hashing {
    fn begin(&mut self, state: &ObjectState) -> io::Result<()> {
        *self = Self { hash: Context::new(&SHA256), n_bytes: 0, announced: Some(state.clone()) };
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        assert!(bytes.len() <= MAX_PIECE_BYTES, "a piece of {} bytes", bytes.len());
        self.hash.update(bytes);
        self.n_bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Noise in a file, with more behind it that is no part of the content.
fn noise(n_bytes: u64) -> (Content, Vec<u8>) {
    let mut file = tempfile::tempfile().unwrap();
    let mut hash = Context::new(&SHA256);
    let mut state = n_bytes + 1;
    let mut n_left = n_bytes;
    while n_left > 0 {
        let mut piece = [0; 1 << 16];
        for word in piece.chunks_mut(8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            word.copy_from_slice(&state.rotate_left(32).to_le_bytes());
        }
        let piece = &piece[..usize::try_from(n_left).unwrap_or(usize::MAX).min(1 << 16)];
        file.write_all(piece).unwrap();
        hash.update(piece);
        n_left -= piece.len() as u64;
    }
    file.write_all(b"behind").unwrap();
    (Content::File { file: Arc::new(file), n_bytes }, hash.finish().as_ref().to_vec())
}

fn any_size_comes_back(objects: &dyn Objects) {
    for n_bytes in [0, 1, 65_535, 65_536, 65_537, 50_000_000] {
        let (content, expected) = noise(n_bytes);
        objects.put("size/file", &content, JPEG).unwrap();
        let mut sink = Hashing { hash: Context::new(&SHA256), n_bytes: 0, announced: None };
        let fetched = objects.get("size/file", None, &mut sink).unwrap();
        assert_eq!(sink.n_bytes, n_bytes);
        assert_eq!(sink.hash.finish().as_ref(), expected, "{n_bytes} bytes");
        let state = objects.head("size/file").unwrap();
        assert_eq!(state.size_bytes, n_bytes);
        assert_eq!(sink.announced.as_ref(), Some(&state));
        assert_eq!(fetched, Fetched::Whole(state));
        assert_eq!(objects.list("size/", None, 10).unwrap().objects[0].size_bytes, n_bytes);
    }
    // Where the content of a file is read from does not matter, nor that it is read twice.
    let mut file: File = tempfile::tempfile().unwrap();
    file.write_all(b"content").unwrap();
    file.seek(io::SeekFrom::Start(3)).unwrap();
    let content = Content::File { file: Arc::new(file), n_bytes: 7 };
    for name in ["size/one", "size/two"] {
        objects.put(name, &content, JPEG).unwrap();
        assert_eq!(get(objects, name).0, b"content");
    }
    let mut text = String::new();
    content.reader().read_to_string(&mut text).unwrap();
    assert_eq!(text, "content");
    // What is too large for its taker is not taken.
    let refused = objects.get("size/one", None, &mut InMemory::new(6));
    assert!(matches!(refused, Err(ObjectError::Content(_))), "{refused:?}");
}

fn what_is_put_takes_the_place(objects: &dyn Objects) {
    let mut tags = Vec::new();
    for content in ["first", "other", "longer content", "", "short"] {
        put(objects, "place/a", content);
        let (found, state) = get(objects, "place/a");
        assert_eq!(found, content.as_bytes());
        assert!(!state.tag.is_empty() && !state.tag.contains('"'), "{:?}", state.tag);
        assert!(!tags.contains(&state.tag), "{content:?} has the tag of another");
        tags.push(state.tag);
    }
    put(objects, "place/b", "other");
    assert_eq!(names(&pages(objects, "place/", 1000)), ["place/a", "place/b"]);
    objects.delete("place/a").unwrap();
    assert_eq!(get(objects, "place/b").0, b"other");
    put(objects, "place/a", "again");
    assert_eq!(get(objects, "place/a").0, b"again");
}

fn unchanged_objects_need_not_come(objects: &dyn Objects) {
    put(objects, "unless", "first");
    let tag = objects.head("unless").unwrap().tag;
    // No sink may be asked: this one takes nothing.
    assert_eq!(objects.get("unless", Some(&tag), &mut InMemory::new(0)).unwrap(), Fetched::Unchanged);
    let mut sink = InMemory::new(100);
    let other = objects.get("unless", Some("0123456789abcdef0123456789abcdef"), &mut sink).unwrap();
    assert!(matches!(other, Fetched::Whole(state) if state.tag == tag));
    assert_eq!(sink.bytes, b"first");
    put(objects, "unless", "other");
    let Fetched::Whole(state) = objects.get("unless", Some(&tag), &mut sink).unwrap() else {
        panic!("a new object is taken for the old one");
    };
    assert!(state.tag != tag && sink.bytes == b"other");
    assert_eq!(objects.get("unless", Some(&state.tag), &mut InMemory::new(0)).unwrap(), Fetched::Unchanged);
    objects.delete("unless").unwrap();
    assert_missing(objects.get("unless", Some(&state.tag), &mut InMemory::new(0)));
}

fn states_tell_what_was_put(objects: &dyn Objects, kind: Kind) {
    let mut last = SystemTime::UNIX_EPOCH;
    for (content, content_type) in [("a", JPEG), ("bc", "image/png"), ("def", "text/plain; charset=utf-8")] {
        objects.put("state", &bytes(content), content_type).unwrap();
        let state = objects.head("state").unwrap();
        let now = SystemTime::now();
        assert_eq!(state.size_bytes, content.len() as u64);
        assert_eq!(state.content_type, if kind.keeps_types { content_type } else { "" });
        assert!(now - MINUTE < state.modified && state.modified < now + MINUTE, "{:?}", state.modified);
        assert!(state.modified >= last, "time goes back");
        last = state.modified;
        // Reading changes nothing.
        assert_eq!(get(objects, "state").1, state);
        assert_eq!(objects.head("state").unwrap(), state);
        let listed = objects.list("state", None, 2).unwrap().objects;
        assert_eq!((listed.len(), listed[0].size_bytes), (1, state.size_bytes));
        // Heads may tell whole seconds, and lists more.
        let apart = listed[0].modified.duration_since(state.modified).unwrap_or_else(|error| error.duration());
        assert!(apart < Duration::from_secs(1), "{apart:?}");
    }
}

/// Content of one letter; its length tells which one, and how often it was written.
fn uniform(writer: usize, round: usize) -> Vec<u8> {
    vec![b'a' + writer as u8; 150_000 + 1000 * writer + round]
}

fn readers_see_whole_objects(objects: &dyn Objects) {
    const WRITERS: usize = 8;
    const ROUNDS: usize = 10;
    let is_over = AtomicBool::new(false);
    let n_reads = AtomicUsize::new(0);
    let read = || {
        let (content, state) = get(objects, "race");
        assert_eq!(content.len() as u64, state.size_bytes);
        let writer = usize::from(content[0] - b'a');
        let round = content.len() - uniform(writer, 0).len();
        assert!(round <= ROUNDS && content == uniform(writer, round), "a mix of contents");
        round
    };
    put(objects, "race", uniform(0, 0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    read();
                    n_reads.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let _until = Until(&is_over);
        together((0..WRITERS).collect(), |writer| {
            for round in 1..=ROUNDS {
                put(objects, "race", uniform(writer, round));
            }
        });
    });
    assert!(n_reads.into_inner() > 0);
    assert_eq!(read(), ROUNDS, "the last one is the last of some writer");
    assert_eq!(names(&pages(objects, "race", 1000)), ["race"]);
}

fn writers_do_not_lose_each_other(objects: &dyn Objects) {
    let name = |writer: usize, number: usize| format!("many/{}/{writer}/{number}", number % 3);
    together((0..8).collect(), |writer| {
        for number in 0..25 {
            put(objects, &name(writer, number), name(writer, number));
        }
    });
    let mut expected: Vec<String> = (0..200).map(|index| name(index / 25, index % 25)).collect();
    expected.sort_unstable();
    assert_eq!(names(&pages(objects, "many/", 1000)), expected);
    for name in &expected {
        assert_eq!(get(objects, name).0, name.as_bytes());
    }
    together((0..8).collect(), |writer| {
        for number in 0..25 {
            objects.delete(&name(writer, number)).unwrap();
        }
    });
    assert_eq!(objects.list("many/", None, 1000).unwrap(), Page::default());
}

fn pages_hold_all_once_in_order(objects: &dyn Objects) {
    // Folders between names that sort before and after what is in them.
    let name = |index: usize| match index % 5 {
        0 => format!("list/{}.{index:04}", index % 3),
        1 | 2 => format!("list/{}/{index:04}", index % 3),
        3 => format!("list/{}/deep/{index:04}", index % 3),
        _ => format!("list/{}0{index:04}", index % 3),
    };
    together((0..8).collect(), |part| {
        for index in (part..2500).step_by(8) {
            put(objects, &name(index), vec![b'x'; index % 10]);
        }
    });
    let mut expected: Vec<(String, u64)> = (0..2500).map(|index| (name(index), (index % 10) as u64)).collect();
    expected.sort_unstable();
    for (prefix, limit) in [
        ("list/", 1000),
        ("", 1000),
        ("list/", 999),
        ("list/", 100),
        ("list/1", 7),
        ("list/1/", 1000),
        ("list/1/deep", 7),
        ("list/1/deep/00", 7),
        ("list/1.", 10),
        ("list/2", 1),
        ("nothing", 1000),
        ("list/none/", 1000),
        ("list/1/deep/x", 7),
    ] {
        let is_listed = |name: &str| name.starts_with(prefix) && name.starts_with("list/");
        let found: Vec<_> = pages(objects, prefix, limit)
            .into_iter()
            .filter(|listed| is_listed(&listed.name))
            .map(|listed| (listed.name, listed.size_bytes))
            .collect();
        let expected: Vec<_> = expected.iter().filter(|(name, _)| is_listed(name)).cloned().collect();
        assert!(found == expected, "{prefix:?} by {limit}: {} of {}", found.len(), expected.len());
    }
    assert_eq!(objects.list("list/", None, 1000).unwrap().objects.len(), 1000, "a page is as large as it may be");
    assert_eq!(objects.list("list/", None, 7).unwrap().objects.len(), 7);
}
