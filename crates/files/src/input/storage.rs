//! How the fluorescence lies in its file, and how its reading is cut so that no chunk of the file is read twice.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Numbers that are read from the file at a time. Their 1 MiB (of f32) stays in a cache until the numbers are copied to their
/// place, while blocks of 4 MiB took new memory each.
pub(super) const BLOCK: usize = 1 << 18;
/// As the size of a rectangle or block: one chunk in each.
pub(super) const ONE_CHUNK: usize = 1;
/// Numbers that one rank reads at a time for all ranks: 8 MiB of f32.
pub(super) const PIECE: usize = 2 << 20;

/// What the rows and columns of the stored matrix are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Orientation {
    /// (T, N), as rule 2.2 has it.
    #[default]
    FramesByNeurons,
    /// (N, T), recognised when only it fits the number of cells.
    NeuronsByFrames,
}

impl Orientation {
    /// Rows and columns of the matrix that a piece covers.
    pub(super) fn axes(self, piece: &Piece) -> [Range<usize>; 2] {
        let (neurons, frames) = (piece.neurons.clone(), piece.frames.clone());
        match self {
            Orientation::FramesByNeurons => [frames, neurons],
            Orientation::NeuronsByFrames => [neurons, frames],
        }
    }

    /// The piece that these rows and columns of the matrix are.
    pub(super) fn piece(self, [rows, columns]: [Range<usize>; 2]) -> Piece {
        let (neurons, frames) = match self {
            Orientation::FramesByNeurons => (columns, rows),
            Orientation::NeuronsByFrames => (rows, columns),
        };
        Piece { neurons, frames }
    }
}

/// How the matrix of fluorescence lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// What its rows and columns are.
    pub orientation: Orientation,
    /// Its rows and columns.
    pub shape: [usize; 2],
    /// Rows and columns of a chunk, if it is stored in chunks.
    pub chunk: Option<[usize; 2]>,
    /// Bytes of a stored number.
    pub value_bytes: usize,
}

/// What of the matrix has no samples in its file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Missing {
    /// Nothing.
    #[default]
    Nothing,
    /// Whatever was never stored: each chunk has to be looked at, or, where there are no chunks, all is missing.
    Unstored,
    /// These rows and columns.
    Regions(Vec<[Range<usize>; 2]>),
}

impl Missing {
    /// What was never stored, if `some` was not.
    pub(super) fn unstored(some: bool) -> Self {
        match some {
            true => Self::Unstored,
            false => Self::Nothing,
        }
    }

    /// Regions of two axes each.
    pub(super) fn regions(regions: Vec<Vec<Range<usize>>>) -> Self {
        let regions: Vec<[Range<usize>; 2]> = regions
            .into_iter()
            .filter_map(|region| region.try_into().ok())
            .collect();
        match regions[..] {
            [] => Self::Nothing,
            _ => Self::Regions(regions),
        }
    }
}

/// Some frames of some neurons.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The neurons, counted from 0.
    pub neurons: Range<usize>,
    /// The frames, counted from 0.
    pub frames: Range<usize>,
}

impl Piece {
    /// The number of its samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.neurons.len() * self.frames.len()
    }

    /// The part of it that belongs to some neurons, if there is any.
    #[must_use]
    pub fn of(&self, neurons: &Range<usize>) -> Option<Piece> {
        Some(Piece {
            neurons: overlap(&self.neurons, neurons)?,
            frames: self.frames.clone(),
        })
    }
}

impl Storage {
    /// A dataset (T, N) of f32, stored in one piece.
    #[must_use]
    pub fn contiguous(frames: usize, neurons: usize) -> Self {
        Self {
            orientation: Orientation::FramesByNeurons,
            shape: [frames, neurons],
            chunk: None,
            value_bytes: 4,
        }
    }

    /// Number of frames, T.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.shape[self.frame_axis()]
    }

    /// Number of neurons, N.
    #[must_use]
    pub fn neurons(&self) -> usize {
        self.shape[1 - self.frame_axis()]
    }

    /// The same kind of matrix with other extents.
    pub(super) fn with_extents(self, frames: usize, neurons: usize) -> Self {
        let shape = match self.orientation {
            Orientation::FramesByNeurons => [frames, neurons],
            Orientation::NeuronsByFrames => [neurons, frames],
        };
        Self { shape, ..self }
    }

    /// Bytes of one chunk of the file, 0 if it is not stored in chunks.
    #[must_use]
    pub fn chunk_bytes(&self) -> usize {
        self.chunk_samples().saturating_mul(self.value_bytes)
    }

    /// Samples of one chunk of the file, 0 if it is not stored in chunks.
    pub(super) fn chunk_samples(&self) -> usize {
        self.chunk
            .map_or(0, |[rows, columns]| rows.saturating_mul(columns))
    }

    /// Neurons that a chunk of the file reaches over, 0 if it is not stored in chunks.
    #[must_use]
    pub fn chunk_neurons(&self) -> usize {
        let axis = 1 - self.frame_axis();
        self.chunk
            .map_or(0, |chunk| chunk[axis].min(self.shape[axis]))
    }

    /// Cuts all frames of some neurons into pieces of about 2 million samples. A piece is whole chunks of the file, or whole parts
    /// of rows where there are no chunks, so that no chunk is read or inflated again for another piece.
    #[must_use]
    pub fn pieces(&self, neurons: Range<usize>) -> Vec<Piece> {
        let [rows, columns] = self.orientation.axes(&self.all_frames(neurons));
        // Chunks across the edge come last: where an array was written at once, HDF5 has put them elsewhere in the file, and seeking
        // there and back for each row of chunks takes half as long again.
        let edge = self.chunk.map_or(columns.end, |[_, wide]| {
            (self.shape[1] / wide.max(1) * wide).clamp(columns.start, columns.end)
        });
        [columns.start..edge, edge..columns.end]
            .into_iter()
            .flat_map(|columns| rectangles(rows.clone(), columns, self.chunk, PIECE))
            .map(|part| self.orientation.piece(part))
            .collect()
    }

    /// All frames of some neurons.
    #[must_use]
    pub fn all_frames(&self, neurons: Range<usize>) -> Piece {
        let frames = 0..self.frames();
        Piece { neurons, frames }
    }

    /// Cuts a piece into parts of at most [`largest_part`](Self::largest_part) samples, which are read one after the other: a chunk may be
    /// much larger than what is to be on its way at a time. HDF5 keeps the chunk meanwhile.
    #[must_use]
    pub fn parts(&self, piece: &Piece) -> Vec<Piece> {
        let [rows, columns] = self.orientation.axes(piece);
        if piece.samples() <= PIECE {
            return vec![piece.clone()];
        }
        let high = (PIECE / columns.len()).max(1);
        let start = rows.start;
        cuts(rows, high, start)
            .map(|rows| self.orientation.piece([rows, columns.clone()]))
            .collect()
    }

    /// Samples in a part of a piece, at most.
    #[must_use]
    pub fn largest_part(&self) -> usize {
        let wide = self.chunk.map_or(usize::MAX, |[_, wide]| wide);
        PIECE.max(wide.min(self.shape[1]))
    }

    /// Bytes of the file's numbers that are held as they are read, at most, in the widest type.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        let row = if self.chunk.is_none() {
            self.shape[1]
        } else {
            0
        };
        8 * BLOCK.max(row)
    }

    /// Columns that are read for these columns where chunks are plain: those of whole chunks, because HDF5 reads a whole chunk at
    /// once and without its cache, but parts of a chunk's rows one by one. Where chunks are larger than a block, the same columns.
    pub(super) fn whole_chunks(&self, columns: Range<usize>) -> Range<usize> {
        match self.chunk {
            Some([high, wide]) if high.saturating_mul(wide) <= BLOCK => {
                // A damaged file may say any extents.
                let wide = wide.max(1);
                let end = columns.end.div_ceil(wide).saturating_mul(wide);
                columns.start / wide * wide..end.min(self.shape[1])
            }
            _ => columns,
        }
    }

    /// Rows and columns that lie together in memory, as they do in the file: those of a chunk, or of several chunks below each
    /// other, at least 64 rows, so that transposing a tile uses whole cache lines; all rows and columns where there are no chunks,
    /// or none beside another.
    pub(super) fn tile(&self) -> [usize; 2] {
        const HIGH: usize = 64;
        match self.chunk {
            Some([high, wide]) if wide < self.shape[1] => {
                let high = high.max(1);
                [high.saturating_mul(HIGH.div_ceil(high)), wide.max(1)]
            }
            _ => [usize::MAX, self.shape[1].max(1)],
        }
    }

    fn frame_axis(&self) -> usize {
        match self.orientation {
            Orientation::FramesByNeurons => 0,
            Orientation::NeuronsByFrames => 1,
        }
    }
}

/// Cuts a part of a dataset into blocks of about `size` numbers, [`BLOCK`] at most. No chunk lies in two blocks unless it is larger than
/// that, and then its blocks follow each other.
pub(super) fn blocks(
    rows: Range<usize>,
    columns: Range<usize>,
    chunk: Option<[usize; 2]>,
    size: usize,
) -> impl Iterator<Item = [Range<usize>; 2]> {
    rectangles(rows, columns, chunk, size).flat_map(|[rows, columns]| {
        let step = (BLOCK / columns.len()).max(1);
        let start = rows.start;
        cuts(rows, step, start).map(move |rows| [rows, columns.clone()])
    })
}

/// Cuts a part of a dataset into rectangles of about `size` numbers, each of whole chunks, or of whole rows where there are none.
pub(super) fn rectangles(
    rows: Range<usize>,
    columns: Range<usize>,
    chunk: Option<[usize; 2]>,
    size: usize,
) -> impl Iterator<Item = [Range<usize>; 2]> {
    let [chunk_rows, chunk_columns] = chunk
        .unwrap_or([1, columns.len()])
        .map(|extent| extent.max(1));
    // As many whole chunks side by side as there is room for, then as many below each other; of a chunk only what is asked for
    // counts.
    let used_rows = chunk_rows.min(rows.len()).max(1);
    let across = (size / (used_rows * chunk_columns.min(columns.len()).max(1))).max(1);
    let wide = chunk_columns.saturating_mul(across);
    let used_columns = wide.min(columns.len()).max(1);
    let high = chunk_rows.saturating_mul((size / (used_rows * used_columns)).max(1));
    // Without chunks any column may begin a rectangle.
    let origin = if chunk.is_some() { 0 } else { columns.start };
    tiles(rows, columns, [high, wide], origin)
}

/// Cuts rows at every multiple of the height of a tile, and columns at `origin` plus every multiple of its width.
pub(super) fn tiles(
    rows: Range<usize>,
    columns: Range<usize>,
    [high, wide]: [usize; 2],
    origin: usize,
) -> impl Iterator<Item = [Range<usize>; 2]> {
    cuts(rows, high, 0).flat_map(move |rows| {
        cuts(columns.clone(), wide, origin).map(move |columns| [rows.clone(), columns])
    })
}

/// Cuts a range at `origin` plus every multiple of `step`.
fn cuts(range: Range<usize>, step: usize, origin: usize) -> impl Iterator<Item = Range<usize>> {
    let mut start = range.start;
    std::iter::from_fn(move || {
        if start >= range.end {
            return None;
        }
        let next = (start - origin) / step;
        let end = origin
            .saturating_add((next + 1).saturating_mul(step))
            .min(range.end);
        let cut = start..end;
        start = end;
        Some(cut)
    })
}

/// Whether a range is one of the places of an axis of this extent.
pub(super) fn within(range: &Range<usize>, extent: usize) -> bool {
    range.start <= range.end && range.end <= extent
}

/// What two ranges have in common, if they have anything.
pub(super) fn overlap(a: &Range<usize>, b: &Range<usize>) -> Option<Range<usize>> {
    let both = a.start.max(b.start)..a.end.min(b.end);
    (!both.is_empty()).then_some(both)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row and column of every chunk that these rows and columns touch.
    fn chunks_of(
        rows: &Range<usize>,
        columns: &Range<usize>,
        [high, wide]: [usize; 2],
    ) -> impl Iterator<Item = (usize, usize)> {
        let columns = columns.start / wide..(columns.end - 1) / wide + 1;
        (rows.start / high..(rows.end - 1) / high + 1)
            .flat_map(move |row| columns.clone().map(move |column| (row, column)))
    }

    #[test]
    fn blocks_cover_everything_once_and_touch_no_chunk_again() {
        for chunk in [
            None,
            Some([1, 1]),
            Some([64, 64]),
            Some([1, 5000]),
            Some([9000, 1]),
            Some([9000, 700]),
            Some([500, 3000]),
        ] {
            for (rows, columns) in [(0..8000, 100..900), (10..5000, 0..5000), (3..4, 7..8)] {
                let blocks: Vec<_> = blocks(rows.clone(), columns.clone(), chunk, BLOCK).collect();
                let mut covered = 0;
                let mut last_seen = std::collections::HashMap::new();
                for (place, [block_rows, block_columns]) in blocks.iter().enumerate() {
                    assert!(rows.start <= block_rows.start && block_rows.end <= rows.end);
                    assert!(
                        columns.start <= block_columns.start && block_columns.end <= columns.end
                    );
                    assert!(
                        block_rows.len() * block_columns.len() <= BLOCK.max(block_columns.len())
                    );
                    covered += block_rows.len() * block_columns.len();
                    let Some([high, wide]) = chunk else { continue };
                    if high * wide < 100 {
                        continue;
                    }
                    for (row, column) in chunks_of(block_rows, block_columns, [high, wide]) {
                        if let Some(before) = last_seen.insert((row, column), place) {
                            assert!(
                                before + 1 == place && high * wide > BLOCK,
                                "{chunk:?}: chunk ({row}, {column})"
                            );
                        }
                    }
                }
                assert_eq!(covered, rows.len() * columns.len(), "{chunk:?}");
                assert!(
                    chunk.is_some_and(|[h, w]| h * w > BLOCK)
                        || blocks.len() <= 2 + 4 * covered.div_ceil(BLOCK),
                    "{chunk:?}: {}",
                    blocks.len()
                );
            }
        }
    }

    #[test]
    fn blocks_of_one_chunk_lie_in_one() {
        for [high, wide] in [[1, 1], [63, 313], [9000, 1], [500, 3000], [1, 1 << 20]] {
            let chunk = Some([high, wide]);
            let (rows, columns) = (10..1000, 100..5000);
            let mut covered = 0;
            for [block_rows, block_columns] in
                blocks(rows.clone(), columns.clone(), chunk, ONE_CHUNK)
            {
                assert_eq!(
                    chunks_of(&block_rows, &block_columns, [high, wide]).count(),
                    1
                );
                assert!(block_rows.len() * block_columns.len() <= BLOCK.max(block_columns.len()));
                covered += block_rows.len() * block_columns.len();
            }
            assert_eq!(covered, rows.len() * columns.len(), "{chunk:?}");
        }
    }

    #[test]
    fn pieces_are_whole_rows_or_chunks_and_cover_the_stretch_once() {
        for chunk in [
            None,
            Some([1, 20_000]),
            Some([63, 313]),
            Some([4000, 20_000]),
        ] {
            for orientation in [Orientation::FramesByNeurons, Orientation::NeuronsByFrames] {
                let storage = Storage {
                    orientation,
                    shape: [4000, 20_000],
                    chunk,
                    value_bytes: 4,
                };
                for neurons in [0..storage.neurons(), 100..2_100] {
                    let pieces = storage.pieces(neurons.clone());
                    let [high, wide] = chunk.unwrap_or([1, 20_000]);
                    let mut seen = std::collections::HashMap::new();
                    let mut edge_seen = false;
                    for (place, piece) in pieces.iter().enumerate() {
                        let [rows, columns] = orientation.axes(piece);
                        for chunk in chunks_of(&rows, &columns, [high, wide]) {
                            let before = seen.insert(chunk, place);
                            assert_eq!(before, None, "a chunk in two pieces");
                        }
                        let edge = columns.start / wide == 20_000 / wide;
                        assert!(edge || !edge_seen, "chunks across the edge come last");
                        edge_seen |= edge;
                    }
                    let samples: usize = pieces.iter().map(Piece::samples).sum();
                    assert_eq!(samples, neurons.len() * storage.frames());
                    assert!(
                        pieces
                            .iter()
                            .flat_map(|piece| storage.parts(piece))
                            .all(|part| part.samples() <= storage.largest_part())
                    );
                }
            }
        }
    }
}
