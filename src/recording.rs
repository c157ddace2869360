//! What is found out about a recording before anything is computed: by rank 0 in a run, and by the command `doctor`.

use std::error::Error;

use spikegrid_core::baseline::Baseline;
use spikegrid_core::findings::{self, Excerpt, Finding, Kind, Severity};
use spikegrid_core::grid::Layout;
use spikegrid_files::crash_trial;
use spikegrid_files::input::discovery::Subject;
use spikegrid_files::input::{self, InputError, Source};

use crate::run::report;
use crate::settings::flags::DataArgs;

/// Opens the recording of a subject, after a crash trial of its files.
///
/// # Errors
/// The subject's name cannot be that of its output folder. What is wrong with the files: as a [`Finding`] where rule 9.3 has a code for it.
pub(crate) fn open(subject: &Subject, data: &DataArgs) -> Result<Source, Box<dyn Error>> {
    if report::is_taken(&subject.name) {
        return Err(format!(
            "{}: expected a name that no file of the output folder has, found {}; rename the recording",
            subject.dir.display(),
            subject.name
        )
        .into());
    }
    let request = data.request();
    crash_trial::subject(subject, &request)?;
    let opened = input::open(subject, &request);
    opened.map_err(|error| match error.code() {
        Some(code) => Finding::new(code, error.to_string(), "").into(),
        None => error.into(),
    })
}

/// Where the neurons of a recording lie in the grids, and what is odd about their positions.
///
/// # Errors
/// No neuron has a position.
pub(crate) fn lay_out(
    source: &Source,
    data: &DataArgs,
) -> Result<(Layout, Vec<Finding>), Box<dyn Error>> {
    let xyz = &source.positions.xyz;
    let rule = data.plane_rule();
    let layout = Layout::new(xyz, rule)?;
    let findings = findings::of_positions(xyz, &layout, rule);
    let failure = findings
        .iter()
        .find(|found| found.severity == Severity::Failure);
    match failure {
        Some(failure) => Err(failure.clone().into()),
        None => Ok((layout, findings)),
    }
}

/// What is to be said of the flags that contradict a recording, or do nothing in one with this rate in Hz, if that is known (rules 2.7
/// and 3.6).
pub(crate) fn flags(
    source: &Source,
    rate_hz: Option<f64>,
    data: &DataArgs,
) -> impl Iterator<Item = Finding> {
    let contradiction = findings::of_contradiction(data.sampling_rate, source.rate);
    let bridge = rate_hz.and_then(|rate_hz| findings::of_bridge(data.bridge_gaps, rate_hz));
    contradiction.into_iter().chain(bridge)
}

/// Reads the excerpt of a recording (rule 9.2).
///
/// # Errors
/// The recording cannot be read.
pub(crate) fn excerpt(source: &Source) -> Result<Excerpt, InputError> {
    input::excerpt(&source.location.open()?)
}

/// What a recording holds, by its excerpt and by what it says of itself (rule 3.5).
pub(crate) fn kind(source: &Source, excerpt: &Excerpt, rate_hz: f64, data: &DataArgs) -> Kind {
    let kind = Kind::of(excerpt, rate_hz, data.scale, data.missing_sample());
    match source.is_dff {
        true => kind.stated_as_dff(),
        false => kind,
    }
}

/// What the network gets of a recording of this kind unless the user has `given` it, and what is to be said of it (rule 3.5).
///
/// # Errors
/// A recording without a unit, where nobody says what it is.
pub(crate) fn baseline(
    kind: &Kind,
    given: Option<Baseline>,
) -> Result<(Baseline, Option<Finding>), Box<dyn Error>> {
    let finding = kind.finding(given);
    match (given.or(kind.baseline()), finding) {
        (Some(baseline), finding) => Ok((baseline, finding)),
        (None, Some(finding)) => Err(finding.into()),
        (None, None) => Err("the recording's kind is not known; say it with --baseline".into()),
    }
}
