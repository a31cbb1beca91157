//! Room 5: pixels. decode → crop → resize → filter → orient → stamp → encode, as the `Plan` says; nothing is decided here.
//! Touches no file, socket, clock or log; one request runs on one thread.

pub mod codec;
pub mod color;
mod grayscale;
#[doc(hidden)]
pub mod kernels;
mod orient;
pub mod resize;
pub mod stamp;
mod watch;

use std::sync::Arc;

use crate::plan::Plan;
use crate::raster::{Format, Layout, Pixmap};
use crate::simd::Level;
use stamp::Stamp;

pub use codec::{DecodeError, Limits, Wanted, probe};
use watch::Watched;
pub use watch::{Part, Watch, unwatched};

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
    let image = resized(level, &mut codec::decode(level, source, &wanted(plan))?, plan, &mut unwatched)?;
    finished(level, image, plan, stamp, &mut unwatched)
}

/// Runs several plans on the source that they were made for, which is decoded once for all that want it at the same scale:
/// an answer has the same bytes, whatever others are made with it. `stamp` gives what is drawn, by the
/// numbers of plan and stamp; `give` gets each answer when it is done, with the number of its plan; `watch` is told what
/// is done, but that `give` and `stamp` are called.
/// # Errors
/// If the source cannot be decoded.
pub fn run_all<E>(
    level: Level,
    source: &[u8],
    plans: &[Plan],
    mut stamp: impl FnMut(usize, usize) -> Result<Arc<Stamp>, E>,
    mut give: impl FnMut(usize, Result<Encoded, E>),
    watch: &mut Watch,
) -> Result<(), DecodeError> {
    let mut left: Vec<usize> = (0..plans.len()).collect();
    while let Some(&first) = left.first() {
        let needs = wanted(&plans[first]);
        let is_alike = |number: &usize| {
            let other = wanted(&plans[*number]);
            (other.eighths, other.is_gray) == (needs.eighths, needs.is_gray)
        };
        let (alike, others): (Vec<usize>, Vec<usize>) = left.into_iter().partition(is_alike);
        left = others;
        let region = alike.iter().fold(needs.region, |region, &number| region.around(plans[number].crop));
        watch(Part::Decode);
        let shared = match alike.len() {
            1 => None,
            _ => codec::Shared::decode(level, source, &Wanted { region, ..needs })?,
        };
        for number in alike {
            let plan = &plans[number];
            watch(Part::Decode);
            let image = match &shared {
                Some(shared) => resized(level, &mut shared.again(), plan, watch)?,
                None => resized(level, &mut codec::decode(level, source, &wanted(plan))?, plan, watch)?,
            };
            give(number, finished(level, image, plan, |index| stamp(number, index), watch));
        }
    }
    Ok(())
}

/// What a plan needs of its source.
fn wanted(plan: &Plan) -> Wanted {
    Wanted { eighths: plan.eighths, region: plan.crop, is_gray: plan.grayscale }
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
pub fn render(level: Level, source: &[u8], plan: &Plan) -> Result<Pixmap, DecodeError> {
    let image = resized(level, &mut codec::decode(level, source, &wanted(plan))?, plan, &mut unwatched)?;
    Ok(filtered(level, image, plan))
}

fn resized(level: Level, decoded: &mut codec::Decoded, plan: &Plan, watch: &mut Watch) -> Result<Pixmap, DecodeError> {
    let conversion = color::Conversion::new(decoded.profile.as_deref(), decoded.pixels.layout());
    let [x, y, width, height] = decoded.eighths.scaled(plan.crop);
    let frame = resize::Frame {
        columns: resize::Span { start: x, length: width },
        rows: resize::Span { start: y, length: height },
        size: plan.resize,
    };
    watch(Part::Resize);
    let mut image = match &mut decoded.pixels {
        codec::Pixels::Rows(rows) => {
            let mut rows = Watched { rows: &mut **rows, watch: &mut *watch };
            resize::run(level, resize::Source::Rows(&mut rows), &frame, &conversion)
        }
        whole @ codec::Pixels::Whole(_) => resize::run(level, resize::Source::new(whole), &frame, &conversion),
    };
    if plan.resize.is_some() {
        clear_transparent(&mut image);
    }
    // Also what lies below the region must not be damaged.
    watch(Part::Decode);
    decoded.pixels.finish()?;
    Ok(image)
}

/// Gives transparent pixels one colour. What resizing leaves in them is rounding, which nobody sees and no PNG can compress:
/// 7 % of one that is transparent for the most part. Pixels that are not resized keep what they have.
fn clear_transparent(image: &mut Pixmap) {
    fn clear<const N: usize>(bytes: &mut [u8]) {
        bytes.as_chunks_mut::<N>().0.iter_mut().filter(|pixel| pixel[N - 1] == 0).for_each(|pixel| *pixel = [0; N]);
    }
    match image.layout() {
        Layout::GrayAlpha => clear::<2>(image.bytes_mut()),
        Layout::Rgba => clear::<4>(image.bytes_mut()),
        Layout::Gray | Layout::Rgb | Layout::Cmyk => {}
    }
}

fn filtered(level: Level, image: Pixmap, plan: &Plan) -> Pixmap {
    let image = if plan.grayscale { grayscale::run(level, image) } else { image };
    orient::run(image, plan.orientation)
}

fn finished<E>(
    level: Level,
    image: Pixmap,
    plan: &Plan,
    mut stamp: impl FnMut(usize) -> Result<Arc<Stamp>, E>,
    watch: &mut Watch,
) -> Result<Encoded, E> {
    watch(Part::Resize);
    let mut image = filtered(level, image, plan);
    if !plan.stamps.is_empty() {
        watch(Part::Stamp);
    }
    for (index, placement) in plan.stamps.iter().enumerate() {
        let stamp = stamp(index)?;
        image = stamp::prepare(image, &stamp);
        stamp::draw(level, &mut image, &stamp, placement);
    }
    watch(Part::Encode);
    Ok(Encoded { format: plan.encode.format, bytes: codec::encode(level, &image, plan.encode) })
}
