//! Who makes an image, where several servers share an index: the one that has claimed it. The others wait until the claim
//! is free again, and then find what was made. A claim ends by itself soon after its server; while the index is away
//! there are none, and nobody waits.
//!
//! A thread of its own asks again for those who wait, and keeps claims as long as they are needed: no thread of the
//! workshop stands still for it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::index::{Index, process_name};
use crate::transform::VariantId;

/// How long a claim outlives its server.
const CLAIM: Duration = Duration::from_secs(5);
const RENEWAL: Duration = Duration::from_millis(1500);
/// How long one waits for a server that lives, but does not end its work.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// How often those who wait ask again: at first, and later.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(160);
/// Tasks, and time for those who wait, in a round.
const MAX_ROUND: usize = 100;
const MAX_ROUND_TIME: Duration = Duration::from_millis(300);
/// What may wait; more is made without a claim.
const MAX_WAITING: usize = 1000;

/// The claims of a server.
pub struct Turns {
    index: Arc<dyn Index>,
    tasks: Option<Sender<Task>>,
    n_waiting: Arc<AtomicUsize>,
}

/// The right to make an image, as long as it lives.
pub(super) struct Turn {
    /// `None` if nobody else is asked.
    held: Option<(VariantId, Sender<Task>)>,
}

enum Task {
    Wait(Waiting),
    Keep(VariantId),
    Release(VariantId),
}

struct Waiting {
    id: VariantId,
    since: Instant,
    pause: Duration,
    next: Instant,
    go: Box<dyn FnOnce(Turn) + Send>,
    tasks: Sender<Task>,
}

struct Worker {
    index: Arc<dyn Index>,
    tasks: Receiver<Task>,
    n_waiting: Arc<AtomicUsize>,
    waiting: Vec<Waiting>,
    /// What is claimed, how often, and when the claim is renewed.
    held: HashMap<VariantId, (usize, Instant)>,
}

impl Turns {
    /// Claims in an index, if servers share it.
    /// # Errors
    /// If there is no thread to be had.
    pub fn new(index: Arc<dyn Index>) -> io::Result<Self> {
        let n_waiting = Arc::new(AtomicUsize::new(0));
        if index.shared().is_none() {
            return Ok(Self { index, tasks: None, n_waiting });
        }
        let (sender, tasks) = channel();
        let worker = Worker {
            index: Arc::clone(&index),
            tasks,
            n_waiting: Arc::clone(&n_waiting),
            waiting: Vec::new(),
            held: HashMap::new(),
        };
        thread::Builder::new().name("turns".to_owned()).spawn(move || worker.run())?;
        Ok(Self { index, tasks: Some(sender), n_waiting })
    }

    /// The turn to make an image, if it is this server's now, or if there is nobody to wait for.
    pub(super) fn now(&self, id: VariantId) -> Option<Turn> {
        let Some(tasks) = &self.tasks else {
            return Some(Turn::free());
        };
        match claim(&*self.index, &id) {
            Some(true) => Some(Turn::hold(id, tasks)),
            Some(false) if self.n_waiting.load(Ordering::Relaxed) < MAX_WAITING => None,
            Some(false) | None => Some(Turn::free()),
        }
    }

    /// Calls `go` when it is this server's turn, from the thread of the turns; so `go` must be short.
    pub(super) fn wait(&self, id: VariantId, go: impl FnOnce(Turn) + Send + 'static) {
        let Some(tasks) = &self.tasks else {
            return go(Turn::free());
        };
        self.n_waiting.fetch_add(1, Ordering::Relaxed);
        let (since, pause) = (Instant::now(), FIRST_PAUSE);
        let waiting = Waiting { id, since, pause, next: since + pause, go: Box::new(go), tasks: tasks.clone() };
        // The thread lives as long as this.
        let _ = tasks.send(Task::Wait(waiting));
    }
}

/// Whether a claim is ours now; `None` if the index does not say.
fn claim(index: &dyn Index, id: &VariantId) -> Option<bool> {
    index.shared()?.claim(&id.to_string(), &process_name(), CLAIM).ok()
}

impl Turn {
    /// One that asks nobody.
    pub(super) fn free() -> Self {
        Self { held: None }
    }

    fn hold(id: VariantId, tasks: &Sender<Task>) -> Self {
        let _ = tasks.send(Task::Keep(id));
        Self { held: Some((id, tasks.clone())) }
    }

    /// Whether others wait for this one.
    pub(super) fn is_claimed(&self) -> bool {
        self.held.is_some()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((id, tasks)) = self.held.take() {
            // Without the thread the process is at its end, and the claim soon.
            let _ = tasks.send(Task::Release(id));
        }
    }
}

impl Worker {
    fn run(mut self) {
        loop {
            let now = Instant::now();
            let next_wait = self.waiting.iter().map(|waiting| waiting.next).min();
            let next_renewal = self.held.values().map(|(_, renewal)| *renewal).min();
            let next = next_wait.into_iter().chain(next_renewal).min().unwrap_or(now + RENEWAL);
            match self.tasks.recv_timeout(next.saturating_duration_since(now)) {
                Ok(task) => self.note(task),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // In rounds, so that claims are renewed in time however much there is to do.
            for _ in 0..MAX_ROUND {
                match self.tasks.try_recv() {
                    Ok(task) => self.note(task),
                    Err(_) => break,
                }
            }
            self.renew();
            self.ask_again();
        }
    }

    fn note(&mut self, task: Task) {
        match task {
            Task::Wait(waiting) => self.waiting.push(waiting),
            Task::Keep(id) => {
                let (count, renewal) = self.held.entry(id).or_insert((0, Instant::now()));
                if *count == 0 {
                    // It may have been released between its claim and now, as that of a turn before.
                    let _ = claim(&*self.index, &id);
                    *renewal = Instant::now() + RENEWAL;
                }
                *count += 1;
            }
            Task::Release(id) => {
                let Some((count, _)) = self.held.get_mut(&id) else {
                    return;
                };
                *count -= 1;
                if *count == 0 {
                    self.held.remove(&id);
                    if let Some(shared) = self.index.shared() {
                        // If that fails, it ends by itself.
                        let _ = shared.release(&id.to_string(), &process_name());
                    }
                }
            }
        }
    }

    fn renew(&mut self) {
        let now = Instant::now();
        for (id, (_, renewal)) in &mut self.held {
            if *renewal <= now {
                // If another has it by now, the work is done twice.
                let _ = claim(&*self.index, id);
                *renewal = now + RENEWAL;
            }
        }
    }

    /// Lets those go whose turn it is, and those who have waited for too long.
    fn ask_again(&mut self) {
        let now = Instant::now();
        let mut index = 0;
        while index < self.waiting.len() {
            let waiting = &mut self.waiting[index];
            if waiting.next > now {
                index += 1;
                continue;
            }
            let is_late = waiting.since.elapsed() >= MAX_WAIT;
            if !is_late && now.elapsed() > MAX_ROUND_TIME {
                return;
            }
            let claimed = if is_late { None } else { claim(&*self.index, &waiting.id) };
            if claimed == Some(false) {
                waiting.pause = (waiting.pause * 2).min(LAST_PAUSE);
                waiting.next = now + waiting.pause;
                index += 1;
                continue;
            }
            let Waiting { id, go, tasks, .. } = self.waiting.swap_remove(index);
            self.n_waiting.fetch_sub(1, Ordering::Relaxed);
            go(if claimed == Some(true) { Turn::hold(id, &tasks) } else { Turn::free() });
        }
    }
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turns({} waiting)", self.n_waiting.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::index::{Redis, SqliteIndex, Storage};

    const PATIENCE: Duration = Duration::from_secs(30);
    const ID: VariantId = VariantId([7; 32]);

    /// Turns of this process, beside others that claim by themselves.
    struct Shared {
        redis: Redis,
        index: Arc<dyn Index>,
        turns: Turns,
    }

    impl Shared {
        fn start() -> Option<Self> {
            let redis = Redis::start_on(Storage::Memory)?;
            let index: Arc<dyn Index> = Arc::new(redis.open());
            let turns = Turns::new(Arc::clone(&index)).unwrap();
            Some(Self { redis, index, turns })
        }

        fn claim_for(&self, who: &str, time: Duration) -> bool {
            self.index.shared().unwrap().claim(&ID.to_string(), who, time).unwrap()
        }

        /// How long the claim lasts if nobody renews it; 0 if there is none.
        fn left(&self) -> Duration {
            let name = format!("pixlserv:claim:{ID}");
            let left_ms: i64 = redis::cmd("PTTL").arg(name).query(&mut self.redis.server.connect()).unwrap();
            Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))
        }

        /// Waits for a turn; tells whether it is claimed.
        fn wait(&self) -> Receiver<Turn> {
            let (sender, told) = channel();
            self.turns.wait(ID, move |turn| sender.send(turn).unwrap());
            told
        }
    }

    fn wait(what: &str, mut question: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !question() {
            assert!(Instant::now() < deadline, "{what}");
            thread::park_timeout(Duration::from_millis(2));
        }
    }

    #[test]
    fn alone_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let index = Arc::new(SqliteIndex::open(&folder.path().join("index.sqlite")).unwrap());
        let turns = Turns::new(index).unwrap();
        let turn = turns.now(ID).unwrap();
        assert!(!turn.is_claimed() && turns.now(ID).is_some());
        let (sender, told) = channel();
        turns.wait(ID, move |turn| sender.send(turn.is_claimed()).unwrap());
        assert_eq!(told.try_recv(), Ok(false), "at once");
    }

    #[test]
    fn a_turn_is_claimed_as_long_as_it_lives() {
        let Some(shared) = Shared::start() else { return };
        let turn = shared.turns.now(ID).unwrap();
        assert!(turn.is_claimed() && !shared.claim_for("another", CLAIM));
        let again = shared.turns.now(ID).expect("what this server has, it has twice");
        assert!(shared.turns.now(VariantId([8; 32])).is_some());
        drop(turn);
        wait("the claim is about to end", || shared.left() < CLAIM - Duration::from_millis(500));
        wait("it is renewed", || shared.left() > CLAIM - Duration::from_millis(500));
        assert!(!shared.claim_for("another", CLAIM));
        drop(again);
        wait("it is free", || shared.left().is_zero());
        assert!(shared.claim_for("another", CLAIM));
        assert!(shared.turns.now(ID).is_none());
    }

    #[test]
    fn those_who_wait_get_their_turn() {
        let Some(shared) = Shared::start() else { return };
        assert!(shared.claim_for("another", PATIENCE));
        assert!(shared.turns.now(ID).is_none());
        let told = shared.wait();
        assert!(told.recv_timeout(Duration::from_millis(300)).is_err(), "another has it");
        shared.index.shared().unwrap().release(&ID.to_string(), "another").unwrap();
        let turn = told.recv_timeout(PATIENCE).unwrap();
        assert!(turn.is_claimed() && !shared.claim_for("another", CLAIM));
        drop(turn);
        wait("it is free", || shared.left().is_zero());
        // One that died.
        assert!(shared.claim_for("another", Duration::from_millis(200)));
        assert!(shared.wait().recv_timeout(PATIENCE).unwrap().is_claimed());
        assert_eq!(shared.turns.n_waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn no_more_wait_than_may() {
        let Some(shared) = Shared::start() else { return };
        assert!(shared.claim_for("another", PATIENCE));
        let waiting: Vec<_> = (0..MAX_WAITING).map(|_| shared.wait()).collect();
        assert!(!shared.turns.now(ID).expect("it is made at once").is_claimed());
        shared.index.shared().unwrap().release(&ID.to_string(), "another").unwrap();
        for told in waiting {
            assert!(told.recv_timeout(PATIENCE).unwrap().is_claimed());
        }
        assert_eq!(shared.turns.n_waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn without_the_index_nobody_waits() {
        let Some(mut shared) = Shared::start() else { return };
        assert!(shared.claim_for("another", PATIENCE));
        let waiting = [shared.wait(), shared.wait()];
        let held = shared.turns.now(VariantId([8; 32])).unwrap();
        shared.redis.server.kill();
        for told in waiting {
            assert!(!told.recv_timeout(MAX_WAIT / 2).unwrap().is_claimed());
        }
        wait("its absence is known", || shared.index.totals().is_err());
        assert!(!shared.turns.now(ID).unwrap().is_claimed());
        drop(held);
        shared.redis.server.restart();
        wait("it is back", || shared.turns.now(ID).unwrap().is_claimed());
    }
}
