//! `pixlserv run`: from a configuration to a server, and to its end.

use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use argh::FromArgs;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::reload::Reload;
use super::{accept, assemble, describe, index, level, load, log, storage, systemd};
#[cfg(feature = "tiny_http")]
use crate::config::Loop;
use crate::config::{Config, ListenAddress};
use crate::http::routes::{self, Site};
use crate::http::{self, Handlers, Limits, Listener, Stop};
use crate::metrics;
use crate::service::{self, Live, Readiness, Service, Stamps};

/// Time for the last writes of the cache, also where requests have none.
const MIN_FLUSH: Duration = Duration::from_secs(5);
/// The variable of the C library, and its value.
const ARENAS: (&str, &str) = ("MALLOC_ARENA_MAX", "2");
/// Connections of those who only look at `/metrics`.
const METRICS_CONNECTIONS: usize = 64;

/// Serve images. SIGHUP has the configuration read again; SIGTERM and SIGINT let running requests finish, and end the server.
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
    bound_allocator();
    let _log = log::start(config.log).map_err(|error| format!("cannot start a thread: {error}"))?;
    let level = level()?;
    introduce(&config, arguments, level.name());
    let threads_failed = |error| format!("cannot start threads: {error}");
    let io = Arc::new(service::threads("io", assemble::io_threads(&config), 0).map_err(threads_failed)?);
    let index = index::open(&config)?;
    let bucket = storage::bucket(&config)?;
    if let Some(bucket) = &bucket {
        storage::verify(&config, &**bucket)?;
    }
    let (service, eager) = assemble::service(&config, level, &io, (&index, bucket.as_ref()))?;
    look_for_watermarks(&service);
    let service = Live::new(service);
    eager.start(&service).map_err(threads_failed)?;
    let readiness = Readiness::watch(&service).map_err(threads_failed)?;
    let site = Live::new(assemble::site(&config, service.get(), Arc::clone(&readiness)));
    let limits = Live::new(assemble::limits(&config));
    assemble::show_bounds(&config);
    super::reload::note_time();

    let stop = Stop::new().map_err(|error| format!("cannot make a pipe: {error}"))?;
    // Before anybody can know that the server is there: a signal that comes before it is heeded waits.
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP]);
    let signals = signals.map_err(|error| format!("cannot wait for signals: {error}"))?;
    raise_open_files();
    let listeners = assemble::listen(&config.listen)?;
    let for_metrics = serve_metrics(&config, (&site, &limits.get()), &stop)?;
    let handlers = handlers(&site, io);
    let pulse = Arc::clone(&handlers.pulse);
    let reload = Reload {
        file: arguments.config.clone(),
        config: config.clone(),
        service: Arc::clone(&service),
        site,
        limits: Arc::clone(&limits),
        readiness,
    };
    heed_signals(signals, &stop, reload)?;
    systemd::watch(&pulse).map_err(threads_failed)?;
    systemd::ready();
    let served = match config.front_door.r#loop {
        #[cfg(feature = "tiny_http")]
        Loop::TinyHttp => http::tiny::serve(listeners, &limits, &stop, handlers),
        _ => http::serve(listeners, &limits, &stop, handlers),
    };
    stop.request();
    served.map_err(|error| format!("cannot serve: {error}"))?;
    if let Some(serving) = for_metrics {
        // Its own panic is in the log.
        let _ = serving.join();
    }
    let service = service.get();
    if !service.close(limits.get().stop_timeout.max(MIN_FLUSH)) {
        tracing::warn!("the cache could not write all in time");
    }
    tracing::info!("stopped: {}", service.counts);
    Ok(())
}

/// The C library keeps what was freed apart for each thread, up to eight stores a core; with two the process is half as large
/// and as fast, and stays within its limit of memory. It reads their number at the start of a process alone: so the program
/// starts anew, once, as the same process. Whoever has set the number knows better.
fn bound_allocator() {
    if std::env::var_os(ARENAS.0).is_some() {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_else(|| program.clone().into_os_string());
        // It comes back only if it fails, and then nothing is lost but memory.
        let _ = Command::new(program).arg0(name).args(arguments).env(ARENAS.0, ARENAS.1).exec();
    }
}

/// Says what was chosen, and what an operator should know.
fn introduce(config: &Config, arguments: &Arguments, simd: &str) {
    let version = env!("CARGO_PKG_VERSION");
    metrics::set_settings(version, simd);
    tracing::info!("pixlserv {version} with {}", arguments.config.display());
    tracing::info!("storage: {}", config.storage.1);
    tracing::info!("index: {}", config.index.1);
    tracing::info!("instructions: {simd}");
    for advice in assemble::advice(config) {
        tracing::warn!("{advice}");
    }
}

/// Says which watermarks are missing; they may come later.
pub(super) fn look_for_watermarks(service: &Service) {
    for (name, transformation) in &service.catalog.named {
        if let Err(error) = Stamps::look_for_watermarks(&*service.storage, transformation) {
            tracing::warn!("transformation {} is answered 500: {}", name.as_str(), describe(&error));
        }
    }
}

fn handlers(site: &Arc<Live<Site>>, threads: Arc<rayon::ThreadPool>) -> Handlers {
    let [instant, dresser, queued] = [(); 3].map(|()| Arc::clone(site));
    Handlers {
        instant: Arc::new(move |request| routes::answer_at_once(&instant.get(), request)),
        dresser: Arc::new(move |request, response| routes::dress(&dresser.get(), request, response)),
        queued: Arc::new(move |request, reply| routes::answer(&queued.get(), request, reply)),
        threads,
        pulse: Arc::default(),
        is_counted: true,
    }
}

/// Serves `/metrics` at addresses of its own, with a loop and a thread of its own, if the configuration names some.
fn serve_metrics(
    config: &Config,
    (site, limits): (&Arc<Live<Site>>, &Limits),
    stop: &Stop,
) -> Result<Option<JoinHandle<()>>, String> {
    if config.metrics_listen.is_empty() {
        return Ok(None);
    }
    let listen = |address: &ListenAddress| {
        let listener = Listener::bind(&address.to_string()).map_err(|error| describe(&error))?;
        let bound = listener.local_address().map_or_else(|| address.to_string(), |bound| format!("http://{bound}"));
        tracing::info!("metrics on {bound}/metrics");
        Ok(listener)
    };
    let listeners = config.metrics_listen.iter().map(listen).collect::<Result<Vec<_>, String>>()?;
    let threads = service::threads("metrics", 1, 0).map_err(|error| format!("cannot start threads: {error}"))?;
    let handlers = Handlers {
        instant: Arc::new(|_| None),
        dresser: Arc::new(|_, response| response),
        queued: {
            let site = Arc::clone(site);
            Arc::new(move |request, reply| reply.send(routes::answer_metrics(&site.get(), &request)))
        },
        threads: Arc::new(threads),
        pulse: Arc::default(),
        is_counted: false,
    };
    let limits = Live::new(Limits { max_connections: METRICS_CONNECTIONS, access_log: false, ..limits.clone() });
    let stop = stop.clone();
    let serve = move || {
        if let Err(error) = http::serve(listeners, &limits, &stop, handlers) {
            tracing::error!(%error, "metrics cannot be served");
        }
    };
    let serving = thread::Builder::new().name("metrics".to_owned()).spawn(serve);
    serving.map(Some).map_err(|error| format!("cannot start a thread: {error}"))
}

/// SIGTERM and SIGINT ask for the end once; running requests finish. SIGHUP has the configuration read again.
fn heed_signals(mut signals: Signals, stop: &Stop, mut reload: Reload) -> Result<(), String> {
    // A thread of its own, so that a storage which hangs does not keep the end from being heard. One more may wait.
    let (asks, asked) = sync_channel(1);
    let reload_when_asked = move || {
        while let Ok(()) = asked.recv() {
            // The panic is in the log; what was in force stays.
            let _ = catch_unwind(AssertUnwindSafe(|| reload.run()));
        }
    };
    let cannot_start = |error| format!("cannot start a thread: {error}");
    thread::Builder::new().name("reload".to_owned()).spawn(reload_when_asked).map_err(cannot_start)?;
    let stop = stop.clone();
    let was_on_terminal = log::is_on_terminal();
    let wait = move || {
        for signal in signals.forever() {
            // A terminal that was closed says so by the same signal.
            let has_lost_terminal = was_on_terminal && !log::is_on_terminal();
            if signal == SIGHUP && !has_lost_terminal {
                // If one waits already, it reads what is there now.
                let _ = asks.try_send(());
                continue;
            }
            tracing::info!("stopping: running requests finish first");
            systemd::stopping();
            stop.request();
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map_err(cannot_start)?;
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
