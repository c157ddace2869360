use std::path::Path;

use super::*;
use crate::input::source::{Location, Reader};

const FRAMES: usize = 40;

/// The number of a frame and neuron of matrix `which`.
fn number(which: usize, frame: usize, neuron: usize) -> f32 {
    (10_000 * which + 100 * neuron + frame) as f32
}

/// A matrix (T, N) or (N, T) of numbers that say where they belong, in chunks if asked for.
fn matrix(
    folder: &Path,
    which: usize,
    [frames, neurons]: [usize; 2],
    orientation: Orientation,
    chunk: Option<(usize, usize)>,
) -> (Place, Storage) {
    let path = folder.join(format!("{which}.h5"));
    let file = hdf5::File::create(&path).expect("a file");
    let values = match orientation {
        Orientation::FramesByNeurons => {
            ndarray::Array2::from_shape_fn((frames, neurons), |(t, n)| number(which, t, n))
        }
        Orientation::NeuronsByFrames => {
            ndarray::Array2::from_shape_fn((neurons, frames), |(n, t)| number(which, t, n))
        }
    };
    let mut builder = file.new_dataset::<f32>().shape(values.dim());
    if let Some(chunk) = chunk {
        builder = builder.chunk(chunk).deflate(1);
    }
    let dataset = builder.create("F").expect("a dataset");
    dataset.write(&values).expect("numbers");
    drop(file);
    let location = Location::hdf5(&path, "F", orientation).expect("a location");
    (Place::hdf5(&path, "F"), location.storage())
}

/// Reads a recording piece by piece as ranks do, for some neurons, and checks each sample.
fn check(reader: &Reader, neurons: Range<usize>, expected: impl Fn(usize, usize) -> f32) {
    let storage = reader.storage();
    let mut all = Samples::new(&storage, storage.all_frames(neurons.clone()));
    let mut seen = 0;
    for piece in reader.pieces(&neurons) {
        seen += piece.samples();
        reader.read(&piece, &mut [&mut all]).expect("a piece");
    }
    assert_eq!(seen, storage.frames() * neurons.len(), "each sample once");
    let traces = all.traces(&neurons);
    for (trace, neuron) in traces.chunks(storage.frames()).zip(neurons) {
        for (frame, sample) in trace.iter().enumerate() {
            assert_eq!(
                *sample,
                expected(neuron, frame),
                "neuron {neuron}, frame {frame}"
            );
        }
    }
}

const LAYOUTS: [(Orientation, Option<(usize, usize)>); 4] = [
    (Orientation::FramesByNeurons, None),
    (Orientation::NeuronsByFrames, None),
    (Orientation::FramesByNeurons, Some((7, 4))),
    (Orientation::NeuronsByFrames, Some((4, 7))),
];

#[test]
fn rule_2_6_selected_neurons_of_several_matrices_are_one_recording() {
    for (orientation, chunk) in LAYOUTS {
        let folder = tempfile::tempdir().expect("a folder");
        let (first, stored) = matrix(folder.path(), 0, [FRAMES, 12], orientation, chunk);
        let (second, longer) = matrix(folder.path(), 1, [FRAMES + 5, 9], orientation, chunk);
        let chosen = [[1, 2, 3, 7, 11].as_slice(), &[0, 4, 8]];
        let location = Location::of_panels(vec![
            Panel::new(first, stored).of_neurons(chosen[0].iter().copied()),
            Panel::new(second, longer)
                .of_neurons(chosen[1].iter().copied())
                .skipping(2),
        ]);
        assert_eq!(location.storage().frames(), FRAMES);
        assert_eq!(location.storage().neurons(), 8);
        let reader = location.open().expect("a reader");
        let expected = |neuron: usize, frame: usize| match neuron {
            ..5 => number(0, frame, chosen[0][neuron]),
            _ => number(1, frame + 2, chosen[1][neuron - 5]),
        };
        for neurons in [0..8, 0..3, 2..7, 5..8, 4..5] {
            check(&reader, neurons, expected);
        }
    }
}

#[test]
fn rule_2_6_neurons_may_be_chosen_in_any_order() {
    for (orientation, chunk) in LAYOUTS {
        let folder = tempfile::tempdir().expect("a folder");
        let (place, stored) = matrix(folder.path(), 0, [FRAMES, 12], orientation, chunk);
        let chosen = [5, 4, 11, 0, 1, 2, 9];
        let reader = Location::from(Panel::new(place, stored).of_neurons(chosen)).open();
        let reader = reader.expect("a reader");
        for neurons in [0..7, 1..4, 3..7] {
            check(&reader, neurons, |neuron, frame| {
                number(0, frame, chosen[neuron])
            });
        }
    }
}

#[test]
fn rule_2_6_samples_are_computed_from_the_numbers_of_the_file() {
    for (orientation, chunk) in LAYOUTS {
        let folder = tempfile::tempdir().expect("a folder");
        let (first, stored) = matrix(folder.path(), 0, [FRAMES, 6], orientation, chunk);
        let (second, _) = matrix(folder.path(), 1, [FRAMES, 6], orientation, chunk);
        let panel = Panel::new(first, stored).scaled(0.5, 3.0);
        let reader = Location::from(panel.clone()).open().expect("a reader");
        check(&reader, 0..6, |neuron, frame| {
            0.5 * number(0, frame, neuron) + 3.0
        });
        let both = panel.scaled(1.0, 0.0).plus(-0.5, second);
        let reader = Location::from(both).open().expect("a reader");
        check(&reader, 1..6, |neuron, frame| {
            number(0, frame, neuron) - 0.5 * number(1, frame, neuron)
        });
    }
}

#[test]
fn panels_of_different_orientation_are_joined() {
    let folder = tempfile::tempdir().expect("a folder");
    let [frames_first, neurons_first] =
        [Orientation::FramesByNeurons, Orientation::NeuronsByFrames];
    for order in [[frames_first, neurons_first], [neurons_first, frames_first]] {
        let (first, stored) = matrix(folder.path(), 0, [FRAMES, 3], order[0], None);
        let (second, other) = matrix(folder.path(), 1, [FRAMES, 4], order[1], None);
        let panels = vec![Panel::new(first, stored), Panel::new(second, other)];
        let reader = Location::of_panels(panels).open().expect("a reader");
        check(&reader, 0..7, |neuron, frame| match neuron {
            ..3 => number(0, frame, neuron),
            _ => number(1, frame, neuron - 3),
        });
    }
}
