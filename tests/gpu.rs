//! The GPU's kernels return the bits of the processor's own: compiled for the processor, and on a GPU where there is one.

#[path = "common/stand_in.rs"]
mod stand_in;

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;
use std::ptr::null_mut;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use spikegrid_core::cascade::span::Span;
use spikegrid_core::cascade::trace::{ensemble_rate, rate_from_sums};
use spikegrid_core::cascade::weights::{Layer, Weights};
use spikegrid_core::cascade::{Level, Model, ModelConfig, Scratch};
use spikegrid_inference::gpu::launches::{self, Buffer, Launch, Plan};

type Get = extern "C" fn(*mut *mut c_void, *mut c_void, *const c_char) -> c_int;
type Allocate = extern "C" fn(*mut *mut c_void, usize, *mut c_void) -> c_int;
type Start = extern "C" fn(
    *mut c_void,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    c_uint,
    *mut c_void,
    *mut *mut c_void,
    *mut *mut c_void,
) -> c_int;

/// Has the kernels evaluate (n, stride) rows of samples, each with the ensemble of its level.
trait Kernels {
    /// (n, stride), the sums of the members' rates.
    fn sum_rates(&self, model: &Model, rows: &[f32], stride: usize, levels: &[usize]) -> Vec<f32>;
}

/// The stand-in driver in this process.
struct Driver(*mut c_void);

impl Driver {
    fn load() -> Self {
        let path = stand_in::library(stand_in::folder());
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        assert!(!library.is_null(), "{path:?} cannot be loaded");
        Self(library)
    }

    /// The function of this name, which has type `F`.
    fn function<F: Copy>(&self, name: &str) -> F {
        let name = CString::new(name).unwrap();
        let found = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        assert!(!found.is_null(), "{name:?} is missing");
        unsafe { std::mem::transmute_copy(&found) }
    }

    /// Memory full of large numbers that ends where none can be touched, and begins with `values`.
    fn memory(&self, len: usize, values: &[f32]) -> *mut f32 {
        let mut memory = null_mut();
        let allocate: Allocate = self.function("cuMemAllocAsync");
        assert_eq!(allocate(&mut memory, 4 * len, null_mut()), 0);
        let memory = memory.cast::<f32>();
        unsafe { memory.copy_from_nonoverlapping(values.as_ptr(), values.len()) };
        memory
    }

    fn launch(&self, launch: &Launch, mut arguments: [*mut c_void; 5]) {
        let mut kernel = null_mut();
        let name = CString::new(launch.kernel.name()).unwrap();
        let get: Get = self.function("cuModuleGetFunction");
        assert_eq!(get(&mut kernel, null_mut(), name.as_ptr()), 0);
        let start: Start = self.function("cuLaunchKernel");
        let grid = launch.grid;
        let status = start(
            kernel,
            grid.0,
            grid.1,
            grid.2,
            launches::LANES,
            1,
            1,
            0,
            null_mut(),
            arguments.as_mut_ptr(),
            null_mut(),
        );
        assert_eq!(status, 0, "{launch:?}");
    }
}

impl Kernels for Driver {
    /// As `gpu::driver` has a GPU do.
    fn sum_rates(&self, model: &Model, rows: &[f32], stride: usize, levels: &[usize]) -> Vec<f32> {
        let plan = Plan::new(model);
        let weights = plan.weights(model);
        assert_eq!(4 * weights.len(), plan.weight_bytes());
        let features = plan.channels * rows.len() + plan.overhang;
        let mut weights = self.memory(weights.len(), &weights);
        let buffers = [
            self.memory(rows.len() + plan.overhang, rows),
            self.memory(features, &[]),
            self.memory(features, &[]),
            self.memory(rows.len() + plan.overhang, &vec![0.0; rows.len()]),
        ];
        let buffer = |which| {
            buffers[match which {
                Buffer::Samples => 0,
                Buffer::One => 1,
                Buffer::Other => 2,
                Buffer::Sums => 3,
            }]
        };
        for members in plan.members(levels) {
            let mut members = members.as_ptr();
            for launch in plan.launches(levels.len(), stride) {
                let (mut input, mut output) = (buffer(launch.input), buffer(launch.output));
                let mut step = launch.step;
                let arguments = [
                    (&raw mut input).cast(),
                    (&raw mut output).cast(),
                    (&raw mut weights).cast(),
                    (&raw mut members).cast(),
                    (&raw mut step).cast(),
                ];
                self.launch(&launch, arguments);
            }
        }
        unsafe { std::slice::from_raw_parts(buffer(Buffer::Sums), rows.len()) }.to_vec()
    }
}

struct Random(Xoshiro256PlusPlus);

impl Random {
    /// Uniform in [-1, 1).
    fn values(&mut self, count: usize) -> Vec<f32> {
        let mut next = || (self.0.next_u64() >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
        (0..count).map(|_| next()).collect()
    }

    fn weights(&mut self, config: &ModelConfig, scale: f32) -> Weights {
        let layers = config.layers().map(|shape| {
            let kernel = self.values(shape.depth() * shape.outputs);
            let scale = scale * (3.0 / shape.depth() as f32).sqrt();
            Layer {
                kernel: kernel.iter().map(|weight| weight * scale).collect(),
                bias: self.values(shape.outputs),
            }
        });
        Weights::from(layers)
    }

    /// A model of this architecture with ensembles of two and of three members.
    fn model(
        &mut self,
        windowsize: usize,
        filter_sizes: [usize; 3],
        filter_numbers: [usize; 3],
        dense_expansion: usize,
        scale: f32,
    ) -> Model {
        let config = ModelConfig {
            model_name: "test".into(),
            sampling_rate: 2.0,
            noise_levels: vec![2, 3],
            smoothing: 0.5,
            causal_kernel: 0,
            windowsize,
            before_frac: 0.5,
            filter_sizes,
            filter_numbers,
            dense_expansion,
            ensemble_size: 3,
        };
        let mut level = |noise_level, members| Level {
            noise_level,
            members: (0..members).map(|_| self.weights(&config, scale)).collect(),
        };
        Model {
            levels: vec![level(2, 2), level(3, 3)],
            config,
            sha256: String::new(),
            benchmark: None,
            warnings: Vec::new(),
        }
    }
}

fn bits(rate: &[f32]) -> Vec<u32> {
    rate.iter().map(|rate| rate.to_bits()).collect()
}

/// The rates of some traces (n, frames), with and without missing values, both ways.
fn compare(kernels: &dyn Kernels, model: &Model, frames: usize, random: &mut Random) {
    let levels = [1, 0, 1, 0, 0];
    let mut traces: Vec<Vec<f32>> = levels.iter().map(|_| random.values(frames)).collect();
    traces[1][0] = f32::NAN;
    traces[2][frames / 2] = f32::INFINITY;
    traces[2][frames - 1] = f32::NAN;
    traces[3].fill(f32::NAN);
    compare_traces(
        |rows, stride, levels| kernels.sum_rates(model, rows, stride, levels),
        model,
        &traces,
        &levels,
    );
}

/// The rates of these traces, each with the ensemble of its level, both ways; `sum_rates` is that of [`Kernels`].
fn compare_traces(
    sum_rates: impl FnOnce(&[f32], usize, &[usize]) -> Vec<f32>,
    model: &Model,
    traces: &[Vec<f32>],
    levels: &[usize],
) {
    let frames = traces[0].len();
    let stride = launches::stride(frames);
    let mut rows = vec![0.0; levels.len() * stride];
    for (trace, row) in traces.iter().zip(rows.chunks_mut(stride)) {
        if let Some(span) = Span::of(&model.config, trace) {
            span.samples(&model.config, trace, row);
        }
    }
    let sums = sum_rates(&rows, stride, levels);
    let mut scratch = Scratch::new();
    let (mut expected, mut rate) = (vec![0.0; frames], vec![0.0; frames]);
    for ((trace, sums), level) in traces.iter().zip(sums.chunks(stride)).zip(levels) {
        let members = &model.levels[*level].members;
        ensemble_rate(&model.config, members, trace, &mut scratch, &mut expected);
        rate_from_sums(&model.config, members.len(), trace, sums, &mut rate);
        assert!(
            bits(&rate) == bits(&expected),
            "window {}, filters {:?}, {:?}, {} frames",
            model.config.windowsize,
            model.config.filter_sizes,
            model.config.filter_numbers,
            frames
        );
    }
}

fn compare_for_every_architecture_and_length(kernels: &dyn Kernels) {
    let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(1));
    for (windowsize, sizes, numbers, dense, lengths) in [
        (
            64,
            [13, 9, 3],
            [30, 40, 50],
            10,
            &[63, 64, 65, 256, 700][..],
        ),
        (64, [31, 19, 5], [30, 40, 50], 30, &[300]),
        (31, [5, 3, 2], [3, 4, 5], 2, &[31, 513]),
        (32, [1, 1, 1], [1, 1, 1], 1, &[32, 600]),
        (33, [2, 6, 4], [5, 17, 2], 3, &[257]),
        (4, [1, 1, 1], [2, 2, 2], 2, &[4, 5]),
        (37, [1, 9, 12], [2, 2, 2], 2, &[129, 130]),
        (40, [3, 3, 3], [20, 121, 7], 11, &[300]),
        (1100, [500, 9, 3], [3, 2, 2], 2, &[1500]),
    ] {
        let model = random.model(windowsize, sizes, numbers, dense, 1.0);
        for &frames in lengths {
            compare(kernels, &model, frames, &mut random);
        }
    }
}

fn compare_around_a_tiles_last_frames(kernels: &dyn Kernels) {
    let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(3));
    for (windowsize, sizes) in [(4, [1, 1, 1]), (33, [5, 4, 4]), (19, [1, 4, 7])] {
        let model = random.model(windowsize, sizes, [2, 2, 2], 2, 1.0);
        for frames in 225..=256 {
            compare(kernels, &model, frames, &mut random);
        }
    }
}

fn compare_networks_that_overflow_or_underflow(kernels: &dyn Kernels) {
    let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(2));
    for scale in [1e12, 1e-12, 1e-20] {
        let model = random.model(31, [5, 3, 2], [3, 4, 5], 2, scale);
        compare(kernels, &model, 300, &mut random);
    }
}

#[test]
fn kernels_return_the_bits_of_the_processor_for_every_architecture_and_length() {
    compare_for_every_architecture_and_length(&Driver::load());
}

#[test]
fn rows_have_room_for_the_frames_that_a_traces_last_are_filtered_with() {
    compare_around_a_tiles_last_frames(&Driver::load());
}

#[test]
fn networks_that_overflow_or_underflow_return_the_bits_of_the_processor() {
    compare_networks_that_overflow_or_underflow(&Driver::load());
}

#[cfg(feature = "cuda")]
#[test]
fn a_gpu_returns_the_bits_of_the_processor() {
    use std::io::Write;

    use spikegrid_inference::gpu::{Gpu, GpuError};

    struct First;

    impl Kernels for First {
        fn sum_rates(
            &self,
            model: &Model,
            rows: &[f32],
            stride: usize,
            levels: &[usize],
        ) -> Vec<f32> {
            let mut rows = rows.to_vec();
            let mut gpu = Gpu::open(0, 1).unwrap();
            gpu.load(3, model).unwrap();
            gpu.sum_rates(3, &mut rows, stride, levels).unwrap();
            rows
        }
    }

    let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(4));
    let model = random.model(64, [13, 9, 3], [30, 40, 50], 10, 1.0);
    // Keeps the driver's state from one model to the next.
    let mut gpu = match Gpu::open(0, 1) {
        Ok(gpu) => gpu,
        Err(error @ (GpuError::NoDriver | GpuError::OldDriver { .. } | GpuError::NoGpu)) => {
            // Not eprintln: what it says in a test that passes is hidden.
            let _ = writeln!(std::io::stderr(), "NOT RUN: kernels on a GPU: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    gpu.load(0, &model).unwrap();
    compare_for_every_architecture_and_length(&First);
    compare_around_a_tiles_last_frames(&First);
    compare_networks_that_overflow_or_underflow(&First);

    // Many traces, and then few in memory that is there.
    for (neurons, frames) in [(400, 3000), (7, 1000)] {
        let levels: Vec<usize> = (0..neurons).map(|neuron| neuron % 2).collect();
        let traces: Vec<_> = levels.iter().map(|_| random.values(frames)).collect();
        let sum_rates = |rows: &[f32], stride, levels: &[usize]| {
            let mut rows = rows.to_vec();
            gpu.sum_rates(0, &mut rows, stride, levels).unwrap();
            rows
        };
        compare_traces(sum_rates, &model, &traces, &levels);
    }
    // A second, larger model beside it, as `--cascade_model auto` loads it in the middle of a run (rule 4.9).
    let larger = random.model(96, [31, 5, 3], [20, 60, 70], 12, 1.0);
    gpu.load(1, &larger).unwrap();
    for (number, model) in [(1, &larger), (0, &model), (1, &larger)] {
        let traces: Vec<_> = [0, 1, 1].iter().map(|_| random.values(2000)).collect();
        let sum_rates = |rows: &[f32], stride, levels: &[usize]| {
            let mut rows = rows.to_vec();
            gpu.sum_rates(number, &mut rows, stride, levels).unwrap();
            rows
        };
        compare_traces(sum_rates, model, &traces, &[0, 1, 1]);
    }
}
