//! Frames that are the same as those before them, over all neurons of a recording.

use serde::{Deserialize, Serialize};

use super::samples::bits;

/// Frames in which all neurons of a unit, or of several, have the same samples as in the frame before.
///
/// A frame of which some units have nothing is repeated where the others repeat it, so that what is found does not depend on how
/// neurons are cut into units.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepeatedFrames {
    /// The frames, ascending.
    frames: Vec<u32>,
    /// Those of them in which all of these neurons are missing, ascending.
    missing: Vec<u32>,
}

impl RepeatedFrames {
    /// Of the samples (n, T) of at least one neuron as they were read, `frames` each. A sample that is not finite, or `missing`, is
    /// missing; `blank_frames`, ascending, repeat nothing.
    pub fn of(samples: &[f32], frames: usize, missing: Option<f32>, blank_frames: &[u32]) -> Self {
        let is_missing = |sample: f32| !sample.is_finite() || Some(sample) == missing;
        let mut neurons = samples.chunks_exact(frames.max(1));
        let Some(first) = neurons.next() else {
            return Self::default();
        };
        // Frames, and whether all neurons so far are missing in them. Most are gone after a few neurons.
        let mut left: Vec<(u32, bool)> = Vec::new();
        for (before, pair) in (0..).zip(first.windows(2)) {
            if bits(pair[0]) == bits(pair[1]) {
                left.push((before + 1, is_missing(pair[1])));
            }
        }
        if !left.is_empty() {
            left.retain(|(frame, _)| blank_frames.binary_search(frame).is_err());
        }
        for samples in neurons {
            if left.is_empty() {
                break;
            }
            left.retain_mut(|(frame, all_missing)| {
                let frame = *frame as usize;
                *all_missing &= is_missing(samples[frame]);
                bits(samples[frame]) == bits(samples[frame - 1])
            });
        }
        let frames = left.iter().map(|(frame, _)| *frame).collect();
        let all_missing = left.iter().filter(|(_, all_missing)| *all_missing);
        Self {
            frames,
            missing: all_missing.map(|(frame, _)| *frame).collect(),
        }
    }

    /// Leaves what these neurons and others of the same recording have in common.
    pub fn intersect(&mut self, others: &Self) {
        let in_both = |frames: &mut Vec<u32>, others: &[u32]| {
            frames.retain(|frame| others.binary_search(frame).is_ok());
        };
        in_both(&mut self.frames, &others.frames);
        in_both(&mut self.missing, &others.missing);
    }

    /// The frames, ascending, without those in which all of the neurons are missing.
    pub fn frames(&self) -> impl Iterator<Item = u32> {
        let frames = self.frames.iter().copied();
        frames.filter(|frame| self.missing.binary_search(frame).is_err())
    }
}
