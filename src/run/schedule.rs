//! Which rank does what, and when: a pure state machine.
//!
//! Rank 0 drives it: it asks for the [next step](Scheduler::next), does it, and reports what came of it. A subject is read in
//! stretches of neighbouring work units: ranks read pieces of a stretch, each once, and send each rank the samples of its
//! [share]. Then the units are computed, each rank's own first; a rank that has none left takes one of the fullest share. Their
//! spikes are sent to one rank, the subject's writer; then the subject is rasterised in slabs (ranges of frames), which the writer
//! sends to the ranks and writes. Work is assigned on demand, slabs first, so no rank waits while there is work. The next stretch, of
//! this subject or the next, is read while one is computed. Results never depend on which rank did what.

use std::cmp::Reverse;
use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use crate::run::stretches::StretchProgress;
pub use crate::run::stretches::{Stretch, share};

/// Slabs of a subject that are rasterised at a time, at most: the spikes of so many may be on their way from its writer.
pub const SLABS_AT_ONCE: usize = 256;
/// The same, where the planes come back to the writer.
pub const SLABS_COMING_BACK: usize = 32;
/// Whole stretches that ranks hold at a time: one is computed while the next is read.
pub const STRETCHES: usize = 2;
/// Pieces that a rank has to read at a time: one is read while the order for the next is on its way.
const PIECES_IN_FLIGHT: usize = 2;

/// Units and slabs that a rank of some compute threads has at a time: one that is computed, one to go on with, and one that is on its
/// way; more where a unit has few neurons for each thread.
pub fn in_flight(threads: usize) -> usize {
    3 + threads / 8
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
    /// is nothing to rasterise, [`Scheduler::ended`].
    Write { subject: usize },
    /// Let the writer send the slab to the rank, and its planes be written, then report [`Scheduler::rasterised`]; after the last,
    /// [`Scheduler::ended`].
    Rasterise {
        rank: usize,
        subject: usize,
        slab: usize,
    },
    /// The subject failed and no rank works on it any more: drop it on all ranks, then report [`Scheduler::ended`].
    Drop { subject: usize },
    /// Every subject has ended.
    Finish,
}

/// How far a subject is, from its plan to its grids.
#[derive(Debug)]
struct SubjectProgress {
    subject: usize,
    writer: usize,
    /// Units that an earlier run finished.
    journalled: BTreeSet<usize>,
    /// Of these, the ones that are not yet assigned.
    to_load: VecDeque<usize>,
    stretches: Vec<StretchProgress>,
    /// Units that are not done; of these, `unassigned` are not yet assigned.
    unfinished: usize,
    unassigned: usize,
    /// Slabs that are not yet assigned.
    slabs: Range<usize>,
    slabs_in_flight: usize,
    /// Slabs that may be in flight.
    slabs_at_once: usize,
    /// Pieces, units and slabs that are assigned and not yet reported.
    in_flight: usize,
    failed: bool,
    /// The writer has begun.
    is_writing: bool,
}

/// The state of a run of the program.
#[derive(Debug)]
pub struct Scheduler {
    /// Units and slabs that each rank has in flight.
    computing: Vec<usize>,
    /// Pieces that each rank has in flight.
    reading: Vec<usize>,
    /// Units and slabs that a rank may have in flight.
    most_in_flight: usize,
    /// Subjects that are not planned yet.
    unplanned: VecDeque<usize>,
    /// The subject that is being planned, and its writer.
    planning: Option<(usize, usize)>,
    /// Subjects that are planned and have not ended, in the order in which they were planned.
    subjects: Vec<SubjectProgress>,
}

/// The rank with the smallest number below a limit; among equals the last, because rank 0 also schedules.
fn least_loaded(numbers: &[usize], limit: usize) -> Option<usize> {
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
            most_in_flight: in_flight(threads),
            unplanned: subjects.into_iter().collect(),
            planning: None,
            subjects: Vec::new(),
        }
    }

    /// The next step, or none before something is reported.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Step> {
        self.write_or_drop()
            .or_else(|| self.assign())
            .or_else(|| self.assign_piece())
            .or_else(|| self.plan_or_finish())
    }

    /// A subject whose units are all done is written; one that has failed is dropped when no rank works on it any more.
    fn write_or_drop(&mut self) -> Option<Step> {
        let state = self.subjects.iter_mut().find(|state| {
            state.in_flight == 0 && (state.failed || !state.is_writing && state.unfinished == 0)
        })?;
        let subject = state.subject;
        if state.failed {
            self.ended(subject);
            return Some(Step::Drop { subject });
        }
        state.is_writing = true;
        Some(Step::Write { subject })
    }

    /// A slab, a unit of the journal, or a unit to compute, for the rank that has least to compute.
    fn assign(&mut self) -> Option<Step> {
        let rank = least_loaded(&self.computing, self.most_in_flight)?;
        let step = self
            .assign_slab(rank)
            .or_else(|| self.assign_load(rank))
            .or_else(|| self.assign_unit(rank))?;
        self.computing[rank] += 1;
        Some(step)
    }

    fn assign_slab(&mut self, rank: usize) -> Option<Step> {
        let state = self
            .subjects
            .iter_mut()
            .find(|state| !state.slabs.is_empty() && state.slabs_in_flight < state.slabs_at_once)?;
        state.slabs_in_flight += 1;
        state.in_flight += 1;
        Some(Step::Rasterise {
            rank,
            subject: state.subject,
            slab: state.slabs.next()?,
        })
    }

    fn assign_load(&mut self, rank: usize) -> Option<Step> {
        self.subjects.iter_mut().find_map(|state| {
            let unit = state.to_load.pop_front()?;
            state.in_flight += 1;
            state.unassigned -= 1;
            Some(Step::Load {
                rank,
                subject: state.subject,
                unit,
            })
        })
    }

    fn assign_unit(&mut self, rank: usize) -> Option<Step> {
        let mut first = |find: &dyn Fn(&mut StretchProgress) -> Option<(usize, usize)>| {
            self.subjects.iter_mut().find_map(|state| {
                let (owner, unit) = state.stretches.iter_mut().find_map(find)?;
                state.in_flight += 1;
                state.unassigned -= 1;
                Some(Step::Compute {
                    rank,
                    subject: state.subject,
                    unit,
                    owner,
                })
            })
        };
        first(&|progress| progress.take_own(rank))
            .or_else(|| first(&StretchProgress::take_from_fullest))
    }

    /// A piece for the rank that has fewest to read. Stretches are begun in the order of the file, each when ranks have room for it.
    fn assign_piece(&mut self) -> Option<Step> {
        let rank = least_loaded(&self.reading, PIECES_IN_FLIGHT)?;
        let ranks = self.reading.len();
        let stretches = self.subjects.iter().flat_map(|state| &state.stretches);
        let held: f64 = stretches
            .filter(|progress| progress.is_held())
            .map(|progress| progress.weight)
            .sum();
        for state in &mut self.subjects {
            for (stretch, progress) in state.stretches.iter_mut().enumerate() {
                if progress.is_waiting() {
                    if held > 0.0 && held + progress.weight > STRETCHES as f64 {
                        return None;
                    }
                    progress.begin(state.subject, ranks, &state.journalled);
                }
                if progress.is_held()
                    && let Some(piece) = progress.pieces.next()
                {
                    progress.pieces_in_flight += 1;
                    state.in_flight += 1;
                    self.reading[rank] += 1;
                    return Some(Step::Read {
                        rank,
                        subject: state.subject,
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
        if self.unplanned.is_empty() {
            return self.subjects.is_empty().then_some(Step::Finish);
        }
        let mut stretches = self.subjects.iter().flat_map(|state| &state.stretches);
        if stretches.any(StretchProgress::is_waiting) {
            return None;
        }
        // The next subject must be planned before the last unit of this one is assigned. Of small subjects, several are planned
        // ahead: until each rank has as many units as it may have at a time.
        let ranks = self.computing.len();
        let unassigned = self.subjects.iter().map(|state| state.unassigned);
        let subjects = unassigned.clone().filter(|units| *units > 0).count();
        if subjects > 1 && unassigned.sum::<usize>() >= ranks * self.most_in_flight {
            return None;
        }
        // One subject to write for each rank; alone, a rank computes one more meanwhile.
        let writes = |rank| {
            let written = self.subjects.iter().filter(|state| state.writer == rank);
            written.count()
        };
        let writer = (0..ranks).rev().min_by_key(|&rank| writes(rank))?;
        if writes(writer) > usize::from(ranks == 1) {
            return None;
        }
        let subject = self.unplanned.pop_front()?;
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
        self.subjects.push(SubjectProgress {
            subject,
            writer,
            to_load: journalled.iter().copied().collect(),
            unfinished: units,
            unassigned: units,
            stretches: stretches
                .into_iter()
                .map(|stretch| StretchProgress::new(stretch, &journalled))
                .collect(),
            journalled,
            slabs: 0..0,
            slabs_in_flight: 0,
            slabs_at_once: 0,
            in_flight: 0,
            failed: false,
            is_writing: false,
        });
    }

    fn subject(&mut self, subject: usize) -> Option<&mut SubjectProgress> {
        self.subjects
            .iter_mut()
            .find(|found| found.subject == subject)
    }

    /// The writer has all spikes of the subject, which is to be rasterised in `slabs` slabs, `at_once` at a time (each at least 1).
    pub fn opened(&mut self, subject: usize, slabs: usize, at_once: usize) {
        if let Some(state) = self.subject(subject).filter(|state| !state.failed) {
            state.slabs = 0..slabs;
            state.slabs_at_once = at_once;
        }
    }

    /// Nothing more has to be done for the subject: it is written, skipped or failed.
    pub fn ended(&mut self, subject: usize) {
        self.planning.take_if(|(planned, _)| *planned == subject);
        self.subjects.retain(|state| state.subject != subject);
    }

    /// The rank has read a piece of the stretch and sent it, or failed to.
    pub fn read(&mut self, rank: usize, subject: usize, stretch: usize) {
        self.reading[rank] -= 1;
        if let Some(state) = self.subject(subject) {
            state.in_flight -= 1;
            state.stretches[stretch].pieces_in_flight -= 1;
        }
    }

    /// The rank has sent the unit's spikes to the writer, or failed to.
    pub fn done(&mut self, rank: usize, subject: usize, unit: usize) {
        self.computing[rank] -= 1;
        if let Some(state) = self.subject(subject) {
            state.in_flight -= 1;
            state.unfinished -= 1;
            if !state.journalled.contains(&unit) {
                let mut stretches = state.stretches.iter_mut();
                let of = |progress: &&mut StretchProgress| progress.units.contains(&unit);
                if let Some(progress) = stretches.find(of) {
                    progress.unfinished -= 1;
                }
            }
        }
    }

    /// The planes of a slab that the rank has rasterised are in the file, or cannot be.
    pub fn rasterised(&mut self, rank: usize, subject: usize) {
        self.computing[rank] -= 1;
        if let Some(state) = self.subject(subject) {
            state.in_flight -= 1;
            state.slabs_in_flight -= 1;
        }
    }

    /// The subject cannot be computed or written: nothing more of it is assigned.
    pub fn fails(&mut self, subject: usize) {
        if let Some(state) = self.subject(subject) {
            state.failed = true;
            state.unassigned = 0;
            state.to_load.clear();
            state.slabs = 0..0;
            state.stretches.retain(|progress| progress.shares.is_some());
            for progress in &mut state.stretches {
                progress.pieces = 0..0;
                progress.unassigned = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests;
