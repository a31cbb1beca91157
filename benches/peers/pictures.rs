//! The pictures that are played, as files in a folder of their own, from which all servers read. Each request has a file
//! name that nobody has asked for before: a hard link to the picture.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use pixlserv::pipeline::{self, Limits, Wanted, codec};
use pixlserv::plan::{Encode, Jpeg, JpegQuality, Plan};
use pixlserv::raster::{Format, Header, Layout, Pixmap};
use pixlserv::simd::Level;
use pixlserv::transform::Transformation;

use crate::works::Set;

/// Those of the corpus that the records in `benches/record` are made with.
const OF_THE_CORPUS: [&str; 8] = [
    "imagor__jpg-24bit-icc-adobe-rgb.jpg",
    "libgd__usfws_fire.jpg",
    "sharp__2569067123_aca715a2ee_o.jpg",
    "imagers__test.jpg",
    "lepton__slrhills.jpg",
    "libavif__dog_exif_extended_xmp_icc.jpg",
    "oiio__sky.jpg",
    "jpegdec__tower.jpg",
];
const LARGE: u64 = 24_000_000;

pub(crate) struct Picture {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) header: Header,
    is_progressive: bool,
    /// Upright as stored, and its colours no wider than Display P3: the scores are of resizing and encoding alone.
    pub(crate) is_scored: bool,
}

pub(crate) struct Pictures {
    folder: PathBuf,
    photographs: Vec<Picture>,
    progressive: Vec<Picture>,
    of_sharp: Vec<Picture>,
    png: Vec<Picture>,
    large_baseline: Vec<Picture>,
    large_progressive: Vec<Picture>,
    n_linked: AtomicU32,
}

/// The folder if none is named, and which pictures of it are photographs: all, unless it is the corpus.
fn default_folder() -> (PathBuf, fn(&str) -> bool) {
    match std::env::var_os("PIXLSERV_CORPUS") {
        Some(corpus) => (PathBuf::from(corpus).join("photos"), |name| OF_THE_CORPUS.contains(&name)),
        None => (Path::new(env!("CARGO_MANIFEST_DIR")).join("config/images"), |_| true),
    }
}

impl Pictures {
    /// Reads the JPEGs of `source`, and makes what is missing from them, below `folder`.
    pub(crate) fn new(source: Option<&Path>, folder: &Path) -> Self {
        let (source, is_photograph) = match source {
            Some(source) => (source.to_owned(), (|_| true) as fn(&str) -> bool),
            None => default_folder(),
        };
        let entries = fs::read_dir(&source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names.retain(|name| [".jpg", ".jpeg"].iter().any(|end| name.to_ascii_lowercase().ends_with(end)));
        let read = |name: &String| Picture::keep(name, &fs::read(source.join(name)).ok()?, folder);
        let mut all: Vec<Picture> = names.iter().filter_map(read).collect();
        assert!(!all.is_empty(), "there is no JPEG in {}", source.display());
        all.sort_by_key(|picture| picture.pixels().abs_diff(LARGE));
        let large = made("large-baseline.jpg", &baseline(&all[0]), folder);
        let png =
            made("alpha.png", &with_alpha(all.iter().find(|picture| picture.is_scored).unwrap_or(&all[0])), folder);
        let pick = |is_wanted: &dyn Fn(&Picture) -> bool| -> Vec<Picture> {
            all.iter().filter(|picture| is_wanted(picture)).map(Picture::again).collect()
        };
        Self {
            folder: folder.to_owned(),
            photographs: pick(&|picture| is_photograph(&picture.name)),
            progressive: pick(&|picture| picture.is_progressive && picture.pixels() >= 6_000_000),
            of_sharp: pick(&|picture| (picture.header.stored.width, picture.header.stored.height) == (2725, 2225)),
            png: vec![png],
            large_baseline: vec![large],
            large_progressive: pick(&|picture| picture.is_progressive && picture.pixels().abs_diff(LARGE) < LARGE / 8),
            n_linked: AtomicU32::new(0),
        }
    }

    pub(crate) fn of(&self, set: Set) -> &[Picture] {
        match set {
            Set::Photographs => &self.photographs,
            Set::Progressive => &self.progressive,
            Set::OfSharp => &self.of_sharp,
            Set::Png => &self.png,
            Set::LargeBaseline => &self.large_baseline,
            Set::LargeProgressive => &self.large_progressive,
        }
    }

    /// A new name for a picture.
    pub(crate) fn link(&self, picture: &Picture) -> String {
        let number = self.n_linked.fetch_add(1, Ordering::Relaxed);
        let name = format!("{number:06}.{}", picture.header.format.extension());
        fs::hard_link(&picture.path, self.folder.join(&name)).expect("a link in the same folder");
        name
    }
}

impl Picture {
    /// Copies a picture to where servers read; `None`, and a line that says so, if it cannot be read.
    fn keep(name: &str, source: &[u8], folder: &Path) -> Option<Self> {
        let header = match pipeline::probe(source, Limits { max_source_pixels: 60_000_000 }) {
            Ok(header) => header,
            Err(error) => {
                eprintln!("peers: without {name}: {error}");
                return None;
            }
        };
        let path = folder.join(name);
        fs::write(&path, source).expect("a copy");
        let is_upright = header.orientation.is_normal();
        let is_progressive = header.format == Format::Jpeg && frame_marker(source) == Some(0xC2);
        let is_scored = is_upright && !has_wide_gamut(source);
        Some(Self { name: name.to_owned(), path, header, is_progressive, is_scored })
    }

    fn again(&self) -> Self {
        Self { name: self.name.clone(), path: self.path.clone(), ..*self }
    }

    fn pixels(&self) -> u64 {
        self.header.stored.pixels()
    }

    pub(crate) fn read(&self) -> Vec<u8> {
        fs::read(&self.path).expect("it is there since the start")
    }
}

/// The marker of a JPEG's frame: 0xC0 is baseline, 0xC2 progressive.
fn frame_marker(jpeg: &[u8]) -> Option<u8> {
    let mut at = 2;
    loop {
        let &[0xFF, marker, high, low] = jpeg.get(at..at + 4)? else { return None };
        match marker {
            0xC4 | 0xC8 | 0xCC => {}
            0xC0..=0xCF => return Some(marker),
            _ => {}
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
}

const LIMITS: Limits = Limits { max_source_pixels: 100_000_000 };

/// Whether the red of an ICC profile (ICC.1:2022 §9.2.44) is outside of Display P3, whose red has X = 0.515; that of
/// Adobe RGB has 0.609.
fn has_wide_gamut(source: &[u8]) -> bool {
    let Ok(header) = pipeline::probe(source, LIMITS) else { return false };
    let Ok(decoded) = codec::decode(Level::best(), source, &Wanted::all(header.stored)) else { return false };
    let red_x = |profile: Vec<u8>| {
        let number = |at: usize| Some(u32::from_be_bytes(profile.get(at..at + 4)?.try_into().ok()?));
        let tags = profile.get(132..)?.chunks_exact(12);
        let tag = tags.take(number(128)? as usize).find(|tag| tag.starts_with(b"rXYZ"))?;
        let offset = u32::from_be_bytes(tag[4..8].try_into().ok()?);
        Some(f64::from(number(offset as usize + 8)?) / 65536.0)
    };
    decoded.profile.and_then(red_x).is_some_and(|x| x > 0.55)
}

/// A picture by the pipeline itself, as `parameters` say.
pub(crate) fn render(source: &[u8], parameters: &str) -> Option<Pixmap> {
    let plan = plan(source, parameters)?;
    pipeline::render(Level::best(), source, &plan).ok()
}

/// The plan of an answer of quality 80.
pub(crate) fn plan(source: &[u8], parameters: &str) -> Option<Plan> {
    let header = pipeline::probe(source, LIMITS).ok()?;
    let transformation = Transformation::plain(parameters.parse().expect("valid parameters"));
    let quality = JpegQuality::try_from(80).expect("80 is a quality");
    Plan::new(&transformation, 1, &header, Jpeg { quality, progressive: false }, 65_535).ok()
}

fn made(name: &str, bytes: &[u8], folder: &Path) -> Picture {
    Picture::keep(name, bytes, folder).expect("what the pipeline has made it can read")
}

/// About 24 MP, baseline: the picture itself if it is large enough, else enlarged.
fn baseline(picture: &Picture) -> Vec<u8> {
    let parameters = if picture.pixels() * 5 > LARGE * 4 { "w_60000,c_k" } else { "w_6000,h_4000,c_p,g_c" };
    let image = render(&picture.read(), parameters).expect("a sound picture");
    let quality = JpegQuality::try_from(88).expect("88 is a quality");
    codec::encode(Level::best(), &image, Encode { format: Format::Jpeg, quality, progressive: false })
}

/// 2048 × 1536, RGBA; alpha is a smooth hill that is cut off above 255, so that parts are opaque and parts are clear.
fn with_alpha(picture: &Picture) -> Vec<u8> {
    let image = render(&picture.read(), "w_2048,h_1536,c_p,g_c").expect("a sound picture");
    let size = image.size();
    let mut bytes = Vec::with_capacity(size.pixels() as usize * 4);
    for (index, color) in image.bytes().chunks_exact(image.bytes().len() / size.pixels() as usize).enumerate() {
        let (x, y) = (index as u32 % size.width, index as u32 / size.width);
        let across = f64::from(x) / f64::from(size.width) * std::f64::consts::PI;
        let down = f64::from(y) / f64::from(size.height) * std::f64::consts::PI;
        let alpha = (across.sin() * down.sin() * 400.0 - 40.0).clamp(0.0, 255.0) as u8;
        bytes.extend([0, 1, 2].map(|channel| color[channel.min(color.len() - 1)]));
        bytes.push(alpha);
    }
    let image = Pixmap::new(size, Layout::Rgba, bytes);
    let Jpeg { quality, progressive } = Jpeg::default();
    codec::encode(Level::best(), &image, Encode { format: Format::Png, quality, progressive })
}
