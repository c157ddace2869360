use super::*;
use crate::run::fake_job::{FakeJob, Lab};

/// The orders that rank 0 has sent since the last time, with their receivers.
fn orders(job: &mut FakeJob) -> Vec<(usize, Order)> {
    job.coordinator.advance(&mut job.outboxes[0]);
    let sent = job.outboxes[0].take_sent().into_iter();
    sent.map(|(to, message)| match message {
        Message::Order(order) => (to, order),
        other => panic!("{other:?}"),
    })
    .collect()
}

fn reply(job: &mut FakeJob, rank: usize, reply: Reply) {
    job.coordinator.on_reply(&mut job.outboxes[0], rank, reply);
}

fn read(failure: Option<&str>) -> Reply {
    Reply::Read {
        subject: 0,
        stretch: 0,
        seconds: 0.25,
        failure: failure.map(String::from),
    }
}

fn failed(unit: usize, message: &str) -> Reply {
    Reply::Failed {
        rank: 0,
        subject: 0,
        unit,
        message: message.into(),
    }
}

#[test]
fn all_ranks_get_the_plan_of_a_subject_before_any_order_about_it() {
    let lab = Lab::new(1);
    let mut job = lab.job(3);
    let orders = orders(&mut job);
    let [
        (0, Order::Subject(plan)),
        (1, Order::Subject(_)),
        (2, Order::Subject(_)),
        (_, Order::Read { piece, .. }),
    ] = &orders[..]
    else {
        panic!("{orders:?}")
    };
    assert_eq!((plan.neurons, plan.frames, plan.units()), (48, 120, 12));
    assert_eq!((&piece.neurons, &piece.frames), (&(0..48), &(0..120)));
}

#[test]
fn a_failed_subject_is_dropped_when_every_assigned_unit_is_answered_and_its_first_failure_is_told()
{
    let lab = Lab::new(1);
    let mut job = lab.job(1);
    orders(&mut job);
    reply(&mut job, 0, read(None));
    let units: Vec<usize> = orders(&mut job)
        .into_iter()
        .map(|(_, order)| match order {
            Order::Compute { unit, .. } => unit,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(units.len(), 3);
    reply(&mut job, 0, failed(units[0], "the first"));
    reply(&mut job, 0, failed(units[1], "the second"));
    assert!(orders(&mut job).is_empty(), "a unit is still in flight");
    reply(&mut job, 0, failed(units[2], "the third"));
    let sent = orders(&mut job);
    assert!(
        matches!(
            sent[..],
            [
                (0, Order::Drop { subject: 0 }),
                (0, Order::Finish { status: 1 })
            ]
        ),
        "{sent:?}"
    );
    let report = &job.coordinator.reports[0];
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(report.error.as_deref(), Some("the first"));
    assert!(report.files_written.is_empty());
}

#[test]
fn replies_that_come_after_a_subject_has_failed_change_nothing() {
    let lab = Lab::new(2);
    let mut job = lab.job(2);
    let reader = orders(&mut job)
        .iter()
        .find_map(|(to, order)| match order {
            Order::Read { subject: 0, .. } => Some(*to),
            _ => None,
        })
        .expect("a reader");
    reply(&mut job, reader, read(Some("unreadable")));
    let sent = orders(&mut job);
    let drops = sent
        .iter()
        .filter(|(_, order)| matches!(order, Order::Drop { subject: 0 }));
    assert_eq!(drops.count(), 2);
    let before = format!("{:?}", job.coordinator.reports);
    let message = String::from("late");
    for late in [
        Reply::Warning {
            subject: 0,
            message: message.clone(),
        },
        Reply::Unwritten {
            subject: 0,
            message,
        },
        Reply::Opened {
            subject: 0,
            slabs: 3,
            at_once: 1,
        },
        Reply::Written {
            subject: 0,
            written: Written::default(),
        },
    ] {
        reply(&mut job, 1, late);
    }
    assert!(orders(&mut job).is_empty());
    assert_eq!(format!("{:?}", job.coordinator.reports), before);
    assert_eq!(
        job.coordinator.reports[0].error.as_deref(),
        Some("unreadable")
    );
}

#[test]
fn of_several_signals_the_first_ends_the_run_and_nothing_is_assigned_after_it() {
    let lab = Lab::new(1);
    let mut job = lab.job(2);
    orders(&mut job);
    for signal in [10, 15] {
        reply(&mut job, 1, Reply::Signalled { signal });
    }
    reply(&mut job, 1, read(None));
    let sent = orders(&mut job);
    assert!(
        matches!(
            sent[..],
            [
                (0, Order::Finish { status: STOPPED }),
                (1, Order::Finish { status: STOPPED })
            ]
        ),
        "{sent:?}"
    );
    assert_eq!(job.coordinator.reports[0].outcome, Outcome::Stopped);
}
