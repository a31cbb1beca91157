//! Which room may name which: reads every `crate::` path in `src/` and fails on an import against the order.

use std::path::{Path, PathBuf};

/// A room and the rooms that it may name beside itself.
const ROOMS: [(&str, &[&str]); 13] = [
    (
        "cli",
        &[
            "config",
            "http",
            "service",
            "access",
            "transform",
            "plan",
            "pipeline",
            "store",
            "index",
            "raster",
            "simd",
            "metrics",
        ],
    ),
    ("http", &["service", "access", "transform", "raster", "metrics"]),
    ("service", &["config", "access", "transform", "plan", "pipeline", "store", "index", "raster", "simd", "metrics"]),
    ("config", &["access", "transform", "plan", "store", "index", "raster"]),
    ("store", &["transform", "raster", "index", "metrics"]),
    ("access", &["index"]),
    ("pipeline", &["transform", "plan", "raster", "simd"]),
    ("plan", &["transform", "raster"]),
    ("transform", &["raster"]),
    ("raster", &[]),
    ("simd", &[]),
    ("index", &["metrics"]),
    ("metrics", &[]),
];

/// What the pure rooms must not touch: files, sockets, clocks, the environment, logs.
const IMPURE: [&str; 7] =
    ["std::fs", "std::net", "std::env", "SystemTime::now", "Instant::now", "tracing::", "std::process"];
const PURE: [&str; 5] = ["transform", "plan", "pipeline", "raster", "simd"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every file of `src` with its room and its text without comments.
fn files() -> Vec<(PathBuf, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let read = |path: PathBuf| {
        let room = path.strip_prefix(&root).unwrap().components().next().unwrap().as_os_str();
        let room = room.to_str().unwrap().trim_end_matches(".rs").to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        (path, room, code)
    };
    paths.into_iter().map(read).collect()
}

/// The rooms that follow `crate::`, in `use crate::{a::B, c}` too.
fn named_rooms(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (position, _) in code.match_indices("crate::") {
        let rest = &code[position + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            named.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            continue;
        };
        let (mut depth, mut is_start, mut word) = (1, true, String::new());
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 1 && is_start && (c.is_alphanumeric() || c == '_') {
                word.push(c);
            } else if !word.is_empty() {
                named.push(std::mem::take(&mut word));
                is_start = false;
            }
            if depth == 1 && c == ',' {
                is_start = true;
            }
            if depth == 0 {
                break;
            }
        }
    }
    named
}

#[test]
fn rooms_name_only_rooms_below_them() {
    let mut wrong = Vec::new();
    for (path, room, code) in files() {
        if room == "lib" || room == "main" {
            continue;
        }
        let (_, allowed) =
            ROOMS.iter().find(|(name, _)| *name == room).unwrap_or_else(|| panic!("unknown room {room}"));
        for named in named_rooms(&code) {
            if named != room && !allowed.contains(&named.as_str()) {
                wrong.push(format!("{}: `{room}` may not name `{named}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_touch_nothing_outside() {
    let mut wrong = Vec::new();
    for (path, room, code) in files() {
        if PURE.contains(&room.as_str()) {
            let touched = IMPURE.iter().filter(|word| code.contains(*word));
            wrong.extend(touched.map(|word| format!("{}: {word}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_is_no_room_for_odds_and_ends() {
    for (path, ..) in files() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(!["util", "utils", "misc", "helpers", "common"].contains(&name), "{}", path.display());
    }
}

#[test]
fn the_test_finds_what_it_looks_for() {
    let code = "use crate::raster::Size;\nuse crate::{plan::{Plan, frame}, store};\nfn a() { crate::http::b() }";
    assert_eq!(named_rooms(code), ["raster", "plan", "store", "http"]);
}
