//! The program with a redis: shared with the command line, and gone from time to time.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pixlserv::index::{Record, Records, RedisIndex};
use pixlserv::store::cache::{Place, Shelf};
use pixlserv::transform::VariantId;
use tempfile::TempDir;

use crate::client::{Client, Until, get_all};
use crate::pictures::{jpeg, noise};
use crate::redis_server::{RedisServer, Storage};
use crate::server::{PATIENCE, Server, poll, program};
use crate::shelf::files;

/// A server with a redis, and one without a cache that tells what answers have to be.
struct Pair {
    redis: RedisServer,
    plain: Server,
    server: Server,
}

impl Pair {
    /// `None` where redis is not installed.
    fn start(storage: Storage, configuration: &str) -> Option<Self> {
        let redis = RedisServer::start(storage)?;
        let plain = Server::start("cache: {enabled: No}\n");
        std::fs::write(plain.images().join("noise.jpg"), noise(200, 200)).unwrap();
        let server = serve(&redis, &plain, configuration);
        Some(Self { redis, plain, server })
    }

    /// `pixlserv cache …` beside the server.
    fn command(&self, arguments: &[&str]) -> Output {
        let configuration = self.server.configuration_file();
        with(&self.redis).arg("cache").arg("--config").arg(configuration).args(arguments).output().unwrap()
    }

    fn stats(&self) -> String {
        let output = self.command(&["stats"]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits until the files are those that redis knows; gives how many.
    fn settle(&self) -> usize {
        let index = Arc::new(RedisIndex::open(&self.redis.url().parse().unwrap()).unwrap());
        let shelf =
            Shelf::open(&Place::Folder { data_path: self.server.data(), fsync: false }, Arc::clone(&index) as _)
                .unwrap();
        let settled = poll(Instant::now() + PATIENCE, || {
            let mut recorded = BTreeMap::new();
            let take = |record: &Record| {
                let id = VariantId(record.id).to_string();
                recorded.insert(format!("{}/{}.{}", &id[..2], &id[2..], record.extension), record.bytes);
                true
            };
            shelf.list("", take).ok()?;
            let totals = index.totals().ok()?;
            let bytes: u64 = recorded.values().sum();
            let fits = totals.records == recorded.len() as u64 && totals.bytes == bytes;
            (fits && files(&self.server.data().join("cache")) == recorded).then_some(recorded.len())
        });
        settled.unwrap_or_else(|| panic!("files and records do not fit together: {}", self.server.log_of_events()))
    }

    /// Waits until an answer comes from the cache: those who ask while it is written share the work.
    fn wait_for_hit(&self, target: &str) {
        let hit = || (self.server.get(target).came() == "hit").then_some(());
        poll(Instant::now() + PATIENCE, hit).unwrap_or_else(|| panic!("{target} is never kept"));
    }

    /// How many lines of the log have this text.
    fn n_said(&self, text: &str) -> usize {
        self.server.log().lines().filter(|line| line.contains(text)).count()
    }

    /// Waits until the log has so many lines with this text.
    fn wait_until_said(&self, text: &str, n: usize) {
        let said = poll(Instant::now() + PATIENCE, || (self.n_said(text) >= n).then_some(()));
        said.unwrap_or_else(|| panic!("never said {n} times: {text}\n{}", self.server.log_of_events()));
    }
}

/// The program with the URL of a redis.
fn with(redis: &RedisServer) -> Command {
    let mut command = program();
    command.env("PIXLSERV_REDIS_URL", redis.url());
    command
}

fn serve(redis: &RedisServer, plain: &Server, configuration: &str) -> Server {
    let directory = Arc::new(TempDir::new().unwrap());
    Server::start_as(with(redis), directory, &plain.images(), configuration)
}

fn targets() -> Vec<String> {
    let sizes = (0..240).map(|number| (10 + number % 20 * 3, 10 + number / 20 * 4));
    let one = |(width, height)| {
        ["noise.jpg", "photo.png", "photo.jpg"].map(|name| format!("/image/w_{width},h_{height},c_k/{name}"))
    };
    sizes.flat_map(one).collect()
}

#[test]
fn the_program_uses_redis() {
    let Some(pair) = Pair::start(Storage::Memory, "") else { return };
    assert!(pair.server.log().contains("index: redis at 127.0.0.1:"), "{}", pair.server.log());
    let target = "/image/w_20/photo.jpg";
    let expected = pair.plain.get(target).body;
    assert_eq!(pair.server.get(target).came(), "miss");
    pair.wait_for_hit(target);
    pair.settle();
    assert_eq!(pair.server.get("/image/w_20/photo.png").came(), "miss");
    assert_eq!(pair.server.get(target).body, expected);
    pair.settle();
    assert!(pair.stats().contains("answers   "), "{}", pair.stats());
    let start = Instant::now();
    let purged = pair.command(&["purge", "photo.jpg"]);
    assert!(purged.status.success(), "{purged:?}");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let answer = pair.server.get(target);
    assert_eq!((answer.came(), &answer.body), ("miss", &expected));
    assert!(pair.command(&["clear"]).status.success());
    assert!(pair.stats().contains("answers   0\n"), "{}", pair.stats());
    assert_eq!(pair.server.get(target).came(), "miss");
    pair.settle();
    assert!(pair.command(&["verify"]).status.success());
}

/// Asks until it is over. Every answer must be there, and be right.
fn ask(server: &Server, targets: &[String], expected: &[Vec<u8>], next: &AtomicUsize, is_over: &AtomicBool) {
    let mut client = Client::new(server);
    while !is_over.load(Ordering::SeqCst) {
        let index = next.fetch_add(1, Ordering::Relaxed) * 7919 % targets.len();
        let answer = client.get(&targets[index]);
        assert!(answer.status == 200 && answer.body == expected[index], "{} {answer:?}", targets[index]);
    }
}

fn kill_three_times(storage: Storage, configuration: &str) {
    let Some(mut pair) = Pair::start(storage, configuration) else { return };
    let targets = targets();
    let expected: Vec<Vec<u8>> = get_all(&pair.plain, 2, &targets).into_iter().map(|answer| answer.body).collect();
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let server = &pair.server;
    // Where the clients are after so many more answers.
    let advance = |n: usize| {
        let goal = next.load(Ordering::Relaxed) + n;
        poll(Instant::now() + PATIENCE, || (next.load(Ordering::Relaxed) >= goal).then_some(())).expect("no answers");
    };
    thread::scope(|scope| {
        let _until = Until(&is_over);
        for _ in 0..3 {
            scope.spawn(|| ask(server, &targets, &expected, &next, &is_over));
        }
        for _ in 0..3 {
            advance(150);
            pair.redis.kill();
            advance(150);
            pair.redis.restart();
            advance(150);
        }
    });
    pair.wait_until_said("redis is back after", 1);
    pair.settle();
    let n_lost = || pair.n_said("WARN redis cannot be reached");
    let is_even = || (pair.n_said("redis is back") == n_lost()).then_some(());
    let came_back = poll(Instant::now() + PATIENCE, is_even).is_some();
    assert!(came_back && n_lost() <= 3, "{}", pair.server.log_of_events());
    assert_eq!(pair.n_said("the cache: "), 0, "redis has said it once: {}", pair.server.log_of_events());
    let verified = pair.command(&["verify"]);
    assert!(verified.status.success(), "{verified:?}\n{}", pair.server.log_of_events());
    // All that was asked for may be in memory, and none of it recorded where redis has forgotten; but what is new is kept.
    pair.server.get("/image/w_7/photo.jpg");
    let kept = poll(Instant::now() + PATIENCE, || (pair.settle() > 0).then_some(()));
    kept.expect("nothing is kept any more");
    for (answer, expected) in get_all(&pair.server, 2, &targets).iter().zip(&expected) {
        assert!(answer.status == 200 && answer.body == *expected, "{answer:?}");
    }
    pair.server.stop();
}

#[test]
fn a_redis_that_dies_is_not_missed() {
    kill_three_times(Storage::Disk, "cache: {memory: 0}\n");
}

#[test]
fn a_redis_that_dies_and_forgets_is_not_missed() {
    kill_three_times(Storage::Memory, "cache: {memory: 0, limit: 200000}\n");
}

#[test]
fn keys_lie_where_the_go_server_had_them() {
    let Some(pair) = Pair::start(Storage::Memory, "authorisation: {get: Yes}\n") else { return };
    let api_key = |arguments: &[&str]| {
        let output = with(&pair.redis).arg("api-key").args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let status = |key: &str| pair.server.get(&format!("/{key}/image/w_20/photo.jpg")).status;
    let mut connection = pair.redis.connect();
    let mut run = |command: &str| {
        let mut words = command.split(' ');
        redis::cmd(words.next().unwrap()).arg(words.collect::<Vec<_>>()).exec(&mut connection).unwrap();
    };
    for (key, permission) in [("00aa", "get"), ("00bb", "upload")] {
        run(&format!("SADD api-keys {key}"));
        run(&format!("HSET key:{key} secret 1234"));
        run(&format!("SADD key:{key}:permissions {permission}"));
    }
    assert_eq!([status("00aa"), status("00bb"), status("00cc")], [200, 401, 401]);
    let listed = api_key(&["list"]);
    assert!(listed.contains("00aa") && listed.contains("00bb"), "{listed}");
    let before: Vec<String> = redis::cmd("SMEMBERS").arg("api-keys").query(&mut pair.redis.connect()).unwrap();
    api_key(&["add"]);
    let after: Vec<String> = redis::cmd("SMEMBERS").arg("api-keys").query(&mut pair.redis.connect()).unwrap();
    let new = after.iter().find(|key| !before.contains(key)).unwrap();
    assert_eq!(status(new), 200);
    api_key(&["remove", new]);
    let gone = || (status(new) == 401).then_some(());
    poll(Instant::now() + PATIENCE, gone).expect("a key that is removed is refused");
    let left: Vec<String> = redis::cmd("KEYS").arg(format!("*{new}*")).query(&mut pair.redis.connect()).unwrap();
    assert!(left.is_empty(), "{left:?}");
}

/// The picture changes, and nothing but a purge tells. Once the command has ended, nobody gets the old one any more,
/// from none of two servers that share redis and folder.
#[test]
fn a_purge_is_final_for_all_servers() {
    let Some(pair) = Pair::start(Storage::Memory, "") else { return };
    let directory = pair.server.shared_directory();
    let other = Server::start_as(with(&pair.redis), directory, &pair.plain.images(), "");
    let [mut wide, mut tall] = [jpeg(64, 32), jpeg(32, 64)];
    let length = wide.len().max(tall.len());
    // Bytes behind the end of a picture are no part of it.
    wide.resize(length, 0);
    tall.resize(length, 0);
    let (pictures, modified) = ([wide, tall], SystemTime::now() - Duration::from_secs(1000));
    let show = |state: usize| pair.plain.put_image("twin.jpg", &pictures[state % 2], modified);
    let targets: Vec<String> = (10..20).map(|width| format!("/image/w_{width}/twin.jpg")).collect();
    let expected = [0, 1].map(|state| {
        show(state);
        get_all(&pair.plain, 2, &targets).into_iter().map(|answer| answer.body).collect::<Vec<_>>()
    });
    show(0);
    let (shown, purged, is_over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let ask = |server: &Server| {
        let mut client = Client::new(server);
        for index in (0..targets.len()).cycle() {
            if is_over.load(Ordering::SeqCst) {
                return;
            }
            let oldest = purged.load(Ordering::SeqCst);
            let body = client.get(&targets[index]).body;
            let newest = shown.load(Ordering::SeqCst);
            let is_right = (oldest..=newest).any(|state| body == expected[state % 2][index]);
            assert!(is_right, "a purged answer: {} when {oldest} was purged and {newest} shown", targets[index]);
        }
    };
    thread::scope(|scope| {
        let _until = Until(&is_over);
        for server in [&pair.server, &other] {
            (0..2).for_each(|_| drop(scope.spawn(|| ask(server))));
        }
        for state in 1..=6 {
            // What may be shown is told before it is.
            shown.store(state, Ordering::SeqCst);
            show(state);
            let output = pair.command(&["purge", "twin.jpg"]);
            assert!(output.status.success(), "{output:?}");
            purged.store(state, Ordering::SeqCst);
        }
    });
    pair.settle();
    assert!(pair.command(&["verify"]).status.success());
}

#[test]
fn a_frozen_redis_holds_no_request_up() {
    let Some(mut pair) = Pair::start(Storage::Memory, "cache: {memory: 0}\n") else { return };
    let mut command = program();
    command.env("PIXLSERV_REDIS_PORT", pair.redis.port().to_string());
    let directory = Arc::new(TempDir::new().unwrap());
    pair.server = Server::start_as(command, directory, &pair.plain.images(), "cache: {memory: 0}\n");
    let targets = &targets()[..60];
    let expected: Vec<Vec<u8>> = get_all(&pair.plain, 2, targets).into_iter().map(|answer| answer.body).collect();
    get_all(&pair.server, 2, &targets[..30]);
    pair.settle();
    pair.redis.freeze();
    let longest = thread::scope(|scope| {
        let ask = || {
            let mut client = Client::new(&pair.server);
            let time = |(target, expected): (&String, &Vec<u8>)| {
                let start = Instant::now();
                let answer = client.get(target);
                assert!(answer.status == 200 && answer.body == *expected, "{answer:?}");
                start.elapsed()
            };
            targets.iter().zip(&expected).map(time).max().unwrap()
        };
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).max().unwrap()
    });
    assert!(longest < Duration::from_secs(1), "{longest:?}");
    pair.redis.thaw();
    pair.wait_until_said("redis is back after", 1);
    assert_eq!(pair.settle(), 60);
    assert_eq!((pair.n_said("WARN redis cannot be reached"), pair.n_said("the cache: ")), (1, 0));
    let names: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut pair.redis.connect()).unwrap();
    assert!(names.iter().all(|name| name.starts_with("pixlserv:")), "{names:?}");
}

#[test]
fn the_server_starts_without_redis_and_the_command_line_says_why_not() {
    let Some(mut pair) = Pair::start(Storage::Memory, "") else { return };
    pair.redis.kill();
    let output = pair.command(&["stats"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("redis cannot be reached at 127.0.0.1:"), "{said}");
    let output = with(&pair.redis).args(["api-key", "list"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("redis cannot be reached at 127.0.0.1:"), "{said}");
    pair.server.stop();
    pair.server = serve(&pair.redis, &pair.plain, "");
    assert_eq!(pair.n_said("WARN redis cannot be reached"), 1, "{}", pair.server.log());
    let target = "/image/w_20/photo.jpg";
    let expected = pair.plain.get(target).body;
    for _ in 0..3 {
        let answer = pair.server.get(target);
        assert_eq!((answer.status, &answer.body), (200, &expected));
    }
    let not_ready = poll(Instant::now() + PATIENCE, || (pair.server.get("/ready").status == 503).then_some(()));
    not_ready.expect("the index cannot be reached");
    pair.wait_for_hit(target);
    pair.redis.restart();
    pair.wait_until_said("redis is back after", 1);
    assert_eq!(pair.settle(), 1);
    assert_eq!(pair.n_said("WARN redis cannot be reached"), 1);
}
