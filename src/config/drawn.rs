//! What a named transformation does and draws, in words.

use crate::transform::{Anchor, Opacity, Text, Transformation, Watermark};

/// More of a text is cut off.
const MAX_SHOWN_CHARACTERS: usize = 40;

/// A line for the transformation and one for each watermark and text: a name and what is said of it.
pub(super) fn explain(name: &str, transformation: &Transformation) -> Vec<(String, String)> {
    let eager = if transformation.is_eager { ", eager" } else { "" };
    let itself = (format!("transformation {name}"), format!("{}{eager}", transformation.params));
    let watermarks = transformation.watermarks.iter().map(|mark| ("  watermark".to_owned(), watermark(mark)));
    let texts = transformation.texts.iter().map(|written| ("  text".to_owned(), text(written)));
    [itself].into_iter().chain(watermarks).chain(texts).collect()
}

fn watermark(mark: &Watermark) -> String {
    let mut said = vec![mark.source.to_string()];
    said.extend(anchor(mark.anchor));
    said.extend((mark.opacity != Opacity::default()).then(|| format!("opacity {}", mark.opacity.percent())));
    said.extend(mark.share.map(|share| format!("scale {share}")));
    said.extend(mark.is_tiled.then(|| "tiled".to_owned()));
    said.join(", ")
}

fn text(text: &Text) -> String {
    let mut said = vec![shortened(text.content.as_str())];
    said.extend(anchor(text.anchor));
    said.push(format!("size {}", text.size.pixels()));
    let path = text.font.path();
    said.push(path.file_name().map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy()).into_owned());
    said.join(", ")
}

/// In quotes and on one line.
fn shortened(content: &str) -> String {
    match content.char_indices().nth(MAX_SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{:?}...", &content[..end]),
        None => format!("{content:?}"),
    }
}

fn anchor(anchor: Anchor) -> Vec<String> {
    let offset = |name: &str, pixels: u32| (pixels > 0).then(|| format!("{name} {pixels}"));
    let gravity = format!("gravity {}", anchor.gravity);
    [Some(gravity), offset("x-pos", anchor.x), offset("y-pos", anchor.y)].into_iter().flatten().collect()
}
