//! The token that proves who asks: one for all threads, renewed before it ends.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::ObjectError;

/// A token is renewed when this much of its life is left, or a quarter of it where that is shorter.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// Longer lives are not believed.
const MAX_LIFE: Duration = Duration::from_secs(24 * 3600);
/// While a token still serves, a renewal delays the one call that makes it by no more than this.
const EARLY_TIMEOUT: Duration = Duration::from_secs(2);
/// After a refusal nobody asks for so long; after any failure, nobody does who still has a token.
const REST: Duration = Duration::from_secs(5);

/// What a token address gives out.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) token: String,
    pub(super) life: Duration,
}

/// The present token.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    state: Mutex<State>,
    renewed: Condvar,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// When it could not be renewed last, and why.
    failure: Option<(Instant, ObjectError)>,
    is_renewing: bool,
}

struct Token {
    text: Arc<str>,
    renew_at: Instant,
    ends_at: Instant,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("failure", &self.failure).finish_non_exhaustive()
    }
}

impl Tokens {
    /// The present token, or one that `ask` brings. One thread asks; the others use the old one, or wait
    /// if there is none.
    pub(super) fn get(
        &self,
        left: Duration,
        ask: impl FnOnce(Duration) -> Result<Grant, ObjectError>,
    ) -> Result<Arc<str>, ObjectError> {
        let began = Instant::now();
        let deadline = began + left;
        let mut state = self.lock();
        let old = loop {
            let now = Instant::now();
            if let Some(token) = state.token.as_ref().filter(|token| token.ends_at > now) {
                if token.renew_at > now || state.is_renewing || state.has_failed_since(now.checked_sub(REST)) {
                    return Ok(Arc::clone(&token.text));
                }
                break Some(Arc::clone(&token.text));
            }
            state.check_failure(began, now)?;
            if !state.is_renewing {
                break None;
            }
            let left = deadline.saturating_duration_since(now);
            if left.is_zero() {
                return Err(ObjectError::TimedOut("no token in time".to_owned()));
            }
            state = self.renewed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        };
        state.is_renewing = true;
        drop(state);
        let left = deadline.saturating_duration_since(Instant::now());
        self.renew(old, left, ask)
    }

    /// Uses this token no more: it was not taken.
    pub(super) fn forget(&self, text: &str) {
        let mut state = self.lock();
        // Another thread may have a new one by now.
        if state.token.as_ref().is_some_and(|token| *token.text == *text) {
            state.token = None;
        }
    }

    fn renew(
        &self,
        old: Option<Arc<str>>,
        left: Duration,
        ask: impl FnOnce(Duration) -> Result<Grant, ObjectError>,
    ) -> Result<Arc<str>, ObjectError> {
        let _renewing = Renewing(self);
        let asked = Instant::now();
        let result = ask(if old.is_some() { left.min(EARLY_TIMEOUT) } else { left });
        let mut state = self.lock();
        match (result, old) {
            (Ok(Grant { token, life }), _) => {
                let life = life.min(MAX_LIFE);
                let text: Arc<str> = token.into();
                let (ends_at, renew_at) = (asked + life, asked + life.saturating_sub(MARGIN.min(life / 4)));
                state.token = Some(Token { text: Arc::clone(&text), renew_at, ends_at });
                state.failure = None;
                Ok(text)
            }
            (Err(error), old) => {
                state.failure = Some((Instant::now(), again(&error)));
                old.ok_or(error)
            }
        }
    }

    /// Every change leaves it right, so a panic elsewhere does not matter.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_failed_since(&self, since: Option<Instant>) -> bool {
        self.failure.as_ref().is_some_and(|(at, _)| since.is_none_or(|since| *at >= since))
    }

    /// What failed while one waited failed for all who waited; and what was refused just now would be refused again.
    fn check_failure(&self, began: Instant, now: Instant) -> Result<(), ObjectError> {
        let Some((at, error)) = &self.failure else { return Ok(()) };
        let is_refused = matches!(error, ObjectError::Refused(_));
        if *at >= began || (is_refused && now.saturating_duration_since(*at) < REST) {
            return Err(again(error));
        }
        Ok(())
    }
}

/// The right to renew; given back whatever happens.
struct Renewing<'a>(&'a Tokens);

impl Drop for Renewing<'_> {
    fn drop(&mut self) {
        self.0.lock().is_renewing = false;
        self.0.renewed.notify_all();
    }
}

/// The same once more, for another thread.
fn again(error: &ObjectError) -> ObjectError {
    match error {
        ObjectError::Refused(reason) => ObjectError::Refused(reason.clone()),
        ObjectError::Unreachable(reason) => ObjectError::Unreachable(reason.clone()),
        ObjectError::TimedOut(reason) => ObjectError::TimedOut(reason.clone()),
        ObjectError::Failed(reason) => ObjectError::Failed(reason.clone()),
        ObjectError::Broken(reason) => ObjectError::Broken(reason.clone()),
        error @ (ObjectError::Missing | ObjectError::Content(_)) => ObjectError::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    const PATIENT: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    fn grant(token: &str, life: Duration) -> Result<Grant, ObjectError> {
        Ok(Grant { token: token.to_owned(), life })
    }

    fn failed() -> Result<Grant, ObjectError> {
        Err(ObjectError::Failed("500".to_owned()))
    }

    fn unasked(_: Duration) -> Result<Grant, ObjectError> {
        panic!("it is asked")
    }

    /// With a token that should be renewed.
    fn old() -> Tokens {
        let tokens = Tokens::default();
        tokens.get(PATIENT, |_| grant("old", HOUR)).unwrap();
        tokens.lock().token.as_mut().unwrap().renew_at = Instant::now();
        tokens
    }

    #[test]
    fn many_threads_ask_once() {
        let (tokens, n_asked) = (Tokens::default(), AtomicUsize::new(0));
        let ask = |_| {
            n_asked.fetch_add(1, Ordering::Relaxed);
            grant("a", HOUR)
        };
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| assert_eq!(&*tokens.get(PATIENT, ask).unwrap(), "a"));
            }
        });
        assert_eq!(n_asked.into_inner(), 1);
    }

    #[test]
    fn one_renews_while_the_others_use_the_old_one() {
        let tokens = old();
        let new = tokens.get(PATIENT, |left| {
            assert_eq!(left, EARLY_TIMEOUT);
            assert_eq!(&*tokens.get(PATIENT, unasked).unwrap(), "old");
            grant("new", HOUR)
        });
        assert_eq!(&*new.unwrap(), "new");
        assert_eq!(&*tokens.get(PATIENT, unasked).unwrap(), "new");
        tokens.forget("old");
        assert_eq!(&*tokens.get(PATIENT, unasked).unwrap(), "new");
        tokens.forget("new");
        assert_eq!(&*tokens.get(PATIENT, |_| grant("newer", HOUR)).unwrap(), "newer");
        let margin = {
            let state = tokens.lock();
            let token = state.token.as_ref().unwrap();
            token.ends_at - token.renew_at
        };
        assert_eq!(margin, MARGIN);
    }

    #[test]
    fn a_token_outlives_a_failing_renewal_and_then_rests() {
        let tokens = old();
        assert_eq!(&*tokens.get(PATIENT, |_| failed()).unwrap(), "old");
        assert_eq!(&*tokens.get(PATIENT, unasked).unwrap(), "old");
        tokens.lock().token.as_mut().unwrap().ends_at = Instant::now();
        assert!(tokens.get(PATIENT, |_| failed()).is_err(), "it has ended");
        assert_eq!(&*tokens.get(PATIENT, |_| grant("new", HOUR)).unwrap(), "new", "a failure is tried again");
    }

    #[test]
    fn who_waits_fails_with_who_asks() {
        let tokens = Tokens::default();
        let (asked, is_asked) = channel();
        let (go, goes) = channel();
        thread::scope(|scope| {
            let tokens = &tokens;
            let asking = scope.spawn(move || {
                tokens.get(PATIENT, |_| {
                    asked.send(()).unwrap();
                    goes.recv().unwrap();
                    Err(ObjectError::Refused("wrong key".to_owned()))
                })
            });
            is_asked.recv().unwrap();
            assert!(matches!(tokens.get(Duration::ZERO, unasked), Err(ObjectError::TimedOut(_))));
            let waiting = scope.spawn(move || tokens.get(PATIENT, unasked));
            go.send(()).unwrap();
            for thread in [asking, waiting] {
                let error = thread.join().unwrap().unwrap_err();
                assert!(matches!(error, ObjectError::Refused(reason) if reason == "wrong key"));
            }
        });
        assert!(tokens.get(PATIENT, unasked).is_err(), "it would be refused again");
        tokens.lock().failure.as_mut().unwrap().0 = Instant::now().checked_sub(REST).unwrap();
        assert_eq!(&*tokens.get(PATIENT, |_| grant("a", HOUR)).unwrap(), "a");
    }

    #[test]
    fn unlikely_lives_do_no_harm() {
        for life in [Duration::MAX, Duration::ZERO, Duration::from_millis(1)] {
            assert_eq!(&*Tokens::default().get(PATIENT, |_| grant("a", life)).unwrap(), "a");
        }
        let tokens = Tokens::default();
        let panicked = thread::scope(|scope| scope.spawn(|| tokens.get(PATIENT, |_| panic!("on purpose"))).join());
        assert!(panicked.is_err());
        assert_eq!(&*tokens.get(PATIENT, |_| grant("a", HOUR)).unwrap(), "a", "another may ask");
    }
}
