//! Where the cell of each trace is (rules 2.4 and 2.5).

use std::path::Path;

use spikegrid_core::findings::{Code, Finding, Severity};

use crate::input::error::InputError;
use crate::input::matlab::Anatomy;
use crate::input::source::Positions;

/// The two files that an index can come from, for messages.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) time_series: &'a Path,
    pub(super) data_full: &'a Path,
}

/// Picks the row of `CellXYZ` for each neuron: by `absIX` if there is one, else all rows but those in `IX_inval_anat`. The index
/// that is not needed is only compared. Returns, too, what the user should know.
///
/// # Errors
/// If a value of the index that is used is not a row number of `CellXYZ`, or a picked coordinate is infinite.
pub(super) fn positions(
    anatomy: &Anatomy,
    abs_ix: Option<&[f64]>,
    sources: Sources,
) -> Result<(Positions, Vec<Finding>), InputError> {
    let total = anatomy.cell_xyz.len();
    let remaining = remaining(anatomy, sources);
    let mut findings = Vec::new();
    let rows = match abs_ix {
        Some(values) => {
            let rows = rows_of(values, total, "absIX", sources.time_series)?;
            findings.extend(comparison(&rows, remaining));
            rows
        }
        None => remaining?.unwrap_or_else(|| (0..total).collect()),
    };
    let xyz = finite_or_nan(anatomy, &rows, sources.data_full)?;
    let source_row = rows.into_iter().map(|row| row as i64).collect();
    let positions = Positions {
        xyz,
        source_row,
        source_plane: None,
    };
    Ok((positions, findings))
}

/// The rows that `IX_inval_anat` leaves, if the field is there.
fn remaining(anatomy: &Anatomy, sources: Sources) -> Result<Option<Vec<usize>>, InputError> {
    let total = anatomy.cell_xyz.len();
    let path = sources.data_full;
    let invalid = anatomy.invalid_rows().map_err(|error| InputError::Mat {
        path: path.to_owned(),
        error,
    })?;
    let Some(invalid) = invalid else {
        return Ok(None);
    };
    let rows = rows_of(invalid, total, "IX_inval_anat", path)?;
    Ok(Some(rows_without(&rows, total)))
}

/// What `absIX` and the rows that `IX_inval_anat` leaves say against each other; a note where the latter are not known, because nobody
/// needs them.
fn comparison(
    rows: &[usize],
    remaining: Result<Option<Vec<usize>>, InputError>,
) -> Option<Finding> {
    match remaining {
        Ok(None) => None,
        Ok(Some(remaining)) => (remaining != rows).then(|| disagreement(rows, &remaining)),
        Err(_) => Some(Finding {
            severity: Severity::Note,
            ..Finding::new(
                Code::DisagreeingIndices,
                "IX_inval_anat in data_full.mat is not a list of row numbers of CellXYZ, so it was not compared with absIX.",
                "absIX is used, and nothing has to be done. Without absIX, IX_inval_anat would have to be corrected.",
            )
        }),
    }
}

/// Checks 1-based row numbers and turns them into 0-based rows.
fn rows_of(
    values: &[f64],
    total: usize,
    field: &'static str,
    path: &Path,
) -> Result<Vec<usize>, InputError> {
    let row = |(place, &value): (usize, &f64)| {
        if value.fract() == 0.0 && value >= 1.0 && value <= total as f64 {
            return Ok(value as usize - 1);
        }
        Err(InputError::RowNumber {
            path: path.to_owned(),
            field,
            place: place + 1,
            value,
            rows: total,
        })
    };
    values.iter().enumerate().map(row).collect()
}

/// All rows below `total` but the given ones, which may repeat.
fn rows_without(invalid: &[usize], total: usize) -> Vec<usize> {
    let mut kept = vec![true; total];
    for &row in invalid {
        if let Some(keep) = kept.get_mut(row) {
            *keep = false;
        }
    }
    (0..total)
        .zip(kept)
        .filter_map(|(row, keep)| keep.then_some(row))
        .collect()
}

fn disagreement(rows: &[usize], remaining: &[usize]) -> Finding {
    let how = if rows.len() == remaining.len() {
        let different = rows.iter().zip(remaining).filter(|(a, b)| a != b).count();
        format!("they differ for {different} of {} neurons", rows.len())
    } else {
        format!(
            "it names {} cells, they leave {}",
            rows.len(),
            remaining.len()
        )
    };
    let message = format!(
        "absIX in TimeSeries.h5 disagrees with the rows of CellXYZ that IX_inval_anat leaves ({how})."
    );
    Finding::new(
        Code::DisagreeingIndices,
        message,
        "absIX is used. Check that it is 1-based; without it, IX_inval_anat decides.",
    )
}

fn finite_or_nan(
    anatomy: &Anatomy,
    rows: &[usize],
    path: &Path,
) -> Result<Vec<[f64; 3]>, InputError> {
    let mut xyz = Vec::with_capacity(rows.len());
    for &row in rows {
        let [x, y, z] = anatomy.cell_xyz.get(row).copied().unwrap_or([f64::NAN; 3]);
        if x.is_infinite() || y.is_infinite() || z.is_infinite() {
            return Err(InputError::Infinite {
                path: path.to_owned(),
                row: row + 1,
                x,
                y,
                z,
            });
        }
        xyz.push([x, y, z]);
    }
    Ok(xyz)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row `i` (0-based) is at (10 i, 10 i + 1, 10 i + 2).
    fn anatomy(rows: usize, invalid: Option<&[f64]>) -> Anatomy {
        let cell_xyz = (0..rows)
            .map(|i| [0.0, 1.0, 2.0].map(|k| 10.0 * i as f64 + k))
            .collect();
        Anatomy {
            cell_xyz,
            invalid: invalid.map(|rows| Ok(rows.to_vec())),
            rate: None,
        }
    }

    fn join(
        anatomy: &Anatomy,
        abs_ix: Option<&[f64]>,
    ) -> Result<(Positions, Vec<Finding>), InputError> {
        let sources = Sources {
            time_series: Path::new("subject_1/TimeSeries.h5"),
            data_full: Path::new("subject_1/data_full.mat"),
        };
        positions(anatomy, abs_ix, sources)
    }

    fn joined(anatomy: &Anatomy, abs_ix: Option<&[f64]>) -> (Positions, Vec<Finding>) {
        join(anatomy, abs_ix).expect("positions")
    }

    #[test]
    fn rule_2_4_abs_ix_picks_the_rows() {
        let (found, findings) = joined(&anatomy(5, None), Some(&[4.0, 1.0, 4.0]));
        assert_eq!(found.source_row, [3, 0, 3]);
        assert_eq!(found.xyz[0], [30.0, 31.0, 32.0]);
        assert_eq!(findings, []);
    }

    #[test]
    fn rule_2_4_without_abs_ix_the_invalid_rows_are_left_out() {
        let (found, _) = joined(&anatomy(5, Some(&[2.0, 5.0, 2.0])), None);
        assert_eq!(found.source_row, [0, 2, 3]);
        assert_eq!(joined(&anatomy(3, Some(&[])), None).0.source_row, [0, 1, 2]);
        assert_eq!(joined(&anatomy(3, None), None).0.source_row, [0, 1, 2]);
    }

    #[test]
    fn rule_2_4_abs_ix_wins_with_a_warning() {
        let (_, findings) = joined(&anatomy(4, Some(&[2.0])), Some(&[1.0, 3.0, 4.0]));
        assert_eq!(findings, []);
        let (other, findings) = joined(&anatomy(4, Some(&[2.0])), Some(&[1.0, 2.0, 4.0]));
        assert_eq!(other.source_row, [0, 1, 3]);
        assert_eq!(findings.len(), 1);
        let message = &findings[0].message;
        assert!(message.contains("they differ for 1 of 3 neurons"));
        assert!(findings[0].advice.starts_with("absIX is used"));
        let (_, findings) = joined(&anatomy(4, Some(&[])), Some(&[1.0]));
        let message = &findings[0].message;
        assert!(message.contains("it names 1 cells, they leave 4"));
    }

    #[test]
    fn rule_2_4_an_index_value_must_be_a_row_number() {
        for bad in [0.0, 6.0, -1.0, 1.5, f64::NAN, f64::INFINITY, 1e300] {
            let message = join(&anatomy(5, None), Some(&[1.0, bad]))
                .expect_err("absIX")
                .to_string();
            assert!(
                message.contains("TimeSeries.h5: entry 2 of absIX")
                    && message.contains("1 to 5")
                    && message.contains(&format!("found {bad}")),
                "{message}"
            );
            let message = join(&anatomy(5, Some(&[bad])), None)
                .expect_err("IX_inval_anat")
                .to_string();
            assert!(
                message.contains("data_full.mat: entry 1 of IX_inval_anat"),
                "{message}"
            );
        }
    }

    #[test]
    fn rule_2_4_an_index_that_nobody_needs_is_only_compared() {
        let text = Anatomy {
            invalid: Some(Err("a (1, 4) char array".to_owned())),
            ..anatomy(5, None)
        };
        let mut unusable = vec![text.clone()];
        // A logical mask in numbers, 0-based rows, rows that are not there, no rows at all.
        for invalid in [
            &[0.0, 1.0, 0.0, 0.0, 0.0][..],
            &[0.0, 3.0],
            &[9.0],
            &[f64::NAN],
        ] {
            unusable.push(anatomy(5, Some(invalid)));
        }
        for anatomy in &unusable {
            let (found, findings) = joined(anatomy, Some(&[1.0, 3.0]));
            assert_eq!(found.source_row, [0, 2]);
            assert_eq!(findings.len(), 1);
            assert_eq!(findings[0].severity, Severity::Note);
            assert_eq!(findings[0].code, Code::DisagreeingIndices);
            assert!(join(anatomy, None).is_err());
        }
        let message = join(&text, None).expect_err("text").to_string();
        assert!(message.contains("found a (1, 4) char array"), "{message}");
    }

    #[test]
    fn rule_2_4_an_infinite_coordinate_of_a_used_cell_fails() {
        let mut cells = anatomy(3, None);
        cells.cell_xyz[1][2] = f64::NEG_INFINITY;
        let message = join(&cells, None).expect_err("infinite").to_string();
        assert!(
            message.contains("row 2") && message.contains("(10, 11, -inf)"),
            "{message}"
        );
        cells.invalid = Some(Ok(vec![2.0]));
        assert_eq!(joined(&cells, None).0.source_row, [0, 2]);
    }

    #[test]
    fn rule_2_5_nan_coordinates_are_kept() {
        let mut cells = anatomy(3, None);
        cells.cell_xyz[0] = [f64::NAN, 1.0, f64::NAN];
        cells.cell_xyz[2][1] = f64::NAN;
        let (found, _) = joined(&cells, None);
        assert!(found.xyz[0][0].is_nan() && found.xyz[0][1] == 1.0);
    }
}
