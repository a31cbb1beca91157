//! Several equal servers that share a redis and a bucket: what one has done none does again, and what one is told all
//! know.

use std::collections::BTreeMap;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pixlserv::index::{Record, Records, RedisIndex};
use pixlserv::store::cache::{Place, Shelf};
use pixlserv::transform::VariantId;

use crate::bucket_world::{BucketWorld, lines, wait_for_hit};
use crate::client::{Client, Until, get_all, together};
use crate::pictures::noise;
use crate::redis_server::{RedisServer, Storage};
use crate::server::{Answer, PATIENCE, Server, poll};
use crate::shelf::Counts;

/// How soon all know what one was told.
const SEEN: Duration = Duration::from_secs(2);

/// Servers, and what they share.
pub(crate) struct Nodes {
    pub(crate) world: BucketWorld,
    pub(crate) redis: RedisServer,
    pub(crate) servers: Vec<Server>,
}

impl Nodes {
    /// `None` where redis is not installed.
    pub(crate) fn start(n_servers: usize, configuration: &str) -> Option<Self> {
        let redis = RedisServer::start(Storage::Memory)?;
        let world = BucketWorld::start();
        let servers = (0..n_servers).map(|_| world.serve(Some(&redis), configuration)).collect();
        Some(Self { world, redis, servers })
    }

    /// A command of the program, on a machine that shares redis and bucket.
    fn command(&self, arguments: &[&str]) -> Output {
        let mut command = self.world.program(Some(&self.redis));
        command.arg(arguments[0]).arg("--config").arg(self.servers[0].configuration_file()).args(&arguments[1..]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        output
    }

    /// What was asked of the storage so far, in lines that begin so.
    pub(crate) fn asked(&self, first: &str) -> Vec<String> {
        lines(&self.world.proxy.requests()).into_iter().filter(|line| line.starts_with(first)).collect()
    }

    pub(crate) fn logs(&self) -> String {
        self.servers.iter().map(Server::log_of_events).collect::<Vec<_>>().join("\n")
    }

    /// How often a server could not reach redis in time, as on a machine that is very busy: then each works for itself.
    fn n_absences(&self) -> usize {
        self.servers.iter().map(|server| server.log().matches("WARN redis cannot be reached").count()).sum()
    }

    /// Asks each server until it knows what has just been changed: no answer to a question of later than `SEEN` may be
    /// of before. Gives how long the slowest took.
    fn assert_seen(&self, what: &str, mut is_new: impl FnMut(&Server) -> bool) -> Duration {
        let changed = Instant::now();
        for (number, server) in self.servers.iter().enumerate() {
            let ask = || {
                let asked = changed.elapsed();
                let is_new = is_new(server);
                assert!(is_new || asked < SEEN, "{what}: server {number} does not know it after {asked:?}");
                is_new.then_some(())
            };
            poll(Instant::now() + PATIENCE, ask).expect(what);
        }
        changed.elapsed()
    }

    /// What the index knows: names of objects and their sizes.
    fn recorded(&self) -> (BTreeMap<String, u64>, u64) {
        let index = Arc::new(RedisIndex::open(&self.redis.url().parse().unwrap()).unwrap());
        let shelf = Shelf::open(&Place::Bucket(Arc::clone(&self.world.objects)), Arc::clone(&index) as _).unwrap();
        let mut recorded = BTreeMap::new();
        let take = |record: &Record| {
            let id = VariantId(record.id).to_string();
            recorded.insert(format!("cache/{}/{}.{}", &id[..2], &id[2..], record.extension), record.bytes);
            true
        };
        shelf.list("", take).unwrap();
        (recorded, index.totals().unwrap().bytes)
    }
}

/// The first of several answers, which all are alike.
fn the_same(answers: &[Answer], what: &str) -> Vec<u8> {
    let first = &answers[0];
    for answer in answers {
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        assert!(answer.body == first.body && answer.header("ETag") == first.header("ETag"), "{what}: {answer:?}");
    }
    first.body.clone()
}

#[test]
fn a_cold_storm_is_one_decode_in_all() {
    const N_IMAGES: usize = 6;
    const CLIENTS: usize = 100;
    let Some(mut nodes) = Nodes::start(3, "") else { return };
    // Threads of ten clients each, one server's.
    let mut crews: Vec<Vec<Client>> = (0..3 * CLIENTS / 10)
        .map(|number| (0..10).map(|_| Client::new(&nodes.servers[number % 3])).collect())
        .collect();
    let (mut fetches, mut n_made) = (Vec::new(), 0);
    for number in 0..2 * N_IMAGES {
        if fetches.len() == N_IMAGES {
            break;
        }
        let n_absences = nodes.n_absences();
        nodes.world.put(&format!("{number}.jpg"), noise(500, 300));
        nodes.world.proxy.clear();
        let target = format!("/image/w_{}/{number}.jpg", 100 + number);
        let answered = together(crews, |mut crew| {
            crew.iter_mut().for_each(|client| client.send(&target).unwrap());
            let answers: Vec<_> = crew.iter_mut().map(|client| client.receive().unwrap().unwrap()).collect();
            (crew, answers)
        });
        let (returned, answers): (Vec<_>, Vec<_>) = answered.into_iter().unzip();
        crews = returned;
        let answers: Vec<Answer> = answers.into_iter().flatten().collect();
        assert_eq!(answers.len(), 3 * CLIENTS);
        let body = the_same(&answers, &target);
        nodes.world.wait_for_silence();
        let names = nodes.world.names("cache/");
        assert_eq!(names.len(), number + 1);
        assert!(names.iter().any(|name| nodes.world.stored(name).as_ref() == Some(&body)), "{target}");
        let n_puts = nodes.asked("PUT cache/").len();
        n_made += n_puts as u64;
        if nodes.n_absences() == n_absences {
            assert_eq!(n_puts, 1, "{}", nodes.logs());
            fetches.push(nodes.asked(&format!("GET {number}.jpg")).len());
        }
    }
    assert_eq!(fetches.len(), N_IMAGES, "redis is never there: {}", nodes.logs());
    // A server looks for a source before it looks for whoever makes the answer, and the look brings the content: it is
    // one for each server that does not hear of another's in time.
    assert!(fetches.iter().all(|n_fetches| (1..=3).contains(n_fetches)), "{fetches:?}");
    drop(crews);
    let counts: Vec<Counts> = nodes.servers.iter_mut().map(Counts::at_the_end_of).collect();
    println!("fetches of the sources {fetches:?}, {counts:?}");
    assert_eq!(counts.iter().map(|counts| counts.made).sum::<u64>(), n_made, "{counts:?}");
}

#[test]
fn what_one_has_made_is_a_hit_everywhere() {
    let Some(mut nodes) = Nodes::start(3, "") else { return };
    nodes.world.put("cat.jpg", noise(300, 200));
    let target = "/image/w_50/cat.jpg";
    let made = nodes.servers[0].get(target);
    assert_eq!((made.status, made.came()), (200, "miss"));
    wait_for_hit(&nodes.servers[0], target);
    nodes.world.wait_for_silence();
    let ask_all = |nodes: &Nodes, what: &str, n_others: usize| {
        nodes.world.proxy.clear();
        for server in &nodes.servers {
            for _ in 0..2 {
                let hit = server.get(target);
                assert_eq!((hit.came(), &hit.body, hit.header("ETag")), ("hit", &made.body, made.header("ETag")));
            }
        }
        let asked = nodes.asked("");
        let are_hits = asked.iter().all(|line| line.starts_with("GET cache/"));
        assert!(are_hits && asked.len() == n_others, "{what}: {asked:?}");
    };
    ask_all(&nodes, "the two others ask once each", 2);
    for server in &mut nodes.servers {
        server.stop();
        *server = nodes.world.serve(Some(&nodes.redis), "");
    }
    ask_all(&nodes, "after a restart all ask once", 3);
}

#[test]
fn purges_count_everywhere() {
    let Some(nodes) = Nodes::start(3, "cache: {revalidate: 60}\n") else { return };
    let target = "/image/w_50/cat.jpg";
    let (mut answer, mut slowest) = (Vec::new(), Duration::ZERO);
    for round in 0..4 {
        // Nothing but the command tells that the source is another.
        nodes.world.put("cat.jpg", noise(300 - round * 20, 200));
        if round > 0 {
            nodes.command(if round == 2 { &["cache", "clear"] } else { &["cache", "purge", "cat.jpg"] });
            slowest = slowest.max(nodes.assert_seen("a purge", |server| server.get(target).body != answer));
        }
        let answers: Vec<Answer> = nodes.servers.iter().map(|server| server.get(target)).collect();
        answer = the_same(&answers, target);
        nodes.world.wait_for_silence();
        assert_eq!(nodes.world.names("cache/").len(), 1, "what was purged is gone");
    }
    println!("a purge is seen by all {slowest:?} after the command has ended");
}

#[test]
fn api_keys_count_everywhere() {
    let Some(nodes) = Nodes::start(3, "authorisation: {get: Yes}\n") else { return };
    nodes.world.put("cat.jpg", noise(300, 200));
    let said = String::from_utf8(nodes.command(&["api-key", "add"]).stdout).unwrap();
    let key = said.split_once("Key: ").unwrap().1.split_whitespace().next().unwrap();
    let target = format!("/{key}/image/w_50/cat.jpg");
    let mut times = vec![nodes.assert_seen("a new key", |server| server.get(&target).status == 200)];
    for (arguments, status) in [
        (&["api-key", "modify", key, "remove", "get"][..], 401),
        (&["api-key", "modify", key, "add", "get"], 200),
        (&["api-key", "remove", key], 401),
    ] {
        nodes.command(arguments);
        times.push(nodes.assert_seen(arguments[1], |server| server.get(&target).status == status));
    }
    println!("added, refused, allowed, removed: seen by all after {times:?}");
}

#[test]
fn all_servers_count_together() {
    const RATE: usize = 20;
    // Where redis is not there in time, each counts for itself.
    for _ in 0..3 {
        let Some(nodes) = Nodes::start(3, &format!("throttling-rate: {RATE}\n")) else { return };
        nodes.world.put("cat.jpg", noise(300, 200));
        let started = Instant::now();
        let n_good = |server: &Server, n: usize| -> usize {
            let mut client = Client::new(server);
            let statuses = (0..n).map(|_| client.get("/image/w_50/cat.jpg").status);
            statuses.inspect(|status| assert!([200, 429].contains(status))).filter(|status| *status == 200).count()
        };
        // Side by side, and then one after the other.
        let first: usize = together(nodes.servers.iter().collect(), |server| n_good(server, 12)).into_iter().sum();
        let later: usize = nodes.servers.iter().map(|server| n_good(server, 5)).sum();
        let most = RATE + 1 + started.elapsed().as_secs() as usize * RATE / 60;
        println!("{first} + {later} of 51 answered, allowed: {RATE} a minute");
        if nodes.n_absences() == 0 {
            assert!(first >= RATE && first + later <= most, "{first} and {later}, allowed: {RATE}");
            return;
        }
    }
    panic!("redis is never there");
}

#[test]
fn a_changed_original_is_seen_everywhere() {
    let Some(nodes) = Nodes::start(3, "cache: {revalidate: 1}\n") else { return };
    nodes.world.put("cat.jpg", noise(300, 200));
    let target = "/image/w_50/cat.jpg";
    let all = || nodes.servers.iter().map(|server| server.get(target)).collect::<Vec<_>>();
    let (mut before, mut slowest) = (the_same(&all(), target), Duration::ZERO);
    for round in 1..4 {
        nodes.world.put("cat.jpg", noise(300, 200 + round * 20));
        slowest = slowest.max(nodes.assert_seen("a change", |server| server.get(target).body != before));
        before = the_same(&all(), target);
    }
    println!("a change is seen by all after {slowest:?}");
}

#[test]
fn one_server_at_a_time_makes_room() {
    const LIMIT: u64 = 200_000;
    let Some(nodes) = Nodes::start(3, &format!("cache: {{limit: {LIMIT}, memory: 0}}\n")) else { return };
    for number in 0..3 {
        nodes.world.put(&format!("{number}.jpg"), noise(200, 150));
    }
    let targets: Vec<String> = (0..450)
        .map(|number| format!("/image/w_{},h_{},c_k/{}.jpg", 60 + number / 9, 60 + number % 3, number / 3 % 3))
        .collect();
    let parts: Vec<(usize, Vec<String>)> = targets.chunks(150).map(<[String]>::to_vec).enumerate().collect();
    let index = RedisIndex::open(&nodes.redis.url().parse().unwrap()).unwrap();
    let (is_over, mut least, mut most) = (AtomicBool::new(false), u64::MAX, 0);
    let answers = thread::scope(|scope| {
        let watching = scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) {
                let total = index.totals().unwrap().bytes;
                // Once it has been full, it stays so but for the slack.
                most = most.max(total);
                least = if most < LIMIT / 100 * 95 { u64::MAX } else { least.min(total) };
            }
        });
        let until = Until(&is_over);
        let answers = together(parts, |(number, targets)| get_all(&nodes.servers[number], 4, &targets));
        drop(until);
        watching.join().unwrap();
        answers
    });
    assert!(answers.iter().flatten().all(|answer| answer.status == 200), "{}", nodes.logs());
    let sizes = || answers.iter().flatten().map(|answer| answer.body.len() as u64);
    let (made, largest) = (sizes().sum::<u64>(), sizes().max().unwrap());
    // What two have written into the same room goes a moment later.
    let fits = || {
        nodes.world.wait_for_silence();
        let (recorded, total) = nodes.recorded();
        (total <= LIMIT).then_some((recorded, total))
    };
    let (recorded, total) = poll(Instant::now() + PATIENCE, fits).expect("the cache stays above its limit");
    let percent = |bytes: u64| bytes as f64 * 100.0 / LIMIT as f64;
    println!(
        "{made} bytes made; {:.1} to {:.1} percent of the limit once full, {:.1} in the end, in {} objects",
        percent(least),
        percent(most),
        percent(total),
        recorded.len(),
    );
    // Each writes a twentieth of the limit at once, or one more answer; and a twentieth is made free.
    let batch = LIMIT / 20 + largest;
    assert!(least >= LIMIT - 2 * batch - largest, "{least}: more has gone than had to");
    assert!(most <= LIMIT + 3 * batch, "{most}: more has been written than there was room for");
    assert_eq!(total, recorded.values().sum::<u64>());
    let names = nodes.world.names("cache/");
    assert!(names.iter().eq(recorded.keys()), "{} objects, {} records: {}", names.len(), recorded.len(), nodes.logs());
    let said = String::from_utf8(nodes.command(&["cache", "verify"]).stdout).unwrap();
    assert_eq!(said, format!("{} answers are as they should be\n", recorded.len()));
}
