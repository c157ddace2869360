//! The recording that a rank reads at the moment.

use spikegrid_files::input::{Reader, Samples};

use crate::run::subject_plan::SubjectPlan;

/// The recording that was read last, kept open: the next piece is most likely one of the same subject.
#[derive(Debug, Default)]
pub(super) struct OpenRecording {
    /// The subject and its recording.
    open: Option<(usize, Reader)>,
}

impl OpenRecording {
    /// The recording of a subject, opened in place of another subject's if need be.
    ///
    /// # Errors
    /// The file cannot be opened, or its dataset is not the one that rank 0 found when it planned the subject.
    pub(super) fn reader(&mut self, plan: &SubjectPlan) -> Result<&Reader, String> {
        let reader = match self.open.take() {
            Some((subject, reader)) if subject == plan.index => reader,
            _ => plan.location.open().map_err(|error| error.to_string())?,
        };
        let (_, reader) = self.open.insert((plan.index, reader));
        Ok(reader)
    }

    /// The samples of one unit.
    ///
    /// # Errors
    /// As [`reader`](Self::reader), or the samples cannot be read.
    pub(super) fn read_unit(&mut self, plan: &SubjectPlan, unit: usize) -> Result<Samples, String> {
        let samples = self.reader(plan)?.read_neurons(plan.unit(unit));
        samples.map_err(|error| error.to_string())
    }

    /// Closes the recording if it is this subject's.
    pub(super) fn close(&mut self, subject: usize) {
        self.open.take_if(|(open, _)| *open == subject);
    }
}
