use std::path::Path;

use spikegrid_core::grid::PlaneRule;
use spikegrid_core::slab::PlaneTable;

use super::*;
use crate::run::fake_outbox::FakeOutbox;

const SUBJECT: usize = 3;
const WRITER: usize = 2;

fn planes(first_frame: usize) -> Planes {
    Planes {
        table: PlaneTable {
            frames: first_frame..first_frame + 8,
            lengths: vec![4],
            checksums: vec![1],
            spikes_per_frame: Vec::new(),
            seconds: 0.0,
        },
        bytes: vec![first_frame as u8; 4],
    }
}

/// A rank whose subject is written in this way, and its outbox.
fn rank(plane_writers: PlaneWriters) -> (RankPlanes, FakeOutbox) {
    let mut rank = RankPlanes::default();
    let layout = Layout::new(&[[1.0; 3]], PlaneRule::Levels).expect("a level");
    rank.begin(SUBJECT, WRITER, layout, plane_writers);
    (rank, FakeOutbox::new(1, 4))
}

fn in_file(path: &Path) -> PlaneWriters {
    PlaneWriters::EveryRank(path.to_path_buf())
}

/// What the writer is told of places and files; all messages go to it.
fn told(outbox: &mut FakeOutbox) -> Vec<Result<(), String>> {
    let sent = outbox.take_sent().into_iter();
    sent.map(|(to, message)| {
        assert_eq!(to, WRITER);
        match message {
            Message::Placed { subject, outcome } | Message::Closed { subject, outcome } => {
                assert_eq!(subject, SUBJECT);
                outcome.map(|seconds| assert!(seconds >= 0.0))
            }
            other => panic!("{other:?}"),
        }
    })
    .collect()
}

#[test]
fn planes_wait_for_their_places_which_come_in_any_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("grids");
    std::fs::write(&path, [9; 2]).expect("a file");
    let (mut rank, mut outbox) = rank(in_file(&path));
    for first_frame in [0, 8, 16] {
        rank.on_rasterised(&mut outbox, SUBJECT, planes(first_frame));
        let sent = outbox.take_sent();
        let [(WRITER, Message::PlaneTable { table, .. })] = &sent[..] else {
            panic!("{sent:?}")
        };
        assert_eq!(*table, planes(first_frame).table);
    }
    for (first_frame, address) in [(16, 2), (0, 10), (8, 6)] {
        rank.on_place(&mut outbox, SUBJECT, first_frame, address);
        assert_eq!(told(&mut outbox), [Ok(())]);
    }
    rank.close(&mut outbox, SUBJECT);
    assert_eq!(told(&mut outbox), [Ok(())]);
    let written = std::fs::read(&path).expect("the file");
    assert_eq!(written, [9, 9, 16, 16, 16, 16, 8, 8, 8, 8, 0, 0, 0, 0]);
}

#[test]
fn a_rank_that_cannot_write_its_planes_tells_the_writer_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let gone = folder.path().join("gone");
    for (path, reason) in [
        (Path::new("/dev/full"), "No space left on device"),
        (&gone, "No such file"),
    ] {
        let (mut rank, mut outbox) = rank(in_file(path));
        for first_frame in [0, 8] {
            rank.on_rasterised(&mut outbox, SUBJECT, planes(first_frame));
            outbox.take_sent();
            rank.on_place(&mut outbox, SUBJECT, first_frame, 4096);
            let said = told(&mut outbox).remove(0).expect_err("not written");
            assert!(
                said.contains(reason) && said.contains(path.to_str().unwrap()),
                "{said}"
            );
        }
    }
    assert!(!gone.exists(), "no file is made");
}

#[test]
fn a_place_for_planes_that_a_rank_has_not_is_a_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("grids");
    std::fs::write(&path, []).expect("a file");
    let (mut rank, mut outbox) = rank(in_file(&path));
    rank.on_place(&mut outbox, SUBJECT, 0, 0);
    assert!(told(&mut outbox)[0].is_err());
    // A rank that has written nothing has nothing to bring to disk.
    rank.close(&mut outbox, SUBJECT);
    assert_eq!(told(&mut outbox), [Ok(())]);
}

#[test]
fn where_one_rank_writes_it_gets_the_planes() {
    let (mut rank, mut outbox) = rank(PlaneWriters::OneRank("a test".into()));
    rank.on_rasterised(&mut outbox, SUBJECT, planes(8));
    let sent = outbox.take_sent();
    assert!(
        matches!(&sent[..], [(WRITER, Message::Planes { planes: found, .. })] if *found == planes(8))
    );
    rank.on_place(&mut outbox, SUBJECT, 8, 0);
    assert!(told(&mut outbox)[0].is_err());
}

#[test]
fn what_arrives_of_a_dropped_subject_is_ignored() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("grids");
    std::fs::write(&path, []).expect("a file");
    let (mut rank, mut outbox) = rank(in_file(&path));
    rank.on_rasterised(&mut outbox, SUBJECT, planes(0));
    outbox.take_sent();
    rank.drop_subject(SUBJECT);
    rank.on_place(&mut outbox, SUBJECT, 0, 0);
    rank.on_rasterised(&mut outbox, SUBJECT, planes(8));
    rank.close(&mut outbox, SUBJECT);
    assert!(outbox.take_sent().is_empty() && rank.layout(SUBJECT).is_none());
    assert_eq!(std::fs::read(&path).expect("the file"), [0; 0]);
}
