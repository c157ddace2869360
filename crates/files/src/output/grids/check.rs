//! Reads a grids file again before it gets its name: through HDF5, and without it.

use std::path::Path;

use hdf5::File;
use ndarray::s;
use zlib_rs::adler32::adler32;

use super::index::FixedArray;
use super::{GRIDS, Placed};
use crate::hdf5_access::reason;

/// Planes whose pixels are read and compared.
const COMPARED: usize = 64;

/// Checks that each plane is where it was written.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn check(path: &Path, file: &std::fs::File, placed: &Placed) -> Result<(), String> {
    check_index(file, placed)?;
    check_through_hdf5(path, placed)
}

/// Reads every entry of the index without HDF5.
fn check_index(file: &std::fs::File, placed: &Placed) -> Result<(), String> {
    let index = FixedArray::find(file, GRIDS)?;
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    if index.end_of_file != placed.end || length < placed.end {
        return Err("the file ends elsewhere".into());
    }
    let entries = index.entries(file)?;
    let expected = placed.chunks.iter().copied().map(Some);
    match entries.into_iter().eq(expected) {
        true => Ok(()),
        false => Err("the index names other places".into()),
    }
}

/// Lets HDF5 count the planes and their bytes, and reads some of them.
fn check_through_hdf5(path: &Path, placed: &Placed) -> Result<(), String> {
    let file = File::open(path).map_err(|error| reason(&error))?;
    let dataset = file.dataset(GRIDS).map_err(|error| reason(&error))?;
    let count = placed.chunks.len();
    if dataset.num_chunks() != Some(count) {
        return Err(format!(
            "HDF5 finds {:?} chunks of {count}",
            dataset.num_chunks()
        ));
    }
    let bytes: u64 = placed.chunks.iter().map(|chunk| chunk.bytes).sum();
    if dataset.storage_size() != bytes {
        return Err(format!(
            "HDF5 finds {} bytes of {bytes}",
            dataset.storage_size()
        ));
    }
    let planes = dataset.shape()[1];
    for place in (0..COMPARED).map(|number| number * (count - 1) / (COMPARED - 1)) {
        let (frame, plane) = (place / planes, place % planes);
        let pixels = dataset.read_slice_2d::<u8, _>(s![frame, plane, .., ..]);
        let pixels = pixels.map_err(|error| reason(&error))?;
        if pixels.as_slice().map(|pixels| adler32(1, pixels)) != Some(placed.checksums[place]) {
            return Err(format!("other pixels of frame {frame}, plane {plane}"));
        }
    }
    Ok(())
}
