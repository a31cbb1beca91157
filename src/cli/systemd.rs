//! What systemd is told, where it has started us (`Type=notify`): that we serve, read the configuration again, stop, and,
//! every so often, that the loop is alive (`WatchdogSec`). Elsewhere nothing of this does anything.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use sd_notify::NotifyState;

/// Whether the loop need not live any more.
static IS_STOPPING: AtomicBool = AtomicBool::new(false);

/// Requests are answered.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is read again; `ready` ends it.
pub(super) fn reloading() {
    let since = NotifyState::monotonic_usec_now().ok();
    tell(&[Some(NotifyState::Reloading), since].into_iter().flatten().collect::<Vec<_>>());
}

/// The end has begun. It has a limit of its own, and the loop may be over before what is to be written is.
pub(super) fn stopping() {
    IS_STOPPING.store(true, Ordering::Relaxed);
    tell(&[NotifyState::Stopping]);
}

/// Says that the server lives as long as `pulse` grows, if systemd wants to know. A loop that stands still for longer than
/// the watchdog waits is ended and started anew.
pub(super) fn watch(pulse: &Arc<AtomicU64>) -> io::Result<()> {
    let Some(interval) = sd_notify::watchdog_enabled() else {
        return Ok(());
    };
    let pulse = Arc::clone(pulse);
    let watch = move || {
        let mut last = pulse.load(Ordering::Relaxed);
        loop {
            thread::park_timeout(interval / 3);
            let now = pulse.load(Ordering::Relaxed);
            if now != last || IS_STOPPING.load(Ordering::Relaxed) {
                tell(&[NotifyState::Watchdog]);
            }
            last = now;
        }
    };
    thread::Builder::new().name("watchdog".to_owned()).spawn(watch)?;
    Ok(())
}

fn tell(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("cannot tell systemd: {error}");
    }
}
