//! Servers that are killed while they write: what they leave behind is whole, or is not there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::client::{Client, get_all};
use crate::pictures::noise;
use crate::server::{PATIENCE, Server, poll};
use crate::shelf::{command, files, recorded};

/// How many servers are killed; this variable may ask for more.
const ROUNDS: (&str, usize) = ("PIXLSERV_KILL_ROUNDS", 200);

fn n_rounds() -> usize {
    std::env::var(ROUNDS.0).map_or(ROUNDS.1, |text| text.parse().unwrap())
}

/// Some thirty answers of 1 to 10 KB.
fn targets() -> Vec<String> {
    let sizes = (0..32).map(|number| (40 + 10 * (number % 8), 40 + 20 * (number / 8)));
    sizes.map(|(width, height)| format!("/image/w_{width},h_{height},c_k/noise.jpg")).collect()
}

/// Asks with several clients until the server is gone. Answers that come are checked.
fn besiege(server: &mut Server, targets: &[String], expected: &[Vec<u8>], time: Duration) {
    let next = AtomicUsize::new(0);
    let clients: Vec<Client> = (0..4).map(|_| Client::new(server)).collect();
    thread::scope(|scope| {
        for mut client in clients {
            let next = &next;
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed) % targets.len();
                    let answer = client.send(&targets[index]).and_then(|()| client.receive());
                    let Ok(Some(answer)) = answer else {
                        return;
                    };
                    assert!(answer.status == 200 && answer.body == expected[index], "{answer:?}");
                }
            });
        }
        thread::park_timeout(time);
        server.kill();
    });
}

/// Waits until what a crash has left behind is gone: unfinished files, files without a record, records without a file.
fn wait_until_tidy(server: &Server) {
    let cache = server.data().join("cache");
    let tidy = || {
        let files = files(&cache);
        (!files.keys().any(|name| name.contains("/.")) && files == recorded(&server.data())).then_some(())
    };
    poll(Instant::now() + PATIENCE, tidy).unwrap_or_else(|| panic!("never tidy: {}", server.log_of_events()));
}

#[test]
fn killed_servers_leave_nothing_that_is_wrong() {
    let mut server = Server::start("");
    let file = server.images().join("noise.jpg");
    std::fs::write(&file, noise(200, 200)).unwrap();
    let targets = targets();
    let plain = server.again("cache: {enabled: No}\n");
    let expected: Vec<Vec<u8>> = get_all(&plain, 2, &targets).into_iter().map(|answer| answer.body).collect();
    drop(plain);
    let start = SystemTime::now() - Duration::from_secs(100_000);
    let mut n_leftovers = 0;
    for round in 0..n_rounds() {
        // In each round all answers are made anew, and those of the round before are removed.
        let changed = start + Duration::from_secs(round as u64);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(changed).unwrap();
        let time = Duration::from_millis((round * 37 % 101) as u64);
        besiege(&mut server, &targets, &expected, time);
        n_leftovers += usize::from(files(&server.data().join("cache")) != recorded(&server.data()));
        server = server.again("");
        wait_until_tidy(&server);
        if round % 10 == 0 {
            let output = command(&server, &["verify"]);
            assert!(output.status.success(), "round {round}: {}", String::from_utf8_lossy(&output.stderr));
        }
        for (answer, expected) in get_all(&server, 2, &targets).iter().zip(&expected) {
            assert!(answer.status == 200 && answer.body == *expected, "round {round}: {answer:?}");
        }
    }
    assert!(n_leftovers > 0, "no server was killed in the middle of its work");
    server.stop();
    assert!(command(&server, &["verify"]).status.success());
}
