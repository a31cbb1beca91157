//! `pixlserv check` looks at all that a configuration needs, says what is to be mended, and leaves nothing behind.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use crate::server::{Server, program};
use crate::upload_form::folder;

/// A folder with images, and what `check` says of a configuration there.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        fs::create_dir(directory.path().join("images")).unwrap();
        fs::write(directory.path().join("images/mark.png"), crate::pictures::png(20, 10)).unwrap();
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Status, and the lines that were found.
    fn check(&self, configuration: &str) -> (i32, String) {
        let file = self.path().join("config.yaml");
        let places = "local-path: images\ndata-path: data\nlisten: 127.0.0.1:0\n";
        let places = places.lines().filter(|line| !configuration.contains(line.split(": ").next().unwrap()));
        let places: String = places.map(|line| format!("{line}\n")).collect();
        fs::write(&file, places + configuration).unwrap();
        let output = program().current_dir(self.path()).arg("check").arg(&file).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let is_finding = |line: &&str| ["ok ", "LOOK ", "MEND "].iter().any(|grade| line.starts_with(grade));
        let findings: String = said.lines().filter(is_finding).map(|line| format!("{line}\n")).collect();
        (output.status.code().unwrap(), if findings.is_empty() { said } else { findings })
    }

    /// Checks that something is to be mended, and is named so.
    #[track_caller]
    fn assert_mend(&self, configuration: &str, wanted: &str) {
        let (status, said) = self.check(configuration);
        let is_named = said.lines().any(|line| line.starts_with("MEND") && line.contains(wanted));
        assert!(status == 1 && is_named, "{status} {said}");
    }

    fn content(&self) -> BTreeMap<String, Vec<u8>> {
        folder(self.path())
    }
}

#[test]
fn a_good_place_is_good_and_stays_as_it_is() {
    let place = Place::new();
    let text = "cache: {limit: 1000000}\ntransformations: [{name: a, parameters: w_50, watermark: {source: mark.png, gravity: se}}]\n";
    let (status, said) = place.check(text);
    assert_eq!(status, 0, "{said}");
    for wanted in [
        "ok    index: data/index.sqlite is made at the first start",
        "ok    data-path: data is made at the first start",
        "ok    local-path: images can be read and written",
        "ok    transformation a: 1 watermarks can be drawn",
        "ok    address 127.0.0.1:0 is free",
    ] {
        assert!(said.contains(wanted), "{wanted:?} in {said}");
    }
    assert!(!said.contains("MEND"), "{said}");
    let names: Vec<String> = place.content().into_keys().collect();
    assert_eq!(names, ["config.yaml", "images/mark.png"], "nothing is made");
    assert!(!place.path().join("data").exists());
}

#[test]
fn what_is_to_be_mended_is_named() {
    let place = Place::new();
    let mark = |source: &str| {
        format!("transformations: [{{name: a, parameters: w_50, watermark: {{source: {source}, gravity: se}}}}]\n")
    };
    place.assert_mend(&mark("missing.png"), "transformation a is answered 500");
    fs::write(place.path().join("images/cut.png"), &crate::pictures::png(20, 10)[..60]).unwrap();
    place.assert_mend(&mark("cut.png"), "transformation a is answered 500: cut.png: damaged image");
}

#[test]
fn places_that_cannot_be_used_are_named() {
    let place = Place::new();
    fs::write(place.path().join("file"), "no folder").unwrap();
    place.assert_mend("data-path: file\n", "data-path: file is no folder");
    place.assert_mend("data-path: file/below\n", "data-path: file/below is not there, and cannot be made");
    place.assert_mend("local-path: file\n", "local-path: file is no folder");
    place.assert_mend("listen: 192.0.2.1:80\n", "address 192.0.2.1:80 cannot be used");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (status, said) = place.check(&format!("listen: {}\n", taken.local_addr().unwrap()));
    assert!(status == 0 && said.contains("is in use, by a running server perhaps"), "{said}");
    fs::create_dir(place.path().join("data")).unwrap();
    fs::write(place.path().join("data/index.sqlite"), "this is no database, and never was one").unwrap();
    place.assert_mend("", "is damaged or no index of pixlserv");
}

#[test]
fn folders_that_are_not_ours_are_named() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may write everywhere");
        return;
    }
    let place = Place::new();
    fs::create_dir(place.path().join("data")).unwrap();
    fs::set_permissions(place.path().join("data"), fs::Permissions::from_mode(0o500)).unwrap();
    place.assert_mend("", "data-path: data cannot be written");
    fs::set_permissions(place.path().join("images"), fs::Permissions::from_mode(0o500)).unwrap();
    let (_, said) = place.check("data-path: other\n");
    assert!(said.contains("LOOK  local-path: images cannot be written"), "{said}");
}

#[test]
fn a_running_server_is_not_disturbed() {
    let mut server = Server::start("authorisation: {upload: Yes}\n");
    assert_eq!(server.get("/image/w_20/photo.jpg").status, 200);
    let output = program().arg("check").arg(server.configuration_file()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("MEND  API keys: one is needed, and there is none"), "{said}");
    assert!(said.contains("can be read and written") && said.contains("cached answers of"), "{said}");
    assert_eq!(server.get("/image/w_21/photo.jpg").status, 200);
    server.stop();
}

#[test]
fn a_redis_or_a_bucket_that_is_away_is_named() {
    let place = Place::new();
    let file = place.path().join("config.yaml");
    fs::write(&file, "local-path: images\ndata-path: data\nlisten: 127.0.0.1:0\n").unwrap();
    // Nobody listens on a port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let check = |variables: &[(&str, &str)]| {
        let mut command = program();
        command.current_dir(place.path()).envs(variables.iter().copied()).arg("check").arg(&file);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (status, said) = check(&[("PIXLSERV_REDIS_PORT", &port.to_string())]);
    assert!(status == Some(1) && said.contains("MEND  index: redis cannot be reached"), "{said}");
    let endpoint = format!("http://127.0.0.1:{port}");
    let bucket = [
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("PIXLSERV_S3_BUCKET", "pictures"),
        ("PIXLSERV_S3_ENDPOINT", &endpoint),
    ];
    let (status, said) = check(&bucket);
    assert!(status == Some(1) && said.contains("MEND  storage: ") && said.contains("cannot be read"), "{said}");
}
