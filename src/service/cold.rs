//! The way of an image that nobody has made yet: a place, its source, memory for its pixels, and a worker that draws it.
//! Each step runs where it belongs: reading on the io threads, pixels on a pool with one thread per core. What waits in
//! between holds neither a thread nor the source.

use std::io;
use std::sync::Arc;

use rayon::ThreadPool;
use rustix::process::setpriority_process;
use rustix::thread::gettid;

use super::cache::MakeLead;
use super::flights::Flights;
use super::gate::{Busy, Gate, GateLimits, Ticket};
use super::{Answer, Image, Made, MadeImage, Origin, Service, ServiceError, StoreError};
use crate::pipeline::{self, codec};
use crate::plan::Plan;
use crate::transform::{Task, VariantId};

/// How often a source that changes while it is read is read again.
const READ_TRIES: usize = 3;

/// Where images are made.
#[derive(Debug)]
pub struct Workshop {
    /// Threads that may wait for disks and networks.
    io: Arc<ThreadPool>,
    /// Threads that decode, resize and encode.
    pixels: ThreadPool,
    /// In front of reading: bounds the sources in memory.
    reading: Arc<Gate>,
    /// In front of the pixels: bounds what they take in memory.
    drawing: Arc<Gate>,
    pub(super) flights: Arc<Flights<(VariantId, u64), Made>>,
}

impl Workshop {
    /// A workshop with a bound on what waits, in number and in bytes.
    #[must_use]
    pub fn new(io: Arc<ThreadPool>, pixels: ThreadPool, reading: GateLimits, drawing: GateLimits) -> Self {
        Self { io, pixels, reading: Gate::new(reading), drawing: Gate::new(drawing), flights: Flights::new() }
    }
}

/// Threads for one kind of work. `niceness` is how much of the processor they leave to others: those who only have to send
/// what is there should not stand behind those who compute.
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

/// One image on its way.
pub(super) struct Job {
    pub(super) service: Arc<Service>,
    pub(super) answer: Answer,
    /// Of the cache, when the work began.
    pub(super) generation: u64,
    pub(super) lead: MakeLead,
}

/// A source in memory and what is to be done with it.
enum Prepared {
    Original(Image),
    Draw { source: Vec<u8>, plan: Plan, bytes: u64 },
}

impl Job {
    /// Begins; the requests that wait for the image are told of its end.
    pub(super) fn start(self) {
        let service = Arc::clone(&self.service);
        service.workshop.reading.enter(self.answer.version.size_bytes, move |entered| match entered {
            Err(Busy) => self.fail(ServiceError::Busy),
            Ok(ticket) => {
                let service = Arc::clone(&self.service);
                service.workshop.io.spawn_fifo(move || self.read(ticket));
            }
        });
    }

    fn read(mut self, reading: Ticket) {
        match self.prepare() {
            Err(error) => self.fail(error),
            Ok(Prepared::Original(image)) => {
                // For the disk it is there already.
                self.service.cache.remember(&self.answer, &image, self.generation);
                let made = self.made(image);
                self.lead.end(made);
            }
            Ok(Prepared::Draw { source, plan, bytes }) => {
                let service = Arc::clone(&self.service);
                service.workshop.drawing.enter(bytes, move |entered| match entered {
                    Err(Busy) => self.fail(ServiceError::Busy),
                    Ok(drawing) => {
                        let service = Arc::clone(&self.service);
                        service.workshop.pixels.spawn_fifo(move || self.draw(source, &plan, (reading, drawing)));
                    }
                });
            }
        }
    }

    /// Reads the source and decides what is to be done.
    fn prepare(&mut self) -> Result<Prepared, ServiceError> {
        let source = self.read_source()?;
        let service = &self.service;
        let (transformation, scale) = match &self.answer.task {
            Task::Original => {
                // The stored bytes, if they are an image at all.
                let format = codec::format_of(&source)?;
                return Ok(Prepared::Original(Image { format, bytes: Arc::new(source) }));
            }
            Task::Transform(transformation, scale) => (transformation, *scale),
        };
        let header = codec::probe(&source, service.limits)?;
        let max_output_side = service.catalog.rules.max_output_side;
        let plan = Plan::new(transformation, scale, &header, service.jpeg_quality, max_output_side)?;
        let bytes = header.decoded_bytes + plan.output_bytes();
        Ok(Prepared::Draw { source, plan, bytes })
    }

    /// The source as it is now. If it is not what it was when the request came, the answer is for what it is now.
    fn read_source(&mut self) -> Result<Vec<u8>, ServiceError> {
        for _ in 0..READ_TRIES {
            let found = self.service.storage.find(&self.answer.source)?;
            let (version, modified) = (found.version, found.modified);
            let (content, is_whole) = found.read()?;
            if is_whole {
                if version != self.answer.version {
                    self.answer = self.answer.with_version(&self.service, version, modified);
                }
                return Ok(content);
            }
        }
        Err(StoreError::Changing(self.answer.source.clone()).into())
    }

    fn draw(mut self, source: Vec<u8>, plan: &Plan, tickets: (Ticket, Ticket)) {
        let drawn = pipeline::run(&source, plan);
        drop(source);
        drop(tickets);
        match drawn {
            Err(error) => self.fail(error.into()),
            Ok(encoded) => {
                let image = Image { format: encoded.format, bytes: Arc::new(encoded.bytes) };
                let made = self.made(image.clone());
                if !self.service.cache.keeps() {
                    return self.lead.end(made);
                }
                // Who asks once the answer is told finds it in memory.
                let remembered = self.service.cache.remember(&self.answer, &image, self.generation);
                self.lead.tell(made);
                self.service.cache.write(remembered, self.lead);
            }
        }
    }

    fn made(&self, image: Image) -> Made {
        let Answer { tag, modified, .. } = &self.answer;
        Ok(Arc::new(MadeImage { image, origin: Origin::Made, tag: tag.clone(), modified: *modified }))
    }

    fn fail(self, error: ServiceError) {
        self.lead.end(Err(Arc::new(error)));
    }
}
