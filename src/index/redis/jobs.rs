//! The queue of jobs: a sorted set of sources by the time when they may be taken, and how often each was.

use redis::cmd;

use super::super::{Claimed, IndexError, Jobs, MAX_JOBS};
use super::pool::Patience;
use super::{RedisIndex, scripts};

impl Jobs for RedisIndex {
    fn push_job(&self, source: &str, now_us: i64) -> Result<bool, IndexError> {
        let mut script = scripts::PUSH_JOB.prepare_invoke();
        script.arg(source).arg(now_us).arg(MAX_JOBS);
        self.shared.pool.ask(Patience::Background, |connection| script.invoke(connection))
    }

    fn claim_job(&self, now_us: i64, until_us: i64) -> Result<Option<Claimed>, IndexError> {
        let mut script = scripts::CLAIM_JOB.prepare_invoke();
        script.arg(now_us).arg(until_us);
        let claimed: Option<(String, u32)> =
            self.shared.pool.ask(Patience::Background, |connection| script.invoke(connection))?;
        Ok(claimed.map(|(source, n_tries)| Claimed { source, n_tries }))
    }

    fn renew_job(&self, source: &str, until_us: i64) -> Result<(), IndexError> {
        self.shared.pool.ask(Patience::Background, |connection| {
            cmd("ZADD").arg(scripts::JOBS).arg("XX").arg(until_us).arg(source).query(connection)
        })
    }

    fn end_job(&self, source: &str) -> Result<(), IndexError> {
        let mut script = scripts::END_JOB.prepare_invoke();
        script.arg(source);
        self.shared.pool.ask(Patience::Background, |connection| script.invoke(connection))
    }

    fn n_jobs(&self) -> Result<u64, IndexError> {
        self.shared.pool.ask(Patience::Background, |connection| cmd("ZCARD").arg(scripts::JOBS).query(connection))
    }
}
