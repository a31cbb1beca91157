//! Claims and notes of all servers, by the clock of redis.

use std::time::Duration;

use redis::cmd;

use super::super::{IndexError, Shared};
use super::pool::Patience;
use super::{RedisIndex, scripts};

impl Shared for RedisIndex {
    fn claim(&self, work: &str, who: &str, time: Duration) -> Result<bool, IndexError> {
        let mut script = scripts::CLAIM.prepare_invoke();
        script.arg(format!("{}{work}", scripts::CLAIMS)).arg(who).arg(millis(time));
        self.shared.pool.ask(Patience::Request, |connection| script.invoke(connection))
    }

    fn release(&self, work: &str, who: &str) -> Result<(), IndexError> {
        let mut script = scripts::RELEASE.prepare_invoke();
        script.arg(format!("{}{work}", scripts::CLAIMS)).arg(who);
        self.shared.pool.ask(Patience::Request, |connection| script.invoke(connection))
    }

    fn tell(&self, name: &str, text: &str, time: Duration) -> Result<(), IndexError> {
        let key = format!("{}{name}", scripts::NOTES);
        self.shared.pool.ask(Patience::Request, |connection| {
            cmd("SET").arg(&key).arg(text).arg("PX").arg(millis(time)).query(connection)
        })
    }

    fn told(&self, name: &str) -> Result<Option<(String, Duration)>, IndexError> {
        let mut script = scripts::TOLD.prepare_invoke();
        script.arg(format!("{}{name}", scripts::NOTES));
        let told: Option<(String, i64)> =
            self.shared.pool.ask(Patience::Request, |connection| script.invoke(connection))?;
        Ok(told.map(|(text, left_ms)| (text, Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)))))
    }
}

/// Redis takes no 0, and no more than its clock has room for.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 40)
}
