//! Whether the server can do its work: storage and index are looked at every second, by a thread of their own, so that
//! asking for the result never waits for a disk.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{io, thread};

use super::{Live, Service};
use crate::metrics::metrics;

/// How often the rooms are looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// A look that takes this long has found something wrong.
const STALE: Duration = Duration::from_secs(5);

/// The last look, and when it was.
#[derive(Debug)]
pub struct Readiness {
    last: Mutex<(Instant, Result<(), String>)>,
}

impl Readiness {
    /// Looks once, and then every second as long as the service lives.
    /// # Errors
    /// If there is no thread to be had.
    pub fn watch(service: &Arc<Live<Service>>) -> io::Result<Arc<Self>> {
        let readiness = Arc::new(Self { last: Mutex::new((Instant::now(), check(&service.get()))) });
        let (watched, told) = (Arc::downgrade(service), Arc::downgrade(&readiness));
        thread::Builder::new().name("ready".to_owned()).spawn(move || watch(&watched, &told))?;
        Ok(readiness)
    }

    /// What is wrong, if something is.
    /// # Errors
    /// If the storage or the index failed the last look, or the look does not end.
    pub fn get(&self) -> Result<(), String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0.elapsed() > STALE {
            return Err("the storage does not answer".to_owned());
        }
        last.1.clone()
    }

    /// Shows in `/metrics` what `get` says. A look that does not end is trouble of the storage or the index, whichever.
    pub fn show(&self) {
        let is_ready = self.get().is_ok();
        metrics().ready.set(is_ready.into());
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0.elapsed() > STALE {
            metrics().storage_up.set(0);
            metrics().index_up.set(0);
        }
    }
}

fn watch(service: &Weak<Live<Service>>, readiness: &Weak<Readiness>) {
    loop {
        thread::park_timeout(INTERVAL);
        let (Some(service), Some(readiness)) = (service.upgrade(), readiness.upgrade()) else {
            return;
        };
        let result = check(&service.get());
        let mut last = readiness.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Err(reason), Ok(())) = (&result, &last.1) {
            tracing::error!("not ready: {reason}");
        }
        if let (Ok(()), Err(_)) = (&result, &last.1) {
            tracing::info!("ready again");
        }
        *last = (Instant::now(), result);
    }
}

fn check(service: &Service) -> Result<(), String> {
    let storage = service.storage.check().map_err(|error| format!("storage: {}", super::chain(&error)));
    let index = service.access.check().map_err(|error| format!("index: {}", super::chain(&error)));
    let metrics = metrics();
    metrics.storage_up.set(storage.is_ok().into());
    metrics.index_up.set(index.is_ok().into());
    storage.and(index)
}
