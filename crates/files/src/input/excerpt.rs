//! Reads the excerpt by which a recording is judged (rule 9.2).

use std::ops::Range;

use spikegrid_core::findings::Excerpt;

use super::error::InputError;
use super::panel::PAGE;
use super::samples::Samples;
use super::source::Reader;
use super::storage::{Orientation, Piece};

/// Reads the excerpt of a recording. No chunk of the file is read twice; of a dataset stored in one piece nothing is read but the
/// excerpt, and what lies within a page of it.
///
/// # Errors
/// If the file cannot be read.
pub fn excerpt(reader: &Reader) -> Result<Excerpt, InputError> {
    let storage = reader.storage();
    let mut excerpt = Excerpt::of_size(storage.frames(), storage.neurons());
    let touch = |axis: usize, before: &Range<usize>, next: &Range<usize>| match reader.whole_chunk()
    {
        Some(chunk) => {
            let extent = chunk[axis].max(1);
            (before.end - 1) / extent == next.start / extent
        }
        None => axis == 1 && (next.start - before.end).saturating_mul(storage.value_bytes) <= PAGE,
    };
    let [frame_axis, neuron_axis] = match storage.orientation {
        Orientation::FramesByNeurons => [0, 1],
        Orientation::NeuronsByFrames => [1, 0],
    };
    for runs in clusters(&excerpt.runs, |a, b| touch(frame_axis, a, b)) {
        for groups in clusters(&excerpt.groups, |a, b| touch(neuron_axis, a, b)) {
            read(reader, &mut excerpt, &runs, &groups)?;
        }
    }
    Ok(excerpt)
}

/// Cuts ascending ranges, none of them empty, into as many stretches of neighbours as can be, such that no two that touch are parted.
fn clusters(
    ranges: &[Range<usize>],
    touch: impl Fn(&Range<usize>, &Range<usize>) -> bool,
) -> Vec<Range<usize>> {
    let mut clusters: Vec<Range<usize>> = Vec::new();
    for (place, range) in ranges.iter().enumerate() {
        match clusters.last_mut() {
            Some(last) if touch(&ranges[place - 1], range) => last.end = place + 1,
            _ => clusters.push(place..place + 1),
        }
    }
    clusters
}

/// Reads some runs of some groups, which are given by their places in the excerpt, in one piece.
fn read(
    reader: &Reader,
    excerpt: &mut Excerpt,
    runs: &Range<usize>,
    groups: &Range<usize>,
) -> Result<(), InputError> {
    let storage = reader.storage();
    let around = |ranges: &[Range<usize>]| match ranges {
        [first, .., last] => first.start..last.end,
        [only] => only.clone(),
        [] => 0..0,
    };
    let piece = Piece {
        neurons: around(&excerpt.groups[groups.clone()]),
        frames: around(&excerpt.runs[runs.clone()]),
    };
    let mut parts = Vec::new();
    for group in &excerpt.groups[groups.clone()] {
        for run in &excerpt.runs[runs.clone()] {
            let piece = Piece {
                neurons: group.clone(),
                frames: run.clone(),
            };
            parts.push(Samples::new(&storage, piece));
        }
    }
    let mut places: Vec<&mut Samples> = parts.iter_mut().collect();
    reader.read(&piece, &mut places)?;
    parts.iter().for_each(|part| put(excerpt, part));
    Ok(())
}

/// Copies the samples of one run of one group to their place in the excerpt.
fn put(excerpt: &mut Excerpt, part: &Samples) {
    let Piece { neurons, frames } = part.piece();
    let before = |ranges: &[Range<usize>], start: usize| {
        let before = ranges.iter().take_while(|range| range.start < start);
        before.map(ExactSizeIterator::len).sum::<usize>()
    };
    let (first_neuron, first_frame) = (
        before(&excerpt.groups, neurons.start),
        before(&excerpt.runs, frames.start),
    );
    let width = excerpt.frames();
    let traces = part.traces(neurons);
    let rows = excerpt.samples.chunks_exact_mut(width).skip(first_neuron);
    for (row, trace) in rows.zip(traces.chunks_exact(frames.len())) {
        row[first_frame..][..frames.len()].copy_from_slice(trace);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use super::*;
    use crate::input::source::Location;

    /// A number that says where it belongs.
    fn value(row: usize, column: usize) -> f32 {
        (row * 7000 + column) as f32
    }

    fn write(path: &Path, shape: [usize; 2], chunk: Option<(usize, usize)>, deflated: bool) {
        let values = ndarray::Array2::from_shape_fn(shape, |(row, column)| value(row, column));
        let file = hdf5::File::create(path).expect("a file");
        let mut builder = file.new_dataset::<f32>().shape(shape);
        if let Some((high, wide)) = chunk {
            builder = builder.chunk((high.min(shape[0]), wide.min(shape[1])));
            if deflated {
                builder = builder.deflate(1);
            }
        }
        let dataset = builder.create("CellResp").expect("a dataset");
        dataset.write(&values).expect("values");
    }

    fn check(path: &Path, orientation: Orientation) {
        let location = Location::hdf5(path, "CellResp", orientation).expect("a location");
        let reader = location.open().expect("a reader");
        let (frames, neurons) = (reader.storage().frames(), reader.storage().neurons());
        let excerpt = excerpt(&reader).expect("an excerpt");
        let all = reader.read_neurons(0..neurons).expect("samples");
        let traces = all.traces(&(0..neurons));
        let mut expected = Vec::new();
        for neuron in excerpt.groups.iter().cloned().flatten() {
            let trace = &traces[neuron * frames..][..frames];
            expected.extend(
                excerpt
                    .runs
                    .iter()
                    .cloned()
                    .flatten()
                    .map(|frame| trace[frame]),
            );
        }
        assert!(
            excerpt.samples == expected,
            "{orientation:?} {:?}",
            reader.storage()
        );
    }

    #[test]
    fn rule_9_2_the_excerpt_is_what_the_whole_recording_has_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("TimeSeries.h5");
        for shape in [[300, 40], [40, 300], [1, 5], [700, 4200], [4200, 700]] {
            for chunk in [
                None,
                Some((1, 4200)),
                Some((4200, 1)),
                Some((64, 64)),
                Some((17, 300)),
                Some((100, 1000)),
                Some((5000, 5000)),
            ] {
                for deflated in [false, true] {
                    if deflated && chunk.is_none() {
                        continue;
                    }
                    write(&path, shape, chunk, deflated);
                    check(&path, Orientation::FramesByNeurons);
                    check(&path, Orientation::NeuronsByFrames);
                }
            }
        }
    }

    #[test]
    fn rule_9_2_no_chunk_lies_in_two_pieces_and_none_is_read_in_vain() {
        let excerpt = Excerpt::of_size(3000, 10_000);
        for extent in [1, 7, 16, 100, 199, 200, 250, 1000, 3000, 9000] {
            for ranges in [&excerpt.runs, &excerpt.groups] {
                let touch =
                    |a: &Range<usize>, b: &Range<usize>| (a.end - 1) / extent == b.start / extent;
                let mut seen = HashSet::new();
                for cluster in clusters(ranges, touch) {
                    let cluster = &ranges[cluster];
                    let (first, last) = (&cluster[0], &cluster[cluster.len() - 1]);
                    for chunk in first.start / extent..=(last.end - 1) / extent {
                        assert!(seen.insert(chunk), "chunks of {extent}: {chunk} twice");
                        let chunk = chunk * extent..(chunk + 1) * extent;
                        let used = |range: &Range<usize>| {
                            range.start < chunk.end && chunk.start < range.end
                        };
                        assert!(cluster.iter().any(used), "chunks of {extent}");
                    }
                }
            }
        }
    }
}
