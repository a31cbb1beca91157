//! `pixlserv run`: from a configuration to a server, and to its end.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use argh::FromArgs;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{accept, describe, index, level, load, log, storage};
use crate::access::Access;
#[cfg(feature = "tiny_http")]
use crate::config::Loop;
use crate::config::{Config, ListenAddress, Origin, StorageChoice};
use crate::http::routes::{self, Cors, Site};
use crate::http::{self, Handlers, Limits, Listener, Stop};
use crate::index::Index;
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
/// Time for the last writes of the cache, also where requests have none.
const MIN_FLUSH: Duration = Duration::from_secs(5);

/// Serve images.
#[derive(FromArgs)]
#[argh(subcommand, name = "run")]
pub(super) struct Arguments {
    /// the YAML file; config/example.yaml explains every key
    #[argh(positional)]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), String> {
    let config = load(Some(&arguments.config))?;
    accept(&config)?;
    let _log = log::start().map_err(|error| format!("cannot start a thread: {error}"))?;
    tracing::info!("pixlserv {} with {}", env!("CARGO_PKG_VERSION"), arguments.config.display());
    tracing::info!("storage: {}", config.storage.1);
    tracing::info!("index: {}", config.index.1);
    let level = level()?;
    tracing::info!("instructions: {}", level.name());
    if counts_proxies(&config) {
        tracing::warn!(
            "behind a proxy all clients count as one for throttling-rate: name the proxy in trusted-proxies"
        );
    }
    let threads_failed = |error| format!("cannot start threads: {error}");
    let io = Arc::new(service::threads("io", io_threads(&config), 0).map_err(threads_failed)?);
    let index = index::open(&config)?;
    let bucket = storage::bucket(&config)?;
    if let Some(bucket) = &bucket {
        storage::verify(&config, &**bucket)?;
    }
    let (service, eager) = service(&config, level, &io, (&index, bucket.as_ref()))?;
    let service = Arc::new(service);
    for (name, transformation) in &service.catalog.named {
        // It may come later.
        if let Err(error) = Stamps::look_for_watermarks(&*service.storage, transformation) {
            tracing::warn!("transformation {} is answered 500: {}", name.as_str(), describe(&error));
        }
    }
    eager.start(&service).map_err(threads_failed)?;
    let readiness = Readiness::watch(&service).map_err(threads_failed)?;
    let accel_prefix = config.cache.x_accel_redirect.as_ref().map(|folder| folder.as_str().to_owned());
    let site = Arc::new(Site {
        service: Arc::clone(&service),
        readiness,
        cors: cors(&config),
        trusted_proxies: config.trusted_proxies.clone(),
        accel_prefix,
    });
    let stop = Stop::new().map_err(|error| format!("cannot make a pipe: {error}"))?;
    stop_on_signals(&stop)?;
    raise_open_files();
    let listeners = config.listen.iter().map(listen).collect::<Result<Vec<_>, _>>()?;
    let handlers = Handlers {
        instant: {
            let site = Arc::clone(&site);
            Arc::new(move |request| routes::answer_at_once(&site, request))
        },
        dresser: {
            let site = Arc::clone(&site);
            Arc::new(move |request, response| routes::dress(&site, request, response))
        },
        queued: Arc::new(move |request, reply| routes::answer(&site, request, reply)),
        threads: io,
    };
    let limits = limits(&config);
    let served = match config.front_door.r#loop {
        #[cfg(feature = "tiny_http")]
        Loop::TinyHttp => http::tiny::serve(listeners, &limits, &stop, handlers),
        _ => http::serve(listeners, &limits, &stop, handlers),
    };
    served.map_err(|error| format!("cannot serve: {error}"))?;
    if !service.close(limits.stop_timeout.max(MIN_FLUSH)) {
        tracing::warn!("the cache could not write all in time");
    }
    tracing::info!("stopped: {}", service.counts);
    Ok(())
}

fn service(
    config: &Config,
    level: Level,
    io: &Arc<rayon::ThreadPool>,
    (index, bucket): (&Arc<dyn Index>, Option<&Arc<dyn Objects>>),
) -> Result<(Service, EagerWorker), String> {
    let n_workers = workers(config);
    let pixels = service::threads("pixels", n_workers, PIXEL_NICENESS);
    let pixels = pixels.map_err(|error| format!("cannot start threads: {error}"))?;
    let max_wait = seconds(config.front_door.queue_timeout_s);
    let storing = match bucket {
        None => Arc::clone(io),
        Some(_) => {
            let threads = service::threads("storing", STORING_THREADS, 0);
            Arc::new(threads.map_err(|error| format!("cannot start threads: {error}"))?)
        }
    };
    let bytes = config.work.memory_bytes;
    let reading = GateLimits {
        places: n_workers * READ_AHEAD,
        bytes: bytes / SOURCE_SHARE,
        queue: config.front_door.max_queue as usize,
        max_wait,
    };
    // Whoever has a source in memory waits: their number is bounded by the gate before.
    let drawing = GateLimits { places: n_workers, bytes, queue: usize::MAX, max_wait };
    let (eager, worker) = Eager::new(Arc::clone(index), n_workers);
    let service = Service {
        access: Access::new(index, config.authorisation, config.throttling_rate),
        catalog: config.catalog.clone(),
        storage: storage::open(config, bucket, index)?,
        stamps: Stamps::new(bytes / STAMP_SHARE),
        level,
        limits: pipeline::Limits { max_source_pixels: config.max_source_pixels },
        jpeg: config.jpeg,
        max_age_s: config.max_age_s,
        cache: cache(config, (index, bucket))?,
        workshop: Workshop::new((Arc::clone(io), storing), pixels, reading, drawing),
        upload: config.upload,
        turns: Turns::new(Arc::clone(index)).map_err(|error| format!("cannot start a thread: {error}"))?,
        storing: Storing::default(),
        eager,
        counts: Counts::default(),
    };
    Ok((service, worker))
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
    let options = CacheOptions { limit_bytes: config.cache.limit_bytes, strategy: config.cache.strategy };
    let place = storage::place(config, bucket);
    let disk = VariantCache::open(&place, Arc::clone(index), options).map_err(|error| describe(&error))?;
    Ok(Cache::new(Arc::new(disk), config.cache.memory_bytes))
}

fn workers(config: &Config) -> usize {
    match config.work.pixel_threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        n_threads => n_threads as usize,
    }
}

fn io_threads(config: &Config) -> usize {
    let n_cores = thread::available_parallelism().map_or(1, usize::from);
    match config.work.io_threads {
        0 if config.storage.0 == StorageChoice::Local => 2 * n_cores + 2,
        // A network answers later than a disk.
        0 => MIN_NETWORK_THREADS.max(8 * n_cores),
        n_threads => n_threads as usize,
    }
}

fn listen(address: &ListenAddress) -> Result<Listener, String> {
    let listener = Listener::bind(&address.to_string()).map_err(|error| describe(&error))?;
    match listener.local_address() {
        Some(bound) => tracing::info!("listening on http://{bound}"),
        None => tracing::info!("listening on {address}"),
    }
    Ok(listener)
}

fn limits(config: &Config) -> Limits {
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
        queue_timeout: seconds(door.queue_timeout_s),
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

/// SIGTERM and SIGINT ask for the end once; running requests finish.
fn stop_on_signals(stop: &Stop) -> Result<(), String> {
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(|error| format!("cannot wait for signals: {error}"))?;
    let stop = stop.clone();
    let wait = move || {
        for _ in signals.forever() {
            tracing::info!("stopping: running requests finish first");
            stop.request();
        }
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    Ok(())
}

/// Every connection is an open file: the soft limit is often 1,024, the hard one far above.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!("cannot raise the limit of open files: {error}");
    }
}
