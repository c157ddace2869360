//! The NWB file (rule 8.10): whether its matrices and positions are those of `traces.h5`. Validators of NWB check the rest.

use spikegrid_files::output::nwb::{DFF, RATES};
use spikegrid_files::output::written::NumberKind;

use super::matrix;
use super::report::{Opened, Report};
use super::traces::Traces;

const RULE: &str = "rule 8.10";
const TABLE: &str = "processing/ophys/ImageSegmentation/PlaneSegmentation";

/// Checks the file of a subject of `frames` frames at this rate, as far as traces are there to compare it with.
pub(super) fn check(
    report: &mut Report,
    file: &Opened,
    frames: usize,
    sampling_rate_hz: Option<f64>,
    traces: Option<&Traces>,
) {
    let Some(traces) = traces else {
        for name in [DFF, RATES] {
            if let Err(found) = file.file.dataset(name) {
                report.difference(
                    format_args!("{}: {name}", file.name),
                    "a matrix",
                    found,
                    RULE,
                );
            }
        }
        return;
    };
    let shape = [frames, traces.neurons];
    let mut matrix_of = |name| file.dataset(report, name, NumberKind::F32, &shape, RULE);
    let (dff, rates) = (matrix_of(DFF), matrix_of(RATES));
    if let Some((dff, expected)) = dff.zip(traces.dff.as_ref()) {
        matrix::compare(report, file, DFF, &dff, expected, f64::from, RULE);
    }
    if let Some(((rates, expected), rate)) = rates.zip(traces.rates.as_ref()).zip(sampling_rate_hz)
    {
        let hertz = |per_frame: f32| f64::from((f64::from(per_frame) * rate) as f32);
        matrix::compare(report, file, RATES, &rates, expected, hertz, RULE);
    }
    for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
        if let Some(xyz) = &traces.xyz {
            let expected: Vec<f64> = xyz.iter().map(|place| place[axis]).collect();
            let column = format!("{TABLE}/{name}");
            file.expect(report, &column, NumberKind::F64, &expected, RULE);
        }
    }
    if let Some(rows) = &traces.source_row {
        let column = format!("{TABLE}/source_row");
        file.expect(report, &column, NumberKind::I64, rows, RULE);
    }
}
