//! From YAML text to a typed value, or to a fault that names key, line and column.
//! What the keys mean is not known here.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};

use super::error::{Fault, Position, Step, key_path};

/// Reads one document. Duplicate keys, tags and aliases that multiply are refused before any type is asked.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Fault> {
    check_brackets(text)?;
    check_shape(text)?;
    serde_yaml::from_str(text).map_err(|error| fault(&error, text))
}

/// A fault in the value that `steps` lead to. A value that is not written is wanted where its mapping begins.
pub(super) fn fault_at(text: &str, steps: &[Step], message: String) -> Fault {
    let mapping = steps.split_last().map_or(steps, |(_, mapping)| mapping);
    let position = locate(text, steps).or_else(|| locate(text, mapping));
    Fault { position, key: key_path(steps), message }
}

/// Where the value stands that `steps` lead to: serde_yaml tells places only in errors, so this provokes one there.
fn locate(text: &str, steps: &[Step]) -> Option<Position> {
    let error = Finder { steps }.deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    position(&error)
}

fn position(error: &serde_yaml::Error) -> Option<Position> {
    error.location().map(|location| Position { line: location.line(), column: location.column() })
}

/// The place of a byte.
fn position_of(text: &str, index: usize) -> Position {
    let before = text.get(..index).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Position { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
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

/// Refuses brackets that serde_yaml would refuse too, but not before its scanner has looked at every open one
/// for every token: 200,000 nested mappings (0.8 MB) took it 108 s on an EPYC core, optimised.
fn check_brackets(text: &str) -> Result<(), Fault> {
    let mut n_open = 0_usize;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => n_open += 1,
            b']' | b'}' => n_open = n_open.saturating_sub(1),
            _ => {}
        }
        if n_open > MAX_OPEN_BRACKETS {
            let position = Some(position_of(text, index));
            return Err(Fault { position, key: String::new(), message: TOO_DEEP.to_owned() });
        }
    }
    Ok(())
}

/// serde_yaml nests no deeper. Brackets in texts and comments count too, where nobody leaves so many open.
const MAX_OPEN_BRACKETS: usize = 128;
const TOO_DEEP: &str = "is nested too deeply";

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
    let shown = error.to_string();
    if shown == MORE_THAN_ONE_DOCUMENT {
        return second_document(text);
    }
    if let Some((message, index)) = shown.split_once(" at position ") {
        // The scanner tells no line of characters that it does not read.
        let position = index.parse().ok().map(|index| position_of(text, index));
        return Fault { position, key: String::new(), message: format!("is no YAML: {message}") };
    }
    let position = position(error);
    let end = position.map_or_else(String::new, |Position { line, column }| format!(" at line {line} column {column}"));
    let shown = shown.strip_suffix(&end).unwrap_or(&shown);
    // Known keys have no spaces, while every message that has a colon has a space before it.
    let (key, message) = match shown.split_once(": ") {
        Some((key, message)) if !key.contains(char::is_whitespace) => (key, message),
        _ => ("", shown),
    };
    let (key, message) = match unknown_key(message) {
        Some((unknown, message)) if key.is_empty() => (unknown.to_owned(), message),
        Some((unknown, message)) => (format!("{key}.{unknown}"), message),
        None => (key.to_owned(), in_our_words(message, position, text)),
    };
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

/// Letters to insert, delete, replace, or swap with their neighbour.
fn n_edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let is_swap = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
            let swapped = if is_swap { rows[i - 2][j - 2] + 1 } else { usize::MAX };
            row.push(replaced.min(swapped).min(rows[i - 1][j] + 1).min(row[j - 1] + 1));
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

fn in_our_words(message: &str, position: Option<Position>, text: &str) -> String {
    if let Some(key) = message.strip_prefix("missing field ") {
        return format!("{key} is missing");
    }
    if let Some((given, wanted)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected "))
    {
        return format!("must be {}, got {}", kind(wanted), kind(given));
    }
    if message.starts_with("recursion limit exceeded") {
        return TOO_DEEP.to_owned();
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
    ]
    .iter()
    .any(|start| message.starts_with(start))
}

/// What follows the first document: a second one, or text that cannot stand there.
fn second_document(text: &str) -> Fault {
    let second = serde_yaml::Deserializer::from_str(text).nth(1);
    let error = second.and_then(|second| IgnoredAny::deserialize(second).err());
    if let Some(error) = error.filter(|error| error.location().is_some()) {
        return fault(&error, text);
    }
    let is_start = |line: &str| line.starts_with("---");
    let is_content = |line: &str| !line.trim().is_empty() && !line.starts_with(['#', '%']);
    let has_first_start = text.lines().find(|line| is_content(line)).is_some_and(is_start);
    let mut starts = text.lines().enumerate().filter(|(_, line)| is_start(line));
    let position = starts.nth(usize::from(has_first_start)).map(|(index, _)| Position { line: index + 1, column: 1 });
    let message = "must hold one document, a second one begins with '---'".to_owned();
    Fault { position, key: String::new(), message }
}

/// serde's name of a kind of value, for people.
fn kind(given: &str) -> &str {
    match given {
        "sequence" | "a sequence" => "a list",
        "map" => "a mapping",
        "unit value" | "Option value" => "nothing",
        other => other,
    }
}
