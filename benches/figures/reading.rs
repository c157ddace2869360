//! Reading `CellResp` piece by piece, against reading the file from its beginning to its end; and turning what was read.

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use spikegrid_mpi::gather::{self, Gathered};
use spikegrid_mpi::input::traces::{Orientation, Samples, Traces};
use spikegrid_mpi::subject::SubjectPlan;
use zlib_rs::{Inflate, InflateFlush, Status};

const DATASET: &str = "CellResp";

/// Seconds for all pieces of a (T, N) dataset, which one rank reads in some stretches.
pub fn pieces(file: &Path, stretches: usize) -> f64 {
    let start = Instant::now();
    black_box(read(file, stretches));
    start.elapsed().as_secs_f64()
}

/// Seconds that one compute thread takes to make the traces of all units of what was read.
pub fn turn(file: &Path) -> f64 {
    let (plan, stretches) = read(file, 1);
    let start = Instant::now();
    for (stretch, samples) in stretches.iter().enumerate() {
        for unit in plan.stretch(stretch) {
            black_box(samples.traces(&plan.unit(unit)));
        }
    }
    start.elapsed().as_secs_f64()
}

fn read(file: &Path, stretches: usize) -> (SubjectPlan, Vec<Arc<Samples>>) {
    let traces = Traces::open(file, DATASET, Orientation::FramesByNeurons).expect("traces");
    let mut plan = SubjectPlan::made_up(traces.storage());
    plan.stretch_units = plan.units().div_ceil(stretches);
    let pieces = plan.pieces();
    let stretches = pieces.iter().enumerate().map(|(stretch, pieces)| {
        let neurons = gather::neurons(&plan, stretch, 0, 1);
        let mut gathered = Gathered::new(neurons, &plan.storage);
        for piece in pieces {
            let sent = gathered.read(&traces, piece, std::iter::empty());
            sent.expect("a piece");
        }
        gathered.whole().expect("all pieces")
    });
    let stretches = stretches.collect();
    (plan, stretches)
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

/// Seconds to inflate all chunks of the dataset, each once, in the order of the file.
pub fn inflate(file: &Path) -> f64 {
    let dataset = hdf5::File::open(file).and_then(|file| file.dataset(DATASET));
    let dataset = dataset.expect("a dataset");
    let chunks = (0..dataset.num_chunks().expect("chunks")).map(|chunk| dataset.chunk_info(chunk));
    let mut chunks: Vec<_> = chunks
        .map(|chunk| chunk.expect("a chunk"))
        .map(|chunk| (chunk.addr, chunk.size as usize))
        .collect();
    chunks.sort_unstable();
    let numbers: usize = dataset.chunk().expect("chunks").iter().product();
    let mut values = vec![0; numbers * size_of::<f32>()];
    let mut stored = Vec::new();
    let mut inflate = Inflate::new(true, 15);
    let start = Instant::now();
    let file = File::open(file).expect("a file");
    for (place, size) in chunks {
        stored.resize(size, 0);
        file.read_exact_at(&mut stored, place).expect("a chunk");
        inflate.reset(true);
        let status = inflate.decompress(&stored, &mut values, InflateFlush::Finish);
        assert!(matches!(status, Ok(Status::StreamEnd)));
        black_box(&values);
    }
    start.elapsed().as_secs_f64()
}
