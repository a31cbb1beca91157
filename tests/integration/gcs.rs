//! What is particular to Google Cloud Storage: tokens, keys, names in URLs, refusals. The storage is the one of
//! `gcs_server`.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use pixlserv::store::objects::{
    Content, Fetched, GcsOptions, InMemory, MAX_NAME_BYTES, ObjectError, ObjectState, Objects, gcs,
};
use serde_json::json;

use crate::gcs_server::{GcsServer, keys, openssl, text};

const TIMEOUT: Duration = Duration::from_secs(10);
const LIMIT: u64 = 64 << 20;

fn options(server: &GcsServer) -> GcsOptions {
    let environment = server.environment(&server.endpoint());
    let [(_, issuer), (_, key), (_, bucket), (_, endpoint), (_, token_url)] = environment;
    GcsOptions { issuer, key, bucket, endpoint: Some(endpoint), token_url: Some(token_url) }
}

fn open(server: &GcsServer) -> Arc<dyn Objects> {
    gcs(&options(server), TIMEOUT).unwrap()
}

fn put(objects: &dyn Objects, name: &str, bytes: &[u8]) {
    objects.put(name, &content(bytes), "image/jpeg").unwrap_or_else(|error| panic!("{name}: {error}"));
}

fn content(bytes: &[u8]) -> Content {
    Content::Bytes(Arc::new(bytes.to_vec()))
}

fn get(objects: &dyn Objects, name: &str) -> Result<(Vec<u8>, ObjectState), ObjectError> {
    let mut sink = InMemory::new(LIMIT);
    match objects.get(name, None, &mut sink)? {
        Fetched::Whole(state) => Ok((sink.bytes, state)),
        Fetched::Unchanged => panic!("no tag was given"),
    }
}

fn names(objects: &dyn Objects, prefix: &str, limit: usize) -> Vec<String> {
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let page = objects.list(prefix, after.as_deref(), limit).unwrap();
        assert!(page.objects.len() <= limit, "{}", page.objects.len());
        names.extend(page.objects.into_iter().map(|object| object.name));
        after = page.next;
        if after.is_none() {
            return names;
        }
    }
}

/// The reason of a refusal, which never shows the key.
fn refused<T>(result: Result<T, ObjectError>) -> String {
    let Err(ObjectError::Refused(reason)) = result else { panic!("it is not refused: {:?}", result.err()) };
    let key = &keys().pkcs8;
    let lines = key.lines().filter(|line| !line.starts_with('-'));
    assert!(lines.into_iter().all(|line| !reason.contains(&line[..line.len().min(12)])), "{reason}");
    reason
}

#[test]
fn any_name_can_be_stored_found_and_removed() {
    let Some(server) = GcsServer::start() else { return };
    let objects = open(&server);
    let long = "ü".repeat(MAX_NAME_BYTES / 2);
    let mut hard = vec![
        "a b.jpg",
        "a+b",
        "a%20b",
        "a%2Fb",
        "a//b",
        "/a/b/",
        "a/b",
        "./a",
        "../../a",
        "...",
        "a#b",
        "a?b=c&d",
        "\\a\\",
        "~",
        "\"'<>",
        "é",
        "e\u{301}",
        "日本/語.png",
        "😀",
        "a:b@c",
        "$&,;=",
        "[x]{y}|^`",
        "acl",
        "a/acl",
        "o/o",
        &long,
    ];
    for name in &hard {
        put(&*objects, name, name.as_bytes());
    }
    for name in &hard {
        let (bytes, state) = get(&*objects, name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(bytes, name.as_bytes(), "{name}");
        assert_eq!(state, objects.head(name).unwrap(), "{name}");
        assert_eq!((state.size_bytes, state.content_type.as_str()), (name.len() as u64, "image/jpeg"));
        let age = SystemTime::now().duration_since(state.modified).unwrap();
        assert!(age < Duration::from_secs(60), "{name}: {age:?}");
    }
    hard.sort_unstable();
    for limit in [1, 7, 1000] {
        assert_eq!(names(&*objects, "", limit), hard);
    }
    let under_a: Vec<&str> = hard.iter().copied().filter(|name| name.starts_with("a%2")).collect();
    assert_eq!(names(&*objects, "a%2", 1000), under_a);
    for name in &hard {
        objects.delete(name).unwrap();
        objects.delete(name).unwrap();
        assert!(matches!(get(&*objects, name), Err(ObjectError::Missing)), "{name}");
        assert!(matches!(objects.head(name), Err(ObjectError::Missing)), "{name}");
    }
    assert!(names(&*objects, "", 1000).is_empty());
    for name in [".", ".."] {
        assert!(matches!(get(&*objects, name), Err(ObjectError::Missing)), "{name}");
    }
}

#[test]
fn each_write_makes_a_new_tag_and_reading_is_one_request() {
    let Some(server) = GcsServer::start() else { return };
    let objects = open(&server);
    put(&*objects, "a", b"first");
    let (_, first) = get(&*objects, "a").unwrap();
    let mut sink = InMemory::new(LIMIT);
    let n_before = server.n_requests();
    assert_eq!(objects.get("a", Some(&first.tag), &mut sink).unwrap(), Fetched::Unchanged);
    assert_eq!(objects.get("a", Some("tag of S3"), &mut sink).unwrap(), Fetched::Whole(first.clone()));
    assert_eq!(server.n_requests() - n_before, 2);
    put(&*objects, "a", b"first");
    let Fetched::Whole(second) = objects.get("a", Some(&first.tag), &mut sink).unwrap() else { panic!("unchanged") };
    assert_ne!(second.tag, first.tag);
    put(&*objects, "a", b"");
    let (bytes, empty) = get(&*objects, "a").unwrap();
    assert_eq!((bytes.len(), empty.size_bytes), (0, 0));
    objects.delete("a").unwrap();
    assert!(matches!(objects.get("a", Some(&empty.tag), &mut sink), Err(ObjectError::Missing)));
    let n_before = server.n_requests();
    objects.check().unwrap();
    assert_eq!(server.n_requests(), n_before, "it has answered just now");
}

#[test]
fn contents_that_look_like_the_end_of_an_upload_stay_whole() {
    let Some(server) = GcsServer::start() else { return };
    let objects = open(&server);
    for bytes in [&b"\r\n"[..], b"\r\n--", b"--\r\n\r\n--", b"\n\r\r\n\r", b"\0\xff\xfe", b"From: a\r\n\r\n.\r\n"] {
        put(&*objects, "a", bytes);
        assert_eq!(get(&*objects, "a").unwrap().0, bytes);
    }
    let large: Vec<u8> = (0..5_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    put(&*objects, "large", &large);
    assert!(get(&*objects, "large").unwrap().0 == large);
    for (content_type, expected) in [
        ("", "application/octet-stream"),
        ("image/png; a=\"b\"", "image/png; a=\"b\""),
        ("line\r\nX-Other: 1", "application/octet-stream"),
    ] {
        objects.put("a", &content(b"a"), content_type).unwrap();
        assert_eq!(get(&*objects, "a").unwrap().1.content_type, expected);
    }
}

#[test]
fn a_key_is_taken_in_every_form_it_comes_in() {
    let Some(server) = GcsServer::start() else { return };
    let keys = keys();
    assert!(keys.pkcs1.starts_with("-----BEGIN RSA PRIVATE KEY") && keys.pkcs8.starts_with("-----BEGIN PRIVATE KEY"));
    let bag = format!(
        "Bag Attributes\n    friendlyName: privatekey\n    localKeyID: 54 69 \nKey Attributes: <No Attributes>\n{}\
         Bag Attributes\n    friendlyName: privatekey\n-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        keys.pkcs8
    );
    for key in [
        keys.pkcs8.clone(),
        keys.pkcs1.clone(),
        keys.pkcs8.replace('\n', "\\n"),
        keys.pkcs1.replace('\n', "\\r\\n"),
        keys.pkcs8.replace('\n', "\r\n"),
        keys.pkcs8.replace('\n', " "),
        format!(" \"{}\"\n", keys.pkcs8.trim().replace('\n', "\\n")),
        bag,
        of_pkcs12(&keys.pkcs8),
        json!({"type": "service_account", "private_key": keys.pkcs8}).to_string(),
    ] {
        let objects = gcs(&GcsOptions { key: key.clone(), ..options(&server) }, TIMEOUT);
        objects.and_then(|objects| objects.check()).unwrap_or_else(|error| panic!("{error}: {key}"));
    }
}

/// The key as openssl writes it out of a PKCS#12 file, with its certificate.
fn of_pkcs12(key: &str) -> String {
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (key_path, file) = (path("key.pem"), path("key.p12"));
    std::fs::write(&key_path, key).unwrap();
    let certificate = text(openssl(&["req", "-x509", "-new", "-key", &key_path, "-subj", "/CN=a", "-days", "1"], ""));
    let both = format!("{key}{certificate}");
    openssl(&["pkcs12", "-export", "-passout", "pass:notasecret", "-name", "privatekey", "-out", &file], &both);
    let pem = text(openssl(&["pkcs12", "-in", &file, "-passin", "pass:notasecret", "-nodes"], ""));
    assert!(pem.starts_with("Bag Attributes"), "{pem}");
    pem
}

#[test]
fn what_is_no_usable_key_is_refused_before_anything_is_asked() {
    let options = |key: String| GcsOptions {
        issuer: "a@b".to_owned(),
        key,
        bucket: "images".to_owned(),
        endpoint: None,
        token_url: None,
    };
    let small = text(openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"], ""));
    let curve = text(openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], ""));
    let old_curve = text(openssl(&["ec"], &curve));
    let whole = &keys().pkcs8;
    let locked = text(openssl(&["pkcs8", "-topk8", "-passout", "pass:a"], whole));
    let old_locked = text(openssl(&["rsa", "-traditional", "-aes128", "-passout", "pass:a"], whole));
    for (key, expected) in [
        (String::new(), "no private key in PEM"),
        ("secret".to_owned(), "no private key in PEM"),
        ("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_owned(), "no private key in PEM"),
        (whole[..400].to_owned(), "is cut off"),
        (whole.replacen("MII", "MI!", 1), "is damaged"),
        (whole.replacen("MII", "MIJ", 1), "is damaged"),
        (small, "too small"),
        (curve, "not a key of RSA"),
        (old_curve, "not a key of RSA"),
        (locked, "is encrypted"),
        (old_locked, "is encrypted"),
    ] {
        let reason = refused(gcs(&options(key.clone()), TIMEOUT));
        assert!(reason.starts_with("GCS_KEY ") && reason.contains(expected), "{expected}: {reason}");
        assert!(!format!("{:?}", options(key)).contains("BEGIN"));
    }
    let shown = format!("{:?}", gcs(&options(whole.clone()), TIMEOUT).unwrap());
    assert!(shown.contains("a@b") && !shown.contains("PRIVATE"), "{shown}");
}

#[test]
fn a_token_serves_all_and_is_renewed_before_its_end() {
    let Some(server) = GcsServer::start() else { return };
    let objects = open(&server);
    thread::scope(|scope| {
        for index in 0..16 {
            let objects = &objects;
            scope.spawn(move || put(&**objects, &format!("{index}"), b"content"));
        }
    });
    assert_eq!((server.n_tokens(), server.n_requests()), (1, 16));
    server.set_token_life_ms(2000);
    let objects = open(&server);
    while server.n_tokens() < 4 {
        get(&*objects, "1").unwrap();
    }
    assert_eq!(server.n_unauthorized(), 0);
}

#[test]
fn a_token_that_is_not_taken_is_replaced_at_once() {
    let Some(server) = GcsServer::start() else { return };
    let objects = open(&server);
    put(&*objects, "a", b"content");
    for (n_revoked, call) in [
        (1, &(|| get(&*objects, "a").map(drop)) as &dyn Fn() -> Result<(), ObjectError>),
        (2, &|| objects.put("b", &content(b"content"), "image/png")),
        (3, &|| objects.head("b").map(drop)),
        (4, &|| objects.list("", None, 10).map(drop)),
        (5, &|| objects.delete("b")),
    ] {
        server.revoke_tokens();
        call().unwrap();
        assert_eq!((server.n_tokens(), server.n_unauthorized()), (1 + n_revoked, n_revoked));
    }
    // A token that is never taken.
    server.set_token_life_ms(0);
    server.revoke_tokens();
    let reason = refused(objects.head("a"));
    assert!(reason.contains("does not take the tokens of the account \"pixlserv@"), "{reason}");
    assert_eq!(server.n_unauthorized(), 7);
}

#[test]
fn refusals_say_what_is_to_be_mended() {
    let Some(server) = GcsServer::start() else { return };
    let check = |change: &dyn Fn(&mut GcsOptions)| {
        let mut changed = options(&server);
        change(&mut changed);
        let objects = gcs(&changed, TIMEOUT).unwrap();
        let reason = refused(objects.check());
        assert_eq!(refused(objects.put("a", &content(b"a"), "image/png")), reason);
        assert_eq!(refused(objects.head("a")), reason);
        reason
    };
    let other = text(openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], ""));
    let reason = check(&|options| options.key = other.clone());
    assert!(reason.contains("GCS_KEY is not") && reason.contains("Invalid JWT Signature."), "{reason}");
    let reason = check(&|options| options.issuer = "nobody@example.com".to_owned());
    assert!(reason.contains("there is no account \"nobody@example.com\" (GCS_ISS)"), "{reason}");
    let reason = check(&|options| options.token_url = Some(format!("{}/nothing", server.endpoint())));
    assert!(reason.contains("the token address"), "{reason}");
    for (ahead, expected) in [(3600, "60 minutes behind"), (-7300, "122 minutes ahead")] {
        server.set_ahead_seconds(ahead);
        let reason = check(&|_| {});
        assert!(reason.contains(&format!("the clock of this machine is {expected}")), "{reason}");
    }
    server.set_ahead_seconds(60);
    open(&server).check().unwrap();
    let objects = gcs(&GcsOptions { bucket: "pictures".to_owned(), ..options(&server) }, TIMEOUT).unwrap();
    for reason in [
        refused(objects.check()),
        refused(get(&*objects, "a")),
        refused(objects.head("a")),
        refused(objects.put("a", &content(b"a"), "image/png")),
        refused(objects.delete("a")),
    ] {
        assert!(reason.contains("there is no bucket \"pictures\" (PIXLSERV_GCS_BUCKET)"), "{reason}");
    }
}

#[test]
fn a_token_address_that_fails_is_asked_again() {
    let Some(server) = GcsServer::start() else { return };
    server.set_token_status(503);
    let objects = open(&server);
    let failed = objects.head("a").unwrap_err();
    assert!(matches!(failed, ObjectError::Failed(_)), "{failed:?}");
    assert_eq!(failed.to_string(), "the token address answered 503");
    assert_eq!(server.n_tokens(), 5);
    server.set_token_status(0);
    assert!(matches!(objects.head("a"), Err(ObjectError::Missing)));
    // Nobody listens on port 1.
    let nowhere = GcsOptions { token_url: Some("http://127.0.0.1:1/token".to_owned()), ..options(&server) };
    let unreachable = gcs(&nowhere, TIMEOUT).unwrap().head("a").unwrap_err();
    assert!(matches!(unreachable, ObjectError::Unreachable(_)), "{unreachable:?}");
    assert!(unreachable.to_string().starts_with("the token address: "), "{unreachable}");
}

#[test]
fn an_object_that_would_be_unpacked_on_its_way_is_refused() {
    let Some(server) = GcsServer::start() else { return };
    let objects = open(&server);
    server.store_as(&json!({"name": "packed", "contentEncoding": "gzip"}), b"content");
    for reason in [refused(get(&*objects, "packed")), refused(objects.head("packed"))] {
        assert_eq!(reason, "the object is stored with Content-Encoding \"gzip\": store it without");
    }
    put(&*objects, "packed", b"content");
    assert_eq!(get(&*objects, "packed").unwrap().0, b"content");
}

#[test]
fn an_emulator_that_tells_little_is_asked_for_the_rest() {
    let Some(server) = GcsServer::start() else { return };
    let lean = GcsOptions { endpoint: Some(server.emulator_endpoint()), ..options(&server) };
    let objects = gcs(&lean, TIMEOUT).unwrap();
    put(&*objects, "a/b", b"content");
    let (bytes, state) = get(&*objects, "a/b").unwrap();
    assert_eq!(bytes, b"content");
    assert_eq!(state, get(&*open(&server), "a/b").unwrap().1);
    assert!(matches!(get(&*objects, "c"), Err(ObjectError::Missing)));
    assert_eq!(names(&*objects, "", 1000), ["a/b"]);
    assert_eq!(server.n_requests(), 1, "of the one that tells all");
}
