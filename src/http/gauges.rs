//! What the loop shows of itself in `/metrics`, after each round.

use prometheus::IntGauge;

use super::connection::Connection;
use super::shared::Shared;
use super::slots::Slots;
use crate::metrics::{self, metrics};

/// The numbers of the loop, looked up once.
#[derive(Debug)]
pub(super) struct Gauges {
    requests: IntGauge,
    uploads: IntGauge,
    unsent_bytes: IntGauge,
}

impl Gauges {
    pub(super) fn new() -> Self {
        let metrics = metrics();
        Self {
            requests: metrics.in_flight.with_label_values(&["requests"]),
            uploads: metrics.in_flight.with_label_values(&["uploads"]),
            unsent_bytes: metrics.in_flight_bytes.with_label_values(&["unsent"]),
        }
    }

    pub(super) fn show(&self, connections: &Slots<Connection>, shared: &Shared) {
        metrics::show(&metrics().connections, connections.len());
        metrics::show(&self.requests, shared.pool.load());
        metrics::show(&self.uploads, shared.pool.n_receiving());
        metrics::show(&self.unsent_bytes, shared.unsent.total_bytes());
    }
}

/// Counts a connection that is closed before its time, by the bound that it was closed for.
pub(super) fn count_closed(reason: &'static str) {
    metrics().connections_closed.with_label_values(&[reason]).inc();
}
