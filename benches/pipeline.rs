//! The stages of an image and whole images, in process and on one thread. Pictures are the samples of the
//! repository, and the photographs of `PIXLSERV_CORPUS` where it is set.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pixlserv::config::{Config, Environment};
use pixlserv::pipeline::codec::{self, Shared};
use pixlserv::pipeline::stamp::Stamp;
use pixlserv::pipeline::{self, DecodeError, Limits, Wanted, color::Conversion, resize};
use pixlserv::plan::{Jpeg, Plan};
use pixlserv::raster::{Header, Layout, Pixmap, Rect, Size};
use pixlserv::service::{MarkFiles, Stamps};
use pixlserv::simd::Level;
use pixlserv::store::LocalStorage;
use pixlserv::transform::Transformation;

const LIMITS: Limits = Limits { max_source_pixels: 100_000_000 };

fn pictures() -> Vec<(String, Vec<u8>)> {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/images");
    let mut paths: Vec<PathBuf> = ["mountains.jpg", "badge.png"].iter().map(|name| samples.join(name)).collect();
    if let Some(corpus) = std::env::var_os("PIXLSERV_CORPUS").map(PathBuf::from) {
        let photographs = ["sharp__2569067123_aca715a2ee_o.jpg", "imagers__test.jpg", "pic-scale__beach_horizon.jpg"];
        paths.extend(photographs.iter().map(|name| corpus.join("photos").join(name)));
    }
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("a picture has a name").to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (name, bytes)
    };
    paths.into_iter().map(read).collect()
}

fn plan(source: &[u8], parameters: &str) -> Plan {
    let header = pipeline::probe(source, LIMITS).expect("a sound picture");
    let transformation = Transformation::plain(parameters.parse().expect("valid parameters"));
    Plan::new(&transformation, 1, &header, Jpeg::default(), 8192).expect("a small answer")
}

fn stages(criterion: &mut Criterion) {
    for (name, source) in pictures() {
        let size = pipeline::probe(&source, LIMITS).expect("a sound picture").stored;
        let decode = || Shared::decode(Level::best(), &source, &Wanted::all(size)).expect("a sound picture");
        let shared = decode().expect("not too large to be kept");
        let decoded = shared.again();
        let conversion = Conversion::new(decoded.profile.as_deref(), decoded.pixels.layout());
        let target = Size::new(400, (400.0 * f64::from(size.height) / f64::from(size.width)) as u32);
        let frame = resize::Frame::new(Rect::whole(size), Some(target));
        let resized =
            || resize::run(Level::best(), resize::Source::new(&mut shared.again().pixels), &frame, &conversion);
        let small = resized();
        let encode = plan(&source, "w_400").encode;

        let mut group = criterion.benchmark_group("stage");
        group.throughput(Throughput::Elements(size.pixels()));
        group.bench_function(BenchmarkId::new("decode", &name), |bencher| {
            bencher.iter(decode);
        });
        group.bench_function(BenchmarkId::new("resize to 400", &name), |bencher| {
            bencher.iter(resized);
        });
        group.throughput(Throughput::Elements(small.size().pixels()));
        group.bench_function(BenchmarkId::new("encode 400", &name), |bencher| {
            bencher.iter(|| codec::encode(Level::best(), &small, encode));
        });
        group.finish();
    }
}

fn images(criterion: &mut Criterion) {
    for (name, source) in pictures() {
        let mut group = criterion.benchmark_group("image");
        for parameters in ["w_400", "w_400,f_grayscale", "w_200,h_200,c_p,g_c", "w_200,h_200,c_k,g_c", "w_1600"] {
            let plan = plan(&source, parameters);
            group.bench_function(BenchmarkId::new(parameters, &name), |bencher| {
                bencher.iter(|| pipeline::run(Level::best(), &source, &plan, pipeline::no_stamps));
            });
        }
        group.finish();
    }
}

const OVERLAYS: &str = r##"
local-path: config/images
transformations:
  - {name: nothing, parameters: "w_1600,h_1200"}
  - {name: watermark, parameters: "w_1600,h_1200", watermark: {source: badge.png, gravity: se, scale: 0.2}}
  - {name: translucent, parameters: "w_1600,h_1200", watermark: {source: badge.png, gravity: c, scale: 0.75, opacity: 50}}
  - {name: tiles, parameters: "w_1600,h_1200", watermark: {source: badge.png, gravity: c, scale: 0.1, tile: Yes, opacity: 30}}
  - {name: text, parameters: "w_1600,h_1200", text: {content: "© 2026 A. Photographer", gravity: se, size: 40, color: "#fff"}}
  - name: caption
    parameters: w_1600,h_1200
    text: {content: "Two lines\nof a caption", gravity: s, size: 60, color: "#fff", background: "#000000a0", stroke: {width: 3}}
"##;

/// What stamps cost an answer of 1600 × 1200, beside the same answer without; and making them, which is done once.
fn overlays(criterion: &mut Criterion) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = Config::parse(OVERLAYS, &root.join("config"), &Environment::default()).expect("a valid configuration");
    let source = std::fs::read(root.join("config/images/mountains.jpg")).expect("a sample");
    let storage = LocalStorage::open(&root.join("config/images")).expect("a folder");
    let limits = Limits { max_source_pixels: 100_000_000 };
    let header = pipeline::probe(&source, limits).expect("a sound picture");
    let mut group = criterion.benchmark_group("overlay");
    for (name, transformation) in &config.catalog.named {
        let plan = Plan::new(transformation, 1, &header, Jpeg::default(), 8192).expect("a small answer");
        let make = |kept: &Stamps| stamps(kept, &storage, transformation, &plan);
        let kept = Stamps::new(64 << 20);
        let made = make(&kept);
        group.bench_function(BenchmarkId::new("answer", name.as_str()), |bencher| {
            let stamp = |number: usize| Ok::<_, DecodeError>(Arc::clone(&made[number]));
            bencher.iter(|| pipeline::run(Level::best(), &source, &plan, stamp));
        });
        if !made.is_empty() {
            group.bench_function(BenchmarkId::new("make", name.as_str()), |bencher| {
                bencher.iter(|| make(&Stamps::new(0)));
            });
            group.bench_function(BenchmarkId::new("find made", name.as_str()), |bencher| bencher.iter(|| make(&kept)));
        }
    }
    group.finish();
    draw_alone(criterion, &config, &storage, &header);
}

fn stamps(kept: &Stamps, storage: &LocalStorage, transformation: &Arc<Transformation>, plan: &Plan) -> Vec<Arc<Stamp>> {
    let limits = Limits { max_source_pixels: 100_000_000 };
    let mut files = MarkFiles::new(storage, limits);
    let mut gathered = kept.gather(&mut files, transformation, 1, plan).expect("all is there");
    (0..plan.stamps.len())
        .map(|number| kept.make(Level::best(), &mut gathered, number).expect("all can be drawn"))
        .collect()
}

/// The drawing alone, of pixels that are there.
fn draw_alone(criterion: &mut Criterion, config: &Config, storage: &LocalStorage, header: &Header) {
    let mut group = criterion.benchmark_group("draw");
    for (name, transformation) in &config.catalog.named {
        let plan = Plan::new(transformation, 1, header, Jpeg::default(), 8192).expect("a small answer");
        let stamps = stamps(&Stamps::new(0), storage, transformation, &plan);
        let size = plan.output();
        let mut image = Pixmap::new(size, Layout::Rgb, vec![99; size.pixels() as usize * 3]);
        for level in Level::available() {
            group.bench_function(BenchmarkId::new(level.name(), name.as_str()), |bencher| {
                bencher.iter(|| {
                    for (stamp, placement) in stamps.iter().zip(&plan.stamps) {
                        pipeline::stamp::draw(level, &mut image, stamp, placement);
                    }
                });
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = stages, images, overlays
}
criterion_main!(benches);
