//! What the pages of a run and of a subject have in common.

use std::fmt::Write;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use spikegrid_core::findings::{Finding, Severity};

use crate::figures::{count, counted, significant};

/// A whole page. Characters that no page may hold are replaced.
pub(super) fn page(title: &str, version: &str, body: &Markup) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main { (body) }
                footer {
                    "Made by spikegrid-mpi " (version) ". The file docs/findings.md explains every finding by its code: what it means, why "
                    "it matters, and what to do. The file report.json holds the same findings for programs."
                }
            }
        }
    };
    let forbidden = |character: char| character.is_control() && character != '\n';
    markup.into_string().replace(forbidden, "\u{FFFD}")
}

/// The box that says on top of a page what the reader has to know, in the colour of a severity.
pub(super) fn verdict(worst: Option<Severity>, headline: &str, detail: &Markup) -> Markup {
    let (class, sign) = match worst {
        Some(Severity::Failure) => ("failure", "✕"),
        Some(Severity::Warning) => ("warning", "!"),
        _ => ("good", "✓"),
    };
    html! {
        section class={ "verdict " (class) } {
            p.headline { span.sign aria-hidden="true" { (sign) } " " (headline) }
            (detail)
        }
    }
}

/// The worst severity among `findings`.
pub(super) fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(|finding| finding.severity).max()
}

/// Number of `findings` of a severity.
pub(super) fn number_of(findings: &[Finding], severity: Severity) -> usize {
    let same = |finding: &&Finding| finding.severity == severity;
    findings.iter().filter(same).count()
}

/// Numbers of failures, warnings and notes, such as "1 failure, 2 warnings"; "none" where there are none.
pub(super) fn tally(findings: &[Finding]) -> String {
    let severities = [Severity::Failure, Severity::Warning, Severity::Note];
    let numbers = severities.map(|severity| (number_of(findings, severity), severity.name()));
    let present = numbers.iter().filter(|(number, _)| *number > 0);
    let words: Vec<String> = present
        .map(|(number, name)| counted(*number, name))
        .collect();
    match words[..] {
        [] => "none".to_owned(),
        _ => words.join(", "),
    }
}

/// A list of `findings`, the worst first.
pub(super) fn findings_list(findings: &[Finding]) -> Markup {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.code));
    html! {
        @for finding in sorted {
            article class={ "finding " (finding.severity.name()) } {
                p.kind { (badge(Some(finding.severity), finding.severity.name())) " " code { (finding.code) } }
                p.message { (finding.message) }
                @if !finding.advice.is_empty() { p.advice { strong { "What to do: " } (finding.advice) } }
                @let touched = touched(finding);
                @if !touched.is_empty() { p.touched { (touched) } }
            }
        }
    }
}

/// Words on the colour of a severity.
pub(super) fn badge(severity: Option<Severity>, words: &str) -> Markup {
    html! { span class={ "badge " (severity.map_or("good", Severity::name)) } { (words) } }
}

/// Which neurons and frames a finding concerns.
fn touched(finding: &Finding) -> String {
    let mut words = Vec::new();
    if finding.neurons > 0 {
        words.push(counted(finding.neurons as usize, "neuron"));
    }
    if let Some(first) = finding.first_neuron {
        words.push(format!("the first is neuron {first} (counted from 0)"));
    }
    if finding.frames > 0 {
        words.push(counted(finding.frames as usize, "frame"));
    }
    if finding.share > 0.0 {
        words.push(format!("share {}", percent(finding.share)));
    }
    words.join(" · ")
}

/// Names and values as a table.
pub(super) fn facts_table<'a>(facts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Markup {
    html! {
        div.scroll { table.facts {
            @for (name, value) in facts { tr { th scope="row" { (name) } td { bdi { (value) } } } }
        } }
    }
}

/// A share of 1 as "12 %" or "0.0034 %".
pub(super) fn percent(share: f64) -> String {
    let digits = if share >= 0.1 { 3 } else { 2 };
    format!("{} %", significant(100.0 * share, digits))
}

/// A number of at least 0 that may have a fraction.
pub(super) fn amount(number: f64) -> String {
    if number < 100.0 {
        significant(number, 3)
    } else {
        count(number.round() as u64)
    }
}

/// A relative address: all but letters, digits and the marks `-._~/` is percent-encoded.
pub(super) fn address(path: &str) -> String {
    let mut encoded = String::new();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            // A string takes all that is written into it.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}
