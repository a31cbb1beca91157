//! Permissions that are lost while the server runs: it goes on with what it has, says so once, and is well again when
//! they are back. (`disk_full.rs` has disks that are full or take no writes, `clock.rs` clocks that jump.)

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::report;
use crate::client::Client;
use crate::corpus::say;
use crate::pictures::noise;
use crate::server::{Answer, PATIENCE, Server, poll, program_by};
use crate::upload_form::{form_of, stored_path, upload};

/// Nothing is kept in memory: a hit was on disk.
const CONFIGURATION: &str = "cache: {memory: 0}\nhttp: {access-log: No}\n";
/// Nobody, where we are root, whom permissions do not bind.
const NOBODY: u32 = 65534;
/// Requests of each kind while something is wrong.
const N: usize = 20;

/// A server that permissions bind, or a visible line that there is none.
fn start() -> Option<Server> {
    let directory = Arc::new(TempDir::new().unwrap());
    let images = directory.path().join("images");
    std::fs::create_dir(&images).unwrap();
    std::fs::write(images.join("noise.jpg"), noise(200, 200)).unwrap();
    if !rustix::process::geteuid().is_root() {
        return Some(Server::start_in(directory, &images, CONFIGURATION));
    }
    for place in [directory.path(), &images, &images.join("noise.jpg")] {
        chown(place, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let nobody = || {
        let id = NOBODY.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
        command
    };
    let mut trial = program_by(nobody());
    if !trial.arg("--help").output().is_ok_and(|output| output.status.success()) {
        say("skipped: the program cannot be run as another user here, so nothing is known of lost permissions");
        return None;
    }
    Some(Server::start_as(program_by(nobody()), directory, &images, CONFIGURATION))
}

fn allow(place: &Path, mode: u32) {
    std::fs::set_permissions(place, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn target(number: usize) -> String {
    format!("/image/w_{},h_{},c_k/noise.jpg", 100 + number % 50, 100 + number / 50)
}

fn get(client: &mut Client, number: usize) -> Answer {
    let answer = client.get(&target(number));
    assert_eq!(answer.status, 200, "{number}: {answer:?}");
    answer
}

/// Whether an image is kept; it is asked for again until it is, or for a moment.
fn is_kept(client: &mut Client, number: usize) -> bool {
    get(client, number);
    let deadline = Instant::now() + Duration::from_millis(200);
    poll(deadline, || (get(client, number).came() == "hit").then_some(())).is_some()
}

/// How often each complaint is in the log, without time and cause.
fn complaints(server: &Server) -> BTreeMap<String, usize> {
    let mut complaints = BTreeMap::new();
    for line in server.log_of_events().lines() {
        if let Some((_, text)) = line.split_once(" WARN ").or_else(|| line.split_once(" ERROR ")) {
            let text = text.split(" failed").next().unwrap().trim_start_matches(|c: char| c != ' ');
            *complaints.entry(text.to_owned()).or_default() += 1;
        }
    }
    complaints
}

/// A cache that may not be looked into, by its own folder or by one above it, costs the cache.
fn check_cache(place: &str) {
    let Some(server) = start() else { return };
    let mut client = Client::new(&server);
    let before: Vec<Vec<u8>> = (0..N).map(|number| get(&mut client, number).body).collect();
    assert!((0..N).all(|number| is_kept(&mut client, number)), "{}", server.log_of_events());
    let folder = server.directory().join(place);
    allow(&folder, 0);
    for (number, before) in before.iter().enumerate() {
        let answer = get(&mut client, number);
        assert!(answer.body == *before && answer.came() != "hit", "{number} in spite of all: {answer:?}");
        assert_ne!(get(&mut client, 100 + number).came(), "hit");
    }
    stored_path(&server, &noise(30, 30));
    server.assert_alive("a lost cache");
    allow(&folder, 0o755);
    let deadline = Instant::now() + PATIENCE;
    let healed = (1000..).find(|number| is_kept(&mut client, *number) || Instant::now() >= deadline);
    assert!(Instant::now() < deadline, "never healed: {}", server.log_of_events());
    for (number, before) in before.iter().enumerate() {
        assert!(is_kept(&mut client, number) && get(&mut client, number).body == *before, "{number} is not kept");
    }
    let complaints = complaints(&server);
    report(
        "faults",
        format_args!(
            "no way into {place}: {N} kept and {N} new images right, healed {} images later, told {complaints:?}",
            healed.map_or(0, |number| number - 1000)
        ),
    );
    assert!(!complaints.is_empty() && complaints.values().all(|n| *n == 1), "{}", server.log_of_events());
    super::assert_ends_well(server);
}

#[test]
fn a_cache_that_may_not_be_entered_costs_no_answer() {
    check_cache("data/cache");
}

#[test]
fn a_data_path_that_may_not_be_entered_costs_no_answer() {
    check_cache("data");
}

#[test]
fn an_image_folder_that_may_not_be_entered_is_refused_and_comes_back() {
    let Some(server) = start() else { return };
    let mut client = Client::new(&server);
    assert!((0..N).all(|number| is_kept(&mut client, number)));
    let before = get(&mut client, 0);
    allow(&server.images(), 0);
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for number in 0..N {
        for number in [number, 100 + number] {
            let answer = client.get(&target(number));
            // Nobody is told that an image is not there which only may not be seen.
            assert!(answer.status == 502 || answer.came() == "hit", "{answer:?}");
            *statuses.entry(answer.status).or_default() += 1;
        }
        let told = upload(&server, "/upload", &form_of(&noise(20, 20)));
        assert!([502, 503].contains(&told.status), "{told:?}");
        *statuses.entry(told.status).or_default() += 1;
    }
    assert_eq!(server.get("/health").status, 200);
    let is_ready = |wanted| poll(Instant::now() + PATIENCE, || (server.get("/ready").status == wanted).then_some(()));
    is_ready(503).expect("it is ready without a folder");
    allow(&server.images(), 0o755);
    let after = get(&mut client, 0);
    assert!(after.body == before.body && after.header("ETag") == before.header("ETag"), "{after:?}");
    assert!((2000..2000 + N).all(|number| is_kept(&mut client, number)));
    stored_path(&server, &noise(30, 30));
    is_ready(200).expect("it is never ready again");
    let n_lines = complaints(&server).values().sum::<usize>();
    report("faults", format_args!("no way into the image folder: {statuses:?}, {n_lines} lines of the log"));
    // The images, and that it is not ready; once each, whatever number of requests.
    assert!((1..=2).contains(&n_lines), "{}", server.log_of_events());
    assert!(!server.log().contains("panic"), "{}", server.log_of_events());
}
