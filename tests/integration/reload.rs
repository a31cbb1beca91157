//! SIGHUP: the configuration is read again, as a whole or not at all, and nobody notices but by what has changed.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use crate::client::{Client, Until};
use crate::metrics::{metrics, value};
use crate::server::{PATIENCE, Server, poll};

impl Server {
    /// Puts a configuration in place of the present one, but for the places, and has it read; waits for what it says.
    fn reload(&self, configuration: &str, said: &str) {
        let file = self.configuration_file();
        let text = fs::read_to_string(&file).unwrap();
        let places = ["listen: ", "local-path: ", "data-path: "];
        let kept: String = text
            .lines()
            .filter(|line| places.iter().any(|place| line.starts_with(place)))
            .map(|line| format!("{line}\n"))
            .collect();
        fs::write(&file, kept + configuration).unwrap();
        let count = || self.log().matches(said).count();
        let before = count();
        assert!(Command::new("kill").args(["-HUP", &self.pid().to_string()]).status().unwrap().success());
        let is_said = || (count() > before).then_some(());
        poll(Instant::now() + PATIENCE, is_said).unwrap_or_else(|| panic!("{said:?} is not said: {}", self.log()));
    }
}

const DONE: &str = "the configuration was read again";
const REFUSED: &str = "the configuration cannot be used, the old one stays";

#[test]
fn what_has_changed_is_in_force() {
    let server = Server::start("throttling-rate: 0\nmax-age: 60\n");
    let fine = server.get("/image/w_40/photo.jpg");
    assert_eq!(server.get("/image/t_square/photo.jpg").status, 400);
    let new = "throttling-rate: 0\nmax-age: 61\njpeg-quality: 10\nallow-custom-transformations: Yes\nmax-output-side: 50\n\
        cors-allow-origins: https://example.com\ndebug-headers: Yes\nhttp: {max-url-length: 256, max-queue: 7}\n\
        transformations: [{name: square, parameters: \"w_20,h_20\"}]\n";
    server.reload(new, DONE);
    let coarse = server.get("/image/w_40/photo.jpg");
    assert_eq!((coarse.status, coarse.header("Cache-Control")), (200, Some("public, max-age=61")));
    assert!(coarse.body.len() < fine.body.len() && coarse.header("Server-Timing").is_some());
    assert_eq!(server.get("/image/t_square/photo.jpg").status, 200);
    assert_eq!(server.get("/image/w_51/photo.jpg").status, 400);
    let with_origin = server.request("GET", "/image/w_40/photo.jpg", &[("Origin", "https://example.com")]);
    assert_eq!(with_origin.header("Access-Control-Allow-Origin"), Some("https://example.com"));
    assert_eq!(server.get(&format!("/image/w_40/{}.jpg", "x".repeat(300))).status, 414);
    let text = metrics(&server);
    assert!((value(&text, r#"pixlserv_limit{key="http.max-queue"}"#) - 7.0).abs() < 0.5);
    assert!((value(&text, r#"pixlserv_reloads_total{result="success"}"#) - 1.0).abs() < 0.5);

    server.reload("throttling-rate: 2\nallow-custom-transformations: No\nauthorisation: {get: Yes}\n", DONE);
    assert_eq!(server.get("/image/w_40/photo.jpg").status, 401);
    assert_eq!(server.get("/image/w_41/photo.jpg").status, 401);
    assert_eq!(server.get("/image/w_42/photo.jpg").status, 429);
    assert_eq!(server.get("/health").status, 200);
}

#[test]
fn what_is_wrong_changes_nothing_and_what_needs_a_restart_is_named() {
    let mut server = Server::start("throttling-rate: 0\njpeg-quality: 80\n");
    let before = server.get("/image/w_40/photo.jpg").body;
    for wrong in [
        "throttling-rate: 0\njpeg-quality: 10\nmax-age: never\n",
        "throttling-rate: 0\njpeg-quality: 10\ntransformations: [{name: a, parameters: w_0}]\n",
        "throttling-rate: 0\njpeg-quality: 10\nnonsense: 1\n",
        "throttling-rate: 0\njpeg-quality: 10\ntransformations:\n  - {name: a, parameters: w_9, text: {content: x, gravity: c, font: none.ttf}}\n",
    ] {
        server.reload(wrong, REFUSED);
        assert!(server.get("/image/w_40/photo.jpg").body == before, "{wrong}");
    }
    fs::remove_file(server.configuration_file()).unwrap();
    let listen = format!("listen: {}\nlocal-path: {:?}\n", server.address(), server.images().display().to_string());
    fs::write(server.configuration_file(), listen).unwrap();
    server.reload("throttling-rate: 0\nio-threads: 3\ndata-path: elsewhere\njpeg-quality: 10\n", DONE);
    assert!(server.log().contains("changes of listen, data-path, io-threads need a restart"), "{}", server.log());
    assert!(server.get("/image/w_40/photo.jpg").body.len() < before.len());
    assert!((value(&metrics(&server), r#"pixlserv_reloads_total{result="failure"}"#) - 4.0).abs() < 0.5);
    server.stop();
}

/// Whoever asks gets an answer of the old or of the new configuration, and never another.
#[test]
fn nobody_is_disturbed() {
    let mut server = Server::start("throttling-rate: 0\nmax-age: 0\n");
    let is_over = AtomicBool::new(false);
    let n_answers: usize = thread::scope(|scope| {
        let _until = Until(&is_over);
        let (server, is_over) = (&server, &is_over);
        let ask = |number: usize| {
            move || {
                let mut client = Client::new(server);
                let mut count = 0;
                while !is_over.load(Ordering::SeqCst) {
                    let answer = client.get(&format!("/image/w_{},h_{}/photo.jpg", 10 + number, 10 + count % 40));
                    assert_eq!(answer.status, 200, "{answer:?}");
                    let age = answer.header("Cache-Control").unwrap().rsplit_once('=').unwrap().1.parse::<u32>();
                    assert!(age.unwrap() <= 20, "{answer:?}");
                    count += 1;
                }
                count
            }
        };
        let asking: Vec<_> = (0..4).map(|number| scope.spawn(ask(number))).collect();
        for age in 1..=20 {
            let cache = if age % 2 == 0 { "cache: {limit: 20000, memory: 50000}\n" } else { "" };
            server.reload(&format!("throttling-rate: 0\nmax-age: {age}\n{cache}"), DONE);
        }
        is_over.store(true, Ordering::SeqCst);
        asking.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert!(n_answers > 40, "{n_answers}");
    let log = server.stop();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{}", server.log_of_events());
}

#[test]
fn a_smaller_cache_is_made_smaller() {
    let server = Server::start("throttling-rate: 0\n");
    std::fs::write(server.images().join("noise.jpg"), crate::pictures::noise(300, 200)).unwrap();
    for width in 100..130 {
        assert_eq!(server.get(&format!("/image/w_{width}/noise.jpg")).status, 200);
    }
    let bytes = || value(&metrics(&server), "pixlserv_cache_bytes");
    let before = poll(Instant::now() + PATIENCE, || Some(bytes()).filter(|bytes| *bytes > 50_000.0)).unwrap();
    server.reload("throttling-rate: 0\ncache: {limit: 40000}\n", DONE);
    let is_smaller = || (bytes() <= 40_000.0).then_some(());
    poll(Instant::now() + PATIENCE, is_smaller).unwrap_or_else(|| panic!("{before} bytes became {}", bytes()));
    assert!(value(&metrics(&server), "pixlserv_cache_evictions_total") > 0.0);
}
