//! Findings from the excerpt alone, for the command `doctor` (rule 9.2).

use super::neurons::Computed;
use super::{Excerpt, Finding};
use crate::baseline::Baseline;
use crate::facts::{self, RepeatedFrames};
use crate::unit::NeuronFacts;

impl Excerpt {
    /// What the excerpt shows of the recording's samples. A run, which sees all of them, finds more. `missing` is the value of missing
    /// samples.
    #[must_use]
    pub fn findings(&self, missing: Option<f32>) -> Vec<Finding> {
        let frames = self.frames();
        let frame_of: Vec<u32> = self
            .runs
            .iter()
            .cloned()
            .flatten()
            .map(|frame| frame as u32)
            .collect();
        let is_blank = self.blank();
        let blank: Vec<u32> = (0..)
            .zip(&is_blank)
            .filter(|(_, blank)| **blank)
            .map(|(frame, _)| frame)
            .collect();
        let repeated = RepeatedFrames::of(&self.samples, frames, missing, &blank);
        let mut trace = Vec::with_capacity(frames);
        let noted = self.traces().map(|samples| {
            trace.clear();
            trace.extend(samples.iter().zip(&is_blank).map(|(&sample, &blank)| {
                let there = sample.is_finite() && missing != Some(sample) && !blank;
                if there { sample } else { f32::NAN }
            }));
            let mut facts = NeuronFacts {
                hash: facts::hash(samples),
                ..NeuronFacts::default()
            };
            facts.note_samples(&trace, blank.len());
            facts
        });
        let noted: Vec<NeuronFacts> = noted.collect();
        let blank_frames: Vec<u32> = blank
            .iter()
            .map(|frame| frame_of[*frame as usize])
            .collect();
        let seen = Computed {
            facts: &noted,
            noise_levels: &[],
            model_noise_levels: (0, 0),
            frames,
            windowsize: 0,
            baseline: Baseline::None,
            repeated_frames: repeated.frames().count(),
            blank_frames: &blank_frames,
        };
        let places: Vec<usize> = self.places().collect();
        let found = seen.of_samples().into_iter().chain(seen.of_frames());
        found
            .map(|finding| Finding {
                first_neuron: finding
                    .first_neuron
                    .map(|first| places[first as usize] as u64),
                message: format!("In the sample: {}", finding.message),
                ..finding
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Code;

    #[test]
    fn rule_9_2_the_excerpt_shows_what_it_can_of_a_long_recording() {
        let mut excerpt = Excerpt::of_size(1516, 6);
        let frames = excerpt.frames();
        for (place, sample) in excerpt.samples.iter_mut().enumerate() {
            *sample = 100.0 + (place * 7919 % 1013) as f32;
        }
        assert_eq!(excerpt.findings(None), []);
        for trace in excerpt.samples.chunks_mut(frames) {
            trace[17] = 0.0;
        }
        excerpt.samples[frames..2 * frames].fill(3.0);
        excerpt.samples[frames + 17] = 0.0;
        excerpt.samples[5 * frames + 30] = f32::NAN;
        let found = excerpt.findings(None);
        let of = |code| {
            let finding = found.iter().find(|finding| finding.code == code);
            finding.unwrap_or_else(|| panic!("no {code}"))
        };
        assert_eq!(found.len(), 3, "{found:?}");
        // Frame 17 of the excerpt is the second of run 1, which begins at frame 100.
        let blank = &of(Code::BlankFrames).message;
        assert!(
            blank.starts_with("In the sample: ") && blank.contains("first in frame 101"),
            "{blank}"
        );
        assert_eq!(of(Code::DeadNeurons).first_neuron, Some(1));
        assert_eq!(of(Code::MissingSamples).first_neuron, Some(5));
    }
}
