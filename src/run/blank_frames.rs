//! Frames in which all neurons of a recording are 0: a shutter or a preprocessing step blanked them (rule 3.6).
//!
//! A rank holds some neurons. Frames in which all of these are 0 may be blank; of such frames, and of no others, the rank reads the
//! other neurons. In most recordings the first neuron rules out all frames.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use spikegrid_files::input::{InputError, Piece, Reader, Samples};

/// What a rank knows of the frames of a recording that may be blank.
#[derive(Debug, Default)]
pub(super) struct BlankFrames {
    /// By frame: whether it is blank.
    known: BTreeMap<usize, bool>,
}

impl BlankFrames {
    /// The blank frames in which some of these samples are 0, ascending. `open` opens the recording, if that is needed.
    ///
    /// # Errors
    /// The recording cannot be read.
    pub(super) fn of<'a>(
        &mut self,
        samples: &Samples,
        open: impl FnOnce() -> Result<&'a Reader, String>,
    ) -> Result<Arc<[u32]>, String> {
        let candidates = zero_frames(samples);
        let unknown = |frame: &usize| !self.known.contains_key(frame);
        let unknown: Vec<usize> = candidates.iter().copied().filter(unknown).collect();
        if !unknown.is_empty() {
            let blank = blank_of(open()?, &unknown).map_err(|error| error.to_string())?;
            let known = unknown.iter().map(|frame| (*frame, blank.contains(frame)));
            self.known.extend(known);
        }
        let blank = candidates.iter().filter(|frame| self.known[frame]);
        Ok(blank.map(|&frame| frame as u32).collect())
    }
}

/// The frames, ascending, in which each sample is 0 or missing, and at least one is 0.
fn zero_frames(samples: &Samples) -> Vec<usize> {
    let Piece { neurons, frames } = samples.piece().clone();
    let mut candidates: Vec<(usize, bool)> = frames.clone().map(|frame| (frame, false)).collect();
    for neuron in neurons {
        if candidates.is_empty() {
            break;
        }
        let trace = samples.traces(&(neuron..neuron + 1));
        candidates.retain_mut(|(frame, has_zero)| {
            let sample = trace[*frame - frames.start];
            *has_zero |= sample == 0.0;
            sample == 0.0 || !sample.is_finite()
        });
    }
    let with_zero = candidates.into_iter().filter(|(_, has_zero)| *has_zero);
    with_zero.map(|(frame, _)| frame).collect()
}

/// Those of some frames, ascending, in which each sample of the recording is 0 or missing. No chunk is read twice.
fn blank_of(recording: &Reader, frames: &[usize]) -> Result<Vec<usize>, InputError> {
    let storage = recording.storage();
    let mut blank = frames.to_vec();
    for piece in recording.pieces(&(0..storage.neurons())) {
        let Some(frames) = hull(&blank, &piece.frames) else {
            continue;
        };
        let neurons = piece.neurons;
        let part = Piece {
            neurons: neurons.clone(),
            frames: frames.clone(),
        };
        let mut samples = Samples::new(&storage, part.clone());
        recording.read(&part, &mut [&mut samples])?;
        let traces = samples.traces(&neurons);
        blank.retain(|frame| {
            !frames.contains(frame)
                || traces
                    .chunks(frames.len())
                    .map(|trace| trace[frame - frames.start])
                    .all(|sample| sample == 0.0 || !sample.is_finite())
        });
    }
    Ok(blank)
}

/// The shortest range that has all of some ascending frames that lie in `within`, if any do.
fn hull(frames: &[usize], within: &Range<usize>) -> Option<Range<usize>> {
    let mut inside = frames.iter().filter(|frame| within.contains(frame));
    let first = *inside.next()?;
    let last = *inside.next_back().unwrap_or(&first);
    Some(first..last + 1)
}

#[cfg(test)]
mod tests {
    use spikegrid_files::input::{Location, Orientation};

    use super::*;

    const FRAMES: usize = 40;
    const NEURONS: usize = 30;

    /// All frames that are multiples of 7 are 0 in all neurons but the one given, where frame 14 is not.
    fn recording(folder: &std::path::Path, awake: usize, chunk: Option<(usize, usize)>) -> Reader {
        let path = folder.join("recording.h5");
        let values = ndarray::Array2::from_shape_fn((FRAMES, NEURONS), |(frame, neuron)| {
            match (frame % 7, neuron) {
                (_, 3) => f32::NAN,
                (0, _) if frame != 14 || neuron != awake => 0.0,
                _ => 100.0 + (frame * neuron) as f32,
            }
        });
        let file = hdf5::File::create(&path).expect("a file");
        let mut builder = file.new_dataset::<f32>().shape((FRAMES, NEURONS));
        if let Some(chunk) = chunk {
            builder = builder.chunk(chunk).deflate(1);
        }
        let dataset = builder.create("F").expect("a dataset");
        dataset.write(&values).expect("values");
        drop((dataset, file));
        let location = Location::hdf5(&path, "F", Orientation::FramesByNeurons);
        let reader = location.and_then(|location| location.open());
        reader.expect("a recording")
    }

    #[test]
    fn rule_3_6_a_frame_is_blank_where_all_neurons_of_the_recording_are_0() {
        let folder = tempfile::tempdir().expect("a folder");
        for chunk in [None, Some((16, 8)), Some((1, 30)), Some((40, 1))] {
            for awake in [0, 12, 29] {
                let reader = recording(folder.path(), awake, chunk);
                let mut blank = BlankFrames::default();
                for share in [0..10, 10..20, 20..30] {
                    let samples = reader.read_neurons(share).expect("samples");
                    let found = blank.of(&samples, || Ok(&reader)).expect("frames");
                    assert_eq!(*found, [0, 7, 21, 28, 35], "{chunk:?}, {awake}");
                }
                // A neuron without samples says nothing.
                let samples = reader.read_neurons(3..4).expect("samples");
                let found = blank.of(&samples, || Ok(&reader)).expect("frames");
                assert!(found.is_empty());
            }
        }
    }

    #[test]
    fn rule_3_6_a_share_without_such_frames_opens_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let reader = recording(folder.path(), 0, None);
        let samples = Samples::new(&reader.storage(), reader.storage().all_frames(0..0));
        let never = || panic!("the recording is opened");
        assert!(
            BlankFrames::default()
                .of(&samples, never)
                .expect("frames")
                .is_empty()
        );
    }
}
