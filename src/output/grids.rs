//! `preaugmented_grids.h5` (rule 8.1): all ranks rasterise and write their frames together.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use hdf5::{Dataset, File};

use super::collective::{Block, write_bytes};
use super::{OutputError, partial, provenance};
use crate::comm::{RankFailure, World};
use crate::config::{Config, Provenance};
use crate::exchange::{Exchange, Rounds};
use crate::grid::{COLUMNS, Layout, PLANE_BYTES, ROWS};
use crate::subject::SubjectPlan;

/// The dataset of the grids, u8 (T, Z, 256, 128), one chunk per frame and plane.
pub const GRIDS: &str = "grids";
const GZIP_LEVEL: u8 = 1;

/// The failure of a write that a signal ended.
pub const STOPPED: &str = "stopped by a signal";

const TRIAL_BYTES: usize = 4 << 20;

/// Bytes of grids that a rank hands to one collective write, at most (but always a whole plane).
const WRITE_BYTES: usize = 8 << 20;

/// A subject's spikes, spread over the ranks, and where they lie in the grids.
pub struct Spikes<'a> {
    pub plan: &'a SubjectPlan,
    pub layout: &'a Layout,
    /// The rank that holds each unit.
    pub owners: &'a [usize],
    /// The units held here, (n, ceil(T / 8)) bytes each.
    pub held: &'a BTreeMap<usize, Vec<u8>>,
}

/// Writes the dataset `grids` of the file's temporary name. Collective.
///
/// # Errors
/// The first rank's failure, the same on all ranks; [`STOPPED`] where `signal` is set on one.
pub fn write(
    world: &World,
    path: &Path,
    spikes: &Spikes,
    signal: &AtomicUsize,
) -> Result<(), RankFailure> {
    let path = &partial(path);
    // Parallel HDF5 does not survive a file that some ranks cannot open: each tries alone first.
    let made = match world.is_root() {
        true => std::fs::File::create(path).map(drop),
        false => Ok(()),
    };
    world.agree(made.map_err(OutputError::io(path, "cannot be created")))?;
    let trial = OpenOptions::new().append(true).open(path);
    world.agree(trial.map_err(OutputError::io(path, "cannot be opened")))?;
    // To close what not all ranks could write would fail again, or wait for ever: it stays open.
    let failed = |action| move |error| write_error(path, action, error);
    let opening = format!("opening {} together", path.display());
    let file = world.open_together(&opening, || create(world, path).map(ManuallyDrop::new));
    let file = world.agree_after(file.map_err(failed("cannot be created")))?;
    let shape = (spikes.plan.frames, spikes.layout.planes(), ROWS, COLUMNS);
    let layout = format!("laying out {} together", path.display());
    let dataset = world.open_together(&layout, || {
        create_dataset(&file, shape).map(ManuallyDrop::new)
    });
    let dataset = world.agree_after(dataset.map_err(failed("cannot be laid out")))?;
    write_rounds(world, &dataset, path, spikes, signal)?;
    world.agree_after(dataset.flush().map_err(failed("cannot be written")))?;
    drop(ManuallyDrop::into_inner(dataset));
    let closed = ManuallyDrop::into_inner(file).close();
    world.agree_after(closed.map_err(failed("cannot be closed")))
}

/// MPI does not hand on why the system refused to write: a trial with more than a buffer's worth of bytes finds out.
fn write_error(path: &Path, action: &'static str, error: hdf5::Error) -> OutputError {
    let trial = OpenOptions::new()
        .append(true)
        .open(path)
        .and_then(|mut file| {
            file.write_all(&vec![0; TRIAL_BYTES])?;
            file.sync_all()
        });
    match trial {
        Ok(()) => OutputError::hdf5(path, action)(error),
        Err(reason) => OutputError::io(path, action)(reason),
    }
}

fn create(world: &World, path: &Path) -> hdf5::Result<File> {
    // Without collective metadata writes HDF5 1.10 crashes on files of many chunks (HDFGroup/hdf5#265).
    File::with_options()
        .with_fapl(|access| {
            access
                .mpio(world.communicator(), None)
                .coll_metadata_write(true)
        })
        .create(path)
}

fn create_dataset(file: &File, shape: (usize, usize, usize, usize)) -> hdf5::Result<Dataset> {
    let dataset = file.new_dataset::<u8>().shape(shape);
    dataset
        .chunk((1, 1, ROWS, COLUMNS))
        .deflate(GZIP_LEVEL)
        .create(GRIDS)
}

fn write_rounds(
    world: &World,
    dataset: &Dataset,
    path: &Path,
    spikes: &Spikes,
    signal: &AtomicUsize,
) -> Result<(), RankFailure> {
    let Spikes {
        plan,
        layout,
        owners,
        held,
    } = *spikes;
    let rounds = Rounds::new(plan.frames, plan.neurons, world.size());
    let mut exchange = Exchange::new(rounds, plan, held, owners);
    let tiles = tiles(rounds.slab_frames(), layout.planes());
    let mut volume = Vec::new();
    for round in 0..rounds.count() {
        let slab = rounds.slab(round, world.rank());
        let (rows, row_bytes) = exchange.slab(world, round);
        let mut outcome = Ok(());
        for (frames, planes) in &tiles {
            let frames = frames.start.min(slab.len())..frames.end.min(slab.len());
            let block = (!frames.is_empty() && outcome.is_ok()).then(|| Block {
                start: [
                    (slab.start + frames.start) as u64,
                    planes.start as u64,
                    0,
                    0,
                ],
                count: [
                    frames.len() as u64,
                    planes.len() as u64,
                    ROWS as u64,
                    COLUMNS as u64,
                ],
            });
            volume.resize(
                block.map_or(0, |_| frames.len() * planes.len() * PLANE_BYTES),
                0,
            );
            if block.is_some() {
                layout.rasterise(rows, row_bytes, frames, planes.clone(), &mut volume);
            }
            let written = write_bytes(dataset, block, &volume);
            outcome = outcome.and(written);
        }
        let outcome = match signal.load(Ordering::Relaxed) {
            0 => outcome
                .map_err(|error| write_error(path, "cannot be written", error))
                .map_err(|error| error.to_string()),
            _ => Err(STOPPED.to_string()),
        };
        world.agree_after(outcome)?;
    }
    Ok(())
}

/// Cuts a slab of frames into rectangles of frames and planes, each small enough for one collective write.
fn tiles(frames: usize, planes: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let tile_planes = planes.clamp(1, WRITE_BYTES / PLANE_BYTES);
    let tile_frames = (WRITE_BYTES / PLANE_BYTES / tile_planes).clamp(1, frames.max(1));
    let mut tiles = Vec::new();
    for frame in (0..frames).step_by(tile_frames) {
        for plane in (0..planes).step_by(tile_planes) {
            tiles.push((
                frame..(frame + tile_frames).min(frames),
                plane..(plane + tile_planes).min(planes),
            ));
        }
    }
    tiles
}

/// Adds everything but the grids to the file of the temporary name. For one rank, after [`write()`].
///
/// # Errors
/// HDF5's reason.
pub fn complete(
    path: &Path,
    plan: &SubjectPlan,
    planes: usize,
    is_train: &[u8],
    provenance: &Provenance,
    config: &Config,
) -> Result<(), OutputError> {
    let path = partial(path);
    let add = || {
        let file = File::open_rw(&path)?;
        let timepoints: Vec<i32> = (0..plan.frames as i32).collect();
        file.new_dataset_builder()
            .with_data(&timepoints)
            .create("timepoint_indices")?;
        file.new_dataset_builder()
            .with_data(is_train)
            .create("is_train")?;
        provenance::write(&file, &plan.name, plan.frames, planes, provenance, config)?;
        file.close()
    };
    add().map_err(OutputError::hdf5(&path, "cannot be completed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_a_slab_once_and_stay_small() {
        for frames in [1, 8, 64, 512] {
            for planes in [1, 3, 29, 181, 256, 257, 5000] {
                let mut seen = vec![0_u8; frames * planes];
                for (f, p) in tiles(frames, planes) {
                    assert!(f.len() * p.len() * PLANE_BYTES <= WRITE_BYTES);
                    for frame in f {
                        for plane in p.clone() {
                            seen[frame * planes + plane] += 1;
                        }
                    }
                }
                assert!(
                    seen.iter().all(|&count| count == 1),
                    "{frames} frames, {planes} planes"
                );
            }
        }
    }
}
