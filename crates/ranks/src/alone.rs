//! A job of one rank, in a build without MPI.

use std::collections::VecDeque;
use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::message::{decode, encode};
use crate::{OnNode, RankFailure, StartError, launched_ranks};

/// What MPI would be, if it were there.
#[derive(Debug)]
pub struct Universe;

/// The one rank, seen from itself.
#[derive(Debug, Default)]
pub struct World {
    loopback: VecDeque<Vec<u8>>,
}

impl World {
    /// Starts a job of one rank.
    ///
    /// # Errors
    /// A launcher has started several processes, each of which would do the whole job.
    pub fn start() -> Result<(Universe, Self), StartError> {
        match launched_ranks() {
            Some((variable, ranks)) if ranks > 1 => Err(StartError::NotBuilt { variable, ranks }),
            _ => Ok((Universe, Self::default())),
        }
    }

    /// 0.
    pub fn rank(&self) -> usize {
        0
    }

    /// This rank is alone on its node, as far as is known.
    pub fn on_node(&self) -> OnNode {
        OnNode { rank: 0, ranks: 1 }
    }

    /// 1.
    pub fn size(&self) -> usize {
        1
    }

    /// True.
    pub fn is_root(&self) -> bool {
        true
    }

    /// There are no peers to watch.
    pub fn watch_peers(&self, _: Duration) {}

    /// Sends a message to this rank.
    pub fn send<M: Serialize>(&mut self, _: usize, message: M) {
        self.loopback.push_back(encode(&message));
    }

    /// 0: what is sent is there.
    pub fn backlog(&self) -> usize {
        0
    }

    /// False.
    pub fn in_transit(&self) -> bool {
        false
    }

    /// The next message that this rank has sent to itself, in their order.
    pub fn receive<M: DeserializeOwned>(&mut self) -> Option<(usize, M)> {
        Some((0, decode(&self.loopback.pop_front()?)))
    }

    /// Drops what was sent and not received.
    pub fn drain(&mut self) {
        self.loopback.clear();
    }

    /// The outcome of this rank.
    ///
    /// # Errors
    /// Its failure.
    pub fn agree<T, E: Display>(&self, outcome: Result<T, E>) -> Result<T, RankFailure> {
        outcome.map_err(|error| RankFailure {
            rank: 0,
            message: error.to_string(),
        })
    }

    /// The value of this rank, the root, which has to give one.
    pub fn broadcast<T: Serialize + DeserializeOwned>(&self, value: Option<T>) -> T {
        value.expect("rank 0 has a value to broadcast")
    }

    /// This rank's number.
    pub fn gather(&self, value: u64) -> Vec<u64> {
        vec![value]
    }

    /// This rank's text.
    pub fn gather_text(&self, text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }
}
