//! Files, sound or not, decoded at any scale, at every instruction set, with rows left out.
//!
//! An input is five bytes (see `Asked`) and a file.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

use fuzz::pipeline::codec::{self, Pixels};
use fuzz::pipeline::{DecodeError, Wanted, probe};
use fuzz::plan::Eighths;
use fuzz::raster::{Format, Header, Layout, Rect, Size};
use fuzz::simd::Level;
use fuzz::{LIMITS, start, within};

fuzz_target!(init: start(), |input: &[u8]| -> Corpus {
    let Some((&asked, source)) = input.split_first_chunk() else { return Corpus::Reject };
    let Ok(header) = probe(source, LIMITS) else { return Corpus::Keep };
    let asked = Asked::new(asked, &header);
    let told_bytes = header.streamed_bytes + source.len() as u64;

    let outcomes = Level::available().into_iter().map(|level| within(told_bytes, source, || decoded(level, source, &asked)));
    let outcomes: Vec<_> = outcomes.collect();
    let outcome = &outcomes[0];
    assert!(outcomes.iter().all(|other| other == outcome), "levels differ: {asked:?} {outcomes:?}");

    let check = within(told_bytes, source, || codec::check(Level::best(), source));
    let may_skip = header.format == Format::Jpeg && is_progressive(source) && asked.skips_scans();
    if check.is_ok() != outcome.is_ok() && !(may_skip && outcome.is_ok()) {
        panic!("decoded: {outcome:?}, checked: {check:?}, {asked:?}");
    }
    Corpus::Keep
});

/// What the first bytes of an input ask for.
#[derive(Debug)]
struct Asked {
    wanted: Wanted,
    /// Row y is left out if bit y modulo 8 is set.
    left_out: u8,
}

impl Asked {
    /// Scale and gray, rows that are left out, and where the region begins and ends, in sixteenths of the sides.
    fn new([how, left_out, from, across, down]: [u8; 5], header: &Header) -> Self {
        let Size { width, height } = header.stored;
        let start = |side: u32, sixteenths: u8| (u64::from(side) * u64::from(sixteenths) / 16) as u32;
        let (x, y) = (start(width, from & 15), start(height, from >> 4));
        let length = |rest: u32, parts: u8| (u64::from(rest) * (u64::from(parts) + 1) / 256).max(1) as u32;
        let size = Size::new(length(width - x, across), length(height - y, down));
        let eighths = match header.format {
            Format::Jpeg => Eighths::new(u32::from(how & 7) + 1).expect("1 to 8"),
            Format::Png => Eighths::ALL,
        };
        Self { wanted: Wanted { eighths, region: Rect { x, y, size }, is_gray: how & 8 != 0 }, left_out }
    }

    /// Whether scans of a progressive picture may be left out, and so what is wrong with them.
    fn skips_scans(&self) -> bool {
        self.wanted.is_gray || self.wanted.eighths != Eighths::ALL
    }
}

/// Size, layout and a checksum of all that was asked for.
type Seen = (Size, Layout, u32);

fn decoded(level: Level, source: &[u8], asked: &Asked) -> Result<Seen, DecodeError> {
    let mut decoded = codec::decode(level, source, &asked.wanted)?;
    let (size, layout, eighths) = (decoded.pixels.size(), decoded.pixels.layout(), decoded.eighths.get());
    let Rect { x, y, size: region } = asked.wanted.region;
    let scaled =
        |start: u32, length: u32| (start * eighths / 8) as usize..((start + length) * eighths).div_ceil(8) as usize;
    let (columns, rows) = (scaled(x, region.width), scaled(y, region.height));
    let samples = columns.start * layout.channels()..columns.end * layout.channels();

    let mut sum = crc32fast::Hasher::new();
    match &mut decoded.pixels {
        Pixels::Whole(pixmap) => sum.update(pixmap.bytes()),
        Pixels::Rows(decoder) => {
            for y in rows.filter(|y| asked.left_out >> (y % 8) & 1 == 0) {
                let row = decoder.row(y as u32);
                sum.update(&row.samples[samples.clone()]);
                for variance in row.variance.map_or(&[][..], |variance| &variance[columns.clone()]) {
                    sum.update(&variance.to_le_bytes());
                }
            }
        }
    }
    decoded.pixels.finish()?;
    Ok((size, layout, sum.finalize()))
}

/// Whether there is anything that looks like the frame header of a progressive JPEG.
fn is_progressive(source: &[u8]) -> bool {
    source.windows(2).any(|pair| pair == [0xFF, 0xC2])
}
