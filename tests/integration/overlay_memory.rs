//! How much memory watermarks and texts take: it does not grow with the requests, and no client can make it large.

use std::fmt::Write as _;

use crate::client::get_all;
use crate::corpus::say;
use crate::pictures::{Picture, jpeg};
use crate::server::Server;

const N_TRANSFORMATIONS: usize = 50;
const N_CLIENTS: usize = 4;
const CONTENTS: [&str; 6] = [
    "Caption",
    r"Two lines\nof a caption",
    r"\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "0123456789 (c)",
    r"e\u0301a\u0302 \u4e00\u4e8c",
    "A caption that is wider than its picture",
];

fn texts(more: &str) -> String {
    let mut configuration = format!("cache: {{enabled: No}}\n{more}transformations:\n");
    for number in 0..N_TRANSFORMATIONS {
        let (content, size) = (CONTENTS[number % CONTENTS.len()], 10 + number);
        let stroke = if number % 7 == 0 { ", stroke: {color: '#000', width: 2}" } else { "" };
        let background = if number % 3 == 0 { ", background: '#00000080'" } else { "" };
        let text = format!("content: \"{content}\", gravity: c, size: {size}, color: '#fff'{stroke}{background}");
        writeln!(configuration, "    - {{name: t{number}, parameters: w_64, text: [{{{text}}}]}}").unwrap();
    }
    configuration
}

/// So many requests, each of the 200 kinds as often as any other.
fn targets(n: usize) -> Vec<String> {
    const IMAGES: [&str; 4] = ["photo.png", "photo.jpg", "photo@2x.png", "photo@2x.jpg"];
    let target = |number: usize| {
        let image = IMAGES[number / N_TRANSFORMATIONS % IMAGES.len()];
        format!("/image/t_t{}/{image}", number % N_TRANSFORMATIONS)
    };
    (0..n).map(target).collect()
}

#[test]
fn memory_does_not_grow_with_the_texts_that_are_drawn() {
    // With room for all stamps, and with so little that most are made anew for each request.
    for more in ["", "work-memory: 16777216\n"] {
        let server = Server::start(&texts(more));
        let fetch = |n: usize| {
            let answers = get_all(&server, N_CLIENTS, &targets(n));
            let failed: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
            assert!(failed.is_empty(), "{failed:?}");
            assert!(answers.iter().all(|answer| answer.came() == "miss"), "an answer was not drawn");
        };
        // What the allocator keeps settles within some hundreds: at 59 MB in the second case, of which there are 53 to 60 after
        // 200, and 59 after 2,000.
        fetch(600);
        let first = server.resident_kb();
        fetch(1800);
        let last = server.resident_kb();
        let allowed = (first * 6 / 100).max(4096);
        say(&format!("texts, {more:?}: {first} KB after 600 requests, {last} KB after 2,400, allowed: + {allowed} KB"));
        assert!(last <= first + allowed, "{first} KB after 600 requests, {last} KB after 2,400");
    }
}

#[test]
fn no_request_can_make_a_huge_stamp() {
    const ALLOWED_KB: u64 = 200 << 10;
    let long = "Wide ".repeat(399) + "end";
    let configuration = format!(
        "cache: {{enabled: No}}
transformations:
    - {{name: large, parameters: w_40, text: [{{content: Large, gravity: c, size: 1000}}]}}
    - {{name: long, parameters: w_40, text: [{{content: {long}, gravity: c, size: 1000}}]}}
    - name: stroke
      parameters: w_40
      text: [{{content: Stroke, gravity: c, size: 1000, stroke: {{color: '#f00', width: 100}}, padding: 1000}}]
    - {{name: box, parameters: w_40, text: [{{content: \"a\\nb\", gravity: se, size: 1000, background: '#0f0'}}]}}
    - {{name: mark, parameters: w_40, watermark: {{source: large.png, gravity: c}}}}
    - {{name: tiles, parameters: w_40, watermark: {{source: large.png, gravity: c, tile: Yes}}}}
    - name: both
      parameters: w_40
      watermark: [{{source: large.png, gravity: se}}, {{source: large.jpg, gravity: nw, opacity: 50}}]
      text: [{{content: Large, gravity: c, size: 1000}}]
"
    );
    let server = Server::start(&configuration);
    std::fs::write(server.images().join("large.png"), Picture::motley(2000, 2000).png()).unwrap();
    std::fs::write(server.images().join("large.jpg"), jpeg(2000, 2000)).unwrap();
    assert_eq!(server.get("/image/w_40/photo.png").status, 200);
    let idle = server.resident_kb();
    for name in ["large", "long", "stroke", "box", "mark", "tiles", "both"] {
        for image in ["photo@5x.png", "photo@5x.jpg", "photo.png"] {
            server.forget_peak();
            let answer = server.get(&format!("/image/t_{name}/{image}"));
            assert_eq!(answer.status, 200, "{name} of {image}: {answer:?}\n{}", server.log_of_events());
            let growth = server.peak_kb().saturating_sub(idle);
            say(&format!("{name} of {image}: + {growth} KB over {idle} KB"));
            assert!(growth <= ALLOWED_KB, "{name} of {image}: + {growth} KB, allowed: {ALLOWED_KB} KB");
        }
    }
}
