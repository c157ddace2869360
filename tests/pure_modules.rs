//! What decides and computes within the program's own crate reaches no files, no HDF5, no other ranks, no clock and no environment, so
//! that the same input gives the same result. `crates/core/clippy.toml` holds this for the crate of the numerics, but clippy has no such
//! list for single modules.

use std::fs;
use std::path::{Path, PathBuf};

/// Files, or folders with all of their files, without tests.
const PURE: [&str; 8] = [
    "src/forecast/simulation.rs",
    "src/run/budget.rs",
    "src/run/schedule.rs",
    "src/train/fit.rs",
    "src/train/material.rs",
    "src/train/recipe.rs",
    "src/train/recording.rs",
    "src/train/simulated.rs",
];

/// Paths that reach outside, as they are written in imports and in code. A list of several modules of `std` in one `use` would hide them.
const OUTSIDE: [&str; 16] = [
    "std::{",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::time::{",
    "Instant::now",
    "hdf5::",
    "mpi::",
    "spikegrid_files::hdf5_access",
    "spikegrid_ranks::World",
    "println!",
    "eprint!",
];

fn rust_files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a readable folder") {
            rust_files(&entry.expect("an entry").path(), found);
        }
    } else {
        found.push(path.to_path_buf());
    }
}

/// The code of a module, without comments and without its tests, which stand last.
fn code(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines()
        .filter_map(|line| line.split("//").next())
        .collect::<Vec<_>>()
        .join("\n")
}

fn reaches_outside(text: &str) -> Option<&'static str> {
    let code = code(text);
    OUTSIDE.into_iter().find(|path| {
        let begins =
            |(place, _)| !code[..place].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        code.match_indices(path).any(begins)
    })
}

#[test]
fn modules_that_decide_and_compute_reach_nothing_outside() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in PURE {
        let mut files = Vec::new();
        rust_files(&root.join(path), &mut files);
        files.retain(|file| !file.ends_with("tests.rs"));
        for file in files {
            let text = fs::read_to_string(&file)
                .unwrap_or_else(|error| panic!("{}: {error}; has it moved?", file.display()));
            let found = reaches_outside(&text);
            assert_eq!(found, None, "in {}", file.display());
        }
    }
}

#[test]
fn the_check_finds_what_reaches_outside() {
    for text in [
        "use std::fs;",
        "use std::{fmt, fs};",
        "let now = std::time::Instant::now();",
        "use hdf5::File;",
        "use spikegrid_ranks::World;",
    ] {
        assert!(reaches_outside(text).is_some(), "{text}");
    }
    for text in [
        "use std::fmt;",
        "// use std::fs;",
        "use std::time::Duration;",
        "fn x() {}\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}",
    ] {
        assert_eq!(reaches_outside(text), None, "{text}");
    }
}
