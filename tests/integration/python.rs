//! The checks written in Python: the recorded answers of the original, and the picture corpus.
//!
//! `PIXLSERV_CORPUS` and `PIXLSERV_ORACLE` say where those are (default: `../shared/` beside the repository);
//! `PIXLSERV_FULL_CORPUS=1` plays every file instead of a sample.

use std::path::{Path, PathBuf};
use std::process::Command;

use pixlserv::pipeline::codec::{Pixels, Shared};
use pixlserv::pipeline::{self, DecodeError, Limits, Wanted};
use pixlserv::raster::Format;
use pixlserv::simd::Level;
use tempfile::TempDir;

use crate::corpus::{self, say};
use crate::server::Server;

const CONFIGURATION: &str = "jpeg-quality: 100\nallow-originals: Yes\n";

/// The first interpreter that has what the checks need, or a visible line that there is none.
fn python() -> Option<&'static str> {
    let found = ["python3", "/usr/bin/python3"].into_iter().find(|name| {
        let probe = Command::new(name).args(["-c", "import numpy, PIL.ImageCms"]).output();
        probe.is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        say("skipped: there is no python3 with numpy and Pillow");
    }
    found
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

/// The script allows a difference of 1 where nothing is scaled. The Go server cut every transparent pixel twice on its
/// way, into premultiplied 8 bits and out again: these five answers are 2 off its own source. Ours equal the source,
/// as `formats::unscaled_pixels_stay_exactly_as_they_are` shows.
const CUT_BY_THE_ORIGINAL: [&str; 5] = [
    "/image/c_k,h_26,w_70/alpha1.png -> c_k: pixels differ by up to 2",
    "/image/w_117,c_k,h_49,g_n/alpha1.png -> c_k: pixels differ by up to 2",
    "/image/h_35,g_n,c_k,w_107/alpha1@3x.png -> c_k: pixels differ by up to 2",
    "/image/w_76,h_49,g_sw,c_k/alpha1@3x.png -> c_k: pixels differ by up to 2",
    "/image/c_k,w_116,g_sw,h_55/alpha1.png -> c_k: pixels differ by up to 2",
];

#[test]
fn the_recorded_answers_of_the_original_agree() {
    let (Some(oracle), Some(python)) = (corpus::oracle(), python()) else { return };
    let server = Server::start_in(TempDir::new().unwrap(), &oracle.join("images"), "");
    let mut command = Command::new(python);
    command.arg("-B").arg(oracle.join("compare.py")).arg(server.base()).arg(&oracle).arg("--verbose");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = said.lines().collect();
    let (summary, differing) = lines.split_last().unwrap();
    assert!(summary.contains(" cases agree"), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let wrong: Vec<&&str> = differing.iter().filter(|line| !CUT_BY_THE_ORIGINAL.contains(line)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    say(&format!("compare.py: {summary}"));
}

#[test]
fn the_recorded_watermarks_and_texts_of_the_original_agree() {
    let (Some(oracle), Some(python)) = (corpus::oracle_with_overlays(), python()) else { return };
    let recorded = std::fs::read(oracle.join("overlays.json")).unwrap();
    let mut recorded: serde_json::Value = serde_json::from_slice(&recorded).unwrap();
    let configuration = recorded["config"].as_object_mut().unwrap();
    configuration.remove("local-path");
    // A value that is JSON is YAML, too.
    let lines: Vec<String> = configuration.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
    let server = Server::start_in(TempDir::new().unwrap(), &oracle.join("images"), &lines.concat());
    let mut command = Command::new(python);
    command.arg("-B").arg(oracle.join("compare_overlays.py")).arg(server.base()).arg(&oracle).arg("--verbose");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let summary = said.lines().last().unwrap_or_default();
    let is_right = output.status.success() && summary == "135 of 135 overlay cases agree";
    assert!(is_right, "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    say(&format!("compare_overlays.py: {summary}"));
}

#[test]
fn every_picture_of_the_corpus_is_right_or_refused() {
    let (Some(corpus), Some(python)) = (corpus::folder(), python()) else { return };
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
    let (Some(corpus), Some(python)) = (corpus::folder(), python()) else { return };
    let server = Server::start_in(TempDir::new().unwrap(), &corpus, CONFIGURATION);
    assert_script_agrees(python, &own_script("color.py"), &server, &[corpus.to_str().unwrap()]);
}

#[test]
fn whole_jpegs_are_what_libjpeg_turbo_makes_of_them() {
    let (Some(corpus), Some(python)) = (corpus::folder(), python()) else { return };
    let folder = TempDir::new().unwrap();
    let mut paths = Vec::new();
    for part in ["legal", "photos", "orientation"] {
        for entry in std::fs::read_dir(corpus.join(part)).unwrap() {
            let path = entry.unwrap().path();
            let source = std::fs::read(&path).unwrap();
            if let Ok(samples) = decoded(&source) {
                let name = format!("{}.raw", path.file_name().unwrap().display());
                std::fs::write(folder.path().join(name), samples).unwrap();
                paths.push(path);
            }
        }
    }
    assert!(paths.len() > 100, "{}", paths.len());
    let mut command = Command::new(python);
    command.arg("-B").arg(own_script("jpeg_whole.py")).arg(folder.path()).args(paths);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    say(&format!("jpeg_whole.py: {}", said.lines().last().unwrap_or_default()));
}

/// Width, height and channels of a JPEG in a line, then its samples.
fn decoded(source: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let header = pipeline::probe(source, Limits { max_source_pixels: 50_000_000 })?;
    if header.format != Format::Jpeg {
        return Err(DecodeError::Unsupported("not a JPEG".to_owned()));
    }
    let shared = Shared::decode(Level::best(), source, &Wanted::all(header.stored))?.expect("at most 50 megapixels");
    let Pixels::Rows(mut rows) = shared.again().pixels else { unreachable!("a shared picture gives rows") };
    let (size, channels) = (rows.size(), rows.layout().channels());
    let mut samples = format!("{} {} {channels}\n", size.width, size.height).into_bytes();
    (0..size.height).for_each(|y| samples.extend_from_slice(rows.row(y).samples));
    Ok(samples)
}
