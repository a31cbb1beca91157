use super::*;
use crate::index::{Redis, Storage, Totals};

/// A cache whose index is a redis.
struct Distant {
    place: TestPlace,
    redis: Redis,
    cache: VariantCache,
    index: Arc<dyn Index>,
}

impl Distant {
    fn start(storage: Storage, limit_bytes: u64) -> Option<Self> {
        let redis = Redis::start_on(storage)?;
        let place = TestPlace::new();
        let index: Arc<dyn Index> = Arc::new(redis.open());
        let options = CacheOptions { limit_bytes, ..CacheOptions::default() };
        let cache = VariantCache::open(&place.place(false), Arc::clone(&index), options).unwrap();
        Some(Self { place, redis, cache, index })
    }

    fn kill(&mut self) {
        self.redis.server.kill();
        wait("redis is found to be away", || self.index.totals().is_err());
    }

    fn keep(&self, numbers: std::ops::Range<u32>) -> Vec<bool> {
        numbers.map(|number| keep(&self.cache, fill(&self.cache, number, &format!("{number}.jpg")))).collect()
    }

    /// Waits until the index knows so many answers, and the folder has exactly those.
    fn settle(&self, n: u64) {
        let expected = Totals { records: n, bytes: 1000 * n };
        wait("files and records fit together", || {
            self.index.totals().is_ok_and(|totals| totals == expected) && self.place.files().len() as u64 == n
        });
    }

    fn shelf(&self) -> Shelf {
        Shelf::open(&self.place.place(false), Arc::clone(&self.index)).unwrap()
    }

    /// How often each answer was asked for.
    fn counts(&self) -> Vec<u64> {
        let mut counts = Vec::new();
        let take = |record: &Record| {
            counts.push(record.count);
            true
        };
        self.shelf().list("", take).unwrap();
        counts
    }
}

fn wait(what: &str, mut question: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !question() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn hits_and_writes_go_on_without_redis() {
    let Some(mut distant) = Distant::start(Storage::Disk, 0) else { return };
    assert_eq!(distant.keep(0..3), [true; 3]);
    distant.kill();
    assert!((0..3).all(|number| has(&distant.cache, number)) && !has(&distant.cache, 3));
    assert_eq!(distant.cache.locate(&id(0)).unwrap(), file_name(&id(0), Format::Jpeg));
    (0..5).for_each(|_| distant.cache.touch(&id(1)));
    assert_eq!(distant.keep(3..6), [true; 3]);
    assert!((0..6).all(|number| has(&distant.cache, number)));
    let fourth = distant.place.file(4);
    fs::remove_file(&fourth).unwrap();
    assert!(!has(&distant.cache, 4) && !has(&distant.cache, 4));
    distant.redis.server.restart();
    distant.settle(5);
    wait("uses are counted", || distant.counts() == [1, 6, 1, 1, 1]);
    assert!([0, 1, 2, 3, 5].into_iter().all(|number| has(&distant.cache, number)) && !has(&distant.cache, 4));
    assert!(distant.shelf().verify().unwrap().is_clean());
}

#[test]
fn what_redis_has_lost_is_made_anew() {
    let Some(mut distant) = Distant::start(Storage::Memory, 0) else { return };
    assert_eq!(distant.keep(0..300), [true; 300]);
    for round in 1..=3 {
        distant.kill();
        assert_eq!(distant.keep(300..302), [true; 2]);
        assert!(has(&distant.cache, 0), "{round}");
        distant.redis.server.restart();
        distant.settle(2);
        assert!(!has(&distant.cache, 0) && has(&distant.cache, 300) && has(&distant.cache, 301));
        assert_eq!(distant.keep(0..1), [true]);
        assert!(distant.shelf().verify().unwrap().is_clean());
        distant.settle(3);
    }
    // Without a connection that ends: only the data goes.
    distant.redis.forget();
    distant.settle(0);
    assert_eq!(distant.keep(0..3), [true; 3]);
    assert_eq!(distant.shelf().purge("1.jpg").unwrap(), 1);
    distant.settle(2);
}

#[test]
fn the_limit_holds_without_redis() {
    for storage in [Storage::Disk, Storage::Memory] {
        let Some(mut distant) = Distant::start(storage, 6_000) else { return };
        assert_eq!(distant.keep(0..4), [true; 4]);
        distant.kill();
        assert_eq!(distant.keep(4..8), [true, true, false, false]);
        assert_eq!(distant.place.files().len(), 6);
        assert!((0..6).all(|number| has(&distant.cache, number)));
        distant.redis.server.restart();
        distant.settle(if storage == Storage::Disk { 6 } else { 2 });
        assert_eq!(distant.keep(8..20), [true; 12]);
        wait("room is made", || distant.index.totals().unwrap().bytes <= 6_000);
        assert!(distant.shelf().verify().unwrap().is_clean());
    }
}

#[test]
fn a_start_without_redis_is_a_start() {
    let Some(mut distant) = Distant::start(Storage::Disk, 0) else { return };
    assert_eq!(distant.keep(0..2), [true; 2]);
    settle(&distant.cache);
    distant.kill();
    let index: Arc<dyn Index> = Arc::new(distant.redis.open());
    distant.index = Arc::clone(&index);
    distant.cache = VariantCache::open(&distant.place.place(false), index, CacheOptions::default()).unwrap();
    assert!(!has(&distant.cache, 0), "nothing is known of it");
    assert_eq!(distant.keep(0..3), [true; 3]);
    assert!(has(&distant.cache, 2));
    distant.redis.server.restart();
    distant.settle(3);
    assert!((0..3).all(|number| has(&distant.cache, number)));
}

#[test]
fn a_frozen_redis_slows_nobody_down_for_long() {
    let Some(distant) = Distant::start(Storage::Memory, 0) else { return };
    assert_eq!(distant.keep(0..2), [true; 2]);
    distant.redis.server.freeze();
    wait("redis is found to be away", || distant.index.totals().is_err());
    let start = Instant::now();
    (0..100).for_each(|_| assert!(has(&distant.cache, 1)));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(distant.keep(2..4), [true; 2]);
    distant.redis.server.thaw();
    distant.settle(4);
}
