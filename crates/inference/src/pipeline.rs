//! One work unit from fluorescence to spikes: the compute stages in a row, neuron by neuron.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rayon::prelude::*;
use spikegrid_core::baseline::{DffSettings, SlidingPercentile};
use spikegrid_core::cascade::{Model, PostProcess};
use spikegrid_core::facts::{self, RepeatedFrames};
use spikegrid_core::spikes;
use spikegrid_core::unit::{NeuronFacts, UnitOutput, UnitSummary};

use crate::buffer::{into_tensor, into_vec};
use crate::ensembles::{Chosen, Ensembles, Inference, ModelOnGpu, Processors};
use crate::gpu::{Gpu, SharedGpu};

/// What is computed from a neuron's fluorescence, and how: the same for all recordings of a run that have one model.
pub struct Pipeline {
    /// The number of the model in the run, by which a GPU knows it.
    pub model: usize,
    /// The networks.
    pub ensembles: Ensembles,
    /// What becomes of the networks' rates.
    pub post: PostProcess,
    /// From which spikes are sampled.
    pub seed: u64,
}

/// What belongs to the recording that a unit is of.
#[derive(Clone, Copy, Debug)]
pub struct Recording<'a> {
    /// Name of the subject.
    pub name: &'a str,
    /// How its samples become ΔF/F.
    pub dff: DffSettings,
    /// Frames, ascending, in which all its neurons are 0: no neuron has a sample there.
    pub blank_frames: &'a [u32],
}

/// Threads and their buffers, reused from unit to unit, and the GPU that they share.
pub struct Workers {
    pool: rayon::ThreadPool,
    scratch: Vec<Mutex<WorkerScratch>>,
    gpu: Option<GpuUnits>,
}

/// A GPU with the threads that wait for it.
struct GpuUnits {
    gpu: SharedGpu,
    /// Each sees a unit through, and sleeps while the compute threads or the GPU work on it: `--workers` threads compute.
    units: rayon::ThreadPool,
}

/// Units in work beside the GPU: one that it has, one that waits for it, and one for the compute threads.
pub const GPU_UNITS: usize = 3;

#[derive(Default)]
struct WorkerScratch {
    baseline: SlidingPercentile,
    medians: Vec<f32>,
    near_spike: Vec<bool>,
}

/// A neuron after ΔF/F, before its rates.
#[derive(Clone, Copy)]
struct Prepared {
    chosen: Chosen,
    facts: NeuronFacts,
    seconds: f64,
}

/// A neuron after its spikes are sampled.
struct Finished {
    inference: Inference,
    facts: NeuronFacts,
    seconds: f64,
}

impl Workers {
    /// `threads` compute threads, and no GPU.
    ///
    /// # Errors
    /// The system refuses the threads.
    pub fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let scratch = (0..threads).map(|_| Mutex::default()).collect();
        Ok(Self {
            pool: pool(threads, "worker")?,
            scratch,
            gpu: None,
        })
    }

    /// Has networks evaluated on a GPU as long as it can.
    ///
    /// # Errors
    /// The system refuses the threads.
    pub fn with_gpu(self, gpu: Gpu) -> Result<Self, rayon::ThreadPoolBuildError> {
        let gpu = GpuUnits {
            gpu: SharedGpu::new(gpu),
            units: pool(GPU_UNITS, "unit")?,
        };
        Ok(Self {
            gpu: Some(gpu),
            ..self
        })
    }

    /// Brings a model to the GPU, if there is one, by whose number it is known there.
    pub fn load(&self, number: usize, model: &Model) {
        if let Some(gpu) = &self.gpu {
            gpu.gpu.load(number, model);
        }
    }

    /// Runs a job on these threads, without waiting for it.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        match &self.gpu {
            Some(gpu) => gpu.units.spawn(job),
            None => self.pool.spawn(job),
        }
    }

    /// Gives the GPU back, once it has done what it is at. The process must not end while it is in use.
    pub fn release_gpu(&self) {
        if let Some(gpu) = &self.gpu {
            gpu.gpu.release();
        }
    }

    /// What evaluates the networks of the model of this number.
    fn processors(&self, model: usize) -> Processors<'_> {
        let gpu = self.gpu.as_ref();
        Processors::new(gpu.map(|gpu| ModelOnGpu {
            gpu: &gpu.gpu,
            model,
            threads: &self.pool,
        }))
    }

    /// The buffers of the thread that asks.
    fn scratch(&self) -> MutexGuard<'_, WorkerScratch> {
        let thread = rayon::current_thread_index().unwrap_or(0);
        let scratch = self.scratch[thread].lock();
        scratch.unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a job that these threads share, and waits for it.
    pub fn install<R: Send>(&self, job: impl FnOnce() -> R + Send) -> R {
        self.pool.install(job)
    }
}

impl WorkerScratch {
    /// Makes ΔF/F in place of the samples of a neuron, `trace` (T,), and notes what they say.
    fn make_dff(&mut self, recording: &Recording, trace: &mut [f32]) -> NeuronFacts {
        let Recording {
            dff: settings,
            blank_frames,
            ..
        } = *recording;
        let mut facts = NeuronFacts {
            hash: facts::hash(trace),
            ..NeuronFacts::default()
        };
        facts.marked_frames = settings.leave_out_missing(trace, blank_frames);
        let blank = blank_frames.partition_point(|&frame| (frame as usize) < trace.len());
        facts.note_samples(trace, blank);
        let f0 = settings.dff(trace, &mut self.baseline);
        facts.note_baseline(settings.baseline, f0, trace, &mut self.medians);
        facts
    }
}

fn pool(
    threads: usize,
    name: &'static str,
) -> Result<rayon::ThreadPool, rayon::ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(move |index| format!("{name} {index}"))
        .build()
}

impl Pipeline {
    /// Computes a unit. `traces` is its fluorescence, (n, T), and becomes its ΔF/F.
    ///
    /// A neuron's results depend on its own trace, its place in the recording and what belongs to the recording alone.
    pub fn compute(
        &self,
        workers: &Workers,
        recording: &Recording,
        neurons: Range<usize>,
        mut traces: Vec<f32>,
        keep_traces: bool,
    ) -> UnitOutput {
        let count = neurons.len();
        let frames = traces.len().checked_div(count).unwrap_or(0);
        let Recording {
            name,
            dff: settings,
            blank_frames,
        } = *recording;
        let repeated_frames = RepeatedFrames::of(&traces, frames, settings.missing, blank_frames);
        let prepared = self.prepare(workers, recording, &mut traces, frames);
        let (mut dff, mut rates, busy) = self.rates(workers, &prepared, traces, frames);
        if !keep_traces {
            dff = Vec::new();
        }
        let mut packed = vec![0; count * spikes::row_bytes(frames)];
        let start = neurons.start;
        let finished = self.finish(workers, name, start, &prepared, &mut rates, &mut packed);
        if !keep_traces {
            rates = Vec::new();
        }
        let inferences = finished.iter().map(|neuron| neuron.inference);
        let facts = finished.iter().map(|neuron| neuron.facts);
        let prepared_sec: f64 = prepared.iter().map(|neuron| neuron.seconds).sum();
        let finished_sec: f64 = finished.iter().map(|neuron| neuron.seconds).sum();
        let summary = UnitSummary {
            noise_level: inferences.clone().map(|of| of.noise_level).collect(),
            model_noise_level: inferences.clone().map(|of| of.model_noise_level).collect(),
            spikes: facts.clone().map(|of| u64::from(of.spikes)).sum(),
            facts: facts.collect(),
            repeated_frames,
            blank_frames: blank_frames.to_vec(),
            compute_sec: prepared_sec + busy + finished_sec,
            ..UnitSummary::default()
        };
        UnitOutput {
            neurons,
            dff,
            rate: rates,
            spikes: packed,
            summary,
        }
    }

    /// Makes ΔF/F in place of `traces` (n, T) and chooses ensembles. Never waits for a GPU.
    fn prepare(
        &self,
        workers: &Workers,
        recording: &Recording,
        traces: &mut [f32],
        frames: usize,
    ) -> Vec<Prepared> {
        let one = |trace: &mut [f32]| {
            let start = Instant::now();
            let scratch = &mut *workers.scratch();
            let facts = scratch.make_dff(recording, trace);
            Prepared {
                chosen: self.ensembles.choose(trace, &mut scratch.medians),
                facts,
                seconds: start.elapsed().as_secs_f64(),
            }
        };
        workers.install(|| traces.par_chunks_mut(frames.max(1)).map(one).collect())
    }

    /// ΔF/F (n, T), the ensembles' mean rates for it (n, T), and the seconds that threads worked.
    fn rates(
        &self,
        workers: &Workers,
        prepared: &[Prepared],
        dff: Vec<f32>,
        frames: usize,
    ) -> (Vec<f32>, Vec<f32>, f64) {
        let levels: Vec<usize> = prepared.iter().map(|neuron| neuron.chosen.level).collect();
        let evaluate = |processors: &Processors| {
            let dff = into_tensor(dff, (prepared.len(), frames))?;
            let rates = self.ensembles.forward(&dff, &levels, processors)?;
            candle_core::Result::Ok((into_vec(dff)?, into_vec(rates)?))
        };
        let processors = workers.processors(self.model);
        let evaluated = match processors.gpu {
            // This thread is none of those that compute, and may wait for the GPU.
            Some(_) => evaluate(&processors),
            None => workers.install(|| evaluate(&processors)),
        };
        let (dff, rates) = evaluated.expect("rows of equal length, each with a level");
        (dff, rates, processors.busy().as_secs_f64())
    }

    /// From mean rates, in place of which come final ones, to spikes; the first row is neuron `first`.
    fn finish(
        &self,
        workers: &Workers,
        subject: &str,
        first: usize,
        prepared: &[Prepared],
        rates: &mut [f32],
        packed: &mut [u8],
    ) -> Vec<Finished> {
        let frames = rates.len().checked_div(prepared.len()).unwrap_or(0);
        let one = |row: usize, rate: &mut [f32], packed: &mut [u8]| {
            let start = Instant::now();
            let near_spike = &mut workers.scratch().near_spike;
            let chosen = prepared[row].chosen;
            let inference = self.ensembles.finish(chosen, &self.post, rate, near_spike);
            let mut facts = prepared[row].facts;
            facts.frames_without_rate = inference.frames_without_rate as u32;
            facts.note_rates(rate);
            let mut generator = spikes::generator(self.seed, subject, (first + row) as u64);
            facts.spikes = spikes::sample(rate, &mut generator, packed);
            Finished {
                inference,
                facts,
                seconds: start.elapsed().as_secs_f64(),
            }
        };
        workers.install(|| {
            let rates = rates.par_chunks_mut(frames.max(1));
            let packed = packed.par_chunks_mut(spikes::row_bytes(frames).max(1));
            let rows = rates.zip(packed).enumerate();
            rows.map(|(row, (rate, packed))| one(row, rate, packed))
                .collect()
        })
    }
}
