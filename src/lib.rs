//! From raw calcium traces to training-ready spike grids, over MPI ranks: the program.
//!
//! ```text
//! cli ─ settings ─▶ run: setup ─▶ coordinator ◀─ messages ─▶ worker, writer ─▶ files
//! ```
//!
//! The numerics are in `spikegrid-core`, the network and the pipeline of a work unit in `spikegrid-inference`, what is read and
//! written in `spikegrid-files`, MPI in `spikegrid-ranks`. What decides when and by whom is here.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

/// Prints a line to stdout. A reader that has gone, or a full disk under a log, is no reason to end a run.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($argument)*);
    }};
}

pub mod cli;
pub mod job;
pub mod memory;
mod settings;

pub mod run;

pub mod combine;
pub mod demo;
pub mod doctor;
pub mod forecast;
pub mod models;
pub mod train;
pub mod verify;

mod random;
mod recording;
