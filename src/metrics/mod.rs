//! What is counted and measured while the server runs, for `/metrics`, the log and `Server-Timing`. It knows no other room;
//! those that do the work say what they did.
//!
//! The numbers belong to the process, as the log does: there is one set of them, made when it is first asked for.

mod limits;
mod requests;
mod stages;

use std::sync::LazyLock;

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, core::Collector,
};

pub use limits::{set_limits, set_settings};
pub use requests::{CacheResult, Route, count_shed};
pub use stages::{Stage, StageTimes, Stopwatch};

/// Seconds of a request, from its head to its answer: a hit in memory takes some microseconds, a cold one in a full
/// queue many seconds.
const REQUEST_SECONDS: [f64; 18] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0,
    40.0,
];
/// Seconds of a stage.
const STAGE_SECONDS: [f64; 13] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// Everything that is counted. Names and meanings are those of `/metrics`.
#[derive(Debug)]
#[expect(missing_docs, reason = "the texts of `Metrics::new` say what each is, and `/metrics` says it to all")]
pub struct Metrics {
    registry: Registry,
    pub build: IntGaugeVec,
    pub ready: IntGauge,
    pub limits: GaugeVec,
    pub requests: IntCounterVec,
    pub request_seconds: HistogramVec,
    pub response_bytes: IntCounter,
    pub refused_heads: IntCounterVec,
    pub shed: IntCounterVec,
    pub stage_seconds: HistogramVec,
    pub connections: IntGauge,
    pub connections_accepted: IntCounter,
    pub connections_closed: IntCounterVec,
    pub in_flight: IntGaugeVec,
    pub queued: IntGaugeVec,
    pub in_flight_bytes: IntGaugeVec,
    pub images: IntCounterVec,
    pub abandoned: IntCounter,
    pub cache_bytes: IntGauge,
    pub cache_files: IntGauge,
    pub cache_memory_bytes: IntGauge,
    pub cache_evictions: IntCounter,
    pub cache_evicted_bytes: IntCounter,
    pub cache_errors: IntCounterVec,
    pub storage_errors: IntCounterVec,
    pub storage_seconds: Histogram,
    pub storage_up: IntGauge,
    pub index_errors: IntCounterVec,
    pub index_up: IntGauge,
    pub panics: IntCounter,
    pub log_lines_lost: IntCounter,
    pub reloads: IntCounterVec,
    pub reloaded_at: Gauge,
}

static METRICS: LazyLock<Metrics> = LazyLock::new(|| {
    let metrics = Metrics::new();
    metrics.begin_at_zero();
    metrics
});

/// The numbers of this process.
#[must_use]
pub fn metrics() -> &'static Metrics {
    &METRICS
}

/// Shows a number, of whatever type: what a gauge cannot hold is shown as the most that it can.
pub fn show(gauge: &IntGauge, number: impl TryInto<i64>) {
    gauge.set(number.try_into().unwrap_or(i64::MAX));
}

/// A registry that is being filled. Names and labels are ours, so that nothing here fails.
struct Making(Registry);

impl Making {
    fn add<T: Collector + Clone + 'static>(&self, made: prometheus::Result<T>) -> T {
        let collector = made.expect("names and labels are well-formed");
        self.0.register(Box::new(collector.clone())).expect("each name is taken once");
        collector
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::new(format!("pixlserv_{name}"), help))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(format!("pixlserv_{name}"), help), labels))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(format!("pixlserv_{name}"), help))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(format!("pixlserv_{name}"), help), labels))
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
        let options = HistogramOpts::new(format!("pixlserv_{name}"), help).buckets(buckets.to_vec());
        self.add(HistogramVec::new(options, labels))
    }
}

impl Metrics {
    #[expect(clippy::too_many_lines, reason = "one line, or two, for each number")]
    fn new() -> Self {
        let making = Making(Registry::new());
        #[cfg(target_os = "linux")]
        making
            .0
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("nobody else tells of the process");
        let it = &making;
        Self {
            build: it.gauges("build_info", "1; version, and instructions of the pixel work", &["version", "simd"]),
            ready: it.gauge("ready", "1 if storage and index can be used, as /ready says"),
            limits: it.add(GaugeVec::new(
                Opts::new("pixlserv_limit", "Bounds in force, by the keys of the configuration; 0 is no limit where it says so there"),
                &["key"],
            )),
            requests: it.counters(
                "requests_total",
                "Answered requests; cache is hit, miss, coalesced or none",
                &["route", "status", "cache"],
            ),
            request_seconds: it.histograms(
                "request_duration_seconds",
                "From the head of a request (of an upload, too) to its answer",
                &["route", "cache"],
                &REQUEST_SECONDS,
            ),
            response_bytes: it.counter("response_bytes_total", "Bytes of answers, without heads"),
            refused_heads: it.counters("refused_heads_total", "Heads that were no valid request", &["status"]),
            shed: it.counters(
                "shed_total",
                "Requests that were answered 503 or 429, or closed, so that others can be served",
                &["reason"],
            ),
            stage_seconds: it.histograms(
                "stage_duration_seconds",
                "Time of the stages of images: queue, fetch, decode, resize, stamp, encode, store",
                &["stage"],
                &STAGE_SECONDS,
            ),
            connections: it.gauge("connections", "Open connections"),
            connections_accepted: it.counter("connections_accepted_total", "Connections that were taken in"),
            connections_closed: it.counters(
                "connections_closed_total",
                "Connections closed by the server before their time, by the reason",
                &["reason"],
            ),
            in_flight: it.gauges("in_flight", "What is being worked on", &["kind"]),
            queued: it.gauges("queued", "What waits to be worked on", &["kind"]),
            in_flight_bytes: it.gauges(
                "in_flight_bytes",
                "Memory that is admitted: of sources, of pixels, of answers that clients take slowly, of answers on their way into the cache",
                &["kind"],
            ),
            images: it.counters("images_total", "Images that were answered, by where they came from", &["origin"]),
            abandoned: it.counter("images_abandoned_total", "Images that were not made, because nobody waited any more"),
            cache_bytes: it.gauge("cache_bytes", "Bytes of cached answers, on disk or in the bucket"),
            cache_files: it.gauge("cache_files", "Cached answers, on disk or in the bucket"),
            cache_memory_bytes: it.gauge("cache_memory_bytes", "Bytes of cached answers in memory"),
            cache_evictions: it.counter("cache_evictions_total", "Cached answers that made room for others"),
            cache_evicted_bytes: it.counter("cache_evicted_bytes_total", "Bytes of those"),
            cache_errors: it.counters("cache_errors_total", "Trouble of the cache, by what was tried", &["operation"]),
            storage_errors: it.counters(
                "storage_errors_total",
                "Calls of the storage that failed, each try; missing images do not count",
                &["kind"],
            ),
            storage_seconds: it.add(Histogram::with_opts(
                HistogramOpts::new(
                    "pixlserv_storage_duration_seconds",
                    "Calls of an object storage with all their tries, until the head of the answer",
                )
                .buckets(STAGE_SECONDS.to_vec()),
            )),
            storage_up: it.gauge("storage_up", "1 if the storage could be used at the last look, a second ago at most"),
            index_errors: it.counters("index_errors_total", "Calls of redis or the embedded index that failed", &["kind"]),
            index_up: it.gauge("index_up", "1 if redis or the embedded index could be used at the last look"),
            panics: it.counter("panics_total", "Panics that were contained; each is a fault of the program"),
            log_lines_lost: it.counter("log_lines_lost_total", "Lines of the log that nobody took in time"),
            reloads: it.counters("reloads_total", "Reloads of the configuration", &["result"]),
            reloaded_at: it.add(Gauge::new(
                "pixlserv_config_timestamp_seconds",
                "When the configuration in force was read, in seconds since 1970",
            )),
            registry: making.0,
        }
    }

    /// Shows counters from the start that may never count: what is not there cannot be told from what is 0, and the first
    /// of a kind would not show as an increase.
    fn begin_at_zero(&self) {
        let begin = |counters: &IntCounterVec, values: &[&str]| {
            for value in values {
                counters.with_label_values(&[value]);
            }
        };
        begin(&self.refused_heads, &["400", "408", "413", "414", "431", "501", "505"]);
        let reasons =
            ["max-connections", "max-requests", "max-uploads", "max-queue", "queue-timeout", "request-timeout"];
        begin(&self.shed, &reasons);
        begin(&self.shed, &["throttling-rate", "max-connections-per-address"]);
        begin(&self.connections_closed, &["max-connections", "max-unsent"]);
        begin(&self.cache_errors, &["reading a file", "writing a file", "removing a file", "making room", "keeping"]);
        begin(&self.cache_errors, &["asking the index", "writing the index", "writing down uses", "mending"]);
        begin(&self.cache_errors, &["what was found"]);
        let kinds = ["unreachable", "failed", "timed-out", "broken", "refused", "content", "full"];
        begin(&self.storage_errors, &kinds);
        begin(&self.index_errors, &["unreachable", "failed"]);
        begin(&self.reloads, &["success", "failure"]);
        begin(&self.images, &["memory", "disk", "made", "coalesced"]);
    }

    /// The numbers as text, for Prometheus.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a text fails only for families without a name.
        let _ = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text);
        text
    }

    /// Notes the time of a stage.
    pub fn observe(&self, stage: Stage, seconds: f64) {
        self.stage(stage).observe(seconds);
    }

    fn stage(&self, stage: Stage) -> Histogram {
        self.stage_seconds.with_label_values(&[stage.name()])
    }
}

/// The media type of [`Metrics::text`].
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
