//! What rank 0 does when the grids of a subject are written: it writes the other files and gives all of them their final names.

use spikegrid_core::findings::{Code, Finding};
use spikegrid_core::spikes;
use spikegrid_files::figures::{self, NeuronTraces};
use spikegrid_files::output::{self, OutputError, OutputFile, partial};

use crate::run::opening::OpenSubject;
use crate::run::progress::Progress;
use crate::run::report::SubjectReport;
use crate::settings::Config;

impl OpenSubject {
    /// Completes the wanted files. `spikes_per_frame` are the spikes of all neurons in each frame, (T,).
    ///
    /// # Errors
    /// The first file that cannot be written.
    pub(super) fn complete(
        &mut self,
        config: &Config,
        report: &mut SubjectReport,
        progress: &Progress,
        spikes_per_frame: &[u32],
    ) -> Result<(), OutputError> {
        if self.neurons_with_gaps > 0 {
            let message = format!(
                "{} of {} neurons have frames without a spike rate besides those at the ends (NaN in their ΔF/F).",
                self.neurons_with_gaps, self.plan.neurons
            );
            let finding = Finding::new(Code::NoRate, message, "");
            progress.finding(&report.name, &finding);
            report.findings.push(finding);
        }
        if self.wanted.has(OutputFile::Metadata) {
            let path = self.claim.files.path(OutputFile::Metadata);
            self.metadata.write(&path)?;
        }
        if self.wanted.has(OutputFile::Figures) {
            self.plot_figures(config, &report.findings, spikes_per_frame)?;
        }
        if self.wanted.has(OutputFile::Grids) {
            output::grids::complete(
                &self.claim.files.path(OutputFile::Grids),
                &self.plan.name,
                self.layout.z_values.len(),
                &self.metadata.is_train,
                &self.provenance,
                &config.as_json(),
            )?;
        }
        self.wanted.finish(&self.claim.files)
    }

    fn plot_figures(
        &mut self,
        config: &Config,
        findings: &[Finding],
        spikes_per_frame: &[u32],
    ) -> Result<(), OutputError> {
        let neurons = self.take_plotted();
        let provenance = &self.provenance;
        let summary = figures::Summary {
            subject: &self.plan.name,
            cascade_model: &provenance.cascade_model,
            neurons: self.plan.neurons,
            frames: self.plan.frames,
            sampling_rate_hz: provenance.sampling_rate,
            window_sec: provenance.window_sec,
            percentile: provenance.percentile,
            baseline: &provenance.baseline.to_string(),
            threshold: &provenance.threshold.to_string(),
            seed: config.seed.into(),
            is_train: &self.metadata.is_train,
            z_values: &self.layout.z_values,
            neurons_per_plane: &self.layout.neurons_per_plane(),
            positions: &self.xyz,
            pixels: &[],
            noise_levels: &self.noise_level,
            model_noise_levels: None,
            facts: &[],
            padded_frames: 0,
            spikes_per_frame,
            blank_frames: &[],
            collisions: &[],
            marker_spikes: 0,
            input_files: &[],
            software_version: env!("CARGO_PKG_VERSION"),
            findings,
        };
        let path = self.claim.files.path(OutputFile::Figures);
        figures::write_pdf(&partial(&path), &summary, &neurons)
            .map_err(|source| OutputError::Plot { path, source })
    }

    /// The neurons of the PDF, ascending.
    fn take_plotted(&mut self) -> Vec<NeuronTraces> {
        let mut plotted = std::mem::take(&mut self.plotted);
        plotted.sort_by_key(|plotted| plotted.neuron);
        plotted
            .into_iter()
            .map(|plotted| {
                let mut unpacked = vec![0; self.plan.frames];
                spikes::unpack(&plotted.spikes, &mut unpacked);
                NeuronTraces {
                    neuron: plotted.neuron,
                    noise_level: self.noise_level[plotted.neuron],
                    model_noise_level: self.model_noise_level[plotted.neuron],
                    dff: plotted.dff,
                    rate: plotted.rate,
                    spikes: unpacked,
                }
            })
            .collect()
    }
}
