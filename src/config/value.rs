//! Words of the file that cannot be wrong. Each fails inside its own scalar, where serde_yaml knows the key path
//! and the line; that is why none uses serde's `try_from`, which fails one level above. So do numbers (`number`).

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::log::{LogFormat, LogLevel};
use super::network::{ListenAddress, Loop, Origin, UrlFolder};
use crate::access::AddressRange;
use crate::store::cache::Strategy;
use crate::transform::{Align, Color, Content, Gravity, Params, SourcePath, TransformationName};

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

/// A text in quotes, cut where it is longer than a line.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

impl FromText for Content {
    /// The end of the last line is none of the text: YAML leaves it in texts that begin with `|`.
    fn from_text(text: &str) -> Result<Self, String> {
        text.strip_suffix('\n').unwrap_or(text).parse()
    }
}

impl FromText for Align {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
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

impl FromText for LogFormat {
    const WANTED: &'static str = "text or json";
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl FromText for LogLevel {
    const WANTED: &'static str = "error, warn, info or debug";
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
