//! File systems that have no more room, or take no more writes. For a cache, images are served all the same, and kept
//! again as soon as that is possible. The file systems are small ones in memory, which only the server sees; where the
//! system forbids to make them, the tests say so.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Instant;

use tempfile::TempDir;

use crate::pictures::noise;
use crate::server::{PATIENCE, Server, poll, program, program_by};
use crate::upload_form::{chunked_request, folder, form_of, stored_path, told, upload, upload_request};

/// Nothing is kept in memory: a hit was on disk.
const CONFIGURATION: &str = "cache: {memory: 0}\n";

/// A server whose data are on a file system of its own.
struct Small {
    server: Server,
    /// What `nsenter` needs to go where the server is.
    entry: &'static [&'static str],
    /// Where the file system is mounted.
    place: PathBuf,
}

/// The ways to a mount namespace: for root, and for a user who may have namespaces. With what leads back into them.
const WAYS: [(&[&str], &[&str]); 2] =
    [(&["--mount"], &["--mount"]), (&["--user", "--map-root-user", "--mount"], &["--user", "--mount"])];

/// Starts a server with a file system of these options at `place` below its directory.
fn start(place: &str, options: &str) -> Option<Small> {
    let directory = Arc::new(TempDir::new().unwrap());
    let images = directory.path().join("images");
    std::fs::create_dir(&images).unwrap();
    std::fs::write(images.join("noise.jpg"), noise(200, 200)).unwrap();
    let place = directory.path().join(place);
    std::fs::create_dir_all(&place).unwrap();
    let mount = format!("mount -t tmpfs -o {options} none '{}'", place.display());
    let may = |way: &[&str]| Command::new("unshare").args(way).args(["sh", "-c", &mount]).output();
    let Some((way, entry)) = WAYS.into_iter().find(|(way, _)| may(way).is_ok_and(|output| output.status.success()))
    else {
        eprintln!("skipped: this system lets us mount no file system, so nothing is known of full disks");
        return None;
    };
    let mut command = Command::new("unshare");
    command.args(way).args(["sh", "-c", &format!("{mount} && exec \"$0\" \"$@\"")]);
    let server = Server::start_as(program_by(command), directory, &images, CONFIGURATION);
    Some(Small { server, entry, place })
}

impl Small {
    /// Runs a command where the server is, which must succeed.
    fn run(&self, command: &[&OsStr]) {
        let output = self.try_run(command);
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn try_run(&self, command: &[&OsStr]) -> Output {
        let pid = self.server.pid().to_string();
        let mut entering = Command::new("nsenter");
        entering.args(["--target", &pid]).args(self.entry);
        if self.entry.contains(&"--user") {
            entering.arg("--preserve-credentials");
        }
        entering.args(command).output().unwrap()
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        // Options that the file system has, but that were not given to it, are not for a user to repeat.
        let command = ["mount", "--options-mode", "ignore", "-t", "tmpfs", "-o", &options, "none"].map(OsStr::new);
        let command = [&command[..], &[self.place.as_ref()]].concat();
        // The file of an upload that was refused a moment ago is closed after the answer; until then the place is busy.
        let is_done = || self.try_run(&command).status.success().then_some(());
        poll(Instant::now() + PATIENCE, is_done).unwrap_or_else(|| self.run(&command));
    }

    /// Whether files and index fit together, and all files are whole.
    fn verify(&self) {
        let (program, configuration) = (program(), self.server.configuration_file());
        let arguments = ["cache", "--config"].map(OsStr::new);
        self.run(&[&[program.get_program()], &arguments[..], &[configuration.as_ref(), "verify".as_ref()]].concat());
    }

    /// A path of the server as we reach it.
    fn seen_from_outside(&self, path: &Path) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.server.pid())).join(path.strip_prefix("/").unwrap())
    }

    fn get(&self, number: usize) -> String {
        let target = format!("/image/w_{},h_{},c_k/noise.jpg", 100 + number % 50, 100 + number / 50);
        let answer = self.server.get(&target);
        assert_eq!(answer.status, 200, "{target}: {answer:?}\n{}", self.server.log_of_events());
        assert!(answer.body.starts_with(b"\xff\xd8\xff") && answer.body.ends_with(b"\xff\xd9"), "{target}: {answer:?}");
        answer.came().to_owned()
    }

    /// Whether what is asked for anew is kept.
    fn keeps(&self, number: usize) -> bool {
        self.get(number);
        let deadline = Instant::now() + std::time::Duration::from_millis(200);
        poll(deadline, || (self.get(number) == "hit").then_some(())).is_some()
    }

    /// Checks that twenty images are served and none of them is kept.
    fn check_trouble(&self, first: usize) {
        for number in first..first + 20 {
            self.get(number);
        }
        for number in first..first + 20 {
            assert_ne!(self.get(number), "hit", "kept in spite of all");
        }
        assert_eq!(self.server.get("/health").status, 200);
    }

    /// Waits until images are kept again, and checks what the log has to say.
    fn check_healed(&self, first: usize) {
        let deadline = Instant::now() + PATIENCE;
        let healed = (first..first + 100).find(|number| self.keeps(*number) || Instant::now() >= deadline);
        assert!(healed.is_some() && Instant::now() < deadline, "never healed: {}", self.server.log_of_events());
        for number in first + 100..first + 110 {
            assert!(self.keeps(number), "{}", self.server.log_of_events());
        }
        self.verify();
        let mut complaints: BTreeMap<String, usize> = BTreeMap::new();
        for line in self.server.log_of_events().lines().filter(|line| line.contains(" WARN ")) {
            // What was tried, without time and cause.
            let text = line.split_once(" WARN ").unwrap().1.split(" failed").next().unwrap();
            *complaints.entry(text.to_owned()).or_default() += 1;
        }
        assert!(!complaints.is_empty(), "nobody was told: {}", self.server.log_of_events());
        // All of this took less than a minute.
        assert!(complaints.values().all(|n| *n == 1), "{complaints:#?}");
        assert!(!self.server.log().contains("panic"), "{}", self.server.log_of_events());
    }
}

/// Takes all room that is left.
fn fill_up(file: &Path) {
    let mut file = std::fs::File::create(file).unwrap();
    for piece in [64 << 10, 4096, 1] {
        while file.write_all(&vec![0; piece]).is_ok() {}
    }
}

#[test]
fn a_full_disk_costs_the_cache_and_no_answer() {
    let Some(small) = start("data", "size=6m") else { return };
    assert!((0..5).all(|number| small.keeps(number)));
    let ballast = small.seen_from_outside(&small.place).join("ballast");
    fill_up(&ballast);
    small.check_trouble(100);
    assert!((0..5).all(|number| small.get(number) == "hit"), "what was kept before is still there");
    std::fs::remove_file(&ballast).unwrap();
    small.check_healed(200);
}

#[test]
fn a_disk_without_inodes_costs_the_cache_and_no_answer() {
    let Some(small) = start("data", "size=16m,nr_inodes=16") else { return };
    // Each answer takes a file, and most a folder.
    for number in 0..20 {
        small.get(number);
    }
    small.check_trouble(100);
    small.remount("nr_inodes=1000");
    small.check_healed(200);
}

#[test]
fn a_read_only_disk_costs_the_cache_and_no_answer() {
    let Some(small) = start("data/cache", "size=16m") else { return };
    assert!((0..5).all(|number| small.keeps(number)));
    small.remount("ro");
    small.check_trouble(100);
    assert!((0..5).all(|number| small.get(number) == "hit"), "what was kept before is still there");
    small.remount("rw");
    small.check_healed(200);
}

/// Checks that an upload is refused for want of room, and that the folder stays as it is.
fn check_refused(small: &Small, content: &[u8], what: &str) {
    let images = small.seen_from_outside(&small.place);
    let before = folder(&images);
    for request in [upload_request("/upload", &form_of(content)), chunked_request("/upload", &form_of(content), 50_000)]
    {
        let told = told(&small.server, &request);
        assert_eq!(told.status, 507, "{what}: {told:?}\n{}", small.server.log_of_events());
    }
    assert!(folder(&images) == before, "{what}: left behind");
    assert_eq!(small.server.get("/health").status, 200);
}

#[test]
fn an_upload_on_a_full_disk_is_refused_and_leaves_nothing() {
    let Some(small) = start("images", "size=1m") else { return };
    let content = noise(900, 900);
    let first = stored_path(&small.server, &content);
    let ballast = small.seen_from_outside(&small.place).join("ballast");
    fill_up(&ballast);
    check_refused(&small, &content, "full");
    check_refused(&small, &noise(20, 20), "full, a small one");
    std::fs::remove_file(&ballast).unwrap();
    let second = stored_path(&small.server, &content);
    for path in [first, second] {
        assert!(std::fs::read(small.seen_from_outside(&small.place).join(path)).unwrap() == content);
    }
    // Room for a part of a third is none, and is there again afterwards.
    check_refused(&small, &content, "nearly full");
    check_refused(&small, &content, "nearly full, again");
    stored_path(&small.server, &noise(20, 20));
}

#[test]
fn an_upload_on_a_disk_without_inodes_or_one_that_is_read_only_is_refused() {
    let Some(small) = start("images", "size=8m,nr_inodes=5") else { return };
    let content = noise(100, 100);
    let n_stored = (0..10).take_while(|_| upload(&small.server, "/upload", &form_of(&content)).status == 200).count();
    assert!((1..10).contains(&n_stored), "{n_stored}");
    check_refused(&small, &content, "no inodes");
    small.remount("nr_inodes=100");
    stored_path(&small.server, &content);
    small.remount("ro");
    check_refused(&small, &content, "read-only");
    small.remount("rw");
    stored_path(&small.server, &content);
}
