//! The ranks of a job: typed messages between any two of them, and collective operations of all.
//!
//! [`World`] is this rank's view of the job. With the feature `mpi` the ranks are those of MPI, and this is the one crate that
//! knows MPI; without it the job has one rank. What the messages say is not known here.

#[cfg(not(feature = "mpi"))]
mod alone;
#[cfg(feature = "mpi")]
mod heartbeat;
#[cfg(feature = "mpi")]
mod launcher;
mod message;
#[cfg(feature = "mpi")]
mod world;

use serde::{Deserialize, Serialize};
use thiserror::Error;

#[cfg(not(feature = "mpi"))]
pub use alone::{Universe, World};
#[cfg(feature = "mpi")]
pub use mpi::environment::Universe;
#[cfg(feature = "mpi")]
pub use world::World;

/// Bytes of messages that are arriving, above which no more are received.
pub const ARRIVING: usize = 16 << 20;

/// Why the ranks could not start together.
#[derive(Debug, Error)]
pub enum StartError {
    #[error("MPI was initialised twice in one process")]
    Initialised,
    #[error(
        "MPI grants no thread support (\"{granted}\"), but at least \"Funneled\" is needed; \
         use an MPI library that was built with threads"
    )]
    Threads { granted: String },
    #[error(
        "{variable} says that {expected} ranks were started, but MPI sees {found}: the launcher belongs to another MPI \
         library than this program ({library}). Use that library's mpirun, or srun with the --mpi type that it supports"
    )]
    WrongLauncher {
        variable: &'static str,
        expected: usize,
        found: usize,
        library: String,
    },
    #[error(
        "{variable} says that {ranks} ranks were started, but this program was built without MPI and runs as one rank: start it \
         without a launcher, or build it with --features mpi"
    )]
    NotBuilt {
        variable: &'static str,
        ranks: usize,
    },
}

/// One rank's failure, made known to all ranks.
#[derive(Debug, Clone, Error, Serialize, Deserialize)]
#[error("rank {rank}: {message}")]
pub struct RankFailure {
    pub rank: usize,
    pub message: String,
}

/// A rank's place on its node.
#[derive(Debug, Clone, Copy)]
pub struct OnNode {
    /// Among the ranks of the node, from 0.
    pub rank: usize,
    /// Ranks of the node.
    pub ranks: usize,
}

/// The rank that the launcher gave this process, known before MPI starts; 0 without a launcher.
pub fn launched_rank() -> usize {
    let variables = [
        "OMPI_COMM_WORLD_RANK",
        "PMIX_RANK",
        "PMI_RANK",
        "SLURM_PROCID",
    ];
    variables
        .iter()
        .find_map(|name| std::env::var(name).ok()?.parse().ok())
        .unwrap_or(0)
}

/// The number of ranks that the launcher says it has started, above all others more than one, and the variable that says so.
fn launched_ranks() -> Option<(&'static str, usize)> {
    let said = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"]
        .into_iter()
        .filter_map(|variable| Some((variable, std::env::var(variable).ok()?.parse().ok()?)));
    said.max_by_key(|&(_, ranks)| ranks)
}
