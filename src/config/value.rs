//! Values of the file that cannot be wrong. Each fails inside its own scalar, where serde_yaml knows the key path
//! and the line; that is why none uses serde's `try_from`, which fails one level above.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use super::network::{ListenAddress, Loop, Origin, UrlFolder};
use crate::access::AddressRange;
use crate::store::cache::Strategy;
use crate::transform::{Color, Gravity, Params, SourcePath, TransformationName};

/// A YAML 1.1 boolean in any of its spellings; YAML 1.2 readers take most of them for texts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Boolean(pub(super) bool);

impl FromText for Boolean {
    const WANTED: &str = "Yes or No";
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Ok(Self(true)),
            "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Ok(Self(false)),
            _ => Err(format!("must be Yes or No, got {}", quoted(text))),
        }
    }
}

/// A value that is written as one scalar. It sees the scalar as written: `007` and `1.50` are texts too.
pub(super) trait FromText: Sized {
    /// What is wanted where something else than a scalar was given.
    const WANTED: &str = "a text";
    /// # Errors
    /// If the text is no such value: `must be ..., got ...`.
    fn from_text(text: &str) -> Result<Self, String>;
}

/// A value that is read by [`FromText`].
#[derive(Clone, Debug)]
pub(super) struct Word<T>(pub(super) T);

struct WordVisitor<T>(PhantomData<T>);

impl<'de, T: FromText> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(WordVisitor(PhantomData))
    }
}

impl<T: FromText> Visitor<'_> for WordVisitor<T> {
    type Value = Word<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WANTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Word<T>, E> {
        T::from_text(text).map(Word).map_err(E::custom)
    }
}

/// For an optional key that must have a value where it is written.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A whole number that `T` accepts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole<T>(pub(super) T);

struct WholeVisitor<T>(PhantomData<T>);

impl<'de, T: TryFrom<i64, Error = String>> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor(PhantomData))
    }
}

impl<T: TryFrom<i64, Error = String>> Visitor<'_> for WholeVisitor<T> {
    type Value = Whole<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Whole<T>, E> {
        T::try_from(number).map(Whole).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Whole<T>, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => Err(E::custom(format!("is too large, got {number}"))),
        }
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<Whole<T>, E> {
        Err(E::custom(format!("is too far below zero, got {number}")))
    }

    fn visit_u128<E: Error>(self, number: u128) -> Result<Whole<T>, E> {
        Err(E::custom(format!("is too large, got {number}")))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Whole<T>, E> {
        Err(E::custom(format!("must be a whole number, got {number:?}")))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Whole<T>, E> {
        Err(E::custom(format!("must be a whole number, got {value}")))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Whole<T>, E> {
        let hint = if text.parse::<i64>().is_ok() { " (write it without quotes)" } else { "" };
        Err(E::custom(format!("must be a whole number, got {}{hint}", quoted(text))))
    }
}

/// A number from a range that only this room knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounded<T, const MIN: i64, const MAX: i64>(pub(super) T);

impl<T: TryFrom<i64>, const MIN: i64, const MAX: i64> TryFrom<i64> for Bounded<T, MIN, MAX> {
    type Error = String;
    fn try_from(number: i64) -> Result<Self, String> {
        let within = (MIN..=MAX).contains(&number).then(|| T::try_from(number).ok()).flatten();
        within.map(Self).ok_or_else(|| format!("must be {MIN} to {MAX}, got {number}"))
    }
}

/// A number of the file between `MIN` and `MAX`.
pub(super) type Number<T, const MIN: i64, const MAX: i64> = Whole<Bounded<T, MIN, MAX>>;

/// Pixels from an edge: 0 to 65,535, always inward.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offset(pub(super) u32);

impl TryFrom<i64> for Offset {
    type Error = String;
    fn try_from(number: i64) -> Result<Self, String> {
        match u16::try_from(number) {
            Ok(pixels) => Ok(Self(u32::from(pixels))),
            Err(_) if number < 0 => Err(format!(
                "must be 0 to 65535, got {number}: offsets move inward from the edge that gravity names, \
                 so that {} pixels from the right or lower edge are written as `gravity: se` with {0}",
                number.unsigned_abs()
            )),
            Err(_) => Err(format!("must be 0 to 65535, got {number}")),
        }
    }
}

/// A list of values, or a single one without the dash.
#[derive(Clone, Debug)]
pub(super) struct OneOrMore<T>(pub(super) Vec<T>);

struct OneOrMoreVisitor<T>(PhantomData<T>);

impl<'de, T: FromText> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMoreVisitor(PhantomData))
    }
}

impl<'de, T: FromText> Visitor<'de> for OneOrMoreVisitor<T> {
    type Value = OneOrMore<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} or a list of such", T::WANTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMore<T>, E> {
        T::from_text(text).map(|one| OneOrMore(vec![one])).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<OneOrMore<T>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMore<T>, A::Error> {
        let mut values = Vec::new();
        while let Some(Word(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(OneOrMore(values))
    }
}

/// A text in quotes, cut where it is longer than a line.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

impl FromText for String {
    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
    }
}

impl FromText for PathBuf {
    const WANTED: &str = "a path";
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("must not be empty".to_owned()),
            _ if text.contains('\0') => Err("must not hold a NUL character".to_owned()),
            _ => Ok(Self::from(text)),
        }
    }
}

impl FromText for Gravity {
    fn from_text(text: &str) -> Result<Self, String> {
        let letters = Self::ALL.map(Self::letters).join(", ");
        text.parse().map_err(|()| format!("must be one of {letters}, got {}", quoted(text)))
    }
}

impl FromText for Color {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl FromText for TransformationName {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl FromText for Params {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error: crate::transform::ParameterError| error.to_string())
    }
}

impl FromText for SourcePath {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::new(text).map_err(|error| error.to_string())
    }
}

impl FromText for Strategy {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl FromText for Loop {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl FromText for UrlFolder {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl FromText for AddressRange {
    const WANTED: &str = "an IP address or range";
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl FromText for ListenAddress {
    const WANTED: &str = "address:port or unix:path";
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl FromText for Origin {
    const WANTED: &str = "an origin";
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}
