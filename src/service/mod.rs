//! The corridor between the rooms: one line per room. Knows nothing of HTTP.

mod budget;
mod error;

use std::time::SystemTime;

use crate::pipeline::{self, Encoded, Limits, codec};
use crate::plan::{JpegQuality, Plan};
use crate::store::{Found, LocalStorage};
use crate::transform::{Catalog, SourcePath, Spec, Task, Variant};

pub use budget::MemoryBudget;
pub use error::{DecodeError, ServiceError, StoreError, chain};

/// Everything that answers are made with; shared by all requests.
#[derive(Debug)]
pub struct Service {
    /// What may be asked for.
    pub catalog: Catalog,
    /// Where sources are.
    pub storage: LocalStorage,
    /// What a source may cost.
    pub limits: Limits,
    /// What pixels may take in memory, over all requests.
    pub memory: MemoryBudget,
    /// Quality of JPEG answers.
    pub jpeg_quality: JpegQuality,
    /// Seconds that clients may keep an answer.
    pub max_age_s: u32,
}

/// A request for an image, all parts of it valid.
#[derive(Clone, Debug)]
pub struct ImageRequest {
    /// What is to be done.
    pub spec: Spec,
    /// With which source.
    pub source: SourcePath,
    /// The `@Nx` of its name.
    pub scale: u32,
}

/// An answer that is known by name, but not made yet.
#[derive(Debug)]
pub struct Answer {
    task: Task,
    found: Found,
    /// Identifies the bytes of the answer: 32 hexadecimal digits.
    pub tag: String,
    /// When the source was changed last.
    pub modified: SystemTime,
}

/// Finds what a request is about, at the cost of one look at the storage: enough to tell whether a client has
/// the answer already.
/// # Errors
/// If the rules forbid it, the source is not there, or the storage fails.
pub fn find_image(service: &Service, request: &ImageRequest) -> Result<Answer, ServiceError> {
    let task = service.catalog.resolve(&request.spec, request.scale)?;
    if let Task::Transform(transformation, _) = &task
        && transformation.draws()
    {
        return Err(ServiceError::OverlaysUnsupported);
    }
    let found = service.storage.find(&request.source)?;
    let tag = tag(service, request, &task, &found);
    let modified = found.modified;
    Ok(Answer { task, found, tag, modified })
}

/// Makes an answer.
/// # Errors
/// If the source cannot be read or decoded, or the answer would be too large.
pub fn make_image(service: &Service, answer: Answer) -> Result<Encoded, ServiceError> {
    let source = answer.found.read()?;
    let (transformation, scale) = match &answer.task {
        // The stored bytes, if they are an image at all.
        Task::Original => return Ok(Encoded { format: codec::format_of(&source)?, bytes: source }),
        Task::Transform(transformation, scale) => (transformation, *scale),
    };
    let header = codec::probe(&source, service.limits)?;
    let max_output_side = service.catalog.rules.max_output_side;
    let plan = Plan::new(transformation, scale, &header, service.jpeg_quality, max_output_side)?;
    let bytes = header.decoded_bytes + plan.output_bytes();
    let _reservation = service.memory.reserve(bytes).ok_or(ServiceError::Busy)?;
    Ok(pipeline::run(&source, &plan)?)
}

fn tag(service: &Service, request: &ImageRequest, task: &Task, found: &Found) -> String {
    let transformation = match task {
        Task::Original => None,
        Task::Transform(transformation, scale) => Some((&**transformation, *scale)),
    };
    let variant = Variant {
        source: &request.source,
        version: found.version,
        transformation,
        jpeg_quality: service.jpeg_quality.get(),
    };
    let mut tag = variant.id().to_string();
    tag.truncate(32);
    tag
}
