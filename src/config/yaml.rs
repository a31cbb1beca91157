//! From YAML text to a typed value, or to a fault that names key, line and column.
//! What the keys mean is not known here.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::error::{Fault, Position, Step, key_path};

/// Reads one document. Duplicate keys, tags and aliases that multiply are refused before any type is asked.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    check_shape(text)?;
    serde_yaml::from_str(text).map_err(|error| fault(&error, text))
}

/// A fault in the value that `steps` lead to.
pub(super) fn fault_at(text: &str, steps: &[Step], message: String) -> Fault {
    Fault { position: locate(text, steps), key: key_path(steps), message }
}

/// Where the value stands that `steps` lead to: serde_yaml tells places only in errors, so this provokes one there.
fn locate(text: &str, steps: &[Step]) -> Option<Position> {
    let error = Finder { steps }.deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    position(&error)
}

fn position(error: &serde_yaml::Error) -> Option<Position> {
    error.location().map(|location| Position { line: location.line(), column: location.column() })
}

/// Walks to a value and fails there.
struct Finder<'a> {
    steps: &'a [Step],
}

impl<'de> DeserializeSeed<'de> for Finder<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Finder<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the end of the path")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Step::Key(wanted), rest)) = self.steps.split_first() else {
            return Err(A::Error::custom("found"));
        };
        while let Some(key) = map.next_key::<String>()? {
            if key == *wanted {
                map.next_value_seed(Finder { steps: rest })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((Step::Item(wanted), rest)) = self.steps.split_first() else {
            return Err(A::Error::custom("found"));
        };
        for _ in 0..*wanted {
            list.next_element::<IgnoredAny>()?;
        }
        list.next_element_seed(Finder { steps: rest })?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// Refuses what is wrong whatever the keys mean.
fn check_shape(text: &str) -> Result<(), Fault> {
    // serde_yaml reports tags that start with one exclamation mark and drops those with two: `!!python/name:x`
    // is turned into `!-python/name:x` to be seen. Only tags are looked at, so texts with "!!" do not matter.
    let text_with_local_tags = text.replace("!!", "!-");
    // A value takes at least two bytes, so that only aliases can visit more values than this.
    let n_left = Cell::new(4 * text.len() + 1000);
    let shape = Shape { n_left: &n_left };
    shape.deserialize(serde_yaml::Deserializer::from_str(&text_with_local_tags)).map_err(|error| fault(&error, text))
}

/// Any value at all, but no key twice in one mapping, no tags, and a bounded number of values.
#[derive(Clone, Copy)]
struct Shape<'a> {
    n_left: &'a Cell<usize>,
}

impl Shape<'_> {
    fn count<E: Error>(self) -> Result<(), E> {
        let n_left = self.n_left.get().checked_sub(1).ok_or_else(|| E::custom("aliases multiply into too many values"));
        self.n_left.set(n_left?);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Shape<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.count()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.count()
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<(), E> {
        self.count()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.count()
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<(), E> {
        self.count()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.count()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.count()
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.count()
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.count()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.count()?;
        while list.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.count()?;
        let mut seen = BTreeSet::new();
        while map.next_key_seed(NewKey { seen: &mut seen })?.is_some() {
            map.next_value_seed(self)?;
        }
        Ok(())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<(), A::Error> {
        let (tag, _) = tagged.variant::<String>()?;
        Err(A::Error::custom(format!("the tag {:?} is not allowed: write plain values", tag.trim_start_matches('-'))))
    }
}

/// A key that its mapping does not have yet. Fails inside the key, where serde_yaml knows line and column.
struct NewKey<'a> {
    seen: &'a mut BTreeSet<String>,
}

impl<'de> DeserializeSeed<'de> for NewKey<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NewKey<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<(), E> {
        if self.seen.insert(key.to_owned()) { Ok(()) } else { Err(E::custom(format!("`{key}` is given twice"))) }
    }
}

/// Takes an error of serde_yaml apart, which shows as `key.path: message at line 3 column 5`, and says it in our words.
fn fault(error: &serde_yaml::Error, text: &str) -> Fault {
    let position = position(error);
    let mut shown = error.to_string();
    if let Some(Position { line, column }) = position {
        let end = format!(" at line {line} column {column}");
        shown.truncate(shown.strip_suffix(&end).map_or(shown.len(), str::len));
    }
    // Known keys have no spaces, while every message that has a colon has a space before it.
    let (key, message) = match shown.split_once(": ") {
        Some((key, message)) if !key.contains(char::is_whitespace) => (key, message),
        _ => ("", shown.as_str()),
    };
    let (key, message) = match unknown_key(message) {
        Some((unknown, message)) if key.is_empty() => (unknown.to_owned(), message),
        Some((unknown, message)) => (format!("{key}.{unknown}"), message),
        None => (key.to_owned(), in_our_words(message, position, text)),
    };
    let position = position.or_else(|| second_document(message.as_str(), text));
    Fault { position, key, message }
}

/// serde: "unknown field `limt`, expected one of `limit`, `strategy`"
fn unknown_key(message: &str) -> Option<(&str, String)> {
    let (unknown, expected) = message.strip_prefix("unknown field `")?.rsplit_once("`, expected ")?;
    let allowed: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let message = match nearest(unknown, &allowed) {
        Some(near) => format!("unknown key, did you mean `{near}`?"),
        None => format!("unknown key, allowed are {}", allowed.join(", ")),
    };
    Some((unknown, message))
}

/// The word that differs by a third of its letters at most.
fn nearest<'a>(given: &str, words: &[&'a str]) -> Option<&'a str> {
    let given: String = given.chars().take(64).map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).collect();
    let (distance, word) = words.iter().map(|word| (n_edits(&given, word), *word)).min()?;
    (distance <= (word.len() / 3).max(1)).then_some(word)
}

/// Levenshtein distance: letters to insert, delete or replace.
fn n_edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut previous: Vec<usize> = (0..=to.len()).collect();
    for (row_index, letter) in from.chars().enumerate() {
        let mut row = vec![row_index + 1];
        for (index, other) in to.iter().enumerate() {
            let replaced = previous[index] + usize::from(letter != *other);
            row.push(replaced.min(previous[index + 1] + 1).min(row[index] + 1));
        }
        previous = row;
    }
    previous.last().copied().unwrap_or_default()
}

fn in_our_words(message: &str, position: Option<Position>, text: &str) -> String {
    if let Some(key) = message.strip_prefix("missing field ") {
        return format!("{key} is missing");
    }
    if let Some((given, wanted)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected "))
    {
        return format!("must be {wanted}, got {}", kind(given));
    }
    if message.starts_with("recursion limit exceeded") {
        return "is nested too deeply".to_owned();
    }
    if message == MORE_THAN_ONE_DOCUMENT {
        return ONE_DOCUMENT.to_owned();
    }
    let line = position.and_then(|position| text.lines().nth(position.line - 1)).unwrap_or_default();
    if line.starts_with(|c: char| c.is_whitespace()) && line.trim_start_matches(' ').starts_with('\t') {
        return format!("is no YAML: a line is indented by a tab, use spaces ({message})");
    }
    if message.contains("while scanning an alias") {
        return format!("is no YAML: a star needs quotes: \"*\" ({message})");
    }
    if position.is_some() && is_syntax(message) { format!("is no YAML: {message}") } else { message.to_owned() }
}

const MORE_THAN_ONE_DOCUMENT: &str = "deserializing from YAML containing more than one document is not supported";
const ONE_DOCUMENT: &str = "must hold one document, a second one begins with '---'";

/// Whether the message is one of the scanner or parser.
fn is_syntax(message: &str) -> bool {
    [
        "did not find",
        "found ",
        "mapping values",
        "block ",
        "could not",
        "invalid leading",
        "invalid trailing",
        "invalid Unicode",
        "unknown anchor",
        "control characters",
    ]
    .iter()
    .any(|start| message.starts_with(start))
}

fn second_document(message: &str, text: &str) -> Option<Position> {
    let starts = || text.lines().enumerate().filter(|(_, line)| line.starts_with("---"));
    let is_first_implied =
        text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'))?.starts_with("---");
    let (index, _) = starts().nth(usize::from(is_first_implied))?;
    (message == ONE_DOCUMENT).then_some(Position { line: index + 1, column: 1 })
}

/// serde's name of a kind of value, for people.
fn kind(given: &str) -> &str {
    match given {
        "sequence" => "a list",
        "map" => "a mapping",
        "unit value" | "Option value" => "nothing",
        other => other,
    }
}
