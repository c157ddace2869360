//! `activity.h5` (rule 8.9): whether its rates are those of `traces.h5`, and what lies beside them.

use spikegrid_core::wording::counted;
use spikegrid_files::output::written::{NumberKind, SmallValue, WrittenDataset};

use super::matrix;
use super::report::{Opened, Report};
use super::traces::Traces;

const RULE: &str = "rule 8.9";
const VALUES: &str = "neuron_values";
const UNIT: &str = "spikes per frame, not clipped; NaN where there is no rate";

/// Checks the file of a subject of `frames` frames, as far as traces are there to compare it with.
pub(super) fn check(
    report: &mut Report,
    file: &Opened,
    frames: usize,
    is_train: Option<&[u8]>,
    sampling_rate_hz: Option<f64>,
    traces: Option<&Traces>,
) {
    let values = match file.file.dataset(VALUES) {
        Ok(values) if values.shape.len() == 2 && values.shape[0] == frames && is_float(&values) => {
            values
        }
        Ok(values) => {
            let expected = format!("f32 or f16 ({frames}, neurons)");
            return report.difference(
                format_args!("{}: {VALUES}", file.name),
                expected,
                values.words(),
                RULE,
            );
        }
        Err(found) => {
            return report.difference(
                format_args!("{}: {VALUES}", file.name),
                "rates",
                found,
                RULE,
            );
        }
    };
    let neurons = values.shape[1];
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
    file.expect(
        report,
        "timepoint_indices",
        NumberKind::I32,
        &timepoints,
        RULE,
    );
    if let Some(is_train) = is_train {
        file.expect(report, "is_train", NumberKind::U8, is_train, RULE);
    }
    let positions = file.values::<f32>(
        report,
        "cell_positions",
        NumberKind::F32,
        &[neurons, 3],
        RULE,
    );
    let Some(traces) = traces else {
        return;
    };
    if traces.neurons != neurons {
        let place = format!("{}: {VALUES}", file.name);
        return report.difference(place, counted(traces.neurons, "neuron"), neurons, RULE);
    }
    if let Some((found, xyz)) = positions.zip(traces.xyz.as_deref()) {
        let [least, greatest] = ends(xyz);
        for (name, ends) in [("positions_min", least), ("positions_max", greatest)] {
            let ends = SmallValue::Numbers(ends.to_vec());
            file.expect_attribute(report, "cell_positions", name, &ends, RULE);
        }
        file.compare(
            report,
            "cell_positions",
            &[neurons, 3],
            &scaled(xyz),
            &found,
            RULE,
        );
    }
    if let Some(rates) = &traces.rates {
        let stored = |rate: f32| match values.is_half {
            true => half::f16::from_f32(rate).to_f64(),
            false => rate.into(),
        };
        matrix::compare(report, file, VALUES, &values, rates, stored, RULE);
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
    use super::*;

    #[test]
    fn rule_8_9_positions_go_from_0_to_1() {
        let found = scaled(&[[2.0, 5.0, 1.0], [6.0, 5.0, f64::NAN], [3.0, 5.0, 0.0]]);
        assert_eq!(found[..5], [0.0, 0.0, 1.0, 1.0, 0.0]);
        assert!(found[5].is_nan());
        assert_eq!(found[6..], [0.25, 0.0, 0.0]);
    }
}
