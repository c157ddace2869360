//! MAT-files 5: `data_full.mat` in memory.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use spikegrid_files::input::matlab::mat5::read_variable;

fuzz_target!(|bytes: &[u8]| {
    let wanted = |field: &str| ["CellXYZ", "IX_inval_anat", "fpsec"].contains(&field);
    let _ = read_variable(&mut Cursor::new(bytes), "data", &wanted);
});
