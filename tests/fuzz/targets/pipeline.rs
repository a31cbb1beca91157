//! Files, sound or not, through the whole pipeline, at every instruction set; the answers are read by others.
//!
//! An input is two bytes, parameters as in URLs, a line feed, and a file.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

use fuzz::pipeline::{DecodeError, Encoded, no_stamps, probe, render, run, run_all, unwatched};
use fuzz::plan::{Jpeg, JpegQuality, Plan};
use fuzz::raster::{Format, Layout, Pixmap, Size};
use fuzz::simd::Level;
use fuzz::transform::Transformation;
use fuzz::{LIMITS, MAX_OUTPUT_SIDE, start, within};

/// Above this encoding takes longer than all else.
const MAX_OUTPUT_PIXELS: u64 = 1_000_000;

fuzz_target!(init: start(), |input: &[u8]| -> Corpus {
    let Some((&[how, quality], rest)) = input.split_first_chunk() else { return Corpus::Reject };
    let Some(end) = rest.iter().position(|&byte| byte == b'\n') else { return Corpus::Reject };
    let (text, source) = (&rest[..end], &rest[end + 1..]);
    let Some(params) = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()) else { return Corpus::Reject };
    let Ok(header) = probe(source, LIMITS) else { return Corpus::Keep };
    let quality = JpegQuality::try_from(i64::from(quality % 100) + 1).expect("1 to 100");
    let jpeg = Jpeg { quality, progressive: how & 1 != 0 };
    let plan = Plan::new(&Transformation::plain(params), u32::from(how >> 1 & 3) + 1, &header, jpeg, MAX_OUTPUT_SIDE);
    let Some(plan) = plan.ok().filter(|plan| plan.output().pixels() <= MAX_OUTPUT_PIXELS) else { return Corpus::Keep };

    let told_bytes = plan.output_bytes() + source.len() as u64;
    let answers = Level::available().into_iter().map(|level| {
        within(told_bytes + header.streamed_bytes, source, || run(level, source, &plan, no_stamps))
    });
    let answers: Vec<_> = answers.collect();
    let answer = &answers[0];
    assert!(answers.iter().all(|other| is_same(other, answer)), "levels differ: {plan:?}");

    if how & 8 != 0 {
        let plans = [plan.clone(), plan.clone()];
        let mut shared = Vec::new();
        let outcome = within(told_bytes + header.decoded_bytes + plan.output_bytes(), source, || {
            let give = |_, answer: Result<Encoded, DecodeError>| shared.push(answer);
            run_all(Level::best(), source, &plans, |_, stamp| no_stamps(stamp), give, &mut unwatched)
        });
        match outcome {
            Ok(()) => assert!(shared.iter().all(|other| is_same(other, answer)), "shared answers differ: {plan:?}"),
            Err(error) => assert_eq!(answer.as_ref().err(), Some(&error), "{plan:?}"),
        }
    }
    if let Ok(answer) = answer {
        let shown = render(Level::best(), source, &plan).expect("it was rendered before");
        assert_eq!(shown.size(), plan.output());
        match answer.format {
            Format::Jpeg => assert_eq!(jpeg_size(&answer.bytes), shown.size()),
            Format::Png => assert!(png_rgba(&answer.bytes) == (shown.size(), rgba(&shown)), "PNG loses: {plan:?}"),
        }
    }
    Corpus::Keep
});

fn is_same(one: &Result<Encoded, DecodeError>, other: &Result<Encoded, DecodeError>) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one.format == other.format && one.bytes == other.bytes,
        (Err(one), Err(other)) => one == other,
        _ => false,
    }
}

/// The size of a JPEG that zune-jpeg can decode.
fn jpeg_size(bytes: &[u8]) -> Size {
    let options = zune_core::options::DecoderOptions::default().set_strict_mode(true);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(zune_core::bytestream::ZCursor::new(bytes), options);
    decoder.decode().expect("an answer is sound");
    let (width, height) = decoder.dimensions().expect("it was decoded");
    Size::new(width as u32, height as u32)
}

/// Size and pixels of a PNG.
fn png_rgba(bytes: &[u8]) -> (Size, Vec<[u8; 4]>) {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
    let mut reader = decoder.read_info().expect("an answer has a header");
    let mut samples = vec![0; reader.output_buffer_size().expect("an answer is small")];
    let frame = reader.next_frame(&mut samples).expect("an answer is sound");
    let layout = match frame.color_type {
        png::ColorType::GrayscaleAlpha => Layout::GrayAlpha,
        png::ColorType::Rgba => Layout::Rgba,
        other => panic!("{other:?} in spite of what was set"),
    };
    let size = Size::new(frame.width, frame.height);
    (size, rgba(&Pixmap::new(size, layout, samples)))
}

/// Pixels as red, green, blue and alpha; what is transparent has no colour.
fn rgba(pixmap: &Pixmap) -> Vec<[u8; 4]> {
    let pixels = pixmap.bytes().chunks_exact(pixmap.layout().channels()).map(|pixel| match *pixel {
        [gray] => [gray, gray, gray, 255],
        [gray, alpha] => [gray, gray, gray, alpha],
        [red, green, blue] => [red, green, blue, 255],
        [red, green, blue, alpha] => [red, green, blue, alpha],
        _ => panic!("no answer has {:?}", pixmap.layout()),
    });
    pixels.map(|pixel| if pixel[3] == 0 { [0; 4] } else { pixel }).collect()
}
