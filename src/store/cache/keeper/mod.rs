//! The thread that writes: answers to files, records and uses to the index; and that makes room.

mod absence;
mod backlog;
mod room;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::complaints::is_away;
use super::files::{NewFile, Written};
use super::recall::Known;
use super::{CacheOptions, Fill, Shelf, use_us};
use crate::index::{Access, Gone, Record};
use crate::metrics::{self, Stage, metrics};
use crate::transform::VariantId;
use backlog::Backlog;

/// What may wait to be written: small answers for as long as a disk is busy with a checkpoint of the index; large ones by
/// their bytes, which the options bound.
const MAX_WAITING: usize = 4096;
/// Answers written in one transaction of the index, and so files that are open at once.
const MAX_BATCH: usize = 64;
/// How often uses are written down.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);
/// Answers whose uses wait to be written; more of them are not counted.
const MAX_TOUCHED: usize = 1 << 16;
/// How often files that servers share are looked through.
const TIDY_INTERVAL: Duration = Duration::from_hours(24);
/// How often it is told how full the cache is.
const SHOW_INTERVAL: Duration = Duration::from_secs(5);
/// Answers that are to be looked at more closely; more of them wait until they are asked for again.
const MAX_MENDING: usize = 64;

/// The thread, and what is handed to it.
#[derive(Debug)]
pub(super) struct Keeper {
    tasks: SyncSender<Task>,
    waiting_bytes: Arc<AtomicU64>,
    touched: Arc<Mutex<HashMap<VariantId, Access>>>,
    is_stopping: Arc<AtomicBool>,
    n_mending: Arc<AtomicUsize>,
    /// Those that are to hold; the thread takes them over within a second.
    options: Arc<Mutex<CacheOptions>>,
}

enum Task {
    Keep(Fill, Box<dyn FnOnce(bool) + Send>),
    Mend(VariantId),
    Stop(SyncSender<()>),
}

impl Keeper {
    pub(super) fn start(shelf: &Arc<Shelf>, options: CacheOptions) -> io::Result<Self> {
        let (tasks, received) = sync_channel(MAX_WAITING);
        let keeper = Self {
            tasks,
            waiting_bytes: Arc::default(),
            touched: Arc::default(),
            is_stopping: Arc::default(),
            n_mending: Arc::default(),
            options: Arc::new(Mutex::new(options)),
        };
        let n_returns = shelf.index.n_returns();
        let worker = Worker {
            shelf: Arc::clone(shelf),
            options,
            wanted_options: Arc::clone(&keeper.options),
            waiting_bytes: Arc::clone(&keeper.waiting_bytes),
            touched: Arc::clone(&keeper.touched),
            is_stopping: Arc::clone(&keeper.is_stopping),
            n_mending: Arc::clone(&keeper.n_mending),
            flushed: Instant::now(),
            name: crate::index::process_name(),
            backlog: Backlog::default(),
            n_returns,
            tidying: tidy(shelf, &keeper.is_stopping, n_returns)?,
            is_untidy: false,
            tidied: Instant::now(),
            must_look_again: false,
            shown: None,
        };
        thread::Builder::new().name("cache".to_owned()).spawn(move || worker.run(received))?;
        Ok(keeper)
    }

    pub(super) fn set_options(&self, options: CacheOptions) {
        *self.options.lock().unwrap_or_else(PoisonError::into_inner) = options;
    }

    pub(super) fn keep(&self, shelf: &Shelf, fill: Fill, done: Box<dyn FnOnce(bool) + Send>) {
        let n_bytes = fill.bytes.len() as u64;
        let max_bytes = self.options.lock().unwrap_or_else(PoisonError::into_inner).unwritten_bytes;
        let add = |waiting| if waiting < max_bytes { Some(waiting + n_bytes) } else { None };
        let has_room = self.waiting_bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).is_ok();
        let refused = if has_room {
            match self.tasks.try_send(Task::Keep(fill, done)) {
                Ok(()) => return,
                Err(TrySendError::Full(task) | TrySendError::Disconnected(task)) => {
                    self.waiting_bytes.fetch_sub(n_bytes, Ordering::SeqCst);
                    task
                }
            }
        } else {
            Task::Keep(fill, done)
        };
        // At the end of a server, what nobody waits for any more comes too late.
        if !self.is_stopping.load(Ordering::Relaxed) {
            shelf.complaints.note("keeping", "the disk is too slow for what is made; some of it is not kept");
        }
        if let Task::Keep(_, done) = refused {
            done(false);
        }
    }

    pub(super) fn mend(&self, id: &VariantId) {
        // If the keeper has no time for it, the next request finds the same again.
        if self.n_mending.fetch_add(1, Ordering::Relaxed) >= MAX_MENDING
            || self.tasks.try_send(Task::Mend(*id)).is_err()
        {
            self.n_mending.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn touch(&self, id: &VariantId) {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = touched.len() >= MAX_TOUCHED;
        match touched.entry(*id) {
            Entry::Occupied(mut access) => {
                let access = access.get_mut();
                access.count += 1;
                access.last_us = use_us();
            }
            Entry::Vacant(place) if !is_full => {
                place.insert(Access { id: id.0, count: 1, last_us: use_us() });
            }
            Entry::Vacant(_) => {}
        }
    }

    pub(super) fn stop(&self, timeout: Duration) -> bool {
        self.is_stopping.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + timeout;
        let (sender, done) = sync_channel(1);
        let mut task = Task::Stop(sender);
        // The queue may be full of answers that are still to be written.
        while let Err(error) = self.tasks.try_send(task) {
            match error {
                TrySendError::Full(back) if Instant::now() < deadline => {
                    task = back;
                    thread::park_timeout(Duration::from_millis(1));
                }
                _ => return false,
            }
        }
        done.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok()
    }
}

/// A pass over the cache, which ends early with the server, or when the index was away meanwhile.
fn tidy(shelf: &Arc<Shelf>, is_stopping: &Arc<AtomicBool>, n_returns: u64) -> io::Result<JoinHandle<()>> {
    let (shelf, is_stopping) = (Arc::clone(shelf), Arc::clone(is_stopping));
    let is_over = {
        let index = Arc::clone(&shelf.index);
        move || is_stopping.load(Ordering::Relaxed) || index.n_returns() != n_returns
    };
    thread::Builder::new().name("cache-tidy".to_owned()).spawn(move || shelf.tidy(&is_over))
}

struct Worker {
    shelf: Arc<Shelf>,
    options: CacheOptions,
    wanted_options: Arc<Mutex<CacheOptions>>,
    waiting_bytes: Arc<AtomicU64>,
    touched: Arc<Mutex<HashMap<VariantId, Access>>>,
    is_stopping: Arc<AtomicBool>,
    n_mending: Arc<AtomicUsize>,
    flushed: Instant,
    /// Tells it from those of other servers.
    name: String,
    /// What the index could not be told.
    backlog: Backlog,
    /// How often it was back when it was told all.
    n_returns: u64,
    /// The last pass over the cache, and whether there is to be another.
    tidying: JoinHandle<()>,
    is_untidy: bool,
    /// When the last one began.
    tidied: Instant,
    /// Whether the limit may be exceeded by what several servers have written at once.
    must_look_again: bool,
    /// When it was told last how full the cache is.
    shown: Option<Instant>,
}

/// An answer on its way, and who wants to know.
struct Pending {
    fill: Fill,
    done: Box<dyn FnOnce(bool) + Send>,
    /// Its file, locked until its record is there.
    written: Option<Written>,
}

impl Pending {
    fn file(&self) -> NewFile<'_> {
        let Fill { id, format, bytes, modified, .. } = &self.fill;
        NewFile { id: *id, format: *format, bytes, modified: *modified }
    }
}

impl Worker {
    fn run(mut self, tasks: Receiver<Task>) {
        // The limit may be lower than it was.
        self.contain(|worker| {
            if let Err(error) = worker.make_room(0) {
                worker.shelf.complaints.about("making room", &error);
            }
        });
        loop {
            let until_flush = FLUSH_INTERVAL.saturating_sub(self.flushed.elapsed());
            let mut next = match tasks.recv_timeout(until_flush) {
                Ok(task) => Some(task),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    self.flush();
                    return;
                }
            };
            let mut batch = Batch::default();
            while let Some(task) = next {
                match task {
                    Task::Keep(fill, done) => batch.add(fill, done),
                    Task::Mend(id) => {
                        self.n_mending.fetch_sub(1, Ordering::Relaxed);
                        self.contain(|worker| worker.mend(&id));
                    }
                    Task::Stop(done) => {
                        self.contain(|worker| worker.keep(batch));
                        self.catch_up();
                        self.flush();
                        refuse_all(tasks);
                        // Who asked may have stopped waiting.
                        let _ = done.send(());
                        return;
                    }
                }
                next = if batch.is_full(self.options.limit_bytes) { None } else { tasks.try_recv().ok() };
            }
            self.contain(|worker| worker.keep(batch));
            if self.flushed.elapsed() >= FLUSH_INTERVAL {
                self.contain(Self::catch_up);
                self.contain(Self::look_again);
                self.flush();
                self.contain(Self::show);
            }
            self.contain(Self::take_options);
        }
    }

    /// Goes on by other options, if there are some. The limit may be lower than it was.
    fn take_options(&mut self) {
        let options = *self.wanted_options.lock().unwrap_or_else(PoisonError::into_inner);
        if options == self.options {
            return;
        }
        self.options = options;
        if let Err(error) = self.make_room(0) {
            self.shelf.complaints.about("making room", &error);
        }
    }

    /// Tells how full the cache is, for `/metrics`.
    fn show(&mut self) {
        if self.shown.is_some_and(|shown| shown.elapsed() < SHOW_INTERVAL) {
            return;
        }
        self.shown = Some(Instant::now());
        if let Ok(totals) = self.shelf.index.totals() {
            metrics::show(&metrics().cache_files, totals.records);
            metrics::show(&metrics().cache_bytes, totals.bytes);
        }
        let waiting_bytes = self.waiting_bytes.load(Ordering::Relaxed);
        let gauge = metrics().in_flight_bytes.with_label_values(&["cache"]);
        metrics::show(&gauge, waiting_bytes);
    }

    /// A panic costs what is at hand, not the thread.
    fn contain(&mut self, work: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| work(self))).is_err() {
            self.shelf.complaints.note("keeping", "a task panicked");
        }
    }

    /// Writes answers and their records. Each is told of its end, whatever happens.
    fn keep(&mut self, batch: Batch) {
        self.waiting_bytes.fetch_sub(batch.n_bytes, Ordering::SeqCst);
        let limit = self.options.limit_bytes;
        // What can never fit pushes nobody out.
        let fits = |pending: &Pending| limit == 0 || pending.fill.bytes.len() as u64 <= limit;
        let (mut pending, too_large): (Vec<_>, Vec<_>) = batch.pending.into_iter().partition(fits);
        for pending in too_large {
            (pending.done)(false);
        }
        if pending.is_empty() {
            return;
        }
        let n_bytes = pending.iter().map(|pending| pending.fill.bytes.len() as u64).sum();
        let has_room = match self.make_room(n_bytes) {
            Ok(()) => true,
            Err(error) => {
                self.shelf.complaints.about("making room", &error);
                is_away(&error) && self.backlog.has_room(pending.len(), n_bytes, limit)
            }
        };
        if has_room {
            self.write(&mut pending);
        }
        let (written, failed): (Vec<_>, Vec<_>) = pending.into_iter().partition(|pending| pending.written.is_some());
        let is_kept = self.record(&written);
        for (pending, is_kept) in written.into_iter().zip(is_kept) {
            drop(pending.written);
            (pending.done)(is_kept);
        }
        for pending in failed {
            (pending.done)(false);
        }
    }

    fn write(&self, pending: &mut [Pending]) {
        let files: Vec<NewFile> = pending.iter().map(Pending::file).collect();
        let began = Instant::now();
        let written = self.shelf.files.write(&files);
        // They are written together.
        let seconds = began.elapsed().as_secs_f64() / files.len() as f64;
        files.iter().for_each(|_| metrics().observe(Stage::Store, seconds));
        for (pending, written) in pending.iter_mut().zip(written) {
            match written {
                Ok(written) => pending.written = Some(written),
                Err(error) => self.shelf.complaints.about("writing a file", &error),
            }
        }
    }

    /// Records files that are written; those that get no record are removed. Tells which have one.
    fn record(&mut self, written: &[Pending]) -> Vec<bool> {
        if written.is_empty() {
            return Vec::new();
        }
        let records: Vec<(Record, u64)> =
            written.iter().map(|pending| (record_of(&pending.fill), pending.fill.generation)).collect();
        let is_kept = match self.shelf.index.insert(&records) {
            Ok(inserted) => {
                self.shelf.remove_files(&inserted.gone);
                let is_kept = inserted.is_kept.iter().zip(written);
                is_kept.map(|(is_kept, pending)| *is_kept && self.is_still_there(pending)).collect()
            }
            Err(error) if is_away(&error) => self.defer(&records, written),
            Err(error) => {
                self.shelf.complaints.about("writing the index", &error);
                vec![false; written.len()]
            }
        };
        for ((record, _), _) in records.iter().zip(&is_kept).filter(|(_, is_kept)| **is_kept) {
            self.shelf.recall.note(&VariantId(record.id), Known::of(record));
        }
        // One that has lost its name to an answer made after a purge leaves that alone.
        let unkept = written.iter().zip(&is_kept).filter(|(pending, is_kept)| !**is_kept && has_name(pending));
        for (pending, _) in unkept {
            if let Err(error) = self.shelf.files.remove(&pending.fill.id, pending.fill.format) {
                self.shelf.complaints.about("removing a file", &error);
            }
        }
        is_kept
    }

    /// Whether the file of an answer is there now that it is recorded: a purge by another process may have removed it,
    /// as the one that had its name before. From now on none will, but with its record.
    fn is_still_there(&self, pending: &Pending) -> bool {
        has_name(pending)
            || self.shelf.mend(&pending.fill.id).unwrap_or_else(|error| {
                self.shelf.complaints.about("mending", &error);
                false
            })
    }

    /// Writes down what was used; false if the index is away, and it has to be done once more.
    fn flush(&mut self) -> bool {
        self.flushed = Instant::now();
        let touched = mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner));
        if touched.is_empty() {
            return true;
        }
        let accesses: Vec<Access> = touched.into_values().collect();
        let Err(error) = self.shelf.index.touch(&accesses) else {
            return true;
        };
        if is_away(&error) {
            put_back(&self.touched, accesses);
            return false;
        }
        self.shelf.complaints.about("writing down uses", &error);
        true
    }

    /// Removes the record of an answer whose file is not what it should be, and the file.
    fn mend(&self, id: &VariantId) {
        if let Err(error) = self.shelf.mend(id) {
            self.shelf.complaints.about("mending", &error);
        }
    }
}

/// Whether the file of an answer still has its name.
fn has_name(pending: &Pending) -> bool {
    pending.written.as_ref().is_some_and(Written::has_name)
}

/// Uses that could not be written down count with those that have come since.
fn put_back(touched: &Mutex<HashMap<VariantId, Access>>, accesses: Vec<Access>) {
    let mut touched = touched.lock().unwrap_or_else(PoisonError::into_inner);
    for access in accesses {
        let is_full = touched.len() >= MAX_TOUCHED;
        match touched.entry(VariantId(access.id)) {
            Entry::Occupied(mut newer) => {
                let newer = newer.get_mut();
                newer.count += access.count;
                newer.last_us = newer.last_us.max(access.last_us);
            }
            Entry::Vacant(place) if !is_full => drop(place.insert(access)),
            Entry::Vacant(_) => {}
        }
    }
}

/// Tells those who came too late.
fn refuse_all(tasks: Receiver<Task>) {
    for task in tasks.try_iter() {
        if let Task::Keep(_, done) = task {
            done(false);
        }
    }
}

/// What is written at once.
#[derive(Default)]
struct Batch {
    pending: Vec<Pending>,
    n_bytes: u64,
}

impl Batch {
    fn add(&mut self, fill: Fill, done: Box<dyn FnOnce(bool) + Send>) {
        self.n_bytes += fill.bytes.len() as u64;
        self.pending.push(Pending { fill, done, written: None });
    }

    /// Whether more would keep files open, or claim much of a small cache at once.
    fn is_full(&self, limit_bytes: u64) -> bool {
        self.pending.len() >= MAX_BATCH || (limit_bytes > 0 && self.n_bytes > limit_bytes / 20)
    }
}

impl Shelf {
    /// Removes the files of records that are gone.
    pub(super) fn remove_files(&self, gone: &[Gone]) {
        self.recall.forget(gone);
        let file = |gone: &Gone| Some((VariantId(gone.id), super::format_named(&gone.extension)?));
        let files: Vec<_> = gone.iter().filter_map(file).collect();
        for error in self.files.remove_all(&files).into_iter().filter_map(Result::err) {
            self.complaints.about("removing a file", &error);
        }
    }
}

fn record_of(fill: &Fill) -> Record {
    let now = use_us();
    Record {
        id: fill.id.0,
        source: fill.source.as_str().to_owned(),
        version: fill.version.to_string(),
        description: fill.description.clone(),
        extension: fill.format.extension().to_owned(),
        bytes: fill.bytes.len() as u64,
        checksum: crc32fast::hash(&fill.bytes),
        made_us: now,
        last_access_us: now,
        count: 1,
    }
}
