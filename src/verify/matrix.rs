//! Matrices (T, N) that hold the values of `traces.h5`, (N, T).

use spikegrid_core::wording::{counted, whole};
use spikegrid_files::output::written::WrittenDataset;

use super::report::{Opened, Report};

/// Neurons whose values are read at once.
const TOGETHER: usize = 100;

/// Compares a matrix (T, N) of a file with what `stored` makes of values (N, T).
pub(super) fn compare(
    report: &mut Report,
    file: &Opened,
    name: &str,
    matrix: &WrittenDataset,
    values: &WrittenDataset,
    stored: impl Fn(f32) -> f64,
    rule: &str,
) {
    let compared = differing(matrix, values, stored);
    if let Some(Some(differing)) = file.read(report, name, compared, rule) {
        let [frame, neuron] = differing.place;
        let all: usize = matrix.shape.iter().product();
        report.difference(
            format_args!("{}: {name}[{frame}, {neuron}]", file.name),
            format_args!("{:?}", differing.expected),
            format_args!("{:?}", differing.found),
            format_args!(
                "{rule}; {} of {} differ",
                whole(differing.count),
                counted(all, "value")
            ),
        );
    }
}

/// How many values differ, and the first of them.
struct Differing {
    count: u64,
    /// Frame and neuron.
    place: [usize; 2],
    expected: f64,
    found: f64,
}

fn differing(
    matrix: &WrittenDataset,
    values: &WrittenDataset,
    stored: impl Fn(f32) -> f64,
) -> Result<Option<Differing>, String> {
    let (frames, neurons) = (matrix.shape[0], matrix.shape[1]);
    let mut first: Option<Differing> = None;
    for start in (0..neurons).step_by(TOGETHER) {
        let columns = start..neurons.min(start + TOGETHER);
        let width = columns.len();
        let found = matrix.part::<f64>(&[0..frames, columns.clone()])?;
        let values = values.rows::<f32>(columns)?;
        for (place, &found) in found.iter().enumerate() {
            let (frame, column) = (place / width, place % width);
            let expected = stored(values[column * frames + frame]);
            if expected != found && !(expected.is_nan() && found.is_nan()) {
                let differing = first.get_or_insert(Differing {
                    count: 0,
                    place: [frame, start + column],
                    expected,
                    found,
                });
                differing.count += 1;
            }
        }
    }
    Ok(first)
}
