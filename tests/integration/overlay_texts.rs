//! Texts on pictures: where they lie, what is painted, and which letters.

use std::fmt::Write as _;

use crate::pictures::Picture;
use crate::server::Server;

const WHITE: [u8; 4] = [255; 4];
const BLACK: [u8; 4] = [0, 0, 0, 255];
const WIDTH: u32 = 240;
const HEIGHT: u32 = 160;

/// A server with a white and a black picture, and transformations of these names that draw these texts. Each answer is
/// made anew.
fn server(texts: &[(&str, &str)]) -> Server {
    let mut configuration = "cache: {enabled: No}\ntransformations:\n".to_owned();
    for (name, text) in texts {
        writeln!(configuration, "    - {{name: {name}, parameters: w_{WIDTH}, text: [{text}]}}").unwrap();
    }
    let server = Server::start(&configuration);
    for (name, color) in [("white.png", [255; 3]), ("black.png", [0; 3])] {
        std::fs::write(server.images().join(name), Picture::flat(WIDTH, HEIGHT, color).png()).unwrap();
    }
    server
}

#[track_caller]
fn body(server: &Server, target: &str) -> Vec<u8> {
    let answer = server.get(&format!("/image/t_{target}"));
    assert_eq!(answer.status, 200, "{target}: {answer:?}\n{}", server.log_of_events());
    answer.body
}

#[track_caller]
fn picture(server: &Server, target: &str) -> Picture {
    Picture::of_png(&body(server, target))
}

/// The box of what is drawn on white.
#[track_caller]
fn drawn(server: &Server, name: &str) -> [u32; 4] {
    picture(server, &format!("{name}/white.png")).drawn_box(WHITE).unwrap_or_else(|| panic!("{name} draws nothing"))
}

fn n_drawn(picture: &Picture, ground: [u8; 4]) -> usize {
    picture.pixels.iter().filter(|&&pixel| pixel != ground).count()
}

const fn size([left, top, right, bottom]: [u32; 4]) -> (u32, u32) {
    (right - left, bottom - top)
}

#[test]
fn of_two_texts_the_later_one_lies_on_top() {
    let text =
        |color: &str| format!("{{content: Same, gravity: c, size: 20, color: '{color}', background: '{color}'}}");
    let (red, blue) = (text("#f00"), text("#00f"));
    let server = server(&[("blue", &format!("{red}, {blue}")), ("red", &format!("{blue}, {red}"))]);
    for (name, color) in [("blue", [0, 0, 255, 255]), ("red", [255, 0, 0, 255])] {
        let picture = picture(&server, &format!("{name}/white.png"));
        let seen = picture.pixels.iter().filter(|&&pixel| pixel != WHITE);
        assert!(seen.clone().count() > 0 && seen.clone().all(|&pixel| pixel == color), "{name}");
    }
}

#[test]
fn more_lines_are_higher_and_the_longest_one_tells_the_width() {
    let box_of =
        |content: &str| format!("{{content: \"{content}\", gravity: nw, size: 16, color: '#000', background: '#000'}}");
    let contents =
        ["Line", r"Line\nLine", r"Line\nLine\nLine", r"Line\nA longer line", "A longer line", r"Line\n\nLine"];
    let texts = contents.map(box_of);
    let names = ["one", "two", "three", "longer", "long", "gap"];
    let all: Vec<(&str, &str)> = names.into_iter().zip(texts.iter().map(String::as_str)).collect();
    let server = server(&all);
    let [one, two, three, longer, long, gap] = names.map(|name| size(drawn(&server, name)));
    assert_eq!((one.0, one.0), (two.0, three.0));
    assert_eq!((longer.0, longer.1), (long.0, two.1));
    assert_eq!(gap, three, "an empty line is as high as any other");
    let pitch = two.1 - one.1;
    assert!((16..=24).contains(&pitch), "a line of 16 is {pitch} high");
    assert!(three.1.abs_diff(two.1 + pitch) <= 1, "{one:?} {two:?} {three:?}");
}

#[test]
fn shorter_lines_lie_where_align_says() {
    let text = |align: &str| format!("{{content: \"i\\nWWWWWW\", gravity: nw, size: 20, align: {align}}}");
    let texts = ["left", "center", "right"].map(|align| (align, text(align)));
    let server = server(&texts.each_ref().map(|(name, text)| (*name, text.as_str())));
    let middles = ["left", "center", "right"].map(|name| {
        let picture = picture(&server, &format!("{name}/white.png"));
        let [_, top, ..] = picture.drawn_box(WHITE).unwrap();
        // The dot of the first line.
        let columns: Vec<u32> = (0..WIDTH).filter(|&x| picture.at(x, top) != WHITE).collect();
        columns[0].midpoint(columns[columns.len() - 1])
    });
    let [left, center, right] = middles;
    let width = drawn(&server, "left")[2];
    assert!(left < 6 && right + 6 > width && center.abs_diff(width / 2) <= 2, "{middles:?} of {width}");
}

#[test]
fn a_background_fills_exactly_the_box_of_its_text() {
    let text = |gravity: &str, padding: u32| {
        let place = format!("gravity: {gravity}, x-pos: 11, y-pos: 7");
        format!("{{content: Box, {place}, size: 20, color: '#123456', background: '#123456', padding: {padding}}}")
    };
    let names = ["nw", "n", "ne", "e", "se", "s", "sw", "w", "c"];
    let texts: Vec<(String, String)> = names
        .iter()
        .flat_map(|gravity| [0, 8].map(|padding| (format!("{gravity}{padding}"), text(gravity, padding))))
        .collect();
    let server = server(&texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>());
    let plain = size(drawn(&server, "nw0"));
    for (gravity, padding) in names.iter().flat_map(|gravity| [(gravity, 0), (gravity, 8)]) {
        let picture = picture(&server, &format!("{gravity}{padding}/white.png"));
        let [left, top, right, bottom] = picture.drawn_box(WHITE).unwrap();
        let (width, height) = size([left, top, right, bottom]);
        assert_eq!((width, height), (plain.0 + 2 * padding, plain.1 + 2 * padding), "{gravity} {padding}");
        let is_full = (top..bottom).all(|y| (left..right).all(|x| picture.at(x, y) == [0x12, 0x34, 0x56, 255]));
        assert!(is_full, "{gravity} {padding}");
        let wanted_left = match *gravity {
            "nw" | "w" | "sw" => 11,
            "n" | "c" | "s" => (WIDTH - width) / 2,
            _ => WIDTH - 11 - width,
        };
        let wanted_top = match *gravity {
            "nw" | "n" | "ne" => 7,
            "w" | "c" | "e" => (HEIGHT - height) / 2,
            _ => HEIGHT - 7 - height,
        };
        assert_eq!((left, top), (wanted_left, wanted_top), "{gravity} {padding}");
    }
}

#[test]
fn a_stroke_reaches_out_of_the_letters_and_lies_below_them() {
    let text = |stroke: &str| format!("{{content: Stroke, gravity: c, size: 30, color: '#f00'{stroke}}}");
    let (plain, thin, thick) =
        (text(""), text(", stroke: {color: '#00f', width: 1}"), text(", stroke: {color: '#00f', width: 4}"));
    let same = text(", stroke: {color: '#f00', width: 4}");
    let server = server(&[("plain", &plain), ("thin", &thin), ("thick", &thick), ("same", &same)]);
    let [plain, thin, thick, same] =
        ["plain", "thin", "thick", "same"].map(|name| picture(&server, &format!("{name}/white.png")));
    let counts = [&plain, &thin, &thick].map(|picture| n_drawn(picture, WHITE));
    assert!(counts[0] < counts[1] && counts[1] < counts[2], "{counts:?}");
    let [inner, outer] = [&plain, &thick].map(|picture| picture.drawn_box(WHITE).unwrap());
    for (inner, outer) in inner.into_iter().zip(outer) {
        assert!((3..=5).contains(&inner.abs_diff(outer)), "{inner} {outer}");
    }
    // Where a letter covers nearly all of a pixel, a trace of light is left to its stroke.
    let is_red = |&[r, g, b, _]: &[u8; 4]| r >= 250 && g == 0 && b <= 30;
    let letters = plain.pixels.iter().zip(&thick.pixels).filter(|(plain, _)| **plain == [255, 0, 0, 255]);
    let covered = letters.map(|(_, thick)| thick).find(|thick| !is_red(thick));
    assert_eq!(covered, None, "the stroke covers the letters");
    assert!(thick.pixels.contains(&[0, 0, 255, 255]) && !same.pixels.contains(&[0, 0, 255, 255]));
}

#[test]
fn colours_with_alpha_let_the_picture_through() {
    let box_of =
        |color: &str| format!("{{content: Half, gravity: c, size: 20, color: '#00000000', background: '{color}'}}");
    let (half, none, full) = (box_of("#ff000080"), box_of("#ff000000"), box_of("#ff0000ff"));
    let server = server(&[("half", &half), ("none", &none), ("full", &full)]);
    let middle = |target: &str| picture(&server, target).at(WIDTH / 2, HEIGHT / 2);
    let near = |got: [u8; 4], wanted: [u8; 4]| got.iter().zip(wanted).all(|(&got, wanted)| got.abs_diff(wanted) <= 1);
    assert!(near(middle("half/white.png"), [255, 127, 127, 255]), "{:?}", middle("half/white.png"));
    assert!(near(middle("half/black.png"), [128, 0, 0, 255]), "{:?}", middle("half/black.png"));
    assert_eq!((middle("none/white.png"), middle("full/white.png")), (WHITE, [255, 0, 0, 255]));
}

#[test]
fn letters_of_all_kinds_are_drawn() {
    let contents = [
        ("missing", r"\u4e00\u4e8c\u4e09"),
        ("arabic", r"\u0645\u0631\u062d\u0628\u0627"),
        ("hebrew", r"\u05e9\u05dc\u05d5\u05dd"),
        ("mixed", r"abc \u05e9\u05dc\u05d5\u05dd 123 \u0645\u0631\u062d\u0628\u0627 xyz"),
        ("combined", r"e\u0301"),
        ("composed", r"\u00e9"),
        ("many-marks", r"a\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308"),
        ("mark-alone", r"\u0301"),
        ("greek", r"\u03a9\u03bc\u03ad\u03b3\u03b1"),
        ("cyrillic", r"\u041f\u0440\u0438\u0432\u0435\u0442"),
        ("emoji", r"\U0001F600\U0001F468\u200D\U0001F469"),
        ("last", r"\U0010FFFF"),
        ("plain", "e"),
    ];
    let text = |content: &str| format!("{{content: \"{content}\", gravity: c, size: 24}}");
    let texts = contents.map(|(name, content)| (name, text(content)));
    let server = server(&texts.each_ref().map(|(name, text)| (*name, text.as_str())));
    let mut bodies = Vec::new();
    for (name, _) in contents {
        let body = body(&server, &format!("{name}/white.png"));
        assert!(n_drawn(&Picture::of_png(&body), WHITE) > 3, "{name} draws nothing");
        bodies.push((name, body));
    }
    let of = |wanted: &str| &bodies.iter().find(|(name, _)| *name == wanted).unwrap().1;
    assert_eq!(of("combined"), of("composed"), "a letter and its accent are one");
    assert_ne!(of("combined"), of("plain"));
    for (name, first) in &bodies {
        for (other, second) in bodies.iter().filter(|(other, _)| other != name) {
            let is_expected = first != second || ["combined", "composed"].contains(other);
            assert!(is_expected, "{name} looks like {other}");
        }
    }
}

#[test]
fn blanks_and_control_characters_draw_nothing_and_harm_nothing() {
    let contents = [
        ("blanks", "   "),
        ("tabs", r"\t\t"),
        ("lines", r"\n\n\n"),
        ("returns", r"\r\n\r\n"),
        ("joiners", r"\u200d\u200b\ufeff"),
    ];
    let text = |content: &str| format!("{{content: \"{content}\", gravity: c, size: 24}}");
    let texts = contents.map(|(name, content)| (name, text(content)));
    let server = server(&texts.each_ref().map(|(name, text)| (*name, text.as_str())));
    for (name, _) in contents {
        assert_eq!(picture(&server, &format!("{name}/white.png")).drawn_box(WHITE), None, "{name}");
    }
}

#[test]
fn the_same_text_is_drawn_the_same_each_time() {
    let text = "{content: 'Same again', gravity: se, x-pos: 3, y-pos: 4, size: 17, color: '#a06', stroke: {width: 2}}";
    let first = body(&server(&[("same", text)]), "same/white.png");
    let server = server(&[("same", text), ("other", "{content: Other, gravity: c}")]);
    for _ in 0..3 {
        assert_eq!(body(&server, "same/white.png"), first);
        assert_ne!(body(&server, "other/white.png"), first);
    }
}

#[test]
fn twice_the_scale_draws_a_text_twice_as_large_and_as_far_from_the_edge() {
    let text = "{content: \"Twice\\nas large\", gravity: se, x-pos: 9, y-pos: 13, size: 19, padding: 3";
    let (bare, boxed) = (format!("{text}}}"), format!("{text}, background: '#00f'}}"));
    let server = server(&[("bare", &bare), ("boxed", &boxed)]);
    for name in ["bare", "boxed"] {
        let once = drawn(&server, name);
        for scale in [2, 3] {
            let larger = picture(&server, &format!("{name}/white@{scale}x.png")).drawn_box(WHITE).unwrap();
            for (once, larger) in once.into_iter().zip(larger) {
                assert!((once * scale).abs_diff(larger) <= scale, "{name} @{scale}x: {once} became {larger}");
            }
        }
    }
}

#[test]
fn dark_letters_are_as_bold_as_bright_ones() {
    let light = crate::reference::decode;
    let sizes = [10, 14, 24, 60];
    let texts: Vec<(String, String)> = sizes
        .iter()
        .flat_map(|size| {
            let text = |color| format!("{{content: \"Equally\\nbold\", gravity: c, size: {size}, color: '{color}'}}");
            [(format!("dark{size}"), text("#000")), (format!("bright{size}"), text("#fff"))]
        })
        .collect();
    let server = server(&texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>());
    let mean = |target: &str| {
        let picture = picture(&server, target);
        picture.pixels.iter().map(|pixel| light(pixel[0])).sum::<f64>() / picture.pixels.len() as f64
    };
    for size in sizes {
        let taken = 1.0 - mean(&format!("dark{size}/white.png"));
        let given = mean(&format!("bright{size}/black.png"));
        assert!(taken > 0.0 && (taken / given - 1.0).abs() <= 0.02, "size {size}: {taken} taken, {given} given");
        // Ink of the ground's colour is not seen at all.
        assert_eq!(n_drawn(&picture(&server, &format!("dark{size}/black.png")), BLACK), 0);
        assert_eq!(n_drawn(&picture(&server, &format!("bright{size}/white.png")), WHITE), 0);
    }
}
