//! This server beside others that resize pictures: sharp behind node's http, oximg, thumbor, nginx's image filter. The same
//! work for each in interleaved rounds, speed and quality judged together. `scripts/bench` installs the others and has the
//! help; `benches/peers/works.rs` is the table of what is played.
//!
//! `cargo bench --bench peers -- [--pictures FOLDER] [--quick] [--only PEER,…] [--work NAME,…] [--record FOLDER]`

mod client;
#[path = "../common/mod.rs"]
mod common;
mod inprocess;
mod judge;
mod pictures;
mod plot;
#[path = "../../tests/integration/reference.rs"]
mod reference;
mod report;
mod rounds;
mod servers;
mod usage;
mod works;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use judge::Judge;
use pictures::Pictures;
use rounds::{Player, Results};
use servers::Server;
use works::{WORKS, Work};

/// The comparisons without servers have names beside those of the works.
const IN_PROCESS: &str = "in-process";
const ENTROPY: &str = "entropy";

struct Options {
    pictures: Option<PathBuf>,
    is_quick: bool,
    /// Empty: all.
    peers: Vec<String>,
    works: Vec<String>,
    record: Option<PathBuf>,
}

fn main() {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("peers: {error}");
            std::process::exit(2);
        }
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let images = folder.path().join("images");
    fs::create_dir(&images).expect("a folder for pictures");
    let pictures = Pictures::new(options.pictures.as_deref(), &images);
    let is_peer = |name: &str| options.peers.is_empty() || options.peers.iter().any(|peer| peer == name);
    let start = |n_cores| Server::start_all(is_peer, &images, folder.path(), n_cores);

    let is_work = |name: &str| options.works.is_empty() || options.works.iter().any(|work| work == name);
    let wanted = WORKS.into_iter().enumerate().filter(|(_, work)| is_work(work.name));
    let (mut timed, mut weighed) = (Vec::new(), Vec::new());
    for (number, work) in wanted {
        if work.pictures(&pictures).is_empty() {
            eprintln!("skipped: {}: there is no such picture", work.name);
        } else if work.is_memory {
            weighed.push((number, work));
        } else {
            timed.push((number, work));
        }
    }
    let (n_rounds, share) = if options.is_quick { (2, 0.5) } else { (5, 1.0) };
    let (judge, results, start_time) = (Judge::default(), Results::new(), Instant::now());
    let mut player = Player { pictures: &pictures, judge, results, n_rounds, share, start: start_time };
    player.time(&timed, &start);
    for (number, work) in &weighed {
        player.weigh(*number, work, &start);
    }
    let mut comparisons = Vec::new();
    if is_work(IN_PROCESS) && is_peer("sharp") && is_peer("pixlserv") {
        comparisons.extend(inprocess::with_sharp(&pictures, n_rounds));
    }
    if is_work(ENTROPY) && is_peer("pixlserv") {
        comparisons.extend(inprocess::with_turbo(&pictures, n_rounds));
    }
    let results = &player.results;
    let text = report::table(results) + &report::ratios(results) + &report::in_process(&comparisons);
    print!("{text}");
    if let Some(record) = &options.record {
        report::save(record, &text, results, &comparisons);
    }
}

impl Options {
    fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { pictures: None, is_quick: false, peers: vec![], works: vec![], record: None };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
            match argument.as_str() {
                "--pictures" => options.pictures = Some(value()?.into()),
                "--record" => options.record = Some(value()?.into()),
                "--only" => options.peers = value()?.split(',').map(str::to_owned).collect(),
                "--work" => options.works = value()?.split(',').map(str::to_owned).collect(),
                "--quick" => options.is_quick = true,
                // Cargo adds it.
                "--bench" => {}
                _ => return Err(format!("unknown option {argument}")),
            }
        }
        let works: Vec<&str> = WORKS.iter().map(|work: &Work| work.name).chain([IN_PROCESS, ENTROPY]).collect();
        check("--only", &options.peers, &servers::names().collect::<Vec<_>>())?;
        check("--work", &options.works, &works)?;
        Ok(options)
    }
}

fn check(option: &str, given: &[String], known: &[&str]) -> Result<(), String> {
    match given.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(format!("{option}: there is no {name}, but {}", known.join(", "))),
    }
}
