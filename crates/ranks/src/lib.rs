//! The ranks of a job: typed messages between any two of them, and collective operations of all.
//!
//! [`World`] is this rank's view of the job. With the feature `mpi` the ranks are those of MPI, and this is the one crate that
//! knows MPI; without it the job has one rank. This crate does not know what the messages say.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]
#![warn(missing_docs)]

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

/// While messages of this many bytes are arriving, a rank begins to receive no others.
pub const ARRIVING: usize = 16 << 20;

/// Why the ranks could not start together.
#[derive(Debug, Error)]
pub enum StartError {
    /// MPI can be started once in a process.
    #[error("MPI was initialised twice in one process")]
    Initialised,
    /// The MPI library allows no second thread in the process.
    #[error(
        "MPI grants no thread support (\"{granted}\"), but at least \"Funneled\" is needed; \
         use an MPI library that was built with threads"
    )]
    Threads {
        /// MPI's name for what it allows.
        granted: String,
    },
    /// The launcher has started several processes, but each is alone in a job of its own.
    #[error(
        "{variable} says that {expected} ranks were started, but MPI sees {found}: the launcher belongs to another MPI \
         library than this program ({library}). Use that library's mpirun, or srun with the --mpi type that it supports"
    )]
    WrongLauncher {
        /// The environment variable by which the launcher says how many processes it has started.
        variable: &'static str,
        /// Processes that the launcher has started.
        expected: usize,
        /// Ranks that MPI finds.
        found: usize,
        /// Name and version of the MPI library of this program.
        library: String,
    },
    /// The launcher has started several processes, but this program has no MPI by which they could be one job.
    #[error(
        "{variable} says that {ranks} ranks were started, but this program was built without MPI and runs as one rank: start it \
         without a launcher, or build it with --features mpi"
    )]
    NotBuilt {
        /// The environment variable by which the launcher says how many processes it has started.
        variable: &'static str,
        /// Processes that the launcher has started.
        ranks: usize,
    },
}

/// The failure of one rank, which all ranks know of.
#[derive(Debug, Clone, Error, Serialize, Deserialize)]
#[error("rank {rank}: {message}")]
pub struct RankFailure {
    /// The rank that failed.
    pub rank: usize,
    /// What failed there, and why.
    pub message: String,
}

/// A rank's place on its node.
#[derive(Debug, Clone, Copy)]
pub struct OnNode {
    /// The rank's number among the ranks of the node, from 0.
    pub rank: usize,
    /// The number of ranks of the node.
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

/// The number of ranks that the launcher says it has started, and the variable that says so. Where a launcher runs inside another,
/// the larger number counts: several ranks were started then.
fn launched_ranks() -> Option<(&'static str, usize)> {
    let said = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"]
        .into_iter()
        .filter_map(|variable| Some((variable, std::env::var(variable).ok()?.parse().ok()?)));
    said.max_by_key(|&(_, ranks)| ranks)
}

/// Has a panic on any thread print its reason and then call `end`, which ends all ranks: a rank that only unwound would leave the
/// others, or its own other threads, waiting.
fn end_job_on_panic(end: impl Fn() + Send + Sync + 'static) {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        end();
    }));
}
