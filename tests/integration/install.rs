//! `scripts/install` into a folder: what is there afterwards, and whether the program, nginx and systemd take it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::corpus::say;
use crate::nginx::find_nginx;

const CONFIGURATION: &str = "etc/pixlserv/pixlserv.yaml";
const SITE: &str = "etc/nginx/sites-available/pixlserv";

/// What belongs to an installation, and who may do what with it. The package has the same.
pub(crate) const FILES: [(&str, u32); 13] = [
    ("usr/bin/pixlserv", 0o755),
    ("usr/sbin/pixlserv-admin", 0o755),
    (CONFIGURATION, 0o644),
    ("etc/pixlserv/pixlserv.env", 0o600),
    (SITE, 0o644),
    ("usr/lib/systemd/system/pixlserv.service", 0o644),
    ("usr/share/pixlserv/fonts/DejaVuSans.ttf", 0o644),
    ("usr/share/pixlserv/fonts/DejaVuSans-LICENSE.txt", 0o644),
    ("usr/share/pixlserv/defaults/pixlserv.yaml", 0o644),
    ("usr/share/pixlserv/defaults/pixlserv.env", 0o644),
    ("usr/share/pixlserv/defaults/nginx-site", 0o644),
    ("usr/share/doc/pixlserv/copyright", 0o644),
    ("usr/share/doc/pixlserv/README.md", 0o644),
];

pub(crate) fn script(name: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name))
}

fn install(root: &Path, arguments: &[&str]) -> String {
    let mut command = script("install");
    command.arg("--root").arg(root).args(["--binary", env!("CARGO_BIN_EXE_pixlserv")]).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A folder with a finished installation, and what was said of it; with the folders of an nginx.
fn installed() -> (TempDir, String) {
    let root = TempDir::new().unwrap();
    fs::create_dir_all(root.path().join("etc/nginx/sites-enabled")).unwrap();
    let said = install(root.path(), &[]);
    (root, said)
}

/// All files and links below a folder, with what changes when they do.
fn files(folder: &Path) -> BTreeMap<PathBuf, (u32, u64, u64, i64)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            all.extend(files(&path));
        } else {
            all.insert(path, (metadata.mode() & 0o7777, metadata.len(), metadata.ino(), metadata.mtime_nsec()));
        }
    }
    all
}

#[test]
fn everything_is_in_its_place_and_a_second_run_changes_nothing() {
    let (root, said) = installed();
    let root = root.path();
    for (name, mode) in FILES {
        let path = root.join(name);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, mode, "{name}");
        assert!(said.contains(&format!("installed  {}\n", path.display())), "{name}: {said}");
    }
    let link = root.join("etc/nginx/sites-enabled/pixlserv");
    assert_eq!(fs::canonicalize(&link).unwrap(), root.join(SITE).canonicalize().unwrap());
    let before = files(root);
    assert_eq!(before.len(), FILES.len() + 1, "{before:#?}");
    let said = install(root, &[]);
    assert!(said.lines().all(|line| line.starts_with("unchanged  ")), "{said}");
    assert_eq!(files(root), before);
}

#[test]
fn without_nginx_its_folders_are_left_alone() {
    let root = TempDir::new().unwrap();
    install(root.path(), &["--no-nginx"]);
    assert!(!root.path().join("etc/nginx").exists());
    let said = install(root.path(), &[]);
    assert!(said.contains("nginx is not installed"), "{said}");
    assert!(root.path().join(SITE).is_file() && !root.path().join("etc/nginx/sites-enabled").exists());
}

#[test]
fn the_installed_configuration_passes_its_check() {
    let (root, _) = installed();
    let text = fs::read_to_string(root.path().join(CONFIGURATION)).unwrap();
    let here = text
        .replace("/var/lib/", &format!("{}/var/lib/", root.path().display()))
        .replace("/run/pixlserv/", &format!("{}/run/", root.path().display()));
    fs::create_dir(root.path().join("run")).unwrap();
    let file = root.path().join("here.yaml");
    fs::write(&file, here).unwrap();
    // From a folder without fonts, so that only the installed one is to be had.
    let mut command = Command::new(root.path().join("usr/bin/pixlserv"));
    let output = command.current_dir("/").env_clear().arg("check").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for part in ["sw-corner", "withtext", "DejaVuSans.ttf", "/var/lib/pixlserv/images"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_configuration_that_was_changed_is_kept() {
    let (root, _) = installed();
    let root = root.path();
    for name in [CONFIGURATION, "etc/pixlserv/pixlserv.env", SITE] {
        let path = root.join(name);
        let shipped = fs::read_to_string(&path).unwrap();
        let new = PathBuf::from(format!("{}.new", path.display()));
        fs::write(&path, "# mine\n").unwrap();
        for _ in 0..2 {
            let said = install(root, &[]);
            assert!(said.contains(&format!("kept       {}, which was changed", path.display())), "{said}");
            assert_eq!(fs::read_to_string(&path).unwrap(), "# mine\n");
            assert_eq!(fs::read_to_string(&new).unwrap(), shipped, "{name}");
        }
        fs::write(&path, shipped).unwrap();
    }
    // One that has only become old is brought up to date.
    let path = root.join(CONFIGURATION);
    let shipped = fs::read_to_string(&path).unwrap();
    for old in [&path, &root.join("usr/share/pixlserv/defaults/pixlserv.yaml")] {
        fs::write(old, "# of an earlier version\n").unwrap();
    }
    install(root, &[]);
    assert_eq!(fs::read_to_string(&path).unwrap(), shipped);
}

#[test]
fn a_link_of_another_is_left_as_it_is() {
    let root = TempDir::new().unwrap();
    let enabled = root.path().join("etc/nginx/sites-enabled");
    fs::create_dir_all(&enabled).unwrap();
    std::os::unix::fs::symlink("/nowhere", enabled.join("pixlserv")).unwrap();
    install(root.path(), &[]);
    assert_eq!(fs::read_link(enabled.join("pixlserv")).unwrap(), Path::new("/nowhere"));
}

#[test]
fn scripts_explain_themselves_and_refuse_the_rest() {
    for name in ["install", "package"] {
        let run = |arguments: &[&str]| script(name).args(arguments).output().unwrap();
        let help = run(&["--help"]);
        let said = String::from_utf8(help.stdout).unwrap();
        assert!(help.status.success() && said.contains(&format!("scripts/{name} [--")), "{said}");
        for arguments in [&["--nonsense"][..], &["--binary"], &["--binary", ""]] {
            let output = run(arguments);
            assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}");
            assert!(String::from_utf8_lossy(&output.stderr).contains("--help"), "{name} {arguments:?}");
        }
    }
    let output = script("install").args(["--root", "/nowhere", "--binary", "/nowhere/pixlserv"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no program /nowhere/pixlserv"));
}

/// The parts of Debian's nginx.conf that a site has to live with.
const DEBIAN: &str = "user www-data;
worker_processes auto;
pid PLACE/nginx.pid;
error_log PLACE/error.log;
events { worker_connections 768; }
http {
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    types { image/jpeg jpeg jpg; image/png png; }
    default_type application/octet-stream;
    access_log PLACE/access.log;
    client_body_temp_path PLACE/body;
    proxy_temp_path PLACE/proxy;
    fastcgi_temp_path PLACE/fastcgi;
    uwsgi_temp_path PLACE/uwsgi;
    scgi_temp_path PLACE/scgi;
    gzip on;
    include PLACE/etc/nginx/sites-enabled/*;
}
";

#[test]
fn nginx_takes_the_site_as_debian_includes_it() {
    let Some(program) = find_nginx() else {
        return;
    };
    let (root, _) = installed();
    let place = root.path().display().to_string();
    let is_root = rustix::process::getuid().is_root();
    let user = if is_root { "user root;" } else { "" };
    let whole = root.path().join("nginx.conf");
    fs::write(&whole, DEBIAN.replace("PLACE", &place).replace("user www-data;", user)).unwrap();
    let site = root.path().join(SITE);
    let mut text = fs::read_to_string(&site).unwrap();
    let commands: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("#   sed -i '")).collect();
    let commands: Vec<_> = commands.iter().map(|line| line.split('\'').next().unwrap().to_owned()).collect();
    assert_eq!(commands.len(), 2, "{commands:?}");
    text = text.replace("/var/cache/", &format!("{place}/"));
    if !is_root {
        text = text.replace("listen 80;", "listen 8080;");
    }
    fs::write(&site, text).unwrap();
    // First as it is, then with each of the commands that it names.
    for command in std::iter::once("").chain(commands.iter().map(String::as_str)) {
        let before = fs::read_to_string(&site).unwrap();
        assert!(Command::new("sed").arg("-i").arg(command).arg(&site).status().unwrap().success());
        let has_changed = fs::read_to_string(&site).unwrap() != before;
        assert_eq!(has_changed, !command.is_empty(), "{command}");
        let output =
            Command::new(&program).arg("-t").arg("-p").arg(root.path()).arg("-c").arg(&whole).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let is_fine = output.status.success() && said.contains("test is successful") && !said.contains("[warn]");
        assert!(is_fine, "{command}: {said}");
    }
    assert!(!fs::read_to_string(&site).unwrap().lines().any(|line| line.trim_start().starts_with("#cache ")));
}

/// Not what systemd makes of it: that takes a system that it runs.
#[test]
fn systemd_takes_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        say("skipped: systemd-analyze is not installed, the unit is not checked");
        return;
    }
    let root = TempDir::new().unwrap();
    install(root.path(), &[]);
    let unit = fs::read_to_string(root.path().join("usr/lib/systemd/system/pixlserv.service")).unwrap();
    let program = root.path().join("usr/bin/pixlserv").display().to_string();
    assert!(unit.contains("ExecStart=/usr/bin/pixlserv run /etc/pixlserv/pixlserv.yaml\n"), "{unit}");
    // Both make systemd answer openat2 with ENOSYS, and no image can be opened.
    for forbidden in ["DynamicUser=yes", "RestrictSUIDSGID=yes"] {
        assert!(!unit.lines().any(|line| line == forbidden), "{forbidden}");
    }
    let file = root.path().join("pixlserv.service");
    fs::write(&file, unit.replace("/usr/bin/pixlserv", &program)).unwrap();
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).arg(&file).output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.success(), said)
    };
    let (is_fine, said) = analyze(&["verify", "--man=no"]);
    // It speaks of units of this machine, too, if those are at fault.
    let of_ours = said.lines().filter(|line| line.contains("pixlserv")).count();
    assert!(is_fine && of_ours == 0, "{said}");
    // Exposure of 0 to 10, here in tenths: 1.5 with systemd 252.
    let (is_fine, said) = analyze(&["security", "--offline=true", "--threshold=20", "--no-pager"]);
    let is_old = said.contains("unrecognized option");
    assert!(is_fine || is_old, "{said}");
    if is_old {
        say("skipped: this systemd-analyze does not judge files, the sandbox of the unit is not checked");
    }
}
