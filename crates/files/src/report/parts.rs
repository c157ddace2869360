//! What the pages of a run and of a subject have in common.

use std::fmt::Write;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use spikegrid_core::findings::{Finding, Severity};
use spikegrid_core::wording::counted;

use crate::figures::{by_severity, significant};

/// A whole page. Characters that no page may hold are replaced.
pub(super) fn page(title: &str, version: &str, body: &Markup) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
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

/// A section with a heading.
pub(super) fn section(heading: &str, body: &Markup) -> Markup {
    html! { section { h2 { bdi { (heading) } } (body) } }
}

/// A section about a subject, to which [`anchor`] leads.
pub(super) fn section_of(subject: &str, body: &Markup) -> Markup {
    html! { section id=(subject) { h2 { bdi { (subject) } } (body) } }
}

/// The address of the section about a subject, from the same page.
pub(super) fn anchor(subject: &str) -> String {
    format!("#{}", address(subject))
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
        .map(|&(number, name)| counted(number, name))
        .collect();
    if words.is_empty() {
        "none".to_owned()
    } else {
        words.join(", ")
    }
}

/// A list of `findings`, the worst first.
pub(super) fn findings_list(findings: &[Finding]) -> Markup {
    html! {
        @for finding in by_severity(findings) {
            article class={ "finding " (finding.severity.name()) } {
                p { (badge(Some(finding.severity), finding.severity.name())) " " code { (finding.code) } }
                p.message { (unbroken(&finding.message)) }
                @if !finding.advice.is_empty() { p { strong { "What to do: " } (unbroken(&finding.advice)) } }
                p.muted { (touched(finding)) }
            }
        }
    }
}

/// `words` whose flags, such as `--missing`, are not cut at the end of a line.
fn unbroken(words: &str) -> Markup {
    html! {
        @for word in words.split_inclusive(' ') {
            @if word.starts_with("--") { span.flag { (word) } } @else { (word) }
        }
    }
}

/// Words on the colour of a severity.
pub(super) fn badge(severity: Option<Severity>, words: &str) -> Markup {
    html! { span class={ "badge " (severity.map_or("good", Severity::name)) } { (words) } }
}

/// Which neurons and frames a finding concerns.
fn touched(finding: &Finding) -> String {
    let number = |number: u64, thing: &str| (number > 0).then(|| counted(number, thing));
    let first = finding.first_neuron;
    let words = [
        number(finding.neurons, "neuron"),
        first.map(|first| format!("the first is neuron {first} (counted from 0)")),
        number(finding.frames, "frame"),
        (finding.share > 0.0).then(|| format!("share {}", percent(finding.share))),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Names and values as a table.
pub(super) fn facts_table(facts: &[(&str, String)]) -> Markup {
    html! {
        div.scroll { table.facts {
            @for (name, value) in facts { tr { th scope="row" { (name) } td { bdi { (value) } } } }
        } }
    }
}

/// A share of 1 as "12 %" or "0.0034 %".
pub(super) fn percent(share: f64) -> String {
    match 100.0 * share {
        tiny if tiny > 0.0 && tiny < 0.001 => "< 0.001 %".to_owned(),
        percent => format!(
            "{} %",
            significant(percent, if percent < 10.0 { 2 } else { 3 })
        ),
    }
}

/// A relative address: all but letters, digits and the marks `-._~/` is percent-encoded.
pub(super) fn address(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes().fold(String::new(), |mut encoded, byte| {
        // A string takes all that is written into it.
        let _ = match plain(byte) {
            true => write!(encoded, "{}", char::from(byte)),
            false => write!(encoded, "%{byte:02X}"),
        };
        encoded
    })
}
