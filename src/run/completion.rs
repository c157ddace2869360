//! What rank 0 does when the grids of a subject are written: it says what was found out, writes the other files, and gives all of
//! them their final names.

use spikegrid_core::cascade::benchmark::ExpectedCorrelation;
use spikegrid_core::cascade::choice;
use spikegrid_core::cascade::config::ModelConfig;
use spikegrid_core::findings::{self, Finding};
use spikegrid_core::grid::Place;
use spikegrid_core::spikes;
use spikegrid_files::figures::{self, NeuronTraces, Summary};
use spikegrid_files::output::neurons::NeuronTable;
use spikegrid_files::output::{self, OutputError, OutputFile, partial};
use spikegrid_files::report::{subject_page, thinned_activity};

use crate::run::messages::Written;
use crate::run::opening::OpenSubject;
use crate::run::progress::Progress;
use crate::run::report::SubjectReport;
use crate::run::run_models::RunModel;
use crate::settings::Config;

/// What of a subject's results is not kept neuron by neuron.
struct Results<'a> {
    model: &'a ModelConfig,
    /// The correlation that one may expect of each neuron, (N,); NaN for none.
    expected_correlation: Vec<f32>,
    written: &'a Written,
    /// Where each neuron lies in the grids.
    places: Vec<Option<Place>>,
    /// Frames, ascending, in which all neurons are 0.
    blank_frames: Vec<u32>,
    /// Spikes of the neurons that lie under the marker.
    marker_spikes: u64,
}

impl OpenSubject {
    /// Says what was found out, and completes the wanted files.
    ///
    /// # Errors
    /// The first file that cannot be written.
    pub(super) fn complete(
        &mut self,
        config: &Config,
        model: &RunModel,
        report: &mut SubjectReport,
        progress: &Progress,
        written: &Written,
    ) -> Result<(), OutputError> {
        let results = self.results(model, written);
        if self.wanted.needs_neurons() {
            let found = self.findings(&results);
            found
                .iter()
                .for_each(|finding| progress.finding(&report.name, finding));
            report.findings.extend(found);
        }
        report.expected_correlation = ExpectedCorrelation::of(&results.expected_correlation);
        findings::sort(&mut report.findings);
        report.activity = thinned_activity(&written.spikes_per_frame);
        let files = &self.claim.files;
        if self.wanted.has(OutputFile::Metadata) {
            self.metadata.write(&files.path(OutputFile::Metadata))?;
        }
        if self.wanted.has(OutputFile::Neurons) {
            let table = NeuronTable {
                positions: &self.positions,
                places: &results.places,
                noise_level: &self.noise_level,
                model_noise_level: &self.model_noise_level,
                expected_correlation: &results.expected_correlation,
                facts: &self.facts,
            };
            table.write(&files.path(OutputFile::Neurons))?;
        }
        if self.wanted.has(OutputFile::Figures) || self.wanted.has(OutputFile::Page) {
            self.plot(config, report, &results)?;
        }
        if let Some(activity) = self.plan.unit_files.activity() {
            activity.finish(self.rates.units())?;
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

    /// What findings, table and figures are made of, beside what is known of each neuron.
    fn results<'a>(&self, model: &'a RunModel, written: &'a Written) -> Results<'a> {
        let places = self.layout.places();
        let under_marker = places
            .iter()
            .zip(&self.facts)
            .filter(|(place, _)| place.is_some_and(Place::is_under_marker));
        Results {
            model: &model.config,
            expected_correlation: self.expected_correlation(model),
            written,
            marker_spikes: under_marker.map(|(_, facts)| u64::from(facts.spikes)).sum(),
            blank_frames: self.blank_frames.iter().copied().collect(),
            places,
        }
    }

    /// The correlation that one may expect of each neuron, (N,) (rule 9.4); NaN where nothing is known: the model has no benchmark, the
    /// recording's rate is not known or not the model's, or the neuron has no noise level, no fluorescence or no rate.
    fn expected_correlation(&self, model: &RunModel) -> Vec<f32> {
        let near = |rate| choice::is_near(rate, model.config.sampling_rate);
        let benchmark = model.benchmark.as_ref();
        let Some(benchmark) = benchmark.filter(|_| self.stated_rate.is_some_and(near)) else {
            return vec![f32::NAN; self.facts.len()];
        };
        let frames = self.plan.frames;
        let padding = model.config.padding(frames, self.provenance.shift_frames);
        let rated_frames = frames.saturating_sub(padding.iter().sum()) as u32;
        let neurons = self.facts.iter().zip(&self.noise_level);
        let expected = neurons.map(|(facts, noise_level)| {
            match facts.is_live() && facts.frames_without_rate < rated_frames {
                true => benchmark.expected_correlation(*noise_level),
                false => f32::NAN,
            }
        });
        expected.collect()
    }

    /// What was found out while the subject was computed and rasterised (rule 9.3).
    fn findings(&self, results: &Results) -> Vec<Finding> {
        let repeated_frames = self.repeated_frames.iter().flat_map(|all| all.frames());
        let mut found = findings::of_neurons(&findings::Computed {
            facts: &self.facts,
            noise_levels: &self.noise_level,
            model_noise_levels: results.model.noise_level_range(),
            frames: self.plan.frames,
            windowsize: results.model.windowsize,
            model_rate_hz: results.model.sampling_rate,
            baseline: self.plan.dff.baseline,
            percentile: self.plan.dff.percentile,
            missing: self.plan.dff.missing,
            repeated_frames: repeated_frames.count(),
            blank_frames: &results.blank_frames,
        });
        let spikes = self.facts.iter().map(|facts| u64::from(facts.spikes));
        let collisions = results.written.collisions.iter();
        found.extend(findings::of_grids(
            spikes.sum(),
            collisions.map(|(_, lost)| lost).sum(),
            results.marker_spikes,
        ));
        found
    }

    /// Writes the PDF and the page, as they are wanted.
    fn plot(
        &mut self,
        config: &Config,
        report: &SubjectReport,
        results: &Results,
    ) -> Result<(), OutputError> {
        let neurons = self.take_plotted();
        let provenance = &self.provenance;
        let Results { model, written, .. } = results;
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
            places: &results.places,
            noise_levels: &self.noise_level,
            expected_correlation: report.expected_correlation,
            model_noise_levels: model.noise_level_range(),
            facts: &self.facts,
            padding: model.padding(self.plan.frames, config.shift_frames),
            spikes_per_frame: &written.spikes_per_frame,
            blank_frames: &results.blank_frames,
            collisions: &written.collisions,
            marker_spikes: results.marker_spikes,
            input_files: &[self.plan.location.to_string()],
            software_version: env!("CARGO_PKG_VERSION"),
            findings: &report.findings,
        };
        if self.wanted.has(OutputFile::Figures) {
            let path = self.claim.files.path(OutputFile::Figures);
            figures::write_pdf(&partial(&path), &summary, &neurons)
                .map_err(|source| OutputError::Plot { path, source })?;
        }
        if self.wanted.has(OutputFile::Page) {
            let path = self.claim.files.path(OutputFile::Page);
            let path = partial(&path);
            let page = subject_page(&summary, &neurons);
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
