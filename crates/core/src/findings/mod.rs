//! What is found out about the data, and what the user should do about it (rules 9.1 to 9.3).

mod baselines;
mod excerpt;
mod flags;
mod frames;
mod grids;
mod kind;
#[cfg(test)]
mod made;
mod neurons;
mod numbers;
mod positions;
mod rate;
mod recording;
mod results;
mod survey;
mod wording;

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use excerpt::Excerpt;
pub use flags::of_bridge;
pub use frames::of_length;
pub use grids::of_grids;
pub use kind::{Decision, Kind, Seen};
pub use positions::of_positions;
pub use rate::{choose_model, of_contradiction, of_rate};
pub use recording::{Computed, of_neurons};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Note,
    /// The results may be wrong for these neurons or frames.
    Warning,
    /// The subject cannot be processed.
    Failure,
}

impl Severity {
    /// Its name in messages and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal, $severity:ident;)*) => {
        /// What a finding is about (rule 9.3). The order is that in which findings are reported.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $code,)*
        }

        impl Code {
            /// All codes, in the order in which findings are reported.
            pub const ALL: &[Self] = &[$(Self::$code),*];

            /// Its name in messages and files, such as `frames.blank`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)*
                }
            }

            /// The severity that findings of this code have unless rule 9.3 makes it depend on their size.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$code => Severity::$severity,)*
                }
            }
        }
    };
}

codes! {
    /// A `subject_*` link that leads nowhere.
    UnreadableLink = "subjects.unreadable_link", Failure;
    /// A virtual or external source of a dataset that is not there.
    LostSource = "file.lost_source", Failure;
    /// Chunks of a dataset that were never stored.
    UnwrittenChunks = "file.unwritten_chunks", Warning;
    /// As many frames as neurons: nothing tells which axis is which.
    AmbiguousLayout = "layout.ambiguous", Warning;
    /// suite2p's own NWB export, which has its peculiarities.
    Suite2pExport = "layout.suite2p_nwb", Note;
    /// Intervals between frames that differ.
    UnevenRate = "rate.uneven", Warning;
    /// Neither the recording nor a flag says the sampling rate.
    UnknownRate = "rate.unknown", Note;
    /// The recording's rate differs from the model's.
    ModelRate = "rate.model", Warning;
    /// The rate that the user states differs from the recording's own.
    ContradictedRate = "rate.contradicted", Warning;
    /// z-scored traces, which have no unit.
    ZScored = "input.zscored", Failure;
    /// ΔF/F in per cent.
    Percent = "input.percent", Failure;
    /// Traces around 0 in an unknown unit.
    Scale = "input.scale", Failure;
    /// Traces that are ΔF/F already.
    AlreadyDff = "input.already_dff", Warning;
    /// Traces that lack the neuropil by which they would be corrected.
    NoNeuropil = "input.no_neuropil", Note;
    /// Traces with less noise than a microscope leaves.
    Denoised = "input.denoised", Warning;
    /// Samples that stop at a largest value.
    Clipped = "input.clipped", Warning;
    /// Samples of exactly 0 far below the others.
    Zeros = "input.zeros", Warning;
    /// Baselines of 0 or below.
    NotPositive = "baseline.not_positive", Warning;
    /// Baselines so small that ΔF/F is huge.
    NearZero = "baseline.near_zero", Warning;
    /// Baselines that change by more than half.
    Drift = "baseline.drift", Warning;
    /// Baselines so far below resting fluorescence that rest looks like activity.
    Low = "baseline.low", Warning;
    /// Folders of imaging planes that were not processed.
    SkippedPlanes = "layout.skipped_planes", Note;
    /// Imaging planes with different numbers of frames.
    CutFrames = "frames.cut", Note;
    /// Frames in which all neurons are 0.
    BlankFrames = "frames.blank", Warning;
    /// Missing samples.
    MissingSamples = "frames.missing", Warning;
    /// The value that the user says missing samples have, which no sample has.
    AbsentValue = "frames.value_absent", Note;
    /// Gaps that the user wants bridged are shorter than a frame.
    NotBridged = "frames.not_bridged", Warning;
    /// Neighbouring frames that are equal.
    RepeatedFrames = "frames.repeated", Warning;
    /// Frames without a rate.
    NoRate = "frames.no_rate", Warning;
    /// Fewer frames than the model's window.
    Short = "frames.short", Warning;
    /// Neurons whose samples are all equal.
    DeadNeurons = "neurons.dead", Warning;
    /// Neurons without a sample.
    MissingNeurons = "neurons.missing", Warning;
    /// Neurons with the same samples.
    RepeatedNeurons = "neurons.repeated", Warning;
    /// Neurons without a position.
    MissingPositions = "positions.missing", Warning;
    /// Two indices that name different cells.
    DisagreeingIndices = "positions.indices_disagree", Warning;
    /// z is a continuous number: hardly two neurons share a plane.
    ContinuousZ = "positions.continuous_z", Warning;
    /// Neurons at the same place.
    RepeatedPositions = "positions.repeated", Warning;
    /// Neurons noisier than the model knows.
    NoiseAboveModel = "noise.above_model", Warning;
    /// Neurons less noisy than the model knows.
    NoiseBelowModel = "noise.below_model", Warning;
    /// Rates that no neuron has.
    ImplausibleRates = "rates.implausible", Warning;
    /// Expected spikes above one per frame, which a grid cannot hold.
    ClippedRates = "rates.clipped", Note;
    /// No spike at all.
    NoSpikes = "spikes.none", Warning;
    /// Spikes lost because another neuron has the pixel.
    Collisions = "grid.collisions", Note;
    /// Spikes under the marker.
    Marker = "grid.marker", Note;
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let code = Self::ALL.iter().find(|code| code.name() == name);
        code.copied()
            .ok_or_else(|| D::Error::custom(format!("no finding has the code {name}")))
    }
}

/// Something that the program found out about a recording or its results (rule 9.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about.
    pub code: Code,
    /// How much it matters.
    pub severity: Severity,
    /// Neurons that it concerns; 0 where it concerns none in particular.
    pub neurons: u64,
    /// Frames that it concerns; where they differ from neuron to neuron, the most of one neuron. 0 where it concerns none in
    /// particular.
    pub frames: u64,
    /// The share that rule 9.3 compares with a threshold, 0 to 1: of neurons unless the rule names another whole.
    pub share: f64,
    /// The first of the neurons, counted from 0.
    pub first_neuron: Option<u64>,
    /// What was found, as one sentence with its numbers.
    pub message: String,
    /// What to do, with the flag or repair that helps.
    pub advice: String,
}

/// Sorts findings as they are reported: failures first, then warnings, then notes, each in the order of their codes.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.code));
}

impl Finding {
    /// A finding of the severity that its code has, which concerns no neurons or frames in particular.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            neurons: 0,
            frames: 0,
            share: 0.0,
            first_neuron: None,
            message: message.into(),
            advice: advice.into(),
        }
    }
}

/// As one line of text: `frames.blank: 6 of 600 frames are 0 in all neurons. They count as missing.`
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        match self.advice.as_str() {
            "" => Ok(()),
            advice => write!(f, " {advice}"),
        }
    }
}

/// A finding of severity failure is the reason for which a subject fails.
impl std::error::Error for Finding {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_9_1_failures_come_first_then_warnings_then_notes_in_the_order_of_codes() {
        let mut findings: Vec<_> = [
            Code::Marker,
            Code::Percent,
            Code::Collisions,
            Code::Zeros,
            Code::ZScored,
        ]
        .map(|code| Finding::new(code, "", ""))
        .into();
        sort(&mut findings);
        let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
        assert_eq!(
            codes,
            [
                Code::ZScored,
                Code::Percent,
                Code::Zeros,
                Code::Collisions,
                Code::Marker
            ]
        );
    }
}
