//! The package for Debian: made, installed on this machine, tried, and removed again without a trace. Only where that
//! harms nobody: as root, with nothing of pixlserv there before.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use rustix::fs::FlockOperation;
use tempfile::TempDir;

use crate::corpus::say;
use crate::install::{FILES, script};
use crate::pictures::{png, png_size};
use crate::server::{Answer, PATIENCE, answers, poll};

const POLICY: &str = "/usr/sbin/policy-rc.d";
const LINK: &str = "/etc/nginx/sites-enabled/pixlserv";
const WANTED: &str = "/etc/systemd/system/multi-user.target.wants/pixlserv.service";
const STATE: [&str; 2] = ["/var/lib/pixlserv", "/var/lib/private/pixlserv"];

/// A visible line, or a failure on a machine that says it can do this.
fn skip(reason: &str) {
    assert!(std::env::var_os("PIXLSERV_EXPECT_PACKAGE").is_none_or(|value| value != "1"), "{reason}");
    say(&format!("skipped: {reason}, so the package for Debian is not tested"));
}

/// Whoever may install packages.
#[derive(Clone, Copy)]
enum Administrator {
    Root,
    Sudo,
}

impl Administrator {
    fn find() -> Option<Self> {
        if rustix::process::getuid().is_root() {
            return Some(Self::Root);
        }
        let probe = Command::new("sudo").args(["-n", "true"]).output();
        probe.is_ok_and(|output| output.status.success()).then_some(Self::Sudo)
    }

    fn run(self, program: &str, arguments: &[&str]) -> Output {
        let mut command = match self {
            Self::Root => Command::new(program),
            Self::Sudo => Command::new("sudo"),
        };
        if matches!(self, Self::Sudo) {
            command.arg("-n").arg(program);
        }
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).output().unwrap()
    }

    /// What it said, of which nothing may be wrong.
    fn must(self, program: &str, arguments: &[&str]) -> String {
        let output = self.run(program, arguments);
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
        said
    }
}

/// Says that no service is to be started, until this value ends.
struct NothingStarts(Administrator);

impl NothingStarts {
    fn new(administrator: Administrator) -> Self {
        administrator.must("sh", &["-c", &format!("printf '#!/bin/sh\\nexit 101\\n' >{POLICY} && chmod 755 {POLICY}")]);
        Self(administrator)
    }
}

impl Drop for NothingStarts {
    fn drop(&mut self) {
        self.0.run("rm", &["-f", POLICY]);
    }
}

/// An installed package, removed with this value also where a test fails.
struct Installed(Administrator);

impl Drop for Installed {
    fn drop(&mut self) {
        self.0.run("dpkg", &["--purge", "pixlserv"]);
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where the process has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All places that an installation may have something in.
fn places() -> impl Iterator<Item = PathBuf> {
    let folders = ["/etc/pixlserv", "/usr/share/pixlserv", "/usr/share/doc/pixlserv", LINK, WANTED];
    let files = FILES.iter().map(|(name, _)| Path::new("/").join(name));
    folders.into_iter().chain(STATE).map(PathBuf::from).chain(files)
}

fn left() -> Vec<PathBuf> {
    // A link that leads nowhere is there, too.
    places().filter(|path| path.symlink_metadata().is_ok()).collect()
}

fn has_user() -> bool {
    Command::new("getent").args(["passwd", "pixlserv"]).output().unwrap().status.success()
}

fn is_known_to_dpkg() -> bool {
    Command::new("dpkg-query").args(["-W", "pixlserv"]).output().is_ok_and(|output| output.status.success())
}

/// The package of the program that is tested.
fn make(folder: &Path) -> PathBuf {
    let mut command = script("package");
    let output = command.args(["--binary", env!("CARGO_BIN_EXE_pixlserv"), "--output"]).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut made = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let package = made.next().unwrap();
    assert!(package.extension().unwrap() == "deb" && made.next().is_none());
    package
}

fn get(socket: &Path, target: &str) -> Answer {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    answers(&bytes).pop().unwrap()
}

/// Runs what is installed as it is configured, only that its folders are those of this test.
fn serve_a_picture(folder: &Path) {
    let socket = folder.join("run/pixlserv.sock");
    let configuration = fs::read_to_string("/etc/pixlserv/pixlserv.yaml")
        .unwrap()
        .replace("/var/lib/pixlserv/", &format!("{}/", folder.display()))
        .replace("/run/pixlserv/", &format!("{}/run/", folder.display()));
    for name in ["run", "images"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    fs::write(folder.join("images/photo.png"), png(60, 45)).unwrap();
    let file = folder.join("pixlserv.yaml");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new("/usr/bin/pixlserv");
    command.env_clear().current_dir("/").arg("run").arg(&file).stderr(File::create(folder.join("log")).unwrap());
    let mut server = Running(command.stdin(Stdio::null()).spawn().unwrap());
    poll(Instant::now() + PATIENCE, || UnixStream::connect(&socket).ok())
        .unwrap_or_else(|| panic!("{}", fs::read_to_string(folder.join("log")).unwrap()));
    let answer = get(&socket, "/image/w_20/photo.png");
    assert_eq!((answer.status, png_size(&answer.body)), (200, (20, 15)));
    // Its text needs the installed font.
    assert_eq!(get(&socket, "/image/t_withtext/photo.png").status, 200);
    assert!(Command::new("kill").arg(server.0.id().to_string()).status().unwrap().success());
    let ended = poll(Instant::now() + PATIENCE, || server.0.try_wait().unwrap());
    assert_eq!(ended.expect("the server still runs").code(), Some(0));
}

fn assert_installed(said: &str) {
    for (name, mode) in FILES {
        let metadata = Path::new("/").join(name).metadata().unwrap();
        assert_eq!((metadata.permissions().mode() & 0o7777, metadata.uid()), (mode, 0), "{name}");
    }
    assert!(said.contains("What to do next") && has_user(), "{said}");
    assert_eq!(Path::new(LINK).exists(), Path::new("/etc/nginx/sites-enabled").is_dir());
    // Enabled by a helper that all systems with systemd have.
    let has_helper = Path::new("/usr/bin/deb-systemd-helper").exists();
    assert_eq!(Path::new(WANTED).symlink_metadata().is_ok(), has_helper);
    for (field, wanted) in [("Depends", "libc6"), ("Suggests", "nginx, redis-server")] {
        let output = Command::new("dpkg-query").args(["-W", &format!("-f=${{{field}}}"), "pixlserv"]).output().unwrap();
        let value = String::from_utf8(output.stdout).unwrap();
        assert!(value.starts_with(wanted) && (field != "Depends" || !value.contains(',')), "{field}: {value}");
    }
}

#[test]
fn the_package_is_installed_serves_a_picture_and_leaves_nothing_behind() {
    // One machine has one installation, and other checkouts may test theirs.
    let lock = File::create(std::env::temp_dir().join("pixlserv-package-test.lock")).unwrap();
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).unwrap();
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/cargo-deb").is_file() {
        return skip("cargo-deb is not in target/tools (scripts/package-tools)");
    }
    let Some(administrator) = Administrator::find() else {
        return skip("this is neither root nor a user with sudo");
    };
    let before = left();
    if is_known_to_dpkg() || has_user() || !before.is_empty() {
        return skip(&format!("pixlserv is on this machine already, {before:?}"));
    }
    let policy = match Path::new(POLICY).exists() {
        false => Some(NothingStarts::new(administrator)),
        true => None,
    };
    if administrator.run(POLICY, &["pixlserv", "start"]).status.code() != Some(101) {
        return skip(&format!("{POLICY} lets services start"));
    }

    let folder = TempDir::new().unwrap();
    let package = make(&folder.path().join("package")).display().to_string();
    let installed = Installed(administrator);
    assert_installed(&administrator.must("dpkg", &["--install", &package]));
    serve_a_picture(folder.path());

    // A configuration that was changed survives an upgrade and a removal, images and cache do, too.
    let mine = "echo '# mine' >>/etc/pixlserv/pixlserv.yaml; touch /var/lib/pixlserv/images/a";
    administrator.must("sh", &["-ec", mine]);
    let is_mine = || fs::read_to_string("/etc/pixlserv/pixlserv.yaml").unwrap().ends_with("# mine\n");
    administrator.must("dpkg", &["--install", &package]);
    assert!(is_mine());
    administrator.must("dpkg", &["--remove", "pixlserv"]);
    assert!(is_mine() && Path::new("/var/lib/pixlserv/images/a").exists());
    assert!(!Path::new("/usr/bin/pixlserv").exists() && Path::new(LINK).symlink_metadata().is_err());
    // What was linked is linked again.
    administrator.must("dpkg", &["--install", &package]);
    assert_eq!(Path::new(LINK).exists(), Path::new("/etc/nginx/sites-enabled").is_dir());
    administrator.must("dpkg", &["--remove", "pixlserv"]);
    // A purge takes all but images; when they are gone, nothing is left.
    let said = administrator.must("dpkg", &["--purge", "pixlserv"]);
    assert!(said.contains("images are left in /var/lib/pixlserv"), "{said}");
    assert_eq!((left(), has_user()), (vec![PathBuf::from("/var/lib/pixlserv")], true));
    administrator.must("sh", &["-ec", "rm /var/lib/pixlserv/images/a"]);
    administrator.must("dpkg", &["--install", &package]);
    administrator.must("dpkg", &["--purge", "pixlserv"]);
    assert!(!is_known_to_dpkg() && !has_user());
    assert_eq!(left(), Vec::<PathBuf>::new());
    drop((installed, policy));
}
