//! Watermarks on pictures, pixel by pixel.

use std::fmt::Write as _;

use crate::pictures::{Picture, jpeg, jpeg_components, png_of};
use crate::server::{Answer, Server};

const GROUND: [u8; 3] = [30, 60, 90];
/// Odd, so that what is centred is rounded.
const WIDTH: u32 = 41;
const HEIGHT: u32 = 31;

/// A server with `ground.png`, these images, and a transformation of each line.
fn server(images: &[(&str, Vec<u8>)], transformations: &[&str]) -> Server {
    let mut configuration = "cache: {enabled: No}\ntransformations:\n".to_owned();
    for transformation in transformations {
        writeln!(configuration, "    - {{{transformation}}}").unwrap();
    }
    let server = Server::start(&configuration);
    std::fs::write(server.images().join("ground.png"), ground().png()).unwrap();
    for (name, content) in images {
        std::fs::write(server.images().join(name), content).unwrap();
    }
    server
}

fn ground() -> Picture {
    Picture::flat(WIDTH, HEIGHT, GROUND)
}

#[track_caller]
fn answer(server: &Server, target: &str) -> Answer {
    let answer = server.get(&format!("/image/{target}"));
    assert_eq!(answer.status, 200, "{target}: {answer:?}\n{}", server.log_of_events());
    answer
}

#[track_caller]
fn picture(server: &Server, target: &str) -> Picture {
    Picture::of_png(&answer(server, target).body)
}

/// An opaque mark with its upper left corner there.
fn laid(ground: &Picture, mark: &Picture, (left, top): (i64, i64)) -> Picture {
    Picture::new(ground.width, ground.height, |x, y| {
        mark.get(i64::from(x) - left, i64::from(y) - top).unwrap_or_else(|| ground.at(x, y))
    })
}

#[test]
fn a_watermark_lies_where_gravity_and_offsets_put_it() {
    let corners = [
        ("nw", (5, 3)),
        ("n", (16, 3)),
        ("ne", (28, 3)),
        ("e", (28, 12)),
        ("se", (28, 22)),
        ("s", (16, 22)),
        ("sw", (5, 22)),
        ("w", (5, 12)),
        ("c", (16, 12)),
    ];
    let lines = corners.map(|(gravity, _)| {
        let mark = format!("watermark: {{source: mark.png, gravity: {gravity}, x-pos: 5, y-pos: 3}}");
        format!("name: {gravity}, parameters: w_{WIDTH}, {mark}")
    });
    let mark = Picture::motley(8, 6);
    let server = server(&[("mark.png", mark.png())], &lines.each_ref().map(String::as_str));
    for (gravity, corner) in corners {
        let marked = picture(&server, &format!("t_{gravity}/ground.png"));
        marked.assert_like(&laid(&ground(), &mark, corner), 0, gravity);
    }
}

#[test]
fn a_watermark_larger_than_the_picture_is_cut() {
    let corners = [("nw", (0, 0)), ("c", (-29, -24)), ("se", (-59, -49)), ("n", (-29, 0)), ("w", (0, -24))];
    let lines = corners.map(|(gravity, _)| {
        format!("name: {gravity}, parameters: w_{WIDTH}, watermark: {{source: large.png, gravity: {gravity}}}")
    });
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lines.push("name: outside, parameters: w_41, watermark: {source: large.png, gravity: nw, x-pos: 41, y-pos: 0}");
    lines.push("name: edge, parameters: w_41, watermark: {source: large.png, gravity: nw, x-pos: 40, y-pos: 30}");
    lines.push("name: far, parameters: w_41, watermark: {source: large.png, gravity: se, x-pos: 65535, y-pos: 65535}");
    let large = Picture::motley(100, 80);
    let server = server(&[("large.png", large.png())], &lines);
    for (gravity, corner) in corners {
        let marked = picture(&server, &format!("t_{gravity}/ground.png"));
        marked.assert_like(&laid(&ground(), &large, corner), 0, gravity);
    }
    let edge = picture(&server, "t_edge/ground.png");
    edge.assert_like(&laid(&ground(), &large, (40, 30)), 0, "one pixel of it");
    for name in ["outside", "far"] {
        picture(&server, &format!("t_{name}/ground.png")).assert_like(&ground(), 0, name);
    }
}

#[test]
fn the_watermark_of_a_scale_is_used_or_the_plain_one_enlarged() {
    let (plain, double) = (Picture::flat(8, 6, [200, 10, 20]), Picture::motley(15, 11));
    let files = [("both.png", plain.png()), ("both@2x.png", double.png()), ("plain.png", plain.png())];
    let server = server(
        &files,
        &[
            "name: both, parameters: w_41, watermark: {source: both.png, gravity: se, x-pos: 5, y-pos: 3}",
            "name: plain, parameters: w_41, watermark: {source: plain.png, gravity: se, x-pos: 5, y-pos: 3}",
        ],
    );
    let enlarged = |scale: u32| Picture::flat(8 * scale, 6 * scale, [200, 10, 20]);
    let ground = |scale: u32| Picture::flat(WIDTH * scale, HEIGHT * scale, GROUND);
    let cases = [
        ("both", 1, plain.clone()),
        ("both", 2, double),
        ("both", 3, enlarged(3)),
        ("plain", 1, plain),
        ("plain", 2, enlarged(2)),
        ("plain", 5, enlarged(5)),
    ];
    for (name, scale, mark) in cases {
        let right = i64::from(WIDTH * scale) - i64::from(mark.width) - 5 * i64::from(scale);
        let lower = i64::from(HEIGHT * scale) - i64::from(mark.height) - 3 * i64::from(scale);
        let wanted = laid(&ground(scale), &mark, (right, lower));
        let target = if scale == 1 { format!("t_{name}/ground.png") } else { format!("t_{name}/ground@{scale}x.png") };
        picture(&server, &target).assert_like(&wanted, 0, &target);
    }
}

#[test]
fn a_jpeg_may_be_a_watermark() {
    let flat = |color: jpeg_encoder::ColorType, pixel: &[u8]| {
        let mut file = Vec::new();
        jpeg_encoder::Encoder::new(&mut file, 95).encode(&pixel.repeat(16 * 16), 16, 16, color).unwrap();
        file
    };
    let files = [
        ("color.jpg", flat(jpeg_encoder::ColorType::Rgb, &[200, 40, 60])),
        ("gray.jpg", flat(jpeg_encoder::ColorType::Luma, &[180])),
    ];
    let server = server(
        &files,
        &[
            "name: color, parameters: w_41, watermark: {source: color.jpg, gravity: se}",
            "name: gray, parameters: w_41, watermark: {source: gray.jpg, gravity: se}",
        ],
    );
    for (name, color) in [("color", [200, 40, 60]), ("gray", [180; 3])] {
        let wanted = laid(&ground(), &Picture::flat(16, 16, color), (25, 15));
        let marked = picture(&server, &format!("t_{name}/ground.png"));
        marked.assert_like(&wanted, 3, name);
        assert_eq!(marked.at(24, 14), [30, 60, 90, 255], "{name}");
    }
}

#[test]
fn of_two_watermarks_the_later_one_lies_on_top() {
    let (first, second) = (Picture::motley(12, 9), Picture::flat(10, 10, [250, 250, 0]));
    let marks = |first: &str, second: &str| {
        let list = format!(
            "[{{source: {first}.png, gravity: nw, x-pos: 4, y-pos: 4}}, \
              {{source: {second}.png, gravity: nw, x-pos: 9, y-pos: 7}}]"
        );
        format!("name: {first}-{second}, parameters: w_41, watermark: {list}")
    };
    let files = [("a.png", first.png()), ("b.png", second.png())];
    let server = server(&files, &[&marks("a", "b"), &marks("b", "a")]);
    let wanted = laid(&laid(&ground(), &first, (4, 4)), &second, (9, 7));
    picture(&server, "t_a-b/ground.png").assert_like(&wanted, 0, "a, then b");
    let wanted = laid(&laid(&ground(), &second, (4, 4)), &first, (9, 7));
    picture(&server, "t_b-a/ground.png").assert_like(&wanted, 0, "b, then a");
}

#[test]
fn opacity_tells_how_much_of_a_watermark_is_seen() {
    let mark = Picture::motley(20, 15);
    let lines = [0, 25, 50, 100].map(|percent| {
        format!("name: o{percent}, parameters: w_41, watermark: {{source: mark.png, gravity: c, opacity: {percent}}}")
    });
    let server = server(&[("mark.png", mark.png())], &lines.each_ref().map(String::as_str));
    let opaque = laid(&ground(), &mark, (10, 8));
    for percent in [0_u32, 25, 50, 100] {
        let wanted = Picture::new(WIDTH, HEIGHT, |x, y| {
            let (over, under) = (opaque.at(x, y), ground().at(x, y));
            let mixed = |channel: usize| {
                let sum = u32::from(over[channel]) * percent + u32::from(under[channel]) * (100 - percent);
                ((sum + 50) / 100) as u8
            };
            [mixed(0), mixed(1), mixed(2), 255]
        });
        let tolerance = u8::from(percent % 100 != 0);
        let marked = picture(&server, &format!("t_o{percent}/ground.png"));
        marked.assert_like(&wanted, tolerance, &format!("{percent} %"));
    }
}

#[test]
fn a_watermark_takes_its_share_of_the_width() {
    let red = |width, height| Picture::flat(width, height, [220, 0, 0]);
    let server = server(
        &[("wide.png", red(8, 6).png()), ("high.png", red(10, 40).png())],
        &[
            "name: half, parameters: w_40, watermark: {source: wide.png, gravity: se, scale: 0.5, x-pos: 2, y-pos: 1}",
            "name: all, parameters: w_40, watermark: {source: wide.png, gravity: nw, scale: 1}",
            "name: high, parameters: w_40, watermark: {source: high.png, gravity: nw, scale: 1.0}",
            "name: least, parameters: w_40, watermark: {source: wide.png, gravity: nw, scale: 0.001}",
        ],
    );
    let cases = [
        // 40 × 30 of the ground's 41 × 31: floor(0.7 + 30.2).
        ("t_half/ground.png", (40, 30), (18, 14), (20, 15)),
        ("t_half/ground@2x.png", (80, 61), (36, 29), (40, 30)),
        ("t_all/ground.png", (40, 30), (0, 0), (40, 30)),
        ("t_high/ground.png", (40, 30), (0, 0), (8, 30)),
        ("t_least/ground.png", (40, 30), (0, 0), (1, 1)),
    ];
    for (target, size, corner, mark) in cases {
        let wanted = laid(&Picture::flat(size.0, size.1, GROUND), &red(mark.0, mark.1), corner);
        picture(&server, target).assert_like(&wanted, 0, target);
    }
}

#[test]
fn tiles_cover_the_picture_from_where_gravity_puts_one() {
    let (dot, small, large) = (Picture::flat(1, 1, [255, 0, 0]), Picture::motley(8, 6), Picture::motley(100, 80));
    let line = |name: &str, source: &str, gravity: &str, x: u32, y: u32| {
        let mark = format!("source: {source}.png, gravity: {gravity}, x-pos: {x}, y-pos: {y}, tile: Yes");
        format!("name: {name}, parameters: w_41, watermark: {{{mark}}}")
    };
    let cases = [
        ("dots", "dot", &dot, "nw", (2, 3), (0, 0)),
        ("dots-se", "dot", &dot, "se", (2, 3), (40, 30)),
        ("all", "dot", &dot, "c", (0, 0), (20, 15)),
        ("close", "small", &small, "nw", (0, 0), (0, 0)),
        ("gaps", "small", &small, "c", (5, 3), (16, 12)),
        ("gaps-ne", "small", &small, "ne", (5, 3), (33, 0)),
        ("gaps-s", "small", &small, "s", (1, 7), (16, 25)),
        ("wide", "small", &small, "se", (60000, 60000), (33, 25)),
        ("large", "large", &large, "nw", (5, 3), (0, 0)),
        ("large-se", "large", &large, "se", (5, 3), (-59, -49)),
        ("large-c", "large", &large, "c", (0, 0), (-29, -24)),
    ];
    let lines: Vec<String> =
        cases.iter().map(|(name, source, _, gravity, gaps, _)| line(name, source, gravity, gaps.0, gaps.1)).collect();
    let files = [("dot.png", dot.png()), ("small.png", small.png()), ("large.png", large.png())];
    let server = server(&files, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    for (name, _, mark, _, gaps, corner) in cases {
        let (step_x, step_y) = (mark.width + gaps.0, mark.height + gaps.1);
        let wanted = Picture::new(WIDTH, HEIGHT, |x, y| {
            let x_in_tile = (i64::from(x) - corner.0).rem_euclid(i64::from(step_x));
            let y_in_tile = (i64::from(y) - corner.1).rem_euclid(i64::from(step_y));
            mark.get(x_in_tile, y_in_tile).unwrap_or_else(|| ground().at(x, y))
        });
        picture(&server, &format!("t_{name}/ground.png")).assert_like(&wanted, 0, name);
    }
}

#[test]
fn tiles_that_are_seen_through_are_laid_once() {
    let half = Picture::new(3, 3, |_, _| [255, 255, 255, 128]);
    let server = server(
        &[("half.png", half.png())],
        &["name: veil, parameters: w_41, watermark: {source: half.png, gravity: c, tile: Yes}"],
    );
    let wanted = GROUND.map(|under| ((255 * 128 + u32::from(under) * 127 + 127) / 255) as u8);
    picture(&server, "t_veil/ground.png").assert_like(&Picture::flat(WIDTH, HEIGHT, wanted), 1, "a veil of tiles");
}

#[test]
fn a_mark_keeps_its_colour_on_a_gray_picture() {
    let gray_ramp: Vec<u8> = (0..40 * 30_u32).map(|n| (n % 40 * 6) as u8).collect();
    let gray_alpha: Vec<u8> = gray_ramp.iter().flat_map(|&gray| [gray, 255 - gray]).collect();
    let files = [
        ("red.png", Picture::flat(8, 6, [200, 30, 40]).png()),
        ("silver.png", Picture::flat(8, 6, [190; 3]).png()),
        ("ramp.png", png_of(40, 30, png::ColorType::Grayscale, &gray_ramp)),
        ("clear.png", png_of(40, 30, png::ColorType::GrayscaleAlpha, &gray_alpha)),
        ("photo40.jpg", jpeg(40, 30)),
        ("color.png", Picture::motley(40, 30).png()),
    ];
    let text = |color: &str| format!("text: [{{content: Text, gravity: nw, size: 14, color: '{color}'}}]");
    let server = server(
        &files,
        &[
            "name: red, parameters: 'w_40,f_grayscale', watermark: {source: red.png, gravity: se}",
            "name: silver, parameters: 'w_40,f_grayscale', watermark: {source: silver.png, gravity: se}",
            &format!("name: red-text, parameters: 'w_40,f_grayscale', {}", text("#f00")),
            &format!("name: white-text, parameters: 'w_40,f_grayscale', {}", text("#fff")),
            "name: plain-red, parameters: w_40, watermark: {source: red.png, gravity: se}",
            "name: plain-silver, parameters: w_40, watermark: {source: silver.png, gravity: se}",
        ],
    );
    for (name, components) in [("red", 3), ("silver", 1), ("red-text", 3), ("white-text", 1)] {
        let body = answer(&server, &format!("t_{name}/photo40.jpg")).body;
        assert_eq!(jpeg_components(&body), components, "{name}");
    }
    // Byte 25 of a PNG is its colour type: 0 and 4 cannot show colour. The others may hold few colours or gray: the smallest
    // file decides.
    let targets = [
        "plain-red/clear.png",
        "plain-silver/clear.png",
        "plain-red/ramp.png",
        "plain-silver/ramp.png",
        "red/color.png",
        "silver/color.png",
        // The filter's answer is opaque.
        "red/clear.png",
        "silver/clear.png",
        "white-text/ramp.png",
        "red-text/ramp.png",
    ];
    for target in targets {
        let body = answer(&server, &format!("t_{target}")).body;
        let is_gray = matches!(body[25], 0 | 4);
        assert!(!(is_gray && target.contains("red")), "{target}: {}", body[25]);
        if target.contains("text") {
            continue;
        }
        let marked = Picture::of_png(&body);
        let wanted = if target.contains("red") { [200, 30, 40, 255] } else { [190, 190, 190, 255] };
        assert_eq!((marked.at(32, 24), marked.at(39, 29)), (wanted, wanted), "{target}");
        let is_gray_elsewhere = (0..24).all(|y| {
            (0..40).all(|x| {
                let [r, g, b, _] = marked.at(x, y);
                r == g && g == b
            })
        });
        assert!(is_gray_elsewhere, "{target}");
    }
}

#[test]
fn a_mark_over_a_transparent_picture_is_laid_by_porter_and_duffs_over() {
    // All pairs of 16 opacities below and above, with colours that differ in each.
    let levels = |n: u32| (n % 16 * 17) as u8;
    let below = Picture::new(16, 16, |x, y| [250, (x * 13) as u8, (y * 15) as u8, levels(x)]);
    let above = Picture::new(16, 16, |x, y| [(y * 16) as u8, 240, (255 - x * 16) as u8, levels(y)]);
    let files = [("below.png", below.png()), ("above.png", above.png())];
    let server = server(
        &files,
        &[
            "name: over, parameters: 'w_16,h_16,c_k', watermark: {source: above.png, gravity: nw}",
            "name: half, parameters: 'w_16,h_16,c_k', watermark: {source: above.png, gravity: nw, opacity: 50}",
        ],
    );
    // The ink and the sum are rounded, and so is half of an odd opacity.
    for (name, opacity, tolerance) in [("over", 1.0, 1.0), ("half", 0.5, 1.5)] {
        let marked = picture(&server, &format!("t_{name}/below.png"));
        for (x, y) in (0..16).flat_map(|y| (0..16).map(move |x| (x, y))) {
            let (got, under, over) = (marked.at(x, y), below.at(x, y), above.at(x, y));
            let over_alpha = f64::from(over[3]) / 255.0 * opacity;
            let under_share = f64::from(under[3]) / 255.0 * (1.0 - over_alpha);
            let alpha = over_alpha + under_share;
            let what = format!("{name} ({x}, {y}): {over:?} over {under:?} gives {got:?}");
            assert!((f64::from(got[3]) - alpha * 255.0).abs() <= 1.0, "{what}, wanted the alpha {}", alpha * 255.0);
            for channel in 0..3 {
                // A channel counts as much as is seen of it: of a nearly transparent pixel, few codes are kept.
                let wanted = f64::from(over[channel]) * over_alpha + f64::from(under[channel]) * under_share;
                let got = f64::from(got[channel]) * alpha;
                assert!((got - wanted).abs() <= tolerance, "{what}: channel {channel} shows {got}, wanted {wanted}");
            }
        }
    }
}

#[test]
fn a_transparent_part_of_a_mark_leaves_the_picture_as_it_is() {
    let ring =
        Picture::new(9, 9, |x, y| if x.min(8 - x).min(y.min(8 - y)) == 0 { [9, 8, 7, 255] } else { [255, 0, 0, 0] });
    let source = Picture::motley(WIDTH, HEIGHT);
    let server = server(
        &[("ring.png", ring.png()), ("motley.png", source.png())],
        &["name: ring, parameters: 'w_41,h_31,c_k', watermark: {source: ring.png, gravity: c}"],
    );
    let wanted = Picture::new(WIDTH, HEIGHT, |x, y| match ring.get(i64::from(x) - 16, i64::from(y) - 11) {
        Some(pixel) if pixel[3] > 0 => pixel,
        _ => source.at(x, y),
    });
    picture(&server, "t_ring/motley.png").assert_like(&wanted, 0, "a ring");
}
