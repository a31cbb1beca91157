//! The checks written in Python: the recorded answers of the original, and the picture corpus.
//!
//! `PIXLSERV_CORPUS` and `PIXLSERV_ORACLE` say where those are (default: `../shared/` beside the repository);
//! `PIXLSERV_FULL_CORPUS=1` plays every file instead of a sample.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::server::Server;

const CONFIGURATION: &str = "jpeg-quality: 100\nallow-originals: Yes\n";

/// The first interpreter that has what the checks need.
fn python() -> Option<&'static str> {
    ["python3", "/usr/bin/python3"].into_iter().find(|name| {
        let probe = Command::new(name).args(["-c", "import numpy, PIL.ImageCms"]).output();
        probe.is_ok_and(|output| output.status.success())
    })
}

fn folder(variable: &str, default: &str, proof: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = std::env::var_os(variable).map_or_else(|| root.join("../shared").join(default), PathBuf::from);
    path.join(proof).is_file().then_some(path)
}

/// Past the test harness, which would keep the line to itself.
fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Interpreter and folder, or None after one line that says what is missing.
fn prepared(test: &str, variable: &str, default: &str, proof: &str) -> Option<(&'static str, PathBuf)> {
    let Some(python) = python() else {
        say(&format!("skipped: {test}: no python3 with numpy and Pillow"));
        return None;
    };
    let Some(folder) = folder(variable, default, proof) else {
        say(&format!("skipped: {test}: no {proof}, set {variable}"));
        return None;
    };
    Some((python, folder))
}

fn own_script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name)
}

fn assert_script_agrees(python: &str, script: &Path, server: &Server, arguments: &[&str]) {
    let mut command = Command::new(python);
    command.arg("-B").arg(script).arg(server.base()).args(arguments);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    say(&format!("{}: {}", script.file_name().unwrap().display(), said.lines().last().unwrap_or_default()));
}

#[test]
fn the_recorded_answers_of_the_original_agree() {
    let Some((python, oracle)) = prepared("recorded answers", "PIXLSERV_ORACLE", "oracle", "cases.json") else {
        return;
    };
    let server = Server::start_in(TempDir::new().unwrap(), &oracle.join("images"), "");
    assert_script_agrees(python, &oracle.join("compare.py"), &server, &[oracle.to_str().unwrap(), "--verbose"]);
}

#[test]
fn every_picture_of_the_corpus_is_right_or_refused() {
    let Some((python, corpus)) = prepared("picture corpus", "PIXLSERV_CORPUS", "corpus", "INDEX.csv") else { return };
    let server = Server::start_in(TempDir::new().unwrap(), &corpus, CONFIGURATION);
    let pid = server.pid().to_string();
    let mut arguments = vec![corpus.to_str().unwrap(), "--pid", &pid];
    if std::env::var_os("PIXLSERV_FULL_CORPUS").is_none() {
        arguments.push("--quick");
    }
    assert_script_agrees(python, &own_script("corpus.py"), &server, &arguments);
    assert!(!server.log().contains("panicked at"), "{}", server.log());
}

#[test]
fn colours_and_orientations_agree_with_a_colour_managed_reference() {
    let Some((python, corpus)) = prepared("colours", "PIXLSERV_CORPUS", "corpus", "INDEX.csv") else { return };
    let server = Server::start_in(TempDir::new().unwrap(), &corpus, CONFIGURATION);
    assert_script_agrees(python, &own_script("color.py"), &server, &[corpus.to_str().unwrap()]);
}
