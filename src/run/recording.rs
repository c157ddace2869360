//! The recording that a rank reads at the moment.

use spikegrid_files::input::traces::{Samples, Traces};

use crate::run::subject_plan::SubjectPlan;

/// The recording that was read last, kept open: the next piece is most likely one of the same subject.
#[derive(Debug, Default)]
pub struct OpenRecording {
    /// The subject and its traces.
    open: Option<(usize, Traces)>,
}

impl OpenRecording {
    /// The traces of a subject, opened in place of another subject's if need be.
    ///
    /// # Errors
    /// The file cannot be opened, or its dataset is not the one that rank 0 found when it planned the subject.
    pub fn traces(&mut self, plan: &SubjectPlan) -> Result<&Traces, String> {
        let traces = match self.open.take() {
            Some((subject, traces)) if subject == plan.index => traces,
            _ => {
                let orientation = plan.storage.orientation;
                let traces = Traces::open(&plan.traces_path, &plan.dataset, orientation);
                traces.map_err(|error| error.to_string())?
            }
        };
        if traces.storage() != plan.storage {
            return Err(format!(
                "{} changed while it was processed: {} frames of {} neurons are now {} of {}, or stored otherwise",
                plan.traces_path.display(),
                plan.frames,
                plan.neurons,
                traces.frames(),
                traces.neurons()
            ));
        }
        let (_, traces) = self.open.insert((plan.index, traces));
        Ok(traces)
    }

    /// The samples of one unit.
    ///
    /// # Errors
    /// As [`traces`](Self::traces), or the samples cannot be read.
    pub fn read_unit(&mut self, plan: &SubjectPlan, unit: usize) -> Result<Samples, String> {
        let samples = self.traces(plan)?.read_neurons(plan.unit(unit));
        samples.map_err(|error| error.to_string())
    }

    /// Closes the recording if it is this subject's.
    pub fn close(&mut self, subject: usize) {
        self.open.take_if(|(open, _)| *open == subject);
    }
}
