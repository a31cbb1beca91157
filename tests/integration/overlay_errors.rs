//! Watermarks that cannot be drawn: the answer says so and names nothing, the log names them, and nothing is kept.

use std::os::unix::fs::symlink;
use std::time::{Instant, SystemTime};

use crate::client::together;
use crate::pictures::{Picture, jpeg};
use crate::server::{PATIENCE, Server, poll};
use crate::shelf::{files, settle};

const MARK: &str = "secret-place/stamp.png";
const TARGET: &str = "/image/t_marked/photo.png";

fn server(more: &str) -> Server {
    let transformations = format!(
        "transformations:
    - {{name: marked, parameters: w_48, watermark: {{source: {MARK}, gravity: c}}}}
    - name: second
      parameters: w_48
      watermark: [{{source: good.png, gravity: c}}, {{source: {MARK}, gravity: c, tile: Yes}}]
      text: [{{content: Text, gravity: n}}]
    - {{name: plain, parameters: w_24}}
"
    );
    let server = Server::start(&format!("{more}{transformations}"));
    std::fs::create_dir(server.images().join("secret-place")).unwrap();
    std::fs::write(server.images().join("good.png"), good()).unwrap();
    server
}

fn good() -> Vec<u8> {
    Picture::motley(12, 9).png()
}

/// The request fails, and says so to its client without a name, and to the log with it.
#[track_caller]
fn assert_refused(server: &Server, target: &str, mark: &str, what: &str) {
    let answer = server.get(target);
    assert_eq!(answer.status, 500, "{what}: {answer:?}");
    answer.assert_reason(what);
    let text = answer.text();
    assert!(text.contains("watermark") && !text.contains("stamp") && !text.contains("secret"), "{what}: {text}");
    assert!(answer.header("ETag").is_none() && answer.header("Last-Modified").is_none(), "{what}: {answer:?}");
    // The same trouble is told once a minute.
    let is_told = || server.log().lines().any(|line| line.contains(mark) && line.contains("watermark")).then_some(());
    let told = poll(Instant::now() + PATIENCE, is_told);
    assert!(told.is_some(), "{what}: not in the log\n{}", server.log_of_events());
}

/// What the mark is, and how its place is filled.
type Broken = (&'static str, fn(&Server));

fn put(server: &Server, content: &[u8]) {
    server.put_image(MARK, content, SystemTime::now());
}

/// Some of them show in their first bytes, others while they are decoded.
const BROKEN: [Broken; 11] = [
    ("missing", |_| {}),
    ("a text", |server| put(server, b"This is no picture.\n")),
    ("empty", |server| put(server, b"")),
    ("a GIF", |server| put(server, b"GIF89a\x01\0\x01\0\0\0\0;")),
    ("a PNG cut in its head", |server| put(server, &good()[..20])),
    ("a PNG cut in its pixels", |server| put(server, &Picture::motley(60, 60).png()[..900])),
    ("a PNG with damaged pixels", |server| {
        let mut file = Picture::motley(60, 60).png();
        let middle = file.len() / 2;
        file[middle..middle + 50].fill(0x55);
        put(server, &file);
    }),
    ("a JPEG cut in its head", |server| put(server, &jpeg(64, 48)[..200])),
    ("too large", |server| put(server, &Picture::flat(80, 60, [1, 2, 3]).png())),
    ("a folder", |server| std::fs::create_dir(server.images().join(MARK)).unwrap()),
    ("a link out of the storage", |server| {
        std::fs::write(server.directory().join("outside.png"), good()).unwrap();
        symlink(server.directory().join("outside.png"), server.images().join(MARK)).unwrap();
    }),
];

fn clear(server: &Server) {
    let path = server.images().join(MARK);
    if path.is_dir() && !path.is_symlink() {
        std::fs::remove_dir(path).unwrap();
    } else if path.is_symlink() || path.exists() {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_watermark_that_cannot_be_drawn_is_an_error_until_it_is_mended() {
    // `photo.png` has 1,536 pixels.
    let server = server("max-source-pixels: 4799\n");
    for (what, spoil) in BROKEN {
        clear(&server);
        spoil(&server);
        for _ in 0..2 {
            assert_refused(&server, TARGET, MARK, what);
            assert_refused(&server, "/image/t_second/photo.png", MARK, what);
        }
        assert_refused(&server, "/image/t_marked/photo@2x.png", MARK, what);
    }
    assert_eq!(server.get("/image/t_plain/photo.png").status, 200);
    // What is written takes its turn: when this answer is on disk, whatever came before it would be.
    let kept = settle(&server, Some(1));
    assert_eq!(kept.len(), 1);
    clear(&server);
    put(&server, &good());
    for (target, came) in [(TARGET, "miss"), (TARGET, "hit"), ("/image/t_second/photo.png", "miss")] {
        let answer = server.get(target);
        assert_eq!((answer.status, answer.came()), (200, came), "{target}: {answer:?}");
    }
    settle(&server, Some(3));
    assert!(!server.log().contains("panic"), "{}", server.log_of_events());
}

#[test]
fn nothing_is_kept_of_what_was_never_made() {
    let mut server = server("max-source-pixels: 4799\n");
    for (what, spoil) in BROKEN {
        clear(&server);
        spoil(&server);
        assert_refused(&server, TARGET, MARK, what);
    }
    // At its end, a server writes what it has to keep.
    server.stop();
    assert_eq!(files(&server.data().join("cache")).len(), 0);
}

#[test]
fn all_who_wait_for_an_answer_are_told_that_its_watermark_fails() {
    let server = server("");
    for (what, spoil) in &BROKEN[..7] {
        clear(&server);
        spoil(&server);
        let statuses = together((0..12).collect(), |_| server.get(TARGET).status);
        assert_eq!(statuses, [500; 12], "{what}");
    }
    clear(&server);
    put(&server, &good());
    let statuses = together((0..12).collect(), |_| server.get(TARGET).status);
    assert_eq!(statuses, [200; 12]);
}

#[test]
fn a_broken_watermark_for_a_scale_is_not_replaced_by_the_plain_one() {
    let server = server("");
    put(&server, &good());
    let scaled = "secret-place/stamp@2x.png";
    server.put_image(scaled, b"no picture", SystemTime::now());
    assert_refused(&server, "/image/t_marked/photo@2x.png", scaled, "a broken @2x");
    assert_eq!(server.get(TARGET).status, 200);
    assert_eq!(server.get("/image/t_marked/photo@3x.png").status, 200);
    std::fs::remove_file(server.images().join(scaled)).unwrap();
    assert_eq!(server.get("/image/t_marked/photo@2x.png").status, 200);
}

#[test]
fn a_source_that_fails_is_told_before_its_watermark() {
    let server = server("");
    // Neither is there; the client can only do something about the source.
    assert_eq!(server.get("/image/t_marked/gone.png").status, 404);
    put(&server, &good());
    std::fs::write(server.images().join("broken.png"), b"no picture").unwrap();
    let status = server.get("/image/t_marked/broken.png").status;
    assert!(status == 415 || status == 422, "{status}");
    assert_eq!(server.get(TARGET).status, 200);
}
