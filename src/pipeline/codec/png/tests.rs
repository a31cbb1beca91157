//! Whole files: rows are what the library decodes, and damage is found however they are read.

use png::{BitDepth, ColorType, Filter};

use super::*;
use crate::pipeline::codec;
use crate::pipeline::codec::{Shared, Wanted};

/// All samples as the library has them, reduced to 8 bits.
fn by_the_library(source: &[u8]) -> Vec<u8> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(source));
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    match info.bit_depth {
        BitDepth::Sixteen => bytes.as_chunks().0.iter().map(|&sample| expand::to_8_bits(sample)).collect(),
        _ => bytes,
    }
}

/// Some noise that is the same each time.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn encoded(size: (u32, u32), kind: (ColorType, BitDepth), has_transparency: bool, filter: Filter) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
    encoder.set_color(kind.0);
    encoder.set_depth(kind.1);
    encoder.set_filter(filter);
    let n_samples = kind.0.samples();
    let n_colors = 1usize << (kind.1 as u8).min(8);
    if kind.0 == ColorType::Indexed {
        encoder.set_palette(noise(n_colors * 3));
    }
    let stride = (size.0 as usize * n_samples * kind.1 as usize).div_ceil(8);
    // Few values, so that some pixels have the transparent colour.
    let data: Vec<u8> = noise(stride * size.1 as usize).iter().map(|byte| byte & 0x11).collect();
    if has_transparency {
        encoder.set_trns(match kind.0 {
            ColorType::Indexed => noise(n_colors - 1),
            _ => [if kind.1 == BitDepth::Sixteen { 0x11 } else { 0 }, 1].repeat(n_samples),
        });
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&data).unwrap();
    writer.finish().unwrap();
    bytes
}

fn rows(level: Level, source: &[u8]) -> Result<Vec<u8>, DecodeError> {
    samples(decode(level, source)?.pixels)
}

/// The picture as it is kept for several answers.
fn shared(level: Level, source: &[u8]) -> Result<Shared, DecodeError> {
    let size = probe(source)?.stored;
    Shared::decode(level, source, &Wanted::all(size)).map(|shared| shared.expect("a small picture"))
}

fn samples(pixels: Pixels) -> Result<Vec<u8>, DecodeError> {
    let Pixels::Rows(mut rows) = pixels else { panic!("not rows") };
    let samples = (0..rows.size().height).flat_map(|y| rows.row(y).samples.to_vec()).collect();
    rows.finish().map(|()| samples)
}

#[test]
fn every_kind_and_filter_is_decoded_as_the_library_does() {
    use BitDepth::{Eight, Four, One, Sixteen, Two};
    let kinds = [
        (ColorType::Grayscale, &[One, Two, Four, Eight, Sixteen][..]),
        (ColorType::Indexed, &[One, Two, Four, Eight]),
        (ColorType::GrayscaleAlpha, &[Eight, Sixteen]),
        (ColorType::Rgb, &[Eight, Sixteen]),
        (ColorType::Rgba, &[Eight, Sixteen]),
    ];
    for (color, depths) in kinds {
        for &depth in depths {
            let may_have = !matches!(color, ColorType::GrayscaleAlpha | ColorType::Rgba);
            for has_transparency in [false, may_have] {
                for filter in [Filter::NoFilter, Filter::Sub, Filter::Up, Filter::Avg, Filter::Paeth, Filter::Adaptive]
                {
                    for size in [(1, 1), (7, 5), (101, 23), (640, 131)] {
                        let source = encoded(size, (color, depth), has_transparency, filter);
                        let expected = by_the_library(&source);
                        for level in Level::available() {
                            let case = format!("{color:?} {depth:?} {has_transparency} {filter:?} {size:?} {level:?}");
                            assert!(rows(level, &source).unwrap() == expected, "{case}");
                            let shared = shared(level, &source).unwrap();
                            assert!(samples(shared.again().pixels).unwrap() == expected, "{case}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn rows_may_be_left_out() {
    let source = encoded((101, 300), (ColorType::Rgba, BitDepth::Eight), false, Filter::Paeth);
    let whole = by_the_library(&source);
    let Pixels::Rows(mut rows) = decode(Level::best(), &source).unwrap().pixels else { panic!("not rows") };
    for y in [0, 1, 1, 99, 298] {
        assert!(rows.row(y).samples == &whole[y as usize * 404..][..404], "{y}");
    }
    assert_eq!(rows.finish(), Ok(()));
}

#[test]
fn a_file_cut_anywhere_is_damaged_both_ways() {
    let source = encoded((31, 40), (ColorType::Rgb, BitDepth::Eight), false, Filter::Adaptive);
    for length in 0..source.len() {
        assert!(shared(Level::best(), &source[..length]).is_err(), "{length}");
        assert!(codec::check(Level::best(), &source[..length]).is_err(), "{length}");
    }
}

#[test]
fn a_flipped_bit_anywhere_in_the_image_data_is_damage_whatever_rows_are_read() {
    let source = encoded((31, 40), (ColorType::Rgb, BitDepth::Eight), false, Filter::Adaptive);
    let data = source.windows(4).position(|kind| kind == b"IDAT").unwrap();
    for position in data - 4..source.len() {
        for bit in [0, 5] {
            let mut damaged = source.clone();
            damaged[position] ^= 1 << bit;
            assert!(shared(Level::best(), &damaged).is_err(), "{position}");
            assert!(codec::check(Level::best(), &damaged).is_err(), "{position}");
        }
    }
}

/// A file whose chunks are sound: what is wrong lies in the image data, as the encoder of another made it.
fn repacked(source: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let start = source.windows(4).position(|kind| kind == b"IDAT").unwrap();
    let length = u32::from_be_bytes(*source[start - 4..].first_chunk().unwrap()) as usize;
    let mut data = source[start + 4..][..length].to_vec();
    change(&mut data);
    let mut chunk = b"IDAT".to_vec();
    chunk.extend_from_slice(&data);
    let sum = crc32fast::hash(&chunk).to_be_bytes();
    [&source[..start - 4], &(data.len() as u32).to_be_bytes(), &chunk, &sum, &source[start + 8 + length..]].concat()
}

#[test]
fn what_only_inflating_finds_is_told_when_the_rows_are_read() {
    type Change = fn(&mut Vec<u8>);
    let source = encoded((31, 40), (ColorType::Rgb, BitDepth::Eight), false, Filter::Adaptive);
    assert_eq!(repacked(&source, |_| {}), source);
    let changes: [(&str, Change); 4] = [
        ("the checksum", |data| *data.last_mut().unwrap() ^= 1),
        ("the header", |data| data[0] ^= 1),
        ("the middle", |data| {
            let middle = data.len() / 2;
            data[middle] ^= 0x40;
        }),
        ("the second half", |data| data.truncate(data.len() / 2)),
    ];
    for (what, change) in changes {
        let damaged = repacked(&source, change);
        assert!(shared(Level::best(), &damaged).is_err(), "{what}");
        let Pixels::Rows(mut rows) = decode(Level::best(), &damaged).unwrap().pixels else { panic!("{what}") };
        assert_eq!(rows.row(0).samples.len(), 31 * 3, "{what}");
        assert_eq!(rows.row(39).samples.len(), 31 * 3, "{what}");
        assert!(rows.finish().is_err() && rows.finish().is_err(), "{what}");
        // Also where the damage lies below all rows that are wanted.
        let Pixels::Rows(mut rows) = decode(Level::best(), &damaged).unwrap().pixels else { panic!("{what}") };
        rows.row(0);
        assert!(rows.finish().is_err(), "{what}");
    }
    // Whatever follows the picture is nobody's.
    let longer = repacked(&source, |data| data.extend_from_slice(&[1, 2, 3]));
    assert_eq!(rows(Level::best(), &longer).unwrap(), by_the_library(&source));
}

#[test]
fn no_header_is_too_strange() {
    let source = encoded((31, 40), (ColorType::Rgb, BitDepth::Eight), false, Filter::Adaptive);
    for position in 16..29 {
        for value in 0..=255 {
            let mut strange = source.clone();
            strange[position] = value;
            let sum = crc32fast::hash(&strange[12..29]).to_be_bytes();
            strange[29..33].copy_from_slice(&sum);
            // Refused or shown, either way the same; a picture of fewer rows leaves data, which is nobody's.
            if codec::probe(&strange, codec::Limits { max_source_pixels: 10_000 }).is_ok() {
                let whole = shared(Level::best(), &strange).map(drop);
                assert_eq!(codec::check(Level::best(), &strange), whole, "{position} {value}");
            }
        }
    }
}

#[test]
fn rows_take_little_memory_however_high_the_picture_is() {
    let source = encoded((1, 1), (ColorType::Rgba, BitDepth::Eight), false, Filter::Sub);
    let mut chunks = chunks::read(&source).unwrap();
    let (whole, rows) = memory(&chunks, Size::new(10_000, 10_000));
    assert!(whole > 400_000_000 && rows < 1_000_000, "{whole} {rows}");
    let (_, widest) = memory(&chunks, Size::new(65_535, 65_535));
    assert!(widest < 6_000_000, "{widest}");
    chunks.is_interlaced = true;
    assert_eq!(memory(&chunks, Size::new(10_000, 10_000)), (400_000_000, 400_000_000));
}
