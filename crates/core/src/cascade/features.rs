//! What lies between two layers, in an order in which every layer reads and writes whole vectors.

/// Frames after which all is alike: of what is pooled once, every second one is seen, and four of those are filtered together.
pub const PHASES: usize = 8;

/// Channels of a tile and of some frames before it: frame `8u + r` is entry `u` of row `r`.
#[derive(Default)]
pub struct Features {
    /// (channels, [`PHASES`], length).
    pub values: Vec<f32>,
    /// Entries of a row.
    pub length: usize,
    /// Those of them that lie before the tile.
    pub history: usize,
}

impl Features {
    /// For a tile of this many frames; what it has before is left as it is.
    pub fn resize(&mut self, channels: usize, history: usize, tile: usize) {
        (self.length, self.history) = (history + tile / PHASES, history);
        self.values.resize(channels * PHASES * self.length, 0.0);
    }

    /// From one channel to the next.
    pub fn stride(&self) -> usize {
        PHASES * self.length
    }

    /// Where in a channel the row begins that has frame `frame`, counted from the first of all.
    pub fn row(&self, frame: usize) -> usize {
        frame % PHASES * self.length + frame / PHASES
    }

    /// Moves the last entries of each row to the front: what the next tile's first frames still see. That tile overwrites the others.
    ///
    /// The tile before was a whole one. Before the first, these are another trace's; no window of this one sees them.
    pub fn next_tile(&mut self) {
        let tile = self.length - self.history;
        for row in self.values.chunks_exact_mut(self.length) {
            // Few entries of many rows: with a call for each, as `copy_within` is, all of inference takes 1.5 % longer.
            for entry in 0..self.history {
                row[entry] = row[tile + entry];
            }
        }
    }
}

/// Entries of each row of a channel.
///
/// # Panics
/// If it is not ([`PHASES`], n), n at least 1.
pub fn row_length(channel: &[f32]) -> usize {
    assert!(!channel.is_empty() && channel.len().is_multiple_of(PHASES));
    channel.len() / PHASES
}
