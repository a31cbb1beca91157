//! Named transformations and what is drawn on them: watermarks and texts. Only configurations can name these.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{Along, Font, Gravity, Params, SourcePath};

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
    /// Drawn after the filter, in this order.
    pub watermarks: Vec<Watermark>,
    /// Drawn after the watermarks, in this order.
    pub texts: Vec<Text>,
    /// Whether every upload runs it at once.
    pub is_eager: bool,
}

impl Transformation {
    /// A transformation that draws nothing.
    #[must_use]
    pub const fn plain(params: Params) -> Self {
        Self { params, watermarks: Vec::new(), texts: Vec::new(), is_eager: false }
    }
}

/// Where on the picture something is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The edge or corner that offsets start from.
    pub gravity: Gravity,
    /// Pixels inward from the left or right edge, before scaling.
    pub x: u32,
    /// Pixels inward from the upper or lower edge, before scaling.
    pub y: u32,
}

/// Another image of the storage, drawn on the result.
#[derive(Clone, Debug, PartialEq)]
pub struct Watermark {
    /// The image.
    pub source: SourcePath,
    /// Where it is drawn. Of a tiled one, `x` and `y` are the gaps between the tiles.
    pub anchor: Anchor,
    /// How much of it is seen.
    pub opacity: Opacity,
    /// Its width as a share of the picture's; `None` leaves it at its own size.
    pub share: Option<Share>,
    /// Whether it is repeated over the whole picture.
    pub is_tiled: bool,
}

/// Percent: 0 (nothing is seen) to 100 (as it is).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opacity(u8);

impl Opacity {
    /// The number.
    #[must_use]
    pub const fn percent(self) -> u8 {
        self.0
    }
}

impl Default for Opacity {
    fn default() -> Self {
        Self(100)
    }
}

impl TryFrom<i64> for Opacity {
    type Error = String;
    fn try_from(value: i64) -> Result<Self, String> {
        match u8::try_from(value) {
            Ok(percent @ 0..=100) => Ok(Self(percent)),
            _ => Err(format!("must be 0 to 100, got {value}")),
        }
    }
}

/// A share of a width: above 0, at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(f64);

impl Share {
    /// So much of a width in pixels, rounded, at least 1.
    #[must_use]
    pub fn of(self, width: u32) -> u32 {
        ((f64::from(width) * self.0).round() as u32).max(1)
    }
}

/// As it is written in a configuration.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<f64> for Share {
    type Error = String;
    fn try_from(value: f64) -> Result<Self, String> {
        let is_share = value > 0.0 && value <= 1.0;
        if is_share { Ok(Self(value)) } else { Err(format!("must be above 0, and 1 at most, got {value}")) }
    }
}

/// Lines of text, drawn on the result.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// What is written; `\n` begins a new line.
    pub content: Content,
    /// Where its box is drawn.
    pub anchor: Anchor,
    /// Ink.
    pub color: Color,
    /// Letters.
    pub font: Arc<Font>,
    /// Height of the font's em square.
    pub size: TextSize,
    /// How shorter lines lie in the box.
    pub align: Align,
    /// What is painted behind the text, over all of its box.
    pub background: Option<Color>,
    /// Pixels between the text and the edges of its box, before scaling.
    pub padding: u32,
    /// What is painted around the letters, below them.
    pub stroke: Option<Stroke>,
}

/// A text of 1 to 2,000 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content(String);

/// More is no caption; each costs time and memory when it is drawn.
const MAX_CHARACTERS: usize = 2000;

impl Content {
    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Content {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.chars().count() {
            0 => Err("must not be empty".to_owned()),
            1..=MAX_CHARACTERS => Ok(Self(text.to_owned())),
            count => Err(format!("must have at most {MAX_CHARACTERS} characters, got {count}")),
        }
    }
}

/// Where shorter lines of a text lie between the edges of its box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Align {
    Left,
    Center,
    Right,
}

impl Align {
    /// All values in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Left, Self::Center, Self::Right];

    /// As the configuration has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Center => "center",
            Self::Right => "right",
        }
    }

    /// The side that a text with this gravity leans to.
    #[must_use]
    pub const fn of(gravity: Gravity) -> Self {
        match gravity.horizontally() {
            Along::Start => Self::Left,
            Along::Middle => Self::Center,
            Along::End => Self::Right,
        }
    }
}

impl FromStr for Align {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|align| align.as_str() == text);
        known.ok_or_else(|| format!("must be left, center or right, got {text:?}"))
    }
}

/// A line around letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stroke {
    /// Ink.
    pub color: Color,
    /// How far it reaches out from the letters.
    pub width: StrokeWidth,
}

/// Pixels before scaling: 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrokeWidth(u8);

impl StrokeWidth {
    /// The number.
    #[must_use]
    pub const fn pixels(self) -> u8 {
        self.0
    }
}

impl Default for StrokeWidth {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<i64> for StrokeWidth {
    type Error = String;
    fn try_from(value: i64) -> Result<Self, String> {
        match u8::try_from(value) {
            Ok(width @ 1..=100) => Ok(Self(width)),
            _ => Err(format!("must be 1 to 100, got {value}")),
        }
    }
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

/// An sRGB colour with straight alpha; opaque black by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color {
    /// Red, green, blue, 0 to 255.
    pub rgb: [u8; 3],
    /// 0 (not seen) to 255 (opaque).
    pub alpha: u8,
}

impl Color {
    /// A colour that lets nothing through.
    #[must_use]
    pub const fn opaque(rgb: [u8; 3]) -> Self {
        Self { rgb, alpha: 255 }
    }
}

impl Default for Color {
    fn default() -> Self {
        Self::opaque([0; 3])
    }
}

/// `#rgb`, `#rrggbb` or `#rrggbbaa`.
impl FromStr for Color {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("must be \"#rgb\", \"#rrggbb\" or \"#rrggbbaa\" in quotes, got {text:?}");
        let digits = text.strip_prefix('#').ok_or_else(wrong)?;
        let values: Vec<u8> = digits
            .chars()
            .map(|digit| digit.to_digit(16).map(|value| value as u8))
            .collect::<Option<_>>()
            .ok_or_else(wrong)?;
        let pairs: Vec<u8> = values.as_chunks().0.iter().map(|&[high, low]| high * 16 + low).collect();
        match (&values[..], &pairs[..]) {
            (&[r, g, b], _) => Ok(Self::opaque([r, g, b].map(|digit| digit * 17))),
            (values, &[r, g, b]) if values.len() == 6 => Ok(Self::opaque([r, g, b])),
            (_, &[r, g, b, alpha]) if values.len() == 8 => Ok(Self { rgb: [r, g, b], alpha }),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_have_three_six_or_eight_digits() {
        assert_eq!("#fff".parse(), Ok(Color::opaque([255; 3])));
        assert_eq!("#1a2B3c".parse(), Ok(Color::opaque([0x1A, 0x2B, 0x3C])));
        assert_eq!("#1a2B3c80".parse(), Ok(Color { rgb: [0x1A, 0x2B, 0x3C], alpha: 0x80 }));
        for wrong in ["", "#", "fff", "#ff", "#ffff", "#fffff", "#1a2b3c4", "#1a2b3c4d5", "#ggg", "#ääää", "#+1+1+1"]
        {
            assert!(wrong.parse::<Color>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_share_is_rounded_and_never_nothing() {
        let share = |value: f64| Share::try_from(value).unwrap();
        assert_eq!((share(0.25).of(1000), share(0.333).of(100), share(1.0).of(7), share(0.001).of(3)), (250, 33, 7, 1));
        for wrong in [0.0, -0.1, 1.001, f64::NAN, f64::INFINITY] {
            assert!(Share::try_from(wrong).is_err(), "{wrong}");
        }
    }
}
