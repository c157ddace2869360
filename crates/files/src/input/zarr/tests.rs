//! Arrays that zarr-python wrote (`tests/fixtures/zarr`), and arrays that are written here.

mod damage;
mod recording;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::hdf5_access::NumberKind;
use crate::input::Subject;
use crate::input::samples::Samples;
use crate::input::source::Location;
use crate::input::storage::{Orientation, Piece};

/// The arrays of `tests/fixtures/make_zarr.py`.
const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/zarr");

/// Reads a piece, in parts for two ranks.
fn read(matrix: &Matrix, piece: &Piece) -> Result<Vec<f32>, InputError> {
    let storage = matrix.storage();
    let neurons = piece.neurons.clone();
    let middle = neurons.start + neurons.len() / 3;
    let [mut first, mut second] = [neurons.start..middle, middle..neurons.end]
        .map(|neurons| Samples::new(&storage, piece.of(&neurons).unwrap_or_default()));
    matrix.read(piece, &mut [&mut first, &mut second])?;
    let mut traces = match middle > neurons.start {
        true => first.traces(&(neurons.start..middle)),
        false => Vec::new(),
    };
    traces.extend(second.traces(&(middle..neurons.end)));
    Ok(traces)
}

/// Compares frames of neurons of an array with what they should be; rows of the array are frames.
fn check(
    folder: &Path,
    frames: Range<usize>,
    neurons: Range<usize>,
    value: &dyn Fn(usize, usize) -> f32,
) {
    let Ok(Some(metadata::Node::Array(header))) = metadata::Node::read(folder) else {
        panic!("{}: no array", folder.display());
    };
    for frame_axis in [0, 1] {
        let orientation = match header.stored_order()[0] == frame_axis {
            true => Orientation::FramesByNeurons,
            false => Orientation::NeuronsByFrames,
        };
        let matrix = Matrix::open(folder, orientation).expect("a matrix");
        let (frames, neurons) = match frame_axis {
            0 => (frames.clone(), neurons.clone()),
            _ => (neurons.clone(), frames.clone()),
        };
        let piece = Piece { neurons, frames };
        let traces = read(&matrix, &piece).unwrap_or_else(|error| panic!("{error}"));
        let mut found = traces.into_iter();
        for neuron in piece.neurons.clone() {
            for frame in piece.frames.clone() {
                let [row, column] = if frame_axis == 0 {
                    [frame, neuron]
                } else {
                    [neuron, frame]
                };
                let (found, expected) = (found.next(), value(row, column));
                assert!(
                    found.is_some_and(
                        |found| found == expected || found.is_nan() && expected.is_nan()
                    ),
                    "{}: ({row}, {column}): {found:?}, not {expected}",
                    folder.display()
                );
            }
        }
    }
}

#[test]
fn rule_2_6_arrays_of_zarr_python_of_every_codec_type_and_order_are_read() {
    let listing = Listing::of(Path::new(FIXTURE));
    assert_eq!((listing.arrays.len(), listing.unreadable.len()), (30, 0));
    for listed in &listing.arrays {
        let numbers = listed.header.numbers;
        let is_whole = !matches!(numbers.kind, NumberKind::F32 | NumberKind::F64);
        let value = |row: usize, column: usize| {
            let whole = (37 * row + 11 * column) % 101;
            let value = whole as f32 + column as f32 / 4.0;
            if is_whole { value.floor() } else { value }
        };
        let folder = &listed.header.path;
        for (frames, neurons) in [(0..90, 0..26), (59..61, 9..21), (89..90, 25..26)] {
            check(folder, frames, neurons, &value);
        }
        let values = values::read(&listed.header).expect("values");
        for (place, found) in values.into_iter().enumerate() {
            assert_eq!(
                found as f32,
                value(place / 26, place % 26),
                "{}",
                listed.name
            );
        }
    }
}

/// Writes an array of f32 in chunks that are stored as they are, but for those that are left out.
fn write(
    folder: &Path,
    shape: [usize; 2],
    chunk: [usize; 2],
    attributes: Value,
    fill: Value,
    left_out: &[[usize; 2]],
) {
    let metadata = json!({
        "zarr_format": 3, "node_type": "array", "shape": shape, "data_type": "float32", "fill_value": fill,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default"},
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "attributes": attributes,
    });
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join("zarr.json"), metadata.to_string()).expect("metadata");
    for row in 0..shape[0].div_ceil(chunk[0]) {
        for column in
            (0..shape[1].div_ceil(chunk[1])).filter(|column| !left_out.contains(&[row, *column]))
        {
            let numbers = (0..chunk[0] * chunk[1]).flat_map(|place| {
                let place = [
                    row * chunk[0] + place / chunk[1],
                    column * chunk[1] + place % chunk[1],
                ];
                value(place[0], place[1]).to_le_bytes()
            });
            let path = folder.join(format!("c/{row}/{column}"));
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, numbers.collect::<Vec<u8>>()).expect("a chunk");
        }
    }
}

/// A value that says where it belongs.
fn value(row: usize, column: usize) -> f32 {
    (row * 1000 + column) as f32
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn rule_2_6_chunks_that_are_not_there_are_the_fill_value() {
    for (fill, number) in [
        (json!(0), 0.0),
        (json!("NaN"), f32::NAN),
        (json!("0x40e00000"), 7.0),
    ] {
        let folder = folder();
        write(
            folder.path(),
            [50, 40],
            [16, 16],
            json!({}),
            fill,
            &[[0, 1], [3, 2]],
        );
        check(
            folder.path(),
            0..50,
            0..40,
            &|row, column| match [row / 16, column / 16] {
                [0, 1] | [3, 2] => number,
                _ => value(row, column),
            },
        );
    }
}

#[test]
fn rule_2_6_large_plain_chunks_are_read_in_parts() {
    // More numbers than a block, and rows longer than one; all columns, most and few.
    for (shape, chunk) in [([1100, 600], [1200, 700]), ([5, 300_000], [4, 290_000])] {
        let folder = folder();
        write(folder.path(), shape, chunk, json!({}), json!(0), &[]);
        let [frames, neurons] = shape;
        for columns in [0..neurons, 10..neurons - 20, 50..60] {
            check(folder.path(), 0..frames, columns.clone(), &value);
            check(folder.path(), 1..frames - 1, columns, &value);
        }
        let matrix = Matrix::open(folder.path(), Orientation::FramesByNeurons).expect("a matrix");
        assert_eq!(matrix.whole_chunk(), None);
    }
}

#[test]
fn a_piece_that_is_not_there_is_an_error() {
    let folder = folder();
    write(folder.path(), [5, 4], [3, 3], json!({}), json!(0), &[]);
    let matrix = Matrix::open(folder.path(), Orientation::FramesByNeurons).expect("a matrix");
    let place = Place::Zarr {
        folder: folder.path().to_owned(),
    };
    let location = Location::from(Panel::new(place, matrix.storage()));
    let matrix = location.open().expect("a matrix");
    let read = |neurons, frames| matrix.read(&Piece { neurons, frames }, &mut []).is_ok();
    assert!(read(0..4, 0..5) && read(2..2, 1..1));
    assert!(!read(0..5, 0..5) && !read(0..1, 5..6));
}

/// Opens what lies in a folder as the recording of a subject.
fn open(folder: &Path, dataset: Option<&str>, source: Option<&str>) -> Result<Source, InputError> {
    let subject = Subject {
        name: "subject_1".to_owned(),
        dir: folder.to_owned(),
    };
    let request = Request {
        dataset: dataset.map(str::to_owned),
        source: source.map(PathBuf::from),
        ..Request::default()
    };
    crate::input::open(&subject, &request)
}

/// Writes `positions.csv` of so many neurons, the last one without a place.
fn write_positions(folder: &Path, neurons: usize) {
    let rows = (0..neurons).map(|n| match n + 1 == neurons {
        true => "\n,,".to_owned(),
        false => format!("\n{n},{}.5,-{n}e1", 2 * n),
    });
    let text = "x,y,z".to_owned() + &rows.collect::<String>();
    fs::write(folder.join("positions.csv"), text).expect("positions");
}
