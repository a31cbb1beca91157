//! `pixlserv cache` beside a running server.

use std::fs;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::server::{Answer, PATIENCE, Server, poll, program, run_to_end};

fn cache(server: &Server, arguments: &[&str]) -> Output {
    let file = server.configuration_file();
    program().args(["cache", "--config"]).arg(file).args(arguments).output().unwrap()
}

/// What a command says that succeeds.
fn said(server: &Server, arguments: &[&str]) -> String {
    let output = cache(server, arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{arguments:?}: {text} {}", String::from_utf8_lossy(&output.stderr));
    text
}

/// What a command says that fails with status 1.
fn complained(server: &Server, arguments: &[&str]) -> String {
    let output = cache(server, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn it_counts_lists_and_empties_what_the_server_keeps() {
    let server = Server::start("");
    fs::create_dir(server.images().join("blog")).unwrap();
    fs::copy(server.images().join("photo.png"), server.images().join("blog/cat.png")).unwrap();
    for target in ["w_20/photo.png", "w_21/photo.png", "w_20/photo.jpg", "w_22,f_grayscale/blog/cat.png"] {
        assert_eq!(server.get(&format!("/image/{target}")).status, 200, "{target}");
    }
    poll(Instant::now() + PATIENCE, || said(&server, &["stats"]).contains("answers   4\n").then_some(())).unwrap();
    let stats = said(&server, &["stats"]);
    assert!(stats.contains("limit     none") && stats.contains("purges    0"), "{stats}");
    assert_eq!(said(&server, &["list"]).lines().count(), 4);
    let listed = said(&server, &["list", "blog/"]);
    assert!(listed.lines().count() == 1 && listed.contains("w_22") && listed.ends_with("  blog/cat.png\n"), "{listed}");
    assert_eq!(said(&server, &["list", "nothing"]), "");

    assert_eq!(said(&server, &["purge", "photo.png"]), "removed 2 answers of photo.png\n");
    assert_eq!(server.get("/image/w_20/photo.png").header("X-Cache"), Some("miss"));
    assert_eq!(server.get("/image/w_20/photo.jpg").header("X-Cache"), Some("hit"));
    let nothing = said(&server, &["purge", "never.png"]);
    assert!(nothing.starts_with("nothing was cached of never.png"), "{nothing}");
    let escape = complained(&server, &["purge", "../photo.png"]);
    assert!(escape.contains("invalid image path"), "{escape}");

    poll(Instant::now() + PATIENCE, || said(&server, &["stats"]).contains("answers   3\n").then_some(())).unwrap();
    assert!(said(&server, &["clear"]).starts_with("removed 3 answers, "));
    for target in ["/image/w_20/photo.jpg", "/image/w_20/photo.png"] {
        assert_eq!(server.get(target).header("X-Cache"), Some("miss"), "{target}");
    }
}

/// Whoever purges says that an answer may be another, although neither size nor time of its original tells.
#[test]
fn a_purge_gives_answers_another_tag_and_time() {
    let server = Server::start("");
    let png = fs::read(server.images().join("photo.png")).unwrap();
    server.put_image("photo.png", &png, UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    let target = "/image/w_20/photo.png";
    let told = |answer: &Answer| ["ETag", "Last-Modified"].map(|name| answer.header(name).unwrap().to_owned());
    let status = |name: &str, value: &str| server.request("GET", target, &[(name, value)]).status;
    let [tag, date] = told(&server.get(target));
    let other = told(&server.get("/image/w_20/photo.jpg"));
    assert_eq!((status("If-None-Match", &tag), status("If-Modified-Since", &date)), (304, 304));
    said(&server, &["purge", "photo.png"]);
    assert_eq!((status("If-None-Match", &tag), status("If-Modified-Since", &date)), (200, 200));
    let part = server.request("GET", target, &[("Range", "bytes=0-3"), ("If-Range", &tag)]);
    assert_eq!(part.status, 200, "the rest of an old answer is no use");
    let [new_tag, new_date] = told(&server.get(target));
    assert!(new_tag != tag && new_date != date);
    assert_eq!((status("If-None-Match", &new_tag), status("If-Modified-Since", &new_date)), (304, 304));
    assert_eq!(told(&server.get("/image/w_20/photo.jpg")), other, "the others stay what they were");
    said(&server, &["clear"]);
    assert_eq!(status("If-None-Match", &new_tag), 200);
    // Another process knows of it, too.
    let [last, _] = told(&server.get(target));
    let again = server.again("");
    assert_eq!(again.request("GET", target, &[("If-None-Match", &last)]).status, 304);
}

#[test]
fn it_finds_and_removes_what_is_damaged() {
    let server = Server::start("cache: {memory: 0}\n");
    let whole = server.get("/image/w_20/photo.png");
    poll(Instant::now() + PATIENCE, || said(&server, &["stats"]).contains("answers   1\n").then_some(())).unwrap();
    assert_eq!(said(&server, &["verify"]), "1 answers are as they should be\n");
    let parts = fs::read_dir(server.data().join("cache")).unwrap();
    let mut files = parts.flat_map(|part| fs::read_dir(part.unwrap().path()).unwrap());
    let file = files.next().unwrap().unwrap().path();
    let mut bytes = fs::read(&file).unwrap();
    bytes[20] ^= 1;
    fs::write(&file, bytes).unwrap();
    let wrong = complained(&server, &["verify"]);
    assert!(wrong.contains("removed 1 answers with a missing or damaged file"), "{wrong}");
    assert_eq!(said(&server, &["verify"]), "0 answers are as they should be\n");
    let again = server.get("/image/w_20/photo.png");
    assert!(again.body == whole.body && again.header("X-Cache") == Some("miss"), "{again:?}");
}

#[test]
fn it_says_what_is_wrong() {
    let server = Server::start("cache: {enabled: No}\n");
    let nowhere = complained(&server, &["stats"]);
    assert!(nowhere.contains("there is no cache in") && nowhere.contains("--config"), "{nowhere}");
    assert!(!server.data().join("cache").exists(), "looking makes nothing");
    for wrong in [&["cache"][..], &["cache", "nothing"], &["cache", "purge"]] {
        assert_eq!(run_to_end(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn what_the_server_keeps_is_no_image() {
    let server = Server::start("");
    let file = server.directory().join("inside.yaml");
    fs::write(&file, "local-path: images\ndata-path: images/data\nlisten: 127.0.0.1:0\n").unwrap();
    for command in ["run", "check"] {
        let output = program().current_dir(server.directory()).arg(command).arg(&file).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && text.contains("data-path images/data lies in local-path"), "{text}");
    }
}

#[test]
fn several_places_are_listened_on() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    let server = Server::start("");
    let socket = server.directory().join("socket");
    let file = server.directory().join("list.yaml");
    let text =
        format!("local-path: images\ndata-path: other\nlisten: [\"127.0.0.1:0\", \"unix:{}\"]\n", socket.display());
    fs::write(&file, text).unwrap();
    let mut child =
        program().current_dir(server.directory()).arg("run").arg(&file).stderr(Stdio::null()).spawn().unwrap();
    let stream = poll(Instant::now() + PATIENCE, || UnixStream::connect(&socket).ok());
    let mut stream = stream.unwrap();
    stream.write_all(b"GET /image/w_20/photo.png HTTP/1.0\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&bytes));
}
