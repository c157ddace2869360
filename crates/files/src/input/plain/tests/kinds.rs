//! The kinds of files, in all types and orders.

use std::fs;

use super::files::{Mat5, Named, csv, hdf5, npy, npy_of_dictionary, npz};
use super::*;
use crate::zip::tests::Packing;

/// The matrix in both orders of its axes.
fn both_orders(name: &str) -> [Named<'_>; 2] {
    [
        Named {
            name,
            shape: &[NEURONS, FRAMES],
            values: by_neurons(),
        },
        Named {
            name,
            shape: &[FRAMES, NEURONS],
            values: by_frames(),
        },
    ]
}

/// Positions in both orders of their axes.
fn both_positions(name: &str) -> [Named<'_>; 2] {
    [
        Named {
            name,
            shape: &[NEURONS, 3],
            values: positions_by_neurons(),
        },
        Named {
            name,
            shape: &[3, NEURONS],
            values: positions_by_axes(),
        },
    ]
}

fn scalar<'a>(name: &'a str, shape: &'a [usize], value: f64) -> Named<'a> {
    Named {
        name,
        shape,
        values: vec![value],
    }
}

#[test]
fn rule_2_6_arrays_of_numpy_in_any_type_and_order() {
    let folder = folder();
    let path = folder.path().join("traces.npy");
    for descr in [
        "<f4", ">f4", "<f8", ">f8", "|i1", "|u1", "<i2", ">i2", "<u2", ">u2", "<i4", ">i4", "<u4",
        "<i8", ">i8", "<u8",
    ] {
        for array in both_orders("traces") {
            for fortran in [false, true] {
                fs::write(&path, npy(&array, descr, fortran)).expect("a file");
                let what = format!("{descr}, {:?}, {fortran}", array.shape);
                let source = check(folder.path(), &what);
                assert_eq!((&*source.dataset, source.rate), ("traces", None));
                assert!(source.reason.contains("traces.npy has a matrix"));
            }
        }
    }
}

#[test]
fn rule_2_6_dictionaries_of_arrays_that_numpy_pickled() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recording.npy");
    for traces in both_orders("dF_traces") {
        for positions in both_positions("positions") {
            let other = Named {
                name: "F",
                ..traces.clone()
            };
            let rate = scalar("frame_rate", &[], 7.5);
            let bytes = npy_of_dictionary(&[other, traces.clone(), positions, rate]);
            fs::write(&path, bytes).expect("a file");
            let source = check(folder.path(), &format!("{:?}", traces.shape));
            assert_eq!((&*source.dataset, source.rate), ("dF_traces", Some(7.5)));
        }
    }
    fs::write(&path, npy_of_dictionary(&[scalar("fs", &[], 1.0)])).expect("a file");
    let none = opened(folder.path()).expect_err("no matrix").to_string();
    assert!(none.contains("a dataset dF_traces, found fs ()"), "{none}");
}

#[test]
fn rule_2_6_archives_of_numpy_with_rate_and_positions() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recording.npz");
    for deflated in [false, true] {
        for zip64 in [false, true] {
            for traces in both_orders("F") {
                for positions in both_positions("xyz") {
                    let packing = Packing { deflated, zip64 };
                    let id = Named {
                        name: "cell_id",
                        shape: &[NEURONS],
                        values: vec![1.0; NEURONS],
                    };
                    let rate = scalar("fs", &[], 7.5);
                    let bytes = npz(&[id, traces.clone(), positions, rate], packing);
                    fs::write(&path, bytes).expect("a file");
                    let source = check(folder.path(), &format!("{packing:?} {:?}", traces.shape));
                    assert_eq!((&*source.dataset, source.rate), ("F", Some(7.5)));
                }
            }
        }
    }
}

#[test]
fn rule_2_6_mat_files_of_version_5_with_rate_and_positions() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recording.mat");
    for stored in [("f8", 9), ("f4", 7), ("u1", 2), ("i2", 3)] {
        for big_endian in [false, true] {
            for compressed in [false, true] {
                for traces in both_orders("dF_traces") {
                    let mat = Mat5 {
                        big_endian,
                        compressed,
                        stored,
                    };
                    let what = format!("{mat:?} {:?}", traces.shape);
                    // Positions are no whole numbers: they lie beside where those of the file are.
                    let is_whole = matches!(stored.0, "u1" | "i2");
                    let [by_neurons, by_axes] = both_positions("positions");
                    let mut arrays = vec![scalar("frame_rate", &[], 3.0), traces];
                    match (is_whole, compressed) {
                        (true, _) => write_positions(folder.path()),
                        (false, true) => arrays.push(by_neurons),
                        (false, false) => arrays.push(by_axes),
                    }
                    fs::write(&path, mat.file(&arrays)).expect("a file");
                    let source = check(folder.path(), &what);
                    assert_eq!(source.rate, Some(3.0), "{what}");
                    let _ = fs::remove_file(folder.path().join("positions.csv"));
                }
            }
        }
    }
}

fn write_positions(to: &Path) {
    let from = folder();
    let copied = fs::copy(from.path().join("positions.csv"), to.join("positions.csv"));
    copied.expect("positions");
}

#[test]
fn rule_2_6_hdf5_files_and_mat_files_of_version_7_3() {
    let folder = tempfile::tempdir().expect("a folder");
    for (file, is_matlab) in [("a.mat", true), ("b.h5", false), ("c.hdf5", false)] {
        let path = folder.path().join(file);
        for (traces, positions) in both_orders("group/dF_traces")
            .into_iter()
            .zip(both_positions("centroids"))
        {
            let what = format!("{file} {:?}", traces.shape);
            let rate = scalar("fps", &[], 30.0);
            let other = Named {
                name: "other",
                shape: &[4, 5],
                values: vec![0.0; 20],
            };
            hdf5(&path, &[rate, traces, positions, other], is_matlab);
            let source = check(folder.path(), &what);
            assert_eq!(source.rate, Some(30.0), "{what}");
            assert_eq!(source.dataset, "group/dF_traces");
        }
        fs::remove_file(path).expect("a file less");
    }
}

#[test]
fn rule_2_6_the_rate_may_be_an_attribute_of_the_dataset() {
    let folder = folder();
    let path = folder.path().join("traces.h5");
    let [traces, _] = both_orders("F");
    hdf5(&path, &[traces], false);
    let file = hdf5::File::open_rw(&path).expect("a file");
    let dataset = file.dataset("F").expect("a dataset");
    let attribute = dataset
        .new_attr::<f64>()
        .create("fs")
        .expect("an attribute");
    attribute.write_scalar(&2.5).expect("a rate");
    drop((file, dataset, attribute));
    assert_eq!(check(folder.path(), "an attribute").rate, Some(2.5));
}

#[test]
fn rule_2_6_tables_of_text_with_names_or_without() {
    let folder = folder();
    let path = folder.path().join("traces.csv");
    csv(&path, &by_neurons(), FRAMES);
    check(folder.path(), "neurons in lines");
    csv(&path, &by_frames(), NEURONS);
    check(folder.path(), "frames in lines");
    let plain = fs::read_to_string(&path).expect("a table");
    let names: Vec<String> = (0..NEURONS).map(|neuron| format!("roi {neuron}")).collect();
    fs::write(&path, format!("{}\n{plain}", names.join(","))).expect("a table");
    check(folder.path(), "names of columns");
    let numbered = plain.lines().enumerate();
    let numbered: String = numbered
        .map(|(frame, line)| format!("{frame},{line}\n"))
        .collect();
    fs::write(&path, format!(",{}\n{numbered}", names.join(","))).expect("a table");
    check(folder.path(), "as pandas writes it");
    fs::write(&path, plain.replace(',', ";").replace('.', ",")).expect("a table");
    check(folder.path(), "with decimal commas");
}

#[test]
fn rule_2_6_a_rate_that_is_none_counts_as_none() {
    let folder = folder();
    let path = folder.path().join("recording.npz");
    let packing = Packing {
        deflated: true,
        zip64: false,
    };
    for (rates, expected) in [
        (&[("fs", 0.0)][..], None),
        (&[("fs", f64::NAN), ("rate", 5.0)], Some(5.0)),
        (&[("frame_rate", -1.0)], None),
        (&[("Fs", 4.0), ("fps", 3.0)], Some(4.0)),
        (&[("framerate", 4.0)], Some(4.0)),
        (&[("frames", 4.0)], None),
    ] {
        let [traces, _] = both_orders("F");
        let mut arrays = vec![traces];
        arrays.extend(rates.iter().map(|(name, rate)| scalar(name, &[1], *rate)));
        fs::write(&path, npz(&arrays, packing)).expect("a file");
        assert_eq!(check(folder.path(), "rates").rate, expected, "{rates:?}");
    }
}
