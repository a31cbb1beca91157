//! The corridor between the rooms: one line per room. Knows nothing of HTTP.
//!
//! An image is found (`find_image`: what is it called, is it there?), taken from the cache (`cache`, `hot`) or made
//! (`cold`), once for all who wait for it (`flights`), and not before there is room for it (`gate`). An upload is
//! received and proved sound (`upload`), and what it is always wanted as is made from it (`eager`).

mod cache;
mod cold;
mod eager;
mod error;
mod flights;
mod gate;
mod hot;
mod live;
mod ready;
mod stamps;
mod storing;
mod turns;
mod upload;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus::IntCounter;

use crate::access::{Access, ApiKey, Permission};
use crate::config;
use crate::metrics::{Stage, StageTimes, Stopwatch, metrics};
use crate::pipeline::Limits;
use crate::plan::Jpeg;
use crate::raster::Format;
use crate::simd::Level;
use crate::store::cache::Purge;
use crate::store::{Found, Storage};
use crate::transform::{Catalog, SourcePath, SourceVersion, Spec, Task, Variant, VariantId};
use cache::MakeLead;
use cold::{Job, Wanted};
use flights::Role;
use stamps::Mark;
use turns::Turn;

pub use cache::Cache;
pub use cold::{Workshop, threads};
pub use eager::{Eager, EagerWorker};
pub use error::{AccessError, Busy, DecodeError, MarkError, ServiceError, StoreError, chain};
pub use flights::Wish;
pub use gate::GateLimits;
pub use live::Live;
pub use ready::Readiness;
pub use stamps::{Gathered, MarkFiles, Stamps};
pub use storing::Storing;
pub use turns::Turns;
pub use upload::{Upload, UploadError, Uploaded};

/// Everything that answers are made with; shared by all requests. Another configuration makes another one, which shares
/// with the first what holds memory, threads, files and connections.
#[derive(Clone, Debug)]
pub struct Service {
    /// Who may do what.
    pub access: Arc<Access>,
    /// What may be asked for.
    pub catalog: Catalog,
    /// Where sources are.
    pub storage: Arc<dyn Storage>,
    /// Watermarks and texts.
    pub stamps: Arc<Stamps>,
    /// Which instructions pixels are worked on with.
    pub level: Level,
    /// What a source may cost.
    pub limits: Limits,
    /// How JPEG answers are encoded.
    pub jpeg: Jpeg,
    /// Seconds that clients may keep an answer.
    pub max_age_s: u32,
    /// What was made before.
    pub cache: Arc<Cache>,
    /// Where images are made.
    pub workshop: Arc<Workshop>,
    /// What an upload may be.
    pub upload: config::Upload,
    /// Who makes an image, where several servers could.
    pub turns: Arc<Turns>,
    /// Uploads on their way into the storage.
    pub storing: Arc<Storing>,
    /// What is made of uploads without being asked for.
    pub eager: Arc<Eager>,
    /// Where answers came from.
    pub counts: Arc<Counts>,
}

/// How many images came from where.
#[derive(Debug)]
pub struct Counts {
    memory: IntCounter,
    disk: IntCounter,
    made: IntCounter,
    coalesced: IntCounter,
}

/// A request for an image, all parts of it valid.
#[derive(Clone, Debug)]
pub struct ImageRequest {
    /// Who asks.
    pub key: Option<ApiKey>,
    /// What is to be done.
    pub spec: Spec,
    /// With which source.
    pub source: SourcePath,
    /// The `@Nx` of its name.
    pub scale: u32,
}

/// An answer that is known by name, but not made yet.
#[derive(Clone, Debug)]
pub struct Answer {
    task: Task,
    source: SourcePath,
    version: SourceVersion,
    /// The watermarks that are drawn on it.
    marks: Vec<Mark>,
    id: VariantId,
    /// Identifies the bytes of the answer: 32 hexadecimal digits, and the number of the last purge if there was one.
    pub tag: String,
    /// When the source or a watermark was changed last, or the source purged.
    pub modified: SystemTime,
}

/// What the answers of a source depend on beside what is done with it.
struct State {
    version: SourceVersion,
    modified: SystemTime,
    last_purge: Purge,
    marks: Vec<Mark>,
}

/// An image as it is sent.
#[derive(Clone, Debug)]
pub struct Image {
    /// Told from the bytes of the source.
    pub format: Format,
    /// The file.
    pub bytes: Arc<Vec<u8>>,
}

/// Where an image came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was in memory.
    Memory,
    /// It was on disk.
    Disk,
    /// It was made.
    Made,
    /// It was being made for another.
    Coalesced,
}

/// An image that was found or made, with the name and the time that it has. Those differ from the ones of the request
/// if its source was changed in between.
#[derive(Clone, Debug)]
pub struct MadeImage {
    /// The image.
    pub image: Image,
    /// Where it came from.
    pub origin: Origin,
    /// As [`Answer::tag`].
    pub tag: String,
    /// As [`Answer::modified`].
    pub modified: SystemTime,
    /// How long that took.
    pub times: StageTimes,
}

/// What all who wait for one image are told.
type Made = Result<Arc<MadeImage>, Arc<ServiceError>>;

/// Finds what a request is about, at the cost of one look at the storage: enough to tell whether a client has
/// the answer already.
/// # Errors
/// If the rules forbid it, the source is not there, or the storage fails.
pub fn find_image(service: &Service, request: &ImageRequest) -> Result<Answer, ServiceError> {
    service.access.permit(request.key.as_ref(), Permission::Get)?;
    let task = service.catalog.resolve(&request.spec, request.scale)?;
    let Found { version, modified, .. } = service.storage.find(&request.source)?;
    let last_purge = service.cache.last_purge(&request.source);
    let marks = match &task {
        Task::Original => Vec::new(),
        Task::Transform(transformation, scale) => Mark::find_all(&*service.storage, transformation, *scale)?,
    };
    Ok(Answer::new(service, task, &request.source, State { version, modified, last_purge, marks }))
}

/// As [`find_image`], where that needs no waiting for a disk or a network; `None` if it may.
#[must_use]
pub fn find_image_at_once(service: &Service, request: &ImageRequest) -> Option<Answer> {
    service.access.permit_at_once(request.key.as_ref(), Permission::Get)?.ok()?;
    let task = service.catalog.resolve(&request.spec, request.scale).ok()?;
    let Found { version, modified, .. } = service.storage.find_at_once(&request.source)?;
    let last_purge = service.cache.last_purge_at_once(&request.source)?;
    let marks = match &task {
        Task::Original => Vec::new(),
        Task::Transform(transformation, scale) => Mark::find_all_at_once(&*service.storage, transformation, *scale)?,
    };
    Some(Answer::new(service, task, &request.source, State { version, modified, last_purge, marks }))
}

/// An image that is in memory.
#[must_use]
pub fn hot_image(service: &Service, answer: &Answer) -> Option<Image> {
    let hot = service.cache.at_once(&answer.id)?;
    service.counts.memory.inc();
    Some(hot.image.clone())
}

/// Where the file of a cached image is below the folder of the cache, as far as that is known without waiting.
#[must_use]
pub fn place_at_once(service: &Service, answer: &Answer) -> Option<String> {
    let place = service.cache.locate_at_once(&answer.id)?;
    service.counts.disk.inc();
    Some(place)
}

/// Where the file of a cached image is below the folder of the cache.
#[must_use]
pub fn place(service: &Service, answer: &Answer) -> Option<String> {
    let place = service.cache.locate(answer)?;
    service.counts.disk.inc();
    Some(place)
}

/// Brings an image to `deliver`, from the cache or made: now, or from another thread when it is done. If it has to be made,
/// `wish` is asked when its turn has come.
pub fn get_image(
    service: &Arc<Service>,
    answer: Answer,
    wish: Wish,
    deliver: impl FnOnce(Result<Arc<MadeImage>, Arc<ServiceError>>, Origin) + Send + 'static,
) {
    let generation = service.cache.generation();
    let waiter = {
        let service = Arc::clone(service);
        move |made: Made, role| {
            let origin = match (&made, role) {
                (Ok(made), Role::Joined) if made.origin == Origin::Made => Origin::Coalesced,
                (Ok(made), _) => made.origin,
                (Err(_), _) => Origin::Made,
            };
            if made.is_ok() {
                service.counts.count(origin);
            }
            deliver(made, origin);
        }
    };
    // Those who come after a purge do not wait for what was begun before it.
    let key = (answer.id, generation);
    let interrupted = Err(Arc::new(ServiceError::Interrupted));
    let Some(lead) = service.workshop.flights.join(key, interrupted, (waiter, wish)) else {
        return;
    };
    let mut watch = Stopwatch::default();
    watch.enter(Stage::Fetch);
    if let Some(found) = service.cache.get(&answer, generation) {
        let times = watch.take();
        times.observe();
        return end(lead, answer, found, times);
    }
    if matches!(answer.task, Task::Original) || !service.cache.keeps() {
        // It is in the storage already, for all servers; or others could not find what this one makes.
        return make(service, Wanted { answer, lead, turn: Turn::free() }, generation);
    }
    match service.turns.now(answer.id) {
        Some(turn) => make_unless_made(service, Wanted { answer, lead, turn }, generation),
        None => {
            let waiting = Arc::clone(service);
            service.turns.wait(answer.id, move |turn| {
                let io = Arc::clone(&waiting.workshop.io);
                io.spawn_fifo(move || make_unless_made(&waiting, Wanted { answer, lead, turn }, generation));
            });
        }
    }
}

/// Another server may have made it before it was this one's turn.
fn make_unless_made(service: &Arc<Service>, wanted: Wanted, generation: u64) {
    let Wanted { answer, turn, .. } = &wanted;
    let is_made = turn.is_claimed() && service.cache.is_on_disk(&answer.id);
    match if is_made { service.cache.get(answer, generation) } else { None } {
        Some(found) => end(wanted.lead, wanted.answer, found, StageTimes::default()),
        None => make(service, wanted, generation),
    }
}

fn end(lead: MakeLead, answer: Answer, (image, origin): (Image, Origin), times: StageTimes) {
    let Answer { tag, modified, .. } = answer;
    lead.end(Ok(Arc::new(MadeImage { image, origin, tag, modified, times })));
}

fn make(service: &Arc<Service>, wanted: Wanted, generation: u64) {
    Job::new(service, vec![wanted], generation).start();
}

impl Service {
    /// Ends the work: what was answered is kept first, as far as `timeout` allows; false if it does not.
    pub fn close(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let is_stored = self.storing.settle(deadline);
        if !is_stored {
            tracing::error!("uploads are still being stored; those of them that were answered are lost");
        }
        let is_settled = self.workshop.flights.settle(deadline) && is_stored;
        self.cache.close(deadline.saturating_duration_since(Instant::now())) && is_settled
    }
}

impl Answer {
    fn new(service: &Service, task: Task, source: &SourcePath, state: State) -> Self {
        let State { version, modified, last_purge, marks } = state;
        let transformation = match &task {
            Task::Original => None,
            Task::Transform(transformation, scale) => Some((&**transformation, *scale)),
        };
        let (jpeg_quality, jpeg_progressive) = (service.jpeg.quality.get(), service.jpeg.progressive);
        let watermarks = marks.iter().map(|mark| (&mark.source, mark.version)).collect();
        let id = Variant { source, version, transformation, watermarks, jpeg_quality, jpeg_progressive }.id();
        let modified = marks.iter().map(|mark| mark.modified).fold(modified, SystemTime::max);
        // A purge says that answers may be others although nothing of their source tells.
        let tag = match last_purge.generation {
            0 => id.tag(),
            generation => format!("{}-{generation:x}", id.tag()),
        };
        let purged = UNIX_EPOCH + Duration::from_micros(u64::try_from(last_purge.at_us).unwrap_or(0));
        Self { task, source: source.clone(), version, marks, id, tag, modified: modified.max(purged) }
    }

    /// The same for another state of the source.
    fn with_version(&self, service: &Service, version: SourceVersion, modified: SystemTime) -> Self {
        let (last_purge, marks) = (service.cache.last_purge(&self.source), self.marks.clone());
        Self::new(service, self.task.clone(), &self.source, State { version, modified, last_purge, marks })
    }

    /// The same with other states of the watermarks.
    fn with_marks(&self, service: &Service, marks: Vec<Mark>) -> Self {
        let (version, modified, last_purge) = (self.version, self.modified, service.cache.last_purge(&self.source));
        Self::new(service, self.task.clone(), &self.source, State { version, modified, last_purge, marks })
    }

    /// What is done, for people.
    fn describe(&self) -> String {
        match &self.task {
            Task::Original => "_".to_owned(),
            Task::Transform(transformation, 1) => transformation.params.to_string(),
            Task::Transform(transformation, scale) => format!("{} @{scale}x", transformation.params),
        }
    }
}

impl Default for Counts {
    fn default() -> Self {
        let counter = |origin| metrics().images.with_label_values(&[origin]);
        Self {
            memory: counter("memory"),
            disk: counter("disk"),
            made: counter("made"),
            coalesced: counter("coalesced"),
        }
    }
}

impl Counts {
    fn count(&self, origin: Origin) {
        let counter = match origin {
            Origin::Memory => &self.memory,
            Origin::Disk => &self.disk,
            Origin::Made => &self.made,
            Origin::Coalesced => &self.coalesced,
        };
        counter.inc();
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (memory, disk, made) = (self.memory.get(), self.disk.get(), self.made.get());
        write!(f, "{made} made, {} shared, {disk} from disk, {memory} from memory", self.coalesced.get())
    }
}

/// Microseconds since 1970.
fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
