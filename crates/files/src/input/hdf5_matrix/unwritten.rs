//! Parts of a dataset that its writer declared and never stored. HDF5 gives a fill value for them, mostly 0, which would pass
//! for samples.

use hdf5::Dataset;
use hdf5::plist::dataset_create::Layout;
use hdf5_sys::h5::hsize_t;
use spikegrid_core::findings::{Code, Finding};

use super::regions::{Region, volume};
use crate::input::storage::Orientation;
use crate::raw_chunk::{self, stored_bytes};

/// Chunks of a dataset that are looked at one by one, at most; of larger datasets the share of the samples is that of the chunks.
const LOOKED_AT: usize = 1 << 16;

/// What of a dataset has no samples.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::input) struct Unwritten {
    /// Chunks that are not there, and all chunks, where it is stored in chunks.
    chunks: Option<[usize; 2]>,
    /// Samples that are not there, of all.
    share: f64,
    /// Rows and columns that lack a sample: how many, and the first; none where that was not looked at.
    axes: Option<[Touched; 2]>,
}

/// Rows or columns.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Touched {
    count: usize,
    first: usize,
}

impl Unwritten {
    /// What of a dataset with two axes was never stored; nothing where it is complete.
    ///
    /// # Errors
    /// If the index of its chunks cannot be read.
    pub(super) fn of(dataset: &Dataset, shape: [usize; 2]) -> Result<Option<Self>, hdf5::Error> {
        let chunks = missing_chunks(dataset)?;
        if let Some([missing, all]) = chunks
            && (missing == 0 || all > LOOKED_AT)
        {
            let share = missing as f64 / all as f64;
            return Ok((missing > 0).then_some(Self {
                chunks,
                share,
                axes: None,
            }));
        }
        let regions = unwritten_regions(dataset)?;
        let found = Self::in_regions(&regions, shape);
        Ok(found.map(|found| Self { chunks, ..found }))
    }

    /// What has no samples where that is so in these regions, which have no element in common.
    pub(super) fn in_regions(regions: &[Region], shape: [usize; 2]) -> Option<Self> {
        let filled = || regions.iter().filter(|region| volume(region) > 0);
        let samples = filled().fold(0, |sum: usize, region| sum.saturating_add(volume(region)));
        let touched = |axis: usize| {
            let mut ranges: Vec<_> = filled().map(|region| region[axis].clone()).collect();
            ranges.sort_by_key(|range| range.start);
            let (mut count, mut end) = (0, 0);
            for range in &ranges {
                count += range.end.saturating_sub(range.start.max(end));
                end = end.max(range.end);
            }
            let first = ranges.first().map_or(0, |range| range.start);
            Touched { count, first }
        };
        (samples > 0).then(|| Self {
            chunks: None,
            share: samples as f64 / (shape[0] as f64 * shape[1] as f64),
            axes: Some([touched(0), touched(1)]),
        })
    }

    /// The finding of rule 9.3 about a dataset of this name.
    pub(in crate::input) fn finding(&self, dataset: &str, orientation: Orientation) -> Finding {
        let share = percent(self.share);
        let what = match self.chunks {
            Some([missing, all]) => format!(
                "{missing} of {all} chunks of {dataset} {} never stored ({share} of the samples)",
                if missing == 1 { "was" } else { "were" }
            ),
            None => format!("{share} of the samples of {dataset} were never stored"),
        };
        let finding = Finding {
            share: self.share,
            ..Finding::new(
                Code::UnwrittenChunks,
                format!("{what}: they count as missing."),
                "Write the file again: its writer was stopped before it was done, or never gave these samples.",
            )
        };
        let Some([rows, columns]) = self.axes else {
            return finding;
        };
        let (frames, neurons) = match orientation {
            Orientation::FramesByNeurons => (rows, columns),
            Orientation::NeuronsByFrames => (columns, rows),
        };
        Finding {
            neurons: neurons.count as u64,
            frames: frames.count as u64,
            first_neuron: Some(neurons.first as u64),
            ..finding
        }
    }
}

/// Chunks of a dataset that were never stored, and all of its chunks; nothing where it has none.
fn missing_chunks(dataset: &Dataset) -> Result<Option<[usize; 2]>, hdf5::Error> {
    let Some(chunk) = dataset.chunk() else {
        return Ok(None);
    };
    let axes = dataset.shape().into_iter().zip(&chunk);
    let counts = axes.map(|(extent, chunk)| extent.div_ceil((*chunk).max(1)));
    let all = counts.fold(1, usize::saturating_mul);
    Ok(Some([all.saturating_sub(raw_chunk::count(dataset)?), all]))
}

/// The regions of a dataset that were never stored: all of it where it should lie in one piece, or each chunk that is not there.
///
/// # Errors
/// If the index of its chunks cannot be read.
pub(super) fn unwritten_regions(dataset: &Dataset) -> Result<Vec<Region>, hdf5::Error> {
    let shape = dataset.shape();
    let Some(chunk) = dataset.chunk() else {
        let settings = dataset.dcpl()?;
        let nowhere = settings.get_layout()? == Layout::Contiguous
            && settings.get_external()?.is_empty()
            && dataset.offset().is_none()
            && !shape.contains(&0);
        let all = shape.iter().map(|extent| 0..*extent).collect();
        return Ok(if nowhere { vec![all] } else { Vec::new() });
    };
    let mut regions = Vec::new();
    if missing_chunks(dataset)?.is_none_or(|[missing, _]| missing == 0) {
        return Ok(regions);
    }
    let mut start = vec![0_usize; shape.len()];
    loop {
        let place: Vec<hsize_t> = start.iter().map(|&place| place as hsize_t).collect();
        if stored_bytes(dataset, &place)? == 0 {
            let axes = start.iter().zip(chunk.iter().zip(&shape));
            let region = axes
                .map(|(&start, (chunk, extent))| start..start.saturating_add(*chunk).min(*extent));
            regions.push(region.collect());
        }
        // The next chunk: the last axis runs fastest.
        let Some(axis) = (0..start.len())
            .rev()
            .find(|&axis| start[axis].saturating_add(chunk[axis]) < shape[axis])
        else {
            return Ok(regions);
        };
        start[axis] += chunk[axis];
        start[axis + 1..].fill(0);
    }
}

/// A share in per cent, with at least one digit that is not 0.
fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    match percent {
        1.0.. => format!("{percent:.1} %"),
        _ => format!("{percent:.1e} %"),
    }
}
