//! Whole runs in one process: coordinator, workers and writers on real small files, with fake messages.

use std::cell::Cell;
use std::path::Path;

use spikegrid_core::slab::{Compression, PlaneTable, Planes};
use spikegrid_files::output::grids::{GridsFile, PlaneWriters};
use spikegrid_files::output::{OutputError, OutputFile, partial};

use crate::job::STOPPED;
use crate::run::fake_job::{Ended, Lab};
use crate::run::fake_outbox::Delivery;
use crate::run::messages::{Message, Order, Reply};
use crate::run::report::Outcome;
use crate::run::writer::{PlanesFile, Writer};

/// Files in the output folder of a complete subject.
const COMPLETE: usize = 8;

/// What happens to a recording during a run.
type Spoil = fn(&Path);
/// Whether a message shows that a run is in a state.
type IsState = fn(&Delivery) -> bool;

fn is_order(delivery: &Delivery, is: fn(&Order) -> bool) -> bool {
    matches!(&delivery.message, Message::Order(order) if is(order))
}

fn is_reply(delivery: &Delivery, is: fn(&Reply) -> bool) -> bool {
    matches!(&delivery.message, Message::Reply(reply) if is(reply))
}

/// The first of two subjects has failed with `reason` and left nothing; the second is complete, with these values.
fn assert_first_failed_alone(lab: &Lab, ended: &Ended, reason: &str, expected: u64) {
    assert_eq!(ended.status, 1);
    let [failed, other] = &ended.reports[..] else {
        panic!("two subjects")
    };
    assert_eq!(failed.outcome, Outcome::Failed);
    let error = failed.error.as_deref().unwrap_or_default();
    assert!(error.contains(reason), "{error}");
    assert_eq!(lab.names(0), [""; 0]);
    assert_eq!(other.outcome, Outcome::Processed);
    assert_eq!(lab.names(1).len(), COMPLETE);
    assert_eq!(lab.values(1), expected);
}

/// Runs on so many ranks, whose messages come in an order of this seed, write the same values as an undisturbed one.
fn write_the_same_values(compression: Compression, runs: [(usize, u64); 3]) {
    let mut lab = Lab::new(2);
    let expected = lab.expected();
    lab.compression = compression;
    for (ranks, seed) in runs {
        let ended = lab.job(ranks).in_any_order(seed).run();
        assert_eq!(ended.status, 0);
        assert_eq!([lab.values(0), lab.values(1)], expected[..]);
        assert_eq!(lab.names(0).len(), COMPLETE, "{:?}", lab.names(0));
        lab.remove_output();
    }
}

#[test]
fn one_two_and_three_ranks_write_the_same_values_in_any_order_of_messages() {
    write_the_same_values(Compression::Gzip, [(2, 1), (3, 2), (3, 3)]);
}

#[test]
fn rule_8_8_grids_that_are_not_compressed_hold_the_same_values_in_any_order_of_messages() {
    write_the_same_values(Compression::None, [(1, 1), (2, 2), (3, 3)]);
}

#[test]
fn rule_8_8_planes_that_a_rank_cannot_write_fail_their_subject_alone() {
    let mut lab = Lab::new(2);
    let expected = lab.expected();
    lab.compression = Compression::None;
    for ranks in [1, 3] {
        let mut job = lab.job(ranks);
        let first =
            |delivery: &Delivery| matches!(delivery.message, Message::Layout { subject: 0, .. });
        assert!(job.run_until(first));
        let grids = lab.files(0).path(OutputFile::Grids);
        std::fs::remove_file(partial(&grids)).expect("a file that is laid out");
        let ended = job.run();
        assert_first_failed_alone(&lab, &ended, "preaugmented_grids.h5", expected[1]);
        lab.remove_output();
    }
}

#[test]
fn a_rank_slower_than_all_others_loses_units_of_its_share_and_the_values_are_the_same() {
    let lab = Lab::new(1);
    let expected = lab.expected();
    let ended = lab.job(2).slow(1).run();
    assert_eq!(ended.status, 0);
    assert_eq!(ended.done.iter().sum::<usize>(), 12);
    assert!(ended.done[1] < 6, "units of each rank: {:?}", ended.done);
    assert_eq!(lab.values(0), expected[0]);
}

#[test]
fn samples_that_arrive_before_the_plan_of_their_subject_are_used() {
    let lab = Lab::new(1);
    let expected = lab.expected();
    // Rank 2 reads the only piece.
    let plan_of_rank_1 = |delivery: &Delivery| {
        delivery.to == 1 && is_order(delivery, |order| matches!(order, Order::Subject(_)))
    };
    let mut job = lab.job(3).late(plan_of_rank_1);
    let planned = Cell::new(false);
    assert!(job.run_until(|delivery| {
        planned.set(planned.get() || plan_of_rank_1(delivery));
        delivery.to == 1 && matches!(delivery.message, Message::Samples { .. })
    }));
    assert!(!planned.get(), "the samples came first");
    assert_eq!(job.run().status, 0);
    assert_eq!(lab.values(0), expected[0]);
}

#[test]
fn spikes_that_arrive_after_the_order_to_write_are_waited_for() {
    let lab = Lab::new(1);
    let expected = lab.expected();
    let spikes = |delivery: &Delivery| matches!(delivery.message, Message::Spikes { .. });
    let mut job = lab.job(3).late(move |delivery| {
        // The writer is rank 2; the spikes of rank 0 share their route with its orders.
        delivery.from == 1 && spikes(delivery)
    });
    assert!(job.run_until(|delivery| is_order(delivery, |order| matches!(order, Order::Write(_)))));
    assert!(job.run_until(spikes), "some spikes came after it");
    assert_eq!(job.run().status, 0);
    assert_eq!(lab.values(0), expected[0]);
}

#[test]
fn a_subject_whose_recording_is_gone_or_changed_fails_alone() {
    let lab = Lab::new(2);
    let expected = lab.expected();
    let recording = lab.subjects()[0].dir.join("TimeSeries.h5");
    let bytes = std::fs::read(&recording).expect("the recording");
    let gone: Spoil = |path| std::fs::remove_file(path).expect("removed");
    let changed: Spoil = |path| {
        let file = hdf5::File::create(path).expect("a file");
        let dataset = file.new_dataset::<f32>().shape((7, 48));
        dataset.create("CellResp").expect("a dataset");
    };
    let cases: [(Spoil, &str); 2] = [
        (gone, "TimeSeries.h5"),
        (changed, "changed while it was processed"),
    ];
    for (spoil, reason) in cases {
        for ranks in [1, 3] {
            let mut job = lab.job(ranks);
            let planned = |delivery: &Delivery| matches!(&delivery.message, Message::Order(Order::Subject(plan)) if plan.index == 0);
            assert!(job.run_until(planned));
            spoil(&recording);
            let ended = job.run();
            assert_first_failed_alone(&lab, &ended, reason, expected[1]);
            std::fs::write(&recording, &bytes).expect("the recording");
            lab.remove_output();
        }
    }
}

/// A file that refuses its slab `number`, counted from 1; 0 refuses to be closed.
struct FailingFile {
    file: GridsFile,
    written: usize,
    number: usize,
}

fn refused() -> OutputError {
    OutputError::io(Path::new("grids"), "cannot be written")(std::io::ErrorKind::StorageFull.into())
}

impl PlanesFile for FailingFile {
    fn plane_writers(&self) -> PlaneWriters {
        self.file.plane_writers()
    }

    fn place(&mut self, table: &PlaneTable) -> Result<u64, OutputError> {
        self.written += 1;
        match self.written == self.number {
            true => Err(refused()),
            false => self.file.place(table),
        }
    }

    fn write(&mut self, planes: &Planes) -> Result<(), OutputError> {
        self.written += 1;
        match self.written == self.number {
            true => Err(refused()),
            false => self.file.write(planes),
        }
    }

    fn close(self: Box<Self>) -> Result<(), OutputError> {
        match self.number {
            0 => Err(refused()),
            _ => self.file.close(),
        }
    }
}

/// A writer that fails at a slab of the first subject.
fn failing_writer(number: usize) -> Writer {
    Writer::with_files(Box::new(move |path, frames, planes| {
        let file = GridsFile::create(path, frames, planes)?;
        let fails = path
            .components()
            .any(|part| part.as_os_str() == "subject_1");
        Ok(match fails {
            true => Box::new(FailingFile {
                file,
                written: 0,
                number,
            }),
            false => Box::new(file),
        })
    }))
}

#[test]
fn a_subject_whose_writer_fails_at_its_first_a_middle_its_last_slab_or_at_closing_fails_alone() {
    let lab = Lab::of_frames(2, 700);
    let expected = lab.expected();
    let slabs = Cell::new(0);
    let opened = |delivery: &Delivery| match delivery.message {
        Message::Reply(Reply::Opened {
            subject: 0,
            slabs: count,
            ..
        }) => {
            slabs.set(count);
            true
        }
        _ => false,
    };
    let mut job = lab.job(1);
    assert!(job.run_until(opened));
    drop(job);
    lab.remove_output();
    let slabs = slabs.get();
    assert!(slabs >= 3, "{slabs} slabs");
    for number in [1, slabs / 2 + 1, slabs, 0] {
        let mut job = lab.job(2).in_any_order(number as u64);
        for rank in 0..2 {
            job = job.written_by(&lab, rank, failing_writer(number));
        }
        let ended = job.run();
        assert_first_failed_alone(&lab, &ended, "cannot be written", expected[1]);
        lab.remove_output();
    }
}

#[test]
fn a_subject_whose_output_folder_vanishes_fails_alone() {
    let lab = Lab::new(2);
    let expected = lab.expected();
    let mut job = lab.job(1);
    for _ in 0..12 {
        assert!(job.run_until(|delivery| {
            is_reply(delivery, |reply| {
                matches!(reply, Reply::Done { subject: 0, .. })
            })
        }));
    }
    std::fs::remove_dir_all(lab.files(0).folder).expect("removed");
    let ended = job.run();
    assert_first_failed_alone(&lab, &ended, "preaugmented_grids.h5", expected[1]);
}

/// A run that a signal has ended after so many units of the only subject.
fn interrupt(lab: &Lab, units: usize) {
    let mut job = lab.job(2);
    for _ in 0..units {
        assert!(
            job.run_until(|delivery| is_reply(delivery, |reply| matches!(
                reply,
                Reply::Done { .. }
            )))
        );
    }
    job.signal(1);
    assert_eq!(job.run().status, STOPPED);
}

#[test]
fn units_of_the_journal_are_loaded_and_those_whose_records_are_damaged_are_computed() {
    let lab = Lab::new(1);
    let expected = lab.expected();
    interrupt(&lab, 6);
    let journals: Vec<_> = lab
        .names(0)
        .into_iter()
        .filter(|name| name.starts_with(".journal"))
        .collect();
    assert!(!journals.is_empty(), "{:?}", lab.names(0));
    let mut job = lab.job(3);
    let planned =
        |delivery: &Delivery| is_order(delivery, |order| matches!(order, Order::Subject(_)));
    assert!(job.run_until(planned));
    // The last byte of a file lies in the record of its last unit.
    for name in &journals {
        let path = lab.files(0).folder.join(name);
        let mut bytes = std::fs::read(&path).expect("a journal");
        *bytes.last_mut().expect("a record") ^= 1;
        std::fs::write(&path, bytes).expect("a journal");
    }
    let ended = job.run();
    assert_eq!(ended.status, 0);
    let report = &ended.reports[0];
    assert_eq!(report.work_units, 12);
    let loaded = report.work_units_from_journal;
    assert!(
        loaded >= 6 - journals.len() && loaded < 12,
        "{loaded} loaded"
    );
    assert_eq!(lab.values(0), expected[0]);

    lab.remove_output();
    interrupt(&lab, 6);
    let whole = lab.job(3).run();
    assert!(whole.reports[0].work_units_from_journal >= 6);
    assert_eq!(lab.values(0), expected[0]);
}

#[test]
fn a_signal_in_any_state_stops_the_run_which_goes_on_later_with_the_same_values() {
    let lab = Lab::new(2);
    let expected = lab.expected();
    let states: [(&str, IsState); 5] = [
        ("planning", |delivery| {
            is_order(delivery, |order| matches!(order, Order::Subject(_)))
        }),
        ("reading", |delivery| {
            is_order(delivery, |order| matches!(order, Order::Read { .. }))
        }),
        ("computing", |delivery| {
            is_order(delivery, |order| matches!(order, Order::Compute { .. }))
        }),
        ("writing", |delivery| {
            matches!(
                delivery.message,
                Message::Place { .. } | Message::Planes { .. } | Message::Slab { .. }
            )
        }),
        ("finishing", |delivery| {
            is_reply(delivery, |reply| matches!(reply, Reply::Written { .. }))
        }),
    ];
    for (name, state) in states {
        let mut job = lab.job(2);
        assert!(job.run_until(state), "{name}");
        // A second signal changes nothing.
        job.signal(1);
        job.signal(0);
        let stopped = job.run();
        assert_eq!(stopped.status, STOPPED, "{name}");
        let complete = |index: usize| stopped.reports[index].outcome == Outcome::Processed;
        assert_eq!(complete(0) || complete(1), name == "finishing", "{name}");
        for index in 0..2 {
            let names = lab.names(index);
            let grids = names.iter().any(|found| found.contains("grids"));
            assert_eq!(grids, complete(index), "{name}: {names:?}");
        }
        assert_eq!(lab.job(3).run().status, 0, "{name}");
        assert_eq!([lab.values(0), lab.values(1)], expected[..], "{name}");
        lab.remove_output();
    }
}

#[test]
fn a_signal_before_the_first_subject_leaves_nothing() {
    let lab = Lab::new(1);
    let mut job = lab.job(2);
    job.coordinator.finish(&mut job.outboxes[0], Some(15));
    let stopped = job.run();
    assert_eq!(stopped.status, STOPPED);
    assert_eq!(stopped.reports[0].outcome, Outcome::Stopped);
    assert_eq!(lab.names(0), [""; 0]);
}
