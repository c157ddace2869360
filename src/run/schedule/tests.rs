use super::*;

enum Report {
    Piece(usize, usize, usize),
    Unit(usize, usize, usize),
    Slab(usize, usize),
}

/// `units` units in stretches of `longest`, each read in `pieces` pieces and as large as a rank may hold.
fn stretches(units: usize, longest: usize, pieces: usize) -> Vec<Stretch> {
    (0..units)
        .step_by(longest)
        .map(|start| Stretch {
            units: start..units.min(start + longest),
            pieces,
            weight: 1.0,
        })
        .collect()
}

/// A subject's units, slabs, and units of the journal.
type Subject = (Vec<Stretch>, usize, BTreeSet<usize>);

/// Runs subjects to the end, reporting in the order that `pick` chooses among what is in flight.
fn run(subjects: &[Subject], ranks: usize, mut pick: impl FnMut(usize) -> usize) -> Vec<Step> {
    let mut scheduler = Scheduler::new(0..subjects.len(), ranks, 1);
    let (mut steps, mut in_flight) = (Vec::new(), Vec::new());
    let mut left: Vec<usize> = subjects.iter().map(|(_, slabs, _)| *slabs).collect();
    loop {
        let Some(step) = scheduler.next() else {
            assert!(
                !in_flight.is_empty(),
                "nothing in flight and nothing to do: a hang after {steps:?}"
            );
            match in_flight.remove(pick(in_flight.len())) {
                Report::Piece(rank, subject, stretch) => scheduler.read(rank, subject, stretch),
                Report::Unit(rank, subject, unit) => scheduler.done(rank, subject, unit),
                Report::Slab(rank, subject) => {
                    scheduler.rasterised(rank, subject);
                    left[subject] -= 1;
                    if left[subject] == 0 {
                        scheduler.ended(subject);
                    }
                }
            }
            continue;
        };
        steps.push(step.clone());
        match step {
            Step::Plan { subject, .. } => {
                let (stretches, _, journalled) = subjects[subject].clone();
                scheduler.planned(subject, stretches, journalled);
            }
            Step::Read {
                rank,
                subject,
                stretch,
                ..
            } => in_flight.push(Report::Piece(rank, subject, stretch)),
            Step::Load {
                rank,
                subject,
                unit,
            }
            | Step::Compute {
                rank,
                subject,
                unit,
                ..
            } => in_flight.push(Report::Unit(rank, subject, unit)),
            Step::Rasterise { rank, subject, .. } => in_flight.push(Report::Slab(rank, subject)),
            Step::Write { subject } if left[subject] == 0 => scheduler.ended(subject),
            Step::Write { subject } => scheduler.opened(subject, left[subject], 32),
            Step::Drop { subject } => scheduler.ended(subject),
            Step::Finish => return steps,
        }
    }
}

#[test]
fn every_piece_unit_and_slab_is_assigned_once_and_every_subject_written_once_in_any_order() {
    let subjects = [
        (stretches(5, 5, 1), 3, BTreeSet::new()),
        (Vec::new(), 0, BTreeSet::new()),
        (stretches(1, 1, 7), 200, BTreeSet::new()),
        (stretches(117, 20, 3), 1, BTreeSet::from_iter(30..65)),
    ];
    for ranks in 1..5 {
        for pick in [(|_| 0) as fn(usize) -> usize, |n| n - 1, |n| n / 2] {
            let steps = run(&subjects, ranks, pick);
            for (number, (stretches, slabs, journalled)) in subjects.iter().enumerate() {
                let (mut read, mut computed, mut loaded, mut rasterised) =
                    (Vec::new(), Vec::new(), Vec::new(), Vec::new());
                let mut written = 0;
                for step in &steps {
                    match *step {
                        Step::Read {
                            subject,
                            stretch,
                            piece,
                            ..
                        } if subject == number => read.push((stretch, piece)),
                        Step::Compute { subject, unit, .. } if subject == number => {
                            computed.push(unit);
                        }
                        Step::Load { subject, unit, .. } if subject == number => loaded.push(unit),
                        Step::Rasterise { subject, slab, .. } if subject == number => {
                            rasterised.push(slab)
                        }
                        Step::Write { subject } if subject == number => written += 1,
                        _ => {}
                    }
                }
                let fresh = |units: &Range<usize>| {
                    let mut units = units.clone();
                    units.any(|unit| !journalled.contains(&unit))
                };
                let to_read: Vec<(usize, usize)> = (0..)
                    .zip(stretches)
                    .filter(|(_, stretch)| fresh(&stretch.units))
                    .flat_map(|(place, stretch)| (0..stretch.pieces).map(move |p| (place, p)))
                    .collect();
                assert_eq!(read, to_read);
                computed.sort_unstable();
                let units = 0..stretches.last().map_or(0, |last| last.units.end);
                assert!(
                    computed
                        .into_iter()
                        .eq(units.filter(|unit| !journalled.contains(unit)))
                );
                assert!(loaded.iter().eq(journalled));
                assert!(rasterised.into_iter().eq(0..*slabs));
                assert_eq!(written, 1);
            }
        }
    }
}

#[test]
fn shares_are_everything_once_and_as_even_as_can_be() {
    for (units, subject, ranks) in [(0..1, 0, 4), (7..107, 3, 7), (5..5, 1, 2), (0..9, 10, 3)] {
        let mut shares: Vec<Range<usize>> = (0..ranks)
            .map(|rank| share(&units, subject, rank, ranks))
            .collect();
        assert!(
            shares
                .iter()
                .all(|share| share.len().abs_diff(units.len() / ranks) <= 1)
        );
        shares.sort_by_key(|share| (share.start, share.end));
        assert!(shares.into_iter().flatten().eq(units));
    }
    let alone = |subject| (0..4).position(|rank| !share(&(0..1), subject, rank, 4).is_empty());
    assert_ne!(alone(0), alone(1));
}

#[test]
fn a_rank_computes_its_own_share_and_takes_of_the_fullest_when_it_has_none_left() {
    let mut scheduler = Scheduler::new([0], 2, 1);
    scheduler.next();
    scheduler.planned(0, stretches(20, 20, 1), BTreeSet::new());
    let read = scheduler.next();
    assert!(matches!(read, Some(Step::Read { rank: 1, .. })));
    scheduler.read(1, 0, 0);
    let (mut taken, mut done) = (Vec::new(), 0);
    // Rank 0 is never done.
    loop {
        match scheduler.next() {
            Some(Step::Compute {
                rank, unit, owner, ..
            }) => {
                assert_eq!(owner, usize::from(unit >= 10));
                if rank == 1 {
                    taken.push(unit);
                }
            }
            Some(step) => panic!("{step:?}"),
            None if done == taken.len() => break,
            None => {
                scheduler.done(1, 0, taken[done]);
                done += 1;
            }
        }
    }
    let expected: Vec<usize> = (10..20).chain((in_flight(1)..10).rev()).collect();
    assert_eq!(taken, expected);
}

#[test]
fn no_rank_waits_at_a_subjects_end() {
    let mut scheduler = Scheduler::new(0..2, 2, 1);
    let (mut reads, mut read) = (Vec::new(), 0);
    while let Some(step) = scheduler.next() {
        match step {
            Step::Plan { subject, .. } => {
                scheduler.planned(subject, stretches(4, 4, 1), BTreeSet::new());
            }
            Step::Read {
                rank,
                subject,
                stretch,
                ..
            } => reads.push((rank, subject, stretch)),
            Step::Compute { subject, .. } => assert_eq!(subject, 0),
            step => panic!("{step:?}"),
        }
        if read == 0 && reads.len() == 2 {
            let (rank, subject, stretch) = reads[0];
            scheduler.read(rank, subject, stretch);
            read += 1;
        }
    }
    assert_eq!(
        reads.len(),
        2,
        "the next subject is read while one is computed"
    );
}

#[test]
fn ranks_hold_two_whole_stretches_or_many_small_ones() {
    for (weight, expected) in [(1.0, 2), (0.7, 2), (0.5, 4), (0.01, 9)] {
        let mut all = stretches(9, 1, 1);
        all.iter_mut().for_each(|stretch| stretch.weight = weight);
        let mut scheduler = Scheduler::new([0], 8, 1);
        scheduler.next();
        scheduler.planned(0, all, BTreeSet::new());
        let mut begun = 0;
        while let Some(Step::Read { .. }) = scheduler.next() {
            begun += 1;
        }
        assert_eq!(begun, expected);
    }
}

#[test]
fn subjects_that_are_written_at_the_same_time_have_different_writers() {
    for ranks in [1, 2, 5] {
        let mut scheduler = Scheduler::new(0..9, ranks, 1);
        let (mut writers, mut planned) = (vec![0; ranks], 0);
        // No subject ends: each waits for a slab.
        while let Some(step) = scheduler.next() {
            match step {
                Step::Plan { subject, writer } => {
                    writers[writer] += 1;
                    planned += 1;
                    scheduler.planned(subject, Vec::new(), BTreeSet::new());
                }
                Step::Write { subject } => scheduler.opened(subject, 1, 1),
                Step::Rasterise { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(planned, ranks.max(2));
        assert_eq!(writers, vec![if ranks == 1 { 2 } else { 1 }; ranks]);
    }
}

#[test]
fn a_writer_never_has_more_slabs_in_flight_than_it_can_hold() {
    let mut scheduler = Scheduler::new([0], 1000, 1);
    scheduler.next();
    scheduler.planned(0, Vec::new(), BTreeSet::new());
    assert_eq!(scheduler.next(), Some(Step::Write { subject: 0 }));
    scheduler.opened(0, 1000, 40);
    let mut rasterised = 0;
    while let Some(Step::Rasterise { .. }) = scheduler.next() {
        rasterised += 1;
    }
    assert_eq!(rasterised, 40);
}

#[test]
fn a_failed_piece_or_unit_fails_its_subject_alone_and_late_reports_change_nothing() {
    let mut scheduler = Scheduler::new(0..2, 1, 1);
    scheduler.next();
    scheduler.planned(0, stretches(10, 10, 3), BTreeSet::from([7]));
    assert!(matches!(scheduler.next(), Some(Step::Load { unit: 7, .. })));
    for expected in 0..2 {
        assert!(matches!(scheduler.next(), Some(Step::Read { piece, .. }) if piece == expected));
    }
    assert!(matches!(
        scheduler.next(),
        Some(Step::Plan { subject: 1, .. })
    ));
    scheduler.ended(1);
    scheduler.read(0, 0, 0);
    scheduler.fails(0);
    assert_eq!(
        scheduler.next(),
        None,
        "a piece and a unit of the failed subject are still in flight"
    );
    scheduler.read(0, 0, 0);
    scheduler.done(0, 0, 7);
    assert_eq!(scheduler.next(), Some(Step::Drop { subject: 0 }));
    scheduler.ended(0);
    assert_eq!(scheduler.next(), Some(Step::Finish));
}

#[test]
fn a_subject_that_cannot_be_written_is_dropped_when_its_slabs_are_back() {
    let mut scheduler = Scheduler::new([0], 2, 1);
    scheduler.next();
    scheduler.planned(0, Vec::new(), BTreeSet::new());
    scheduler.next();
    scheduler.opened(0, 10, 32);
    let first = scheduler.next();
    assert_eq!(
        first,
        Some(Step::Rasterise {
            rank: 1,
            subject: 0,
            slab: 0
        })
    );
    scheduler.fails(0);
    assert_eq!(scheduler.next(), None);
    scheduler.rasterised(1, 0);
    assert_eq!(scheduler.next(), Some(Step::Drop { subject: 0 }));
    assert_eq!(scheduler.next(), Some(Step::Finish));
}

#[test]
fn a_file_that_cannot_be_laid_out_is_dropped_at_once() {
    let mut scheduler = Scheduler::new([0], 1, 1);
    scheduler.next();
    scheduler.planned(0, Vec::new(), BTreeSet::new());
    assert_eq!(scheduler.next(), Some(Step::Write { subject: 0 }));
    scheduler.fails(0);
    assert_eq!(scheduler.next(), Some(Step::Drop { subject: 0 }));
}

#[test]
fn a_subject_that_fails_at_planning_does_not_stop_the_others() {
    let mut scheduler = Scheduler::new(0..2, 1, 1);
    for subject in 0..2 {
        let writer = 0;
        assert_eq!(scheduler.next(), Some(Step::Plan { subject, writer }));
        scheduler.ended(subject);
    }
    assert_eq!(scheduler.next(), Some(Step::Finish));
}
