//! A rank's share of a stretch while its pieces come together: frames by frames from any rank, until each neuron has all of
//! its frames.

use std::ops::Range;
use std::sync::Arc;

use spikegrid_files::input::{InputError, Piece, Reader, Samples, Storage};

use crate::run::schedule::share;
use crate::run::subject_plan::SubjectPlan;

/// The samples of a share.
pub struct Assembly {
    samples: Samples,
    /// Samples that are not here yet.
    missing: usize,
}

/// The neurons whose samples `rank` of `ranks` gets of a stretch.
pub fn neurons(plan: &SubjectPlan, stretch: usize, rank: usize, ranks: usize) -> Range<usize> {
    plan.neurons_of(&share(&plan.stretch(stretch), plan.index, rank, ranks))
}

impl Assembly {
    /// Nothing yet of `neurons`.
    pub fn new(neurons: Range<usize>, storage: &Storage) -> Self {
        let all = storage.all_frames(neurons);
        let missing = all.samples();
        Self {
            samples: Samples::new(storage, all),
            missing,
        }
    }

    /// Reads `piece` for all ranks: puts the part that belongs here into its place and gives back the parts of `others`, the neurons
    /// of the other ranks.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(
        &mut self,
        recording: &Reader,
        piece: &Piece,
        others: impl Iterator<Item = (usize, Range<usize>)>,
    ) -> Result<Vec<(usize, Samples)>, InputError> {
        let storage = recording.storage();
        let mut outgoing: Vec<(usize, Samples)> = others
            .filter_map(|(rank, neurons)| {
                let part = piece.of(&neurons)?;
                Some((rank, Samples::new(&storage, part)))
            })
            .collect();
        let mut parts: Vec<&mut Samples> = outgoing.iter_mut().map(|(_, part)| part).collect();
        parts.push(&mut self.samples);
        recording.read(piece, &mut parts)?;
        let mine = piece.of(&self.samples.piece().neurons);
        self.missing -= mine.map_or(0, |mine| mine.samples());
        Ok(outgoing)
    }

    /// Takes in what another rank has read.
    pub fn put(&mut self, part: &Samples) {
        self.samples.take(part);
        self.missing -= part.piece().samples();
    }

    /// The samples, once all are here.
    pub fn whole(&mut self) -> Option<Arc<Samples>> {
        (self.missing == 0).then(|| Arc::new(std::mem::take(&mut self.samples)))
    }
}

#[cfg(test)]
mod tests {
    use spikegrid_files::input::{Location, Orientation};

    use super::*;

    /// Writes (T, N) or (N, T) numbers that say where they belong.
    fn recording(
        folder: &std::path::Path,
        orientation: Orientation,
        frames: usize,
        neurons: usize,
        chunk: Option<(usize, usize)>,
        deflated: bool,
    ) -> Reader {
        let path = folder.join("recording.h5");
        match orientation {
            Orientation::FramesByNeurons => {
                write(&path, [frames, neurons], chunk, deflated, |t, n| {
                    value(n, t)
                });
            }
            Orientation::NeuronsByFrames => {
                write(&path, [neurons, frames], chunk, deflated, value);
            }
        }
        let location = Location::hdf5(&path, "F", orientation);
        let reader = location.and_then(|location| location.open());
        reader.expect("a recording")
    }

    /// A file of values of (row, column), in chunks if asked for, which are deflated or plain and no larger than the dataset.
    fn write(
        path: &std::path::Path,
        [rows, columns]: [usize; 2],
        chunk: Option<(usize, usize)>,
        deflated: bool,
        value: impl Fn(usize, usize) -> f32,
    ) {
        let values = ndarray::Array2::from_shape_fn((rows, columns), |(r, c)| value(r, c));
        let file = hdf5::File::create(path).expect("a file");
        let mut builder = file.new_dataset::<f32>().shape((rows, columns));
        if let Some((high, wide)) = chunk {
            builder = builder.chunk((high.min(rows), wide.min(columns)));
            if deflated {
                builder = builder.deflate(1);
            }
        }
        let dataset = builder.create("F").expect("a dataset");
        dataset.write(&values).expect("values");
    }

    fn value(neuron: usize, frame: usize) -> f32 {
        (neuron * 10_000 + frame) as f32
    }

    #[test]
    fn every_rank_gets_all_frames_of_its_share_from_any_layout() {
        let folder = tempfile::tempdir().expect("a folder");
        let (frames, neurons) = (701, 4501);
        for orientation in [Orientation::FramesByNeurons, Orientation::NeuronsByFrames] {
            for (chunk, deflated) in [
                (None, false),
                (Some((1, 4000)), true),
                (Some((100, 37)), true),
                (Some((100, 37)), false),
                (Some((701, 701)), true),
                (Some((701, 701)), false),
            ] {
                let recording =
                    recording(folder.path(), orientation, frames, neurons, chunk, deflated);
                for (ranks, unit_neurons, stretch_units) in
                    [(1, 40, 113), (3, 7, 400), (64, 90, 20)]
                {
                    let plan = SubjectPlan {
                        index: 5,
                        unit_neurons,
                        stretch_units,
                        ..SubjectPlan::made_up(recording.storage())
                    };
                    check(&plan, &recording, ranks);
                }
            }
        }
    }

    fn check(plan: &SubjectPlan, recording: &Reader, ranks: usize) {
        let mut seen = 0;
        for (stretch, pieces) in plan.pieces().iter().enumerate() {
            let of = |rank| neurons(plan, stretch, rank, ranks);
            let mut shares: Vec<Assembly> = (0..ranks)
                .map(|rank| Assembly::new(of(rank), &plan.storage))
                .collect();
            for (number, piece) in pieces.iter().enumerate() {
                let reader = number % ranks;
                let others = (0..ranks).filter(|rank| *rank != reader);
                let others = others.map(|rank| (rank, of(rank)));
                let sent = shares[reader].read(recording, piece, others);
                for (rank, part) in sent.expect("a piece") {
                    shares[rank].put(&part);
                }
            }
            for (rank, share) in shares.iter_mut().enumerate() {
                let samples = share.whole().expect("all pieces").traces(&of(rank));
                let expected = of(rank)
                    .flat_map(|neuron| (0..plan.frames).map(move |frame| value(neuron, frame)));
                assert!(samples.iter().copied().eq(expected));
                seen += samples.len();
            }
        }
        assert_eq!(seen, plan.neurons * plan.frames);
    }
}
