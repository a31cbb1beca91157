//! The stages of an image and whole images, in process and on one thread. Pictures are the samples of the
//! repository, and the photographs of `PIXLSERV_CORPUS` where it is set.

use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pixlserv::pipeline::{self, Limits, codec, color::Conversion, resize};
use pixlserv::plan::{JpegQuality, Plan};
use pixlserv::raster::{Rect, Size};
use pixlserv::transform::Transformation;

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
    let header = pipeline::probe(source, Limits { max_source_pixels: 100_000_000 }).expect("a sound picture");
    let transformation = Transformation::plain(parameters.parse().expect("valid parameters"));
    Plan::new(&transformation, 1, &header, JpegQuality::default(), 8192).expect("a small answer")
}

fn stages(criterion: &mut Criterion) {
    for (name, source) in pictures() {
        let mut decoded = codec::decode(&source).expect("a sound picture");
        let (size, layout) = (decoded.pixels.size(), decoded.pixels.layout());
        let conversion = Conversion::new(decoded.profile.as_deref(), layout);
        let target = Size::new(400, (400.0 * f64::from(size.height) / f64::from(size.width)) as u32);
        let mut resized =
            || resize::run(resize::Source::new(&mut decoded.pixels, Rect::whole(size)), Some(target), &conversion);
        let small = resized();
        let encode = plan(&source, "w_400").encode;

        let mut group = criterion.benchmark_group("stage");
        group.throughput(Throughput::Elements(size.pixels()));
        group.bench_function(BenchmarkId::new("decode", &name), |bencher| bencher.iter(|| codec::decode(&source)));
        group.bench_function(BenchmarkId::new("resize to 400", &name), |bencher| {
            bencher.iter(&mut resized);
        });
        group.throughput(Throughput::Elements(small.size().pixels()));
        group.bench_function(BenchmarkId::new("encode 400", &name), |bencher| {
            bencher.iter(|| codec::encode(&small, encode));
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
                bencher.iter(|| pipeline::run(&source, &plan));
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = stages, images
}
criterion_main!(benches);
