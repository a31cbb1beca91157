//! Gravity: the edge or corner that stays, or that an offset starts from.

use std::fmt;
use std::str::FromStr;

/// Eight compass directions and the centre.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[expect(missing_docs, reason = "the compass needs no words")]
pub enum Gravity {
    North,
    NorthEast,
    East,
    SouthEast,
    South,
    SouthWest,
    West,
    #[default]
    NorthWest,
    Center,
}

impl Gravity {
    /// All values in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::North,
        Self::NorthEast,
        Self::East,
        Self::SouthEast,
        Self::South,
        Self::SouthWest,
        Self::West,
        Self::NorthWest,
        Self::Center,
    ];

    /// The letters of the URL grammar.
    #[must_use]
    pub const fn letters(self) -> &'static str {
        match self {
            Self::North => "n",
            Self::NorthEast => "ne",
            Self::East => "e",
            Self::SouthEast => "se",
            Self::South => "s",
            Self::SouthWest => "sw",
            Self::West => "w",
            Self::NorthWest => "nw",
            Self::Center => "c",
        }
    }
}

impl fmt::Display for Gravity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.letters())
    }
}

/// The letters in upper or lower case.
impl FromStr for Gravity {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|gravity| gravity.letters().eq_ignore_ascii_case(text)).ok_or(())
    }
}
