use std::time::Instant;

use super::super::{
    Access, Id, Jobs, Keys, Order, Permission, Permissions, Rate, Record, Records, Shared as _, Totals, conformance,
};
use super::*;
use server::{RedisServer, Storage};

#[path = "../../../tests/integration/redis_server.rs"]
pub(crate) mod server;

/// As the default, only faster.
const QUICK: Timing =
    Timing { interval: Duration::from_millis(20), lease: Duration::from_millis(10), margin: Duration::from_millis(2) };
const PATIENCE: Duration = Duration::from_secs(30);
/// What a request may wait, and a bit for a machine that is busy.
const PROMPT: Duration = Duration::from_millis(250);

/// A redis for the tests of this room.
pub(crate) struct Redis {
    pub(crate) server: RedisServer,
}

impl Redis {
    pub(crate) fn start() -> Option<Self> {
        Self::start_on(Storage::Memory)
    }

    pub(crate) fn start_on(storage: Storage) -> Option<Self> {
        RedisServer::start(storage).map(|server| Self { server })
    }

    pub(crate) fn open(&self) -> RedisIndex {
        RedisIndex::open_with(&self.server.url().parse().unwrap(), QUICK).unwrap()
    }

    /// Removes all that is there.
    pub(crate) fn forget(&self) {
        redis::cmd("FLUSHALL").exec(&mut self.server.connect()).unwrap();
    }
}

impl RedisIndex {
    /// Ends it together with its thread.
    pub(crate) fn end(mut self) {
        let watcher = self.watcher.take().unwrap();
        self.shared.is_over.store(true, Ordering::Release);
        watcher.thread().unpark();
        watcher.join().unwrap();
    }
}

/// Asks until the answer is yes.
fn wait(what: &str, mut question: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !question() {
        assert!(Instant::now() < deadline, "{what}");
        thread::park_timeout(Duration::from_millis(2));
    }
}

fn record(number: u8, source: &str) -> Record {
    conformance::record_of(number, source, "1", 10, 1_795_451_763_000_001)
}

#[test]
fn keys_of_the_go_server_work() {
    let Some(redis) = Redis::start() else { return };
    let mut connection = redis.server.connect();
    for command in [
        "SADD api-keys 0123456789abcdef0123456789abcdef",
        "HSET key:0123456789abcdef0123456789abcdef secret fedcba9876543210",
        "SADD key:0123456789abcdef0123456789abcdef:permissions get",
        "SADD key:0123456789abcdef0123456789abcdef:permissions upload",
        "SADD api-keys bare",
    ] {
        let mut words = command.split(' ');
        redis::cmd(words.next().unwrap()).arg(words.collect::<Vec<_>>()).exec(&mut connection).unwrap();
    }
    let index = redis.open();
    let key = index.key("0123456789abcdef0123456789abcdef").unwrap().unwrap();
    assert_eq!((key.secret.as_str(), key.permissions), ("fedcba9876543210", Permissions { get: true, upload: true }));
    let bare = index.key("bare").unwrap().unwrap();
    assert_eq!((bare.secret.as_str(), bare.permissions), ("", Permissions::default()));
    assert!(index.key("bare:permissions").unwrap().is_none() && index.key("").unwrap().is_none());
    assert!(index.set_permission("0123456789abcdef0123456789abcdef", Permission::Upload, false).unwrap());
    let members: Vec<String> =
        redis::cmd("SMEMBERS").arg("key:0123456789abcdef0123456789abcdef:permissions").query(&mut connection).unwrap();
    assert_eq!(members, ["get"]);
    assert!(index.remove_key("0123456789abcdef0123456789abcdef").unwrap());
    let left: Vec<String> = redis::cmd("KEYS").arg("key:*").query(&mut connection).unwrap();
    assert!(left.is_empty(), "{left:?}");
}

/// All that a request may wait for.
fn requests(index: &RedisIndex) -> [(&'static str, Duration, bool); 6] {
    let timed = |name, question: &dyn Fn() -> Result<(), IndexError>| {
        let start = Instant::now();
        let answer = question();
        assert!(!matches!(answer, Err(IndexError::Redis { .. })), "{answer:?}");
        (name, start.elapsed(), answer.is_ok())
    };
    let rate = Rate { interval_us: 1, burst: 1_000_000 };
    [
        timed("find", &|| index.find(&[1; 32]).map(drop)),
        timed("purges", &|| index.purges().map(drop)),
        timed("is_purged_since", &|| index.is_purged_since("a", 1).map(drop)),
        timed("totals", &|| index.totals().map(drop)),
        timed("key", &|| index.key("a").map(drop)),
        timed("take", &|| index.take("a", rate).map(drop)),
    ]
}

#[test]
fn a_frozen_redis_holds_nobody_up() {
    let Some(redis) = Redis::start() else { return };
    for number in 0..7 {
        let index = redis.open();
        assert!(requests(&index).iter().all(|(_, _, is_answered)| *is_answered));
        let before = index.generation();
        redis.server.freeze();
        // Each is once the first to find out; the watcher is kept from it.
        let start = Instant::now();
        match number {
            0 => drop(index.find(&[1; 32])),
            1 => drop(index.purges()),
            2 => drop(index.is_purged_since("a", 1)),
            3 => drop(index.totals()),
            4 => drop(index.key("a")),
            5 => drop(index.take("a", Rate { interval_us: 1, burst: 1 })),
            _ => assert_eq!(index.generation(), before, "the last that is known"),
        }
        assert!(start.elapsed() < PROMPT, "{number}: {:?}", start.elapsed());
        wait("the circuit opens", || index.totals().is_err());
        for (name, took, is_answered) in requests(&index) {
            assert!(!is_answered && took < Duration::from_millis(20), "{name}: {took:?}");
        }
        let start = Instant::now();
        assert_eq!(index.generation(), before);
        assert!(start.elapsed() < Duration::from_millis(20) && index.n_returns() == 0);
        let error = index.insert(&[(record(1, "a"), 0)]).unwrap_err();
        assert!(matches!(error, IndexError::Unreachable { .. }), "{error}");
        redis.server.thaw();
        wait("redis is back", || index.n_returns() == 1);
        assert!(requests(&index).iter().all(|(_, _, is_answered)| *is_answered));
        assert_eq!(index.generation(), before);
        index.end();
    }
}

#[test]
fn data_that_is_lost_is_noticed_and_generations_go_on() {
    let Some(mut redis) = Redis::start() else { return };
    let (index, other) = (redis.open(), redis.open());
    let unpurged = index.generation();
    index.insert(&[(record(1, "a.jpg"), unpurged)]).unwrap();
    redis.server.kill();
    wait("the circuit opens", || index.totals().is_err() && other.totals().is_err());
    redis.server.restart();
    wait("redis is back", || index.totals().is_ok() && index.n_returns() >= 2);
    assert_eq!(index.totals().unwrap(), Totals::default());
    assert!(index.generation() > unpurged);
    assert!(!index.is_purged_since("a.jpg", unpurged).unwrap(), "there has never been a purge");

    index.purge("a.jpg", 7, &mut |_| {}).unwrap();
    let purged = index.generation();
    wait("the other sees the purge", || other.generation() == purged);
    redis.forget();
    wait("both see the loss", || index.generation() > purged && other.generation() > purged);
    wait("both have told", || index.is_purged_since("a.jpg", purged - 1).unwrap());
    assert!(index.is_purged_since("b.jpg", purged - 1).unwrap(), "what was purged is forgotten, so it may be anything");
    assert!(!index.is_purged_since("a.jpg", purged).unwrap(), "what was made since cannot have been");
    assert!(index.insert(&[(record(1, "a.jpg"), purged)]).unwrap().is_kept[0]);
    assert!(!index.insert(&[(record(2, "a.jpg"), purged - 1)]).unwrap().is_kept[0]);
    let settled = index.generation();
    index.look().unwrap();
    assert_eq!(index.generation(), settled);
    assert_eq!(other.generation(), settled);
}

impl RedisIndex {
    fn look(&self) -> Result<(), IndexError> {
        self.shared.look()
    }
}

#[test]
fn a_purge_counts_for_all_when_it_returns() {
    let Some(redis) = Redis::start() else { return };
    let url = redis.server.url().parse().unwrap();
    let timing = Timing { interval: Duration::from_millis(40), lease: Duration::from_millis(100), ..QUICK };
    let (index, other) = (RedisIndex::open_with(&url, timing).unwrap(), RedisIndex::open_with(&url, timing).unwrap());
    for _ in 0..20 {
        wait("there is a lease", || other.generation_at_once().is_some());
        index.purge("a.jpg", 7, &mut |_| {}).unwrap();
        let purged = index.generation();
        assert!(other.generation_at_once().is_none_or(|at_once| at_once >= purged));
        assert_eq!(other.generation(), purged);
        index.clear(8, &mut |_| {}).unwrap();
        assert!(other.generation_at_once().is_none_or(|at_once| at_once > purged));
    }
}

#[test]
fn a_lease_ends_where_redis_is_silent() {
    let Some(redis) = Redis::start() else { return };
    let index = redis.open();
    wait("there is a lease", || index.generation_at_once().is_some());
    redis.server.freeze();
    wait("the lease ends", || index.generation_at_once().is_none());
    redis.server.thaw();
    wait("there is a lease", || index.generation_at_once().is_some());
}

#[test]
fn keys_of_another_kind_are_errors() {
    let Some(redis) = Redis::start() else { return };
    let index = redis.open();
    let mut connection = redis.server.connect();
    for name in [
        "records",
        "records-by-id",
        "records-by-source",
        "totals",
        "generations",
        "purges",
        "jobs",
        "rate:a",
        "claim:a",
        "note:a",
    ] {
        redis::cmd("DEL").arg(format!("pixlserv:{name}")).exec(&mut connection).unwrap();
        redis::cmd("RPUSH").arg(format!("pixlserv:{name}")).arg("of another kind").exec(&mut connection).unwrap();
    }
    redis::cmd("SET").arg("api-keys").arg("a text").exec(&mut connection).unwrap();
    let rate = Rate { interval_us: 1, burst: 1 };
    let generation = index.generation();
    for (name, error) in [
        ("find", index.find(&[1; 32]).map(drop)),
        ("totals", index.totals().map(drop)),
        ("purges", index.purges().map(drop)),
        ("is_purged_since", index.is_purged_since("a", 1).map(drop)),
        ("insert", index.insert(&[(record(1, "a"), 0)]).map(drop)),
        ("touch", index.touch(&[Access { id: [1; 32], count: 1, last_us: 1 }])),
        ("remove", index.remove(&[[1; 32]])),
        ("purge", index.purge("a", 1, &mut |_| {}).map(drop)),
        ("clear", index.clear(1, &mut |_| {})),
        ("list", index.list("", None, 1).map(drop)),
        ("page", index.page(&Id::default(), 1).map(drop)),
        ("key", index.key("a").map(drop)),
        ("keys", index.keys().map(drop)),
        ("add_key", index.add_key("a", "b").map(drop)),
        ("push_job", index.push_job("a", 1).map(drop)),
        ("claim_job", index.claim_job(1, 1).map(drop)),
        ("n_jobs", index.n_jobs().map(drop)),
        ("take", index.take("a", rate).map(drop)),
        ("claim", index.claim("a", "b", Duration::from_secs(1)).map(drop)),
        ("release", index.release("a", "b")),
        ("told", index.told("a").map(drop)),
    ] {
        assert!(matches!(error, Err(IndexError::Redis { .. })), "{name}: {error:?}");
    }
    assert_eq!((index.generation(), index.n_returns()), (generation, 0), "it is an error, and no absence");
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let Some(redis) = Redis::start() else { return };
    let index = redis.open();
    let mut connection = redis.server.connect();
    let mut set = |hash: &str, field: &[u8], value: &str| {
        redis::cmd("HSET").arg(format!("pixlserv:{hash}")).arg(field).arg(value).exec(&mut connection).unwrap();
    };
    set("records", &[1; 32], "short");
    set("records", &[2; 32], &"long, but no record".repeat(9));
    set("totals", b"bytes", "many");
    set("purges", b"a.jpg", "yesterday");
    for (name, error) in [
        ("find", index.find(&[1; 32]).map(drop)),
        ("find", index.find(&[2; 32]).map(drop)),
        ("totals", index.totals().map(drop)),
        ("purges", index.purges().map(drop)),
        ("is_purged_since", index.is_purged_since("a.jpg", 1).map(drop)),
        ("insert", index.insert(&[(record(1, "b.jpg"), 0)]).map(drop)),
    ] {
        assert!(matches!(error, Err(IndexError::Redis { .. })), "{name}: {error:?}");
    }
}

#[test]
fn old_purges_are_forgotten_as_if_all_had_been_purged() {
    let Some(redis) = Redis::start() else { return };
    let index = redis.open();
    let mut connection = redis.server.connect();
    let script = "for number = 1, ARGV[1] do
                      redis.call('HSET', 'pixlserv:purges', number, number .. ' 5')
                      redis.call('ZADD', 'pixlserv:purges-by-age', number, number)
                  end";
    let n_purges = records::MAX_PURGES + 3;
    redis::cmd("EVAL").arg(script).arg(0).arg(n_purges).exec(&mut connection).unwrap();
    index.purge("last", 7, &mut |_| {}).unwrap();
    let purges = index.purges().unwrap();
    assert_eq!((purges.sources.len() as u64, purges.floor.generation), (records::MAX_PURGES, 4));
    assert!(index.is_purged_since("any", 3).unwrap() && !index.is_purged_since("any", 4).unwrap());
}

#[test]
fn sources_with_many_answers_go_whole() {
    let Some(redis) = Redis::start() else { return };
    let index = redis.open();
    let records: Vec<_> = (0..2_500_u32)
        .map(|number| {
            let mut record = record(1, if number % 5 == 0 { "b.jpg" } else { "a.jpg" });
            record.id[..4].copy_from_slice(&number.to_be_bytes());
            (record, index.generation())
        })
        .collect();
    index.insert(&records).unwrap();
    let mut n_taken = 0;
    assert_eq!(index.purge("a.jpg", 7, &mut |gone| n_taken += gone.len()).unwrap().len(), 2_000);
    assert_eq!((n_taken, index.totals().unwrap()), (2_000, Totals { records: 500, bytes: 5_000 }));
    index.insert(&records.into_iter().map(|(record, _)| (record, index.generation())).collect::<Vec<_>>()).unwrap();
    n_taken = 0;
    index.clear(9, &mut |gone| n_taken += gone.len()).unwrap();
    assert_eq!((n_taken, index.totals().unwrap()), (2_500, Totals::default()));
    let mut connection = redis.server.connect();
    let mut left: Vec<String> = redis::cmd("KEYS").arg("pixlserv:*").query(&mut connection).unwrap();
    left.sort();
    assert_eq!(left, ["pixlserv:generations", "pixlserv:totals"]);
    assert!(index.evict(Order::LeastRecent, 1, 5).unwrap().is_empty());
}

#[test]
fn rates_are_counted_together() {
    let Some(redis) = Redis::start() else { return };
    let (index, other) = (redis.open(), redis.open());
    let rate = Rate { interval_us: 3_600_000_000, burst: 4 };
    for index in [&index, &other, &index, &other] {
        assert_eq!(index.take("10.0.0.1", rate).unwrap(), Ok(()));
    }
    let left = other.take("10.0.0.1", rate).unwrap().unwrap_err();
    assert!(left <= Duration::from_secs(3_600) && left > Duration::from_secs(3_500), "{left:?}");
    assert_eq!(index.take("10.0.0.2", rate).unwrap(), Ok(()));
    let mut connection = redis.server.connect();
    let ttl_ms: u64 = redis::cmd("PTTL").arg("pixlserv:rate:10.0.0.1").query(&mut connection).unwrap();
    assert!((14_000_000..=14_400_000).contains(&ttl_ms), "{ttl_ms}");
    let quick = Rate { interval_us: 1_000, burst: 1 };
    wait("the next is accepted", || index.take("10.0.0.3", quick).unwrap().is_ok());
    wait("the next is accepted", || index.take("10.0.0.3", quick).unwrap().is_ok());
}

#[test]
fn claims_are_of_one_until_they_end() {
    let Some(redis) = Redis::start() else { return };
    let (index, other) = (redis.open(), redis.open());
    let long = Duration::from_secs(600);
    assert!(index.claim("work", "a", long).unwrap() && index.claim("work", "a", long).unwrap());
    assert!(!other.claim("work", "b", long).unwrap());
    assert!(other.claim("other-work", "b", long).unwrap(), "work of another name is another's");
    other.release("work", "b").unwrap();
    assert!(!other.claim("work", "b", long).unwrap(), "only who has it gives it up");
    index.release("work", "a").unwrap();
    assert!(other.claim("work", "b", long).unwrap() && !index.claim("work", "a", long).unwrap());
    index.release("nobody's", "a").unwrap();

    let left_ms = |name: &str| -> u64 {
        redis::cmd("PTTL").arg(format!("pixlserv:claim:{name}")).query(&mut redis.server.connect()).unwrap()
    };
    assert!((590_000..=600_000).contains(&left_ms("work")), "{}", left_ms("work"));
    assert!(other.claim("work", "b", 2 * long).unwrap());
    assert!((1_190_000..=1_200_000).contains(&left_ms("work")), "whoever claims once more has it for longer");
    assert!(index.claim("short", "a", Duration::ZERO).unwrap(), "as short as can be");
    wait("it ends by itself", || other.claim("short", "b", Duration::from_millis(100)).unwrap());
    wait("again", || index.claim("short", "a", long).unwrap());
    other.release("short", "b").unwrap();
    assert!(!other.claim("short", "b", long).unwrap(), "what has ended is nobody's to give up");
}

#[test]
fn what_is_told_is_told_for_a_while() {
    let Some(redis) = Redis::start() else { return };
    let (index, other) = (redis.open(), redis.open());
    let long = Duration::from_secs(600);
    assert_eq!(other.told("note").unwrap(), None);
    index.tell("note", "a text \r\n with all sorts of things: ü", long).unwrap();
    let (text, left) = other.told("note").unwrap().unwrap();
    assert_eq!(text, "a text \r\n with all sorts of things: ü");
    assert!(left <= long && left > long - Duration::from_secs(10), "{left:?}");
    other.tell("note", "", Duration::from_secs(60)).unwrap();
    let (text, left) = index.told("note").unwrap().unwrap();
    assert!(text.is_empty() && left <= Duration::from_secs(60), "the last counts: {text:?} {left:?}");
    assert_eq!(index.told("another").unwrap(), None);
    index.tell("short", "text", Duration::from_millis(50)).unwrap();
    wait("it ends by itself", || other.told("short").unwrap().is_none());
    redis.server.freeze();
    let start = Instant::now();
    let error = index.claim("work", "a", long).unwrap_err();
    assert!(matches!(error, IndexError::Unreachable { .. }) && start.elapsed() < PROMPT, "{:?}", start.elapsed());
    wait("the circuit opens", || other.told("note").is_err() && other.tell("note", "", long).is_err());
    redis.server.thaw();
}

#[test]
fn a_redis_that_is_not_there_is_waited_for() {
    let Some(mut redis) = Redis::start() else { return };
    redis.server.kill();
    let index = redis.open();
    let error = index.keys().unwrap_err().to_string();
    assert!(error.starts_with("redis cannot be reached at 127.0.0.1:") && error.contains("refused"), "{error}");
    assert_eq!((index.generation_at_once(), index.generation()), (None, 0));
    redis.server.restart();
    wait("it is there", || index.n_returns() == 1);
    assert!(index.keys().unwrap().is_empty() && index.generation() > 0);
}

#[test]
fn passwords_are_asked_for_and_never_shown() {
    let Some(redis) = Redis::start() else { return };
    redis::cmd("CONFIG").arg(&["SET", "requirepass", "hunter2"]).exec(&mut redis.server.connect()).unwrap();
    let open = |password: &str| {
        let url = format!("redis://{password}127.0.0.1:{}/", redis.server.port());
        RedisIndex::open_with(&url.parse().unwrap(), QUICK).unwrap()
    };
    assert!(open(":hunter2@").totals().is_ok() && open("default:hunter2@").totals().is_ok());
    for index in [open(""), open(":hunter3@"), open("nobody:hunter3@")] {
        let error = index.totals().unwrap_err();
        let shown = format!("{error} {error:?} {index:?}");
        assert!(!shown.contains("hunter"), "{shown}");
        assert_eq!(index.generation_at_once(), None);
    }
}
