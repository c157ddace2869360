//! Which arrays are traces and positions, which axis is time, what the rate is, and what tells recordings from each other.

use std::path::PathBuf;

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::input::form::Form;

#[test]
fn rule_2_6_traces_are_found_by_name_by_positions_or_by_the_flag() {
    let folder = folder();
    let write = |name: &str, shape| {
        write(
            &folder.path().join(name),
            shape,
            [8, 8],
            json!({}),
            json!(0),
            &[],
        )
    };
    write_positions(folder.path(), 5);
    write("mask", [9, 7]);
    write("a/other", [30, 5]);
    write("table", [4, 3]);
    fs::write(folder.path().join("a/.zgroup"), r#"{"zarr_format": 2}"#).expect("a group");
    let chosen = |dataset| open(folder.path(), dataset, None).map(|source| source.dataset);
    assert_eq!(
        chosen(None).expect("the one that fits the positions"),
        "a/other"
    );
    write("dFF", [20, 5]);
    assert_eq!(chosen(None).expect("a name"), "dFF");
    write("F.zarr", [20, 5]);
    assert_eq!(chosen(None).expect("a better name"), "F.zarr");
    for name in ["dFF", "a/other", "other", "F", "F.zarr", "/F.zarr"] {
        let found = chosen(Some(name)).expect(name);
        assert!(found.contains(name.trim_matches('/')), "{name}: {found}");
    }
    write("traces", [20, 5]);
    for (dataset, words) in [
        (
            None,
            &["F.zarr (20, 5), traces (20, 5)", "--calcium_dataset"][..],
        ),
        (
            Some("nothing"),
            &[
                "expected a dataset nothing",
                "a/other (30, 5)",
                "mask (9, 7)",
            ],
        ),
        (Some("mask"), &["(9, 7)", "positions.csv gives 5 cells"]),
    ] {
        let message = chosen(dataset).expect_err("no choice").to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
}

#[test]
fn rule_2_6_the_axis_of_time_is_told_by_names_or_by_the_positions() {
    for (names, shape, orientation) in [
        (json!([]), [9, 6], Orientation::FramesByNeurons),
        (json!([]), [6, 9], Orientation::NeuronsByFrames),
        (
            json!(["time", "neuron"]),
            [6, 6],
            Orientation::FramesByNeurons,
        ),
        (json!(["ROI", "x"]), [6, 6], Orientation::NeuronsByFrames),
        (json!(["f", "t"]), [6, 6], Orientation::NeuronsByFrames),
        (
            json!(["time", "frame"]),
            [6, 9],
            Orientation::NeuronsByFrames,
        ),
    ] {
        let folder = folder();
        let attributes = json!({"_ARRAY_DIMENSIONS": names});
        write(
            &folder.path().join("F"),
            shape,
            [4, 4],
            attributes,
            json!(0),
            &[],
        );
        write_positions(folder.path(), 6);
        let source = open(folder.path(), None, None).expect("a recording");
        assert_eq!(source.storage().orientation, orientation, "{names}");
        assert_eq!(source.findings, []);
        let xyz = &source.positions.xyz;
        assert_eq!((xyz.len(), xyz[4]), (6, [4.0, 8.5, -40.0]));
        assert!(xyz[5].iter().all(|coordinate| coordinate.is_nan()));
    }
    let folder = folder();
    write(
        &folder.path().join("F"),
        [6, 6],
        [4, 4],
        json!({}),
        json!(0),
        &[],
    );
    write_positions(folder.path(), 6);
    let source = open(folder.path(), None, None).expect("a recording");
    assert_eq!(source.storage().orientation, Orientation::FramesByNeurons);
    assert_eq!(source.findings[0].code.name(), "layout.ambiguous");
    let names = json!({"_ARRAY_DIMENSIONS": ["time", "neuron"]});
    write(
        &folder.path().join("F"),
        [6, 9],
        [4, 4],
        names,
        json!(0),
        &[],
    );
    let message = open(folder.path(), None, None)
        .expect_err("other neurons")
        .to_string();
    assert!(
        message.contains("F is (6, 9), and positions.csv gives 6 cells"),
        "{message}"
    );
}

#[test]
fn rule_2_7_the_rate_is_an_attribute_of_the_array_or_of_a_group_around_it() {
    let rate = |array: Value, group: Value| {
        let folder = folder();
        let store = folder.path().join("recording.zarr");
        write(&store.join("F"), [9, 6], [4, 4], array, json!(0), &[]);
        let group = json!({"zarr_format": 3, "node_type": "group", "attributes": group, "consolidated_metadata": {"kind": "inline"}});
        fs::write(store.join("zarr.json"), group.to_string()).expect("a group");
        write_positions(folder.path(), 6);
        open(folder.path(), None, None).expect("a recording").rate
    };
    let none = || json!({});
    assert_eq!(rate(none(), none()), None);
    assert_eq!(rate(json!({"fs": 2.5}), json!({"fs": 3})), Some(2.5));
    assert_eq!(rate(none(), json!({"frame_rate": 3})), Some(3.0));
    assert_eq!(rate(json!({"fps": "7.5"}), none()), Some(7.5));
    assert_eq!(rate(json!({"rate": [4]}), none()), Some(4.0));
    assert_eq!(
        rate(
            json!({"fs": 0, "sampling_rate": "unknown", "fps": [1, 2]}),
            json!({"fs": -1})
        ),
        None
    );
}

#[test]
fn rule_2_6_zapbenchs_table_gives_the_place_of_each_label() {
    let folder = folder();
    write(
        &folder.path().join("traces"),
        [9, 4],
        [4, 4],
        json!({}),
        json!(0),
        &[],
    );
    fs::create_dir(folder.path().join("segmentation")).expect("a folder");
    let open = |table: Value| {
        fs::write(zapbench_table(folder.path()), table.to_string()).expect("a table");
        open(folder.path(), None, None).map(|source| source.positions.xyz)
    };
    let z = json!({"0": 7, "1": 8, "2": 9});
    let table = |labels: Value| json!({"label": labels, "area": [1, 2, 3], "centroid_x": [1.5, 2.5, 3.5], "centroid_y": [4, 5, 6], "centroid_z": z});
    let xyz = open(table(json!([4, 1, 2]))).expect("positions");
    assert_eq!(xyz[..2], [[2.5, 5.0, 8.0], [3.5, 6.0, 9.0]]);
    assert!(xyz[2][0].is_nan(), "label 3 is not there");
    assert_eq!(xyz[3], [1.5, 4.0, 7.0]);
    for labels in [
        json!([4, 1, 1]),
        json!([4, 0, 1]),
        json!([4, 1.5, 2]),
        json!([5, 1, 2]),
        json!([4, 1]),
        json!([4, null, 1]),
    ] {
        let message = open(table(labels)).expect_err("labels").to_string();
        assert!(
            message.contains("dataframe.json") && message.contains("label"),
            "{message}"
        );
    }
}

fn zapbench_table(folder: &Path) -> PathBuf {
    folder.join("segmentation/dataframe.json")
}

#[test]
fn rule_2_6_positions_are_an_array_or_a_file_of_three_columns() {
    let folder = folder();
    let store = folder.path().join("F.zarr");
    write(&store, [9, 4], [4, 4], json!({}), json!(0), &[]);
    let xyz = || open(folder.path(), None, None).map(|source| source.positions.xyz);
    let message = xyz().expect_err("no positions").to_string();
    assert!(message.contains("positions.csv"), "{message}");
    write(
        &folder.path().join("somewhere"),
        [4, 3],
        [9, 2],
        json!({}),
        json!(0),
        &[],
    );
    assert_eq!(xyz().expect("positions")[2], [2000.0, 2001.0, 2002.0]);
    let csv = "3;2;1\n\n30;20;10\n300;200;100\n3000;2000;1000\n";
    fs::write(folder.path().join("positions.csv"), csv).expect("positions");
    assert_eq!(xyz().expect("positions")[3], [3000.0, 2000.0, 1000.0]);
    fs::remove_file(folder.path().join("positions.csv")).expect("a file less");
    let npy = |dtype: &str, order: &str, data: &[u8]| {
        let header =
            format!("{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': (4, 3), }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        fs::write(folder.path().join("positions.npy"), bytes).expect("positions");
    };
    let numbers: Vec<u8> = (0..12_i16).flat_map(i16::to_be_bytes).collect();
    npy(">i2", "False", &numbers);
    assert_eq!(xyz().expect("positions")[1], [3.0, 4.0, 5.0]);
    npy(">i2", "True", &numbers);
    assert_eq!(xyz().expect("positions")[1], [1.0, 5.0, 9.0]);
    for (dtype, data) in [(">i2", &numbers[1..]), ("|O", &numbers), ("<f8", &numbers)] {
        npy(dtype, "False", data);
        let message = xyz().expect_err("damaged positions").to_string();
        assert!(message.contains("positions.npy"), "{message}");
    }
    write(
        &folder.path().join("centroids"),
        [3, 4],
        [2, 2],
        json!({}),
        json!(0),
        &[],
    );
    assert_eq!(xyz().expect("positions")[1], [1.0, 1001.0, 2001.0]);
    // An array that is given by itself has its positions beside it.
    let source = open(folder.path(), None, Some("F.zarr")).expect("a recording");
    assert_eq!((source.dataset.as_str(), source.neurons()), ("F.zarr", 4));
}

#[test]
fn rule_2_6_groups_are_recordings_of_their_own_and_a_url_is_none() {
    let folder = folder();
    let group = json!({"zarr_format": 3, "node_type": "group"});
    for name in ["a.zarr", "b.zarr"] {
        let store = folder.path().join(name);
        write(&store.join("F"), [9, 4], [4, 4], json!({}), json!(0), &[]);
        write(
            &store.join("positions"),
            [4, 3],
            [4, 4],
            json!({}),
            json!(0),
            &[],
        );
        fs::write(store.join("zarr.json"), group.to_string()).expect("a group");
    }
    let message = open(folder.path(), None, None)
        .expect_err("two")
        .to_string();
    assert!(
        message.contains("a.zarr, b.zarr") && message.contains("--source"),
        "{message}"
    );
    let source = open(folder.path(), None, Some("b.zarr")).expect("a recording");
    assert_eq!((source.format, source.dataset.as_str()), ("Zarr", "F"));
    assert_eq!(
        Zarr.name_of_loose(&folder.path().join("b.zarr")).as_deref(),
        Some("b")
    );
    let message = open(folder.path(), None, Some("s3://bucket/b.zarr"))
        .expect_err("a URL")
        .to_string();
    assert!(message.contains("a URL"), "{message}");
    let message = crate::input::subjects(Path::new("https://host/b.zarr")).expect_err("a URL");
    assert!(message.to_string().contains("a URL"), "{message}");
    // A movie is no recording.
    let movie = tempfile::tempdir().expect("a folder");
    fs::create_dir(movie.path().join("movie")).expect("a folder");
    let metadata = json!({"zarr_format": 2, "shape": [9, 8, 7], "chunks": [9, 8, 7], "dtype": "<u2", "compressor": null, "fill_value": 0, "order": "C"});
    fs::write(movie.path().join("movie/.zarray"), metadata.to_string()).expect("a movie");
    assert!(!Zarr.recognises(movie.path()) && !Zarr.recognises(&movie.path().join("movie")));
}

#[test]
fn rule_8_7_a_changed_chunk_attribute_or_position_changes_the_identity() {
    let folder = folder();
    let store = folder.path().join("r.zarr");
    write(&store.join("F"), [9, 4], [4, 4], json!({}), json!(0), &[]);
    let group = json!({"zarr_format": 3, "node_type": "group", "attributes": {"fs": 2}});
    fs::write(store.join("zarr.json"), group.to_string()).expect("a group");
    write_positions(folder.path(), 4);
    let identity = || {
        open(folder.path(), None, None)
            .expect("a recording")
            .identity
    };
    assert_eq!(identity(), identity());
    for file in [
        "r.zarr/F/c/2/0",
        "r.zarr/F/zarr.json",
        "r.zarr/zarr.json",
        "positions.csv",
    ] {
        let before = identity();
        let path = folder.path().join(file);
        let open = fs::File::options().append(true).open(path).expect(file);
        let now = open.metadata().and_then(|metadata| metadata.modified());
        let later = now.expect("a time") + Duration::from_secs(60);
        open.set_modified(later).expect("another time");
        assert_ne!(identity(), before, "{file}");
        open.set_modified(UNIX_EPOCH).expect("an old time");
    }
    let before = identity();
    fs::remove_file(store.join("F/c/1/0")).expect("a chunk");
    assert_ne!(identity(), before);
}
