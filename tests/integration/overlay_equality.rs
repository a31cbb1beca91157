//! The same watermarks and texts come out whoever draws them: the server or the command line, with or without the
//! instructions of the CPU.

use std::process::{Output, Stdio};
use std::time::Instant;

use crate::pictures::{Picture, jpeg, noise, png_of};
use crate::server::{PATIENCE, Server, poll, program};

const CONFIGURATION: &str = "cache: {enabled: No}
transformations:
    - name: all
      parameters: w_150
      watermark:
        - {source: mark.png, gravity: se, x-pos: 4, y-pos: 3, opacity: 80}
        - {source: tile.png, gravity: c, x-pos: 9, y-pos: 5, tile: Yes, opacity: 40}
      text:
        - {content: \"Text of\\ntwo lines\", gravity: nw, size: 17, color: '#fd3', stroke: {color: '#013', width: 2}}
        - {content: Boxed, gravity: s, background: '#ffffff80', padding: 3}
    - {name: gray, parameters: 'w_90,f_grayscale', watermark: {source: silver.png, gravity: c, scale: 0.6}}
    - {name: word, parameters: 'w_70,h_50,c_k', text: {content: Word, gravity: c, size: 21}}
    - {name: gone, parameters: w_90, watermark: {source: gone.png, gravity: c}}
";

const NAMES: [&str; 3] = ["all", "gray", "word"];

/// Sources of each kind, and the marks.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let alpha = |x: u32, y: u32| ((x * 3 + y * 5) % 256) as u8;
    let clear = Picture::new(200, 120, |x, y| [(x % 256) as u8, 200, (y * 2) as u8, alpha(x, y)]);
    let gray: Vec<u8> = (0..200 * 120_u32).map(|n| (n * 7 % 253) as u8).collect();
    let gray_alpha: Vec<u8> = (0..200 * 120_u32).flat_map(|n| [(n % 200) as u8, (n / 200 * 2) as u8]).collect();
    vec![
        ("color.jpg", jpeg(200, 120)),
        ("gray.jpg", noise(200, 120)),
        ("color.png", Picture::motley(200, 120).png()),
        ("clear.png", clear.png()),
        ("gray.png", png_of(200, 120, png::ColorType::Grayscale, &gray)),
        ("gray-clear.png", png_of(200, 120, png::ColorType::GrayscaleAlpha, &gray_alpha)),
        ("mark.png", Picture::new(33, 21, |x, y| [200, (x * 7) as u8, 30, (y * 12) as u8]).png()),
        ("tile.png", Picture::motley(7, 5).png()),
        ("silver.png", Picture::new(30, 30, |x, y| [190, 190, 190, (x * y % 256) as u8]).png()),
    ]
}

const SOURCES: [&str; 6] = ["color.jpg", "gray.jpg", "color.png", "clear.png", "gray.png", "gray-clear.png"];

fn server() -> Server {
    let server = Server::start(CONFIGURATION);
    for (name, content) in files() {
        std::fs::write(server.images().join(name), content).unwrap();
    }
    server
}

/// `pixlserv transform` with the configuration of the server.
fn transform(server: &Server, arguments: &[&str]) -> Output {
    let configuration = server.configuration_file();
    program().arg("transform").args(arguments).arg("--config").arg(configuration).output().unwrap()
}

#[test]
fn the_command_line_draws_what_the_server_draws() {
    let server = server();
    let target = server.directory().join("out");
    for source in SOURCES {
        let input = server.images().join(source);
        for name in NAMES {
            for scale in ["1", "2"] {
                let (stem, extension) = source.split_once('.').unwrap();
                let image = if scale == "1" { source.to_owned() } else { format!("{stem}@{scale}x.{extension}") };
                let answer = server.get(&format!("/image/t_{name}/{image}"));
                assert_eq!(answer.status, 200, "{name} of {image}: {answer:?}\n{}", server.log_of_events());
                let parameters = format!("t_{name}");
                let (input, output) = (input.to_str().unwrap(), target.to_str().unwrap());
                let made = transform(&server, &[&parameters, input, output, "--scale", scale]);
                assert!(made.status.success(), "{name} of {image}: {}", String::from_utf8_lossy(&made.stderr));
                assert!(std::fs::read(&target).unwrap() == answer.body, "{name} of {image} differs");
            }
        }
    }
}

#[test]
fn the_command_line_names_the_watermark_that_it_cannot_draw() {
    let server = server();
    let (input, target) = (server.images().join("color.png"), server.directory().join("out.png"));
    let run = || transform(&server, &["t_gone", input.to_str().unwrap(), target.to_str().unwrap()]);
    for content in [None, Some("no picture")] {
        if let Some(content) = content {
            std::fs::write(server.images().join("gone.png"), content).unwrap();
        }
        let output = run();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("watermark") && said.contains("gone.png") && said.lines().count() == 1, "{said}");
        assert!(!target.exists(), "a picture without its watermark was written");
    }
}

#[test]
fn every_level_draws_the_same_bytes() {
    let first = server();
    let with_level = |level: &str| {
        let mut command = program();
        command.env("PIXLSERV_SIMD", level);
        Server::start_as(command, first.shared_directory(), &first.images(), CONFIGURATION)
    };
    let (scalar, best) = (with_level("scalar"), with_level("auto"));
    assert!(scalar.log().contains("instructions: scalar"), "{}", scalar.log());
    for source in SOURCES {
        for name in NAMES {
            let target = format!("/image/t_{name}/{source}");
            let answers = [&first, &scalar, &best].map(|server| server.get(&target));
            assert!(answers.iter().all(|answer| answer.status == 200), "{target}: {answers:?}");
            let [first, scalar, best] = answers;
            assert!(first.body == best.body && scalar.body == best.body, "{target} depends on the level");
            assert_eq!(scalar.header("ETag"), best.header("ETag"), "{target}");
        }
    }
}

#[test]
fn an_unknown_level_stops_the_start() {
    let server = server();
    let mut command = program();
    command.env("PIXLSERV_SIMD", "nonsense").arg("run").arg(server.configuration_file());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let ended = poll(Instant::now() + PATIENCE, || child.try_wait().unwrap());
    if ended.is_none() {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(ended.and_then(|status| status.code()), Some(1), "{said}");
    let wanted = ["PIXLSERV_SIMD", "auto", "scalar", "\"nonsense\""];
    assert!(wanted.iter().all(|word| said.contains(word)), "{said}");
}
