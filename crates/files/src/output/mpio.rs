//! Opens a file through parallel HDF5, for this rank alone.
//!
//! The file is opened on `MPI_COMM_SELF`, although all ranks write to it. Opened on a communicator of all ranks, it would have to be
//! opened and closed by all of them at the same time, for which busy ranks would be waited for. With Open MPI 4.1 writing is slower, too:
//! 0.6 of the speed on two ranks.

use std::path::Path;

use hdf5::File;

/// Whether parallel HDF5 can be used: MPI runs, which it does not in unit tests.
#[cfg(feature = "mpio")]
pub(super) fn is_running() -> bool {
    let (mut started, mut ended) = (0, 0);
    // SAFETY: both may be called at any time; they write a number each.
    unsafe {
        mpi_sys::MPI_Initialized(&mut started);
        mpi_sys::MPI_Finalized(&mut ended);
    }
    started != 0 && ended == 0
}

/// Never: the program was built without parallel HDF5.
#[cfg(not(feature = "mpio"))]
pub(super) fn is_running() -> bool {
    false
}

/// Opens a file, of which other ranks may write other bytes; None where parallel HDF5 cannot be used. The file must be closed before
/// MPI ends, and nothing but values of contiguous, allocated datasets may be written. (As it closes the file, HDF5 1.10 writes the
/// superblock again, with the bytes that are there.)
#[cfg(feature = "mpio")]
pub(super) fn open(path: &Path) -> Option<hdf5::Result<File>> {
    if !is_running() {
        return None;
    }
    // SAFETY: a handle that the MPI library sets before MPI starts and never changes.
    let alone = unsafe { mpi_sys::RSMPI_COMM_SELF };
    let mut options = File::with_options();
    options.with_fapl(|access| access.mpio(alone, None));
    Some(options.open_rw(path))
}

/// None: the program was built without parallel HDF5.
#[cfg(not(feature = "mpio"))]
pub(super) fn open(_path: &Path) -> Option<hdf5::Result<File>> {
    None
}
