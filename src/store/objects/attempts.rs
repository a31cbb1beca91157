//! Tries again what may succeed another time, for as long as a request can wait; and nothing at all for a while, where
//! the storage is surely out of reach.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};

use super::ObjectError;
use crate::metrics::metrics;

/// Tries of one call. Where every third request fails, one call in 243 does; and all take 0.4 s with their pauses, on
/// average.
const MAX_TRIES: u32 = 5;
/// The first pause lasts up to this, each further one up to twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// How long nothing is tried once the storage is out of reach; then one call tries for all.
const REST: Duration = Duration::from_secs(1);
/// For how long that one is waited for.
const PROBE: Duration = Duration::from_secs(5);
/// Calls in a row whose every try failed: then the storage is taken for out of reach, too.
const MAX_FAILED: u32 = 8;

/// What is known of a storage.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    circuit: Mutex<Circuit>,
}

#[derive(Debug, Default)]
struct Circuit {
    n_failed: u32,
    /// Until when nothing is tried, and why.
    open: Option<(Instant, String)>,
    /// When it did what it was asked for last.
    answered: Option<Instant>,
}

impl Attempts {
    /// Tries `once` until it succeeds, is refused, or `timeout` is over; it is told how much of that is left.
    pub(super) fn run<T>(
        &self,
        timeout: Duration,
        mut once: impl FnMut(Duration) -> Result<T, ObjectError>,
    ) -> Result<T, ObjectError> {
        let began = Instant::now();
        self.enter(began)?;
        let deadline = began + timeout;
        let left = || deadline.saturating_duration_since(Instant::now());
        let mut pause = FIRST_PAUSE;
        let mut n_tries = 1;
        loop {
            let result = once(left());
            if let Err(error) = &result {
                count(error);
            }
            let wait = jittered(pause);
            if !result.as_ref().is_err_and(is_worth_another) || n_tries >= MAX_TRIES || left() <= wait {
                self.note(result.as_ref().err(), began);
                metrics().storage_seconds.observe(began.elapsed().as_secs_f64());
                return result;
            }
            thread::sleep(wait);
            pause *= 2;
            n_tries += 1;
        }
    }

    /// Whether the storage has answered within this time, and nothing has put it out of reach since.
    pub(super) fn has_answered_within(&self, time: Duration) -> bool {
        let circuit = self.lock();
        circuit.open.is_none() && circuit.answered.is_some_and(|at| at.elapsed() <= time)
    }

    /// Notes that the head of an answer is there.
    pub(super) fn note_answer(&self) {
        *self.lock() = Circuit { answered: Some(Instant::now()), ..Circuit::default() };
    }

    /// Lets a call begin, unless the storage is out of reach; after a rest, one.
    fn enter(&self, now: Instant) -> Result<(), ObjectError> {
        match &mut self.lock().open {
            Some((until, reason)) if *until > now => return Err(ObjectError::Unreachable(reason.clone())),
            // The others rest on while this one tries; if it takes long, another tries, too.
            Some((until, _)) => *until = now + PROBE,
            None => {}
        }
        Ok(())
    }

    fn note(&self, error: Option<&ObjectError>, began: Instant) {
        let mut circuit = self.lock();
        let (reason, is_away) = match error {
            Some(ObjectError::Failed(reason)) => (reason, false),
            Some(ObjectError::Unreachable(reason)) => (reason, true),
            // One object may be slow; that all are is likely if nothing has come since.
            Some(ObjectError::TimedOut(reason)) => (reason, circuit.answered.is_none_or(|at| at < began)),
            // What could not be kept, or broke off, has come all the same.
            None | Some(ObjectError::Missing | ObjectError::Content(_) | ObjectError::Broken(_)) => {
                *circuit = Circuit { answered: Some(Instant::now()), ..Circuit::default() };
                return;
            }
            // It can be reached, but not used.
            Some(ObjectError::Refused(_)) => {
                *circuit = Circuit::default();
                return;
            }
        };
        circuit.n_failed += 1;
        if is_away || circuit.open.is_some() || circuit.n_failed >= MAX_FAILED {
            circuit.open = Some((Instant::now() + REST, reason.clone()));
        }
    }

    /// Every change is one assignment, so a panic elsewhere leaves it right.
    fn lock(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a try that failed. That an object is not there is an answer.
fn count(error: &ObjectError) {
    let kind = match error {
        ObjectError::Missing => return,
        ObjectError::Unreachable(_) => "unreachable",
        ObjectError::Failed(_) => "failed",
        ObjectError::TimedOut(_) => "timed-out",
        ObjectError::Broken(_) => "broken",
        ObjectError::Refused(_) => "refused",
        ObjectError::Content(_) => "content",
    };
    metrics().storage_errors.with_label_values(&[kind]).inc();
}

fn is_worth_another(error: &ObjectError) -> bool {
    match error {
        ObjectError::Unreachable(_) | ObjectError::Failed(_) | ObjectError::TimedOut(_) | ObjectError::Broken(_) => {
            true
        }
        ObjectError::Missing | ObjectError::Refused(_) | ObjectError::Content(_) => false,
    }
}

/// A random time up to `pause`, so that many that failed at once do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without random numbers all wait for the same time.
    let _ = SystemRandom::new().fill(&mut byte);
    pause * (u32::from(byte[0]) + 1) / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: Duration = Duration::from_secs(60);

    fn failed<T>() -> Result<T, ObjectError> {
        Err(ObjectError::Failed("500".to_owned()))
    }

    #[test]
    fn failures_are_tried_again_and_refusals_are_not() {
        let attempts = Attempts::default();
        let mut n_tries = 0;
        let third = attempts.run(PATIENT, |_| {
            n_tries += 1;
            if n_tries < 3 { failed() } else { Ok(n_tries) }
        });
        assert_eq!(third.unwrap(), 3);
        assert!(attempts.has_answered_within(PATIENT));
        for (error, expected) in [
            (ObjectError::Failed(String::new()), MAX_TRIES),
            (ObjectError::Missing, 1),
            (ObjectError::Refused(String::new()), 1),
            (ObjectError::Content(std::io::ErrorKind::StorageFull.into()), 1),
        ] {
            let (mut n_tries, mut error) = (0, Some(error));
            let result: Result<(), _> = attempts.run(PATIENT, |_| {
                n_tries += 1;
                if n_tries < expected { failed() } else { Err(error.take().unwrap()) }
            });
            assert!(result.is_err());
            assert_eq!(n_tries, expected);
        }
        let mut n_tries = 0;
        let late: Result<(), _> = attempts.run(Duration::ZERO, |left| {
            assert_eq!(left, Duration::ZERO);
            n_tries += 1;
            failed()
        });
        assert!(late.is_err() && n_tries == 1, "there is no time for another");
    }

    #[test]
    fn a_storage_out_of_reach_is_left_alone_until_one_call_finds_it() {
        let attempts = Attempts::default();
        let lost = || -> Result<(), _> { Err(ObjectError::TimedOut("slow".to_owned())) };
        assert!(attempts.run(Duration::ZERO, |_| lost()).is_err());
        let untried = attempts.run(PATIENT, |_| -> Result<(), _> { panic!("it is tried") });
        assert!(matches!(untried, Err(ObjectError::Unreachable(reason)) if reason == "slow"));
        // After the rest.
        attempts.lock().open.as_mut().unwrap().0 = Instant::now();
        attempts
            .run(PATIENT, |_| {
                let others = attempts.run(PATIENT, |_| -> Result<(), _> { panic!("another is tried, too") });
                assert!(others.is_err());
                Ok(())
            })
            .unwrap();
        attempts.run(PATIENT, |_| Ok(())).unwrap();
        let slow = attempts.run(Duration::ZERO, |_| {
            attempts.note_answer();
            lost()
        });
        assert!(slow.is_err() && attempts.run(PATIENT, |_| Ok(())).is_ok(), "others were answered meanwhile");
        for n_failed in 1..=MAX_FAILED {
            assert!(attempts.lock().open.is_none(), "after {n_failed}");
            assert!(attempts.run(Duration::ZERO, |_| failed::<()>()).is_err());
        }
        assert!(!attempts.has_answered_within(PATIENT), "it fails all the time");
    }
}
