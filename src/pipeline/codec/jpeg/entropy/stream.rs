//! A place in a scan from which on blocks are decoded and reduced.

use std::rc::Rc;

use super::DecodeError;
use super::head::{Fault, Goal, Reader};
use super::kind::Kind;
use super::program::Program;
use super::reduce::Part;
use super::sequential::{Blocks, Component};
use super::window::Window;
use crate::simd::Level;

#[derive(Debug)]
pub(super) struct Stream<'a, K: Kind> {
    pub(super) window: Window<'a>,
    pub(super) reader: Reader<K>,
    pub(super) program: Rc<Program<K>>,
    /// The last mean of each component.
    pub(super) predictions: [i16; 4],
}

impl<'a, K: Kind> Stream<'a, K> {
    pub(super) fn new(program: Rc<Program<K>>, window: Window<'a>) -> Self {
        let per_mcu = program.n_nodes();
        let reader = Reader::new(program.clone(), K::RUN_BLOCKS.max(per_mcu) / per_mcu * per_mcu);
        Self { window, reader, program, predictions: [0; 4] }
    }

    /// MCUs that there are slots for.
    pub(super) fn mcus_at_once(&self) -> usize {
        (K::RUN_BLOCKS / self.per_mcu()).max(1)
    }

    pub(super) fn per_mcu(&self) -> usize {
        self.program.n_nodes()
    }

    /// Fills the slots of so many MCUs.
    pub(super) fn run(&mut self, level: Level, n_mcus: usize, may_pass: bool) -> Result<(), DecodeError> {
        let end = n_mcus * self.per_mcu();
        while self.reader.n_full() < end {
            self.refill()?;
            self.reader.run(level, &self.window, Goal { end, may_pass, limit: self.window.limit() });
            self.check_fault()?;
        }
        self.check_end()
    }

    /// Makes more data ready where little is left.
    pub(super) fn refill(&mut self) -> Result<(), DecodeError> {
        if self.reader.wants(self.window.limit()) { self.reader.refill(&mut self.window) } else { Ok(()) }
    }

    /// # Errors
    /// If the last run has met something impossible.
    pub(super) fn check_fault(&self) -> Result<(), DecodeError> {
        let Some((fault, n_bits)) = self.reader.fault() else { return Ok(()) };
        if self.window.bits_behind(n_bits).is_none() {
            return Err(ends_early());
        }
        Err(DecodeError::damaged(match fault {
            Fault::NoSuchCode => "an impossible Huffman code",
            Fault::TooManyCoefficients => "more than 64 coefficients in a block",
            Fault::ImpossibleDifference => "an impossible difference",
        }))
    }

    /// # Errors
    /// If more has been read than there is.
    pub(super) fn check_end(&self) -> Result<(), DecodeError> {
        self.window.bits_behind(self.reader.n_bits()).map(drop).ok_or_else(ends_early)
    }

    /// Appends what is kept of the first MCUs in the slots, and frees those.
    pub(super) fn reduce(&mut self, level: Level, n_mcus: usize, components: &[Component], blocks: &mut [Blocks]) {
        let per_mcu = self.per_mcu();
        let slots = self.reader.slots(n_mcus * per_mcu);
        for ((component, blocks), prediction) in components.iter().zip(blocks).zip(&mut self.predictions) {
            let part = Part { slots, per_mcu, range: component.range.clone() };
            K::reduce(level, part, component, prediction, blocks);
        }
        self.reader.free(n_mcus * per_mcu);
    }

    /// Goes on behind the restart marker of this number, which must be next.
    pub(super) fn restart(&mut self, number: u8) -> Result<(), DecodeError> {
        self.window.restart(self.reader.n_bits(), number)?;
        self.reader.restart();
        self.predictions = [0; 4];
        Ok(())
    }
}

fn ends_early() -> DecodeError {
    DecodeError::damaged("the image data ends too early")
}
