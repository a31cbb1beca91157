//! `/metrics`: what it tells, where it is answered, and that the dashboard that is shipped asks for nothing else.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::server::{PATIENCE, Server, exchange, poll};
use crate::upload_form::{form_of, upload};

/// The value of a series; 0 if it is not there.
pub(crate) fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// What a server tells of itself.
pub(crate) fn metrics(server: &Server) -> String {
    let answer = server.get("/metrics");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text()
}

/// Checks the text format of Prometheus, version 0.0.4; gives the names of all samples.
fn names(text: &str) -> BTreeSet<String> {
    let (mut family, mut names) = (String::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            family = name.to_owned();
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (series, number) = line.rsplit_once(' ').unwrap();
        assert!(number.parse::<f64>().is_ok(), "{line}");
        let name = series.split('{').next().unwrap();
        assert!(name.starts_with(&family), "{line} stands under {family}");
        assert!(series == name || series.ends_with("\"}"), "{line}");
        names.insert(name.to_owned());
    }
    names
}

#[test]
fn what_happens_is_counted() {
    let server = Server::start("");
    let target = "/image/w_20/photo.jpg";
    let made = server.get(target);
    let hit = || server.get(target).came() == "hit";
    poll(Instant::now() + PATIENCE, || hit().then_some(())).unwrap();
    let tag = made.header("ETag").unwrap();
    assert_eq!(server.request("GET", target, &[("If-None-Match", tag)]).status, 304);
    assert_eq!(server.get("/image/w_0/photo.jpg").status, 400);
    assert_eq!(server.get("/nowhere").status, 404);
    assert_eq!(upload(&server, "/upload", &form_of(&crate::pictures::jpeg(64, 48))).status, 200);
    server.exchange(b"nonsense\r\n\r\n");
    // The keeper tells how full the cache is a little later.
    let text = poll(Instant::now() + PATIENCE, || {
        Some(metrics(&server)).filter(|text| value(text, "pixlserv_cache_files") > 0.0)
    });
    let text = text.expect("the cache is never shown");
    names(&text);
    for (series, expected) in [
        (r#"pixlserv_requests_total{cache="miss",route="image",status="200"}"#, 1.0),
        (r#"pixlserv_requests_total{cache="none",route="image",status="304"}"#, 1.0),
        (r#"pixlserv_requests_total{cache="none",route="image",status="400"}"#, 1.0),
        (r#"pixlserv_requests_total{cache="none",route="other",status="404"}"#, 1.0),
        (r#"pixlserv_requests_total{cache="none",route="upload",status="200"}"#, 1.0),
        (r#"pixlserv_refused_heads_total{status="400"}"#, 1.0),
        (r#"pixlserv_images_total{origin="made"}"#, 1.0),
        (r#"pixlserv_stage_duration_seconds_count{stage="resize"}"#, 1.0),
        ("pixlserv_cache_files", 1.0),
        ("pixlserv_cache_bytes", made.body.len() as f64),
        ("pixlserv_ready", 1.0),
        (r#"pixlserv_limit{key="http.max-queue"}"#, 256.0),
        (r#"pixlserv_queued{kind="sources"}"#, 0.0),
        ("pixlserv_panics_total", 0.0),
    ] {
        assert!((value(&text, series) - expected).abs() < 0.5, "{series}: {} of {text}", value(&text, series));
    }
    assert!(value(&text, r#"pixlserv_requests_total{cache="hit",route="image",status="200"}"#) >= 1.0);
    // Two pictures were decoded, that of the upload and the one of the answer.
    assert!(value(&text, r#"pixlserv_stage_duration_seconds_count{stage="decode"}"#) >= 2.0);
    assert!(value(&text, "process_resident_memory_bytes") > 1e6 && value(&text, "process_threads") > 4.0);
}

/// Where a server says that it answers `/metrics` alone.
fn own_address(server: &Server) -> SocketAddr {
    let told = || server.log().lines().find_map(|line| Some(line.split_once("metrics on http://")?.1.to_owned()));
    let told = poll(Instant::now() + PATIENCE, told).unwrap();
    told.strip_suffix("/metrics").unwrap().parse().unwrap()
}

#[test]
fn metrics_may_have_an_address_of_their_own() {
    let mut server = Server::start("metrics-listen: 127.0.0.1:0\nthrottling-rate: 1\n");
    let address = own_address(&server);
    let ask = |request: &str| exchange(address, format!("{request} HTTP/1.0\r\n\r\n").as_bytes(), PATIENCE).statuses();
    for _ in 0..5 {
        assert_eq!(ask("GET /metrics"), [200], "nobody is counted there");
    }
    assert_eq!(ask("HEAD /metrics"), [200]);
    assert_eq!(ask("POST /metrics"), [405]);
    assert_eq!(ask("GET /image/w_20/photo.jpg"), [404]);
    assert_eq!(ask("GET /"), [404]);
    let held: Vec<_> = (0..5).map(|_| server.connect()).collect();
    let tells = || {
        let text = exchange(address, b"GET /metrics HTTP/1.0\r\n\r\n", PATIENCE).answers[0].text();
        (value(&text, "pixlserv_connections") >= 5.0).then_some(text)
    };
    let text = poll(Instant::now() + PATIENCE, tells).expect("it shows its own connections, not those of the server");
    let others = r#"pixlserv_requests_total{cache="none",route="other",status="200"}"#;
    assert!(value(&text, others) < 0.5 && value(&text, "pixlserv_connections_accepted_total") < 5.5, "{text}");
    drop(held);
    assert_eq!(server.get("/metrics").status, 404);
    server.stop();
}

/// The names of metrics in an expression, without what functions, labels and words of the language are.
fn asked(expression: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expression.split(|c| !is_part(c));
    let ours = words.filter(|word| word.starts_with("pixlserv_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/grafana.json");
    let dashboard: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let wanted: BTreeSet<String> = targets.flat_map(|target| asked(target["expr"].as_str().unwrap())).collect();
    assert!(wanted.len() > 30, "{wanted:?}");

    let server = Server::start("");
    let answer = server.get("/image/w_20/photo.jpg");
    assert_eq!(answer.status, 200);
    let there = names(&metrics(&server));
    let missing: Vec<_> = wanted.difference(&there).collect();
    assert!(missing.is_empty(), "the dashboard asks for {missing:?}");
    // And it leaves out nothing that is ours.
    let is_shown =
        |name: &str| ["", "_bucket", "_sum", "_count"].iter().any(|end| wanted.contains(&format!("{name}{end}")));
    let families = there.iter().filter(|name| name.starts_with("pixlserv_"));
    let bases = families.map(|name| {
        let end = ["_bucket", "_sum", "_count"].into_iter().find(|end| name.ends_with(end)).unwrap_or_default();
        name.strip_suffix(end).unwrap()
    });
    let unshown: BTreeSet<_> = bases.filter(|name| !is_shown(name)).collect();
    assert!(unshown.is_empty(), "the dashboard does not show {unshown:?}");
}

#[test]
fn answers_tell_their_times_where_that_is_wanted() {
    let server = Server::start("debug-headers: Yes\n");
    let made = server.get("/image/w_20/photo.jpg");
    let times = made.header("Server-Timing").unwrap();
    for stage in ["cache;desc=miss", "queue;dur=", "fetch;dur=", "decode;dur=", "encode;dur="] {
        assert!(times.contains(stage), "{times}");
    }
    let hit = || Some(server.get("/image/w_20/photo.jpg")).filter(|answer| answer.came() == "hit");
    let hit = poll(Instant::now() + PATIENCE, hit).unwrap();
    assert!(hit.header("Server-Timing").unwrap().starts_with("cache;desc=hit"));
    let plain = Server::start("");
    assert!(plain.get("/image/w_20/photo.jpg").header("Server-Timing").is_none());
}

#[test]
fn the_log_is_for_machines_where_that_is_wanted() {
    let mut server = Server::start("log: {format: json}\n");
    let named = [("X-Request-Id", "abc-12.3")];
    assert_eq!(server.request("GET", "/image/w_20/photo.jpg", &named).status, 200);
    // A name that could be something else is not repeated.
    assert_eq!(server.request("GET", "/image/w_21/photo.jpg", &[("X-Request-Id", "a b")]).status, 200);
    let log = server.stop();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let requests: Vec<_> = lines.iter().filter(|line| line["message"] == "request").collect();
    assert_eq!(requests.len(), 2, "{log}");
    let first = requests[0];
    assert_eq!((&first["request_id"], &first["status"]), (&"abc-12.3".into(), &200.into()));
    assert_eq!((&first["cache"], &first["path"]), (&"miss".into(), &"/image/w_20/photo.jpg".into()));
    assert!(first["decode_ms"].as_f64().unwrap() > 0.0 && first["level"] == "INFO", "{first}");
    assert!(requests[1]["request_id"].is_null(), "{}", requests[1]);
}

#[test]
fn only_what_is_wanted_is_logged() {
    let mut server = Server::start("log: {level: info}\nhttp: {access-log: No}\n");
    assert_eq!(server.get("/image/w_20/photo.jpg").status, 200);
    assert!(!server.stop().contains("/image/"));
}

/// A scrape neither waits for images that are made, nor do they wait for it.
#[test]
fn metrics_are_told_while_all_work() {
    let server = Server::start("pixel-threads: 1\n");
    std::fs::write(server.images().join("large.jpg"), crate::pictures::noise(2000, 1500)).unwrap();
    let mut clients: Vec<Client> = (0..20).map(|_| Client::new(&server)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(&format!("/image/w_{}/large.jpg", 500 + number)).unwrap();
    }
    let start = Instant::now();
    let text = metrics(&server);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let busy = [r#"pixlserv_queued{kind="sources"}"#, r#"pixlserv_in_flight{kind="sources"}"#];
    assert!(busy.iter().any(|series| value(&text, series) > 0.0), "{text}");
    for client in &mut clients {
        assert_eq!(client.receive().unwrap().unwrap().status, 200);
    }
}
