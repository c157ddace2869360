//! The files of a subject and of a run (rules 8.1 to 8.7). Names and types of everything written stand in the file's own module.
//!
//! - [`subject_files`]: which files a subject has, which of them a run writes, and when they get their final names. A further
//!   output is a module beside these and a variant there.
//! - [`unit_files`]: those that every rank fills unit by unit. A further one of numbers (N, T) or (T, N) is a field there.
//! - [`grids`]: `preaugmented_grids.h5` and its attributes ([`provenance`]). Another way to write grids is a module beside it
//!   with the same three steps: create, write planes, close.
//! - [`grids_contiguous`]: the same file without compression, which every rank fills
//! - `index`: the index of chunks of datasets into which ranks write chunks themselves
//! - [`neurons`]: the table of all neurons
//! - [`metadata`], [`traces`], [`activity`], [`nwb`]: the other files of HDF5's; [`combined`]: that of the output folder
//! - [`journal`]: what an interrupted run leaves
//! - [`written`]: reads the HDF5 files again, for checks

pub mod activity;
mod chunk;
pub mod combined;
mod date;
mod error;
mod files;
pub mod grids;
pub mod grids_contiguous;
mod index;
pub mod journal;
pub mod metadata;
mod mpio;
pub mod neurons;
pub mod nwb;
pub mod provenance;
pub mod subject_files;
pub mod traces;
pub mod unit_files;
pub mod written;

pub use error::OutputError;
pub use files::{finish, lock_folder, write_whole};
pub use subject_files::{Claim, OutputFile, Required, SubjectFiles, Wanted};

pub use crate::names::partial;
