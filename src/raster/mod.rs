//! Shapes and pixels that every room shares: sizes, rectangles, formats, headers, pixmaps.
//! Nothing here reads files or knows where a picture comes from.

mod format;
mod geometry;
mod orientation;
mod pixmap;

pub use format::{Format, Header};
pub use geometry::{Point, Rect, Size};
pub use orientation::Orientation;
pub use pixmap::{Layout, Pixmap, View};
