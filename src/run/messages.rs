//! The messages between the ranks of a run, and the outbox through which coordinator, worker and writer send them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use spikegrid_core::cascade::Model;
use spikegrid_core::grid::{Layout, Place};
use spikegrid_core::slab::{PlaneTable, Planes, Slab, UnitSpikes};
use spikegrid_core::unit::UnitSummary;
use spikegrid_files::input::{Piece, Samples};
use spikegrid_files::output::grids::PlaneWriters;
use spikegrid_files::output::grids_contiguous::ContiguousGrids;
use spikegrid_ranks::World;

use crate::run::subject_plan::SubjectPlan;

/// What coordinator, worker and writer send messages through: MPI in a run, a list in unit tests.
pub trait Outbox {
    /// This rank, from 0.
    fn rank(&self) -> usize;
    /// The number of ranks.
    fn size(&self) -> usize;
    /// Sends a message, also to this rank itself; returns at once.
    fn send(&mut self, to: usize, message: Message);
    /// Bytes of messages that were sent and have not left this rank.
    fn backlog(&self) -> usize;

    /// Sends a message to every rank; returns at once.
    fn send_to_all(&mut self, message: Message) {
        for rank in 0..self.size() {
            self.send(rank, message.clone());
        }
    }
}

impl Outbox for World {
    fn rank(&self) -> usize {
        World::rank(self)
    }

    fn size(&self) -> usize {
        World::size(self)
    }

    fn send(&mut self, to: usize, message: Message) {
        World::send(self, to, message);
    }

    fn backlog(&self) -> usize {
        World::backlog(self)
    }

    // Encodes the message once.
    fn send_to_all(&mut self, message: Message) {
        World::send_to_all(self, message);
    }
}

/// What the coordinator tells a worker or writer to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Order {
    /// A model that was chosen, by its number in the run, before the plan of the first subject that needs it.
    Model { number: usize, model: Box<Model> },
    /// The plan of a subject, before any other order about it.
    Subject(Box<SubjectPlan>),
    /// Read a piece of a stretch and send each rank the samples of its share.
    Read {
        subject: usize,
        stretch: usize,
        piece: Piece,
    },
    /// Take the unit from the journal and send its spikes to the subject's writer.
    Load { subject: usize, unit: usize },
    /// Send the unit's samples to `rank`, which computes it and sends its spikes to the subject's writer.
    Compute {
        subject: usize,
        unit: usize,
        rank: usize,
    },
    /// Write the rates of a unit that this rank has computed at this address of `activity.h5`.
    Store {
        subject: usize,
        unit: usize,
        address: u64,
    },
    /// Write the subject as soon as the spikes of all its units have arrived.
    Write(Box<WriteJob>),
    /// Send `rank` the spikes of a slab of a subject that this rank writes.
    SendSlab {
        subject: usize,
        slab: usize,
        rank: usize,
    },
    /// Free all that is held of the subject.
    Drop { subject: usize },
    /// End the run with this exit status.
    Finish { status: u8 },
}

/// What a worker or writer tells the coordinator.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Reply {
    /// The unit's spikes are on their way to the writer.
    Done {
        subject: usize,
        unit: usize,
        summary: Box<UnitSummary>,
    },
    /// The samples of a piece are on their way to all ranks; or why they are not.
    Read {
        subject: usize,
        stretch: usize,
        seconds: f64,
        failure: Option<String>,
    },
    /// The unit, which `rank` was to compute, could not be computed.
    Failed {
        rank: usize,
        subject: usize,
        unit: usize,
        message: String,
    },
    /// The unit is computed, and its compressed rates of so many bytes need a place in `activity.h5`.
    Packed {
        subject: usize,
        unit: usize,
        bytes: u64,
    },
    /// The grids file is laid out: the subject is to be rasterised in this many slabs, so many of them at a time at most.
    Opened {
        subject: usize,
        slabs: usize,
        at_once: usize,
    },
    /// The planes of a slab that `rank` has rasterised are in the file, or cannot be.
    Rasterised { rank: usize, subject: usize },
    /// All slabs are written, and the file is closed.
    Written { subject: usize, written: Written },
    /// The subject cannot be written.
    Unwritten { subject: usize, message: String },
    /// The user has to know this; the subject goes on.
    Warning { subject: usize, message: String },
    /// A signal has asked this rank to end the run.
    Signalled { signal: i32 },
}

/// A message between ranks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Message {
    Order(Order),
    Reply(Reply),
    /// From the rank that has read them: samples of the receiver's share.
    Samples {
        subject: usize,
        stretch: usize,
        samples: Samples,
    },
    /// From the rank whose share has them: the samples of a unit that the receiver is to compute.
    Unit {
        subject: usize,
        unit: usize,
        samples: Samples,
        /// The blank frames of the recording, as far as they concern these samples.
        blank_frames: Vec<u32>,
    },
    /// To a subject's writer: the spikes of a unit.
    Spikes {
        subject: usize,
        spikes: UnitSpikes,
    },
    /// From the writer, before a rank's first slab of the subject.
    Layout {
        subject: usize,
        layout: Box<Layout>,
        plane_writers: PlaneWriters,
    },
    /// From the writer: a slab that the receiver is to rasterise.
    Slab {
        subject: usize,
        spikes: Slab,
    },
    /// To the writer, where it writes all planes: a slab, rasterised.
    Planes {
        subject: usize,
        planes: Planes,
    },
    /// To the writer, where every rank writes its planes: a slab is rasterised and needs a place in the file.
    PlaneTable {
        subject: usize,
        table: PlaneTable,
    },
    /// From the writer: the address in the file at which the receiver is to write the planes of its slab.
    Place {
        subject: usize,
        first_frame: usize,
        address: u64,
    },
    /// To the writer: the seconds in which the planes of a slab were put into the file, or why they were not.
    Placed {
        subject: usize,
        outcome: Result<f64, String>,
    },
    /// To the writer, where each plane has its place from the start: a slab is rasterised, and the seconds in which its planes were put
    /// into the file, or why they were not.
    PlanesWritten {
        subject: usize,
        table: PlaneTable,
        outcome: Result<f64, String>,
    },
    /// From the writer, after the last slab: bring what you have written to disk.
    Close {
        subject: usize,
    },
    /// To the writer: the seconds in which it was brought to disk, or why it was not.
    Closed {
        subject: usize,
        outcome: Result<f64, String>,
    },
}

/// What the writer of a subject needs to begin.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WriteJob {
    pub subject: usize,
    pub frames: usize,
    pub neurons: usize,
    /// Work units whose spikes the writer gets; none where nothing was computed.
    pub units: usize,
    pub layout: Layout,
    /// The grids file, if it is wanted.
    pub grids: Option<GridsJob>,
}

/// How the grids of a subject are to be written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum GridsJob {
    /// Compressed, into a file of this name, which the writer lays out.
    Compress(PathBuf),
    /// Not compressed, into a file that rank 0 has laid out.
    Fill(ContiguousGrids),
}

/// What the writer of a subject reports when its file is closed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Written {
    /// Spikes of all neurons in each frame, (T,).
    pub spikes_per_frame: Vec<u32>,
    /// Spikes lost because another neuron of the plane has the pixel in that frame, by pixel.
    pub collisions: Vec<(Place, u64)>,
    /// Seconds of rasterising, summed over threads.
    pub rasterise_sec: f64,
    /// Seconds of taking slabs out of the spikes.
    pub cut_sec: f64,
    /// Seconds of writing planes into the file, summed over ranks.
    pub write_sec: f64,
    /// Seconds of laying the file out, writing the index of the planes, and checking both.
    pub index_sec: f64,
    /// Who wrote the planes, where there are grids.
    pub plane_writers: Option<PlaneWriters>,
}
