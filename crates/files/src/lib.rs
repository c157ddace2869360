//! What spikegrid-mpi reads and writes.
//!
//! - [`input`]: recordings and the positions of their cells; [`models`]: CASCADE models
//! - [`output`]: grids, metadata, traces, the journal of an interrupted run; [`figures`]: the PDF of a subject;
//!   [`report`]: the pages of a run and of its subjects for a browser
//! - [`pickle`]: Python's pickles, of which nothing is run
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
pub mod pickle;
mod raw_chunk;
pub mod regular;
pub mod report;
mod signature;
mod zip;

pub use signature::is_hdf5;
