//! What a GPU is given: an ensemble's weights in the order in which its kernels read them, and the launches that take rows of
//! samples through one member of each row's ensemble.
//!
//! `network.cu` holds the kernels; `driver` sends all of this to the driver. A row is a trace, its channels lie one after the other,
//! `stride` frames each, as [`features`](spikegrid_core::cascade::features) have them. The layers are those of [`trace`](spikegrid_core::cascade::trace), without its tiles: each
//! takes all frames before the next begins.

use spikegrid_core::cascade::Model;
use spikegrid_core::cascade::config::{DILATIONS, LayerShape, POOLINGS};
use spikegrid_core::cascade::features::PHASES;
use spikegrid_core::cascade::weights::{Layer, Weights};
use spikegrid_core::cascade::winograd::Filter;

/// Lanes of a warp, and threads of a block.
pub const LANES: u32 = 32;
/// Frames that a warp computes.
const TILE: usize = LANES as usize * PHASES;
/// Frames of 0 after a trace, at least, with which its last fours are filtered together: of `conv3` that can be 10, of `conv2` 5.
const BEYOND: usize = 16;
/// Outputs of each layer that a warp computes.
const STRIPS: [usize; 5] = [10, 6, 6, 10, 1];
/// Weights that `filter` loads at once: its strips begin at multiples.
const LOAD: usize = 4;
/// Where a row's ensemble has no such member.
pub const NO_MEMBER: u32 = u32::MAX;

/// A kernel's last argument, passed by value: `struct Step` in `network.cu`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    inputs: u32,
    outputs: u32,
    taps: u32,
    /// Frames between taps; the kernels that filter know theirs.
    dilation: u32,
    /// Frames of a channel.
    stride: u64,
    /// Channels of a row in the input and in the output.
    input_channels: u64,
    output_channels: u64,
    /// First weight of the layer within a member, and weights of a member.
    layer: u64,
    member: u64,
}

/// Memory on the GPU, all of it (rows, channels, stride): one channel in `Samples` and `Sums`, [`Plan::channels`] in the two that
/// layers read and write in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// What goes in.
    Samples,
    /// Of the two between layers, that which the first layer writes.
    One,
    /// The other.
    Other,
    /// What comes out.
    Sums,
}

/// The kernels of `network.cu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// `conv1`.
    Convolve,
    /// `conv2`.
    Filter,
    /// `conv3`.
    PoolAndFilter,
    /// `dense1`.
    PoolAndConvolve,
    /// `dense2`.
    AddRates,
}

impl Kernel {
    /// By their value as an index.
    pub const ALL: [Self; 5] = [
        Self::Convolve,
        Self::Filter,
        Self::PoolAndFilter,
        Self::PoolAndConvolve,
        Self::AddRates,
    ];

    /// As `network.cu` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Convolve => "convolve",
            Self::Filter => "filter",
            Self::PoolAndFilter => "pool_and_filter",
            Self::PoolAndConvolve => "pool_and_convolve",
            Self::AddRates => "add_rates",
        }
    }
}

const _: () = {
    let mut index = 0;
    while index < Kernel::ALL.len() {
        assert!(Kernel::ALL[index] as usize == index);
        index += 1;
    }
};

/// A kernel with its grid, of blocks of [`LANES`] threads, and what it reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// What runs.
    pub kernel: Kernel,
    /// Blocks.
    pub grid: (u32, u32, u32),
    /// What it reads.
    pub input: Buffer,
    /// What it writes.
    pub output: Buffer,
    /// Its last argument.
    pub step: Step,
}

/// Frames of the rows that hold traces of `frames`.
pub fn stride(frames: usize) -> usize {
    (frames + BEYOND).next_multiple_of(TILE)
}

// `network.cu` has these distances in its kernels: what they pool as they read it, and of the filters the taps.
const _: () = assert!(POOLINGS[0] == 0 && POOLINGS[1] == 1 && POOLINGS[2] == 2);
const _: () = assert!(POOLINGS[3] == 0 && POOLINGS[4] == 0);
const _: () = assert!(DILATIONS[1] == 1 && DILATIONS[2] == 2 * POOLINGS[1]);

/// How a model's networks lie in a GPU's memory, and how they are launched.
#[derive(Clone, Debug)]
pub struct Plan {
    shapes: [LayerShape; 5],
    /// Of each level the first member, counted through all levels, and their number.
    levels: Vec<(usize, usize)>,
    /// First weight of each layer within a member.
    offsets: [usize; 5],
    /// Weights of a member.
    member: usize,
    /// The most channels between two layers.
    pub channels: usize,
    /// Frames beyond a row's end that its last channel's taps read.
    pub overhang: usize,
}

impl Plan {
    /// For the networks of this model.
    pub fn new(model: &Model) -> Self {
        let shapes = model.config.layers();
        let mut members = 0;
        let levels = model.levels.iter().map(|level| {
            members += level.members.len();
            (members - level.members.len(), level.members.len())
        });
        let levels = levels.collect();
        let mut member = 0;
        let offsets = pack(&model.levels[0].members[0]).map(|layer| {
            member += layer.len();
            member - layer.len()
        });
        Self {
            shapes,
            levels,
            offsets,
            member,
            channels: shapes.iter().map(|shape| shape.outputs).max().unwrap_or(1),
            overhang: model.config.windowsize,
        }
    }

    /// Bytes of the weights of all members.
    pub fn weight_bytes(&self) -> usize {
        let members: usize = self.levels.iter().map(|(_, members)| members).sum();
        members * self.member * size_of::<f32>()
    }

    /// The weights of all members of the model that this was made from, level by level.
    pub fn weights(&self, model: &Model) -> Vec<f32> {
        let members = model.levels.iter().flat_map(|level| &level.members);
        members.flat_map(pack).collect::<Vec<_>>().concat()
    }

    /// For each pass, the member that each row of these levels runs: (passes, rows), as many passes as the largest
    /// ensemble has members.
    pub fn members(&self, levels: &[usize]) -> Vec<Vec<u32>> {
        let ensembles = levels.iter().map(|&level| self.levels[level]);
        let passes = ensembles.clone().map(|(_, members)| members).max();
        let member = |pass: usize, (first, members): (usize, usize)| match pass < members {
            true => (first + pass) as u32,
            false => NO_MEMBER,
        };
        (0..passes.unwrap_or(0))
            .map(|pass| ensembles.clone().map(|level| member(pass, level)).collect())
            .collect()
    }

    /// The launches of one pass over `rows` rows of [`stride`] frames, layer by layer.
    pub fn launches(&self, rows: usize, stride: usize) -> [Launch; 5] {
        use Buffer::{One, Other, Samples, Sums};
        let layer = |index: usize, kernel, input, output| {
            let LayerShape {
                taps,
                inputs,
                outputs,
                dilation,
                ..
            } = self.shapes[index];
            let strips = outputs.div_ceil(STRIPS[index]) as u32;
            Launch {
                kernel,
                grid: (strips, (stride / TILE) as u32, rows as u32),
                input,
                output,
                step: Step {
                    inputs: inputs as u32,
                    outputs: outputs as u32,
                    taps: taps as u32,
                    dilation: dilation as u32,
                    stride: stride as u64,
                    input_channels: self.channels_in(input),
                    output_channels: self.channels_in(output),
                    layer: self.offsets[index] as u64,
                    member: self.member as u64,
                },
            }
        };
        [
            layer(0, Kernel::Convolve, Samples, One),
            layer(1, Kernel::Filter, One, Other),
            layer(2, Kernel::PoolAndFilter, Other, One),
            layer(3, Kernel::PoolAndConvolve, One, Other),
            layer(4, Kernel::AddRates, Other, Sums),
        ]
    }

    fn channels_in(&self, buffer: Buffer) -> u64 {
        match buffer {
            Buffer::Samples | Buffer::Sums => 1,
            Buffer::One | Buffer::Other => self.channels as u64,
        }
    }
}

/// A member's weights, layer by layer.
fn pack(member: &Weights) -> [Vec<f32>; 5] {
    let [conv1, _, _, dense1, dense2] = member.layers();
    let [conv2, conv3] = member.filters();
    let layer = |layer: &Layer, width| strips(&layer.bias, &[layer], width, width);
    let filter = |filter: &Filter, width: usize| {
        let points = filter.points.each_ref();
        strips(&filter.bias, &points, width, width.next_multiple_of(LOAD))
    };
    [
        layer(conv1, STRIPS[0]),
        filter(conv2, STRIPS[1]),
        filter(conv3, STRIPS[2]),
        layer(dense1, STRIPS[3]),
        layer(dense2, STRIPS[4]),
    ]
}

/// A layer in strips of `width` outputs, filled up to whole loads: of each strip the bias, filled up to `bias_width`, then
/// (rows, points, width), with 0 for outputs that are not there.
fn strips(bias: &[f32], points: &[&Layer], width: usize, bias_width: usize) -> Vec<f32> {
    let outputs = bias.len();
    let rows = points[0].kernel.len() / outputs;
    let mut all = Vec::new();
    for first in (0..outputs).step_by(width) {
        let strip = first..(first + width).min(outputs);
        all.extend_from_slice(&bias[strip.clone()]);
        all.resize(all.len() + bias_width - strip.len(), 0.0);
        for row in 0..rows {
            for point in points {
                all.extend_from_slice(&point.kernel[row * outputs..][strip.clone()]);
                all.resize(all.len() + width - strip.len(), 0.0);
            }
        }
    }
    all.resize(all.len().next_multiple_of(LOAD), 0.0);
    all
}
