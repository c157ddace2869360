//! What every rank does with its orders: read pieces for all, have units of its share computed, send the spikes to the subject's
//! writer; and draw slabs for the writers.
//!
//! The thread that owns MPI and HDF5 reads, writes and talks, a piece at a time between messages; compute threads touch neither. The
//! next stretch is read while one is computed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use spikegrid_core::grid::Layout;
use spikegrid_core::slab::{Planes, Slab};
use spikegrid_core::spikes::row_bytes;
use spikegrid_core::unit::{PlottedNeuron, UnitOutput, UnitSummary};
use spikegrid_files::input::traces::{Piece, Samples, Traces};
use spikegrid_files::output::journal::{self, JournalledUnit};
use spikegrid_inference::pipeline::{Pipeline, Workers};

use super::messages::{Message, Order, Outbox, Reply};
use crate::run::assembly::{self, Assembly};
use crate::run::schedule::share;
use crate::run::subject_plan::SubjectPlan;
use crate::run::writer::Writer;

/// Bytes on their way to other ranks above which no more samples are sent to them.
const BACKLOG: usize = 16 << 20;

/// A subject as this rank holds it.
struct WorkerSubject {
    plan: SubjectPlan,
    journal: journal::Writer,
    /// By stretch.
    shares: HashMap<usize, Share>,
}

/// This rank's share of a stretch.
struct Share {
    assembly: Assembly,
    /// Once all pieces are here.
    samples: Option<Arc<Samples>>,
    /// Units that were asked for before: to be computed by these ranks.
    asked: Vec<(usize, usize)>,
    /// Units that were not asked for yet.
    left: usize,
}

/// A unit of this rank's share that another rank computes.
struct UnitToSend {
    rank: usize,
    subject: usize,
    unit: usize,
    neurons: Range<usize>,
    /// Those of the share.
    samples: Arc<Samples>,
}

/// A piece that is to be read.
struct PieceToRead {
    subject: usize,
    stretch: usize,
    piece: Piece,
}

/// What a compute thread has done.
enum Finished {
    Unit {
        subject: usize,
        unit: usize,
        output: UnitOutput,
    },
    Slab {
        writer: usize,
        subject: usize,
        planes: Planes,
    },
}

/// This rank's share of the work.
pub struct Worker {
    pipeline: Arc<Pipeline>,
    workers: Arc<Workers>,
    subjects: HashMap<usize, WorkerSubject>,
    /// What other ranks sent of a subject that rank 0 has not told of yet.
    early: HashMap<usize, Vec<Message>>,
    /// Subjects of which something may still arrive, to no use.
    dropped: HashSet<usize>,
    pieces_to_read: VecDeque<PieceToRead>,
    units_to_send: VecDeque<UnitToSend>,
    /// The recording that was read last, by subject, and its open file.
    traces: Option<(usize, Traces)>,
    /// Of subjects that are drawn here.
    layouts: HashMap<usize, Arc<Layout>>,
    /// The subjects that this rank writes.
    writer: Writer,
    finished: Receiver<Finished>,
    finish: Sender<Finished>,
}

impl Worker {
    pub fn new(pipeline: Pipeline, workers: Workers) -> Self {
        let (finish, finished) = channel();
        Self {
            pipeline: Arc::new(pipeline),
            workers: Arc::new(workers),
            subjects: HashMap::new(),
            early: HashMap::new(),
            dropped: HashSet::new(),
            pieces_to_read: VecDeque::new(),
            units_to_send: VecDeque::new(),
            traces: None,
            layouts: HashMap::new(),
            writer: Writer::default(),
            finished,
            finish,
        }
    }

    /// Does what a message asks for; gives back what is not for a rank to do.
    pub fn handle(
        &mut self,
        outbox: &mut impl Outbox,
        from: usize,
        message: Message,
    ) -> Option<Message> {
        match message {
            Message::Order(Order::Subject(plan)) => self.on_subject(outbox, *plan),
            Message::Order(Order::Read {
                subject,
                stretch,
                piece,
            }) => self.pieces_to_read.push_back(PieceToRead {
                subject,
                stretch,
                piece,
            }),
            Message::Order(Order::Load { subject, unit }) => self.load(outbox, subject, unit),
            Message::Order(Order::Compute {
                subject,
                unit,
                rank,
            }) => self.send_unit(outbox, subject, unit, rank),
            Message::Order(Order::Write(job)) => self.writer.begin(outbox, *job),
            Message::Order(Order::SendSlab {
                subject,
                slab,
                rank,
            }) => self.writer.send_slab(outbox, subject, slab, rank),
            Message::Order(Order::Drop { subject }) => self.drop_subject(subject),
            message @ (Message::Samples { subject, .. } | Message::Unit { subject, .. }) => {
                self.on_samples(outbox, subject, message);
            }
            Message::Spikes {
                subject,
                unit,
                spikes,
            } => self.writer.add_spikes(outbox, subject, unit, spikes),
            Message::Layout { subject, layout } => {
                self.layouts.insert(subject, Arc::new(*layout));
            }
            Message::Slab { subject, spikes } => self.rasterise(from, subject, spikes),
            Message::Planes { subject, planes } => {
                self.writer.write(outbox, from, subject, &planes);
            }
            other => return Some(other),
        }
        None
    }

    fn on_subject(&mut self, outbox: &mut impl Outbox, plan: SubjectPlan) {
        let subject = plan.index;
        let held = WorkerSubject {
            journal: plan.journal.writer(outbox.rank()),
            plan,
            shares: HashMap::new(),
        };
        self.subjects.insert(subject, held);
        for message in self.early.remove(&subject).unwrap_or_default() {
            self.on_samples(outbox, subject, message);
        }
    }

    fn drop_subject(&mut self, subject: usize) {
        self.subjects.remove(&subject);
        self.traces.take_if(|(open, _)| *open == subject);
        self.early.remove(&subject);
        self.dropped.insert(subject);
        self.layouts.remove(&subject);
        self.writer.drop_subject(subject);
    }

    /// Has a slab drawn for its writer.
    fn rasterise(&mut self, writer: usize, subject: usize, spikes: Slab) {
        let Some(layout) = self.layouts.get(&subject).cloned() else {
            return;
        };
        let (workers, finish) = (self.workers.clone(), self.finish.clone());
        let start = Instant::now();
        self.workers.spawn(move || {
            let planes = workers.install(|| spikes.rasterise(&layout, || start.elapsed()));
            // The receiver is gone only when the run was stopped.
            let _ = finish.send(Finished::Slab {
                writer,
                subject,
                planes,
            });
        });
    }

    /// Sends a unit that another rank computes, or else reads the next piece for all ranks, unless much is still on its way to
    /// them; returns whether it did.
    pub fn serve(&mut self, outbox: &mut impl Outbox) -> bool {
        if outbox.backlog() > BACKLOG {
            return false;
        }
        if let Some(units_to_send) = self.units_to_send.pop_front() {
            let unit = Message::Unit {
                subject: units_to_send.subject,
                unit: units_to_send.unit,
                samples: units_to_send.samples.of(&units_to_send.neurons),
            };
            outbox.send(units_to_send.rank, unit);
            return true;
        }
        let Some(reading) = self.pieces_to_read.pop_front() else {
            return false;
        };
        let PieceToRead {
            subject, stretch, ..
        } = reading;
        let start = Instant::now();
        let failure = self.read(outbox, reading).err();
        let read = Reply::Read {
            subject,
            stretch,
            seconds: start.elapsed().as_secs_f64(),
            failure,
        };
        outbox.send(0, Message::Reply(read));
        true
    }

    fn read(&mut self, outbox: &mut impl Outbox, reading: PieceToRead) -> Result<(), String> {
        let PieceToRead {
            subject,
            stretch,
            piece,
        } = reading;
        let held = self.subjects.get_mut(&subject).ok_or(UNKNOWN)?;
        let traces = open_traces(&mut self.traces, &held.plan)?;
        let (here, ranks) = (outbox.rank(), outbox.size());
        let share = share_of(&mut held.shares, &held.plan, stretch, outbox);
        let others = (0..ranks).filter(|rank| *rank != here).map(|rank| {
            let neurons = assembly::neurons(&held.plan, stretch, rank, ranks);
            (rank, neurons)
        });
        let parts = share.assembly.read(traces, &piece, others);
        for (rank, samples) in parts.map_err(|error| error.to_string())? {
            let samples = Message::Samples {
                subject,
                stretch,
                samples,
            };
            outbox.send(rank, samples);
        }
        self.release_units(outbox, subject, stretch);
        Ok(())
    }

    /// Takes in samples from another rank.
    fn on_samples(&mut self, outbox: &mut impl Outbox, subject: usize, message: Message) {
        let Some(held) = self.subjects.get_mut(&subject) else {
            if !self.dropped.contains(&subject) {
                self.early.entry(subject).or_default().push(message);
            }
            return;
        };
        match message {
            Message::Samples {
                stretch, samples, ..
            } => {
                let share = share_of(&mut held.shares, &held.plan, stretch, outbox);
                share.assembly.put(&samples);
                self.release_units(outbox, subject, stretch);
            }
            Message::Unit { unit, samples, .. } => self.compute(subject, unit, Arc::new(samples)),
            _ => {}
        }
    }

    /// Brings a unit of this rank's share to the rank that is to compute it.
    fn send_unit(&mut self, outbox: &mut impl Outbox, subject: usize, unit: usize, rank: usize) {
        // Nobody forgets a subject whose units are asked for.
        let Some(held) = self.subjects.get_mut(&subject) else {
            return;
        };
        let stretch = held.plan.stretch_of(unit);
        let share = share_of(&mut held.shares, &held.plan, stretch, outbox);
        share.asked.push((unit, rank));
        self.release_units(outbox, subject, stretch);
    }

    /// Does what was asked of a share, once all of it is here.
    fn release_units(&mut self, outbox: &impl Outbox, subject: usize, stretch: usize) {
        let Some(held) = self.subjects.get_mut(&subject) else {
            return;
        };
        let Some(share) = held.shares.get_mut(&stretch) else {
            return;
        };
        if share.samples.is_none() {
            share.samples = share.assembly.whole();
        }
        let Some(samples) = share.samples.clone() else {
            return;
        };
        let asked: Vec<_> = std::mem::take(&mut share.asked)
            .into_iter()
            .map(|(unit, rank)| (unit, rank, held.plan.unit(unit)))
            .collect();
        share.left -= asked.len();
        if share.left == 0 {
            share.samples = Some(Arc::default());
        }
        for (unit, rank, neurons) in asked {
            let samples = samples.clone();
            if rank == outbox.rank() {
                self.compute(subject, unit, samples);
            } else {
                self.units_to_send.push_back(UnitToSend {
                    rank,
                    subject,
                    unit,
                    neurons,
                    samples,
                });
            }
        }
    }

    /// Takes a unit from the journal, or reads and computes it where that is damaged.
    fn load(&mut self, outbox: &mut impl Outbox, subject: usize, unit: usize) {
        let Some(held) = self.subjects.get_mut(&subject) else {
            outbox.send(0, failed(subject, unit, UNKNOWN.into()));
            return;
        };
        if let Some(found) = held.resumed(unit) {
            let writer = held.plan.writer;
            send_spikes(
                outbox,
                &mut self.writer,
                writer,
                subject,
                unit,
                found.spikes,
            );
            outbox.send(0, done(subject, unit, found.summary));
            return;
        }
        match read_alone(&mut self.traces, &held.plan, unit) {
            Ok(samples) => self.compute(subject, unit, Arc::new(samples)),
            Err(message) => outbox.send(0, failed(subject, unit, message)),
        }
    }

    /// Has a unit computed, whose samples are among these.
    fn compute(&mut self, subject: usize, unit: usize, samples: Arc<Samples>) {
        let Some(WorkerSubject { plan, .. }) = self.subjects.get(&subject) else {
            return;
        };
        let neurons = plan.unit(unit);
        let keep_traces = plan.traces_file.is_some()
            || plan.plotted.iter().any(|neuron| neurons.contains(neuron));
        let name = plan.name.clone();
        let (pipeline, workers, finish) = (
            self.pipeline.clone(),
            self.workers.clone(),
            self.finish.clone(),
        );
        self.workers.spawn(move || {
            let traces = samples.traces(&neurons);
            drop(samples);
            let output = pipeline.compute(&workers, &name, neurons, traces, keep_traces);
            // The receiver is gone only when the run was stopped.
            let _ = finish.send(Finished::Unit {
                subject,
                unit,
                output,
            });
        });
    }

    /// Takes in what is computed and drawn; returns whether there was any.
    pub fn collect(&mut self, outbox: &mut impl Outbox) -> bool {
        let mut any = false;
        while let Ok(finished) = self.finished.try_recv() {
            self.accept(outbox, finished);
            any = true;
        }
        any
    }

    /// Sleeps until something is computed or drawn, but no longer than `limit`; returns whether there was any.
    pub fn wait(&mut self, outbox: &mut impl Outbox, limit: Duration) -> bool {
        let finished = self.finished.recv_timeout(limit);
        finished.is_ok_and(|finished| {
            self.accept(outbox, finished);
            true
        })
    }

    fn accept(&mut self, outbox: &mut impl Outbox, finished: Finished) {
        match finished {
            Finished::Unit {
                subject,
                unit,
                output,
            } => self.accept_unit(outbox, subject, unit, output),
            Finished::Slab {
                writer,
                subject,
                planes,
            } if writer == outbox.rank() => self.writer.write(outbox, writer, subject, &planes),
            Finished::Slab {
                writer,
                subject,
                planes,
            } => outbox.send(writer, Message::Planes { subject, planes }),
        }
    }

    fn accept_unit(
        &mut self,
        outbox: &mut impl Outbox,
        subject: usize,
        unit: usize,
        mut output: UnitOutput,
    ) {
        let Some(held) = self.subjects.get_mut(&subject) else {
            return;
        };
        let frames = held.plan.frames;
        let traces_file = held.plan.traces_file.as_ref();
        let filled = traces_file.map(|file| file.fill(frames, &output));
        let traces_checksum = match filled.transpose() {
            Ok(checksum) => checksum,
            Err(error) => {
                outbox.send(0, failed(subject, unit, error.to_string()));
                return;
            }
        };
        output.summary.plotted = plotted(&held.plan, &output);
        let finished = JournalledUnit {
            summary: output.summary,
            spikes: output.spikes,
            traces_checksum,
        };
        if let Err(message) = held.journal.append(unit, &finished) {
            outbox.send(0, Message::Reply(Reply::Warning { subject, message }));
        }
        let writer = held.plan.writer;
        send_spikes(
            outbox,
            &mut self.writer,
            writer,
            subject,
            unit,
            finished.spikes,
        );
        outbox.send(0, done(subject, unit, finished.summary));
    }

    /// Brings what is noted in journals to disk.
    pub fn sync_journals(&self) {
        self.subjects.values().for_each(|held| held.journal.sync());
    }

    /// Gives the GPU back, at the end of the run.
    pub fn release_gpu(&self) {
        self.workers.release_gpu();
    }
}

/// Brings a unit's spikes to the writer of its subject, which may be this rank.
fn send_spikes(
    outbox: &mut impl Outbox,
    here: &mut Writer,
    writer: usize,
    subject: usize,
    unit: usize,
    spikes: Vec<u8>,
) {
    if writer == outbox.rank() {
        here.add_spikes(outbox, subject, unit, spikes);
        return;
    }
    outbox.send(
        writer,
        Message::Spikes {
            subject,
            unit,
            spikes,
        },
    );
}

const UNKNOWN: &str = "work on a subject unknown here";

fn failed(subject: usize, unit: usize, message: String) -> Message {
    Message::Reply(Reply::Failed {
        subject,
        unit,
        message,
    })
}

fn done(subject: usize, unit: usize, summary: UnitSummary) -> Message {
    Message::Reply(Reply::Done {
        subject,
        unit,
        summary: Box::new(summary),
    })
}

/// The open traces of a subject, as rank 0 found them, in place of those of another.
fn open_traces<'a>(
    open: &'a mut Option<(usize, Traces)>,
    plan: &SubjectPlan,
) -> Result<&'a Traces, String> {
    let traces = match open.take() {
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
    let (_, traces) = open.insert((plan.index, traces));
    Ok(traces)
}

/// The samples of one unit.
fn read_alone(
    open: &mut Option<(usize, Traces)>,
    plan: &SubjectPlan,
    unit: usize,
) -> Result<Samples, String> {
    let samples = open_traces(open, plan)?.read_neurons(plan.unit(unit));
    samples.map_err(|error| error.to_string())
}

/// Cuts the traces of the neurons to be drawn out of a unit.
fn plotted(plan: &SubjectPlan, output: &UnitOutput) -> Vec<PlottedNeuron> {
    let (frames, bytes) = (plan.frames, row_bytes(plan.frames));
    let chosen = plan
        .plotted
        .iter()
        .filter(|neuron| output.neurons.contains(neuron));
    chosen
        .map(|&neuron| {
            let row = neuron - output.neurons.start;
            PlottedNeuron {
                neuron,
                dff: output.dff[row * frames..][..frames].to_vec(),
                rate: output.rate[row * frames..][..frames].to_vec(),
                spikes: output.spikes[row * bytes..][..bytes].to_vec(),
            }
        })
        .collect()
}

/// This rank's share of a stretch, made when it is first needed.
fn share_of<'a>(
    shares: &'a mut HashMap<usize, Share>,
    plan: &SubjectPlan,
    stretch: usize,
    outbox: &impl Outbox,
) -> &'a mut Share {
    let made = || Share::new(plan, stretch, outbox);
    shares.entry(stretch).or_insert_with(made)
}

impl Share {
    fn new(plan: &SubjectPlan, stretch: usize, outbox: &impl Outbox) -> Self {
        let (rank, ranks) = (outbox.rank(), outbox.size());
        let units = share(&plan.stretch(stretch), plan.index, rank, ranks);
        Self {
            assembly: Assembly::new(plan.neurons_of(&units), &plan.storage),
            samples: None,
            asked: Vec::new(),
            left: units.filter(|unit| !plan.journal.has(*unit)).count(),
        }
    }
}

impl WorkerSubject {
    /// The unit as an interrupted run finished it, if it did and all of it is there.
    fn resumed(&self, unit: usize) -> Option<JournalledUnit> {
        let start = Instant::now();
        let plan = &self.plan;
        let mut found =
            plan.journal
                .load(plan.cut_into_units(), unit, plan.traces_file.is_some())?;
        let traces = plan.traces_file.as_ref().zip(found.traces_checksum);
        let whole = traces
            .is_none_or(|(file, checksum)| file.holds(plan.frames, &plan.unit(unit), checksum));
        found.summary = UnitSummary {
            read_sec: start.elapsed().as_secs_f64(),
            compute_sec: 0.0,
            from_journal: true,
            ..found.summary
        };
        whole.then_some(found)
    }
}
