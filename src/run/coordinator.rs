//! The coordinator, rank 0's own part: it carries out the scheduler's steps, handles the replies, and keeps the record of the run.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

use spikegrid_core::findings::{Finding, Severity};
use spikegrid_core::unit::UnitSummary;
use spikegrid_files::input::discovery::Subject;
use spikegrid_files::input::{self, Request};
use spikegrid_files::output::{OutputError, OutputFile, combined, partial};

use crate::job::STOPPED;
use crate::run::budget::Budget;
use crate::run::messages::{GridsJob, Message, Order, Outbox, Reply, WriteJob, Written};
use crate::run::opening::{OpenSubject, Opened, Opener};
use crate::run::progress::Progress;
use crate::run::report::{Outcome, SubjectReport, peak_resident_bytes};
use crate::run::run_models::RunModels;
use crate::run::schedule::{Scheduler, Step, largest_first};
use crate::run::setup::Setup;

/// The state of the run on rank 0.
pub struct Coordinator {
    opener: Opener,
    subjects: Vec<Subject>,
    scheduler: Scheduler,
    open: HashMap<usize, Box<OpenSubject>>,
    /// What the user sees.
    pub progress: Progress,
    /// One for each subject.
    pub reports: Vec<SubjectReport>,
    /// Neurons times frames that this run has computed.
    pub neuron_frames: u64,
    finished: bool,
}

impl Coordinator {
    /// A run of these subjects on so many ranks.
    pub fn new(
        setup: &Setup,
        subjects: Vec<Subject>,
        models: Vec<PathBuf>,
        ranks: usize,
        progress: Progress,
    ) -> Self {
        let name = &setup.config.cascade_model;
        let named = setup.model.as_ref().map(|model| (name.as_str(), model));
        Self {
            opener: Opener {
                config: setup.config.clone(),
                models: RunModels::new(named, models),
                budget: Budget::new(&setup.config, ranks, peak_resident_bytes(), 0),
            },
            scheduler: Scheduler::new(
                largest_first(&sizes(&subjects, &setup.config.data.request()), ranks),
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

    /// What the user should know about the models that were chosen, one line each.
    pub fn model_warnings(&self) -> impl Iterator<Item = String> {
        self.opener.models.warnings()
    }

    /// Carries out all steps that the scheduler has now.
    pub fn advance(&mut self, outbox: &mut impl Outbox) {
        while !self.finished
            && let Some(step) = self.scheduler.next()
        {
            self.carry_out(outbox, step);
        }
    }

    fn carry_out(&mut self, outbox: &mut impl Outbox, step: Step) {
        let (to, order) = match step {
            Step::Plan { subject, writer } => return self.plan(outbox, subject, writer),
            Step::Write { subject } => return self.write(outbox, subject),
            Step::Drop { subject } => {
                let open = self.open.get_mut(&subject);
                let failure = open.and_then(|open| open.failure.take());
                return self.fail(outbox, subject, failure.unwrap_or_default());
            }
            Step::Finish => return self.finish(outbox, None),
            Step::Read {
                rank,
                subject,
                stretch,
                piece,
            } => {
                let Some(open) = self.open.get(&subject) else {
                    return;
                };
                let piece = open.pieces[stretch][piece].clone();
                let read = Order::Read {
                    subject,
                    stretch,
                    piece,
                };
                (rank, read)
            }
            Step::Load {
                rank,
                subject,
                unit,
            } => (rank, Order::Load { subject, unit }),
            Step::Compute {
                rank,
                subject,
                unit,
                owner,
            } => {
                let compute = Order::Compute {
                    subject,
                    unit,
                    rank,
                };
                (owner, compute)
            }
            Step::Rasterise {
                rank,
                subject,
                slab,
            } => {
                let Some(open) = self.open.get(&subject) else {
                    return;
                };
                let send_slab = Order::SendSlab {
                    subject,
                    slab,
                    rank,
                };
                (open.plan.writer, send_slab)
            }
        };
        outbox.send(to, Message::Order(order));
    }

    /// Ends the run on all ranks, once.
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
        // The partial files of open subjects are removed when `self` is dropped: then no writer can make them again.
        let failed = |report: &SubjectReport| report.outcome == Outcome::Failed;
        let mut status = u8::from(self.reports.iter().any(failed));
        // Array tasks leave the combined file to `spikegrid-mpi combine`.
        if self.opener.config.array.is_none() {
            match combined::write(&self.opener.config.output_dir) {
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

    /// Handles what a rank replies.
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
            Reply::Packed {
                subject,
                unit,
                bytes,
            } => {
                if let Some(open) = self.open.get_mut(&subject) {
                    let address = open.rates.place(bytes);
                    let store = Order::Store {
                        subject,
                        unit,
                        address,
                    };
                    outbox.send(rank, Message::Order(store));
                }
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
                rank,
                subject,
                unit,
                message,
            } => {
                self.scheduler.done(rank, subject, unit);
                self.note_failure(subject, message);
            }
            Reply::Opened {
                subject,
                slabs,
                at_once,
            } => self.scheduler.opened(subject, slabs, at_once),
            Reply::Rasterised { rank, subject } => self.scheduler.rasterised(rank, subject),
            Reply::Written { subject, written } => self.close_subject(outbox, subject, &written),
            Reply::Unwritten { subject, message } => self.note_failure(subject, message),
            Reply::Warning { subject, message } => {
                // The journals of all ranks are on one file system, as are the grids: one warning is enough.
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

    /// Lets a subject fail; of several reasons the first is reported.
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
        open.facts[neurons.clone()].copy_from_slice(&summary.facts);
        open.blank_frames.extend(&summary.blank_frames);
        match &mut open.repeated_frames {
            Some(frames) => frames.intersect(&summary.repeated_frames),
            None => open.repeated_frames = Some(summary.repeated_frames),
        }
        open.plotted.extend(summary.plotted);
        open.rates.note(unit, summary.stored_rates);
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

    /// Opens and plans a subject, and sends all ranks its plan.
    fn plan(&mut self, outbox: &mut impl Outbox, subject: usize, writer: usize) {
        let start = Instant::now();
        let report = &mut self.reports[subject];
        let name = &self.subjects[subject];
        let opened = self
            .opener
            .open(subject, name, writer, report, &self.progress)
            .map_err(|error| {
                let finding = error.downcast_ref::<Finding>();
                report.findings.extend(finding.cloned());
                error.to_string()
            });
        report.stage_sec.open = start.elapsed().as_secs_f64();
        // A failure is said once, as the reason for which the subject fails.
        let said = |finding: &&Finding| finding.severity != Severity::Failure;
        for finding in report.findings.iter().filter(said) {
            self.progress.finding(&report.name, finding);
        }
        match opened {
            Ok(Opened::Planned { open, stretches }) => {
                let journalled = open.plan.journal.all();
                if !stretches.is_empty() {
                    let number = open.plan.model;
                    if let Some(model) = self.opener.models.take_unsent(number) {
                        outbox.send_to_all(Message::Order(Order::Model { number, model }));
                    }
                    let plan = Box::new(open.plan.clone());
                    outbox.send_to_all(Message::Order(Order::Subject(plan)));
                }
                self.scheduler.planned(subject, stretches, journalled);
                self.open.insert(subject, open);
            }
            Ok(Opened::Complete) => {
                report.outcome = Outcome::Skipped;
                self.progress
                    .line(&format!("{}: complete, skipped", report.name));
                self.scheduler.ended(subject);
            }
            Err(message) => self.record_failure(subject, message),
        }
    }

    /// Lets the writer begin.
    fn write(&mut self, outbox: &mut impl Outbox, subject: usize) {
        let Some(open) = self.open.get_mut(&subject) else {
            return;
        };
        self.progress.writing(&open.plan.name);
        let grids = match (open.wanted.has(OutputFile::Grids), &open.contiguous) {
            (false, _) => None,
            (true, Some(contiguous)) => Some(GridsJob::Fill(contiguous.clone())),
            (true, None) => {
                let path = open.claim.files.path(OutputFile::Grids);
                // Rank 0 makes the file, so that a network file system shows it here as soon as the writer has closed it.
                if let Err(error) = File::create(partial(&path)) {
                    let error = OutputError::io(&path, "cannot be created")(error);
                    self.note_failure(subject, error.to_string());
                    return;
                }
                Some(GridsJob::Compress(path))
            }
        };
        let job = WriteJob {
            subject,
            frames: open.plan.frames,
            neurons: open.plan.neurons,
            units: match open.pieces.is_empty() {
                true => 0,
                false => open.plan.units(),
            },
            layout: open.layout.clone(),
            grids,
        };
        outbox.send(
            open.plan.writer,
            Message::Order(Order::Write(Box::new(job))),
        );
    }

    /// Writes the files that rank 0 writes alone, and gives all of them their final names.
    fn close_subject(&mut self, outbox: &mut impl Outbox, subject: usize, written: &Written) {
        let start = Instant::now();
        let Some(open) = self.open.get_mut(&subject) else {
            return;
        };
        let report = &mut self.reports[subject];
        let (config, models) = (&self.opener.config, &self.opener.models);
        let model = models.get(open.plan.model);
        if let Err(error) = open.complete(config, model, report, &self.progress, written) {
            self.fail(outbox, subject, error.to_string());
            return;
        }
        self.drop_subject(outbox, subject);
        let Some(open) = self.open.remove(&subject) else {
            return;
        };
        let report = &mut self.reports[subject];
        report.outcome = Outcome::Processed;
        report.output_bytes = open.wanted.bytes(&open.claim.files);
        report.planes_written_by = written.plane_writers.as_ref().map(ToString::to_string);
        report.stage_sec.rasterise = written.rasterise_sec;
        report.stage_sec.cut = written.cut_sec;
        report.stage_sec.write = written.write_sec;
        report.stage_sec.index = written.index_sec;
        report.stage_sec.finish = start.elapsed().as_secs_f64();
        report.stage_sec.total = open.start.elapsed().as_secs_f64();
        if let Err(error) = open.claim.remove_journals() {
            self.progress.warn(&format!("{}: {error}", report.name));
        }
        self.neuron_frames += (open.computed_neurons * open.plan.frames) as u64;
        self.progress.ended(&report.name);
        self.progress.line(&format!(
            "{}: done in {:.1} s",
            report.name, report.stage_sec.total
        ));
        self.scheduler.ended(subject);
    }

    fn fail(&mut self, outbox: &mut impl Outbox, subject: usize, message: String) {
        self.drop_subject(outbox, subject);
        self.record_failure(subject, message);
    }

    fn record_failure(&mut self, subject: usize, message: String) {
        let report = &mut self.reports[subject];
        self.progress.ended(&report.name);
        self.progress
            .error(&format!("{} failed: {message}", report.name));
        report.outcome = Outcome::Failed;
        report.error = Some(message);
        report.files_written.clear();
        self.open.remove(&subject);
        self.scheduler.ended(subject);
    }

    /// Lets all ranks free what they hold of a subject.
    fn drop_subject(&self, outbox: &mut impl Outbox, subject: usize) {
        outbox.send_to_all(Message::Order(Order::Drop { subject }));
    }
}

/// Bytes of fluorescence of each subject.
fn sizes(subjects: &[Subject], request: &Request) -> Vec<u64> {
    let sizes = subjects.iter();
    sizes
        .map(|subject| input::fluorescence_bytes(subject, request))
        .collect()
}

#[cfg(test)]
mod tests;
