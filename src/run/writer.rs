//! What a rank does as the writer of a subject: it gathers the spikes of all neurons, deals out slabs of frames to be drawn,
//! and writes what comes back.
//!
//! Every rank can be the writer of subjects while it computes others. Nothing here waits: each message is handled as it comes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use spikegrid_core::slab::{Planes, Slab, Slabs};
use spikegrid_core::spikes::row_bytes;
use spikegrid_files::output::grids::GridsFile;

use super::messages::{Message, Outbox, Reply, WriteJob, Written};

/// The subjects that this rank writes.
#[derive(Default)]
pub struct Writer {
    subjects: HashMap<usize, SubjectSpikes>,
    /// Subjects of which spikes may still arrive, to no use.
    dropped: HashSet<usize>,
}

#[derive(Default)]
struct SubjectSpikes {
    /// The spikes of each unit, (n, ceil(T / 8)).
    units: BTreeMap<usize, Vec<u8>>,
    writing: Option<Writing>,
}

struct Writing {
    job: WriteJob,
    slabs: Slabs,
    /// Slabs that are not written yet.
    left: usize,
    /// None before all spikes are here, and after a failure.
    file: Option<GridsFile>,
    /// The ranks that have the layout.
    informed: HashSet<usize>,
    written: Written,
}

impl Writing {
    /// All is done: what rank 0 wants to know.
    fn end(&mut self, units: &BTreeMap<usize, Vec<u8>>) -> Message {
        let units = units.values().map(Vec::as_slice);
        self.written.spikes_per_frame = spikes_per_frame(self.job.frames, units);
        Message::Reply(Reply::Written {
            subject: self.job.subject,
            written: std::mem::take(&mut self.written),
        })
    }
}

impl Writer {
    /// Takes in a unit's spikes, (n, ceil(T / 8)).
    pub fn add_spikes(
        &mut self,
        outbox: &mut impl Outbox,
        subject: usize,
        unit: usize,
        spikes: Vec<u8>,
    ) {
        if !self.dropped.contains(&subject) {
            let subject_spikes = self.subjects.entry(subject).or_default();
            subject_spikes.units.insert(unit, spikes);
            self.open(outbox, subject);
        }
    }

    /// Begins as soon as all spikes are here.
    pub fn begin(&mut self, outbox: &mut impl Outbox, job: WriteJob) {
        let subject = job.subject;
        let slabs = Slabs::new(job.frames, job.neurons, job.layout.planes());
        self.subjects.entry(subject).or_default().writing = Some(Writing {
            slabs,
            left: slabs.count(),
            file: None,
            informed: HashSet::new(),
            written: Written::default(),
            job,
        });
        self.open(outbox, subject);
    }

    fn open(&mut self, outbox: &mut impl Outbox, subject: usize) {
        let Some(subject_spikes) = self.subjects.get_mut(&subject) else {
            return;
        };
        let Some(writing) = &mut subject_spikes.writing else {
            return;
        };
        let job = &writing.job;
        if subject_spikes.units.len() < job.units {
            return;
        }
        let Some(path) = &job.grids else {
            let ended = writing.end(&subject_spikes.units);
            outbox.send(0, ended);
            return;
        };
        let opened = GridsFile::create(path, job.frames, job.layout.planes());
        let reply = match opened {
            Ok(file) => {
                writing.file = Some(file);
                Reply::Opened {
                    subject,
                    slabs: writing.left,
                }
            }
            Err(error) => unwritten(subject, error),
        };
        outbox.send(0, Message::Reply(reply));
    }

    /// Gives a rank the spikes of a slab, and with its first the layout.
    pub fn send_slab(&mut self, outbox: &mut impl Outbox, subject: usize, slab: usize, to: usize) {
        let Some(subject_spikes) = self.subjects.get_mut(&subject) else {
            return;
        };
        let Some(writing) = &mut subject_spikes.writing else {
            return;
        };
        let job = &writing.job;
        if writing.informed.insert(to) {
            let layout = Box::new(job.layout.clone());
            outbox.send(to, Message::Layout { subject, layout });
        }
        let start = Instant::now();
        let frames = writing.slabs.frames(slab);
        let units = subject_spikes.units.values().map(Vec::as_slice);
        let spikes = Slab::cut(frames, job.frames, job.neurons, units);
        outbox.send(to, Message::Slab { subject, spikes });
        writing.written.write_sec += start.elapsed().as_secs_f64();
    }

    /// Writes a slab that a rank has drawn, and after the last one closes the file.
    pub fn write(
        &mut self,
        outbox: &mut impl Outbox,
        rank: usize,
        subject: usize,
        planes: &Planes,
    ) {
        let Some(subject_spikes) = self.subjects.get_mut(&subject) else {
            return;
        };
        let Some(writing) = &mut subject_spikes.writing else {
            return;
        };
        let start = Instant::now();
        writing.left -= 1;
        let last = writing.left == 0;
        let outcome = writing.file.take().map(|file| {
            file.write(planes)?;
            match last {
                true => file.close().map(|()| None),
                false => Ok(Some(file)),
            }
        });
        writing.written.rasterise_sec += planes.seconds;
        writing.written.write_sec += start.elapsed().as_secs_f64();
        // What failed before, if nothing is open, is known.
        let reply = match outcome {
            Some(Ok(None)) => Some(writing.end(&subject_spikes.units)),
            Some(Ok(file)) => {
                writing.file = file;
                None
            }
            Some(Err(error)) => Some(Message::Reply(unwritten(subject, error))),
            None => None,
        };
        let drawn = Reply::Rasterised { rank, subject };
        outbox.send(0, Message::Reply(drawn));
        if let Some(reply) = reply {
            outbox.send(0, reply);
        }
    }

    /// Drops what is held of a subject, and what still comes of it.
    pub fn drop_subject(&mut self, subject: usize) {
        self.subjects.remove(&subject);
        self.dropped.insert(subject);
    }
}

fn unwritten(subject: usize, error: impl std::fmt::Display) -> Reply {
    Reply::Unwritten {
        subject,
        message: error.to_string(),
    }
}

/// Spikes of all neurons in each of `T` frames, (T,); `units` gives parts of their bit-packed spikes.
fn spikes_per_frame<'a>(frames: usize, units: impl Iterator<Item = &'a [u8]>) -> Vec<u32> {
    let mut counts = vec![0_u32; frames];
    for row in units.flat_map(|spikes| spikes.chunks_exact(row_bytes(frames))) {
        for (byte, first) in row.iter().zip((0..).step_by(8)) {
            let mut left = *byte;
            while left != 0 {
                counts[first + left.trailing_zeros() as usize] += 1;
                left &= left - 1;
            }
        }
    }
    counts
}
