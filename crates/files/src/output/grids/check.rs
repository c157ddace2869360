//! Reads a grids file again before it gets its name: every entry of its index without HDF5, and what HDF5 makes of it.

use std::path::Path;

use hdf5::{Dataset, File};
use ndarray::s;
use zlib_rs::adler32::adler32;

use super::{GRIDS, Placed};
use crate::hdf5_access::reason;
use crate::output::index;

/// Planes whose pixels are read and compared.
const COMPARED: usize = 64;

/// Checks that each plane is where it was written.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn check(path: &Path, file: &std::fs::File, placed: &Placed) -> Result<(), String> {
    index::check(file, GRIDS, &placed.chunks, placed.end)?;
    let file = File::open(path).map_err(|error| reason(&error))?;
    let grids = file.dataset(GRIDS).map_err(|error| reason(&error))?;
    index::check_counts(&grids, &placed.chunks)?;
    check_each_chunk(&grids, placed)?;
    check_pixels(&grids, placed)
}

/// Lets HDF5 tell where each plane lies.
#[cfg(chunk_iter)]
fn check_each_chunk(grids: &Dataset, placed: &Placed) -> Result<(), String> {
    const STOP: i32 = 1;
    let planes = grids.shape()[1];
    let (mut right, mut seen) = (true, 0);
    let visited = grids.chunks_visit(|found| {
        let place = found.offset[0] as usize * planes + found.offset[1] as usize;
        right = placed.chunks.get(place).is_some_and(|chunk| {
            (found.addr, found.size, found.filter_mask)
                == (chunk.address, chunk.bytes, chunk.skipped_filters)
        });
        seen += 1;
        if right { 0 } else { STOP }
    });
    visited.map_err(|error| reason(&error))?;
    match right && seen == placed.chunks.len() {
        true => Ok(()),
        false => Err("HDF5 finds other places of planes".into()),
    }
}

/// HDF5 before 1.14 would have to look for each chunk from the first on.
#[cfg(not(chunk_iter))]
fn check_each_chunk(_: &Dataset, _: &Placed) -> Result<(), String> {
    Ok(())
}

/// Reads some planes through HDF5, and compares their pixels with those that were compressed.
fn check_pixels(grids: &Dataset, placed: &Placed) -> Result<(), String> {
    let (planes, last) = (grids.shape()[1], placed.chunks.len() - 1);
    for place in (0..COMPARED).map(|number| number * last / (COMPARED - 1)) {
        let (frame, plane) = (place / planes, place % planes);
        let pixels = grids.read_slice_2d::<u8, _>(s![frame, plane, .., ..]);
        let pixels = pixels.map_err(|error| reason(&error))?;
        if pixels.as_slice().map(|pixels| adler32(1, pixels)) != Some(placed.checksums[place]) {
            return Err(format!("other pixels of frame {frame}, plane {plane}"));
        }
    }
    Ok(())
}
