//! What a resized picture should be: Lanczos-3 in linear light and floating point, from every pixel of the source; and
//! SSIMULACRA2 against that. The benchmark of the peers judges by it, too (`benches/peers`).

use pixlserv::raster::{Layout, Pixmap};
use ssimulacra2::{ColorPrimaries, Rgb, TransferCharacteristic, compute_frame_ssimulacra2};

/// Gamma-coded, 0 to 1; what is transparent lies over white.
pub(crate) type Picture = Vec<[f32; 3]>;

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

/// How many bytes a pixel has, RGB or RGBA.
fn channels(source: &Pixmap) -> usize {
    match source.layout() {
        Layout::Rgb => 3,
        Layout::Rgba => 4,
        layout => panic!("no reference for {layout:?}"),
    }
}

/// The whole source at another size; alpha is premultiplied while it is resized.
pub(crate) fn resized(source: &Pixmap, width: usize, height: usize) -> Picture {
    let (from_width, from_height) = (source.size().width as usize, source.size().height as usize);
    let n_channels = channels(source);
    let table: Vec<f64> = (0..=255).map(decode).collect();
    let horizontal = weights(from_width, width);
    let mut wide = vec![[0f64; 4]; width * from_height];
    for (row, target) in source.bytes().chunks_exact(from_width * n_channels).zip(wide.chunks_exact_mut(width)) {
        for ((first, weights), pixel) in horizontal.iter().zip(target) {
            for (weight, color) in weights.iter().zip(row[first * n_channels..].chunks_exact(n_channels)) {
                let weight = weight * color.get(3).map_or(1.0, |&alpha| f64::from(alpha) / 255.0);
                for channel in 0..3 {
                    pixel[channel] += weight * table[usize::from(color[channel])];
                }
                pixel[3] += weight;
            }
        }
    }
    let mut picture = Vec::with_capacity(width * height);
    for (first, weights) in weights(from_height, height) {
        for x in 0..width {
            let mut sum = [0.0; 4];
            for (row, weight) in weights.iter().enumerate() {
                let pixel = wide[(first + row) * width + x];
                (0..4).for_each(|channel| sum[channel] += weight * pixel[channel]);
            }
            let [red, green, blue, alpha] = sum;
            let over_white = |light: f64| match alpha > 1e-6 {
                true => (encode(light / alpha) * alpha.min(1.0) + 1.0 - alpha.min(1.0)) as f32,
                false => 1.0,
            };
            picture.push([red, green, blue].map(over_white));
        }
    }
    picture
}

/// A picture as it is.
pub(crate) fn unchanged(source: &Pixmap) -> Picture {
    let over_white = |pixel: &[u8]| {
        let alpha = pixel.get(3).map_or(1.0, |&alpha| f32::from(alpha) / 255.0);
        [0, 1, 2].map(|channel| f32::from(pixel[channel]) / 255.0 * alpha + 1.0 - alpha)
    };
    source.bytes().chunks_exact(channels(source)).map(over_white).collect()
}

/// SSIMULACRA2: 100 is identical, 2 points are visible.
pub(crate) fn score(expected: &Picture, found: Picture, width: usize, height: usize) -> f64 {
    let frame = |pixels| {
        let frame = Rgb::new(pixels, width, height, TransferCharacteristic::SRGB, ColorPrimaries::BT709);
        frame.expect("as many pixels as its sides say")
    };
    compute_frame_ssimulacra2(frame(expected.clone()), frame(found)).expect("pictures of one size")
}
