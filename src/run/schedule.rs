//! Which rank does what, and when: a pure state machine.
//!
//! Rank 0 drives it: it asks for the [next step](Scheduler::next), does it, and reports what came of it. A subject is read in
//! stretches of neighbouring work units: ranks read pieces of a stretch, each once, and send each rank the samples of its
//! [share]. Then the units are computed, each rank's own first; a rank that has none left takes one of the fullest share. Their
//! spikes come together on one rank, the subject's writer; then it is drawn in slabs (ranges of frames), which the writer deals out
//! and writes. All is handed out on demand, slabs first, so no rank waits while there is work. The next stretch, of this subject or
//! the next, is read while one is computed. Results never depend on who did what.

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

/// Slabs of a subject that are drawn at a time, at most: what its writer may have to take in at once.
pub const SLABS_IN_FLIGHT: usize = 32;
/// Whole stretches that ranks hold at a time: one is computed while the next is read.
pub const STRETCHES: usize = 2;
/// Pieces that a rank has to read at a time: one is read while the order for the next is on its way.
const PIECES_IN_FLIGHT: usize = 2;

/// Units and slabs that a rank of some compute threads has at a time: one that is computed, one to go on with, and one that is on its
/// way; more where a unit has few neurons for each thread.
pub fn in_flight(threads: usize) -> usize {
    3 + threads / 8
}

/// The units of a stretch of a subject whose samples `rank` of `ranks` gets. Small stretches begin with another rank for each subject.
pub fn share(units: &Range<usize>, subject: usize, rank: usize, ranks: usize) -> Range<usize> {
    let place = (rank + ranks - subject % ranks) % ranks;
    let cut = |place| units.start + units.len() * place / ranks;
    cut(place)..cut(place + 1)
}

/// The order in which subjects of these sizes begin: the largest first where several ranks share the work, so that the last
/// subject is soon written; of equal ones the first, and on one rank all, as they are given.
pub fn largest_first(bytes: &[u64], ranks: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..bytes.len()).collect();
    if ranks > 1 {
        order.sort_by_key(|&subject| Reverse(bytes[subject]));
    }
    order
}

/// Neighbouring units that are read together.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    pub units: Range<usize>,
    /// Pieces in which it is read.
    pub pieces: usize,
    /// The largest share of it, in terms of the largest that a rank may hold: up to 1.
    pub weight: f64,
}

/// What rank 0 is to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Open the subject, which `writer` will write, then report [`Scheduler::planned`] or [`Scheduler::ended`].
    Plan { subject: usize, writer: usize },
    /// Let the rank read the piece and send everyone's part of it, then report [`Scheduler::read`].
    Read {
        rank: usize,
        subject: usize,
        stretch: usize,
        piece: usize,
    },
    /// Let the rank take the unit from the journal, then report [`Scheduler::done`].
    Load {
        rank: usize,
        subject: usize,
        unit: usize,
    },
    /// Let the rank compute the unit, whose samples `owner` has, then report [`Scheduler::done`].
    Compute {
        rank: usize,
        subject: usize,
        unit: usize,
        owner: usize,
    },
    /// All units are done: let the writer begin, which reports [`Scheduler::opened`], [`Scheduler::fails`] or, where there
    /// is nothing to draw, [`Scheduler::ended`].
    Write { subject: usize },
    /// Let the writer hand the slab to the rank and write what comes of it, then report [`Scheduler::drawn`]; after the
    /// last, [`Scheduler::ended`].
    Rasterise {
        rank: usize,
        subject: usize,
        slab: usize,
    },
    /// The subject failed and no rank works on it any more: forget it everywhere, then report [`Scheduler::ended`].
    Drop { subject: usize },
    /// Every subject has ended.
    Finish,
}

/// A stretch on its way from the file to spikes.
#[derive(Debug)]
struct Progress {
    /// Of the most that a rank may hold.
    weight: f64,
    units: Range<usize>,
    /// Units to compute that are not done, and of those the ones that are not handed out.
    left: usize,
    unassigned: usize,
    /// Pieces that are not handed out.
    pieces: Range<usize>,
    pieces_in_flight: usize,
    /// Of each rank, the units that are not handed out; none before it is begun.
    shares: Option<Vec<VecDeque<usize>>>,
}

impl Progress {
    fn new(stretch: Stretch, journalled: &BTreeSet<usize>) -> Self {
        let Stretch {
            units,
            pieces,
            weight,
        } = stretch;
        let left = units.len() - journalled.range(units.clone()).count();
        Self {
            weight,
            left,
            unassigned: left,
            units,
            pieces: 0..pieces,
            pieces_in_flight: 0,
            shares: None,
        }
    }

    fn to_begin(&self) -> bool {
        self.left > 0 && self.shares.is_none()
    }

    /// Ranks hold samples of it.
    fn is_held(&self) -> bool {
        self.left > 0 && self.shares.is_some()
    }

    fn begin(&mut self, subject: usize, ranks: usize, journalled: &BTreeSet<usize>) {
        let units = |rank| {
            let share = share(&self.units, subject, rank, ranks);
            share.filter(|unit| !journalled.contains(unit)).collect()
        };
        self.shares = Some((0..ranks).map(units).collect());
    }

    /// The shares, if there are units to hand out: once every piece is with its rank or on its way there.
    fn shares(&mut self) -> Option<&mut Vec<VecDeque<usize>>> {
        let read = self.pieces.is_empty() && self.pieces_in_flight == 0;
        self.shares.as_mut().filter(|_| read && self.unassigned > 0)
    }

    /// The next unit of a rank's own share.
    fn own(&mut self, rank: usize) -> Option<(usize, usize)> {
        let unit = self.shares()?.get_mut(rank)?.pop_front()?;
        self.unassigned -= 1;
        Some((rank, unit))
    }

    /// The last unit of the fullest share, with the rank that has its samples.
    fn fullest(&mut self) -> Option<(usize, usize)> {
        let shares = self.shares()?.iter_mut().enumerate();
        let (owner, share) = shares.max_by_key(|(_, share)| share.len())?;
        let unit = share.pop_back()?;
        self.unassigned -= 1;
        Some((owner, unit))
    }
}

#[derive(Debug)]
struct Active {
    subject: usize,
    writer: usize,
    /// Units that an earlier run finished.
    journalled: BTreeSet<usize>,
    /// Those of them that nobody was told to load.
    to_load: VecDeque<usize>,
    stretches: Vec<Progress>,
    /// Units that are not done, and of those the ones that are not handed out.
    units_left: usize,
    unassigned: usize,
    /// Slabs that are not handed out.
    slabs: Range<usize>,
    slabs_in_flight: usize,
    /// Pieces, units and slabs that are handed out and not reported.
    in_flight: usize,
    failed: bool,
    /// The writer has begun.
    closing: bool,
}

/// The state of a run of the program.
#[derive(Debug)]
pub struct Scheduler {
    /// Units and slabs that each rank has.
    computing: Vec<usize>,
    /// Pieces that each rank has.
    reading: Vec<usize>,
    in_flight: usize,
    waiting: VecDeque<usize>,
    planning: Option<(usize, usize)>,
    /// In the order in which they were planned.
    active: Vec<Active>,
}

/// The place with the smallest number below a limit; among equals the last, because rank 0 also schedules.
fn least(numbers: &[usize], limit: usize) -> Option<usize> {
    let (place, number) = numbers
        .iter()
        .enumerate()
        .rev()
        .min_by_key(|(_, number)| **number)?;
    (*number < limit).then_some(place)
}

impl Scheduler {
    /// `subjects` in the order in which they are to begin, on `ranks` ranks of `threads` compute threads.
    pub fn new(subjects: impl IntoIterator<Item = usize>, ranks: usize, threads: usize) -> Self {
        Self {
            computing: vec![0; ranks],
            reading: vec![0; ranks],
            in_flight: in_flight(threads),
            waiting: subjects.into_iter().collect(),
            planning: None,
            active: Vec::new(),
        }
    }

    /// The next step, or none before something is reported.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Step> {
        self.close()
            .or_else(|| self.assign())
            .or_else(|| self.assign_piece())
            .or_else(|| self.plan_or_finish())
    }

    fn close(&mut self) -> Option<Step> {
        let active = self.active.iter_mut().find(|active| {
            active.in_flight == 0 && (active.failed || !active.closing && active.units_left == 0)
        })?;
        let subject = active.subject;
        if active.failed {
            self.ended(subject);
            return Some(Step::Drop { subject });
        }
        active.closing = true;
        Some(Step::Write { subject })
    }

    /// A slab, a unit of the journal, or a unit to compute, for the rank that has least.
    fn assign(&mut self) -> Option<Step> {
        let rank = least(&self.computing, self.in_flight)?;
        let step = self
            .slab(rank)
            .or_else(|| self.load(rank))
            .or_else(|| self.unit(rank))?;
        self.computing[rank] += 1;
        Some(step)
    }

    fn slab(&mut self, rank: usize) -> Option<Step> {
        let active = self
            .active
            .iter_mut()
            .find(|active| !active.slabs.is_empty() && active.slabs_in_flight < SLABS_IN_FLIGHT)?;
        active.slabs_in_flight += 1;
        active.in_flight += 1;
        Some(Step::Rasterise {
            rank,
            subject: active.subject,
            slab: active.slabs.next()?,
        })
    }

    fn load(&mut self, rank: usize) -> Option<Step> {
        self.active.iter_mut().find_map(|active| {
            let unit = active.to_load.pop_front()?;
            active.in_flight += 1;
            active.unassigned -= 1;
            Some(Step::Load {
                rank,
                subject: active.subject,
                unit,
            })
        })
    }

    fn unit(&mut self, rank: usize) -> Option<Step> {
        let mut first = |find: &dyn Fn(&mut Progress) -> Option<(usize, usize)>| {
            self.active.iter_mut().find_map(|active| {
                let (owner, unit) = active.stretches.iter_mut().find_map(find)?;
                active.in_flight += 1;
                active.unassigned -= 1;
                Some(Step::Compute {
                    rank,
                    subject: active.subject,
                    unit,
                    owner,
                })
            })
        };
        first(&|progress| progress.own(rank)).or_else(|| first(&Progress::fullest))
    }

    /// A piece for the rank that has fewest. A stretch is begun when there is room for it, in the order of the file.
    fn assign_piece(&mut self) -> Option<Step> {
        let rank = least(&self.reading, PIECES_IN_FLIGHT)?;
        let ranks = self.reading.len();
        let stretches = self.active.iter().flat_map(|active| &active.stretches);
        let held: f64 = stretches
            .filter(|progress| progress.is_held())
            .map(|progress| progress.weight)
            .sum();
        for active in &mut self.active {
            for (stretch, progress) in active.stretches.iter_mut().enumerate() {
                if progress.to_begin() {
                    if held > 0.0 && held + progress.weight > STRETCHES as f64 {
                        return None;
                    }
                    progress.begin(active.subject, ranks, &active.journalled);
                }
                if progress.is_held()
                    && let Some(piece) = progress.pieces.next()
                {
                    progress.pieces_in_flight += 1;
                    active.in_flight += 1;
                    self.reading[rank] += 1;
                    return Some(Step::Read {
                        rank,
                        subject: active.subject,
                        stretch,
                        piece,
                    });
                }
            }
        }
        None
    }

    fn plan_or_finish(&mut self) -> Option<Step> {
        if self.planning.is_some() {
            return None;
        }
        if self.waiting.is_empty() {
            return self.active.is_empty().then_some(Step::Finish);
        }
        let mut stretches = self.active.iter().flat_map(|active| &active.stretches);
        if stretches.any(Progress::to_begin) {
            return None;
        }
        // The next subject is to be at hand when this one is handed out; of small ones more are.
        let ranks = self.computing.len();
        let unassigned = self.active.iter().map(|active| active.unassigned);
        let subjects = unassigned.clone().filter(|units| *units > 0).count();
        if subjects > 1 && unassigned.sum::<usize>() >= ranks * self.in_flight {
            return None;
        }
        // One subject to write for each rank; alone, a rank computes one more meanwhile.
        let writes = |rank| {
            let written = self.active.iter().filter(|active| active.writer == rank);
            written.count()
        };
        let writer = (0..ranks).rev().min_by_key(|&rank| writes(rank))?;
        if writes(writer) > usize::from(ranks == 1) {
            return None;
        }
        let subject = self.waiting.pop_front()?;
        self.planning = Some((subject, writer));
        Some(Step::Plan { subject, writer })
    }

    /// The subject's units lie in these stretches, and an earlier run finished some; no stretches mean that it can be written at once.
    pub fn planned(
        &mut self,
        subject: usize,
        stretches: Vec<Stretch>,
        journalled: BTreeSet<usize>,
    ) {
        let writer = self.planning.take().map_or(0, |(_, writer)| writer);
        let units = stretches.iter().map(|stretch| stretch.units.len()).sum();
        self.active.push(Active {
            subject,
            writer,
            to_load: journalled.iter().copied().collect(),
            units_left: units,
            unassigned: units,
            stretches: stretches
                .into_iter()
                .map(|stretch| Progress::new(stretch, &journalled))
                .collect(),
            journalled,
            slabs: 0..0,
            slabs_in_flight: 0,
            in_flight: 0,
            failed: false,
            closing: false,
        });
    }

    fn find(&mut self, subject: usize) -> Option<&mut Active> {
        self.active
            .iter_mut()
            .find(|active| active.subject == subject)
    }

    /// The writer has all spikes of the subject, which is to be drawn in `slabs` slabs (at least 1).
    pub fn opened(&mut self, subject: usize, slabs: usize) {
        if let Some(active) = self.find(subject).filter(|active| !active.failed) {
            active.slabs = 0..slabs;
        }
    }

    /// The subject needs nothing more: written, skipped or failed.
    pub fn ended(&mut self, subject: usize) {
        self.planning.take_if(|(planned, _)| *planned == subject);
        self.active.retain(|active| active.subject != subject);
    }

    /// The rank has read a piece of the stretch and sent it, or failed to.
    pub fn read(&mut self, rank: usize, subject: usize, stretch: usize) {
        self.reading[rank] -= 1;
        if let Some(active) = self.find(subject) {
            active.in_flight -= 1;
            active.stretches[stretch].pieces_in_flight -= 1;
        }
    }

    /// The rank has sent the unit's spikes to the writer, or failed to.
    pub fn done(&mut self, rank: usize, subject: usize, unit: usize) {
        self.computing[rank] -= 1;
        if let Some(active) = self.find(subject) {
            active.in_flight -= 1;
            active.units_left -= 1;
            if !active.journalled.contains(&unit) {
                let mut stretches = active.stretches.iter_mut();
                let of = |progress: &&mut Progress| progress.units.contains(&unit);
                if let Some(progress) = stretches.find(of) {
                    progress.left -= 1;
                }
            }
        }
    }

    /// The writer has taken in what the rank drew.
    pub fn rasterised(&mut self, rank: usize, subject: usize) {
        self.computing[rank] -= 1;
        if let Some(active) = self.find(subject) {
            active.in_flight -= 1;
            active.slabs_in_flight -= 1;
        }
    }

    /// The subject cannot be computed or written: nothing more of it is handed out.
    pub fn fails(&mut self, subject: usize) {
        if let Some(active) = self.find(subject) {
            active.failed = true;
            active.unassigned = 0;
            active.to_load.clear();
            active.slabs = 0..0;
            active
                .stretches
                .retain(|progress| progress.shares.is_some());
            for progress in &mut active.stretches {
                progress.pieces = 0..0;
                progress.unassigned = 0;
            }
        }
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
