//! The page of a run: the verdict, a row per subject, the findings, then what the run was.

use std::cmp::Reverse;

use maud::{Markup, PreEscaped, html};
use spikegrid_core::cascade::benchmark::GOOD;
use spikegrid_core::findings::Severity;
use spikegrid_core::wording::{counted, whole};

use super::parts::{
    address, anchor, badge, facts_table, findings_list, page, percent, section, section_of, tally,
    verdict,
};
use super::{Outcome, RunPage, RunSubject};
use crate::figures::{plot_sparkline, significant, svg};

/// Size of the small figure of a subject, in points.
const SPARKLINE: (f64, f64) = (90.0, 20.0);

/// The page of a run as HTML.
///
/// The same arguments give the same text.
#[must_use]
pub fn run_page(run: &RunPage) -> String {
    let mut subjects: Vec<&RunSubject> = run.subjects.iter().collect();
    subjects.sort_by_key(|subject| Reverse(State::of(subject)));
    let trusted = subjects
        .iter()
        .any(|subject| subject.expected_correlation.is_some());
    let body = html! {
        h1 { "Spike grids of " (counted(run.subjects.len(), "subject")) }
        p.muted { "spikegrid-mpi " (run.software_version) }
        (verdict_on(run))
        (section("Subjects", &html! { div.scroll { table.subjects {
            tr {
                th { "Subject" } th { "Findings" } th { "Outcome" } th.number { "Neurons" } th.number { "Frames" }
                th.number { "Rate" } th.number { "Planes" } th.number { "Spikes" }
                @if trusted { th.number { "Expected correlation" } }
                th { "Activity" }
            }
            @for subject in &subjects { (row(subject, trusted)) }
        } } }))
        @for subject in &subjects {
            @if has_section(subject) {
                (section_of(subject.name, &html! {
                    @if let Some(error) = subject.error {
                        article.finding.failure { p { (badge(Some(Severity::Failure), "failure")) } p.message { (error) } }
                    }
                    (findings_list(subject.findings))
                }))
            }
        }
        (section("What the run was", &facts_table(run.facts)))
    };
    page("Spike grids: report of a run", run.software_version, &body)
}

/// Whether there is more to say of a subject than its row does.
fn has_section(subject: &RunSubject) -> bool {
    subject.error.is_some() || !subject.findings.is_empty()
}

/// What matters most about a subject, the worst last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// Its findings are on the page that an earlier run made.
    Unknown,
    Good,
    Noted,
    Warned,
    Stopped,
    Failed,
}

impl State {
    fn of(subject: &RunSubject) -> Self {
        let severities = subject.findings.iter().map(|finding| finding.severity);
        match (subject.outcome, severities.max()) {
            (Outcome::Failed, _) | (_, Some(Severity::Failure)) => Self::Failed,
            (Outcome::Stopped, _) => Self::Stopped,
            (_, Some(Severity::Warning)) => Self::Warned,
            (_, Some(Severity::Note)) => Self::Noted,
            (Outcome::Skipped, None) => Self::Unknown,
            (_, None) => Self::Good,
        }
    }

    fn severity(&self) -> Option<Severity> {
        match self {
            Self::Failed => Some(Severity::Failure),
            Self::Stopped | Self::Warned => Some(Severity::Warning),
            Self::Noted => Some(Severity::Note),
            Self::Good | Self::Unknown => None,
        }
    }
}

fn verdict_on(run: &RunPage) -> Markup {
    let states: Vec<State> = run.subjects.iter().map(State::of).collect();
    let number = |wanted: State| states.iter().filter(|state| **state == wanted).count();
    let worst = states.iter().filter_map(State::severity).max();
    let good = number(State::Good) + number(State::Noted);
    let lines = [
        (number(State::Failed), "failed: do not train on what failed"),
        (number(State::Stopped), "not done: run the command again"),
        (number(State::Warned), "with warnings: read before training"),
        (good, "without a problem"),
        (number(State::Unknown), "complete before: see the pages"),
    ];
    let headline = match worst {
        Some(Severity::Failure) => format!("{} failed.", counted(lines[0].0, "subject")),
        Some(Severity::Warning) if lines[1].0 > 0 => {
            "The run was stopped before its end.".to_owned()
        }
        Some(Severity::Warning) => "Read the warnings before training.".to_owned(),
        _ => "No problem was found.".to_owned(),
    };
    verdict(
        worst,
        &headline,
        &html! { ul {
            @for (number, words) in lines {
                @if number > 0 { li { strong { (counted(number, "subject")) } " " (words) } }
            }
        } },
    )
}

/// The row of a subject; `trusted` says whether the table has a column for what the model's benchmark lets one expect.
fn row(subject: &RunSubject, trusted: bool) -> Markup {
    let title = format!("Population activity of {}", subject.name);
    let sparkline = |activity| svg(SPARKLINE, &title, |canvas| plot_sparkline(canvas, activity));
    let opened = subject.frames > 0;
    let number = |number: u64| {
        if opened {
            whole(number)
        } else {
            "–".to_owned()
        }
    };
    let outcome = match subject.outcome {
        Outcome::Processed => "processed",
        Outcome::Skipped => "complete before",
        Outcome::Failed => "failed",
        Outcome::Stopped => "not done",
    };
    let section = has_section(subject).then(|| anchor(subject.name));
    let page = subject.page.as_deref().map(address);
    html! { tr {
        th scope="row" { (linked(page.as_deref().or(section.as_deref()), &html! { bdi { (subject.name) } })) }
        td.found { (linked(section.as_deref(), &findings_of(subject))) }
        td.outcome { (outcome) }
        td.number { (number(subject.neurons as u64)) }
        td.number { (number(subject.frames as u64)) }
        td.number { @if let Some(rate) = subject.sampling_rate_hz { (significant(rate, 4)) " Hz" } @else { "–" } }
        td.number { (number(subject.planes as u64)) }
        td.number { (number(subject.spikes)) }
        @if trusted { td.number { @match subject.expected_correlation {
            Some(expected) => { (significant(expected.median, 2)) " · " (percent(expected.share_above_0_7)) " > " (GOOD) }
            None => "–",
        } } }
        td.sparkline { @if !subject.activity.is_empty() { (PreEscaped(sparkline(subject.activity))) } }
    } }
}

/// Words that lead to an address, if there is one.
fn linked(address: Option<&str>, words: &Markup) -> Markup {
    match address {
        Some(address) => html! { a href=(address) { (words) } },
        None => words.clone(),
    }
}

fn findings_of(subject: &RunSubject) -> Markup {
    match (State::of(subject), subject.findings) {
        (State::Failed, []) => badge(Some(Severity::Failure), "1 failure"),
        (State::Stopped, []) => html! { "–" },
        (State::Unknown, _) => html! { span.muted { "see its page" } },
        (state, findings) => badge(state.severity(), &tally(findings)),
    }
}
