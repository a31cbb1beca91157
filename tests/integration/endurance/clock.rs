//! A clock that is set, forward and back, while the server runs: what depends on the time of day goes by the new one,
//! and all else does not notice. The clock is that of the server alone (libfaketime); what measures how long something
//! takes stays real, as it does when a system's clock is set.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::{assert_ends_well, report};
use crate::api_keys::{Key, seconds_from_now};
use crate::client::Client;
use crate::corpus::say;
use crate::eviction::{description, target};
use crate::pictures::{noise, png};
use crate::server::{PATIENCE, Server, poll, program};
use crate::shelf::{records, settle};
use crate::upload_form::{parts_of, upload};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// A jump must not make anybody wait.
const PROMPT: Duration = Duration::from_secs(5);

/// A server with a clock of its own.
struct Clocked {
    server: Server,
    directory: Arc<TempDir>,
}

/// The library, where Debian has it, or a visible line that there is none.
fn library() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    folders.push(PathBuf::from("/usr/lib"));
    let found =
        folders.into_iter().map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|file| file.is_file());
    if found.is_none() {
        say("skipped: libfaketime is not installed, so nothing is known of clocks that jump");
    }
    found
}

impl Clocked {
    fn start(configuration: &str) -> Option<Self> {
        let library = library()?;
        let directory = Arc::new(TempDir::new().unwrap());
        let images = directory.path().join("images");
        std::fs::create_dir(&images).unwrap();
        std::fs::write(images.join("noise.jpg"), noise(200, 200)).unwrap();
        let clock = directory.path().join("clock");
        set(&clock, 0);
        let mut command: Command = program();
        command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", clock);
        // The file is read each time; only the time of day is another, neither that of files nor how time goes by.
        for switch in ["FAKETIME_NO_CACHE", "FAKETIME_DONT_FAKE_MONOTONIC", "NO_FAKE_STAT", "FAKETIME_DISABLE_SHM"] {
            command.env(switch, "1");
        }
        let server = Server::start_as(command, Arc::clone(&directory), &images, configuration);
        Some(Self { server, directory })
    }

    /// Sets the clock so many seconds off, and waits until the server shows that time.
    fn jump(&self, seconds: i64) {
        set(&self.directory.path().join("clock"), seconds);
        let is_there = || {
            let answer = self.server.get("/health");
            let date = httpdate::parse_http_date(answer.header("Date").unwrap()).unwrap();
            (unix(date).abs_diff(unix(SystemTime::now()) + seconds) <= 2).then_some(())
        };
        poll(Instant::now() + PATIENCE, is_there).expect("the server's clock cannot be set");
    }
}

fn unix(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed()
}

/// In one step: the server must not read half of it.
fn set(clock: &Path, seconds: i64) {
    let new = clock.with_extension("new");
    std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
    std::fs::rename(new, clock).unwrap();
}

#[test]
fn a_clock_that_jumps_changes_no_answer_and_judges_signatures() {
    let Some(clocked) = Clocked::start("http: {access-log: No}\n") else { return };
    let server = &clocked.server;
    let key = Key::add(server);
    let mut client = Client::new(server);
    let first = client.get(&target(0));
    assert_eq!((first.status, first.came()), (200, "miss"), "{first:?}");
    let jumps = [HOUR, -HOUR, 0, DAY, -DAY, DAY, 0];
    let mut slowest = Duration::ZERO;
    for (round, seconds) in jumps.into_iter().enumerate() {
        clocked.jump(seconds);
        let start = Instant::now();
        let again = client.get(&target(0));
        assert_eq!((again.status, again.came()), (200, "hit"), "{seconds}: {again:?}");
        for name in ["ETag", "Last-Modified", "Cache-Control"] {
            assert_eq!(again.header(name), first.header(name), "{seconds}: {again:?}");
        }
        assert!(again.body == first.body);
        let tag = again.header("ETag").unwrap();
        assert_eq!(server.request("GET", &target(0), &[("If-None-Match", tag)]).status, 304, "{seconds}");
        for number in 0..20 {
            let number = 1 + round * 20 + number;
            let (new, kept) = (client.get(&target(number)), client.get(&target(number)));
            assert_eq!((new.status, new.came(), kept.came()), (200, "miss", "hit"), "{seconds}: {new:?}");
            assert!(new.body == kept.body);
        }
        // Fresh by the server's clock, or by ours.
        for (offset, is_fresh) in [(seconds, true), (seconds - 290, true), (seconds - 320, false), (0, seconds == 0)] {
            let form = key.signed_form(&png(9, 9), &seconds_from_now(offset));
            let told = upload(server, &key.upload_target(), &form);
            assert_eq!(told.status, if is_fresh { 200 } else { 400 }, "clock {seconds}, signed {offset}: {told:?}");
            if is_fresh {
                let named = parts_of(&told.path).0.cast_signed();
                assert!(named.abs_diff(unix(SystemTime::now()) + seconds) < 60, "{seconds}: {told:?}");
            }
        }
        assert_eq!((server.get("/health").status, server.get("/ready").status), (200, 200), "{seconds}");
        slowest = slowest.max(start.elapsed());
    }
    report(
        "faults",
        format_args!("the clock jumps by {jumps:?} s: 53 requests after each, {slowest:?} for all of them at most"),
    );
    assert!(slowest < PROMPT, "{slowest:?}");
    let log = server.log();
    assert!(!log.contains(" WARN "), "{log}");
    settle(server, Some(1 + 20 * jumps.len()));
    assert_ends_well(clocked.server);
}

/// Fetches images one after the other, each of which is kept before the next, or has gone at once.
fn fill(server: &Server, numbers: std::ops::Range<usize>) {
    let mut client = Client::new(server);
    for number in numbers {
        assert_eq!(client.get(&target(number)).status, 200);
        let is_kept = || kept(server).contains(&description(number)).then_some(());
        poll(Instant::now() + Duration::from_millis(500), is_kept);
    }
}

fn kept(server: &Server) -> BTreeSet<String> {
    records(&server.data()).into_iter().map(|record| record.description).collect()
}

#[test]
fn a_clock_that_jumps_does_not_change_who_goes_first() {
    for seconds in [HOUR, DAY, -HOUR, -DAY] {
        // About 10 KB each.
        let Some(clocked) = Clocked::start("cache: {memory: 0, limit: 300000}\nhttp: {access-log: No}\n") else {
            return;
        };
        let server = &clocked.server;
        fill(server, 0..20);
        assert_eq!(kept(server).len(), 20, "all fit");
        clocked.jump(seconds);
        let mut client = Client::new(server);
        for number in 10..20 {
            assert_eq!(client.get(&target(number)).came(), "hit");
        }
        fill(server, 20..38);
        settle(server, None);
        let left = kept(server);
        let kept: Vec<usize> = (0..38).filter(|number| left.contains(&description(*number))).collect();
        let n_kept_of = |range: std::ops::Range<usize>| kept.iter().filter(|number| range.contains(number)).count();
        let (new, used, unused) = (n_kept_of(20..38), n_kept_of(10..20), n_kept_of(0..10));
        report(
            "faults",
            format_args!(
                "the clock jumps by {seconds} s: kept {new} of 18 new, {used} of 10 used, {unused} of 10 unused"
            ),
        );
        assert!(used >= unused, "{seconds} s: {kept:?}");
        assert!(new == 18, "{seconds} s: {kept:?}");
    }
}
