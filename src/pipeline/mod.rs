//! Room 5: pixels. decode → crop → resize → filter → orient → stamp → encode, as the `Plan` says; nothing is decided here.
//! Touches no file, socket, clock or log; one request runs on one thread.

pub mod codec;
pub mod color;
mod grayscale;
mod orient;
pub mod resize;
pub mod stamp;

use std::sync::Arc;

use crate::plan::Plan;
use crate::raster::{Format, Pixmap};
use crate::simd::Level;
use stamp::Stamp;

pub use codec::{DecodeError, Limits, probe};

/// A finished answer.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// What the bytes are.
    pub format: Format,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Runs a plan on the bytes of the source that it was made for. `stamp` gives what is drawn, by its number in the plan,
/// when its turn has come: no two of them need be in memory at once.
/// # Errors
/// If the source cannot be decoded, or a stamp not be made.
pub fn run<E: From<DecodeError>>(
    level: Level,
    source: &[u8],
    plan: &Plan,
    stamp: impl FnMut(usize) -> Result<Arc<Stamp>, E>,
) -> Result<Encoded, E> {
    let image = resized(&mut codec::decode(source)?, plan);
    finished(level, image, plan, stamp)
}

/// Runs several plans on the source that they were made for, which is decoded once. `stamp` gives what is drawn, by the
/// numbers of plan and stamp; `give` gets each answer when it is done, with the number of its plan.
/// # Errors
/// If the source cannot be decoded.
pub fn run_all<E>(
    level: Level,
    source: &[u8],
    plans: &[Plan],
    mut stamp: impl FnMut(usize, usize) -> Result<Arc<Stamp>, E>,
    mut give: impl FnMut(usize, Result<Encoded, E>),
) -> Result<(), DecodeError> {
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
        give(number, finished(level, image, plan, |index| stamp(number, index)));
    }
    Ok(())
}

/// For plans without stamps.
/// # Errors
/// Never: it is not asked.
pub fn no_stamps(_: usize) -> Result<Arc<Stamp>, DecodeError> {
    Ok(Arc::new(Stamp::empty()))
}

/// The picture of a plan without stamps, in sRGB, turned for display.
/// # Errors
/// If the source cannot be decoded.
pub fn render(source: &[u8], plan: &Plan) -> Result<Pixmap, DecodeError> {
    let image = resized(&mut codec::decode(source)?, plan);
    Ok(filtered(image, plan))
}

fn resized(decoded: &mut codec::Decoded, plan: &Plan) -> Pixmap {
    let conversion = color::Conversion::new(decoded.profile.as_deref(), decoded.pixels.layout());
    let framed = resize::Source::new(&mut decoded.pixels, plan.crop);
    resize::run(framed, plan.resize, &conversion)
}

fn filtered(image: Pixmap, plan: &Plan) -> Pixmap {
    let image = if plan.grayscale { grayscale::run(image) } else { image };
    orient::run(image, plan.orientation)
}

fn finished<E>(
    level: Level,
    image: Pixmap,
    plan: &Plan,
    mut stamp: impl FnMut(usize) -> Result<Arc<Stamp>, E>,
) -> Result<Encoded, E> {
    let mut image = filtered(image, plan);
    for (index, placement) in plan.stamps.iter().enumerate() {
        let stamp = stamp(index)?;
        image = stamp::prepare(image, &stamp);
        stamp::draw(level, &mut image, &stamp, placement);
    }
    Ok(Encoded { format: plan.encode.format, bytes: codec::encode(&image, plan.encode) })
}
