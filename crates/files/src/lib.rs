//! What spikegrid-mpi reads and writes.
//!
//! - [`input`]: recordings and the positions of their cells; [`models`]: CASCADE models
//! - [`output`]: grids, metadata, traces, the journal of an interrupted run; [`figures`]: the PDF of a subject
//! - [`lzf`]: a compression of chunks that the HDF5 library lacks
//! - [`regular`]: opens nothing but files
//! - [`crash_trial`]: whether the HDF5 library survives a file

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod crash_trial;
pub mod figures;
mod hdf5_access;
mod hdf5_reason;
pub mod input;
pub mod lzf;
pub mod models;
mod names;
pub mod output;
pub mod regular;
mod signature;
