//! The program with its images in a bucket: what it asks of the storage, and what it answers when that fails.

use std::collections::HashMap;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::bucket_world::{BucketWorld, lines, wait_for_hit};
use crate::client::get_all;
use crate::fault_proxy::{Fault, SeenHead};
use crate::gcs_server::GcsServer;
use crate::pictures::{jpeg, noise};
use crate::redis_server::{RedisServer, Storage};
use crate::server::{PATIENCE, Server, poll, program};
use crate::upload_form::{form_of, stored_path, told, upload_request};

/// How soon a storage that is gone is told to clients.
const PROMPT: Duration = Duration::from_secs(5);

#[test]
fn images_and_answers_are_in_the_bucket() {
    let world = BucketWorld::start();
    let server = world.serve(None, "allow-originals: Yes\n");
    let content = jpeg(64, 48);
    let path = stored_path(&server, &content);
    assert_eq!(world.stored(&path).as_deref(), Some(&content[..]), "byte for byte");
    let target = format!("/image/w_20/{path}");
    let made = server.get(&target);
    assert_eq!((made.status, made.came()), (200, "miss"));
    let hit = wait_for_hit(&server, &target);
    assert_eq!(hit.body, made.body);
    world.wait_for_silence();
    let kept = world.names("cache/");
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(world.stored(&kept[0]).as_deref(), Some(&made.body[..]));
    assert_eq!(server.get(&format!("/image/w_20/{}", kept[0])).status, 400, "what is cached is no image to ask for");
    let tag = made.header("ETag").unwrap();
    assert_eq!(server.request("GET", &target, &[("If-None-Match", tag)]).status, 304);
    assert_eq!(server.request("GET", &target, &[("Range", "bytes=0-9")]).status, 206);
    assert_eq!(server.get(&format!("/image/_/{path}")).body, content);
    assert_eq!(server.get("/image/w_20/none.jpg").status, 404);
    assert_eq!(server.get("/ready").status, 200);
}

#[test]
fn a_bucket_of_google_does_the_same() {
    let Some(gcs) = GcsServer::start() else { return };
    let (directory, content) = (Arc::new(TempDir::new().unwrap()), jpeg(64, 48));
    let mut command = program();
    command.envs(gcs.environment(&gcs.endpoint()));
    let images = directory.path().join("none");
    let server = Server::start_as(command, directory, &images, "cache: {memory: 0}\n");
    let path = stored_path(&server, &content);
    let made = server.get(&format!("/image/w_20/{path}"));
    assert_eq!((made.status, made.came()), (200, "miss"), "{}", server.log_of_events());
    assert_eq!(wait_for_hit(&server, &format!("/image/w_20/{path}")).body, made.body);
    assert_eq!(server.get("/image/w_20/none.jpg").status, 404);
    let mut command = program();
    command.envs(gcs.environment(&gcs.endpoint())).env("GCS_ISS", "nobody@example.org");
    let output = command.arg("run").arg(server.configuration_file()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("GCS_ISS"), "{said}");
}

#[test]
fn names_arrive_byte_for_byte() {
    let world = BucketWorld::start();
    let server = world.serve(None, "");
    for (name, target) in [
        ("a b/c+d.jpg", "a%20b/c+d.jpg"),
        ("50%.jpg", "50%25.jpg"),
        ("grüße/日本.jpg", "gr%C3%BC%C3%9Fe/%E6%97%A5%E6%9C%AC.jpg"),
        ("q?x=1&y#z;.jpg", "q%3Fx=1%26y%23z;.jpg"),
        ("%2e%2e.jpg", "%252e%252e.jpg"),
    ] {
        world.put(name, jpeg(64, 48));
        let answer = server.get(&format!("/image/w_10/{target}"));
        assert_eq!(answer.status, 200, "{name}: {}", server.log_of_events());
    }
}

#[test]
fn sizes_of_one_picture_cost_one_fetch() {
    let world = BucketWorld::start();
    world.put("cat.jpg", noise(300, 200));
    let server = world.serve(None, "");
    let targets: Vec<_> = (1..=10).map(|number| format!("/image/w_{}/cat.jpg", number * 20)).collect();
    // At the same time, and one after the other.
    assert!(get_all(&server, 5, &targets).iter().all(|answer| answer.status == 200));
    assert_eq!(server.get("/image/w_7/cat.jpg").status, 200);
    world.wait_for_silence();
    let lines = lines(&world.proxy.requests());
    assert_eq!(lines.iter().filter(|line| *line == "GET cat.jpg").count(), 1, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("PUT cache/")).count(), 11, "{lines:?}");
    assert_eq!(lines.len(), 12, "{lines:?}");
}

#[test]
fn nothing_is_kept_where_nothing_may_be() {
    let world = BucketWorld::start();
    world.put("cat.jpg", noise(300, 200));
    let server = world.serve(None, "cache: {source-limit: 0}\n");
    assert_eq!(server.get("/image/w_10/cat.jpg").status, 200);
    assert_eq!(server.get("/image/w_20/cat.jpg").status, 200);
    world.wait_for_silence();
    let mut lines = lines(&world.proxy.requests());
    lines.retain(|line| !line.starts_with("PUT cache/"));
    assert_eq!(lines, ["HEAD cat.jpg", "GET cat.jpg", "GET cat.jpg"]);
    let server = world.serve(None, "cache: {enabled: No}\n");
    assert_eq!(server.get("/image/w_10/cat.jpg").status, 200);
    assert_eq!(crate::bucket_world::lines(&world.proxy.requests()), ["GET cat.jpg"]);
}

#[test]
fn a_hit_costs_one_request_and_a_cold_one_two() {
    let Some(redis) = RedisServer::start(Storage::Memory) else { return };
    let world = BucketWorld::start();
    world.put("cat.jpg", noise(300, 200));
    let first = world.serve(Some(&redis), "");
    let second = world.serve(Some(&redis), "");
    let made = first.get("/image/w_50/cat.jpg");
    wait_for_hit(&first, "/image/w_50/cat.jpg");
    world.wait_for_silence();
    let cold = lines(&world.proxy.requests());
    assert!(matches!(&cold[..], [get, put] if get == "GET cat.jpg" && put.starts_with("PUT cache/")), "{cold:?}");
    world.proxy.clear();
    for server in [&second, &first] {
        let hit = server.get("/image/w_50/cat.jpg");
        assert_eq!((hit.came(), &hit.body, hit.header("ETag")), ("hit", &made.body, made.header("ETag")));
    }
    let hits = lines(&world.proxy.requests());
    assert!(
        matches!(&hits[..], [get] if get.starts_with("GET cache/")),
        "in memory here, in the bucket there: {hits:?}"
    );
}

#[test]
fn a_changed_original_is_seen_when_it_is_looked_at_again() {
    let world = BucketWorld::start();
    world.put("cat.jpg", noise(300, 200));
    let server = world.serve(None, "cache: {revalidate: 1}\n");
    let before = server.get("/image/w_50/cat.jpg");
    wait_for_hit(&server, "/image/w_50/cat.jpg");
    world.wait_for_silence();
    world.proxy.clear();
    // Unchanged: a look, and no bytes.
    let looked = || {
        assert_eq!(server.get("/image/w_50/cat.jpg").came(), "hit");
        world.proxy.requests().first().cloned()
    };
    let look = poll(Instant::now() + PATIENCE, looked).expect("it is never looked at again");
    assert_eq!((&*look.head.method, look.status, look.response_bytes), ("GET", Some(304), 0));
    world.put("cat.jpg", noise(200, 300));
    let changed = || Some(server.get("/image/w_50/cat.jpg")).filter(|answer| answer.body != before.body);
    let after = poll(Instant::now() + PATIENCE, changed).expect("the change is never seen");
    assert_ne!(after.header("ETag"), before.header("ETag"));
    world.objects.delete("cat.jpg").unwrap();
    let gone = poll(Instant::now() + PATIENCE, || (server.get("/image/w_50/cat.jpg").status == 404).then_some(()));
    gone.expect("it is never missed");
    world.put("cat.jpg", noise(100, 100));
    let back = poll(Instant::now() + PATIENCE, || (server.get("/image/w_50/cat.jpg").status == 200).then_some(()));
    back.expect("it is never found again");
}

#[test]
fn a_purge_has_sources_looked_at_again() {
    let world = BucketWorld::start();
    world.put("cat.jpg", noise(300, 200));
    let server = world.serve(None, "");
    let before = server.get("/image/w_50/cat.jpg");
    world.put("cat.jpg", noise(200, 300));
    assert_eq!(server.get("/image/w_50/cat.jpg").body, before.body, "for a minute");
    let mut purge = world.program(None);
    purge.arg("cache").arg("--config").arg(server.configuration_file()).args(["purge", "cat.jpg"]);
    assert!(purge.output().unwrap().status.success());
    assert_ne!(server.get("/image/w_50/cat.jpg").body, before.body);
}

#[test]
fn the_cache_command_names_the_bucket() {
    let world = BucketWorld::start();
    world.put("cat.jpg", noise(300, 200));
    let server = world.serve(None, "");
    assert_eq!(server.get("/image/w_50/cat.jpg").status, 200);
    wait_for_hit(&server, "/image/w_50/cat.jpg");
    let mut stats = world.program(None);
    stats.arg("cache").arg("--config").arg(server.configuration_file()).arg("stats");
    let told = || {
        let text = String::from_utf8(stats.output().unwrap().stdout).unwrap();
        text.contains("\nanswers   1\n").then_some(text)
    };
    let text = poll(Instant::now() + PATIENCE, told).expect("the answer is never counted");
    let place = format!("bucket    {} of the S3 server at {}, under cache/\n", world.s3.bucket, world.proxy.endpoint());
    assert!(text.starts_with(&place) && !text.contains("folder"), "{text}");
}

#[test]
fn watermarks_come_from_the_bucket() {
    let world = BucketWorld::start();
    world.put("cat.jpg", noise(300, 200));
    world.put("mark.png", crate::pictures::png(20, 20));
    let marked = "cache: {revalidate: 1}\ntransformations: [{name: m, parameters: w_100, watermark: {source: mark.png, gravity: se}}]\n";
    let server = world.serve(None, marked);
    let with = server.get("/image/t_m/cat.jpg");
    assert_eq!(with.status, 200, "{}", server.log_of_events());
    assert_ne!(with.body, server.get("/image/w_100/cat.jpg").body);
    world.put("mark.png", crate::pictures::png(30, 10));
    let changed = || (server.get("/image/t_m/cat.jpg").body != with.body).then_some(());
    poll(Instant::now() + PATIENCE, changed).expect("another watermark is never seen");
    world.objects.delete("mark.png").unwrap();
    let missed = || (server.get("/image/t_m/cat.jpg").status == 500).then_some(());
    poll(Instant::now() + PATIENCE, missed).expect("a missing watermark is never seen");
}

#[test]
fn every_third_call_may_fail() {
    let world = BucketWorld::start();
    let plain = Server::start("cache: {enabled: No}\n");
    for number in 0..6 {
        let content = noise(100 + number * 20, 90);
        std::fs::write(plain.images().join(format!("{number}.jpg")), &content).unwrap();
        world.put(&format!("{number}.jpg"), content);
    }
    // What is asked for again comes from the bucket.
    let server = world.serve(None, "cache: {memory: 0}\n");
    // Of the calls for each object every third, and the first for a third of them: so none fails again and again for the
    // luck of those who call at the same time.
    let third = |faults: [Fault; 2]| {
        let calls: Mutex<HashMap<String, usize>> = Mutex::default();
        move |head: &SeenHead, _| {
            let mut calls = calls.lock().unwrap();
            let n_calls = calls.entry(format!("{} {}", head.method, head.target)).or_default();
            *n_calls += 1;
            let turn = *n_calls + head.target.bytes().map(usize::from).sum::<usize>();
            if turn.is_multiple_of(3) { faults[turn / 3 % 2].clone() } else { Fault::Pass }
        }
    };
    world.proxy.set(third([Fault::s3(503, "SlowDown"), Fault::s3(500, "InternalError")]));
    let targets: Vec<_> =
        (0..120).map(|number| format!("/image/w_{},h_40/{}.jpg", 20 + number / 6, number % 6)).collect();
    let wanted = get_all(&plain, 2, &targets);
    for _ in 0..2 {
        for ((answer, wanted), target) in get_all(&server, 4, &targets).iter().zip(&wanted).zip(&targets) {
            assert_eq!((answer.status, &answer.body), (200, &wanted.body), "{target}: {}", server.log_of_events());
        }
    }
    world.wait_for_silence();
    for _ in 0..5 {
        let content = jpeg(64, 48);
        let path = stored_path(&server, &content);
        world.proxy.heal();
        assert_eq!(world.stored(&path), Some(content));
        world.proxy.set(third([Fault::Reset, Fault::Refuse]));
    }
    let n_failed = world.proxy.requests().iter().filter(|seen| seen.status.is_none_or(|status| status >= 500)).count();
    // How many there are depends on how many answers are shared and how soon they are kept.
    let n_calls = world.proxy.requests().len();
    assert!(n_failed > 15 && n_failed * 6 > n_calls, "{n_failed} of {n_calls} failed");
}

#[test]
fn what_is_in_memory_is_served_while_the_storage_is_gone() {
    let world = BucketWorld::start();
    world.put("cat.jpg", noise(300, 200));
    world.put("dog.jpg", noise(300, 200));
    let server = world.serve(None, "cache: {revalidate: 1}\n");
    let hot = server.get("/image/w_50/cat.jpg");
    wait_for_hit(&server, "/image/w_50/cat.jpg");
    let check = |gone: &str, statuses: &[u16]| {
        let began = Instant::now();
        let cold = server.get("/image/w_60/dog.jpg");
        assert!(statuses.contains(&cold.status), "{gone}: {}", cold.status);
        assert!(began.elapsed() < PROMPT, "{gone}: after {:?}", began.elapsed());
        let began = Instant::now();
        let upload = told(&server, &upload_request("/upload", &form_of(&jpeg(64, 48))));
        assert!([502, 504].contains(&upload.status), "{gone}: {upload:?}");
        assert!(began.elapsed() < PROMPT * 6, "{gone}: an upload after {:?}", began.elapsed());
        // Also when what is known of the source is older than it may be.
        let until = Instant::now() + Duration::from_millis(2500);
        while Instant::now() < until {
            let began = Instant::now();
            let hit = server.get("/image/w_50/cat.jpg");
            assert_eq!((hit.status, hit.came(), &hit.body), (200, "hit", &hot.body), "{gone}");
            assert!(began.elapsed() < PROMPT, "{gone}: a hit after {:?}", began.elapsed());
        }
        let unready = poll(Instant::now() + PATIENCE, || (server.get("/ready").status == 503).then_some(()));
        unready.unwrap_or_else(|| panic!("{gone}: it says that it is ready"));
        assert_eq!(server.get("/health").status, 200);
    };
    let recovers = |gone: &str| {
        let back = poll(Instant::now() + PATIENCE, || (server.get("/image/w_60/dog.jpg").status == 200).then_some(()));
        back.unwrap_or_else(|| panic!("{gone}: it never recovers: {}", server.log_of_events()));
        let ready = poll(Instant::now() + PATIENCE, || (server.get("/ready").status == 200).then_some(()));
        ready.unwrap_or_else(|| panic!("{gone}: it is never ready again"));
        assert_eq!(world.stored(&stored_path(&server, &jpeg(64, 48))), Some(jpeg(64, 48)));
    };
    world.proxy.stop_listening();
    world.proxy.end_connections();
    check("refused", &[502]);
    world.proxy.listen_again();
    recovers("refused");
    world.put("dog.jpg", noise(310, 200));
    std::thread::park_timeout(Duration::from_millis(1100));
    world.proxy.always(Fault::Refuse);
    world.proxy.end_connections();
    let stale = server.get("/image/w_60/dog.jpg");
    assert_eq!((stale.status, stale.came()), (200, "hit"), "what was known last counts");
    world.proxy.heal();
    recovers("closed");
}

#[test]
fn a_storage_that_never_answers_is_told_in_time() {
    let world = BucketWorld::start();
    world.put("dog.jpg", noise(300, 200));
    let server = world.serve(None, "storage-timeout: 2\n");
    world.proxy.always(Fault::Stall);
    let began = Instant::now();
    let slow = server.get("/image/w_60/dog.jpg");
    assert!(
        [502, 504].contains(&slow.status) && began.elapsed() < PROMPT,
        "{} after {:?}",
        slow.status,
        began.elapsed()
    );
    // Others need not wait for the same, but for one in a while that tries for all.
    let told = crate::client::together((1..=8).collect(), |number| {
        let began = Instant::now();
        (server.get(&format!("/image/w_7{number}/cat{number}.jpg")).status, began.elapsed())
    });
    let n_prompt = told.iter().filter(|(status, time)| *status == 502 && *time < Duration::from_millis(1500)).count();
    assert!(n_prompt >= 6, "{told:?}");
    world.proxy.heal();
    let back = poll(Instant::now() + PATIENCE, || (server.get("/image/w_60/dog.jpg").status == 200).then_some(()));
    back.expect("it never recovers");
}

#[test]
fn a_slow_storage_has_the_time_that_is_configured() {
    let world = BucketWorld::start();
    world.put("cat.jpg", noise(300, 200));
    let server = world.serve(None, "storage-timeout: 30\n");
    world.proxy.always(Fault::Delay(Duration::from_secs(5)));
    assert_eq!(server.get("/image/w_60/cat.jpg").status, 200, "{}", server.log_of_events());
}

#[test]
fn a_damaged_body_is_neither_served_nor_kept() {
    let world = BucketWorld::start();
    let plain = Server::start("cache: {enabled: No}\n");
    let content = noise(300, 200);
    std::fs::write(plain.images().join("cat.jpg"), &content).unwrap();
    // Nothing but the bucket has anything.
    let server = world.serve(None, "cache: {memory: 0}\n");
    let right = plain.get("/image/w_50/cat.jpg").body;
    let faults = [Fault::CutBody(9000), Fault::ShortBody, Fault::CorruptBody, Fault::LieLength(7), Fault::Endless];
    for (number, fault) in faults.into_iter().enumerate() {
        let what = format!("{fault:?}");
        world.put(&format!("{number}.jpg"), content.clone());
        let target = &*format!("/image/w_50/{number}.jpg");
        world.proxy.always(fault.clone());
        let began = Instant::now();
        let answer = server.get(target);
        assert!([502, 504].contains(&answer.status), "{what}: {}", answer.status);
        assert!(began.elapsed() < Duration::from_secs(15), "{what}: after {:?}", began.elapsed());
        world.proxy.heal();
        assert_eq!(world.names("cache/").len(), number, "{what}");
        let back = poll(Instant::now() + PATIENCE, || Some(server.get(target)).filter(|answer| answer.status == 200));
        assert_eq!(back.expect("it never recovers").body, right, "{what}");
        wait_for_hit(&server, target);
        // The answer itself, on its way from the bucket: it is made anew, or comes with the next try.
        let what = format!("{what} of what is cached");
        world.proxy.set({
            move |head, _| {
                if head.target.contains("/cache/") && head.method == "GET" { fault.clone() } else { Fault::Pass }
            }
        });
        let again = server.get(target);
        assert_eq!((again.status, &again.body), (200, &right), "{what}: {}", server.log_of_events());
        world.proxy.heal();
        wait_for_hit(&server, target);
    }
}

#[test]
fn a_damaged_upload_is_never_answered_as_stored() {
    let world = BucketWorld::start();
    let server = world.serve(None, "");
    for fault in [Fault::CorruptRequest, Fault::s3(500, "InternalError"), Fault::StatusAfter(500, String::new())] {
        let what = format!("{fault:?}");
        world.proxy.always(fault.clone());
        let answer = told(&server, &upload_request("/upload", &form_of(&jpeg(64, 48))));
        assert!([502, 504].contains(&answer.status), "{what}: {answer:?}");
        // What fails once is tried again.
        world.proxy.first(1, fault);
        let stored = poll(Instant::now() + PATIENCE, || {
            let answer = told(&server, &upload_request("/upload", &form_of(&jpeg(64, 48))));
            (answer.status == 200).then_some(answer)
        });
        let stored = stored.unwrap_or_else(|| panic!("{what}: it never recovers"));
        assert_eq!(world.stored(&stored.path), Some(jpeg(64, 48)), "{what}");
    }
}

#[test]
fn an_upload_that_was_answered_outlives_an_outage() {
    let world = BucketWorld::start();
    let server = world.serve(None, "async-uploads: Yes\n");
    // It fails in the moment between the answer and the storing.
    world.proxy.set(|head, _| if head.method == "PUT" { Fault::Refuse } else { Fault::Pass });
    let path = stored_path(&server, &jpeg(64, 48));
    let tried = || (world.proxy.requests().iter().filter(|seen| seen.head.method == "PUT").count() >= 5).then_some(());
    poll(Instant::now() + PATIENCE, tried).expect("it is never stored");
    assert_eq!(world.stored(&path), None);
    world.proxy.heal();
    let stored = poll(Instant::now() + PATIENCE, || world.stored(&path));
    assert_eq!(stored, Some(jpeg(64, 48)));
    // While the storage is away, nothing is promised.
    world.proxy.stop_listening();
    world.proxy.end_connections();
    let unready = poll(Instant::now() + PATIENCE, || (server.get("/ready").status == 503).then_some(()));
    unready.expect("it says that it is ready");
    let answer = told(&server, &upload_request("/upload", &form_of(&jpeg(64, 48))));
    assert!([502, 504].contains(&answer.status), "{answer:?}");
}

#[test]
fn a_start_says_what_is_wrong_with_the_bucket() {
    let world = BucketWorld::start();
    let start = |variables: &[(&str, &str)]| -> (Option<i32>, String) {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, format!("listen: 127.0.0.1:0\ndata-path: {}\n", folder.path().join("data").display()))
            .unwrap();
        let mut command = world.program(None);
        command.arg("run").arg(&file).envs(variables.iter().copied());
        let Output { status, stderr, .. } = command.output().unwrap();
        (status.code(), String::from_utf8(stderr).unwrap())
    };
    let check = |variables: &[(&str, &str)], said: &[&str]| {
        let (status, text) = start(variables);
        assert_eq!(status, Some(1), "{variables:?}: {text}");
        assert!(said.iter().all(|said| text.contains(said)), "{said:?}: {text}");
        assert!(!text.contains(&world.s3.secret), "{text}");
    };
    check(&[("AWS_ACCESS_KEY_ID", "nobody")], &["AWS_ACCESS_KEY_ID"]);
    check(&[("AWS_SECRET_ACCESS_KEY", "guessed")], &["AWS_SECRET_ACCESS_KEY"]);
    check(&[("PIXLSERV_S3_BUCKET", "elsewhere")], &["elsewhere"]);
    check(&[("PIXLSERV_S3_ENDPOINT", "ftp://here")], &["http://"]);
    for action in ["ListBucket", "PutObject", "GetObject", "DeleteObject"] {
        world.s3.deny(&[action]);
        check(&[], &[&format!("s3:{action}")]);
    }
    world.s3.deny(&[]);
    world.proxy.always(Fault::Skew(10));
    check(&[], &["clock", "10 minutes"]);
}

#[test]
fn a_bucket_that_may_only_be_read_is_enough_where_nothing_is_kept() {
    let world = BucketWorld::start();
    world.put("cat.jpg", noise(300, 200));
    world.s3.deny(&["PutObject", "DeleteObject"]);
    let server = world.serve(None, "cache: {enabled: No}\n");
    assert_eq!(server.get("/image/w_50/cat.jpg").status, 200);
    assert!(server.log().contains("s3:PutObject"), "{}", server.log());
    let answer = told(&server, &upload_request("/upload", &form_of(&jpeg(64, 48))));
    assert_eq!(answer.status, 502, "{answer:?}");
}

#[test]
fn a_clock_that_is_off_is_named() {
    let world = BucketWorld::start();
    world.put("cat.jpg", noise(300, 200));
    let server = world.serve(None, "");
    world.proxy.always(Fault::Skew(10));
    assert_eq!(server.get("/image/w_50/cat.jpg").status, 502);
    let said = || Some(server.log_of_events()).filter(|log| log.contains("clock") && log.contains("10 minutes"));
    poll(Instant::now() + PATIENCE, said).unwrap_or_else(|| panic!("it is not said: {}", server.log_of_events()));
    world.proxy.heal();
    assert_eq!(server.get("/image/w_50/cat.jpg").status, 200);
}

#[test]
fn a_start_waits_for_no_storage_that_is_away() {
    let world = BucketWorld::start();
    world.put("cat.jpg", noise(300, 200));
    world.proxy.stop_listening();
    let directory = Arc::new(TempDir::new().unwrap());
    let images = directory.path().to_owned();
    let server = Server::start_as(world.program(None), directory, &images, "");
    assert_eq!((server.get("/health").status, server.get("/image/w_50/cat.jpg").status), (200, 502));
    world.proxy.listen_again();
    let back = poll(Instant::now() + PATIENCE, || (server.get("/image/w_50/cat.jpg").status == 200).then_some(()));
    back.expect("it never finds the storage");
}

#[test]
fn a_large_object_takes_its_size_in_memory_at_most() {
    const MB: usize = 1 << 20;
    let world = BucketWorld::start();
    // A picture of 4 x 4 with 50 MB behind it.
    let mut content = crate::pictures::png(4, 4);
    content.resize(50 * MB, 7);
    world.put("large.png", content);
    let mut photo = jpeg(64, 48);
    photo.resize(50 * MB, 7);
    let server = world.serve(None, "upload-max-file-size: 60000000\n");
    assert_eq!(server.get("/image/w_3/none.png").status, 404);
    server.forget_peak();
    let idle = server.resident_kb() as usize * 1024;
    let made = server.get("/image/w_3/large.png");
    assert_eq!(made.status, 200, "{}", server.log_of_events());
    let read = (server.peak_kb() as usize * 1024).saturating_sub(idle);
    assert!(read < 50 * MB + 12 * MB, "reading takes {} MB", read / MB);
    server.forget_peak();
    let path = stored_path(&server, &photo);
    let stored = (server.peak_kb() as usize * 1024).saturating_sub(idle);
    assert!(stored < 50 * MB + 12 * MB, "storing takes {} MB", stored / MB);
    assert_eq!(world.stored(&path).map(|stored| stored.len()), Some(50 * MB));
    println!("a 50 MB object: {} MB above idle to read it, {} MB to store it", read / MB, stored / MB);
}
