//! Rates that all servers count together, by the clock of redis.

use std::time::Duration;

use super::super::{IndexError, Rate, Rates};
use super::packed::{MAX, unsigned};
use super::pool::Patience;
use super::{RedisIndex, scripts};

impl Rates for RedisIndex {
    fn take(&self, who: &str, rate: Rate) -> Result<Result<(), Duration>, IndexError> {
        let mut script = scripts::TAKE_RATE.prepare_invoke();
        let longest = MAX / 4;
        script.arg(format!("{}{who}", scripts::RATE));
        script.arg(unsigned(rate.interval_us).min(longest)).arg(unsigned(rate.burst_us()).min(longest));
        let wait_us: u64 = self.shared.pool.ask(Patience::Request, |connection| script.invoke(connection))?;
        Ok(if wait_us == 0 { Ok(()) } else { Err(Duration::from_micros(wait_us)) })
    }
}
