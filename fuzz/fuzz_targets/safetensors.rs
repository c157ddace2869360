//! Weights in safetensors files.
#![no_main]

mod folder;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| folder::load("safetensors", bytes));
