//! The numerics of spikegrid-mpi: from fluorescence to spikes and grids.
//!
//! ```text
//! F ─ baseline ─▶ ΔF/F ─ cascade ─▶ spike rate ─ spikes ─▶ bit-packed spikes ─ slab, grid ─▶ compressed planes
//! ```
//!
//! Axes, always in this order: `T` frames, `N` neurons, `Z` z-planes. Rates are spikes per frame, times are seconds,
//! frequencies Hz. No module here reads or writes a file, calls MPI or HDF5, or reads a clock: this crate has no
//! dependency that could, and `clippy.toml` forbids what the standard library offers.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod activity;
pub mod baseline;
pub mod cascade;
pub mod facts;
pub mod findings;
pub mod grid;
mod median;
pub mod slab;
pub mod spikes;
pub mod split;
pub mod unit;
pub mod wording;
