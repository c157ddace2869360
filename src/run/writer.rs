//! What a rank does as the writer of a subject: it collects the spikes of all neurons, sends slabs of frames to the ranks that
//! rasterise them, and gives the planes of each slab a place in the file, where the rank writes them itself.
//!
//! Every rank can be the writer of subjects while it computes others. Nothing here waits: each message is handled as it comes.
//!
//! Where the file is not one into which ranks can write ([`PlaneWriters::OneRank`]), planes come back to the writer, which writes
//! them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::Instant;

use spikegrid_core::slab::{PlaneTable, Planes, Slab, Slabs};
use spikegrid_core::spikes::row_bytes;
use spikegrid_files::output::OutputError;
use spikegrid_files::output::grids::{GridsFile, PlaneWriters};

use crate::run::messages::{Message, Outbox, Reply, WriteJob, Written};

/// A file of grids while its planes are written.
pub(crate) trait PlanesFile {
    /// Who writes the planes.
    fn plane_writers(&self) -> PlaneWriters;
    /// The address at which a rank writes these planes.
    fn place(&mut self, table: &PlaneTable) -> Result<u64, OutputError>;
    /// Writes the planes of some frames.
    fn write(&mut self, planes: &Planes) -> Result<(), OutputError>;
    /// Closes the file and brings it to disk.
    fn close(self: Box<Self>) -> Result<(), OutputError>;
}

impl PlanesFile for GridsFile {
    fn plane_writers(&self) -> PlaneWriters {
        GridsFile::plane_writers(self)
    }

    fn place(&mut self, table: &PlaneTable) -> Result<u64, OutputError> {
        GridsFile::place(self, table)
    }

    fn write(&mut self, planes: &Planes) -> Result<(), OutputError> {
        GridsFile::write(self, planes)
    }

    fn close(self: Box<Self>) -> Result<(), OutputError> {
        GridsFile::close(*self)
    }
}

/// Lays out a file for a number of frames and of z-planes.
type CreateFile = Box<dyn Fn(&Path, usize, usize) -> Result<Box<dyn PlanesFile>, OutputError>>;

/// The subjects that this rank writes.
pub struct Writer {
    create: CreateFile,
    subjects: HashMap<usize, SubjectSpikes>,
    /// Subjects of which spikes may still arrive, which are ignored.
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
    unwritten_slabs: usize,
    /// None until all spikes have arrived, and after a failure.
    file: Option<Box<dyn PlanesFile>>,
    /// The ranks that have the layout, and may have written planes.
    have_layout: HashSet<usize>,
    /// Of these, the ones that have not brought their planes to disk.
    unclosed: usize,
    written: Written,
}

impl Writing {
    /// Tells rank 0 of the first failure, after which nothing more is written.
    fn note(&mut self, outbox: &mut impl Outbox, outcome: Result<(), String>) {
        if let Err(message) = outcome
            && self.file.take().is_some()
        {
            outbox.send(0, Message::Reply(unwritten(self.job.subject, message)));
        }
    }

    /// The reply that everything is written.
    fn written(&mut self, units: &BTreeMap<usize, Vec<u8>>) -> Message {
        let units = units.values().map(Vec::as_slice);
        let frames = self.job.frames;
        self.written.collisions = self.job.layout.collisions(frames, units.clone()).pixels;
        self.written.spikes_per_frame = spikes_per_frame(frames, units);
        Message::Reply(Reply::Written {
            subject: self.job.subject,
            written: std::mem::take(&mut self.written),
        })
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::with_files(Box::new(|path, frames, planes| {
            Ok(Box::new(GridsFile::create(path, frames, planes)?))
        }))
    }
}

impl Writer {
    /// A writer into files that are made by `create`.
    pub(crate) fn with_files(create: CreateFile) -> Self {
        Self {
            create,
            subjects: HashMap::new(),
            dropped: HashSet::new(),
        }
    }

    /// Keeps a unit's spikes, (n, ceil(T / 8)).
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
            self.open_if_all_here(outbox, subject);
        }
    }

    /// Begins to write a subject as soon as all its spikes have arrived.
    pub fn begin(&mut self, outbox: &mut impl Outbox, job: WriteJob) {
        let subject = job.subject;
        let slabs = Slabs::new(job.frames, job.neurons, job.layout.planes());
        self.subjects.entry(subject).or_default().writing = Some(Writing {
            slabs,
            unwritten_slabs: slabs.count(),
            file: None,
            have_layout: HashSet::new(),
            unclosed: 0,
            written: Written::default(),
            job,
        });
        self.open_if_all_here(outbox, subject);
    }

    /// Creates the file of a subject that is to be written and whose spikes have all arrived.
    fn open_if_all_here(&mut self, outbox: &mut impl Outbox, subject: usize) {
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
            let written = writing.written(&subject_spikes.units);
            outbox.send(0, written);
            return;
        };
        let created = (self.create)(path, job.frames, job.layout.planes());
        let reply = match created {
            Ok(file) => {
                writing.written.plane_writers = Some(file.plane_writers());
                writing.file = Some(file);
                Reply::Opened {
                    subject,
                    slabs: writing.unwritten_slabs,
                }
            }
            Err(error) => unwritten(subject, error),
        };
        outbox.send(0, Message::Reply(reply));
    }

    /// Sends a rank the spikes of a slab; before its first slab of the subject, the layout.
    pub fn send_slab(&mut self, outbox: &mut impl Outbox, subject: usize, slab: usize, to: usize) {
        let Some(subject_spikes) = self.subjects.get_mut(&subject) else {
            return;
        };
        let Some(writing) = &mut subject_spikes.writing else {
            return;
        };
        let job = &writing.job;
        if let Some(plane_writers) = writing.written.plane_writers.clone()
            && writing.have_layout.insert(to)
        {
            let layout = Message::Layout {
                subject,
                layout: Box::new(job.layout.clone()),
                plane_writers,
            };
            outbox.send(to, layout);
        }
        let start = Instant::now();
        let frames = writing.slabs.frames(slab);
        let units = subject_spikes.units.values().map(Vec::as_slice);
        let spikes = Slab::cut(frames, job.frames, job.neurons, units);
        outbox.send(to, Message::Slab { subject, spikes });
        writing.written.write_sec += start.elapsed().as_secs_f64();
    }

    /// Gives the planes of a slab that `rank` has rasterised a place in the file, where the rank writes them.
    pub fn place(
        &mut self,
        outbox: &mut impl Outbox,
        rank: usize,
        subject: usize,
        table: &PlaneTable,
    ) {
        let Some(writing) = self.writing(subject) else {
            return;
        };
        let start = Instant::now();
        let place = writing.file.as_mut().map(|file| file.place(table));
        writing.written.rasterise_sec += table.seconds;
        writing.written.write_sec += start.elapsed().as_secs_f64();
        match place {
            Some(Ok(address)) => {
                let place = Message::Place {
                    subject,
                    first_frame: table.frames.start,
                    address,
                };
                outbox.send(rank, place);
            }
            Some(Err(error)) => self.handled(outbox, rank, subject, Err(error.to_string())),
            // An earlier slab has failed, which rank 0 knows.
            None => self.handled(outbox, rank, subject, Ok(())),
        }
    }

    /// Writes a slab that `rank` has rasterised.
    pub fn write(
        &mut self,
        outbox: &mut impl Outbox,
        rank: usize,
        subject: usize,
        planes: &Planes,
    ) {
        let Some(writing) = self.writing(subject) else {
            return;
        };
        let start = Instant::now();
        let written = writing.file.as_mut().map_or(Ok(()), |file| file.write(planes));
        writing.written.rasterise_sec += planes.table.seconds;
        writing.written.write_sec += start.elapsed().as_secs_f64();
        let written = written.map_err(|error| error.to_string());
        self.handled(outbox, rank, subject, written);
    }

    /// A slab that `rank` has rasterised is written, or not; after the last one, ranks bring their planes to disk.
    pub fn handled(
        &mut self,
        outbox: &mut impl Outbox,
        rank: usize,
        subject: usize,
        outcome: Result<(), String>,
    ) {
        let Some(writing) = self.writing(subject) else {
            return;
        };
        writing.unwritten_slabs -= 1;
        let rasterised = Reply::Rasterised { rank, subject };
        outbox.send(0, Message::Reply(rasterised));
        writing.note(outbox, outcome);
        if writing.unwritten_slabs > 0 || writing.file.is_none() {
            return;
        }
        match writing.written.plane_writers {
            Some(PlaneWriters::EveryRank(_)) => {
                writing.unclosed = writing.have_layout.len();
                for &rank in &writing.have_layout {
                    outbox.send(rank, Message::Close { subject });
                }
            }
            _ => self.close(outbox, subject),
        }
    }

    /// A rank has brought its planes to disk, or not; after the last one, the file is closed.
    pub fn closed(
        &mut self,
        outbox: &mut impl Outbox,
        subject: usize,
        outcome: Result<(), String>,
    ) {
        let Some(writing) = self.writing(subject) else {
            return;
        };
        writing.unclosed -= 1;
        writing.note(outbox, outcome);
        if writing.unclosed == 0 {
            self.close(outbox, subject);
        }
    }

    /// Closes the file, unless something has failed.
    fn close(&mut self, outbox: &mut impl Outbox, subject: usize) {
        let Some(subject_spikes) = self.subjects.get_mut(&subject) else {
            return;
        };
        let Some(writing) = &mut subject_spikes.writing else {
            return;
        };
        let Some(file) = writing.file.take() else {
            return;
        };
        let start = Instant::now();
        let closed = file.close();
        writing.written.write_sec += start.elapsed().as_secs_f64();
        let reply = match closed {
            Ok(()) => writing.written(&subject_spikes.units),
            Err(error) => Message::Reply(unwritten(subject, error)),
        };
        outbox.send(0, reply);
    }

    fn writing(&mut self, subject: usize) -> Option<&mut Writing> {
        self.subjects.get_mut(&subject)?.writing.as_mut()
    }

    /// Frees what is held of a subject, and ignores what still arrives of it.
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
            let mut bits = *byte;
            while bits != 0 {
                counts[first + bits.trailing_zeros() as usize] += 1;
                bits &= bits - 1;
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests;
