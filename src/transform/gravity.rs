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

/// Where on one axis: at its start (left, top), in its middle or at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "said above")]
pub enum Along {
    Start,
    Middle,
    End,
}

impl Gravity {
    /// From left to right.
    #[must_use]
    pub const fn horizontally(self) -> Along {
        match self {
            Self::NorthWest | Self::West | Self::SouthWest => Along::Start,
            Self::North | Self::Center | Self::South => Along::Middle,
            Self::NorthEast | Self::East | Self::SouthEast => Along::End,
        }
    }

    /// From top to bottom.
    #[must_use]
    pub const fn vertically(self) -> Along {
        match self {
            Self::NorthWest | Self::North | Self::NorthEast => Along::Start,
            Self::West | Self::Center | Self::East => Along::Middle,
            Self::SouthWest | Self::South | Self::SouthEast => Along::End,
        }
    }

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
