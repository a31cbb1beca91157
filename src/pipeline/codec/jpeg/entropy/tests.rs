//! The fast decoder against the plain walk: the same files pass, for the same reasons, with the same coefficients.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;

use super::coefficients::Coefficients;
use super::program::Slot;
use super::*;
use crate::simd::Level;
use structure::{NATURAL, Structure};

/// What the plain walk finds in the blocks of one component: coefficients in natural order.
type Plain = Vec<[i16; 64]>;

/// Reads a scan symbol by symbol. Gives the blocks of each component up to the first fault.
fn plain(structure: &Structure, scan: &structure::Scan) -> (Vec<Plain>, Result<(), DecodeError>) {
    let frame = &structure.frame;
    let mut blocks = vec![Plain::new(); scan.components.len()];
    let mut predictions = vec![0i16; scan.components.len()];
    let mut bits = Bits::new(scan.data);
    let interval = usize::from(scan.restart_interval);
    for number in 0..super::sequential::n_mcus(frame, scan) {
        if interval > 0 && number > 0 && number.is_multiple_of(interval) {
            if let Err(error) = bits.restart(((number / interval - 1) % 8) as u8) {
                return (blocks, Err(error));
            }
            predictions.fill(0);
        }
        for (index, component) in scan.components.iter().enumerate() {
            let factors = frame.components[component.index];
            let is_alone = scan.components.len() == 1;
            for _ in 0..if is_alone { 1 } else { factors.horizontal * factors.vertical } {
                let mut block = [0; 64];
                let set = |position: usize, value| block[usize::from(NATURAL[position])] = value as i16;
                if let Err(error) = sequential_block(&mut bits, component, set) {
                    return (blocks, Err(error));
                }
                predictions[index] = predictions[index].wrapping_add(block[0]);
                block[0] = predictions[index];
                blocks[index].push(block);
            }
        }
    }
    (blocks, Ok(()))
}

/// Sides that are kept, of all sizes or all small: these are read in another way.
fn sides() -> impl Strategy<Value = [usize; 4]> {
    prop_oneof![[0..9usize, 0..9usize, 0..9usize, 0..9usize], [0..3usize, 0..3usize, 0..3usize, 0..3usize]]
}

/// Decodes every scan of a file in pieces of `n_mcus`, and compares.
fn compare(level: Level, source: &[u8], sides: [usize; 4], variance_of: usize, n_mcus: usize) {
    let Ok(structure) = structure::read(source, 100) else { return };
    if structure.frame.process != structure::Process::Sequential {
        return;
    }
    for scan in &structure.scans {
        let n = scan.components.len();
        let kept: Vec<Kept> =
            (0..n).map(|index| Kept { side: sides[index], wants_variance: index == variance_of }).collect();
        let is_estimated = sums::Weights::are_for(&kept);
        let mut quantisation: Vec<[u16; 64]> = scan
            .components
            .iter()
            .map(|component| structure.quantisation(&structure.frame.components[component.index]).unwrap_or([9; 64]))
            .collect();
        if is_estimated {
            // So that an estimate errs by no more than values that are not seen.
            quantisation.fill([9; 64]);
        }
        let (expected, outcome) = plain(&structure, scan);
        let mut found = vec![Blocks::default(); n];
        let mut blocks = vec![Blocks::default(); n];
        let mut decode = || {
            let mut decoder = Sequential::new(level, &structure.frame, scan, &kept, &quantisation)?;
            let mut n_left = super::sequential::n_mcus(&structure.frame, scan);
            while n_left > 0 {
                decoder.mcus(n_mcus, &mut blocks)?;
                n_left -= n_mcus.min(n_left);
                for (all, part) in found.iter_mut().zip(&blocks) {
                    all.coefficients.extend(&part.coefficients);
                    all.variances.extend(&part.variances);
                }
            }
            Ok(())
        };
        match decode() {
            // Told at once, not when the first block wants the table.
            Err(DecodeError::Damaged(message)) if message.contains("not defined") => assert!(outcome.is_err()),
            found => assert_eq!(found, outcome, "{level:?}"),
        }
        for (index, found) in found.iter().enumerate() {
            let side = kept[index].side;
            if outcome.is_ok() {
                assert_eq!(found.coefficients.len(), expected[index].len() * side * side);
            }
            let corners: Vec<i16> = expected[index].iter().flat_map(|block| corner(block, side)).collect();
            assert!(corners.starts_with(&found.coefficients), "component {index}, {level:?}");
            let variances: Vec<u16> = match kept[index].wants_variance {
                true => expected[index].iter().map(|block| variance(block, side, &quantisation[index])).collect(),
                false => Vec::new(),
            };
            if is_estimated {
                for (&found, &exact) in found.variances.iter().zip(&variances) {
                    let (found, exact) = (f64::from(found), f64::from(exact));
                    let is_near = (exact * 0.45 - 1.0..=exact * 2.2 + 1.0).contains(&found);
                    assert!(is_near || found >= 16_383.0 && exact > 7_000.0, "{found} for {exact}");
                }
            } else {
                assert!(variances.starts_with(&found.variances), "component {index}, {level:?}");
            }
            assert!(outcome.is_err() || variances.len() == found.variances.len());
        }
    }
}

fn corner(block: &[i16; 64], side: usize) -> Vec<i16> {
    (0..side).flat_map(|y| block[y * 8..y * 8 + side].to_vec()).collect()
}

/// As `Blocks` defines it.
fn variance(block: &[i16; 64], side: usize, quantisation: &[u16; 64]) -> u16 {
    let mut sum = 0u128;
    for (position, &quantiser) in quantisation.iter().enumerate().skip(1) {
        let natural = usize::from(NATURAL[position]);
        if natural / 8 >= side || natural % 8 >= side {
            sum += u128::from((i64::from(block[natural]) * i64::from(quantiser)).unsigned_abs()).pow(2);
        }
    }
    (sum / 64).min(16_383) as u16
}

/// A picture of noise and flat parts, so that blocks are both full and empty.
fn encoded(size: (u16, u16), factor: usize, restart: u16, quality: u8, seed: u32) -> Vec<u8> {
    let factors = [
        SamplingFactor::F_1_1,
        SamplingFactor::F_2_1,
        SamplingFactor::F_1_2,
        SamplingFactor::F_2_2,
        SamplingFactor::F_4_1,
        SamplingFactor::F_4_2,
        SamplingFactor::F_1_4,
        SamplingFactor::F_2_4,
    ];
    let color = if factor < factors.len() { ColorType::Rgb } else { ColorType::Luma };
    let n_channels = if color == ColorType::Rgb { 3 } else { 1 };
    let mut state = seed | 1;
    let pixels: Vec<u8> = (0..usize::from(size.0) * usize::from(size.1) * n_channels)
        .map(|index| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let x = index / n_channels % usize::from(size.0);
            let noise = (state >> 24) as usize * (x / 16 % 4) / 3;
            (x * 2 + noise) as u8
        })
        .collect();
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(factors.get(factor).copied().unwrap_or(SamplingFactor::F_1_1));
    encoder.set_restart_interval(restart);
    encoder.set_optimized_huffman_tables(seed.is_multiple_of(2) && restart == 0);
    encoder.encode(&pixels, size.0, size.1, color).unwrap();
    bytes
}

/// A change to a file: at a place between 0 and 1, by a kind and a value.
fn change(source: &mut Vec<u8>, (place, kind, value): (f64, u8, u8)) {
    let index = (place * source.len() as f64) as usize;
    match kind {
        0 => source[index] ^= 1 << (value % 8),
        1 => source[index] = value,
        2 => source.insert(index, value),
        3 => drop(source.remove(index)),
        4 => source.truncate(index),
        _ => drop(source.splice(index..index, [0xFF, 0xD0 + value % 8])),
    }
}

/// Offset of the entropy-coded data.
fn data_start(source: &[u8]) -> usize {
    let data = structure::read(source, 100).unwrap().scans[0].data;
    source.len() - data.len()
}

/// A file with its entropy-coded data changed, one after the other.
fn with_changed_data(mut source: Vec<u8>, changes: Vec<(f64, u8, u8)>) -> Vec<u8> {
    let mut data = source.split_off(data_start(&source));
    for change_by in changes {
        if !data.is_empty() {
            change(&mut data, change_by);
        }
    }
    source.extend(data);
    source
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn blocks_are_those_of_the_plain_walk(
        size in (1u16..200, 1u16..120),
        (factor, restart, quality) in (0..9usize, 0u16..4, prop_oneof![1u8..100, Just(100), Just(97)]),
        seed: u32,
        sides in sides(),
        (variance_of, n_mcus) in (0..4usize, 1usize..60),
        changes in prop::collection::vec((0.0..1.0f64, 0u8..6, any::<u8>()), 0..3),
    ) {
        let source = with_changed_data(encoded(size, factor, restart, quality, seed), changes);
        for level in Level::available() {
            compare(level, &source, sides, variance_of, n_mcus);
        }
    }

    /// Changes to the header, too: tables that lack codes, components without tables.
    #[test]
    fn damaged_headers_are_read_as_by_the_plain_walk(
        size in (1u16..40, 1u16..40),
        (factor, restart) in (0..9usize, 0u16..4),
        seed: u32,
        changes in prop::collection::vec((0.0..1.0f64, 0u8..4, any::<u8>()), 1..4),
    ) {
        let mut source = encoded(size, factor, restart, 90, seed);
        for change_by in changes {
            change(&mut source, change_by);
        }
        for level in Level::available() {
            compare(level, &source, [2, 4, 1, 8], 0, 7);
            compare(level, &source, [1, 2, 2, 0], 0, 7);
        }
    }

    #[test]
    fn extreme_coefficients_have_exact_variances(
        values in prop::collection::vec(prop_oneof![any::<i16>(), -3i16..4, Just(i16::MIN), Just(i16::MAX)], 64),
        quantisers in prop::collection::vec(prop_oneof![any::<u16>(), 0u16..300, Just(u16::MAX)], 64),
        side in 0..9usize,
    ) {
        let block: [i16; 64] = values.try_into().unwrap();
        let quantisation: [u16; 64] = quantisers.try_into().unwrap();
        let (nothing, aid) = (std::ptr::null(), [0; 4]);
        let slot = Slot { next_dc: nothing, ac: nothing, aid, tables: 0, block: coefficients::Block(block) };
        let weights = reduce::Weights::new(&quantisation, side);
        let kept = Kept { side, wants_variance: true };
        for level in Level::available() {
            let (mut slots, mut blocks) = ([slot.clone()], Blocks::default());
            let part = reduce::Part::<Coefficients> { slots: &mut slots, per_mcu: 1, range: 0..1 };
            reduce::coefficients(level, part, &kept, Some(&weights), &mut 0, &mut blocks);
            prop_assert_eq!(blocks.variances, vec![variance(&block, side, &quantisation)], "{:?}", level);
            prop_assert_eq!(blocks.coefficients, corner(&block, side), "{:?}", level);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Large enough for second readers.
    #[test]
    fn readers_ahead_find_the_same_blocks(
        size in (300u16..600, 200u16..500),
        (factor, quality) in (0..9usize, 85u8..=100),
        seed: u32,
        sides in sides(),
        (variance_of, n_mcus) in (0..4usize, 1usize..300),
        changes in prop_oneof![
            2 => Just(Vec::new()),
            1 => prop::collection::vec((0.0..1.0f64, 0u8..6, any::<u8>()), 1..3),
        ],
    ) {
        let source = with_changed_data(encoded(size, factor, 0, quality, seed), changes);
        for level in Level::available() {
            compare(level, &source, sides, variance_of, n_mcus);
        }
    }
}

/// The error of a single block matters little, since a picture shows the mean of many; that of the mean would be seen.
#[test]
fn variances_of_photographs_are_estimated_well() {
    let photographs = [
        ("mountains", &include_bytes!("../../../../../config/images/mountains.jpg")[..]),
        ("spheres", include_bytes!("../../../../../config/images/spheres.jpg")),
    ];
    for (name, source) in photographs {
        let structure = structure::read(source, 100).unwrap();
        let scan = &structure.scans[0];
        let quantisation: Vec<_> =
            structure.frame.components.iter().map(|component| structure.quantisation(component).unwrap()).collect();
        let kept = [1, 2, 2].map(|side| Kept { side, wants_variance: side == 1 });
        let mut decoder = Sequential::new(Level::best(), &structure.frame, scan, &kept, &quantisation).unwrap();
        let mut blocks = vec![Blocks::default(); 3];
        decoder.mcus(usize::MAX, &mut blocks).unwrap();
        let (plain, _) = plain(&structure, scan);
        let exact = plain[0].iter().map(|block| variance(block, 1, &quantisation[0]));
        let (mut sum, mut exact_sum, mut difference) = (0.0, 0.0, 0.0);
        for (&found, exact) in blocks[0].variances.iter().zip(exact) {
            let (found, exact) = (f64::from(found), f64::from(exact));
            sum += found;
            exact_sum += exact;
            difference += (found - exact).abs();
        }
        assert!((0.97..1.03).contains(&(sum / exact_sum)), "{name}: {sum} for {exact_sum}");
        assert!(difference / exact_sum < 0.1, "{name}: {difference} of {exact_sum}");
    }
}

/// The second reader meets it before the first meets the second.
#[test]
fn impossible_data_behind_the_last_block_does_no_harm() {
    for width in [400, 416, 432] {
        let mut source = encoded((width, 304), 3, 0, 95, 1);
        source.truncate(source.len() - 2);
        source.extend([0xFF, 0x00].repeat(1000));
        for level in Level::available() {
            compare(level, &source, [8; 4], 4, 20);
            compare(level, &source, [1, 2, 2, 2], 0, 20);
        }
    }
}

/// Also at once behind a place where more data was made ready.
#[test]
fn a_stream_knows_at_each_bit_whether_the_data_has_ended() {
    let data = [0x5A; 20_000];
    for level in Level::available() {
        let mut bits = BitStream::new(level, &data);
        for n_bits in (0..data.len() * 8).step_by(13) {
            assert_eq!(bits.check(), Ok(()), "{level:?}, behind {n_bits} bits");
            bits.read(13).unwrap();
        }
        assert!(bits.check().is_err(), "{level:?}");
    }
}
