//! The page of a subject: the verdict and the findings, then the figures, then how the subject was processed.

use std::cmp::Reverse;

use maud::{Markup, PreEscaped, html};
use spikegrid_core::cascade::benchmark::{ExpectedCorrelation, GOOD};
use spikegrid_core::findings::Severity;
use spikegrid_core::wording::{counted, whole};

use super::parts::{
    address, facts_table, findings_list, number_of, page, percent, section, tally, verdict,
};
use crate::figures::{
    COLLISIONS, Canvas, MAP_SIZE, MAPS, NEURONS, NeuronTraces, Pixel, Summary, by_plane,
    by_severity, description, legend, occupancy, parameters, plot_noise, plot_panels, plot_pixels,
    plot_population, plot_rates, significant, svg, thinned, total_spikes,
};

/// Sizes of figures of half the page's width and of the whole width, in points.
const HALF: (f64, f64) = (270.0, 178.0);
const WHOLE: (f64, f64) = (560.0, 186.0);
const TRACES: (f64, f64) = (270.0, 236.0);
/// Maps of planes that lose spikes at most, and dots on all maps of neurons.
const COLLISION_MAPS: usize = 4;
const MOST_DOTS: usize = 40_000;

/// The page of a subject as HTML, with the traces of `neurons` as examples.
///
/// The same arguments give the same text.
#[must_use]
pub fn subject_page(summary: &Summary, neurons: &[NeuronTraces]) -> String {
    let body = html! {
        h1 { bdi { (summary.subject) } }
        p.muted {
            (counted(summary.neurons, "neuron")) " · " (counted(summary.frames, "frame")) " at "
            (significant(summary.sampling_rate_hz, 6)) " Hz · " (counted(summary.z_values.len(), "z-plane"))
        }
        (verdict_on(summary))
        @if !summary.findings.is_empty() { (section("Findings", &findings_list(summary.findings))) }
        @if let Some(expected) = &summary.expected_correlation {
            (section("How far to trust the rates", &trust(expected)))
        }
        (section("Figures", &figures(summary)))
        (section("Spikes that the grids do not hold", &lost_spikes(summary)))
        (section("Where the neurons are", &neuron_maps(summary)))
        @if !summary.collisions.is_empty() {
            (section("Where spikes collide", &collision_maps(summary)))
        }
        @if !neurons.is_empty() { (section("Example neurons", &examples(summary, neurons))) }
        (section("How this subject was processed", &processing(summary)))
    };
    page(summary.subject, summary.software_version, &body)
}

fn verdict_on(summary: &Summary) -> Markup {
    let sorted = by_severity(summary.findings);
    let worst = sorted.first().map(|finding| finding.severity);
    let warnings = number_of(summary.findings, Severity::Warning);
    let (headline, detail) = match worst {
        Some(Severity::Failure) => (
            "Failed: do not train on this subject.".to_owned(),
            sorted[0].message.clone(),
        ),
        Some(Severity::Warning) => (
            format!("{}: read the findings before training.", counted(warnings, "warning")),
            "The results may be wrong for some neurons or frames. Each finding below says what to do.".to_owned(),
        ),
        Some(Severity::Note) => (
            "No problem was found.".to_owned(),
            format!("This subject may be trained on. It has {} below.", tally(summary.findings)),
        ),
        None => (
            "No problem was found.".to_owned(),
            "Every check passed: this subject may be trained on.".to_owned(),
        ),
    };
    verdict(worst, &headline, &html! { p { (detail) } })
}

/// What the model's benchmark lets one expect.
fn trust(expected: &ExpectedCorrelation) -> Markup {
    html! {
        p {
            strong { (percent(expected.share_above_0_7)) } " of " (counted(expected.neurons, "neuron"))
            " have an expected correlation above " (GOOD) ". The median is "
            strong { (significant(expected.median, 2)) } "."
        }
        p.muted {
            "The expected correlation says how well the inferred rate of a neuron follows its true rate. The program takes it from the noise "
            "level of the neuron and from the model's benchmark on recordings with known spikes: it is that of a typical neuron of this noise "
            "level, with ΔF/F of 0 at rest. Where the finding baseline.low concerns a neuron, its rate is less reliable than that. The column "
            "expected_correlation of neurons.tsv has the value of each neuron."
        }
    }
}

fn processing(summary: &Summary) -> Markup {
    let mut facts = parameters(summary);
    let (least, most) = summary.model_noise_levels;
    facts.push(("Model's noise levels", format!("{least} to {most}")));
    facts.push((
        "Program",
        format!("spikegrid-mpi {}", summary.software_version),
    ));
    facts.extend(
        summary
            .input_files
            .iter()
            .map(|file| ("Input", file.clone())),
    );
    let pdf = format!("{}_visualization.pdf", summary.subject);
    html! {
        (facts_table(&facts))
        p.muted { "The figures for print are in " a href=(address(&pdf)) { bdi { (pdf) } } "." }
    }
}

fn figures(summary: &Summary) -> Markup {
    let picture = |size, title: &str, plot: fn(Canvas, &Summary)| {
        PreEscaped(svg(size, title, |page| plot(page, summary)))
    };
    html! { div.figures {
        figure {
            figcaption {
                strong { "Noise levels." } " Noisy neurons have uncertain rates. The model has learnt the noise levels that are shaded."
            }
            (picture(HALF, "Noise levels", plot_noise))
        }
        figure {
            figcaption {
                strong { "Spike rates." } " Mean inferred rate of each neuron. Where most neurons have several spikes per second, check "
                "unit and sampling rate."
            }
            (picture(HALF, "Spike rates", plot_rates))
        }
        figure.whole {
            figcaption { strong { "Population activity." } " Jumps that all neurons share are artefacts more often than biology." }
            div.wide { (picture(WHOLE, "Population activity", plot_population)) }
            div.narrow { (picture(HALF, "Population activity", plot_population)) }
        }
    } }
}

fn lost_spikes(summary: &Summary) -> Markup {
    let facts = summary.facts.iter();
    let clipped: f64 = facts
        .clone()
        .map(|facts| f64::from(facts.clipped_spikes))
        .sum();
    let kept: f64 = facts.map(|facts| f64::from(facts.expected_spikes)).sum();
    let spikes = total_spikes(summary);
    let rows = [
        ("Rates above one spike per frame", clipped, kept + clipped),
        (
            "Another neuron has the same pixel in that frame",
            total(summary.collisions) as f64,
            spikes as f64,
        ),
        (
            "Under the marker of the z-plane",
            summary.marker_spikes as f64,
            spikes as f64,
        ),
    ];
    html! {
        div.scroll { table {
            tr { th { "Why" } th.number { "Spikes lost" } th.number { "Of all" } th.share { } }
            @for (why, lost, all) in rows {
                @let share = lost / all.max(1.0);
                tr {
                    td { (why) }
                    td.number { (whole(lost.round() as u64)) }
                    td.number { (percent(share)) }
                    td.share { @if lost > 0.0 { div.bar style={ "width:" (format!("{:.1}%", 100.0 * share.min(1.0))) } { } } }
                }
            }
        } }
        p.muted { "The subject has " (whole(spikes)) " spikes in all." }
    }
}

/// Maps of some planes, evenly spread.
fn neuron_maps(summary: &Summary) -> Markup {
    let pixels = occupancy(summary);
    let planes = by_plane(&pixels);
    html! {
        p.muted {
            "Each picture is a z-plane of the grids, x to the right and y upwards. A dot is a pixel that has neurons."
            @if pixels.is_empty() { " No neuron has a pixel." }
        }
        (maps(&thinned(&planes, MAPS), planes.len(), NEURONS, "neuron", summary))
    }
}

/// Maps of the planes that lose most spikes.
fn collision_maps(summary: &Summary) -> Markup {
    let mut planes = by_plane(summary.collisions);
    planes.sort_by_key(|plane| Reverse(total(plane)));
    let shown = planes.len().min(COLLISION_MAPS);
    html! {
        @if let Some((worst, lost)) = summary.collisions.iter().max_by_key(|(_, lost)| lost) {
            p {
                (counted(summary.collisions.len(), "pixel")) " lost spikes. The worst pixel is in row " (worst.row) ", column "
                (worst.column) " of plane " (worst.plane) " and lost " (counted(*lost, "spike")) "."
            }
        }
        p.muted { "Neurons of a z-plane that share a pixel show one spike where they spike in the same frame." }
        (maps(&planes[..shown], planes.len(), COLLISIONS, "lost spike", summary))
    }
}

fn total(pixels: &[Pixel]) -> u64 {
    pixels.iter().map(|(_, number)| number).sum()
}

/// A map for each of `planes`, which are chosen from `all`; `least` are the least numbers of things for each colour.
fn maps(
    planes: &[&[Pixel]],
    all: usize,
    least: [u64; 4],
    thing: &str,
    summary: &Summary,
) -> Markup {
    let most = MOST_DOTS / planes.len().max(1);
    html! {
        p.legend {
            (thing) "s per pixel: "
            @for (color, words) in legend(least) {
                span.key { span.swatch style={ "background:" (color) } { } (words) } " "
            }
            @if planes.len() < all { "· " (planes.len()) " of " (whole(all)) " z-planes " }
            @if planes.iter().any(|pixels| pixels.len() > most) { "· at most " (whole(most)) " pixels of a plane, evenly spread" }
        }
        div.maps { @for pixels in planes {
            @let plane = pixels[0].0.plane;
            @let name = format!("Plane {plane}");
            figure.map {
                div.frame { (PreEscaped(svg(MAP_SIZE, &name, |map| plot_pixels(map, &thinned(pixels, most), least)))) }
                figcaption {
                    strong { (name) }
                    @if let Some(z) = summary.z_values.get(plane) { ", z = " (significant(*z, 6)) }
                    br; (counted(total(pixels), thing))
                }
            }
        } }
    }
}

fn examples(summary: &Summary, neurons: &[NeuronTraces]) -> Markup {
    html! {
        p.muted {
            "Neurons chosen by the seed. Grey: frames without a value, nearer to an end than the network's window reaches, or missing "
            "samples. A good trace has fast rises and slow decays, and its rate peaks at the rises."
        }
        div.figures { @for traces in neurons {
            @let title = format!("Neuron {}", traces.neuron);
            @let [noise, spikes] = description(summary, traces);
            figure {
                figcaption { strong { (title) "." } " " (spikes) "; " (noise) "." }
                (PreEscaped(svg(TRACES, &title, |page| plot_panels(page, summary, traces))))
            }
        } }
    }
}
