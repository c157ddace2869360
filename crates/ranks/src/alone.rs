//! A job of one rank, in a build without MPI. [`World`] has the methods of the one that `world.rs` builds on MPI.

use std::collections::VecDeque;
use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::message::{decode, encode};
use crate::{OnNode, RankFailure, StartError, end_job_on_panic, launched_ranks};

/// Stands for the running MPI library, which this build does not have.
#[derive(Debug)]
pub struct Universe;

/// The job, as its one rank sees it.
#[derive(Debug, Default)]
pub struct World {
    /// Messages that this rank has sent to itself and not received.
    loopback: VecDeque<Vec<u8>>,
}

impl World {
    /// Starts a job of one rank and installs the hook by which a panic on any thread ends it.
    ///
    /// # Errors
    /// A launcher has started several processes, each of which would do the whole job.
    pub fn start() -> Result<(Universe, Self), StartError> {
        match launched_ranks() {
            Some((variable, ranks)) if ranks > 1 => Err(StartError::NotBuilt { variable, ranks }),
            _ => {
                end_job_on_panic(|| signal_hook::low_level::exit(1));
                Ok((Universe, Self::default()))
            }
        }
    }

    /// The number of this rank, which is 0.
    pub fn rank(&self) -> usize {
        0
    }

    /// This rank's place among those of its node: the one rank is alone there.
    pub fn on_node(&self) -> OnNode {
        OnNode { rank: 0, ranks: 1 }
    }

    /// The number of ranks, which is 1.
    pub fn size(&self) -> usize {
        1
    }

    /// Whether this is rank 0, which the one rank is.
    pub fn is_root(&self) -> bool {
        true
    }

    /// Does nothing, because there are no other ranks to watch.
    pub fn watch_peers(&self, _: Duration) {}

    /// Sends a message to this rank, the only one.
    pub fn send<M: Serialize>(&mut self, _: usize, message: M) {
        self.loopback.push_back(encode(&message));
    }

    /// Sends a message to every rank, which is this one.
    pub fn send_to_all<M: Serialize>(&mut self, message: M) {
        self.send(0, message);
    }

    /// Bytes that were sent and have not left, which is none: what this rank sends has arrived.
    pub fn backlog(&self) -> usize {
        0
    }

    /// Whether a message is on its way, which none ever is.
    pub fn in_transit(&self) -> bool {
        false
    }

    /// The next message that this rank has sent to itself, with its sender, 0; the first one sent comes first.
    pub fn receive<M: DeserializeOwned>(&mut self) -> Option<(usize, M)> {
        Some((0, decode(&self.loopback.pop_front()?)))
    }

    /// Drops the messages that were sent and not received.
    pub fn drain(&mut self) {
        self.loopback.clear();
    }

    /// The outcome of this rank, which is that of all ranks.
    ///
    /// # Errors
    /// This rank's failure.
    pub fn agree<T, E: Display>(&self, outcome: Result<T, E>) -> Result<T, RankFailure> {
        outcome.map_err(|error| RankFailure {
            rank: 0,
            message: error.to_string(),
        })
    }

    /// The value of rank 0, which has to give one.
    pub fn broadcast<T: Serialize + DeserializeOwned>(&self, value: Option<T>) -> T {
        value.expect("rank 0 has a value to broadcast")
    }

    /// The number that every rank gives, in the order of ranks: this rank's alone.
    pub fn gather(&self, value: u64) -> Vec<u64> {
        vec![value]
    }

    /// The text that every rank gives, in the order of ranks: this rank's alone.
    pub fn gather_text(&self, text: &str) -> Vec<String> {
        vec![text.to_owned()]
    }
}
