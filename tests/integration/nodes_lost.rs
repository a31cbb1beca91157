//! Servers that share a redis and a bucket, when one of them dies or dawdles, or redis does.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::bucket_world::wait_for_hit;
use crate::client::{Client, Until, together};
use crate::fault_proxy::Fault;
use crate::nginx::{Nginx, Passing};
use crate::nodes::Nodes;
use crate::pictures::{jpeg, noise};
use crate::server::{PATIENCE, Server, poll, try_connect};
use crate::upload_form::{BOUNDARY, Told, form_of, media_type, post};

/// How long one waits for another server at most.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// What a request without that takes on a machine that is busy. A claim of a server that has died takes longer.
const PROMPT: Duration = Duration::from_secs(3);

const TARGET: &str = "/image/w_50/cat.jpg";

/// Lets the first server claim the answer `TARGET`, and get no further for a minute: so slowly comes its source, while
/// all others have it. What is returned is the client that waits for it.
fn stall(nodes: &Nodes) -> Client {
    let content = noise(300, 200);
    let bytes_per_second = content.len() as u64 / 60;
    nodes.world.put("cat.jpg", content);
    for (number, server) in nodes.servers[1..].iter().enumerate() {
        assert_eq!(server.get(&format!("/image/w_{}/cat.jpg", 10 + number)).status, 200);
    }
    nodes.world.wait_for_silence();
    let is_source = |target: &str| target.split('?').next().unwrap().ends_with("/cat.jpg");
    nodes.world.proxy.set(
        move |head, _| {
            if is_source(&head.target) { Fault::SlowBody(bytes_per_second) } else { Fault::Pass }
        },
    );
    nodes.world.proxy.clear();
    let mut client = Client::new(&nodes.servers[0]);
    client.send(TARGET).unwrap();
    let is_stalled = || (n_claims(nodes) == 1 && nodes.asked("GET cat.jpg").len() == 1).then_some(());
    poll(Instant::now() + PATIENCE, is_stalled).unwrap_or_else(|| panic!("no claim: {}", nodes.logs()));
    client
}

/// Claims on answers, whose names are as long as a hash.
fn n_claims(nodes: &Nodes) -> usize {
    let pattern = format!("pixlserv:claim:{}*", "?".repeat(63));
    let names: Vec<String> = redis::cmd("KEYS").arg(pattern).query(&mut nodes.redis.connect()).unwrap();
    names.len()
}

/// Scripts that redis has run: those who wait for a claim have them run again and again.
fn n_scripts(nodes: &Nodes) -> u64 {
    let text: String = redis::cmd("INFO").arg("commandstats").query(&mut nodes.redis.connect()).unwrap();
    let calls = text.split_once("cmdstat_evalsha:calls=").map_or("0", |(_, rest)| rest.split(',').next().unwrap());
    calls.parse().unwrap()
}

/// Asks servers for the same at the same time; gives how long each took.
fn ask_all(servers: &[Server], target: &str) -> Vec<Duration> {
    together(servers.iter().collect(), |server| {
        let began = Instant::now();
        let answer = server.get(target);
        assert_eq!(answer.status, 200, "{target}: {answer:?} {}", server.log_of_events());
        began.elapsed()
    })
}

#[test]
fn a_claim_ends_with_its_server() {
    let Some(mut nodes) = Nodes::start(3, "") else { return };
    let _client = stall(&nodes);
    nodes.servers[0].kill();
    nodes.world.proxy.heal();
    let times = ask_all(&nodes.servers[1..], TARGET);
    println!("after the death of who had claimed it: {times:?}");
    assert!(times.iter().all(|time| *time < MAX_WAIT), "{times:?}");
    nodes.world.wait_for_silence();
    assert_eq!(nodes.asked("PUT cache/").len(), 1, "one of the others has made it");
    assert_eq!(n_claims(&nodes), 0);
}

#[test]
fn nobody_waits_for_ever_for_a_server_that_lives() {
    let Some(nodes) = Nodes::start(3, "storage-timeout: 60\n") else { return };
    let mut client = stall(&nodes);
    let times = ask_all(&nodes.servers[1..], TARGET);
    println!("while who has claimed it is slow: {times:?}");
    // Claims end after 5 s unless they are renewed.
    let is_right = |time: &Duration| *time > Duration::from_secs(6) && *time < MAX_WAIT + PROMPT;
    assert!(times.iter().all(is_right), "{times:?}");
    assert_eq!(n_claims(&nodes), 1, "it is still claimed");
    nodes.world.proxy.heal();
    nodes.world.proxy.end_connections();
    assert_eq!(client.receive().unwrap().unwrap().status, 200, "{}", nodes.servers[0].log_of_events());
    let is_free = || (n_claims(&nodes) == 0).then_some(());
    poll(Instant::now() + PATIENCE, is_free).expect("it is claimed for ever");
}

#[test]
fn without_redis_nobody_waits_for_claims() {
    let Some(mut nodes) = Nodes::start(3, "storage-timeout: 60\n") else { return };
    nodes.world.put("dog.jpg", noise(300, 200));
    let hot = "/image/w_30/dog.jpg";
    let wanted = nodes.servers[0].get(hot).body;
    nodes.servers.iter().for_each(|server| drop(wait_for_hit(server, hot)));
    let mut slow = stall(&nodes);
    let mut waiting = Client::new(&nodes.servers[1]);
    let before = n_scripts(&nodes);
    waiting.send(TARGET).unwrap();
    poll(Instant::now() + PATIENCE, || (n_scripts(&nodes) > before + 3).then_some(())).expect("nobody waits");
    nodes.redis.kill();
    let killed = Instant::now();
    assert_eq!(waiting.receive().unwrap().unwrap().status, 200);
    let released = killed.elapsed();
    let mut times = ask_all(&nodes.servers[2..], TARGET);
    for number in 0..10 {
        times.extend(ask_all(&nodes.servers, &format!("/image/w_{}/dog.jpg", 40 + number)));
        for server in &nodes.servers {
            let hit = server.get(hot);
            assert_eq!((hit.status, hit.came(), &hit.body), (200, "hit", &wanted), "{}", server.log_of_events());
        }
    }
    times.sort();
    println!("without redis: who waited had it after {released:?}, cold ones took {times:?}");
    assert!(released < PROMPT && times[times.len() - 1] < PROMPT, "{released:?} {times:?}");
    assert!(times[times.len() / 2] < Duration::from_secs(1), "{times:?}");
    nodes.world.proxy.heal();
    nodes.world.proxy.end_connections();
    assert_eq!(slow.receive().unwrap().unwrap().status, 200);
    nodes.redis.restart();
    let is_back = |server: &Server| server.log().contains("redis is back after");
    let are_back = || nodes.servers.iter().all(is_back).then_some(());
    poll(Instant::now() + PATIENCE, are_back).unwrap_or_else(|| panic!("redis is never back: {}", nodes.logs()));
    nodes.world.wait_for_silence();
    for number in 0..5 {
        nodes.world.proxy.clear();
        together((0..30).collect(), |client: usize| {
            assert_eq!(nodes.servers[client % 3].get(&format!("/image/w_{}/cat.jpg", 80 + number)).status, 200);
        });
        nodes.world.wait_for_silence();
        assert_eq!(nodes.asked("PUT cache/").len(), 1, "claims work again");
    }
}

/// Clients of each kind behind nginx.
const N_CLIENTS: usize = 4;

/// What clients have asked for and got.
#[derive(Default)]
struct Load {
    is_over: AtomicBool,
    n_cold: AtomicUsize,
    n_uploads: AtomicUsize,
    n_hits: AtomicUsize,
}

/// What became of the uploads of a client.
#[derive(Default)]
struct Uploaded {
    /// Paths and contents.
    stored: Vec<(String, Vec<u8>)>,
    n_failed: usize,
}

impl Load {
    fn connect(nginx: &Nginx) -> Client {
        Client::over(try_connect(nginx.address()).unwrap())
    }

    /// Asks for what `choose` says; all must be answered. Gives the longest time that one took.
    fn get(&self, nginx: &Nginx, count: &AtomicUsize, choose: impl Fn(usize) -> String) -> Duration {
        let (mut client, mut longest) = (Self::connect(nginx), Duration::ZERO);
        while !self.is_over.load(Ordering::SeqCst) {
            let number = count.fetch_add(1, Ordering::SeqCst);
            if number % 100 == 99 {
                client = Self::connect(nginx);
            }
            let began = Instant::now();
            let (target, answer) = (choose(number), client.get(&choose(number)));
            assert_eq!(answer.status, 200, "{target} after {:?}: {answer:?}", began.elapsed());
            longest = longest.max(began.elapsed());
        }
        longest
    }

    fn upload(&self, nginx: &Nginx) -> Uploaded {
        let (mut client, mut uploaded) = (Self::connect(nginx), Uploaded::default());
        while !self.is_over.load(Ordering::SeqCst) {
            let number = self.n_uploads.fetch_add(1, Ordering::SeqCst);
            let mut content = jpeg(16, 12);
            content.extend(format!("number {number}").bytes());
            let request = post("/upload", &media_type(BOUNDARY), &form_of(&content));
            match client.write(&request).and_then(|()| client.receive()).unwrap() {
                Some(answer) if answer.status == 200 => uploaded.stored.push((Told::of(&answer).path, content)),
                Some(answer) if answer.status >= 500 => uploaded.n_failed += 1,
                answer => panic!("upload {number}: {answer:?}"),
            }
            if number % 50 == 49 {
                client = Self::connect(nginx);
            }
        }
        uploaded
    }

    /// Waits until there are so many more of each kind.
    fn advance(&self, n: usize) {
        let counts = [&self.n_cold, &self.n_uploads, &self.n_hits];
        let goals = counts.map(|count| count.load(Ordering::SeqCst) + n);
        let is_there = || counts.iter().zip(goals).all(|(count, goal)| count.load(Ordering::SeqCst) >= goal);
        poll(Instant::now() + PATIENCE, || is_there().then_some(())).expect("the clients get no further");
    }
}

/// nginx passes uploads on to one server, or to several; this is the one that got most.
fn receives_uploads(nodes: &Nodes) -> usize {
    let n_uploads = |server: &Server| server.log().lines().filter(|line| line.contains("/upload")).count();
    (0..nodes.servers.len()).max_by_key(|number| n_uploads(&nodes.servers[*number])).unwrap()
}

#[test]
fn a_server_that_dies_behind_nginx_costs_uploads_in_flight_and_nothing_else() {
    let Some(nodes) = Nodes::start(3, "trusted-proxies: 127.0.0.1\n") else { return };
    let Some(nginx) = Nginx::start_before(&nodes.servers.iter().collect::<Vec<_>>(), Passing::Raw) else { return };
    for name in ["0.jpg", "1.jpg", "2.jpg", "3.jpg"] {
        nodes.world.put(name, noise(300, 200));
    }
    let hit = |number: usize| format!("/image/w_{}/{}.jpg", 10 + number % 5, number % 4);
    let cold = |number: usize| format!("/image/w_{},h_{},c_k/{}.jpg", 20 + number / 50, 20 + number % 50, number % 4);
    let load = Load::default();
    let (uploads, longest) = thread::scope(|scope| {
        let until = Until(&load.is_over);
        let uploads: Vec<_> = (0..N_CLIENTS).map(|_| scope.spawn(|| load.upload(&nginx))).collect();
        let mut others: Vec<_> = (0..N_CLIENTS).map(|_| scope.spawn(|| load.get(&nginx, &load.n_hits, hit))).collect();
        others.extend((0..N_CLIENTS).map(|_| scope.spawn(|| load.get(&nginx, &load.n_cold, cold))));
        load.advance(60);
        let pid = nodes.servers[receives_uploads(&nodes)].pid().to_string();
        assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
        load.advance(100);
        drop(until);
        let uploads: Vec<_> = uploads.into_iter().map(|client| client.join().unwrap()).collect();
        let longest = others.into_iter().map(|client| client.join().unwrap()).max().unwrap();
        (uploads, longest)
    });
    let n_failed: usize = uploads.iter().map(|uploaded| uploaded.n_failed).sum();
    let stored: Vec<_> = uploads.into_iter().flat_map(|uploaded| uploaded.stored).collect();
    for (path, content) in &stored {
        assert_eq!(nodes.world.stored(path).as_ref(), Some(content), "{path} was answered");
    }
    println!(
        "{} uploads stored and {n_failed} failed, {} hits and {} cold ones, the longest {longest:?}",
        stored.len(),
        load.n_hits.load(Ordering::SeqCst),
        load.n_cold.load(Ordering::SeqCst),
    );
    assert!(n_failed <= N_CLIENTS, "{n_failed} uploads failed");
    assert!(stored.len() > 100);
}
