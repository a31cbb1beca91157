//! The bounds of a configuration as one list: `pixlserv check` explains them, and `/metrics` shows them.

use std::fmt;

use super::Config;

/// A bound in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// As the file has it.
    pub key: &'static str,
    /// In its unit.
    pub value: u64,
    unit: Unit,
}

/// What the number counts, and what 0 means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Bytes,
    /// 0 is no limit.
    BytesIfAny,
    BytesPerSecond,
    Seconds,
    Number,
    /// 0 is no limit.
    NumberIfAny,
    /// 0 is as many as fit the cores.
    Threads,
    PerMinute,
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value;
        match self.unit {
            Unit::BytesIfAny | Unit::NumberIfAny | Unit::PerMinute if value == 0 => f.write_str("no limit"),
            Unit::Threads if value == 0 => f.write_str("as many as fit the cores"),
            Unit::Bytes | Unit::BytesIfAny => write!(f, "{value} bytes"),
            Unit::BytesPerSecond => write!(f, "{value} bytes/s"),
            Unit::Seconds => write!(f, "{value} s"),
            Unit::PerMinute => write!(f, "{value} per minute"),
            Unit::Number | Unit::NumberIfAny | Unit::Threads => write!(f, "{value}"),
        }
    }
}

impl Config {
    /// All bounds, by the rooms that hold to them.
    #[must_use]
    pub fn bounds(&self) -> Vec<Bound> {
        let (rules, upload, cache, work) = (&self.catalog.rules, &self.upload, &self.cache, &self.work);
        let mut bounds = Vec::new();
        let mut add = |key, value: u64, unit| bounds.push(Bound { key, value, unit });
        add("max-scale", rules.max_scale.get().into(), Unit::Number);
        add("max-output-side", rules.max_output_side.into(), Unit::Number);
        add("max-source-pixels", self.max_source_pixels, Unit::Number);
        add("upload-max-file-size", upload.max_file_bytes, Unit::Bytes);
        add("upload-max-pixels", upload.max_pixels, Unit::Number);
        add("throttling-rate", self.throttling_rate.0.into(), Unit::PerMinute);
        add("storage-timeout", self.storage_timeout_s.into(), Unit::Seconds);
        add("memory-limit", self.memory_limit.map_or(0, |limit| limit.bytes), Unit::BytesIfAny);
        add("work-memory", work.memory_bytes, Unit::Bytes);
        add("io-threads", work.io_threads.into(), Unit::Threads);
        add("pixel-threads", work.pixel_threads.into(), Unit::Threads);
        add("cache.limit", cache.limit_bytes, Unit::BytesIfAny);
        add("cache.memory", cache.memory_bytes, Unit::Bytes);
        add("cache.max-unwritten", cache.unwritten_bytes, Unit::Bytes);
        add("cache.source-limit", cache.source_limit_bytes, Unit::Bytes);
        self.add_front_door(&mut bounds);
        bounds
    }

    fn add_front_door(&self, bounds: &mut Vec<Bound>) {
        let door = &self.front_door;
        let mut add = |key, value: u64, unit| bounds.push(Bound { key, value, unit });
        add("http.max-connections", door.max_connections.into(), Unit::Number);
        add("http.max-connections-per-address", door.max_connections_per_address.into(), Unit::NumberIfAny);
        add("http.max-requests", door.max_requests.into(), Unit::Number);
        add("http.max-queue", door.max_queue.into(), Unit::Number);
        add("http.queue-timeout", door.queue_timeout_s.into(), Unit::Seconds);
        add("http.request-timeout", door.request_timeout_s.into(), Unit::Seconds);
        add("http.head-timeout", door.head_timeout_s.into(), Unit::Seconds);
        add("http.idle-timeout", door.idle_timeout_s.into(), Unit::Seconds);
        add("http.write-timeout", door.write_timeout_s.into(), Unit::Seconds);
        add("http.min-write-rate", door.min_write_rate, Unit::BytesPerSecond);
        add("http.read-timeout", door.read_timeout_s.into(), Unit::Seconds);
        add("http.min-read-rate", door.min_read_rate, Unit::BytesPerSecond);
        add("http.body-timeout", door.body_timeout_s.into(), Unit::Seconds);
        add("http.max-uploads", door.max_uploads.into(), Unit::Number);
        add("http.max-unsent", door.max_unsent_bytes, Unit::Bytes);
        add("http.drain-timeout", door.drain_timeout_s.into(), Unit::Seconds);
        add("http.max-head-size", door.max_head_bytes.into(), Unit::Bytes);
        add("http.max-header-line", door.max_line_bytes.into(), Unit::Bytes);
        add("http.max-headers", door.max_headers.into(), Unit::Number);
        add("http.max-url-length", door.max_url_bytes.into(), Unit::Bytes);
        add("http.max-skip-size", door.max_skip_bytes, Unit::Bytes);
        add("http.skip-timeout", door.skip_timeout_s.into(), Unit::Seconds);
        add("http.max-linger-size", door.max_linger_bytes, Unit::Bytes);
        add("http.linger-timeout", door.linger_timeout_s.into(), Unit::Seconds);
        add("http.eviction-age", door.eviction_age_s.into(), Unit::Seconds);
    }
}
