//! Four times as much work as there is time for: what can be done is done, the rest is told so at once, and nobody
//! else notices.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use super::playback::{Ask, Pace, Playback, Told, probe};
use super::trend::Trend;
use super::{Length, assert_ends_well, cold_target, put_photographs, report};
use crate::client::Until;
use crate::server::Server;
use crate::siege::raise_files;

const N_CONNECTIONS: usize = 1000;
const N_PHOTOGRAPHS: usize = 16;
const HIT: &str = "/image/w_200/photo-0.jpg";
/// What the server is told to stay within.
const MEMORY: &str = "memory-limit: 201326592\ncache: {limit: 67108864}\n";

/// The bytes that a configuration allows: `memory-limit` for the whole process, if it says so, else the sum of what it
/// names, beside what the process had at its start.
fn budget_kb(configuration: &str, start_kb: u64) -> u64 {
    let number = |key: &str| {
        let mut words = configuration.split([' ', '\n', '{', ',', '}']).filter(|word| !word.is_empty());
        words.find(|word| word.strip_suffix(':') == Some(key))?;
        words.next()?.parse::<u64>().ok()
    };
    let parts = || {
        // Sources take a quarter of the pixels' memory besides.
        let (pixels, answers) = (number("work-memory").unwrap(), number("memory").unwrap());
        start_kb + (pixels * 5 / 4 + answers) / 1024
    };
    number("memory-limit").map_or_else(parts, |bytes| bytes / 1024)
}

#[test]
fn a_budget_is_the_limit_of_the_process_or_the_sum_of_its_parts() {
    assert_eq!(budget_kb("work-memory: 8192\ncache: {memory: 2048}\n", 5), 5 + 10 + 2);
    assert_eq!(budget_kb("memory-limit: 4096\nwork-memory: 8192\n", 5), 4);
}

/// The front door's side of the configuration: in a short run the queue is short, too, or its end would be waited for.
fn configuration(length: Length) -> String {
    // A limit of memory lowers the number of connections, too, and who makes room for others is cut.
    let max_queue = length.bound(256, 32);
    format!("{MEMORY}http: {{access-log: No, max-connections: {}, max-queue: {max_queue}}}\n", 2 * N_CONNECTIONS)
}

#[test]
fn what_is_too_much_is_refused_and_the_rest_goes_on() {
    raise_files();
    let length = Length::of(Duration::from_secs(4));
    let server = Server::start(&configuration(length));
    put_photographs(&server.images(), N_PHOTOGRAPHS);
    let start_kb = server.resident_kb();
    assert_eq!(server.get(HIT).status, 200);
    let mut n = 0;
    let mut next = || {
        n += 1;
        Ask { class: 0, target: cold_target(n, N_PHOTOGRAPHS, 300) }
    };
    // As many as keep all threads at work, and too few to fill the queue.
    let n_calibrating = length.bound(64, 16);
    let calibration = length.time.min(Duration::from_secs(20)) / 2;
    let measure = |next: &mut dyn FnMut() -> Ask| {
        Playback::new(&server, n_calibrating).run(Pace::Closed, calibration, 1, next).rate()
    };
    let before = measure(&mut next);
    let is_over = AtomicBool::new(false);
    let (outcome, health, hits, trend) = thread::scope(|scope| {
        let health = scope.spawn(|| probe(&server, "/health", 20, &is_over));
        let hits = scope.spawn(|| probe(&server, HIT, 50, &is_over));
        let trend = scope.spawn(|| Trend::watch(&server, &is_over));
        let until = Until(&is_over);
        let pace = Pace::Open(4.0 * before);
        let outcome = Playback::new(&server, N_CONNECTIONS).run(pace, length.time, 1, &mut next);
        drop(until);
        (outcome, health.join().unwrap(), hits.join().unwrap(), trend.join().unwrap())
    });
    let (told, goodput) = (&outcome.told[0], outcome.rate());
    // A machine that others use has not the same to give all the time.
    let after = measure(&mut next);
    let capacity = f64::midpoint(before, after);
    let budget_kb = budget_kb(MEMORY, start_kb);
    report(
        "overload",
        format_args!(
            "4 × {before:.0} images/s for {:?}: {goodput:.0}/s made ({:.0} %; alone {before:.0}, and {after:.0} later), \
             good {}, refused {}, errors {}, /health {health}, hits {hits}, {trend}, peak {} of {} MB, client late {}",
            length.time,
            goodput * 100.0 / capacity,
            told.good,
            told.busy,
            told.n_errors(),
            trend.peak_kb() / 1024,
            budget_kb / 1024,
            outcome.lag,
        ),
    );
    assert_refused_well(told);
    assert!(trend.peak_kb() <= budget_kb * 6 / 5, "{} KB of {budget_kb}", trend.peak_kb());
    let limit = Duration::from_millis(length.bound(100, 5000));
    assert!(health.p99() <= limit && hits.p99() <= limit, "/health {:?}, hits {:?}", health.p99(), hits.p99());
    if length.is_strict {
        assert!(told.busy.n > 0, "nothing was too much");
        assert!(goodput >= 0.9 * capacity, "{goodput:.1} images/s, alone {capacity:.1}");
        assert!(told.busy.p99() <= limit, "refused after {:?}", told.busy.p99());
    }
    assert_ends_well(server);
}

fn assert_refused_well(told: &Told) {
    assert!(told.n_errors() == 0, "{:?}, {} cut", told.others, told.n_cut);
    assert_eq!(told.n_retry_after, told.busy.n, "503 without Retry-After");
}
