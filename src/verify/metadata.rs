//! What a subject's files say of the split and the planes: `is_train` and `timepoint_indices` beside the grids (rule 8.1),
//! `metadata.h5` (rule 8.2) and its copy in `combined_metadata.h5` (rule 8.4).

use std::cmp::Ordering;

use spikegrid_files::output::written::NumberKind;

use super::report::{Opened, Report};

/// The datasets of rule 8.2 as they should be.
pub(super) struct Metadata {
    /// Frames of the grids, T.
    pub frames: usize,
    /// Planes of the grids, Z.
    pub planes: usize,
    /// Where the seed and the split ratio are known: 1 where a frame trains, (T,).
    pub is_train: Option<Vec<u8>>,
}

impl Metadata {
    /// Checks what stands beside the grids; `is_train` is then that of the grids if there is none to compare with.
    pub(super) fn check_beside_grids(&mut self, report: &mut Report, grids: &Opened) {
        let timepoints: Vec<i32> = (0..self.frames as i32).collect();
        let kind = NumberKind::I32;
        grids.expect(report, "timepoint_indices", kind, &timepoints, "rule 8.1");
        self.check_is_train(report, grids, "is_train", "rule 8.1");
    }

    /// Checks the datasets of `metadata.h5`, or those of a group.
    ///
    /// Returns the z of the planes.
    pub(super) fn check(
        &mut self,
        report: &mut Report,
        file: &Opened,
        group: &str,
        rule: &str,
    ) -> Option<Vec<f64>> {
        let name = |dataset: &str| format!("{group}{dataset}");
        file.expect_scalar(report, &name("num_timepoints"), self.frames as i64, rule);
        file.expect_scalar(report, &name("num_z_planes"), self.planes as i64, rule);
        let z = name("z_values");
        let z_values = file.values::<f64>(report, &z, NumberKind::F64, &[self.planes], rule);
        if let Some(plane) = z_values.as_deref().and_then(not_ascending) {
            let values = z_values.as_deref().unwrap_or_default();
            report.difference(
                format_args!("{}: {z}[{plane}]", file.name),
                format_args!("more than {:?}", values[plane - 1]),
                format_args!("{:?}", values[plane]),
                rule,
            );
        }
        self.check_is_train(report, file, &name("is_train"), rule);
        if let Some(is_train) = &self.is_train {
            for (dataset, kind) in [("train_timepoints", 1), ("test_timepoints", 0)] {
                let frames = (0..).zip(is_train).filter(|(_, train)| **train == kind);
                let frames: Vec<i64> = frames.map(|(frame, _)| frame).collect();
                file.expect(report, &name(dataset), NumberKind::I64, &frames, rule);
            }
        }
        z_values
    }

    fn check_is_train(&mut self, report: &mut Report, file: &Opened, name: &str, rule: &str) {
        let found = file.values::<u8>(report, name, NumberKind::U8, &[self.frames], rule);
        match (&self.is_train, found) {
            (Some(expected), Some(found)) => {
                file.compare(report, name, &[self.frames], expected, &found, "rule 6.1");
            }
            (None, found) => self.is_train = found,
            _ => {}
        }
    }
}

/// The first place whose value is not above that before it.
fn not_ascending(values: &[f64]) -> Option<usize> {
    let pair = values
        .windows(2)
        .position(|pair| pair[0].partial_cmp(&pair[1]) != Some(Ordering::Less));
    pair.map(|before| before + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_9_6_z_values_ascend() {
        assert_eq!(not_ascending(&[]), None);
        assert_eq!(not_ascending(&[-1.0, 0.0, 2.0]), None);
        assert_eq!(not_ascending(&[0.0, 1.0, 1.0]), Some(2));
        assert_eq!(not_ascending(&[0.0, f64::NAN]), Some(1));
    }
}
