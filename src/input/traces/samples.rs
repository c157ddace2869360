//! Samples as they lie in a recording, and the traces that are made of them.

use std::ops::Range;

use bytemuck::Pod;
use hdf5::H5Type;
use serde::{Deserialize, Serialize};

use super::{Orientation, Piece};
use crate::memory::on_huge_pages;

/// The samples of a piece, row-major in the order of the file: a row is a frame of (T, N), and a neuron of (N, T).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Samples {
    orientation: Orientation,
    piece: Piece,
    #[serde(with = "as_bytes")]
    values: Vec<f32>,
}

/// Numbers of a dataset, row-major, one row `stride` after the other.
pub(super) struct Block<'a, N> {
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    pub stride: usize,
    pub values: &'a [N],
}

/// A type that numbers of a dataset are read in.
pub(super) trait Number: H5Type + Pod {
    /// Rounds each to the nearest f32.
    fn round(numbers: &[Self], samples: &mut [f32]);

    /// The samples as such numbers, if these are of the same type.
    fn of_samples(_samples: &mut [f32]) -> Option<&mut [Self]> {
        None
    }
}

impl Number for f32 {
    fn round(numbers: &[f32], samples: &mut [f32]) {
        samples.copy_from_slice(numbers);
    }

    fn of_samples(samples: &mut [f32]) -> Option<&mut [f32]> {
        Some(samples)
    }
}

macro_rules! rounded {
    ($($type:ty)+) => {
        $(impl Number for $type {
            fn round(numbers: &[$type], samples: &mut [f32]) {
                for (sample, number) in samples.iter_mut().zip(numbers) {
                    *sample = *number as f32;
                }
            }
        })+
    };
}

rounded!(f64 i8 i16 i32 i64 u8 u16 u32 u64);

impl Samples {
    /// Zeros.
    #[must_use]
    pub fn new(orientation: Orientation, piece: Piece) -> Self {
        Self {
            orientation,
            values: on_huge_pages(piece.samples()),
            piece,
        }
    }

    /// What these are samples of.
    #[must_use]
    pub fn piece(&self) -> &Piece {
        &self.piece
    }

    /// Those of some of the neurons.
    #[must_use]
    pub fn of(&self, neurons: &Range<usize>) -> Self {
        let mut part = Self::new(self.orientation, self.piece.of(neurons).unwrap_or_default());
        part.take(self);
        part
    }

    /// Takes over what `other` has of these samples.
    pub fn take(&mut self, other: &Samples) {
        let [rows, columns] = other.orientation.axes(&other.piece);
        let block = Block {
            rows,
            stride: columns.len(),
            columns,
            values: &other.values,
        };
        self.put(&block);
    }

    /// The place of all numbers of these rows and columns, if they belong here and lie next to each other.
    pub(super) fn place(
        &mut self,
        rows: &Range<usize>,
        columns: &Range<usize>,
    ) -> Option<&mut [f32]> {
        let [own_rows, own_columns] = self.orientation.axes(&self.piece);
        let within =
            |part: &Range<usize>, own: &Range<usize>| overlap(part, own).as_ref() == Some(part);
        let whole_rows = *columns == own_columns || rows.len() == 1;
        if !(whole_rows && within(rows, &own_rows) && within(columns, &own_columns)) {
            return None;
        }
        let start =
            (rows.start - own_rows.start) * own_columns.len() + columns.start - own_columns.start;
        Some(&mut self.values[start..][..rows.len() * columns.len()])
    }

    /// Takes over what a block has of these samples.
    pub(super) fn put<N: Number>(&mut self, block: &Block<N>) {
        let [rows, columns] = self.orientation.axes(&self.piece);
        let here = [
            overlap(&rows, &block.rows),
            overlap(&columns, &block.columns),
        ];
        let [Some(put_rows), Some(put_columns)] = here else {
            return;
        };
        for row in put_rows {
            let to = (row - rows.start) * columns.len() + put_columns.start - columns.start;
            let from =
                (row - block.rows.start) * block.stride + put_columns.start - block.columns.start;
            let to = &mut self.values[to..][..put_columns.len()];
            let from = &block.values[from..][..put_columns.len()];
            N::round(from, to);
        }
    }

    /// The traces of some of the neurons, (n, frames).
    #[must_use]
    pub fn traces(&self, neurons: &Range<usize>) -> Vec<f32> {
        /// Frames turned together: what is read of each stays in the nearest cache until its other neurons are asked for.
        const TILE: usize = 32;
        let frames = self.piece.frames.len();
        let first = neurons.start - self.piece.neurons.start;
        if self.orientation == Orientation::NeuronsByFrames {
            return self.values[first * frames..][..neurons.len() * frames].to_vec();
        }
        let stride = self.piece.neurons.len();
        let mut traces = vec![0.0; neurons.len() * frames];
        for (tile, values) in self.values.chunks((TILE * stride).max(1)).enumerate() {
            for (neuron, trace) in traces.chunks_exact_mut(frames.max(1)).enumerate() {
                let column = values[first + neuron..].iter().step_by(stride);
                for (to, from) in trace[tile * TILE..].iter_mut().zip(column) {
                    *to = *from;
                }
            }
        }
        traces
    }
}

/// What two ranges have in common, if they have anything.
pub(super) fn overlap(a: &Range<usize>, b: &Range<usize>) -> Option<Range<usize>> {
    let both = a.start.max(b.start)..a.end.min(b.end);
    (!both.is_empty()).then_some(both)
}

/// Samples as the bytes that they are: ranks of one job are of one kind.
mod as_bytes {
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

    #[test]
    fn only_what_belongs_here_and_lies_in_one_piece_has_a_place() {
        let piece = Piece {
            neurons: 10..14,
            frames: 5..8,
        };
        let mut samples = Samples::new(Orientation::FramesByNeurons, piece);
        (0..12).for_each(|place| samples.values[place] = place as f32);
        let mut place = |rows, columns| samples.place(&rows, &columns).map(|place| place.to_vec());
        assert_eq!(
            place(6..8, 10..14),
            Some((4..12).map(|v| v as f32).collect())
        );
        assert_eq!(place(6..7, 11..13), Some(vec![5.0, 6.0]));
        assert_eq!(place(5..7, 11..13), None, "two pieces");
        assert_eq!(place(4..7, 10..14), None, "a row of others");
        assert_eq!(place(6..7, 9..12), None, "a column of others");
        assert_eq!(place(5..8, 9..15), None, "columns of others on both sides");
    }

    #[test]
    fn samples_arrive_as_they_were_sent() {
        let piece = Piece {
            neurons: 3..5,
            frames: 0..2,
        };
        let sent = Samples {
            orientation: Orientation::NeuronsByFrames,
            piece,
            values: vec![1.5, -0.0, f32::NAN, f32::INFINITY],
        };
        let bytes = postcard::to_stdvec(&sent).expect("bytes");
        let arrived: Samples = postcard::from_bytes(&bytes).expect("samples");
        let bits = |samples: &Samples| {
            samples
                .values
                .iter()
                .map(|s| s.to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(bits(&arrived), bits(&sent));
        assert_eq!(
            (arrived.piece, arrived.orientation),
            (sent.piece, sent.orientation)
        );
    }
}
