//! Mappings and lists of the file. A list is one of words or of mappings, and may be a single one without the dash.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::value::{FromText, Word};

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

/// A mapping that is written, if only as `{}`: serde_yaml takes nothing for an empty one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mapping<T>(pub(super) T);

struct MappingVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Mapping<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MappingVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for MappingVisitor<T> {
    type Value = Mapping<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Mapping<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Mapping)
    }
}

/// At most `MAX` mappings: a list, or a single one without the dash.
#[derive(Clone, Debug)]
pub(super) enum Mappings<T, const MAX: usize> {
    One(Box<T>),
    Many(Vec<T>),
}

impl<T, const MAX: usize> Mappings<T, MAX> {
    /// All in their order.
    pub(super) fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![*one],
            Self::Many(many) => many,
        }
    }
}

struct MappingsVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Mappings<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MappingsVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for MappingsVisitor<T, MAX> {
    type Value = Mappings<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping or a list of such")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Mappings<T, MAX>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|one| Mappings::One(Box::new(one)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Mappings<T, MAX>, A::Error> {
        let mut values = Vec::new();
        while values.len() < MAX {
            match list.next_element()? {
                Some(value) => values.push(value),
                None => return Ok(Mappings::Many(values)),
            }
        }
        let mut n_more = 0;
        while list.next_element::<IgnoredAny>()?.is_some() {
            n_more += 1;
        }
        match n_more {
            0 => Ok(Mappings::Many(values)),
            _ => Err(A::Error::custom(format!("must be {MAX} at most, got {}", MAX + n_more))),
        }
    }
}
