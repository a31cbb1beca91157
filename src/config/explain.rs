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
        line("index", &self.index.1);
        line("listen", &list(self.listen.iter().map(ToString::to_string).collect()));
        line("allow-custom-transformations", &yes(rules.allow_custom));
        line("allow-custom-scale", &yes(rules.allow_scale));
        line("allow-originals", &yes(rules.allow_originals));
        line("jpeg-quality", &self.jpeg.quality.get());
        line("jpeg-progressive", &yes(self.jpeg.progressive));
        line("max-age", &format!("{} s", self.max_age_s));
        self.explain_access(&mut text);
        self.explain_cache(&mut text);
        self.explain_sight(&mut text);
        for bound in self.bounds() {
            push_line(&mut text, bound.key, &bound);
        }
        push_line(&mut text, "memory, all bounds together", &format!("{} bytes", self.most_memory()));
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
        line("cache.strategy", &format!("{:?}", self.cache.strategy).to_uppercase());
        line("cache.revalidate", &format!("{} s", self.cache.revalidate_s));
        line("cache.fsync", &yes(self.cache.fsync));
        line("cache.x-accel-redirect", &self.cache.x_accel_redirect.as_ref().map_or("No", UrlFolder::as_str));
    }

    fn explain_sight(&self, text: &mut String) {
        let mut line = |name: &str, value: &dyn Display| push_line(text, name, value);
        let metrics = list(self.metrics_listen.iter().map(ToString::to_string).collect());
        line("metrics-listen", &if self.metrics_listen.is_empty() { "as listen" } else { &metrics });
        line("debug-headers", &yes(self.debug_headers));
        line("log.format", &self.log.format.as_str());
        line("log.level", &self.log.level.as_str());
        line("http.access-log", &yes(self.front_door.access_log));
        line("http.loop", &self.front_door.r#loop.as_str());
    }

    fn explain_access(&self, text: &mut String) {
        let mut line = |name: &str, value: &dyn Display| push_line(text, name, value);
        line("trusted-proxies", &list(self.trusted_proxies.iter().map(ToString::to_string).collect()));
        line("cors-allow-origins", &list(self.cors_allow_origins.iter().map(ToString::to_string).collect()));
        line("authorisation.get", &yes(self.authorisation.get));
        line("authorisation.upload", &yes(self.authorisation.upload));
        line("require-file-signature", &yes(self.upload.requires_file_signature));
        line("async-uploads", &yes(self.upload.is_async));
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
