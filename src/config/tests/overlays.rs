//! Watermarks and texts of transformations.

use std::sync::Arc;

use super::*;
use crate::transform::{
    Align, Anchor, Color, Gravity, Share, SourcePath, Stroke, StrokeWidth, Text, Transformation, Watermark,
};

const WHITE: Color = Color::opaque([255; 3]);

pub(super) fn are_those_of_the_go_servers_example(marked: &Transformation, written: &Transformation) {
    let anchor = Anchor { gravity: Gravity::SouthEast, x: 50, y: 5 };
    assert_eq!(marked.watermarks, [Watermark { anchor, ..plain("watermark.png") }]);
    let [text] = &written.texts[..] else { panic!("{:?}", written.texts) };
    assert_eq!((text.content.as_str(), text.size.pixels()), ("This is text", 12));
    assert_eq!((text.anchor, text.color), (Anchor { gravity: Gravity::North, x: 30, y: 20 }, WHITE));
    assert_eq!((text.align, text.background, text.padding, text.stroke), (Align::Center, None, 0, None));
    assert_eq!(text.font.path(), Path::new("fonts/DejaVuSans.ttf"));
}

/// A watermark at `nw` of which nothing else is written.
fn plain(source: &str) -> Watermark {
    Watermark {
        source: SourcePath::new(source).unwrap(),
        anchor: Anchor { gravity: Gravity::NorthWest, x: 0, y: 0 },
        opacity: 100.try_into().unwrap(),
        share: None,
        is_tiled: false,
    }
}

/// The only transformation of a file, with a value for `watermark` or `text`, each of its lines indented by 6.
fn transformation(key: &str, value: &str) -> Transformation {
    let config = parse(&format!("{TRANSFORMATION}    {key}:\n{value}")).unwrap_or_else(|message| panic!("{message}"));
    config.catalog.named.into_values().next().unwrap().as_ref().clone()
}

fn watermark(line: &str) -> Watermark {
    let value = format!("      source: a.png\n      gravity: nw\n      {line}");
    transformation("watermark", &value).watermarks.pop().unwrap()
}

fn text(lines: &str) -> Text {
    transformation("text", &format!("      content: a\n{lines}")).texts.pop().unwrap()
}

#[test]
fn a_watermark_takes_each_key() {
    assert_eq!(watermark(""), plain("a.png"));
    let anchor = |x, y| Anchor { gravity: Gravity::NorthWest, x, y };
    assert_eq!(watermark("x-pos: 65535"), Watermark { anchor: anchor(65_535, 0), ..plain("a.png") });
    assert_eq!(watermark("y-pos: 7"), Watermark { anchor: anchor(0, 7), ..plain("a.png") });
    for percent in [0, 100] {
        assert_eq!(i64::from(watermark(&format!("opacity: {percent}")).opacity.percent()), percent);
    }
    for (written, share) in [("0.25", 0.25), ("1", 1.0), ("1.0", 1.0), (".5", 0.5), ("1e-3", 0.001)] {
        let share = Some(Share::try_from(share).unwrap());
        assert_eq!(watermark(&format!("scale: {written}")), Watermark { share, ..plain("a.png") }, "{written}");
    }
    assert!(watermark("tile: Yes").is_tiled && !watermark("tile: off").is_tiled);
}

#[test]
fn a_text_takes_each_key() {
    let plain = text("      gravity: se");
    assert_eq!(plain.content.as_str(), "a");
    assert_eq!(plain.anchor, Anchor { gravity: Gravity::SouthEast, x: 0, y: 0 });
    assert_eq!((plain.color, plain.size.pixels(), plain.align), (Color::opaque([0; 3]), 12, Align::Right));
    assert_eq!((plain.background, plain.padding, plain.stroke), (None, 0, None));
    assert!(plain.font.path().ends_with("fonts/DejaVuSans.ttf"));

    let with = |line: &str| text(&format!("      gravity: se\n      {line}"));
    let anchor = Anchor { gravity: Gravity::SouthEast, x: 5, y: 6 };
    assert_eq!(with("x-pos: 5\n      y-pos: 6"), Text { anchor, ..plain.clone() });
    assert_eq!(with("color: \"#fff\""), Text { color: WHITE, ..plain.clone() });
    assert_eq!(with("size: 1000").size.pixels(), 1000);
    assert_eq!(with("font: ../fonts/DejaVuSans.ttf"), plain);
    for align in Align::ALL {
        assert_eq!(with(&format!("align: {}", align.as_str())), Text { align, ..plain.clone() });
    }
    assert_eq!(with("padding: 1000"), Text { padding: 1000, ..plain.clone() });
    let half = Some(Color { rgb: [1, 2, 3], alpha: 0x80 });
    let boxed = |padding| Text { background: half, padding, ..plain.clone() };
    assert_eq!(with("background: \"#01020380\""), boxed(3));
    assert_eq!(with("background: \"#01020380\"\n      padding: 0"), boxed(0));
    assert_eq!(with("background: \"#01020380\"\n      size: 7").padding, 1);
}

#[test]
fn a_stroke_is_black_and_thin_unless_written() {
    let stroke = |value: &str| text(&format!("      gravity: c\n      stroke: {{{value}}}")).stroke;
    let width = |pixels: i64| StrokeWidth::try_from(pixels).unwrap();
    let black = Color::opaque([0; 3]);
    assert_eq!(stroke(""), Some(Stroke { color: black, width: width(1) }));
    assert_eq!(stroke("color: \"#fff\""), Some(Stroke { color: WHITE, width: width(1) }));
    assert_eq!(stroke("width: 100"), Some(Stroke { color: black, width: width(100) }));
}

#[test]
fn texts_have_the_lines_that_were_written() {
    let content = |written: &str| {
        let value = format!("      gravity: c\n      content: {written}");
        transformation("text", &value).texts[0].content.as_str().to_owned()
    };
    assert_eq!(content("2024"), "2024");
    assert_eq!(content("\"a\\nb\""), "a\nb");
    assert_eq!(content("|\n        a\n        b\n"), "a\nb");
    assert_eq!(content("|-\n        a\n        b\n"), "a\nb");
    assert_eq!(content("\"\\na\\n\\n\""), "\na\n");
}

#[test]
fn one_or_many_are_drawn_in_their_order() {
    let item = |name: &str| format!("      - source: {name}\n        gravity: nw\n");
    let many: String = (0..16).map(|index| item(&format!("{index}.png"))).collect();
    let drawn = transformation("watermark", &many).watermarks;
    assert_eq!(drawn, (0..16).map(|index| plain(&format!("{index}.png"))).collect::<Vec<_>>());
    let item = |content: &str| format!("      - content: {content}\n        gravity: nw\n");
    let many: String = (0..64).map(|index| item(&index.to_string())).collect();
    let drawn = transformation("text", &many).texts;
    assert!(drawn.iter().enumerate().all(|(index, text)| text.content.as_str() == index.to_string()));
    assert_eq!(drawn.len(), 64);
    for nothing in ["", "      []"] {
        let config = transformation("text", nothing);
        assert!(config.texts.is_empty() && transformation("watermark", nothing).watermarks.is_empty());
    }
}

#[test]
fn a_font_is_read_once_under_all_its_names() {
    let names =
        ["", "font: fonts/DejaVuSans.ttf", "font: ../fonts/DejaVuSans.ttf", "font: ./fonts/../fonts/DejaVuSans.ttf"];
    let item = |name: &str| format!("      - content: a\n        gravity: nw\n        {name}\n");
    let texts: String = names.map(item).concat();
    let other = format!("  - name: b\n    parameters: w_1\n    text:\n{texts}");
    let config = parse(&format!("{TRANSFORMATION}    text:\n{texts}{other}")).unwrap();
    let drawn: Vec<&Text> = config.catalog.named.values().flat_map(|named| &named.texts).collect();
    assert_eq!(drawn.len(), 8);
    assert!(drawn.iter().all(|text| Arc::ptr_eq(&text.font, &drawn[0].font)));
}

#[test]
fn fonts_beside_or_above_the_configuration_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let load = |font: &str| {
        let file = format!("{TRANSFORMATION}    text: {{content: a, gravity: c, font: {font}}}");
        Config::parse(&file, &inner, &Environment::default()).map_err(|error| error.to_string())
    };
    let font = Path::new(env!("CARGO_MANIFEST_DIR")).join("fonts/DejaVuSans.ttf");
    std::fs::copy(&font, folder.path().join("above.ttf")).unwrap();
    std::fs::copy(&font, inner.join("beside.ttf")).unwrap();
    std::fs::copy(&font, inner.join("above.ttf")).unwrap();
    let found = |name: &str| load(name).unwrap().catalog.named.values().next().unwrap().texts[0].font.path().to_owned();
    assert_eq!(found("beside.ttf"), inner.join("beside.ttf"));
    assert_eq!(found("above.ttf"), inner.join("above.ttf"));
    std::fs::remove_file(inner.join("above.ttf")).unwrap();
    assert_eq!(found("above.ttf"), inner.join("../above.ttf"));

    std::fs::File::create(inner.join("large.ttf")).unwrap().set_len((64 << 20) + 1).unwrap();
    assert!(load("large.ttf").unwrap_err().ends_with("large.ttf is larger than 67108864 bytes"));
    let file = std::fs::read(&font).unwrap();
    std::fs::write(inner.join("half.ttf"), &file[..file.len() / 2]).unwrap();
    let message = load("half.ttf").unwrap_err();
    assert!(message.contains("line 4, column 42: transformations[0].text.font: "), "{message}");
    assert!(message.contains("half.ttf is no font that can be used: "), "{message}");
}

/// Refuses a line of a watermark, in a mapping and in a list.
#[track_caller]
fn wrong_watermark(line: &str, column: usize, said: &str) {
    let one = format!("{TRANSFORMATION}    watermark:\n      source: a.png\n      gravity: se\n      {line}");
    refused(&one, &format!("line 7, column {column}: transformations[0].watermark.{said}"));
    let listed = one.replace("      source", "    - source");
    refused(&listed, &format!("line 7, column {column}: transformations[0].watermark[0].{said}"));
}

#[test]
fn wrong_watermarks_are_named() {
    wrong_watermark("x-pos: -50", 14, "x-pos: must be 0 to 65535, got -50: offsets move inward");
    wrong_watermark("y-pos: 65536", 14, "y-pos: must be 0 to 65535, got 65536");
    wrong_watermark("opacity: 101", 16, "opacity: must be 0 to 100, got 101");
    wrong_watermark("opacity: -1", 16, "opacity: must be 0 to 100, got -1");
    wrong_watermark("opacity: 0.5", 16, "opacity: must be a whole number, got 0.5");
    wrong_watermark("tile: maybe", 13, "tile: must be Yes or No, got \"maybe\"");
    wrong_watermark("opactiy: 5", 7, "opactiy: unknown key, did you mean `opacity`?");
    let a_share = "a share of the picture's width such as 0.25";
    for number in ["0", "-0.5", "1.5", "25", "-3", "100000000000000000000"] {
        let said = format!("scale: must be above 0, and 1 at most, got {number}: {a_share} is meant");
        wrong_watermark(&format!("scale: {number}"), 14, &said);
    }
    wrong_watermark("scale: .nan", 14, "scale: must be above 0, and 1 at most, got NaN");
    for word in ["\"x\"", "\"25%\"", "\"0,25\"", "true"] {
        wrong_watermark(&format!("scale: {word}"), 14, &format!("scale: must be {a_share}, got {word}"));
    }
    wrong_watermark("scale: \"0.5\"", 14, &format!("scale: must be {a_share}, got \"0.5\" (write it without quotes)"));
    wrong_watermark("scale: [1]", 14, &format!("scale: must be {a_share}, got a list"));
}

#[test]
fn what_a_watermark_needs_is_missed() {
    let with = |value: &str| format!("{TRANSFORMATION}    watermark: {value}");
    let at = "line 4, column 16: transformations[0].watermark: ";
    refused(&with("{gravity: se}"), &format!("{at}`source` is missing"));
    refused(&with("{source: a.png}"), &format!("{at}`gravity` is missing"));
    refused(&with("a.png"), &format!("{at}must be a mapping or a list of such, got string \"a.png\""));
    refused(
        &with("[a.png]"),
        "column 17: transformations[0].watermark[0]: must be a mapping with source and gravity, got string",
    );
    refused(
        &with("[{source: a, gravity: n}, {source: b}]"),
        "column 42: transformations[0].watermark[1]: `gravity` is missing",
    );
    refused(&with("{source: ../a, gravity: n}"), "column 25: transformations[0].watermark.source: invalid image path");
    refused(
        &with("{source: a, gravity: up}"),
        "column 37: transformations[0].watermark.gravity: must be one of n, ne, ",
    );
    refused(&with("{source: a, gravity: }"), "transformations[0].watermark.gravity: must be one of n, ne, ");
    let many = |count| vec!["{source: a, gravity: n}"; count].join(", ");
    refused(&with(&format!("[{}]", many(17))), &format!("{at}must be 16 at most, got 17"));
}

/// Refuses a line of a text, in a list and in a mapping.
#[track_caller]
fn wrong_text(line: &str, column: usize, said: &str) {
    let listed = format!("{TRANSFORMATION}    text:\n      - content: a\n        gravity: c\n        {line}");
    refused(&listed, &format!("line 7, column {column}: transformations[0].text[0].{said}"));
    let one = listed.replace("      - content", "        content");
    refused(&one, &format!("line 7, column {column}: transformations[0].text.{said}"));
}

#[test]
fn wrong_texts_are_named() {
    wrong_text("size: 0", 15, "size: must be 1 to 1000, got 0");
    wrong_text("size: 1001", 15, "size: must be 1 to 1000, got 1001");
    wrong_text("x-pos: -1", 16, "x-pos: must be 0 to 65535, got -1: offsets move inward");
    wrong_text("align: middle", 16, "align: must be left, center or right, got \"middle\"");
    wrong_text("padding: 1001", 18, "padding: must be 0 to 1000, got 1001");
    wrong_text("padding: -1", 18, "padding: must be 0 to 1000, got -1");
    wrong_text("font: none.ttf", 15, "font: there is no font file none.ttf");
    wrong_text("font: images", 15, "font: there is no font file images");
    wrong_text("font: example.yaml", 15, "font: ");
    wrong_text("colour: \"#fff\"", 9, "colour: unknown key, did you mean `color`?");
}

#[test]
fn wrong_colours_and_strokes_are_named() {
    // What a comment leaves stands where the key ends.
    for (value, after_key, given) in [("#fff", 1, ""), ("\"#ff\"", 2, "#ff"), ("red", 2, "red"), ("\"\"", 2, "")] {
        let said = format!("must be \"#rgb\", \"#rrggbb\" or \"#rrggbbaa\" in quotes, got {given:?}");
        wrong_text(&format!("color: {value}"), 14 + after_key, &format!("color: {said}"));
        wrong_text(&format!("background: {value}"), 19 + after_key, &format!("background: {said}"));
        let stroke = format!("stroke:\n          color: {value}");
        refused_in_stroke(&stroke, 16 + after_key, &format!("color: {said}"));
    }
    refused_in_stroke("stroke:\n          width: 0", 18, "width: must be 1 to 100, got 0");
    refused_in_stroke("stroke:\n          width: 101", 18, "width: must be 1 to 100, got 101");
    refused_in_stroke("stroke:\n          widht: 1", 11, "widht: unknown key, did you mean `width`?");
    wrong_text("stroke: #fff", 16, "stroke: must be a mapping, got nothing");
    wrong_text("stroke: 2", 17, "stroke: must be a mapping, got integer `2`");
}

#[track_caller]
fn refused_in_stroke(lines: &str, column: usize, said: &str) {
    let text = format!("{TRANSFORMATION}    text:\n      - content: a\n        gravity: c\n        {lines}");
    refused(&text, &format!("line 8, column {column}: transformations[0].text[0].stroke.{said}"));
}

#[test]
fn what_a_text_needs_is_missed() {
    let with = |value: &str| format!("{TRANSFORMATION}    text: {value}");
    refused(&with("[{gravity: n}]"), "line 4, column 12: transformations[0].text[0]: `content` is missing");
    refused(&with("[{content: a}]"), "line 4, column 12: transformations[0].text[0]: `gravity` is missing");
    refused(&with("{content: a}"), "line 4, column 11: transformations[0].text: `gravity` is missing");
    refused(
        &with("[{content: a, gravity: up}]"),
        "column 34: transformations[0].text[0].gravity: must be one of n, ne, ",
    );
    for empty in ["\"\"", "", "\"\\n\""] {
        let written = with(&format!("[{{gravity: n, content: {empty}}}]"));
        refused(&written, "transformations[0].text[0].content: must not be empty");
    }
    let long = with(&format!("{{gravity: n, content: {}}}", "ä".repeat(2001)));
    refused(&long, "line 4, column 33: transformations[0].text.content: must have at most 2000 characters, got 2001");
    let many = vec!["{content: a, gravity: n}"; 65].join(", ");
    refused(&with(&format!("[{many}]")), "line 4, column 11: transformations[0].text: must be 64 at most, got 65");
}

#[test]
fn what_is_drawn_is_explained() {
    let file = "transformations:
  - {name: plain, parameters: w_10, eager: Yes}
  - name: drawn
    parameters: w_10
    watermark:
      - {source: a/b.png, gravity: se}
      - {source: c.png, gravity: c, x-pos: 3, y-pos: 4, opacity: 50, scale: 0.25, tile: Yes}
    text:
      - {content: \"two\\nlines\", gravity: n, y-pos: 5}
      - {content: äääääääääääääääääääääääääääääääääääääääää, gravity: n, size: 30}
";
    let explained = parse(file).unwrap().explain();
    let lines: Vec<&str> = explained.lines().skip_while(|line| !line.starts_with("transformation ")).take(6).collect();
    let expected = [
        "transformation drawn               w_10,c_e,g_nw",
        "  watermark                        a/b.png, gravity se",
        "  watermark                        c.png, gravity c, x-pos 3, y-pos 4, opacity 50, scale 0.25, tiled",
        "  text                             \"two\\nlines\", gravity n, y-pos 5, size 12, DejaVuSans.ttf",
        "  text                             \"ääääääääääääääääääääääääääääääääääääääää\"..., gravity n, size 30, DejaVuSans.ttf",
        "transformation plain               w_10,c_e,g_nw, eager",
    ];
    assert_eq!(lines, expected, "{explained}");
}
