//! A rank's share of a stretch while its pieces come together: frames by frames from any rank, until each neuron has all of
//! its frames.

use std::ops::Range;
use std::sync::Arc;

use crate::input::InputError;
use crate::input::traces::{Piece, Traces};
use crate::memory::on_huge_pages;
use crate::schedule::share;
use crate::subject::SubjectPlan;

/// The samples of a share.
pub struct Gathered {
    neurons: Range<usize>,
    frames: usize,
    /// (n, T).
    samples: Vec<f32>,
    /// Samples that are not here yet.
    missing: usize,
}

/// The neurons whose samples `rank` of `ranks` gets of a stretch.
pub fn neurons(plan: &SubjectPlan, stretch: usize, rank: usize, ranks: usize) -> Range<usize> {
    plan.neurons_of(&share(&plan.stretch(stretch), plan.index, rank, ranks))
}

/// The part of a piece that belongs to some neurons, if there is any.
fn part(piece: &Piece, neurons: &Range<usize>) -> Option<Piece> {
    let start = piece.neurons.start.max(neurons.start);
    let end = piece.neurons.end.min(neurons.end);
    (start < end).then(|| Piece {
        neurons: start..end,
        frames: piece.frames.clone(),
    })
}

impl Gathered {
    /// Nothing yet of `neurons`, of `frames` frames each.
    pub fn new(neurons: Range<usize>, frames: usize) -> Self {
        let missing = neurons.len() * frames;
        Self {
            samples: on_huge_pages(missing),
            neurons,
            frames,
            missing,
        }
    }

    /// Reads `piece` for all ranks: puts the part that belongs here into its place and gives back the parts of `others`, the neurons
    /// of the other ranks, with their samples, (n, frames).
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(
        &mut self,
        traces: &Traces,
        piece: &Piece,
        others: impl Iterator<Item = (usize, Range<usize>)>,
    ) -> Result<Vec<(usize, Piece, Vec<f32>)>, InputError> {
        let mut outgoing: Vec<(usize, Piece, Vec<f32>)> = others
            .filter_map(|(rank, neurons)| {
                let part = part(piece, &neurons)?;
                let samples = vec![0.0; part.samples()];
                Some((rank, part, samples))
            })
            .collect();
        let mine = part(piece, &self.neurons);
        let mut rows: Vec<(usize, &mut [f32])> = Vec::with_capacity(piece.neurons.len());
        for (_, part, samples) in &mut outgoing {
            let samples = samples.chunks_mut(part.frames.len());
            rows.extend(part.neurons.clone().zip(samples));
        }
        if let Some(mine) = &mine {
            rows.extend(mine.neurons.clone().zip(self.rows(mine)));
        }
        rows.sort_unstable_by_key(|(neuron, _)| *neuron);
        let mut rows: Vec<&mut [f32]> = rows.into_iter().map(|(_, row)| row).collect();
        traces.read(piece, &mut rows)?;
        self.missing -= mine.map_or(0, |mine| mine.samples());
        Ok(outgoing)
    }

    /// Takes in what another rank has read: `samples`, (n, frames) of `part`.
    pub fn put(&mut self, part: &Piece, samples: &[f32]) {
        let rows = self.rows(part);
        for (row, samples) in rows.zip(samples.chunks_exact(part.frames.len())) {
            row.copy_from_slice(samples);
        }
        self.missing -= part.samples();
    }

    /// Where the samples of some of its neurons lie in [`whole`](Self::whole).
    pub fn place(&self, neurons: &Range<usize>) -> Range<usize> {
        let place = |neuron| (neuron - self.neurons.start) * self.frames;
        place(neurons.start)..place(neurons.end)
    }

    /// The rows of a part, one for each of its neurons.
    fn rows(&mut self, part: &Piece) -> impl Iterator<Item = &mut [f32]> {
        let place = self.place(&part.neurons);
        let frames = part.frames.clone();
        self.samples[place]
            .chunks_exact_mut(self.frames)
            .map(move |row| &mut row[frames.clone()])
    }

    /// The samples, (n, T), once all are here.
    pub fn whole(&mut self) -> Option<Arc<Vec<f32>>> {
        (self.missing == 0).then(|| Arc::new(std::mem::take(&mut self.samples)))
    }
}

/// Samples as the bytes that they are: ranks of one job are of one kind.
pub mod as_bytes {
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_bytes::Bytes;

    pub fn serialize<S: Serializer>(samples: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytemuck::cast_slice(samples))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
        let bytes = <&Bytes>::deserialize(deserializer)?;
        Ok(bytemuck::pod_collect_to_vec(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::traces::Orientation;

    /// Writes (T, N) or (N, T) numbers that say where they belong.
    fn traces(
        folder: &std::path::Path,
        orientation: Orientation,
        frames: usize,
        neurons: usize,
        chunk: Option<(usize, usize)>,
    ) -> Traces {
        let path = folder.join("TimeSeries.h5");
        let file = hdf5::File::create(&path).expect("a file");
        let shape = match orientation {
            Orientation::FramesByNeurons => (frames, neurons),
            Orientation::NeuronsByFrames => (neurons, frames),
        };
        let values = ndarray::Array2::from_shape_fn(shape, |(row, column)| match orientation {
            Orientation::FramesByNeurons => value(column, row),
            Orientation::NeuronsByFrames => value(row, column),
        });
        let builder = file.new_dataset::<f32>().shape(shape);
        let dataset = match chunk {
            Some((rows, columns)) => builder
                .chunk((rows.min(shape.0), columns.min(shape.1)))
                .deflate(1)
                .create("CellResp"),
            None => builder.create("CellResp"),
        };
        dataset
            .and_then(|dataset| dataset.write(&values))
            .and_then(|()| file.close())
            .expect("values");
        Traces::open(&path, "CellResp", orientation).expect("traces")
    }

    fn value(neuron: usize, frame: usize) -> f32 {
        (neuron * 10_000 + frame) as f32
    }

    #[test]
    fn every_rank_gets_all_frames_of_its_share_from_any_layout() {
        let folder = tempfile::tempdir().expect("a folder");
        let (frames, neurons) = (701, 4501);
        for orientation in [Orientation::FramesByNeurons, Orientation::NeuronsByFrames] {
            for chunk in [None, Some((1, 4000)), Some((100, 37)), Some((701, 701))] {
                let traces = traces(folder.path(), orientation, frames, neurons, chunk);
                for (ranks, unit_neurons, stretch_units) in
                    [(1, 40, 113), (3, 7, 400), (64, 90, 20)]
                {
                    let plan = SubjectPlan {
                        index: 5,
                        unit_neurons,
                        stretch_units,
                        ..SubjectPlan::made_up(traces.storage())
                    };
                    check(&plan, &traces, ranks);
                }
            }
        }
    }

    fn check(plan: &SubjectPlan, traces: &Traces, ranks: usize) {
        let mut seen = 0;
        for (stretch, pieces) in plan.pieces().iter().enumerate() {
            let of = |rank| neurons(plan, stretch, rank, ranks);
            let mut shares: Vec<Gathered> = (0..ranks)
                .map(|rank| Gathered::new(of(rank), plan.frames))
                .collect();
            for (number, piece) in pieces.iter().enumerate() {
                let reader = number % ranks;
                let others = (0..ranks).filter(|rank| *rank != reader);
                let others = others.map(|rank| (rank, of(rank)));
                let sent = shares[reader].read(traces, piece, others);
                for (rank, part, samples) in sent.expect("a piece") {
                    shares[rank].put(&part, &samples);
                }
            }
            for (rank, share) in shares.iter_mut().enumerate() {
                let samples = share.whole().expect("all pieces");
                let expected = of(rank)
                    .flat_map(|neuron| (0..plan.frames).map(move |frame| value(neuron, frame)));
                assert!(samples.iter().copied().eq(expected));
                seen += samples.len();
            }
        }
        assert_eq!(seen, plan.neurons * plan.frames);
    }

    #[test]
    fn samples_arrive_as_they_were_sent() {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Sent(#[serde(with = "as_bytes")] Vec<f32>);

        let samples = vec![1.5, -0.0, f32::NAN, f32::INFINITY];
        let bytes = postcard::to_stdvec(&Sent(samples.clone())).expect("bytes");
        let Sent(arrived) = postcard::from_bytes(&bytes).expect("samples");
        let bits = |samples: &[f32]| samples.iter().map(|s| s.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&arrived), bits(&samples));
    }
}
