//! The journal of a subject. The first byte says whether the rest follows the key as it is, or as the payload of a
//! record whose checksum is right.
#![no_main]

use std::sync::LazyLock;

use flate2::Crc;
use spikegrid_mpi::baseline::Baseline;
use spikegrid_mpi::cascade::Threshold;
use spikegrid_mpi::config::Provenance;
use spikegrid_mpi::input::traces::Storage;
use spikegrid_mpi::output::journal::{Journal, JournalledUnit, Key};
use spikegrid_mpi::pipeline::UnitSummary;
use spikegrid_mpi::subject::SubjectPlan;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir().expect("a temporary folder"));

/// A journal of this plan with one unit.
static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let unit = JournalledUnit {
        summary: UnitSummary::default(),
        spikes: Vec::new(),
        traces_checksum: None,
    };
    let (journal, _) = open();
    journal.writer(0).append(0, &unit).expect("a record");
    std::fs::read(FOLDER.path().join(".journal-0-0")).expect("a journal")
});

fn plan() -> SubjectPlan {
    SubjectPlan {
        name: "subject_1".into(),
        unit_neurons: 2,
        drawn: vec![3],
        ..SubjectPlan::made_up(Storage::contiguous(20, 7))
    }
}

fn open() -> (Journal, Option<String>) {
    let provenance = Provenance {
        cascade_model: "model".into(),
        model_sha256: "sum".into(),
        sampling_rate: 2.0,
        window_sec: 30.0,
        percentile: 8.0,
        baseline: Baseline::Dff,
        threshold: Threshold::One,
        shift_frames: 0,
        calcium_dataset: "CellResp".into(),
        seed: 42,
        split_ratio: 0.95,
        input: None,
    };
    let plan = plan();
    Journal::open(FOLDER.path(), &Key::new(&plan, false, &provenance), 4)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else {
        return;
    };
    let mut file = match kind {
        0 => Vec::new(),
        _ => WHOLE.clone(),
    };
    if kind % 2 == 1 {
        let unit = u64::from(kind / 2 % 4).to_le_bytes();
        let length = (rest.len() as u64).to_le_bytes();
        let mut crc = Crc::new();
        [&unit[..], &length, rest]
            .iter()
            .for_each(|part| crc.update(part));
        file.extend([unit, length].concat());
        file.extend(crc.sum().to_le_bytes());
    }
    file.extend(rest);
    std::fs::write(FOLDER.path().join(".journal-0-0"), file).expect("a file");
    let (journal, _) = open();
    let plan = plan();
    for unit in 0..plan.units() {
        if let Some(found) = journal.load(&plan, unit) {
            assert_eq!(found.spikes.len(), plan.unit(unit).len() * 3);
        }
    }
});
