//! What is to be said of samples as they are, be it all of them or those of an excerpt.

use super::wording::{Scope, Touched};
use super::{Decision, Excerpt, Finding, Kind, flags, frames, neurons, sort};
use crate::baseline::Baseline;
use crate::facts::{RepeatedFrames, hash};
use crate::unit::{NeuronFacts, NeuronFlags};

/// What was seen of the samples of some neurons in some frames.
pub(super) struct Survey<'a> {
    pub(super) scope: Scope,
    /// Places of the neurons, (n,).
    pub(super) places: &'a [usize],
    /// What their samples say, (n,).
    pub(super) facts: &'a [NeuronFacts],
    /// Number of frames.
    pub(super) frames: usize,
    /// Frames of the recording in which all of the neurons are 0, ascending.
    pub(super) blank: &'a [u32],
    /// Frames that were compared with the one before, and those of them that equal it.
    pub(super) pairs: usize,
    pub(super) repeated: usize,
    /// Whether the samples are raw fluorescence. In ΔF/F, 0 is a number like any other.
    pub(super) raw: bool,
}

impl Survey<'_> {
    pub(super) fn findings(&self) -> Vec<Finding> {
        let flagged = |flag| self.touched(|facts| facts.flags.has(flag));
        let neurons = self.places.iter().copied().zip(self.facts.iter().copied());
        let live = self.facts.iter().filter(|facts| facts.is_live());
        let findings = [
            neurons::clipped(flagged(NeuronFlags::CLIPPED)),
            neurons::zeros(flagged(NeuronFlags::ZEROS)).filter(|_| self.raw),
            frames::blank(self.scope, self.blank, self.frames, self.facts.len()),
            self.missing_samples(),
            frames::repeated(
                self.scope,
                self.repeated,
                self.pairs,
                [self.facts.len(), live.count()],
            ),
            neurons::dead(flagged(NeuronFlags::DEAD)),
            neurons::missing(flagged(NeuronFlags::MISSING)),
            neurons::repeated(self.scope, neurons, self.frames),
        ];
        findings.into_iter().flatten().collect()
    }

    fn touched(&self, holds: impl Fn(&NeuronFacts) -> bool) -> Touched {
        let neurons = self.places.iter().copied().zip(self.facts);
        Touched::among(
            self.scope,
            neurons.map(|(place, facts)| (place, holds(facts))),
        )
    }

    fn missing_samples(&self) -> Option<Finding> {
        let missing = |facts: &NeuronFacts| match facts.flags.has(NeuronFlags::MISSING) {
            true => 0,
            false => u64::from(facts.missing_frames),
        };
        let touched = self.touched(|facts| missing(facts) > 0);
        frames::missing(touched, self.frames, self.facts.iter().map(missing))
    }
}

impl Excerpt {
    /// What is to be said of an excerpt beside the `kind` that it has, in the order in which it is reported (rules 9.2 and 9.3).
    ///
    /// `missing` is the value of samples that count as missing. What needs all frames, a model or positions is not in it.
    #[must_use]
    pub fn findings(&self, kind: &Kind, missing: Option<f32>) -> Vec<Finding> {
        let frames = self.frames();
        let blank = self.blank();
        let blank_frames: Vec<u32> = (0..)
            .zip(&blank)
            .filter(|(_, blank)| **blank)
            .map(|(frame, _)| frame)
            .collect();
        let cleaned = self.cleaned(missing);
        let traces = self
            .samples
            .chunks_exact(frames.max(1))
            .zip(cleaned.chunks_exact(frames.max(1)));
        let facts: Vec<NeuronFacts> = traces
            .map(|(samples, cleaned)| {
                let mut facts = NeuronFacts {
                    hash: hash(samples),
                    ..NeuronFacts::default()
                };
                facts.note_samples(cleaned, blank_frames.len());
                facts
            })
            .collect();
        // A run's first frame does not follow on the frame before it in the excerpt.
        let firsts: Vec<usize> = self.runs_of_trace().iter().map(|run| run.start).collect();
        let repeated = RepeatedFrames::of(&self.samples, frames, missing, &blank_frames);
        let repeated = repeated
            .frames()
            .filter(|&frame| !firsts.contains(&(frame as usize)));
        let mut findings = Survey {
            scope: Scope::Excerpt,
            places: &self.places().collect::<Vec<_>>(),
            facts: &facts,
            frames,
            blank: &self.frames_of_recording(&blank_frames),
            pairs: frames.saturating_sub(firsts.len()),
            repeated: repeated.count(),
            raw: kind.decision == Decision::Use(Baseline::Dff),
        }
        .findings();
        findings.extend(neurons::denoised(
            Scope::Excerpt,
            kind.dff_noise_level(),
            frames,
        ));
        let absent = missing.filter(|missing| !self.samples.contains(missing));
        findings.extend(
            absent.map(|missing| flags::absent_value(Scope::Excerpt, missing, facts.len())),
        );
        sort(&mut findings);
        findings
    }
}

#[cfg(test)]
mod tests;
