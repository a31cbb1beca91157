//! Room 3: what was asked. URL text and configuration text become values that cannot be wrong.
//! Pure: no file, socket, clock or log. What the answer measures is decided in `plan`.

mod catalog;
mod font;
mod gravity;
mod overlay;
mod params;
mod source;
mod variant;

pub use catalog::{Catalog, MaxScale, Rules, Spec, Task, TransformError};
pub use font::{Bounds, Font};
pub use gravity::{Along, Gravity};
pub use overlay::{
    Align, Anchor, Color, Content, Opacity, Share, Stroke, StrokeWidth, Text, TextSize, Transformation,
    TransformationName, Watermark,
};
pub use params::{Cropping, Filter, ParameterError, Params};
pub use source::{PathError, RESERVED_PREFIX, ScaledPath, SourcePath};
pub use variant::{SourceVersion, Variant, VariantId};
