//! What every index does, whatever it is made of: one suite for all of them. And the index against plain memory.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::redis::tests::Redis;
use super::*;

/// Checks the embedded store, and redis where it is installed.
fn each(check: impl Fn(&dyn Index)) {
    let folder = tempfile::tempdir().unwrap();
    check(&SqliteIndex::open(&folder.path().join("index.sqlite")).unwrap());
    if let Some(redis) = Redis::start() {
        check(&redis.open());
    }
}

pub(super) fn record_of(number: u8, source: &str, version: &str, bytes: u64, at: i64) -> Record {
    Record {
        id: [number; 32],
        source: source.to_owned(),
        version: version.to_owned(),
        description: format!("w_{number}"),
        extension: "jpg".to_owned(),
        bytes,
        checksum: u32::from(number),
        made_us: at,
        last_access_us: at,
        count: 1,
    }
}

fn ids(gone: &[Gone]) -> Vec<u8> {
    gone.iter().map(|gone| gone.id[0]).collect()
}

#[test]
fn records_come_and_go_with_their_totals() {
    each(|index| {
        assert_eq!(index.latest_use().unwrap(), None);
        let first = record_of(1, "a.jpg", "1", 10, 100);
        let inserted = index.insert(&[(first.clone(), 0), (record_of(2, "b.jpg", "1", 20, 101), 0)]).unwrap();
        assert_eq!(inserted, Inserted { is_kept: vec![true, true], gone: vec![] });
        assert_eq!(index.find(&[1; 32]).unwrap(), Some(first.clone()));
        assert_eq!(index.find(&[9; 32]).unwrap(), None);
        // The same answer again, as when its file was lost.
        index.insert(&[(Record { bytes: 15, ..first }, 0)]).unwrap();
        assert_eq!(index.totals().unwrap(), Totals { records: 2, bytes: 35 });
        let newer = index.insert(&[(record_of(3, "a.jpg", "2", 5, 102), 0)]).unwrap();
        assert_eq!((ids(&newer.gone), newer.gone[0].bytes), (vec![1], 15), "another state of a source takes its place");
        index.insert(&[(record_of(4, "empty.jpg", "1", 0, 103), 0)]).unwrap();
        index.remove(&[[2; 32], [4; 32], [9; 32]]).unwrap();
        assert_eq!(index.totals().unwrap(), Totals { records: 1, bytes: 5 });
        assert_eq!(index.latest_use().unwrap(), Some(102));
        index.touch(&[Access { id: [3; 32], count: 1, last_us: 1_796_000_000_000_001 }]).unwrap();
        assert_eq!(index.latest_use().unwrap(), Some(1_796_000_000_000_001));
    });
}

#[test]
fn a_purge_wins_against_work_under_way() {
    each(|index| {
        let before = index.generation();
        index.insert(&[(record_of(1, "a.jpg", "1", 10, 1), before)]).unwrap();
        assert_eq!(ids(&index.purge("a.jpg", 7, &mut |_| {}).unwrap()), [1]);
        let after = index.generation();
        assert!(after > before && index.generation_at_once().is_none_or(|at_once| at_once == after));
        let late = [(record_of(2, "a.jpg", "1", 10, 2), before), (record_of(3, "b.jpg", "1", 10, 2), before)];
        assert_eq!(index.insert(&late).unwrap().is_kept, [false, true]);
        assert!(index.is_purged_since("a.jpg", before).unwrap() && !index.is_purged_since("b.jpg", before).unwrap());
        assert!(!index.is_purged_since("a.jpg", after).unwrap());
        assert_eq!(index.insert(&[(record_of(4, "a.jpg", "1", 10, 3), after)]).unwrap().is_kept, [true]);
        let mut cleared = Vec::new();
        index.clear(i64::MAX, &mut |gone| cleared.extend(ids(gone))).unwrap();
        cleared.sort_unstable();
        assert_eq!(cleared, [3, 4]);
        assert!(index.is_purged_since("never-seen.jpg", after).unwrap());
        assert_eq!(index.insert(&[(record_of(5, "c.jpg", "1", 1, 4), after)]).unwrap().is_kept, [false]);
        assert_eq!(index.insert(&[(record_of(5, "c.jpg", "1", 1, 4), index.generation())]).unwrap().is_kept, [true]);
        let purges = index.purges().unwrap();
        assert_eq!(
            (purges.floor.generation, purges.sources.len()),
            (index.generation(), 0),
            "all that was before is floor"
        );
        index.purge("a.jpg", 9, &mut |_| {}).unwrap();
        let expected = Purge { generation: index.generation(), at_us: 9 };
        assert_eq!(index.purges().unwrap().sources, HashMap::from([("a.jpg".to_owned(), expected)]));
    });
}

#[test]
fn lists_are_paged_and_prefixes_are_plain_text() {
    each(|index| {
        let sources = ["a%/1.jpg", "a%/2.jpg", "a_/1.jpg", "ab/1.jpg", "a"];
        let records: Vec<_> =
            (1..).zip(sources).map(|(number, source)| (record_of(number, source, "1", 1, 1), 0)).collect();
        index.insert(&records).unwrap();
        let names = |found: Vec<Record>| found.into_iter().map(|record| record.source).collect::<Vec<_>>();
        assert_eq!(names(index.list("a%", None, 10).unwrap()), ["a%/1.jpg", "a%/2.jpg"]);
        assert_eq!(names(index.list("a_", None, 10).unwrap()), ["a_/1.jpg"]);
        assert_eq!(names(index.list("", None, 2).unwrap()), ["a", "a%/1.jpg"]);
        let last = index.list("", None, 2).unwrap().pop();
        assert_eq!(names(index.list("", last.as_ref(), 2).unwrap()), ["a%/2.jpg", "a_/1.jpg"]);
        let page = index.page(&[2; 32], 2).unwrap();
        assert_eq!(page.iter().map(|record| record.id[0]).collect::<Vec<_>>(), [2, 3]);
    });
}

#[test]
fn keys_come_and_go_with_all_that_is_theirs() {
    each(|index| {
        assert!(index.keys().unwrap().is_empty() && index.key("a1").unwrap().is_none());
        assert!(index.add_key("b2", "secret of b2").unwrap() && index.add_key("a1", "secret of a1").unwrap());
        assert!(!index.add_key("a1", "another").unwrap(), "there is one already");
        let both = Permissions { get: true, upload: true };
        assert_eq!(index.keys().unwrap(), [("a1".to_owned(), both), ("b2".to_owned(), both)]);
        let expected = KeyRecord { secret: "secret of a1".to_owned(), permissions: both };
        assert!(index.key("a1").unwrap() == Some(expected));
        assert!(index.set_permission("a1", Permission::Upload, false).unwrap());
        assert!(index.set_secret("a1", "new").unwrap());
        let expected = KeyRecord { secret: "new".to_owned(), permissions: Permissions { get: true, upload: false } };
        assert!(index.key("a1").unwrap() == Some(expected));
        assert!(index.set_permission("a1", Permission::Upload, true).unwrap());
        assert_eq!(index.key("a1").unwrap().unwrap().permissions, both);
        for is_done in [
            index.set_secret("c3", "none").unwrap(),
            index.set_permission("c3", Permission::Get, true).unwrap(),
            index.remove_key("c3").unwrap(),
        ] {
            assert!(!is_done && index.key("c3").unwrap().is_none());
        }
        assert!(index.remove_key("a1").unwrap() && !index.remove_key("a1").unwrap());
        assert_eq!(index.keys().unwrap(), [("b2".to_owned(), both)]);
        assert!(index.add_key("a1", "fresh").unwrap());
        assert!(index.key("a1").unwrap().is_some_and(|key| key.secret == "fresh" && key.permissions == both));
    });
}

#[test]
fn jobs_are_done_in_turn_and_taken_over() {
    each(|index| {
        let claimed = |source: &str, n_tries| Some(Claimed { source: source.to_owned(), n_tries });
        assert_eq!(index.claim_job(1_000, 2_000).unwrap(), None);
        assert!(index.push_job("b.jpg", 20).unwrap() && index.push_job("a.jpg", 10).unwrap());
        assert_eq!(index.claim_job(5, 2_000).unwrap(), None, "none is due");
        assert_eq!(index.claim_job(100, 200).unwrap(), claimed("a.jpg", 1));
        assert_eq!(index.claim_job(100, 300).unwrap(), claimed("b.jpg", 1));
        assert_eq!((index.claim_job(100, 300).unwrap(), index.n_jobs().unwrap()), (None, 2));
        index.renew_job("a.jpg", 400).unwrap();
        index.renew_job("never-there.jpg", 0).unwrap();
        assert_eq!(index.claim_job(300, 500).unwrap(), claimed("b.jpg", 2), "nobody has ended it in time");
        index.end_job("b.jpg").unwrap();
        index.end_job("b.jpg").unwrap();
        assert_eq!(index.claim_job(400, 500).unwrap(), claimed("a.jpg", 2));
        assert!(index.push_job("a.jpg", 410).unwrap(), "another upload of the same name");
        assert_eq!((index.n_jobs().unwrap(), index.claim_job(410, 500).unwrap()), (1, claimed("a.jpg", 1)));
    });
}

#[test]
fn jobs_are_bounded() {
    each(|index| {
        for number in 0..MAX_JOBS {
            assert!(index.push_job(&format!("{number}.jpg"), 1).unwrap());
        }
        assert!(!index.push_job("one-more.jpg", 1).unwrap());
        assert!(index.push_job("7.jpg", 2).unwrap(), "it takes nobody's place");
        assert_eq!(index.n_jobs().unwrap(), MAX_JOBS);
        index.end_job("7.jpg").unwrap();
        assert!(index.push_job("one-more.jpg", 1).unwrap());
    });
}

/// What may be asked of the index.
#[derive(Clone, Debug)]
enum Act {
    Insert { number: u8, source: u8, version: u8, bytes: u64, is_late: bool },
    Touch { number: u8, count: u64 },
    Evict { order: Order, bytes: u64, max_n: usize },
    Remove(u8),
    Purge(u8),
    Clear,
}

fn act() -> impl Strategy<Value = Act> {
    let order = prop_oneof![Just(Order::LeastRecent), Just(Order::LeastFrequent)];
    prop_oneof![
        6 => (0..12_u8, 0..4_u8, 0..2_u8, 0..100_u64, prop::bool::weighted(0.2)).prop_map(
            |(number, source, version, bytes, is_late)| Act::Insert { number, source, version, bytes, is_late }
        ),
        4 => (0..12_u8, 1..4_u64).prop_map(|(number, count)| Act::Touch { number, count }),
        2 => (order, 0..200_u64, 0..5_usize).prop_map(|(order, bytes, max_n)| Act::Evict { order, bytes, max_n }),
        1 => (0..12_u8).prop_map(Act::Remove),
        1 => (0..4_u8).prop_map(Act::Purge),
        1 => Just(Act::Clear),
    ]
}

/// The index as plain memory.
#[derive(Default)]
struct Model {
    records: BTreeMap<Id, Record>,
    purged: BTreeMap<String, u64>,
    floor: u64,
    generation: u64,
}

impl Model {
    fn insert(&mut self, record: Record, generation: u64) -> bool {
        let is_purged = self.floor > generation || self.purged.get(&record.source).is_some_and(|at| *at > generation);
        if !is_purged {
            self.records.retain(|_, other| other.source != record.source || other.version == record.version);
            let place = self.records.entry(record.id);
            place
                .and_modify(|old| {
                    old.bytes = record.bytes;
                    old.made_us = record.made_us;
                    old.checksum = record.checksum;
                })
                .or_insert(record);
        }
        !is_purged
    }

    fn evict(&mut self, order: Order, bytes: u64, max_n: usize) -> Vec<u8> {
        let mut all: Vec<_> = self.records.values().cloned().collect();
        all.sort_by_key(|record| match order {
            Order::LeastRecent => (0, record.last_access_us),
            Order::LeastFrequent => (record.count, record.last_access_us),
        });
        let mut freed = 0;
        let victims = all.into_iter().take(max_n).take_while(|record| {
            let is_enough = freed >= bytes;
            freed += record.bytes;
            !is_enough
        });
        victims.map(|record| self.records.remove(&record.id).unwrap().id[0]).collect()
    }

    fn purge(&mut self, source: String, generation: u64) {
        self.generation = generation;
        self.records.retain(|_, record| record.source != source);
        self.purged.insert(source, self.generation);
    }
}

/// Does one act on both; `clock` makes every time another, so that the order is never left open.
fn apply(act: Act, index: &dyn Index, model: &mut Model, clock: i64) {
    match act {
        Act::Insert { number, source, version, bytes, is_late } => {
            // A name has one source, as a hash of it has.
            let source = format!("{}", source + 4 * (number % 3));
            let mut record = record_of(number, &source, &version.to_string(), bytes, clock);
            record.id[1..].fill(source.as_bytes()[0] ^ version);
            let generation = index.generation().saturating_sub(u64::from(is_late));
            let kept = index.insert(&[(record.clone(), generation)]).unwrap().is_kept;
            assert_eq!(kept, [model.insert(record, generation)]);
        }
        Act::Touch { number, count } => {
            let Some(record) = model.records.values_mut().find(|record| record.id[0] == number) else {
                return;
            };
            record.count += count;
            record.last_access_us = clock;
            index.touch(&[Access { id: record.id, count, last_us: clock }]).unwrap();
        }
        Act::Evict { order, bytes, max_n } => {
            assert_eq!(ids(&index.evict(order, bytes, max_n).unwrap()), model.evict(order, bytes, max_n));
        }
        Act::Remove(number) => {
            let found: Vec<Id> = model.records.keys().filter(|id| id[0] == number).copied().collect();
            index.remove(&found).unwrap();
            model.records.retain(|id, _| id[0] != number);
        }
        Act::Purge(source) => {
            index.purge(&source.to_string(), 7, &mut |_| {}).unwrap();
            assert!(index.generation() > model.generation);
            model.purge(source.to_string(), index.generation());
        }
        Act::Clear => {
            index.clear(i64::MAX, &mut |_| {}).unwrap();
            assert!(index.generation() > model.generation);
            model.generation = index.generation();
            model.floor = model.generation;
            model.purged.clear();
            model.records.clear();
        }
    }
}

/// Does acts on both, and compares them after each.
fn compare(index: &dyn Index, acts: Vec<Act>) {
    let mut model = Model { generation: index.generation(), ..Model::default() };
    for (clock, act) in (1..).zip(acts) {
        apply(act, index, &mut model, clock);
        assert_eq!(index.generation(), model.generation);
        let found = index.page(&[0; 32], 100).unwrap();
        assert_eq!(found, model.records.values().cloned().collect::<Vec<_>>());
        let bytes = found.iter().map(|record| record.bytes).sum();
        assert_eq!(index.totals().unwrap(), Totals { records: found.len() as u64, bytes });
        let mut by_source = found;
        by_source.sort_by(|a, b| (&a.source, a.id).cmp(&(&b.source, b.id)));
        assert_eq!(index.list("", None, 100).unwrap(), by_source);
    }
}

#[test]
fn it_does_what_plain_memory_does() {
    let redis = Redis::start();
    proptest!(ProptestConfig::with_cases(48), |(acts in prop::collection::vec(act(), 1..60))| {
        let folder = tempfile::tempdir().unwrap();
        compare(&SqliteIndex::open(&folder.path().join("index.sqlite")).unwrap(), acts.clone());
        if let Some(redis) = &redis {
            redis.forget();
            let index = redis.open();
            compare(&index, acts);
            index.end();
        }
    });
}
