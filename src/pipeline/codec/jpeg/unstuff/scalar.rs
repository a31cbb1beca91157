//! The reference.

use super::{Stop, Unstuffed};

pub(super) fn unstuff(source: &[u8], target: &mut [u8]) -> Unstuffed {
    unstuff_from(source, target, 0, 0)
}

/// Goes on where so much is read and written.
pub(super) fn unstuff_from(source: &[u8], target: &mut [u8], mut read: usize, mut written: usize) -> Unstuffed {
    while let Some(slot) = target.get_mut(written) {
        let (byte, length) = match source[read..] {
            [0xFF, 0x00, ..] => (0xFF, 2),
            [0xFF, _, ..] => return Unstuffed { read, written, stop: Stop::Marker },
            [] | [0xFF] => return Unstuffed { read, written, stop: Stop::End },
            [byte, ..] => (byte, 1),
        };
        *slot = byte;
        read += length;
        written += 1;
    }
    Unstuffed { read, written, stop: Stop::Full }
}
