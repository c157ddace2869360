//! Which rank computes which work unit, and when a subject is written: a pure state machine.
//!
//! Rank 0 drives it: it asks for the [next step](Scheduler::next), does it, and reports what came of it. Work units
//! are handed out on demand, in runs of neighbours that are read together: each run a share of what is left, so that runs
//! are long at first, for the sake of reading, and short at the end, for the sake of balance. A subject is planned when the
//! units of the ones before are all handed out, so that no rank waits at a subject's end. Results never depend on who
//! computed what.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// Runs that a rank has at a time: one to compute while the next is read.
pub const RUNS_IN_FLIGHT: usize = 2;
/// A run is this share of the units that are left for each rank.
const SHARE: usize = 4;

/// What rank 0 is to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Open the subject, then report [`Scheduler::planned`] or [`Scheduler::ended`].
    Plan { subject: usize },
    /// Hand the work units to the rank, which reports [`Scheduler::unit_done`] or [`Scheduler::units_failed`] of each.
    Compute {
        rank: usize,
        subject: usize,
        units: Range<usize>,
    },
    /// All units are done: let all ranks write the subject together, then report [`Scheduler::ended`]. `owners` is the
    /// rank that holds each unit's spikes.
    Write { subject: usize, owners: Vec<usize> },
    /// A unit failed and no rank works on the subject any more: let all ranks forget it, then report
    /// [`Scheduler::ended`].
    Forget { subject: usize },
    /// Every subject has ended.
    Finish,
}

#[derive(Debug)]
struct Active {
    /// Units not handed out yet.
    pending: Range<usize>,
    /// Units that a rank may read together, at most.
    longest_run: usize,
    /// Units handed out and not reported.
    in_flight: usize,
    owners: Vec<usize>,
    failed: bool,
    /// Handed to rank 0 for writing or forgetting.
    closing: bool,
}

/// Units that a rank was handed together.
#[derive(Debug)]
struct Run {
    subject: usize,
    units: Range<usize>,
    unreported: usize,
}

/// The state of a run of the program.
#[derive(Debug)]
pub struct Scheduler {
    /// What each rank has.
    runs: Vec<Vec<Run>>,
    waiting: VecDeque<usize>,
    planning: Option<usize>,
    active: BTreeMap<usize, Active>,
}

impl Scheduler {
    /// `subjects` in their order on `ranks` ranks.
    pub fn new(subjects: usize, ranks: usize) -> Self {
        Self {
            runs: (0..ranks).map(|_| Vec::new()).collect(),
            waiting: (0..subjects).collect(),
            planning: None,
            active: BTreeMap::new(),
        }
    }

    /// The next step, or none before something is reported.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Step> {
        self.close()
            .or_else(|| self.hand_out())
            .or_else(|| self.plan_or_finish())
    }

    fn close(&mut self) -> Option<Step> {
        let (&subject, active) = self.active.iter_mut().find(|(_, active)| {
            !active.closing && active.in_flight == 0 && (active.failed || active.pending.is_empty())
        })?;
        active.closing = true;
        Some(match active.failed {
            true => Step::Forget { subject },
            false => Step::Write {
                subject,
                owners: active.owners.clone(),
            },
        })
    }

    fn hand_out(&mut self) -> Option<Step> {
        // The rank that has least first; among equals the last, because rank 0 also schedules.
        let ranks = self.runs.len();
        let (rank, runs) = self
            .runs
            .iter_mut()
            .enumerate()
            .rev()
            .min_by_key(|(_, runs)| runs.len())
            .filter(|(_, runs)| runs.len() < RUNS_IN_FLIGHT)?;
        let (&subject, active) = self
            .active
            .iter_mut()
            .find(|(_, active)| !active.pending.is_empty())?;
        let share = active.pending.len() / (SHARE * ranks);
        let start = active.pending.start;
        let units = start..start + share.clamp(1, active.longest_run);
        active.pending.start = units.end;
        active.in_flight += units.len();
        runs.push(Run {
            subject,
            units: units.clone(),
            unreported: units.len(),
        });
        Some(Step::Compute {
            rank,
            subject,
            units,
        })
    }

    fn plan_or_finish(&mut self) -> Option<Step> {
        if self.planning.is_some() {
            return None;
        }
        if self.active.values().all(|active| active.pending.is_empty())
            && let Some(subject) = self.waiting.pop_front()
        {
            self.planning = Some(subject);
            return Some(Step::Plan { subject });
        }
        (self.active.is_empty() && self.waiting.is_empty()).then_some(Step::Finish)
    }

    /// The subject has `units` work units, of which a rank may read `longest_run` together (at least 1); no units mean
    /// that it can be written at once.
    pub fn planned(&mut self, subject: usize, units: usize, longest_run: usize) {
        self.planning = None;
        let active = Active {
            pending: 0..units,
            longest_run: longest_run.max(1),
            in_flight: 0,
            owners: vec![usize::MAX; units],
            failed: false,
            closing: false,
        };
        self.active.insert(subject, active);
    }

    /// The subject needs nothing more: written, skipped or failed.
    pub fn ended(&mut self, subject: usize) {
        if self.planning == Some(subject) {
            self.planning = None;
        }
        self.active.remove(&subject);
    }

    /// `rank` holds the unit's spikes.
    pub fn unit_done(&mut self, rank: usize, subject: usize, unit: usize) {
        self.reported(rank, subject, unit);
        if let Some(active) = self.active.get_mut(&subject) {
            active.owners[unit] = rank;
        }
    }

    /// The units could not be computed: the subject fails, its other units are not handed out any more.
    pub fn units_failed(&mut self, rank: usize, subject: usize, units: &[usize]) {
        for &unit in units {
            self.reported(rank, subject, unit);
        }
        if let Some(active) = self.active.get_mut(&subject) {
            active.failed = true;
            active.pending = 0..0;
        }
    }

    fn reported(&mut self, rank: usize, subject: usize, unit: usize) {
        let runs = &mut self.runs[rank];
        let has = |run: &Run| run.subject == subject && run.units.contains(&unit);
        if let Some(place) = runs.iter().position(has) {
            runs[place].unreported -= 1;
            if runs[place].unreported == 0 {
                runs.swap_remove(place);
            }
        }
        if let Some(active) = self.active.get_mut(&subject) {
            active.in_flight -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs to the end, reporting units in the order that `pick` chooses among those in flight.
    fn run(
        units: &[usize],
        ranks: usize,
        longest_run: usize,
        mut pick: impl FnMut(usize) -> usize,
    ) -> Vec<Step> {
        let mut scheduler = Scheduler::new(units.len(), ranks);
        let (mut steps, mut in_flight) = (Vec::new(), Vec::new());
        loop {
            match scheduler.next() {
                Some(step) => {
                    steps.push(step.clone());
                    match step {
                        Step::Plan { subject } => {
                            scheduler.planned(subject, units[subject], longest_run)
                        }
                        Step::Compute {
                            rank,
                            subject,
                            units,
                        } => in_flight.extend(units.map(|unit| (rank, subject, unit))),
                        Step::Write { subject, .. } | Step::Forget { subject } => {
                            scheduler.ended(subject)
                        }
                        Step::Finish => return steps,
                    }
                }
                None => {
                    assert!(
                        !in_flight.is_empty(),
                        "nothing in flight and nothing to do: a hang after {steps:?}"
                    );
                    let (rank, subject, unit) = in_flight.remove(pick(in_flight.len()));
                    scheduler.unit_done(rank, subject, unit);
                }
            }
        }
    }

    #[test]
    fn every_unit_is_computed_once_and_every_subject_written_once_in_any_order() {
        let units = [5, 0, 1, 117];
        for ranks in 1..5 {
            for longest_run in [1, 2, 100] {
                for pick in [(|_| 0) as fn(usize) -> usize, |n| n - 1, |n| n / 2] {
                    let steps = run(&units, ranks, longest_run, pick);
                    for (subject, &count) in units.iter().enumerate() {
                        let mut computed: Vec<_> = steps
                            .iter()
                            .filter_map(|step| match step {
                                Step::Compute {
                                    subject: s, units, ..
                                } if *s == subject => Some(units.clone()),
                                _ => None,
                            })
                            .flatten()
                            .collect();
                        computed.sort_unstable();
                        assert_eq!(computed, (0..count).collect::<Vec<_>>());
                        let owners: Vec<_> = steps
                            .iter()
                            .filter_map(|step| match step {
                                Step::Write { subject: s, owners } if *s == subject => {
                                    Some(owners.clone())
                                }
                                _ => None,
                            })
                            .collect();
                        assert_eq!(owners.len(), 1);
                        assert_eq!(owners[0].len(), count);
                        assert!(owners[0].iter().all(|&rank| rank < ranks));
                    }
                }
            }
        }
    }

    #[test]
    fn no_rank_waits_at_a_subjects_end() {
        let mut scheduler = Scheduler::new(2, 2);
        assert_eq!(scheduler.next(), Some(Step::Plan { subject: 0 }));
        scheduler.planned(0, 1, 1);
        assert!(matches!(
            scheduler.next(),
            Some(Step::Compute { subject: 0, .. })
        ));
        assert_eq!(scheduler.next(), Some(Step::Plan { subject: 1 }));
        scheduler.planned(1, 4, 1);
        for _ in 0..3 {
            assert!(matches!(
                scheduler.next(),
                Some(Step::Compute { subject: 1, .. })
            ));
        }
        assert_eq!(scheduler.next(), None);
    }

    #[test]
    fn no_rank_has_more_than_one_run_beside_the_one_it_computes() {
        let mut scheduler = Scheduler::new(1, 3);
        scheduler.next();
        scheduler.planned(0, 100, 5);
        let mut held = [0; 3];
        while let Some(Step::Compute { rank, units, .. }) = scheduler.next() {
            assert!(units.len() <= 5);
            held[rank] += 1;
        }
        assert_eq!(held, [2, 2, 2]);
    }

    #[test]
    fn runs_are_long_at_first_and_single_units_at_the_end() {
        let steps = run(&[256], 2, 1000, |_| 0);
        let runs: Vec<usize> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Compute { units, .. } => Some(units.len()),
                _ => None,
            })
            .collect();
        assert_eq!(runs[0], 32);
        assert!(runs.is_sorted_by(|one, next| one >= next));
        assert!(runs.ends_with(&[1; 10]));
    }

    #[test]
    fn a_failed_unit_fails_its_subject_alone_and_late_reports_change_nothing() {
        let mut scheduler = Scheduler::new(2, 1);
        scheduler.next();
        scheduler.planned(0, 10, 1);
        for unit in 0..2 {
            let step = scheduler.next();
            assert!(matches!(step, Some(Step::Compute { units, .. }) if units == (unit..unit + 1)));
        }
        scheduler.units_failed(0, 0, &[0]);
        assert_eq!(scheduler.next(), Some(Step::Plan { subject: 1 }));
        scheduler.ended(1);
        assert_eq!(
            scheduler.next(),
            None,
            "unit 1 of the failed subject is still in flight"
        );
        scheduler.unit_done(0, 0, 1);
        assert_eq!(scheduler.next(), Some(Step::Forget { subject: 0 }));
        scheduler.ended(0);
        assert_eq!(scheduler.next(), Some(Step::Finish));
    }

    #[test]
    fn a_subject_that_fails_at_planning_does_not_stop_the_others() {
        let mut scheduler = Scheduler::new(2, 1);
        assert_eq!(scheduler.next(), Some(Step::Plan { subject: 0 }));
        scheduler.ended(0);
        assert_eq!(scheduler.next(), Some(Step::Plan { subject: 1 }));
        scheduler.ended(1);
        assert_eq!(scheduler.next(), Some(Step::Finish));
    }

    #[test]
    fn a_subject_without_units_is_written_at_once() {
        assert_eq!(
            run(&[0], 2, 1, |_| 0),
            [
                Step::Plan { subject: 0 },
                Step::Write {
                    subject: 0,
                    owners: vec![]
                },
                Step::Finish
            ]
        );
    }
}
