//! Room 5: pixels. decode → crop → resize → filter → encode, as the `Plan` says; nothing is decided here.
//! Touches no file, socket, clock or log; one request runs on one thread.

pub mod codec;
pub mod color;
mod grayscale;
mod orient;
pub mod resize;
pub mod stamp;

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

/// Runs several plans on the source that they were made for, which is decoded once; `give` gets each answer when it is
/// done, with the number of its plan.
/// # Errors
/// If the source cannot be decoded.
pub fn run_all(source: &[u8], plans: &[Plan], mut give: impl FnMut(usize, Encoded)) -> Result<(), DecodeError> {
    let mut decoded = Some(codec::decode(source)?);
    for (number, plan) in plans.iter().enumerate() {
        let mut picture = match decoded.take() {
            Some(picture) => picture,
            None => codec::decode(source)?,
        };
        let image = resized(&mut picture, plan);
        let is_last = number + 1 == plans.len();
        // Rows that were decoded when they were asked for cannot be asked for again.
        decoded = Some(picture).filter(|picture| !is_last && matches!(picture.pixels, codec::Pixels::Whole(_)));
        let image = finished(image, plan);
        give(number, Encoded { format: plan.encode.format, bytes: codec::encode(&image, plan.encode) });
    }
    Ok(())
}

/// All of a plan but the encoding: the picture in sRGB, turned for display.
/// # Errors
/// If the source cannot be decoded.
pub fn render(source: &[u8], plan: &Plan) -> Result<Pixmap, DecodeError> {
    let image = resized(&mut codec::decode(source)?, plan);
    Ok(finished(image, plan))
}

fn resized(decoded: &mut codec::Decoded, plan: &Plan) -> Pixmap {
    let conversion = color::Conversion::new(decoded.profile.as_deref(), decoded.pixels.layout());
    let framed = resize::Source::new(&mut decoded.pixels, plan.crop);
    resize::run(framed, plan.resize, &conversion)
}

fn finished(image: Pixmap, plan: &Plan) -> Pixmap {
    let image = if plan.grayscale { grayscale::run(image) } else { image };
    orient::run(image, plan.orientation)
}
