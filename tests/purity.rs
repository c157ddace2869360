//! Numerics know nothing of files, MPI, HDF5 or the clock: the modules listed here never name them outside their tests.

use std::fs;
use std::path::{Path, PathBuf};

/// Files and folders under `src/` that hold numerics or decisions only.
const PURE: &[&str] = &[
    "baseline",
    "cascade",
    "spikes.rs",
    "grid",
    "split.rs",
    "schedule.rs",
    "simulation.rs",
    "training",
];

/// Files among them that read or write models and ground truth, or talk to other ranks or a GPU's driver, and what can go wrong
/// there.
const LOADERS: &[&str] = &[
    "cascade/error.rs",
    "cascade/folder.rs",
    "cascade/gpu.rs",
    "cascade/keras.rs",
    "cascade/state_dict.rs",
    "cascade/untrained.rs",
    "cascade/verify.rs",
    "training/evaluate.rs",
    "training/ground_truth.rs",
    "training/mod.rs",
    "training/run.rs",
];

/// Crates and modules of the standard library that reach outside.
const IMPURE: &[&str] = &[
    "mpi",
    "hdf5",
    "hdf5_sys",
    "cudarc",
    "indicatif",
    "std::fs",
    "std::io",
    "std::time",
    "std::net",
    "std::process",
    "std::env",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a readable source folder") {
            rust_files(&entry.expect("a readable source folder").path(), found);
        }
    } else {
        found.push(path.to_path_buf());
    }
}

fn below_source(path: &Path) -> PathBuf {
    path.strip_prefix(source())
        .expect("a file under src")
        .to_path_buf()
}

fn is_test_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name == "tests.rs"
        || name.ends_with("_tests.rs")
        || below_source(path)
            .components()
            .any(|part| part.as_os_str() == "tests")
}

fn is_loader(path: &Path) -> bool {
    LOADERS
        .iter()
        .any(|loader| below_source(path).starts_with(loader))
}

/// The code of a module: without comments, and up to its tests, which stand last.
fn code(text: &str) -> String {
    let code = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    code.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Braces of `use` trees written out, so that `std::{fs, io}` is found too.
fn paths(code: &str) -> String {
    let mut expanded = code.split_whitespace().collect::<Vec<_>>().join(" ");
    while let Some(begin) = expanded.find("std::{") {
        let tail = begin + "std::{".len();
        let end = expanded[tail..]
            .find("};")
            .map_or(expanded.len(), |end| tail + end);
        let inner = expanded[tail..end]
            .replace("{ ", "{")
            .split(',')
            .map(|part| format!(" std::{} ", part.trim()))
            .collect::<String>();
        expanded.replace_range(begin..end, &inner);
    }
    expanded
}

/// Whether `path` is imported or begins a longer path in `code`.
fn names(code: &str, path: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    code.match_indices(path).any(|(begin, _)| {
        let before = &code[..begin];
        let parent = before.strip_suffix("::").unwrap_or(before);
        let after = &code[begin + path.len()..];
        let begins = !parent.ends_with(is_word) && !parent.ends_with('"');
        let imported = before.ends_with("use ") && !after.starts_with(is_word);
        let continued = after.starts_with("::");
        let whole = path.contains("::") && !after.starts_with(is_word);
        begins && (imported || continued || whole)
    })
}

#[test]
fn pure_modules_reach_no_files_no_mpi_no_hdf5_and_no_clock() {
    let mut files = Vec::new();
    for path in PURE {
        rust_files(&source().join(path), &mut files);
    }
    files.retain(|path| !is_test_file(path) && !is_loader(path));
    assert!(
        files.iter().all(|file| file.is_file()),
        "the pure modules have moved: {files:?}"
    );
    for file in files {
        let text = fs::read_to_string(&file).expect("a readable source file");
        let code = paths(&code(&text));
        for impure in IMPURE {
            assert!(
                !names(&code, impure),
                "{} is pure but names {impure}",
                file.display()
            );
        }
    }
}

#[test]
fn the_check_sees_what_it_should() {
    for seen in [
        "use std::fs;",
        "use std::fs::File;",
        "use std::{fmt, fs};",
        "use std::{\n    collections::HashMap,\n    io::Read,\n};",
        "let now = std::time::Instant::now();",
        "use hdf5::File;",
        "use mpi;",
        "use mpi::traits::*;",
        "fn f(w: &::mpi::Universe) {}",
    ] {
        let code = paths(&code(seen));
        assert!(IMPURE.iter().any(|impure| names(&code, impure)), "{seen}");
    }
    for passed in [
        "use std::fmt;",
        "use std::{fmt, ops::Range};",
        "// use std::fs;",
        "let comm = \"mpi::local\";",
        "use crate::comm::mpi_free;",
        "fn x() {}\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}",
    ] {
        let code = paths(&code(passed));
        assert!(
            !IMPURE.iter().any(|impure| names(&code, impure)),
            "{passed}"
        );
    }
}
