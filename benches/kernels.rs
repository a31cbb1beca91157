//! Kernels beside a plain copy of the same bytes, each at every level: ink over pictures of 1600 × 1200, row by row,
//! and over a band of 16 rows, which stays in the cache. All take turns in rounds; medians are printed.

use std::time::{Duration, Instant};

use pixlserv::pipeline::stamp::blend;
use pixlserv::simd::Level;

const WIDTH: usize = 1600;
const HEIGHT: usize = 1200;
const BAND: usize = 16;
/// Rounds over whole pictures and over bands.
const ROUNDS: [usize; 2] = [41, 401];

/// Numbers without a pattern (Marsaglia's xorshift), the same in every run.
struct Noise(u32);

impl Noise {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % end
    }
}

/// One pixel of ink, premultiplied.
fn ink(alpha: u32, noise: &mut Noise) -> [u8; 4] {
    let mut channel = || noise.below(alpha + 1) as u8;
    [channel(), channel(), channel(), alpha as u8]
}

/// A photograph laid over at changing translucency.
fn photo_ink(noise: &mut Noise) -> Vec<[u8; 4]> {
    (0..WIDTH * HEIGHT)
        .map(|_| 20 + noise.below(215))
        .collect::<Vec<_>>()
        .into_iter()
        .map(|alpha| ink(alpha, noise))
        .collect()
}

/// Lines of text: half of the rows lie between lines, in the others a stroke of 5 pixels (an edge, 3 opaque ones, an
/// edge) comes every 15 to 35 pixels. A tenth is inked.
fn text_ink(noise: &mut Noise) -> Vec<[u8; 4]> {
    let mut pixels = vec![[0; 4]; WIDTH * HEIGHT];
    for (row_index, row) in pixels.chunks_exact_mut(WIDTH).enumerate() {
        let mut x = 15;
        while row_index % 8 < 4 && x + 5 < WIDTH {
            let [before, after] = [1 + noise.below(254), 1 + noise.below(254)];
            let stroke = [before, 255, 255, 255, after].map(|alpha| [alpha as u8; 4]);
            row[x..x + 5].copy_from_slice(&stroke);
            x += 15 + noise.below(20) as usize;
        }
    }
    pixels
}

fn opaque_ink(noise: &mut Noise) -> Vec<[u8; 4]> {
    (0..WIDTH * HEIGHT).map(|_| ink(255, noise)).collect()
}

/// A picture of one layout.
struct Picture {
    name: &'static str,
    channels: usize,
    bytes: Vec<u8>,
}

fn pictures(noise: &mut Noise) -> Vec<Picture> {
    let mut bytes =
        |channels: usize| (0..WIDTH * HEIGHT * channels).map(|_| noise.below(256) as u8).collect::<Vec<_>>();
    let mut opaque = |channels: usize| {
        let mut bytes = bytes(channels);
        bytes.iter_mut().skip(channels - 1).step_by(channels).for_each(|alpha| *alpha = 255);
        bytes
    };
    let (opaque_gray_alpha, opaque_rgba) = (opaque(2), opaque(4));
    vec![
        Picture { name: "gray", channels: 1, bytes: bytes(1) },
        Picture { name: "gray-alpha", channels: 2, bytes: bytes(2) },
        Picture { name: "gray-alpha, all 255", channels: 2, bytes: opaque_gray_alpha },
        Picture { name: "rgb", channels: 3, bytes: bytes(3) },
        Picture { name: "rgba", channels: 4, bytes: bytes(4) },
        Picture { name: "rgba, all 255", channels: 4, bytes: opaque_rgba },
    ]
}

/// What is done to a row.
#[derive(Clone, Copy)]
enum Work {
    Copy,
    Blend(Level),
}

fn run_row(work: Work, channels: usize, ink: &[[u8; 4]], original: &[u8], row: &mut [u8]) {
    match (work, channels) {
        (Work::Copy, _) => row.copy_from_slice(original),
        (Work::Blend(level), 1) => blend::over_gray(level, ink, row),
        (Work::Blend(level), 2) => blend::over_gray_alpha(level, ink, row.as_chunks_mut().0),
        (Work::Blend(level), 3) => blend::over_rgb(level, ink, row.as_chunks_mut().0),
        (Work::Blend(level), _) => blend::over_rgba(level, ink, row.as_chunks_mut().0),
    }
}

/// One pass over the first rows of a picture, which is fresh each time: blending makes it more opaque.
fn timed(work: Work, n_rows: usize, ink: &[[u8; 4]], picture: &Picture, target: &mut [u8]) -> Duration {
    let stride_bytes = WIDTH * picture.channels;
    let original = &picture.bytes[..n_rows * stride_bytes];
    let target = &mut target[..n_rows * stride_bytes];
    target.copy_from_slice(original);
    let rows =
        target.chunks_exact_mut(stride_bytes).zip(original.chunks_exact(stride_bytes)).zip(ink.chunks_exact(WIDTH));
    let start = Instant::now();
    for ((row, original), ink) in rows {
        run_row(work, picture.channels, ink, original, row);
    }
    std::hint::black_box(target);
    start.elapsed()
}

/// A row of the table: its times of whole pictures and of bands, for each work.
struct Case<'a> {
    picture: &'a Picture,
    ink_name: &'static str,
    ink: &'a [[u8; 4]],
    times: [Vec<Vec<Duration>>; 2],
}

impl Case<'_> {
    /// Picture bytes per nanosecond, each counted once though it is read and written.
    fn speeds(&self, extent: usize) -> Vec<f64> {
        let n_bytes = [HEIGHT, BAND][extent] * WIDTH * self.picture.channels;
        let median = |times: &Vec<Duration>| {
            let mut times = times.clone();
            times.sort_unstable();
            times[times.len() / 2]
        };
        self.times[extent].iter().map(|times| n_bytes as f64 / median(times).as_nanos() as f64).collect()
    }
}

fn main() {
    let noise = &mut Noise(2_463_534_242);
    let inks = [("photo", photo_ink(noise)), ("text", text_ink(noise)), ("opaque", opaque_ink(noise))];
    let pictures = pictures(noise);
    let levels = Level::available();
    let works: Vec<Work> = std::iter::once(Work::Copy).chain(levels.iter().copied().map(Work::Blend)).collect();
    let mut target = vec![0; WIDTH * HEIGHT * 4];
    let mut cases: Vec<Case> = pictures
        .iter()
        .flat_map(|picture| inks.iter().map(move |(ink_name, ink)| (picture, *ink_name, ink)))
        .map(|(picture, ink_name, ink)| {
            let times = [vec![Vec::new(); works.len()], vec![Vec::new(); works.len()]];
            Case { picture, ink_name, ink, times }
        })
        .collect();

    for (extent, n_rows) in [HEIGHT, BAND].into_iter().enumerate() {
        for _ in 0..ROUNDS[extent] {
            for case in &mut cases {
                for (work, times) in works.iter().zip(&mut case.times[extent]) {
                    times.push(timed(*work, n_rows, case.ink, case.picture, &mut target));
                }
            }
        }
    }

    println!("GB/s of picture bytes, each counted once; a pass reads 4 bytes of ink for each pixel beside them.");
    let names: Vec<&str> = std::iter::once("copy").chain(levels.iter().map(|level| level.name())).collect();
    for (extent, title) in [format!("{WIDTH} × {HEIGHT}"), format!("{WIDTH} × {BAND}")].iter().enumerate() {
        println!("\n{:<20} {:<8} {}", title, "ink", names.iter().map(|name| format!("{name:>8}")).collect::<String>());
        for case in &cases {
            let speeds: String = case.speeds(extent).iter().map(|speed| format!("{speed:>8.2}")).collect();
            println!("{:<20} {:<8} {speeds}", case.picture.name, case.ink_name);
        }
    }
}
