//! Chunks of HDF5 datasets as they are stored, without the filters that they passed through: the only `H5Dread_chunk`.
//!
//! Who inflates chunks outside HDF5 can do so on several threads, and compares equal ones without inflating them.

use std::ptr::null_mut;

use hdf5::{Dataset, h5check};
use hdf5_sys::h5::{herr_t, hsize_t};
use hdf5_sys::h5d::{H5Dget_num_chunks, H5Dread_chunk1};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5p::{H5P_DEFAULT, H5Pget_filter2, H5Pget_nfilters};
use hdf5_sys::h5z::H5Z_filter_t;

unsafe extern "C" {
    // Of HDF5 1.10.2 and later; hdf5-sys does not have it.
    fn H5Dget_chunk_storage_size(
        dataset: hid_t,
        start: *const hsize_t,
        bytes: *mut hsize_t,
    ) -> herr_t;
}

/// The filters that chunks of a dataset pass through, in the order of writing.
pub(crate) fn filters(dataset: &Dataset) -> Option<Vec<H5Z_filter_t>> {
    let settings = dataset.dcpl().ok()?;
    hdf5::sync::sync(|| {
        // SAFETY: the list of settings is open. Of each filter only the number is asked for: no values, no name.
        let count = h5check(unsafe { H5Pget_nfilters(settings.id()) }).ok()?;
        let filter = |place| {
            let (mut flags, mut values) = (0, 0);
            let filter = unsafe {
                H5Pget_filter2(
                    settings.id(),
                    place,
                    &mut flags,
                    &mut values,
                    null_mut(),
                    0,
                    null_mut(),
                    null_mut(),
                )
            };
            h5check(filter).ok()
        };
        (0..count as u32).map(filter).collect()
    })
}

/// The chunks of a dataset that are stored.
///
/// # Errors
/// If the dataset has no chunks, or its index cannot be read: HDF5's reason.
pub(crate) fn count(dataset: &Dataset) -> hdf5::Result<usize> {
    let space = dataset.space()?;
    let mut count = 0;
    // SAFETY: the dataset and its dataspace are open.
    hdf5::sync::sync(|| {
        h5check(unsafe { H5Dget_num_chunks(dataset.id(), space.id(), &mut count) })
    })?;
    usize::try_from(count).map_err(|error| error.to_string().into())
}

/// Whether all chunks of a dataset are stored; None where it has none, or their index cannot be read.
pub(crate) fn has_all(dataset: &Dataset) -> Option<bool> {
    let chunk = dataset.chunk()?;
    let along = |(length, chunk): (usize, usize)| length.div_ceil(chunk);
    let all: usize = dataset.shape().into_iter().zip(chunk).map(along).product();
    Some(count(dataset).ok()? == all)
}

/// The bytes that the chunk that begins at an element takes in the file; 0 where it was never stored.
///
/// # Errors
/// If the dataset has no chunk that begins there, or the index of chunks cannot be read.
pub(crate) fn stored_bytes(dataset: &Dataset, start: &[hsize_t]) -> hdf5::Result<usize> {
    if dataset.ndim() != start.len() {
        return Err("a place in a dataset of another shape".into());
    }
    let mut bytes = 0;
    // SAFETY: the dataset is open, and has as many axes as `start` has places.
    let found = hdf5::sync::sync(|| {
        h5check(unsafe { H5Dget_chunk_storage_size(dataset.id(), start.as_ptr(), &mut bytes) })
    });
    match found {
        Ok(_) => Ok(usize::try_from(bytes).unwrap_or(usize::MAX)),
        Err(error) if says_absent(&error) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Whether an error says that a chunk is not there: HDF5 1.10 has no other answer.
fn says_absent(error: &hdf5::Error) -> bool {
    let reason = error
        .stack()
        .and_then(|stack| stack.last().map(|last| last.desc().to_owned()));
    reason
        .is_some_and(|reason| reason.contains("not allocated") || reason.contains("isn't defined"))
}

/// Why a chunk was not read as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It was never stored, or the index of chunks is damaged.
    NotStored,
    /// It left filters out, takes more bytes than any such chunk, or cannot be read.
    OutOfOrdinary,
}

/// A dataset whose chunks, of `AXES` axes, pass through at least one filter.
pub(crate) struct RawChunks<'a, const AXES: usize> {
    dataset: &'a Dataset,
}

impl<'a, const AXES: usize> RawChunks<'a, AXES> {
    /// None if the dataset has other axes, or chunks that pass through no filter or none at all.
    pub(crate) fn of(dataset: &'a Dataset) -> Option<Self> {
        let of_axes = dataset.chunk()?.len() == AXES && dataset.ndim() == AXES;
        let filtered = filters(dataset).is_some_and(|filters| !filters.is_empty());
        (of_axes && filtered).then_some(Self { dataset })
    }

    /// Appends the bytes, at most `most`, of the chunk that begins at an element to `bytes`.
    ///
    /// # Errors
    /// The chunk cannot be used as it is stored; `bytes` is as before.
    pub(crate) fn append(
        &self,
        start: &[hsize_t; AXES],
        most: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Unread> {
        let before = bytes.len();
        let read = hdf5::sync::sync(|| {
            let size = stored_bytes(self.dataset, start).unwrap_or(0);
            if size == 0 {
                return Err(Unread::NotStored);
            }
            if size > most {
                return Err(Unread::OutOfOrdinary);
            }
            bytes.resize(before + size, 0);
            let mut left_out = 0;
            // SAFETY: the dataset is open, and its chunks have as many axes as `start` (see `of`). HDF5 writes as many bytes as the index says that the chunk takes, which for chunks with filters
            // (see `of`) is what it said before, under the same lock.
            let read = h5check(unsafe {
                H5Dread_chunk1(
                    self.dataset.id(),
                    H5P_DEFAULT,
                    start.as_ptr(),
                    &mut left_out,
                    bytes[before..].as_mut_ptr().cast(),
                )
            });
            match (read, left_out) {
                (Ok(_), 0) => Ok(()),
                _ => Err(Unread::OutOfOrdinary),
            }
        });
        if read.is_err() {
            bytes.truncate(before);
        }
        read
    }
}
