//! The files that every rank fills unit by unit: rank 0 lays them out, the rank that has computed a unit writes its neurons.

use std::ops::Range;

use flate2::Crc;
use serde::{Deserialize, Serialize};
use spikegrid_core::activity::{Chunks, PackedRates, Precision, StoredRates};
use spikegrid_core::grid::Layout;
use spikegrid_core::unit::{UnitOutput, Units};

use super::activity::{ActivityFile, Beside};
use super::error::OutputError;
use super::nwb::{Document, NwbFile};
use super::provenance::Provenance;
use super::subject_files::{OutputFile, SubjectFiles, Wanted};
use super::traces::TracesFile;
use crate::input::Positions;
use crate::names::partial;

/// Those of a subject's files that are filled unit by unit, under their temporary names. Serialisable: every rank gets them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UnitFiles {
    traces: Option<TracesFile>,
    activity: Option<ActivityFile>,
    nwb: Option<NwbFile>,
}

/// What the files are laid out for.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// Name of the subject.
    pub subject: &'a str,
    /// How the neurons are cut into work units.
    pub units: Units,
    /// Where the neurons are.
    pub positions: &'a Positions,
    /// Where they are in the grids.
    pub layout: &'a Layout,
    /// 1 where a frame trains, 0 where it tests, (T,).
    pub is_train: &'a [u8],
    /// All settings, and the recording's files.
    pub provenance: &'a Provenance,
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
            let chunks = Chunks::of(units, contents.precision);
            let left = || ActivityFile::open(&partial(&path), chunks);
            let beside = Beside {
                xyz: &positions.xyz,
                is_train: contents.is_train,
                sampling_rate_hz: contents.provenance.sampling_rate,
            };
            unit_files.activity = Some(match resumes.then(left).flatten() {
                Some(file) => file,
                None => ActivityFile::create(&path, chunks, &beside)?,
            });
        }
        if wanted.has(OutputFile::Nwb) {
            let path = files.path(OutputFile::Nwb);
            let left = || NwbFile::open(&partial(&path), units, contents.provenance.sampling_rate);
            let document = Document {
                subject: contents.subject,
                positions,
                places: &contents.layout.places(),
                provenance: contents.provenance,
            };
            unit_files.nwb = Some(match resumes.then(left).flatten() {
                Some(file) => file,
                None => NwbFile::create(&path, units, &document)?,
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
        self.is_filled() || self.activity.is_some()
    }

    /// Whether there are files in which each neuron has its place from the start.
    fn is_filled(&self) -> bool {
        self.traces.is_some() || self.nwb.is_some()
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
        let mut crc = Crc::new();
        if let Some(traces) = &self.traces {
            traces.fill(frames, unit, &mut crc)?;
        }
        if let Some(nwb) = &self.nwb {
            nwb.fill(unit, &mut crc)?;
        }
        Ok(self.is_filled().then(|| crc.sum()))
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
        let filled = |unit_files: &Self, checksum| {
            let mut crc = Crc::new();
            let traces = unit_files.traces.as_ref();
            let nwb = unit_files.nwb.as_ref();
            traces.is_none_or(|file| file.add_to(frames, neurons, &mut crc))
                && nwb.is_none_or(|file| file.add_to(neurons, &mut crc))
                && crc.sum() == checksum
        };
        holds(self.is_filled().then_some(self), checksum, filled)
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
