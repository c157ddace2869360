//! The figures of a subject as a PDF (rule 8.3) and the pages of a run and its subjects (rule 9.5), as other programs see them.
//!
//! These tests have a process of their own because they start programs: HDF5 opens files so that a started program inherits them, with
//! their locks, and unit tests that write HDF5 files at that moment could not open them again.

mod browser;
mod pdf;
mod pdf_tools;
mod recording;
mod report;
