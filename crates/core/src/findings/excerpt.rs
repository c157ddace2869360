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
    pub(super) fn traces(&self) -> impl Iterator<Item = &[f32]> {
        self.samples.chunks_exact(self.frames().max(1))
    }

    /// The place of each neuron in the recording, counted from 0.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        self.groups.iter().cloned().flatten()
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
