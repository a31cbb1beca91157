//! Eager transformations: what every upload is wanted as, made after it was answered, from one decode, so that the
//! first request for it is a hit. The queue is the index's: a job survives the end of the process, and is ended only
//! when all of its images are on disk, or cannot be made. While the index fails, jobs are kept in memory, and die with
//! the process.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::cold::{Job, Wanted};
use super::flights::lasting;
use super::stamps::Mark;
use super::turns::Turn;
use super::{Answer, Live, Made, MarkError, Service, ServiceError, State, StoreError, now_us};
use crate::index::Index;
use crate::store::Found;
use crate::transform::{SourcePath, Task, Transformation, VariantId};

/// How long a job belongs to who took it. It is renewed long before; so if nobody does, they are dead.
const LEASE: Duration = Duration::from_secs(10);
/// How soon a job that found no room, or a storage that fails, may be taken again.
const RETRY: Duration = Duration::from_secs(5);
/// How often the queue is looked at without a reason: others may have added to it, or died.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often it is looked at whether what was made is on disk, and for how long at most.
const SETTLE_INTERVAL: Duration = Duration::from_millis(20);
const MAX_SETTLE: Duration = Duration::from_secs(10);
/// A job that was begun so often has ended the process that did it, more likely than not.
const MAX_TRIES: u32 = 5;
/// Jobs in memory.
const MAX_UNSAVED: usize = 1000;

/// The way to the worker of the queue.
pub struct Eager {
    index: Arc<dyn Index>,
    events: Sender<Event>,
    n_unsaved: Arc<AtomicUsize>,
}

/// What the worker is told.
enum Event {
    /// There is a job in the queue of the index.
    Pushed,
    /// Here is one that could not be put there.
    Unsaved(String),
    /// The work on a job has ended.
    Told(String, Told),
}

/// How the work on a job went.
struct Told {
    made: Vec<VariantId>,
    /// Whether something failed that may succeed another time.
    is_failed: bool,
    at: Instant,
}

/// Takes jobs and has them done.
pub struct EagerWorker {
    events: Receiver<Event>,
    told: Sender<Event>,
    n_unsaved: Arc<AtomicUsize>,
    max_running: usize,
    running: HashMap<String, Running>,
    /// Jobs that only this process knows, and when they may be taken.
    unsaved: VecDeque<(Instant, String)>,
    /// The queue of the index may have something for us.
    may_claim: bool,
}

struct Running {
    renewed: Instant,
    told: Option<Told>,
}

/// What is told of the images of one job, until all are known.
struct Tally {
    source: String,
    n_left: AtomicUsize,
    told: Mutex<Told>,
}

impl Eager {
    /// A queue, and its worker, which does up to `max_running` jobs at once.
    #[must_use]
    pub fn new(index: Arc<dyn Index>, max_running: usize) -> (Self, EagerWorker) {
        let (sender, events) = channel();
        let worker = EagerWorker {
            events,
            told: sender.clone(),
            n_unsaved: Arc::default(),
            max_running: max_running.max(1),
            running: HashMap::new(),
            unsaved: VecDeque::new(),
            may_claim: true,
        };
        (Self { index, events: sender, n_unsaved: Arc::clone(&worker.n_unsaved) }, worker)
    }

    /// Adds a job. It survives the end of this process once this returns, unless the index fails.
    fn push(&self, source: &SourcePath) {
        let event = match self.index.push_job(source.as_str(), now_us()) {
            Ok(true) => Event::Pushed,
            Ok(false) => {
                return tracing::warn!("too many eager transformations wait: {source} is made when it is asked for");
            }
            Err(_) if has_room(&self.n_unsaved) => Event::Unsaved(source.as_str().to_owned()),
            Err(error) => {
                return tracing::warn!("{source} is made when it is asked for: {}", super::chain(&error));
            }
        };
        // Without a worker the server is at its end; the next one finds the job.
        let _ = self.events.send(event);
    }
}

impl EagerWorker {
    /// Works in a thread of its own, until the service ends.
    /// # Errors
    /// If there is no thread to be had.
    pub fn start(mut self, service: &Arc<Live<Service>>) -> std::io::Result<()> {
        let service = Arc::downgrade(service);
        thread::Builder::new().name("eager".to_owned()).spawn(move || while self.turn(&service) {})?;
        Ok(())
    }

    /// Waits for something to do, and does it. False at the end.
    fn turn(&mut self, service: &Weak<Live<Service>>) -> bool {
        let is_settling = self.running.values().any(|running| running.told.is_some());
        match self.events.recv_timeout(if is_settling { SETTLE_INTERVAL } else { INTERVAL }) {
            Ok(event) => self.note(event),
            Err(RecvTimeoutError::Timeout) => self.may_claim |= !is_settling,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        while let Ok(event) = self.events.try_recv() {
            self.note(event);
        }
        let Some(service) = service.upgrade().map(|service| service.get()) else {
            return false;
        };
        self.end_jobs(&service);
        while self.running.len() < self.max_running
            && let Some(source) = self.next_job(&service)
        {
            self.begin(&service, source);
        }
        true
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Pushed => self.may_claim = true,
            Event::Unsaved(source) => self.unsaved.push_back((Instant::now(), source)),
            Event::Told(source, told) => {
                if let Some(running) = self.running.get_mut(&source) {
                    running.told = Some(told);
                }
            }
        }
    }

    fn next_job(&mut self, service: &Service) -> Option<String> {
        let is_due = self.unsaved.front().is_some_and(|(due, _)| *due <= Instant::now());
        if let Some((_, source)) = self.unsaved.pop_front_if(|_| is_due) {
            self.n_unsaved.fetch_sub(1, Ordering::Relaxed);
            return Some(source);
        }
        while self.may_claim {
            // An index that fails has said so in the log.
            match service.eager.index.claim_job(now_us(), in_us(LEASE)) {
                Ok(Some(job)) if job.n_tries > MAX_TRIES => {
                    tracing::error!("eager transformations of {} are given up after {MAX_TRIES} tries", job.source);
                    service.end_job(&job.source);
                }
                // One whose lease ran out although its work goes on is ours already.
                Ok(Some(job)) if self.running.contains_key(&job.source) => {}
                Ok(Some(job)) => return Some(job.source),
                Ok(None) | Err(_) => self.may_claim = false,
            }
        }
        None
    }

    /// Begins the work on a job.
    fn begin(&mut self, service: &Arc<Service>, source: String) {
        let generation = service.cache.generation();
        let missing = match service.missing(&source) {
            Ok(missing) => missing,
            Err(error) if may_succeed_later(&error) => return self.put_back(service, &source),
            // It is gone, or never was.
            Err(_) => return service.end_job(&source),
        };
        let n_left = AtomicUsize::new(missing.len());
        let told = Told { made: Vec::new(), is_failed: false, at: Instant::now() };
        if missing.is_empty() {
            return service.end_job(&source);
        }
        self.running.insert(source.clone(), Running { renewed: Instant::now(), told: None });
        let tally = Arc::new(Tally { source, n_left, told: Mutex::new(told) });
        let wanted = missing.into_iter().filter_map(|answer| {
            let (id, tally, events) = (answer.id, Arc::clone(&tally), self.told.clone());
            let waiter = move |made: Made, _| tally.count(id, &made, &events);
            let interrupted = Err(Arc::new(ServiceError::Interrupted));
            let lead = service.workshop.flights.join((id, generation), interrupted, (waiter, lasting()))?;
            Some(Wanted { turn: Turn::free(), answer, lead })
        });
        let wanted: Vec<Wanted> = wanted.collect();
        // All of it may be under way for others already.
        if !wanted.is_empty() {
            Job::new(service, wanted, generation).start();
        }
    }

    /// Ends what is done, and keeps what is not.
    fn end_jobs(&mut self, service: &Service) {
        let has_failed = |running: &Running| running.told.as_ref().is_some_and(|told| told.is_failed);
        let failed: Vec<_> = self.running.extract_if(|_, running| has_failed(running)).collect();
        for (source, _) in failed {
            self.put_back(service, &source);
        }
        self.running.retain(|source, running| match &running.told {
            Some(told) => {
                let is_kept = told.made.iter().all(|id| service.cache.is_on_disk(id));
                let is_over = is_kept || told.at.elapsed() > MAX_SETTLE;
                if is_over {
                    service.end_job(source);
                }
                !is_over
            }
            None => {
                if running.renewed.elapsed() > LEASE / 3 {
                    service.renew_job(source);
                    running.renewed = Instant::now();
                }
                true
            }
        });
    }

    /// Has a job that found no room, or a storage that fails, done later, as if it had never been taken.
    fn put_back(&mut self, service: &Service, source: &str) {
        let is_saved = service.eager.index.push_job(source, in_us(RETRY)).is_ok();
        if !is_saved && has_room(&self.n_unsaved) {
            self.unsaved.push_back((Instant::now() + RETRY, source.to_owned()));
        }
    }
}

/// Whether an image that could not be made may be made another time.
fn may_succeed_later(error: &ServiceError) -> bool {
    let failed = |error: &StoreError| !matches!(error, StoreError::NotFound(_) | StoreError::TooLarge { .. });
    match error {
        ServiceError::Busy(_) => true,
        ServiceError::Store(error) | ServiceError::Watermark { cause: MarkError::Store(error), .. } => failed(error),
        _ => false,
    }
}

/// Takes a place for one more job in memory, if there is one.
fn has_room(n_unsaved: &AtomicUsize) -> bool {
    let add = |n_unsaved| if n_unsaved < MAX_UNSAVED { Some(n_unsaved + 1) } else { None };
    n_unsaved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_ok()
}

impl Tally {
    /// One image more is known.
    fn count(&self, id: VariantId, made: &Made, events: &Sender<Event>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match made.as_ref().map_err(|error| &**error) {
            Ok(_) => told.made.push(id),
            Err(error) if may_succeed_later(error) => told.is_failed = true,
            Err(error @ ServiceError::Watermark { .. }) => {
                tracing::error!("an eager transformation of {}: {}", self.source, super::chain(error));
            }
            // It is never going to be made.
            Err(error) => tracing::info!("an eager transformation of {}: {}", self.source, super::chain(error)),
        }
        if self.n_left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let told = Told { made: std::mem::take(&mut told.made), is_failed: told.is_failed, at: Instant::now() };
            // The worker may have ended.
            let _ = events.send(Event::Told(self.source.clone(), told));
        }
    }
}

impl Service {
    /// Has the eager transformations of a new image made.
    pub(super) fn make_eagerly(&self, source: &SourcePath) {
        if self.cache.keeps() && self.eager_transformations().next().is_some() {
            self.eager.push(source);
        }
    }

    fn eager_transformations(&self) -> impl Iterator<Item = &Arc<Transformation>> {
        self.catalog.named.values().filter(|transformation| transformation.is_eager)
    }

    /// The eager answers of a source that are not on disk.
    fn missing(&self, source: &str) -> Result<Vec<Answer>, ServiceError> {
        let source = SourcePath::new(source).map_err(|_| ServiceError::Interrupted)?;
        let Found { version, modified, .. } = self.storage.find(&source)?;
        let last_purge = self.cache.last_purge(&source);
        let mut answers = Vec::new();
        for transformation in self.eager_transformations() {
            let marks = match Mark::find_all(&*self.storage, transformation, 1) {
                Ok(marks) => marks,
                Err(error) if may_succeed_later(&error) => return Err(error),
                Err(error) => {
                    tracing::error!("an eager transformation of {source}: {}", super::chain(&error));
                    continue;
                }
            };
            let task = Task::Transform(Arc::clone(transformation), 1);
            answers.push(Answer::new(self, task, &source, State { version, modified, last_purge, marks }));
        }
        answers.retain(|answer| !self.cache.is_on_disk(&answer.id));
        Ok(answers)
    }

    // An index that fails has said so in the log. The job is taken again when its lease is over.

    fn renew_job(&self, source: &str) {
        let _ = self.eager.index.renew_job(source, in_us(LEASE));
    }

    fn end_job(&self, source: &str) {
        let _ = self.eager.index.end_job(source);
    }
}

impl fmt::Debug for Eager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Eager({} unsaved)", self.n_unsaved.load(Ordering::Relaxed))
    }
}

/// Microseconds since 1970, so much from now.
fn in_us(time: Duration) -> i64 {
    now_us().saturating_add(i64::try_from(time.as_micros()).unwrap_or(i64::MAX))
}
