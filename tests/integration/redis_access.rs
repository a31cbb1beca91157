//! Keys, rates, uploads and eager work of servers that share a redis, also while it is away.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pixlserv::index::{Jobs, Records, RedisIndex};
use tempfile::TempDir;

use crate::pictures::{jpeg, noise};
use crate::redis_server::{RedisServer, Storage};
use crate::server::{PATIENCE, Server, poll, program};
use crate::upload_form::{Form, form_of, stored_path, upload};

const TARGET: &str = "/image/w_20/photo.jpg";
const EAGER: &str = "
transformations:
    - {name: small, parameters: 'w_20', eager: Yes}
    - {name: gray, parameters: 'w_30,f_grayscale', eager: Yes}
";

fn with(redis: &RedisServer) -> Command {
    let mut command = program();
    command.env("PIXLSERV_REDIS_URL", redis.url());
    command
}

/// A server with folders of its own, in which `photo.jpg` is.
fn serve(redis: &RedisServer, configuration: &str) -> Server {
    let directory = Arc::new(TempDir::new().unwrap());
    let images = directory.path().join("images");
    std::fs::create_dir(&images).unwrap();
    std::fs::write(images.join("photo.jpg"), jpeg(64, 48)).unwrap();
    Server::start_as(with(redis), directory, &images, configuration)
}

/// The same once more, after its end.
fn serve_again(redis: &RedisServer, server: &Server, configuration: &str) -> Server {
    Server::start_as(with(redis), server.shared_directory(), &server.images(), configuration)
}

/// What a key command says.
fn api_key(redis: &RedisServer, arguments: &[&str]) -> String {
    let output = with(redis).arg("api-key").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn new_key(redis: &RedisServer) -> (String, String) {
    let said = api_key(redis, &["add"]);
    let field = |name| said.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    (field("Key: "), field("Secret: "))
}

#[test]
fn servers_of_one_redis_count_together() {
    let Some(mut redis) = RedisServer::start(Storage::Memory) else { return };
    let servers = [serve(&redis, "throttling-rate: 20\n"), serve(&redis, "throttling-rate: 20\n")];
    let statuses: Vec<u16> = (0..30).map(|number| servers[number % 2].get(TARGET).status).collect();
    let n_served = statuses.iter().filter(|status| **status == 200).count();
    // One comes back every three seconds.
    assert!((20..=24).contains(&n_served), "{statuses:?}");
    assert!(statuses[..20].iter().all(|status| *status == 200) && statuses.contains(&429), "{statuses:?}");
    for server in &servers {
        assert_eq!(server.get("/health").status, 200);
    }
    // Alone, each counts for itself: nobody is let through without a count, and nobody is refused for redis.
    redis.kill();
    let statuses: Vec<u16> = (0..60).map(|_| servers[0].get("/").status).collect();
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    assert!(statuses.iter().filter(|status| **status == 200).count() <= 24, "{statuses:?}");
}

#[test]
fn a_key_that_is_known_goes_on_while_redis_is_away() {
    let Some(mut redis) = RedisServer::start(Storage::Disk) else { return };
    let server = serve(&redis, "authorisation: {get: Yes, upload: Yes}\n");
    let ((known, _), (other, _)) = (new_key(&redis), new_key(&redis));
    let status = |key: &str| server.get(&format!("/{key}{TARGET}")).status;
    assert_eq!([status(&known), status("nobody")], [200, 401]);
    redis.kill();
    for _ in 0..3 {
        assert_eq!([status(&known), server.get(TARGET).status], [200, 401]);
    }
    let unknown = server.get(&format!("/{other}{TARGET}"));
    assert_eq!((unknown.status, unknown.header("Retry-After")), (503, Some("1")), "nobody can tell: {unknown:?}");
    let refused = upload(&server, &format!("/{other}/upload"), &form_of(&jpeg(8, 8)));
    assert_eq!((refused.status, refused.message.contains("try again")), (503, true), "{refused:?}");
    redis.restart();
    let is_back = || (status(&other) == 200).then_some(());
    poll(Instant::now() + PATIENCE, is_back).expect("a key is found again");
    api_key(&redis, &["remove", &known]);
    let start = Instant::now();
    let is_refused = || (status(&known) == 401).then_some(start.elapsed());
    let time = poll(Instant::now() + PATIENCE, is_refused).expect("a key that is removed is refused");
    eprintln!("a removed key was refused after {time:?}");
    let shown = server.log();
    assert!(!shown.contains(&known) && !shown.contains(&other), "{shown}");
}

#[test]
fn a_key_that_was_changed_before_redis_went_away_stays_changed() {
    let Some(mut redis) = RedisServer::start(Storage::Disk) else { return };
    let server = serve(&redis, "authorisation: {get: Yes}\n");
    let keys: Vec<String> = (0..3).map(|_| new_key(&redis).0).collect();
    let status = |key: &str| server.get(&format!("/{key}{TARGET}")).status;
    assert!(keys.iter().all(|key| status(key) == 200));
    api_key(&redis, &["remove", &keys[0]]);
    api_key(&redis, &["modify", &keys[1], "remove", "get"]);
    // Nobody uses them meanwhile; what the server knows of them is two seconds old at most.
    let end = Instant::now() + Duration::from_millis(2500);
    poll(end, || (server.get("/health").status != 200).then_some(()));
    redis.kill();
    assert_eq!([status(&keys[0]), status(&keys[1]), status(&keys[2])], [401, 401, 200]);
}

#[test]
fn a_key_as_the_go_server_wrote_it_signs_an_upload() {
    let Some(redis) = RedisServer::start(Storage::Memory) else { return };
    let server = serve(&redis, "authorisation: {get: Yes, upload: Yes}\n");
    let (key, secret) = ("4f1ab0c2d3e4f5061728394a5b6c7d8e", "00112233445566778899aabbccddeeff");
    let mut connection = redis.connect();
    let mut run = |command: &str| {
        let mut words = command.split(' ');
        redis::cmd(words.next().unwrap()).arg(words.collect::<Vec<_>>()).exec(&mut connection).unwrap();
    };
    run(&format!("SADD api-keys {key}"));
    run(&format!("HSET key:{key} secret {secret}"));
    run(&format!("SADD key:{key}:permissions get upload"));
    let timestamp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().to_string();
    let signer = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let signature = ring::hmac::sign(&signer, format!("timestamp={timestamp}").as_bytes());
    let signature: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let form = Form::new().text("timestamp", &timestamp).text("signature", &signature).image(&jpeg(30, 20)).end();
    let told = upload(&server, &format!("/{key}/upload"), &form);
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(server.get(&format!("/{key}/image/w_20/{}", told.path)).status, 200);
    let unsigned = upload(&server, &format!("/{key}/upload"), &form_of(&jpeg(30, 20)));
    assert_eq!((unsigned.status, unsigned.message.as_str()), (400, "invalid timestamp"));
}

#[test]
fn eager_work_survives_its_server_and_an_absence_of_redis() {
    let Some(mut redis) = RedisServer::start(Storage::Disk) else { return };
    let configuration = format!("cache: {{memory: 0}}{EAGER}");
    let mut server = serve(&redis, &configuration);
    let index = RedisIndex::open(&redis.url().parse().unwrap()).unwrap();
    // What a dead server had taken is free again when its lease is over.
    let patience = Duration::from_secs(40);
    let hits = |server: &Server, path: &str| {
        let both = || (index.list(path, None, 10).ok()?.len() == 2).then_some(());
        assert!(poll(Instant::now() + patience, both).is_some(), "{path}: {}", server.log_of_events());
        for name in ["t_small", "t_gray"] {
            assert_eq!(server.get(&format!("/image/{name}/{path}")).came(), "hit", "{name}");
        }
    };
    let path = stored_path(&server, &noise(600, 400));
    server.kill();
    let server = serve_again(&redis, &server, &configuration);
    hits(&server, &path);
    let idle = || (index.n_jobs().ok()? == 0).then_some(());
    assert!(poll(Instant::now() + patience, idle).is_some(), "{}", server.log_of_events());
    redis.kill();
    let path = stored_path(&server, &noise(300, 200));
    redis.restart();
    hits(&server, &path);
    assert_eq!(server.log_of_events().matches("WARN redis cannot be reached").count(), 1, "{}", server.log_of_events());
}
