//! Noise level of a neuron (rule 4.3).

use crate::median::median;

/// Median of `|x[t+1] - x[t]|` of normally distributed samples in their standard deviations: √2 times the third quartile.
pub const MEDIAN_STEP: f64 = std::f64::consts::SQRT_2 * 0.674_489_750_196_081_7;

/// Noise level `100 · median |x[t+1] - x[t]| / sqrt(rate)` of a trace, in % of ΔF/F per square root of Hz.
///
/// `dff` is ΔF/F of one neuron (T), `sampling_rate` the model's in Hz. Differences with a NaN don't count; NaN if none
/// is left. The median is taken in f32, as NumPy takes it of f32 traces. `differences` is scratch memory.
///
/// Source: Rupprecht et al. 2021, "standardized noise level ν".
pub fn noise_level(dff: &[f32], sampling_rate: f64, differences: &mut Vec<f32>) -> f32 {
    differences.clear();
    differences.extend(
        dff.windows(2)
            .map(|pair| (pair[1] - pair[0]).abs())
            .filter(|step| !step.is_nan()),
    );
    let Some(median) = median(differences) else {
        return f32::NAN;
    };
    (100.0 * f64::from(median) / sampling_rate.sqrt()) as f32
}

/// Index of the level nearest to `noise`: of two equally near ones the lower, for NaN the first (rule 4.3).
pub fn nearest_level(levels: impl Iterator<Item = i32>, noise: f32) -> usize {
    let distance = |level: i32| (f64::from(level) - f64::from(noise)).abs();
    let mut nearest: Option<(usize, i32)> = None;
    for (index, level) in levels.enumerate() {
        let closer = nearest.is_none_or(|(_, best)| {
            distance(level) < distance(best) || (distance(level) == distance(best) && level < best)
        });
        if closer {
            nearest = Some((index, level));
        }
    }
    nearest.map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(dff: &[f32], rate: f64) -> f32 {
        noise_level(dff, rate, &mut Vec::new())
    }

    #[test]
    fn rule_4_3_the_noise_level_is_the_median_step_over_the_square_root_of_the_rate() {
        assert_eq!(noise(&[0.0, 1.0, 3.0, 0.0], 4.0), 100.0); // steps 1, 2, 3
        assert_eq!(noise(&[0.0, 1.0, 3.0, 0.0, 4.0], 4.0), 125.0); // steps 1, 2, 3, 4
        assert_eq!(noise(&[0.5; 9], 2.0), 0.0);
    }

    #[test]
    fn rule_4_3_steps_from_or_to_nan_do_not_count() {
        assert_eq!(
            noise(&[f32::NAN, 0.0, 1.0, f32::NAN, 9.0, 6.0, 8.0], 1.0),
            200.0
        ); // steps 1, 3, 2
        for silent in [&[][..], &[1.0], &[1.0, f32::NAN, 1.0], &[f32::NAN; 5]] {
            assert!(noise(silent, 2.0).is_nan());
        }
    }

    #[test]
    fn rule_4_3_the_nearest_level_is_used() {
        let nearest = |noise| nearest_level([2, 3, 8].into_iter(), noise);
        assert_eq!(
            [0.0, 2.4, 2.6, 5.4, 5.6, 100.0, f32::INFINITY].map(nearest),
            [0, 0, 1, 1, 2, 2, 0]
        );
    }

    #[test]
    fn rule_4_3_ties_take_the_lower_level() {
        assert_eq!(nearest_level([2, 3].into_iter(), 2.5), 0);
        assert_eq!(nearest_level([3, 2].into_iter(), 2.5), 1);
    }

    #[test]
    fn rule_4_3_a_neuron_without_noise_level_takes_the_first() {
        assert_eq!(nearest_level([5, 2, 3].into_iter(), f32::NAN), 0);
    }
}
