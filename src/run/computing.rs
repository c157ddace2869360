//! The compute threads of a rank, as its worker uses them: units and slabs go in, results come out, and nobody waits in between.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use spikegrid_core::activity::PackedRates;
use spikegrid_core::cascade::Model;
use spikegrid_core::grid::Layout;
use spikegrid_core::slab::{Compression, Planes, Slab};
use spikegrid_core::unit::UnitOutput;
use spikegrid_files::input::Samples;
use spikegrid_inference::pipeline::{Recording, Workers};

use crate::run::pipelines::Pipelines;
use crate::run::shares::WorkerSubject;

/// A result of a compute thread.
pub(super) enum Computed {
    /// A work unit, from fluorescence to spikes.
    Unit {
        /// Place among the subjects of the run.
        subject: usize,
        /// Number of the unit.
        unit: usize,
        /// Its results.
        output: Box<UnitOutput>,
        /// Its compressed rates, if they are wanted.
        packed: Option<PackedRates>,
    },
    /// A slab, from spikes to planes.
    Slab {
        /// Place among the subjects of the run.
        subject: usize,
        /// Its planes.
        planes: Planes,
    },
}

/// The compute threads and what they have computed.
pub(super) struct Computing {
    pipelines: Pipelines,
    workers: Arc<Workers>,
    results: Receiver<Computed>,
    result_sender: Sender<Computed>,
}

impl Computing {
    /// Computes with `pipelines` on the threads of `workers`.
    pub(super) fn new(pipelines: Pipelines, workers: Workers) -> Self {
        let (result_sender, results) = channel();
        Self {
            pipelines,
            workers: Arc::new(workers),
            results,
            result_sender,
        }
    }

    /// Adds a model, which has this number in the run.
    pub(super) fn add_model(&mut self, number: usize, model: Model) {
        self.workers.load(number, &model);
        self.pipelines.add(number, model);
    }

    /// Computes a unit of a subject, whose samples are among these.
    pub(super) fn compute(
        &self,
        held: &WorkerSubject,
        unit: usize,
        samples: Arc<Samples>,
        blank_frames: Arc<[u32]>,
    ) {
        let subject = held.plan.index;
        let neurons = held.plan.unit(unit);
        let keep_traces = held.needs_traces(&neurons);
        let (name, dff) = (held.plan.name.clone(), held.plan.dff);
        let files = held.plan.unit_files.clone();
        let (pipeline, workers) = (self.pipelines.of(held.plan.model), self.workers.clone());
        let result = self.result_sender.clone();
        self.workers.spawn(move || {
            let traces = samples.traces(&neurons);
            drop(samples);
            let recording = Recording {
                name: &name,
                dff,
                blank_frames: &blank_frames,
            };
            let output = pipeline.compute(&workers, &recording, neurons, traces, keep_traces);
            // The receiver is gone only when the run was stopped.
            let _ = result.send(Computed::Unit {
                subject,
                unit,
                packed: files.pack(&output),
                output: Box::new(output),
            });
        });
    }

    /// Rasterises a slab of a subject.
    pub(super) fn rasterise(
        &self,
        subject: usize,
        layout: Arc<Layout>,
        compression: Compression,
        spikes: Slab,
    ) {
        let (workers, result) = (self.workers.clone(), self.result_sender.clone());
        let start = Instant::now();
        self.workers.spawn(move || {
            let planes =
                workers.install(|| spikes.rasterise(&layout, compression, || start.elapsed()));
            // The receiver is gone only when the run was stopped.
            let _ = result.send(Computed::Slab { subject, planes });
        });
    }

    /// The next result, if there is one.
    pub(super) fn result(&self) -> Option<Computed> {
        self.results.try_recv().ok()
    }

    /// Sleeps until there is a result, but no longer than `limit`.
    pub(super) fn wait_for_result(&self, limit: Duration) -> Option<Computed> {
        self.results.recv_timeout(limit).ok()
    }

    /// Closes the GPU, at the end of the run.
    pub(super) fn release_gpu(&self) {
        self.workers.release_gpu();
    }
}
