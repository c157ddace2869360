//! From spikes by neuron, held by the ranks that computed them, to spikes by frame, on the ranks that write them.
//!
//! The frames are dealt out in rounds: in round `r`, rank `k` of `R` gets the slab of `S` frames that begins at frame
//! `(r R + k) S`. `S` is a multiple of 8, so that a neuron's slab is whole bytes of its bit-packed spikes, and memory
//! is bounded by one slab of all neurons.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::comm::World;
use crate::spikes::row_bytes;
use crate::subject::SubjectPlan;

/// Frames in a slab, at most: one cache line of a neuron's spikes.
const SLAB_FRAMES: usize = 512;
/// Bytes in a slab of all neurons, at most (but never fewer than 8 frames).
const SLAB_BYTES: usize = 8 << 20;

/// How the frames are dealt out to the ranks.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    frames: usize,
    ranks: usize,
    slab_frames: usize,
}

impl Rounds {
    /// Slabs as long as memory allows, but so short that every rank has some.
    pub fn new(frames: usize, neurons: usize, ranks: usize) -> Self {
        let share = frames.div_ceil(ranks).next_multiple_of(8);
        let by_memory = SLAB_BYTES / neurons.max(1) * 8;
        Self {
            frames,
            ranks,
            slab_frames: share.min(SLAB_FRAMES).min(by_memory).max(8),
        }
    }

    /// The number of rounds, the same on all ranks.
    pub fn count(&self) -> usize {
        self.frames.div_ceil(self.ranks * self.slab_frames)
    }

    /// The frames in a slab, except for the last.
    pub fn slab_frames(&self) -> usize {
        self.slab_frames
    }

    /// The frames of `rank` in `round`, possibly none.
    pub fn slab(&self, round: usize, rank: usize) -> Range<usize> {
        let start = ((round * self.ranks + rank) * self.slab_frames).min(self.frames);
        start..(start + self.slab_frames).min(self.frames)
    }
}

/// Buffers for an exchange, and who holds what.
pub struct Exchange<'a> {
    rounds: Rounds,
    plan: &'a SubjectPlan,
    /// The spikes of the units held here, (n, ceil(T / 8)) each.
    held: &'a BTreeMap<usize, Vec<u8>>,
    /// The units of each rank, ascending.
    units_of: Vec<Vec<usize>>,
    send: Vec<u8>,
    received: Vec<u8>,
    rows: Vec<u8>,
}

impl<'a> Exchange<'a> {
    /// `owners` is the rank that holds each unit.
    pub fn new(
        rounds: Rounds,
        plan: &'a SubjectPlan,
        held: &'a BTreeMap<usize, Vec<u8>>,
        owners: &[usize],
    ) -> Self {
        let mut units_of = vec![Vec::new(); rounds.ranks];
        for (unit, &owner) in owners.iter().enumerate() {
            units_of[owner].push(unit);
        }
        Self {
            rounds,
            plan,
            held,
            units_of,
            send: Vec::new(),
            received: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// This rank's slab of the round: (N, bytes per row), neuron-major, with the bytes per row. Collective.
    pub fn slab(&mut self, world: &World, round: usize) -> (&[u8], usize) {
        let bytes_of = |rank| row_bytes(self.rounds.slab(round, rank).len());
        self.send.clear();
        let mut send_counts = Vec::with_capacity(self.rounds.ranks);
        for rank in 0..self.rounds.ranks {
            let before = self.send.len();
            let first = self.rounds.slab(round, rank).start / 8;
            let bytes = first..first + bytes_of(rank);
            for rows in self.held.values() {
                for row in rows.chunks_exact(row_bytes(self.plan.frames)) {
                    self.send.extend_from_slice(&row[bytes.clone()]);
                }
            }
            send_counts.push((self.send.len() - before) as i32);
        }
        let width = bytes_of(world.rank());
        let neurons_in = |units: &[usize]| -> usize {
            units.iter().map(|&unit| self.plan.unit(unit).len()).sum()
        };
        let receive_counts: Vec<i32> = self
            .units_of
            .iter()
            .map(|units| (neurons_in(units) * width) as i32)
            .collect();
        self.received.resize(self.plan.neurons * width, 0);
        world.exchange(
            &self.send,
            &send_counts,
            &mut self.received,
            &receive_counts,
        );

        self.rows.resize(self.plan.neurons * width, 0);
        let mut from = 0;
        for &unit in self.units_of.iter().flatten() {
            let neurons = self.plan.unit(unit);
            let bytes = neurons.len() * width;
            self.rows[neurons.start * width..][..bytes]
                .copy_from_slice(&self.received[from..from + bytes]);
            from += bytes;
        }
        (&self.rows, width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_has_one_rank_and_one_round() {
        for frames in [1, 7, 8, 9, 330, 1040, 8000] {
            for ranks in [1, 2, 3, 4, 64] {
                for neurons in [1, 1005, 50_000_000] {
                    let rounds = Rounds::new(frames, neurons, ranks);
                    let mut next = 0;
                    for round in 0..rounds.count() {
                        for rank in 0..ranks {
                            let slab = rounds.slab(round, rank);
                            assert_eq!(slab.start, next, "{frames} frames, {ranks} ranks");
                            assert!(slab.is_empty() || slab.start.is_multiple_of(8));
                            next = slab.end;
                        }
                    }
                    assert_eq!(next, frames);
                }
            }
        }
    }
}
