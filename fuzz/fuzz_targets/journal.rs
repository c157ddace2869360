//! The journal of a subject. The first byte says whether the rest follows the key as it is, or as the payload of a
//! record whose checksum is right.
#![no_main]

use std::sync::LazyLock;

use flate2::Crc;
use spikegrid_core::baseline::Baseline;
use spikegrid_core::cascade::Threshold;
use spikegrid_core::unit::{UnitSummary, Units};
use spikegrid_files::output::journal::{Journal, JournalledUnit, Key};
use spikegrid_files::output::provenance::Provenance;
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

const UNITS: Units = Units {
    frames: 20,
    neurons: 7,
    unit_neurons: 2,
};

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
        cells: None,
        neuropil_coefficient: None,
        seed: 42,
        split_ratio: 0.95,
        source_format: None,
        input: None,
    };
    let key = Key::new("subject_1", UNITS, 1, false, &provenance);
    Journal::open(FOLDER.path(), &key, UNITS.count())
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
    for unit in 0..UNITS.count() {
        if let Some(found) = journal.load(UNITS, unit, false) {
            assert_eq!(found.spikes.len(), UNITS.neurons_of(unit).len() * 3);
        }
    }
});
