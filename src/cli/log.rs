//! The log: lines on standard error, written by a thread of their own. Whoever reads them slowly, or not at all, holds
//! up no request; lines that find no room are counted and left out.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Log as LogOptions, LogFormat, LogLevel};
use crate::metrics::metrics;

/// Lines that may wait; at about 200 bytes each, 2 MB.
const MAX_WAITING: usize = 10_000;
/// How long the last lines may take.
const END: Duration = Duration::from_secs(1);

/// Writes what is still waiting when it is dropped.
pub(super) struct Log {
    lines: SyncSender<Task>,
}

enum Task {
    Line(Vec<u8>),
    End(SyncSender<()>),
}

/// Gives lines to the thread.
#[derive(Clone)]
struct Lines {
    lines: SyncSender<Task>,
    n_lost: Arc<AtomicU64>,
}

/// Begins the log of this process.
/// # Errors
/// If there is no thread to be had.
pub(super) fn start(options: LogOptions) -> io::Result<Log> {
    let (sender, received) = sync_channel(MAX_WAITING);
    let lines = Lines { lines: sender, n_lost: Arc::default() };
    let n_lost = Arc::clone(&lines.n_lost);
    thread::Builder::new().name("log".to_owned()).spawn(move || write(&received, &n_lost))?;
    let log = Log { lines: lines.lines.clone() };
    let level = match options.level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
    };
    let subscriber = tracing_subscriber::fmt().with_writer(lines).with_target(false).with_max_level(level);
    match options.format {
        LogFormat::Text => subscriber.with_ansi(is_on_terminal()).init(),
        LogFormat::Json => subscriber.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
    }
    // What panics is contained and answered where it happens; the log says where that was, in one line.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "nowhere".to_owned(), ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("no message").replace(['\n', '\r'], " ");
        tracing::error!("contained panic at {place}: {message}");
        metrics().panics.inc();
    }));
    Ok(log)
}

/// Whether a person reads the lines as they come.
pub(super) fn is_on_terminal() -> bool {
    io::stderr().is_terminal()
}

fn write(received: &Receiver<Task>, n_lost: &AtomicU64) {
    let mut stderr = io::stderr();
    let mut text = Vec::new();
    while let Ok(task) = received.recv() {
        let mut next = Some(task);
        let mut end = None;
        // Lines that came together go together.
        while let Some(task) = next {
            match task {
                Task::Line(line) => text.extend_from_slice(&line),
                Task::End(done) => end = Some(done),
            }
            next = if text.len() < 1 << 16 { received.try_recv().ok() } else { None };
        }
        // There is nowhere else to say that standard error is closed.
        let _ = stderr.write_all(&text);
        text.clear();
        let lost = n_lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            // It comes to this thread as any other line, and there is room for it now.
            tracing::warn!("{lost} lines of the log were lost: it is read too slowly");
        }
        if let Some(done) = end {
            let _ = done.send(());
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let (sender, done) = sync_channel(1);
        if self.lines.try_send(Task::End(sender)).is_ok() {
            // A reader that is too slow for the last lines does not keep the process.
            let _ = done.recv_timeout(END);
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Lines {
    /// Takes a whole line, as the subscriber gives it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(Task::Line(line.to_vec())).is_err() {
            self.n_lost.fetch_add(1, Ordering::Relaxed);
            metrics().log_lines_lost.inc();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
