//! What a configuration means, in words: for `pixlserv check` and the log at start.

use std::fmt::{Display, Write as _};

use super::{Config, StorageChoice, UrlFolder, drawn};

impl Config {
    /// One line a setting, and one a named transformation, with one each for all that is drawn on it.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &dyn Display| push_line(&mut text, name, value);
        let rules = &self.catalog.rules;
        line("storage", &self.storage.1);
        line("storage-timeout", &format!("{} s", self.storage_timeout_s));
        line("index", &self.index.1);
        line("listen", &list(self.listen.iter().map(ToString::to_string).collect()));
        line("allow-custom-transformations", &yes(rules.allow_custom));
        line("allow-custom-scale", &yes(rules.allow_scale));
        line("allow-originals", &yes(rules.allow_originals));
        line("max-scale", &rules.max_scale.get());
        line("max-output-side", &format!("{} pixels", rules.max_output_side));
        line("max-source-pixels", &self.max_source_pixels);
        line("jpeg-quality", &self.jpeg.quality.get());
        line("jpeg-progressive", &yes(self.jpeg.progressive));
        line("max-age", &format!("{} s", self.max_age_s));
        self.explain_access(&mut text);
        self.explain_cache(&mut text);
        self.explain_bounds(&mut text);
        for (name, transformation) in &self.catalog.named {
            for (name, value) in drawn::explain(name.as_str(), transformation) {
                push_line(&mut text, &name, &value);
            }
        }
        text
    }

    fn explain_cache(&self, text: &mut String) {
        let mut line = |name: &str, value: &dyn Display| push_line(text, name, value);
        line("data-path", &self.data_path.display());
        line("cache.enabled", &yes(self.cache.is_enabled));
        line("cache.limit", &bytes_or_none(self.cache.limit_bytes));
        line("cache.strategy", &format!("{:?}", self.cache.strategy).to_uppercase());
        line("cache.memory", &format!("{} bytes", self.cache.memory_bytes));
        line("cache.source-limit", &format!("{} bytes", self.cache.source_limit_bytes));
        line("cache.revalidate", &format!("{} s", self.cache.revalidate_s));
        line("cache.fsync", &yes(self.cache.fsync));
        line("cache.x-accel-redirect", &self.cache.x_accel_redirect.as_ref().map_or("No", UrlFolder::as_str));
    }

    fn explain_bounds(&self, text: &mut String) {
        let mut line = |name: &str, value: &dyn Display| push_line(text, name, value);
        line("io-threads", &auto_if_zero(self.work.io_threads));
        line("pixel-threads", &auto_if_zero(self.work.pixel_threads));
        line("work-memory", &format!("{} bytes", self.work.memory_bytes));
        let door = &self.front_door;
        line("http.max-connections", &door.max_connections);
        line("http.max-connections-per-address", &none_if_zero(door.max_connections_per_address));
        line("http.max-requests", &door.max_requests);
        line("http.max-queue", &door.max_queue);
        line("http.queue-timeout", &format!("{} s", door.queue_timeout_s));
        line("http.head-timeout", &format!("{} s", door.head_timeout_s));
        line("http.idle-timeout", &format!("{} s", door.idle_timeout_s));
        line("http.write-timeout", &format!("{} s", door.write_timeout_s));
        line("http.min-write-rate", &format!("{} bytes/s", door.min_write_rate));
        line("http.read-timeout", &format!("{} s", door.read_timeout_s));
        line("http.min-read-rate", &format!("{} bytes/s", door.min_read_rate));
        line("http.body-timeout", &format!("{} s", door.body_timeout_s));
        line("http.max-uploads", &door.max_uploads);
        line("http.max-unsent", &format!("{} bytes", door.max_unsent_bytes));
        line("http.drain-timeout", &format!("{} s", door.drain_timeout_s));
        line("http.max-head-size", &format!("{} bytes", door.max_head_bytes));
        line("http.max-header-line", &format!("{} bytes", door.max_line_bytes));
        line("http.max-headers", &door.max_headers);
        line("http.max-url-length", &format!("{} bytes", door.max_url_bytes));
        line("http.max-skip-size", &format!("{} bytes", door.max_skip_bytes));
        line("http.skip-timeout", &format!("{} s", door.skip_timeout_s));
        line("http.max-linger-size", &format!("{} bytes", door.max_linger_bytes));
        line("http.linger-timeout", &format!("{} s", door.linger_timeout_s));
        line("http.eviction-age", &format!("{} s", door.eviction_age_s));
        line("http.access-log", &yes(door.access_log));
        line("http.loop", &door.r#loop.as_str());
    }

    fn explain_access(&self, text: &mut String) {
        let mut line = |name: &str, value: &dyn Display| push_line(text, name, value);
        line("throttling-rate", &per_minute(self.throttling_rate.0));
        line("trusted-proxies", &list(self.trusted_proxies.iter().map(ToString::to_string).collect()));
        line("cors-allow-origins", &list(self.cors_allow_origins.iter().map(ToString::to_string).collect()));
        line("authorisation.get", &yes(self.authorisation.get));
        line("authorisation.upload", &yes(self.authorisation.upload));
        line("require-file-signature", &yes(self.upload.requires_file_signature));
        line("async-uploads", &yes(self.upload.is_async));
        line("upload-max-file-size", &format!("{} bytes", self.upload.max_file_bytes));
        line("upload-max-pixels", &self.upload.max_pixels);
    }

    /// What is configured and would do harm if it were ignored, a sentence each; the server must not start.
    #[must_use]
    pub fn refusals(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if self.storage.0 != StorageChoice::Local && self.cache.x_accel_redirect.is_some() {
            sentences.push(format!(
                "cache.x-accel-redirect needs local disk, where nginx finds the files of the cache; they are in {}",
                self.storage.1
            ));
        }
        sentences
    }
}

/// Appends a name and a value, aligned with the others.
fn push_line(text: &mut String, name: &str, value: &dyn Display) {
    // Writing to a text does not fail.
    let _ = writeln!(text, "{name:<34} {value}");
}

fn list(items: Vec<String>) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

fn yes(value: bool) -> &'static str {
    if value { "Yes" } else { "No" }
}

fn auto_if_zero(value: u32) -> String {
    if value == 0 { "as many as fit the cores".to_owned() } else { value.to_string() }
}

fn none_if_zero(value: u32) -> String {
    if value == 0 { "no limit".to_owned() } else { value.to_string() }
}

fn per_minute(rate: u32) -> String {
    if rate == 0 { "no limit".to_owned() } else { format!("{rate} per minute") }
}

fn bytes_or_none(bytes: u64) -> String {
    if bytes == 0 { "no limit".to_owned() } else { format!("{bytes} bytes") }
}
