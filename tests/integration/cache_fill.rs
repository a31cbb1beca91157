//! What is made once is made once: for all who ask at the same time, and for all who ask later. And nothing that is
//! kept outlives the original that it was made from.

use std::collections::HashSet;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::client::{Client, Until, get_all, together};
use crate::pictures::{jpeg, noise, png, png_size};
use crate::server::{Answer, Server};
use crate::shelf::{Counts, command, files, settle};

const LARGE: &str = "/image/w_300/large.png";

fn with_large_image(configuration: &str) -> Server {
    let server = Server::start(configuration);
    std::fs::write(server.images().join("large.png"), png(1600, 1200)).unwrap();
    server
}

fn n_misses(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.came() == "miss").count()
}

fn clients(server: &Server, n: usize) -> Vec<Client> {
    (0..n).map(|_| Client::new(server)).collect()
}

#[test]
fn two_hundred_who_ask_at_once_get_one_piece_of_work() {
    let mut server = with_large_image("");
    let answers = together(clients(&server, 200), |mut client| client.get(LARGE));
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.body == answers[0].body && answer.header("ETag") == answers[0].header("ETag"), "{answer:?}");
        assert!(["hit", "miss", "coalesced"].contains(&answer.came()), "{answer:?}");
    }
    assert_eq!(png_size(&answers[0].body), (300, 225));
    assert_eq!(n_misses(&answers), 1);
    settle(&server, Some(1));
    let counts = Counts::at_the_end_of(&mut server);
    assert_eq!((counts.made, counts.sum()), (1, 200), "{counts:?}");
}

#[test]
fn work_goes_on_when_the_first_who_asked_has_left() {
    let mut server = with_large_image("");
    let mut first = server.connect();
    first.write_all(format!("GET {LARGE} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).unwrap();
    drop(first);
    let answers = together(clients(&server, 50), |mut client| client.get(LARGE));
    for answer in &answers {
        assert!(answer.status == 200 && answer.body == answers[0].body, "{answer:?}");
    }
    assert!(n_misses(&answers) <= 1);
    let counts = Counts::at_the_end_of(&mut server);
    assert_eq!(counts.made, 1, "{counts:?}");
}

#[test]
fn a_failure_is_told_to_all_who_wait_and_not_remembered() {
    let mut server = with_large_image("");
    let whole = std::fs::read(server.images().join("large.png")).unwrap();
    let mut damaged = whole.clone();
    let middle = whole.len() / 2;
    damaged[middle..middle + 64].fill(0);
    // The repaired file has size and time of the damaged one: only memory could tell them apart.
    let modified = SystemTime::now() - Duration::from_secs(100);
    server.put_image("large.png", &damaged, modified);
    let answers = together(clients(&server, 50), |mut client| client.get(LARGE));
    for answer in &answers {
        assert_eq!((answer.status, answer.text()), (422, answers[0].text()), "{answer:?}");
        answer.assert_reason("a damaged image");
    }
    assert!(files(&server.data().join("cache")).is_empty());
    server.put_image("large.png", &whole, modified);
    let answers = together(clients(&server, 50), |mut client| client.get(LARGE));
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == answers[0].body), "{:?}", answers[0]);
    let counts = Counts::at_the_end_of(&mut server);
    assert_eq!((counts.made, counts.sum()), (1, 50), "{counts:?}");
}

/// Three files in a hundred ways each.
fn many_targets() -> Vec<String> {
    let mut targets = Vec::new();
    for name in ["photo.png", "photo.jpg", "noise.jpg"] {
        for (width, height) in (0..25).map(|number| (10 + number % 5, 10 + number / 5)) {
            targets.extend(["a", "e", "k", "p"].map(|crop| format!("/image/w_{width},h_{height},c_{crop}/{name}")));
        }
    }
    targets
}

/// Fetches all, and says where each must come from.
fn pass(server: &Server, targets: &[String], from: &str) -> Vec<Vec<u8>> {
    let n_clients = 4 * thread::available_parallelism().map_or(1, usize::from);
    let answers = get_all(server, n_clients, targets);
    for (target, answer) in targets.iter().zip(&answers) {
        assert_eq!((answer.status, answer.came()), (200, from), "{target}: {answer:?}");
    }
    answers.into_iter().map(|answer| answer.body).collect()
}

#[test]
fn cold_misses_are_made_once_and_kept_over_a_restart() {
    let mut server = Server::start("");
    std::fs::write(server.images().join("noise.jpg"), noise(100, 80)).unwrap();
    let targets = many_targets();
    let n_targets = targets.len() as u64;
    let made = pass(&server, &targets, "miss");
    settle(&server, Some(targets.len()));
    assert!(pass(&server, &targets, "hit") == made, "a hit differs from what was made");
    let counts = Counts::at_the_end_of(&mut server);
    let expected = Counts { made: n_targets, shared: 0, from_disk: 0, from_memory: n_targets };
    assert_eq!(counts, expected);
    assert_eq!(settle(&server, None).len(), targets.len());

    let mut restarted = server.again("");
    assert!(pass(&restarted, &targets, "hit") == made, "a file differs from what was made");
    assert!(pass(&restarted, &targets, "hit") == made, "memory differs from what was made");
    let counts = Counts::at_the_end_of(&mut restarted);
    assert_eq!(counts, Counts { made: 0, shared: 0, from_disk: n_targets, from_memory: n_targets });

    let mut forgetful = server.again("cache: {memory: 0}\n");
    assert!(pass(&forgetful, &targets, "hit") == made);
    assert!(pass(&forgetful, &targets, "hit") == made);
    let counts = Counts::at_the_end_of(&mut forgetful);
    assert_eq!(counts, Counts { made: 0, shared: 0, from_disk: 2 * n_targets, from_memory: 0 });
}

#[test]
fn a_stampede_on_each_of_twenty_images_makes_twenty() {
    let mut server = Server::start("");
    std::fs::write(server.images().join("noise.jpg"), noise(400, 300)).unwrap();
    let targets: Vec<String> = (0..20).map(|number| format!("/image/w_{},c_p,h_100/noise.jpg", 100 + number)).collect();
    let mut connected = clients(&server, 24);
    for target in &targets {
        let answers = together(connected.iter_mut().collect(), |client: &mut Client| client.get(target));
        assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == answers[0].body), "{target}");
        assert_eq!(n_misses(&answers), 1, "{target}");
    }
    let kept = settle(&server, Some(targets.len()));
    let said = String::from_utf8(command(&server, &["stats"]).stdout).unwrap();
    let n_bytes: u64 = kept.values().sum();
    assert!(said.contains(&format!(" {n_bytes} bytes ")), "{n_bytes} bytes on disk: {said}");
    let counts = Counts::at_the_end_of(&mut server);
    assert_eq!((counts.made, counts.sum()), (20, 20 * 24), "{counts:?}");
}

/// Two states of one image: answers of `w_10` tell which it was. Both files have the same length.
fn two_states() -> [Vec<u8>; 2] {
    let (mut wide, mut tall) = (jpeg(64, 32), jpeg(32, 64));
    let length = wide.len().max(tall.len());
    // Bytes behind the end of a picture are no part of it.
    wide.resize(length, 0);
    tall.resize(length, 0);
    [wide, tall]
}

#[test]
fn a_changed_original_is_shown_at_once_and_the_old_one_never_again() {
    const TARGET: &str = "/image/w_10/changing.jpg";
    let server = Server::start("");
    let states = two_states();
    let plain = server.again("cache: {enabled: No}\n");
    let base = SystemTime::now() - Duration::from_secs(10_000);
    let expected = [0, 1].map(|state| {
        plain.put_image("changing.jpg", &states[state], base);
        let answer = plain.get(TARGET);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    });
    assert!(expected[0] != expected[1]);
    drop(plain);
    // How many changes have begun, and how many are done: what lies between them may see either state.
    let (begun, done, is_over) = (AtomicUsize::new(1), AtomicUsize::new(1), AtomicBool::new(false));
    let mut tags = HashSet::new();
    thread::scope(|scope| {
        let watch = || {
            let mut client = Client::new(&server);
            let mut n_checked = 0;
            while !is_over.load(Ordering::SeqCst) {
                let before = done.load(Ordering::SeqCst);
                let answer = client.get(TARGET);
                assert_eq!(answer.status, 200, "{answer:?}");
                if begun.load(Ordering::SeqCst) == before {
                    assert!(answer.body == expected[before % 2], "change {before}: {answer:?}");
                    n_checked += 1;
                }
            }
            n_checked
        };
        let watchers = [scope.spawn(watch), scope.spawn(watch), scope.spawn(watch)];
        let until = Until(&is_over);
        for change in 2..60 {
            begun.store(change, Ordering::SeqCst);
            // In turn, the length alone is another, or the time alone.
            let mut content = states[change % 2].clone();
            content.resize(content.len() + change / 2, 0);
            let time = base + Duration::from_millis(change.div_ceil(2) as u64);
            server.put_image("changing.jpg", &content, time);
            done.store(change, Ordering::SeqCst);
            let answer = server.get(TARGET);
            assert!(answer.status == 200 && answer.body == expected[change % 2], "change {change}: {answer:?}");
            tags.insert(answer.header("ETag").unwrap().to_owned());
        }
        drop(until);
        let n_checked: usize = watchers.map(|watcher| watcher.join().unwrap()).iter().sum();
        assert!(n_checked > 50, "{n_checked} answers while nothing changed");
    });
    assert_eq!(tags.len(), 58, "each state has a tag of its own");
    settle(&server, Some(1));
}

#[test]
fn a_cache_that_is_switched_off_keeps_nothing() {
    let mut server = Server::start("cache: {enabled: No}\n");
    let bodies: Vec<Vec<u8>> = (0..3)
        .map(|_| {
            let answer = server.get("/image/w_20/photo.png");
            assert_eq!((answer.status, answer.came()), (200, "miss"), "{answer:?}");
            answer.body
        })
        .collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    let counts = Counts::at_the_end_of(&mut server);
    assert_eq!(counts, Counts { made: 3, shared: 0, from_disk: 0, from_memory: 0 });
    // API keys are kept all the same.
    assert!(!server.data().join("cache").exists(), "a server without a cache has made its folder");
}
