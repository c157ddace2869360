//! One work unit from fluorescence to spikes: the compute stages in a row, neuron by neuron.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::baseline::{self, Baseline, SlidingPercentile, Window};
use crate::cascade::{Model, PostProcess, Scratch};
use crate::spikes;

/// What is computed from a neuron's fluorescence, and how.
pub struct Pipeline {
    pub model: Model,
    pub baseline: Baseline,
    /// The frames of the baseline (rule 3.1).
    pub window: Window,
    pub percentile: f64,
    pub post: PostProcess,
    pub seed: u64,
}

/// The results of a work unit of `n` neurons and `T` frames.
pub struct UnitOutput {
    pub neurons: Range<usize>,
    /// ΔF/F, (n, T), where traces were asked for; else empty.
    pub dff: Vec<f32>,
    /// Spike rates in spikes per frame, (n, T), where traces were asked for; else empty.
    pub rate: Vec<f32>,
    /// Spikes, (n, ceil(T / 8)), one bit per frame, least significant first.
    pub spikes: Vec<u8>,
    pub summary: UnitSummary,
}

/// What rank 0 learns of a work unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UnitSummary {
    /// Noise level of each neuron (rule 4.3).
    pub noise_level: Vec<f32>,
    /// Noise level of the ensemble that each neuron uses.
    pub model_noise_level: Vec<i32>,
    /// Neurons with frames that have no rate, beside those at the ends.
    pub neurons_with_gaps: usize,
    pub spikes: u64,
    /// The traces of the neurons to be drawn.
    pub drawn: Vec<DrawnNeuron>,
    pub read_sec: f64,
    /// Summed over threads.
    pub compute_sec: f64,
    /// Computed by an earlier run that was interrupted.
    pub from_journal: bool,
}

/// ΔF/F, spike rate and bit-packed spikes of a neuron to be drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrawnNeuron {
    pub neuron: usize,
    pub dff: Vec<f32>,
    pub rate: Vec<f32>,
    pub spikes: Vec<u8>,
}

/// Threads and their buffers, reused from unit to unit.
pub struct Workers {
    pool: rayon::ThreadPool,
    scratch: Vec<Mutex<WorkerScratch>>,
}

#[derive(Default)]
struct WorkerScratch {
    baseline: SlidingPercentile,
    cascade: Scratch,
    rate: Vec<f32>,
}

struct NeuronOutcome {
    noise_level: f32,
    model_noise_level: i32,
    gaps: bool,
    spikes: u64,
    seconds: f64,
}

impl Workers {
    /// # Errors
    /// The system refuses the threads.
    pub fn new(threads: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("worker {index}"))
            .build()?;
        let scratch = (0..threads).map(|_| Mutex::default()).collect();
        Ok(Self { pool, scratch })
    }

    /// Runs a job on these threads, without waiting for it.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        self.pool.spawn(job);
    }

    /// Runs a job that these threads share, and waits for it.
    pub fn install<R: Send>(&self, job: impl FnOnce() -> R + Send) -> R {
        self.pool.install(job)
    }
}

impl Pipeline {
    /// Computes a unit. `traces` is its fluorescence, (n, T), and becomes its ΔF/F.
    ///
    /// A neuron's results depend on its own trace, its place in the recording and the subject's name alone.
    pub fn compute(
        &self,
        workers: &Workers,
        subject: &str,
        neurons: Range<usize>,
        mut traces: Vec<f32>,
        keep_traces: bool,
    ) -> UnitOutput {
        let count = neurons.len();
        let frames = traces.len().checked_div(count).unwrap_or(0);
        let row_bytes = spikes::row_bytes(frames);
        let mut rate = vec![0.0; if keep_traces { traces.len() } else { 0 }];
        let mut packed = vec![0; count * row_bytes];
        let outcomes: Vec<NeuronOutcome> = workers.install(|| {
            let rates: Vec<Option<&mut [f32]>> = match keep_traces {
                true => rate.chunks_mut(frames).map(Some).collect(),
                false => (0..count).map(|_| None).collect(),
            };
            (
                traces.par_chunks_mut(frames),
                packed.par_chunks_mut(row_bytes),
                rates,
                neurons.clone(),
            )
                .into_par_iter()
                .map(|(trace, packed, rate, neuron)| {
                    let thread = rayon::current_thread_index().unwrap_or(0);
                    let mut scratch = workers.scratch[thread]
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    self.neuron(subject, neuron, trace, packed, rate, &mut scratch)
                })
                .collect()
        });
        let summary = UnitSummary {
            noise_level: outcomes.iter().map(|neuron| neuron.noise_level).collect(),
            model_noise_level: outcomes
                .iter()
                .map(|neuron| neuron.model_noise_level)
                .collect(),
            neurons_with_gaps: outcomes.iter().filter(|neuron| neuron.gaps).count(),
            spikes: outcomes.iter().map(|neuron| neuron.spikes).sum(),
            compute_sec: outcomes.iter().map(|neuron| neuron.seconds).sum(),
            ..UnitSummary::default()
        };
        if !keep_traces {
            traces = Vec::new();
        }
        UnitOutput {
            neurons,
            dff: traces,
            rate,
            spikes: packed,
            summary,
        }
    }

    fn neuron(
        &self,
        subject: &str,
        neuron: usize,
        trace: &mut [f32],
        packed: &mut [u8],
        rate: Option<&mut [f32]>,
        scratch: &mut WorkerScratch,
    ) -> NeuronOutcome {
        let start = Instant::now();
        baseline::dff(
            self.baseline,
            self.window,
            self.percentile,
            trace,
            &mut scratch.baseline,
        );
        let rate = match rate {
            Some(rate) => rate,
            None => {
                scratch.rate.resize(trace.len(), 0.0);
                &mut scratch.rate
            }
        };
        let inference = self
            .model
            .infer(trace, &self.post, &mut scratch.cascade, rate);
        let mut generator = spikes::generator(self.seed, subject, neuron as u64);
        let spikes = spikes::sample(rate, &mut generator, packed);
        NeuronOutcome {
            noise_level: inference.noise_level,
            model_noise_level: inference.model_noise_level,
            gaps: inference.gaps,
            spikes: u64::from(spikes),
            seconds: start.elapsed().as_secs_f64(),
        }
    }
}
