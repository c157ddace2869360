//! Collective writes to a filtered dataset, which the safe interface of HDF5 does not offer: the only `unsafe` of the
//! output.
//!
//! Parallel HDF5 wants every rank to take part in every write of a compressed dataset, with an empty selection where a
//! rank has nothing, and a transfer property list that says so.

use hdf5::{Dataset, h5check};
use hdf5_sys::h5::hsize_t;
use hdf5_sys::h5d::{H5Dget_space, H5Dwrite};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5p::{
    H5FD_mpio_xfer_t, H5P_CLS_DATASET_XFER, H5Pclose, H5Pcreate, H5Pset_dxpl_mpio,
};
use hdf5_sys::h5s::{
    H5S_seloper_t, H5Sclose, H5Screate_simple, H5Sselect_hyperslab, H5Sselect_none,
};

/// A rectangle of a four-dimensional dataset: where it begins and how far it reaches.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    pub start: [u64; 4],
    pub count: [u64; 4],
}

/// An identifier of HDF5 that is released when dropped.
struct Owned {
    id: hid_t,
    close: unsafe extern "C" fn(hid_t) -> i32,
}

impl Owned {
    fn new(id: hid_t, close: unsafe extern "C" fn(hid_t) -> i32) -> hdf5::Result<Self> {
        Ok(Self {
            id: h5check(id)?,
            close,
        })
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: `id` was returned by the call that `close` belongs to, and is closed once.
        unsafe { (self.close)(self.id) };
    }
}

/// Writes this rank's `block` of bytes, or takes part without writing. Collective: every rank calls it equally often.
///
/// `data` is the block in row-major order, one byte per element.
///
/// # Errors
/// HDF5's reason, or a block that does not fit `data`. Other ranks may have succeeded.
pub fn write_bytes(dataset: &Dataset, block: Option<Block>, data: &[u8]) -> hdf5::Result<()> {
    let elements = block.map_or(0, |block| block.count.iter().product::<u64>());
    if elements != data.len() as u64 {
        return Err(hdf5::Error::from(format!(
            "a block of {elements} bytes, but {} bytes to write",
            data.len()
        )));
    }
    let file_type = dataset.dtype()?;
    // SAFETY: every identifier is valid until its `Owned` is dropped; `start` and `count` have the dataset's rank of
    // four, which HDF5 checks against the extent; `data` holds as many bytes as are selected (checked above) of a type
    // of one byte (`file_type` is the dataset's u8).
    unsafe {
        let transfer = Owned::new(H5Pcreate(*H5P_CLS_DATASET_XFER), H5Pclose)?;
        h5check(H5Pset_dxpl_mpio(
            transfer.id,
            H5FD_mpio_xfer_t::H5FD_MPIO_COLLECTIVE,
        ))?;
        let file_space = Owned::new(H5Dget_space(dataset.id()), H5Sclose)?;
        // Of the same shape as the selection: otherwise HDF5 maps element by element, hundreds of times slower.
        let shape: [hsize_t; 4] = block.map_or([1; 4], |block| block.count);
        let memory_space = Owned::new(
            H5Screate_simple(4, shape.as_ptr(), std::ptr::null()),
            H5Sclose,
        )?;
        match block {
            Some(block) => {
                h5check(H5Sselect_hyperslab(
                    file_space.id,
                    H5S_seloper_t::H5S_SELECT_SET,
                    block.start.as_ptr(),
                    std::ptr::null(),
                    block.count.as_ptr(),
                    std::ptr::null(),
                ))?;
            }
            None => {
                h5check(H5Sselect_none(file_space.id))?;
                h5check(H5Sselect_none(memory_space.id))?;
            }
        }
        h5check(H5Dwrite(
            dataset.id(),
            file_type.id(),
            memory_space.id,
            file_space.id,
            transfer.id,
            data.as_ptr().cast(),
        ))?;
    }
    Ok(())
}
