//! `config.yaml` of a model folder.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use spikegrid_mpi::cascade::ModelConfig;

fuzz_target!(|text: &str| {
    let _ = ModelConfig::parse(text, Path::new("config.yaml"));
});
