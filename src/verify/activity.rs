//! `activity.h5` (rule 8.9): whether its rates are those of `traces.h5`, or without traces come to the expected spikes in
//! `neurons.tsv`, and what lies beside them.

use std::io::BufReader;
use std::ops::Range;
use std::path::Path;

use spikegrid_core::wording::{counted, whole};
use spikegrid_files::output::written::{NumberKind, SmallValue, WrittenDataset};
use spikegrid_files::regular;

use super::matrix;
use super::report::{Opened, Report};
use super::table;
use super::traces::Traces;

const RULE: &str = "rule 8.9";
const VALUES: &str = "neuron_values";
const UNIT: &str = "spikes per frame, not clipped; NaN where there is no rate";
/// Frames and neurons of a chunk, at most, and of what is read at once.
const CHUNK: [usize; 2] = [1000, 100];
/// Spikes in a frame that a half cannot hold, a little less than its largest number, 65504: the table is not exact.
const BEYOND_HALVES: f64 = 65e3;

/// Checks the file of a subject of `frames` frames: its rates against traces, or else against the table of neurons, where there is
/// one.
pub(super) fn check(
    report: &mut Report,
    file: &Opened,
    table: &Path,
    frames: usize,
    is_train: Option<&[u8]>,
    sampling_rate_hz: Option<f64>,
    traces: Option<&Traces>,
) {
    let Some(values) = open_values(report, file, frames) else {
        return;
    };
    let neurons = values.shape[1];
    check_beside(report, file, [frames, neurons], is_train, sampling_rate_hz);
    let shape = [neurons, 3];
    let positions = file.values::<f32>(report, "cell_positions", NumberKind::F32, &shape, RULE);
    if let Some(traces) = traces {
        if traces.neurons != neurons {
            let place = format!("{}: {VALUES}", file.name);
            return report.difference(place, counted(traces.neurons, "neuron"), neurons, RULE);
        }
        if let Some((found, xyz)) = positions.zip(traces.xyz.as_deref()) {
            check_positions(report, file, xyz, &found);
        }
    }
    if !are_stored(report, file, &values) {
        return;
    }
    match traces.and_then(|traces| traces.rates.as_ref()) {
        Some(rates) => {
            let stored = |rate: f32| match values.is_half {
                true => half::f16::from_f32(rate).to_f64(),
                false => rate.into(),
            };
            matrix::compare(report, file, VALUES, &values, rates, stored, RULE);
        }
        None => check_sums(report, file, &values, table),
    }
}

/// Opens the rates, (T, N), or reports what is there instead.
fn open_values(report: &mut Report, file: &Opened, frames: usize) -> Option<WrittenDataset> {
    let (expected, found) = match file.file.dataset(VALUES) {
        Ok(values) if values.shape.len() == 2 && values.shape[0] == frames && is_float(&values) => {
            return Some(values);
        }
        Ok(values) => (format!("f32 or f16 ({frames}, neurons)"), values.words()),
        Err(found) => ("rates".to_owned(), found),
    };
    let place = format!("{}: {VALUES}", file.name);
    report.difference(place, expected, found, RULE);
    None
}

/// Checks what lies beside rates of this shape, except the positions.
fn check_beside(
    report: &mut Report,
    file: &Opened,
    [frames, neurons]: [usize; 2],
    is_train: Option<&[u8]>,
    sampling_rate_hz: Option<f64>,
) {
    let unit = SmallValue::Texts(vec![UNIT.to_owned()]);
    file.expect_attribute(report, VALUES, "unit", &unit, RULE);
    if let Some(rate) = sampling_rate_hz {
        let name = "original_sampling_rate_hz";
        let found = file.values::<f64>(report, name, NumberKind::F64, &[], RULE);
        if let Some(found) = found {
            file.compare(report, name, &[], &[rate], &found, RULE);
        }
    }
    file.expect_scalar(report, "num_timepoints", frames as i64, RULE);
    file.expect_scalar(report, "num_neurons", neurons as i64, RULE);
    let timepoints: Vec<i32> = (0..frames as i32).collect();
    let kind = NumberKind::I32;
    file.expect(report, "timepoint_indices", kind, &timepoints, RULE);
    if let Some(is_train) = is_train {
        file.expect(report, "is_train", NumberKind::U8, is_train, RULE);
    }
}

/// Compares positions from 0 to 1, (N, 3), with those of the traces.
fn check_positions(report: &mut Report, file: &Opened, xyz: &[[f64; 3]], found: &[f32]) {
    const NAME: &str = "cell_positions";
    let [least, greatest] = ends(xyz);
    for (name, ends) in [("positions_min", least), ("positions_max", greatest)] {
        let ends = SmallValue::Numbers(ends.to_vec());
        file.expect_attribute(report, NAME, name, &ends, RULE);
    }
    file.compare(report, NAME, &[xyz.len(), 3], &scaled(xyz), found, RULE);
}

/// Whether all chunks of the rates are stored, or reports that they are not.
fn are_stored(report: &mut Report, file: &Opened, values: &WrittenDataset) -> bool {
    let found = match values.has_all_chunks() {
        Some(true) => return true,
        Some(false) => "chunks that were never stored",
        None => "no chunks, or none that HDF5 finds",
    };
    report.difference(
        format_args!("{}: {VALUES}", file.name),
        "chunks of rates",
        found,
        RULE,
    );
    false
}

/// Reads all rates, (T, N), and reports infinite ones, and neurons whose rates are not those that the table of neurons was made with.
fn check_sums(report: &mut Report, file: &Opened, values: &WrittenDataset, table: &Path) {
    let neurons = values.shape[1];
    let mut rows = read_table(table, neurons);
    if rows.as_ref().is_some_and(|rows| rows.len() != neurons) {
        report.difference(
            format_args!("{}: {VALUES}", file.name),
            "as many neurons as neurons.tsv has rows",
            whole(neurons),
            RULE,
        );
        rows = None;
    }
    let odd = Odd::of(values, rows.as_deref());
    if let Some(odd) = file.read(report, VALUES, odd, RULE) {
        odd.tell(report, file, &values.shape);
    }
}

/// What the table says of the rates of a neuron; NaN where it does not say it.
struct Row {
    /// Sum of its rates, each clipped to 0 to 1.
    expected_spikes: f64,
    /// Share of what lies above 1 in the sum of its rates.
    clipped_share: f64,
}

impl Row {
    /// Whether a rate may be more than halves can hold, and thus infinite.
    fn exceeds_halves(&self) -> bool {
        let kept_share = 1.0 - self.clipped_share;
        self.expected_spikes * self.clipped_share / kept_share > BEYOND_HALVES
    }

    /// Whether rates with this sum are those that the table was made with, as far as it says.
    ///
    /// The table has the sum as f32 with all digits: to 6e-8 of at most one spike per frame. Halves hold a rate to 2^-11 of it, or to
    /// 3e-8 next to 0. Where kinds of processors wrote file and table, rates differ in their last bits. So 1e-6 per frame is ample
    /// beside what halves leave out, and far less than what other rates come to.
    fn comes_to(&self, sum: f64, frames: usize, is_half: bool) -> bool {
        let of_halves = if is_half { 1.0 / 2048.0 } else { 0.0 };
        let tolerance = 1e-6 * frames as f64 + of_halves * self.expected_spikes;
        self.expected_spikes.is_nan() || (sum - self.expected_spikes).abs() <= tolerance
    }
}

/// Reads what a table says of each neuron, of one more than `neurons` at most. Nothing where it cannot be read: its own check says so.
fn read_table(path: &Path, neurons: usize) -> Option<Vec<Row>> {
    let mut reader = BufReader::new(regular::open(path).ok()?);
    let header = table::line(&mut reader).ok()??;
    let place = |name: &str| header.split('\t').position(|column| column == name);
    let expected_spikes = place("expected_spikes")?;
    let clipped_share = place("clipped_share")?;
    let mut rows = Vec::new();
    while rows.len() <= neurons {
        let Some(text) = table::line(&mut reader).ok()? else {
            break;
        };
        let number = |place: usize| {
            let field = text.split('\t').nth(place)?;
            field.parse::<f64>().ok()
        };
        rows.push(Row {
            expected_spikes: number(expected_spikes).unwrap_or(f64::NAN),
            clipped_share: number(clipped_share).unwrap_or(f64::NAN),
        });
    }
    Some(rows)
}

/// What is odd about the rates of a file: how many rates or neurons, and the first of them.
#[derive(Default)]
struct Odd {
    infinite: u64,
    /// Frame, neuron and rate.
    first_infinite: Option<(usize, usize, f32)>,
    /// Neurons whose rates come to something else than the table says.
    sums: u64,
    /// Neuron, what the table says, and what its rates come to.
    first_sum: Option<(usize, f64, f64)>,
}

impl Odd {
    /// Reads all rates, (T, N), and compares them with the rows of the table, (N,).
    fn of(values: &WrittenDataset, table: Option<&[Row]>) -> Result<Self, String> {
        let (frames, neurons) = (values.shape[0], values.shape[1]);
        let mut odd = Self::default();
        for first in (0..neurons).step_by(CHUNK[1]) {
            let columns = first..neurons.min(first + CHUNK[1]);
            let sums = odd.sum_up(values, columns.clone(), table)?;
            for (neuron, sum) in columns.zip(sums) {
                if let Some(row) = table.map(|table| &table[neuron])
                    && !row.comes_to(sum, frames, values.is_half)
                {
                    odd.sums += 1;
                    let first = (neuron, row.expected_spikes, sum);
                    odd.first_sum.get_or_insert(first);
                }
            }
        }
        Ok(odd)
    }

    /// The sums of the rates of some neurons, each rate clipped to 0 to 1. Notes infinite rates.
    fn sum_up(
        &mut self,
        values: &WrittenDataset,
        columns: Range<usize>,
        table: Option<&[Row]>,
    ) -> Result<Vec<f64>, String> {
        let frames = values.shape[0];
        // As many frames as a chunk has, so that each chunk is inflated once.
        let blocks = frames.div_ceil(CHUNK[0]).max(1);
        let together = frames.div_ceil(blocks).max(1);
        let mut sums = vec![0.0; columns.len()];
        for first in (0..frames).step_by(together) {
            let rows = first..frames.min(first + together);
            let rates = values.part::<f32>(&[rows, columns.clone()])?;
            for (frame, rates) in (first..).zip(rates.chunks_exact(columns.len())) {
                for ((neuron, sum), &rate) in columns.clone().zip(&mut sums).zip(rates) {
                    // NaN is no rate.
                    if rate > 0.0 {
                        *sum += f64::from(rate.min(1.0));
                    }
                    if rate.is_infinite() {
                        let row = table.map(|table| &table[neuron]);
                        self.note_infinite(frame, neuron, rate, row, values.is_half);
                    }
                }
            }
        }
        Ok(sums)
    }

    /// Notes an infinite rate, unless it is one that halves cannot hold.
    fn note_infinite(
        &mut self,
        frame: usize,
        neuron: usize,
        rate: f32,
        row: Option<&Row>,
        is_half: bool,
    ) {
        let is_rounded = is_half && rate > 0.0 && row.is_some_and(Row::exceeds_halves);
        if !is_rounded {
            self.infinite += 1;
            self.first_infinite.get_or_insert((frame, neuron, rate));
        }
    }

    /// Reports what is odd about rates of this shape.
    fn tell(&self, report: &mut Report, file: &Opened, shape: &[usize]) {
        if let Some((frame, neuron, rate)) = self.first_infinite {
            let all: usize = shape.iter().product();
            report.difference(
                format_args!("{}: {VALUES}[{frame}, {neuron}]", file.name),
                "a finite rate, or NaN",
                format_args!("{rate:?}"),
                format_args!(
                    "{RULE}; {} of {} are infinite",
                    whole(self.infinite),
                    counted(all, "value")
                ),
            );
        }
        if let Some((neuron, expected, found)) = self.first_sum {
            report.difference(
                format_args!("{}: {VALUES}[:, {neuron}]", file.name),
                format_args!(
                    "rates with the sum {expected:?}, each clipped to 0 to 1, as in neurons.tsv"
                ),
                format_args!("{:?}", found as f32),
                format_args!(
                    "{RULE}; {} of {} differ",
                    whole(self.sums),
                    counted(shape[1], "neuron")
                ),
            );
        }
    }
}

fn is_float(values: &WrittenDataset) -> bool {
    values.kind == NumberKind::F32 || values.is_half
}

/// The least and the greatest coordinate on each axis, NaN where none is known.
fn ends(xyz: &[[f64; 3]]) -> [[f64; 3]; 2] {
    let of = |end: fn(f64, f64) -> f64| {
        [0, 1, 2].map(|axis| xyz.iter().map(|place| place[axis]).fold(f64::NAN, end))
    };
    [of(f64::min), of(f64::max)]
}

/// Positions, each axis from 0 to 1, (N, 3).
fn scaled(xyz: &[[f64; 3]]) -> Vec<f32> {
    let axis = |axis: usize| {
        let known = || xyz.iter().map(|place| place[axis]).filter(|x| !x.is_nan());
        let low = known().fold(f64::INFINITY, f64::min);
        let high = known().fold(f64::NEG_INFINITY, f64::max);
        (low, if high > low { high - low } else { 1.0 })
    };
    let axes = [axis(0), axis(1), axis(2)];
    xyz.iter()
        .flat_map(|place| [0, 1, 2].map(|n| ((place[n] - axes[n].0) / axes[n].1) as f32))
        .collect()
}

#[cfg(test)]
mod tests {
    use half::f16;
    use ndarray::{Array2, ArrayView2};
    use spikegrid_files::output::written::WrittenFile;

    use super::*;

    /// What is odd about rates, (T, N), as they are stored in f32 or f16.
    fn odd<T: hdf5::H5Type>(rates: ArrayView2<T>, table: Option<&[Row]>) -> Odd {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("activity.h5");
        let file = hdf5::File::create(&path).unwrap();
        let builder = file.new_dataset_builder().with_data(rates);
        builder.create(VALUES).unwrap();
        file.close().unwrap();
        let file = WrittenFile::open(&path).unwrap();
        Odd::of(&file.dataset(VALUES).unwrap(), table).unwrap()
    }

    /// What the table says of the neurons of these rates, (T, N).
    fn table(rates: &Array2<f32>) -> Vec<Row> {
        let columns = rates.columns().into_iter();
        let rows = columns.map(|rates| {
            let known = || rates.iter().filter(|rate| !rate.is_nan());
            let expected: f64 = known().map(|rate| f64::from(rate.clamp(0.0, 1.0))).sum();
            let above: f64 = known().map(|rate| f64::from(rate.max(1.0)) - 1.0).sum();
            Row {
                expected_spikes: f64::from(expected as f32),
                clipped_share: f64::from((above / (expected + above)) as f32),
            }
        });
        rows.collect()
    }

    #[test]
    fn rule_9_6_rates_of_either_precision_come_to_the_sums_of_the_table() {
        // More frames and neurons than are read at once.
        let mut rates = Array2::from_shape_fn((2500, 103), |(frame, neuron)| {
            ((frame * 7 + neuron * 3) % 31) as f32 / 23.0 - 0.1
        });
        rates.column_mut(5).fill(f32::NAN);
        rates.column_mut(6).fill(3e-8);
        let mut rows = table(&rates);
        let halves = rates.mapv(f16::from_f32);
        for odd in [
            odd(rates.view(), Some(&rows)),
            odd(halves.view(), Some(&rows)),
        ] {
            assert_eq!((odd.sums, odd.infinite), (0, 0), "{:?}", odd.first_sum);
        }
        rows[101].expected_spikes += 2.0;
        rows[102].expected_spikes = f64::NAN;
        for odd in [
            odd(rates.view(), Some(&rows)),
            odd(halves.view(), Some(&rows)),
        ] {
            let (neuron, expected, sum) = odd.first_sum.unwrap();
            assert_eq!((odd.sums, neuron), (1, 101));
            assert!((expected - sum - 2.0).abs() < 0.5);
        }
        rows[101].expected_spikes -= 2.0 - 0.01;
        assert_eq!(odd(rates.view(), Some(&rows)).sums, 1);
    }

    #[test]
    fn rule_9_6_infinite_rates_are_odd_unless_halves_cannot_hold_them() {
        let mut rates = Array2::from_elem((1200, 3), 0.5_f32);
        rates[[1100, 1]] = 7e4;
        let rows = table(&rates);
        let halves = rates.mapv(f16::from_f32);
        assert_eq!(odd(rates.view(), None).infinite, 0);
        assert_eq!(odd(halves.view(), Some(&rows)).infinite, 0);
        let first = Some((1100, 1, f32::INFINITY));
        assert_eq!(odd(halves.view(), None).first_infinite, first);

        rates[[1100, 1]] = f32::INFINITY;
        rates[[1150, 2]] = f32::NEG_INFINITY;
        let found = odd(rates.view(), Some(&rows));
        assert_eq!((found.infinite, found.first_infinite), (2, first));
        let found = odd(rates.mapv(f16::from_f32).view(), Some(&rows));
        let first = Some((1150, 2, f32::NEG_INFINITY));
        assert_eq!((found.infinite, found.first_infinite), (1, first));
    }

    #[test]
    fn rule_8_9_positions_go_from_0_to_1() {
        let found = scaled(&[[2.0, 5.0, 1.0], [6.0, 5.0, f64::NAN], [3.0, 5.0, 0.0]]);
        assert_eq!(found[..5], [0.0, 0.0, 1.0, 1.0, 0.0]);
        assert!(found[5].is_nan());
        assert_eq!(found[6..], [0.25, 0.0, 0.0]);
    }
}
