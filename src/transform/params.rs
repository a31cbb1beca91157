//! Transformation parameters as URLs and configurations write them: `w_400,h_300,c_p,g_c`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use super::Gravity;

/// How the picture meets the box of the wanted width and height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Cropping {
    /// `c_e`: scaled exactly to the box.
    #[default]
    Exact,
    /// `c_a`: all of the picture is visible inside the box, proportions kept.
    All,
    /// `c_p`: the largest part with the shape of the box, scaled to the box.
    Part,
    /// `c_k`: a part of at most the size of the box, not scaled.
    KeepScale,
}

impl Cropping {
    const fn letter(self) -> &'static str {
        match self {
            Self::Exact => "e",
            Self::All => "a",
            Self::Part => "p",
            Self::KeepScale => "k",
        }
    }
}

impl FromStr for Cropping {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Exact, Self::All, Self::Part, Self::KeepScale]
            .into_iter()
            .find(|cropping| cropping.letter().eq_ignore_ascii_case(text))
            .ok_or(())
    }
}

/// A change of colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// `f_grayscale`: Rec. 601 luma.
    Grayscale,
}

/// A complete set of parameters: at least one side is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Params {
    /// `w_`: wanted width in pixels; `None` follows from the height.
    pub width: Option<NonZeroU32>,
    /// `h_`: wanted height in pixels; `None` follows from the width.
    pub height: Option<NonZeroU32>,
    /// `c_`
    pub cropping: Cropping,
    /// `g_`: which part stays, for `c_p` and `c_k`.
    pub gravity: Gravity,
    /// `f_`
    pub filter: Option<Filter>,
}

/// Why a text is no set of parameters. The texts that the Go server had are kept word for word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ParameterError {
    #[error("could not parse value for parameter: \"{0}\"")]
    NotANumber(char),
    #[error("value {value} must be > 0: \"{key}\"")]
    NotPositive { key: char, value: i64 },
    #[error("value for \"{0}\" is too large")]
    TooLarge(char),
    #[error("both width and height can't be 0")]
    NoSide,
    #[error("value \"c\" must have only 1 character")]
    CroppingTooLong,
    #[error("value \"g\" must have at most 2 characters")]
    GravityTooLong,
    #[error("invalid value for \"{0}\"")]
    InvalidValue(char),
    #[error("unknown parameter \"{0}\": allowed are w, h, c, g and f, or a single t_NAME")]
    UnknownKey(String),
    #[error("parameter \"{0}\" is given twice")]
    Repeated(char),
    #[error("\"{0}\" is not of the form key_value")]
    NoValue(String),
    #[error("parameters are longer than {MAX_TEXT_BYTES} bytes")]
    TooLong,
}

/// Longest accepted text; the longest meaningful one has about 40 bytes.
const MAX_TEXT_BYTES: usize = 256;

impl FromStr for Params {
    type Err = ParameterError;

    fn from_str(text: &str) -> Result<Self, ParameterError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(ParameterError::TooLong);
        }
        let (mut width, mut height, mut cropping, mut gravity, mut filter) = (None, None, None, None, None);
        for part in text.split(',') {
            let (key, value) = part.split_once('_').ok_or_else(|| ParameterError::NoValue(excerpt(part)))?;
            match key {
                "w" => set(&mut width, 'w', parse_side('w', value)?)?,
                "h" => set(&mut height, 'h', parse_side('h', value)?)?,
                "c" => set(&mut cropping, 'c', parse_cropping(value)?)?,
                "g" => set(&mut gravity, 'g', parse_gravity(value)?)?,
                "f" => set(&mut filter, 'f', parse_filter(value)?)?,
                _ => return Err(ParameterError::UnknownKey(excerpt(key))),
            }
        }
        if width.is_none() && height.is_none() {
            return Err(ParameterError::NoSide);
        }
        let (cropping, gravity) = (cropping.unwrap_or_default(), gravity.unwrap_or_default());
        Ok(Self { width, height, cropping, gravity, filter })
    }
}

/// The canonical text: one for every value, and parsing it gives the value again.
impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(width) = self.width {
            write!(f, "w_{width},")?;
        }
        if let Some(height) = self.height {
            write!(f, "h_{height},")?;
        }
        write!(f, "c_{},g_{}", self.cropping.letter(), self.gravity)?;
        match self.filter {
            Some(Filter::Grayscale) => f.write_str(",f_grayscale"),
            None => Ok(()),
        }
    }
}

fn set<T>(slot: &mut Option<T>, key: char, value: T) -> Result<(), ParameterError> {
    if slot.replace(value).is_some() { Err(ParameterError::Repeated(key)) } else { Ok(()) }
}

fn parse_side(key: char, text: &str) -> Result<NonZeroU32, ParameterError> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParameterError::NotANumber(key));
    }
    let value: i64 = text.parse().map_err(|_| ParameterError::TooLarge(key))?;
    if value <= 0 {
        return Err(ParameterError::NotPositive { key, value });
    }
    u32::try_from(value).ok().and_then(NonZeroU32::new).ok_or(ParameterError::TooLarge(key))
}

fn parse_cropping(text: &str) -> Result<Cropping, ParameterError> {
    if text.chars().count() > 1 {
        return Err(ParameterError::CroppingTooLong);
    }
    text.parse().map_err(|()| ParameterError::InvalidValue('c'))
}

fn parse_gravity(text: &str) -> Result<Gravity, ParameterError> {
    if text.chars().count() > 2 {
        return Err(ParameterError::GravityTooLong);
    }
    text.parse().map_err(|()| ParameterError::InvalidValue('g'))
}

fn parse_filter(text: &str) -> Result<Filter, ParameterError> {
    if text.eq_ignore_ascii_case("grayscale") { Ok(Filter::Grayscale) } else { Err(ParameterError::InvalidValue('f')) }
}

/// At most 32 characters of a client's text, for an error message.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(32).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let found = text.parse::<Params>().map(|params| params.to_string()).map_err(|error| error.to_string());
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
    }

    #[test]
    fn parameters_come_in_any_order_and_case_of_values() {
        check("w_10", Ok("w_10,c_e,g_nw"));
        check("h_20,w_10", Ok("w_10,h_20,c_e,g_nw"));
        check("g_SE,f_GrayScale,c_P,h_0020", Ok("h_20,c_p,g_se,f_grayscale"));
    }

    #[test]
    fn the_go_servers_texts_are_kept() {
        check("w_0", Err("value 0 must be > 0: \"w\""));
        check("w_-1", Err("value -1 must be > 0: \"w\""));
        check("w_abc", Err("could not parse value for parameter: \"w\""));
        check("h_1.5", Err("could not parse value for parameter: \"h\""));
        check("w_,h_10", Err("could not parse value for parameter: \"w\""));
        check("c_a", Err("both width and height can't be 0"));
        check("w_10,c_x", Err("invalid value for \"c\""));
        check("w_10,c_ab", Err("value \"c\" must have only 1 character"));
        check("w_10,g_zz", Err("invalid value for \"g\""));
        check("w_10,g_nnn", Err("value \"g\" must have at most 2 characters"));
        check("w_10,f_sepia", Err("invalid value for \"f\""));
    }

    #[test]
    fn what_the_go_server_let_pass_is_refused() {
        check("w", Err("\"w\" is not of the form key_value"));
        check("", Err("\"\" is not of the form key_value"));
        check("w_10,", Err("\"\" is not of the form key_value"));
        check("w_10,w_10", Err("parameter \"w\" is given twice"));
        check("W_10", Err("unknown parameter \"W\": allowed are w, h, c, g and f, or a single t_NAME"));
        check("w_10,t_square", Err("unknown parameter \"t\": allowed are w, h, c, g and f, or a single t_NAME"));
        check("w_+1", Err("could not parse value for parameter: \"w\""));
        check("w_١", Err("could not parse value for parameter: \"w\""));
        check("w_4294967296", Err("value for \"w\" is too large"));
        check("w_99999999999999999999", Err("value for \"w\" is too large"));
        check(&",".repeat(10_000), Err("parameters are longer than 256 bytes"));
    }

    fn any_params() -> impl Strategy<Value = Params> {
        let side = || proptest::option::of(1u32..).prop_map(|side| side.and_then(NonZeroU32::new));
        let cropping =
            prop_oneof![Just(Cropping::Exact), Just(Cropping::All), Just(Cropping::Part), Just(Cropping::KeepScale)];
        let filter = proptest::option::of(Just(Filter::Grayscale));
        (side(), side(), cropping, proptest::sample::select(Gravity::ALL.to_vec()), filter)
            .prop_filter("one side at least", |(width, height, ..)| width.is_some() || height.is_some())
            .prop_map(|(width, height, cropping, gravity, filter)| Params { width, height, cropping, gravity, filter })
    }

    proptest! {
        #[test]
        fn parsing_what_was_printed_is_the_identity(params in any_params()) {
            prop_assert_eq!(params.to_string().parse::<Params>(), Ok(params));
        }

        #[test]
        fn any_text_parses_or_is_refused(text in "[a-z]{0,2}_?[0-9a-zA-Z_,.-]{0,40}|\\PC{0,60}") {
            if let Ok(params) = text.parse::<Params>() {
                prop_assert_eq!(params.to_string().parse::<Params>(), Ok(params));
            }
        }
    }
}
