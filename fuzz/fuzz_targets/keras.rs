//! Weights in Keras files, through the HDF5 library.
#![no_main]

mod folder;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| folder::load("h5", bytes));
