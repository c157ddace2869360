//! A driver for machines without a GPU, `tests/fixtures/gpu/driver.cpp`, which runs the GPU's kernels on the processor.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder of `libcuda.so.1`, built on the first call.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".into());
        let built = Command::new(&compiler)
            .args(["-std=c++17", "-O2", "-march=native", "-ffp-contract=off"])
            .args([
                "-Wall",
                "-Wno-unknown-pragmas",
                "-Werror",
                "-shared",
                "-fPIC",
                "-o",
            ])
            .arg(library(folder.path()))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gpu/driver.cpp"))
            .output()
            .unwrap_or_else(|error| panic!("{compiler}: {error}"));
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{compiler}: {said}");
        folder
    });
    folder.path()
}

pub(crate) fn library(folder: &Path) -> PathBuf {
    folder.join("libcuda.so.1")
}
