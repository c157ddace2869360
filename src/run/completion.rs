//! What rank 0 does when the grids of a subject are written: it says what was found out, writes the other files, and gives all of
//! them their final names.

use spikegrid_core::findings::{self, Finding};
use spikegrid_core::grid::Place;
use spikegrid_core::spikes;
use spikegrid_files::figures::{self, NeuronTraces, Summary};
use spikegrid_files::output::neurons::NeuronTable;
use spikegrid_files::output::{self, OutputError, OutputFile, partial};
use spikegrid_files::report;

use crate::run::messages::Written;
use crate::run::opening::OpenSubject;
use crate::run::progress::Progress;
use crate::run::report::SubjectReport;
use crate::settings::Config;

impl OpenSubject {
    /// Says what was found out, and completes the wanted files.
    ///
    /// # Errors
    /// The first file that cannot be written.
    pub(super) fn complete(
        &mut self,
        config: &Config,
        report: &mut SubjectReport,
        progress: &Progress,
        written: &Written,
    ) -> Result<(), OutputError> {
        if self.wanted.needs_neurons() {
            let found = self.findings(written);
            found
                .iter()
                .for_each(|finding| progress.finding(&report.name, finding));
            report.findings.extend(found);
        }
        findings::sort(&mut report.findings);
        report.activity = report::thinned_activity(&written.spikes_per_frame);
        let files = &self.claim.files;
        if self.wanted.has(OutputFile::Metadata) {
            self.metadata.write(&files.path(OutputFile::Metadata))?;
        }
        if self.wanted.has(OutputFile::Neurons) {
            let table = NeuronTable {
                positions: &self.positions,
                places: &self.layout.places(),
                noise_level: &self.noise_level,
                model_noise_level: &self.model_noise_level,
                facts: &self.facts,
            };
            table.write(&files.path(OutputFile::Neurons))?;
        }
        if self.wanted.has(OutputFile::Figures) || self.wanted.has(OutputFile::Page) {
            self.plot(config, &report.findings, written)?;
        }
        if self.wanted.has(OutputFile::Grids) {
            output::grids::complete(
                &self.claim.files.path(OutputFile::Grids),
                &self.plan.name,
                self.layout.planes(),
                &self.metadata.is_train,
                &self.provenance,
                &report.findings,
                &config.as_json(),
            )?;
        }
        self.wanted.finish(&self.claim.files)
    }

    /// What was found out while the subject was computed and rasterised (rule 9.3).
    fn findings(&self, written: &Written) -> Vec<Finding> {
        let blank_frames: Vec<u32> = self.blank_frames.iter().copied().collect();
        let repeated_frames = self.repeated_frames.iter().flat_map(|all| all.frames());
        let mut found = findings::of_neurons(&findings::Computed {
            facts: &self.facts,
            noise_levels: &self.noise_level,
            model_noise_levels: self.model_noise_levels,
            frames: self.plan.frames,
            windowsize: self.windowsize,
            baseline: self.plan.dff.baseline,
            repeated_frames: repeated_frames.count(),
            blank_frames: &blank_frames,
        });
        found.extend(findings::of_grids(
            self.all_spikes(),
            written.collisions.iter().map(|(_, lost)| lost).sum(),
            self.marker_spikes(),
        ));
        found
    }

    /// Spikes of all neurons.
    fn all_spikes(&self) -> u64 {
        let spikes = self.facts.iter().map(|facts| u64::from(facts.spikes));
        spikes.sum()
    }

    /// Spikes of the neurons that lie under the marker.
    fn marker_spikes(&self) -> u64 {
        let places = self.layout.places();
        let under = places
            .iter()
            .zip(&self.facts)
            .filter(|(place, _)| place.is_some_and(Place::is_under_marker));
        under.map(|(_, facts)| u64::from(facts.spikes)).sum()
    }

    /// Writes the PDF and the page, as they are wanted.
    fn plot(
        &mut self,
        config: &Config,
        findings: &[Finding],
        written: &Written,
    ) -> Result<(), OutputError> {
        let neurons = self.take_plotted();
        let provenance = &self.provenance;
        let blank_frames: Vec<u32> = self.blank_frames.iter().copied().collect();
        let summary = Summary {
            subject: &self.plan.name,
            cascade_model: &provenance.cascade_model,
            neurons: self.plan.neurons,
            frames: self.plan.frames,
            sampling_rate_hz: provenance.sampling_rate,
            window_sec: provenance.window_sec,
            percentile: provenance.percentile,
            baseline: &provenance.baseline_and_chooser(),
            threshold: &provenance.threshold.to_string(),
            seed: config.seed.into(),
            is_train: &self.metadata.is_train,
            z_values: &self.layout.z_values,
            places: &self.layout.places(),
            noise_levels: &self.noise_level,
            model_noise_levels: Some(self.model_noise_levels),
            facts: &self.facts,
            padded_frames: self.padded_frames.min(self.plan.frames),
            spikes_per_frame: &written.spikes_per_frame,
            blank_frames: &blank_frames,
            collisions: &written.collisions,
            marker_spikes: self.marker_spikes(),
            input_files: &[self.plan.location.to_string()],
            software_version: env!("CARGO_PKG_VERSION"),
            findings,
        };
        if self.wanted.has(OutputFile::Figures) {
            let path = self.claim.files.path(OutputFile::Figures);
            figures::write_pdf(&partial(&path), &summary, &neurons)
                .map_err(|source| OutputError::Plot { path, source })?;
        }
        if self.wanted.has(OutputFile::Page) {
            let path = self.claim.files.path(OutputFile::Page);
            let page = report::subject_page(&summary, &neurons);
            let path = partial(&path);
            std::fs::write(&path, page).map_err(OutputError::io(&path, "cannot be written"))?;
        }
        Ok(())
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
