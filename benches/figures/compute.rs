//! The stages between reading and writing, in memory.

use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use pulp::Arch;
use spikegrid_core::baseline::{self, Baseline, SlidingPercentile, Window};
use spikegrid_core::cascade::span::Span;
use spikegrid_core::cascade::{Model, PostProcess};
use spikegrid_core::grid::PLANE_BYTES;
use spikegrid_core::spikes;
use spikegrid_files::models;
use spikegrid_inference::ensembles::{Ensembles, GPU_SAMPLES};
use spikegrid_inference::gpu::Gpu;
use spikegrid_inference::gpu::launches;

use crate::data;

const MODEL: &str = "models/Global_EXC_2Hz_smoothing500ms";
pub(crate) const PLANES: usize = 29;

/// What requests share.
pub(crate) struct Compute {
    model: Model,
    /// By neurons and frames.
    dff: HashMap<(usize, usize), Vec<f32>>,
    /// By frames.
    fluorescence: HashMap<usize, Vec<f32>>,
}

impl Compute {
    pub(crate) fn new() -> Self {
        Self {
            model: models::load(Path::new(MODEL)).expect("the model that is shipped"),
            dff: HashMap::new(),
            fluorescence: HashMap::new(),
        }
    }

    /// From ΔF/F in memory to spike rates in memory, noise levels mixed, on `threads` threads.
    pub(crate) fn inference(
        &mut self,
        neurons: usize,
        frames: usize,
        threads: usize,
        arch: &str,
    ) -> f64 {
        let Self { model, dff, .. } = self;
        let dff = dff
            .entry((neurons, frames))
            .or_insert_with(|| data::dff(neurons, frames, model.config.sampling_rate));
        let dff = dff.clone();
        let ensembles = ensembles(model.clone()).with_instruction_set(instruction_set(arch));
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads");
        pool.install(|| {
            let start = Instant::now();
            let inferred = ensembles.infer(dff, frames, &PostProcess::default());
            let seconds = start.elapsed().as_secs_f64();
            black_box(inferred.expect("whole rows"));
            seconds
        })
    }

    /// The same on a GPU, as the compute threads have it done: from samples in memory to sums of rates in memory, without ΔF/F
    /// and thresholds. No number where there is no GPU; why, on stderr.
    pub(crate) fn gpu(&mut self, neurons: usize, frames: usize) -> f64 {
        let Self { model, dff, .. } = self;
        let mut gpu = match Gpu::open(0, 1) {
            Ok(gpu) => gpu,
            Err(error) => {
                eprintln!("no GPU: {error}");
                return f64::NAN;
            }
        };
        gpu.load(0, model).expect("room for the weights");
        let dff = dff
            .entry((neurons, frames))
            .or_insert_with(|| data::dff(neurons, frames, model.config.sampling_rate));
        let stride = launches::stride(frames);
        let mut rows = vec![0.0; neurons * stride];
        let mut levels = Vec::new();
        let ensembles = ensembles(model.clone());
        let mut differences = Vec::new();
        for (row, dff) in rows.chunks_exact_mut(stride).zip(dff.chunks_exact(frames)) {
            let span = Span::of(&model.config, dff).expect("whole windows");
            span.samples(&model.config, dff, row);
            levels.push(ensembles.choose(dff, &mut differences).level);
        }
        let piece = GPU_SAMPLES / frames;
        let mut seconds = 0.0;
        // Once to reserve memory and have the driver translate the kernels.
        for _ in 0..2 {
            let mut rows = rows.clone();
            let start = Instant::now();
            for (rows, levels) in rows.chunks_mut(piece * stride).zip(levels.chunks(piece)) {
                gpu.sum_rates(0, rows, stride, levels)
                    .expect("a GPU that works");
            }
            seconds = start.elapsed().as_secs_f64();
        }
        seconds
    }

    /// 500 traces, one after the other, on one thread. Every `missing`-th sample is NaN, none for 0.
    pub(crate) fn dff(&mut self, frames: usize, half: usize, missing: usize) -> f64 {
        const NEURONS: usize = 500;
        let fluorescence = self
            .fluorescence
            .entry(frames)
            .or_insert_with(|| data::fluorescence(NEURONS, frames));
        let mut traces = fluorescence.clone();
        if missing > 0 {
            traces
                .iter_mut()
                .step_by(missing)
                .for_each(|sample| *sample = f32::NAN);
        }
        let mut scratch = SlidingPercentile::new();
        let window = Window::from_half(half);
        let start = Instant::now();
        for trace in traces.chunks_exact_mut(frames) {
            baseline::dff(Baseline::Dff, window, 8.0, trace, &mut scratch);
        }
        let seconds = start.elapsed().as_secs_f64();
        black_box(traces);
        seconds
    }

    /// 500 neurons, one after the other, on one thread.
    pub(crate) fn sample(&mut self, frames: usize) -> f64 {
        const NEURONS: usize = 500;
        let rate = data::dff(1, frames, 2.0);
        let mut packed = vec![0; spikes::row_bytes(frames)];
        let start = Instant::now();
        for neuron in 0..NEURONS {
            let mut generator = spikes::generator(42, "subject_1", neuron as u64);
            black_box(spikes::sample(&rate, &mut generator, &mut packed));
        }
        start.elapsed().as_secs_f64()
    }

    /// 512 frames of grids, 1 % of the pixels set, on one thread, in pieces as they are written.
    pub(crate) fn rasterise(&mut self, neurons: usize) -> f64 {
        const FRAMES: usize = 512;
        const PIECE: usize = 8;
        let layout = data::layout(neurons, PLANES);
        let probability = one_percent(neurons);
        let spikes = data::bits(neurons * FRAMES / 8, probability);
        let mut grids = vec![0_u8; PIECE * PLANES * PLANE_BYTES];
        let start = Instant::now();
        for first in (0..FRAMES).step_by(PIECE) {
            layout.rasterise(
                &spikes,
                FRAMES / 8,
                first..first + PIECE,
                0..PLANES,
                &mut grids,
            );
            black_box(&grids);
        }
        start.elapsed().as_secs_f64()
    }
}

fn ensembles(model: Model) -> Ensembles {
    Ensembles::new(model).expect("a model that was checked when it was read")
}

fn instruction_set(name: &str) -> Arch {
    match name {
        "avx512" => Arch::V4(pulp::x86::V4::try_new().expect("AVX-512")),
        "avx2" => Arch::V3(pulp::x86::V3::try_new().expect("AVX2")),
        _ => panic!("no instruction set {name}"),
    }
}

/// The probability of a spike with which `neurons` neurons set 1 % of the pixels.
pub(crate) fn one_percent(neurons: usize) -> f64 {
    (0.01 * (PLANES * PLANE_BYTES) as f64 / neurons as f64).min(0.5)
}
