//! The kernels, each on one thread: `cargo bench --bench kernels`.

#[path = "data/mod.rs"]
mod data;

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use pulp::Arch;
use spikegrid_core::baseline::{self, Baseline, SlidingPercentile, Window};
use spikegrid_core::cascade::convolution::Convolution;
use spikegrid_core::cascade::features::Features;
use spikegrid_core::cascade::weights::Layer;
use spikegrid_core::cascade::winograd::{Filter, FilterAndPool, Fours, Late};
use spikegrid_core::grid::PLANE_BYTES;
use spikegrid_core::spikes;

/// Frames of a tile.
const FRAMES: usize = 256;

/// The convolutions of the default architecture over a tile of the trace; elements are multiply-adds by the definition.
fn convolution(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("convolution");
    let conv1 = layer(13, 1, 30);
    let rows: Vec<usize> = (0..13).collect();
    let input = vec![0.5; FRAMES + rows.len() - 1];
    let mut output = vec![0.0; 30 * FRAMES];
    group.throughput(Throughput::Elements((FRAMES * conv1.kernel.len()) as u64));
    group.bench_function("conv1", |bencher| {
        bencher.iter(|| {
            Arch::new().dispatch(Convolution {
                input: &input,
                rows: &rows,
                layer: &conv1,
                output: &mut output,
                output_stride: FRAMES,
                entries: FRAMES,
                rectified: true,
            });
            black_box(&output);
        });
    });

    filter_and_pool::<1>(&mut group, "conv2", 30, layer(9, 30, 40), 0);
    filter_and_pool::<2>(&mut group, "conv3", 40, layer(3, 40, 50), 1);
}

fn layer(taps: usize, inputs: usize, outputs: usize) -> Layer {
    Layer {
        kernel: vec![0.1; taps * inputs * outputs],
        bias: vec![0.0; outputs],
    }
}

fn filter_and_pool<const DILATION: usize>(
    group: &mut BenchmarkGroup<WallTime>,
    name: &str,
    inputs: usize,
    layer: Layer,
    delay: usize,
) {
    let (mut input, mut output) = (Features::default(), Features::default());
    input.resize(inputs, 2, FRAMES);
    output.resize(layer.bias.len(), 0, FRAMES);
    let filter = Filter::new(&layer, inputs);
    let (mut late, mut fours) = (Late::default(), Fours::default());
    group.throughput(Throughput::Elements((FRAMES * layer.kernel.len()) as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let layer = FilterAndPool::<DILATION> {
                filter: &filter,
                input: &input,
                delay,
                output: &mut output,
                late: &mut late,
                frames: FRAMES,
            };
            fours.run(Arch::new(), layer);
            black_box(&output.values);
        });
    });
}

/// ΔF/F of a trace; elements are frames.
fn sliding_percentile(criterion: &mut Criterion) {
    const FRAMES: usize = 9000;
    let mut group = criterion.benchmark_group("sliding percentile");
    let fluorescence = data::fluorescence(1, FRAMES);
    let mut scratch = SlidingPercentile::new();
    group.throughput(Throughput::Elements(FRAMES as u64));
    for half in [30, 450] {
        let window = Window::from_half(half);
        group.bench_function(
            BenchmarkId::from_parameter(format!("{} frames", 2 * half + 1)),
            |bencher| {
                bencher.iter_batched_ref(
                    || fluorescence.clone(),
                    |trace| {
                        baseline::dff(Baseline::Dff, window, 8.0, trace, &mut scratch);
                    },
                    BatchSize::SmallInput,
                );
            },
        );
    }
}

/// Spikes of 8 frames on 29 planes; bytes are those of the grids.
fn rasterise(criterion: &mut Criterion) {
    const FRAMES: usize = 8;
    const PLANES: usize = 29;
    let mut group = criterion.benchmark_group("rasterise");
    let mut grids = vec![0_u8; FRAMES * PLANES * PLANE_BYTES];
    group.throughput(Throughput::Bytes(grids.len() as u64));
    for neurons in [10_000, 100_000] {
        let layout = data::layout(neurons, PLANES);
        let spikes = data::bits(neurons, 0.03);
        group.bench_function(
            BenchmarkId::from_parameter(format!("{neurons} neurons")),
            |bencher| {
                bencher.iter(|| {
                    layout.rasterise(&spikes, 1, 0..FRAMES, 0..PLANES, &mut grids);
                    black_box(&grids);
                });
            },
        );
    }
}

/// Rates to spikes; elements are frames.
fn spike_sampling(criterion: &mut Criterion) {
    const FRAMES: usize = 3000;
    let mut group = criterion.benchmark_group("spike sampling");
    let rate = data::dff(1, FRAMES, 2.0);
    let mut packed = vec![0; spikes::row_bytes(FRAMES)];
    let mut generator = spikes::generator(42, "subject_1", 0);
    group.throughput(Throughput::Elements(FRAMES as u64));
    group.bench_function("one neuron", |bencher| {
        bencher.iter(|| black_box(spikes::sample(&rate, &mut generator, &mut packed)));
    });
}

criterion_group!(
    kernels,
    convolution,
    sliding_percentile,
    rasterise,
    spike_sampling
);
criterion_main!(kernels);
