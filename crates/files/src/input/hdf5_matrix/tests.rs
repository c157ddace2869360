//! Rule 2.2, on the file that `tests/fixtures/make_traces.py` writes and on files written here.

use std::path::Path;

use super::unwritten::Unwritten;
use super::*;
use crate::input::source::Location;
use crate::input::storage::Orientation;

const FIXTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/fixtures/traces.h5"
);

fn open_fixture(dataset: &str) -> Result<Matrix, InputError> {
    Matrix::open(Path::new(FIXTURE), dataset, Orientation::FramesByNeurons)
}

fn read(traces: &Matrix, neurons: Range<usize>) -> Vec<f32> {
    let piece = traces.storage().all_frames(neurons.clone());
    let mut samples = Samples::new(&traces.storage(), piece.clone());
    traces.read(&piece, &mut [&mut samples]).expect("samples");
    samples.traces(&neurons)
}

/// Neuron-major values of the fixture.
fn expected(neurons: Range<usize>, offset: f32) -> Vec<f32> {
    neurons
        .flat_map(|n| (0..10).map(move |t| (10 * n + t) as f32 - offset))
        .collect()
}

#[test]
fn rule_2_2_every_number_type_in_either_byte_order() {
    let file = File::open(FIXTURE).expect("the fixture");
    let mut types = 0;
    for name in file.member_names().expect("datasets") {
        let numeric =
            name.starts_with("int") || name.starts_with("uint") || name.starts_with("float");
        if !(numeric || name == "extended" || name == "chunked_be") {
            continue;
        }
        let traces = open_fixture(&name).expect("traces");
        assert_eq!(
            (traces.storage().frames(), traces.storage().neurons()),
            (10, 7),
            "{name}"
        );
        let offset = if name.starts_with('u') { 0.0 } else { 20.0 };
        assert_eq!(read(&traces, 0..7), expected(0..7, offset), "{name}");
        assert_eq!(read(&traces, 3..5), expected(3..5, offset), "{name}");
        types += 1;
    }
    assert_eq!(types, 22);
}

#[test]
fn rule_2_2_chunks_without_filters_and_chunks_that_are_not_there() {
    // As HDF5 has it, with the fill value of -1.
    let traces = open_fixture("some_raw").expect("traces");
    let expected = (0..7).flat_map(|n| {
        (0..10).map(move |t| {
            if t < 5 {
                -1.0
            } else {
                (10 * n + t) as f32 - 20.0
            }
        })
    });
    assert!(read(&traces, 0..7).into_iter().eq(expected.clone()));
    let missing = read(&traces.without(Missing::Unstored), 0..7);
    for (found, filled) in missing.into_iter().zip(expected) {
        assert!(found == filled || found.is_nan() && filled == -1.0);
    }
}

/// Writes some chunks of a dataset; says what was never stored, and reads all samples.
fn write_some(
    path: &Path,
    settings: impl FnOnce(hdf5::DatasetBuilderEmptyShape) -> hdf5::DatasetBuilderEmptyShape,
    rows: Range<usize>,
) -> (Option<Unwritten>, Vec<f32>) {
    let file = File::create(path).expect("a file");
    let dataset = settings(file.new_dataset::<i16>().shape((50, 30)));
    let dataset = dataset.create("CellResp").expect("a dataset");
    if !rows.is_empty() {
        let ones = ndarray::Array2::<i16>::ones((rows.len(), 30));
        dataset.write_slice(&ones, (rows, ..)).expect("ones");
    }
    drop((dataset, file));
    let (header, file) = Header::read(path, "CellResp").expect("a header");
    let missing = header.missing(&file, path, "CellResp");
    drop(file);
    let location = Location::hdf5(path, "CellResp", Orientation::FramesByNeurons);
    let reader = location.and_then(|location| location.open());
    let samples = reader.and_then(|reader| reader.read_neurons(0..30));
    let traces = samples.expect("samples").traces(&(0..30));
    (missing.expect("an index").1, traces)
}

#[test]
fn rule_9_3_file_unwritten_chunks() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("TimeSeries.h5");
    let share = |traces: &[f32]| {
        assert!(
            traces
                .iter()
                .all(|sample| sample.is_nan() || *sample == 1.0)
        );
        traces.iter().filter(|sample| sample.is_nan()).count() as f64 / 1500.0
    };
    type Filter = fn(hdf5::DatasetBuilderEmptyShape) -> hdf5::DatasetBuilderEmptyShape;
    let filters: [Filter; 4] = [
        |builder| builder.chunk((20, 12)),
        |builder| builder.chunk((20, 12)).deflate(1),
        |builder| builder.chunk((20, 12)).shuffle().deflate(1).fletcher32(),
        |builder| {
            builder
                .chunk((20, 12))
                .fill_value(7_i16)
                .fill_time(hdf5::dataset::FillTime::Never)
        },
    ];
    for filter in filters {
        // Rows of chunks: 0 to 20, 20 to 40, and 40 to 50.
        let (unwritten, traces) = write_some(&path, filter, 20..40);
        let finding = unwritten
            .expect("gaps")
            .finding("CellResp", Orientation::FramesByNeurons);
        assert!((finding.share - 0.6).abs() < 1e-12, "{}", finding.share);
        assert_eq!(share(&traces), 0.6);
        assert_eq!(
            (finding.neurons, finding.frames, finding.first_neuron),
            (30, 30, Some(0))
        );
        let message = "6 of 9 chunks of CellResp were never stored (60.0 % of the samples)";
        assert!(finding.message.starts_with(message), "{}", finding.message);
        let (unwritten, traces) = write_some(&path, filter, 0..0);
        assert_eq!((share(&traces), unwritten.is_some()), (1.0, true));
        // The near miss: complete.
        let (unwritten, traces) = write_some(&path, filter, 0..50);
        assert_eq!((share(&traces), unwritten), (0.0, None));
    }
    let (unwritten, traces) = write_some(&path, |builder| builder, 0..0);
    let finding = unwritten
        .expect("gaps")
        .finding("CellResp", Orientation::NeuronsByFrames);
    assert_eq!((share(&traces), finding.share), (1.0, 1.0));
    assert_eq!((finding.neurons, finding.frames), (50, 30));
    let message = "100.0 % of the samples of CellResp were never stored";
    assert!(finding.message.starts_with(message), "{}", finding.message);
    let (unwritten, _) = write_some(&path, |builder| builder, 49..50);
    assert_eq!(unwritten, None);
}

#[test]
fn rule_2_2_chunks_that_h5py_compressed_by_lzf() {
    let path = FIXTURE.replace("traces.h5", "lzf.h5");
    let path = Path::new(&path);
    let numbers = |name: &str| {
        let traces = Matrix::open(path, name, Orientation::FramesByNeurons).expect(name);
        let part = read(&traces, 5..17);
        let all = read(&traces, 0..30);
        assert_eq!(part, all[5 * 50..17 * 50], "{name}");
        all
    };
    let expected = |n: usize, t: usize| (t * n % 7) as f32;
    for name in [
        "i1",
        "le_u2",
        "be_i4",
        "le_f4",
        "be_f4",
        "le_f8",
        "f2",
        "shuffle",
        "fletcher32",
        "shuffle_fletcher32",
        "fletcher32_before",
    ] {
        let wrong = numbers(name).into_iter().enumerate();
        let wrong = wrong.map(|(place, found)| (place / 50, place % 50, found));
        let wrong = wrong
            .into_iter()
            .find(|&(n, t, found)| found != expected(n, t));
        assert_eq!(wrong, None, "{name}");
    }
    assert_eq!(numbers("random"), numbers("random_plain"));
}

#[test]
fn rule_2_2_a_damaged_lzf_chunk_is_an_error() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("TimeSeries.h5");
    let bytes = std::fs::read(FIXTURE.replace("traces.h5", "lzf.h5")).expect("the fixture");
    let file = File::open(FIXTURE.replace("traces.h5", "lzf.h5")).expect("the fixture");
    for name in ["le_f4", "be_f4", "shuffle"] {
        let dataset = file.dataset(name).expect("a dataset");
        let chunk = dataset.chunk_info(4).expect("a chunk");
        let (start, length) = (chunk.addr as usize, chunk.size as usize);
        for damage in [[0xff; 8], [0x20; 8]] {
            let mut damaged = bytes.clone();
            damaged[start + length / 2..][..8].copy_from_slice(&damage);
            std::fs::write(&path, damaged).expect("a file");
            let traces = Matrix::open(&path, name, Orientation::FramesByNeurons).expect(name);
            let mut samples = Samples::default();
            let whole = traces.storage().all_frames(0..30);
            let read = traces.read(&whole, &mut [&mut samples]);
            let message = read.expect_err("a damaged chunk").to_string();
            assert!(message.contains("copy or save"), "{message}");
        }
    }
}

#[test]
fn rule_2_2_values_are_rounded_to_f32_once() {
    // Through f64 this would become a tie and then round down.
    let traces = open_fixture("large_i8").expect("traces");
    assert_eq!(
        read(&traces, 0..1)[0],
        ((1i64 << 62) + (1 << 38) + 1) as f32
    );
    assert_eq!(read(&traces, 0..1)[0], 4611686568183201792.0);
}

#[test]
fn rule_2_2_what_are_no_traces_says_what_was_expected_and_found() {
    for (dataset, found) in [
        ("one_axis", "1 dimensions, shape (10,)"),
        ("three_axes", "3 dimensions, shape (10, 7, 1)"),
        ("scalar", "0 dimensions"),
        ("no_frames", "an empty one, (0, 7)"),
        ("text", "text in shape (10, 7)"),
        ("variable_text", "text in shape (10, 7)"),
        ("complex", "a compound type"),
        ("records", "a compound type"),
        ("logical", "logical values"),
        ("nothing", "dimensions"),
        ("group", "a group"),
    ] {
        let message = open_fixture(dataset).expect_err(dataset).to_string();
        assert!(
            message.contains(&format!("dataset {dataset}: expected")) && message.contains(found),
            "{dataset}: {message}"
        );
    }
    let message = open_fixture("CellResp").expect_err("missing").to_string();
    assert!(
        message.contains("expected a dataset CellResp, found chunked_be, complex"),
        "{message}"
    );
    assert!(message.contains("--calcium_dataset"), "{message}");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("TimeSeries.h5");
    let file = File::create(&path).expect("a file");
    file.create_group("processed/fluo").expect("groups");
    let dataset = file
        .new_dataset::<f32>()
        .shape((3, 4))
        .create("processed/fluo/CellResp");
    drop((dataset.expect("a dataset"), file));
    let message = Matrix::open(&path, "CellResp", Orientation::FramesByNeurons);
    let message = message.expect_err("missing").to_string();
    assert!(
        message.contains("found processed/fluo/CellResp;"),
        "{message}"
    );
}

#[test]
fn rule_2_2_a_damaged_file_gives_the_librarys_short_reason() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("TimeSeries.h5");
    let whole = std::fs::read(FIXTURE).expect("the fixture");
    for (content, reason) in [
        (&whole[..whole.len() / 2], "truncated"),
        (&whole[1..], "other bytes"),
        (&[], "an empty file"),
    ] {
        std::fs::write(&path, content).expect("a file");
        let message = Matrix::open(&path, "CellResp", Orientation::FramesByNeurons)
            .expect_err("damaged")
            .to_string();
        assert!(
            message.contains(reason)
                && message.contains("TimeSeries.h5")
                && !message.contains('\n'),
            "{message}"
        );
    }
    let missing = Matrix::open(&dir.path().join("no.h5"), "x", Orientation::FramesByNeurons)
        .expect_err("missing")
        .to_string();
    assert!(missing.contains("no such file"), "{missing}");
    let folder = Matrix::open(dir.path(), "x", Orientation::FramesByNeurons)
        .expect_err("folder")
        .to_string();
    assert!(folder.contains("found a folder"), "{folder}");
}

/// A file of values of (row, column), in chunks if asked for, which are deflated or plain and no larger than the dataset.
fn write(
    path: &Path,
    [rows, columns]: [usize; 2],
    chunk: Option<(usize, usize)>,
    deflated: bool,
    value: impl Fn(usize, usize) -> f32,
) {
    let values = ndarray::Array2::from_shape_fn((rows, columns), |(r, c)| value(r, c));
    let file = File::create(path).expect("a file");
    let mut builder = file.new_dataset::<f32>().shape((rows, columns));
    if let Some((high, wide)) = chunk {
        builder = builder.chunk((high.min(rows), wide.min(columns)));
        if deflated {
            builder = builder.deflate(1);
        }
    }
    let dataset = builder.create("CellResp").expect("a dataset");
    dataset.write(&values).expect("values");
}

/// A value that says where it belongs.
fn value(row: usize, column: usize) -> f32 {
    (row * 1000 + column) as f32
}

/// Writes numbers of this shape in chunks like these, deflated and plain, and reads some neurons in either orientation.
fn check_layouts(shape: [usize; 2], chunks: &[Option<(usize, usize)>], left_out: &[[usize; 2]]) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("TimeSeries.h5");
    let deflated = chunks.iter().filter(|chunk| chunk.is_some());
    let deflated = deflated.map(|chunk| (*chunk, true));
    for (chunk, deflated) in chunks.iter().map(|chunk| (*chunk, false)).chain(deflated) {
        write(&path, shape, chunk, deflated, value);
        for orientation in [Orientation::FramesByNeurons, Orientation::NeuronsByFrames] {
            let traces = Matrix::open(&path, "CellResp", orientation).expect("traces");
            let (frames, neurons) = (traces.storage().frames(), traces.storage().neurons());
            for [before, after] in left_out {
                let start = neurons.min(*before);
                let range = start..neurons.saturating_sub(*after).max(start);
                let values = read(&traces, range.clone());
                assert_eq!(values.len(), range.len() * frames);
                let wrong = values.into_iter().enumerate().position(|(place, found)| {
                    let (n, t) = (range.start + place / frames, place % frames);
                    let (row, column) = match orientation {
                        Orientation::FramesByNeurons => (t, n),
                        Orientation::NeuronsByFrames => (n, t),
                    };
                    found != value(row, column)
                });
                assert_eq!(
                    wrong, None,
                    "{chunk:?} {deflated} {orientation:?} {range:?}"
                );
            }
        }
    }
}

#[test]
fn rule_2_2_any_layout_and_orientation_gives_neuron_major_traces() {
    let chunks = [
        None,
        Some((1, 1)),
        Some((7, 5)),
        Some((70, 5)),
        Some((153, 1)),
        Some((1, 41)),
        Some((153, 41)),
    ];
    check_layouts([153, 41], &chunks, &[[0, 0], [3, 2], [10, 30], [5, 36]]);
}

#[test]
fn rule_2_2_traces_larger_than_a_block() {
    // 2.4 million values: ten blocks, with a chunk larger than a block in the last case.
    let chunks = [None, Some((100, 300)), Some((3000, 800))];
    check_layouts([3000, 800], &chunks, &[[1, 1], [250, 300]]);
}

#[test]
fn rule_2_2_parts_of_rows_that_are_far_apart() {
    check_layouts([3, 60_000], &[None, Some((1, 60_000))], &[[20_000, 30_000]]);
}

#[test]
fn rule_2_2_one_frame_or_one_neuron() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("TimeSeries.h5");
    for shape in [[1, 5], [5, 1], [1, 1]] {
        write(&path, shape, None, false, value);
        let traces = Matrix::open(&path, "CellResp", Orientation::FramesByNeurons).expect("traces");
        assert_eq!(
            [traces.storage().frames(), traces.storage().neurons()],
            shape
        );
        assert_eq!(read(&traces, 0..shape[1]).len(), shape[0] * shape[1]);
    }
}

#[test]
fn some_frames_of_some_neurons() {
    let traces = open_fixture("chunked_be").expect("traces");
    let piece = Piece {
        neurons: 2..5,
        frames: 3..7,
    };
    let mut samples = Samples::new(&traces.storage(), piece.clone());
    traces.read(&piece, &mut [&mut samples]).expect("a piece");
    let expected = (2..5).flat_map(|n| (3..7).map(move |t| (10 * n + t) as f32 - 20.0));
    assert!(samples.traces(&(2..5)).into_iter().eq(expected));
}

#[test]
fn some_frames_of_some_neurons_from_any_layout_and_orientation() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("TimeSeries.h5");
    let piece = Piece {
        neurons: 60..70,
        frames: 62..131,
    };
    for chunk in [
        None,
        Some((4, 3)),
        Some((1, 140)),
        Some((140, 1)),
        Some((64, 7)),
    ] {
        write(&path, [140, 140], chunk, false, value);
        for orientation in [Orientation::FramesByNeurons, Orientation::NeuronsByFrames] {
            let traces = Matrix::open(&path, "CellResp", orientation).expect("traces");
            let mut samples = Samples::new(&traces.storage(), piece.clone());
            traces.read(&piece, &mut [&mut samples]).expect("a piece");
            for neurons in [60..70, 63..66] {
                let expected = neurons.clone().flat_map(|n| {
                    (62..131).map(move |t| match orientation {
                        Orientation::FramesByNeurons => value(t, n),
                        Orientation::NeuronsByFrames => value(n, t),
                    })
                });
                assert!(
                    samples.traces(&neurons).into_iter().eq(expected),
                    "{chunk:?} {orientation:?} {neurons:?}"
                );
            }
        }
    }
}

#[test]
fn a_piece_that_is_not_there_is_an_error() {
    let location = Location::hdf5(
        Path::new(FIXTURE),
        "float32_le",
        Orientation::FramesByNeurons,
    );
    let traces = location.and_then(|location| location.open());
    let traces = traces.expect("traces");
    let read = |neurons, frames| traces.read(&Piece { neurons, frames }, &mut []).is_ok();
    assert!(read(0..7, 0..10));
    assert!(!read(7..8, 0..10));
    assert!(!read(0..1, 3..11));
    let reversed = Range { start: 3, end: 2 };
    assert!(!read(0..1, reversed));
}
