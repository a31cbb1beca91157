//! Small pictures to begin with: of each kind that is easily written, and of some that others seldom write.

use std::fs;
use std::path::Path;

use png::{BitDepth, ColorType};

use crate::pipeline::codec;
use crate::plan::{Encode, JpegQuality};
use crate::raster::{Format, Layout, Pixmap, Size};
use crate::simd::Level;

const SIZE: Size = Size::new(37, 29);

/// If `FUZZ_SEEDS` names a folder, writes pictures there and ends the process: `scripts/fuzz` asks for them.
pub(crate) fn write_if_asked() {
    let Some(folder) = std::env::var_os("FUZZ_SEEDS") else { return };
    write(Path::new(&folder)).expect("the folder can be written to");
    std::process::exit(0);
}

fn write(folder: &Path) -> std::io::Result<()> {
    for (name, layout) in [("gray", Layout::Gray), ("colour", Layout::Rgb)] {
        let image = Pixmap::new(SIZE, layout, samples(SIZE.pixels() as usize * layout.channels()));
        for (process, progressive) in [("baseline", false), ("progressive", true)] {
            for quality in [30, 95] {
                let quality_of = JpegQuality::try_from(quality).expect("1 to 100");
                let encode = Encode { format: Format::Jpeg, quality: quality_of, progressive };
                let bytes = codec::encode(Level::best(), &image, encode);
                fs::write(folder.join(format!("{process}-{name}-{quality}.jpg")), bytes)?;
            }
        }
    }
    for (name, n_scans, components, adobe) in RARE_JPEGS {
        for (process, frame) in [("sequential", 0xC1), ("progressive", 0xC2)] {
            let bytes = rare_jpeg(frame, n_scans, components, adobe);
            fs::write(folder.join(format!("{name}-{process}.jpg")), bytes)?;
        }
    }
    let depths = [BitDepth::One, BitDepth::Two, BitDepth::Four, BitDepth::Eight, BitDepth::Sixteen];
    let legal = [
        (ColorType::Grayscale, &depths[..]),
        (ColorType::Indexed, &depths[..4]),
        (ColorType::GrayscaleAlpha, &depths[3..]),
        (ColorType::Rgb, &depths[3..]),
        (ColorType::Rgba, &depths[3..]),
    ];
    for (color, depths) in legal {
        for &depth in depths {
            fs::write(folder.join(format!("{color:?}-{depth:?}.png")), png(color, depth))?;
        }
    }
    Ok(())
}

/// Horizontal and vertical sampling factors of a component.
type Factors = (u8, u8);

/// Name, number of scans, components, and the colour transform of Adobe's marker.
const RARE_JPEGS: [(&str, usize, &[Factors], Option<u8>); 10] = [
    ("cmyk", 1, &[(1, 1); 4], None),
    ("cmyk-inverted", 1, &[(1, 1); 4], Some(0)),
    ("ycck", 1, &[(1, 1); 4], Some(2)),
    ("ycck-halved", 1, &[(2, 1), (1, 1), (1, 1), (2, 1)], Some(2)),
    ("rgb", 1, &[(1, 1); 3], Some(0)),
    ("luma-halved", 1, &[(1, 1), (2, 2), (1, 1)], None),
    ("thirds", 1, &[(3, 1), (1, 1), (1, 1)], None),
    ("two-thirds", 1, &[(3, 1), (2, 1), (1, 1)], None),
    ("two-thirds-cmyk", 1, &[(1, 3), (1, 2), (1, 1), (1, 3)], Some(2)),
    ("three-scans", 3, &[(2, 1), (1, 1), (1, 2)], None),
];
/// Width and height of these.
const SIDE: u8 = 48;

/// A picture of empty blocks, with restart markers if it has one scan. There are codes that begin with any number of ones,
/// so that most data is legal.
fn rare_jpeg(frame: u8, n_scans: usize, components: &[Factors], adobe: Option<u8>) -> Vec<u8> {
    let mut bytes = vec![0xFF, 0xD8];
    if let Some(transform) = adobe {
        bytes.extend(segment(0xEE, &[b"Adobe\0\x64\0\0\0\0", &[transform]]));
    }
    bytes.extend(segment(0xDB, &[&[0], &[3; 64]]));
    let lengths = [1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend(segment(0xC4, &[&[0x00], &lengths, &[0, 1, 2, 3, 4, 5, 6, 7]]));
    bytes.extend(segment(0xC4, &[&[0x10], &lengths, &[0x00, 0x01, 0x02, 0x11, 0x13, 0xF0, 0x22, 0x34]]));
    let list: Vec<_> = components.iter().zip(1..).map(|(&(h, v), id)| [id, h << 4 | v, 0]).collect();
    bytes.extend(segment(frame, &[&[8, 0, SIDE, 0, SIDE, components.len() as u8], list.as_flattened()]));
    let is_progressive = frame == 0xC2;
    let interval = if n_scans == 1 { 2 } else { 0 };
    bytes.extend(segment(0xDD, &[&[0, interval]]));
    let per_scan = components.len() / n_scans;
    for (scan, list) in list.chunks(per_scan).enumerate() {
        let list: Vec<_> = list.iter().map(|&[id, ..]| [id, 0]).collect();
        let last = if is_progressive { 0 } else { 63 };
        bytes.extend(segment(0xDA, &[&[per_scan as u8], list.as_flattened(), &[0, last, 0]]));
        let (n_mcus, n_blocks) = mcus(components, scan, per_scan);
        let n_bits = n_blocks * if is_progressive { 1 } else { 2 };
        if interval == 0 {
            bytes.extend(zeros(n_mcus * n_bits));
            continue;
        }
        for done in (0..n_mcus).step_by(usize::from(interval)) {
            if done > 0 {
                bytes.extend([0xFF, 0xD0 + ((done / usize::from(interval) - 1) % 8) as u8]);
            }
            bytes.extend(zeros((n_mcus - done).min(usize::from(interval)) * n_bits));
        }
    }
    bytes.extend([0xFF, 0xD9]);
    bytes
}

/// How many MCUs a scan has, and of how many blocks.
fn mcus(components: &[Factors], scan: usize, per_scan: usize) -> (usize, usize) {
    let side = usize::from(SIDE);
    let largest = |factor: fn(&Factors) -> u8| usize::from(components.iter().map(factor).max().unwrap_or(1));
    let (h_max, v_max) = (largest(|of| of.0), largest(|of| of.1));
    let (h, v) = (usize::from(components[scan].0), usize::from(components[scan].1));
    match per_scan {
        1 => ((side * h).div_ceil(h_max).div_ceil(8) * (side * v).div_ceil(v_max).div_ceil(8), 1),
        _ => {
            let n_blocks = components.iter().map(|&(h, v)| usize::from(h) * usize::from(v)).sum();
            (side.div_ceil(8 * h_max) * side.div_ceil(8 * v_max), n_blocks)
        }
    }
}

fn segment(marker: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&[0xFF, marker, 0, body.len() as u8 + 2], &body[..]].concat()
}

/// So many bits, and ones up to the end of the byte.
fn zeros(n_bits: usize) -> Vec<u8> {
    let mut bytes = vec![0; n_bits / 8];
    bytes.extend((!n_bits.is_multiple_of(8)).then_some(0xFF >> (n_bits % 8)));
    bytes
}

fn png(color: ColorType, depth: BitDepth) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIZE.width, SIZE.height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == ColorType::Indexed {
        encoder.set_palette(samples(3 << depth as u32));
        encoder.set_trns(vec![0, 128]);
    }
    let row = (SIZE.width as usize * color.samples() * depth as usize).div_ceil(8);
    let mut writer = encoder.write_header().expect("a legal header");
    writer.write_image_data(&samples(row * SIZE.height as usize)).expect("as many bytes as the header says");
    writer.finish().expect("memory takes all");
    bytes
}

/// Bytes that change slowly, but not regularly.
fn samples(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index * index / 61 + index / 3) as u8).collect()
}
