//! Watermarks and texts on their way to a picture. The files of watermarks are found (`Mark`) when an answer gets its
//! name, which tells their state; what is drawn is gathered beside the source (`gather`) and made where pixels are
//! (`Recipe::make`). What was made is kept, as long as there is room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use ring::digest::{SHA256, digest};

use super::hot::bounded;
use super::{DecodeError, ServiceError, StoreError};
use crate::pipeline::stamp::{self, Lines, Outlines, Stamp};
use crate::pipeline::{Limits, probe};
use crate::plan::{MarkPlan, Placement, Plan};
use crate::raster::{Header, Point, Size};
use crate::simd::Level;
use crate::store::{Found, Storage};
use crate::transform::{Font, Opacity, SourcePath, SourceVersion, Text, Transformation, Watermark};

/// What a stamp takes beside its pixels.
const OVERHEAD_BYTES: u64 = 300;
/// The size that most stamps have, for the first size of the table.
const USUAL_BYTES: u64 = 64 << 10;
/// Texts of more pixels are made for one size of picture, as far as they are seen on it.
const MAX_WHOLE_PIXELS: u64 = 4 << 20;
/// The outlines of larger font files are read anew for every stamp: they take 26 times the bytes of the file.
const MAX_KEPT_FONT_BYTES: usize = 1 << 20;
const OUTLINE_BYTES: u64 = 26;
/// Headers that are remembered, so that a watermark need not be read to know its stamp.
const MAX_HEADERS: usize = 1000;
/// How often a watermark that changes while it is read is read again.
const READ_TRIES: usize = 3;

/// Stamps that were made before, in all no larger than allowed.
pub struct Stamps {
    made: Cache<StampId, Arc<Stamp>, Weight>,
    /// Of the watermarks that were read last.
    headers: Cache<(SourcePath, SourceVersion), Header>,
    /// Of the font that was used last.
    outlines: Mutex<Option<(Arc<Font>, Arc<Outlines>)>>,
}

/// SHA-256 of all that decides the pixels of a stamp.
type StampId = [u8; 32];

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<StampId, Arc<Stamp>> for Weight {
    fn weight(&self, _: &StampId, stamp: &Arc<Stamp>) -> u64 {
        stamp.bytes() + OVERHEAD_BYTES
    }
}

/// The file of a watermark as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The image itself, or the one that is made for the scale.
    pub(super) source: SourcePath,
    pub(super) version: SourceVersion,
    /// When it was put there: a file that is copied in may carry an old time.
    pub(super) modified: SystemTime,
    /// How much larger it is drawn than it is.
    enlarge: u32,
}

/// The file that cannot be drawn, and why.
type BadMark = (SourcePath, MarkError);

/// Why a watermark cannot be drawn.
#[derive(Debug, thiserror::Error)]
pub enum MarkError {
    /// It is not there.
    #[error("there is no such image")]
    Missing,
    /// The storage fails.
    #[error(transparent)]
    Store(StoreError),
    /// It is no image that can be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl From<StoreError> for MarkError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(_) => Self::Missing,
            error => Self::Store(error),
        }
    }
}

/// What is needed to make the stamps of an answer, one after the other.
pub struct Gathered {
    /// `None` once it was made.
    recipes: Vec<Option<Recipe>>,
    /// The watermarks that they are made of.
    pub(super) marks: Vec<Mark>,
    /// What is held until all are made, beside the files of watermarks.
    pub(super) held_bytes: u64,
    /// What making one of them takes in memory, at most.
    pub(super) work_bytes: u64,
}

impl Gathered {
    fn push(&mut self, recipe: Recipe, work_bytes: u64) {
        self.held_bytes += match &recipe {
            Recipe::Made(stamp) => stamp.bytes(),
            Recipe::Mark { .. } | Recipe::Text { .. } => 0,
        };
        self.work_bytes = self.work_bytes.max(work_bytes);
        self.recipes.push(Some(recipe));
    }
}

enum Recipe {
    Made(Arc<Stamp>),
    Mark { id: StampId, source: SourcePath, content: Arc<Vec<u8>>, plan: Option<MarkPlan>, opacity: Opacity },
    Text { id: StampId, transformation: Arc<Transformation>, number: usize, lines: Lines, seen: Option<(Point, Size)> },
}

/// The files of watermarks that one job needs; each is read once.
pub struct MarkFiles<'a> {
    storage: &'a dyn Storage,
    limits: Limits,
    contents: HashMap<(SourcePath, SourceVersion), Arc<Vec<u8>>>,
}

impl<'a> MarkFiles<'a> {
    /// Files of a storage, as large as `limits` allow.
    #[must_use]
    pub fn new(storage: &'a dyn Storage, limits: Limits) -> Self {
        Self { storage, limits, contents: HashMap::new() }
    }

    /// What they take in memory.
    pub(super) fn bytes(&self) -> u64 {
        self.contents.values().map(|content| content.len() as u64).sum()
    }

    /// The content of a file in a state; `None` if it is in another by now.
    fn read(&mut self, state: &(SourcePath, SourceVersion), found: Found) -> Result<Option<Arc<Vec<u8>>>, StoreError> {
        if let Some(content) = self.contents.get(state) {
            return Ok(Some(Arc::clone(content)));
        }
        let (content, is_whole) = found.read()?;
        let content = Arc::new(content);
        if is_whole {
            self.contents.insert(state.clone(), Arc::clone(&content));
        }
        Ok(Some(content).filter(|_| is_whole))
    }
}

impl Stamps {
    /// Room for so many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let made = bounded(bytes, USUAL_BYTES, Weight);
        Self { made, headers: Cache::new(MAX_HEADERS), outlines: Mutex::default() }
    }

    /// Another room from now on.
    pub fn set_capacity(&self, bytes: u64) {
        self.made.set_capacity(bytes);
    }

    /// Looks for the watermarks of a transformation.
    /// # Errors
    /// If one of them is not there, or the storage fails.
    pub fn look_for_watermarks(storage: &dyn Storage, transformation: &Transformation) -> Result<(), ServiceError> {
        Mark::find_all(storage, transformation, 1).map(drop)
    }

    /// Brings what the stamps of an answer are made of.
    /// # Errors
    /// If a watermark cannot be had.
    pub fn gather(
        &self,
        files: &mut MarkFiles,
        transformation: &Arc<Transformation>,
        scale: u32,
        plan: &Plan,
    ) -> Result<Gathered, ServiceError> {
        let mut gathered = Gathered { recipes: Vec::new(), marks: Vec::new(), held_bytes: 0, work_bytes: 0 };
        let (for_marks, for_texts) = plan.stamps.split_at(transformation.watermarks.len());
        let picture = plan.output();
        for (watermark, placement) in transformation.watermarks.iter().zip(for_marks) {
            let planned = |header: &Header, enlarge| MarkPlan::new(watermark, placement, header, picture, enlarge);
            self.gather_mark(files, (watermark, scale), planned, &mut gathered)
                .map_err(|(mark, cause)| ServiceError::Watermark { mark, cause })?;
        }
        for (number, placement) in for_texts.iter().enumerate() {
            self.gather_text((transformation, number), scale, (placement, picture), &mut gathered);
        }
        Ok(gathered)
    }

    /// `planned` plans the stamp for the header of a file, and how much larger it is to be.
    fn gather_mark(
        &self,
        files: &mut MarkFiles,
        (watermark, scale): (&Watermark, u32),
        planned: impl Fn(&Header, u32) -> Option<MarkPlan>,
        gathered: &mut Gathered,
    ) -> Result<(), BadMark> {
        let id =
            |mark: &Mark, plan: &Option<MarkPlan>| id_of(&format!("mark {mark:?} {plan:?} {:?}", watermark.opacity));
        for _ in 0..READ_TRIES {
            let found = find(files.storage, &watermark.source, scale);
            let (mark, found) = found.map_err(|error| (watermark.source.clone(), error.into()))?;
            let state = (mark.source.clone(), mark.version);
            if let Some(header) = self.headers.get(&state)
                && let Some(stamp) = self.made.get(&id(&mark, &planned(&header, mark.enlarge)))
            {
                gathered.push(Recipe::Made(stamp), 0);
                gathered.marks.push(mark);
                return Ok(());
            }
            let bad = |error: MarkError| (mark.source.clone(), error);
            let Some(content) = files.read(&state, found).map_err(|error| bad(error.into()))? else {
                continue;
            };
            let header = probe(&content, files.limits).map_err(|error| bad(error.into()))?;
            let plan = planned(&header, mark.enlarge);
            let output = plan.as_ref().map_or(0, |plan| plan.image.output().pixels());
            let work_bytes = header.streamed_bytes + output * 8;
            let (id, source, opacity) = (id(&mark, &plan), mark.source.clone(), watermark.opacity);
            self.headers.insert(state, header);
            gathered.push(Recipe::Mark { id, source, content, plan, opacity }, work_bytes);
            gathered.marks.push(mark);
            return Ok(());
        }
        let source = &watermark.source;
        Err((source.clone(), StoreError::Changing(source.clone()).into()))
    }

    fn gather_text(
        &self,
        (transformation, number): (&Arc<Transformation>, usize),
        scale: u32,
        (placement, picture): (&Placement, Size),
        gathered: &mut Gathered,
    ) {
        let text = &transformation.texts[number];
        let whole = id_of(&format!("text {text:?} {scale}"));
        if let Some(stamp) = self.made.get(&whole) {
            return gathered.push(Recipe::Made(stamp), 0);
        }
        let lines = Lines::new(text, scale);
        let (mut id, mut seen) = (whole, None);
        if lines.n_pixels(None) > MAX_WHOLE_PIXELS {
            let corner = placement.corner(picture, lines.frame);
            let part = (Point { x: -corner.x, y: -corner.y }, picture);
            (id, seen) = (id_of(&format!("text {text:?} {scale} {part:?}")), Some(part));
            if let Some(stamp) = self.made.get(&id) {
                return gathered.push(Recipe::Made(stamp), 0);
            }
        }
        let work_bytes = lines.bytes(seen) + text.font.file().len() as u64 * OUTLINE_BYTES;
        gathered.push(Recipe::Text { id, transformation: Arc::clone(transformation), number, lines, seen }, work_bytes);
    }

    /// Makes one of the stamps that were gathered, by its number; once.
    /// # Errors
    /// If it is a watermark that cannot be decoded.
    pub fn make(&self, level: Level, gathered: &mut Gathered, number: usize) -> Result<Arc<Stamp>, ServiceError> {
        let recipe = gathered.recipes.get_mut(number).and_then(Option::take);
        self.make_one(level, recipe.ok_or(ServiceError::Interrupted)?)
    }

    fn make_one(&self, level: Level, recipe: Recipe) -> Result<Arc<Stamp>, ServiceError> {
        // Another answer of the same job may have needed it, too.
        if let Recipe::Mark { id, .. } | Recipe::Text { id, .. } = &recipe
            && let Some(stamp) = self.made.get(id)
        {
            return Ok(stamp);
        }
        let (id, stamp) = match recipe {
            Recipe::Made(stamp) => return Ok(stamp),
            Recipe::Mark { id, source, content, plan, opacity } => {
                // Where nothing of it is seen, nothing is made.
                let made = plan.map_or(Ok(Stamp::empty()), |plan| stamp::mark(level, &content, &plan, opacity));
                (id, made.map_err(|error| ServiceError::Watermark { mark: source, cause: error.into() })?)
            }
            Recipe::Text { id, transformation, number, lines, seen } => {
                let text: &Text = &transformation.texts[number];
                (id, lines.draw(text, &self.outlines(&text.font), seen))
            }
        };
        let stamp = Arc::new(stamp);
        self.made.insert(id, Arc::clone(&stamp));
        Ok(stamp)
    }

    fn outlines(&self, font: &Arc<Font>) -> Arc<Outlines> {
        let last = self.outlines.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, outlines)) = last.filter(|(last, _)| last == font) {
            return outlines;
        }
        let outlines = Arc::new(Outlines::new(font));
        if font.file().len() <= MAX_KEPT_FONT_BYTES {
            let kept = Some((Arc::clone(font), Arc::clone(&outlines)));
            *self.outlines.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        }
        outlines
    }
}

impl std::fmt::Debug for Stamps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stamps({} bytes)", self.made.weight())
    }
}

impl Mark {
    /// The watermarks of a transformation as they are now.
    /// # Errors
    /// If one of them is not there, or the storage fails.
    pub(super) fn find_all(
        storage: &dyn Storage,
        transformation: &Transformation,
        scale: u32,
    ) -> Result<Vec<Self>, ServiceError> {
        let find = |source: &SourcePath| match find(storage, source, scale) {
            Ok((mark, _)) => Ok(mark),
            Err(error) => Err(ServiceError::Watermark { mark: source.clone(), cause: error.into() }),
        };
        transformation.watermarks.iter().map(|watermark| find(&watermark.source)).collect()
    }

    /// The same without waiting for a disk; `None` if that would be needed, or one of them is not there.
    pub(super) fn find_all_at_once(
        storage: &dyn Storage,
        transformation: &Transformation,
        scale: u32,
    ) -> Option<Vec<Self>> {
        let find = |source: &SourcePath| {
            if let Some(scaled) = source.at_scale(scale)
                && let Some(found) = storage.look_at_once(&scaled)?
            {
                return Some(Self::new(scaled, &found, 1));
            }
            Some(Self::new(source.clone(), &storage.find_at_once(source)?, scale))
        };
        transformation.watermarks.iter().map(|watermark| find(&watermark.source)).collect()
    }

    fn new(source: SourcePath, found: &Found, enlarge: u32) -> Self {
        Self { source, version: found.version, modified: found.modified.max(found.placed), enlarge }
    }
}

/// A watermark for a scale: `mark@2x.png` if there is one, else `mark.png`, to be enlarged.
fn find(storage: &dyn Storage, source: &SourcePath, scale: u32) -> Result<(Mark, Found), StoreError> {
    if let Some(scaled) = source.at_scale(scale) {
        match storage.find(&scaled) {
            Ok(found) => return Ok((Mark::new(scaled, &found, 1), found)),
            Err(StoreError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let found = storage.find(source)?;
    Ok((Mark::new(source.clone(), &found, scale), found))
}

fn id_of(text: &str) -> StampId {
    digest(&SHA256, text.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}
