//! The excerpt of a recording by which the program judges what it holds (rule 9.2).

use std::ops::Range;

/// Runs of neighbouring frames, and the frames of each.
const RUNS: usize = 16;
const RUN_FRAMES: usize = 16;
/// Most neurons, in groups of neighbours: these lie together in the file.
const MOST_NEURONS: usize = 4096;
const GROUPS: usize = 16;

/// Some frames of some neurons of a recording of `T` frames and `N` neurons.
#[derive(Clone, Debug, PartialEq)]
pub struct Excerpt {
    /// Runs of neighbouring frames, ascending. They overlap in nothing.
    pub runs: Vec<Range<usize>>,
    /// Groups of neighbouring neurons, ascending.
    pub groups: Vec<Range<usize>>,
    /// Samples as they are in the file, rounded to f32, NaN where the file has none: all frames of the runs of the first neuron,
    /// then of the next, (n, f).
    pub samples: Vec<f32>,
}

impl Excerpt {
    /// The excerpt of a recording of this size, with NaN for every sample.
    #[must_use]
    pub fn of_size(frames: usize, neurons: usize) -> Self {
        let (runs, groups) = (runs(frames), groups(neurons));
        let samples = total(&runs) * total(&groups);
        Self {
            runs,
            groups,
            samples: vec![f32::NAN; samples],
        }
    }

    /// Number of frames, f.
    #[must_use]
    pub fn frames(&self) -> usize {
        total(&self.runs)
    }

    /// Number of neurons, n.
    #[must_use]
    pub fn neurons(&self) -> usize {
        total(&self.groups)
    }

    /// The samples of each neuron, (f,), one neuron after the other.
    fn traces(&self) -> impl Iterator<Item = &[f32]> {
        self.samples.chunks_exact(self.frames().max(1))
    }

    /// The place of each neuron in the recording, counted from 0.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        self.groups.iter().cloned().flatten()
    }

    /// The frames of the recording that these frames of the excerpt are.
    pub(super) fn frames_of_recording(&self, frames: &[u32]) -> Vec<u32> {
        let all: Vec<usize> = self.runs.iter().cloned().flatten().collect();
        let frame = |&frame: &u32| all.get(frame as usize).map(|&frame| frame as u32);
        frames.iter().filter_map(frame).collect()
    }

    /// Where the frames of each run are within a trace.
    pub(super) fn runs_of_trace(&self) -> Vec<Range<usize>> {
        let mut end = 0;
        self.runs
            .iter()
            .map(|run| {
                let start = end;
                end += run.len();
                start..end
            })
            .collect()
    }

    /// The samples with NaN in place of those that are missing (rule 3.6), blank frames among them, (n, f).
    pub(super) fn cleaned(&self, missing: Option<f32>) -> Vec<f32> {
        let blank = self.blank();
        let clean = |(&sample, &blank): (&f32, &bool)| {
            let there = sample.is_finite() && !blank && missing != Some(sample);
            if there { sample } else { f32::NAN }
        };
        let traces = self.traces();
        traces
            .flat_map(|trace| trace.iter().zip(&blank).map(clean))
            .collect()
    }

    /// Whether a frame is blank (rule 3.6), (f,): samples are there, and all of these are exactly 0.
    pub(super) fn blank(&self) -> Vec<bool> {
        let frames = self.frames();
        let (mut any, mut nonzero) = (vec![false; frames], vec![false; frames]);
        for trace in self.traces() {
            for ((sample, any), nonzero) in trace.iter().zip(&mut any).zip(&mut nonzero) {
                let there = sample.is_finite();
                *any |= there;
                *nonzero |= there && *sample != 0.0;
            }
        }
        let pairs = any.into_iter().zip(nonzero);
        pairs.map(|(any, nonzero)| any && !nonzero).collect()
    }
}

/// Run `k` begins at frame `floor(k (T - 16) / 15)`; one run of all frames where `T` is at most 256.
fn runs(frames: usize) -> Vec<Range<usize>> {
    if frames <= RUNS * RUN_FRAMES {
        return std::iter::once(0..frames).collect();
    }
    let start = |run: usize| run * (frames - RUN_FRAMES) / (RUNS - 1);
    (0..RUNS)
        .map(|run| start(run)..start(run) + RUN_FRAMES)
        .collect()
}

/// Groups of neighbours, evenly spread as the runs are; one group of all neurons where there are at most 4,096.
fn groups(neurons: usize) -> Vec<Range<usize>> {
    if neurons <= MOST_NEURONS {
        return std::iter::once(0..neurons).collect();
    }
    let size = MOST_NEURONS / GROUPS;
    let start = |group: usize| group * (neurons - size) / (GROUPS - 1);
    (0..GROUPS)
        .map(|group| start(group)..start(group) + size)
        .collect()
}

fn total(ranges: &[Range<usize>]) -> usize {
    ranges.iter().map(ExactSizeIterator::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_9_2_the_excerpt_has_16_runs_of_16_frames() {
        for frames in [0, 1, 256] {
            let runs = Excerpt::of_size(frames, 3).runs;
            assert!(
                matches!(&runs[..], [run] if *run == (0..frames)),
                "{runs:?}"
            );
        }
        for frames in [257, 1000, 7879] {
            let runs = Excerpt::of_size(frames, 3).runs;
            assert_eq!(runs.len(), 16);
            for (k, run) in runs.iter().enumerate() {
                assert_eq!(run.start, k * (frames - 16) / 15);
                assert_eq!(run.len(), 16);
            }
            assert_eq!(runs[15].end, frames);
            assert!(runs.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }

    #[test]
    fn rule_9_2_the_excerpt_has_at_most_4096_neurons_evenly_spread() {
        let groups = Excerpt::of_size(10, 4096).groups;
        assert!(
            matches!(&groups[..], [group] if *group == (0..4096)),
            "{groups:?}"
        );
        for neurons in [4097, 100_000] {
            let excerpt = Excerpt::of_size(10, neurons);
            assert_eq!(excerpt.neurons(), 4096);
            assert_eq!(excerpt.groups[15].end, neurons);
            let mut neighbours = excerpt.groups.windows(2);
            assert!(neighbours.all(|pair| pair[0].end <= pair[1].start));
        }
    }
}
