//! Which connections are open and what each does: the caps, and who goes when they are reached.
//!
//! A full house does not shut honest clients out: the connection that has waited longest for a request is closed for
//! the new one, first among those that have sent nothing, then among those that send their head slowly. Only when
//! every connection is at work do new ones wait in the kernel's queue.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::socket::Socket;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing of a request has come, or the last answer is out and the close is near.
    Idle,
    /// A part of a head has come.
    Head,
    /// A request is worked on or answered.
    Busy,
}

/// All open connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    entries: Mutex<Entries>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Entries {
    next_id: u64,
    open: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    socket: Arc<Socket>,
    peer: Option<IpAddr>,
    phase: Phase,
    since: Instant,
    is_evicted: bool,
}

/// One connection's place among the others; given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    id: u64,
    connections: Arc<Connections>,
}

impl Connections {
    /// Gives the connection a place, whether or not there is room: the caller looks before it accepts.
    pub(super) fn enter(self: &Arc<Self>, socket: Arc<Socket>, peer: Option<IpAddr>) -> Slot {
        let mut entries = self.lock();
        let id = entries.next_id;
        entries.next_id += 1;
        let entry = Entry { socket, peer, phase: Phase::Idle, since: Instant::now(), is_evicted: false };
        entries.open.insert(id, entry);
        Slot { id, connections: Arc::clone(self) }
    }

    /// Whether fewer than `max` are open.
    pub(super) fn has_room(&self, max: usize) -> bool {
        self.lock().open.len() < max
    }

    /// How many are open from the network of `peer`.
    pub(super) fn count_from(&self, peer: IpAddr) -> usize {
        let network = network_of(peer);
        self.lock().open.values().filter(|entry| entry.peer.map(network_of) == Some(network)).count()
    }

    /// Closes the one that has waited longest, if any has waited for `age`. Does nothing while an earlier one is
    /// still going.
    pub(super) fn evict(&self, age: Duration) {
        let mut entries = self.lock();
        if entries.open.values().any(|entry| entry.is_evicted) {
            return;
        }
        let now = Instant::now();
        let waits = |entry: &&mut Entry| entry.phase != Phase::Busy && now.duration_since(entry.since) >= age;
        let rank = |entry: &&mut Entry| (entry.phase != Phase::Idle, entry.since);
        if let Some(entry) = entries.open.values_mut().filter(waits).min_by_key(rank) {
            entry.is_evicted = true;
            entry.socket.shut_down();
        }
    }

    /// Waits until one has gone, or for `timeout`.
    pub(super) fn wait_for_room(&self, max: usize, timeout: Duration) {
        let entries = self.lock();
        let is_full = |entries: &mut Entries| entries.open.len() >= max;
        drop(self.freed.wait_timeout_while(entries, timeout, is_full));
    }

    /// Waits until all have gone; those that have not after `timeout` are cut off. Returns how many those were.
    pub(super) fn drain(&self, timeout: Duration) -> usize {
        let is_open = |entries: &mut Entries| !entries.open.is_empty();
        let waited = self.freed.wait_timeout_while(self.lock(), timeout, is_open);
        let (entries, _) = waited.unwrap_or_else(PoisonError::into_inner);
        entries.open.values().for_each(|entry| entry.socket.shut_down());
        entries.open.len()
    }

    /// A thread that panics here leaves whole entries behind, so the lock goes on.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Tells what the connection does from now on. False if it was evicted meanwhile: it must end at once.
    #[must_use]
    pub(super) fn begin(&self, phase: Phase) -> bool {
        let mut entries = self.connections.lock();
        let Some(entry) = entries.open.get_mut(&self.id) else {
            return false;
        };
        if entry.phase != phase {
            entry.phase = phase;
            entry.since = Instant::now();
        }
        !entry.is_evicted
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let entry = self.connections.lock().open.remove(&self.id);
        // Closes the socket, if it is the last hand on it, before somebody is told of the room.
        drop(entry);
        self.connections.freed.notify_all();
    }
}

/// What counts as one address: an IPv4 address, or the /64 that one IPv6 customer gets.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::http::socket::Wake;

    fn enter(connections: &Arc<Connections>, phase: Phase) -> (Slot, Arc<Socket>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let socket = Arc::new(Socket::from_unix(ours).unwrap());
        let slot = connections.enter(Arc::clone(&socket), None);
        assert!(slot.begin(phase));
        (slot, socket, theirs)
    }

    fn is_shut(socket: &Socket) -> bool {
        socket.wait_readable(Instant::now(), None).unwrap() == Wake::Ready
    }

    #[test]
    fn the_longest_idle_goes_first_and_the_busy_never() {
        let connections = Arc::new(Connections::default());
        let (_busy, busy, _a) = enter(&connections, Phase::Busy);
        let (slow_slot, slow, _b) = enter(&connections, Phase::Head);
        let (old_slot, old, _c) = enter(&connections, Phase::Idle);
        let (_young, young, _d) = enter(&connections, Phase::Idle);
        connections.evict(Duration::from_secs(3600));
        assert!(!is_shut(&old), "nobody is old enough");
        connections.evict(Duration::ZERO);
        connections.evict(Duration::ZERO);
        assert_eq!([&busy, &slow, &old, &young].map(|socket| is_shut(socket)), [false, false, true, false]);
        assert!(!old_slot.begin(Phase::Head));
        drop(old_slot);
        connections.evict(Duration::ZERO);
        assert!(is_shut(&young) && !is_shut(&slow));
        drop(_young);
        connections.evict(Duration::ZERO);
        assert!(is_shut(&slow) && !is_shut(&busy));
        drop(slow_slot);
        connections.evict(Duration::ZERO);
        assert!(!is_shut(&busy));
        assert!(connections.has_room(2) && !connections.has_room(1));
        assert_eq!(connections.drain(Duration::ZERO), 1);
        assert!(is_shut(&busy));
    }

    #[test]
    fn one_ipv6_customer_is_one_address() {
        let check = |left: &str, right: &str, expected: bool| {
            let (left, right) = (left.parse().unwrap(), right.parse().unwrap());
            assert_eq!(network_of(left) == network_of(right), expected, "{left} {right}");
        };
        check("2001:db8::1", "2001:db8::ffff:1", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
    }
}
