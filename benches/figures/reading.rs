//! Reading `CellResp` piece by piece, against reading the file from its beginning to its end; and turning what was read.

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use spikegrid_mpi::gather::{self, Gathered};
use spikegrid_mpi::input::traces::{Orientation, Samples, Traces};
use spikegrid_mpi::memory::Budget;
use spikegrid_mpi::subject::SubjectPlan;

const DATASET: &str = "CellResp";
/// Enough to hold the recording in one stretch.
const RANKS: usize = 2;

/// Seconds for all pieces of a (T, N) dataset, which one rank of [`RANKS`] reads while the others do nothing.
pub fn pieces(file: &Path) -> f64 {
    let start = Instant::now();
    black_box(read(file));
    start.elapsed().as_secs_f64()
}

/// Seconds that one compute thread takes to make the traces of all units of what was read.
pub fn turn(file: &Path) -> f64 {
    let (plan, stretches) = read(file);
    let start = Instant::now();
    for (stretch, samples) in stretches.iter().enumerate() {
        for unit in plan.stretch(stretch) {
            black_box(samples.traces(&plan.unit(unit)));
        }
    }
    start.elapsed().as_secs_f64()
}

fn read(file: &Path) -> (SubjectPlan, Vec<Arc<Samples>>) {
    let traces = Traces::open(file, DATASET, Orientation::FramesByNeurons).expect("traces");
    let mut plan = SubjectPlan::made_up(traces.storage());
    let budget = Budget {
        limit: 1 << 30,
        at_start: 60 << 20,
        ranks: RANKS,
        threads: 1,
    };
    let longest = budget.longest_share(&plan, 29, false);
    plan.cut(longest.expect("a subject that fits"), RANKS);
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
