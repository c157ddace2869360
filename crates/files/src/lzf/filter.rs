//! LZF as a filter of the HDF5 library, for reading alone. h5py numbers it 32000.

use std::ffi::{c_uint, c_void};
use std::slice;
use std::sync::LazyLock;

use hdf5_sys::h5::{H5allocate_memory, H5free_memory};
use hdf5_sys::h5z::{H5Z_CLASS_T_VERS, H5Z_FLAG_REVERSE, H5Z_class2_t, H5Z_filter_t, H5Zregister};

use super::{decompress, decompressed_length};

/// The filter's number in files.
pub(crate) const LZF: H5Z_filter_t = 32000;

/// Bytes by which a decompressed chunk may be longer than its numbers: a checksum of an earlier filter.
const CHECKSUM: usize = 64;

/// Tells the HDF5 library of the filter, once in a process. Where the library does not take it, reading a chunk fails as it would
/// without.
pub(crate) fn register() {
    static REGISTERED: LazyLock<()> = LazyLock::new(|| {
        let class = H5Z_class2_t {
            version: H5Z_CLASS_T_VERS as _,
            id: LZF,
            encoder_present: 0,
            decoder_present: 1,
            name: c"lzf".as_ptr(),
            can_apply: None,
            set_local: None,
            filter: Some(filter),
        };
        // SAFETY: the library copies the class; the name and the function live as long as the program.
        hdf5::sync::sync(|| unsafe { H5Zregister((&raw const class).cast()) });
    });
    LazyLock::force(&REGISTERED);
}

/// Decompresses a chunk for the library: `*buffer` holds `bytes` bytes of a chunk, in memory of the library that has room for
/// `*room`. Puts the chunk's own memory in its place and returns its length, or 0 where the chunk is damaged.
unsafe extern "C" fn filter(
    flags: c_uint,
    values_count: usize,
    values: *const c_uint,
    bytes: usize,
    room: *mut usize,
    buffer: *mut *mut c_void,
) -> usize {
    // h5py notes the length of a chunk's numbers as the third value. The library would read beyond a shorter chunk.
    if flags & H5Z_FLAG_REVERSE == 0 || values_count < 3 || values.is_null() {
        return 0;
    }
    // SAFETY: there are three values or more; `buffer` holds `bytes` bytes, which nobody else uses meanwhile.
    let (expected, stream) = unsafe {
        let stream = slice::from_raw_parts((*buffer).cast_const().cast::<u8>(), bytes);
        (*values.add(2) as usize, stream)
    };
    let length = match decompressed_length(stream) {
        Some(length) if length > 0 && (expected..=expected + CHECKSUM).contains(&length) => length,
        _ => return 0,
    };
    // SAFETY: the memory is the library's own, which its filters have to give back to it. It is cleared, and as long as said.
    unsafe {
        let decompressed = H5allocate_memory(length, 1);
        if decompressed.is_null() {
            return 0;
        }
        let to = slice::from_raw_parts_mut(decompressed.cast::<u8>(), length);
        if decompress(stream, to).is_none() {
            H5free_memory(decompressed);
            return 0;
        }
        H5free_memory(*buffer);
        *buffer = decompressed;
        *room = length;
    }
    length
}
