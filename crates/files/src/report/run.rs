//! The page of a run.

use maud::html;

use super::RunPage;
use super::parts::page;

/// The page of a run as HTML.
///
/// The same arguments give the same text.
#[must_use]
pub fn run_page(run: &RunPage) -> String {
    let body = html! {
        h1 { "Spike grids" }
        @for subject in run.subjects { p { (subject.name) } }
    };
    page("Spike grids", &body)
}
