//! The command line beside `run`: streams, files, and what goes wrong.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Output, Stdio};

use crate::pictures::{png, png_size};

fn pixlserv() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pixlserv"))
}

fn with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn an_image_goes_through_a_pipe() {
    let output = with_input(pixlserv().args(["transform", "w_10", "-", "-"]), &png(40, 20));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(png_size(&output.stdout), (10, 5));
    let output = with_input(pixlserv().args(["transform", "_", "-", "-"]), &png(40, 20));
    assert_eq!(output.stdout, png(40, 20));
}

#[test]
fn a_failure_leaves_the_target_alone_and_a_link_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (source, target, link) =
        (folder.path().join("in.png"), folder.path().join("out.png"), folder.path().join("link"));
    std::fs::write(&source, &png(40, 20)[..100]).unwrap();
    std::fs::write(&target, "old").unwrap();
    std::os::unix::fs::symlink("out.png", &link).unwrap();
    let transform = || pixlserv().args(["transform", "w_10"]).arg(&source).arg(&link).output().unwrap();
    let output = transform();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("damaged image: the file is cut off"));
    assert_eq!(std::fs::read(&target).unwrap(), b"old");
    std::fs::write(&source, png(40, 20)).unwrap();
    assert!(transform().status.success());
    assert!(link.is_symlink());
    assert_eq!(png_size(&std::fs::read(&target).unwrap()), (10, 5));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "a temporary file was left behind");
    let output = pixlserv().args(["transform", "w_10"]).arg(&source).arg("/dev/null").output().unwrap();
    assert!(output.status.success() && !std::path::Path::new("/dev/null").is_file());
}

#[test]
fn mistakes_end_with_a_message_and_a_status() {
    let check = |arguments: &[&std::ffi::OsStr], status: i32, said: &str| {
        let output = pixlserv().args(arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said) && !stderr.contains("panicked"), "{arguments:?}: {stderr}");
    };
    check(&[], 2, "A command is needed");
    check(&["fly".as_ref()], 2, "fly");
    check(&["check".as_ref(), std::ffi::OsStr::from_bytes(b"\xff")], 2, "is not UTF-8");
    check(&["check".as_ref(), "missing.yaml".as_ref()], 1, "missing.yaml");
    check(&["transform".as_ref(), "w_0".as_ref(), "-".as_ref(), "-".as_ref()], 1, "value 0 must be > 0: \"w\"");
}

#[test]
fn a_full_disk_is_told() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else { return };
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config/example.yaml");
    let output = pixlserv().args(["check", example]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot write to standard output"));
}
