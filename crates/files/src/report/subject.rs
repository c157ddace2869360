//! The page of a subject: the verdict and the findings, then how it was processed, then the figures.

use maud::{Markup, PreEscaped, html};
use spikegrid_core::findings::Severity;

use super::parts::{
    address, amount, facts_table, findings_list, number_of, page, percent, tally, verdict, worst,
};
use crate::figures::{
    COLLISIONS, Canvas, NEURONS, NeuronTraces, Pixel, PlotError, Summary, count, counted,
    description, legend, map_size, occupancy, parameters, plot_noise, plot_panels, plot_pixels,
    plot_population, plot_rates, significant, svg, total_spikes,
};

/// Size of a figure of half the page's width, and of one of the whole width, in points.
const HALF: (f64, f64) = (270.0, 178.0);
const WHOLE: (f64, f64) = (560.0, 186.0);
const TRACES: (f64, f64) = (270.0, 236.0);

type Plot = fn(&Canvas, &Summary) -> Result<(), PlotError>;

/// The page of a subject as HTML, with the traces of `neurons` as examples.
///
/// The same arguments give the same text.
///
/// # Errors
/// When a figure cannot be plotted.
pub fn subject_page(summary: &Summary, neurons: &[NeuronTraces]) -> Result<String, PlotError> {
    let body = html! {
        header {
            h1 { bdi { (summary.subject) } }
            p.muted {
                (counted(summary.neurons, "neuron")) " · " (counted(summary.frames, "frame")) " at "
                (significant(summary.sampling_rate_hz, 6)) " Hz · " (counted(summary.z_values.len(), "z-plane"))
            }
        }
        (verdict_on(summary))
        @if !summary.findings.is_empty() {
            section { h2 { "Findings" } (findings_list(summary.findings)) }
        }
        section { h2 { "Figures" } (figures(summary)?) }
        section {
            h2 { "Spikes that the grids do not hold" }
            (lost_spikes(summary))
        }
        (neuron_maps(summary)?)
        (collision_maps(summary)?)
        @if !neurons.is_empty() { section { h2 { "Example neurons" } (examples(summary, neurons)?) } }
        section { h2 { "How this subject was processed" } (processing(summary)) }
    };
    Ok(page(summary.subject, summary.software_version, &body))
}

fn verdict_on(summary: &Summary) -> Markup {
    let worst = worst(summary.findings);
    let warnings = number_of(summary.findings, Severity::Warning);
    let failures = summary.findings.iter();
    let failures = failures.filter(|finding| finding.severity == Severity::Failure);
    let (headline, detail) = match worst {
        Some(Severity::Failure) => (
            "Failed: do not train on this subject.".to_owned(),
            html! { @for finding in failures { p { (finding.message) } } },
        ),
        Some(Severity::Warning) => (
            format!(
                "{}: read them before training.",
                counted(warnings, "warning")
            ),
            html! { p { "The results may be wrong for some neurons or frames. Each finding below says what to do." } },
        ),
        _ => (
            "No problem was found.".to_owned(),
            html! { p {
                "Every check passed: this subject may be trained on. "
                @if worst.is_some() { (tally(summary.findings)) " below for your information." }
            } },
        ),
    };
    verdict(worst, &headline, &detail)
}

fn processing(summary: &Summary) -> Markup {
    let mut facts = parameters(summary);
    if let Some((least, greatest)) = summary.model_noise_levels {
        facts.push(("Model's noise levels", format!("{least} to {greatest}")));
    }
    facts.push((
        "Program",
        format!("spikegrid-mpi {}", summary.software_version),
    ));
    let inputs = summary.input_files.iter();
    facts.extend(inputs.map(|file| ("Input file", file.clone())));
    let pdf = format!("{}_visualization.pdf", summary.subject);
    html! {
        (facts_table(facts.iter().map(|(name, value)| (*name, value.as_str()))))
        p.muted { "The figures for print are in " a href=(address(&pdf)) { bdi { (pdf) } } "." }
    }
}

fn figures(summary: &Summary) -> Result<Markup, PlotError> {
    let noise = "Noisy neurons have uncertain rates. The model has learnt the noise levels that are shaded.";
    let rates = "Mean inferred rate of each neuron. Where most neurons have several spikes per second, check unit and sampling rate.";
    Ok(html! {
        div.figures {
            (figure("Noise levels", noise, HALF, plot_noise, summary)?)
            (figure("Spike rates", rates, HALF, plot_rates, summary)?)
            figure.whole {
                figcaption { strong { "Population activity." } " Jumps that all neurons share are artefacts more often than biology." }
                div.wide { (picture("Population activity", WHOLE, plot_population, summary)?) }
                div.narrow { (picture("Population activity", HALF, plot_population, summary)?) }
            }
        }
    })
}

fn figure(
    title: &str,
    caption: &str,
    size: (f64, f64),
    plot: Plot,
    summary: &Summary,
) -> Result<Markup, PlotError> {
    Ok(html! { figure {
        figcaption { strong { (title) "." } " " (caption) }
        (picture(title, size, plot, summary)?)
    } })
}

fn picture(
    title: &str,
    size: (f64, f64),
    plot: Plot,
    summary: &Summary,
) -> Result<Markup, PlotError> {
    Ok(PreEscaped(svg(size, title, &|page| plot(page, summary))?))
}

fn lost_spikes(summary: &Summary) -> Markup {
    let sum = |value: fn(&spikegrid_core::unit::NeuronFacts) -> f32| -> f64 {
        summary
            .facts
            .iter()
            .map(|facts| f64::from(value(facts)))
            .sum()
    };
    let clipped = sum(|facts| facts.clipped_spikes);
    let expected = sum(|facts| facts.expected_spikes) + clipped;
    let spikes = total_spikes(summary) as f64;
    let collisions: u64 = summary.collisions.iter().map(|pixel| pixel.lost).sum();
    let rows = [
        ("Rates above one spike per frame", clipped, expected),
        (
            "Another neuron has the same pixel in that frame",
            collisions as f64,
            spikes,
        ),
        (
            "Under the marker of the z-plane",
            summary.marker_spikes as f64,
            spikes,
        ),
    ];
    html! {
        div.scroll { table {
            tr { th { "Why" } th.number { "Spikes lost" } th.number { "Of all" } th { } }
            @for (why, lost, all) in rows {
                @let share = lost / all.max(1.0);
                tr {
                    td { (why) }
                    td.number { (amount(lost)) }
                    td.number { (percent(share)) }
                    td.share { div.bar style={ "width:" (format!("{:.1}%", 100.0 * share.min(1.0))) } { } }
                }
            }
        } }
        p.muted { "The subject has " (count(total_spikes(summary))) " spikes in all." }
    }
}

/// What a kind of map shows.
struct MapKind {
    least: [u64; 4],
    unit: &'static str,
    thing: &'static str,
    caption: &'static str,
}

const NEURONS_MAP: MapKind = MapKind {
    least: NEURONS,
    unit: "neurons per pixel",
    thing: "neuron",
    caption: "Each picture is a z-plane of the grids, x to the right and y upwards. A dot is a pixel that has neurons.",
};
const COLLISIONS_MAP: MapKind = MapKind {
    least: COLLISIONS,
    unit: "lost spikes per pixel",
    thing: "lost spike",
    caption: "Neurons of a z-plane that share a pixel show one spike where they spike in the same frame.",
};

/// Maps of up to 12 planes, evenly spread.
fn neuron_maps(summary: &Summary) -> Result<Markup, PlotError> {
    const MOST: usize = 12;
    let pixels = occupancy(summary);
    let planes: Vec<&[Pixel]> = pixels.chunk_by(|a, b| a.plane == b.plane).collect();
    let shown = planes.len().min(MOST);
    let place = |map: usize| map * (planes.len() - 1) / (shown - 1).max(1);
    let chosen: Vec<&[Pixel]> = (0..shown).map(|map| planes[place(map)]).collect();
    Ok(html! { section {
        h2 { "Where the neurons are" }
        @if planes.is_empty() { p.muted { "No neuron has a pixel in the grids." } }
        @else { (maps(&chosen, planes.len(), &NEURONS_MAP, summary)?) }
    } })
}

/// Maps of the up to 4 planes that lose most spikes.
fn collision_maps(summary: &Summary) -> Result<Markup, PlotError> {
    const MOST: usize = 4;
    let losing = summary
        .collisions
        .iter()
        .filter(|collision| collision.lost > 0);
    let mut pixels: Vec<Pixel> = losing.map(|&collision| collision.into()).collect();
    pixels.sort_by_key(|pixel| (pixel.plane, pixel.row, pixel.column));
    let Some(worst) = pixels.iter().max_by_key(|pixel| pixel.number) else {
        return Ok(html! {});
    };
    let mut planes: Vec<&[Pixel]> = pixels.chunk_by(|a, b| a.plane == b.plane).collect();
    planes.sort_by_key(|plane| std::cmp::Reverse(total(plane)));
    let shown = planes.len().min(MOST);
    Ok(html! { section {
        h2 { "Where spikes collide" }
        p {
            (counted(pixels.len(), "pixel")) " lost spikes. The worst pixel is in row " (worst.row) ", column " (worst.column)
            " of plane " (worst.plane) " and lost " (counted(worst.number as usize, "spike")) "."
        }
        (maps(&planes[..shown], planes.len(), &COLLISIONS_MAP, summary)?)
    } })
}

fn total(pixels: &[Pixel]) -> usize {
    pixels.iter().map(|pixel| pixel.number as usize).sum()
}

/// A map for each of `planes`, which are chosen from `all`.
fn maps(
    planes: &[&[Pixel]],
    all: usize,
    kind: &MapKind,
    summary: &Summary,
) -> Result<Markup, PlotError> {
    let mut maps = Vec::new();
    for pixels in planes {
        let plane = pixels[0].plane;
        let name = format!("Plane {plane}");
        let svg = svg(map_size(), &name, &|page| {
            plot_pixels(page, pixels, kind.least)
        })?;
        maps.push(html! { figure.map {
            div.frame { (PreEscaped(svg)) }
            figcaption {
                strong { (name) }
                @if let Some(z) = summary.z_values.get(plane) { ", z = " (significant(*z, 6)) }
                br; (counted(total(pixels), kind.thing))
            }
        } });
    }
    Ok(html! {
        p.muted {
            (kind.caption)
            @if planes.len() < all { " " (planes.len()) " of " (count(all)) " z-planes are shown." }
        }
        p.legend {
            (kind.unit) ": "
            @for (color, words) in legend(kind.least) {
                span.key { span.swatch style={ "background:" (color) } { } (words) } " "
            }
        }
        div.maps { @for map in maps { (map) } }
    })
}

fn examples(summary: &Summary, neurons: &[NeuronTraces]) -> Result<Markup, PlotError> {
    let mut figures = Vec::new();
    for traces in neurons {
        let title = format!("Neuron {}", traces.neuron);
        let svg = svg(TRACES, &title, &|page| plot_panels(page, summary, traces))?;
        let [noise, spikes] = description(summary, traces);
        figures.push(html! { figure {
            figcaption { strong { (title) "." } " " (spikes) "; " (noise) "." }
            (PreEscaped(svg))
        } });
    }
    Ok(html! {
        p.muted {
            "Neurons chosen by the seed. Grey: frames without a value, nearer to an end than the network's window reaches, or missing "
            "samples. A good trace has fast rises with slow decays, and its rate peaks at the rises."
        }
        div.figures { @for figure in figures { (figure) } }
    })
}
