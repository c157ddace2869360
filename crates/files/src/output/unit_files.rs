//! The files that every rank fills unit by unit: rank 0 lays them out, the rank that has computed a unit writes its neurons.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use spikegrid_core::activity::{Chunks, PackedRates, Precision, StoredRates};
use spikegrid_core::unit::{UnitOutput, Units};

use super::activity::{ActivityFile, Beside};
use super::error::OutputError;
use super::subject_files::{OutputFile, SubjectFiles, Wanted};
use super::traces::TracesFile;
use crate::input::Positions;
use crate::names::partial;

/// Those of a subject's files that are filled unit by unit, under their temporary names. Serialisable: every rank gets them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UnitFiles {
    traces: Option<TracesFile>,
    activity: Option<ActivityFile>,
}

/// What the files are laid out for.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// How the neurons are cut into work units.
    pub units: Units,
    /// Where the neurons are.
    pub positions: &'a Positions,
    /// 1 where a frame trains, 0 where it tests, (T,).
    pub is_train: &'a [u8],
    /// Frames per second of the recording.
    pub sampling_rate_hz: f64,
    /// The numbers of `activity.h5`.
    pub precision: Precision,
}

impl UnitFiles {
    /// Lays the wanted files out, or goes on with those that an interrupted run has left, if this run `resumes` it.
    ///
    /// # Errors
    /// The reason of HDF5 or the system.
    pub fn open(
        files: &SubjectFiles,
        wanted: Wanted,
        resumes: bool,
        contents: &Contents,
    ) -> Result<Self, OutputError> {
        let mut unit_files = Self::default();
        let Contents {
            units, positions, ..
        } = *contents;
        if wanted.has(OutputFile::Traces) {
            let path = files.path(OutputFile::Traces);
            let left = || TracesFile::open(&partial(&path), units.frames, units.neurons);
            unit_files.traces = Some(match resumes.then(left).flatten() {
                Some(file) => file,
                None => TracesFile::create(&path, units.frames, positions)?,
            });
        }
        if wanted.has(OutputFile::Activity) {
            let path = files.path(OutputFile::Activity);
            let chunks = Chunks {
                frames: units.frames,
                neurons: units.neurons,
                chunk_neurons: units.unit_neurons,
                precision: contents.precision,
            };
            let left = || ActivityFile::open(&partial(&path), chunks);
            let beside = Beside {
                xyz: &positions.xyz,
                is_train: contents.is_train,
                sampling_rate_hz: contents.sampling_rate_hz,
            };
            unit_files.activity = Some(match resumes.then(left).flatten() {
                Some(file) => file,
                None => ActivityFile::create(&path, chunks, &beside)?,
            });
        }
        Ok(unit_files)
    }

    /// `activity.h5`, if it is written.
    #[must_use]
    pub fn activity(&self) -> Option<&ActivityFile> {
        self.activity.as_ref()
    }

    /// Whether there are any, for which ΔF/F and rates of all neurons are needed beside their spikes.
    #[must_use]
    pub fn any(&self) -> bool {
        self.traces.is_some() || self.activity.is_some()
    }

    /// Compresses what of a unit goes to an address that rank 0 chooses, if there is a file for it.
    #[must_use]
    pub fn pack(&self, unit: &UnitOutput) -> Option<PackedRates> {
        let activity = self.activity.as_ref();
        activity.map(|file| file.pack(&unit.rate))
    }

    /// Writes the neurons of a unit of `frames` frames; returns the CRC-32 of their bytes, if there is a file for them.
    ///
    /// # Errors
    /// The system's reason.
    pub fn fill(&self, frames: usize, unit: &UnitOutput) -> Result<Option<u32>, OutputError> {
        let traces = self.traces.as_ref();
        traces.map(|file| file.fill(frames, unit)).transpose()
    }

    /// Whether the files hold the bytes of these neurons for which [`fill`](Self::fill) returned this checksum, and those that are stored
    /// here.
    #[must_use]
    pub fn hold(
        &self,
        frames: usize,
        neurons: &Range<usize>,
        checksum: Option<u32>,
        stored: Option<&StoredRates>,
    ) -> bool {
        let traces = |file: &TracesFile, checksum| file.holds(frames, neurons, checksum);
        holds(self.traces.as_ref(), checksum, traces)
            && holds(self.activity.as_ref(), stored, ActivityFile::holds)
    }
}

/// Whether a file holds what was noted of it; where there is no file, nothing may be noted.
fn holds<F, N>(file: Option<F>, noted: Option<N>, holds: impl FnOnce(F, N) -> bool) -> bool {
    match (file, noted) {
        (None, None) => true,
        (Some(file), Some(noted)) => holds(file, noted),
        _ => false,
    }
}
