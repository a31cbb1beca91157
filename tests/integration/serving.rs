//! What the server answers: pages, image answers and their headers, named transformations; how it starts and ends.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::pictures::{jpeg, png, png_size};
use crate::server::{PATIENCE, Server, poll, run_to_end};

const IMAGE: &str = "/image/w_10/photo.png";
const NAMED: &str = "transformations:\n  - name: small\n    parameters: w_12,h_8\n  - name: Gray-2\n    \
                     parameters: w_24,f_grayscale\n";

#[test]
fn the_index_page_says_that_it_works() {
    let server = Server::start("");
    let answer = server.get("/");
    assert_eq!((answer.status, answer.text().as_str()), (200, "It works!"));
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn ready_tells_whether_images_can_be_had() {
    let server = Server::start("");
    let ready = server.get("/ready");
    assert_eq!((ready.status, ready.text().as_str(), ready.header("Cache-Control")), (200, "ready", Some("no-store")));
    std::fs::remove_dir_all(server.images()).unwrap();
    let not_ready =
        poll(Instant::now() + PATIENCE, || Some(server.get("/ready")).filter(|answer| answer.status == 503));
    let not_ready = not_ready.expect("the folder is looked at every second");
    assert_eq!((not_ready.text().as_str(), not_ready.header("Retry-After")), ("not ready", Some("1")));
    assert_eq!(server.get("/health").status, 200);
    let reason = "not ready: storage: the image folder was removed";
    let is_logged = || server.log().contains(reason).then_some(());
    assert!(poll(Instant::now() + PATIENCE, is_logged).is_some(), "{}", server.log());
}

#[test]
fn the_content_decides_the_type_and_the_name_does_not() {
    let server = Server::start("");
    let images = server.images();
    std::fs::create_dir_all(images.join("blog/2014")).unwrap();
    let files = [
        ("really-png.jpg", png(20, 10), "image/png"),
        ("really-jpeg.png", jpeg(20, 10), "image/jpeg"),
        ("no-extension", jpeg(20, 10), "image/jpeg"),
        ("UPPER.PNG", png(20, 10), "image/png"),
        ("blog/2014/cat.png", png(20, 10), "image/png"),
    ];
    for (name, content, kind) in files {
        std::fs::write(images.join(name), content).unwrap();
        let answer = server.get(&format!("/image/w_10,h_5/{name}"));
        assert_eq!((answer.status, answer.header("Content-Type")), (200, Some(kind)), "{name}: {answer:?}");
        let magic: &[u8] = if kind == "image/png" { b"\x89PNG" } else { b"\xff\xd8\xff" };
        assert!(answer.body.starts_with(magic), "{name}: {answer:?}");
    }
}

#[test]
fn a_source_that_is_no_whole_picture_is_refused_and_left_alone() {
    let server = Server::start("");
    let whole_png = png(40, 30);
    let whole_jpeg = jpeg(40, 30);
    let files: [(&str, &[u8]); 6] = [
        ("empty.png", b""),
        ("text.png", b"this is no picture"),
        ("signature.png", b"\x89PNG\r\n\x1a\n"),
        ("half.png", &whole_png[..whole_png.len() / 2]),
        ("half.jpg", &whole_jpeg[..whole_jpeg.len() / 2]),
        ("page.jpg", b"GIF89a<html><script>alert(1)</script>"),
    ];
    for (name, content) in files {
        let file = server.images().join(name);
        std::fs::write(&file, content).unwrap();
        for parameters in ["w_10", "w_10,h_10,c_k"] {
            let answer = server.get(&format!("/image/{parameters}/{name}"));
            assert!([415, 422].contains(&answer.status), "{name}: {answer:?}");
            answer.assert_reason(name);
        }
        assert_eq!(std::fs::read(&file).unwrap(), content, "{name} was changed");
    }
    server.assert_alive("damaged sources");
}

#[test]
fn a_picture_cut_anywhere_is_never_shown_in_part() {
    let server = Server::start("");
    for (name, whole) in [("cut.png", png(24, 18)), ("cut.jpg", jpeg(24, 18))] {
        // The last bytes of a JPEG only say that it ends, those of a PNG are checksums: losing them loses no pixel.
        let step = (whole.len() / 150).max(1);
        for length in (0..whole.len() - 16).step_by(step) {
            std::fs::write(server.images().join(name), &whole[..length]).unwrap();
            let answer = server.get(&format!("/image/w_10,h_10/{name}"));
            assert!([415, 422].contains(&answer.status), "{name} cut at {length} of {}: {answer:?}", whole.len());
        }
    }
}

#[test]
fn an_answer_can_be_asked_again_without_being_sent_again() {
    let server = Server::start("");
    let first = server.get(IMAGE);
    let tag = first.header("ETag").unwrap().to_string();
    let date = first.header("Last-Modified").unwrap().to_string();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "not a strong tag: {tag}");
    let (weak, listed) = (format!("W/{tag}"), format!("\"other\", {tag}"));
    let old = "Sun, 06 Nov 1994 08:49:37 GMT";
    let cases: [(&[(&str, &str)], u16); 11] = [
        (&[("If-None-Match", &tag)], 304),
        (&[("If-None-Match", &weak)], 304),
        (&[("If-None-Match", &listed)], 304),
        (&[("If-None-Match", "*")], 304),
        (&[("If-None-Match", "\"other\"")], 200),
        (&[("If-None-Match", "nonsense")], 200),
        (&[("If-Modified-Since", &date)], 304),
        (&[("If-Modified-Since", old)], 200),
        (&[("If-Modified-Since", "yesterday")], 200),
        (&[("If-None-Match", "\"other\""), ("If-Modified-Since", &date)], 200),
        (&[("If-None-Match", &tag), ("If-Modified-Since", old)], 304),
    ];
    for (headers, status) in cases {
        for method in ["GET", "HEAD"] {
            let answer = server.request(method, IMAGE, headers);
            assert_eq!(answer.status, status, "{method} {headers:?}: {answer:?}");
            assert_eq!(answer.header("ETag"), Some(tag.as_str()), "{method} {headers:?}");
            assert!(status != 304 || answer.body.is_empty(), "{method} {headers:?}: {answer:?}");
        }
    }
}

#[test]
fn the_tag_tells_variants_and_versions_apart() {
    let server = Server::start("");
    let tag = |target: &str| server.get(target).header("ETag").unwrap().to_string();
    let first = tag(IMAGE);
    assert_eq!(tag(IMAGE), first, "the same answer twice");
    let others = ["/image/w_11/photo.png", "/image/w_10,f_grayscale/photo.png", "/image/w_10/photo@2x.png"];
    for other in others {
        assert_ne!(tag(other), first, "{other}");
    }
    std::fs::write(server.images().join("photo.png"), png(30, 20)).unwrap();
    assert_ne!(tag(IMAGE), first, "another picture under the same name");
    let answer = server.request("GET", IMAGE, &[("If-None-Match", &first)]);
    assert_eq!(answer.status, 200, "the tag of the old picture");
}

#[test]
fn the_answer_says_how_long_it_may_be_kept() {
    for (configuration, age) in [("", "max-age=86400"), ("max-age: 60\n", "max-age=60")] {
        let server = Server::start(configuration);
        let kept = server.get(IMAGE).header("Cache-Control").unwrap().to_string();
        assert!(kept.split(',').any(|part| part.trim() == age), "{kept:?}, want {age}");
        let refused = server.get("/image/w_0/photo.png");
        let kept = refused.header("Cache-Control").unwrap_or_default();
        assert!(!kept.contains("max-age=") || kept.contains("max-age=0"), "a refusal is kept: {kept:?}");
    }
}

#[test]
fn originals_are_forbidden_unless_allowed_and_then_untouched() {
    let forbidding = Server::start("");
    let answer = forbidding.get("/image/_/photo.png");
    assert_eq!(answer.status, 403, "{answer:?}");
    answer.assert_reason("a forbidden original");

    let allowing = Server::start("allow-originals: Yes\n");
    // A tail after the picture is part of the stored bytes.
    std::fs::write(allowing.images().join("tail.jpg"), [jpeg(20, 10), b"<tail>".to_vec()].concat()).unwrap();
    for (name, kind) in [("photo.png", "image/png"), ("photo.jpg", "image/jpeg"), ("tail.jpg", "image/jpeg")] {
        let answer = allowing.get(&format!("/image/_/{name}"));
        assert_eq!((answer.status, answer.header("Content-Type")), (200, Some(kind)), "{name}: {answer:?}");
        assert_eq!(answer.body, std::fs::read(allowing.images().join(name)).unwrap(), "{name}");
    }
    assert_eq!(allowing.get("/image/_/missing.png").status, 404);
}

#[test]
fn a_named_transformation_is_its_parameters() {
    let server = Server::start(NAMED);
    for (name, parameters) in [("t_small", "w_12,h_8"), ("t_Gray-2", "w_24,f_grayscale")] {
        let (named, spelled) =
            (server.get(&format!("/image/{name}/photo.png")), server.get(&format!("/image/{parameters}/photo.png")));
        assert_eq!((named.status, spelled.status), (200, 200), "{name}: {named:?}");
        assert!(named.body == spelled.body, "{name} differs from {parameters}");
    }
    assert_eq!(png_size(&server.get("/image/t_small/photo@2x.png").body), (24, 16));
    assert_eq!(server.get("/image/t_Small/photo.png").status, 400, "names are case-sensitive");
}

#[test]
fn custom_transformations_and_scales_can_be_switched_off() {
    let server = Server::start(&format!("allow-custom-transformations: No\n{NAMED}"));
    let answer = server.get("/image/w_12,h_8/photo.png");
    assert_eq!(answer.status, 400, "{answer:?}");
    answer.assert_reason("custom parameters");
    assert_eq!(server.get("/image/t_small/photo.png").status, 200);

    let server = Server::start("allow-custom-scale: No\n");
    let answer = server.get("/image/w_12,h_8/photo@2x.png");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(png_size(&answer.body), (12, 8));
}

#[test]
fn a_grayscale_jpeg_has_one_component() {
    let server = Server::start("");
    let answer = server.get("/image/w_16,f_grayscale/photo.jpg");
    assert_eq!(answer.status, 200, "{answer:?}");
    // SOF0 to SOF2: length, precision, height, width, number of components.
    let start = answer.body.windows(2).position(|two| two[0] == 0xff && (0xc0..=0xc2).contains(&two[1])).unwrap();
    assert_eq!(answer.body[start + 9], 1);
}

#[test]
fn metadata_stays_at_home() {
    let server = Server::start("");
    let secret = b"GPS-SECRET-51.5N";
    let plain = jpeg(40, 30);
    let comment = [b"\xff\xd8\xff\xfe\0\x12".as_slice(), secret, &plain[2..]].concat();
    std::fs::write(server.images().join("told.jpg"), comment).unwrap();
    for parameters in ["w_20", "w_40,h_30,c_k", "w_20,f_grayscale"] {
        let answer = server.get(&format!("/image/{parameters}/told.jpg"));
        assert_eq!(answer.status, 200, "{parameters}: {answer:?}");
        assert!(!answer.body.windows(secret.len()).any(|part| part == secret), "{parameters} tells the comment");
    }
}

#[test]
fn a_stop_lets_the_running_request_finish_and_ends_with_success() {
    let mut server = Server::start("");
    std::fs::write(server.images().join("large.png"), png(5000, 4000)).unwrap();
    let mut running = server.connect();
    let start = server.busy_ticks();
    running.write_all(b"GET /image/w_4999/large.png HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    poll(deadline, || (server.busy_ticks() > start + 4).then_some(())).expect("the request never ran");
    server.terminate();
    let mut answer = Vec::new();
    running.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&answer[..answer.len().min(200)]));
    assert!(answer.ends_with(b"IEND\xaeB`\x82"), "the answer was cut at {} bytes", answer.len());
    let status = server.wait(Duration::from_secs(10)).expect("the server still runs");
    assert_eq!(status.code(), Some(0), "{}", server.log());
}

#[test]
fn an_idle_server_stops_at_once() {
    let mut server = Server::start("");
    let _idle = server.connect();
    server.assert_alive("the start");
    server.terminate();
    let status = server.wait(Duration::from_secs(10)).expect("the server still runs");
    assert_eq!(status.code(), Some(0), "{}", server.log());
}

/// Configurations that must not start: text, the key that the message names, and its line.
const WRONG_CONFIGURATIONS: [(&str, &str, usize); 12] = [
    ("max-age: 60\njpeg-quality: 0\n", "jpeg-quality", 2),
    ("jpeg-quality: 101\n", "jpeg-quality", 1),
    ("max-age: 60\n\nupload-max-pixel: 5\n", "upload-max-pixel", 3),
    ("throttling-rate: fast\n", "throttling-rate", 1),
    ("throttling-rate: -1\n", "throttling-rate", 1),
    ("allow-custom-scale: perhaps\n", "allow-custom-scale", 1),
    ("cache:\n  limit: -1\n", "cache.limit", 2),
    ("cache:\n  limit: 10\n  strategy: FIFO\n", "cache.strategy", 3),
    ("authorisation:\n  get: No\n  put: Yes\n", "put", 3),
    ("transformations:\n  - name: small\n    parameters: w_0\n", "transformations[0].parameters", 3),
    ("transformations:\n  - name: \"a b\"\n    parameters: w_10\n", "transformations[0].name", 2),
    ("max-age: 60\nmax-age: 61\n", "max-age", 2),
];

#[test]
fn a_wrong_configuration_stops_the_start_with_key_and_line() {
    let directory = TempDir::new().unwrap();
    for (text, key, line) in WRONG_CONFIGURATIONS {
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, text).unwrap();
        for command in ["run", "check"] {
            let output = run_to_end(&[command, file.to_str().unwrap()]);
            let said = String::from_utf8_lossy(&output.stderr).replace(&directory.path().display().to_string(), "");
            assert_eq!(output.status.code(), Some(1), "{command} {text:?}: {said}");
            assert!(said.contains(key), "{command} {text:?} names no {key}: {said}");
            let numbers: Vec<&str> = said.split(|c: char| !c.is_ascii_digit()).collect();
            assert!(numbers.contains(&line.to_string().as_str()), "{command} {text:?} names no line {line}: {said}");
        }
    }
}

#[test]
fn a_good_configuration_is_explained() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, "jpeg-quality: 80\nallow-custom-scale: off\nallow-custom-transformations: Yes\n").unwrap();
    let output = run_to_end(&["check", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!output.stdout.is_empty() || !output.stderr.is_empty(), "nothing was explained");
}

#[test]
fn wrong_usage_is_told_apart_from_failure() {
    let cases: [(&[&str], i32); 6] = [
        (&["bogus"], 2),
        (&["run"], 2),
        (&["run", "a.yaml", "b.yaml"], 2),
        (&["transform", "w_10"], 2),
        (&["run", "/nowhere/config.yaml"], 1),
        (&["check", "/nowhere/config.yaml"], 1),
    ];
    for (arguments, status) in cases {
        let output = run_to_end(arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?} says nothing");
    }
}

#[test]
fn transform_does_without_a_server_what_the_server_does() {
    let server = Server::start("");
    let source = server.images().join("photo.png");
    let output = server.directory().join("out.png");
    let done = run_to_end(&["transform", "w_20,h_10,c_p", source.to_str().unwrap(), output.to_str().unwrap()]);
    assert!(done.status.success(), "{done:?}");
    assert!(std::fs::read(&output).unwrap() == server.get("/image/w_20,h_10,c_p/photo.png").body);
}
