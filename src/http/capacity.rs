//! How many connections there may be: in all, from one address, and by the files that the process may open.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use super::limits::Limits;
use crate::access::network_of;

/// Open files kept for everything but connections.
const RESERVED_FILES: u64 = 128;
/// How often the limit of open files is looked at: it can be changed while we run.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// The caps, and the counts that they need.
#[derive(Debug)]
pub(super) struct Capacity {
    wanted: usize,
    allowed: usize,
    checked: Option<Instant>,
    max_per_network: usize,
    networks: HashMap<IpAddr, usize>,
}

impl Capacity {
    pub(super) fn new(limits: &Limits) -> Self {
        let max = limits.max_connections.max(1);
        let max_per_network = limits.max_connections_per_address;
        Self { wanted: max, allowed: max, checked: None, max_per_network, networks: HashMap::new() }
    }

    /// Others from now on. Those that are in stay, and are counted out as they were counted in.
    pub(super) fn set_limits(&mut self, limits: &Limits) {
        let networks = std::mem::take(&mut self.networks);
        *self = Self { networks, ..Self::new(limits) };
    }

    /// As many connections as configured, if the process may open that many files and some more.
    pub(super) fn max(&mut self, now: Instant) -> usize {
        if self.checked.is_none_or(|checked| now.duration_since(checked) >= CHECK_INTERVAL) {
            self.checked = Some(now);
            let files = getrlimit(Resource::Nofile).current;
            let allowed = files.map_or(self.wanted, |files| allowed_connections(self.wanted, files));
            if allowed < self.allowed {
                tracing::warn!(
                    wanted = self.wanted,
                    allowed,
                    "fewer connections: the process may open {files:?} files"
                );
            }
            self.allowed = allowed;
        }
        self.allowed
    }

    /// The limit of open files may have changed just now.
    pub(super) fn look_again(&mut self) {
        self.checked = None;
    }

    /// Counts a connection in; false, and nothing is counted, if its network has its share already.
    pub(super) fn enter(&mut self, peer: Option<IpAddr>) -> bool {
        let Some(peer) = peer else {
            return true;
        };
        let count = self.networks.entry(network_of(peer)).or_default();
        if self.max_per_network > 0 && *count >= self.max_per_network {
            return false;
        }
        *count += 1;
        true
    }

    /// Counts out a connection that was counted in.
    pub(super) fn leave(&mut self, peer: Option<IpAddr>) {
        let Some(network) = peer.map(network_of) else {
            return;
        };
        if let Some(count) = self.networks.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.networks.remove(&network);
            }
        }
    }
}

fn allowed_connections(wanted: usize, files: u64) -> usize {
    let allowed = files.saturating_sub(RESERVED_FILES).max(files / 2).max(1);
    usize::try_from(allowed).map_or(wanted, |allowed| allowed.min(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_counted_in_and_out() {
        let peer = |text: &str| Some(text.parse().unwrap());
        let limits = Limits { max_connections: 10, max_connections_per_address: 2, ..Limits::default() };
        let mut capacity = Capacity::new(&limits);
        assert!(capacity.enter(peer("192.0.2.1")) && capacity.enter(peer("192.0.2.1")));
        assert!(!capacity.enter(peer("192.0.2.1")) && capacity.enter(peer("192.0.2.2")) && capacity.enter(None));
        capacity.leave(peer("192.0.2.1"));
        assert!(capacity.enter(peer("192.0.2.1")));
        for text in ["192.0.2.1", "192.0.2.1", "192.0.2.2"] {
            capacity.leave(peer(text));
        }
        assert!(capacity.networks.is_empty());
    }

    #[test]
    fn files_bound_connections() {
        for (files, expected) in [(20_000, 10_000), (1024, 896), (256, 128), (40, 20), (0, 1)] {
            assert_eq!(allowed_connections(10_000, files), expected, "{files}");
        }
    }
}
