//! Reads `CellResp` piece by piece, against reading the file from its beginning to its end; and turning what was read.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use spikegrid_files::input::{Location, Orientation, Reader, Samples};
use spikegrid_mpi::run::assembly::{self, Assembly};
use spikegrid_mpi::run::subject_plan::SubjectPlan;
use zlib_rs::{Inflate, InflateFlush, Status};

const DATASET: &str = "CellResp";

/// Seconds for all pieces of a (T, N) dataset, which one rank reads in some stretches.
pub(crate) fn pieces(file: &Path, stretches: usize) -> f64 {
    let start = Instant::now();
    black_box(read(file, stretches));
    start.elapsed().as_secs_f64()
}

/// Seconds that one compute thread takes to make the traces of all units of what was read.
pub(crate) fn turn(file: &Path) -> f64 {
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
    let (traces, plan) = open(file, stretches);
    let pieces = plan.pieces();
    let stretches = pieces.iter().enumerate().map(|(stretch, pieces)| {
        let neurons = assembly::neurons(&plan, stretch, 0, 1);
        let mut assembly = Assembly::new(neurons, &plan.storage);
        for piece in pieces {
            let sent = assembly.read(&traces, piece, std::iter::empty());
            sent.expect("a piece");
        }
        assembly.whole().expect("all pieces")
    });
    let stretches = stretches.collect();
    (plan, stretches)
}

/// A (T, N) dataset, and the plan of a rank that reads it in some stretches.
fn open(file: &Path, stretches: usize) -> (Reader, SubjectPlan) {
    let location = Location::hdf5(file, DATASET, Orientation::FramesByNeurons);
    let traces = location
        .and_then(|location| location.open())
        .expect("traces");
    let mut plan = SubjectPlan::made_up(traces.storage());
    plan.stretch_units = plan.units().div_ceil(stretches);
    (traces, plan)
}

/// Seconds that the disk takes for the parts of rows that make up the stretches of a dataset (T, N) of f32 stored in one piece: several are
/// asked for at a time, and nothing is done with them.
pub(crate) fn parts(file: &Path, stretches: usize) -> f64 {
    /// With more, this takes no less time.
    const AT_A_TIME: usize = 8;
    /// What places in the file, and in memory, are multiples of where no cache is between.
    const PAGE: usize = 4096;
    let plan = &open(file, stretches).1;
    let dataset = hdf5::File::open(file).and_then(|file| file.dataset(DATASET));
    let first = dataset.expect("a dataset").offset().expect("one piece") as usize;
    let parts: Vec<[usize; 2]> = plan
        .pieces()
        .iter()
        .flatten()
        .flat_map(|piece| {
            let neurons = [piece.neurons.start, piece.neurons.end];
            let place = move |frame, neuron| first + 4 * (frame * plan.neurons + neuron);
            let part = move |frame| neurons.map(|neuron| place(frame, neuron));
            piece.frames.clone().map(part)
        })
        .map(|[start, end]| [start / PAGE * PAGE, end.next_multiple_of(PAGE)])
        .collect();
    let lengths = parts.iter().map(|[start, end]| end - start);
    let longest = lengths.max().expect("parts");
    let past_cache = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(file)
        .expect("a file");
    let next = AtomicUsize::new(0);
    let read = || {
        let mut memory = vec![0; longest + PAGE];
        let aligned = memory.as_ptr().align_offset(PAGE);
        while let Some([start, end]) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let buffer = &mut memory[aligned..][..end - start];
            // At the end of the file there may be less.
            let found = past_cache.read_at(buffer, *start as u64);
            assert!(found.expect("bytes") > 0);
        }
    };
    let start = Instant::now();
    std::thread::scope(|scope| (0..AT_A_TIME).for_each(|_| drop(scope.spawn(read))));
    start.elapsed().as_secs_f64()
}

/// Seconds for all bytes of a file in their order.
pub(crate) fn stream(file: &Path) -> f64 {
    let start = Instant::now();
    let mut file = File::open(file).expect("a file");
    let mut buffer = vec![0; 4 << 20];
    while file.read(&mut buffer).expect("bytes") > 0 {
        black_box(&buffer);
    }
    start.elapsed().as_secs_f64()
}

/// Seconds to inflate all chunks of the dataset, each once, in the order of the file.
pub(crate) fn inflate(file: &Path) -> f64 {
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
