//! Reading `CellResp` unit by unit, against reading the file from its beginning to its end.

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use spikegrid_mpi::input::traces::{Orientation, Traces};
use spikegrid_mpi::memory::Budget;
use spikegrid_mpi::schedule::{Scheduler, Step};

const DATASET: &str = "CellResp";

/// Seconds for all work units of a (T, N) dataset, in the runs in which one of two ranks is handed them.
pub fn units(file: &Path) -> f64 {
    let start = Instant::now();
    let traces = Traces::open(file, DATASET, Orientation::FramesByNeurons).expect("traces");
    let plan = crate::plan(traces.neurons(), traces.frames(), traces.chunk_width());
    let budget = Budget {
        limit: 1 << 30,
        at_start: 60 << 20,
        ranks: 2,
        threads: 1,
    };
    let longest = budget.longest_run(&plan, 29, false, traces.chunk_bytes());
    let mut scheduler = Scheduler::new([0], 2);
    scheduler.next();
    scheduler.planned(0, plan.units(), longest.expect("a subject that fits"));
    while let Some(Step::Compute { rank, units, .. }) = scheduler.next() {
        let neurons = plan.unit(units.start).start..plan.unit(units.end - 1).end;
        let mut out = vec![0.0; neurons.len() * plan.frames];
        let mut rows: Vec<&mut [f32]> = out.chunks_mut(plan.frames).collect();
        traces.read(neurons, &mut rows).expect("a run of units");
        black_box(&rows);
        units.for_each(|unit| scheduler.unit_done(rank, 0, unit));
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
