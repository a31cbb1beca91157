//! The way of an image that nobody has made yet: a place, its source, memory for its pixels, and a worker that draws
//! it. Each step runs where it belongs: reading on the io threads, pixels on a pool with one thread per core. What
//! waits in between holds neither a thread nor the source.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{io, mem};

use rayon::ThreadPool;
use rustix::process::setpriority_process;
use rustix::thread::gettid;

use super::cache::MakeLead;
use super::flights::Flights;
use super::gate::{Busy, Gate, GateLimits, Ticket};
use super::turns::Turn;
use super::{Answer, Gathered, Image, Made, MadeImage, MarkFiles, Origin, Service, ServiceError, StoreError};
use crate::metrics::{Stage, StageTimes, Stopwatch, metrics};
use crate::pipeline::{self, Encoded, Part, codec};
use crate::plan::Plan;
use crate::raster::Header;
use crate::transform::{Task, VariantId};

/// How often a source that changes while it is read is read again.
const READ_TRIES: usize = 3;

/// Where images are made.
#[derive(Debug)]
pub struct Workshop {
    /// Threads that may wait for disks and networks.
    pub(super) io: Arc<ThreadPool>,
    /// Threads that store uploads: those that wait for a network are others than `io`, so that nobody waits for them.
    pub(super) storing: Arc<ThreadPool>,
    /// Threads that decode, resize and encode.
    pixels: Arc<ThreadPool>,
    /// In front of reading: bounds the sources in memory.
    reading: Arc<Gate>,
    /// In front of the pixels: bounds what they take in memory.
    drawing: Arc<Gate>,
    /// What one image may take.
    most_bytes: AtomicU64,
    pub(super) flights: Arc<Flights<(VariantId, u64), Made>>,
}

impl Workshop {
    /// A workshop with a bound on what waits, in number and in bytes, and on what one image may take.
    #[must_use]
    pub fn new(
        (io, storing): (Arc<ThreadPool>, Arc<ThreadPool>),
        pixels: ThreadPool,
        (reading, drawing): (GateLimits, GateLimits),
        most_bytes: u64,
    ) -> Self {
        let (reading, drawing) = (Gate::new("sources", reading), Gate::new("pixels", drawing));
        let most_bytes = AtomicU64::new(most_bytes);
        Self { io, storing, pixels: Arc::new(pixels), reading, drawing, most_bytes, flights: Flights::new() }
    }

    /// Other bounds from now on, but for the numbers of places.
    pub fn set_limits(&self, (reading, drawing): (GateLimits, GateLimits), most_bytes: u64) {
        self.most_bytes.store(most_bytes, Ordering::Relaxed);
        self.reading.set_limits(reading);
        self.drawing.set_limits(drawing);
    }

    /// Whether an image that needs so many bytes may be made at all.
    pub(super) fn admits(&self, bytes: u64) -> Result<(), ServiceError> {
        let limit = self.most_bytes.load(Ordering::Relaxed);
        if bytes > limit { Err(ServiceError::TooLarge { bytes, limit }) } else { Ok(()) }
    }

    /// Has a file of so many bytes read, once there is room for it; or `work` is told that there is none, wherever that
    /// is found.
    pub(super) fn read(&self, n_bytes: u64, work: impl FnOnce(Result<Ticket, Busy>) + Send + 'static) {
        admit(&self.reading, &self.io, n_bytes, work);
    }

    /// The same for pixels that need so many bytes.
    pub(super) fn draw(&self, n_bytes: u64, work: impl FnOnce(Result<Ticket, Busy>) + Send + 'static) {
        admit(&self.drawing, &self.pixels, n_bytes, work);
    }
}

fn admit(
    gate: &Arc<Gate>,
    threads: &Arc<ThreadPool>,
    n_bytes: u64,
    work: impl FnOnce(Result<Ticket, Busy>) + Send + 'static,
) {
    let threads = Arc::clone(threads);
    gate.enter(n_bytes, move |entered| match entered {
        Err(busy) => work(Err(busy)),
        Ok(ticket) => threads.spawn_fifo(move || work(Ok(ticket))),
    });
}

/// Threads for one kind of work. `niceness` is how much of the processor they leave to others: those who only have to
/// send what is there should not stand behind those who compute.
/// # Errors
/// If the threads cannot be started.
pub fn threads(kind: &'static str, n_threads: usize, niceness: i32) -> io::Result<ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(n_threads)
        .thread_name(move |index| format!("{kind}-{index}"))
        .start_handler(move |_| {
            // A system that does not allow it runs them as all others.
            let _ = setpriority_process(Some(gettid()), niceness);
        })
        // Whoever waits for the work is told by what is dropped; the panic itself is in the log.
        .panic_handler(std::mem::forget)
        .build()
        .map_err(io::Error::other)
}

/// A source on its way to the answers that are wanted of it: one decode for all of them.
pub(super) struct Job {
    pub(super) service: Arc<Service>,
    /// At least one; all of the same source and the same state of it. The original is wanted alone.
    pub(super) wanted: Vec<Wanted>,
    /// Of the cache, when the work began.
    pub(super) generation: u64,
    pub(super) watch: Stopwatch,
}

/// An answer, and who waits for it.
pub(super) struct Wanted {
    pub(super) answer: Answer,
    pub(super) lead: MakeLead,
    pub(super) turn: Turn,
}

/// What is to be done with a source.
struct Prepared {
    /// One for each that is wanted, and its stamps.
    plans: Vec<Plan>,
    gathered: Vec<Gathered>,
    /// What its pixels need.
    bytes: u64,
}

impl Job {
    /// Work on one source for all of these.
    pub(super) fn new(service: &Arc<Service>, wanted: Vec<Wanted>, generation: u64) -> Self {
        Self { service: Arc::clone(service), wanted, generation, watch: Stopwatch::default() }
    }

    /// Begins when its turn comes; the requests that wait for the images then are told of their end.
    pub(super) fn start(mut self) {
        self.watch.enter(Stage::Queue);
        let service = Arc::clone(&self.service);
        let source_bytes = self.wanted.first().map_or(0, |wanted| wanted.answer.version.size_bytes);
        let marks = self.wanted.iter().flat_map(|wanted| &wanted.answer.marks);
        let n_bytes = source_bytes + marks.map(|mark| mark.version.size_bytes).sum::<u64>();
        service.workshop.read(n_bytes, move |entered| match entered {
            Err(busy) => {
                if self.begin() {
                    self.fail(ServiceError::Busy(busy));
                }
            }
            Ok(reading) => self.read(reading),
        });
    }

    /// Keeps what is still waited for; false if nothing is.
    fn begin(&mut self) -> bool {
        let n_wanted = self.wanted.len();
        self.wanted.retain_mut(|wanted| wanted.lead.begin());
        metrics().abandoned.inc_by((n_wanted - self.wanted.len()) as u64);
        !self.wanted.is_empty()
    }

    fn read(mut self, reading: Ticket) {
        if !self.begin() {
            return;
        }
        self.watch.enter(Stage::Fetch);
        let source = match self.read_source() {
            Ok(source) => source,
            Err(error) => return self.fail(error),
        };
        if self.wanted.iter().all(|wanted| matches!(wanted.answer.task, Task::Original)) {
            return self.give_original(source);
        }
        let Some(Prepared { plans, gathered, bytes }) = self.prepare(&source) else {
            return;
        };
        if let Err(error) = self.service.workshop.admits(bytes) {
            return self.fail(error);
        }
        self.watch.enter(Stage::Queue);
        let service = Arc::clone(&self.service);
        service.workshop.draw(bytes, move |entered| match entered {
            Err(busy) => self.fail(ServiceError::Busy(busy)),
            Ok(drawing) => self.draw(source, &plans, gathered, (reading, drawing)),
        });
    }

    /// Decides what is to be done, a plan for each that is still wanted then; `None` if nothing can be, and all who wait
    /// have been told.
    fn prepare(&mut self, source: &[u8]) -> Option<Prepared> {
        let header = codec::probe(source, self.service.limits);
        let service = Arc::clone(&self.service);
        let mut files = MarkFiles::new(&*service.storage, service.limits);
        let (mut plans, mut all_gathered) = (Vec::new(), Vec::new());
        let (mut held_bytes, mut output_bytes) = (0, 0);
        for mut wanted in mem::take(&mut self.wanted) {
            let planned = header
                .clone()
                .map_err(ServiceError::from)
                .and_then(|header| Self::plan(&service, &mut files, &wanted, &header));
            match planned {
                Ok((plan, gathered)) => {
                    held_bytes += gathered.held_bytes;
                    output_bytes = output_bytes.max(plan.output_bytes() + gathered.work_bytes);
                    // What is drawn is what the watermarks are now.
                    if gathered.marks != wanted.answer.marks {
                        wanted.answer = wanted.answer.with_marks(&self.service, gathered.marks.clone());
                    }
                    plans.push(plan);
                    all_gathered.push(gathered);
                    self.wanted.push(wanted);
                }
                Err(error) => wanted.lead.end(Err(Arc::new(error))),
            }
        }
        // For one answer alone rows need not be kept.
        let source_bytes =
            header.map_or(0, |header| if plans.len() > 1 { header.decoded_bytes } else { header.streamed_bytes });
        let bytes = source_bytes + files.bytes() + held_bytes + output_bytes;
        if plans.is_empty() { None } else { Some(Prepared { plans, gathered: all_gathered, bytes }) }
    }

    /// Decides how one answer is made, and brings what it needs beside the source.
    fn plan(
        service: &Service,
        files: &mut MarkFiles,
        wanted: &Wanted,
        header: &Header,
    ) -> Result<(Plan, Gathered), ServiceError> {
        // The original is wanted alone.
        let Task::Transform(transformation, scale) = &wanted.answer.task else {
            return Err(ServiceError::Interrupted);
        };
        let max_output_side = service.catalog.rules.max_output_side;
        let plan = Plan::new(transformation, *scale, header, service.jpeg, max_output_side)?;
        let gathered = service.stamps.gather(files, transformation, *scale, &plan)?;
        Ok((plan, gathered))
    }

    /// The stored bytes, if they are an image at all.
    fn give_original(mut self, source: Vec<u8>) {
        let format = match codec::format_of(&source) {
            Ok(format) => format,
            Err(error) => return self.fail(error.into()),
        };
        let image = Image { format, bytes: Arc::new(source) };
        let times = self.watch.take();
        times.observe();
        for Wanted { answer, lead, .. } in mem::take(&mut self.wanted) {
            // For the disk it is there already.
            self.service.cache.remember(&answer, &image, self.generation);
            lead.end(Ok(made(&answer, image.clone(), times)));
        }
    }

    /// The source as it is now. If it is not what it was when the request came, the answers are for what it is now.
    fn read_source(&mut self) -> Result<Vec<u8>, ServiceError> {
        let path = match self.wanted.first() {
            Some(wanted) => wanted.answer.source.clone(),
            None => return Err(ServiceError::Interrupted),
        };
        for _ in 0..READ_TRIES {
            let found = self.service.storage.find(&path)?;
            let (version, modified) = (found.version, found.modified);
            let (content, is_whole) = found.read()?;
            if is_whole {
                for wanted in self.wanted.iter_mut().filter(|wanted| wanted.answer.version != version) {
                    wanted.answer = wanted.answer.with_version(&self.service, version, modified);
                }
                return Ok(content);
            }
        }
        Err(StoreError::Changing(path).into())
    }

    fn draw(self, source: Vec<u8>, plans: &[Plan], mut gathered: Vec<Gathered>, tickets: (Ticket, Ticket)) {
        let (service, generation) = (self.service, self.generation);
        let watch = RefCell::new(self.watch);
        let mut watch_part = |part| watch.borrow_mut().enter(stage_of(part));
        let mut waiting: Vec<Option<Wanted>> = self.wanted.into_iter().map(Some).collect();
        let stamp = |number: usize, index: usize| service.stamps.make(service.level, &mut gathered[number], index);
        let give = |number: usize, encoded| {
            let times = watch.borrow_mut().take();
            times.observe();
            let Some(wanted) = waiting.get_mut(number).and_then(Option::take) else {
                return;
            };
            match encoded {
                Ok(encoded) => give(&service, wanted, (encoded, times), generation),
                Err(error) => wanted.lead.end(Err(Arc::new(error))),
            }
        };
        let drawn = pipeline::run_all(service.level, &source, plans, stamp, give, &mut watch_part);
        drop((source, gathered, tickets));
        if let Err(error) = drawn {
            let error = Arc::new(ServiceError::from(error));
            for wanted in waiting.into_iter().flatten() {
                wanted.lead.end(Err(Arc::clone(&error)));
            }
        }
    }

    fn fail(mut self, error: ServiceError) {
        self.watch.take().observe();
        let error = Arc::new(error);
        for wanted in self.wanted {
            wanted.lead.end(Err(Arc::clone(&error)));
        }
    }
}

fn stage_of(part: Part) -> Stage {
    match part {
        Part::Decode => Stage::Decode,
        Part::Resize => Stage::Resize,
        Part::Stamp => Stage::Stamp,
        Part::Encode => Stage::Encode,
    }
}

/// Tells who waits, and keeps the answer.
fn give(service: &Service, wanted: Wanted, (encoded, times): (Encoded, StageTimes), generation: u64) {
    let Wanted { answer, mut lead, turn } = wanted;
    let image = Image { format: encoded.format, bytes: Arc::new(encoded.bytes) };
    if !service.cache.keeps() {
        return lead.end(Ok(made(&answer, image, times)));
    }
    // Who asks once the answer is told finds it in memory.
    let remembered = service.cache.remember(&answer, &image, generation);
    lead.tell(Ok(made(&answer, image, times)));
    service.cache.write(remembered, (lead, turn));
}

fn made(answer: &Answer, image: Image, times: StageTimes) -> Arc<MadeImage> {
    let Answer { tag, modified, .. } = answer;
    Arc::new(MadeImage { image, origin: Origin::Made, tag: tag.clone(), modified: *modified, times })
}
