//! Numbers of the file that cannot be wrong. As words (`value`), each fails inside its own scalar.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::value::quoted;
use crate::transform::Share;

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

/// A decimal number that is a share of a width.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal(pub(super) Share);

struct DecimalVisitor;

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DecimalVisitor)
    }
}

impl Visitor<'_> for DecimalVisitor {
    type Value = Decimal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(A_SHARE)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Decimal, E> {
        Share::try_from(number).map(Decimal).map_err(|message| E::custom(format!("{message}: {A_SHARE} is meant")))
    }

    // Numbers that a float cannot hold exactly are out of range anyway.
    fn visit_i64<E: Error>(self, number: i64) -> Result<Decimal, E> {
        self.visit_f64(number as f64)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Decimal, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<Decimal, E> {
        self.visit_f64(number as f64)
    }

    fn visit_u128<E: Error>(self, number: u128) -> Result<Decimal, E> {
        self.visit_f64(number as f64)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Decimal, E> {
        Err(E::custom(format!("must be {A_SHARE}, got {value}")))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Decimal, E> {
        let hint = if text.parse::<f64>().is_ok() { " (write it without quotes)" } else { "" };
        Err(E::custom(format!("must be {A_SHARE}, got {}{hint}", quoted(text))))
    }
}

const A_SHARE: &str = "a share of the picture's width such as 0.25";
