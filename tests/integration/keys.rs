//! `pixlserv api-key` beside a running server, which sees every change within two seconds. Keys and secrets are shown
//! to their owners and to nobody else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::api_keys::{Key, after, api_key, say, seconds_from_now};
use crate::client::{Until, together};
use crate::pictures::png;
use crate::server::{Server, poll, program};
use crate::upload_form::{Told, form_of, upload};

/// Two seconds, and what a busy machine adds.
const EFFECT: Duration = Duration::from_secs(4);

fn may_get(server: &Server, key: &Key) -> bool {
    match server.get(&key.image_target("w_10/photo.png")).status {
        200 => true,
        401 => false,
        status => panic!("{status}"),
    }
}

fn signed_upload(server: &Server, key: &Key) -> Told {
    upload(server, &key.upload_target(), &key.signed_form(&png(9, 9), &seconds_from_now(0)))
}

/// Waits for a change to take effect.
fn wait_for(server: &Server, what: &str, is_so: impl Fn() -> bool) {
    let seen = poll(Instant::now() + EFFECT, || is_so().then_some(()));
    assert!(seen.is_some(), "{what} has no effect after {EFFECT:?}\n{}", server.log());
}

#[test]
fn every_change_takes_effect_while_the_server_runs() {
    let server = Server::start("");
    let key = Key::add(&server);
    let (name, secret) = (&*key.name, &*key.secret);
    wait_for(&server, "add", || may_get(&server, &key) && signed_upload(&server, &key).status == 200);
    say(&server, &["modify", name, "remove", "get"]);
    wait_for(&server, "remove get", || !may_get(&server, &key));
    assert_eq!(signed_upload(&server, &key).status, 200);
    say(&server, &["modify", name, "add", "get"]);
    wait_for(&server, "add get", || may_get(&server, &key));
    say(&server, &["modify", name, "remove", "upload"]);
    wait_for(&server, "remove upload", || signed_upload(&server, &key).status == 401);
    assert!(may_get(&server, &key));
    say(&server, &["modify", name, "add", "upload"]);
    wait_for(&server, "add upload", || signed_upload(&server, &key).status == 200);
    let new = after(&say(&server, &["generatesecret", name]), "Secret: ");
    assert_ne!(new, secret);
    let renewed = Key { secret: new, ..key.clone() };
    wait_for(&server, "generatesecret", || signed_upload(&server, &renewed).status == 200);
    let old = signed_upload(&server, &key);
    assert_eq!((old.status, &*old.message), (400, "invalid signature"));
    say(&server, &["remove", name]);
    wait_for(&server, "remove", || !may_get(&server, &key) && signed_upload(&server, &renewed).status == 401);
    // One that somebody has tried before it existed is not refused for longer.
    let next = Key::add(&server);
    wait_for(&server, "another add", || may_get(&server, &next));
}

#[test]
fn a_removed_key_is_refused_also_while_it_is_in_use() {
    let server = Server::start("authorisation: {get: Yes}\n");
    let keys: Vec<Key> = (0..4).map(|_| Key::add(&server)).collect();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _until = Until(&is_over);
        for key in &keys {
            let (server, is_over) = (&server, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    may_get(server, key);
                }
            });
        }
        for key in &keys {
            say(&server, &["remove", &key.name]);
            wait_for(&server, "remove", || !may_get(&server, key));
        }
        assert!(keys.iter().all(|key| !may_get(&server, key)), "one is back");
    });
}

#[test]
fn the_command_tells_what_there_is_and_no_secret() {
    let server = Server::start("");
    let (first, second) = (Key::add(&server), Key::add(&server));
    assert_ne!(first, second);
    let mut outputs = Vec::new();
    let mut run = |arguments: &[&str]| {
        let output = api_key(&server, arguments);
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        outputs.push(text.clone());
        assert!(output.status.success(), "{arguments:?}: {text}");
        text
    };
    let info = run(&["info", &first.name]);
    assert!(info.contains(&first.name) && info.contains("get") && info.contains("upload"), "{info}");
    let modified = run(&["modify", &first.name, "remove", "get"]);
    assert!(modified.contains("upload"), "{modified}");
    // What is so already is no error.
    run(&["modify", &first.name, "remove", "get"]);
    let info = run(&["info", &first.name]);
    assert!(info.contains("upload") && !info.contains("get"), "{info}");
    let list = run(&["list"]);
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 2, "{list}");
    for (key, may_get) in [(&first, false), (&second, true)] {
        let line = lines.iter().find(|line| line.contains(&key.name)).unwrap();
        assert!(line.contains("upload") && line.contains("get") == may_get, "{line}");
    }
    run(&["remove", &second.name]);
    assert!(!run(&["list"]).contains(&second.name));
    for text in outputs {
        assert!(!text.contains(&first.secret) && !text.contains(&second.secret), "{text}");
    }
    let new = after(&say(&server, &["generatesecret", &first.name]), "Secret: ");
    assert!(new.len() == 32 && new != first.secret && !say(&server, &["info", &first.name]).contains(&new));
    assert!(say(&server, &["info", &first.name]).contains("upload"), "permissions stay");
}

#[test]
fn a_mistake_is_told_and_changes_nothing() {
    let server = Server::start("");
    let key = Key::add(&server);
    let name = &*key.name;
    let unknown = "0123456789abcdef0123456789abcdef";
    let cases: [(&[&str], i32); 14] = [
        (&["info", unknown], 1),
        (&["remove", unknown], 1),
        (&["generatesecret", unknown], 1),
        (&["modify", unknown, "add", "get"], 1),
        (&["info", "not a key"], 1),
        (&["info", ""], 1),
        (&["modify", name, "add", "delete"], 1),
        (&["modify", name, "remove", ""], 1),
        (&["info"], 2),
        (&["info", name, name], 2),
        (&["modify", name, "add"], 2),
        (&["remove"], 2),
        (&["list", name], 2),
        (&["destroy", name], 2),
    ];
    let before = say(&server, &["list"]);
    for (arguments, expected) in cases {
        let output = api_key(&server, arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(expected), "{arguments:?}: {error}");
        assert!(!error.trim().is_empty() && output.stdout.is_empty(), "{arguments:?}: {error}");
        assert!(!error.contains(&key.secret) && !error.contains("panicked"), "{arguments:?}: {error}");
    }
    assert_eq!(say(&server, &["list"]), before);
    assert_eq!(signed_upload(&server, &key).status, 200);
}

#[test]
fn without_a_command_the_commands_are_listed() {
    let output = program().arg("api-key").output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    for command in ["add", "list", "info", "remove", "generatesecret", "modify"] {
        assert!(text.contains(command), "{command}: {text}");
    }
}

#[test]
fn keys_made_at_once_are_all_there() {
    let server = Server::start("");
    let keys = together((0..8).collect(), |_| (0..4).map(|_| Key::add(&server)).collect::<Vec<_>>()).concat();
    let list = say(&server, &["list"]);
    assert_eq!(list.lines().count(), 32);
    assert!(keys.iter().all(|key| list.contains(&key.name)));
    assert_eq!(signed_upload(&server, &keys[31]).status, 200);
}

#[test]
fn keys_outlive_a_crash_and_the_loss_of_nothing_else() {
    let mut server = Server::start("");
    let key = Key::add(&server);
    server.kill();
    let server = server.again("authorisation: {get: Yes}\n");
    assert!(may_get(&server, &key));
}

#[test]
fn no_key_and_no_secret_is_ever_told_to_others() {
    let server = Server::start("authorisation: {upload: Yes}\n");
    let (key, gone) = (Key::add(&server), Key::add(&server));
    let unknown = Key { name: "fedcba9876543210fedcba9876543210".to_owned(), secret: "s".repeat(32) };
    say(&server, &["remove", &gone.name]);
    let mut told = String::new();
    for key in [&key, &gone, &unknown] {
        for target in [
            key.image_target("w_10/photo.png"),
            key.image_target("w_0/photo.png"),
            key.image_target("w_10/missing.png"),
            key.image_target("w_10/../photo.png"),
            key.image_target(""),
            format!("/{}", key.name),
            format!("/{}/", key.name),
            format!("/{}/nowhere", key.name),
            key.upload_target(),
            format!("/image/w_10/{}", key.name),
        ] {
            for method in ["GET", "POST", "BREW"] {
                let answer = server.request(method, &target, &[("Origin", "https://example.com")]);
                // An image of that name is the client's own word; the answer need not repeat it, and must not for a
                // key.
                if !target.starts_with("/image") {
                    told += &format!("{:?} {}\n", answer.headers, answer.text());
                }
            }
        }
        for body in [key.signed_form(&png(9, 9), &seconds_from_now(0)), form_of(b"nothing")] {
            told += &format!("{:?}\n", upload(&server, &key.upload_target(), &body));
        }
        // Requests that no handler sees.
        for rest in [" HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", " HTTP/3.0\r\n\r\n", "\0 HTTP/1.1\r\n\r\n"] {
            let exchange = server.exchange(format!("GET /{}/image/w_10/photo.png{rest}", key.name).as_bytes());
            told += &format!("{exchange:?}\n");
        }
    }
    let log: String = server.log().lines().filter(|line| !line.contains("path=/image/w_10/")).collect();
    assert!(log.contains("path=/*/upload"), "{log}");
    for key in [&key, &gone, &unknown] {
        for (place, text) in [("an answer", &told), ("the log", &log)] {
            assert!(!text.contains(&key.secret), "{place} has a secret");
            assert!(!text.contains(&key.name[..5]), "{place} has a key: {text}");
        }
    }
}
