//! Samples as they lie in a recording, and the traces that are made of them.

use std::ops::Range;

use bytemuck::Pod;
use hdf5::H5Type;
use serde::{Deserialize, Serialize};

use super::huge_pages::Buffer;
use super::storage::{Orientation, Piece, Storage, overlap, tiles};

/// The samples of a piece in the order of the file, so that they can be read straight to where they belong and from first to last:
/// transposing on the reading thread would take twice as long as reading, while on the compute threads it takes 6 µs for each
/// trace.
///
/// They lie in tiles, each of them row-major, as wide as a chunk of the file and as high as one or a few. The tiles lie band by
/// band, so that reading fills memory in one direction (1.11 instead of 1.16 times what reading the file's bytes takes). A row
/// is a frame of (T, N), and a neuron of (N, T).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Samples {
    orientation: Orientation,
    piece: Piece,
    /// Rows and columns of a tile; tiles begin at their multiples.
    tile: [usize; 2],
    #[serde(with = "as_bytes")]
    values: Buffer,
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
    /// Zeros, in the order of a dataset.
    #[must_use]
    pub fn new(storage: &Storage, piece: Piece) -> Self {
        Self {
            orientation: storage.orientation,
            values: Buffer::zeros(piece.samples()),
            piece,
            tile: storage.tile(),
        }
    }

    /// Makes these the samples of another piece, of any value, in memory that is there if there is enough.
    pub(super) fn renew(&mut self, storage: &Storage, piece: Piece) {
        let samples = piece.samples();
        if self.values.len() == samples {
            (self.orientation, self.tile) = (storage.orientation, storage.tile());
            self.piece = piece;
        } else {
            *self = Self::new(storage, piece);
        }
    }

    /// Computes each sample anew.
    pub(super) fn compute(&mut self, of: impl Fn(f32) -> f32) {
        self.values
            .iter_mut()
            .for_each(|sample| *sample = of(*sample));
    }

    /// Computes each sample anew from its value and that of `other`, which are samples of the same piece in the same order.
    pub(super) fn combine(&mut self, other: &Self, of: impl Fn(f32, f32) -> f32) {
        let pairs = self.values.iter_mut().zip(other.values.iter());
        pairs.for_each(|(sample, other)| *sample = of(*sample, *other));
    }

    /// What these are samples of.
    #[must_use]
    pub fn piece(&self) -> &Piece {
        &self.piece
    }

    /// Makes those samples NaN that have one of these rows and one of these columns.
    pub(super) fn set_missing(&mut self, rows: &Range<usize>, columns: &Range<usize>) {
        self.fill(rows, columns, f32::NAN);
    }

    /// Gives those samples a value that have one of these rows and one of these columns.
    pub(super) fn fill(&mut self, rows: &Range<usize>, columns: &Range<usize>, value: f32) {
        let [own_rows, own_columns] = self.orientation.axes(&self.piece);
        let here = [overlap(&own_rows, rows), overlap(&own_columns, columns)];
        let [Some(rows), Some(columns)] = here else {
            return;
        };
        for [rows, columns] in tiles(rows, columns, self.tile, 0) {
            let (first, stride) = self.place_of(rows.start, columns.start);
            for row in self.values[first..].chunks_mut(stride).take(rows.len()) {
                row[..columns.len()].fill(value);
            }
        }
    }

    /// Makes the samples of these regions, rows and columns each, NaN.
    pub(super) fn set_missing_in(&mut self, regions: &[[Range<usize>; 2]]) {
        for [rows, columns] in regions {
            self.set_missing(rows, columns);
        }
    }

    /// The samples of some of the neurons.
    ///
    /// # Panics
    /// If not all of the neurons are here.
    #[must_use]
    pub fn of(&self, neurons: &Range<usize>) -> Self {
        let piece = self.part(neurons);
        let mut part = Self {
            values: Buffer::zeros(piece.samples()),
            piece,
            ..*self
        };
        part.take(self);
        part
    }

    /// What these have of some neurons.
    ///
    /// # Panics
    /// If not all of the neurons are here: zeros in their place would pass for samples.
    fn part(&self, neurons: &Range<usize>) -> Piece {
        let own = &self.piece.neurons;
        assert!(
            neurons.is_empty() || own.start <= neurons.start && neurons.end <= own.end,
            "neurons {neurons:?} of samples that have neurons {own:?}"
        );
        self.piece.of(neurons).unwrap_or_default()
    }

    /// Copies what `other` has of these samples.
    pub fn take(&mut self, other: &Samples) {
        let [rows, columns] = other.orientation.axes(&other.piece);
        for [rows, columns] in tiles(rows, columns, other.tile, 0) {
            let (first, stride) = other.place_of(rows.start, columns.start);
            let block = Block {
                rows,
                columns,
                stride,
                values: &other.values[first..],
            };
            self.put(&block);
        }
    }

    /// Copies what `other` has of some of its neurons, the first of which is neuron `first` here, where its frames count from `skipped`.
    ///
    /// # Panics
    /// If `other` has not all of the neurons.
    pub(super) fn take_moved(
        &mut self,
        other: &Samples,
        neurons: &Range<usize>,
        first: usize,
        skipped: usize,
    ) {
        let piece = other.part(neurons);
        let moved = |piece: Piece| Piece {
            neurons: piece.neurons.start - neurons.start + first
                ..piece.neurons.end - neurons.start + first,
            frames: piece.frames.start - skipped..piece.frames.end - skipped,
        };
        if self.orientation != other.orientation {
            let frames = piece.frames.len();
            for neuron in neurons.clone() {
                let trace = Piece {
                    neurons: neuron..neuron + 1,
                    frames: piece.frames.clone(),
                };
                let values = other.traces(&trace.neurons);
                let [rows, columns] = self.orientation.axes(&moved(trace));
                let stride = if columns.len() == 1 { 1 } else { frames };
                self.put(&Block {
                    rows,
                    columns,
                    stride,
                    values: &values,
                });
            }
            return;
        }
        let [rows, columns] = other.orientation.axes(&piece);
        for part in tiles(rows, columns, other.tile, 0) {
            let (place, stride) = other.place_of(part[0].start, part[1].start);
            let [rows, columns] = self.orientation.axes(&moved(self.orientation.piece(part)));
            self.put(&Block {
                rows,
                columns,
                stride,
                values: &other.values[place..],
            });
        }
    }

    /// The rows and columns of these samples that are in the tile of one of them.
    fn tile_of(&self, row: usize, column: usize) -> [Range<usize>; 2] {
        let [rows, columns] = self.orientation.axes(&self.piece);
        let around = |place: usize, length: usize, own: Range<usize>| {
            let start = place / length * length;
            start.max(own.start)..start.saturating_add(length).min(own.end)
        };
        let [high, wide] = self.tile;
        [around(row, high, rows), around(column, wide, columns)]
    }

    /// The place of the sample of a row and column of these, and how far behind it that of the next row of its tile is.
    fn place_of(&self, row: usize, column: usize) -> (usize, usize) {
        let [rows, columns] = self.orientation.axes(&self.piece);
        let [band, panel] = self.tile_of(row, column);
        let before =
            (band.start - rows.start) * columns.len() + (panel.start - columns.start) * band.len();
        let stride = panel.len();
        let place = before + (row - band.start) * stride + column - panel.start;
        (place, stride)
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
        if !(within(rows, &own_rows) && within(columns, &own_columns)) {
            return None;
        }
        let [band, panel] = self.tile_of(rows.start, columns.start);
        let one_piece = within(rows, &band)
            && (*columns == panel || rows.len() == 1 && within(columns, &panel));
        let (start, _) = self.place_of(rows.start, columns.start);
        one_piece.then(|| &mut self.values[start..][..rows.len() * columns.len()])
    }

    /// Copies what a block has of these samples.
    pub(super) fn put<N: Number>(&mut self, block: &Block<N>) {
        let [rows, columns] = self.orientation.axes(&self.piece);
        let here = [
            overlap(&rows, &block.rows),
            overlap(&columns, &block.columns),
        ];
        let [Some(rows), Some(columns)] = here else {
            return;
        };
        for [rows, columns] in tiles(rows, columns, self.tile, 0) {
            let (to, stride) = self.place_of(rows.start, columns.start);
            let from = (rows.start - block.rows.start) * block.stride + columns.start
                - block.columns.start;
            let to = self.values[to..].chunks_mut(stride);
            let from = block.values[from..].chunks(block.stride);
            for (to, from) in to.zip(from).take(rows.len()) {
                N::round(&from[..columns.len()], &mut to[..columns.len()]);
            }
        }
    }

    /// The traces of some of the neurons, (n, frames).
    ///
    /// # Panics
    /// If not all of the neurons are here.
    #[must_use]
    pub fn traces(&self, neurons: &Range<usize>) -> Vec<f32> {
        /// Frames that are transposed together: what is read of each stays in the nearest cache until its other neurons are
        /// copied.
        const TILE: usize = 32;
        let all = &self.piece.frames;
        let frames = all.len();
        let mut traces = vec![0.0; neurons.len() * frames];
        let part = self.part(neurons);
        let [rows, columns] = self.orientation.axes(&part);
        for [rows, columns] in tiles(rows, columns, self.tile, 0) {
            let (first, stride) = self.place_of(rows.start, columns.start);
            let samples = &self.values[first..];
            match self.orientation {
                Orientation::FramesByNeurons => {
                    for tile in (0..rows.len()).step_by(TILE) {
                        let part = tile..rows.len().min(tile + TILE);
                        for (column, neuron) in columns.clone().enumerate() {
                            let trace = &mut traces[(neuron - neurons.start) * frames..][..frames];
                            let trace = &mut trace[rows.start - all.start..][part.clone()];
                            let column = samples[tile * stride + column..].iter().step_by(stride);
                            for (to, from) in trace.iter_mut().zip(column) {
                                *to = *from;
                            }
                        }
                    }
                }
                Orientation::NeuronsByFrames => {
                    for (neuron, row) in rows.zip(samples.chunks(stride)) {
                        let trace = &mut traces[(neuron - neurons.start) * frames..][..frames];
                        let trace = &mut trace[columns.start - all.start..][..columns.len()];
                        trace.copy_from_slice(&row[..columns.len()]);
                    }
                }
            }
        }
        traces
    }
}

/// Samples as the bytes that they are: ranks of one job are of one kind.
mod as_bytes {
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_bytes::Bytes;

    use super::Buffer;

    pub(super) fn serialize<S: Serializer>(
        samples: &Buffer,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytemuck::cast_slice::<f32, u8>(samples))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Buffer, D::Error> {
        let bytes = <&Bytes>::deserialize(deserializer)?;
        Ok(Buffer::from(bytemuck::pod_collect_to_vec::<u8, f32>(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbered samples of these frames of neurons 10 to 13.
    fn numbered(chunk: Option<[usize; 2]>, frames: Range<usize>) -> Samples {
        let storage = Storage {
            chunk,
            ..Storage::contiguous(200, 30)
        };
        let piece = Piece {
            neurons: 10..14,
            frames,
        };
        let mut samples = Samples::new(&storage, piece);
        let numbers = samples.values.iter_mut().enumerate();
        numbers.for_each(|(place, value)| *value = place as f32);
        samples
    }

    #[test]
    fn only_what_belongs_here_and_lies_in_one_piece_has_a_place() {
        let mut samples = numbered(None, 5..8);
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
    fn columns_of_a_chunk_lie_in_one_piece() {
        let mut samples = numbered(Some([2, 3]), 5..8);
        let mut place = |rows, columns| samples.place(&rows, &columns).map(|place| place.to_vec());
        assert_eq!(
            place(5..8, 10..12),
            Some((0..6).map(|v| v as f32).collect())
        );
        assert_eq!(place(6..8, 12..14), Some(vec![8.0, 9.0, 10.0, 11.0]));
        assert_eq!(place(7..8, 13..14), Some(vec![11.0]));
        assert_eq!(place(5..7, 12..13), None, "a part of a panel");
        assert_eq!(place(6..7, 11..13), None, "two panels");
        assert_eq!(place(6..8, 9..12), None, "a column of others");
        assert_eq!(samples.traces(&(11..13)), [1.0, 3.0, 5.0, 6.0, 8.0, 10.0]);
        assert_eq!(
            *samples.of(&(11..13)).values,
            [1.0, 3.0, 5.0, 6.0, 8.0, 10.0]
        );
    }

    #[test]
    fn tiles_lie_band_by_band() {
        let mut samples = numbered(Some([64, 3]), 62..66);
        let mut place = |rows, columns| samples.place(&rows, &columns).map(|place| place.to_vec());
        let tile = |first: usize| Some((first..first + 4).map(|v| v as f32).collect());
        assert_eq!(place(62..64, 10..12), tile(0));
        assert_eq!(place(62..64, 12..14), tile(4));
        assert_eq!(place(64..66, 10..12), tile(8));
        assert_eq!(place(64..66, 12..14), tile(12));
        assert_eq!(place(63..65, 10..12), None, "two bands");
        assert_eq!(samples.traces(&(11..12)), [1.0, 3.0, 9.0, 11.0]);
        let part = samples.of(&(11..13));
        assert_eq!(*part.values, [1.0, 3.0, 4.0, 6.0, 9.0, 11.0, 12.0, 14.0]);
    }

    #[test]
    #[should_panic(expected = "neurons 9..12 of samples that have neurons 10..14")]
    fn traces_of_neurons_that_are_not_here_are_refused() {
        let _ = numbered(None, 5..8).traces(&(9..12));
    }

    #[test]
    #[should_panic(expected = "neurons 13..15 of samples that have neurons 10..14")]
    fn samples_of_neurons_that_are_not_here_are_refused() {
        let _ = numbered(None, 5..8).of(&(13..15));
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
            tile: [64, 7],
            values: vec![1.5, -0.0, f32::NAN, f32::INFINITY].into(),
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
            (arrived.piece, arrived.orientation, arrived.tile),
            (sent.piece, sent.orientation, sent.tile)
        );
    }
}
