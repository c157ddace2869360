//! Reading `CellResp` unit by unit, against reading the file from its beginning to its end.

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use spikegrid_mpi::input::traces::{Orientation, Traces};
use spikegrid_mpi::subject::unit_neurons;

const DATASET: &str = "CellResp";

/// Seconds for all work units of a (T, N) dataset, in order.
pub fn units(file: &Path) -> f64 {
    let start = Instant::now();
    let traces = Traces::open(file, DATASET, Orientation::FramesByNeurons).expect("traces");
    let (neurons, frames) = (traces.neurons(), traces.frames());
    let width = unit_neurons(neurons, frames, traces.chunk_width(), 30_000);
    let mut out = vec![0.0; width * frames];
    for first in (0..neurons).step_by(width) {
        let unit = first..neurons.min(first + width);
        let out = &mut out[..unit.len() * frames];
        traces.read(unit, out).expect("a unit");
        black_box(&out);
    }
    start.elapsed().as_secs_f64()
}

/// Seconds for all bytes of a file in their order.
pub fn stream(file: &Path) -> f64 {
    let start = Instant::now();
    let mut file = File::open(file).expect("a file");
    let mut buffer = vec![0; 4 << 20];
    while file.read(&mut buffer).expect("bytes") > 0 {
        black_box(&buffer);
    }
    start.elapsed().as_secs_f64()
}

/// Seconds for all chunks of the dataset, each once.
pub fn inflate(file: &Path) -> f64 {
    let start = Instant::now();
    let file = hdf5::File::open(file).expect("a file");
    let dataset = file.dataset(DATASET).expect("a dataset");
    let (shape, chunk) = (dataset.shape(), dataset.chunk().expect("chunks"));
    for row in (0..shape[0]).step_by(chunk[0]) {
        for column in (0..shape[1]).step_by(chunk[1]) {
            let rows = row..shape[0].min(row + chunk[0]);
            let columns = column..shape[1].min(column + chunk[1]);
            let values = dataset.read_slice_2d::<f32, _>((rows, columns));
            black_box(values.expect("a chunk"));
        }
    }
    start.elapsed().as_secs_f64()
}
