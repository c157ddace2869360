//! One work unit from fluorescence to spikes: the compute stages in a row, neuron by neuron.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rayon::prelude::*;
use spikegrid_core::baseline::{self, Baseline, SlidingPercentile, Window};
use spikegrid_core::cascade::trace::{self, Span};
use spikegrid_core::cascade::{Chosen, Model, PostProcess, Scratch};
use spikegrid_core::spikes;
use spikegrid_core::unit::{UnitOutput, UnitSummary};

use crate::gpu::{Gpu, launches};

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

/// Threads and their buffers, reused from unit to unit, and the GPU that they share.
pub struct Workers {
    pool: rayon::ThreadPool,
    scratch: Vec<Mutex<WorkerScratch>>,
    gpu: Option<SharedGpu>,
}

/// A GPU that evaluates one unit at a time while the threads do what is theirs in others.
struct SharedGpu {
    /// None after it failed.
    gpu: Mutex<Option<Gpu>>,
    /// Each sees a unit through, and sleeps while the compute threads or the GPU work on it: `--workers` threads compute.
    units: rayon::ThreadPool,
}

/// Samples that go to a GPU together, unless one neuron has more: enough to keep it busy, little beside `--memory_limit`.
pub const GPU_SAMPLES: usize = 1 << 20;

/// Units in work beside the GPU: one that it has, one that waits for it, and one for the compute threads.
const UNITS: usize = 3;

#[derive(Default)]
struct WorkerScratch {
    baseline: SlidingPercentile,
    cascade: Scratch,
    rate: Vec<f32>,
}

/// A neuron after ΔF/F, before its rates.
#[derive(Clone, Copy)]
struct Prepared {
    chosen: Chosen,
    seconds: f64,
}

/// Some neurons after ΔF/F, with what a GPU returned for them.
struct Evaluated {
    neurons: Vec<Prepared>,
    /// (n, stride), see [`Gpu::sum_rates`]; None if the GPU failed.
    sums: Option<Vec<f32>>,
    stride: usize,
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
        let scratch = (0..threads).map(|_| Mutex::default()).collect();
        Ok(Self {
            pool: pool(threads, "worker")?,
            scratch,
            gpu: None,
        })
    }

    /// Has the network evaluated on a GPU as long as it can.
    ///
    /// # Errors
    /// The system refuses the threads.
    pub fn with_gpu(self, gpu: Gpu) -> Result<Self, rayon::ThreadPoolBuildError> {
        let gpu = SharedGpu {
            gpu: Mutex::new(Some(gpu)),
            units: pool(UNITS, "unit")?,
        };
        Ok(Self {
            gpu: Some(gpu),
            ..self
        })
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
            *gpu.lock() = None;
        }
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

fn pool(
    threads: usize,
    name: &'static str,
) -> Result<rayon::ThreadPool, rayon::ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(move |index| format!("{name} {index}"))
        .build()
}

impl SharedGpu {
    fn lock(&self) -> MutexGuard<'_, Option<Gpu>> {
        self.gpu.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is given up; does not wait for it.
    fn failed(&self) -> bool {
        self.gpu.try_lock().is_ok_and(|held| held.is_none())
    }

    /// See [`Gpu::sum_rates`]; false if the GPU failed, now or before, in which case it is given up.
    fn sum_rates(&self, rows: &mut [f32], stride: usize, levels: &[usize]) -> bool {
        let mut held = self.lock();
        let Some(gpu) = held.as_mut() else {
            return false;
        };
        let Err(error) = gpu.sum_rates(rows, stride, levels) else {
            return true;
        };
        eprintln!(
            "warning: {} failed: {error}; this rank goes on with the CPU, which gives the same results",
            gpu.name()
        );
        *held = None;
        false
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
        let piece = match workers.gpu {
            Some(_) => (GPU_SAMPLES / frames.max(1)).max(1),
            None => count,
        };
        let mut outcomes = Vec::with_capacity(count);
        for first in (0..count).step_by(piece) {
            let rows = first..(first + piece).min(count);
            let kept = |length: usize| rows.start * length..rows.end * length;
            let rate = match keep_traces {
                true => &mut rate[kept(frames)],
                false => &mut [],
            };
            let (traces, packed) = (&mut traces[kept(frames)], &mut packed[kept(row_bytes)]);
            let neurons = neurons.start + rows.start..neurons.start + rows.end;
            outcomes.extend(self.neurons(workers, subject, neurons, traces, packed, rate));
        }
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

    /// Computes these neurons: ΔF/F in place of `traces` (n, T), spikes into `packed`, rates into `rate` unless it is empty.
    fn neurons(
        &self,
        workers: &Workers,
        subject: &str,
        neurons: Range<usize>,
        traces: &mut [f32],
        packed: &mut [u8],
        rate: &mut [f32],
    ) -> Vec<NeuronOutcome> {
        let frames = traces.len() / neurons.len();
        let evaluated = self.evaluate_on_gpu(workers, traces, frames);
        let evaluated = evaluated.as_ref();
        workers.install(|| {
            let rates: Vec<Option<&mut [f32]>> = match rate.is_empty() {
                false => rate.chunks_mut(frames).map(Some).collect(),
                true => neurons.clone().map(|_| None).collect(),
            };
            (
                traces.par_chunks_mut(frames),
                packed.par_chunks_mut(spikes::row_bytes(frames)),
                rates,
                neurons.clone(),
            )
                .into_par_iter()
                .map(|(trace, packed, rate, neuron)| {
                    let mut scratch = workers.scratch();
                    let row = neuron - neurons.start;
                    let prepared = match evaluated {
                        Some(evaluated) => evaluated.neurons[row],
                        None => self.prepare(trace, &mut scratch),
                    };
                    let sums = evaluated.and_then(|evaluated| evaluated.row(row));
                    self.finish(
                        subject,
                        neuron,
                        prepared,
                        sums,
                        trace,
                        packed,
                        rate,
                        &mut scratch,
                    )
                })
                .collect()
        })
    }

    /// The first half, if there is a GPU: ΔF/F in place of `traces` (n, T), then the networks' rates.
    fn evaluate_on_gpu(
        &self,
        workers: &Workers,
        traces: &mut [f32],
        frames: usize,
    ) -> Option<Evaluated> {
        let gpu = workers.gpu.as_ref()?;
        if gpu.failed() {
            return None;
        }
        let config = &self.model.config;
        let stride = launches::stride(frames);
        let mut rows = vec![0.0; traces.len() / frames * stride];
        let neurons: Vec<Prepared> = workers.install(|| {
            (traces.par_chunks_mut(frames), rows.par_chunks_mut(stride))
                .into_par_iter()
                .map(|(trace, row)| {
                    let prepared = self.prepare(trace, &mut workers.scratch());
                    if let Some(span) = Span::of(config, trace) {
                        span.samples(config, trace, row);
                    }
                    prepared
                })
                .collect()
        });
        let levels: Vec<usize> = neurons.iter().map(|neuron| neuron.chosen.level).collect();
        let summed = gpu.sum_rates(&mut rows, stride, &levels);
        Some(Evaluated {
            neurons,
            sums: summed.then_some(rows),
            stride,
        })
    }

    /// Makes ΔF/F of a trace and chooses its ensemble.
    fn prepare(&self, trace: &mut [f32], scratch: &mut WorkerScratch) -> Prepared {
        let start = Instant::now();
        baseline::dff(
            self.baseline,
            self.window,
            self.percentile,
            trace,
            &mut scratch.baseline,
        );
        Prepared {
            chosen: self.model.choose(trace, &mut scratch.cascade),
            seconds: start.elapsed().as_secs_f64(),
        }
    }

    /// From ΔF/F to spikes, by the network's `sums` where a GPU returned them.
    #[expect(clippy::too_many_arguments, reason = "the rows of one neuron")]
    fn finish(
        &self,
        subject: &str,
        neuron: usize,
        prepared: Prepared,
        sums: Option<&[f32]>,
        dff: &[f32],
        packed: &mut [u8],
        rate: Option<&mut [f32]>,
        scratch: &mut WorkerScratch,
    ) -> NeuronOutcome {
        let start = Instant::now();
        let rate = match rate {
            Some(rate) => rate,
            None => {
                scratch.rate.resize(dff.len(), 0.0);
                &mut scratch.rate
            }
        };
        let (model, cascade) = (&self.model, &mut scratch.cascade);
        let members = &model.levels[prepared.chosen.level].members;
        match sums {
            Some(sums) => trace::rate_from_sums(&model.config, members.len(), dff, sums, rate),
            None => trace::ensemble_rate(&model.config, members, dff, cascade, rate),
        }
        let inference = model.finish(prepared.chosen, &self.post, cascade, rate);
        let mut generator = spikes::generator(self.seed, subject, neuron as u64);
        let spikes = spikes::sample(rate, &mut generator, packed);
        NeuronOutcome {
            noise_level: inference.noise_level,
            model_noise_level: inference.model_noise_level,
            gaps: inference.gaps,
            spikes: u64::from(spikes),
            seconds: prepared.seconds + start.elapsed().as_secs_f64(),
        }
    }
}

impl Evaluated {
    /// What the GPU returned for a row, if it did.
    fn row(&self, row: usize) -> Option<&[f32]> {
        let sums = self.sums.as_ref()?;
        Some(&sums[row * self.stride..][..self.stride])
    }
}
