//! The files that every rank fills unit by unit: rank 0 lays them out, the rank that has computed a unit writes its neurons.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use spikegrid_core::unit::UnitOutput;

use super::error::OutputError;
use super::subject_files::{OutputFile, SubjectFiles, Wanted};
use super::traces::TracesFile;
use crate::input::Positions;
use crate::names::partial;

/// Those of a subject's files that are filled unit by unit, under their temporary names. Serialisable: every rank gets them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UnitFiles {
    traces: Option<TracesFile>,
}

impl UnitFiles {
    /// Lays the wanted files out for `frames` frames of the neurons at `positions`, or goes on with those that an interrupted run
    /// has left, if this run `resumes` it.
    ///
    /// # Errors
    /// The reason of HDF5 or the system.
    pub fn open(
        files: &SubjectFiles,
        wanted: Wanted,
        resumes: bool,
        frames: usize,
        positions: &Positions,
    ) -> Result<Self, OutputError> {
        let mut unit_files = Self::default();
        if wanted.has(OutputFile::Traces) {
            let path = files.path(OutputFile::Traces);
            let left = match resumes {
                true => TracesFile::open(&partial(&path), frames, positions.xyz.len()),
                false => None,
            };
            unit_files.traces = Some(match left {
                Some(file) => file,
                None => TracesFile::create(&path, frames, positions)?,
            });
        }
        Ok(unit_files)
    }

    /// Whether there are any, for which ΔF/F and rates of all neurons are needed beside their spikes.
    #[must_use]
    pub fn any(&self) -> bool {
        self.traces.is_some()
    }

    /// Writes the neurons of a unit of `frames` frames; returns the CRC-32 of their bytes, if there is a file for them.
    ///
    /// # Errors
    /// The system's reason.
    pub fn fill(&self, frames: usize, unit: &UnitOutput) -> Result<Option<u32>, OutputError> {
        let traces = self.traces.as_ref();
        traces.map(|file| file.fill(frames, unit)).transpose()
    }

    /// Whether the files hold the bytes of these neurons for which [`fill`](Self::fill) returned this checksum.
    #[must_use]
    pub fn hold(&self, frames: usize, neurons: &Range<usize>, checksum: Option<u32>) -> bool {
        let traces = self.traces.as_ref().zip(checksum);
        traces.is_none_or(|(file, checksum)| file.holds(frames, neurons, checksum))
    }
}
