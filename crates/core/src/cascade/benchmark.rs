//! How well a model's spike rates agree with known spikes, by noise level, and what that lets one expect of a neuron.

use serde::{Deserialize, Serialize};

use crate::median::median;

/// The correlation above which the rates of a neuron count as good.
pub const GOOD: f32 = 0.7;

/// What ground truth that a model was not trained on says of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Benchmark {
    rows: Vec<Measured>,
}

/// What was measured at one noise level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Noise level of the neurons.
    pub noise_level: f64,
    /// Median over neurons of the correlation of inferred with true spike rates.
    pub correlation: f64,
}

impl Benchmark {
    /// Of these rows, in any order; none without a row, and where two rows are of one noise level.
    #[must_use]
    pub fn new(mut rows: Vec<Measured>) -> Option<Self> {
        rows.sort_by(|one, other| one.noise_level.total_cmp(&other.noise_level));
        let are_distinct = rows
            .windows(2)
            .all(|pair| pair[0].noise_level < pair[1].noise_level);
        (are_distinct && !rows.is_empty()).then_some(Self { rows })
    }

    /// The correlation with true spike rates that a neuron of this noise level has in the median: between two measured noise levels on a
    /// straight line, beyond the outermost ones theirs, NaN for NaN.
    #[must_use]
    pub fn expected_correlation(&self, noise_level: f32) -> f32 {
        let level = f64::from(noise_level);
        if level.is_nan() {
            return f32::NAN;
        }
        let above = self.rows.partition_point(|row| row.noise_level < level);
        let expected = match (above.checked_sub(1), self.rows.get(above)) {
            (Some(below), Some(above)) => {
                let below = &self.rows[below];
                let part = (level - below.noise_level) / (above.noise_level - below.noise_level);
                below.correlation + part * (above.correlation - below.correlation)
            }
            (Some(last), None) => self.rows[last].correlation,
            (None, first) => first.map_or(f64::NAN, |first| first.correlation),
        };
        expected as f32
    }

    /// What was measured, by noise level.
    #[must_use]
    pub fn rows(&self) -> &[Measured] {
        &self.rows
    }
}

/// The expected correlations of the neurons of a subject in two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ExpectedCorrelation {
    /// Neurons that have one.
    pub neurons: usize,
    /// Their median.
    pub median: f64,
    /// The share of them that have more than [`GOOD`].
    pub share_above_0_7: f64,
}

impl ExpectedCorrelation {
    /// Of these, NaN for neurons without one; none if no neuron has one.
    #[must_use]
    pub fn of(expected: &[f32]) -> Option<Self> {
        let mut expected: Vec<f32> = expected.to_vec();
        expected.retain(|expected| !expected.is_nan());
        let median = median(&mut expected)?;
        let good = expected.iter().filter(|found| **found > GOOD);
        Some(Self {
            neurons: expected.len(),
            median: f64::from(median),
            share_above_0_7: good.count() as f64 / expected.len() as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn benchmark(rows: &[(f64, f64)]) -> Option<Benchmark> {
        let rows = rows.iter().map(|&(noise_level, correlation)| Measured {
            noise_level,
            correlation,
        });
        Benchmark::new(rows.collect())
    }

    #[test]
    fn rule_9_4_expected_correlations_lie_on_lines_between_measured_noise_levels_and_end_at_them() {
        let measured = benchmark(&[(10.0, 0.5), (2.0, 0.9), (4.0, 0.8)]).expect("a benchmark");
        for (level, expected) in [
            (0.0, 0.9),
            (2.0, 0.9),
            (3.0, 0.85),
            (4.0, 0.8),
            (5.5, 0.725),
            (10.0, 0.5),
            (f32::INFINITY, 0.5),
        ] {
            let found = measured.expected_correlation(level);
            assert!((found - expected).abs() < 1e-6, "{level}: {found}");
        }
        assert!(measured.expected_correlation(f32::NAN).is_nan());
        let one = benchmark(&[(5.0, 0.8)]).expect("a benchmark");
        assert!([0.0, 5.0, 9.0].map(|level| one.expected_correlation(level)) == [0.8; 3]);
        assert_eq!(benchmark(&[]), None);
        assert_eq!(benchmark(&[(2.0, 0.9), (2.0, 0.8)]), None);
    }

    #[test]
    fn rule_9_4_a_subject_is_told_by_median_and_share_of_good_neurons() {
        let of = |expected: &[f32]| ExpectedCorrelation::of(expected);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[f32::NAN]), None);
        let found = of(&[0.5, f32::NAN, 0.75, 0.7, 1.0]).expect("a summary");
        assert_eq!((found.neurons, found.share_above_0_7), (4, 0.5));
        assert!((found.median - 0.725).abs() < 1e-6, "{found:?}");
    }
}
