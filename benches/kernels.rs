//! Kernels and stages beside a plain copy of the same bytes, each at every level: those of decoding, resizing and
//! encoding; then ink over pictures of 1600 × 1200, row by row, and over a band of 16 rows, which stays in the cache. All
//! take turns in rounds; medians are printed.

use std::hint::black_box;
use std::time::{Duration, Instant};

use pixlserv::pipeline::codec::jpeg_kernels::idct::{self, BlockRow};
use pixlserv::pipeline::codec::jpeg_kernels::{color, unstuff, upsample};
use pixlserv::pipeline::kernels::{self, Kernel};
use pixlserv::pipeline::stamp::blend;
use pixlserv::pipeline::{codec, color::Conversion, resize};
use pixlserv::plan::{Encode, Jpeg};
use pixlserv::raster::{Format, Layout, Pixmap, Rect, Size};
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

/// Kernels of the JPEG decoder over rows of 4,096 samples, and whole stages of an image. Bytes that are written count.
fn stages(noise: &mut Noise) -> Vec<Kernel> {
    const WIDTH: usize = 4096;
    let mut bytes = |n: usize| (0..n).map(|_| noise.below(256) as u8).collect::<Vec<_>>();
    let planes = [bytes(WIDTH), bytes(WIDTH), bytes(WIDTH)];
    let half = [bytes(WIDTH / 2), bytes(WIDTH / 2)];
    let inside = kernels::all(&bytes(kernels::N_BYTES));
    let mut stuffed = bytes(64 << 10);
    stuffed.iter_mut().for_each(|byte| *byte &= 0x7F);
    stuffed.chunks_exact_mut(256).for_each(|chunk| chunk[..2].copy_from_slice(&[0xFF, 0]));
    let coefficients: Vec<i16> = (0..WIDTH * 8).map(|_| (noise.below(64) as i16 - 32) >> noise.below(6)).collect();
    let pixels = (0..1362 * 1112 * 3).map(|_| noise.below(256) as u8).collect();
    let picture = Pixmap::new(Size::new(1362, 1112), Layout::Rgb, pixels);
    let answer = Pixmap::new(Size::new(720, 588), Layout::Rgb, picture.bytes()[..720 * 588 * 3].to_vec());
    let mut kernels = vec![
        Kernel {
            name: "unstuff",
            n_bytes: stuffed.len(),
            run: {
                let mut target = vec![0; stuffed.len()];
                Box::new(move |level| _ = black_box(unstuff::unstuff(level, &stuffed, &mut target)))
            },
        },
        Kernel {
            name: "YCbCr to RGB",
            n_bytes: WIDTH * 3,
            run: {
                let mut rgb = vec![0; WIDTH * 3];
                Box::new(move |level| color::to_rgb(level, &planes[0], &planes[1], &planes[2], black_box(&mut rgb)))
            },
        },
        Kernel {
            name: "chroma twice as wide and high",
            n_bytes: WIDTH,
            run: {
                let mut wide = vec![0; WIDTH];
                Box::new(move |level| upsample::wider_and_higher(level, &half[0], &half[1], black_box(&mut wide)))
            },
        },
        Kernel {
            name: "resize 1362 × 1112 to 720 × 588",
            n_bytes: 720 * 588 * 3,
            run: {
                let frame = resize::Frame::new(Rect::whole(picture.size()), Some(Size::new(720, 588)));
                let conversion = Conversion::new(None, Layout::Rgb);
                Box::new(move |level| {
                    let source = resize::Source::View(picture.view(Rect::whole(picture.size())));
                    black_box(resize::run(level, source, &frame, &conversion));
                })
            },
        },
        Kernel {
            name: "JPEG of 720 × 588",
            n_bytes: 720 * 588 * 3,
            run: {
                let Jpeg { quality, progressive } = Jpeg::default();
                let encode = Encode { format: Format::Jpeg, quality, progressive };
                Box::new(move |level| _ = black_box(codec::encode(level, &answer, encode)))
            },
        },
    ];
    for (name, side) in [("inverse DCT at 1/8", 1), ("at 2/8", 2), ("at 4/8", 4), ("at 8/8", 8)] {
        let factors = vec![3; side * side];
        let blocks = BlockRow { first: 0, step: side * side, per_group: 1, n_groups: WIDTH / side };
        let (coefficients, mut samples) = (coefficients.clone(), vec![0; WIDTH * side]);
        let run = move |level| {
            idct::inverse(level, side, &coefficients, blocks, &factors, black_box(&mut samples), WIDTH);
        };
        kernels.push(Kernel { name, n_bytes: blocks.n_groups * side * side, run: Box::new(run) });
    }
    kernels.extend(inside);
    kernels
}

/// Levels take turns, beside a copy of as many bytes; medians.
fn compare(kernels: Vec<Kernel>, levels: &[Level]) {
    println!(
        "\n{:<34} {:>8}{}",
        "GB/s written",
        "copy",
        levels.iter().map(|level| format!("{:>8}", level.name())).collect::<String>()
    );
    for Kernel { name, n_bytes, mut run } in kernels {
        let (original, mut copy) = (vec![7u8; n_bytes], vec![0u8; n_bytes]);
        let mut times = vec![Vec::new(); levels.len() + 1];
        // Short ones are run so often that a round takes some microseconds.
        let repeats = (200_000 / n_bytes).max(1);
        for _ in 0..101 {
            for (index, times) in times.iter_mut().enumerate() {
                let start = Instant::now();
                for _ in 0..repeats {
                    match index.checked_sub(1) {
                        None => black_box(&mut copy).copy_from_slice(black_box(&original)),
                        Some(level) => run(levels[level]),
                    }
                }
                times.push(start.elapsed());
            }
        }
        let speeds = times.iter_mut().map(|times| {
            times.sort_unstable();
            (n_bytes * repeats) as f64 / times[times.len() / 2].as_nanos() as f64
        });
        println!("{name:<34} {}", speeds.map(|speed| format!("{speed:>8.2}")).collect::<String>());
    }
}

fn main() {
    let noise = &mut Noise(2_463_534_242);
    let inks = [("photo", photo_ink(noise)), ("text", text_ink(noise)), ("opaque", opaque_ink(noise))];
    let pictures = pictures(noise);
    let levels = Level::available();
    compare(stages(noise), &levels);
    println!();
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
