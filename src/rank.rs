//! What every rank does with its orders: read a unit's traces, have them computed, send the spikes to the subject's writer; and
//! draw slabs for the writers.
//!
//! The thread that owns MPI and HDF5 reads, writes and talks; compute threads touch neither. The next units are read while those
//! before are computed.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::comm::{Message, Order, Reply, World};
use crate::grid::Layout;
use crate::input::traces::Traces;
use crate::output::journal::{self, JournalledUnit};
use crate::pipeline::{DrawnNeuron, Pipeline, UnitOutput, UnitSummary, Workers};
use crate::slab::{Planes, Slab};
use crate::spikes::row_bytes;
use crate::subject::SubjectPlan;
use crate::writer::Writer;

/// A subject as this rank holds it.
struct Held {
    plan: SubjectPlan,
    traces: Option<Traces>,
    journal: journal::Writer,
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
        slab: usize,
        planes: Planes,
    },
}

/// This rank's share of the work.
pub struct RankState {
    pipeline: Arc<Pipeline>,
    workers: Arc<Workers>,
    subjects: HashMap<usize, Held>,
    /// Of subjects that are drawn here.
    layouts: HashMap<usize, Arc<Layout>>,
    /// The subjects that this rank writes.
    writer: Writer,
    finished: Receiver<Finished>,
    finish: Sender<Finished>,
}

impl RankState {
    pub fn new(pipeline: Pipeline, workers: Workers) -> Self {
        let (finish, finished) = channel();
        Self {
            pipeline: Arc::new(pipeline),
            workers: Arc::new(workers),
            subjects: HashMap::new(),
            layouts: HashMap::new(),
            writer: Writer::default(),
            finished,
            finish,
        }
    }

    /// Does what a message asks for; gives back what is not for a rank to do.
    pub fn handle(&mut self, world: &mut World, from: usize, message: Message) -> Option<Message> {
        match message {
            Message::Order(Order::Subject(plan)) => self.meet(world, *plan),
            Message::Order(Order::Compute { subject, units }) => {
                self.compute(world, subject, units);
            }
            Message::Order(Order::Write(job)) => self.writer.begin(world, *job),
            Message::Order(Order::Deal {
                subject,
                slab,
                rank,
            }) => self.writer.deal(world, subject, slab, rank),
            Message::Order(Order::Forget { subject }) => self.forget(subject),
            Message::Spikes {
                subject,
                unit,
                spikes,
            } => self.writer.gather(world, subject, unit, spikes),
            Message::Layout { subject, layout } => {
                self.layouts.insert(subject, Arc::new(*layout));
            }
            Message::Slab {
                subject,
                slab,
                spikes,
            } => self.draw(from, subject, slab, spikes),
            Message::Planes {
                subject,
                slab,
                planes,
            } => self.writer.write(world, from, subject, slab, &planes),
            other => return Some(other),
        }
        None
    }

    fn meet(&mut self, world: &World, plan: SubjectPlan) {
        let held = Held {
            journal: plan.journal.writer(world.rank()),
            plan,
            traces: None,
        };
        self.subjects.insert(held.plan.index, held);
    }

    fn forget(&mut self, subject: usize) {
        self.subjects.remove(&subject);
        self.layouts.remove(&subject);
        self.writer.forget(subject);
    }

    /// Has a slab drawn for its writer.
    fn draw(&mut self, writer: usize, subject: usize, slab: usize, spikes: Slab) {
        let Some(layout) = self.layouts.get(&subject).cloned() else {
            return;
        };
        let (workers, finish) = (self.workers.clone(), self.finish.clone());
        self.workers.spawn(move || {
            let planes = spikes.draw(&layout, &workers);
            // The receiver is gone only when the run was stopped.
            let _ = finish.send(Finished::Slab {
                writer,
                subject,
                slab,
                planes,
            });
        });
    }

    /// Takes units from the journal, or reads them together and has them computed; a failure goes to rank 0.
    fn compute(&mut self, world: &mut World, subject: usize, units: Range<usize>) {
        let Some(held) = self.subjects.get_mut(&subject) else {
            world.send(0, failed(subject, units.collect(), UNKNOWN.into()));
            return;
        };
        let mut fresh = Vec::new();
        for unit in units {
            match held.resumed(unit) {
                Some(found) => {
                    let writer = held.plan.writer;
                    deliver(world, &mut self.writer, writer, subject, unit, found.spikes);
                    world.send(0, done(subject, unit, found.summary));
                }
                None => fresh.push(unit),
            }
        }
        // Units that lie apart, because others came from the journal, are read apart.
        let mut rest = &fresh[..];
        while let Some(&first) = rest.first() {
            let together = rest
                .iter()
                .zip(first..)
                .take_while(|(a, b)| *a == b)
                .count();
            if let Err(message) = self.start(subject, first..first + together) {
                world.send(0, failed(subject, rest.to_vec(), message));
                return;
            }
            rest = &rest[together..];
        }
    }

    /// Reads neighbouring units together and has each computed.
    fn start(&mut self, subject: usize, units: Range<usize>) -> Result<(), String> {
        let held = self.subjects.get_mut(&subject).ok_or(UNKNOWN)?;
        let start = Instant::now();
        let plan = &held.plan;
        let traces = match &held.traces {
            Some(traces) => traces,
            None => held.traces.insert(open_traces(plan)?),
        };
        let neurons = plan.unit(units.start).start..plan.unit(units.end - 1).end;
        let samples = |unit| vec![0.0; plan.unit(unit).len() * plan.frames];
        let mut samples: Vec<Vec<f32>> = units.clone().map(samples).collect();
        let mut rows: Vec<&mut [f32]> = samples
            .iter_mut()
            .flat_map(|samples| samples.chunks_mut(plan.frames))
            .collect();
        let read = traces.read(neurons, &mut rows);
        read.map_err(|error| error.to_string())?;
        let read_sec = start.elapsed().as_secs_f64() / units.len() as f64;
        for (unit, samples) in units.zip(samples) {
            let neurons = plan.unit(unit);
            let keep_traces = plan.traces_file.is_some()
                || plan.drawn.iter().any(|neuron| neurons.contains(neuron));
            let name = plan.name.clone();
            let (pipeline, workers, finish) = (
                self.pipeline.clone(),
                self.workers.clone(),
                self.finish.clone(),
            );
            self.workers.spawn(move || {
                let mut output = pipeline.compute(&workers, &name, neurons, samples, keep_traces);
                output.summary.read_sec = read_sec;
                // The receiver is gone only when the run was stopped.
                let _ = finish.send(Finished::Unit {
                    subject,
                    unit,
                    output,
                });
            });
        }
        Ok(())
    }

    /// Takes in what is computed and drawn; returns whether there was any.
    pub fn collect(&mut self, world: &mut World) -> bool {
        let mut any = false;
        while let Ok(finished) = self.finished.try_recv() {
            self.accept(world, finished);
            any = true;
        }
        any
    }

    /// Sleeps until something is computed or drawn, but no longer than `limit`.
    pub fn wait(&mut self, world: &mut World, limit: Duration) {
        if let Ok(finished) = self.finished.recv_timeout(limit) {
            self.accept(world, finished);
        }
    }

    fn accept(&mut self, world: &mut World, finished: Finished) {
        match finished {
            Finished::Unit {
                subject,
                unit,
                output,
            } => self.accept_unit(world, subject, unit, output),
            Finished::Slab {
                writer,
                subject,
                slab,
                planes,
            } if writer == world.rank() => {
                self.writer.write(world, writer, subject, slab, &planes);
            }
            Finished::Slab {
                writer,
                subject,
                slab,
                planes,
            } => world.send(
                writer,
                Message::Planes {
                    subject,
                    slab,
                    planes,
                },
            ),
        }
    }

    fn accept_unit(
        &mut self,
        world: &mut World,
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
                world.send(0, failed(subject, vec![unit], error.to_string()));
                return;
            }
        };
        output.summary.drawn = drawn(&held.plan, &output);
        let finished = JournalledUnit {
            summary: output.summary,
            spikes: output.spikes,
            traces_checksum,
        };
        if let Err(message) = held.journal.append(unit, &finished) {
            world.send(0, Message::Reply(Reply::Warning { subject, message }));
        }
        let writer = held.plan.writer;
        deliver(
            world,
            &mut self.writer,
            writer,
            subject,
            unit,
            finished.spikes,
        );
        world.send(0, done(subject, unit, finished.summary));
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
fn deliver(
    world: &mut World,
    here: &mut Writer,
    writer: usize,
    subject: usize,
    unit: usize,
    spikes: Vec<u8>,
) {
    if writer == world.rank() {
        here.gather(world, subject, unit, spikes);
        return;
    }
    world.send(
        writer,
        Message::Spikes {
            subject,
            unit,
            spikes,
        },
    );
}

const UNKNOWN: &str = "a unit of a subject unknown here";

fn failed(subject: usize, units: Vec<usize>, message: String) -> Message {
    Message::Reply(Reply::Failed {
        subject,
        units,
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

/// Opens the traces as rank 0 found them.
fn open_traces(plan: &SubjectPlan) -> Result<Traces, String> {
    let traces = Traces::open(&plan.traces_path, &plan.dataset, plan.orientation)
        .map_err(|error| error.to_string())?;
    let found = (traces.frames(), traces.neurons());
    if found != (plan.frames, plan.neurons) {
        return Err(format!(
            "{} changed while it was processed: {} frames of {} neurons are now {} of {}",
            plan.traces_path.display(),
            plan.frames,
            plan.neurons,
            found.0,
            found.1
        ));
    }
    Ok(traces)
}

/// Cuts the traces of the neurons to be drawn out of a unit.
fn drawn(plan: &SubjectPlan, output: &UnitOutput) -> Vec<DrawnNeuron> {
    let (frames, bytes) = (plan.frames, row_bytes(plan.frames));
    let chosen = plan
        .drawn
        .iter()
        .filter(|neuron| output.neurons.contains(neuron));
    chosen
        .map(|&neuron| {
            let row = neuron - output.neurons.start;
            DrawnNeuron {
                neuron,
                dff: output.dff[row * frames..][..frames].to_vec(),
                rate: output.rate[row * frames..][..frames].to_vec(),
                spikes: output.spikes[row * bytes..][..bytes].to_vec(),
            }
        })
        .collect()
}

impl Held {
    /// The unit as an interrupted run finished it, if it did and all of it is there.
    fn resumed(&self, unit: usize) -> Option<JournalledUnit> {
        let start = Instant::now();
        let plan = &self.plan;
        let mut found = plan.journal.load(plan, unit)?;
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
