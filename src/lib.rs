//! From raw calcium traces to training-ready spike grids, over MPI ranks.
//!
//! ```text
//! subject folder ─ input ─▶ F (neurons of one work unit)
//!    F ─ baseline ─▶ ΔF/F ─ cascade ─▶ spike rate ─ spikes ─▶ bit-packed spikes     (any rank, any order)
//!    spikes of all neurons ─ writer (one rank per subject) ─▶ slabs of frames
//!    slab ─ grid ─▶ (t, Z, 256, 128) ─ gzip ─▶ compressed planes                    (any rank, any order)
//!    compressed planes ─ writer ─ output ─▶ preaugmented_grids.h5                   split, metadata, plots beside it
//! ```
//!
//! Axes, always in this order: `T` frames, `N` neurons, `Z` z-planes. Rates are spikes per frame, times are seconds,
//! frequencies Hz. The modules below stand in the order of the data.

/// Prints a line to stdout. A reader that has gone, or a full disk under a log, is no reason to end a run.
#[macro_export]
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($argument)*);
    }};
}

pub mod array;
pub mod cli;
pub mod config;
pub mod setup;

pub mod input;
pub mod probe;
pub mod subject;

pub mod gather;

pub mod baseline;
pub mod cascade;
pub mod spikes;

pub mod device;
pub mod pipeline;

pub mod comm;
mod heartbeat;
mod launcher;
pub mod memory;
pub mod schedule;
pub mod simulation;

pub mod rank;
pub mod root;
pub mod run;

pub mod grid;
pub mod slab;
pub mod writer;

pub mod split;

pub mod output;
pub mod plot;

pub mod progress;
pub mod report;

pub mod plan;

pub mod models;
pub mod training;

pub mod demo;
mod files;
mod random;
