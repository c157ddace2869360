//! The page of a run: the verdict, a row per subject, the findings, then what the run was.

use maud::{Markup, PreEscaped, html};
use spikegrid_core::findings::Severity;

use super::parts::{address, badge, facts_table, findings_list, page, tally, verdict, worst};
use super::{Outcome, RunPage, RunSubject};
use crate::figures::{PlotError, count, counted, plot_sparkline, significant, svg};

/// Size of the small figure of a subject, in points.
const SPARKLINE: (f64, f64) = (90.0, 20.0);

/// The page of a run as HTML.
///
/// The same arguments give the same text.
///
/// # Errors
/// When a figure cannot be plotted.
pub fn run_page(run: &RunPage) -> Result<String, PlotError> {
    let mut subjects: Vec<&RunSubject> = run.subjects.iter().collect();
    subjects.sort_by_key(|subject| std::cmp::Reverse(rank(subject)));
    let rows: Result<Vec<Markup>, PlotError> =
        subjects.iter().map(|subject| row(subject)).collect();
    let explained =
        |subject: &&&RunSubject| subject.error.is_some() || !subject.findings.is_empty();
    let body = html! {
        header {
            h1 { "Spike grids of " (counted(run.subjects.len(), "subject")) }
            p.muted { "spikegrid-mpi " (run.software_version) }
        }
        (verdict_on(run))
        @if !run.findings.is_empty() { section { h2 { "Findings of the run" } (findings_list(run.findings)) } }
        section {
            h2 { "Subjects" }
            div.scroll { table.subjects {
                thead { tr {
                    th { "Subject" } th { "Outcome" } th { "Findings" } th.number { "Neurons" } th.number { "Frames" }
                    th.number { "Rate" } th.number { "Planes" } th.number { "Spikes" } th { "Activity" }
                } }
                tbody { @for row in rows? { (row) } }
            } }
        }
        @for (place, subject) in subjects.iter().enumerate().filter(|(_, subject)| explained(&subject)) {
            section id={ "subject-" (place) } {
                h2 { bdi { (subject.name) } }
                @if let Some(error) = subject.error {
                    article.finding.failure { p.kind { (badge(Some(Severity::Failure), "failure")) } p.message { (error) } }
                }
                (findings_list(subject.findings))
            }
        }
        section { h2 { "What the run was" } (facts_table(run.facts.iter().map(|(name, value)| (*name, value.as_str())))) }
    };
    Ok(page(
        "Spike grids: report of a run",
        run.software_version,
        &body,
    ))
}

/// What matters most about a subject: 4 failed, 3 not done, 2 warnings, 1 notes, 0 nothing.
fn rank(subject: &RunSubject) -> u8 {
    match (subject.outcome, worst(subject.findings)) {
        (Outcome::Failed, _) | (_, Some(Severity::Failure)) => 4,
        (Outcome::Stopped, _) => 3,
        (_, Some(Severity::Warning)) => 2,
        (_, Some(Severity::Note)) => 1,
        (_, None) => 0,
    }
}

fn verdict_on(run: &RunPage) -> Markup {
    let all = run.subjects.len();
    let of_rank = |wanted: u8| {
        let same = |subject: &&RunSubject| rank(subject) == wanted;
        run.subjects.iter().filter(same).count()
    };
    let (failed, stopped, warned) = (of_rank(4), of_rank(3), of_rank(2));
    let of_run = worst(run.findings);
    let severity = if failed > 0 {
        Some(Severity::Failure)
    } else if stopped + warned > 0 {
        of_run.max(Some(Severity::Warning))
    } else {
        of_run
    };
    let headline = match severity {
        Some(Severity::Failure) if failed > 0 => {
            format!("{failed} of {} failed.", counted(all, "subject"))
        }
        Some(Severity::Failure) => "The run found a failure.".to_owned(),
        Some(Severity::Warning) if stopped > 0 => {
            format!("{stopped} of {} were not reached.", counted(all, "subject"))
        }
        Some(Severity::Warning) => "Read the warnings before training.".to_owned(),
        _ => "No problem was found.".to_owned(),
    };
    let lines = [
        (failed, "failed: do not train on them"),
        (stopped, "not done: run the same command again"),
        (warned, "with warnings: read them before training"),
        (all - failed - stopped - warned, "without a problem"),
    ];
    verdict(
        severity,
        &headline,
        &html! { ul {
            @for (number, words) in lines {
                @if number > 0 { li { strong { (counted(number, "subject")) } " " (words) } }
            }
        } },
    )
}

fn row(subject: &RunSubject) -> Result<Markup, PlotError> {
    let sparkline = match subject.activity {
        [] => String::new(),
        activity => {
            let title = format!("Population activity of {}", subject.name);
            svg(SPARKLINE, &title, &|canvas| {
                plot_sparkline(canvas, activity)
            })?
        }
    };
    let opened = subject.frames > 0;
    let number = |number: usize| {
        if opened {
            count(number)
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
    Ok(html! { tr {
        th scope="row" {
            @match &subject.page {
                Some(page) => a href=(address(page)) { bdi { (subject.name) } },
                None => bdi { (subject.name) },
            }
        }
        td { (outcome) }
        td { (findings_of(subject)) }
        td.number { (number(subject.neurons)) }
        td.number { (number(subject.frames)) }
        td.number { @if let Some(rate) = subject.sampling_rate_hz { (significant(rate, 4)) " Hz" } }
        td.number { (number(subject.planes)) }
        td.number { @if opened { (count(subject.spikes)) } }
        td.sparkline { (PreEscaped(sparkline)) }
    } })
}

fn findings_of(subject: &RunSubject) -> Markup {
    html! {
        @match (rank(subject), subject.outcome) {
            (4, _) if subject.findings.is_empty() => (badge(Some(Severity::Failure), "1 failure")),
            (0, Outcome::Skipped) => span.muted { "see its page" },
            (_, Outcome::Stopped) if subject.findings.is_empty() => "–",
            _ => (badge(worst(subject.findings), &tally(subject.findings))),
        }
    }
}
