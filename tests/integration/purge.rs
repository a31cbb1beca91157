//! Purges: complete, fast, and final, whatever is being asked for at the same time.

use std::os::unix::fs::DirBuilderExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pixlserv::index::{Record, Records, SqliteIndex};
use pixlserv::raster::Format;
use pixlserv::store::cache::file_name;
use pixlserv::transform::VariantId;

use crate::client::{Client, Until, get_all};
use crate::pictures::jpeg;
use crate::server::{PATIENCE, Server, poll};
use crate::shelf::{command, files, records, settle};

const NAME: &str = "purged.jpg";

/// Two pictures of which no size and no time tells which is there: only a purge does.
struct Twins {
    files: [Vec<u8>; 2],
    modified: SystemTime,
}

impl Twins {
    fn new() -> Self {
        let (mut wide, mut tall) = (jpeg(64, 32), jpeg(32, 64));
        let length = wide.len().max(tall.len());
        // Bytes behind the end of a picture are no part of it.
        wide.resize(length, 0);
        tall.resize(length, 0);
        Self { files: [wide, tall], modified: SystemTime::now() - Duration::from_secs(1000) }
    }

    /// Shows one of the two; even states are the first, odd ones the second.
    fn show(&self, server: &Server, state: usize) {
        server.put_image(NAME, &self.files[state % 2], self.modified);
    }

    /// What a server without a cache makes of both.
    fn answers(&self, server: &Server, targets: &[String]) -> [Vec<Vec<u8>>; 2] {
        let plain = server.again("cache: {enabled: No}\n");
        [0, 1].map(|state| {
            self.show(&plain, state);
            get_all(&plain, 2, targets).into_iter().map(|answer| answer.body).collect()
        })
    }
}

fn targets(n: usize) -> Vec<String> {
    (0..n).map(|number| format!("/image/w_{},h_{}/{NAME}", 1 + number % 20, 1 + number / 20)).collect()
}

fn purge(server: &Server) -> String {
    let output = command(server, &["purge", NAME]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Adds answers that nobody has asked for, as if they had been made long ago.
fn add_records(server: &Server, source: &str, n: usize) {
    let cache = server.data().join("cache");
    let index = SqliteIndex::open(&server.data().join("index.sqlite")).unwrap();
    let like = records(&server.data()).into_iter().find(|record| record.source == NAME).unwrap();
    for part in 0..=255_u8 {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(cache.join(format!("{part:02x}"))).unwrap();
    }
    let new: Vec<(Record, u64)> = (0..n)
        .map(|number| {
            let mut id = [source.len() as u8; 32];
            id[..8].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            let bytes = vec![number as u8; 100];
            std::fs::write(cache.join(file_name(&VariantId(id), Format::Jpeg)), &bytes).unwrap();
            let checksum = crc32(&bytes);
            let record = Record { id, source: source.to_owned(), bytes: 100, checksum, ..like.clone() };
            (record, index.generation())
        })
        .collect();
    for batch in new.chunks(1000) {
        assert!(index.insert(batch).unwrap().is_kept.iter().all(|is_kept| *is_kept));
    }
}

/// As in PNG and zlib (ISO 3309), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn ten_thousand_answers_are_purged_in_two_seconds_under_load() {
    const N_MADE: usize = 400;
    let server = Server::start("");
    let twins = Twins::new();
    let targets = targets(N_MADE);
    let expected = twins.answers(&server, &targets);
    twins.show(&server, 0);
    for (answer, expected) in get_all(&server, 4, &targets).iter().zip(&expected[0]) {
        assert!(answer.status == 200 && answer.body == *expected, "{answer:?}");
    }
    settle(&server, Some(N_MADE));
    add_records(&server, NAME, 10_000 - N_MADE);
    add_records(&server, "another.jpg", 500);
    assert_eq!(command(&server, &["verify"]).status.code(), Some(0));

    twins.show(&server, 1);
    assert_eq!(server.get(&targets[0]).body, expected[0][0], "only the purge can tell");
    let is_over = AtomicBool::new(false);
    let (said, time) = thread::scope(|scope| {
        for offset in 0..2 {
            let (server, targets, expected, is_over) = (&server, &targets, &expected, &is_over);
            scope.spawn(move || {
                let mut client = Client::new(server);
                for index in (offset..N_MADE).cycle().step_by(7) {
                    let answer = client.get(&targets[index]);
                    let is_right = expected.iter().any(|state| state[index] == answer.body);
                    assert!(answer.status == 200 && is_right, "{answer:?}");
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                }
            });
        }
        let _until = Until(&is_over);
        let start = Instant::now();
        (purge(&server), start.elapsed())
    });
    let n_removed: usize = said.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    assert!(n_removed >= 10_000 - N_MADE, "{said}");
    assert!(time < Duration::from_secs(2), "the purge took {time:?}");
    for (answer, expected) in get_all(&server, 4, &targets).iter().zip(&expected[1]) {
        assert!(answer.status == 200 && answer.body == *expected, "an old answer: {answer:?}");
    }
    // The answers made since, and those of the other image.
    settle(&server, Some(N_MADE + 500));
    assert_eq!(command(&server, &["verify"]).status.code(), Some(0));
    assert!(command(&server, &["clear"]).status.success());
    assert!(files(&server.data().join("cache")).is_empty());
}

#[test]
fn a_purge_wins_against_all_work_that_is_under_way() {
    const N_PURGES: usize = 25;
    for memory in ["0", "67108864"] {
        let server = Server::start(&format!("cache: {{memory: {memory}}}\n"));
        let twins = Twins::new();
        let targets = targets(40);
        let expected = twins.answers(&server, &targets);
        twins.show(&server, 0);
        // How many changes have begun, and how many are purged: what lies between them may see either picture.
        let (begun, purged, checked) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let is_over = AtomicBool::new(false);
        let watch = |offset: usize| {
            let mut client = Client::new(&server);
            for index in (offset..targets.len()).cycle().take_while(|_| !is_over.load(Ordering::SeqCst)) {
                let before = purged.load(Ordering::SeqCst);
                let answer = client.get(&targets[index]);
                assert_eq!(answer.status, 200, "{answer:?}");
                if begun.load(Ordering::SeqCst) == before {
                    assert!(answer.body == expected[before % 2][index], "purge {before}: {answer:?}");
                    checked.fetch_add(1, Ordering::SeqCst);
                }
            }
        };
        thread::scope(|scope| {
            let _until = Until(&is_over);
            let watch = &watch;
            for offset in [0, 10, 20] {
                scope.spawn(move || watch(offset));
            }
            for change in 1..=N_PURGES {
                begun.store(change, Ordering::SeqCst);
                twins.show(&server, change);
                purge(&server);
                purged.store(change, Ordering::SeqCst);
                let seen = checked.load(Ordering::SeqCst) + 10;
                poll(Instant::now() + PATIENCE, || (checked.load(Ordering::SeqCst) >= seen).then_some(()))
                    .expect("the watchers have stopped");
                let answer = server.get(&targets[change]);
                assert!(answer.body == expected[change % 2][change], "purge {change}: {answer:?}");
            }
        });
        for (answer, expected) in get_all(&server, 4, &targets).iter().zip(&expected[N_PURGES % 2]) {
            assert!(answer.status == 200 && answer.body == *expected, "{answer:?}");
        }
        settle(&server, Some(targets.len()));
    }
}
