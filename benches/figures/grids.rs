//! Writing grids, against zlib alone on the same bytes.

use std::collections::BTreeSet;
use std::ffi::{c_int, c_ulong};
use std::path::Path;
use std::time::{Duration, Instant};

use spikegrid_core::cascade::PostProcess;
use spikegrid_core::grid::{Layout, PLANE_BYTES};
use spikegrid_core::slab::UnitSpikes;
use spikegrid_core::spikes::row_bytes;
use spikegrid_files::output::partial;
use spikegrid_inference::pipeline::Workers;
use spikegrid_mpi::run::messages::{GridsJob, Message, Order, Reply, WriteJob};
use spikegrid_mpi::run::pipelines::Pipelines;
use spikegrid_mpi::run::schedule::{Scheduler, Step};
use spikegrid_mpi::run::worker::Worker;
use spikegrid_mpi::say;
use spikegrid_ranks::World;

use crate::compute::{PLANES, one_percent};
use crate::data;

const NEURONS: usize = 100_000;
/// Neurons of a work unit.
const UNIT: usize = 40;

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

/// Prints, `repeats` times, the seconds from bit-packed spikes in their writer's memory to a closed file, and those that zlib takes
/// for the same bytes on each rank.
pub(crate) fn run(folder: &Path, frames: usize, repeats: usize) {
    let (_universe, mut world) = World::start().expect("MPI");
    let pipelines = Pipelines::new(PostProcess::default(), 42);
    let mut worker = Worker::new(pipelines, Workers::new(1).expect("a thread"));
    let spikes = data::bits(NEURONS * row_bytes(frames), one_percent(NEURONS));
    let job = |subject| WriteJob {
        subject,
        frames,
        neurons: NEURONS,
        units: NEURONS / UNIT,
        layout: data::layout(NEURONS, PLANES),
        grids: Some(GridsJob::Compress(folder.join("grids.h5"))),
    };
    for subject in 0..repeats {
        let job = job(subject);
        let layout = job.layout.clone();
        let prepared = world.is_root().then(|| (units(&spikes, frames), job));
        wait_for_all(&world);
        let start = Instant::now();
        write(&mut world, &mut worker, subject, prepared);
        let written = start.elapsed().as_secs_f64();
        if world.is_root() {
            std::fs::remove_file(partial(&folder.join("grids.h5"))).expect("the grids");
        }
        wait_for_all(&world);
        let compressed = deflate(&world, &layout, &spikes, frames);
        let slowest = world.gather((compressed * 1e9) as u64).into_iter().max();
        if let Some(slowest) = slowest {
            say!("{written} {}", slowest as f64 / 1e9);
        }
    }
}

/// The spikes of all work units, as the ranks that compute them send them.
fn units(spikes: &[u8], frames: usize) -> Vec<UnitSpikes> {
    let units = spikes.chunks(UNIT * row_bytes(frames)).enumerate();
    units
        .map(|(unit, spikes)| {
            UnitSpikes::new(UNIT * unit..UNIT * (unit + 1), NEURONS, frames, spikes)
        })
        .collect()
}

/// Waits until all ranks are here.
pub(crate) fn wait_for_all(world: &World) {
    world.agree(Ok::<(), String>(())).expect("no rank failed");
}

/// Lets rank 0, where the spikes are, write the subject with the help of all ranks.
fn write(
    world: &mut World,
    worker: &mut Worker,
    subject: usize,
    prepared: Option<(Vec<UnitSpikes>, WriteJob)>,
) {
    let mut scheduler = Scheduler::new([subject], world.size(), 1);
    if let Some((units, job)) = prepared {
        for spikes in units {
            worker.handle(world, 0, Message::Spikes { subject, spikes });
        }
        worker.handle(world, 0, Message::Order(Order::Write(Box::new(job))));
    }
    loop {
        while world.is_root()
            && let Some(step) = scheduler.next()
        {
            match step {
                Step::Plan { subject, .. } => {
                    scheduler.planned(subject, Vec::new(), BTreeSet::new());
                }
                Step::Rasterise {
                    rank,
                    subject,
                    slab,
                } => {
                    let order = Order::SendSlab {
                        subject,
                        slab,
                        rank,
                    };
                    world.send(0, Message::Order(order));
                }
                Step::Finish => {
                    for rank in 0..world.size() {
                        world.send(rank, Message::Order(Order::Finish { status: 0 }));
                    }
                    break;
                }
                _ => {}
            }
        }
        let mut idle = true;
        while let Some((from, message)) = world.receive() {
            idle = false;
            match worker.handle(world, from, message) {
                Some(Message::Order(Order::Finish { .. })) => return,
                Some(Message::Reply(Reply::Opened {
                    subject,
                    slabs,
                    at_once,
                })) => scheduler.opened(subject, slabs, at_once),
                Some(Message::Reply(Reply::Rasterised { rank, subject })) => {
                    scheduler.rasterised(rank, subject)
                }
                Some(Message::Reply(Reply::Written { subject, .. })) => scheduler.ended(subject),
                Some(other) => panic!("{other:?}"),
                None => {}
            }
            worker.handle_results(world);
        }
        if !worker.handle_results(world) && idle {
            worker.wait_for_result(world, Duration::from_millis(1));
        }
    }
}

/// Seconds that zlib's level 1 takes for this rank's share of the frames, plane by plane.
fn deflate(world: &World, layout: &Layout, spikes: &[u8], frames: usize) -> f64 {
    const PIECE: usize = 8;
    let share = frames / world.size();
    let first = world.rank() * share;
    let mut grids = vec![0_u8; PIECE * PLANES * PLANE_BYTES];
    // SAFETY: a function of its argument.
    let mut packed = vec![0_u8; unsafe { compressBound(PLANE_BYTES as c_ulong) } as usize];
    let mut seconds = 0.0;
    for first in (first..first + share).step_by(PIECE) {
        let piece = first..first + PIECE;
        layout.rasterise(spikes, row_bytes(frames), piece, 0..PLANES, &mut grids);
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
    seconds
}
