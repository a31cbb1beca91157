//! Named transformations and what is drawn on them: watermarks and texts. Only configurations can name these.

use std::path::PathBuf;
use std::str::FromStr;

use super::{Gravity, Params, SourcePath};

/// The name of a transformation: letters, digits and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransformationName(String);

impl FromStr for TransformationName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must consist of letters, digits and '-', got {text:?}"))
        }
    }
}

impl TransformationName {
    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Parameters with all that is drawn on the result.
#[derive(Clone, Debug, PartialEq)]
pub struct Transformation {
    /// Geometry and filter.
    pub params: Params,
    /// Drawn after the filter.
    pub watermark: Option<Watermark>,
    /// Drawn after the watermark, in this order.
    pub texts: Vec<Text>,
    /// Whether every upload runs it at once.
    pub is_eager: bool,
}

impl Transformation {
    /// A transformation that draws nothing.
    #[must_use]
    pub const fn plain(params: Params) -> Self {
        Self { params, watermark: None, texts: Vec::new(), is_eager: false }
    }

    /// Whether anything is drawn on the result.
    #[must_use]
    pub const fn draws(&self) -> bool {
        self.watermark.is_some() || !self.texts.is_empty()
    }
}

/// Another image of the storage, drawn on the result.
#[derive(Clone, Debug, PartialEq)]
pub struct Watermark {
    /// The image.
    pub source: SourcePath,
    /// The edge or corner that offsets start from.
    pub gravity: Gravity,
    /// Pixels inward from the left or right edge, before scaling.
    pub x: u32,
    /// Pixels inward from the upper or lower edge, before scaling.
    pub y: u32,
}

/// A line of text, drawn on the result.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// What is written.
    pub content: String,
    /// The edge or corner that offsets start from.
    pub gravity: Gravity,
    /// Pixels inward from the left or right edge, before scaling.
    pub x: u32,
    /// Pixels inward from the upper or lower edge, before scaling.
    pub y: u32,
    /// Ink.
    pub color: Color,
    /// File of the font.
    pub font: PathBuf,
    /// Height of the font's em square.
    pub size: TextSize,
}

/// Points at 72 DPI, that is pixels before scaling: 1 to 1,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextSize(u16);

impl TextSize {
    /// The size in pixels.
    #[must_use]
    pub const fn pixels(self) -> u16 {
        self.0
    }
}

impl Default for TextSize {
    fn default() -> Self {
        Self(12)
    }
}

impl TryFrom<i64> for TextSize {
    type Error = String;
    fn try_from(value: i64) -> Result<Self, String> {
        match u16::try_from(value) {
            Ok(size @ 1..=1000) => Ok(Self(size)),
            _ => Err(format!("must be 1 to 1000, got {value}")),
        }
    }
}

/// An opaque sRGB colour; black by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Color {
    /// Red, green, blue, 0 to 255.
    pub rgb: [u8; 3],
}

/// `#rgb` or `#rrggbb`.
impl FromStr for Color {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("must be \"#rgb\" or \"#rrggbb\" in quotes, got {text:?}");
        let digits = text.strip_prefix('#').ok_or_else(wrong)?;
        let values: Vec<u8> = digits
            .chars()
            .map(|digit| digit.to_digit(16).map(|value| value as u8))
            .collect::<Option<_>>()
            .ok_or_else(wrong)?;
        match values[..] {
            [r, g, b] => Ok(Self { rgb: [r * 17, g * 17, b * 17] }),
            [r, r2, g, g2, b, b2] => Ok(Self { rgb: [r * 16 + r2, g * 16 + g2, b * 16 + b2] }),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_have_three_or_six_digits() {
        assert_eq!("#fff".parse(), Ok(Color { rgb: [255; 3] }));
        assert_eq!("#1a2B3c".parse(), Ok(Color { rgb: [0x1A, 0x2B, 0x3C] }));
        for wrong in ["", "#", "fff", "#ff", "#ffff", "#ggg", "#ääää", "#+1+1+1"] {
            assert!(wrong.parse::<Color>().is_err(), "{wrong}");
        }
    }
}
