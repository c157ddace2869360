//! Where rank 0 lets the rates of work units lie in `activity.h5`.

use spikegrid_core::activity::StoredRates;
use spikegrid_files::output::OutputError;

use crate::run::subject_plan::SubjectPlan;

/// The places of the rates of a subject's units.
#[derive(Debug, Default)]
pub(super) struct RatePlaces {
    /// The end of what has a place.
    end: u64,
    /// By unit; none where its rates are not written.
    units: Vec<Option<StoredRates>>,
}

impl RatePlaces {
    /// Behind what the file of a planned subject holds, if it has such a file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn new(plan: &SubjectPlan) -> Result<Self, OutputError> {
        match plan.unit_files.activity() {
            None => Ok(Self::default()),
            Some(file) => Ok(Self {
                end: file.end()?,
                units: vec![None; plan.units()],
            }),
        }
    }

    /// The address of the next unit, whose rates have so many bytes.
    pub(super) fn place(&mut self, bytes: u64) -> u64 {
        let address = self.end;
        self.end += bytes;
        address
    }

    /// The rates of a unit are written.
    pub(super) fn note(&mut self, unit: usize, stored: Option<StoredRates>) {
        if let Some(place) = self.units.get_mut(unit) {
            *place = stored;
        }
    }

    /// By unit, where its rates lie.
    pub(super) fn units(&self) -> &[Option<StoredRates>] {
        &self.units
    }
}
