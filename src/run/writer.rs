//! What a rank does as the writer of a subject: it collects the spikes of all neurons, sends slabs of frames to the ranks that
//! rasterise them, and gives the planes of each slab a place in the file, where the rank writes them itself.
//!
//! Every rank can be the writer of subjects while it computes others. Nothing here waits: each message is handled as it comes.
//!
//! Where the file is not one into which ranks can write ([`PlaneWriters::OneRank`]), planes come back to the writer, which writes
//! them.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Instant;

use spikegrid_core::slab::{Compression, PlaneTable, Planes, Slab, Slabs, UnitSpikes};
use spikegrid_files::output::OutputError;
use spikegrid_files::output::grids::{GridsFile, PlaneWriters};
use spikegrid_files::output::grids_contiguous::ContiguousGrids;

use crate::run::messages::{GridsJob, Message, Outbox, Reply, WriteJob, Written};
use crate::run::schedule::{SLABS_AT_ONCE, SLABS_COMING_BACK};

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

/// Every rank writes its planes itself.
impl PlanesFile for ContiguousGrids {
    fn plane_writers(&self) -> PlaneWriters {
        PlaneWriters::EachInItsPlace(self.clone())
    }

    fn place(&mut self, _: &PlaneTable) -> Result<u64, OutputError> {
        Err(self.unexpected())
    }

    fn write(&mut self, _: &Planes) -> Result<(), OutputError> {
        Err(self.unexpected())
    }

    fn close(self: Box<Self>) -> Result<(), OutputError> {
        Ok(())
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
    /// All frames, with the spikes of the units that have arrived; none before the first.
    spikes: Option<Slab>,
    arrived_units: usize,
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
    /// Adds the seconds of something that has succeeded to those of writing.
    fn add_seconds(&mut self, outcome: Result<f64, String>) -> Result<(), String> {
        outcome.map(|seconds| self.written.write_sec += seconds)
    }

    /// Tells rank 0 of the first failure, after which nothing more is written.
    fn note(&mut self, outbox: &mut impl Outbox, outcome: Result<(), String>) {
        if let Err(message) = outcome
            && self.file.take().is_some()
        {
            outbox.send(0, Message::Reply(unwritten(self.job.subject, message)));
        }
    }

    /// Notes what the ranks have found out about the frames of a slab.
    fn note_table(&mut self, table: &PlaneTable) {
        let frames = self.written.spikes_per_frame.get_mut(table.frames.clone());
        if let Some(frames) = frames
            && frames.len() == table.spikes_per_frame.len()
        {
            frames.copy_from_slice(&table.spikes_per_frame);
        }
        self.written.rasterise_sec += table.seconds;
    }

    /// Finds the spikes that the grids cannot hold.
    fn find_collisions(&mut self, spikes: Option<&Slab>) {
        let octets = spikes
            .into_iter()
            .flat_map(|spikes| spikes.octets(self.job.neurons));
        self.written.collisions = self.job.layout.collisions(octets).pixels;
    }

    /// The reply that everything is written.
    fn written(&mut self) -> Message {
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

    /// Keeps the spikes of a unit.
    pub fn add_spikes(&mut self, outbox: &mut impl Outbox, subject: usize, unit: &UnitSpikes) {
        if !self.dropped.contains(&subject) {
            let subject_spikes = self.subjects.entry(subject).or_default();
            let spikes = &mut subject_spikes.spikes;
            let silent = || Slab::silent(0..unit.frames, unit.of_neurons);
            spikes.get_or_insert_with(silent).put(unit);
            subject_spikes.arrived_units += 1;
            self.open_if_all_here(outbox, subject);
        }
    }

    /// Begins to write a subject as soon as all its spikes have arrived.
    pub fn begin(&mut self, outbox: &mut impl Outbox, job: WriteJob) {
        let subject = job.subject;
        let compression = match job.grids {
            Some(GridsJob::Fill(_)) => Compression::None,
            Some(GridsJob::Compress(_)) | None => Compression::Gzip,
        };
        let slabs = Slabs::new(job.frames, job.neurons, job.layout.planes(), compression);
        self.subjects.entry(subject).or_default().writing = Some(Writing {
            slabs,
            unwritten_slabs: slabs.count(),
            file: None,
            have_layout: HashSet::new(),
            unclosed: 0,
            written: Written {
                spikes_per_frame: vec![0; job.frames],
                ..Written::default()
            },
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
        if subject_spikes.arrived_units < job.units {
            return;
        }
        let Some(grids) = &job.grids else {
            let spikes = subject_spikes.spikes.as_ref();
            if let Some(spikes) = spikes {
                writing.written.spikes_per_frame = spikes.spikes_per_frame();
            }
            writing.find_collisions(spikes);
            outbox.send(0, writing.written());
            return;
        };
        // Nothing where the subject has no units: silence is written as well.
        let silent = || Slab::silent(0..job.frames, job.neurons);
        subject_spikes.spikes.get_or_insert_with(silent);
        let start = Instant::now();
        let created = match grids {
            GridsJob::Compress(path) => (self.create)(path, job.frames, job.layout.planes()),
            GridsJob::Fill(grids) => Ok(Box::new(grids.clone()) as Box<dyn PlanesFile>),
        };
        writing.written.index_sec += start.elapsed().as_secs_f64();
        let reply = match created {
            Ok(file) => {
                let plane_writers = file.plane_writers();
                let at_once = match plane_writers.are_ranks() {
                    true => SLABS_AT_ONCE,
                    false => SLABS_COMING_BACK,
                };
                writing.written.plane_writers = Some(plane_writers);
                writing.file = Some(file);
                Reply::Opened {
                    subject,
                    slabs: writing.unwritten_slabs,
                    at_once,
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
        if let Some(plane_writers) = writing.written.plane_writers.clone()
            && writing.have_layout.insert(to)
        {
            let layout = Message::Layout {
                subject,
                layout: Box::new(writing.job.layout.clone()),
                plane_writers,
            };
            outbox.send(to, layout);
        }
        let Some(spikes) = &subject_spikes.spikes else {
            return;
        };
        let start = Instant::now();
        let spikes = spikes.part(writing.slabs.frames(slab));
        outbox.send(to, Message::Slab { subject, spikes });
        writing.written.cut_sec += start.elapsed().as_secs_f64();
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
        let place = writing.file.as_mut().map(|file| file.place(table));
        writing.note_table(table);
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
        let written = writing
            .file
            .as_mut()
            .map_or(Ok(()), |file| file.write(planes));
        writing.written.write_sec += start.elapsed().as_secs_f64();
        writing.note_table(&planes.table);
        let written = written.map_err(|error| error.to_string());
        self.handled(outbox, rank, subject, written);
    }

    /// A slab is rasterised, and the rank has put its planes into the file, each at its place, or could not.
    pub fn planes_written(
        &mut self,
        outbox: &mut impl Outbox,
        rank: usize,
        subject: usize,
        table: &PlaneTable,
        outcome: Result<f64, String>,
    ) {
        if let Some(writing) = self.writing(subject) {
            writing.note_table(table);
        }
        self.placed(outbox, rank, subject, outcome);
    }

    /// The rank has put the planes of a slab into the file, in so many seconds, or could not.
    pub fn placed(
        &mut self,
        outbox: &mut impl Outbox,
        rank: usize,
        subject: usize,
        outcome: Result<f64, String>,
    ) {
        if let Some(writing) = self.writing(subject) {
            let outcome = writing.add_seconds(outcome);
            self.handled(outbox, rank, subject, outcome);
        }
    }

    /// A slab that `rank` has rasterised is written, or not; after the last one, ranks bring their planes to disk.
    fn handled(
        &mut self,
        outbox: &mut impl Outbox,
        rank: usize,
        subject: usize,
        outcome: Result<(), String>,
    ) {
        let Some(subject_spikes) = self.subjects.get_mut(&subject) else {
            return;
        };
        let Some(writing) = &mut subject_spikes.writing else {
            return;
        };
        writing.unwritten_slabs -= 1;
        let rasterised = Reply::Rasterised { rank, subject };
        outbox.send(0, Message::Reply(rasterised));
        writing.note(outbox, outcome);
        if writing.unwritten_slabs > 0 || writing.file.is_none() {
            return;
        }
        let plane_writers = writing.written.plane_writers.as_ref();
        if plane_writers.is_some_and(PlaneWriters::are_ranks) {
            writing.unclosed = writing.have_layout.len();
            for &rank in &writing.have_layout {
                outbox.send(rank, Message::Close { subject });
            }
        }
        // The other ranks bring their planes to disk in the meantime.
        writing.find_collisions(subject_spikes.spikes.as_ref());
        if writing.unclosed == 0 {
            self.close(outbox, subject);
        }
    }

    /// A rank has brought its planes to disk, or not; after the last one, the file is closed.
    pub fn closed(
        &mut self,
        outbox: &mut impl Outbox,
        subject: usize,
        outcome: Result<f64, String>,
    ) {
        let Some(writing) = self.writing(subject) else {
            return;
        };
        writing.unclosed -= 1;
        let outcome = writing.add_seconds(outcome);
        writing.note(outbox, outcome);
        if writing.unclosed == 0 {
            self.close(outbox, subject);
        }
    }

    /// Closes the file, unless something has failed.
    fn close(&mut self, outbox: &mut impl Outbox, subject: usize) {
        let Some(writing) = self.writing(subject) else {
            return;
        };
        let Some(file) = writing.file.take() else {
            return;
        };
        let start = Instant::now();
        let closed = file.close();
        writing.written.index_sec += start.elapsed().as_secs_f64();
        let reply = match closed {
            Ok(()) => writing.written(),
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

#[cfg(test)]
mod tests;
