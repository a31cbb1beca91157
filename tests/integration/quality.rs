//! Quality of resizing, before lossy encoding and after it: SSIMULACRA2 against a reference in linear light and
//! floating point, from the full resolution. 100 is identical; 2 points are visible.

use std::path::Path;

use pixlserv::pipeline::{self, Limits};
use pixlserv::plan::{Eighths, Jpeg, JpegQuality, Plan};
use pixlserv::raster::Pixmap;
use pixlserv::simd::Level;
use pixlserv::transform::Transformation;

use crate::{corpus, reference};

fn plan(source: &[u8], parameters: &str, quality: i64) -> Plan {
    let header = pipeline::probe(source, Limits { max_source_pixels: 100_000_000 }).unwrap();
    let transformation = Transformation::plain(parameters.parse().unwrap());
    let jpeg = Jpeg { quality: JpegQuality::try_from(quality).unwrap(), ..Jpeg::default() };
    Plan::new(&transformation, 1, &header, jpeg, 65_535).unwrap()
}

fn render(source: &[u8], plan: &Plan) -> Pixmap {
    pipeline::render(Level::best(), source, plan).unwrap()
}

/// SSIMULACRA2 of our picture, and of the reference itself once it is rounded to 8 bits: no answer can do better than
/// that. Of the qualities that decode sources whole.
fn scores(source: &[u8], width: u32) -> (f64, f64) {
    let whole = render(source, &plan(source, "w_60000,c_k", 95));
    let ours = render(source, &plan(source, &format!("w_{width}"), 95));
    let (width, height) = (ours.size().width as usize, ours.size().height as usize);
    let expected = reference::resized(&whole, width, height);
    let rounded = expected.iter().map(|pixel| pixel.map(|value| (value * 255.0).round() / 255.0)).collect();
    let score = |found| reference::score(&expected, found, width, height);
    (score(reference::unchanged(&ours)), score(rounded))
}

/// SSIMULACRA2 of answers at quality 80: of a source that is decoded as planned, and of the same decoded whole.
fn answers(source: &[u8], width: u32) -> [f64; 2] {
    let whole = render(source, &plan(source, "w_60000,c_k", 95));
    let planned = plan(source, &format!("w_{width}"), 80);
    let size = planned.resize.unwrap();
    let expected = reference::resized(&whole, size.width as usize, size.height as usize);
    [planned.eighths, Eighths::ALL].map(|eighths| {
        let plan = Plan { eighths, ..planned.clone() };
        let answer = pipeline::run(Level::best(), source, &plan, pipeline::no_stamps).unwrap().bytes;
        let shown = render(&answer, &self::plan(&answer, "w_60000,c_k", 95));
        reference::score(&expected, reference::unchanged(&shown), size.width as usize, size.height as usize)
    })
}

fn check(path: &Path, widths: [u32; 2], bar: f64) {
    let source = std::fs::read(path).unwrap();
    for width in widths {
        let (score, best) = scores(&source, width);
        println!("SSIMULACRA2 {score:.2} of {best:.2} at {width} wide: {}", path.file_name().unwrap().display());
        assert!(score >= bar.min(best - 0.5), "{} at {width} wide: {score:.2}, wanted {bar}", path.display());
    }
}

#[test]
fn sample_images_keep_their_quality() {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/images");
    check(&images.join("mountains.jpg"), [400, 200], 95.0);
    check(&images.join("spheres.jpg"), [700, 150], 95.0);
}

#[test]
fn photographs_keep_their_quality() {
    let Some(corpus) = corpus::folder() else { return };
    let photographs = [
        "sharp__2569067123_aca715a2ee_o.jpg",
        "imagers__test.jpg",
        "recurser__Landscape_1.jpg",
        // Rounding alone costs this one 5.5 points at 720 pixels.
        "lepton__slrhills.jpg",
    ];
    for photograph in photographs {
        let folder = if photograph.starts_with("recurser") { "orientation" } else { "photos" };
        check(&corpus.join(folder).join(photograph), [720, 200], 95.0);
    }
}

#[test]
fn reduced_decoding_costs_little_once_answers_are_encoded() {
    let Some(corpus) = corpus::folder() else { return };
    for photograph in ["sharp__2569067123_aca715a2ee_o.jpg", "imagers__test.jpg", "lepton__slrhills.jpg"] {
        let source = std::fs::read(corpus.join("photos").join(photograph)).unwrap();
        for width in [720, 512, 200] {
            let [planned, whole] = answers(&source, width);
            println!("SSIMULACRA2 {planned:.2}, decoded whole {whole:.2} at {width} wide: {photograph}");
            // At 1/8 of a picture that is two and a half times as large it was 1.24.
            assert!(planned >= whole - 1.5, "{photograph} at {width} wide: {planned:.2} of {whole:.2}");
        }
    }
}
