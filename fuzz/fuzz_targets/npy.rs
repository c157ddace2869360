//! The files of a plane of suite2p, all of which are arrays of NumPy. The first byte says which file the rest is; the others are in order.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use spikegrid_files::input::{self, Request, Subject};
use tempfile::TempDir;

/// What `numpy.save` writes for three regions.
const REGIONS: &[u8] = include_bytes!("../../tests/fixtures/numpy/stat_4.npy");
const SETTINGS: &[u8] = include_bytes!("../../tests/fixtures/numpy/settings_3.npy");

static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));

/// The files of a plane.
static FILES: LazyLock<[(&str, Vec<u8>); 5]> = LazyLock::new(|| {
    [
        ("F.npy", array("(3, 20)", 60)),
        ("Fneu.npy", array("(3, 20)", 60)),
        ("iscell.npy", array("(3, 2)", 6)),
        ("stat.npy", REGIONS.to_vec()),
        ("ops.npy", SETTINGS.to_vec()),
    ]
});

/// An array of ones.
fn array(shape: &str, numbers: usize) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(1_f32.to_le_bytes().repeat(numbers));
    bytes
}

fn plane() -> PathBuf {
    FOLDER.path().join("subject_1/suite2p/plane0")
}

libfuzzer_sys::fuzz_target!(
    init: {
        fs::create_dir_all(plane()).expect("a folder");
        for (name, whole) in &*FILES {
            fs::write(plane().join(name), whole).expect("a file");
        }
    },
    |bytes: &[u8]| {
        let Some((kind, rest)) = bytes.split_first() else {
            return;
        };
        let (name, whole) = &FILES[usize::from(*kind) % FILES.len()];
        let path = plane().join(name);
        fs::write(&path, rest).expect("a file");
        let subject = Subject {
            name: "subject_1".to_owned(),
            dir: FOLDER.path().join("subject_1"),
        };
        if let Ok(source) = input::open(&subject, &Request::default()) {
            assert_eq!(source.positions.xyz.len(), source.neurons());
            let reader = source.location.open().expect("what was found");
            reader.read_neurons(0..source.neurons()).expect("what is there");
        }
        fs::write(path, whole).expect("a file");
    }
);
