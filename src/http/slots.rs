//! Open connections by number. A number that is used again is another token, so that nothing meant for an earlier
//! connection reaches a later one.

/// Names one connection of all that ever were: its slot, and which of the connections in that slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token {
    slot: u32,
    turn: u32,
}

impl Token {
    /// As the number that epoll carries.
    pub(super) fn to_bits(self) -> u64 {
        u64::from(self.turn) << 32 | u64::from(self.slot)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the number")]
    pub(super) fn from_bits(bits: u64) -> Self {
        Self { slot: bits as u32, turn: (bits >> 32) as u32 }
    }
}

/// A table of connections.
#[derive(Debug)]
pub(super) struct Slots<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, value: T) -> Token {
        match self.free.pop() {
            Some(slot) => {
                let (turn, place) = &mut self.slots[slot as usize];
                *turn = turn.wrapping_add(1);
                *place = Some(value);
                Token { slot, turn: *turn }
            }
            None => {
                let slot = u32::try_from(self.slots.len()).expect("connections are bounded far below");
                self.slots.push((0, Some(value)));
                Token { slot, turn: 0 }
            }
        }
    }

    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let (turn, value) = self.slots.get_mut(token.slot as usize)?;
        if *turn == token.turn { value.as_mut() } else { None }
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<T> {
        let (turn, value) = self.slots.get_mut(token.slot as usize)?;
        let removed = if *turn == token.turn { value.take() } else { None };
        if removed.is_some() {
            self.free.push(token.slot);
        }
        removed
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Token, &T)> {
        let slots = (0..).zip(&self.slots);
        slots.filter_map(|(slot, (turn, value))| Some((Token { slot, turn: *turn }, value.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_one_value_only() {
        let mut slots = Slots::default();
        let (a, b) = (slots.insert('a'), slots.insert('b'));
        assert_eq!((slots.remove(a), slots.remove(a), slots.len()), (Some('a'), None, 1));
        let c = slots.insert('c');
        assert_eq!((slots.get_mut(a).copied(), slots.remove(a)), (None, None));
        assert_eq!((slots.get_mut(b).copied(), slots.get_mut(c).copied()), (Some('b'), Some('c')));
        assert_eq!(slots.iter().map(|(token, _)| token).collect::<Vec<_>>(), [c, b]);
        assert_eq!(Token::from_bits(c.to_bits()), c);
    }
}
