//! `pixlserv run`: from a configuration to a server, and to its end.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use argh::FromArgs;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{accept, describe};
use crate::config::{Config, Environment, FrontDoor, ListenAddress};
use crate::http::{self, Handlers, Limits, Listener, Stop, routes};
use crate::pipeline;
use crate::service::{MemoryBudget, Service};
use crate::store::LocalStorage;

/// What pixels may take in memory, over all requests: ten photographs of 8 megapixels. A larger one is made alone.
const PIXEL_BYTES: u64 = 256 << 20;

/// Serve images.
#[derive(FromArgs)]
#[argh(subcommand, name = "run")]
pub(super) struct Arguments {
    /// the YAML file; config/example.yaml explains every key
    #[argh(positional)]
    config: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), String> {
    let config = Config::load(&arguments.config, &Environment::of_process()).map_err(|error| describe(&error))?;
    accept(&config)?;
    log_to_stderr();
    tracing::info!("pixlserv {} with {}", env!("CARGO_PKG_VERSION"), arguments.config.display());
    tracing::info!("storage: {}", config.storage.1);
    tracing::info!("index: {}", config.index.1);
    for sentence in config.unsupported() {
        tracing::warn!("{sentence}");
    }
    let listeners = config.listen.iter().map(listen).collect::<Result<Vec<_>, _>>()?;
    let service = Arc::new(service(&config)?);
    let stop = Stop::new().map_err(|error| format!("cannot make a pipe: {error}"))?;
    stop_on_signals(&stop)?;
    raise_open_files();
    let handlers = Handlers {
        instant: Arc::new(routes::answer_inline),
        queued: Arc::new(move |request, reply| reply.send(routes::answer(&service, &request))),
    };
    http::serve(listeners, &limits(&config.front_door), &stop, handlers)
        .map_err(|error| format!("cannot serve: {error}"))?;
    tracing::info!("stopped");
    Ok(())
}

fn service(config: &Config) -> Result<Service, String> {
    Ok(Service {
        catalog: config.catalog.clone(),
        storage: LocalStorage::open(&config.local_path).map_err(|error| error.to_string())?,
        limits: pipeline::Limits { max_source_pixels: config.max_source_pixels },
        memory: MemoryBudget::new(PIXEL_BYTES, Duration::from_secs(u64::from(config.front_door.queue_timeout_s))),
        jpeg_quality: config.jpeg_quality,
        max_age_s: config.max_age_s,
    })
}

fn listen(address: &ListenAddress) -> Result<Listener, String> {
    let listener = Listener::bind(&address.to_string()).map_err(|error| describe(&error))?;
    match listener.local_address() {
        Some(bound) => tracing::info!("listening on http://{bound}"),
        None => tracing::info!("listening on {address}"),
    }
    Ok(listener)
}

fn limits(door: &FrontDoor) -> Limits {
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    Limits {
        max_connections: door.max_connections as usize,
        max_connections_per_address: door.max_connections_per_address as usize,
        queue_timeout: seconds(door.queue_timeout_s),
        head_timeout: seconds(door.head_timeout_s),
        idle_timeout: seconds(door.idle_timeout_s),
        write_timeout: seconds(door.write_timeout_s),
        stop_timeout: seconds(door.drain_timeout_s),
        max_requests: door.max_queue as usize,
        ..Limits::default()
    }
}

fn log_to_stderr() {
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(is_terminal).with_target(false).init();
    // What panics is contained and answered where it happens; the log says where that was, in one line.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "nowhere".to_owned(), ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message").replace(['\n', '\r'], " ");
        tracing::error!("contained panic at {place}: {message}");
    }));
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
