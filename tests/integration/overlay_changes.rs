//! Watermarks that change, go and come back while answers that show them are kept; and uploads that are marked eagerly.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant, SystemTime};

use pixlserv::index::{Jobs, SqliteIndex};

use crate::pictures::{Picture, jpeg, noise};
use crate::server::{Answer, PATIENCE, Server, poll};
use crate::shelf::{records, settle};
use crate::upload_form::stored_path;

const TRANSFORMATION: &str = "
transformations:
    - name: marked
      parameters: w_48
      watermark: {source: marks/mark.png, gravity: se}
      text: [{content: Marked, gravity: nw, color: '#fff'}]
";
const TARGET: &str = "/image/t_marked/photo.png";

/// So many seconds after the files of the test.
fn later(seconds: u64) -> SystemTime {
    SystemTime::now() + Duration::from_secs(seconds)
}

fn red() -> Vec<u8> {
    Picture::flat(9, 7, [255, 0, 0]).png()
}

fn blue() -> Vec<u8> {
    Picture::flat(9, 7, [0, 0, 255]).png()
}

/// A server whose watermark is red.
fn server(cache: &str) -> Server {
    server_with(cache, "")
}

/// The same with more transformations.
fn server_with(cache: &str, more: &str) -> Server {
    let server = Server::start(&format!("{cache}{TRANSFORMATION}{more}"));
    std::fs::create_dir(server.images().join("marks")).unwrap();
    server.put_image("marks/mark.png", &red(), SystemTime::now());
    server
}

#[track_caller]
fn got(server: &Server, target: &str) -> Answer {
    let answer = server.get(target);
    assert_eq!(answer.status, 200, "{target}: {answer:?}\n{}", server.log_of_events());
    answer
}

/// The colour of the mark in an answer.
fn mark_of(answer: &Answer) -> [u8; 4] {
    let picture = Picture::of_png(&answer.body);
    picture.at(picture.width - 1, picture.height - 1)
}

fn validators(answer: &Answer) -> (&str, &str) {
    (answer.header("ETag").unwrap(), answer.header("Last-Modified").unwrap())
}

/// With hot answers in memory, with the disk alone, and with neither.
const CACHES: [&str; 3] = ["", "cache: {memory: 0}\n", "cache: {enabled: No}\n"];

#[test]
fn a_changed_watermark_changes_the_answer_and_its_validators() {
    for cache in CACHES {
        let server = server(cache);
        let first = got(&server, TARGET);
        assert_eq!((first.came(), mark_of(&first)), ("miss", [255, 0, 0, 255]), "{cache}");
        if !cache.contains("enabled") {
            settle(&server, Some(1));
            assert_eq!(got(&server, TARGET).came(), "hit", "{cache}");
        }
        let (tag, modified) = validators(&first);
        assert_eq!(server.request("GET", TARGET, &[("If-None-Match", tag)]).status, 304, "{cache}");
        assert_eq!(server.request("GET", TARGET, &[("If-Modified-Since", modified)]).status, 304, "{cache}");
        let change = later(100);
        server.put_image("marks/mark.png", &blue(), change);
        for headers in [[("If-None-Match", tag)], [("If-Modified-Since", modified)]] {
            assert_eq!(server.request("GET", TARGET, &headers).status, 200, "{cache} {headers:?}");
        }
        let second = got(&server, TARGET);
        assert_eq!(mark_of(&second), [0, 0, 255, 255], "{cache}");
        assert_ne!(validators(&second).0, tag, "{cache}");
        assert_eq!(validators(&second).1, httpdate::fmt_http_date(change), "{cache}");
        assert_eq!(server.request("GET", TARGET, &[("If-None-Match", validators(&second).0)]).status, 304, "{cache}");
    }
}

#[test]
fn a_watermark_that_is_older_than_its_picture_changes_the_answer_all_the_same() {
    let server = server("");
    let first = got(&server, TARGET);
    server.put_image("marks/mark.png", &blue(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    let second = got(&server, TARGET);
    assert_eq!((second.came(), mark_of(&second)), ("miss", [0, 0, 255, 255]));
    assert_ne!(validators(&first).0, validators(&second).0);
    // What counts of the watermark is when it was put there.
    let photo = std::fs::metadata(server.images().join("photo.png")).unwrap().modified().unwrap();
    let mark = std::fs::metadata(server.images().join("marks/mark.png")).unwrap().ctime();
    let mark = SystemTime::UNIX_EPOCH + Duration::from_secs(mark.unsigned_abs());
    assert_eq!(validators(&second).1, httpdate::fmt_http_date(photo.max(mark)));
}

#[test]
fn a_watermark_for_a_scale_that_appears_is_drawn_from_then_on() {
    let server = server("");
    let double = "/image/t_marked/photo@2x.png";
    let (plain, first) = (got(&server, TARGET), got(&server, double));
    assert_eq!(mark_of(&first), [255, 0, 0, 255]);
    assert_eq!(got(&server, double).came(), "hit");
    server.put_image("marks/mark@2x.png", &blue(), later(0));
    let second = got(&server, double);
    assert_eq!((second.came(), mark_of(&second)), ("miss", [0, 0, 255, 255]));
    let same = got(&server, TARGET);
    assert!(same.came() == "hit" && same.body == plain.body, "{same:?}");
    // What was kept before is right again when it goes.
    std::fs::remove_file(server.images().join("marks/mark@2x.png")).unwrap();
    let third = got(&server, double);
    assert!(third.came() == "hit" && third.body == first.body, "{third:?}");
}

#[test]
fn an_answer_is_not_given_while_its_watermark_is_gone() {
    for cache in CACHES {
        let server = server(cache);
        let made = later(0);
        server.put_image("marks/mark.png", &red(), made);
        let first = got(&server, TARGET);
        if !cache.contains("enabled") {
            settle(&server, Some(1));
            assert_eq!(got(&server, TARGET).came(), "hit", "{cache}");
        }
        std::fs::remove_file(server.images().join("marks/mark.png")).unwrap();
        let tag = validators(&first).0;
        for headers in [&[] as &[_], &[("If-None-Match", tag)]] {
            let refusal = server.request("GET", TARGET, headers);
            assert_eq!(refusal.status, 500, "{cache}: {refusal:?}");
            refusal.assert_reason(cache);
        }
        server.put_image("marks/mark.png", &red(), made);
        let back = got(&server, TARGET);
        assert_eq!((validators(&back).0, &back.body), (validators(&first).0, &first.body), "{cache}");
        let time = |answer| httpdate::parse_http_date(validators(answer).1).unwrap();
        assert!(time(&back) >= time(&first), "{cache}: it was put there later");
        if !cache.contains("enabled") {
            assert_eq!(back.came(), "hit", "{cache}");
            settle(&server, Some(1));
        }
    }
}

#[test]
fn each_state_of_a_watermark_that_changes_often_is_seen() {
    let server = server("");
    for number in 0..20_u8 {
        let color = [number * 12, 255 - number * 12, 7];
        server.put_image("marks/mark.png", &Picture::flat(9, 7, color).png(), later(u64::from(number)));
        let [r, g, b] = color;
        for _ in 0..2 {
            assert_eq!(mark_of(&got(&server, TARGET)), [r, g, b, 255], "state {number}");
        }
    }
}

#[test]
fn one_watermark_marks_many_transformations_and_changes_all() {
    let lines: String = (1..=9)
        .map(|number| {
            let mark = "watermark: {source: marks/mark.png, gravity: se}";
            format!("    - {{name: m{number}, parameters: w_{}, {mark}}}\n", 30 + number)
        })
        .collect();
    let server = server_with("", &lines);
    let targets: Vec<String> = (1..=9).map(|number| format!("/image/t_m{number}/photo.png")).collect();
    for (content, color) in [(red(), [255, 0, 0, 255]), (blue(), [0, 0, 255, 255])] {
        server.put_image("marks/mark.png", &content, later(u64::from(color[2])));
        for target in &targets {
            assert_eq!(mark_of(&got(&server, target)), color, "{target}");
        }
    }
}

const EAGER: &str = "
transformations:
    - name: good
      parameters: w_40
      eager: Yes
      watermark: {source: marks/mark.png, gravity: se, opacity: 70}
      text: [{content: Eager, gravity: nw, color: '#fff', stroke: {width: 1}}]
    - {name: plain, parameters: 'w_20,h_20', eager: Yes}
";

/// Waits until so many answers of an upload are recorded, and no job is left.
fn wait_for(server: &Server, path: &str, n: usize) {
    let index = SqliteIndex::open(&server.data().join("index.sqlite")).unwrap();
    let n_made = || records(&server.data()).iter().filter(|record| record.source == path).count();
    let done = poll(Instant::now() + PATIENCE, || (n_made() == n && index.n_jobs().unwrap() == 0).then_some(()));
    assert!(done.is_some(), "{} of {n} made\n{}", n_made(), server.log_of_events());
}

fn eager_server(more: &str) -> Server {
    let server = Server::start(&format!("cache: {{memory: 0}}{EAGER}{more}"));
    std::fs::create_dir(server.images().join("marks")).unwrap();
    server
}

#[test]
fn an_upload_is_marked_before_anybody_asks() {
    let server = eager_server("");
    server.put_image("marks/mark.png", &red(), SystemTime::now());
    for content in [jpeg(64, 48), noise(300, 200), Picture::motley(50, 40).png()] {
        let path = stored_path(&server, &content);
        wait_for(&server, &path, 2);
        let eager = got(&server, &format!("/image/t_good/{path}"));
        assert_eq!(eager.came(), "hit");
        let plain = server.again(&format!("cache: {{enabled: No}}{EAGER}"));
        let asked = got(&plain, &format!("/image/t_good/{path}"));
        assert!(eager.body == asked.body && validators(&eager) == validators(&asked), "{eager:?} {asked:?}");
    }
    // What was made with another mark is not given.
    let path = stored_path(&server, &jpeg(64, 48));
    wait_for(&server, &path, 2);
    server.put_image("marks/mark.png", &blue(), later(100));
    assert_eq!(got(&server, &format!("/image/t_good/{path}")).came(), "miss");
}

#[test]
fn a_watermark_that_cannot_be_used_hinders_no_other_eager_transformation() {
    let more = "
    - {name: missing, parameters: w_30, eager: Yes, watermark: {source: marks/gone.png, gravity: c}}
    - {name: cut, parameters: w_31, eager: Yes, watermark: {source: marks/cut.png, gravity: c}}
    - {name: text, parameters: w_32, eager: Yes, watermark: {source: marks/text.png, gravity: c}}
";
    let server = eager_server(more);
    server.put_image("marks/mark.png", &red(), SystemTime::now());
    let whole = Picture::motley(60, 60).png();
    server.put_image("marks/cut.png", &whole[..whole.len() / 2], SystemTime::now());
    server.put_image("marks/text.png", b"no picture", SystemTime::now());
    let path = stored_path(&server, &jpeg(64, 48));
    wait_for(&server, &path, 2);
    for name in ["good", "plain"] {
        assert_eq!(got(&server, &format!("/image/t_{name}/{path}")).came(), "hit", "{name}");
    }
    for (name, file) in [("missing", "marks/gone.png"), ("cut", "marks/cut.png"), ("text", "marks/text.png")] {
        let is_told = |line: &str| line.contains("eager") && line.contains(&path) && line.contains(file);
        let told = poll(Instant::now() + PATIENCE, || server.log().lines().any(is_told).then_some(()));
        assert!(told.is_some(), "{file}\n{}", server.log_of_events());
        let target = format!("/image/t_{name}/{path}");
        assert_eq!(server.get(&target).status, 500, "{name}");
        server.put_image(file, &red(), later(10));
        assert_eq!(got(&server, &target).came(), "miss", "{name}");
    }
    assert!(!server.log().contains("panic"), "{}", server.log_of_events());
}
