use spikegrid_files::input::{Location, Orientation};
use spikegrid_files::output::unit_files::UnitFiles;

use super::*;
use crate::run::fake_job::{Lab, one_thread};
use crate::run::fake_outbox::FakeOutbox;

/// A worker and the orders that rank 0 would send it about a subject.
struct Rig {
    worker: Worker,
    outbox: FakeOutbox,
    plan: SubjectPlan,
    pieces: Vec<Piece>,
    _lab: Lab,
}

/// Rank `rank` of `ranks`; rank 0 writes.
fn rig(rank: usize, ranks: usize) -> Rig {
    let lab = Lab::new(1);
    let mut job = lab.job(ranks);
    job.coordinator.advance(&mut job.outboxes[0]);
    let (mut plan, mut pieces) = (None, Vec::new());
    for (_, message) in job.outboxes[0].take_sent() {
        match message {
            Message::Order(Order::Subject(found)) => plan = Some(*found),
            Message::Order(Order::Read { piece, .. }) => pieces.push(piece),
            _ => {}
        }
    }
    Rig {
        worker: Worker::new(lab.pipelines(), one_thread()),
        outbox: FakeOutbox::new(rank, ranks),
        plan: SubjectPlan {
            writer: 0,
            unit_files: UnitFiles::default(),
            ..plan.expect("a plan")
        },
        pieces,
        _lab: lab,
    }
}

impl Rig {
    /// Handles messages of rank 0.
    fn handle(&mut self, messages: impl IntoIterator<Item = Message>) {
        for message in messages {
            let returned = self.worker.handle(&mut self.outbox, 0, message);
            assert!(returned.is_none(), "{returned:?}");
        }
    }

    fn subject(&self) -> Message {
        Message::Order(Order::Subject(Box::new(self.plan.clone())))
    }

    fn read(&self) -> Message {
        Message::Order(Order::Read {
            subject: 0,
            stretch: 0,
            piece: self.pieces[0].clone(),
        })
    }

    /// What is sent until the compute threads have nothing more to do.
    fn sent(&mut self) -> Vec<(usize, Message)> {
        let mut sent = Vec::new();
        loop {
            let outbox = &mut self.outbox;
            let any = self.worker.send_or_read(outbox)
                || self
                    .worker
                    .wait_for_result(outbox, Duration::from_millis(500));
            sent.extend(outbox.take_sent());
            if !any {
                return sent;
            }
        }
    }
}

fn compute(unit: usize, rank: usize) -> Message {
    Message::Order(Order::Compute {
        subject: 0,
        unit,
        rank,
    })
}

fn drop_it() -> Message {
    Message::Order(Order::Drop { subject: 0 })
}

#[test]
fn units_that_are_asked_for_before_their_samples_are_here_are_computed_when_they_are() {
    let mut rig = rig(0, 1);
    let messages = [rig.subject(), compute(3, 0), compute(0, 0)];
    rig.handle(messages);
    assert!(rig.sent().is_empty());
    rig.handle([rig.read()]);
    let mut done: Vec<usize> = rig
        .sent()
        .into_iter()
        .filter_map(|(_, message)| match message {
            Message::Reply(Reply::Done { unit, .. }) => Some(unit),
            _ => None,
        })
        .collect();
    done.sort_unstable();
    assert_eq!(done, [0, 3]);
}

#[test]
fn a_reader_sends_each_rank_the_samples_of_its_share_and_then_reports() {
    let mut rig = rig(1, 3);
    let messages = [rig.subject(), rig.read()];
    rig.handle(messages);
    let sent = rig.sent();
    let [
        (0, Message::Samples { samples: first, .. }),
        (
            2,
            Message::Samples {
                samples: second, ..
            },
        ),
        (0, Message::Reply(Reply::Read { failure: None, .. })),
    ] = &sent[..]
    else {
        panic!("{sent:?}")
    };
    let neurons = |samples: &Samples| samples.piece().neurons.clone();
    assert_eq!((neurons(first), neurons(second)), (0..16, 32..48));
}

#[test]
fn a_large_chunk_is_read_and_sent_in_parts_and_reported_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("TimeSeries.h5");
    let (frames, neurons) = (1100, 2048);
    let file = hdf5::File::create(&path).expect("a file");
    let values = ndarray::Array2::from_shape_fn((frames, neurons), |(t, n)| (t + n) as f32);
    let dataset = file.new_dataset::<f32>().shape((frames, neurons));
    let dataset = dataset.chunk((frames, neurons)).deflate(1).create("F");
    dataset
        .and_then(|dataset| dataset.write(&values))
        .expect("values");
    file.close().expect("a whole file");
    let mut rig = rig(0, 2);
    let location = Location::hdf5(&path, "F", Orientation::FramesByNeurons).expect("traces");
    let storage = location.open().expect("traces").storage();
    rig.plan = SubjectPlan {
        location,
        unit_neurons: 512,
        stretch_units: 4,
        ..SubjectPlan::made_up(storage)
    };
    rig.pieces = storage.pieces(0..neurons);
    assert_eq!(rig.pieces.len(), 1);
    let messages = [rig.subject(), rig.read()];
    rig.handle(messages);
    let (mut arrived, mut parts, mut reports) = (0, 0, 0);
    for (rank, message) in rig.sent() {
        match message {
            Message::Samples { samples, .. } => {
                assert_eq!(rank, 1);
                assert!(samples.piece().samples() <= storage.largest_part());
                (arrived, parts) = (arrived + samples.piece().samples(), parts + 1);
            }
            Message::Reply(Reply::Read { failure: None, .. }) => reports += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((arrived, parts, reports), (frames * neurons / 2, 2, 1));
}

#[test]
fn nothing_is_read_while_much_is_on_its_way() {
    let mut rig = rig(0, 2);
    let messages = [rig.subject(), rig.read()];
    rig.handle(messages);
    rig.outbox.backlog = BACKLOG + 1;
    assert!(!rig.worker.send_or_read(&mut rig.outbox));
    rig.outbox.backlog = BACKLOG;
    assert!(rig.worker.send_or_read(&mut rig.outbox));
}

#[test]
fn a_piece_or_unit_of_a_recording_that_is_gone_is_reported_as_failed() {
    let mut rig = rig(0, 1);
    std::fs::remove_file(rig.plan.location.to_string()).expect("removed");
    let load = Message::Order(Order::Load {
        subject: 0,
        unit: 5,
    });
    let messages = [rig.subject(), rig.read(), load];
    rig.handle(messages);
    let sent = rig.sent();
    let [
        (
            0,
            Message::Reply(Reply::Failed {
                unit: 5,
                message: unit,
                ..
            }),
        ),
        (
            0,
            Message::Reply(Reply::Read {
                failure: Some(piece),
                ..
            }),
        ),
    ] = &sent[..]
    else {
        panic!("{sent:?}")
    };
    assert!(unit.contains("TimeSeries.h5") && piece.contains("TimeSeries.h5"));
}

#[test]
fn what_arrives_of_a_dropped_subject_is_ignored_and_dropping_it_again_changes_nothing() {
    let mut rig = rig(0, 2);
    // Another rank reads a piece and sends the samples late.
    let plan = rig.plan.clone();
    let whole = OpenRecording::default()
        .read_unit(&plan, 0)
        .expect("a unit");
    let late = |message: fn(Samples) -> Message| message(whole.clone());
    let samples = late(|samples| Message::Samples {
        subject: 0,
        stretch: 0,
        samples,
    });
    let unit = late(|samples| Message::Unit {
        subject: 0,
        unit: 0,
        samples,
        blank_frames: Vec::new(),
    });
    let spikes = Message::Spikes {
        subject: 0,
        spikes: UnitSpikes::new(0..4, 48, 120, &[0; 4 * 15]),
    };
    let messages = [rig.subject(), drop_it(), samples, unit, spikes, drop_it()];
    rig.handle(messages);
    assert!(rig.sent().is_empty());
    assert!(rig.worker.subjects.is_empty() && rig.worker.before_plan.is_empty());
}

#[test]
fn a_unit_that_is_computed_after_its_subject_was_dropped_is_not_reported() {
    let mut rig = rig(0, 1);
    let messages = [rig.subject(), rig.read(), compute(0, 0)];
    rig.handle(messages);
    assert!(rig.worker.send_or_read(&mut rig.outbox));
    rig.handle([drop_it()]);
    let sent = rig.sent();
    assert!(
        matches!(sent[..], [(0, Message::Reply(Reply::Read { .. }))]),
        "{sent:?}"
    );
}

#[test]
fn work_on_a_subject_that_a_rank_has_no_plan_of_is_reported_as_failed() {
    let mut rig = rig(1, 2);
    let load = Message::Order(Order::Load {
        subject: 0,
        unit: 2,
    });
    let messages = [rig.read(), load];
    rig.handle(messages);
    let failures: Vec<String> = rig
        .sent()
        .into_iter()
        .filter_map(|(_, message)| match message {
            Message::Reply(Reply::Read { failure, .. }) => failure,
            Message::Reply(Reply::Failed { message, .. }) => Some(message),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(failures, [UNKNOWN, UNKNOWN]);
}
