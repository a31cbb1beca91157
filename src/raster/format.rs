//! Picture formats and what a header tells before anything is decoded.

use super::{Orientation, Size};

/// A format that pictures come in and answers go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG (ITU-T T.81).
    Jpeg,
    /// PNG (ISO/IEC 15948).
    Png,
}

impl Format {
    /// The format told from the first bytes of a file, never from its name.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
            Some(Self::Jpeg)
        } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else {
            None
        }
    }

    /// How names of such files end, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
        }
    }

    /// The media type of RFC 2046 for `Content-Type`.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }
}

/// What the header of a picture says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Told from the first bytes.
    pub format: Format,
    /// Width and height as stored.
    pub stored: Size,
    /// How the stored picture is turned for display.
    pub orientation: Orientation,
    /// What decoding takes in memory at most, in bytes, if the picture is kept for several answers.
    pub decoded_bytes: u64,
    /// The same if its rows are used once, one after the other; never more.
    pub streamed_bytes: u64,
}

impl Header {
    /// Width and height as displayed, that is after orientation.
    #[must_use]
    pub const fn displayed(&self) -> Size {
        if self.orientation.swaps_sides() { self.stored.transposed() } else { self.stored }
    }
}
