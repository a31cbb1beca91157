//! SIGHUP: the configuration is read again, and takes the place of the old one as a whole, or not at all. Requests that are
//! under way end by the one that they began with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::run::look_for_watermarks;
use super::{accept, assemble, load, systemd};
use crate::config::{Config, Loop};
use crate::http::Limits;
use crate::http::routes::Site;
use crate::metrics::metrics;
use crate::service::{Live, Readiness, Service};

/// The parts of a running server that another configuration changes.
pub(super) struct Reload {
    pub(super) file: PathBuf,
    /// The one in force.
    pub(super) config: Config,
    pub(super) service: Arc<Live<Service>>,
    pub(super) site: Arc<Live<Site>>,
    pub(super) limits: Arc<Live<Limits>>,
    pub(super) readiness: Arc<Readiness>,
}

impl Reload {
    /// Reads the configuration, and goes on by it if nothing is wrong with it.
    pub(super) fn run(&mut self) {
        systemd::reloading();
        let result = self.try_run();
        match &result {
            Ok(()) => tracing::info!("the configuration was read again: {}", self.file.display()),
            Err(message) => tracing::error!("the configuration cannot be used, the old one stays: {message}"),
        }
        let label = if result.is_ok() { "success" } else { "failure" };
        metrics().reloads.with_label_values(&[label]).inc();
        systemd::ready();
        if result.is_ok() {
            // It may take as long as the storage does.
            look_for_watermarks(&self.service.get());
        }
    }

    fn try_run(&mut self) -> Result<(), String> {
        let new = load(Some(&self.file))?;
        accept(&new)?;
        let kept = keep_fixed(&self.config, new);
        for advice in assemble::advice(&kept.config) {
            tracing::warn!("{advice}");
        }
        if !kept.keys.is_empty() {
            tracing::warn!("changes of {} need a restart, the rest is in force", kept.keys.join(", "));
        }
        self.service.set(assemble::renewed(&self.service.get(), &kept.config));
        self.site.set(assemble::site(&kept.config, self.service.get(), Arc::clone(&self.readiness)));
        self.limits.set(assemble::limits(&kept.config));
        assemble::show_bounds(&kept.config);
        note_time();
        self.config = kept.config;
        Ok(())
    }
}

/// Tells since when the configuration is in force.
pub(super) fn note_time() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    metrics().reloaded_at.set(since.as_secs_f64().floor());
}

/// A new configuration with what only a restart can change as it was, and the keys that were to change it.
struct Kept {
    config: Config,
    keys: Vec<&'static str>,
}

/// What is opened, bound or started once stays.
fn keep_fixed(old: &Config, mut new: Config) -> Kept {
    let mut keys = Vec::new();
    fn keep<T: PartialEq + Clone>(keys: &mut Vec<&'static str>, key: &'static str, old: &T, new: &mut T) {
        if old != new {
            keys.push(key);
            *new = old.clone();
        }
    }
    keep(&mut keys, "listen", &old.listen, &mut new.listen);
    keep(&mut keys, "metrics-listen", &old.metrics_listen, &mut new.metrics_listen);
    keep(&mut keys, "local-path", &old.local_path, &mut new.local_path);
    keep(&mut keys, "data-path", &old.data_path, &mut new.data_path);
    keep(&mut keys, "storage-timeout", &old.storage_timeout_s, &mut new.storage_timeout_s);
    keep(&mut keys, "io-threads", &old.work.io_threads, &mut new.work.io_threads);
    keep(&mut keys, "pixel-threads", &old.work.pixel_threads, &mut new.work.pixel_threads);
    keep(&mut keys, "log", &old.log, &mut new.log);
    let (cache, new_cache) = (&old.cache, &mut new.cache);
    keep(&mut keys, "cache.enabled", &cache.is_enabled, &mut new_cache.is_enabled);
    keep(&mut keys, "cache.fsync", &cache.fsync, &mut new_cache.fsync);
    keep(&mut keys, "cache.revalidate", &cache.revalidate_s, &mut new_cache.revalidate_s);
    keep(&mut keys, "cache.source-limit", &cache.source_limit_bytes, &mut new_cache.source_limit_bytes);
    if (cache.memory_bytes == 0) != (new_cache.memory_bytes == 0) {
        // There is a place for it, or there is none.
        keep(&mut keys, "cache.memory", &cache.memory_bytes, &mut new_cache.memory_bytes);
    }
    keep(&mut keys, "http.loop", &old.front_door.r#loop, &mut new.front_door.r#loop);
    if old.front_door.r#loop != Loop::Epoll {
        // That one takes no other bounds while it runs.
        keep(&mut keys, "http", &old.front_door, &mut new.front_door);
    }
    // The environment is that of the process, and does not change.
    new.storage.clone_from(&old.storage);
    new.index.clone_from(&old.index);
    Kept { config: new, keys }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Environment;

    fn config(text: &str) -> Config {
        Config::parse(text, Path::new("."), &Environment::default()).unwrap()
    }

    #[test]
    fn what_needs_a_restart_stays_and_is_named() {
        let old = config("jpeg-quality: 70\nlisten: 127.0.0.1:80\ncache: {memory: 0, limit: 5}\n");
        let new = "jpeg-quality: 80\nlisten: 127.0.0.1:81\nio-threads: 7\ncache: {memory: 9, limit: 6, fsync: Yes}\n";
        let kept = keep_fixed(&old, config(new));
        assert_eq!(kept.keys, ["listen", "io-threads", "cache.fsync", "cache.memory"]);
        assert_eq!((kept.config.listen, kept.config.work.io_threads), (old.listen.clone(), 0));
        assert_eq!((kept.config.jpeg.quality.get(), kept.config.cache.limit_bytes), (80, 6));
        assert!(keep_fixed(&old, old.clone()).keys.is_empty());
    }
}
