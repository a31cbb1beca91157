//! A second reader, some way ahead in a scan.
//!
//! A symbol has to be read before the next one can be, so that a processor waits most of the time; two readers in turns
//! are a third faster than one. Where a block begins in the middle of a scan nobody knows, but Huffman codes synchronise:
//! a reader that starts anywhere soon falls in with the true sequence of codes, and with that of blocks where chroma has
//! other tables. Whether it has is known when the first reader comes to where the second began to keep blocks: if it
//! gets there at the end of an MCU, to the bit, all that the second has read is right. Otherwise it is forgotten. Then a next
//! one goes ahead.

use super::DecodeError;
use super::head::{Goal, Reader};
use super::kind::Kind;
use super::sequential::{Blocks, Component};
use super::stream::Stream;
use super::window::Window;
use crate::simd::Level;

/// How many bytes of data the second reader is ahead at most.
const MAX_DISTANCE: usize = 128 << 10;
const MIN_DISTANCE: usize = if cfg!(fuzzing) { 512 } else { 16 << 10 };
/// How many bytes it should keep: they stay in the second-level cache.
const KEPT_BYTES: usize = 512 << 10;
/// Where less is left, one reader is enough.
const MIN_BYTES: usize = if cfg!(fuzzing) { 1 << 10 } else { 24 << 10 };
/// Blocks within which the second reader falls in, nearly always: the median over photographs was 4 to 18, and 214 the
/// most in 7,400 trials.
const SYNCHRONISATION_BLOCKS: usize = if cfg!(fuzzing) { 32 } else { 128 };
/// What may be kept of the second reader's blocks, in bytes; memory that grows may be twice as much.
pub(in super::super) const MAX_BYTES: usize = if cfg!(fuzzing) { 64 << 10 } else { 2 << 20 };

#[derive(Debug)]
pub(super) struct Ahead<'a, K: Kind> {
    stream: Stream<'a, K>,
    /// At which bit of the first byte it began.
    first_bit: usize,
    /// What it has decoded, with means that begin at 0, and how much of that has been taken.
    pub(super) blocks: Vec<Blocks>,
    n_mcus: usize,
    n_taken: usize,
    max_mcus: usize,
    is_stopped: bool,
    /// Whether the first reader has come near.
    is_near: bool,
    /// How it ended behind the last of its blocks.
    pub(super) outcome: Result<(), DecodeError>,
    /// Whether the first reader has met its beginning: that one has become this one then.
    pub(super) is_joined: bool,
    /// What to add to the means.
    predictions: [i16; 4],
}

/// How the first reader stands to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// It has decoded so many MCUs.
    NotYet(usize),
    Joined,
    Missed,
}

impl<'a, K: Kind> Ahead<'a, K> {
    /// Whether enough data is left.
    pub(super) fn is_worth_it(main: &Stream<K>) -> bool {
        !main.window.is_ended() && main.window.n_rest() >= MIN_BYTES
    }

    /// A reader well ahead of `main` in `data`, which has no restart markers; `None` if it does not fall in soon.
    /// `n_left` is how many MCUs are left; `blocks` is memory to use.
    pub(super) fn new(
        level: Level,
        data: &'a [u8],
        main: &mut Stream<'a, K>,
        components: &[Component],
        n_left: usize,
        blocks: &mut Vec<Blocks>,
    ) -> Option<Self> {
        let n_rest = main.window.n_rest();
        let bytes_a_mcu: usize = components.iter().map(Component::bytes_a_mcu).sum();
        let distance = KEPT_BYTES / bytes_a_mcu.max(1) * (n_rest / n_left.max(1)).max(1);
        let distance = distance.clamp(MIN_DISTANCE, MAX_DISTANCE).min(n_rest / 2);
        let place = data.len() - n_rest + distance;
        // Not at a zero that is stuffed.
        let place = place + usize::from(data[place - 1] == 0xFF);
        let mut scout = Stream::new(main.program.clone(), Window::new(level, &data[place..]));
        let (mut n_blocks, mut n_dropped_bits) = (0, 0);
        while n_blocks < SYNCHRONISATION_BLOCKS {
            let end = scout.per_mcu();
            while scout.reader.n_full() < end {
                if scout.window.is_ended() {
                    return None;
                }
                if scout.reader.wants(scout.window.limit()) {
                    return None;
                }
                let goal = Goal { end, may_pass: false, limit: scout.window.limit() };
                scout.reader.run(level, &scout.window, goal);
                scout.reader.forgive();
            }
            n_blocks += end;
            scout.reader.free(end);
            n_dropped_bits = scout.reader.n_bits();
        }
        let start = place + Window::source_index(&data[place..], n_dropped_bits / 8);
        let first_bit = n_dropped_bits % 8;
        let mut stream = Stream::new(main.program.clone(), Window::new(level, &data[start..]));
        stream.reader.skip_bits(first_bit as u32, &stream.window);
        main.window.seek(data.len() - start);
        blocks.resize_with(components.len(), Blocks::default);
        for blocks in &mut *blocks {
            blocks.coefficients.clear();
            blocks.variances.clear();
        }
        Some(Self {
            stream,
            first_bit,
            blocks: std::mem::take(blocks),
            max_mcus: MAX_BYTES / bytes_a_mcu.max(1),
            n_mcus: 0,
            n_taken: 0,
            is_stopped: false,
            is_near: false,
            outcome: Ok(()),
            is_joined: false,
            predictions: [0; 4],
        })
    }

    /// Decodes about `n` MCUs of the first reader, and goes on with the second meanwhile.
    pub(super) fn run(
        &mut self,
        level: Level,
        main: &mut Stream<'a, K>,
        n: usize,
        components: &[Component],
    ) -> Result<Meeting, DecodeError> {
        let per_mcu = main.per_mcu();
        loop {
            let n_done = (main.reader.n_full() / per_mcu).min(n);
            if n_done > 0 {
                main.check_end()?;
                return Ok(Meeting::NotYet(n_done));
            }
            main.refill()?;
            if self.is_near && main.window.mark().is_none() {
                return Ok(Meeting::Missed);
            }
            self.is_near = main.window.mark().is_some();
            if let Some(mark) = main.window.mark()
                && main.reader.wants(main.window.early_limit())
            {
                if main.reader.n_full() == 0 && main.reader.is_between_blocks() {
                    let (n_bits, expected) = (main.reader.n_bits(), mark * 8 + self.first_bit);
                    if n_bits == expected {
                        self.join(main);
                        return Ok(Meeting::Joined);
                    }
                    if n_bits > expected {
                        return Ok(Meeting::Missed);
                    }
                }
                let goal = Goal { end: per_mcu, may_pass: false, limit: main.window.limit() };
                main.reader.run(level, &main.window, goal);
            } else {
                let limit = match main.window.mark() {
                    Some(_) => main.window.early_limit(),
                    None => main.window.limit(),
                };
                let goal = Goal { end: n * per_mcu, may_pass: true, limit };
                if self.is_stopped {
                    main.reader.run(level, &main.window, goal);
                } else {
                    self.run_both(level, main, goal, components);
                }
            }
            main.check_fault()?;
        }
    }

    /// Both readers, until the first has reached its goal or the second has to be looked after.
    fn run_both(&mut self, level: Level, main: &mut Stream<K>, goal: Goal, components: &[Component]) {
        let stream = &mut self.stream;
        let n_mcus = stream.mcus_at_once();
        let end = n_mcus * stream.per_mcu();
        let is_last = stream.window.is_ended();
        let limit = if is_last { stream.window.early_limit() } else { stream.window.limit() };
        let own = Goal { end, may_pass: true, limit };
        Reader::run_two(level, (&mut main.reader, &main.window, goal), (&mut stream.reader, &stream.window, own));
        if let Err(error) = stream.check_fault() {
            // The last MCU may lie before the fault: some files go on behind it.
            let n_sound = stream.reader.n_sound() / stream.per_mcu();
            stream.reduce(level, n_sound, components, &mut self.blocks);
            self.n_mcus += n_sound;
            (self.outcome, self.is_stopped) = (Err(error), true);
            return;
        }
        if stream.reader.n_full() >= end {
            stream.reduce(level, n_mcus, components, &mut self.blocks);
            self.n_mcus += n_mcus;
            self.is_stopped = self.n_mcus + n_mcus > self.max_mcus;
        } else if stream.reader.wants(limit) {
            // The end is left to careful steps, when it is known which block is the last.
            self.is_stopped = is_last || stream.refill().is_err();
        }
    }

    /// The first reader becomes the second.
    fn join(&mut self, main: &mut Stream<'a, K>) {
        self.predictions = main.predictions;
        std::mem::swap(main, &mut self.stream);
        for (prediction, before) in main.predictions.iter_mut().zip(self.predictions) {
            *prediction = prediction.wrapping_add(before);
        }
        self.is_joined = true;
    }

    /// Appends at most so many of the MCUs that are decoded already, and tells how many.
    pub(super) fn take(&mut self, n: usize, components: &[Component], blocks: &mut [Blocks]) -> usize {
        let n = n.min(self.n_mcus - self.n_taken);
        for (((component, own), blocks), &before) in
            components.iter().zip(&self.blocks).zip(blocks).zip(&self.predictions)
        {
            let (per_mcu, area) = (component.range.len(), component.kept.side * component.kept.side);
            let range = self.n_taken * per_mcu..(self.n_taken + n) * per_mcu;
            let start = blocks.coefficients.len();
            blocks.coefficients.extend_from_slice(&own.coefficients[range.start * area..range.end * area]);
            if area > 0 {
                blocks.coefficients[start..]
                    .iter_mut()
                    .step_by(area)
                    .for_each(|mean| *mean = mean.wrapping_add(before));
            }
            if component.kept.wants_variance {
                blocks.variances.extend_from_slice(&own.variances[range]);
            }
        }
        self.n_taken += n;
        n
    }
}
