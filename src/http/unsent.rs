//! Answers that slow clients keep in memory. Each body counts once, however many clients it is on its way to; when all
//! of them together are too much, whoever has been taking an answer for longest has to go.

use std::collections::{BTreeMap, HashMap};

use super::response::Body;
use super::slots::Token;

/// Bodies that did not go out at once.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// By address: how many clients they are on their way to, and their size.
    bodies: HashMap<usize, (usize, u64)>,
    total_bytes: u64,
    /// Clients in the order in which they began.
    clients: BTreeMap<u64, Token>,
    n_begun: u64,
}

/// A client's part in a body. It must be given back.
#[derive(Debug)]
pub(super) struct Held {
    address: usize,
    number: u64,
}

impl Unsent {
    /// Counts a body for one more client.
    pub(super) fn hold(&mut self, token: Token, body: &Body) -> Held {
        // The body lives as long as somebody holds it, so its address names it.
        let address = body.as_ptr() as usize;
        let (n_clients, n_bytes) = self.bodies.entry(address).or_insert((0, body.len() as u64));
        if *n_clients == 0 {
            self.total_bytes += *n_bytes;
        }
        *n_clients += 1;
        self.n_begun += 1;
        self.clients.insert(self.n_begun, token);
        Held { address, number: self.n_begun }
    }

    /// A client has taken its answer, or is gone.
    pub(super) fn give_back(&mut self, held: &Held) {
        if let Some((n_clients, n_bytes)) = self.bodies.get_mut(&held.address) {
            *n_clients -= 1;
            if *n_clients == 0 {
                self.total_bytes -= *n_bytes;
                self.bodies.remove(&held.address);
            }
        }
        self.clients.remove(&held.number);
    }

    /// What all of them take.
    pub(super) fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Who has to go, if there is more than `max_bytes`.
    pub(super) fn next_to_go(&self, max_bytes: u64) -> Option<Token> {
        let first = self.clients.first_key_value().map(|(_, token)| *token);
        first.filter(|_| self.total_bytes > max_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::slots::Slots;
    use super::*;

    #[test]
    fn each_body_counts_once_and_the_slowest_goes() {
        let mut slots = Slots::default();
        let tokens: Vec<Token> = (0..3).map(|number| slots.insert(number)).collect();
        let (large, small) = (Body::from(vec![0; 100]), Body::from(vec![0; 10]));
        let mut unsent = Unsent::default();
        let held: Vec<Held> = [(0, &large), (1, &large.clone()), (2, &small)]
            .map(|(index, body)| unsent.hold(tokens[index], body))
            .into();
        assert_eq!((unsent.total_bytes, unsent.next_to_go(110)), (110, None));
        assert_eq!(unsent.next_to_go(109), Some(tokens[0]));
        unsent.give_back(&held[0]);
        assert_eq!((unsent.total_bytes, unsent.next_to_go(109)), (110, Some(tokens[1])));
        unsent.give_back(&held[1]);
        assert_eq!((unsent.total_bytes, unsent.next_to_go(9)), (10, Some(tokens[2])));
        unsent.give_back(&held[2]);
        assert_eq!((unsent.total_bytes, unsent.bodies.len(), unsent.clients.len()), (0, 0, 0));
    }
}
