//! What rank 0 does before a subject is processed: it reads positions and extents, finds which files are missing, cuts the subject
//! into work, and finds what an interrupted run has left.

use std::error::Error;
use std::time::Instant;

use spikegrid_core::findings::{Code, Finding};
use spikegrid_core::grid::{COLUMNS, Layout, ROWS};
use spikegrid_core::split;
use spikegrid_core::unit::PlottedNeuron;
use spikegrid_files::crash_trial;
use spikegrid_files::input::discovery::Subject;
use spikegrid_files::input::{self, Piece, Source};
use spikegrid_files::output::journal::{Journal, Key};
use spikegrid_files::output::metadata::Metadata;
use spikegrid_files::output::provenance::Provenance;
use spikegrid_files::output::unit_files::UnitFiles;
use spikegrid_files::output::{Claim, OutputError, OutputFile, Required, SubjectFiles, Wanted};

use crate::run::budget::{Budget, Cut};
use crate::run::progress::Progress;
use crate::run::report::SubjectReport;
use crate::run::schedule::Stretch;
use crate::run::subject_plan::{SubjectPlan, plotted_neurons, unit_neurons};
use crate::settings::Config;
use crate::settings::size::MemorySize;

/// A subject between its plan and its end, as rank 0 keeps it.
pub(super) struct OpenSubject {
    pub plan: SubjectPlan,
    pub claim: Claim,
    pub wanted: Wanted,
    pub provenance: Provenance,
    pub layout: Layout,
    /// Positions of the neurons: x, y and z, NaN where missing.
    pub xyz: Vec<[f64; 3]>,
    pub metadata: Metadata,
    /// Of each neuron (rule 4.3); NaN until its unit is done.
    pub noise_level: Vec<f32>,
    /// That of the ensemble which each neuron uses.
    pub model_noise_level: Vec<i32>,
    pub neurons_with_gaps: usize,
    /// Neurons that this run has computed, without those from the journal.
    pub computed_neurons: usize,
    /// The neurons of the PDF whose units are done.
    pub plotted: Vec<PlottedNeuron>,
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
    source: &'a Source,
    files: &'a SubjectFiles,
    provenance: &'a Provenance,
    planes: usize,
    wanted: Wanted,
}

/// What rank 0 needs to open any subject of the run.
pub(super) struct Opener {
    pub config: Config,
    /// The same for all subjects, but for the identity of the input.
    pub provenance: Provenance,
    /// Frames of the network's window.
    pub windowsize: usize,
    pub budget: Budget,
}

impl Opener {
    /// Opens subject `index` of the run and plans it. Notes in its report what is found.
    ///
    /// # Errors
    /// Why the subject cannot be processed.
    pub(super) fn open(
        &self,
        index: usize,
        subject: &Subject,
        writer: usize,
        report: &mut SubjectReport,
        progress: &Progress,
    ) -> Result<Opened, Box<dyn Error>> {
        let start = Instant::now();
        let source = self.read_source(subject)?;
        let (neurons, frames) = (source.neurons(), source.frames());
        let mut claim = self.claim(subject)?;
        let layout = Layout::new(&source.positions.xyz);
        let planes = layout.z_values.len();
        let provenance = Provenance {
            input: Some(source.identity.clone()),
            ..self.provenance.clone()
        };
        (report.neurons, report.frames, report.z_planes) = (neurons, frames, planes);
        let metadata = self.metadata(frames, &layout);
        let files = &claim.files;
        let wanted = self.wanted(files, neurons, &provenance, &metadata)?;
        report.files_written = wanted.names(files);
        if report.files_written.is_empty() {
            return Ok(Opened::Complete);
        }
        self.warn(&source, report, progress);
        let mut plan = self.plan(index, subject, writer, &source);
        let cut = match self
            .budget
            .cut(&mut plan, planes, wanted.has(OutputFile::Traces))
        {
            Ok(cut) => cut,
            Err(needed) => {
                claim.keep_journal();
                return Err(self.beyond_memory(&plan, needed).into());
            }
        };
        let found = Found {
            source: &source,
            files,
            provenance: &provenance,
            planes,
            wanted,
        };
        open_earlier(&mut plan, &found, report, progress)?;
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
            xyz: source.positions.xyz,
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
        });
        Ok(Opened::Planned { open, stretches })
    }

    /// Opens the recording, after a crash trial of its files.
    fn read_source(&self, subject: &Subject) -> Result<Source, Box<dyn Error>> {
        let dataset = &self.config.calcium_dataset;
        crash_trial::subject(subject, dataset)?;
        Ok(input::open(subject, dataset)?)
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
            shape: [frames, planes, ROWS, COLUMNS],
            neurons,
            provenance,
            metadata,
        };
        Wanted::find(files, &required)
    }

    fn metadata(&self, frames: usize, layout: &Layout) -> Metadata {
        let train = split::train_mask(frames, self.config.split_ratio, self.config.seed);
        Metadata {
            z_values: layout.z_values.clone(),
            is_train: train.into_iter().map(u8::from).collect(),
        }
    }

    /// Warns of what is odd in the positions and of recordings that are too short.
    fn warn(&self, source: &Source, report: &mut SubjectReport, progress: &Progress) {
        let frames = source.frames();
        report.findings.clone_from(&source.findings);
        if frames < self.windowsize {
            let message = format!(
                "{frames} frames are fewer than the model's window of {}: no frame has a spike rate, and there are no spikes.",
                self.windowsize
            );
            let advice = "Record longer, or choose a model with a shorter window.";
            report
                .findings
                .push(Finding::new(Code::Short, message, advice));
        }
        for finding in &report.findings {
            progress.finding(&report.name, finding);
        }
    }

    /// The plan of a subject that is not yet cut into stretches, without journal and traces file.
    fn plan(&self, index: usize, subject: &Subject, writer: usize, source: &Source) -> SubjectPlan {
        let config = &self.config;
        let (neurons, frames) = (source.neurons(), source.frames());
        SubjectPlan {
            index,
            name: subject.name.clone(),
            location: source.location.clone(),
            storage: source.storage(),
            frames,
            neurons,
            unit_neurons: unit_neurons(neurons, frames, config.batch_size),
            stretch_units: 1,
            writer,
            plotted: plotted_neurons(neurons, config.num_neurons, config.seed.into()),
            unit_files: UnitFiles::default(),
            journal: Journal::default(),
        }
    }

    fn beyond_memory(&self, plan: &SubjectPlan, needed: u64) -> String {
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
                 --memory_limit {enough}MiB, or store the file again in smaller chunks (h5repack -l {}:CHUNK=100x100)",
                MemorySize(chunk),
                self.config.calcium_dataset
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
    let (frames, neurons) = (plan.frames, plan.neurons);
    let traces = found.wanted.has(OutputFile::Traces);
    let key = Key::new(
        &plan.name,
        plan.cut_into_units(),
        plan.plotted.len(),
        traces,
        found.provenance,
    );
    let (journal, difference) = Journal::open(&found.files.folder, &key, plan.units());
    if let Some(difference) = difference {
        progress.warn(&format!(
            "{}: starts over: an interrupted run worked with {difference}",
            plan.name
        ));
    }
    let (resumes, positions) = (journal.units() > 0, &found.source.positions);
    plan.unit_files = UnitFiles::open(found.files, found.wanted, resumes, frames, positions)?;
    progress.line(&format!(
        "{}: {neurons} neurons, {frames} frames, {} z-planes; writing {}",
        plan.name,
        found.planes,
        report.files_written.join(", ")
    ));
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
