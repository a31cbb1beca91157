//! From a configuration to the parts of a server, at its start and when the configuration is read again. What holds threads,
//! files, memory or connections is made once, and takes other bounds later.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rayon::ThreadPool;

use super::{describe, storage};
use crate::access::Access;
use crate::config::{Config, ListenAddress, Origin, StorageChoice};
use crate::http::routes::{Cors, Site};
use crate::http::{Limits, Listener};
use crate::index::Index;
use crate::metrics;
use crate::pipeline;
use crate::service::{
    self, Cache, Counts, Eager, EagerWorker, GateLimits, Readiness, Service, Stamps, Storing, Turns, Workshop,
};
use crate::simd::Level;
use crate::store::cache::{CacheOptions, VariantCache};
use crate::store::objects::Objects;

/// How much of the processor pixels leave to those who only have to send what is there. At 5, a third of an equal share
/// where both want all of it.
const PIXEL_NICENESS: i32 = 10;
/// Sources are read ahead for this many times the workers.
const READ_AHEAD: usize = 4;
/// Sources in memory may take this part of what pixels may.
const SOURCE_SHARE: u64 = 4;
/// Stamps that are kept, this part.
const STAMP_SHARE: u64 = 8;
/// Threads that wait for object storages, at least.
const MIN_NETWORK_THREADS: usize = 32;
/// Uploads that are stored in a bucket at once.
const STORING_THREADS: usize = 16;
/// What a multipart upload has beside its file, at most.
const FORM_BYTES: u64 = 64 << 10;

/// The service of a configuration, and the worker of its queue.
pub(super) fn service(
    config: &Config,
    level: Level,
    io: &Arc<ThreadPool>,
    (index, bucket): (&Arc<dyn Index>, Option<&Arc<dyn Objects>>),
) -> Result<(Service, EagerWorker), String> {
    let n_workers = workers(config);
    let threads_failed = |error| format!("cannot start threads: {error}");
    let pixels = service::threads("pixels", n_workers, PIXEL_NICENESS).map_err(threads_failed)?;
    let storing = match bucket {
        None => Arc::clone(io),
        Some(_) => Arc::new(service::threads("storing", STORING_THREADS, 0).map_err(threads_failed)?),
    };
    let (reading, drawing) = gates(config);
    let (eager, worker) = Eager::new(Arc::clone(index), n_workers);
    let service = Service {
        access: Arc::new(Access::new(index, config.authorisation, config.throttling_rate)),
        catalog: config.catalog.clone(),
        storage: storage::open(config, bucket, index)?,
        stamps: Arc::new(Stamps::new(stamp_bytes(config))),
        level,
        limits: pipeline::Limits { max_source_pixels: config.max_source_pixels },
        jpeg: config.jpeg,
        max_age_s: config.max_age_s,
        cache: Arc::new(cache(config, (index, bucket))?),
        workshop: Arc::new(Workshop::new(
            (Arc::clone(io), storing),
            pixels,
            (reading, drawing),
            config.most_memory_of_one(),
        )),
        upload: config.upload,
        turns: Arc::new(Turns::new(Arc::clone(index)).map_err(|error| format!("cannot start a thread: {error}"))?),
        storing: Arc::new(Storing::default()),
        eager: Arc::new(eager),
        counts: Arc::new(Counts::default()),
    };
    Ok((service, worker))
}

/// The service under another configuration. What both have in common takes its bounds at once.
pub(super) fn renewed(service: &Service, config: &Config) -> Service {
    let (reading, drawing) = gates(config);
    service.workshop.set_limits((reading, drawing), config.most_memory_of_one());
    service.stamps.set_capacity(stamp_bytes(config));
    service.cache.set_limits(cache_options(config), config.cache.memory_bytes);
    Service {
        access: Arc::new(service.access.with_rules(config.authorisation, config.throttling_rate)),
        catalog: config.catalog.clone(),
        limits: pipeline::Limits { max_source_pixels: config.max_source_pixels },
        jpeg: config.jpeg,
        max_age_s: config.max_age_s,
        upload: config.upload,
        ..service.clone()
    }
}

/// What is served, under a configuration.
pub(super) fn site(config: &Config, service: Arc<Service>, readiness: Arc<Readiness>) -> Site {
    Site {
        service,
        readiness,
        cors: cors(config),
        trusted_proxies: config.trusted_proxies.clone(),
        accel_prefix: config.cache.x_accel_redirect.as_ref().map(|folder| folder.as_str().to_owned()),
        shows_metrics: config.metrics_listen.is_empty(),
        debug_headers: config.debug_headers,
    }
}

/// Shows the bounds in force.
pub(super) fn show_bounds(config: &Config) {
    metrics::set_limits(config.bounds().iter().map(|bound| (bound.key, bound.value as f64)));
}

fn gates(config: &Config) -> (GateLimits, GateLimits) {
    let (n_workers, bytes) = (workers(config), config.work.memory_bytes);
    let max_wait = seconds(config.front_door.queue_timeout_s);
    let reading = GateLimits {
        places: n_workers * READ_AHEAD,
        bytes: bytes / SOURCE_SHARE,
        queue: config.front_door.max_queue as usize,
        max_wait,
    };
    // Whoever has a source in memory waits: their number is bounded by the gate before.
    (reading, GateLimits { places: n_workers, bytes, queue: usize::MAX, max_wait })
}

fn stamp_bytes(config: &Config) -> u64 {
    config.work.memory_bytes / STAMP_SHARE
}

/// What an operator should think about, a sentence each.
pub(super) fn advice(config: &Config) -> Vec<String> {
    let mut advice = Vec::new();
    if counts_proxies(config) {
        let sentence = "behind a proxy all clients count as one for throttling-rate: name the proxy in trusted-proxies";
        advice.push(sentence.to_owned());
    }
    let most = config.most_memory();
    if let Some(limit) = config.memory_limit.filter(|limit| limit.bytes < most) {
        advice.push(format!(
            "the bounds of memory add up to {} MB, {} allows {} MB: lower work-memory, cache.memory, http.max-unsent \
             or http.max-uploads, or leave them out",
            most >> 20,
            limit.source,
            limit.bytes >> 20
        ));
    }
    advice
}

/// Whether it looks as if only a proxy could come here, and all of its clients were counted together.
fn counts_proxies(config: &Config) -> bool {
    let is_local =
        |address: &ListenAddress| matches!(address, ListenAddress::Tcp(address) if address.ip().is_loopback());
    config.throttling_rate.0 > 0 && config.trusted_proxies.is_empty() && config.listen.iter().all(is_local)
}

fn cors(config: &Config) -> Cors {
    let sites = config.cors_allow_origins.iter().filter_map(|origin| match origin {
        Origin::Site(site) => Some(site.clone()),
        Origin::Any => None,
    });
    match (config.cors_allow_origins.contains(&Origin::Any), sites.collect::<Vec<_>>()) {
        (true, _) => Cors::Everybody,
        (false, sites) if sites.is_empty() => Cors::Nobody,
        (false, sites) => Cors::Sites(sites),
    }
}

fn cache(config: &Config, (index, bucket): (&Arc<dyn Index>, Option<&Arc<dyn Objects>>)) -> Result<Cache, String> {
    if !config.cache.is_enabled {
        return Ok(Cache::none());
    }
    let place = storage::place(config, bucket);
    let disk = VariantCache::open(&place, Arc::clone(index), cache_options(config));
    Ok(Cache::new(Arc::new(disk.map_err(|error| describe(&error))?), config.cache.memory_bytes))
}

fn cache_options(config: &Config) -> CacheOptions {
    CacheOptions {
        limit_bytes: config.cache.limit_bytes,
        strategy: config.cache.strategy,
        unwritten_bytes: config.cache.unwritten_bytes,
    }
}

fn workers(config: &Config) -> usize {
    match config.work.pixel_threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        n_threads => n_threads as usize,
    }
}

pub(super) fn io_threads(config: &Config) -> usize {
    let n_cores = thread::available_parallelism().map_or(1, usize::from);
    match config.work.io_threads {
        0 if config.storage.0 == StorageChoice::Local => 2 * n_cores + 2,
        // A network answers later than a disk.
        0 => MIN_NETWORK_THREADS.max(8 * n_cores),
        n_threads => n_threads as usize,
    }
}

/// Listens on all of these, and then says so: who reads of one address may use the others.
pub(super) fn listen(addresses: &[ListenAddress]) -> Result<Vec<Listener>, String> {
    let bind = |address: &ListenAddress| Listener::bind(&address.to_string()).map_err(|error| describe(&error));
    let listeners = addresses.iter().map(bind).collect::<Result<Vec<_>, _>>()?;
    for (listener, address) in listeners.iter().zip(addresses) {
        match listener.local_address() {
            Some(bound) => tracing::info!("listening on http://{bound}"),
            None => tracing::info!("listening on {address}"),
        }
    }
    Ok(listeners)
}

pub(super) fn limits(config: &Config) -> Limits {
    let door = &config.front_door;
    Limits {
        max_connections: door.max_connections as usize,
        max_connections_per_address: door.max_connections_per_address as usize,
        max_head_bytes: door.max_head_bytes as usize,
        max_line_bytes: door.max_line_bytes as usize,
        max_headers: door.max_headers as usize,
        max_target_bytes: door.max_url_bytes as usize,
        // The largest body that anything here takes.
        max_body_bytes: config.upload.max_file_bytes + FORM_BYTES,
        request_timeout: seconds(door.request_timeout_s),
        head_timeout: seconds(door.head_timeout_s),
        idle_timeout: seconds(door.idle_timeout_s),
        write_timeout: seconds(door.write_timeout_s),
        min_write_bytes_per_second: door.min_write_rate,
        read_timeout: seconds(door.read_timeout_s),
        min_read_bytes_per_second: door.min_read_rate,
        body_timeout: seconds(door.body_timeout_s),
        max_uploads: door.max_uploads as usize,
        max_unsent_bytes: door.max_unsent_bytes,
        stop_timeout: seconds(door.drain_timeout_s),
        max_requests: door.max_requests as usize,
        max_skip_bytes: door.max_skip_bytes,
        skip_timeout: seconds(door.skip_timeout_s),
        max_linger_bytes: door.max_linger_bytes,
        linger_timeout: seconds(door.linger_timeout_s),
        eviction_age: seconds(door.eviction_age_s),
        access_log: door.access_log,
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds))
}
