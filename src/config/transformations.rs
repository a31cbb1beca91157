//! Named transformations: sections of the file become what is drawn, with fonts that were found and understood.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::error::{Fault, Step};
use super::file::{MAX_TEXTS, StrokeSection, TextSection, TransformationSection, WatermarkSection};
use super::fonts::Fonts;
use super::list::Mappings;
use super::number::{Offset, Whole};
use super::{flag, number, yaml};
use crate::transform::{
    Align, Anchor, Font, Gravity, Opacity, Stroke, StrokeWidth, Text, TextSize, Transformation, TransformationName,
    Watermark,
};

pub(super) type Named = BTreeMap<TransformationName, Arc<Transformation>>;

/// All of them. `text` is the file, for the places of faults, and lies in `folder`.
/// # Errors
/// If a name is given twice, or a font cannot be used.
pub(super) fn named(sections: Vec<TransformationSection>, text: &str, folder: &Path) -> Result<Named, Fault> {
    let mut named = Named::new();
    let mut fonts = Fonts::beside(folder);
    for (index, section) in sections.into_iter().enumerate() {
        let fault = |steps: &[Step], message| {
            let steps = [&[Step::Key("transformations"), Step::Item(index)], steps].concat();
            yaml::fault_at(text, &steps, message)
        };
        let texts = section.text.map_or_else(|| Ok(Vec::new()), |texts| texts_of(texts, &mut fonts, fault))?;
        let watermarks = section.watermark.map(Mappings::into_vec).unwrap_or_default();
        let transformation = Transformation {
            params: section.parameters.0,
            watermarks: watermarks.into_iter().map(watermark_of).collect(),
            texts,
            is_eager: flag(section.eager, false),
        };
        let name = section.name.0;
        if named.insert(name.clone(), Arc::new(transformation)).is_some() {
            let message = format!("the name {:?} is given twice", name.as_str());
            return Err(fault(&[Step::Key("name")], message));
        }
    }
    Ok(named)
}

fn texts_of(
    sections: Mappings<TextSection, MAX_TEXTS>,
    fonts: &mut Fonts<'_>,
    fault: impl Fn(&[Step], String) -> Fault,
) -> Result<Vec<Text>, Fault> {
    let is_list = matches!(sections, Mappings::Many(_));
    let mut texts = Vec::new();
    for (index, section) in sections.into_vec().into_iter().enumerate() {
        let written = section.font.as_ref().map(|path| path.0.as_path());
        let font = fonts.load(written).map_err(|message| match is_list {
            true => fault(&[Step::Key("text"), Step::Item(index), Step::Key("font")], message),
            false => fault(&[Step::Key("text"), Step::Key("font")], message),
        })?;
        texts.push(text_of(section, font));
    }
    Ok(texts)
}

fn watermark_of(section: WatermarkSection) -> Watermark {
    Watermark {
        source: section.source.0,
        anchor: anchor(section.gravity.0, section.x_pos, section.y_pos),
        opacity: section.opacity.map_or_else(Opacity::default, |opacity| opacity.0),
        share: section.scale.map(|scale| scale.0),
        is_tiled: flag(section.tile, false),
    }
}

fn text_of(section: TextSection, font: Arc<Font>) -> Text {
    let gravity = section.gravity.0;
    let size = section.size.map_or_else(TextSize::default, |size| size.0);
    let background = section.background.map(|color| color.0);
    let padding = if background.is_some() { u32::from(size.pixels()) / 4 } else { 0 };
    Text {
        content: section.content.0,
        anchor: anchor(gravity, section.x_pos, section.y_pos),
        color: section.color.map_or_else(Default::default, |color| color.0),
        font,
        size,
        align: section.align.map_or_else(|| Align::of(gravity), |align| align.0),
        background,
        padding: number(section.padding, padding),
        stroke: section.stroke.map(|stroke| stroke_of(stroke.0)),
    }
}

fn stroke_of(section: StrokeSection) -> Stroke {
    Stroke {
        color: section.color.map_or_else(Default::default, |color| color.0),
        width: section.width.map_or_else(StrokeWidth::default, |width| width.0),
    }
}

fn anchor(gravity: Gravity, x: Option<Whole<Offset>>, y: Option<Whole<Offset>>) -> Anchor {
    let pixels = |offset: Option<Whole<Offset>>| offset.map_or(0, |offset| offset.0.0);
    Anchor { gravity, x: pixels(x), y: pixels(y) }
}
