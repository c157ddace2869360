//! From raw calcium traces to training-ready spike grids, over MPI ranks: the program.
//!
//! ```text
//! cli ─ settings ─▶ run: setup ─▶ coordinator ◀─ messages ─▶ worker, writer ─▶ files
//! ```
//!
//! The numerics are in `spikegrid-core`, the network and the pipeline of a work unit in `spikegrid-inference`, what is read and
//! written in `spikegrid-files`, MPI in `spikegrid-ranks`. What decides when and by whom is here.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a line could not be printed, though its reader has not gone: a full disk under stdout.
pub static IS_CUT_OFF: AtomicBool = AtomicBool::new(false);

/// Prints a line to stdout. A reader that has gone, or a full disk under a log, is no reason to end a run; [`IS_CUT_OFF`] tells commands
/// whose lines are their result.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write;
        $crate::note(&writeln!(std::io::stdout(), $($argument)*));
    }};
}

/// Notes whether a line was printed.
pub fn note(printed: &io::Result<()>) {
    if let Err(error) = printed
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        IS_CUT_OFF.store(true, Ordering::Relaxed);
    }
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
