use std::fs;

use super::*;
use crate::input::panel::Panel;
use crate::input::place::Place;
use crate::input::source::Location;

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("traces.csv");
    fs::write(&path, text).expect("a file");
    (folder, path)
}

/// Rows, columns and numbers of a table.
fn read(text: &str) -> Result<([usize; 2], Vec<f32>), InputError> {
    read_of(text, None)
}

/// As [`read`], of a table with this number of neurons.
fn read_of(text: &str, neurons: Option<usize>) -> Result<([usize; 2], Vec<f32>), InputError> {
    let (_folder, path) = written(text);
    let place = Table::scan(&path)?.of_neurons(neurons);
    let storage = place.storage(Orientation::NeuronsByFrames);
    let all = 0..storage.neurons();
    let location = Location::from(Panel::new(Place::Text(place.clone()), storage));
    let samples = location.open()?.read_neurons(all.clone())?;
    Ok((place.shape, samples.traces(&all)))
}

#[test]
fn rule_2_6_tables_have_any_separator_and_names_of_rows_and_columns_or_none() {
    let expected = ([2, 3], vec![1.5, -2.0, 3e-2, 4.0, 5.0, 6.0]);
    for text in [
        "1.5,-2,3e-2\n4,5,6\n",
        "1.5,-2,3e-2\r\n4,5,6",
        "\u{feff}1,5;-2;0,03\r\n4;5;6\r\n\r\n",
        "1.5\t-2\t0.03\n4\t5\t6\n",
        "  1.5 -2   0.03\n4 5 6\n",
        "# by numpy\n1.5 -2 0.03\n4 5 6\n",
        "a,b,c\n1.5,-2,0.03\n4,5,6\n",
        "0,1,2\n1.5,-2,0.03\n4,5,6\n",
        "1,2,3\n1.5,-2,0.03\n4,5,6\n",
        ",0,1,2\n0,1.5,-2,0.03\n1,4,5,6\n",
        "neuron,0,1,2\nn0,1.5,-2,0.03\nn1,4,5,6\n",
        "neuron,0.0,0.5,1.0\n7,1.5,-2,0.03\n9,4,5,6\n",
        "\"cell 1\",1.5,-2,0.03\n\"cell 2\",4,5,6\n",
        "Time,a,b,c\n0.5,1.5,-2,0.03\n1.0,4,5,6\n",
    ] {
        let found = read(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(found, expected, "{text:?}");
    }
    // What counts may be samples after all, if only then the number of neurons is right.
    for (text, neurons, shape) in [
        ("0,1,2\n3,4,5\n", 2, [2, 3]),
        ("0,1,2\n3,4,5\n", 1, [1, 3]),
        ("0,1,2\n3,4,5\n", 3, [1, 3]),
        ("0,7,8\n1,9,6\n2,3,4\n", 3, [3, 2]),
        ("0,7\n1,9\n2,3\n3,5\n", 2, [4, 2]),
        ("0,7\n1,9\n2,3\n3,5\n", 1, [4, 1]),
    ] {
        assert_eq!(
            read_of(text, Some(neurons)).expect("a table").0,
            shape,
            "{text}"
        );
    }
    // Only a column that counts all rows is a number of rows.
    let counted = read("0,7,8\n1,9,6\n2,3,4\n").expect("a table");
    assert_eq!(counted, ([3, 2], vec![7.0, 8.0, 9.0, 6.0, 3.0, 4.0]));
    assert_eq!(read("0,7,8\n1,9,6\n3,3,4\n").expect("a table").0, [3, 3]);
}

#[test]
fn rule_2_6_a_line_or_column_of_times_holds_no_samples() {
    let time = |frame: usize| format!("{:.3}", frame as f64 / 7.5);
    let sample = |row: usize, column: usize| (column * 7 + row * 5) % 11;
    let line = |row: usize, columns: usize| {
        let cells = (0..columns).map(|column| sample(row, column).to_string());
        cells.collect::<Vec<_>>().join(",")
    };
    let samples = |rows: usize, columns: usize| {
        let rows = (0..rows).flat_map(|row| (0..columns).map(move |column| sample(row, column)));
        rows.map(|sample| sample as f32).collect::<Vec<_>>()
    };
    // Eight neurons in lines below the times of nine frames.
    let mut lines = vec![(3..12).map(time).collect::<Vec<_>>().join(",")];
    lines.extend((0..8).map(|row| line(row, 9)));
    let found = read_of(&lines.join("\n"), Some(8)).expect("a table");
    assert_eq!(found, ([8, 9], samples(8, 9)));
    // Nine frames in lines, each after its time.
    let lines = (0..9).map(|row| format!("{},{}", time(row), line(row, 8)));
    let lines = lines.collect::<Vec<_>>().join("\n");
    let found = read_of(&lines, Some(8)).expect("a table");
    assert_eq!(found, ([9, 8], samples(9, 8)));
    // Nine neurons, whose first samples ascend.
    assert_eq!(read_of(&lines, Some(9)).expect("a table").0, [9, 9]);
    // Too few to tell.
    assert_eq!(read("0.5,1.0,1.5\n3,1,2\n").expect("a table").0, [2, 3]);
}

#[test]
fn rule_2_6_empty_and_nan_cells_are_missing_and_other_words_are_refused() {
    let (shape, numbers) = read("1,,nan\nNA,5,NaN\n,,\n").expect("a table");
    assert_eq!(shape, [3, 3]);
    let missing: Vec<bool> = numbers.iter().map(|number| number.is_nan()).collect();
    let expected = [false, true, true, true, false, true, true, true, true];
    assert_eq!(missing, expected);
    for (text, words) in [
        ("1,2\n3,oops\n", "\"oops\" in row 2, column 2"),
        ("a,b,c\n1,2,3\n4,x,6\n", "\"x\" in row 2, column 2"),
        (
            "n,1,2,3\na,1,2,4\nb,4,5.6.7,1\n",
            "\"5.6.7\" in row 2, column 2",
        ),
        ("1,2\n3\n", "1 cell in line 2, not 2"),
        ("1,2\n\n3,4,5\n", "3 cells in line 3, not 2"),
        ("", "no numbers"),
        ("\n\n", "no numbers"),
        ("a,b\n", "no numbers"),
    ] {
        let message = read(text).expect_err(text).to_string();
        assert!(
            message.contains(words) && message.contains("traces.csv"),
            "{message}"
        );
    }
}

/// Numbers that do not count.
fn value(place: usize) -> usize {
    (place * 7 + 5) % 9973
}

#[test]
fn rule_2_6_any_piece_of_a_large_table_is_read_alone() {
    for (rows, columns) in [(7, 100_000), (30_000, 20), (600, 700)] {
        let mut text = String::new();
        for row in 0..rows {
            let cells = (0..columns).map(|column| format!("{}", value(row * columns + column)));
            text.push_str(&cells.collect::<Vec<_>>().join(","));
            text.push('\n');
        }
        let (_folder, path) = written(&text);
        let place = Table::scan(&path).expect("a table").of_neurons(Some(rows));
        assert_eq!(place.shape, [rows, columns]);
        for orientation in [Orientation::FramesByNeurons, Orientation::NeuronsByFrames] {
            let storage = place.storage(orientation);
            let matrix = Matrix::open(&place, orientation).expect("a matrix");
            let (neurons, frames) = (storage.neurons(), storage.frames());
            for piece in [
                Piece {
                    neurons: neurons - 3..neurons - 1,
                    frames: frames / 2..frames / 2 + 3,
                },
                Piece {
                    neurons: 0..2,
                    frames: frames - 2..frames,
                },
                Piece {
                    neurons: neurons / 3..neurons / 3 + 1,
                    frames: 0..frames,
                },
            ] {
                let mut samples = Samples::new(&storage, piece.clone());
                matrix.read(&piece, &mut [&mut samples]).expect("a piece");
                let traces = samples.traces(&piece.neurons);
                let mut found = traces.iter();
                for neuron in piece.neurons.clone() {
                    for frame in piece.frames.clone() {
                        let number = match orientation {
                            Orientation::FramesByNeurons => frame * columns + neuron,
                            Orientation::NeuronsByFrames => neuron * columns + frame,
                        };
                        assert_eq!(found.next(), Some(&(value(number) as f32)));
                    }
                }
            }
        }
    }
}
