use std::path::PathBuf;

use spikegrid_core::grid::{Layout, PlaneRule};
use spikegrid_core::spikes::row_bytes;

use super::*;
use crate::run::fake_outbox::FakeOutbox;

const FRAMES: usize = 3000;
const NEURONS: usize = 6;

fn job(grids: Option<PathBuf>) -> WriteJob {
    let xyz: Vec<[f64; 3]> = (0..NEURONS)
        .map(|neuron| [neuron as f64, 2.0, (neuron % 2) as f64])
        .collect();
    WriteJob {
        subject: 4,
        frames: FRAMES,
        neurons: NEURONS,
        units: 3,
        layout: Layout::new(&xyz, PlaneRule::Levels).expect("levels"),
        grids: grids.map(GridsJob::Compress),
    }
}

/// The spikes of one of three units of two neurons: two spikes in each frame of `unit`.
fn spikes(unit: usize) -> UnitSpikes {
    let mut row = vec![0; row_bytes(FRAMES)];
    row[unit] = 0xff;
    let rows = [row.clone(), row].concat();
    UnitSpikes::new(2 * unit..2 * unit + 2, NEURONS, FRAMES, &rows)
}

fn replies(outbox: &mut FakeOutbox) -> Vec<Reply> {
    let sent = outbox.take_sent().into_iter();
    sent.filter_map(|(to, message)| match message {
        Message::Reply(reply) => {
            assert_eq!(to, 0);
            Some(reply)
        }
        _ => None,
    })
    .collect()
}

/// A file whose slab `fails`, counted from 0, is refused.
struct FakeFile {
    written: usize,
    fails: usize,
    plane_writers: PlaneWriters,
}

fn refused() -> OutputError {
    OutputError::io(Path::new("grids"), "cannot be written")(std::io::ErrorKind::StorageFull.into())
}

impl PlanesFile for FakeFile {
    fn plane_writers(&self) -> PlaneWriters {
        self.plane_writers.clone()
    }

    fn place(&mut self, _: &PlaneTable) -> Result<u64, OutputError> {
        assert!(matches!(self.plane_writers, PlaneWriters::EveryRank(_)));
        self.written += 1;
        match self.written == self.fails + 1 {
            true => Err(refused()),
            false => Ok(self.written as u64),
        }
    }

    fn write(&mut self, _: &Planes) -> Result<(), OutputError> {
        assert!(matches!(self.plane_writers, PlaneWriters::OneRank(_)));
        self.written += 1;
        match self.written == self.fails + 1 {
            true => Err(refused()),
            false => Ok(()),
        }
    }

    fn close(self: Box<Self>) -> Result<(), OutputError> {
        Ok(())
    }
}

/// A writer of files whose slab `fails` is refused, which has the spikes and the order to write; and its number of slabs.
fn begun(fails: usize, outbox: &mut FakeOutbox) -> (Writer, usize) {
    begun_with(PlaneWriters::OneRank("a test".into()), fails, outbox)
}

fn begun_with(
    plane_writers: PlaneWriters,
    fails: usize,
    outbox: &mut FakeOutbox,
) -> (Writer, usize) {
    let mut writer = Writer::with_files(Box::new(move |_, _, _| {
        Ok(Box::new(FakeFile {
            written: 0,
            fails,
            plane_writers: plane_writers.clone(),
        }))
    }));
    for unit in 0..3 {
        writer.add_spikes(outbox, 4, &spikes(unit));
    }
    writer.begin(outbox, job(Some("grids".into())));
    let found = replies(outbox);
    let [
        Reply::Opened {
            subject: 4, slabs, ..
        },
    ] = found[..]
    else {
        panic!("{found:?}")
    };
    (writer, slabs)
}

/// A writer of a file into which ranks 0 to 2 write, which have got six slabs.
fn with_ranks(outbox: &mut FakeOutbox) -> Writer {
    let (mut writer, slabs) = begun_with(PlaneWriters::EveryRank("grids".into()), 99, outbox);
    assert_eq!(slabs, 6);
    for slab in 0..slabs {
        writer.send_slab(outbox, 4, slab, slab % 3);
    }
    outbox.take_sent();
    writer
}

fn planes() -> Planes {
    Planes {
        table: PlaneTable {
            frames: 0..0,
            lengths: Vec::new(),
            checksums: Vec::new(),
            spikes_per_frame: Vec::new(),
            seconds: 0.5,
        },
        bytes: Vec::new(),
    }
}

#[test]
fn a_file_is_created_when_all_spikes_and_the_order_to_write_are_here_in_any_order() {
    for order_at in 0..4 {
        let folder = tempfile::tempdir().expect("a folder");
        let mut outbox = FakeOutbox::new(1, 2);
        let mut writer = Writer::default();
        for place in 0..4 {
            assert!(replies(&mut outbox).is_empty());
            match place == order_at {
                true => writer.begin(&mut outbox, job(Some(folder.path().join("grids.h5")))),
                false => {
                    let unit = [2, 0, 1][if place > order_at { place - 1 } else { place }];
                    writer.add_spikes(&mut outbox, 4, &spikes(unit));
                }
            }
        }
        let found = replies(&mut outbox);
        assert!(
            matches!(
                found[..],
                [Reply::Opened {
                    subject: 4,
                    slabs: 6,
                    at_once: SLABS_AT_ONCE,
                }]
            ),
            "{found:?}"
        );
    }
}

#[test]
fn without_grids_a_writer_counts_the_spikes_of_each_frame() {
    let mut outbox = FakeOutbox::new(0, 1);
    let mut writer = Writer::default();
    for unit in 0..3 {
        writer.add_spikes(&mut outbox, 4, &spikes(unit));
    }
    writer.begin(&mut outbox, job(None));
    let found = replies(&mut outbox);
    let [Reply::Written { written, .. }] = &found[..] else {
        panic!("{found:?}")
    };
    let expected: Vec<u32> = (0..FRAMES)
        .map(|frame| if frame < 24 { 2 } else { 0 })
        .collect();
    assert_eq!(written.spikes_per_frame, expected);
}

#[test]
fn a_rank_gets_the_layout_once_before_its_first_slab() {
    let mut outbox = FakeOutbox::new(0, 3);
    let (mut writer, _) = begun(99, &mut outbox);
    for (slab, to) in [(0, 1), (1, 2), (2, 1)] {
        writer.send_slab(&mut outbox, 4, slab, to);
    }
    let sent = outbox.take_sent();
    let names: Vec<(usize, &str)> = sent
        .iter()
        .map(|(to, message)| match message {
            Message::Layout { .. } => (*to, "layout"),
            Message::Slab { .. } => (*to, "slab"),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        (1, "layout"),
        (1, "slab"),
        (2, "layout"),
        (2, "slab"),
        (1, "slab"),
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_writer_that_fails_at_its_first_a_middle_or_its_last_slab_says_so_once_and_answers_for_every_slab()
 {
    for fails in [0, 3, 5] {
        let mut outbox = FakeOutbox::new(0, 2);
        let (mut writer, slabs) = begun(fails, &mut outbox);
        assert_eq!(slabs, 6);
        for slab in 0..slabs {
            writer.write(&mut outbox, slab % 2, 4, &planes());
            let found = replies(&mut outbox);
            assert!(matches!(found[0], Reply::Rasterised { rank, subject: 4 } if rank == slab % 2));
            match &found[1..] {
                [
                    Reply::Unwritten {
                        subject: 4,
                        message,
                    },
                ] if slab == fails => {
                    assert!(message.contains("cannot be written"), "{message}");
                }
                [] if slab != fails => {}
                other => panic!("slab {slab}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_writer_reports_after_its_last_slab_what_rasterising_took() {
    let mut outbox = FakeOutbox::new(0, 1);
    let (mut writer, slabs) = begun(99, &mut outbox);
    for _ in 0..slabs {
        writer.write(&mut outbox, 0, 4, &planes());
    }
    let found = replies(&mut outbox);
    let Some(Reply::Written {
        subject: 4,
        written,
    }) = found.last()
    else {
        panic!("{found:?}")
    };
    assert_eq!(written.rasterise_sec, 0.5 * slabs as f64);
}

#[test]
fn a_file_that_cannot_be_created_is_reported_with_its_path() {
    let mut outbox = FakeOutbox::new(0, 1);
    let mut writer = Writer::default();
    for unit in 0..3 {
        writer.add_spikes(&mut outbox, 4, &spikes(unit));
    }
    writer.begin(&mut outbox, job(Some("/nowhere/grids.h5".into())));
    let found = replies(&mut outbox);
    let [
        Reply::Unwritten {
            subject: 4,
            message,
        },
    ] = &found[..]
    else {
        panic!("{found:?}")
    };
    assert!(message.contains("/nowhere/"), "{message}");
}

#[test]
fn what_arrives_of_a_dropped_subject_is_ignored() {
    let mut outbox = FakeOutbox::new(0, 1);
    let (mut writer, _) = begun(99, &mut outbox);
    writer.drop_subject(4);
    writer.add_spikes(&mut outbox, 4, &spikes(1));
    writer.send_slab(&mut outbox, 4, 1, 0);
    writer.write(&mut outbox, 0, 4, &planes());
    writer.drop_subject(4);
    assert!(outbox.take_sent().is_empty());
    assert!(writer.subjects.is_empty());
}

#[test]
fn ranks_get_places_in_any_order_and_the_file_is_closed_when_all_have_closed_it() {
    let mut outbox = FakeOutbox::new(0, 4);
    let mut writer = with_ranks(&mut outbox);
    for (rank, address) in [(2, 1), (0, 2), (1, 3), (1, 4), (2, 5), (0, 6)] {
        writer.place(&mut outbox, rank, 4, &planes().table);
        let sent = outbox.take_sent();
        assert!(
            matches!(sent[..], [(to, Message::Place { subject: 4, address: found, .. })] if to == rank && found == address),
            "{sent:?}"
        );
    }
    for rank in [1, 0, 0, 2, 1] {
        writer.placed(&mut outbox, rank, 4, Ok(0.25));
        let found = replies(&mut outbox);
        assert!(matches!(found[..], [Reply::Rasterised { rank: found, .. }] if found == rank));
    }
    writer.placed(&mut outbox, 2, 4, Ok(0.25));
    let mut closing: Vec<usize> = outbox
        .take_sent()
        .into_iter()
        .filter(|(_, message)| matches!(message, Message::Close { subject: 4 }))
        .map(|(to, _)| to)
        .collect();
    closing.sort_unstable();
    assert_eq!(closing, [0, 1, 2]);
    for _ in 0..2 {
        writer.closed(&mut outbox, 4, Ok(0.5));
        assert!(outbox.take_sent().is_empty());
    }
    writer.closed(&mut outbox, 4, Ok(0.5));
    let found = replies(&mut outbox);
    let [Reply::Written { written, .. }] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!((written.write_sec, written.rasterise_sec), (3.0, 3.0));
}

#[test]
fn a_rank_that_cannot_write_fails_the_subject_once_and_no_more_places_are_given() {
    let mut outbox = FakeOutbox::new(0, 4);
    let mut writer = with_ranks(&mut outbox);
    for rank in [0, 1, 2] {
        writer.place(&mut outbox, rank, 4, &planes().table);
    }
    outbox.take_sent();
    writer.placed(&mut outbox, 1, 4, Err("no space".into()));
    let found = replies(&mut outbox);
    assert!(
        matches!(&found[..], [Reply::Rasterised { rank: 1, .. }, Reply::Unwritten { message, .. }] if message == "no space"),
        "{found:?}"
    );
    // What other ranks have been given is answered, whether they could write it or not.
    writer.placed(&mut outbox, 0, 4, Ok(0.0));
    writer.placed(&mut outbox, 2, 4, Err("no space".into()));
    // The rest of the slabs come back without a place.
    for rank in [0, 1, 2] {
        writer.place(&mut outbox, rank, 4, &planes().table);
    }
    let sent = outbox.take_sent();
    assert_eq!(sent.len(), 5);
    let rasterised =
        |message: &Message| matches!(message, Message::Reply(Reply::Rasterised { .. }));
    assert!(
        sent.iter().all(|(_, message)| rasterised(message)),
        "{sent:?}"
    );
}

#[test]
fn planes_that_a_rank_cannot_bring_to_disk_fail_the_subject_once() {
    let mut outbox = FakeOutbox::new(0, 4);
    let mut writer = with_ranks(&mut outbox);
    for slab in 0..6 {
        writer.place(&mut outbox, slab % 3, 4, &planes().table);
        writer.placed(&mut outbox, slab % 3, 4, Ok(0.0));
    }
    outbox.take_sent();
    for outcome in [Ok(0.0), Err("lost".into()), Err("lost".into())] {
        writer.closed(&mut outbox, 4, outcome);
    }
    let found = replies(&mut outbox);
    assert!(
        matches!(&found[..], [Reply::Unwritten { subject: 4, message }] if message == "lost"),
        "{found:?}"
    );
}

#[test]
fn answers_of_ranks_about_a_dropped_subject_are_ignored() {
    let mut outbox = FakeOutbox::new(0, 4);
    let mut writer = with_ranks(&mut outbox);
    writer.place(&mut outbox, 1, 4, &planes().table);
    outbox.take_sent();
    writer.drop_subject(4);
    writer.placed(&mut outbox, 1, 4, Ok(0.0));
    writer.place(&mut outbox, 2, 4, &planes().table);
    writer.closed(&mut outbox, 4, Err("lost".into()));
    assert!(outbox.take_sent().is_empty());
}
