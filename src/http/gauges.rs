//! What the loop shows of itself in `/metrics`, after each round.

use prometheus::IntGauge;

use super::connection::Connection;
use super::shared::Shared;
use super::slots::Slots;
use crate::metrics::metrics;

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
        metrics().connections.set(number(connections.len()));
        self.requests.set(number(shared.pool.load()));
        self.uploads.set(number(shared.pool.n_receiving()));
        self.unsent_bytes.set(i64::try_from(shared.unsent.total_bytes()).unwrap_or(i64::MAX));
    }
}

fn number(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Counts a connection that is closed before its time, by the bound that it was closed for.
pub(super) fn count_closed(reason: &'static str) {
    metrics().connections_closed.with_label_values(&[reason]).inc();
}
