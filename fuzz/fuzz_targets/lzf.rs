//! Chunks that h5py compressed by LZF.
#![no_main]

use spikegrid_files::lzf::{decompress, decompressed_length};

libfuzzer_sys::fuzz_target!(|stream: &[u8]| {
    let mut bytes = vec![0; decompressed_length(stream).unwrap_or(1000)];
    let whole = decompress(stream, &mut bytes).is_some();
    assert!(whole || decompressed_length(stream).is_none());
});
