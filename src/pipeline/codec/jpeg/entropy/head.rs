//! The inner loop: reads symbols without a branch for the end of a block, so that the processor guesses wrong only
//! where a value is long.
//!
//! A slot takes a block. It also names the tables of the block behind it, so that going on to the next block is a
//! selection of values; which component a block belongs to is written in the slots beforehand, not decided here.

#![expect(unsafe_code, reason = "the loop reads and writes where its tables point, without checks of each access")]
#![expect(clippy::multiple_unsafe_ops_per_block, reason = "a step is one argument about pointers")]

use std::hint::select_unpredictable as select;
use std::rc::Rc;

use super::DecodeError;
use super::kind::Kind;
use super::program::{Program, Slot, Tables};
use super::tables::advance;
use super::window::{MARGIN, Window};
use crate::simd::Level;

/// What is wrong with the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NoSuchCode,
    TooManyCoefficients,
    ImpossibleDifference,
}

/// Decodes blocks into slots.
#[derive(Debug)]
pub(super) struct Reader<K: Kind> {
    head: Head<K>,
    /// Of the next bits in the window, and of the slot that is being filled.
    data_index: usize,
    slot_index: usize,
    slots: Vec<Slot<K>>,
    fault: Option<(Fault, usize)>,
    /// How many slots were full when it was met.
    n_sound: usize,
    program: Rc<Program<K>>,
}

/// Slots behind those that are asked for: three blocks may be decoded beyond, and a fourth be begun.
pub(super) const SPARE: usize = 4;

/// How far a run goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal {
    /// Until this slot is reached.
    pub(super) end: usize,
    /// Or up to `SPARE` blocks beyond, which is faster.
    pub(super) may_pass: bool,
    /// Or until this byte of the window is near.
    pub(super) limit: usize,
}

impl<K: Kind> Reader<K> {
    /// `n_slots` is how many are wanted at most at once; each is as its place in an MCU says.
    pub(super) fn new(program: Rc<Program<K>>, n_slots: usize) -> Self {
        let slots = program.slots(n_slots + SPARE + 1);
        Self { head: Head::NOWHERE, data_index: 0, slot_index: 0, slots, fault: None, n_sound: 0, program }
    }

    /// The first `n` slots.
    pub(super) fn slots(&mut self, n: usize) -> &mut [Slot<K>] {
        &mut self.slots[..n]
    }

    /// How many slots are full.
    pub(super) fn n_full(&self) -> usize {
        self.slot_index
    }

    /// Whether the data up to this byte of the window has been read.
    pub(super) fn wants(&self, limit: usize) -> bool {
        self.data_index >= limit
    }

    /// Whether there is nothing of a block that is not complete.
    pub(super) fn is_between_blocks(&self) -> bool {
        self.head.position < 0
    }

    /// To the beginning of the data and the first slot.
    pub(super) fn restart(&mut self) {
        (self.data_index, self.slot_index) = (0, 0);
        self.head = Head::NOWHERE;
    }

    /// How many bits of the window have been read.
    pub(super) fn n_bits(&self) -> usize {
        self.data_index * 8 - (self.head.available & 63) as usize
    }

    /// What was wrong in the last run, if anything was, and how many bits of the window were read then.
    pub(super) fn fault(&self) -> Option<(Fault, usize)> {
        self.fault
    }

    /// How many slots were full before that.
    pub(super) fn n_sound(&self) -> usize {
        self.n_sound
    }

    /// Drops data that has been read from the window, but for what of it is in the word still: positions count from the
    /// beginning of the window.
    pub(super) fn refill(&mut self, window: &mut Window) -> Result<(), DecodeError> {
        let n_dropped = self.data_index.saturating_sub(8);
        window.refill(n_dropped)?;
        self.data_index -= n_dropped;
        Ok(())
    }

    /// Behind the first bits of the first byte.
    pub(super) fn skip_bits(&mut self, n: u32, window: &Window) {
        let (mut head, _) = self.enter(window, Goal { end: 0, may_pass: true, limit: 0 });
        head.skip(n);
        // SAFETY: a window begins with eight bytes.
        unsafe { head.refill() };
        head.entry = self.first_entry(head.word);
        self.leave(head, window);
    }

    fn first_entry(&self, word: u64) -> K::Entry {
        self.program.first_entry(word)
    }

    /// The head in memory, and its bounds.
    fn enter(&mut self, window: &Window, goal: Goal) -> (Head<K>, Bounds<K>) {
        assert!(goal.end + SPARE < self.slots.len() && self.slot_index < self.slots.len(), "slots of a run");
        let data = window.bytes();
        assert!(goal.limit + MARGIN <= data.len() && self.data_index + 8 <= data.len(), "a limit within the window");
        let base = self.slots.as_mut_ptr();
        let at = |index: usize| base.wrapping_add(index);
        let fast_end = if goal.may_pass { goal.end } else { goal.end.saturating_sub(SPARE) };
        let bounds = Bounds { fast_end: at(fast_end), end: at(goal.end), data_limit: &raw const data[goal.limit] };
        let mut head =
            Head { data: data.as_ptr().wrapping_add(self.data_index), slot: at(self.slot_index), ..self.head };
        if self.head.is_nowhere {
            head.is_nowhere = false;
            // SAFETY: asserted above.
            unsafe { head.refill() };
            head.entry = self.first_entry(head.word);
        }
        (head, bounds)
    }

    fn leave(&mut self, head: Head<K>, window: &Window) {
        let base = self.slots.as_ptr();
        let data = window.bytes().as_ptr();
        self.data_index = head.data as usize - data as usize;
        let index_of = |slot: *const Slot<K>| (slot as usize - base as usize) / size_of::<Slot<K>>();
        self.slot_index = index_of(head.slot);
        self.n_sound = index_of(head.fault.map_or(head.slot, |(.., slot)| slot));
        self.fault = head.fault.map(|(fault, n_bits, _)| (fault, n_bits - data as usize * 8));
        self.head = head;
    }

    /// Decodes until the goal is reached.
    pub(super) fn run(&mut self, level: Level, window: &Window, goal: Goal) {
        let (mut head, bounds) = self.enter(window, goal);
        let tables = &self.program.tables;
        // SAFETY: head and bounds are from `enter`; an `Avx2` proves that this CPU has what it stands for.
        unsafe {
            match level {
                Level::Scalar => run(&mut head, bounds, tables),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2(_) => run_avx2(&mut head, bounds, tables),
            }
        }
        self.leave(head, window);
    }

    /// Decodes with two readers at once until one of them has reached its goal; both may pass theirs.
    pub(super) fn run_two(level: Level, a: (&mut Self, &Window, Goal), b: (&mut Self, &Window, Goal)) {
        let (mut first, first_bounds) = a.0.enter(a.1, a.2);
        let (mut second, second_bounds) = b.0.enter(b.1, b.2);
        let bounds = [first_bounds, second_bounds];
        assert!(Rc::ptr_eq(&a.0.program, &b.0.program), "readers of one scan");
        let tables = &a.0.program.tables;
        // SAFETY: heads and bounds are from `enter`; an `Avx2` proves that this CPU has what it stands for.
        unsafe {
            match level {
                Level::Scalar => run_two(&mut first, &mut second, bounds, tables),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2(_) => run_two_avx2(&mut first, &mut second, bounds, tables),
            }
        }
        a.0.leave(first, a.1);
        b.0.leave(second, b.1);
    }

    /// Goes on behind a fault, as if nothing had been.
    pub(super) fn forgive(&mut self) {
        (self.head.fault, self.fault) = (None, None);
    }

    /// Frees the first `n` slots, which are empty or never to be read: what is behind them becomes the first.
    pub(super) fn free(&mut self, n: usize) {
        if n == 0 {
            return;
        }
        let n_extra = self.slot_index - n + 1;
        for index in 0..n_extra {
            self.slots[index].block = self.slots[n + index].block;
            self.slots[n + index].block = K::EMPTY;
        }
        self.slot_index -= n;
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Head<K: Kind> {
    /// The next bits, left-aligned; in the lowest six bits of `available`, how many of them count.
    pub(super) word: u64,
    pub(super) available: u64,
    data: *const u8,
    /// What the first of them mean.
    pub(super) entry: K::Entry,
    /// Of the last coefficient of the block in zigzag order, -1 at its beginning.
    pub(super) position: isize,
    pub(super) slot: *mut Slot<K>,
    /// What has been made of the block.
    pub(super) state: K::State,
    /// The first fault, at which bit in memory, and in which slot.
    fault: Option<(Fault, usize, *mut Slot<K>)>,
    /// Whether nothing has been read.
    is_nowhere: bool,
}

/// What a run of the loop may touch.
#[derive(Clone, Copy, Debug)]
struct Bounds<K: Kind> {
    /// Blocks are decoded until this slot is reached. Several steps at once are taken up to the first, single ones up to
    /// the second.
    fast_end: *mut Slot<K>,
    end: *mut Slot<K>,
    /// More data is wanted from here on.
    data_limit: *const u8,
}

impl<K: Kind> Head<K> {
    const NOWHERE: Self = Self {
        word: 0,
        available: 0,
        data: std::ptr::null(),
        entry: K::NONE,
        position: -1,
        slot: std::ptr::null_mut(),
        state: K::START,
        fault: None,
        is_nowhere: true,
    };

    /// Makes the word hold at least 56 bits.
    /// # Safety
    /// Eight bytes can be read at `data`.
    #[inline(always)]
    pub(super) unsafe fn refill(&mut self) {
        let available = self.available & 63;
        // SAFETY: the caller's.
        let bytes = u64::from_be(unsafe { self.data.cast::<u64>().read_unaligned() });
        self.word |= bytes >> available;
        self.data = self.data.wrapping_add(((63 - available) >> 3) as usize);
        self.available = available | 56;
    }

    /// To the next entry, and to the next block if this one is complete.
    /// # Safety
    /// As for `run`; `slot` is one of the slots, or the one behind the last that a run may touch.
    #[inline(always)]
    pub(super) unsafe fn go_on(&mut self, position: isize) {
        // SAFETY: the caller's.
        unsafe {
            let slot = self.slot;
            let is_end = position >= 63;
            self.entry = K::look_up(slot, self.word, position);
            self.state = select(is_end, K::START, self.state);
            self.position = select(is_end, -1, position);
            self.slot = select(is_end, slot.add(1), slot);
        }
    }

    /// One symbol, checked: where several at once are too many for the block, and long or impossible codes.
    /// # Safety
    /// As for `run`.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn apart(mut self, tables: &[Tables]) -> Self {
        // SAFETY: the caller's.
        unsafe {
            let position = self.symbol(tables);
            self.refill();
            self.go_on(position);
        }
        self
    }

    /// Reads a symbol by the tables of the file, and gives the position behind it.
    /// # Safety
    /// As for `run`.
    unsafe fn symbol(&mut self, tables: &[Tables]) -> isize {
        // SAFETY: the caller's.
        unsafe {
            self.refill();
            let (dc, ac) = &tables[(*self.slot).tables];
            let is_dc = self.position < 0;
            let table = if is_dc { dc } else { ac };
            let Some((symbol, length)) = table.find((self.word >> 48) as u32) else {
                let position = self.fail(Fault::NoSuchCode);
                // So that a reader that is not where a code begins gets away.
                self.skip(1);
                return position;
            };
            let (size, advance) = if is_dc { (symbol, 1) } else { (symbol & 15, advance(symbol)) };
            let size = u32::from(size);
            if size > 16 {
                self.skip(length);
                return self.fail(Fault::ImpossibleDifference);
            }
            let rest = self.word << length;
            let bits = if size == 0 { 0 } else { (rest >> (64 - size)) as u32 };
            self.skip(length + size);
            let position = self.position + advance as isize;
            if position & 64 != 0 {
                return self.fail(Fault::TooManyCoefficients);
            }
            if size > 0 {
                K::put(self, position as usize, super::walk::extended(bits, size));
            }
            position
        }
    }

    fn skip(&mut self, length: u32) {
        self.word <<= length;
        self.available = self.available.wrapping_sub(u64::from(length)) & 63;
    }

    /// Notes the first fault. What is decoded behind it is of no use, but does no harm.
    fn fail(&mut self, fault: Fault) -> isize {
        let n_bits = self.data as usize * 8 - (self.available & 63) as usize;
        self.fault.get_or_insert((fault, n_bits, self.slot));
        // A block is over, so that the run ends soon.
        63
    }
}

/// Decodes blocks until the end of `bounds` is reached or more data is wanted.
/// # Safety
/// `head` and `bounds` are from `Reader::enter` of a reader whose program has these tables. So:
/// - Data: steps begin only before the limit, four of them read at most 4 × (8 + 8) bytes (each takes no more than two
///   refills of at most 7), and `MARGIN` bytes can be read behind the limit.
/// - Slots: a step goes on by at most one. Four begin before `fast_end` or single ones before `end`, so that none goes
///   further than `SPARE` beyond `end`; `enter` asserts that these are there.
/// - Tables: every slot names entries of the program, as many as an index into them can tell apart, and what its kind has
///   in `aid`. The program is not changed, and lives as long as the reader.
/// - Positions: one that passes has bit 6 clear and is at least 0, since every entry adds 1 or more to -1 or more; it is
///   below 62 + `MAX_ADVANCE` + `END` + 1 = 224, so below 192. All that a kind looks up by a position has as many
///   places, and where a place in a slot is found there, it is within one.
#[inline(always)]
unsafe fn run<K: Kind>(head: &mut Head<K>, bounds: Bounds<K>, tables: &[Tables]) {
    // SAFETY: the caller's.
    unsafe {
        let mut h = *head;
        while h.slot < bounds.fast_end && h.data < bounds.data_limit {
            h.refill();
            K::step(&mut h, tables);
            K::step(&mut h, tables);
            K::step(&mut h, tables);
            if K::STEPS == 4 {
                K::step(&mut h, tables);
            }
        }
        while h.slot < bounds.end && h.data < bounds.data_limit {
            h.refill();
            K::step(&mut h, tables);
        }
        h.available &= 63;
        *head = h;
    }
}

/// Decodes two streams in turns, several entries at once, until one of them is at its end.
/// # Safety
/// As for `run`, each by itself.
#[inline(always)]
unsafe fn run_two<K: Kind>(first: &mut Head<K>, second: &mut Head<K>, bounds: [Bounds<K>; 2], tables: &[Tables]) {
    // SAFETY: the caller's.
    unsafe {
        let (mut a, mut b) = (*first, *second);
        while a.slot < bounds[0].end
            && b.slot < bounds[1].end
            && a.data < bounds[0].data_limit
            && b.data < bounds[1].data_limit
        {
            a.refill();
            b.refill();
            K::step(&mut a, tables);
            K::step(&mut b, tables);
            K::step(&mut a, tables);
            K::step(&mut b, tables);
            K::step(&mut a, tables);
            K::step(&mut b, tables);
            if K::STEPS == 4 {
                K::step(&mut a, tables);
                K::step(&mut b, tables);
            }
        }
        a.available &= 63;
        b.available &= 63;
        (*first, *second) = (a, b);
    }
}

#[cfg(target_arch = "x86_64")]
/// # Safety
/// As for `run_two`.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
unsafe fn run_two_avx2<K: Kind>(first: &mut Head<K>, second: &mut Head<K>, bounds: [Bounds<K>; 2], tables: &[Tables]) {
    // SAFETY: the caller's.
    unsafe { run_two(first, second, bounds, tables) }
}

#[cfg(target_arch = "x86_64")]
/// # Safety
/// As for `run`.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
unsafe fn run_avx2<K: Kind>(head: &mut Head<K>, bounds: Bounds<K>, tables: &[Tables]) {
    // SAFETY: the caller's.
    unsafe { run(head, bounds, tables) }
}
