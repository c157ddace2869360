//! Fakes of the outbox and of MPI, for unit tests: messages of several ranks in one process, each sent through its serialisation and
//! delivered late and in any order that MPI allows.

use std::collections::{BTreeMap, VecDeque};

use crate::run::messages::{Message, Outbox};

/// An outbox that keeps what is sent.
pub(super) struct FakeOutbox {
    rank: usize,
    ranks: usize,
    /// Bytes that [`Outbox::backlog`] returns.
    pub(super) backlog: usize,
    sent: Vec<(usize, Vec<u8>)>,
}

impl FakeOutbox {
    /// The outbox of `rank` of `ranks`.
    pub(super) fn new(rank: usize, ranks: usize) -> Self {
        Self {
            rank,
            ranks,
            backlog: 0,
            sent: Vec::new(),
        }
    }

    /// Takes what was sent since the last time, with its receivers.
    pub(super) fn take_sent(&mut self) -> Vec<(usize, Message)> {
        let sent = std::mem::take(&mut self.sent).into_iter();
        sent.map(|(to, bytes)| (to, decode(&bytes))).collect()
    }
}

impl Outbox for FakeOutbox {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.ranks
    }

    fn send(&mut self, to: usize, message: Message) {
        assert!(to < self.ranks, "a message to rank {to} of {}", self.ranks);
        let bytes = postcard::to_stdvec(&message).expect("a message can be encoded");
        self.sent.push((to, bytes));
    }

    fn backlog(&self) -> usize {
        self.backlog
    }
}

fn decode(bytes: &[u8]) -> Message {
    postcard::from_bytes(bytes).expect("what was encoded can be decoded")
}

/// A message and its way.
pub(super) struct Delivery {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) message: Message,
}

/// Messages on their way. As with MPI, those of one sender to one receiver keep their order, and all others may overtake each other.
#[derive(Default)]
pub(super) struct FakeMpi {
    /// By sender and receiver.
    routes: BTreeMap<(usize, usize), VecDeque<Vec<u8>>>,
}

impl FakeMpi {
    /// Takes what was sent through an outbox.
    pub(super) fn post(&mut self, outbox: &mut FakeOutbox) {
        for (to, bytes) in std::mem::take(&mut outbox.sent) {
            let route = self.routes.entry((outbox.rank, to)).or_default();
            route.push_back(bytes);
        }
    }

    /// The next message of the route that `pick` chooses among those of which `may_go` lets the first message go.
    pub(super) fn deliver(
        &mut self,
        mut may_go: impl FnMut(&Delivery) -> bool,
        pick: impl FnOnce(usize) -> usize,
    ) -> Option<Delivery> {
        let mut first: Vec<Delivery> = self
            .routes
            .iter()
            .filter_map(|(&(from, to), route)| {
                let message = decode(route.front()?);
                Some(Delivery { from, to, message })
            })
            .filter(|delivery| may_go(delivery))
            .collect();
        if first.is_empty() {
            return None;
        }
        let chosen = first.swap_remove(pick(first.len()));
        self.routes.get_mut(&(chosen.from, chosen.to))?.pop_front();
        Some(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::messages::Order;

    #[test]
    fn messages_of_one_sender_keep_their_order_and_those_of_others_overtake_them() {
        let mut mpi = FakeMpi::default();
        let mut outboxes = [FakeOutbox::new(0, 2), FakeOutbox::new(1, 2)];
        for (rank, status) in [(0, 1), (0, 2), (1, 3)] {
            outboxes[rank].send(0, Message::Order(Order::Finish { status }));
        }
        outboxes.iter_mut().for_each(|outbox| mpi.post(outbox));
        let mut next = |pick: fn(usize) -> usize| match mpi.deliver(|_| true, pick)?.message {
            Message::Order(Order::Finish { status }) => Some(status),
            other => panic!("{other:?}"),
        };
        assert_eq!(next(|routes| routes - 1), Some(3));
        assert_eq!(next(|_| 0), Some(1));
        assert_eq!(next(|_| 0), Some(2));
        assert_eq!(next(|_| 0), None);
    }
}
