//! What rank 0 does before a subject is processed: it reads positions and extents, finds which files are missing, cuts the subject
//! into work, and finds what an interrupted run has left.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Write;
use std::time::Instant;

use spikegrid_core::baseline::{Baseline, DffSettings};
use spikegrid_core::facts::RepeatedFrames;
use spikegrid_core::findings::{self, Finding};
use spikegrid_core::grid::{COLUMNS, Layout, ROWS};
use spikegrid_core::slab::Compression;
use spikegrid_core::split;
use spikegrid_core::unit::{NeuronFacts, PlottedNeuron};
use spikegrid_core::wording::{counted, hertz};
use spikegrid_files::crash_trial;
use spikegrid_files::input::discovery::Subject;
use spikegrid_files::input::{Cells, Piece, Positions, Source};
use spikegrid_files::output::activity::ActivityFile;
use spikegrid_files::output::grids_contiguous::ContiguousGrids;
use spikegrid_files::output::journal::{Journal, Key};
use spikegrid_files::output::metadata::Metadata;
use spikegrid_files::output::provenance::{self, Provenance};
use spikegrid_files::output::unit_files::{Contents, UnitFiles};
use spikegrid_files::output::{Claim, OutputError, OutputFile, Required, SubjectFiles, Wanted};

use crate::recording;
use crate::run::budget::{Budget, Cut};
use crate::run::progress::Progress;
use crate::run::rate_places::RatePlaces;
use crate::run::report::SubjectReport;
use crate::run::run_models::{RunModel, RunModels};
use crate::run::schedule::Stretch;
use crate::run::subject_plan::{SubjectPlan, plotted_neurons, unit_neurons};
use crate::settings::Config;
use crate::settings::flags::BaselineChoice;
use crate::settings::size::MemorySize;

/// A subject between its plan and its end, as rank 0 keeps it.
pub(super) struct OpenSubject {
    pub plan: SubjectPlan,
    pub claim: Claim,
    pub wanted: Wanted,
    pub provenance: Provenance,
    pub layout: Layout,
    /// Where the neurons are.
    pub positions: Positions,
    pub metadata: Metadata,
    /// Of each neuron (rule 4.3); NaN until its unit is done.
    pub noise_level: Vec<f32>,
    /// That of the ensemble which each neuron uses.
    pub model_noise_level: Vec<i32>,
    /// What was found out about each neuron; defaults until its unit is done.
    pub facts: Vec<NeuronFacts>,
    /// Frames in which all neurons so far have the same samples as in the frame before; None before the first unit.
    pub repeated_frames: Option<RepeatedFrames>,
    /// Frames in which all neurons are 0.
    pub blank_frames: BTreeSet<u32>,
    /// Neurons that this run has computed, without those from the journal.
    pub computed_neurons: usize,
    /// Grids that are not compressed, laid out before anything is computed, so that no work is lost where the disk has no room for them.
    pub contiguous: Option<ContiguousGrids>,
    /// Where the rates of units lie in `activity.h5`.
    pub rates: RatePlaces,
    /// The neurons of the PDF whose units are done.
    pub plotted: Vec<PlottedNeuron>,
    /// Frames per second, where the recording or a flag states them.
    pub stated_rate: Option<f64>,
    /// The pieces of each stretch; none where nothing has to be computed, because only the metadata file is missing.
    pub pieces: Vec<Vec<Piece>>,
    /// The first reason for which the subject fails.
    pub failure: Option<String>,
    pub warned_of_journal: bool,
    pub start: Instant,
}

/// What came of opening a subject.
pub(super) enum Opened {
    /// All its files are there.
    Complete,
    /// It is to be processed in these stretches; none where nothing has to be computed.
    Planned {
        open: Box<OpenSubject>,
        stretches: Vec<Stretch>,
    },
}

/// What is known of a subject before it is cut into work.
struct Found<'a> {
    contents: Contents<'a>,
    files: &'a SubjectFiles,
    planes: usize,
    /// Whether the program chose the model.
    model_is_auto: bool,
    /// Whether the sampling rate is the model's, because neither the recording nor a flag states one.
    rate_is_assumed: bool,
    wanted: Wanted,
}

impl Found<'_> {
    /// What the subject is and what the run makes of it, as one line.
    fn line(&self, plan: &SubjectPlan, files: &[String]) -> String {
        let provenance = self.contents.provenance;
        let mut files = files.join(", ");
        if let Some(reason) = self.reason_for_other_activity() {
            let _ = write!(
                files,
                " (activity.h5 again, because the one there {reason})"
            );
        }
        let model = match self.model_is_auto {
            true => format!(", model {}", provenance.cascade_model),
            false => String::new(),
        };
        format!(
            "{}: {}, {}, {}, at {}{}, baseline {}{}; writing {}",
            plan.name,
            counted(plan.neurons, "neuron"),
            counted(plan.frames, "frame"),
            counted(self.planes, "z-plane"),
            hertz(provenance.sampling_rate),
            if self.rate_is_assumed {
                " (the model's: the recording states none)"
            } else {
                ""
            },
            provenance.baseline_and_chooser(),
            model,
            files
        )
    }

    /// What is wrong with the `activity.h5` that is there, if it is written again beside grids that stay. With new grids, all files
    /// are.
    fn reason_for_other_activity(&self) -> Option<String> {
        let path = self.files.path(OutputFile::Activity);
        let is_replaced = self.wanted.has(OutputFile::Activity)
            && !self.wanted.has(OutputFile::Grids)
            && path.exists();
        is_replaced.then(|| match ActivityFile::precision(&path) {
            Some(found) if found != self.contents.precision => format!("has {}", found.name()),
            _ => "is damaged or of other data".to_owned(),
        })
    }
}

/// What a run knows of a recording beside its files.
struct DataSettings {
    /// In Hz, where the recording or a flag states it.
    stated_rate: Option<f64>,
    /// The same, else the model's.
    sampling_rate: f64,
    /// Whether the program chose the kind of baseline, now or when it wrote the grids that are there.
    baseline_is_auto: bool,
    /// Whether the excerpt decided it.
    is_judged: bool,
    dff: DffSettings,
}

impl DataSettings {
    /// The kind of baseline, if the user chose it.
    fn given_baseline(&self) -> Option<Baseline> {
        (!self.baseline_is_auto).then_some(self.dff.baseline)
    }
}

/// What rank 0 needs to open any subject of the run.
pub(super) struct Opener {
    pub config: Config,
    pub models: RunModels,
    /// Without what the models of subjects take.
    pub budget: Budget,
}

impl Opener {
    /// Opens subject `index` of the run and plans it. Notes in its report what is found.
    ///
    /// # Errors
    /// Why the subject cannot be processed: a [`Finding`](spikegrid_core::findings::Finding) where rule 9.3 has a code for it.
    pub(super) fn open(
        &mut self,
        index: usize,
        subject: &Subject,
        writer: usize,
        report: &mut SubjectReport,
        progress: &Progress,
    ) -> Result<Opened, Box<dyn Error>> {
        let start = Instant::now();
        let source = recording::open(subject, &self.config.data)?;
        let (neurons, frames) = (source.neurons(), source.frames());
        (report.neurons, report.frames) = (neurons, frames);
        report.findings.clone_from(&source.findings);
        let (layout, findings) = recording::lay_out(&source, &self.config.data)?;
        report.findings.extend(findings);
        report.z_planes = layout.planes();
        let mut claim = self.claim(subject)?;
        let number = self.choose_model(&source, report, progress)?;
        let model = self.models.get(number);
        let data = self.decide(&source, &claim.files, model, report)?;
        let provenance = self.provenance(&data, &source, model);
        report.sampling_rate = provenance.sampling_rate;
        report.baseline = provenance.baseline_and_chooser();
        let metadata = self.metadata(frames, &layout);
        let files = &claim.files;
        let wanted = self.wanted(files, neurons, &provenance, &metadata)?;
        report.files_written = wanted.names(files);
        if !wanted.needs_neurons() {
            // The grids stay, and with them what was found out when they were made.
            report.findings = provenance::recorded_findings(&files.path(OutputFile::Grids));
            if report.files_written.is_empty() {
                return Ok(Opened::Complete);
            }
        } else if !data.is_judged {
            let (_, finding) = self.judge(&source, data.sampling_rate, data.given_baseline())?;
            report.findings.extend(finding);
        }
        let mut plan = self.plan(index, subject, writer, &source, &data);
        plan.model = number;
        let filled = [OutputFile::Traces, OutputFile::Activity, OutputFile::Nwb]
            .map(|file| wanted.has(file))
            .contains(&true);
        let budget = self.budget.with_models(&model.config, self.models.bytes());
        let cut = match budget.cut(&mut plan, layout.planes(), filled) {
            Ok(cut) => cut,
            Err(needed) => {
                claim.keep_journal();
                return Err(self.beyond_memory(&plan, &source.dataset, needed).into());
            }
        };
        let contiguous = self.lay_out_contiguous(files, wanted, frames, layout.planes());
        let contiguous = match contiguous {
            Ok(contiguous) => contiguous,
            Err(error) => {
                claim.keep_journal();
                return Err(error.into());
            }
        };
        let found = Found {
            contents: Contents {
                subject: &subject.name,
                units: plan.cut_into_units(),
                positions: &source.positions,
                layout: &layout,
                is_train: &metadata.is_train,
                provenance: &provenance,
                precision: self.config.activity.unwrap_or_default(),
            },
            files,
            planes: layout.planes(),
            model_is_auto: self.config.chooses_models(),
            rate_is_assumed: data.stated_rate.is_none(),
            wanted,
        };
        open_earlier(&mut plan, &found, report, progress)?;
        let rates = RatePlaces::new(&plan)?;
        let Cut {
            stretches, pieces, ..
        } = match wanted.needs_neurons() {
            true => cut,
            false => Cut::default(),
        };
        let open = Box::new(OpenSubject {
            claim,
            wanted,
            provenance,
            layout,
            positions: source.positions,
            metadata,
            noise_level: vec![f32::NAN; neurons],
            model_noise_level: vec![0; neurons],
            facts: vec![NeuronFacts::default(); neurons],
            repeated_frames: None,
            blank_frames: BTreeSet::new(),
            computed_neurons: 0,
            contiguous,
            rates,
            plotted: Vec::new(),
            stated_rate: data.stated_rate,
            pieces,
            failure: None,
            warned_of_journal: false,
            start,
            plan,
        });
        Ok(Opened::Planned { open, stretches })
    }

    /// What the results of a subject depend on.
    fn provenance(&self, data: &DataSettings, source: &Source, model: &RunModel) -> Provenance {
        let config = &self.config;
        Provenance {
            cascade_model: model.installed.name.clone(),
            model_sha256: model.sha256.clone(),
            sampling_rate: data.sampling_rate,
            window_sec: config.window_sec,
            percentile: config.percentile,
            baseline: data.dff.baseline,
            baseline_is_auto: data.baseline_is_auto,
            scale: config.data.scale,
            missing: config.data.missing,
            bridge_gaps: config.data.bridge_gaps,
            planes: config.data.planes,
            plane_step: config.data.plane_step,
            threshold: config.threshold,
            shift_frames: config.shift_frames,
            calcium_dataset: source.dataset.clone(),
            cells: (config.data.cells == Cells::All).then_some("all"),
            neuropil_coefficient: config.data.neuropil_coefficient,
            seed: config.seed,
            split_ratio: config.split_ratio,
            source_format: Some(source.format),
            input: Some(source.identity.clone()),
        }
    }

    /// Claims the output folder of the subject, after a crash trial of the files that are kept.
    fn claim(&self, subject: &Subject) -> Result<Claim, Box<dyn Error>> {
        let files = SubjectFiles::new(&self.config.output_dir, &subject.name);
        if !self.config.overwrite {
            crash_trial::outputs(&files)?;
        }
        Ok(files.claim()?)
    }

    /// Which files of a subject of `neurons` neurons are to be written.
    fn wanted(
        &self,
        files: &SubjectFiles,
        neurons: usize,
        provenance: &Provenance,
        metadata: &Metadata,
    ) -> Result<Wanted, OutputError> {
        let (frames, planes) = (metadata.is_train.len(), metadata.z_values.len());
        let required = Required {
            overwrite: self.config.overwrite,
            save_traces: self.config.save_traces,
            activity: self.config.activity,
            nwb: self.config.nwb,
            shape: [frames, planes, ROWS, COLUMNS],
            neurons,
            provenance,
            metadata,
        };
        Wanted::find(files, &required)
    }

    /// The grids file, laid out, where it is wanted and is not to be compressed (rule 8.8).
    fn lay_out_contiguous(
        &self,
        files: &SubjectFiles,
        wanted: Wanted,
        frames: usize,
        planes: usize,
    ) -> Result<Option<ContiguousGrids>, OutputError> {
        let is_contiguous = self.config.compression == Compression::None;
        let path = files.path(OutputFile::Grids);
        (is_contiguous && wanted.has(OutputFile::Grids))
            .then(|| ContiguousGrids::create(&path, frames, planes))
            .transpose()
    }

    fn metadata(&self, frames: usize, layout: &Layout) -> Metadata {
        let train = split::train_mask(frames, self.config.split_ratio, self.config.seed);
        Metadata {
            z_values: layout.z_values.clone(),
            is_train: train.into_iter().map(u8::from).collect(),
        }
    }

    /// The number of the model for a recording, which is noted in the report with what is to be said of it (rules 2.7 and 4.9).
    fn choose_model(
        &mut self,
        source: &Source,
        report: &mut SubjectReport,
        progress: &Progress,
    ) -> Result<usize, Box<dyn Error>> {
        let read = self.models.count();
        let (number, finding) = self.models.choose(self.stated_rate(source))?;
        report.findings.extend(finding);
        let model = self.models.get(number);
        report.cascade_model.clone_from(&model.installed.name);
        report.model_sha256.clone_from(&model.sha256);
        if self.models.count() > read {
            model
                .warnings
                .iter()
                .for_each(|warning| progress.warn(warning));
        }
        Ok(number)
    }

    /// The sampling rate of a recording in Hz: the flag's, else its own; none where neither states it.
    fn stated_rate(&self, source: &Source) -> Option<f64> {
        self.config.data.sampling_rate.or(source.rate)
    }

    /// The sampling rate and the kind of baseline of a recording, and what is to be said of them (rules 2.7 and 3.5).
    fn decide(
        &self,
        source: &Source,
        files: &SubjectFiles,
        model: &RunModel,
        report: &mut SubjectReport,
    ) -> Result<DataSettings, Box<dyn Error>> {
        let config = &self.config;
        let stated_rate = self.stated_rate(source);
        let sampling_rate = stated_rate.unwrap_or(model.config.sampling_rate);
        report
            .findings
            .extend(recording::flags(source, Some(sampling_rate), &config.data));
        report.findings.extend(findings::of_length(
            source.frames(),
            model.config.windowsize,
        ));
        let grids = files.path(OutputFile::Grids);
        let known = match config.data.baseline {
            BaselineChoice::Given(baseline) => Some((baseline, false)),
            BaselineChoice::Auto if config.overwrite => None,
            BaselineChoice::Auto => provenance::recorded_baseline(&grids),
        };
        let (baseline, baseline_is_auto) = match known {
            Some(known) => known,
            None => {
                let (baseline, finding) = self.judge(source, sampling_rate, None)?;
                report.findings.extend(finding);
                (baseline, true)
            }
        };
        Ok(DataSettings {
            stated_rate,
            sampling_rate,
            baseline_is_auto,
            is_judged: known.is_none(),
            dff: config.dff_settings(baseline, sampling_rate)?,
        })
    }

    /// What the network gets of a recording, by its excerpt unless the user has `given` it, and what is to be said of it.
    fn judge(
        &self,
        source: &Source,
        rate_hz: f64,
        given: Option<Baseline>,
    ) -> Result<(Baseline, Option<Finding>), Box<dyn Error>> {
        let excerpt = recording::excerpt(source)?;
        let kind = recording::kind(source, &excerpt, rate_hz, &self.config.data);
        recording::baseline(&kind, given)
    }

    /// The plan of a subject that is not yet cut into stretches, without journal and traces file.
    fn plan(
        &self,
        index: usize,
        subject: &Subject,
        writer: usize,
        source: &Source,
        data: &DataSettings,
    ) -> SubjectPlan {
        let config = &self.config;
        let (neurons, frames) = (source.neurons(), source.frames());
        SubjectPlan {
            index,
            name: subject.name.clone(),
            location: source.location.clone(),
            storage: source.storage(),
            model: 0,
            frames,
            neurons,
            unit_neurons: unit_neurons(neurons, frames, config.batch_size),
            stretch_units: 1,
            dff: data.dff,
            writer,
            plotted: plotted_neurons(neurons, config.num_neurons, config.seed.into()),
            unit_files: UnitFiles::default(),
            journal: Journal::default(),
        }
    }

    fn beyond_memory(&self, plan: &SubjectPlan, dataset: &str, needed: u64) -> String {
        let chunk = plan.storage.chunk_bytes() as u64;
        // What is in use before the first subject differs by a few MiB from run to run.
        const STEP: u64 = 64 << 20;
        let enough = (needed + needed / 32).div_ceil(STEP) * (STEP >> 20);
        let whole = format!(
            "{}: {} neurons of {} frames take about {} on each rank, --memory_limit is {}",
            plan.location,
            plan.neurons,
            plan.frames,
            MemorySize(needed),
            self.config.memory_limit
        );
        match plan.storage.chunk {
            Some([rows, columns]) if chunk > self.config.memory_limit.0 / 8 => format!(
                "{whole}: the file has chunks of {rows} × {columns} numbers, {} each, of which some are held at a time; give \
                 --memory_limit {enough}MiB, or store the recording again in smaller chunks (of an HDF5 file: h5repack -l {}:CHUNK=100x100)",
                MemorySize(chunk),
                dataset
            ),
            _ => format!("{whole}; give --memory_limit {enough}MiB"),
        }
    }
}

/// Opens the journal and the files that are filled unit by unit, which an interrupted run may have left, and says what will be done.
fn open_earlier(
    plan: &mut SubjectPlan,
    found: &Found,
    report: &SubjectReport,
    progress: &Progress,
) -> Result<(), OutputError> {
    let traces = found.wanted.has(OutputFile::Traces);
    let activity = found.wanted.has(OutputFile::Activity);
    let key = Key::new(
        &plan.name,
        plan.cut_into_units(),
        plan.plotted.len(),
        traces,
        activity.then_some(found.contents.precision),
        found.wanted.has(OutputFile::Nwb),
        found.contents.provenance,
    );
    let (journal, difference) = Journal::open(&found.files.folder, &key, plan.units());
    if let Some(difference) = difference {
        progress.warn(&format!(
            "{}: starts over: an interrupted run worked with {difference}",
            plan.name
        ));
    }
    let resumes = journal.units() > 0;
    plan.unit_files = UnitFiles::open(found.files, found.wanted, resumes, &found.contents)?;
    progress.line(&found.line(plan, &report.files_written));
    if journal.units() > 0 {
        progress.line(&format!(
            "{}: goes on from {} of {} work units that an interrupted run finished",
            plan.name,
            journal.units(),
            plan.units()
        ));
    }
    plan.journal = journal;
    Ok(())
}
