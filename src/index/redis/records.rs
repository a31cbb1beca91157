//! Records and purges. What must change together is one script, which redis runs as one step: no crash comes between a
//! record, its place in the orders and the totals.

use std::collections::HashMap;
use std::thread;
use std::time::Instant;

use redis::{Script, cmd};

use super::super::{Access, Gone, Id, IndexError, Inserted, Order, Purge, Purges, Record, Records, Totals};
use super::packed::{MAX, gone, id_of, pack, unexpected, unpack, unsigned};
use super::pool::Patience;
use super::{RedisIndex, scripts};

/// Purges kept by name. Whatever is older than the oldest of them counts as purged.
pub(super) const MAX_PURGES: u64 = 10_000;
/// Records that one script touches, removes or evicts: redis answers nobody meanwhile.
const BATCH: usize = 1_000;

/// What scripts say of records that went.
type GoneReply = Vec<(Vec<u8>, String, u64)>;

impl Records for RedisIndex {
    fn generation_at_once(&self) -> Option<u64> {
        self.shared.view.at_once()
    }

    fn generation(&self) -> u64 {
        if let Some(generation) = self.shared.view.at_once() {
            return generation;
        }
        // One that does not answer cannot tell of a purge; the cache looks at the files then.
        let _ = self.shared.look();
        self.shared.view.last()
    }

    fn is_purged_since(&self, source: &str, generation: u64) -> Result<bool, IndexError> {
        self.ask_purged(Patience::Request, source, generation)
    }

    fn purges(&self) -> Result<Purges, IndexError> {
        let (generation, at_us, sources): (u64, i64, HashMap<String, String>) =
            self.shared.pool.ask(Patience::Request, |connection| scripts::PURGES.invoke(connection))?;
        let sources = sources.into_iter().map(|(source, text)| Ok((source, purge_of(&text)?)));
        Ok(Purges { floor: Purge { generation, at_us }, sources: sources.collect::<Result<_, IndexError>>()? })
    }

    fn find(&self, id: &Id) -> Result<Option<Record>, IndexError> {
        let packed: Option<Vec<u8>> = self
            .shared
            .pool
            .ask(Patience::Request, |connection| cmd("HGET").arg(scripts::RECORDS).arg(id).query(connection))?;
        packed.map(|packed| unpack(*id, &packed)).transpose()
    }

    fn totals(&self) -> Result<Totals, IndexError> {
        let (records, bytes): (Option<u64>, Option<u64>) = self.shared.pool.ask(Patience::Request, |connection| {
            cmd("HMGET").arg(scripts::TOTALS).arg(&["records", "bytes"]).query(connection)
        })?;
        Ok(Totals { records: records.unwrap_or(0), bytes: bytes.unwrap_or(0) })
    }

    fn latest_use(&self) -> Result<Option<i64>, IndexError> {
        let latest: Vec<(Vec<u8>, f64)> = self.shared.pool.ask(Patience::Background, |connection| {
            cmd("ZREVRANGE").arg(scripts::RECORDS_BY_TIME).arg(0).arg(0).arg("WITHSCORES").query(connection)
        })?;
        // Microseconds since 1970 have 51 bits for a long time yet.
        Ok(latest.first().map(|(_, at_us)| *at_us as i64))
    }

    fn insert(&self, records: &[(Record, u64)]) -> Result<Inserted, IndexError> {
        let mut script = scripts::INSERT.prepare_invoke();
        for (record, generation) in records {
            script.arg(&record.id).arg((*generation).min(MAX)).arg(pack(record));
        }
        let (is_kept, went): (Vec<bool>, GoneReply) =
            self.shared.pool.ask(Patience::Background, |connection| script.invoke(connection))?;
        if is_kept.len() != records.len() {
            return Err(unexpected("an answer"));
        }
        Ok(Inserted { is_kept, gone: gone(went)? })
    }

    fn touch(&self, accesses: &[Access]) -> Result<(), IndexError> {
        for accesses in accesses.chunks(BATCH) {
            let mut script = scripts::TOUCH.prepare_invoke();
            for access in accesses {
                script.arg(&access.id).arg(access.count.min(MAX)).arg(unsigned(access.last_us).min(MAX));
            }
            self.shared.pool.ask::<()>(Patience::Background, |connection| script.invoke(connection))?;
        }
        Ok(())
    }

    fn evict(&self, order: Order, bytes: u64, max_n: usize) -> Result<Vec<Gone>, IndexError> {
        let order = match order {
            Order::LeastRecent => "time",
            Order::LeastFrequent => "count",
        };
        let mut script = scripts::EVICT.prepare_invoke();
        script.arg(order).arg(bytes.min(MAX)).arg(max_n.min(BATCH));
        gone(self.shared.pool.ask(Patience::Background, |connection| script.invoke(connection))?)
    }

    fn remove(&self, ids: &[Id]) -> Result<(), IndexError> {
        for ids in ids.chunks(BATCH) {
            let mut script = scripts::REMOVE.prepare_invoke();
            for id in ids {
                script.arg(id);
            }
            self.shared.pool.ask::<()>(Patience::Background, |connection| script.invoke(connection))?;
        }
        Ok(())
    }

    /// Files go after their records, not together with them as in the embedded store: one that a server has made anew
    /// in that moment may go, too. Its record finds that out when it is asked for next, and is mended.
    fn purge(&self, source: &str, now_us: i64, take: &mut dyn FnMut(&[Gone])) -> Result<Vec<Gone>, IndexError> {
        let mut script = scripts::PURGE.prepare_invoke();
        script.arg(self.shared.view.last()).arg(source).arg(unsigned(now_us).min(MAX)).arg(MAX_PURGES).arg(BATCH);
        let (generation, went): (u64, GoneReply) =
            self.shared.pool.ask(Patience::Background, |connection| script.invoke(connection))?;
        let stored = Instant::now();
        self.shared.view.raise(generation);
        let mut all = Vec::new();
        let mut batch = gone(went)?;
        loop {
            take(&batch);
            let is_last = batch.len() < BATCH;
            all.append(&mut batch);
            if is_last {
                break;
            }
            batch = self.take_batch(&scripts::PURGE_REST, source.as_bytes())?;
        }
        self.confirm_purge(source, generation, stored)?;
        Ok(all)
    }

    /// Goes once through all records: what is recorded meanwhile may go as well. Clocks of servers may differ, so that
    /// no time of a record tells that it came after.
    fn clear(&self, now_us: i64, take: &mut dyn FnMut(&[Gone])) -> Result<(), IndexError> {
        let mut script = scripts::CLEAR.prepare_invoke();
        script.arg(self.shared.view.last()).arg(unsigned(now_us).min(MAX));
        let generation: u64 = self.shared.pool.ask(Patience::Background, |connection| script.invoke(connection))?;
        let stored = Instant::now();
        self.shared.view.raise(generation);
        let mut from = b"-".to_vec();
        loop {
            let batch = self.take_batch(&scripts::CLEAR_BATCH, &from)?;
            take(&batch);
            let Some(last) = batch.last() else {
                break;
            };
            from = [b"(", &last.id[..]].concat();
        }
        self.confirm_purge("", generation, stored)
    }

    fn list(&self, prefix: &str, after: Option<&Record>, limit: usize) -> Result<Vec<Record>, IndexError> {
        let from = match after {
            Some(record) => [b"(", record.source.as_bytes(), b"\0", &record.id].concat(),
            None => [b"[", prefix.as_bytes()].concat(),
        };
        let found = self.select("source", &from, limit)?;
        Ok(found.into_iter().take_while(|record| record.source.starts_with(prefix)).collect())
    }

    fn page(&self, from: &Id, limit: usize) -> Result<Vec<Record>, IndexError> {
        self.select("id", &[b"[", &from[..]].concat(), limit)
    }
}

impl RedisIndex {
    /// Removes the next records of a purge.
    fn take_batch(&self, script: &Script, from: &[u8]) -> Result<Vec<Gone>, IndexError> {
        let mut script = script.prepare_invoke();
        script.arg(from).arg(BATCH);
        gone(self.shared.pool.ask(Patience::Background, |connection| script.invoke(connection))?)
    }

    /// Waits until no server has a lease from before a purge, and looks whether redis still knows of it.
    fn confirm_purge(&self, source: &str, generation: u64, stored: Instant) -> Result<(), IndexError> {
        let timing = &self.shared.timing;
        thread::sleep((timing.lease + timing.margin).saturating_sub(stored.elapsed()));
        if self.ask_purged(Patience::Background, source, generation - 1)? {
            return Ok(());
        }
        Err(IndexError::Redis { message: "redis has lost the purge; ask for it once more".to_owned() })
    }

    fn ask_purged(&self, patience: Patience, source: &str, generation: u64) -> Result<bool, IndexError> {
        let mut script = scripts::IS_PURGED.prepare_invoke();
        script.arg(source).arg(generation.min(MAX));
        self.shared.pool.ask(patience, |connection| script.invoke(connection))
    }

    fn select(&self, order: &str, from: &[u8], limit: usize) -> Result<Vec<Record>, IndexError> {
        let mut script = scripts::SELECT.prepare_invoke();
        script.arg(order).arg(from).arg(limit.min(BATCH));
        let found: Vec<(Vec<u8>, Vec<u8>)> =
            self.shared.pool.ask(Patience::Background, |connection| script.invoke(connection))?;
        found.into_iter().map(|(id, packed)| unpack(id_of(&id)?, &packed)).collect()
    }
}

/// Of "generation time".
fn purge_of(text: &str) -> Result<Purge, IndexError> {
    let numbers = text.split_once(' ').and_then(|(generation, at_us)| {
        Some(Purge { generation: generation.parse().ok()?, at_us: at_us.parse().ok()? })
    });
    numbers.ok_or_else(|| unexpected("a purge"))
}
