//! Which matrix, which positions and which axes are taken, and what is refused.

use std::fs;
use std::slice::from_ref;

use spikegrid_core::findings::Code;

use super::files::{Named, csv, hdf5, npy, npz};
use super::*;
use crate::zip::tests::Packing;

const PACKING: Packing = Packing {
    deflated: true,
    zip64: false,
};

fn matrix(name: &str) -> Named<'_> {
    Named {
        name,
        shape: &[NEURONS, FRAMES],
        values: by_neurons(),
    }
}

fn message(found: Result<Source, InputError>) -> String {
    found.expect_err("an error").to_string()
}

#[test]
fn rule_2_6_several_matrices_of_one_file_are_listed_and_one_is_chosen_by_name() {
    let folder = folder();
    let path = folder.path().join("recording.npz");
    fs::write(&path, npz(&[matrix("F"), matrix("dff")], PACKING)).expect("a file");
    let several = message(opened(folder.path()));
    for words in [
        "recording.npz",
        "F (7, 20), dff (7, 20)",
        "--calcium_dataset",
    ] {
        assert!(several.contains(words), "{several}");
    }
    let named = |name: &str| Request {
        dataset: Some(name.to_owned()),
        ..Request::default()
    };
    let source = open_with(folder.path(), &named("dff")).expect("a matrix");
    assert_eq!(source.dataset, "dff");
    let none = message(open_with(folder.path(), &named("spikes")));
    assert!(
        none.contains("a dataset spikes, found F (7, 20), dff (7, 20)"),
        "{none}"
    );
    // The usual name wins.
    fs::write(&path, npz(&[matrix("F"), matrix("dF_traces")], PACKING)).expect("a file");
    assert_eq!(check(folder.path(), "dF_traces").dataset, "dF_traces");
}

#[test]
fn rule_2_6_several_files_are_listed_and_one_is_chosen_by_source() {
    let folder = folder();
    for name in ["a.npy", "b.npy"] {
        fs::write(folder.path().join(name), npy(&matrix("a"), "<f4", false)).expect("a file");
    }
    csv(&folder.path().join("c.csv"), &by_neurons(), FRAMES);
    let several = message(opened(folder.path()));
    assert!(
        several.contains("a.npy, b.npy, c.csv") && several.contains("--source"),
        "{several}"
    );
    let source = |name: &str| Request {
        source: Some(name.into()),
        ..Request::default()
    };
    for name in ["a.npy", "c.csv"] {
        let chosen = open_with(folder.path(), &source(name)).expect("a matrix");
        assert_eq!(chosen.neurons(), NEURONS);
        assert!(chosen.reason.starts_with(name), "{}", chosen.reason);
    }
    // A file of the usual name wins, also over one that cannot be read.
    fs::write(folder.path().join("notes.mat"), "no matrix").expect("a file");
    let path = folder.path().join("dF_traces.npy");
    fs::write(&path, npy(&matrix("a"), "<f4", false)).expect("a file");
    assert_eq!(check(folder.path(), "dF_traces.npy").dataset, "dF_traces");
    // But not if it cannot be read itself.
    fs::write(&path, "no matrix").expect("a file");
    let damaged = message(opened(folder.path()));
    assert!(
        damaged.contains("dF_traces.npy") || damaged.contains("notes.mat"),
        "{damaged}"
    );
}

#[test]
fn rule_2_6_positions_lie_beside_or_in_the_same_file() {
    let positions = || Named {
        name: "cells",
        shape: &[NEURONS, 3],
        values: positions_by_neurons(),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recording.npz");
    let beside = |name: &str| folder.path().join(name);
    fs::write(&path, npz(&[matrix("F")], PACKING)).expect("a file");
    let none = message(opened(folder.path()));
    assert!(
        none.contains("positions.csv") && none.contains("found none"),
        "{none}"
    );
    // Arrays of any name, if no other fits.
    fs::write(&path, npz(&[matrix("F"), positions()], PACKING)).expect("a file");
    check(folder.path(), "an array of another name");
    fs::write(&path, npz(&[matrix("F")], PACKING)).expect("a file");
    fs::write(beside("cells.npy"), npy(&positions(), "<f8", true)).expect("a file");
    check(folder.path(), "a file of another name");
    fs::rename(beside("cells.npy"), beside("positions.npy")).expect("a file");
    let source = check(folder.path(), "positions.npy");
    assert!(
        source.reason.ends_with("and positions.npy the positions"),
        "{}",
        source.reason
    );
    let identity = serde_json::to_value(&source.identity).expect("an identity");
    let names: Vec<&String> = identity.as_object().expect("files").keys().collect();
    assert_eq!(names, ["positions.npy", "recording.npz"]);
    fs::remove_file(beside("positions.npy")).expect("a file less");
    let rows = (0..NEURONS).map(|neuron| {
        let [x, y, z] = xyz(neuron);
        format!("{z};{y};{neuron};{x}\n")
    });
    let table = "z;y;name;x\n".to_owned() + &rows.collect::<String>();
    fs::write(beside("cells.csv"), table).expect("a table");
    check(folder.path(), "a table of another name");
}

#[test]
fn rule_2_6_the_number_of_positions_tells_the_axes_or_nothing_does() {
    let folder = folder();
    let other = Named {
        name: "F",
        shape: &[FRAMES, NEURONS + 1],
        values: vec![0.0; FRAMES * (NEURONS + 1)],
    };
    fs::write(folder.path().join("F.npy"), npy(&other, "<f4", false)).expect("a file");
    let mismatch = message(opened(folder.path()));
    for words in ["F.npy", "(20, 8)", "positions.csv gives 7 cells"] {
        assert!(mismatch.contains(words), "{mismatch}");
    }
    let square: Vec<f64> = (0..NEURONS * NEURONS).map(|place| place as f64).collect();
    let square = Named {
        name: "F",
        shape: &[NEURONS, NEURONS],
        values: square,
    };
    for (fortran, hdf5_file) in [
        (false, None),
        (true, None),
        (false, Some(false)),
        (false, Some(true)),
    ] {
        let _ = fs::remove_file(folder.path().join("F.npy"));
        match hdf5_file {
            None => fs::write(folder.path().join("F.npy"), npy(&square, "<f4", fortran))
                .expect("a file"),
            Some(is_matlab) => hdf5(&folder.path().join("F.h5"), from_ref(&square), is_matlab),
        }
        let source = opened(folder.path()).expect("a matrix");
        assert_eq!(source.findings[0].code, Code::AmbiguousLayout);
        let reader = source.location.open().expect("a reader");
        let samples = reader.read_neurons(1..2).expect("samples");
        let trace = samples.traces(&(1..2));
        // Its rows, as its owner sees them, are frames.
        let expected: Vec<f32> = (0..NEURONS)
            .map(|frame| (frame * NEURONS + 1) as f32)
            .collect();
        assert_eq!(trace, expected, "{fortran} {hdf5_file:?}");
    }
}

#[test]
fn rule_2_6_a_plain_matrix_is_no_recording_beside_an_anatomy_or_another_form() {
    let folder = folder();
    fs::write(folder.path().join("F.npy"), npy(&matrix("F"), "<f4", false)).expect("a file");
    check(folder.path(), "alone");
    fs::write(folder.path().join("data_full.mat"), "").expect("a file");
    let anatomy = message(opened(folder.path()));
    assert!(anatomy.contains("TimeSeries.h5"), "{anatomy}");
    fs::remove_file(folder.path().join("data_full.mat")).expect("a file less");
    fs::write(folder.path().join("cells0_clean.hdf5"), "").expect("a file");
    let voluseg = message(opened(folder.path()));
    assert!(voluseg.contains("cells0_clean.hdf5"), "{voluseg}");
}

#[test]
fn rule_2_6_what_is_no_matrix_is_refused_with_what_it_is() {
    let folder = folder();
    let cube = Named {
        name: "F",
        shape: &[2, 3, 4],
        values: vec![0.0; 24],
    };
    let path = folder.path().join("F.npy");
    fs::write(&path, npy(&cube, "<f4", false)).expect("a file");
    let axes = message(opened(folder.path()));
    assert!(axes.contains("F (an array with 3 axes)"), "{axes}");
    let mut text = npy(&matrix("F"), "<f4", false);
    let place = text
        .windows(3)
        .position(|part| part == b"<f4")
        .expect("a type");
    text[place..place + 3].copy_from_slice(b"<U1");
    fs::write(&path, text).expect("a file");
    let kind = message(opened(folder.path()));
    assert!(kind.contains("an array of type <U1"), "{kind}");
    fs::write(&path, "<!doctype html>").expect("a file");
    let page = message(opened(folder.path()));
    assert!(page.contains("an HTML page"), "{page}");
    fs::remove_file(&path).expect("a file less");
    for name in ["F.npz", "F.mat", "F.h5"] {
        let path = folder.path().join(name);
        fs::write(&path, "version https://git-lfs.github.com/spec/v1").expect("a file");
        let pointer = message(opened(folder.path()));
        assert!(
            pointer.contains(name) && pointer.contains("Git LFS"),
            "{pointer}"
        );
        fs::remove_file(&path).expect("a file less");
    }
}
