//! The network on a GPU: the weights of models in its memory, rows of samples in batches as large as that memory allows.
//!
//! The numbers are those of [`trace`](spikegrid_core::cascade::trace) to the last bit. The one module that talks to NVIDIA's driver, which is loaded
//! when it is first needed: the program starts without one.

use std::collections::HashMap;
use std::sync::Arc;

use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, DeviceRepr, DriverError, LaunchConfig,
    PushKernelArg, result, sys,
};
use cudarc::nvrtc::Ptx;
use spikegrid_core::cascade::Model;
use thiserror::Error;

use super::launches::{Buffer, Kernel, LANES, Launch, Plan, Step};

/// `network.cu`, compiled by `build.rs`.
const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/network.ptx"));
/// The first driver that takes it: 1000 times the major version of its CUDA and 10 times the minor one.
const FIRST_DRIVER: i32 = 13_000;
/// Rows in a batch, at most: an extent of a launch's grid.
const MOST_ROWS: usize = 65_535;

/// Why there is no GPU, or not any more.
#[derive(Debug, Error)]
pub enum GpuError {
    #[error("NVIDIA's driver (libcuda.so.1) cannot be loaded")]
    NoDriver,
    #[error(
        "NVIDIA's driver is of CUDA {}.{}, expected one of CUDA 13.0 or later",
        found / 1000,
        found % 1000 / 10
    )]
    OldDriver { found: i32 },
    #[error("NVIDIA's driver finds no GPU")]
    NoGpu,
    #[error(
        "{what} {} MB of the GPU's memory, of which {} MB are free for this rank",
        needed.div_ceil(1_000_000),
        free / 1_000_000
    )]
    DoesNotFit {
        what: &'static str,
        needed: usize,
        free: usize,
    },
    #[error("it has no model of this number")]
    NoModel,
    #[error("{doing}: {reason}")]
    Driver { doing: &'static str, reason: String },
}

impl GpuError {
    fn while_doing(doing: &'static str) -> impl Fn(DriverError) -> Self {
        move |error| Self::Driver {
            doing,
            reason: match error.error_string() {
                Ok(text) => text.to_string_lossy().into_owned(),
                Err(_) => format!("{:?}", error.0),
            },
        }
    }
}

// SAFETY: plain numbers in the order and with the alignment of C, as `network.cu` declares them.
unsafe impl DeviceRepr for Step {}

/// A GPU with the weights of models in its memory.
pub struct Gpu {
    /// `GPU 0 (name)`.
    name: String,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    /// As [`Kernel::ALL`] has them.
    kernels: Vec<CudaFunction>,
    /// By the number under which each was loaded.
    models: HashMap<usize, Loaded>,
    /// Ranks that share this GPU.
    sharers: usize,
    memory: Option<Memory>,
}

/// A model in the memory of a GPU.
struct Loaded {
    plan: Plan,
    weights: CudaSlice<f32>,
}

/// Where batches lie: as many frames, rows times stride, as fit.
struct Memory {
    frames: usize,
    /// More would not fit.
    all: bool,
    samples: CudaSlice<f32>,
    one: CudaSlice<f32>,
    other: CudaSlice<f32>,
    sums: CudaSlice<f32>,
}

impl Gpu {
    /// The number of GPUs of this node that the driver shows to this process.
    ///
    /// # Errors
    /// No driver, an old one, no GPU, or what the driver says.
    pub fn count() -> Result<usize, GpuError> {
        let asking = GpuError::while_doing("asking for GPUs");
        // SAFETY: loads the driver, as every program with CUDA does at its start.
        if !unsafe { sys::is_culib_present() } {
            return Err(GpuError::NoDriver);
        }
        let mut found = 0;
        // SAFETY: writes one number, and needs no other call before.
        unsafe { sys::cuDriverGetVersion(&mut found) }
            .result()
            .map_err(&asking)?;
        if found < FIRST_DRIVER {
            return Err(GpuError::OldDriver { found });
        }
        match result::init().and_then(|()| result::device::get_count()) {
            Ok(0) | Err(DriverError(sys::CUresult::CUDA_ERROR_NO_DEVICE)) => Err(GpuError::NoGpu),
            Ok(gpus) => Ok(gpus as usize),
            Err(error) => Err(asking(error)),
        }
    }

    /// Takes GPU number `ordinal`, from 0, with `sharers` ranks in all; it has no model yet.
    ///
    /// # Errors
    /// As [`count`](Self::count), or what the driver says.
    pub fn open(ordinal: usize, sharers: usize) -> Result<Self, GpuError> {
        Self::count()?;
        let opening = GpuError::while_doing("opening the GPU");
        let context = CudaContext::new(ordinal).map_err(&opening)?;
        context.set_blocking_synchronize().map_err(&opening)?;
        let name = context.name().map_err(&opening)?;
        let stream = context.default_stream();

        let loading = GpuError::while_doing("loading the kernels");
        let module = context.load_module(Ptx::from_src(PTX)).map_err(&loading)?;
        let kernels = Kernel::ALL.map(|kernel| module.load_function(kernel.name()));
        let kernels = kernels.into_iter().collect::<Result<_, _>>();
        Ok(Self {
            name: format!("GPU {ordinal} ({name})"),
            kernels: kernels.map_err(loading)?,
            context,
            stream,
            models: HashMap::new(),
            sharers,
            memory: None,
        })
    }

    /// Brings the weights of a model to the GPU, which knows it by `number` from now on.
    ///
    /// # Errors
    /// The model does not fit, or what the driver says.
    pub fn load(&mut self, number: usize, model: &Model) -> Result<(), GpuError> {
        // What batches take is free for the weights, and may be too little for the features of this model.
        self.memory = None;
        let plan = Plan::new(model);
        let (needed, free) = (plan.weight_bytes(), free(&self.context, self.sharers)?);
        if needed > free {
            let what = "the model's weights take";
            return Err(GpuError::DoesNotFit { what, needed, free });
        }
        let copying = GpuError::while_doing("copying the weights");
        let weights = self.stream.clone_htod(&plan.weights(model));
        let weights = weights.map_err(copying)?;
        self.models.insert(number, Loaded { plan, weights });
        Ok(())
    }

    /// Its number, from 0, and its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Replaces the samples of each row by the sums, over the members of its level of the model of this number, of the rates of the windows that begin at each
    /// frame. `rows` is (n, [`stride`](super::launches::stride)), each one channel of [`Features`](spikegrid_core::cascade::features::Features) with 0 after
    /// the samples, `levels` (n). A window beyond the samples has a meaningless rate.
    ///
    /// # Errors
    /// No such model, memory for not even one row, or what the driver says; `rows` then hold anything.
    pub fn sum_rates(
        &mut self,
        model: usize,
        rows: &mut [f32],
        stride: usize,
        levels: &[usize],
    ) -> Result<(), GpuError> {
        let mut memory = self.reserve(levels.len(), stride)?;
        let model = self.models.get(&model).ok_or(GpuError::NoModel)?;
        let batch = (memory.frames / stride).min(MOST_ROWS);
        for (rows, levels) in rows.chunks_mut(batch * stride).zip(levels.chunks(batch)) {
            self.run(model, &mut memory, rows, stride, levels)
                .map_err(GpuError::while_doing("evaluating the network"))?;
        }
        self.memory = Some(memory);
        Ok(())
    }

    /// Memory for this many rows, or for as many as fit.
    fn reserve(&mut self, rows: usize, stride: usize) -> Result<Memory, GpuError> {
        let reserving = GpuError::while_doing("reserving memory");
        let wanted = rows.min(MOST_ROWS) * stride;
        let enough =
            |memory: &Memory| memory.frames >= wanted || (memory.all && memory.frames >= stride);
        if let Some(memory) = self.memory.take().filter(enough) {
            return Ok(memory);
        }
        self.stream.synchronize().map_err(&reserving)?;
        let (channels, overhang) = (self.channels(), self.overhang());
        let free = free(&self.context, self.sharers)?;
        let fitting = |bytes: usize| {
            let floats = (bytes / size_of::<f32>()).saturating_sub(4 * overhang);
            floats / (2 + 2 * channels) / stride * stride
        };
        let mut frames = wanted.min(fitting(free));
        while frames > 0 {
            match self.allocate(frames, frames < wanted) {
                Ok(memory) => return Ok(memory),
                Err(DriverError(sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY)) => {
                    frames = frames / 2 / stride * stride;
                }
                Err(error) => return Err(reserving(error)),
            }
        }
        Err(GpuError::DoesNotFit {
            what: "one neuron's trace takes",
            needed: ((2 + 2 * channels) * stride + 4 * overhang) * size_of::<f32>(),
            free,
        })
    }

    /// The most channels between two layers, of all models.
    fn channels(&self) -> usize {
        let models = self.models.values();
        models.map(|model| model.plan.channels).max().unwrap_or(1)
    }

    /// The most frames that the kernels of any model read beyond a row.
    fn overhang(&self) -> usize {
        let models = self.models.values();
        models.map(|model| model.plan.overhang).max().unwrap_or(0)
    }

    fn allocate(&self, frames: usize, all: bool) -> Result<Memory, DriverError> {
        let (channels, overhang) = (self.channels(), self.overhang());
        let buffer = |channels: usize| {
            // SAFETY: any bits are a float, and no window that counts is made of those that nothing was written to.
            unsafe { self.stream.alloc(channels * frames + overhang) }
        };
        Ok(Memory {
            frames,
            all,
            samples: buffer(1)?,
            one: buffer(channels)?,
            other: buffer(channels)?,
            sums: buffer(1)?,
        })
    }

    fn run(
        &self,
        model: &Loaded,
        memory: &mut Memory,
        rows: &mut [f32],
        stride: usize,
        levels: &[usize],
    ) -> Result<(), DriverError> {
        self.stream.memcpy_htod(rows, &mut memory.samples)?;
        self.stream.memset_zeros(&mut memory.sums)?;
        for members in model.plan.members(levels) {
            let members = self.stream.clone_htod(&members)?;
            for launch in model.plan.launches(levels.len(), stride) {
                self.launch(&model.weights, memory, &members, launch)?;
            }
        }
        let sums = memory.sums.slice(..rows.len());
        self.stream.memcpy_dtoh(&sums, rows)?;
        self.stream.synchronize()
    }

    fn launch(
        &self,
        weights: &CudaSlice<f32>,
        memory: &mut Memory,
        members: &CudaSlice<u32>,
        launch: Launch,
    ) -> Result<(), DriverError> {
        let Memory {
            samples,
            one,
            other,
            sums,
            ..
        } = memory;
        let (input, output) = match (launch.input, launch.output) {
            (Buffer::Samples, _) => (samples, one),
            (_, Buffer::Sums) => (other, sums),
            (Buffer::One, _) => (one, other),
            (_, _) => (other, one),
        };
        let config = LaunchConfig {
            grid_dim: launch.grid,
            block_dim: (LANES, 1, 1),
            shared_mem_bytes: 0,
        };
        let mut builder = self
            .stream
            .launch_builder(&self.kernels[launch.kernel as usize]);
        builder.arg(&*input).arg(output).arg(weights);
        builder.arg(members).arg(&launch.step);
        // SAFETY: these are the arguments that the kernels of `network.cu` take. They write (rows, channels, stride) of their output
        // and read as much of their input and `overhang` frames more, which `allocate` provides for as many rows as `run` gives;
        // `members` names members whose weights are in `weights`, one for each row.
        unsafe { builder.launch(config) }?;
        Ok(())
    }
}

/// This rank's share of the free memory, in bytes; the driver keeps a tenth for itself.
fn free(context: &CudaContext, sharers: usize) -> Result<usize, GpuError> {
    let (free, _) = context
        .mem_get_info()
        .map_err(GpuError::while_doing("asking for the free memory"))?;
    Ok(free / 10 * 9 / sharers)
}
