//! The figures of a subject as a PDF (rule 8.3).
//!
//! `summary`, `histogram`, `population`, `pixels` and `neuron` say what a figure shows, `panel` and `axis` how a chart looks, `trace`
//! thins a recording to what paper can show. They draw on a `canvas`, which `pdf` and `svg` write: `document` binds pages to a PDF,
//! and the report has the SVG. `metrics` knows the fonts that every PDF reader brings along.

mod axis;
mod canvas;
mod document;
mod histogram;
mod metrics;
mod neuron;
mod panel;
mod pdf;
mod pixels;
mod population;
mod summary;
mod svg;
mod trace;

use std::cmp::Reverse;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use spikegrid_core::cascade::benchmark::ExpectedCorrelation;
use spikegrid_core::findings::Finding;
use spikegrid_core::grid::Place;
use spikegrid_core::unit::NeuronFacts;

pub(crate) use axis::significant;
pub(crate) use canvas::Canvas;
use document::Document;
pub(crate) use histogram::{plot_noise, plot_rates};
pub(crate) use neuron::{description, plot_panels};
use pdf::{A4, PdfPen};
pub(crate) use pixels::{
    COLLISIONS, MAP_SIZE, MAPS, NEURONS, Pixel, by_plane, legend, occupancy, plot_pixels, thinned,
};
pub(crate) use population::{plot_population, plot_sparkline};
pub(crate) use summary::{parameters, total_spikes};
use svg::SvgPen;

/// What the figures and the report tell about a subject.
#[derive(Debug, Clone)]
pub struct Summary<'a> {
    /// Name of the subject's folder; any Unicode.
    pub subject: &'a str,
    /// Name of the CASCADE model.
    pub cascade_model: &'a str,
    /// Neurons, `N`.
    pub neurons: usize,
    /// Frames, `T`.
    pub frames: usize,
    /// Frames per second.
    pub sampling_rate_hz: f64,
    /// Window of the running baseline in seconds.
    pub window_sec: f64,
    /// Percentile of the running baseline, 0 to 100.
    pub percentile: f64,
    /// `dff`, `subtract` or `none`, with ` (auto)` where the program chose it: what the traces are, hence how their axis is named.
    pub baseline: &'a str,
    /// `1`, `0` or `off` (rule 4.5).
    pub threshold: &'a str,
    /// `--seed`.
    pub seed: u64,
    /// (T,) 1 for a training frame, 0 for a test frame.
    pub is_train: &'a [u8],
    /// (Z,) z levels, ascending.
    pub z_values: &'a [f64],
    /// (N,) where each neuron lies in the grids; none for a neuron without a position.
    pub places: &'a [Option<Place>],
    /// (N,) noise level in % / √Hz, NaN where there is none.
    pub noise_levels: &'a [f32],
    /// What the model's benchmark lets one expect of the neurons; none where nothing is known.
    pub expected_correlation: Option<ExpectedCorrelation>,
    /// Least and greatest noise level for which the model has an ensemble.
    pub model_noise_levels: (i32, i32),
    /// (N,) what was found out about each neuron; empty where it is not known.
    pub facts: &'a [NeuronFacts],
    /// Frames at the start and at the end that have no rate in any neuron (rule 4.6).
    pub padding: [usize; 2],
    /// (T,) spikes of all neurons in each frame.
    pub spikes_per_frame: &'a [u32],
    /// Frames, ascending, in which all neurons of the recording are 0.
    pub blank_frames: &'a [u32],
    /// Pixels, in their order, with the spikes lost because two neurons of the plane share them.
    pub collisions: &'a [(Place, u64)],
    /// Spikes lost under the marker.
    pub marker_spikes: u64,
    /// The files that the subject was read from.
    pub input_files: &'a [String],
    /// Version of this program.
    pub software_version: &'a str,
    /// What was found out about this subject.
    pub findings: &'a [Finding],
}

impl Summary<'_> {
    /// What the traces are, as the name of their axis.
    fn trace_name(&self) -> &str {
        match self.baseline_kind() {
            "dff" => "ΔF/F",
            "subtract" => "F − F₀",
            "none" => "ΔF/F (as given)",
            other => other,
        }
    }

    /// The kind of baseline, whoever chose it.
    fn baseline_kind(&self) -> &str {
        self.baseline.trim_end_matches(" (auto)")
    }

    /// The frames between the padding.
    fn rated_frames(&self) -> Range<usize> {
        let [start, end] = self.padding;
        start.min(self.frames)..self.frames.saturating_sub(end).max(start.min(self.frames))
    }

    /// (N,) spikes per second of each neuron, expected from its rates; NaN where it has no rate.
    pub(crate) fn rates_hz(&self) -> impl Iterator<Item = f64> {
        let frames = self.rated_frames().len();
        self.facts.iter().map(move |facts| {
            let frames = frames.saturating_sub(facts.frames_without_rate as usize);
            let per_frame = match frames {
                0 => f64::NAN,
                frames => f64::from(facts.expected_spikes) / frames as f64,
            };
            per_frame * self.sampling_rate_hz
        })
    }

    /// Unit of noise levels after a space; none where the traces are not relative to their baseline.
    fn noise_unit(&self) -> &'static str {
        match self.baseline_kind() {
            "subtract" => "",
            _ => " % / √Hz",
        }
    }
}

/// One neuron's page: three traces of `T` frames.
#[derive(Debug, Clone)]
pub struct NeuronTraces {
    /// 0-based place among the neurons.
    pub neuron: usize,
    /// Noise level in % / √Hz; NaN where there is none.
    pub noise_level: f32,
    /// Noise level of the ensemble that inferred the rate.
    pub model_noise_level: i32,
    /// (T,) ΔF/F, or what `Summary::baseline` says.
    pub dff: Vec<f32>,
    /// (T,) spikes per frame, NaN where there is no rate.
    pub rate: Vec<f32>,
    /// (T,) 1 where the neuron spikes.
    pub spikes: Vec<u8>,
}

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// The file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// `findings` with the worst first, else in the order of their codes.
pub(crate) fn by_severity(findings: &[Finding]) -> Vec<&Finding> {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| (Reverse(finding.severity), finding.code));
    sorted
}

/// Writes a summary page and one page for each of `neurons` to `path`, replacing what is there.
///
/// The same arguments give the same bytes.
///
/// # Errors
/// When the file cannot be written.
pub fn write_pdf(
    path: &Path,
    summary: &Summary,
    neurons: &[NeuronTraces],
) -> Result<(), PlotError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(&document(summary, neurons)?)?;
        file.sync_all()
    };
    write().map_err(|source| PlotError::Write {
        path: path.to_path_buf(),
        source,
    })
}

/// The bytes of the PDF.
fn document(summary: &Summary, neurons: &[NeuronTraces]) -> std::io::Result<Vec<u8>> {
    let producer = format!("spikegrid-mpi {}", summary.software_version);
    let mut document = Document::new(&format!("{}: spike grids", summary.subject), &producer);
    let mut add = |bookmark: String, plot: &dyn Fn(Canvas)| {
        document.add_page(&canvas::drawn(Box::new(PdfPen::new()), A4, plot), bookmark)
    };
    add("Summary".to_owned(), &|page| summary::plot(page, summary))?;
    for traces in neurons {
        let bookmark = format!("Neuron {}", traces.neuron);
        add(bookmark, &|page| neuron::plot(page, summary, traces))?;
    }
    Ok(document.finish())
}

/// A figure of a size in points as an SVG element; `title` is read aloud in its place.
pub(crate) fn svg(size: (f64, f64), title: &str, plot: impl FnOnce(Canvas)) -> String {
    let bytes = canvas::drawn(Box::new(SvgPen::new(size, title)), size, plot);
    String::from_utf8_lossy(&bytes).into_owned()
}
