//! Paths that try to leave the folder of the images, and names that are no plain files: not one byte from outside.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::pictures::{jpeg, png};
use crate::server::{Answer, Server};

/// Stands in every file outside of the folder; no answer may hold it.
const CANARY: &[u8] = b"canary-outside-of-the-images";

/// A server beside whose `images` there is `images-secret`, a picture, and a text, all marked.
fn server_with_canaries() -> Server {
    let server = Server::start("allow-originals: Yes\n");
    let root = server.directory();
    let marked = [jpeg(32, 32), CANARY.to_vec()].concat();
    std::fs::create_dir(root.join("images-secret")).unwrap();
    for name in ["images-secret/canary.jpg", "canary.jpg", "canary"] {
        std::fs::write(root.join(name), &marked).unwrap();
    }
    std::fs::create_dir(server.images().join("folder")).unwrap();
    std::fs::write(server.images().join("folder/inside.png"), png(20, 10)).unwrap();
    server
}

fn assert_nothing_from_outside(what: &str, answer: &Answer) {
    assert!(!answer.body.windows(CANARY.len()).any(|part| part == CANARY), "{what}: the canary came out");
    assert!([400, 404, 414].contains(&answer.status), "{what}: {answer:?}");
    answer.assert_reason(what);
    // It may repeat what was asked, and nothing else of the machine's folders.
    let told = answer.text().contains("/images");
    assert!(!told || what.contains("/images"), "{what}: the answer tells where the images are: {answer:?}");
}

/// Ways to write "one folder up, then"; `/` and the dots in every disguise.
const UP: [&str; 40] = [
    "../",
    "..%2f",
    "..%2F",
    "%2e%2e/",
    "%2E%2E/",
    "%2e%2e%2f",
    "%2e./",
    ".%2e/",
    ".%2e%2f",
    "..%5c",
    "..%5C",
    "%2e%2e%5c",
    "..\\",
    "%252e%252e/",
    "%252e%252e%252f",
    "..%252f",
    "%25252e%25252e/",
    "..;/",
    "..%3b/",
    "....//",
    "..../",
    ".../",
    "..//",
    ".//../",
    "./../",
    "%2e/%2e%2e/",
    "%c0%ae%c0%ae/",
    "%c0%ae%c0%ae%c0%af",
    "..%c0%af",
    "..%ef%bc%8f",
    "%ef%bc%8e%ef%bc%8e/",
    "%uff0e%uff0e/",
    "..%00/",
    "%00../",
    "..%0d%0a/",
    "..%20/",
    "..%09/",
    "../images/../",
    "folder/../../",
    "folder/%2e%2e/%2e%2e/",
];

#[test]
fn no_way_up_leads_to_the_canary() {
    let server = server_with_canaries();
    for up in UP {
        for goal in ["images-secret/canary.jpg", "canary.jpg", "canary", "images-secret%2fcanary.jpg"] {
            for parameters in ["w_16", "_"] {
                let target = format!("/image/{parameters}/{up}{goal}");
                assert_nothing_from_outside(&target, &server.get(&target));
            }
        }
    }
    server.assert_alive("ways up");
}

/// Paths below `/image/PARAMETERS/` that name no image; `ROOT` becomes the folder that holds `images`.
const NO_IMAGE: [&str; 44] = [
    "/ROOT/canary.jpg",
    "//ROOT/canary.jpg",
    "%2fROOT/canary.jpg",
    "%2F%2FROOT/canary.jpg",
    "%252fROOT/canary.jpg",
    "ROOT/canary.jpg",
    "file://ROOT/canary.jpg",
    "file:%2f%2fROOT/canary.jpg",
    "C:/canary.jpg",
    "C:%5ccanary.jpg",
    "~/canary.jpg",
    "~root/canary.jpg",
    "%5c%5cserver%5cshare%5ccanary.jpg",
    "-secret/canary.jpg",
    "../images-secret/canary.jpg%00.png",
    "../canary.jpg%00",
    "photo.png%00",
    "photo.png%00.jpg",
    "%00",
    "%00photo.png",
    "photo.png%0a",
    "photo%0d%0aX-Injected:%20yes.png",
    "photo.png%7f",
    "%01photo.png",
    "photo.png/",
    "photo.png/.",
    "photo.png/..",
    "photo.png/../photo.png",
    "folder",
    "folder/",
    "folder/.",
    "folder/..",
    "folder/../photo.png",
    "folder/%2e%2e/photo.png",
    "folder%2f..%2fphoto.png",
    "..",
    ".",
    "%2e%2e",
    "%2e",
    "..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "../../../../../../../../etc/passwd",
    "%2fetc%2fpasswd",
    "%2fproc%2fself%2fenviron",
    "cache/photo.png",
];

#[test]
fn a_path_that_names_no_image_is_refused() {
    let server = server_with_canaries();
    let root = server.directory().display().to_string();
    for path in NO_IMAGE {
        for parameters in ["w_16", "_"] {
            let target = format!("/image/{parameters}/{}", path.replace("ROOT", root.trim_start_matches('/')));
            let answer = server.get(&target);
            assert!(answer.header("X-Injected").is_none(), "{target}: {answer:?}");
            assert!(!answer.body.windows(CANARY.len()).any(|part| part == CANARY), "{target}: the canary came out");
            assert!([400, 404, 414].contains(&answer.status), "{target}: {answer:?}");
        }
    }
    server.assert_alive("paths without an image");
}

#[test]
fn long_names_are_refused() {
    let server = server_with_canaries();
    let names = [
        "a".repeat(256),
        "a".repeat(1025),
        "a".repeat(4096),
        "a/".repeat(600),
        "../".repeat(1300) + "etc/passwd",
        "%2e%2e%2f".repeat(400) + "etc/passwd",
        "%61".repeat(1400),
    ];
    for name in names {
        let answer = server.get(&format!("/image/w_16/{name}"));
        assert!([400, 404, 414, 431].contains(&answer.status), "{} bytes: {answer:?}", name.len());
    }
    server.assert_alive("long names");
}

#[test]
fn bytes_above_ascii_in_a_raw_target_do_no_harm() {
    let server = server_with_canaries();
    for path in [b"\xff\xfe.png".as_slice(), b"na\xc3\xafve.png", b"\xc0\xae\xc0\xae/canary.jpg", b"\xed\xa0\x80.png"] {
        let request = [b"GET /image/w_16/", path, b" HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"].concat();
        let exchange = server.exchange(&request);
        assert_eq!(exchange.answers.len(), 1, "{path:?}: {exchange:?}");
        assert!([400, 404].contains(&exchange.answers[0].status), "{path:?}: {exchange:?}");
    }
}

#[test]
fn a_link_out_of_the_images_is_not_followed() {
    let server = server_with_canaries();
    let (root, images) = (server.directory(), server.images());
    symlink(root.join("canary.jpg"), images.join("absolute.jpg")).unwrap();
    symlink("../canary.jpg", images.join("relative.jpg")).unwrap();
    symlink("absolute.jpg", images.join("chain.jpg")).unwrap();
    symlink(root.join("images-secret"), images.join("secret")).unwrap();
    symlink("..", images.join("up")).unwrap();
    symlink("../../images-secret", images.join("folder/secret")).unwrap();
    symlink("/proc/self", images.join("self")).unwrap();
    symlink("/", images.join("everything")).unwrap();
    symlink("loop.jpg", images.join("loop.jpg")).unwrap();
    symlink("nowhere.jpg", images.join("dangling.jpg")).unwrap();
    let below_root = format!("everything{}/canary.jpg", root.display());
    let paths = [
        "absolute.jpg",
        "relative.jpg",
        "chain.jpg",
        "secret/canary.jpg",
        "up/canary.jpg",
        "up/images-secret/canary.jpg",
        "up/images/photo.png",
        "folder/secret/canary.jpg",
        "self/environ",
        "self/cwd/canary.jpg",
        "everything/etc/passwd",
        "loop.jpg",
        "dangling.jpg",
        &below_root,
    ];
    for path in paths {
        for parameters in ["w_16", "_"] {
            let target = format!("/image/{parameters}/{path}");
            assert_nothing_from_outside(&target, &server.get(&target));
        }
    }
}

#[test]
fn a_link_that_stays_inside_is_an_image_or_nothing() {
    let server = server_with_canaries();
    symlink("photo.png", server.images().join("link.png")).unwrap();
    symlink("folder", server.images().join("elsewhere")).unwrap();
    for path in ["link.png", "elsewhere/inside.png"] {
        let answer = server.get(&format!("/image/w_16/{path}"));
        assert!([200, 400, 404].contains(&answer.status), "{path}: {answer:?}");
    }
}

#[test]
fn what_is_no_plain_file_is_refused_without_waiting() {
    let server = server_with_canaries();
    let images = server.images();
    assert!(Command::new("mkfifo").arg(images.join("fifo.png")).status().unwrap().success());
    let _socket = UnixListener::bind(images.join("socket.png")).unwrap();
    std::fs::create_dir(images.join("directory.png")).unwrap();
    symlink("/dev/zero", images.join("zero.png")).unwrap();
    symlink("/dev/tty", images.join("tty.png")).unwrap();
    symlink("fifo.png", images.join("link-to-fifo.png")).unwrap();
    for name in ["fifo.png", "socket.png", "directory.png", "directory.png/", "zero.png", "tty.png", "link-to-fifo.png"]
    {
        for parameters in ["w_16", "_"] {
            let target = format!("/image/{parameters}/{name}");
            assert_nothing_from_outside(&target, &server.get(&target));
        }
    }
    server.assert_alive("special files");
}

#[test]
fn a_file_that_cannot_be_read_is_no_failure_of_the_server() {
    let server = server_with_canaries();
    let file = server.images().join("closed.png");
    std::fs::write(&file, png(20, 10)).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    let answer = server.get("/image/w_16/closed.png");
    // The superuser reads it all the same.
    let expected: &[u16] = if std::fs::File::open(&file).is_ok() { &[200] } else { &[400, 403, 404] };
    assert!(expected.contains(&answer.status), "{answer:?}");
}

#[test]
fn one_request_name_is_one_stored_name() {
    let server = server_with_canaries();
    let stored = [
        "na\u{ef}ve.png",
        "two words.png",
        "a+b.png",
        "\u{1f431}.png",
        "100%.png",
        "what?.png",
        "a,b_c.png",
        "v1..2.png",
    ];
    for name in stored {
        std::fs::write(server.images().join(name), png(20, 10)).unwrap();
    }
    let cases = [
        ("na%C3%AFve.png", 200),
        ("na%c3%afve.png", 200),
        ("nai%CC%88ve.png", 404),
        ("na%EFve.png", 404),
        ("two%20words.png", 200),
        ("two+words.png", 404),
        ("a+b.png", 200),
        ("a%2Bb.png", 200),
        ("a%20b.png", 404),
        ("%F0%9F%90%B1.png", 200),
        ("100%25.png", 200),
        ("what%3F.png", 200),
        ("photo.png%3Fx", 404),
        ("a,b_c.png", 200),
        ("v1..2.png", 200),
        ("%70hoto.png", 200),
        ("PHOTO.png", 404),
        ("photo.PNG", 404),
        ("photo.png.", 404),
        ("photo.png%20", 404),
        ("photo%E2%80%8B.png", 404),
        ("%E2%80%AEphoto.png", 404),
        ("photo%ED%A0%80.png", 404),
        ("photo%FF.png", 404),
        ("photo%2.png", 404),
        ("photo%zz.png", 404),
    ];
    for (name, status) in cases {
        let answer = server.get(&format!("/image/w_16/{name}"));
        // What is not there may also be refused for its form.
        let right = answer.status == status || status == 404 && answer.status == 400;
        assert!(right, "{name}, want {status}: {answer:?}");
    }
}
