//! A thousand connections that live: most ask for what is there, some for what nobody has asked for before.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use super::playback::{Ask, Outcome, Pace, Playback, probe};
use super::trend::Trend;
use super::{Length, assert_ends_well, cold_target, put_photographs, report, start};
use crate::client::{Client, Until};
use crate::server::Server;
use crate::siege::raise_files;

const N_CONNECTIONS: usize = 1000;
/// As many as keep all threads at work, and too few to fill a queue.
const N_CALIBRATING: usize = 32;
const N_PHOTOGRAPHS: usize = 16;
/// One request in so many is for a new image.
const COLD: usize = 20;
/// A cache that is full after seconds, or it would look like a leak.
const CONFIGURATION: &str = "cache: {memory: 1048576, limit: 2097152}\nhttp: {access-log: No}\n";

const HIT: usize = 0;
const NEW: usize = 1;

/// 19 hits and something new, over and over; `n` counts all that was ever asked.
fn next(n: &mut usize) -> Ask {
    *n += 1;
    if n.is_multiple_of(COLD) {
        return Ask { class: NEW, target: cold_target(*n / COLD, N_PHOTOGRAPHS, 24) };
    }
    Ask { class: HIT, target: hit(*n) }
}

fn hit(n: usize) -> String {
    format!("/image/w_200/photo-{}.jpg", n % N_PHOTOGRAPHS)
}

fn assert_no_errors(outcome: &Outcome, what: &str) {
    for told in &outcome.told {
        assert!(told.n_errors() == 0, "{what}: {:?}, {} cut", told.others, told.n_cut);
        assert_eq!(told.n_retry_after, told.busy.n, "{what}: 503 without Retry-After");
    }
    assert!(outcome.told[HIT].busy.n == 0, "{what}: a hit was refused");
}

#[test]
fn a_thousand_connections_are_served_at_an_even_pace() {
    raise_files();
    let length = Length::of(Duration::from_secs(3));
    let server = start(CONFIGURATION);
    put_photographs(&server.images(), N_PHOTOGRAPHS);
    let mut client = Client::new(&server);
    for number in 0..N_PHOTOGRAPHS {
        assert_eq!(client.get(&hit(number)).status, 200);
    }
    drop(client);
    let mut n = 0;
    let calibration = length.time.min(Duration::from_secs(5)) / 2;
    let capacity = Playback::new(&server, N_CALIBRATING).run(Pace::Closed, calibration, 2, || next(&mut n)).rate();
    let rate = capacity * length.bound(0.7, 0.35);
    if length.is_strict {
        // Caches and the stores of the C library fill first, for two minutes at this rate: they would look like a leak.
        let warming = Duration::from_secs(120);
        assert_no_errors(
            &Playback::new(&server, N_CONNECTIONS).run(Pace::Open(rate), warming, 2, || next(&mut n)),
            "warming",
        );
    }
    let is_over = AtomicBool::new(false);
    let (outcome, health, trend) = thread::scope(|scope| {
        let health = scope.spawn(|| probe(&server, "/health", 20, &is_over));
        let trend = scope.spawn(|| Trend::watch(&server, &is_over));
        let until = Until(&is_over);
        let outcome = Playback::new(&server, N_CONNECTIONS).run(Pace::Open(rate), length.time, 2, || next(&mut n));
        drop(until);
        (outcome, health.join().unwrap(), trend.join().unwrap())
    });
    let [hits, new] = &outcome.told[..] else { panic!("two classes") };
    report(
        "load",
        format_args!(
            "{rate:.0} of {capacity:.0} requests/s for {:?} over {N_CONNECTIONS} connections: hits {}, new {}, refused {}, \
             errors {}, /health {health}, {trend}, client late {}",
            length.time,
            hits.good,
            new.good,
            new.busy.n,
            hits.n_errors() + new.n_errors(),
            outcome.lag,
        ),
    );
    let hits_p99 = hits.good.p99();
    assert_no_errors(&outcome, "even pace");
    closed_loop(&server, length, &mut n);
    let limit = Duration::from_millis(length.bound(50, 5000));
    assert!(hits_p99 <= limit && health.p99() <= limit, "hits {hits_p99:?}, /health {:?}", health.p99());
    if length.is_strict {
        trend.assert_flat(0.0);
    }
    assert_ends_well(server);
}

/// All connections ask as fast as they are answered: nothing is promised but that all are.
fn closed_loop(server: &Server, length: Length, n: &mut usize) {
    let outcome = Playback::new(server, N_CONNECTIONS).run(Pace::Closed, length.time / 4, 2, || next(n));
    let [hits, new] = &outcome.told[..] else { panic!("two classes") };
    report(
        "load, closed loop",
        format_args!(
            "{:.0} requests/s: hits {}, new {}, refused {}, errors {}",
            outcome.rate(),
            hits.good,
            new.good,
            new.busy,
            hits.n_errors() + new.n_errors()
        ),
    );
    assert_no_errors(&outcome, "closed loop");
}
