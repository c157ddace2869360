//! The stretches of a subject: whose share each unit is in, and how far the scheduler has come with each.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

/// Neighbouring units that are read together.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    pub units: Range<usize>,
    /// Pieces in which it is read.
    pub pieces: usize,
    /// The largest share of it, in terms of the largest that a rank may hold: up to 1.
    pub weight: f64,
}

/// The units of a stretch of a subject whose samples `rank` of `ranks` gets. Small stretches begin with another rank for each subject.
pub fn share(units: &Range<usize>, subject: usize, rank: usize, ranks: usize) -> Range<usize> {
    let place = (rank + ranks - subject % ranks) % ranks;
    let cut = |place| units.start + units.len() * place / ranks;
    cut(place)..cut(place + 1)
}

/// How far a stretch is, from the file to spikes.
#[derive(Debug)]
pub(super) struct StretchProgress {
    /// The largest share, in terms of the largest that a rank may hold.
    pub(super) weight: f64,
    pub(super) units: Range<usize>,
    /// Units to compute that are not done; of these, `unassigned` are not yet assigned.
    pub(super) unfinished: usize,
    pub(super) unassigned: usize,
    /// Pieces that are not yet assigned.
    pub(super) pieces: Range<usize>,
    pub(super) pieces_in_flight: usize,
    /// The units of each rank's share that are not yet assigned; none before the stretch is begun.
    pub(super) shares: Option<Vec<VecDeque<usize>>>,
}

impl StretchProgress {
    pub(super) fn new(stretch: Stretch, journalled: &BTreeSet<usize>) -> Self {
        let Stretch {
            units,
            pieces,
            weight,
        } = stretch;
        let unfinished = units.len() - journalled.range(units.clone()).count();
        Self {
            weight,
            unfinished,
            unassigned: unfinished,
            units,
            pieces: 0..pieces,
            pieces_in_flight: 0,
            shares: None,
        }
    }

    /// Nothing of it is read yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.unfinished > 0 && self.shares.is_none()
    }

    /// Ranks hold samples of it, or will soon.
    pub(super) fn is_held(&self) -> bool {
        self.unfinished > 0 && self.shares.is_some()
    }

    pub(super) fn begin(&mut self, subject: usize, ranks: usize, journalled: &BTreeSet<usize>) {
        let units = |rank| {
            let share = share(&self.units, subject, rank, ranks);
            share.filter(|unit| !journalled.contains(unit)).collect()
        };
        self.shares = Some((0..ranks).map(units).collect());
    }

    /// The shares, if there are units to assign: once all samples are with their ranks or on their way there.
    fn readable_shares(&mut self) -> Option<&mut Vec<VecDeque<usize>>> {
        let read = self.pieces.is_empty() && self.pieces_in_flight == 0;
        self.shares.as_mut().filter(|_| read && self.unassigned > 0)
    }

    /// Takes the next unit of a rank's own share; returns it after the rank that has its samples.
    pub(super) fn take_own(&mut self, rank: usize) -> Option<(usize, usize)> {
        let unit = self.readable_shares()?.get_mut(rank)?.pop_front()?;
        self.unassigned -= 1;
        Some((rank, unit))
    }

    /// Takes the last unit of the fullest share; returns it after the rank that has its samples.
    pub(super) fn take_from_fullest(&mut self) -> Option<(usize, usize)> {
        let shares = self.readable_shares()?.iter_mut().enumerate();
        let (owner, share) = shares.max_by_key(|(_, share)| share.len())?;
        let unit = share.pop_back()?;
        self.unassigned -= 1;
        Some((owner, unit))
    }
}
