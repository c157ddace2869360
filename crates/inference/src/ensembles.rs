//! The ensembles of a model: from ΔF/F to spike rates (rules 4.3 to 4.6 and 4.8).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use pulp::Arch;
use rayon::ThreadPool;
use rayon::prelude::*;
use spikegrid_core::cascade::span::Span;
use spikegrid_core::cascade::trace;
use spikegrid_core::cascade::weights::Weights;
use spikegrid_core::cascade::{Model, ModelConfig, PostProcess, noise};

use crate::buffer::{into_tensor, into_vec};
use crate::gpu::{SharedGpu, launches};
use crate::layers::contiguous;
use crate::network::{Network, with_scratch};

/// Samples that go to a GPU together, unless one neuron has more: enough to keep it busy, little beside `--memory_limit`.
pub const GPU_SAMPLES: usize = 1 << 20;

/// The networks of a model, an ensemble for each noise level.
#[derive(Clone, Debug)]
pub struct Ensembles {
    config: ModelConfig,
    levels: Vec<Ensemble>,
    arch: Arch,
}

#[derive(Clone, Debug)]
struct Ensemble {
    noise_level: i32,
    members: Vec<Network>,
}

/// A neuron's noise level and the ensemble that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// Noise level of the neuron (rule 4.3); NaN if no two neighbouring frames have values.
    pub noise_level: f32,
    /// Index of the ensemble, in the order of [`Model::levels`].
    pub level: usize,
}

/// What inference says about a neuron beside its rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Inference {
    /// Noise level of the neuron (rule 4.3); NaN if no two neighbouring frames have values.
    pub noise_level: f32,
    /// Noise level of the ensemble that was used.
    pub model_noise_level: i32,
    /// Frames beside the padded ends that have no rate, because their windows hold missing values (rule 4.5).
    pub frames_without_rate: usize,
}

/// A GPU that has the networks, and how they are evaluated on it.
#[derive(Clone, Copy)]
pub struct ModelOnGpu<'a> {
    /// The GPU.
    pub gpu: &'a SharedGpu,
    /// The number by which it knows the model.
    pub model: usize,
    /// Threads that prepare and complete its batches, and take over when it fails.
    pub threads: &'a ThreadPool,
}

/// What evaluates the networks: by default the threads of the current rayon pool.
#[derive(Default)]
pub struct Processors<'a> {
    /// See [`Processors::new`].
    pub(crate) gpu: Option<ModelOnGpu<'a>>,
    /// Nanoseconds that threads worked, summed over them.
    busy: AtomicU64,
}

impl<'a> Processors<'a> {
    /// A GPU, if there is one.
    pub fn new(gpu: Option<ModelOnGpu<'a>>) -> Self {
        let busy = AtomicU64::new(0);
        Self { gpu, busy }
    }

    /// Time that threads worked, summed over them.
    pub fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy.load(Ordering::Relaxed))
    }

    fn work(&self, job: impl FnOnce()) {
        let start = Instant::now();
        job();
        let nanoseconds = start.elapsed().as_nanos() as u64;
        self.busy.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl Ensembles {
    /// The networks of this model, which is taken apart member by member: prepared weights are most of what a rank holds at its start.
    ///
    /// # Errors
    /// If its weights are not those of its configuration.
    pub fn new(model: Model) -> Result<Self> {
        let config = model.config;
        let levels = model.levels.into_iter().map(|level| {
            let members = level.members.into_iter();
            let members = members.map(|weights| Network::from_weights(&config, &weights));
            Ok(Ensemble {
                noise_level: level.noise_level,
                members: members.collect::<Result<_>>()?,
            })
        });
        Ok(Self {
            levels: levels.collect::<Result<_>>()?,
            config,
            arch: Arch::default(),
        })
    }

    /// The same with this instruction set rather than the best that the processor has.
    pub fn with_instruction_set(self, arch: Arch) -> Self {
        Self { arch, ..self }
    }

    /// What the model's `config.yaml` says.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The ensemble for a neuron of ΔF/F `dff` (T): that of the nearest noise level (rule 4.3). `differences` is scratch memory.
    pub fn choose(&self, dff: &[f32], differences: &mut Vec<f32>) -> Chosen {
        let noise_level = noise::noise_level(dff, self.config.sampling_rate, differences);
        let levels = self.levels.iter().map(|level| level.noise_level);
        Chosen {
            noise_level,
            level: noise::nearest_level(levels, noise_level),
        }
    }

    /// ΔF/F (n, T) to mean rates of the members of each row's ensemble, `levels` (n), as one operation: (n, T), in spikes per frame, NaN
    /// where a frame's window leaves the recording or holds a value that is not finite (rule 4.4).
    ///
    /// The rates of a row depend on it, its level and the model alone, not on other rows, threads or the GPU.
    ///
    /// # Errors
    /// If `dff` is not a matrix of f32 with a level for each row.
    pub fn forward(
        &self,
        dff: &Tensor,
        levels: &[usize],
        processors: &Processors,
    ) -> Result<Tensor> {
        dff.apply_op1_no_bwd(&EnsembleRates {
            ensembles: self,
            levels,
            processors,
        })
    }

    /// From the mean rates of the chosen ensemble to final ones, in `rate` (T) (rules 4.5, 4.6 and 4.8). `near_spike` is scratch memory.
    pub fn finish(
        &self,
        chosen: Chosen,
        post: &PostProcess,
        rate: &mut [f32],
        near_spike: &mut Vec<bool>,
    ) -> Inference {
        // A recording shorter than the window has no rate at all, which is another finding.
        let frames_without_rate = match rate.len() >= self.config.windowsize {
            true => post.apply(&self.config, rate, near_spike),
            false => 0,
        };
        Inference {
            noise_level: chosen.noise_level,
            model_noise_level: self.levels[chosen.level].noise_level,
            frames_without_rate,
        }
    }

    /// ΔF/F (n, T) of `frames` frames to final spike rates, (n, T) in spikes per frame, NaN where there is no rate, and what there is to
    /// say about each neuron: all stages, on the threads of the current rayon pool. A recording shorter than the window has no rate.
    ///
    /// # Errors
    /// If `dff` does not consist of rows of `frames`.
    pub fn infer(
        &self,
        dff: Vec<f32>,
        frames: usize,
        post: &PostProcess,
    ) -> Result<(Vec<f32>, Vec<Inference>)> {
        let rows = dff.len().checked_div(frames).unwrap_or(0);
        let chosen: Vec<Chosen> = dff
            .par_chunks(frames.max(1))
            .map_init(Vec::new, |differences, dff| self.choose(dff, differences))
            .collect();
        let levels: Vec<usize> = chosen.iter().map(|chosen| chosen.level).collect();
        let dff = into_tensor(dff, (rows, frames))?;
        let mut rates = into_vec(self.forward(&dff, &levels, &Processors::default())?)?;
        let inferences = rates
            .par_chunks_mut(frames.max(1))
            .zip(&chosen)
            .map_init(Vec::new, |near_spike, (rate, chosen)| {
                self.finish(*chosen, post, rate, near_spike)
            })
            .collect();
        Ok((rates, inferences))
    }

    /// The weights of an ensemble's members.
    fn members(&self, level: usize) -> impl ExactSizeIterator<Item = &Weights> {
        let members = self.levels[level].members.iter();
        members.map(|member| {
            let weights = member.fixed_weights();
            weights.expect("made of a model's weights, which nobody trains")
        })
    }
}

/// All rows of a work unit, each by its ensemble.
struct EnsembleRates<'a> {
    ensembles: &'a Ensembles,
    levels: &'a [usize],
    processors: &'a Processors<'a>,
}

/// Rows (n, frames) and where their rates go.
struct Rows<'a> {
    frames: usize,
    dff: &'a [f32],
    levels: &'a [usize],
    rates: &'a mut [f32],
}

impl CustomOp1 for EnsembleRates<'_> {
    fn name(&self) -> &'static str {
        "rates of ensembles"
    }

    fn cpu_fwd(&self, dff: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, frames) = layout.shape().dims2()?;
        if self.levels.len() != rows {
            candle_core::bail!("{} levels for {rows} rows", self.levels.len())
        }
        let dff = contiguous(dff, layout)?;
        let mut rates = vec![0.0; dff.len()];
        let whole = Rows {
            frames,
            dff,
            levels: self.levels,
            rates: &mut rates,
        };
        match self.processors.gpu {
            _ if dff.is_empty() => {}
            None => self.on_threads(whole),
            Some(on_gpu) => {
                for mut batch in whole.batches((GPU_SAMPLES / frames).max(1)) {
                    if !self.on_gpu(on_gpu, &mut batch) {
                        on_gpu.threads.install(|| self.on_threads(batch));
                    }
                }
            }
        }
        Ok((CpuStorage::F32(rates), layout.shape().clone()))
    }
}

impl EnsembleRates<'_> {
    /// Evaluates rows on the threads of the current pool.
    fn on_threads(&self, mut rows: Rows) {
        let ensembles = self.ensembles;
        rows.par_iter().for_each(|(dff, level, rate)| {
            self.processors.work(|| {
                with_scratch(ensembles.arch, |scratch| {
                    let members = ensembles.members(level);
                    trace::ensemble_rate(&ensembles.config, members, dff, scratch, rate);
                });
            });
        });
    }

    /// Evaluates rows on a GPU, between whose samples and sums `threads` translate; false, and no rates, if it failed, now or before.
    fn on_gpu(&self, on_gpu: ModelOnGpu, rows: &mut Rows) -> bool {
        let ModelOnGpu {
            gpu,
            model,
            threads,
        } = on_gpu;
        if gpu.failed() {
            return false;
        }
        let (ensembles, config) = (self.ensembles, &self.ensembles.config);
        let stride = launches::stride(rows.frames);
        let mut sums = vec![0.0; rows.levels.len() * stride];
        threads.install(|| {
            let samples = sums.par_chunks_mut(stride);
            let traces = rows.dff.par_chunks(rows.frames);
            samples.zip(traces).for_each(|(samples, dff)| {
                if let Some(span) = Span::of(config, dff) {
                    span.samples(config, dff, samples);
                }
            });
        });
        if !gpu.sum_rates(model, &mut sums, stride, rows.levels) {
            return false;
        }
        threads.install(|| {
            let sums = sums.par_chunks(stride);
            rows.par_iter()
                .zip(sums)
                .for_each(|((dff, level, rate), sums)| {
                    self.processors.work(|| {
                        let members = ensembles.members(level).len();
                        trace::rate_from_sums(config, members, dff, sums, rate);
                    });
                });
        });
        true
    }
}

impl<'a> Rows<'a> {
    /// Each row's ΔF/F (T), its level and its rates (T).
    fn par_iter(&mut self) -> impl IndexedParallelIterator<Item = (&[f32], usize, &mut [f32])> {
        let rates = self.rates.par_chunks_mut(self.frames);
        let rows = self.dff.par_chunks(self.frames).zip(self.levels).zip(rates);
        rows.map(|((dff, level), rate)| (dff, *level, rate))
    }

    /// The same rows, no more than `rows` at a time.
    fn batches(self, rows: usize) -> impl Iterator<Item = Rows<'a>> {
        let frames = self.frames;
        let samples = rows * frames;
        let batches = self.dff.chunks(samples).zip(self.levels.chunks(rows));
        let batches = batches.zip(self.rates.chunks_mut(samples));
        batches.map(move |((dff, levels), rates)| Rows {
            frames,
            dff,
            levels,
            rates,
        })
    }
}
