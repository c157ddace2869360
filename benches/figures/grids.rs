//! Writing grids through parallel HDF5, against zlib alone on the same bytes.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_ulong};
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use spikegrid_mpi::comm::World;
use spikegrid_mpi::exchange::Rounds;
use spikegrid_mpi::grid::{Layout, PLANE_BYTES};
use spikegrid_mpi::output::grids::{Spikes, write};
use spikegrid_mpi::output::partial;
use spikegrid_mpi::say;
use spikegrid_mpi::spikes::row_bytes;

use crate::compute::{PLANES, one_percent};
use crate::data;

const NEURONS: usize = 100_000;

// The zlib that HDF5 uses.
#[link(name = "z")]
unsafe extern "C" {
    fn compress2(
        to: *mut u8,
        to_length: *mut c_ulong,
        from: *const u8,
        length: c_ulong,
        level: c_int,
    ) -> c_int;
    fn compressBound(length: c_ulong) -> c_ulong;
}

/// Prints, `repeats` times, the seconds from bit-packed spikes in memory to a closed file, and those that zlib takes for the
/// same bytes on each rank.
pub fn run(folder: &Path, frames: usize, repeats: usize) {
    let (_universe, world) = World::start().expect("MPI");
    let plan = crate::plan(NEURONS, frames, None);
    let owners: Vec<usize> = (0..plan.units()).map(|unit| unit % world.size()).collect();
    let row = row_bytes(frames);
    let spikes = data::bits(NEURONS * row, one_percent(NEURONS));
    let of_unit = |unit| {
        let neurons = plan.unit(unit);
        spikes[neurons.start * row..neurons.end * row].to_vec()
    };
    let held: BTreeMap<usize, Vec<u8>> = (0..plan.units())
        .filter(|&unit| owners[unit] == world.rank())
        .map(|unit| (unit, of_unit(unit)))
        .collect();
    let layout = Layout::new(&data::positions(NEURONS, PLANES));
    let path = folder.join("grids.h5");
    for _ in 0..repeats {
        meet(&world);
        let start = Instant::now();
        let spikes_held = Spikes {
            plan: &plan,
            layout: &layout,
            owners: &owners,
            held: &held,
        };
        write(&world, &path, &spikes_held, &AtomicUsize::new(0)).expect("grids");
        let written = start.elapsed().as_secs_f64();
        if world.is_root() {
            std::fs::remove_file(partial(&path)).expect("the grids that were written");
        }
        meet(&world);
        let compressed = deflate(&world, &layout, &spikes, frames);
        let slowest = world.gather((compressed * 1e9) as u64).into_iter().max();
        if let Some(slowest) = slowest {
            say!("{written} {}", slowest as f64 / 1e9);
        }
    }
}

/// Waits until all ranks are here.
fn meet(world: &World) {
    world.agree(Ok::<(), String>(())).expect("no rank failed");
}

/// Seconds that zlib's level 1 takes for the frames of this rank, plane by plane.
fn deflate(world: &World, layout: &Layout, spikes: &[u8], frames: usize) -> f64 {
    const PIECE: usize = 8;
    let rounds = Rounds::new(frames, NEURONS, world.size());
    let mut grids = vec![0_u8; PIECE * PLANES * PLANE_BYTES];
    // SAFETY: a function of its argument.
    let mut packed = vec![0_u8; unsafe { compressBound(PLANE_BYTES as c_ulong) } as usize];
    let mut seconds = 0.0;
    for round in 0..rounds.count() {
        let slab = rounds.slab(round, world.rank());
        for first in slab.clone().step_by(PIECE) {
            let piece = first..slab.end.min(first + PIECE);
            let grids = &mut grids[..piece.len() * PLANES * PLANE_BYTES];
            layout.rasterise(spikes, row_bytes(frames), piece, 0..PLANES, grids);
            let start = Instant::now();
            for plane in grids.chunks_exact(PLANE_BYTES) {
                let mut length = packed.len() as c_ulong;
                // SAFETY: both buffers are as long as is said.
                let status = unsafe {
                    let (to, from) = (packed.as_mut_ptr(), plane.as_ptr());
                    compress2(to, &mut length, from, PLANE_BYTES as c_ulong, 1)
                };
                assert_eq!(status, 0);
            }
            seconds += start.elapsed().as_secs_f64();
        }
    }
    seconds
}
