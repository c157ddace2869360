//! Putting compressed planes into a closed file: by every rank, against one rank that writes them through HDF5.

use std::path::Path;
use std::time::{Duration, Instant};

use spikegrid_core::slab::{Compression, Planes, Slab, Slabs, UnitSpikes};
use spikegrid_core::spikes::row_bytes;
use spikegrid_files::output::grids::{GridsFile, RankFile};
use spikegrid_files::output::partial;
use spikegrid_mpi::run::messages::Message;
use spikegrid_mpi::say;
use spikegrid_ranks::World;

use crate::compute::{PLANES, one_percent};
use crate::data;
use crate::grids::wait_for_all;

const NEURONS: usize = 20_000;

/// Prints, `repeats` times, the seconds in which all ranks put the planes of these frames into a closed file, and those in which
/// rank 0 does so alone, chunk by chunk through HDF5.
pub(crate) fn run(folder: &Path, frames: usize, repeats: usize) {
    let (_universe, mut world) = World::start().expect("MPI");
    let slabs = slabs(frames);
    let path = folder.join("grids.h5");
    for _ in 0..repeats {
        wait_for_all(&world);
        let start = Instant::now();
        let file = world
            .is_root()
            .then(|| GridsFile::create(&path, frames, PLANES).expect("a file"));
        match file {
            Some(file) => write_as_root(&mut world, file, &path, &slabs),
            None => write(&mut world, &path, &slabs),
        }
        let every_rank = start.elapsed();
        if world.is_root() {
            let start = Instant::now();
            let file = GridsFile::create_for_one_rank(&path, frames, PLANES, "a bench".into());
            let file = file.expect("a file");
            for planes in &slabs {
                file.write(planes).expect("written");
            }
            file.close().expect("a whole file");
            let one_rank = start.elapsed();
            std::fs::remove_file(partial(&path)).expect("removed");
            say!("{} {}", every_rank.as_secs_f64(), one_rank.as_secs_f64());
        }
        wait_for_all(&world);
    }
}

/// Compressed planes, the same on every rank.
fn slabs(frames: usize) -> Vec<Planes> {
    let spikes = data::bits(NEURONS * row_bytes(frames), one_percent(NEURONS));
    let layout = data::layout(NEURONS, PLANES);
    let slabs = Slabs::new(frames, NEURONS, PLANES, Compression::Gzip);
    let mut whole = Slab::silent(0..frames, NEURONS);
    whole.put(&UnitSpikes::new(0..NEURONS, NEURONS, frames, &spikes));
    let rasterise = |slab| {
        let slab = whole.part(slabs.frames(slab));
        slab.rasterise(&layout, Compression::Gzip, || Duration::ZERO)
    };
    (0..slabs.count()).map(rasterise).collect()
}

/// Rank 0 sends each rank the places of its slabs, writes its own, and closes the file when all ranks have closed theirs.
fn write_as_root(world: &mut World, mut file: GridsFile, path: &Path, slabs: &[Planes]) {
    for (slab, planes) in slabs.iter().enumerate() {
        let place = Message::Place {
            subject: slab,
            first_frame: planes.table.frames.start,
            address: file.place(&planes.table).expect("a place"),
        };
        world.send(slab % world.size(), place);
    }
    write(world, path, slabs);
    file.close().expect("a whole file");
}

/// Writes this rank's slabs at the places that rank 0 sends.
fn write(world: &mut World, path: &Path, slabs: &[Planes]) {
    let mut left = (world.rank()..slabs.len()).step_by(world.size()).count();
    let mut file = None;
    while left > 0 {
        while let Some((_, message)) = world.receive() {
            let Message::Place {
                subject: slab,
                address,
                ..
            } = message
            else {
                panic!("{message:?}")
            };
            let file =
                file.get_or_insert_with(|| RankFile::open(&partial(path)).expect("the file"));
            file.write(address, &slabs[slab].bytes).expect("written");
            left -= 1;
        }
    }
    if let Some(file) = file {
        file.close().expect("on disk");
    }
    wait_for_all(world);
}
