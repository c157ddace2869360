//! Writing grids that are not compressed, against plain positioned writes of the same bytes.

use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use spikegrid_core::slab::{Compression, Slabs};
use spikegrid_files::output::grids_contiguous::{ContiguousGrids, bytes};
use spikegrid_files::output::partial;
use spikegrid_mpi::say;
use spikegrid_ranks::World;

use crate::compute::PLANES;
use crate::grids::wait_for_all;

/// Prints, `repeats` times, the seconds from slabs of pixels in the memory of each rank to a file that every rank has closed, as the
/// program writes them and by plain positioned writes, in turns.
pub(crate) fn run(folder: &Path, frames: usize, repeats: usize) {
    let (_universe, mut world) = World::start().expect("MPI");
    let path = folder.join("grids.h5");
    let slabs = Slabs::new(frames, 0, PLANES, Compression::None);
    let own = || (world.rank()..slabs.count()).step_by(world.size());
    let own: Vec<Range<usize>> = own().map(|slab| slabs.frames(slab)).collect();
    let pixels: Vec<u8> = (0..bytes(slabs.frames(0).len(), PLANES))
        .map(|place| u8::from(place % 101 == 0))
        .collect();
    for _ in 0..repeats {
        let mut seconds = [0.0; 2];
        for (way, seconds) in seconds.iter_mut().enumerate() {
            let laid_out = world
                .is_root()
                .then(|| ContiguousGrids::create(&path, frames, PLANES).expect("a layout"));
            let grids = world.broadcast(laid_out);
            wait_for_all(&world);
            let start = Instant::now();
            match way {
                0 => {
                    let file = grids.open().expect("the file");
                    for frames in &own {
                        let pixels = &pixels[..bytes(frames.len(), PLANES) as usize];
                        file.write(frames, pixels).expect("planes");
                    }
                    file.close().expect("the file");
                }
                _ => plainly(&partial(&path), &own, &pixels),
            }
            wait_for_all(&world);
            *seconds = start.elapsed().as_secs_f64();
            if world.is_root() {
                std::fs::remove_file(partial(&path)).expect("the grids");
            }
        }
        if world.is_root() {
            say!("{} {}", seconds[0], seconds[1]);
        }
    }
    world.drain();
}

fn plainly(path: &Path, own: &[Range<usize>], pixels: &[u8]) {
    let dataset = hdf5::File::open(path).and_then(|file| file.dataset("grids"));
    let offset = dataset.expect("grids").offset().expect("a place");
    let file: File = OpenOptions::new().write(true).open(path).expect("the file");
    for frames in own {
        let pixels = &pixels[..bytes(frames.len(), PLANES) as usize];
        file.write_all_at(pixels, offset + bytes(frames.start, PLANES))
            .expect("planes");
    }
    file.sync_all().expect("the file");
}
