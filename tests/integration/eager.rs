//! Eager transformations: made of every upload after its answer, so that the first request is a hit; also by the server
//! that comes after one that was killed.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use pixlserv::index::{Jobs, SqliteIndex};

use crate::client::together;
use crate::pictures::{jpeg, noise, png};
use crate::server::{PATIENCE, Server, poll};
use crate::shelf::{records, settle};
use crate::upload_form::{form_of, stored_path, upload};

const TWO: &str = "
transformations:
    - {name: small, parameters: 'w_20,h_20,c_p,g_c', eager: Yes}
    - {name: gray, parameters: 'w_30,f_grayscale', eager: Yes}
    - {name: lazy, parameters: 'w_40'}
";
const EAGER: [&str; 2] = ["t_small", "t_gray"];

fn index(server: &Server) -> SqliteIndex {
    SqliteIndex::open(&server.data().join("index.sqlite")).unwrap()
}

fn n_made(server: &Server, path: &str) -> usize {
    records(&server.data()).iter().filter(|record| record.source == path).count()
}

/// Waits until so many answers of an image are recorded.
fn wait_for(server: &Server, path: &str, n: usize) {
    let made = poll(Instant::now() + PATIENCE, || (n_made(server, path) == n).then_some(()));
    assert!(made.is_some(), "{path}: {} of {n} made\n{}", n_made(server, path), server.log_of_events());
}

fn wait_until_idle(server: &Server) {
    let index = index(server);
    let idle = poll(Instant::now() + PATIENCE, || (index.n_jobs().unwrap() == 0).then_some(()));
    assert!(idle.is_some(), "{} jobs never end\n{}", index.n_jobs().unwrap(), server.log_of_events());
}

fn assert_hits(server: &Server, path: &str) {
    for name in EAGER {
        let answer = server.get(&format!("/image/{name}/{path}"));
        assert_eq!((answer.status, answer.came()), (200, "hit"), "{name} of {path}: {answer:?}");
    }
}

#[test]
fn the_first_request_of_an_eager_transformation_is_a_hit() {
    // Nothing is kept in memory: what is found was on disk.
    let server = Server::start(&format!("cache: {{memory: 0}}{TWO}"));
    for content in [jpeg(64, 48), png(48, 32), noise(900, 700)] {
        let path = stored_path(&server, &content);
        wait_for(&server, &path, EAGER.len());
        assert_hits(&server, &path);
        assert_eq!(server.get(&format!("/image/t_lazy/{path}")).came(), "miss");
    }
    wait_until_idle(&server);
    settle(&server, Some(9));
}

#[test]
fn an_eager_answer_is_the_one_that_a_request_gets() {
    let server = Server::start(TWO);
    let path = stored_path(&server, &noise(300, 200));
    wait_for(&server, &path, EAGER.len());
    let plain = server.again(&format!("cache: {{enabled: No}}{TWO}"));
    for name in EAGER {
        let target = format!("/image/{name}/{path}");
        let (eager, asked) = (server.get(&target), plain.get(&target));
        assert_eq!((eager.came(), asked.came()), ("hit", "miss"));
        assert!(eager.body == asked.body && eager.header("ETag") == asked.header("ETag"), "{eager:?} {asked:?}");
    }
}

#[test]
fn what_a_killed_server_has_not_made_the_next_one_makes() {
    let mut server = Server::start(TWO);
    let mut paths = Vec::new();
    let mut n_unfinished = 0;
    for round in 0..8 {
        for _ in 0..=round % 3 {
            paths.push(stored_path(&server, &noise(800, 800)));
        }
        server.kill();
        n_unfinished += usize::from(index(&server).n_jobs().unwrap() > 0);
        server = server.again(TWO);
    }
    for path in &paths {
        wait_for(&server, path, EAGER.len());
        assert_hits(&server, path);
    }
    wait_until_idle(&server);
    assert!(n_unfinished > 0, "every server was killed after its work");
}

#[test]
fn a_job_whose_image_is_gone_ends() {
    let mut server = Server::start(TWO);
    let path = stored_path(&server, &noise(800, 800));
    server.kill();
    std::fs::remove_file(server.images().join(&path)).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
    // As a server would leave them that was killed.
    for source in ["gone.jpg", "folder/gone.png", "../gone.jpg", "", &path] {
        assert!(index(&server).push_job(source, now).unwrap());
    }
    std::fs::write(server.images().join("broken.jpg"), &jpeg(64, 48)[..300]).unwrap();
    assert!(index(&server).push_job("broken.jpg", now).unwrap());
    let server = server.again(TWO);
    wait_until_idle(&server);
    assert_eq!(records(&server.data()).len(), 0);
    let path = stored_path(&server, &png(48, 32));
    wait_for(&server, &path, EAGER.len());
}

#[test]
fn an_image_that_is_removed_while_it_is_worked_on_ends_its_job() {
    let server = Server::start(&format!("pixel-threads: 1\n{TWO}"));
    for _ in 0..10 {
        let path = stored_path(&server, &noise(400, 400));
        std::fs::remove_file(server.images().join(path)).unwrap();
    }
    wait_until_idle(&server);
    server.assert_alive("removed images");
}

#[test]
fn a_transformation_that_cannot_be_made_ends_its_job_and_hinders_no_other() {
    let tall = "    - {name: tall, parameters: 'w_8000', eager: Yes}\n";
    let server = Server::start(&format!("{TWO}{tall}"));
    // Twice as high as wide: above the longest side of an answer.
    let path = stored_path(&server, &png(10, 20));
    wait_for(&server, &path, EAGER.len());
    wait_until_idle(&server);
    assert_hits(&server, &path);
    assert_eq!(server.get(&format!("/image/t_tall/{path}")).status, 400);
}

#[test]
fn many_uploads_at_once_all_get_their_answers() {
    for configuration in [TWO.to_owned(), format!("async-uploads: Yes{TWO}")] {
        let server = Server::start(&configuration);
        let paths = together((0..20).collect(), |number: u16| stored_path(&server, &jpeg(100 + number, 80)));
        for path in &paths {
            wait_for(&server, path, EAGER.len());
            assert_hits(&server, path);
        }
        wait_until_idle(&server);
        settle(&server, Some(40));
    }
}

#[test]
fn requests_that_come_before_the_work_is_done_are_answered_all_the_same() {
    let server = Server::start(TWO);
    for _ in 0..10 {
        let path = stored_path(&server, &noise(500, 500));
        let targets: Vec<String> = EAGER.iter().map(|name| format!("/image/{name}/{path}")).collect();
        let answers = together(targets, |target| server.get(&target));
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        wait_for(&server, &path, EAGER.len());
    }
    wait_until_idle(&server);
}

#[test]
fn without_a_cache_nothing_is_made_and_nothing_breaks() {
    let server = Server::start(&format!("cache: {{enabled: No}}{TWO}"));
    for _ in 0..3 {
        let path = stored_path(&server, &png(48, 32));
        for name in EAGER {
            assert_eq!(server.get(&format!("/image/{name}/{path}")).came(), "miss");
        }
    }
    server.assert_alive("uploads without a cache");
    assert!(!server.log().contains(" ERROR "), "{}", server.log());
}

#[test]
fn refused_uploads_begin_no_work() {
    let server = Server::start(TWO);
    for content in [&jpeg(64, 48)[..400], b"GIF89a", b""] {
        assert_ne!(upload(&server, "/upload", &form_of(content)).status, 200);
    }
    assert_eq!(index(&server).n_jobs().unwrap(), 0);
    let path = stored_path(&server, &png(48, 32));
    wait_for(&server, &path, EAGER.len());
    assert_eq!(records(&server.data()).len(), EAGER.len());
}
