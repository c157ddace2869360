//! Which rank does what, and when: a pure state machine.
//!
//! Rank 0 drives it: it asks for the [next step](Scheduler::next), does it, and reports what came of it. A subject is
//! computed in work units (ranges of neurons), whose spikes come together on one rank, its writer; then it is drawn in
//! slabs (ranges of frames), which the writer deals out and writes. Both are handed out on demand, slabs first, so no rank
//! waits while there is work of either kind. Units go out in runs of neighbours that are read together: each run is a share of
//! what is left of all subjects, so that runs are long at first, for the sake of reading, and short at the end, for the sake of balance. The next
//! subject is planned while the units of one are handed out, as long as there is a rank to write it. Results never depend on who did
//! what.

use std::collections::VecDeque;
use std::ops::Range;

/// Runs of units, or slabs, that a rank has at a time: one to compute while the next is read or on its way.
pub const RUNS_IN_FLIGHT: usize = 2;
/// A run is this share of the units that are left for each rank, and of those that are left of the subject, at most.
pub const SHARE: usize = 4;
/// Slabs of a subject that are drawn at a time, at most: what its writer may have to take in at once.
pub const SLABS_IN_FLIGHT: usize = 32;

/// What rank 0 is to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Open the subject, which `writer` will write, then report [`Scheduler::planned`] or [`Scheduler::ended`].
    Plan { subject: usize, writer: usize },
    /// Hand the work units to the rank, which reports [`Scheduler::unit_done`] or [`Scheduler::units_failed`] of each.
    Compute {
        rank: usize,
        subject: usize,
        units: Range<usize>,
    },
    /// All units are done: let the writer begin, which reports [`Scheduler::opened`], [`Scheduler::unwritten`] or, where there
    /// is nothing to draw, [`Scheduler::ended`].
    Write { subject: usize },
    /// Let the writer hand the slab to the rank and write what comes of it, then report [`Scheduler::drawn`]; after the
    /// last, [`Scheduler::ended`].
    Draw {
        rank: usize,
        subject: usize,
        slab: usize,
    },
    /// The subject failed and no rank works on it any more: forget it everywhere, then report [`Scheduler::ended`].
    Forget { subject: usize },
    /// Every subject has ended.
    Finish,
}

/// Work of one kind.
#[derive(Debug, Default)]
struct Work {
    /// Not handed out yet.
    pending: Range<usize>,
    /// Handed out and not reported.
    in_flight: usize,
}

impl Work {
    fn of(amount: usize) -> Self {
        Self {
            pending: 0..amount,
            in_flight: 0,
        }
    }

    /// Hands out the next `amount`.
    fn take(&mut self, amount: usize) -> Range<usize> {
        let start = self.pending.start;
        self.pending.start += amount;
        self.in_flight += amount;
        start..start + amount
    }
}

#[derive(Debug)]
struct Active {
    subject: usize,
    writer: usize,
    units: Work,
    /// Units that a rank may read together, at most.
    longest_run: usize,
    slabs: Work,
    failed: bool,
    /// The writer has begun, or the subject is being forgotten.
    closing: bool,
}

/// What a rank was handed together.
#[derive(Debug)]
struct Run {
    subject: usize,
    slabs: bool,
    range: Range<usize>,
    unreported: usize,
}

/// The state of a run of the program.
#[derive(Debug)]
pub struct Scheduler {
    /// What each rank has.
    runs: Vec<Vec<Run>>,
    waiting: VecDeque<usize>,
    planning: Option<(usize, usize)>,
    /// In the order in which they were planned.
    active: Vec<Active>,
}

impl Scheduler {
    /// `subjects` in the order in which they are to begin, on `ranks` ranks.
    pub fn new(subjects: impl IntoIterator<Item = usize>, ranks: usize) -> Self {
        Self {
            runs: (0..ranks).map(|_| Vec::new()).collect(),
            waiting: subjects.into_iter().collect(),
            planning: None,
            active: Vec::new(),
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
        let idle = |active: &Active| active.units.in_flight + active.slabs.in_flight == 0;
        let active = self.active.iter_mut().find(|active| {
            idle(active) && (active.failed || !active.closing && active.units.pending.is_empty())
        })?;
        let subject = active.subject;
        if active.failed {
            self.ended(subject);
            return Some(Step::Forget { subject });
        }
        active.closing = true;
        Some(Step::Write { subject })
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
        let drawable = |active: &Active| {
            !active.slabs.pending.is_empty() && active.slabs.in_flight < SLABS_IN_FLIGHT
        };
        let slabs = self.active.iter_mut().find(|active| drawable(active));
        let (step, run) = if let Some(active) = slabs {
            let subject = active.subject;
            let range = active.slabs.take(1);
            let slab = range.start;
            let step = Step::Draw {
                rank,
                subject,
                slab,
            };
            (step, Run::new(subject, true, range))
        } else {
            let mut computable = self.active.iter_mut();
            let active = computable.find(|active| !active.units.pending.is_empty())?;
            let subject = active.subject;
            // Subjects that wait count as many units as this one.
            let pending = active.units.pending.len();
            let left = pending + self.waiting.len() * active.units.pending.end;
            let share = (left / (SHARE * ranks)).min(pending / SHARE);
            let units = active.units.take(share.clamp(1, active.longest_run));
            let step = Step::Compute {
                rank,
                subject,
                units: units.clone(),
            };
            (step, Run::new(subject, false, units))
        };
        runs.push(run);
        Some(step)
    }

    fn plan_or_finish(&mut self) -> Option<Step> {
        if self.planning.is_some() {
            return None;
        }
        if self.waiting.is_empty() {
            return self.active.is_empty().then_some(Step::Finish);
        }
        let to_compute = |active: &&Active| !active.units.pending.is_empty();
        if self.active.iter().filter(to_compute).count() > 1 {
            return None;
        }
        // One subject to write for each rank; alone, a rank computes one more meanwhile.
        let writes = |rank| {
            let written = self.active.iter().filter(|active| active.writer == rank);
            written.count()
        };
        let ranks = self.runs.len();
        let writer = (0..ranks).rev().min_by_key(|&rank| writes(rank))?;
        if writes(writer) > usize::from(ranks == 1) {
            return None;
        }
        let subject = self.waiting.pop_front()?;
        self.planning = Some((subject, writer));
        Some(Step::Plan { subject, writer })
    }

    /// The subject has `units` work units, of which a rank may read `longest_run` together (at least 1); no units mean
    /// that it can be written at once.
    pub fn planned(&mut self, subject: usize, units: usize, longest_run: usize) {
        let writer = self.planning.take().map_or(0, |(_, writer)| writer);
        self.active.push(Active {
            subject,
            writer,
            units: Work::of(units),
            longest_run: longest_run.max(1),
            slabs: Work::default(),
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
        if let Some(active) = self.find(subject) {
            active.slabs = Work::of(slabs);
        }
    }

    /// The subject needs nothing more: written, skipped or failed.
    pub fn ended(&mut self, subject: usize) {
        self.planning.take_if(|(planned, _)| *planned == subject);
        self.active.retain(|active| active.subject != subject);
    }

    /// The unit's spikes are computed.
    pub fn unit_done(&mut self, rank: usize, subject: usize, unit: usize) {
        self.reported(rank, subject, false, unit);
    }

    /// The units could not be computed: the subject fails.
    pub fn units_failed(&mut self, rank: usize, subject: usize, units: &[usize]) {
        for &unit in units {
            self.reported(rank, subject, false, unit);
        }
        self.unwritten(subject);
    }

    /// The writer has taken in what `rank` drew.
    pub fn drawn(&mut self, rank: usize, subject: usize, slab: usize) {
        self.reported(rank, subject, true, slab);
    }

    /// The subject cannot be written: it fails, and nothing more of it is handed out.
    pub fn unwritten(&mut self, subject: usize) {
        if let Some(active) = self.find(subject) {
            active.failed = true;
            active.units.pending = 0..0;
            active.slabs.pending = 0..0;
        }
    }

    fn reported(&mut self, rank: usize, subject: usize, slabs: bool, place: usize) {
        let runs = &mut self.runs[rank];
        let has =
            |run: &Run| run.subject == subject && run.slabs == slabs && run.range.contains(&place);
        if let Some(index) = runs.iter().position(has) {
            runs[index].unreported -= 1;
            if runs[index].unreported == 0 {
                runs.swap_remove(index);
            }
        }
        if let Some(active) = self.find(subject) {
            let work = if slabs {
                &mut active.slabs
            } else {
                &mut active.units
            };
            work.in_flight -= 1;
        }
    }
}

impl Run {
    fn new(subject: usize, slabs: bool, range: Range<usize>) -> Self {
        Self {
            subject,
            slabs,
            unreported: range.len(),
            range,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Report {
        Unit(usize, usize, usize),
        Slab(usize, usize, usize),
    }

    /// Runs subjects of `units[i]` units and `slabs[i]` slabs to the end, reporting in the order that `pick` chooses among
    /// what is in flight.
    fn run(
        units: &[usize],
        slabs: &[usize],
        ranks: usize,
        longest_run: usize,
        mut pick: impl FnMut(usize) -> usize,
    ) -> Vec<Step> {
        let mut scheduler = Scheduler::new(0..units.len(), ranks);
        let (mut steps, mut in_flight) = (Vec::new(), Vec::new());
        let mut left = slabs.to_vec();
        loop {
            match scheduler.next() {
                Some(step) => {
                    steps.push(step.clone());
                    match step {
                        Step::Plan { subject, .. } => {
                            scheduler.planned(subject, units[subject], longest_run)
                        }
                        Step::Compute {
                            rank,
                            subject,
                            units,
                        } => in_flight.extend(units.map(|unit| Report::Unit(rank, subject, unit))),
                        Step::Draw {
                            rank,
                            subject,
                            slab,
                        } => in_flight.push(Report::Slab(rank, subject, slab)),
                        Step::Write { subject } if slabs[subject] == 0 => scheduler.ended(subject),
                        Step::Write { subject } => scheduler.opened(subject, slabs[subject]),
                        Step::Forget { subject } => scheduler.ended(subject),
                        Step::Finish => return steps,
                    }
                }
                None => {
                    assert!(
                        !in_flight.is_empty(),
                        "nothing in flight and nothing to do: a hang after {steps:?}"
                    );
                    match in_flight.remove(pick(in_flight.len())) {
                        Report::Unit(rank, subject, unit) => {
                            scheduler.unit_done(rank, subject, unit)
                        }
                        Report::Slab(rank, subject, slab) => {
                            scheduler.drawn(rank, subject, slab);
                            left[subject] -= 1;
                            if left[subject] == 0 {
                                scheduler.ended(subject);
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_unit_and_slab_is_done_once_and_every_subject_written_once_in_any_order() {
        let (units, slabs) = ([5, 0, 1, 117], [3, 0, 200, 1]);
        for ranks in 1..5 {
            for longest_run in [1, 2, 100] {
                for pick in [(|_| 0) as fn(usize) -> usize, |n| n - 1, |n| n / 2] {
                    let steps = run(&units, &slabs, ranks, longest_run, pick);
                    for subject in 0..units.len() {
                        let mut computed = Vec::new();
                        let mut drawn = Vec::new();
                        let mut written = 0;
                        for step in &steps {
                            match step {
                                Step::Compute {
                                    subject: s, units, ..
                                } if *s == subject => computed.extend(units.clone()),
                                Step::Draw {
                                    subject: s, slab, ..
                                } if *s == subject => drawn.push(*slab),
                                Step::Write { subject: s } if *s == subject => written += 1,
                                _ => {}
                            }
                        }
                        computed.sort_unstable();
                        assert!(computed.into_iter().eq(0..units[subject]));
                        assert!(drawn.into_iter().eq(0..slabs[subject]));
                        assert_eq!(written, 1);
                    }
                }
            }
        }
    }

    #[test]
    fn no_rank_waits_at_a_subjects_end() {
        let mut scheduler = Scheduler::new(0..2, 2);
        assert!(matches!(
            scheduler.next(),
            Some(Step::Plan { subject: 0, .. })
        ));
        scheduler.planned(0, 1, 1);
        assert!(matches!(
            scheduler.next(),
            Some(Step::Compute { subject: 0, .. })
        ));
        assert!(matches!(
            scheduler.next(),
            Some(Step::Plan { subject: 1, .. })
        ));
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
    fn subjects_that_are_written_at_the_same_time_have_different_writers() {
        for ranks in [1, 2, 5] {
            let mut scheduler = Scheduler::new(0..9, ranks);
            let (mut writers, mut planned) = (vec![0; ranks], 0);
            // No subject ends: each waits for a slab.
            while let Some(step) = scheduler.next() {
                match step {
                    Step::Plan { subject, writer } => {
                        writers[writer] += 1;
                        planned += 1;
                        scheduler.planned(subject, 0, 1);
                    }
                    Step::Write { subject } => scheduler.opened(subject, 1),
                    Step::Draw { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(planned, ranks.max(2));
            assert_eq!(writers, vec![if ranks == 1 { 2 } else { 1 }; ranks]);
        }
    }

    #[test]
    fn no_rank_has_more_than_one_run_beside_the_one_it_computes() {
        let mut scheduler = Scheduler::new([0], 3);
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
    fn a_writer_never_has_more_slabs_to_take_in_than_it_can_hold() {
        let mut scheduler = Scheduler::new([0], 1000);
        scheduler.next();
        scheduler.planned(0, 0, 1);
        assert_eq!(scheduler.next(), Some(Step::Write { subject: 0 }));
        scheduler.opened(0, 1000);
        let mut drawn = 0;
        while let Some(Step::Draw { .. }) = scheduler.next() {
            drawn += 1;
        }
        assert_eq!(drawn, SLABS_IN_FLIGHT);
    }

    #[test]
    fn runs_are_long_at_first_and_single_units_at_the_end() {
        let steps = run(&[256], &[0], 2, 1000, |_| 0);
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
        let mut scheduler = Scheduler::new(0..2, 1);
        scheduler.next();
        scheduler.planned(0, 10, 1);
        for unit in 0..2 {
            let step = scheduler.next();
            assert!(matches!(step, Some(Step::Compute { units, .. }) if units == (unit..unit + 1)));
        }
        scheduler.units_failed(0, 0, &[0]);
        assert!(matches!(
            scheduler.next(),
            Some(Step::Plan { subject: 1, .. })
        ));
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
    fn a_subject_that_cannot_be_written_is_forgotten_when_its_slabs_are_back() {
        let mut scheduler = Scheduler::new([0], 2);
        scheduler.next();
        scheduler.planned(0, 0, 1);
        scheduler.next();
        scheduler.opened(0, 10);
        let first = scheduler.next();
        assert_eq!(
            first,
            Some(Step::Draw {
                rank: 1,
                subject: 0,
                slab: 0
            })
        );
        scheduler.unwritten(0);
        assert_eq!(scheduler.next(), None);
        scheduler.drawn(1, 0, 0);
        assert_eq!(scheduler.next(), Some(Step::Forget { subject: 0 }));
        assert_eq!(scheduler.next(), Some(Step::Finish));
    }

    #[test]
    fn a_file_that_cannot_be_laid_out_is_forgotten_at_once() {
        let mut scheduler = Scheduler::new([0], 1);
        scheduler.next();
        scheduler.planned(0, 0, 1);
        assert_eq!(scheduler.next(), Some(Step::Write { subject: 0 }));
        scheduler.unwritten(0);
        assert_eq!(scheduler.next(), Some(Step::Forget { subject: 0 }));
    }

    #[test]
    fn a_subject_that_fails_at_planning_does_not_stop_the_others() {
        let mut scheduler = Scheduler::new(0..2, 1);
        for subject in 0..2 {
            let writer = 0;
            assert_eq!(scheduler.next(), Some(Step::Plan { subject, writer }));
            scheduler.ended(subject);
        }
        assert_eq!(scheduler.next(), Some(Step::Finish));
    }
}
