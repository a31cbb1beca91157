//! Quality of resizing, before lossy encoding: SSIMULACRA2 against a Lanczos-3 reference computed here in linear
//! light and floating point, at full resolution. 100 is identical; 2 points are visible.

use std::path::Path;

use pixlserv::pipeline::{self, Limits};
use pixlserv::plan::{JpegQuality, Plan};
use pixlserv::raster::{Layout, Pixmap};
use pixlserv::transform::Transformation;
use ssimulacra2::{ColorPrimaries, Rgb, TransferCharacteristic, compute_frame_ssimulacra2};

use crate::corpus;

fn render(source: &[u8], parameters: &str) -> Pixmap {
    let header = pipeline::probe(source, Limits { max_source_pixels: 100_000_000 }).unwrap();
    let transformation = Transformation::plain(parameters.parse().unwrap());
    let plan = Plan::new(&transformation, 1, &header, JpegQuality::default(), 65_535).unwrap();
    pipeline::render(source, &plan).unwrap()
}

/// Linear light of an sRGB code.
pub(crate) fn decode(code: u8) -> f64 {
    let coded = f64::from(code) / 255.0;
    if coded <= 0.04045 { coded / 12.92 } else { ((coded + 0.055) / 1.055).powf(2.4) }
}

fn encode(light: f64) -> f64 {
    let light = light.clamp(0.0, 1.0);
    if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}

/// Weights of the source samples that an output sample is made of, and the first of them.
fn weights(from: usize, to: usize) -> Vec<(usize, Vec<f64>)> {
    let lanczos = |x: f64| {
        let angle = std::f64::consts::PI * x;
        if x.abs() < 1e-9 { 1.0 } else { 3.0 * angle.sin() * (angle / 3.0).sin() / (angle * angle) }
    };
    let shrink = from as f64 / to as f64;
    let stretch = shrink.max(1.0);
    (0..to)
        .map(|index| {
            let center = (index as f64 + 0.5) * shrink - 0.5;
            let first = (center - 3.0 * stretch).ceil().max(0.0) as usize;
            let last = ((center + 3.0 * stretch).floor() as usize).min(from - 1);
            let raw: Vec<f64> = (first..=last).map(|x| lanczos((x as f64 - center) / stretch)).collect();
            let sum: f64 = raw.iter().sum();
            (first, raw.into_iter().map(|weight| weight / sum).collect())
        })
        .collect()
}

/// The reference picture: 0 to 1, gamma-coded.
fn reference(source: &Pixmap, width: usize, height: usize) -> Vec<[f32; 3]> {
    assert_eq!(source.layout(), Layout::Rgb);
    let (from_width, from_height) = (source.size().width as usize, source.size().height as usize);
    let table: Vec<f64> = (0..=255).map(decode).collect();
    let horizontal = weights(from_width, width);
    let mut wide = vec![[0f64; 3]; width * from_height];
    for (row, target) in source.bytes().chunks_exact(from_width * 3).zip(wide.chunks_exact_mut(width)) {
        for ((first, weights), pixel) in horizontal.iter().zip(target) {
            for (weight, color) in weights.iter().zip(row[first * 3..].chunks_exact(3)) {
                for channel in 0..3 {
                    pixel[channel] += weight * table[usize::from(color[channel])];
                }
            }
        }
    }
    let mut picture = Vec::with_capacity(width * height);
    for (first, weights) in weights(from_height, height) {
        for x in 0..width {
            let mut sum = [0.0; 3];
            for (row, weight) in weights.iter().enumerate() {
                let pixel = wide[(first + row) * width + x];
                (0..3).for_each(|channel| sum[channel] += weight * pixel[channel]);
            }
            picture.push(sum.map(|light| encode(light) as f32));
        }
    }
    picture
}

/// SSIMULACRA2 of our picture, and of the reference itself once it is rounded to 8 bits: no answer can do better than
/// that.
fn scores(source: &[u8], width: u32) -> (f64, f64) {
    let whole = render(source, "w_60000,c_k");
    let ours = render(source, &format!("w_{width}"));
    let (width, height) = (ours.size().width as usize, ours.size().height as usize);
    let expected = reference(&whole, width, height);
    let found: Vec<[f32; 3]> =
        ours.bytes().as_chunks().0.iter().map(|pixel: &[u8; 3]| pixel.map(|code| f32::from(code) / 255.0)).collect();
    let rounded = expected.iter().map(|pixel| pixel.map(|value| (value * 255.0).round() / 255.0)).collect();
    let frame = |pixels| Rgb::new(pixels, width, height, TransferCharacteristic::SRGB, ColorPrimaries::BT709).unwrap();
    let score = |pixels| compute_frame_ssimulacra2(frame(expected.clone()), frame(pixels)).unwrap();
    (score(found), score(rounded))
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
