//! The report of a run and of each subject as pages for a browser (rule 9.5).
//!
//! A page is one file: it needs no network and no script. `subject` and `run` say what is on a page, `parts` what both have, and
//! `style.css` how it looks on a screen, light or dark, on a phone and on paper. The figures are those of `figures`.

mod parts;
mod run;
mod subject;

use spikegrid_core::cascade::benchmark::ExpectedCorrelation;
use spikegrid_core::findings::Finding;

pub use run::run_page;
pub use subject::subject_page;

/// What the page of a run tells.
#[derive(Debug, Clone)]
pub struct RunPage<'a> {
    /// Version of this program.
    pub software_version: &'a str,
    /// What the run was: names and values such as ("model", "Global_EXC_2Hz_smoothing500ms"), in the order to be shown.
    pub facts: &'a [(&'a str, String)],
    /// The subjects, in any order.
    pub subjects: &'a [RunSubject<'a>],
}

/// One subject on the page of a run.
#[derive(Debug, Clone)]
pub struct RunSubject<'a> {
    /// Name of the subject's folder; any Unicode.
    pub name: &'a str,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed.
    pub error: Option<&'a str>,
    /// What was found out about it.
    pub findings: &'a [Finding],
    /// Neurons, `N`; 0 where it was not opened.
    pub neurons: usize,
    /// Frames, `T`; 0 where it was not opened.
    pub frames: usize,
    /// z-planes, `Z`; 0 where it was not opened.
    pub planes: usize,
    /// Spikes of all neurons and frames.
    pub spikes: u64,
    /// Frames per second of the recording; `None` where it was not opened.
    pub sampling_rate_hz: Option<f64>,
    /// What the model's benchmark lets one expect of the neurons; `None` where nothing is known.
    pub expected_correlation: Option<ExpectedCorrelation>,
    /// Spikes of all neurons in each frame, thinned out by [`thinned_activity`]; empty where it is not known.
    pub activity: &'a [u32],
    /// Its own page, relative to the page of the run and not encoded; `None` where it has none.
    pub page: Option<String>,
}

/// How a subject ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// This run made its output.
    Processed,
    /// Its output was complete before this run.
    Skipped,
    /// It has no output; the findings or the error say why.
    Failed,
    /// The run was stopped before its end.
    Stopped,
}

/// (at most 240,) the most spikes of each of equally long stretches of (T,) `spikes_per_frame`, for [`RunSubject::activity`].
#[must_use]
pub fn thinned_activity(spikes_per_frame: &[u32]) -> Vec<u32> {
    const MOST: usize = 240;
    let stretch = spikes_per_frame.len().div_ceil(MOST).max(1);
    let stretches = spikes_per_frame.chunks(stretch);
    stretches
        .map(|stretch| stretch.iter().copied().max().unwrap_or(0))
        .collect()
}
