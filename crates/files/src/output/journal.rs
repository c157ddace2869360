//! The journal of a subject: its finished work units, so that an interrupted subject need not compute them again.
//!
//! Each rank appends the units that it computed to a file of its own, `.journal-<run>-<rank>`, in the subject's output
//! folder. No run writes to the files of those before it, so ranks may be more or fewer each time, and all files go when
//! the subject is complete. A file is a sequence of records, numbers little-endian:
//!
//! ```text
//! unit (u64) │ length of the payload (u64) │ CRC-32 of unit, length and payload (u32) │ payload
//! ```
//!
//! The first record has the unit 2⁶⁴ − 1 and holds, as JSON, all that the results depend on ([`Key`]). A file whose key
//! is another is not used. The records after it count up to the first that is torn.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use flate2::Crc;
use serde::{Deserialize, Serialize};
use spikegrid_core::activity::Precision;
use spikegrid_core::spikes::row_bytes;
use spikegrid_core::unit::{UnitSummary, Units};

use super::provenance::{Provenance, describe, differences};
use crate::regular;

const FORMAT: u32 = 6;
const PREFIX: &str = ".journal-";
/// The unit of the record that holds the key.
const KEY: u64 = u64::MAX;
const HEAD_BYTES: usize = 20;
/// Largest key that is read, in bytes.
const MAX_KEY_BYTES: u64 = 1 << 20;
/// A killed process loses nothing that it wrote; a host that loses its power, what it wrote since this long.
const SYNC_INTERVAL: Duration = Duration::from_secs(20);

/// All that the results of a subject's work units depend on.
#[derive(Debug, Clone, Serialize)]
pub struct Key<'a> {
    journal_format: u32,
    software_version: &'static str,
    subject: &'a str,
    frames: usize,
    neurons: usize,
    neurons_per_work_unit: usize,
    num_neurons: usize,
    save_traces: bool,
    activity: Option<Precision>,
    nwb: bool,
    #[serde(flatten)]
    provenance: &'a Provenance,
}

impl<'a> Key<'a> {
    /// The key of a subject that is cut into `units`, has `num_neurons` neurons plotted and writes traces if `save_traces`, an
    /// `activity` matrix of these numbers, and an NWB file if `nwb`.
    pub fn new(
        subject: &'a str,
        units: Units,
        num_neurons: usize,
        save_traces: bool,
        activity: Option<Precision>,
        nwb: bool,
        provenance: &'a Provenance,
    ) -> Self {
        Self {
            journal_format: FORMAT,
            software_version: env!("CARGO_PKG_VERSION"),
            subject,
            frames: units.frames,
            neurons: units.neurons,
            neurons_per_work_unit: units.unit_neurons,
            num_neurons,
            save_traces,
            activity,
            nwb,
            provenance,
        }
    }
}

/// A finished work unit as the journal holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JournalledUnit {
    /// What rank 0 is told of it.
    pub summary: UnitSummary,
    /// Spikes, (n, ceil(T / 8)).
    pub spikes: Vec<u8>,
    /// CRC-32 of the unit's part of `traces.h5` and the NWB file, if one of them is written.
    pub filled_checksum: Option<u32>,
}

/// What the earlier runs of a subject left, and where this one adds to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Journal {
    folder: PathBuf,
    /// The number of this run in the names of its files.
    run: u32,
    /// This run's key as JSON.
    key: String,
    files: Vec<String>,
    places: BTreeMap<usize, Place>,
}

/// Where the payload of a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Place {
    file: usize,
    offset: u64,
    length: u64,
}

impl Journal {
    /// Finds the units of earlier runs in a subject's folder that have the same key, and removes journals with another.
    /// Returns, too, what differed in the latter.
    pub fn open(folder: &Path, key: &Key, units: usize) -> (Self, Option<String>) {
        let now = serde_json::to_string(key).unwrap_or_default();
        let mut journal = Self {
            folder: folder.to_path_buf(),
            key: now,
            ..Self::default()
        };
        let mut difference = None;
        for name in names(folder).unwrap_or_default() {
            journal.run = journal.run.max(run_of(&name) + 1);
            let path = folder.join(&name);
            match journal.scan(&path, units) {
                Some(earlier) => {
                    if !earlier.is_empty() {
                        difference = Some(differing(key, &earlier));
                    }
                    let _ = fs::remove_file(path);
                }
                None => journal.files.push(name),
            }
        }
        (journal, difference)
    }

    /// Notes where the whole records of a file are, or returns the key for which it cannot be used.
    fn scan(&mut self, path: &Path, units: usize) -> Option<String> {
        let Ok(file) = regular::open(path) else {
            return Some(String::new());
        };
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        let Some((key, mut next)) = read_key(&file, size) else {
            return Some(String::new());
        };
        if key != self.key {
            return Some(key);
        }
        while let Some((unit, length)) = read_head(&file, next, size) {
            let offset = next + HEAD_BYTES as u64;
            let Some(unit) = usize::try_from(unit).ok().filter(|unit| *unit < units) else {
                break;
            };
            let place = Place {
                file: self.files.len(),
                offset,
                length,
            };
            self.places.insert(unit, place);
            next = offset + length;
        }
        None
    }

    /// The number of units that an earlier run finished.
    pub fn units(&self) -> usize {
        self.places.len()
    }

    /// Whether an earlier run finished the unit.
    pub fn has(&self, unit: usize) -> bool {
        self.places.contains_key(&unit)
    }

    /// The units that an earlier run finished.
    pub fn all(&self) -> BTreeSet<usize> {
        self.places.keys().copied().collect()
    }

    /// A unit that an earlier run finished, if its record is whole.
    pub fn load(&self, units: Units, unit: usize) -> Option<JournalledUnit> {
        let place = self.places.get(&unit)?;
        let file = regular::open(&self.folder.join(self.files.get(place.file)?)).ok()?;
        let payload = read_payload(&file, unit as u64, place.offset, place.length)?;
        let found: JournalledUnit = postcard::from_bytes(&payload).ok()?;
        let (neurons, bytes) = (units.neurons_of(unit), row_bytes(units.frames));
        let summary = &found.summary;
        let whole = summary.noise_level.len() == neurons.len()
            && summary.model_noise_level.len() == neurons.len()
            && summary.facts.len() == neurons.len()
            && found.spikes.len() == neurons.len() * bytes
            && summary.plotted.iter().all(|plotted| {
                neurons.contains(&plotted.neuron)
                    && plotted.dff.len() == units.frames
                    && plotted.rate.len() == units.frames
                    && plotted.spikes.len() == bytes
            });
        whole.then_some(found)
    }

    /// This run's file of a rank; made with the first unit.
    pub fn writer(&self, rank: usize) -> Writer {
        let name = format!("{PREFIX}{}-{rank}", self.run);
        Writer {
            path: self.folder.join(name),
            key: self.key.clone(),
            state: State::Unused,
        }
    }
}

/// Names what differs from the key of a journal.
fn differing(key: &Key, earlier: &str) -> String {
    let earlier: serde_json::Value = serde_json::from_str(earlier).unwrap_or_default();
    match differences(key, &earlier) {
        found if found.is_empty() => "other settings".to_string(),
        found => describe(&found),
    }
}

/// Removes the journals in a subject's folder.
///
/// # Errors
/// The system's reason for the first that stays.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    for name in names(folder)? {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The names of the journals in a folder, ascending.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names: Vec<String> = fs::read_dir(folder)?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(PREFIX))
        .collect();
    names.sort();
    Ok(names)
}

fn run_of(name: &str) -> u32 {
    let numbers = name.strip_prefix(PREFIX).unwrap_or_default();
    let run = numbers.split('-').next().and_then(|run| run.parse().ok());
    run.filter(|run| *run < u32::MAX).unwrap_or(0)
}

/// The key of a file, and where its second record begins.
fn read_key(file: &File, size: u64) -> Option<(String, u64)> {
    let (unit, length) = read_head(file, 0, size)?;
    if unit != KEY || length > MAX_KEY_BYTES {
        return None;
    }
    let payload = read_payload(file, KEY, HEAD_BYTES as u64, length)?;
    Some((String::from_utf8(payload).ok()?, HEAD_BYTES as u64 + length))
}

/// Unit and length of the record at `offset`, if the file is long enough for it.
fn read_head(file: &File, offset: u64, size: u64) -> Option<(u64, u64)> {
    let mut head = [0; HEAD_BYTES];
    file.read_exact_at(&mut head, offset).ok()?;
    let (unit, length, _) = parse_head(head);
    let left = size.checked_sub(offset)?.checked_sub(HEAD_BYTES as u64)?;
    (length > 0 && length <= left).then_some((unit, length))
}

/// The payload at `offset`, if its checksum is right.
fn read_payload(file: &File, unit: u64, offset: u64, length: u64) -> Option<Vec<u8>> {
    let mut head = [0; HEAD_BYTES];
    file.read_exact_at(&mut head, offset - HEAD_BYTES as u64)
        .ok()?;
    let mut payload = vec![0; usize::try_from(length).ok()?];
    file.read_exact_at(&mut payload, offset).ok()?;
    (parse_head(head) == (unit, length, checksum(unit, &payload))).then_some(payload)
}

fn parse_head(head: [u8; HEAD_BYTES]) -> (u64, u64, u32) {
    let number = |at: usize, bytes: usize| {
        head[at..at + bytes]
            .iter()
            .rev()
            .fold(0, |number, &byte| number << 8 | u64::from(byte))
    };
    (number(0, 8), number(8, 8), number(16, 4) as u32)
}

fn checksum(unit: u64, payload: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(&unit.to_le_bytes());
    crc.update(&(payload.len() as u64).to_le_bytes());
    crc.update(payload);
    crc.sum()
}

fn record(unit: u64, payload: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEAD_BYTES + payload.len());
    record.extend(unit.to_le_bytes());
    record.extend((payload.len() as u64).to_le_bytes());
    record.extend(checksum(unit, payload).to_le_bytes());
    record.extend(payload);
    record
}

/// A rank's file.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    key: String,
    state: State,
}

#[derive(Debug)]
enum State {
    Unused,
    /// Brought to disk regularly by a thread that ends when the sender is dropped.
    Open {
        file: File,
        _stop: Sender<()>,
    },
    /// Nothing more is written: what follows a torn record is not read.
    Failed,
}

impl Writer {
    /// Adds a unit. After a failure, which is returned once, nothing is added any more.
    ///
    /// # Errors
    /// The system's reason, with the file.
    pub fn append(&mut self, unit: usize, finished: &JournalledUnit) -> Result<(), String> {
        let written = self.try_append(unit, finished);
        written.map_err(|error| {
            self.state = State::Failed;
            format!(
                "{}: {error}; the work units finished from here on are computed again if this run is interrupted",
                self.path.display()
            )
        })
    }

    fn try_append(&mut self, unit: usize, finished: &JournalledUnit) -> io::Result<()> {
        let payload = postcard::to_stdvec(finished).map_err(io::Error::other)?;
        let bytes = record(unit as u64, &payload);
        match &mut self.state {
            State::Failed => Ok(()),
            State::Open { file, .. } => file.write_all(&bytes),
            State::Unused => {
                let mut file = OpenOptions::new()
                    .append(true)
                    .create_new(true)
                    .open(&self.path)?;
                file.write_all(&record(KEY, self.key.as_bytes()))?;
                file.write_all(&bytes)?;
                let (stop, stopped) = channel();
                let same = file.try_clone()?;
                thread::Builder::new().spawn(move || sync_regularly(&same, &stopped))?;
                self.state = State::Open { file, _stop: stop };
                Ok(())
            }
        }
    }

    /// Waits until what was added is on disk.
    pub fn sync(&self) {
        if let State::Open { file, .. } = &self.state {
            // A record that does not get there is computed again.
            let _ = file.sync_data();
        }
    }
}

fn sync_regularly(file: &File, stopped: &Receiver<()>) {
    while stopped.recv_timeout(SYNC_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let _ = file.sync_data();
    }
}

#[cfg(test)]
mod tests {
    use spikegrid_core::unit::{NeuronFacts, PlottedNeuron};

    use super::super::provenance::made_up;
    use super::*;

    const UNITS: Units = Units {
        frames: 20,
        neurons: 7,
        unit_neurons: 2,
    };
    const PLOTTED: [usize; 1] = [3];

    fn unit(unit: usize) -> JournalledUnit {
        let neurons = UNITS.neurons_of(unit);
        let plotted = PLOTTED.iter().filter(|plotted| neurons.contains(plotted));
        JournalledUnit {
            summary: UnitSummary {
                noise_level: vec![unit as f32; neurons.len()],
                model_noise_level: vec![2; neurons.len()],
                facts: vec![NeuronFacts::default(); neurons.len()],
                plotted: plotted
                    .map(|&neuron| PlottedNeuron {
                        neuron,
                        dff: vec![0.5; 20],
                        rate: vec![0.25; 20],
                        spikes: vec![1; 3],
                    })
                    .collect(),
                ..UnitSummary::default()
            },
            spikes: vec![unit as u8; neurons.len() * 3],
            filled_checksum: None,
        }
    }

    fn open(folder: &Path, seed: u32) -> (Journal, Option<String>) {
        let provenance = made_up(seed);
        let key = Key::new(
            "subject_1",
            UNITS,
            PLOTTED.len(),
            false,
            None,
            false,
            &provenance,
        );
        Journal::open(folder, &key, UNITS.count())
    }

    fn write(folder: &Path, rank: usize, units: &[usize]) {
        let (journal, _) = open(folder, 42);
        let mut writer = journal.writer(rank);
        for &number in units {
            writer.append(number, &unit(number)).unwrap();
        }
    }

    /// The units that are there, each of which must be right.
    fn found(folder: &Path) -> Vec<usize> {
        let (journal, _) = open(folder, 42);
        let units = (0..UNITS.count()).filter(|&number| {
            let loaded = journal.load(UNITS, number);
            assert!(loaded.iter().all(|loaded| *loaded == unit(number)));
            loaded.is_some()
        });
        units.collect()
    }

    #[test]
    fn units_of_all_ranks_and_runs_are_found() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 0, &[0]);
        write(folder.path(), 1, &[3]);
        write(folder.path(), 0, &[2]);
        assert_eq!(found(folder.path()), [0, 2, 3]);
        assert_eq!(
            names(folder.path()).expect("names"),
            [".journal-0-0", ".journal-1-1", ".journal-2-0"]
        );
        remove(folder.path()).expect("removed");
        assert!(found(folder.path()).is_empty());
    }

    #[test]
    fn a_torn_record_costs_itself_alone_and_what_follows_a_tear_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 0, &[0]);
        let path = folder.path().join(".journal-0-0");
        let one = fs::metadata(&path).unwrap().len() as usize;
        remove(folder.path()).expect("removed");
        write(folder.path(), 0, &[0, 1]);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let expected: &[usize] = if length < one { &[] } else { &[0] };
            assert_eq!(found(folder.path()), expected, "{length} bytes");
            remove(folder.path()).expect("removed");
        }
    }

    #[test]
    fn a_damaged_record_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 0, &[0, 1, 3]);
        let path = folder.path().join(".journal-0-0");
        let whole = fs::read(&path).unwrap();
        for place in 0..whole.len() {
            for flipped in [1, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[place] ^= flipped;
                fs::write(&path, damaged).unwrap();
                assert!(found(folder.path()).len() < 3, "byte {place}");
                remove(folder.path()).expect("removed");
            }
        }
    }

    #[test]
    fn another_key_is_named_and_its_journal_removed() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 0, &[0, 1]);
        let (journal, difference) = open(folder.path(), 7);
        assert_eq!(difference.as_deref(), Some("seed 42 (now 7)"));
        assert_eq!(journal.units(), 0);
        assert!(names(folder.path()).expect("names").is_empty());
    }

    #[test]
    fn a_journal_that_cannot_be_written_is_said_once() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = open(&folder.path().join("gone"), 42);
        let mut writer = journal.writer(0);
        let said = writer.append(0, &unit(0)).unwrap_err();
        assert!(said.contains(".journal-0-0: No such file"), "{said}");
        assert_eq!(writer.append(1, &unit(1)), Ok(()));
    }
}
