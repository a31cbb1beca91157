//! The transformations that a server offers, and the rules for those that a client makes up.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use super::params::excerpt;
use super::{Cropping, ParameterError, Params, Transformation, TransformationName};

/// What the parameters part of a URL asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// `_`: the source as stored.
    Original,
    /// `t_NAME`
    Named(TransformationName),
    /// `w_400,h_300`
    Custom(Params),
}

impl FromStr for Spec {
    type Err = TransformError;
    fn from_str(text: &str) -> Result<Self, TransformError> {
        if text == "_" {
            return Ok(Self::Original);
        }
        if let Some(name) = text.strip_prefix("t_")
            && !name.contains(',')
        {
            return name.parse().map(Self::Named).map_err(|_| TransformError::UnknownName(excerpt(name)));
        }
        Ok(Self::Custom(text.parse()?))
    }
}

/// Why a request is against the rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TransformError {
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    #[error("Unknown transformation: {0}")]
    UnknownName(String),
    #[error("Custom transformations not allowed")]
    CustomForbidden,
    #[error("Originals not allowed")]
    OriginalsForbidden,
    #[error("scale {scale} is not allowed: it must be 1 to {max}")]
    Scale { scale: u32, max: u32 },
    #[error("the {side} would be {pixels} pixels, allowed: {max}")]
    OutputTooLarge { side: &'static str, pixels: u64, max: u32 },
}

/// The largest `@Nx`: 1 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxScale(u32);

impl MaxScale {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for MaxScale {
    fn default() -> Self {
        Self(5)
    }
}

impl TryFrom<i64> for MaxScale {
    type Error = String;
    fn try_from(value: i64) -> Result<Self, String> {
        match u32::try_from(value) {
            Ok(scale @ 1..=100) => Ok(Self(scale)),
            _ => Err(format!("must be 1 to 100, got {value}")),
        }
    }
}

/// What clients may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Whether parameters may stand in a URL.
    pub allow_custom: bool,
    /// Whether `@Nx` counts.
    pub allow_scale: bool,
    /// Whether `_` is answered.
    pub allow_originals: bool,
    /// The largest `@Nx`.
    pub max_scale: MaxScale,
    /// Longest side of an answer in pixels.
    pub max_output_side: u32,
}

/// Everything a server can be asked to do with a source.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// Named transformations of the configuration.
    pub named: BTreeMap<TransformationName, Arc<Transformation>>,
    /// What clients may ask for.
    pub rules: Rules,
}

/// What is to be done with a source, by the rules.
#[derive(Clone, Debug)]
pub enum Task {
    /// Serve the stored bytes.
    Original,
    /// Transform at a scale of 1 or more.
    Transform(Arc<Transformation>, u32),
}

impl Catalog {
    /// Finds the transformation and the scale that count.
    /// # Errors
    /// If the rules forbid it, or it does not exist.
    pub fn resolve(&self, spec: &Spec, scale: u32) -> Result<Task, TransformError> {
        let max = self.rules.max_scale.get();
        let scale = if self.rules.allow_scale { scale } else { 1 };
        if scale == 0 || scale > max {
            return Err(TransformError::Scale { scale, max });
        }
        let transformation = match spec {
            Spec::Original if self.rules.allow_originals => return Ok(Task::Original),
            Spec::Original => return Err(TransformError::OriginalsForbidden),
            Spec::Custom(_) if !self.rules.allow_custom => return Err(TransformError::CustomForbidden),
            Spec::Custom(params) => Arc::new(Transformation::plain(*params)),
            Spec::Named(name) => {
                self.named.get(name).cloned().ok_or_else(|| TransformError::UnknownName(excerpt(name.as_str())))?
            }
        };
        self.check_sides(&transformation.params, scale)?;
        Ok(Task::Transform(transformation, scale))
    }

    /// Refuses what no source could bring below the limit, before a source is read. Sides that follow
    /// from the source are checked by `plan`.
    fn check_sides(&self, params: &Params, scale: u32) -> Result<(), TransformError> {
        if params.cropping == Cropping::KeepScale {
            return Ok(());
        }
        let max = self.rules.max_output_side;
        for (side, given) in [("width", params.width), ("height", params.height)] {
            let pixels = given.map_or(0, |given| u64::from(given.get()) * u64::from(scale));
            let is_bound = params.cropping == Cropping::All && params.width.is_some() && params.height.is_some();
            if pixels > u64::from(max) && !is_bound {
                return Err(TransformError::OutputTooLarge { side, pixels, max });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(rules: Rules) -> Catalog {
        let square = Transformation::plain("w_200,h_200".parse().unwrap());
        Catalog { named: [("square".parse().unwrap(), Arc::new(square))].into(), rules }
    }

    const RULES: Rules = Rules {
        allow_custom: true,
        allow_scale: true,
        allow_originals: true,
        max_scale: MaxScale(5),
        max_output_side: 1000,
    };

    #[track_caller]
    fn check(rules: Rules, spec: &str, scale: u32, expected: Result<u32, &str>) {
        let found = spec.parse().and_then(|spec| catalog(rules).resolve(&spec, scale));
        let found = found.map(|task| match task {
            Task::Original => 0,
            Task::Transform(_, scale) => scale,
        });
        assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(str::to_owned), "{spec} @{scale}x");
    }

    #[test]
    fn names_parameters_and_originals_are_found() {
        check(RULES, "t_square", 2, Ok(2));
        check(RULES, "w_10", 1, Ok(1));
        check(RULES, "_", 1, Ok(0));
        check(RULES, "t_nope", 1, Err("Unknown transformation: nope"));
        check(RULES, "t_a_b", 1, Err("Unknown transformation: a_b"));
        check(RULES, "t_", 1, Err("Unknown transformation: "));
    }

    #[test]
    fn rules_forbid() {
        check(Rules { allow_custom: false, ..RULES }, "w_10", 1, Err("Custom transformations not allowed"));
        check(Rules { allow_custom: false, ..RULES }, "t_square", 1, Ok(1));
        check(Rules { allow_originals: false, ..RULES }, "_", 1, Err("Originals not allowed"));
        check(Rules { allow_scale: false, ..RULES }, "w_10", 99, Ok(1));
        check(RULES, "w_10", 0, Err("scale 0 is not allowed: it must be 1 to 5"));
        check(RULES, "w_10", 6, Err("scale 6 is not allowed: it must be 1 to 5"));
        check(RULES, "w_500", 2, Ok(2));
        check(RULES, "w_500", 3, Err("the width would be 1500 pixels, allowed: 1000"));
        check(RULES, "h_1001", 1, Err("the height would be 1001 pixels, allowed: 1000"));
        check(RULES, "h_1001,c_k", 1, Ok(1));
        check(RULES, "w_4294967295,c_a", 5, Err("the width would be 21474836475 pixels, allowed: 1000"));
    }
}
