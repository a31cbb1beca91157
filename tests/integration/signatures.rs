//! Signed uploads: exactly the valid signatures pass, and one that covers the file is good for that file alone.

use crate::api_keys::{Key, say, seconds_from_now, sha256};
use crate::pictures::{jpeg, png};
use crate::server::Server;
use crate::upload_form::{Before, Form, Told, folder, form_of, upload};

/// Uploads with these fields, as far as they are given.
fn upload_with(server: &Server, key: &Key, fields: &[(&str, Option<&str>)], content: &[u8]) -> Told {
    let given = fields.iter().filter_map(|(name, value)| value.map(|value| (*name, value)));
    let form = given.fold(Form::new(), |form, (name, value)| form.text(name, value));
    upload(server, &key.upload_target(), &form.image(content).end())
}

fn assert_refused(told: &Told, reason: &str, what: &str) {
    assert!(told.status == 400 && told.message.starts_with(reason), "{what}: {reason:?}, got {told:?}");
}

#[test]
fn a_signature_of_the_time_is_believed_while_it_is_fresh() {
    let server = Server::start("");
    let key = Key::add(&server);
    for offset in [0, -1, -290, 50] {
        let content = png(20, 10);
        let told = upload(&server, &key.upload_target(), &key.signed_form(&content, &seconds_from_now(offset)));
        assert_eq!(told.status, 200, "{offset}: {told:?}");
        assert!(std::fs::read(server.images().join(&told.path)).unwrap() == content);
    }
}

#[test]
fn a_time_that_is_old_or_ahead_or_none_is_refused() {
    let server = Server::start("");
    let key = Key::add(&server);
    let before = Before::of(&server);
    // What is ahead becomes allowed while the server takes its time.
    let offsets = [-100_000, -3600, -320, -301, 90, 3600, 100_000].map(seconds_from_now);
    let texts = ["", "now", "-1", "1e9", "0x65f0", "9223372036854775808", "18446744073709551617", "1795451763.5"];
    let padded = [format!(" {}", seconds_from_now(0)), format!("+{}", seconds_from_now(0))];
    for timestamp in offsets.iter().chain(&padded).map(String::as_str).chain(texts) {
        let told = upload(&server, &key.upload_target(), &key.signed_form(&png(9, 9), timestamp));
        assert_refused(&told, "invalid timestamp", timestamp);
    }
    let signature = key.sign("timestamp=");
    let told = upload_with(&server, &key, &[("signature", Some(&signature))], &png(9, 9));
    assert_refused(&told, "invalid timestamp", "no timestamp");
    before.assert_nothing_stored(&server, "wrong times");
}

#[test]
fn a_signature_that_differs_in_anything_is_refused() {
    let server = Server::start("");
    let (key, other) = (Key::add(&server), Key::add(&server));
    let before = Before::of(&server);
    let timestamp = seconds_from_now(0);
    let message = format!("timestamp={timestamp}");
    let good = key.sign(&message);
    let with_bit = |at: usize, bit: u32| {
        let digit = u32::from_str_radix(&good[at..=at], 16).unwrap() ^ (1 << bit);
        format!("{}{digit:x}{}", &good[..at], &good[at + 1..])
    };
    let mut wrong: Vec<String> = (0..64).step_by(7).map(|at| with_bit(at, (at % 4) as u32)).collect();
    wrong.extend([
        good.to_uppercase(),
        String::new(),
        "0".repeat(64),
        good[..63].to_owned(),
        format!("{good}0"),
        format!(" {good}"),
        format!("{good}\n"),
        format!("0x{good}"),
        "z".repeat(64),
        other.sign(&message),
        key.sign(&timestamp),
        key.sign(&format!("{message}&")),
        key.sign(&format!("timestamp={}", seconds_from_now(-7))),
        Key { secret: String::new(), ..key.clone() }.sign(&message),
        Key { secret: key.secret.to_uppercase(), ..key.clone() }.sign(&message),
        Key { secret: key.name.clone(), ..key.clone() }.sign(&message),
    ]);
    for signature in &wrong {
        let fields = [("timestamp", Some(&*timestamp)), ("signature", Some(signature))];
        assert_refused(&upload_with(&server, &key, &fields, &png(9, 9)), "invalid signature", signature);
    }
    let told = upload_with(&server, &key, &[("timestamp", Some(&timestamp))], &png(9, 9));
    assert_refused(&told, "invalid signature", "none");
    before.assert_nothing_stored(&server, "wrong signatures");
    let fields = [("timestamp", Some(&*timestamp)), ("signature", Some(&*good))];
    assert_eq!(upload_with(&server, &key, &fields, &png(9, 9)).status, 200, "the right one");
}

#[test]
fn a_signature_that_covers_the_file_is_good_for_that_file_alone() {
    for rule in ["", "require-file-signature: Yes\n"] {
        let server = Server::start(rule);
        let key = Key::add(&server);
        let (mine, other) = (png(20, 10), jpeg(64, 48));
        let digest = sha256(&mine);
        let target = key.upload_target();
        let told = upload(&server, &target, &key.form_for_file(&mine, &digest));
        assert_eq!(told.status, 200, "{rule}: {told:?}");
        assert!(std::fs::read(server.images().join(&told.path)).unwrap() == mine);
        let images = folder(&server.images());
        for (what, content, digest) in [
            ("another file", &other, digest.clone()),
            ("one bit of it", &[&mine[..], b"\0"].concat(), digest.clone()),
            ("upper case", &mine, digest.to_uppercase()),
            ("no digest", &mine, String::new()),
            ("the digest of nothing", &mine, sha256(b"")),
            ("half a digest", &mine, digest[..32].to_owned()),
        ] {
            let told = upload(&server, &target, &key.form_for_file(content, &digest));
            assert_refused(&told, "invalid", &format!("{rule}{what}"));
        }
        // A signature of the time alone does not cover a digest that somebody adds.
        let timestamp = seconds_from_now(0);
        let signature = key.sign(&format!("timestamp={timestamp}"));
        let fields = [("timestamp", Some(&*timestamp)), ("signature", Some(&*signature)), ("sha256", Some(&*digest))];
        assert_refused(&upload_with(&server, &key, &fields, &mine), "invalid signature", rule);
        // One that covers the file is none of the time alone.
        let signature = key.sign(&format!("timestamp={timestamp}&sha256={digest}"));
        let fields = [("timestamp", Some(&*timestamp)), ("signature", Some(&*signature))];
        assert_refused(&upload_with(&server, &key, &fields, &mine), "invalid signature", rule);
        assert!(folder(&server.images()) == images, "{rule}: left behind");
    }
}

#[test]
fn where_the_file_must_be_signed_nothing_else_is_taken() {
    let server = Server::start("require-file-signature: Yes\n");
    let key = Key::add(&server);
    let content = png(20, 10);
    let images = folder(&server.images());
    let plain = upload(&server, &key.upload_target(), &key.signed_form(&content, &seconds_from_now(0)));
    assert_refused(&plain, "invalid signature", "of the time alone");
    let keyless = upload(&server, "/upload", &form_of(&content));
    assert_eq!((keyless.status, &*keyless.message), (401, "API key invalid or missing"));
    let keyless = upload(&server, "/upload", &key.form_for_file(&content, &sha256(&content)));
    assert_eq!(keyless.status, 401, "{keyless:?}");
    assert!(folder(&server.images()) == images);
}

#[test]
fn a_key_is_needed_where_uploads_are_for_some_and_must_exist_where_it_is_given() {
    for rule in ["", "authorisation: {upload: Yes}\n"] {
        let server = Server::start(rule);
        let key = Key::add(&server);
        let reader = Key::add(&server);
        say(&server, &["modify", &reader.name, "remove", "upload"]);
        let content = png(20, 10);
        let now = seconds_from_now(0);
        let told = upload(&server, "/upload", &form_of(&content));
        assert_eq!(told.status, if rule.is_empty() { 200 } else { 401 }, "{rule}: {told:?}");
        let images = folder(&server.images());
        let unknown = Key { name: "0123456789abcdef0123456789abcdef".to_owned(), ..key.clone() };
        let upper = Key { name: key.name.to_uppercase(), ..key.clone() };
        let long = Key { name: "a".repeat(300), ..key.clone() };
        for (what, wrong) in [("unknown", &unknown), ("in capitals", &upper), ("long", &long), ("reader", &reader)] {
            let told = upload(&server, &wrong.upload_target(), &wrong.signed_form(&content, &now));
            assert_eq!((told.status, &*told.message), (401, "API key invalid or missing"), "{rule}{what}");
        }
        assert_refused(&upload(&server, &key.upload_target(), &form_of(&content)), "invalid timestamp", rule);
        assert!(folder(&server.images()) == images, "{rule}: left behind");
        let told = upload(&server, &key.upload_target(), &key.signed_form(&content, &now));
        assert_eq!(told.status, 200, "{rule}: {told:?}");
    }
}

#[test]
fn an_image_needs_a_key_that_may_get_where_images_are_for_some() {
    let server = Server::start("authorisation: {get: Yes}\n");
    let (key, writer) = (Key::add(&server), Key::add(&server));
    say(&server, &["modify", &writer.name, "remove", "get"]);
    let image = "w_10/photo.png";
    let nobody = "0123456789abcdef0123456789abcdef";
    let denied = [
        format!("/image/{image}"),
        writer.image_target(image),
        format!("/{nobody}/image/{image}"),
        "/image/w_10/missing.png".to_owned(),
        writer.image_target("w_10/missing.png"),
    ];
    for target in &denied {
        let answer = server.get(target);
        assert_eq!(answer.status, 401, "{target}: {answer:?}");
        answer.assert_reason(target);
        assert_eq!(answer.text(), "API key invalid or missing");
    }
    let mut came = Vec::new();
    for _ in 0..3 {
        let answer = server.get(&key.image_target(image));
        assert_eq!(answer.status, 200, "{answer:?}");
        came.push(answer.came().to_owned());
    }
    assert_eq!(came, ["miss", "hit", "hit"]);
    // What is kept for those who may is not for the others, and neither is that they have it.
    let tag = server.get(&key.image_target(image)).header("ETag").unwrap().to_owned();
    for target in &denied {
        assert_eq!(server.request("GET", target, &[("If-None-Match", &tag)]).status, 401, "{target}");
    }
    assert_eq!(server.request("GET", &key.image_target(image), &[("If-None-Match", &tag)]).status, 304);
    assert_eq!(server.get(&key.image_target("w_10/missing.png")).status, 404);
}

#[test]
fn a_key_that_is_given_must_be_good_where_none_is_needed() {
    let server = Server::start("");
    let (key, writer) = (Key::add(&server), Key::add(&server));
    say(&server, &["modify", &writer.name, "remove", "get"]);
    for warm in [false, true] {
        assert_eq!(server.get(&key.image_target("w_10/photo.png")).status, 200, "{warm}");
        assert_eq!(server.get("/image/w_10/photo.png").status, 200, "{warm}");
        assert_eq!(server.get(&writer.image_target("w_10/photo.png")).status, 401, "{warm}");
        assert_eq!(server.get("/nobody/image/w_10/photo.png").status, 401, "{warm}");
    }
}
