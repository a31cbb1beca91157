//! The front door beside others: our loop, the same service on tiny_http, and nginx with the same bytes as a file. wrk
//! asks; rounds go around, medians count. Needs wrk, nginx and taskset; `scripts/bench` sees to them.
//!
//! `cargo bench --features tiny_http --bench front -- [--quick] [--only PART] [--record FOLDER]`

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{day, find, free_address, heading, is_served, on_cores, start_pixlserv};

/// A row of the result: what was measured, and of whom.
type Key = (String, &'static str);

type Part = fn(&Options, &Path, &mut BTreeMap<Key, Vec<Measured>>);

struct Options {
    /// One part: pinned, unpinned, busy or cold.
    only: Option<String>,
    rounds: usize,
    seconds: u64,
    n_cold: u64,
    record: Option<PathBuf>,
}

/// A server under measurement; ends with this value.
struct Peer {
    name: &'static str,
    child: Child,
    address: String,
    target: String,
    tag: String,
    /// Images that it has been asked for and nobody before: all peers make the same ones.
    n_made: AtomicU64,
}

/// What wrk says.
#[derive(Clone, Copy, Default)]
struct Measured {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    n_errors: u64,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Nothing is left to do if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn main() {
    let options = options();
    for (program, package) in [("wrk", "wrk"), ("nginx", "nginx"), ("taskset", "util-linux")] {
        if find(program).is_none() {
            eprintln!("front: {program} is needed; install {package}");
            std::process::exit(1);
        }
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut results = BTreeMap::new();
    let parts: [(&str, Part); 4] = [("pinned", pinned), ("unpinned", unpinned), ("busy", busy), ("cold", cold)];
    for (name, measure) in parts {
        if options.only.as_ref().is_none_or(|only| only == name) {
            measure(&options, folder.path(), &mut results);
        }
    }
    let table = table(&results);
    print!("{table}");
    if let Some(record) = &options.record {
        save(record, &table, &results);
    }
}

fn options() -> Options {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let after = |option: &str| {
        let index = arguments.iter().position(|argument| argument == option)?;
        Some(arguments.get(index + 1).expect("an option is followed by its value").clone())
    };
    let (record, only) = (after("--record").map(PathBuf::from), after("--only"));
    match is_quick {
        true => Options { only, rounds: 2, seconds: 1, n_cold: 60, record },
        false => Options { only, rounds: 5, seconds: 3, n_cold: 200, record },
    }
}

/// Keep-alive clients on one core, servers on another.
fn pinned(options: &Options, folder: &Path, results: &mut BTreeMap<Key, Vec<Measured>>) {
    let peers = peers(folder, Some("0"));
    for round in 0..options.rounds {
        for n_connections in [1, 32, 256] {
            for peer in &peers {
                let measured = wrk(peer, n_connections, options.seconds, Some("1"), "");
                let case = format!("1 core, hit, {n_connections:>3} connections");
                results.entry((case, peer.name)).or_default().push(measured);
            }
        }
        for peer in &peers {
            let known = format!("If-None-Match: {}", peer.tag);
            let measured = wrk(peer, 32, options.seconds, Some("1"), &known);
            results.entry(("1 core, 304,  32 connections".to_owned(), peer.name)).or_default().push(measured);
        }
        eprintln!("front: round {} of {}", round + 1, options.rounds);
    }
}

/// Clients and servers on all cores.
fn unpinned(options: &Options, folder: &Path, results: &mut BTreeMap<Key, Vec<Measured>>) {
    let peers = peers(folder, None);
    for _ in 0..options.rounds {
        for peer in &peers {
            let measured = wrk(peer, 32, options.seconds, None, "");
            results.entry(("all cores, hit, 32 connections".to_owned(), peer.name)).or_default().push(measured);
        }
    }
}

/// Hits while both pixel workers of our server are busy with images that nobody has asked for before.
fn busy(options: &Options, folder: &Path, results: &mut BTreeMap<Key, Vec<Measured>>) {
    let peers = peers(folder, None);
    let worker = &peers[0];
    for _ in 0..options.rounds {
        for peer in peers.iter().filter(|peer| peer.name != "tiny_http") {
            let is_over = AtomicBool::new(false);
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| while ask_cold(worker).is_some() && !is_over.load(Ordering::Relaxed) {});
                }
                let measured = wrk(peer, 32, options.seconds, None, "");
                is_over.store(true, Ordering::Relaxed);
                results.entry(("workers busy, hit, 32 connections".to_owned(), peer.name)).or_default().push(measured);
            });
        }
    }
}

/// Every request another image, from four clients.
fn cold(options: &Options, folder: &Path, results: &mut BTreeMap<Key, Vec<Measured>>) {
    let peers = peers(folder, None);
    for _ in 0..options.rounds {
        for peer in peers.iter().filter(|peer| !peer.name.starts_with("nginx")) {
            let n_left = AtomicU64::new(options.n_cold);
            let take = || n_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
            let start = Instant::now();
            let mut latencies: Vec<Duration> = thread::scope(|scope| {
                let client = || {
                    let mut latencies = Vec::new();
                    while take() {
                        let start = Instant::now();
                        ask_cold(peer).expect("an image");
                        latencies.push(start.elapsed());
                    }
                    latencies
                };
                let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
                clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
            });
            let per_second = latencies.len() as f64 / start.elapsed().as_secs_f64();
            latencies.sort_unstable();
            let at = |percent: usize| latencies[latencies.len() * percent / 100].as_secs_f64() * 1e6;
            let measured = Measured { per_second, p50_us: at(50), p99_us: at(99), n_errors: 0 };
            results.entry(("all cores, cold, 4 connections".to_owned(), peer.name)).or_default().push(measured);
        }
    }
}

/// Asks for an image of a size that the peer has not made; `None` if there is no answer of 200.
fn ask_cold(peer: &Peer) -> Option<()> {
    let number = peer.n_made.fetch_add(1, Ordering::Relaxed);
    let (width, height) = (400 + number % 1200, 300 + number / 1200);
    let mut stream = TcpStream::connect(&peer.address).ok()?;
    let request =
        format!("GET /image/w_{width},h_{height}/mountains.jpg HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    answer.starts_with(b"HTTP/1.1 200 ").then_some(())
}

/// All that are compared, ours first, each with the same answer of about 20 KB at hand.
fn peers(folder: &Path, cores: Option<&str>) -> Vec<Peer> {
    let folder = tempfile::tempdir_in(folder).expect("a temporary folder").keep();
    let mut peers = vec![ours("pixlserv", "epoll", &folder, cores)];
    let target = answer_of_20_kb(&peers[0].address);
    if cfg!(feature = "tiny_http") {
        peers.push(ours("tiny_http", "tiny-http", &folder, cores));
    }
    for peer in &mut peers {
        // The first one makes it.
        get(&peer.address, &target);
        peer.tag = get(&peer.address, &target).1;
        peer.target.clone_from(&target);
    }
    let (body, _) = get(&peers[0].address, &target);
    fs::write(folder.join("answer.jpg"), body).expect("a file");
    peers.push(nginx("nginx", "off", &folder, cores));
    peers.push(nginx("nginx, open_file_cache", "max=1000", &folder, cores));
    peers
}

fn ours(name: &'static str, kind: &str, folder: &Path, cores: Option<&str>) -> Peer {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/images");
    let file = folder.join(format!("{kind}.yaml"));
    let data = folder.join(kind);
    let text = format!(
        "listen: 127.0.0.1:0\nthrottling-rate: 0\nlocal-path: {images:?}\ndata-path: {data:?}\n\
         http: {{access-log: No, loop: {kind}}}\n"
    );
    fs::write(&file, text).expect("a file");
    let (child, address) = start_pixlserv(&file, cores);
    Peer { name, child, address, target: String::new(), tag: String::new(), n_made: AtomicU64::new(0) }
}

fn nginx(name: &'static str, file_cache: &str, folder: &Path, cores: Option<&str>) -> Peer {
    let address = free_address();
    let place = tempfile::tempdir_in(folder).expect("a temporary folder").keep();
    let at = |name: &str| place.join(name).display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};", at(kind)))
        .concat();
    let text = format!(
        "worker_processes 1; pid {}; error_log {}; daemon off; master_process off;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; {temporary}\n\
         open_file_cache {file_cache}; types {{ image/jpeg jpg; }}\n\
         server {{ listen {address}; root {}; }} }}\n",
        at("pid"),
        at("error"),
        folder.display()
    );
    fs::write(place.join("nginx.conf"), text).expect("a file");
    let program = find("nginx").expect("looked for before");
    let mut command = on_cores(&program, cores);
    let child = command.arg("-c").arg(place.join("nginx.conf")).arg("-p").arg(&place);
    let child = child.stderr(Stdio::null()).spawn().expect("nginx starts");
    let target = "/answer.jpg".to_owned();
    assert!(is_served(&address), "nginx does not serve");
    let tag = get(&address, &target).1;
    Peer { name, child, address, target, tag, n_made: AtomicU64::new(0) }
}

/// A target whose answer has 18 to 22 KB.
fn answer_of_20_kb(address: &str) -> String {
    let targets = (10..30).map(|hundreds| format!("/image/w_{}/mountains.jpg", hundreds * 100));
    let mut targets = targets.filter(|target| (18_000..22_000).contains(&get(address, target).0.len()));
    targets.next().expect("some width gives 20 KB")
}

/// Body and tag of an answer.
fn get(address: &str, target: &str) -> (Vec<u8>, String) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let request = format!("GET {target} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{target}: {head}");
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap_or_default().to_owned();
    (answer.split_off(end + 4), tag)
}

fn wrk(peer: &Peer, n_connections: usize, seconds: u64, cores: Option<&str>, field: &str) -> Measured {
    let mut command = on_cores("wrk".as_ref(), cores);
    command.args(["-t1", "--latency", &format!("-c{n_connections}"), &format!("-d{seconds}s")]);
    if !field.is_empty() {
        command.args(["-H", field]);
    }
    let output = command.arg(format!("http://{}{}", peer.address, peer.target)).output().expect("wrk runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let after = |word: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(word))?;
        Some(line.trim().to_owned())
    };
    let numbers = |text: String| -> u64 {
        text.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse::<u64>().ok()).sum()
    };
    Measured {
        per_second: after("Requests/sec:").and_then(|text| text.parse().ok()).unwrap_or(0.0),
        p50_us: after("50%").map_or(0.0, |text| microseconds(&text)),
        p99_us: after("99%").map_or(0.0, |text| microseconds(&text)),
        n_errors: after("Socket errors:").map_or(0, numbers) + after("Non-2xx or 3xx responses:").map_or(0, numbers),
    }
}

/// `1.23ms` and the like.
fn microseconds(text: &str) -> f64 {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    let found = units.iter().find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor));
    found.unwrap_or(0.0)
}

fn median(values: &[Measured], of: impl Fn(&Measured) -> f64) -> f64 {
    let mut values: Vec<f64> = values.iter().map(of).collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Medians, and requests a second as a share of nginx's (of our own, where nginx has nothing to do).
fn table(results: &BTreeMap<Key, Vec<Measured>>) -> String {
    let mut text = format!(
        "{:<36} {:<24} {:>10} {:>6} {:>10} {:>10} {:>7}\n",
        "", "", "requests/s", "ratio", "p50 µs", "p99 µs", "errors"
    );
    for ((case, name), values) in results {
        let base = results.get(&(case.clone(), "nginx")).or_else(|| results.get(&(case.clone(), "pixlserv")));
        let per_second = median(values, |measured| measured.per_second);
        let ratio = base.map_or(1.0, |base| per_second / median(base, |measured| measured.per_second));
        let (p50, p99) = (median(values, |measured| measured.p50_us), median(values, |measured| measured.p99_us));
        let n_errors: u64 = values.iter().map(|measured| measured.n_errors).sum();
        // Writing to a text does not fail.
        let _ = writeln!(
            text,
            "{case:<36} {name:<24} {per_second:>10.0} {ratio:>6.2} {p50:>10.0} {p99:>10.0} {n_errors:>7}"
        );
    }
    text
}

/// The table and its numbers, as files named by the day.
fn save(folder: &Path, table: &str, results: &BTreeMap<Key, Vec<Measured>>) {
    let day = day();
    fs::create_dir_all(folder).expect("the folder");
    let text = format!("{}\nmedians of interleaved rounds\n\n{table}", heading());
    fs::write(folder.join(format!("{day}-front.txt")), text).expect("a file");
    let mut csv = "case,server,requests_per_second,p50_us,p99_us,errors\n".to_owned();
    for ((case, name), values) in results {
        for Measured { per_second, p50_us, p99_us, n_errors } in values {
            let _ = writeln!(csv, "\"{case}\",\"{name}\",{per_second:.0},{p50_us:.0},{p99_us:.0},{n_errors}");
        }
    }
    fs::write(folder.join(format!("{day}-front.csv")), csv).expect("a file");
}
