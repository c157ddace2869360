//! The grids that ranks have written into one file, read by what labs read them with: h5py of several years and HDF5's own tools.
//! The Pythons in `target/h5py-*` are read with, too; `scripts/readers.sh` makes one for each version of HDF5.

mod common;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Workbench, not_run, report};
use sha2::{Digest, Sha256};

/// The output of a command that must succeed.
fn output(command: &mut Command) -> String {
    let found = command.output();
    let found = found.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&found.stderr);
    assert!(found.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&found.stdout).into_owned()
}

fn is_there(command: &str, argument: &str) -> bool {
    let found = Command::new(command).arg(argument).output();
    found.is_ok_and(|found| found.status.success())
}

/// Pythons with h5py: that of the tests, that of the system, and those in `target`.
fn pythons() -> Vec<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(target)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin/python"))
        .filter(|python| python.exists() && python.to_string_lossy().contains("/h5py-"))
        .collect();
    folders.sort();
    let of_tests = std::env::var_os("SPIKEGRID_TEST_PYTHON").map(PathBuf::from);
    let of_system = Some(PathBuf::from("/usr/bin/python3"));
    let has_h5py = |python: &PathBuf| {
        let imported = Command::new(python).args(["-c", "import h5py"]).output();
        imported.is_ok_and(|imported| imported.status.success())
    };
    let all = of_tests.into_iter().chain(of_system).chain(folders);
    all.filter(has_h5py).collect()
}

fn sha256(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

/// The SHA-256 of the pixels, by the HDF5 that the program is built with.
fn pixels(path: &Path) -> String {
    let file = hdf5::File::open(path).unwrap();
    let grids: Vec<u8> = file.dataset("grids").unwrap().read_raw().unwrap();
    sha256(&grids)
}

#[test]
fn rule_8_6_every_reader_reads_the_grids_that_ranks_wrote_and_can_add_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, out) = (folder.path().join("raw"), folder.path().join("out"));
    common::demo_data(&raw, 1, 60, 600);
    let ranks = common::available(2);
    Workbench::get().run(ranks, &raw, &out, &[]).expect(0);
    let subject = &report(&out)["subjects"][0];
    assert_eq!(subject["planes_written_by"], "every rank");
    let grids = out.join("subject_1/preaugmented_grids.h5");
    let expected = pixels(&grids);

    let pythons = pythons();
    let mut hdf5 = Vec::new();
    for python in &pythons {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/read_grids.py");
        let said = output(Command::new(python).arg(script).arg(&grids));
        let mut lines = said.lines();
        let versions = lines.next().unwrap();
        println!("{}: h5py and HDF5 {versions}", python.display());
        hdf5.extend(versions.split(' ').nth(1).map(String::from));
        let read: Vec<&str> = lines.collect();
        assert_eq!(read, [&expected[..]; 4], "{versions}");
    }
    if hdf5.len() < 2 {
        not_run("readers: h5py of more than one version of HDF5, see scripts/readers.sh");
    }
    if !is_there("h5dump", "--version") {
        not_run("readers: h5dump, h5ls and h5repack, which are not installed");
        return;
    }
    let shown = output(Command::new("h5dump").args(["-p", "-H"]).arg(&grids));
    assert!(shown.contains("COMPRESSION DEFLATE { LEVEL 1 }"), "{shown}");
    let dumped = folder.path().join("pixels");
    let mut dump = Command::new("h5dump");
    dump.args(["-d", "grids", "-b", "LE", "-o"]).arg(&dumped);
    output(dump.arg(&grids));
    assert_eq!(sha256(&std::fs::read(&dumped).unwrap()), expected);
    let listed = output(Command::new("h5ls").arg("-v").arg(&grids));
    assert!(listed.contains("Chunks:    {1, 1, 256, 128}"), "{listed}");
    let packed = folder.path().join("packed.h5");
    output(Command::new("h5repack").arg(&grids).arg(&packed));
    assert_eq!(pixels(&packed), expected);
}
