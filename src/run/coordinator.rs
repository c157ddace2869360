//! Rank 0's own part: it opens subjects, hands out their units, has them written, and keeps the record.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::time::Instant;

use spikegrid_core::cascade::trace;
use spikegrid_core::grid::{COLUMNS, Layout, ROWS};
use spikegrid_core::unit::{PlottedNeuron, UnitSummary};
use spikegrid_core::{spikes, split};
use spikegrid_files::crash_trial;
use spikegrid_files::figures::{self, NeuronTraces};
use spikegrid_files::input::discovery::Subject;
use spikegrid_files::input::traces::Piece;
use spikegrid_files::input::{self, SubjectInput};
use spikegrid_files::output::journal::{Journal, Key};
use spikegrid_files::output::metadata::Metadata;
use spikegrid_files::output::provenance::Provenance;
use spikegrid_files::output::traces::TracesFile;
use spikegrid_files::output::{
    self, Claim, OutputError, SubjectFiles, combined, partial, provenance,
};

use super::messages::{Message, Order, Outbox, Reply, WriteJob, Written};
use crate::job::STOPPED;
use crate::run::budget::{Budget, Cut};
use crate::run::progress::Progress;
use crate::run::report::{Outcome, SubjectReport, peak_resident_bytes};
use crate::run::schedule::{Scheduler, Step, Stretch, largest_first};
use crate::run::setup::Setup;
use crate::run::subject_plan::{SubjectPlan, plotted_neurons, unit_neurons};
use crate::settings::Config;
use crate::settings::size::MemorySize;

/// Which of a subject's files are to be written.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    grids: bool,
    metadata: bool,
    figures: bool,
    traces: bool,
}

impl Wanted {
    /// The files that are wanted.
    fn of(self, files: &SubjectFiles) -> impl Iterator<Item = &Path> {
        let wanted = [self.grids, self.metadata, self.figures, self.traces];
        let files = files.all().into_iter().zip(wanted);
        files.filter(|(_, wanted)| *wanted).map(|(path, _)| path)
    }

    fn names(self, files: &SubjectFiles) -> Vec<String> {
        let name = |path: &Path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into()
        };
        self.of(files).map(name).collect()
    }
}

/// A subject between its plan and its end.
struct Open {
    plan: SubjectPlan,
    claim: Claim,
    wanted: Wanted,
    provenance: Provenance,
    layout: Layout,
    xyz: Vec<[f64; 3]>,
    metadata: Metadata,
    noise_level: Vec<f32>,
    model_noise_level: Vec<i32>,
    neurons_with_gaps: usize,
    computed_neurons: usize,
    plotted: Vec<PlottedNeuron>,
    /// What is to be read of each stretch, and computed for the writer; none where only files of rank 0 are missing.
    pieces: Vec<Vec<Piece>>,
    failure: Option<String>,
    warned_of_journal: bool,
    start: Instant,
}

/// The state of the run on rank 0.
pub struct Coordinator {
    config: Config,
    provenance: Provenance,
    windowsize: usize,
    subjects: Vec<Subject>,
    budget: Budget,
    scheduler: Scheduler,
    open: HashMap<usize, Open>,
    pub progress: Progress,
    pub reports: Vec<SubjectReport>,
    pub neuron_frames: u64,
    finished: bool,
}

impl Coordinator {
    pub fn new(setup: &Setup, subjects: Vec<Subject>, ranks: usize, progress: Progress) -> Self {
        Self {
            config: setup.config.clone(),
            provenance: setup.provenance(),
            windowsize: setup.model.config.windowsize,
            budget: Budget::new(
                &setup.config,
                ranks,
                peak_resident_bytes(),
                trace::working_memory(&setup.model.config) as u64,
            ),
            scheduler: Scheduler::new(
                largest_first(&sizes(&subjects), ranks),
                ranks,
                setup.config.workers,
            ),
            reports: subjects
                .iter()
                .map(|subject| SubjectReport::new(&subject.name))
                .collect(),
            subjects,
            open: HashMap::new(),
            progress,
            neuron_frames: 0,
            finished: false,
        }
    }

    /// Does what can be done now.
    pub fn advance(&mut self, outbox: &mut impl Outbox) {
        while !self.finished
            && let Some(step) = self.scheduler.next()
        {
            match step {
                Step::Plan { subject, writer } => self.plan(outbox, subject, writer),
                Step::Read {
                    rank,
                    subject,
                    stretch,
                    piece,
                } => {
                    if let Some(open) = self.open.get(&subject) {
                        let order = Order::Read {
                            subject,
                            stretch,
                            piece: open.pieces[stretch][piece].clone(),
                        };
                        outbox.send(rank, Message::Order(order));
                    }
                }
                Step::Load {
                    rank,
                    subject,
                    unit,
                } => outbox.send(rank, Message::Order(Order::Load { subject, unit })),
                Step::Compute {
                    rank,
                    subject,
                    unit,
                    owner,
                } => {
                    let order = Order::Compute {
                        subject,
                        unit,
                        rank,
                    };
                    outbox.send(owner, Message::Order(order));
                }
                Step::Write { subject } => self.write(outbox, subject),
                Step::Rasterise {
                    rank,
                    subject,
                    slab,
                } => {
                    if let Some(open) = self.open.get(&subject) {
                        let order = Order::SendSlab {
                            subject,
                            slab,
                            rank,
                        };
                        outbox.send(open.plan.writer, Message::Order(order));
                    }
                }
                Step::Drop { subject } => {
                    let open = self.open.get_mut(&subject);
                    let failure = open.and_then(|open| open.failure.take());
                    self.fail(outbox, subject, failure.unwrap_or_default());
                }
                Step::Finish => self.finish(outbox, None),
            }
        }
    }

    /// Ends the run: everywhere, once.
    pub fn finish(&mut self, outbox: &mut impl Outbox, signal: Option<i32>) {
        if self.finished {
            return;
        }
        self.finished = true;
        self.progress.clear();
        if signal.is_some() {
            self.open
                .values_mut()
                .for_each(|open| open.claim.keep_journal());
        }
        // What is open is cleared away with `self`, once no writer can make its file again.
        let mut status = u8::from(
            self.reports
                .iter()
                .any(|report| report.outcome == Outcome::Failed),
        );
        // Array tasks leave the combined file to `spikegrid-mpi combine`.
        if self.config.array.is_none() {
            match combined::write(&self.config.output_dir) {
                Ok(combined) => combined
                    .damaged
                    .iter()
                    .for_each(|warning| self.progress.warn(warning)),
                Err(error) => {
                    self.progress.error(&error.to_string());
                    status = 1;
                }
            }
        }
        if let Some(signal) = signal {
            self.progress.error(&format!(
                "stopped by signal {signal}; run the same command again to continue"
            ));
            status = STOPPED;
        }
        outbox.send_to_all(Message::Order(Order::Finish { status }));
    }

    /// Takes in what a rank reports.
    pub fn on_reply(&mut self, outbox: &mut impl Outbox, rank: usize, reply: Reply) {
        match reply {
            Reply::Done {
                subject,
                unit,
                summary,
            } => {
                self.scheduler.done(rank, subject, unit);
                self.on_unit_done(subject, unit, *summary);
            }
            Reply::Read {
                subject,
                stretch,
                seconds,
                failure,
            } => {
                self.scheduler.read(rank, subject, stretch);
                self.reports[subject].stage_sec.read += seconds;
                if let Some(message) = failure {
                    self.note_failure(subject, message);
                }
            }
            Reply::Failed {
                subject,
                unit,
                message,
            } => {
                self.scheduler.done(rank, subject, unit);
                self.note_failure(subject, message);
            }
            Reply::Opened { subject, slabs } => self.scheduler.opened(subject, slabs),
            Reply::Rasterised { rank, subject } => self.scheduler.rasterised(rank, subject),
            Reply::Written { subject, written } => self.close_subject(outbox, subject, &written),
            Reply::Unwritten { subject, message } => self.note_failure(subject, message),
            Reply::Warning { subject, message } => {
                // One file system, many ranks: one line says it.
                if let Some(open) = self.open.get_mut(&subject)
                    && !std::mem::replace(&mut open.warned_of_journal, true)
                {
                    let name = &open.plan.name;
                    self.progress.warn(&format!("{name}: {message}"));
                }
            }
            Reply::Signalled { signal } => self.finish(outbox, Some(signal)),
        }
    }

    /// The subject fails; of several reasons the first is told.
    fn note_failure(&mut self, subject: usize, message: String) {
        self.scheduler.fails(subject);
        if let Some(open) = self.open.get_mut(&subject) {
            open.failure.get_or_insert(message);
        }
    }

    fn on_unit_done(&mut self, subject: usize, unit: usize, summary: UnitSummary) {
        let Some(open) = self.open.get_mut(&subject) else {
            return;
        };
        let neurons = open.plan.unit(unit);
        let report = &mut self.reports[subject];
        report.work_units += 1;
        report.spikes += summary.spikes;
        report.stage_sec.read += summary.read_sec;
        report.stage_sec.compute += summary.compute_sec;
        match summary.from_journal {
            true => report.work_units_from_journal += 1,
            false => open.computed_neurons += neurons.len(),
        }
        open.neurons_with_gaps += summary.neurons_with_gaps;
        open.plotted.extend(summary.plotted);
        self.progress.computed(
            &open.plan.name,
            open.plan.neurons,
            open.plan.frames,
            neurons.len(),
            summary.from_journal,
        );
        open.noise_level[neurons.clone()].copy_from_slice(&summary.noise_level);
        open.model_noise_level[neurons].copy_from_slice(&summary.model_noise_level);
    }

    fn plan(&mut self, outbox: &mut impl Outbox, subject: usize, writer: usize) {
        let start = Instant::now();
        let opened = self.open_subject(subject, writer, start);
        self.reports[subject].stage_sec.open = start.elapsed().as_secs_f64();
        match opened {
            Ok(Some((open, stretches))) => {
                let journalled = open.plan.journal.all();
                if !stretches.is_empty() {
                    let plan = Box::new(open.plan.clone());
                    outbox.send_to_all(Message::Order(Order::Subject(plan)));
                }
                self.scheduler.planned(subject, stretches, journalled);
                self.open.insert(subject, open);
            }
            Ok(None) => {
                self.reports[subject].outcome = Outcome::Skipped;
                self.progress.line(&format!(
                    "{}: complete, skipped",
                    self.subjects[subject].name
                ));
                self.scheduler.ended(subject);
            }
            Err(message) => self.record_failure(subject, message),
        }
    }

    /// Opens a subject and finds what is to be done, with its stretches; none if nothing is.
    fn open_subject(
        &mut self,
        index: usize,
        writer: usize,
        start: Instant,
    ) -> Result<Option<(Open, Vec<Stretch>)>, String> {
        let subject = self.subjects[index].clone();
        let config = &self.config;
        crash_trial::subject(&subject, &config.calcium_dataset)
            .map_err(|error| error.to_string())?;
        let SubjectInput {
            traces,
            positions,
            identity,
        } = input::open(&subject, &config.calcium_dataset).map_err(|error| error.to_string())?;
        let (neurons, frames) = (traces.neurons(), traces.frames());
        let layout = Layout::new(&positions.xyz);
        let planes = layout.z_values.len();
        let provenance = Provenance {
            input: Some(identity),
            ..self.provenance.clone()
        };
        let files = SubjectFiles::new(&config.output_dir, &subject.name);
        if !config.overwrite {
            crash_trial::outputs(&files).map_err(|error| error.to_string())?;
        }
        let claim = files.claim();
        let mut claim = claim.map_err(|error| error.to_string())?;
        let files = &claim.files;
        let shape = [frames, planes, ROWS, COLUMNS];
        let report = &mut self.reports[index];
        (report.neurons, report.frames, report.z_planes) = (neurons, frames, planes);
        let train = split::train_mask(frames, config.split_ratio, config.seed);
        let metadata = Metadata {
            z_values: layout.z_values.clone(),
            is_train: train.into_iter().map(u8::from).collect(),
        };
        let wanted = wanted(config, files, shape, neurons, &provenance, &metadata)
            .map_err(|error| error.to_string())?;
        report.files_written = wanted.names(files);
        if report.files_written.is_empty() {
            return Ok(None);
        }
        report.warnings = positions.warnings;
        if frames < self.windowsize {
            report.warnings.push(format!(
                "{frames} frames are fewer than the model's window of {}: no frame has a spike rate, and there are no spikes",
                self.windowsize
            ));
        }
        for warning in &report.warnings {
            self.progress.warn(&format!("{}: {warning}", subject.name));
        }
        let (xyz, rows) = (&positions.xyz, &positions.source_row);
        let mut plan = SubjectPlan {
            index,
            name: subject.name.clone(),
            traces_path: subject.time_series(),
            dataset: config.calcium_dataset.clone(),
            storage: traces.storage(),
            frames,
            neurons,
            unit_neurons: unit_neurons(neurons, frames, config.batch_size),
            stretch_units: 1,
            writer,
            plotted: plotted_neurons(neurons, config.num_neurons, config.seed.into()),
            traces_file: None,
            journal: Journal::default(),
        };
        let cut = match self.budget.cut(&mut plan, planes, wanted.traces) {
            Ok(cut) => cut,
            Err(needed) => {
                claim.keep_journal();
                return Err(format!(
                    "{}: {neurons} neurons of {frames} frames take about {} on each rank, --memory_limit is {}: raise it",
                    plan.traces_path.display(),
                    MemorySize(needed),
                    config.memory_limit
                ));
            }
        };
        let units = plan.cut_into_units();
        let key = Key::new(
            &plan.name,
            units,
            plan.plotted.len(),
            wanted.traces,
            &provenance,
        );
        let (journal, difference) = Journal::open(&files.folder, &key, plan.units());
        if let Some(difference) = difference {
            self.progress.warn(&format!(
                "{}: starts over: an interrupted run worked with {difference}",
                subject.name
            ));
        }
        if wanted.traces {
            let earlier = match journal.units() {
                0 => None,
                _ => TracesFile::open(&partial(&files.traces), frames, neurons),
            };
            let file =
                earlier.map_or_else(|| TracesFile::create(&files.traces, frames, xyz, rows), Ok);
            plan.traces_file = Some(file.map_err(|error| error.to_string())?);
        }
        self.progress.line(&format!(
            "{}: {neurons} neurons, {frames} frames, {planes} z-planes; writing {}",
            subject.name,
            report.files_written.join(", ")
        ));
        if journal.units() > 0 {
            self.progress.line(&format!(
                "{}: goes on from {} of {} work units that an interrupted run finished",
                subject.name,
                journal.units(),
                plan.units()
            ));
        }
        plan.journal = journal;
        let compute = wanted.grids || wanted.figures || wanted.traces;
        let Cut {
            stretches, pieces, ..
        } = match compute {
            true => cut,
            false => Cut::default(),
        };
        let open = Open {
            claim,
            wanted,
            provenance,
            layout,
            xyz: positions.xyz,
            metadata,
            noise_level: vec![f32::NAN; neurons],
            model_noise_level: vec![0; neurons],
            neurons_with_gaps: 0,
            computed_neurons: 0,
            plotted: Vec::new(),
            pieces,
            failure: None,
            warned_of_journal: false,
            start,
            plan,
        };
        Ok(Some((open, stretches)))
    }

    /// Lets the writer begin.
    fn write(&mut self, outbox: &mut impl Outbox, subject: usize) {
        let Some(open) = self.open.get_mut(&subject) else {
            return;
        };
        self.progress.writing(&open.plan.name);
        let grids = open.wanted.grids.then_some(&open.claim.files.grids);
        // Made here, so that a network file system shows it here at once when the writer has closed it.
        if let Some(Err(error)) = grids.map(|path| {
            File::create(partial(path))
                .map_err(|error| OutputError::io(path, "cannot be created")(error))
        }) {
            self.note_failure(subject, error.to_string());
            return;
        }
        let job = WriteJob {
            subject,
            frames: open.plan.frames,
            neurons: open.plan.neurons,
            units: match open.pieces.is_empty() {
                true => 0,
                false => open.plan.units(),
            },
            layout: open.layout.clone(),
            grids: grids.cloned(),
        };
        outbox.send(
            open.plan.writer,
            Message::Order(Order::Write(Box::new(job))),
        );
    }

    /// Writes what rank 0 writes alone, and gives the files their final names.
    fn close_subject(&mut self, outbox: &mut impl Outbox, subject: usize, written: &Written) {
        let start = Instant::now();
        if let Err(error) = self.complete(subject, &written.spikes_per_frame) {
            self.fail(outbox, subject, error.to_string());
            return;
        }
        self.drop_subject(outbox, subject);
        let Some(open) = self.open.remove(&subject) else {
            return;
        };
        let report = &mut self.reports[subject];
        report.outcome = Outcome::Processed;
        report.output_bytes = written_bytes(&open);
        report.stage_sec.draw = written.rasterise_sec;
        report.stage_sec.write = written.write_sec;
        report.stage_sec.finish = start.elapsed().as_secs_f64();
        report.stage_sec.total = open.start.elapsed().as_secs_f64();
        self.neuron_frames += (open.computed_neurons * open.plan.frames) as u64;
        self.progress.ended(&report.name);
        self.progress.line(&format!(
            "{}: done in {:.1} s",
            report.name, report.stage_sec.total
        ));
        self.scheduler.ended(subject);
    }

    fn complete(&mut self, subject: usize, spikes_per_frame: &[u32]) -> Result<(), OutputError> {
        let Some(open) = self.open.get_mut(&subject) else {
            return Ok(());
        };
        let report = &mut self.reports[subject];
        if open.neurons_with_gaps > 0 {
            let warning = format!(
                "{} of {} neurons have frames without a spike rate besides those at the ends (NaN in their ΔF/F)",
                open.neurons_with_gaps, open.plan.neurons
            );
            self.progress.warn(&format!("{}: {warning}", report.name));
            report.warnings.push(warning);
        }
        let wanted = open.wanted;
        if wanted.metadata {
            open.metadata.write(&open.claim.files.metadata)?;
        }
        if wanted.figures {
            plot_figures(open, &self.config, &report.warnings, spikes_per_frame)?;
        }
        let files = &open.claim.files;
        if wanted.grids {
            let planes = open.layout.z_values.len();
            let train = &open.metadata.is_train;
            output::grids::complete(
                &files.grids,
                &open.plan.name,
                planes,
                train,
                &open.provenance,
                &self.config.as_json(),
            )?;
            // What belongs to other grids must not stand beside these, not even after an interruption here.
            for stale in [&files.metadata, &files.figures, &files.traces] {
                if stale.exists() {
                    std::fs::remove_file(stale)
                        .map_err(OutputError::io(stale, "cannot be replaced"))?;
                }
            }
            output::finish(&files.grids)?;
        }
        for (path, wanted) in [
            (&files.metadata, wanted.metadata),
            (&files.figures, wanted.figures),
            (&files.traces, wanted.traces),
        ] {
            if wanted {
                output::finish(path)?;
            }
        }
        Ok(())
    }

    fn fail(&mut self, outbox: &mut impl Outbox, subject: usize, message: String) {
        self.drop_subject(outbox, subject);
        self.record_failure(subject, message);
    }

    fn record_failure(&mut self, subject: usize, message: String) {
        self.progress.ended(&self.subjects[subject].name);
        self.progress.error(&format!(
            "{} failed: {message}",
            self.subjects[subject].name
        ));
        let report = &mut self.reports[subject];
        report.outcome = Outcome::Failed;
        report.error = Some(message);
        report.files_written.clear();
        self.open.remove(&subject);
        self.scheduler.ended(subject);
    }

    /// Lets all ranks drop a subject.
    fn drop_subject(&self, outbox: &mut impl Outbox, subject: usize) {
        outbox.send_to_all(Message::Order(Order::Drop { subject }));
    }
}

/// Bytes of each subject's traces, 0 where the file cannot be asked.
fn sizes(subjects: &[Subject]) -> Vec<u64> {
    let size = |subject: &Subject| {
        std::fs::metadata(subject.time_series()).map_or(0, |metadata| metadata.len())
    };
    subjects.iter().map(size).collect()
}

/// Bytes of the files that were written.
fn written_bytes(open: &Open) -> u64 {
    let files = open.wanted.of(&open.claim.files);
    let sizes = files.map(|path| std::fs::metadata(path).map_or(0, |metadata| metadata.len()));
    sizes.sum()
}

/// Which files are missing or damaged, or all with `--overwrite`.
fn wanted(
    config: &Config,
    files: &SubjectFiles,
    shape: [usize; 4],
    neurons: usize,
    provenance: &Provenance,
    metadata: &Metadata,
) -> Result<Wanted, OutputError> {
    files.check_names()?;
    let grids = config.overwrite || !files.grids.exists();
    if !grids {
        provenance::check(&files.grids, shape, provenance)?;
    }
    Ok(Wanted {
        grids,
        metadata: grids || !metadata.is_in(&files.metadata),
        figures: grids || !files.figures.exists(),
        traces: config.save_traces
            && (grids || TracesFile::open(&files.traces, shape[0], neurons).is_none()),
    })
}

fn plot_figures(
    open: &mut Open,
    config: &Config,
    warnings: &[String],
    spikes_per_frame: &[u32],
) -> Result<(), OutputError> {
    let frames = open.plan.frames;
    open.plotted.sort_by_key(|plotted| plotted.neuron);
    let neurons: Vec<NeuronTraces> = std::mem::take(&mut open.plotted)
        .into_iter()
        .map(|plotted| {
            let mut unpacked = vec![0; frames];
            spikes::unpack(&plotted.spikes, &mut unpacked);
            NeuronTraces {
                neuron: plotted.neuron,
                noise_level: open.noise_level[plotted.neuron],
                model_noise_level: open.model_noise_level[plotted.neuron],
                dff: plotted.dff,
                rate: plotted.rate,
                spikes: unpacked,
            }
        })
        .collect();
    let positions: Vec<[f64; 3]> = open
        .xyz
        .iter()
        .map(|xyz| xyz.map(|value| if value.is_nan() { 0.0 } else { value }))
        .collect();
    let provenance = &open.provenance;
    let summary = figures::Summary {
        subject: &open.plan.name,
        cascade_model: &provenance.cascade_model,
        neurons: open.plan.neurons,
        frames,
        sampling_rate_hz: provenance.sampling_rate,
        window_sec: provenance.window_sec,
        percentile: provenance.percentile,
        baseline: &provenance.baseline.to_string(),
        threshold: &provenance.threshold.to_string(),
        seed: config.seed.into(),
        is_train: &open.metadata.is_train,
        z_values: &open.layout.z_values,
        neurons_per_plane: &open.layout.neurons_per_plane(),
        positions: &positions,
        noise_levels: &open.noise_level,
        spikes_per_frame,
        software_version: env!("CARGO_PKG_VERSION"),
        warnings,
    };
    let path = &open.claim.files.figures;
    figures::write_pdf(&partial(path), &summary, &neurons).map_err(|source| OutputError::Plot {
        path: path.clone(),
        source,
    })
}
