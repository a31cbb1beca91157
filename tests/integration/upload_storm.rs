//! A thousand uploads at once, also under a server that is killed meanwhile: what was answered is there, to the byte.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crate::client::{Client, get_all};
use crate::pictures::{jpeg, png};
use crate::server::{PATIENCE, Server, poll};
use crate::upload_form::{BOUNDARY, Told, folder, form_of, media_type, parts_of, post};

const N_CLIENTS: usize = 16;

/// A picture like no other of the run.
fn picture(number: usize) -> Vec<u8> {
    let mut content = if number.is_multiple_of(2) { jpeg(16, 12) } else { png(12, 16) };
    content.extend(format!("number {number}").bytes());
    content
}

/// What was stored under which path.
type Stored = BTreeMap<String, Vec<u8>>;

/// Uploads pictures with many clients, up to number `n`, or until the server is gone. All must be taken.
fn upload_all(server: &Server, next: &AtomicUsize, n: usize) -> Stored {
    let client = || {
        let mut stored = Vec::new();
        let Ok(mut client) = Client::try_new(server) else {
            return stored;
        };
        loop {
            let number = next.fetch_add(1, Ordering::SeqCst);
            if number >= n {
                return stored;
            }
            let content = picture(number);
            let request = post("/upload", &media_type(BOUNDARY), &form_of(&content));
            let Ok(Some(answer)) = client.write(&request).and_then(|()| client.receive()) else {
                return stored;
            };
            let told = Told::of(&answer);
            assert_eq!(told.status, 200, "number {number}: {told:?}\n{}", server.log_of_events());
            stored.push((told.path, content));
        }
    };
    let parts: Vec<Vec<(String, Vec<u8>)>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..N_CLIENTS).map(|_| scope.spawn(client)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let n_answers = parts.iter().map(Vec::len).sum::<usize>();
    let stored: Stored = parts.into_iter().flatten().collect();
    assert_eq!(stored.len(), n_answers, "a name was given twice");
    stored
}

/// Checks that every image that was answered is there, and that nothing else is but what was sent and not answered.
fn check(server: &Server, stored: &Stored, others: &BTreeSet<Vec<u8>>) {
    let mut found = folder(&server.images());
    for (path, content) in stored {
        parts_of(path);
        assert!(found.remove(path).as_ref() == Some(content), "{path} was answered, and is not what was sent");
    }
    for photo in ["photo.png", "photo.jpg"] {
        assert!(found.remove(photo).is_some());
    }
    for (path, content) in &found {
        parts_of(path);
        assert!(others.contains(content), "{path}: {} bytes that nobody sent", content.len());
    }
    let targets: Vec<String> = stored.keys().chain(found.keys()).map(|path| format!("/image/w_5/{path}")).collect();
    for (target, answer) in targets.iter().zip(get_all(server, 4, &targets)) {
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
    }
}

#[test]
fn a_thousand_uploads_at_once_have_names_of_their_own() {
    let server = Server::start("");
    let stored = upload_all(&server, &AtomicUsize::new(0), 1000);
    assert_eq!(stored.len(), 1000);
    let random: BTreeSet<&str> = stored.keys().map(|path| parts_of(path).1).collect();
    assert_eq!(random.len(), 1000, "no two have the random part in common");
    check(&server, &stored, &BTreeSet::new());
}

#[test]
fn what_a_killed_server_has_answered_is_there() {
    let mut server = Server::start("");
    let next = AtomicUsize::new(0);
    let mut stored = Stored::new();
    for n_before in [3, 100, 250, 40] {
        let goal = next.load(Ordering::SeqCst) + n_before;
        stored.extend(thread::scope(|scope| {
            let uploading = scope.spawn(|| upload_all(&server, &next, usize::MAX));
            poll(Instant::now() + PATIENCE, || (next.load(Ordering::SeqCst) >= goal).then_some(())).unwrap();
            let pid = server.pid().to_string();
            assert!(std::process::Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
            uploading.join().unwrap()
        }));
        assert!(!server.wait(PATIENCE).unwrap().success());
        // What a server leaves where files must have a name from their beginning.
        std::fs::write(server.images().join(".pixlserv-18d0-1-0"), &picture(0)[..100]).unwrap();
        server = server.again("");
        let others: BTreeSet<Vec<u8>> = (0..next.load(Ordering::SeqCst)).map(picture).collect();
        check(&server, &stored, &others);
    }
    assert!(stored.len() > 300, "{}", stored.len());
}
