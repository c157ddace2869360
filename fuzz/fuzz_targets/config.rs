//! `config.yaml` of a model folder.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use spikegrid_files::models::folder::parse_config;

fuzz_target!(|text: &str| {
    let _ = parse_config(text, Path::new("config.yaml"));
});
