//! A cache with a limit: it is kept at all times, what goes is what is wanted least, and nobody notices.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pixlserv::transform::Params;

use crate::client::{Client, Until, together};
use crate::pictures::noise;
use crate::server::{PATIENCE, Server, poll};
use crate::shelf::{files, records, settle};

/// Serves a picture whose parts have about 10 KB each and are all different.
fn start(limit_bytes: u64, strategy: &str, memory_bytes: u64) -> Server {
    start_with(&format!("limit: {limit_bytes}, strategy: {strategy}, memory: {memory_bytes}"))
}

fn start_with(cache: &str) -> Server {
    let server = Server::start(&format!("cache: {{{cache}}}\n"));
    std::fs::write(server.images().join("noise.jpg"), noise(200, 200)).unwrap();
    server
}

fn parameters(number: usize) -> String {
    format!("w_{},h_{},c_k", 120 + number % 20, 120 + number / 20)
}

/// The same as the index writes it.
pub(crate) fn description(number: usize) -> String {
    parameters(number).parse::<Params>().unwrap().to_string()
}

pub(crate) fn target(number: usize) -> String {
    format!("/image/{}/noise.jpg", parameters(number))
}

/// The sizes of all files at one moment: two looks that find the same have seen what was there between them. `None`
/// where they differ.
fn snapshot(cache: &Path) -> Option<BTreeMap<String, u64>> {
    let first = files(cache);
    (files(cache) == first).then_some(first)
}

/// Looks at the files until it is over, and counts the looks; the most bytes that they found.
fn watch(cache: &Path, is_over: &AtomicBool, n_looks: &AtomicUsize) -> u64 {
    let mut most = 0;
    while !is_over.load(Ordering::SeqCst) {
        if let Some(files) = snapshot(cache) {
            n_looks.fetch_add(1, Ordering::SeqCst);
            most = most.max(files.values().sum());
        }
        thread::park_timeout(Duration::from_millis(1));
    }
    most
}

/// Four clients ask for three times what fits, in an order that differs for each: once, and again while the files have
/// not been looked at often enough, or nothing had to be made again. (While a disk is slow, what is on its way there is shared.)
fn besiege(strategy: &str) {
    const LIMIT: u64 = 1_000_000;
    const N_TARGETS: usize = 300;
    const N_LOOKS: usize = 20;
    const MAX_ROUNDS: usize = 50;
    let server = start(LIMIT, strategy, 0);
    let cache = server.data().join("cache");
    let seen: Mutex<BTreeMap<usize, Vec<u8>>> = Mutex::default();
    let (is_over, n_misses, n_looks) = (AtomicBool::new(false), AtomicU64::new(0), AtomicUsize::new(0));
    let most = thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&cache, &is_over, &n_looks));
        let until = Until(&is_over);
        together(vec![7, 11, 13, 17], |step: usize| {
            let mut client = Client::new(&server);
            for index in 0..N_TARGETS * MAX_ROUNDS {
                let is_seen = n_looks.load(Ordering::SeqCst) >= N_LOOKS;
                if index >= N_TARGETS && is_seen && n_misses.load(Ordering::SeqCst) > N_TARGETS as u64 {
                    break;
                }
                let number = (index * step + step) % N_TARGETS;
                let answer = client.get(&target(number));
                assert_eq!(answer.status, 200, "{answer:?}");
                n_misses.fetch_add(u64::from(answer.came() == "miss"), Ordering::SeqCst);
                let mut seen = seen.lock().unwrap();
                let first = seen.entry(number).or_insert_with(|| answer.body.clone());
                assert!(*first == answer.body, "{number} is not what it was: {answer:?}");
            }
        });
        drop(until);
        watcher.join().unwrap()
    });
    let largest = seen.lock().unwrap().values().map(Vec::len).max().unwrap() as u64;
    let total: usize = seen.lock().unwrap().values().map(Vec::len).sum();
    assert!(total as u64 > 2 * LIMIT, "{total} bytes are no siege of {LIMIT}");
    assert!(n_misses.load(Ordering::SeqCst) > N_TARGETS as u64, "nothing was ever made twice");
    let n_workers = thread::available_parallelism().map_or(1, usize::from) as u64;
    assert!(n_looks.into_inner() >= N_LOOKS, "too few looks");
    assert!(most <= LIMIT + n_workers * largest, "{most} bytes on disk");
    assert!(most > LIMIT / 2, "{most} bytes on disk: the cache was never full");
    let kept: u64 = settle(&server, None).values().sum();
    assert!(kept <= LIMIT && kept > LIMIT / 2, "{kept} bytes are left");
    assert!(!server.log().contains("WARN") && !server.log().contains("ERROR"), "{}", server.log());
}

#[test]
fn the_limit_holds_at_all_times_with_lru() {
    besiege("LRU");
}

#[test]
fn the_limit_holds_at_all_times_with_lfu() {
    besiege("LFU");
}

/// Fetches images one after the other, and waits until each of them is recorded.
fn fill(server: &Server, numbers: impl Iterator<Item = usize>) {
    let wanted: Vec<usize> = numbers.collect();
    let mut client = Client::new(server);
    for number in &wanted {
        assert_eq!(client.get(&target(*number)).status, 200);
        // Each has its own place in time, and none is asked for before it can be counted.
        let kept = poll(Instant::now() + PATIENCE, || {
            records(&server.data()).iter().any(|record| record.description == description(*number)).then_some(())
        });
        kept.expect("an image was not kept");
    }
}

/// Has more images made than fit beside the first `n`, and checks that those went that are first in `expected`.
fn check_victims(server: &Server, n: usize, expected: &[usize]) {
    fill(server, n..n + 12);
    settle(server, None);
    let left: BTreeSet<String> = records(&server.data()).into_iter().map(|record| record.description).collect();
    let gone: Vec<usize> = (0..n + 12).filter(|number| !left.contains(&description(*number))).collect();
    assert!(gone.len() >= 10 && gone.len() <= expected.len(), "{} went: {gone:?}", gone.len());
    let n_right = gone.iter().filter(|number| expected[..gone.len()].contains(number)).count();
    assert!(n_right * 100 >= gone.len() * 95, "{gone:?} went, not {:?}", &expected[..gone.len()]);
}

/// A server with as many images as fit in its cache; and how many these are.
fn full(strategy: &str, memory_bytes: u64) -> (Server, usize) {
    const LIMIT: u64 = 400_000;
    let server = start(LIMIT, strategy, memory_bytes);
    let mut n = 0;
    loop {
        fill(&server, n..n + 1);
        n += 1;
        let sizes: Vec<u64> = files(&server.data().join("cache")).into_values().collect();
        // The next may be larger than all before.
        if sizes.iter().sum::<u64>() + sizes.iter().max().unwrap() * 5 / 4 > LIMIT {
            return (server, n);
        }
    }
}

#[test]
fn the_least_recently_used_go_first() {
    for memory_bytes in [0, 1 << 20] {
        let (server, n) = full("LRU", memory_bytes);
        // 7 has no factor in common with the number of images, or 5 has none.
        let step = if n % 7 == 0 { 5 } else { 7 };
        let order: Vec<usize> = (0..n).map(|index| index * step % n).collect();
        let mut client = Client::new(&server);
        for number in &order {
            assert_eq!(client.get(&target(*number)).came(), "hit");
        }
        check_victims(&server, n, &order);
    }
}

#[test]
fn the_least_frequently_used_go_first() {
    for memory_bytes in [0, 1 << 20] {
        let (server, n) = full("LFU", memory_bytes);
        let mut client = Client::new(&server);
        // Two of five are asked for again, and before the others: they are the least recently used.
        let is_wanted = |number: &usize| number % 5 < 2;
        for _ in 0..3 {
            for number in (0..n).filter(is_wanted) {
                assert_eq!(client.get(&target(number)).came(), "hit");
            }
        }
        let others: Vec<usize> = (0..n).filter(|number| !is_wanted(number)).collect();
        check_victims(&server, n, &others);
    }
}

#[test]
fn a_proxy_is_never_sent_to_a_file_that_was_evicted() {
    const PREFIX: &str = "/kept/";
    let server = start_with(&format!("limit: 100000, x-accel-redirect: {PREFIX}"));
    let asked = [("X-Sendfile-Type", "X-Accel-Redirect")];
    let first = server.get(&target(0));
    settle(&server, Some(1));
    let elsewhere = server.request("GET", &target(0), &asked);
    let place = elsewhere.header("X-Accel-Redirect").and_then(|place| place.strip_prefix(PREFIX)).unwrap().to_owned();
    let file = server.data().join("cache").join(place);
    assert!(std::fs::read(&file).unwrap() == first.body && elsewhere.body.is_empty(), "{elsewhere:?}");
    fill(&server, 1..30);
    assert!(!file.exists(), "still on disk");
    let answer = server.request("GET", &target(0), &asked);
    match answer.header("X-Accel-Redirect").and_then(|place| place.strip_prefix(PREFIX)) {
        Some(place) => assert!(server.data().join("cache").join(place).exists(), "{answer:?}"),
        None => assert!(answer.status == 200 && answer.body == first.body, "{answer:?}"),
    }
}
