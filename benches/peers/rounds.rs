//! Plays the works: in rounds, each a slice of every work for every server, who take turns in another order each time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::client;
use crate::judge::Judge;
use crate::pictures::Pictures;
use crate::servers::Server;
use crate::usage;
use crate::works::{CONNECTIONS, Work};

/// What one slice of a work has shown of a server.
pub(crate) struct Slice {
    pub(crate) per_second: f64,
    pub(crate) cpu_ms: f64,
    pub(crate) peak_mb: f64,
}

/// All that is known of a server at one work.
#[derive(Default)]
pub(crate) struct Result {
    pub(crate) slices: Vec<Slice>,
    pub(crate) latencies: Vec<Duration>,
    /// Of answers, one for each picture.
    pub(crate) bytes: Vec<usize>,
    /// Of the pictures that can be scored.
    pub(crate) scores: Vec<f64>,
    pub(crate) n_errors: usize,
}

/// By the number of the work and the name of the server.
pub(crate) type Results = BTreeMap<(usize, &'static str), Result>;

/// Runs a thread on one core only; where that is not allowed it runs where it likes.
pub(crate) fn pin_to(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    let _ = sched_setaffinity(None, &cores);
}

pub(crate) struct Player<'a> {
    pub(crate) pictures: &'a Pictures,
    pub(crate) judge: Judge,
    pub(crate) results: Results,
    pub(crate) n_rounds: usize,
    /// Of the pixels that a work has in a full round.
    pub(crate) share: f64,
    pub(crate) start: Instant,
}

impl Player<'_> {
    /// All works that are timed, on servers that stay.
    pub(crate) fn time(&mut self, works: &[(usize, Work)], start: &dyn Fn(usize) -> Vec<Server>) {
        let most_cores = works.iter().map(|(_, work)| work.n_cores).max().unwrap_or(0);
        let servers: Vec<Vec<Server>> = (1..=most_cores)
            .map(|n_cores| if works.iter().any(|(_, work)| work.n_cores == n_cores) { start(n_cores) } else { vec![] })
            .collect();
        self.tell("servers run");
        let mut able: Vec<Vec<&Server>> = Vec::new();
        for &(number, work) in works {
            let found = servers[work.n_cores - 1].iter().filter(|server| self.try_out(number, &work, server));
            able.push(found.collect());
        }
        self.tell("answers are judged");
        for round in 0..self.n_rounds {
            for (&(number, work), servers) in works.iter().zip(&able) {
                for turn in 0..servers.len() {
                    self.slice(number, &work, servers[(turn + round) % servers.len()]);
                }
            }
            self.tell(&format!("round {} of {}", round + 1, self.n_rounds));
        }
    }

    /// One work on servers that are started for it alone.
    pub(crate) fn weigh(&mut self, number: usize, work: &Work, start: &dyn Fn(usize) -> Vec<Server>) {
        for server in start(work.n_cores) {
            if self.try_out(number, work, &server) {
                self.slice(number, work, &server);
            }
        }
        self.tell(work.title);
    }

    /// How far it has come.
    fn tell(&self, done: &str) {
        eprintln!("peers: {:>4} s: {done}", self.start.elapsed().as_secs());
    }

    /// Asks for each picture once and judges the answers; whether the server can do it at all.
    fn try_out(&mut self, number: usize, work: &Work, server: &Server) -> bool {
        let pictures = work.pictures(self.pictures);
        let (mut result, mut answers) = (Result::default(), Vec::new());
        for &picture in &pictures {
            let Some(target) = server.target(work.operation, &self.pictures.link(picture)) else { return false };
            let answer = match client::get(&server.address, &target) {
                Ok(answer) if answer.status == 200 => answer.body,
                Ok(answer) => {
                    eprintln!("skipped: {} answers {} to {target} ({})", server.name, answer.status, picture.name);
                    return false;
                }
                Err(error) => {
                    eprintln!("skipped: {} fails at {target} ({}): {error}", server.name, picture.name);
                    return false;
                }
            };
            result.bytes.push(answer.len());
            if work.is_scored() && picture.is_scored {
                answers.push((picture, answer));
            }
        }
        result.scores = self.judge.scores(&answers);
        self.results.insert((number, server.name), result);
        true
    }

    fn slice(&mut self, number: usize, work: &Work, server: &Server) {
        let pictures = work.pictures(self.pictures);
        let order = (0..work.repeats(&pictures, self.share)).flat_map(|_| &pictures);
        let targets: Vec<String> =
            order.filter_map(|picture| server.target(work.operation, &self.pictures.link(picture))).collect();
        usage::reset_peak(server.id());
        let before = usage::cpu_ms(server.id());
        let played = client::play(&server.address, &targets, CONNECTIONS, || {
            if work.n_cores == 1 {
                pin_to(1);
            }
        });
        let cpu_ms = usage::cpu_ms(server.id()) - before;
        let result = self.results.entry((number, server.name)).or_default();
        result.slices.push(Slice {
            per_second: played.latencies.len() as f64 / played.wall.as_secs_f64(),
            cpu_ms: cpu_ms / targets.len() as f64,
            peak_mb: usage::peak_mb(server.id()),
        });
        result.latencies.extend(played.latencies);
        result.n_errors += played.n_errors;
    }
}
