//! What every rank does with its orders: it reads pieces for all ranks, computes units, sends their spikes to the subject's writer, and
//! rasterises slabs for the writers.
//!
//! One thread owns MPI and HDF5: it reads, writes and handles messages, one piece between two looks for messages. The compute threads
//! touch neither. The next stretch is read while one is computed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spikegrid_core::activity::PackedRates;
use spikegrid_core::slab::UnitSpikes;
use spikegrid_core::unit::{UnitOutput, UnitSummary};
use spikegrid_files::input::{Piece, Samples};
use spikegrid_files::output::journal::JournalledUnit;
use spikegrid_inference::pipeline::Workers;

use crate::run::computing::{Computed, Computing};
use crate::run::messages::{Message, Order, Outbox, Reply};
use crate::run::pipelines::Pipelines;
use crate::run::rank_planes::RankPlanes;
use crate::run::recording::OpenRecording;
use crate::run::shares::{ReadyUnit, WorkerSubject};
use crate::run::subject_plan::SubjectPlan;
use crate::run::writer::Writer;

/// Bytes of messages that have not left this rank above which it sends no more samples.
const BACKLOG: usize = 16 << 20;

/// The failure of an order about a subject that this rank has no plan of.
const UNKNOWN: &str = "work on a subject unknown here";

/// A unit of this rank's share that another rank computes.
struct UnitToSend {
    rank: usize,
    subject: usize,
    unit: usize,
    neurons: Range<usize>,
    /// The samples of the whole share.
    samples: Arc<Samples>,
    blank_frames: Arc<[u32]>,
}

/// A piece that this rank is to read.
struct PieceToRead {
    subject: usize,
    stretch: usize,
    piece: Piece,
    /// The parts of it that are still to be read; none before the first.
    parts: Option<VecDeque<Piece>>,
    /// Seconds that reading has taken so far.
    seconds: f64,
}

/// The worker of this rank.
pub struct Worker {
    computing: Computing,
    subjects: HashMap<usize, WorkerSubject>,
    /// By subject: samples from other ranks that have arrived before rank 0's plan of it.
    before_plan: HashMap<usize, Vec<Message>>,
    /// Subjects of which samples may still arrive, which are ignored.
    dropped: HashSet<usize>,
    pieces_to_read: VecDeque<PieceToRead>,
    units_to_send: VecDeque<UnitToSend>,
    recording: OpenRecording,
    /// Units whose rates have no place in `activity.h5` yet.
    unplaced: HashMap<(usize, usize), (UnitOutput, PackedRates)>,
    /// What this rank rasterises.
    planes: RankPlanes,
    /// The subjects that this rank writes.
    writer: Writer,
}

impl Worker {
    /// A worker that has no subject yet, and computes with `pipelines` on the threads of `workers`.
    pub fn new(pipelines: Pipelines, workers: Workers) -> Self {
        Self::with_writer(pipelines, workers, Writer::default())
    }

    /// A worker whose subjects are written by `writer`.
    pub(crate) fn with_writer(pipelines: Pipelines, workers: Workers, writer: Writer) -> Self {
        Self {
            computing: Computing::new(pipelines, workers),
            subjects: HashMap::new(),
            before_plan: HashMap::new(),
            dropped: HashSet::new(),
            pieces_to_read: VecDeque::new(),
            units_to_send: VecDeque::new(),
            recording: OpenRecording::default(),
            unplaced: HashMap::new(),
            planes: RankPlanes::default(),
            writer,
        }
    }

    /// Does what a message asks for; returns a message that is not for a worker or writer.
    pub fn handle(
        &mut self,
        outbox: &mut impl Outbox,
        from: usize,
        message: Message,
    ) -> Option<Message> {
        match message {
            Message::Order(order) => return self.on_order(outbox, order).map(Message::Order),
            message @ (Message::Samples { subject, .. } | Message::Unit { subject, .. }) => {
                self.on_samples(outbox, subject, message);
            }
            Message::Spikes { subject, spikes } => {
                self.writer.add_spikes(outbox, subject, &spikes);
            }
            Message::Layout {
                subject,
                layout,
                plane_writers,
            } => {
                if !self.dropped.contains(&subject) {
                    self.planes.begin(subject, from, *layout, plane_writers);
                }
            }
            Message::Slab { subject, spikes } => {
                if let Some((layout, compression)) = self.planes.layout(subject) {
                    self.computing
                        .rasterise(subject, layout, compression, spikes);
                }
            }
            Message::Planes { subject, planes } => {
                self.writer.write(outbox, from, subject, &planes);
            }
            Message::PlaneTable { subject, table } => {
                self.writer.place(outbox, from, subject, &table);
            }
            Message::Place {
                subject,
                first_frame,
                address,
            } => self.planes.on_place(outbox, subject, first_frame, address),
            Message::Placed { subject, outcome } => {
                self.writer.placed(outbox, from, subject, outcome);
            }
            Message::PlanesWritten {
                subject,
                table,
                outcome,
            } => {
                self.writer
                    .planes_written(outbox, from, subject, &table, outcome);
            }
            Message::Close { subject } => self.planes.close(outbox, subject),
            Message::Closed { subject, outcome } => {
                self.writer.closed(outbox, subject, outcome);
            }
            Message::Reply(_) => return Some(message),
        }
        None
    }

    /// Follows an order; returns the one that is not for a worker or writer, which is to end the run.
    fn on_order(&mut self, outbox: &mut impl Outbox, order: Order) -> Option<Order> {
        match order {
            Order::Model { number, model } => self.computing.add_model(number, *model),
            Order::Subject(plan) => self.on_subject(outbox, *plan),
            Order::Read {
                subject,
                stretch,
                piece,
            } => self.pieces_to_read.push_back(PieceToRead {
                subject,
                stretch,
                piece,
                parts: None,
                seconds: 0.0,
            }),
            Order::Load { subject, unit } => self.load_unit(outbox, subject, unit),
            Order::Store {
                subject,
                unit,
                address,
            } => self.store_rates(outbox, subject, unit, address),
            Order::Compute {
                subject,
                unit,
                rank,
            } => {
                // Rank 0 drops a subject only when every order to compute one of its units has been answered.
                if let Some(held) = self.subjects.get_mut(&subject) {
                    let stretch = held.request(unit, rank);
                    self.start_ready_units(outbox, subject, stretch);
                }
            }
            Order::Write(job) => self.writer.begin(outbox, *job),
            Order::SendSlab {
                subject,
                slab,
                rank,
            } => self.writer.send_slab(outbox, subject, slab, rank),
            Order::Drop { subject } => self.drop_subject(subject),
            Order::Finish { .. } => return Some(order),
        }
        None
    }

    fn on_subject(&mut self, outbox: &mut impl Outbox, plan: SubjectPlan) {
        let subject = plan.index;
        let held = WorkerSubject::new(plan, outbox.rank(), outbox.size());
        self.subjects.insert(subject, held);
        for message in self.before_plan.remove(&subject).unwrap_or_default() {
            self.on_samples(outbox, subject, message);
        }
    }

    fn drop_subject(&mut self, subject: usize) {
        self.subjects.remove(&subject);
        self.recording.close(subject);
        self.before_plan.remove(&subject);
        self.dropped.insert(subject);
        self.unplaced.retain(|&(of, _), _| of != subject);
        self.planes.drop_subject(subject);
        self.writer.drop_subject(subject);
    }

    /// Sends a unit that another rank computes, or, if there is none, reads the next piece for all ranks; neither while much is still
    /// on its way to them. Returns whether it did one of the two.
    pub fn send_or_read(&mut self, outbox: &mut impl Outbox) -> bool {
        if outbox.backlog() > BACKLOG {
            return false;
        }
        if let Some(to_send) = self.units_to_send.pop_front() {
            let unit = Message::Unit {
                subject: to_send.subject,
                unit: to_send.unit,
                samples: to_send.samples.of(&to_send.neurons),
                blank_frames: to_send.blank_frames.to_vec(),
            };
            outbox.send(to_send.rank, unit);
            return true;
        }
        let Some(mut to_read) = self.pieces_to_read.pop_front() else {
            return false;
        };
        let start = Instant::now();
        let read = self.read_part(outbox, &mut to_read);
        to_read.seconds += start.elapsed().as_secs_f64();
        if read == Ok(true) {
            self.pieces_to_read.push_front(to_read);
            return true;
        }
        let read = Reply::Read {
            subject: to_read.subject,
            stretch: to_read.stretch,
            seconds: to_read.seconds,
            failure: read.err(),
        };
        outbox.send(0, Message::Reply(read));
        true
    }

    /// Reads the next part of a piece and sends each rank the samples of its share. Returns whether there are more parts.
    fn read_part(
        &mut self,
        outbox: &mut impl Outbox,
        to_read: &mut PieceToRead,
    ) -> Result<bool, String> {
        let (subject, stretch) = (to_read.subject, to_read.stretch);
        let held = self.subjects.get_mut(&subject).ok_or(UNKNOWN)?;
        let piece = &to_read.piece;
        let parts = to_read
            .parts
            .get_or_insert_with(|| held.plan.storage.parts(piece).into());
        let Some(part) = parts.pop_front() else {
            return Ok(false);
        };
        let traces = self.recording.reader(&held.plan)?;
        for (rank, samples) in held.read(traces, stretch, &part)? {
            let samples = Message::Samples {
                subject,
                stretch,
                samples,
            };
            outbox.send(rank, samples);
        }
        self.start_ready_units(outbox, subject, stretch);
        Ok(!parts.is_empty())
    }

    /// Handles samples from another rank: those of a share, or of a unit to compute.
    fn on_samples(&mut self, outbox: &mut impl Outbox, subject: usize, message: Message) {
        let Some(held) = self.subjects.get_mut(&subject) else {
            if !self.dropped.contains(&subject) {
                self.before_plan.entry(subject).or_default().push(message);
            }
            return;
        };
        match message {
            Message::Samples {
                stretch, samples, ..
            } => {
                held.add_samples(stretch, &samples);
                self.start_ready_units(outbox, subject, stretch);
            }
            Message::Unit {
                unit,
                samples,
                blank_frames,
                ..
            } => {
                let samples = Arc::new(samples);
                self.computing
                    .compute(held, unit, samples, blank_frames.into());
            }
            _ => {}
        }
    }

    /// Computes the requested units of a share whose samples have all arrived, or has them sent to the ranks that compute them.
    fn start_ready_units(&mut self, outbox: &mut impl Outbox, subject: usize, stretch: usize) {
        let Some(held) = self.subjects.get_mut(&subject) else {
            return;
        };
        for ready in held.take_ready(stretch, &mut self.recording) {
            let ReadyUnit {
                rank,
                unit,
                neurons,
                samples,
                blank_frames,
            } = ready;
            match blank_frames {
                Err(message) => outbox.send(0, failed(rank, subject, unit, message)),
                Ok(blank_frames) if rank == outbox.rank() => {
                    self.computing.compute(held, unit, samples, blank_frames);
                }
                Ok(blank_frames) => self.units_to_send.push_back(UnitToSend {
                    rank,
                    subject,
                    unit,
                    neurons,
                    samples,
                    blank_frames,
                }),
            }
        }
    }

    /// Takes a unit from the journal; reads and computes it where its record is damaged.
    fn load_unit(&mut self, outbox: &mut impl Outbox, subject: usize, unit: usize) {
        let Some(held) = self.subjects.get_mut(&subject) else {
            let unknown = failed(outbox.rank(), subject, unit, UNKNOWN.into());
            outbox.send(0, unknown);
            return;
        };
        if let Some(found) = held.load_from_journal(unit) {
            let (writer, spikes) = (held.plan.writer, held.turned(unit, &found.spikes));
            self.send_spikes(outbox, writer, subject, spikes);
            outbox.send(0, done(subject, unit, found.summary));
            return;
        }
        match held.read_unit(unit, &mut self.recording) {
            Ok((samples, blank_frames)) => {
                self.computing
                    .compute(held, unit, Arc::new(samples), blank_frames);
            }
            Err(message) => {
                let failed = failed(outbox.rank(), subject, unit, message);
                outbox.send(0, failed);
            }
        }
    }

    /// Handles what the compute threads have computed; returns whether there was any.
    pub fn handle_results(&mut self, outbox: &mut impl Outbox) -> bool {
        let mut any = false;
        while let Some(computed) = self.computing.result() {
            self.on_computed(outbox, computed);
            any = true;
        }
        any
    }

    /// Sleeps until a compute thread has a result, but no longer than `limit`; returns whether there was one.
    pub fn wait_for_result(&mut self, outbox: &mut impl Outbox, limit: Duration) -> bool {
        let computed = self.computing.wait_for_result(limit);
        computed
            .map(|computed| self.on_computed(outbox, computed))
            .is_some()
    }

    fn on_computed(&mut self, outbox: &mut impl Outbox, computed: Computed) {
        match computed {
            Computed::Unit {
                subject,
                unit,
                output,
                packed: None,
            } => self.finish_unit(outbox, subject, unit, *output),
            Computed::Unit {
                subject,
                unit,
                output,
                packed: Some(packed),
            } => {
                if !self.subjects.contains_key(&subject) {
                    return;
                }
                let bytes = packed.bytes.len() as u64;
                self.unplaced.insert((subject, unit), (*output, packed));
                let reply = Reply::Packed {
                    subject,
                    unit,
                    bytes,
                };
                outbox.send(0, Message::Reply(reply));
            }
            Computed::Slab { subject, planes } => {
                self.planes.on_rasterised(outbox, subject, planes);
            }
        }
    }

    /// Writes the rates of a unit at their place in `activity.h5`, and finishes the unit.
    fn store_rates(&mut self, outbox: &mut impl Outbox, subject: usize, unit: usize, address: u64) {
        let Some((mut output, packed)) = self.unplaced.remove(&(subject, unit)) else {
            return;
        };
        let held = self.subjects.get(&subject);
        let Some(file) = held.and_then(|held| held.plan.unit_files.activity()) else {
            return;
        };
        match file.write(address, packed) {
            Ok(stored) => {
                output.summary.stored_rates = Some(stored);
                self.finish_unit(outbox, subject, unit, output);
            }
            Err(error) => {
                let failed = failed(outbox.rank(), subject, unit, error.to_string());
                outbox.send(0, failed);
            }
        }
    }

    /// Writes the traces of a unit, notes the unit in the journal, sends its spikes to the writer, and reports it.
    fn finish_unit(
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
        let filled_checksum = match held.plan.unit_files.fill(frames, &output) {
            Ok(checksum) => checksum,
            Err(error) => {
                let failed = failed(outbox.rank(), subject, unit, error.to_string());
                outbox.send(0, failed);
                return;
            }
        };
        output.summary.plotted = held.plotted(&output);
        let finished = JournalledUnit {
            summary: output.summary,
            spikes: output.spikes,
            filled_checksum,
        };
        if let Err(message) = held.journal.append(unit, &finished) {
            outbox.send(0, Message::Reply(Reply::Warning { subject, message }));
        }
        let (writer, spikes) = (held.plan.writer, held.turned(unit, &finished.spikes));
        self.send_spikes(outbox, writer, subject, spikes);
        outbox.send(0, done(subject, unit, finished.summary));
    }

    /// Sends a unit's spikes to the writer of its subject, which may be this rank.
    fn send_spikes(
        &mut self,
        outbox: &mut impl Outbox,
        writer: usize,
        subject: usize,
        spikes: UnitSpikes,
    ) {
        match writer == outbox.rank() {
            true => self.writer.add_spikes(outbox, subject, &spikes),
            false => outbox.send(writer, Message::Spikes { subject, spikes }),
        }
    }

    /// Brings what is noted in journals to disk.
    pub fn sync_journals(&self) {
        self.subjects.values().for_each(|held| held.journal.sync());
    }

    /// Closes the GPU, at the end of the run.
    pub fn release_gpu(&self) {
        self.computing.release_gpu();
    }
}

fn failed(rank: usize, subject: usize, unit: usize, message: String) -> Message {
    Message::Reply(Reply::Failed {
        rank,
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

#[cfg(test)]
mod tests;
