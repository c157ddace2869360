//! Which rank computes which work unit, and when a subject is written: a pure state machine.
//!
//! Rank 0 drives it: it asks for the [next step](Scheduler::next), does it, and reports what came of it. Work units
//! are handed out on demand, a few per rank in flight; a subject is planned when the units of the ones before are all
//! handed out, so that no rank waits at a subject's end. Results never depend on who computed what.

use std::collections::{BTreeMap, VecDeque};

/// What rank 0 is to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Open the subject, then report [`Scheduler::planned`] or [`Scheduler::ended`].
    Plan { subject: usize },
    /// Hand the work unit to the rank, which reports [`Scheduler::unit_done`] or [`Scheduler::unit_failed`].
    Compute {
        rank: usize,
        subject: usize,
        unit: usize,
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
    pending: VecDeque<usize>,
    /// Units handed out and not reported.
    in_flight: usize,
    owners: Vec<usize>,
    failed: bool,
    /// Handed to rank 0 for writing or forgetting.
    closing: bool,
}

/// The state of a run.
#[derive(Debug)]
pub struct Scheduler {
    /// Units that each rank can take on top of those it has.
    credits: Vec<usize>,
    waiting: VecDeque<usize>,
    planning: Option<usize>,
    active: BTreeMap<usize, Active>,
}

impl Scheduler {
    /// A run of `subjects` in their order on `ranks` ranks, each with at most `depth` units in flight.
    pub fn new(subjects: usize, ranks: usize, depth: usize) -> Self {
        Self {
            credits: vec![depth; ranks],
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
        // The rank with the most room first; among equals the last, because rank 0 also schedules.
        let (rank, credit) = self
            .credits
            .iter_mut()
            .enumerate()
            .max_by_key(|(_, credit)| **credit)
            .filter(|(_, credit)| **credit > 0)?;
        let (&subject, active) = self
            .active
            .iter_mut()
            .find(|(_, active)| !active.pending.is_empty())?;
        let unit = active.pending.pop_front()?;
        active.in_flight += 1;
        *credit -= 1;
        Some(Step::Compute {
            rank,
            subject,
            unit,
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

    /// The subject has `units` work units; none means that it can be written at once.
    pub fn planned(&mut self, subject: usize, units: usize) {
        self.planning = None;
        let active = Active {
            pending: (0..units).collect(),
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

    /// `rank` holds the unit's spikes and can take another unit.
    pub fn unit_done(&mut self, rank: usize, subject: usize, unit: usize) {
        self.credits[rank] += 1;
        if let Some(active) = self.active.get_mut(&subject) {
            active.in_flight -= 1;
            active.owners[unit] = rank;
        }
    }

    /// The unit could not be computed: the subject fails, its other units are not handed out any more.
    pub fn unit_failed(&mut self, rank: usize, subject: usize) {
        self.credits[rank] += 1;
        if let Some(active) = self.active.get_mut(&subject) {
            active.in_flight -= 1;
            active.failed = true;
            active.pending.clear();
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
        depth: usize,
        mut pick: impl FnMut(usize) -> usize,
    ) -> Vec<Step> {
        let mut scheduler = Scheduler::new(units.len(), ranks, depth);
        let (mut steps, mut in_flight) = (Vec::new(), Vec::new());
        loop {
            match scheduler.next() {
                Some(step) => {
                    steps.push(step.clone());
                    match step {
                        Step::Plan { subject } => scheduler.planned(subject, units[subject]),
                        Step::Compute {
                            rank,
                            subject,
                            unit,
                        } => in_flight.push((rank, subject, unit)),
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
        let units = [5, 0, 1, 17];
        for ranks in 1..5 {
            for depth in 1..4 {
                for pick in [(|_| 0) as fn(usize) -> usize, |n| n - 1, |n| n / 2] {
                    let steps = run(&units, ranks, depth, pick);
                    for (subject, &count) in units.iter().enumerate() {
                        let mut computed: Vec<_> = steps
                            .iter()
                            .filter_map(|step| match step {
                                Step::Compute {
                                    subject: s, unit, ..
                                } if *s == subject => Some(*unit),
                                _ => None,
                            })
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
        let mut scheduler = Scheduler::new(2, 2, 1);
        assert_eq!(scheduler.next(), Some(Step::Plan { subject: 0 }));
        scheduler.planned(0, 1);
        assert!(matches!(
            scheduler.next(),
            Some(Step::Compute { subject: 0, .. })
        ));
        assert_eq!(scheduler.next(), Some(Step::Plan { subject: 1 }));
        scheduler.planned(1, 2);
        assert!(matches!(
            scheduler.next(),
            Some(Step::Compute { subject: 1, .. })
        ));
        assert_eq!(scheduler.next(), None);
    }

    #[test]
    fn no_rank_holds_more_units_than_its_depth() {
        let mut scheduler = Scheduler::new(1, 3, 2);
        scheduler.next();
        scheduler.planned(0, 100);
        let mut held = [0; 3];
        while let Some(Step::Compute { rank, .. }) = scheduler.next() {
            held[rank] += 1;
        }
        assert_eq!(held, [2, 2, 2]);
    }

    #[test]
    fn a_failed_unit_fails_its_subject_alone_and_late_reports_change_nothing() {
        let mut scheduler = Scheduler::new(2, 1, 2);
        scheduler.next();
        scheduler.planned(0, 10);
        assert!(matches!(
            scheduler.next(),
            Some(Step::Compute { unit: 0, .. })
        ));
        assert!(matches!(
            scheduler.next(),
            Some(Step::Compute { unit: 1, .. })
        ));
        scheduler.unit_failed(0, 0);
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
        let mut scheduler = Scheduler::new(2, 1, 1);
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
