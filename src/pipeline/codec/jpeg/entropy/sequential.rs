//! Decodes a sequential scan row by row of MCUs, and keeps what a reduced picture needs.

use std::rc::Rc;

use super::DecodeError;
use super::ahead::{Ahead, Meeting};
use super::coefficients::Coefficients;
use super::head::SPARE;
use super::kind::Kind;
use super::program::{Node, Program, Tables};
use super::reduce::Weights;
use super::stream::Stream;
use super::structure::{Frame, Scan};
use super::sums::{self, Sums};
use super::tables::Values;
use super::window::Window;
use crate::simd::Level;

/// Where so many second readers did not fall in, as where luma and chroma have the same tables, no other is tried.
const MAX_MISSED: u32 = 3;

/// How the blocks of one component are kept.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Kept {
    /// 0: blocks are only walked through. N up to 8: the N × N corner of low frequencies, in natural order, row by row,
    /// as quantised.
    pub(in super::super) side: usize,
    /// Whether the variance of what is dropped is told.
    pub(in super::super) wants_variance: bool,
}

/// Blocks of one component, in the order of MCUs, within an MCU row by row.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Blocks {
    /// side × side for each block. The first is predicted, and wraps in damaged files.
    pub(in super::super) coefficients: Vec<i16>,
    /// One for each block, if wanted: the sum of (value × quantiser)² of all that is dropped, but never of the mean,
    /// divided by 64 and rounded down; at most 16383. In squared code values: what the reduced picture cannot show. An
    /// estimate of that where no side is above 2, and none above 1 that has a variance.
    pub(in super::super) variances: Vec<u16>,
}

/// A scan that is being decoded.
#[derive(Debug)]
pub(in super::super) struct Sequential<'a>(AnyKind<'a>);

/// In the way that is faster.
#[derive(Debug)]
enum AnyKind<'a> {
    Coefficients(Box<Reading<'a, Coefficients>>),
    Sums(Box<Reading<'a, Sums>>),
}

/// A scan of which blocks are kept in one way.
#[derive(Debug)]
struct Reading<'a, K: Kind> {
    level: Level,
    main: Stream<'a, K>,
    ahead: Option<Ahead<'a, K>>,
    /// All data of the scan.
    data: &'a [u8],
    /// How often a second reader has not fallen in.
    n_missed: u32,
    /// What second readers keep their blocks in.
    spare: Vec<Blocks>,
    components: Vec<Component>,
    /// Blocks of an MCU.
    per_mcu: usize,
    /// MCUs that are not decoded yet, up to the next restart marker and in all.
    n_until_restart: usize,
    n_left: usize,
    /// Whether a second reader may go ahead: not where scans are read in step, for each would keep blocks.
    may_go_ahead: bool,
    /// 0 if there are no restart markers.
    restart_interval: usize,
    next_restart: u8,
}

/// How blocks of a component are reduced.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) kept: Kept,
    pub(super) weights: Option<Weights>,
    /// Which blocks of an MCU.
    pub(super) range: std::ops::Range<usize>,
}

impl Component {
    /// What is kept of an MCU.
    pub(super) fn bytes_a_mcu(&self) -> usize {
        2 * self.range.len() * (self.kept.side * self.kept.side + usize::from(self.kept.wants_variance))
    }
}

impl<'a> Sequential<'a> {
    /// `kept[i]` and `quantisation[i]`, in zigzag order, are for `scan.components[i]`.
    /// # Errors
    /// If a table is not defined.
    pub(in super::super) fn new(
        level: Level,
        frame: &Frame,
        scan: &Scan<'a>,
        kept: &[Kept],
        quantisation: &[[u16; 64]],
    ) -> Result<Self, DecodeError> {
        assert!(kept.len() == scan.components.len() && quantisation.len() == kept.len(), "one for each component");
        let components = kept.iter().zip(quantisation);
        Ok(Self(if sums::Weights::are_for(kept) {
            let purposes = components.map(|(kept, quantisation)| Rc::new(sums::Weights::new(kept, quantisation)));
            AnyKind::Sums(Box::new(Reading::new(level, frame, scan, kept, quantisation, purposes)?))
        } else {
            let is_dropped = |kept: &Kept| kept.side < 2 && !kept.wants_variance;
            let values = |kept| if is_dropped(kept) { Values::Dropped } else { Values::Wanted };
            let purposes = components.map(|(kept, _)| Rc::new(values(kept)));
            AnyKind::Coefficients(Box::new(Reading::new(level, frame, scan, kept, quantisation, purposes)?))
        }))
    }

    /// Decodes the next MCUs, of single blocks where the scan has one component, and replaces what is in `blocks`, which
    /// has one for each component of the scan. Where fewer are left than asked for, there are fewer.
    /// # Errors
    /// If the data ends early, holds a code that is in no table or more than 64 coefficients in a block, or lacks a
    /// restart marker. There is nothing to go on with then.
    pub(in super::super) fn mcus(&mut self, n_mcus: usize, blocks: &mut [Blocks]) -> Result<(), DecodeError> {
        match &mut self.0 {
            AnyKind::Coefficients(reading) => reading.mcus(n_mcus, blocks),
            AnyKind::Sums(reading) => reading.mcus(n_mcus, blocks),
        }
    }
}

impl<'a, K: Kind> Reading<'a, K> {
    fn new(
        level: Level,
        frame: &Frame,
        scan: &Scan<'a>,
        kept: &[Kept],
        quantisation: &[[u16; 64]],
        purposes: impl Iterator<Item = Rc<K::Purpose>>,
    ) -> Result<Self, DecodeError> {
        let mut tables: Vec<Tables> = Vec::new();
        let (mut nodes, mut components) = (Vec::new(), Vec::new());
        for (((component, &kept), quantisation), purpose) in
            scan.components.iter().zip(kept).zip(quantisation).zip(purposes)
        {
            let (dc, ac) = (Rc::clone(component.dc_table()?), Rc::clone(component.ac_table()?));
            let same = tables.iter().position(|(a, b)| Rc::ptr_eq(a, &dc) && Rc::ptr_eq(b, &ac));
            let index = same.unwrap_or_else(|| {
                tables.push((dc, ac));
                tables.len() - 1
            });
            let factors = frame.components[component.index];
            let is_alone = scan.components.len() == 1;
            let n_blocks = if is_alone { 1 } else { usize::from(factors.horizontal) * usize::from(factors.vertical) };
            let start = nodes.len();
            nodes.extend((0..n_blocks).map(|_| Node { tables: index, purpose: Rc::clone(&purpose) }));
            let weights = kept.wants_variance.then(|| Weights::new(quantisation, kept.side));
            components.push(Component { kept, weights, range: start..nodes.len() });
        }
        let per_mcu = nodes.len();
        let n_left = n_mcus(frame, scan);
        let restart_interval = usize::from(scan.restart_interval);
        let program = Rc::new(Program::new(tables, nodes));
        Ok(Self {
            level,
            main: Stream::new(program, Window::new(level, scan.data)),
            ahead: None,
            data: scan.data,
            n_missed: 0,
            spare: Vec::new(),
            components,
            per_mcu,
            n_until_restart: if restart_interval == 0 { n_left } else { restart_interval.min(n_left) },
            n_left,
            may_go_ahead: restart_interval == 0 && scan.components.len() == frame.components.len(),
            restart_interval,
            next_restart: 0,
        })
    }

    fn mcus(&mut self, n_mcus: usize, blocks: &mut [Blocks]) -> Result<(), DecodeError> {
        for blocks in &mut *blocks {
            blocks.coefficients.clear();
            blocks.variances.clear();
        }
        let mut n_wanted = n_mcus.min(self.n_left);
        while n_wanted > 0 {
            if self.n_until_restart == 0 {
                self.restart()?;
            }
            let n = n_wanted.min(self.main.mcus_at_once()).min(self.n_until_restart);
            let n = self.some_mcus(n, n_wanted, blocks)?;
            n_wanted -= n;
            self.n_left -= n;
            self.n_until_restart -= n;
        }
        Ok(())
    }

    /// Appends some of the next MCUs, at most `n` decoded or `n_wanted` that have been before, and tells how many.
    fn some_mcus(&mut self, n: usize, n_wanted: usize, blocks: &mut [Blocks]) -> Result<usize, DecodeError> {
        // What is decoded beyond must be there to be decoded.
        let may_pass = (self.n_until_restart - n) * self.per_mcu >= SPARE;
        let is_alone = self.ahead.is_none() && self.may_go_ahead && self.n_missed < MAX_MISSED;
        if is_alone && Ahead::is_worth_it(&self.main) {
            self.ahead =
                Ahead::new(self.level, self.data, &mut self.main, &self.components, self.n_left, &mut self.spare);
            self.n_missed += u32::from(self.ahead.is_none());
        }
        let n = match &mut self.ahead {
            Some(ahead) if ahead.is_joined => {
                let n = ahead.take(n_wanted, &self.components, blocks);
                if n == 0 {
                    ahead.outcome.clone()?;
                    self.spare = std::mem::take(&mut ahead.blocks);
                    self.ahead = None;
                }
                return Ok(n);
            }
            Some(ahead) if may_pass => match ahead.run(self.level, &mut self.main, n, &self.components)? {
                Meeting::NotYet(n) => n,
                Meeting::Joined => {
                    self.n_missed = self.n_missed.saturating_sub(1);
                    0
                }
                Meeting::Missed => {
                    self.spare = std::mem::take(&mut ahead.blocks);
                    self.ahead = None;
                    self.n_missed += 1;
                    0
                }
            },
            _ => {
                self.main.run(self.level, n, may_pass)?;
                n
            }
        };
        self.main.reduce(self.level, n, &self.components, blocks);
        Ok(n)
    }

    fn restart(&mut self) -> Result<(), DecodeError> {
        self.main.restart(self.next_restart)?;
        self.next_restart = (self.next_restart + 1) % 8;
        self.n_until_restart = self.restart_interval.min(self.n_left);
        Ok(())
    }
}

/// How many MCUs a scan has.
pub(super) fn n_mcus(frame: &Frame, scan: &Scan) -> usize {
    let (columns, rows) = scan.mcus(frame);
    columns as usize * rows as usize
}
