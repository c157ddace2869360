//! Histograms of what neurons have: noise levels and rates.

use std::ops::Range;

use spikegrid_core::wording::whole;

use super::Summary;
use super::axis::{Axis, significant};
use super::canvas::Canvas;
use super::panel::{BLUE, Band, Chart, MODEL, remark};

const BINS: usize = 40;
/// The part of the values that a histogram covers; the rest are few and far away.
const SHOWN_QUANTILE: f64 = 0.995;

/// Plots the histogram of the noise levels, with the levels that the model knows shaded.
pub(crate) fn plot_noise(canvas: Canvas, summary: &Summary) {
    let name = match summary.noise_unit() {
        "" => "noise level".to_owned(),
        unit => format!("noise level ({})", unit.trim_start()),
    };
    let (least, greatest) = summary.model_noise_levels;
    let model = (f64::from(least)..f64::from(greatest), MODEL);
    let levels = summary.noise_levels.iter().map(|&level| f64::from(level));
    plot_histogram(canvas, levels.collect(), &name, Some(model));
}

/// Plots the histogram of the mean rates of the neurons.
pub(crate) fn plot_rates(canvas: Canvas, summary: &Summary) {
    let rates = summary.rates_hz().collect();
    plot_histogram(canvas, rates, "mean spike rate (Hz)", None);
}

/// Plots how many neurons have which value, and says in small print what the axis does not show.
fn plot_histogram(canvas: Canvas, mut values: Vec<f64>, name: &str, model: Option<Band>) {
    let neurons = values.len();
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let (range, heights) = histogram(&values);

    let mut remarks = Vec::new();
    if let Some((span, color)) = &model {
        let words = format!("model {} to {}", span.start, span.end);
        remarks.push((Some(*color), words));
    }
    if let Some(median) = values.get(values.len() / 2) {
        remarks.push((None, format!("median {}", significant(*median, 3))));
    }
    let beyond = values.len() - heights.iter().sum::<usize>();
    let undefined = neurons - values.len();
    for (number, what) in [(beyond, "beyond axis"), (undefined, "undefined")] {
        if number > 0 {
            remarks.push((None, format!("{} {what}", whole(number))));
        }
    }
    let canvas = remark(canvas, &remarks);

    let most = heights.iter().max().copied().unwrap_or(0);
    let (x, y) = (
        Axis::exact(range.clone(), 5),
        Axis::whole_from_zero(most as f64, 5),
    );
    let chart = Chart::new(canvas, (&x, Some(name)), (&y, "neurons"), model.as_slice());
    let step = (range.end - range.start) / BINS as f64;
    for (bin, &neurons) in heights
        .iter()
        .enumerate()
        .filter(|(_, neurons)| **neurons > 0)
    {
        // A little paper between bars.
        let [from, to] = [0.05, 0.95].map(|edge| range.start + (bin as f64 + edge) * step);
        chart.fill(BLUE, (from, neurons as f64), (to, 0.0));
    }
    if most == 0 {
        chart.say("none");
    }
}

/// The range of all but the last few of the `sorted` values, and how many are in each bin.
fn histogram(sorted: &[f64]) -> (Range<f64>, [usize; BINS]) {
    let mut heights = [0; BINS];
    let Some(&least) = sorted.first() else {
        return (0.0..1.0, heights);
    };
    let last = ((sorted.len() - 1) as f64 * SHOWN_QUANTILE).ceil() as usize;
    let range = Axis::around(least, sorted[last], 5).range;
    let range = range.start.max(0.0f64.min(least))..range.end;
    let step = (range.end - range.start) / BINS as f64;
    for value in sorted.iter().filter(|value| **value <= range.end) {
        let bin = ((value - range.start) / step) as usize;
        heights[bin.min(BINS - 1)] += 1;
    }
    (range, heights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histogram_counts_all_but_the_tail() {
        let counted = |levels: &[f64]| histogram(levels).1.iter().sum::<usize>();
        let mut levels: Vec<f64> = (0..1000).map(f64::from).collect();
        assert_eq!(counted(&levels), 1000);
        levels.push(1e9);
        assert_eq!(counted(&levels), 1000);
        assert_eq!((counted(&[2.0]), counted(&[])), (1, 0));
    }
}
