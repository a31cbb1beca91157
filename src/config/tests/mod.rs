//! What a file means, and what is said of one that is wrong.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

mod overlays;

fn parse(text: &str) -> Result<Config, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    Config::parse(text, &folder, &Environment::default()).map_err(|error| error.to_string())
}

#[test]
fn an_empty_file_means_the_defaults() {
    for text in ["", "\u{FEFF}", "# nothing\n", "---\n", "~\n", "{}\n"] {
        let config = parse(text).unwrap();
        assert!(config.catalog.rules.allow_custom && config.catalog.rules.allow_scale);
        assert!(!config.catalog.rules.allow_originals);
        assert_eq!((config.catalog.rules.max_scale.get(), config.catalog.rules.max_output_side), (5, 8192));
        assert_eq!((config.jpeg.quality.get(), config.max_source_pixels, config.max_age_s), (75, 100_000_000, 86_400));
        assert_eq!(
            (config.local_path.as_path(), config.data_path.as_path()),
            (Path::new("local-images"), Path::new("data"))
        );
        assert!(!config.jpeg.progressive);
        assert_eq!(config.listen, ["0.0.0.0:3000".parse().unwrap()]);
        assert_eq!((config.throttling_rate.0, config.storage_timeout_s), (60, 5));
        assert_eq!(config.authorisation, Authorisation { get: false, upload: false });
        let upload = Upload {
            is_async: false,
            max_file_bytes: 5_242_880,
            max_pixels: 5_000_000,
            requires_file_signature: false,
        };
        assert_eq!(config.upload, upload);
        let cache = Cache {
            is_enabled: true,
            limit_bytes: 0,
            strategy: crate::store::cache::Strategy::Lru,
            memory_bytes: 67_108_864,
            source_limit_bytes: 1 << 30,
            unwritten_bytes: 64 << 20,
            revalidate_s: 60,
            fsync: false,
            x_accel_redirect: None,
        };
        assert_eq!(config.cache, cache);
        assert!(config.trusted_proxies.is_empty() && config.cors_allow_origins.is_empty());
        assert!(config.catalog.named.is_empty() && config.refusals().is_empty());
    }
}

#[test]
fn the_memory_limit_is_that_of_the_file_else_of_the_system() {
    let limit = |text: &str, of_system| {
        let environment = Environment::default().with_memory_limit(of_system);
        let config = Config::parse(text, Path::new("."), &environment).unwrap();
        config.memory_limit.map(|limit| (limit.bytes, limit.source))
    };
    assert_eq!(limit("", None), None);
    assert_eq!(limit("", Some(1 << 30)), Some((1 << 30, "the cgroup")));
    assert_eq!(limit("memory-limit: 0", Some(1 << 30)), Some((1 << 30, "the cgroup")));
    assert_eq!(limit("memory-limit: 268435456", Some(1 << 30)), Some((256 << 20, "memory-limit")));
    assert!(parse("memory-limit: 1000").unwrap_err().contains("memory-limit: must be 0 or 134217728"));
}

#[test]
fn bounds_are_told_by_their_keys() {
    let config = parse("cache: {limit: 5}\nhttp: {max-queue: 7}\n").unwrap();
    let explained = config.explain();
    for bound in config.bounds() {
        let line = format!("{:<34} {bound}", bound.key);
        assert!(explained.lines().any(|found| found == line), "{line}");
    }
    let value = |key| config.bounds().iter().find(|bound| bound.key == key).unwrap().value;
    assert_eq!((value("cache.limit"), value("http.max-queue"), value("http.request-timeout")), (5, 7, 15));
}

#[test]
fn the_go_servers_example_means_the_same() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config/original-0.4.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let config = parse(&text).unwrap();
    assert!(!config.catalog.rules.allow_custom && !config.catalog.rules.allow_scale);
    assert!(config.upload.is_async && !config.authorisation.get && config.authorisation.upload);
    assert_eq!((config.jpeg.quality.get(), config.throttling_rate.0), (80, 10));
    assert_eq!((config.upload.max_file_bytes, config.cache.limit_bytes), (10_485_760, 104_857_600));
    assert_eq!(config.local_path, Path::new("images"));
    let named = |name: &str| config.catalog.named[&name.parse().unwrap()].clone();
    assert_eq!(config.catalog.named.len(), 4);
    assert_eq!(named("sw-corner").params, "w_100,h_50,c_k,g_sw".parse().unwrap());
    assert!(named("square").is_eager && !named("sw-corner").is_eager);
    overlays::are_those_of_the_go_servers_example(&named("watermarked"), &named("withtext"));
    assert!(config.refusals().is_empty());
}

/// Whether a comment is a key with its default, and no sentence.
fn is_key(comment: &str) -> bool {
    comment.split_once(": ").is_some_and(|(key, _)| !key.contains([' ', '(']))
}

#[test]
fn the_example_loads_and_its_comments_are_the_defaults() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/example.yaml")).unwrap();
    let config = parse(&text).unwrap();
    assert!(config.refusals().is_empty());
    // Every `# key: value` line, uncommented, changes nothing; nor do those of a section.
    let mut section = "";
    let mut n_keys = 0;
    for line in text.lines() {
        let written = match (line.strip_prefix("# "), line.strip_prefix("    # ")) {
            (Some(text), _) if is_key(text) => text.to_owned(),
            (_, Some(text)) if is_key(text) && ["http:", "cache:", "authorisation:", "log:"].contains(&section) => {
                format!("{section} {{{text}}}")
            }
            _ => {
                section = if line.starts_with([' ', '#']) || line.is_empty() { section } else { line };
                continue;
            }
        };
        // Without a folder there is no redirect.
        if written.contains("x-accel-redirect") {
            continue;
        }
        let Ok(changed) = parse(&written) else { panic!("{line}: {:?}", parse(&written).err()) };
        let default = Config::default();
        assert_eq!(format!("{changed:?}"), format!("{default:?}"), "{line}");
        n_keys += 1;
    }
    assert!(n_keys >= 40, "{n_keys}");
}

#[test]
fn comments_in_the_examples_transformations_are_the_defaults_there() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/example.yaml")).unwrap();
    let meaning = |text: &str| format!("{:?}", parse(text).unwrap_or_else(|message| panic!("{message}\n{text}")));
    let mut keys = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with("      ")) {
        let Some(key) = line.trim_start().strip_prefix("# ").filter(|text| is_key(text)) else { continue };
        let uncommented = line.replacen("# ", "", 1);
        let lines: Vec<&str> =
            text.lines().enumerate().map(|(i, line)| if i == index { &uncommented } else { line }).collect();
        assert_eq!(meaning(&lines.join("\n")), meaning(&text), "{line}");
        keys.push(key.split(':').next().unwrap());
    }
    assert_eq!(keys, ["eager", "opacity", "tile", "font", "size", "color", "align", "padding"]);
}

#[test]
fn yaml_1_1_booleans_count() {
    for text in ["Yes", "yes", "YES", "y", "on", "On", "true", "True", "\"yes\""] {
        assert!(parse(&format!("allow-originals: {text}")).unwrap().catalog.rules.allow_originals, "{text}");
    }
    for text in ["No", "no", "n", "off", "OFF", "false"] {
        assert!(!parse(&format!("allow-custom-scale: {text}")).unwrap().catalog.rules.allow_scale, "{text}");
    }
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let message = parse(text).expect_err(text);
    assert!(message.contains(expected), "{text:?}\n said: {message}\nwanted: {expected}");
    assert!(!message.contains('\n'), "{message}");
}

#[test]
fn wrong_values_are_named_with_key_and_line() {
    refused("jpeg-quality: 0", "line 1, column 15: jpeg-quality: must be 1 to 100, got 0");
    refused("\njpeg-quality: 101", "line 2, column 15: jpeg-quality: must be 1 to 100, got 101");
    refused("jpeg-quality: high", "jpeg-quality: must be a whole number, got \"high\"");
    refused("jpeg-quality: \"80\"", "got \"80\" (write it without quotes)");
    refused("jpeg-quality: 7.5", "jpeg-quality: must be a whole number, got 7.5");
    refused("jpeg-quality: [1]", "jpeg-quality: must be a whole number, got a list");
    refused("jpeg-progressive: perhaps", "jpeg-progressive: must be Yes or No, got \"perhaps\"");
    refused("throttling-rate: -1", "throttling-rate: must be 0 to 1000000, got -1");
    refused("upload-max-file-size: 0", "upload-max-file-size: must be 1 to ");
    refused("upload-max-file-size: 99999999999999999999", "upload-max-file-size: is too large");
    refused("max-scale: 0", "max-scale: must be 1 to 100, got 0");
    refused("max-output-side: 65536", "max-output-side: must be 1 to 65535, got 65536");
    refused("allow-originals: perhaps", "allow-originals: must be Yes or No, got \"perhaps\"");
    refused("authorisation: {get: 7}", "authorisation.get: must be Yes or No, got \"7\"");
    refused("cache: {strategy: FIFO}", "cache.strategy: must be LRU or LFU, got \"FIFO\"");
    refused("cache: {limit: -5}", "cache.limit: must be 0 to ");
    refused("http: {head-timeout: 0}", "http.head-timeout: must be 1 to 3600, got 0");
    refused("max-age: 1\nlisten: []", "line 2, column 9: listen: must name an address at least");
    refused("listen: nowhere", "listen: must be address:port");
    refused("trusted-proxies: [10.0.0.0/33]", "trusted-proxies[0]: ");
    refused("cors-allow-origins: example.com", "cors-allow-origins: ");
    refused("local-path: \"\"", "local-path: must not be empty");
    refused("cache: 5", "line 1, column 8: cache: must be a mapping of cache settings, got integer `5`");
    refused("authorisation: [get]", "authorisation: must be a mapping of get and upload, got a list");
    refused("transformations: {name: a}", "line 1, column 18: transformations: must be a list, got a mapping");
    refused("transformations: [a]", "transformations[0]: must be a mapping with name and parameters, got string");
}

#[test]
fn unknown_and_repeated_keys_are_refused() {
    refused("jpeg_quality: 80", "line 1, column 1: jpeg_quality: unknown key, did you mean `jpeg-quality`?");
    refused("jpeg-progresive: Yes", "jpeg-progresive: unknown key, did you mean `jpeg-progressive`?");
    refused("cache:\n  limt: 1", "line 2, column 3: cache.limt: unknown key, did you mean `limit`?");
    refused("cahce: {limit: 1}", "cahce: unknown key, did you mean `cache`?");
    refused(&format!("{TRANSFORMATION}    eagre: Yes"), "transformations[0].eagre: unknown key, did you mean `eager`?");
    refused("banana: 1", "banana: unknown key, allowed are allow-custom-transformations, ");
    refused("max-age: 1\nmax-age: 2", "line 2, column 1: `max-age` is given twice");
}

const TRANSFORMATION: &str = "transformations:\n  - name: a\n    parameters: w_10\n";

#[test]
fn wrong_transformations_are_named() {
    refused("transformations:\n  - parameters: w_1", "transformations[0]: `name` is missing");
    refused("transformations:\n  - name: a", "transformations[0]: `parameters` is missing");
    refused("transformations:\n  - name: a b\n    parameters: w_1", "transformations[0].name: must consist of letters");
    refused(
        "transformations:\n  - name: a\n    parameters: w_0",
        "line 3, column 17: transformations[0].parameters: value 0 must be > 0: \"w\"",
    );
    let twice = format!("{TRANSFORMATION}  - name: a\n    parameters: w_20");
    refused(&twice, "line 4, column 11: transformations[1].name: the name \"a\" is given twice");
}

#[test]
fn what_is_not_written_is_wanted_where_its_mapping_begins() {
    let steps = [Step::Key("a"), Step::Item(1), Step::Key("c")];
    let position = |text: &str| yaml::fault_at(text, &steps, String::new()).position;
    assert_eq!(position("a:\n  - {c: 0}\n  - b: 1\n    c: 2"), Some(Position { line: 4, column: 8 }));
    assert_eq!(position("a:\n  - {c: 0}\n  - b: 1\n    d: 2"), Some(Position { line: 3, column: 5 }));
}

#[test]
fn what_is_no_configuration_is_refused_fast() {
    let start = Instant::now();
    refused("just a text", "line 1, column 1: must be a mapping of settings, got string \"just a text\"");
    refused("- a\n- b", "line 1, column 1: must be a mapping of settings, got a list");
    refused("a: b: c", "is no YAML: ");
    refused("cache:\n\tlimit: 1", "line 2, column 1: is no YAML: a line is indented by a tab, use spaces");
    refused("cors-allow-origins: *", "a star needs quotes");
    refused("local-path: !!python/object:os.system x", "column 13: local-path: the tag \"python/object:os.system\" ");
    refused("max-age: 1\n---\nmax-age: 2", "line 2, column 1: must hold one document");
    refused("---\nmax-age: 1\n---\nmax-age: 2", "line 3, column 1: must hold one document");
    refused("\"a\" \"b\"", "line 1, column 5: is no YAML: did not find expected <document start>");
    refused("{max-age: 1}\n]", "line 2, column 1: is no YAML: did not find expected");
    refused("max-age: 1\nlocal-path: a\0b", "line 2, column 14: is no YAML: control characters are not allowed");
    refused("# ä\nlocal-path: ä\u{7}", "line 2, column 14: is no YAML: control characters are not allowed");
    refused("local-path: \"a\\0b\"", "local-path: must not hold a NUL character");
    for nested in ["[", "{a: ", "- ", "[a, ", "? "] {
        refused(&nested.repeat(200_000), "line 1, column ");
    }
    refused(&"[".repeat(129), "line 1, column 129: is nested too deeply");
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let alias = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", ")));
    }
    refused(&bomb, "aliases multiply into too many values");
    let many = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(100_000), "*a,".repeat(100_000));
    refused(&many, "line 1, column 2082: b[19][1037]: aliases multiply into too many values");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn files_that_cannot_be_read_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let load = |name: &str| Config::load(&folder.path().join(name), &Environment::default()).unwrap_err().to_string();
    assert!(load("missing.yaml").contains("(config/example.yaml shows every key)"));
    std::fs::write(folder.path().join("large.yaml"), vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(load("large.yaml").ends_with("is larger than 1048576 bytes"));
    std::fs::write(folder.path().join("binary.yaml"), [0xFF, 0xFE, 0]).unwrap();
    assert!(load("binary.yaml").ends_with("binary.yaml: is not UTF-8"));
    std::fs::write(folder.path().join("wrong.yaml"), "max-age: -1").unwrap();
    assert!(load("wrong.yaml").contains("wrong.yaml, line 1, column 10: max-age: must be 0 to "));
}

#[test]
fn dangerous_settings_stop_the_start() {
    let s3 = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "PIXLSERV_S3_BUCKET"];
    let environment = Environment::new(s3.map(|name| (name.to_owned(), "x".to_owned())));
    let refusals = |text| Config::parse(text, Path::new("."), &environment).unwrap().refusals();
    assert_eq!(refusals("").len(), 0);
    let redirect = "cache: {x-accel-redirect: /pixlserv-cache/}";
    assert!(refusals(redirect)[0].starts_with("cache.x-accel-redirect needs local disk"));
    assert!(parse(redirect).unwrap().refusals().is_empty());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "([a-z]{1,8}(-[a-z]{1,5})?: ?|[-\\[\\]{}&*!|>'\"#%@,:\n\t 0-9a-zA-Z]){0,60}") {
        let _ = parse(&text);
    }
}
