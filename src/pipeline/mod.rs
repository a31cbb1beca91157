//! Room 5: pixels. decode → crop → resize → filter → encode, as the `Plan` says; nothing is decided here.
//! Touches no file, socket, clock or log; one request runs on one thread.

pub mod codec;
pub mod color;
mod grayscale;
mod orient;
pub mod resize;

pub use codec::{DecodeError, Limits, probe};

use crate::plan::Plan;
use crate::raster::{Format, Pixmap};

/// A finished answer.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// What the bytes are.
    pub format: Format,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Runs a plan on the bytes of the source that it was made for.
/// # Errors
/// If the source cannot be decoded.
pub fn run(source: &[u8], plan: &Plan) -> Result<Encoded, DecodeError> {
    let image = render(source, plan)?;
    Ok(Encoded { format: plan.encode.format, bytes: codec::encode(&image, plan.encode) })
}

/// All of a plan but the encoding: the picture in sRGB, turned for display.
/// # Errors
/// If the source cannot be decoded.
pub fn render(source: &[u8], plan: &Plan) -> Result<Pixmap, DecodeError> {
    let mut decoded = codec::decode(source)?;
    let conversion = color::Conversion::new(decoded.profile.as_deref(), decoded.pixels.layout());
    let framed = resize::Source::new(&mut decoded.pixels, plan.crop);
    let image = resize::run(framed, plan.resize, &conversion);
    drop(decoded);
    let image = if plan.grayscale { grayscale::run(image) } else { image };
    Ok(orient::run(image, plan.orientation))
}
