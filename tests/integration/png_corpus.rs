//! Every PNG of the corpus: rows, the whole picture, and the library alone show the same, and refuse the same. And how
//! little memory rows take.

use std::io::Write;
use std::path::{Path, PathBuf};

use pixlserv::pipeline::codec::{self, Pixels, Shared};
use pixlserv::pipeline::{Limits, Wanted, probe};
use pixlserv::raster::Format;
use pixlserv::simd::Level;

use crate::corpus;
use crate::server::Server;

/// Larger ones would take long where there are no optimisations.
const LIMITS: Limits = Limits { max_source_pixels: 20_000_000 };

#[test]
fn rows_of_the_corpus_are_what_the_library_decodes() {
    let Some(corpus) = corpus::folder() else { return };
    let (mut n_shown, mut n_refused, mut others) = (0, 0, Vec::new());
    for path in pngs(&corpus) {
        let source = std::fs::read(&path).unwrap();
        let Ok(header) = probe(&source, LIMITS) else { continue };
        if header.format != Format::Png {
            continue;
        }
        let expected = std::panic::catch_unwind(|| by_the_library(&source, header.stored.height)).unwrap_or_default();
        if expected.is_some() {
            n_shown += 1
        } else {
            n_refused += 1
        }
        if rows(&source) != expected || whole(&source) != expected {
            others.push(path);
        }
    }
    assert!(others.is_empty(), "{others:#?}");
    corpus::say(&format!("PNGs of the corpus: {n_shown} shown, {n_refused} refused, as the library does"));
    assert!(n_shown > 100 && n_refused > 100, "{n_shown} {n_refused}");
}

#[test]
fn a_hundred_megapixels_do_not_stand_in_memory() {
    const ALLOWED_KB: u64 = 80 << 10;
    let server = Server::start("cache: {enabled: No}\n");
    std::fs::write(server.images().join("large.png"), large(10_000, 10_000)).unwrap();
    assert_eq!(server.get("/image/w_20/photo.png").status, 200);
    server.forget_peak();
    let start = server.resident_kb();
    let answer = server.get("/image/w_100/large.png");
    assert_eq!((answer.status, crate::pictures::png_size(&answer.body)), (200, (100, 100)));
    let growth = server.peak_kb().saturating_sub(start);
    corpus::say(&format!("10,000 x 10,000 RGBA: + {growth} KB, as a whole 390,625"));
    assert!(growth <= ALLOWED_KB, "{growth} KB");
}

/// A picture of stripes, RGBA.
fn large(width: u32, height: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_compression(png::Compression::Fastest);
    let mut writer = encoder.write_header().unwrap();
    let mut stream = writer.stream_writer().unwrap();
    let row: Vec<u8> = (0..width).flat_map(|x| [(x / 50) as u8, 100, 200, 255]).collect();
    (0..height).for_each(|_| stream.write_all(&row).unwrap());
    stream.finish().unwrap();
    drop(writer);
    file
}

fn pngs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let is_png = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "png");
    let inner = folders.iter().flat_map(|folder| pngs(folder));
    files.into_iter().filter(is_png).chain(inner).collect()
}

/// The samples of a picture that is kept for several answers.
fn whole(source: &[u8]) -> Option<Vec<u8>> {
    let wanted = Wanted::all(probe(source, LIMITS).ok()?.stored);
    samples(Shared::decode(Level::best(), source, &wanted).ok()??.again().pixels)
}

fn rows(source: &[u8]) -> Option<Vec<u8>> {
    let wanted = Wanted::all(probe(source, LIMITS).ok()?.stored);
    samples(codec::decode(Level::best(), source, &wanted).ok()?.pixels)
}

/// The samples, row by row.
fn samples(mut pixels: Pixels) -> Option<Vec<u8>> {
    let height = pixels.size().height;
    let samples = match &mut pixels {
        Pixels::Whole(pixmap) => pixmap.bytes().to_vec(),
        Pixels::Rows(rows) => (0..height).flat_map(|y| rows.row(y).samples.to_vec()).collect(),
    };
    pixels.finish().ok().map(|()| samples)
}

/// What png decodes, strictly and within the limits that are ours; 16 bits are rounded to 8.
fn by_the_library(source: &[u8], height: u32) -> Option<Vec<u8>> {
    // Without an end the file is cut off, whatever the library says.
    source.windows(4).any(|kind| kind == b"IEND").then_some(())?;
    let open = |ignores_profile: bool| {
        let mut options = png::DecodeOptions::default();
        options.set_ignore_text_chunk(true);
        options.set_ignore_iccp_chunk(ignores_profile);
        options.set_ignore_adler32(false);
        let mut decoder = png::Decoder::new_with_options(std::io::Cursor::new(source), options);
        decoder.set_limits(png::Limits { bytes: 8 << 20 });
        decoder.set_transformations(png::Transformations::EXPAND);
        decoder.read_info()
    };
    let mut reader = match open(false) {
        Err(png::DecodingError::LimitsExceeded) => open(true).ok()?,
        other => other.ok()?,
    };
    let depth = reader.output_color_type().1;
    let mut samples = Vec::new();
    if reader.info().interlaced {
        samples.resize(reader.output_buffer_size()?, 0);
        reader.next_frame(&mut samples).ok()?;
    } else {
        for _ in 0..height {
            samples.extend_from_slice(reader.next_row().ok()??.data());
        }
    }
    reader.finish().ok()?;
    let rounded = |&[high, low]: &[u8; 2]| ((u32::from(u16::from_be_bytes([high, low])) * 255 + 32_895) >> 16) as u8;
    Some(if depth == png::BitDepth::Sixteen { samples.as_chunks().0.iter().map(rounded).collect() } else { samples })
}
