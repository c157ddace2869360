//! Damaged copies of files: an error, or the values as they stand, within the memory that the file allows.

use std::fs;
use std::slice::from_ref;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::files::{Mat5, Named, csv, npy, npy_of_dictionary, npz};
use super::*;
use crate::zip::tests::Packing;

/// Reads all of a recording that can be read.
fn read_all(folder: &Path) {
    let Ok(source) = opened(folder) else {
        return;
    };
    // Positions cannot be more than a file holds, nor can samples.
    let samples = source.neurons() * source.frames();
    assert!(samples <= 1 << 20, "{samples} samples");
    let Ok(reader) = source.location.open() else {
        return;
    };
    let _ = crate::input::excerpt(&reader);
    let _ = reader.read_neurons(0..source.neurons());
}

fn try_damaged(folder: &Path, name: &str, whole: &[u8]) {
    let path = folder.join(name);
    for cut in 0..50 {
        fs::write(&path, &whole[..whole.len() * cut / 50]).expect("a file");
        read_all(folder);
    }
    let mut random = Xoshiro256PlusPlus::seed_from_u64(whole.len() as u64);
    for _ in 0..200 {
        let mut damaged = whole.to_vec();
        // Half of them in the first 400 bytes, where headers are.
        let range = if random.next_u32() % 2 == 0 {
            400
        } else {
            whole.len()
        };
        let place = random.next_u64() as usize % range.min(whole.len());
        damaged[place] ^= (random.next_u32() % 255 + 1) as u8;
        fs::write(&path, damaged).expect("a file");
        read_all(folder);
    }
    fs::write(&path, whole).expect("a file");
}

fn recording() -> [Named<'static>; 3] {
    [
        Named {
            name: "dF_traces",
            shape: &[NEURONS, FRAMES],
            values: by_neurons(),
        },
        Named {
            name: "positions",
            shape: &[NEURONS, 3],
            values: positions_by_neurons(),
        },
        Named {
            name: "fs",
            shape: &[],
            values: vec![2.0],
        },
    ]
}

#[test]
fn rule_2_6_damaged_arrays_and_tables_are_refused_or_read_as_they_stand() {
    let folder = folder();
    let whole = npy(&recording()[0], "<f4", false);
    try_damaged(folder.path(), "dF_traces.npy", &whole);
    let [traces, _, rate] = recording();
    let pickled = npy_of_dictionary(&[traces, rate]);
    try_damaged(folder.path(), "dF_traces.npy", &pickled);
    fs::write(folder.path().join("dF_traces.npy"), &whole).expect("a file");
    let positions = fs::read(folder.path().join("positions.csv")).expect("positions");
    try_damaged(folder.path(), "positions.csv", &positions);
    check(folder.path(), "whole files");
    fs::remove_file(folder.path().join("dF_traces.npy")).expect("a file less");
    let path = folder.path().join("dF_traces.csv");
    csv(&path, &by_neurons(), FRAMES);
    let whole = fs::read(&path).expect("a table");
    try_damaged(folder.path(), "dF_traces.csv", &whole);
    check(folder.path(), "a whole table");
}

#[test]
fn rule_2_6_damaged_archives_and_mat_files_are_refused_or_read_as_they_stand() {
    for deflated in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let packing = Packing {
            deflated,
            zip64: deflated,
        };
        let whole = npz(&recording(), packing);
        try_damaged(folder.path(), "recording.npz", &whole);
        check(folder.path(), "a whole archive");
        let folder = tempfile::tempdir().expect("a folder");
        let mat = Mat5 {
            big_endian: false,
            compressed: deflated,
            stored: ("f8", 9),
        };
        let whole = mat.file(&recording());
        try_damaged(folder.path(), "recording.mat", &whole);
        check(folder.path(), "a whole MAT-file");
    }
}

#[test]
fn rule_2_6_a_member_that_claims_to_be_huge_is_refused() {
    let folder = folder();
    let path = folder.path().join("recording.npz");
    let packing = Packing {
        deflated: true,
        zip64: true,
    };
    // As many frames as 100 GB are, in the header of the array alone.
    let shape = [NEURONS, 100_000_000_000 / 8 / NEURONS];
    let traces = Named {
        name: "dF_traces",
        shape: &shape,
        values: by_neurons(),
    };
    let mut whole = npz(from_ref(&traces), packing);
    fs::write(&path, &whole).expect("a file");
    let message = opened(folder.path()).expect_err("an error").to_string();
    assert!(
        message.contains("bytes of dF_traces, an array"),
        "{message}"
    );
    // In the archive's headers, too.
    let length = npy(&traces, "<f8", false).len();
    let claimed = (length + 8 * (shape[0] * shape[1] - NEURONS * FRAMES)) as u64;
    let stated = (length as u64).to_le_bytes();
    let places = (0..whole.len() - 8).filter(|place| whole[*place..*place + 8] == stated);
    let places: Vec<usize> = places.collect();
    assert_eq!(places.len(), 2, "local header and directory");
    for place in places {
        whole[place..place + 8].copy_from_slice(&claimed.to_le_bytes());
    }
    fs::write(&path, whole).expect("a file");
    let message = opened(folder.path()).expect_err("an error").to_string();
    let words = format!("{claimed} bytes of dF_traces.npy in");
    assert!(message.contains(&words), "{message}");
}
