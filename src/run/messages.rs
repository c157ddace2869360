//! What the ranks of a run say to each other, and the way by which coordinator, worker and writer say it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use spikegrid_core::grid::Layout;
use spikegrid_core::slab::{Planes, Slab};
use spikegrid_core::unit::UnitSummary;
use spikegrid_files::input::traces::{Piece, Samples};
use spikegrid_ranks::World;

use super::subject_plan::SubjectPlan;

/// The way to the other ranks.
pub trait Outbox {
    /// This rank, from 0.
    fn rank(&self) -> usize;
    /// The number of ranks.
    fn size(&self) -> usize;
    /// Sends a message, also to this rank itself; returns at once.
    fn send(&mut self, to: usize, message: Message);
    /// Bytes that were sent and have not left.
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
}

/// What rank 0 tells a rank.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Order {
    /// What there is to know of a subject, before its first unit.
    Subject(Box<SubjectPlan>),
    /// Read a piece of a stretch and send each rank its part.
    Read {
        subject: usize,
        stretch: usize,
        piece: Piece,
    },
    /// Take the unit from the journal and send its spikes to the subject's writer.
    Load { subject: usize, unit: usize },
    /// Bring the unit's samples to `rank`, which computes it and sends its spikes to the subject's writer.
    Compute {
        subject: usize,
        unit: usize,
        rank: usize,
    },
    /// Write the subject, once the spikes of all its units are here.
    Write(Box<WriteJob>),
    /// Give `rank` a slab of the subject written here.
    SendSlab {
        subject: usize,
        slab: usize,
        rank: usize,
    },
    /// Drop what is held of the subject.
    Drop { subject: usize },
    /// End, with this exit status.
    Finish { status: u8 },
}

/// What a rank tells rank 0.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Reply {
    /// The unit's spikes are on their way to the writer.
    Done {
        subject: usize,
        unit: usize,
        summary: Box<UnitSummary>,
    },
    /// Everyone's part of a piece is on its way; or why it is not.
    Read {
        subject: usize,
        stretch: usize,
        seconds: f64,
        failure: Option<String>,
    },
    /// The unit could not be computed.
    Failed {
        subject: usize,
        unit: usize,
        message: String,
    },
    /// The file is laid out: the subject is to be drawn in this many slabs.
    Opened { subject: usize, slabs: usize },
    /// What `rank` drew is taken in.
    Rasterised { rank: usize, subject: usize },
    /// All slabs are written.
    Written { subject: usize, written: Written },
    /// The subject cannot be written.
    Unwritten { subject: usize, message: String },
    /// The subject goes on, but there is something to be known.
    Warning { subject: usize, message: String },
    /// This rank was asked by a signal to end.
    Signalled { signal: i32 },
}

/// A message between ranks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Message {
    Order(Order),
    Reply(Reply),
    /// From the rank that read them: a part of the receiver's share.
    Samples {
        subject: usize,
        stretch: usize,
        samples: Samples,
    },
    /// From the rank whose share they are of: the samples of a unit, to be computed.
    Unit {
        subject: usize,
        unit: usize,
        samples: Samples,
    },
    /// To a subject's writer: a unit's bit-packed spikes.
    Spikes {
        subject: usize,
        unit: usize,
        #[serde(with = "serde_bytes")]
        spikes: Vec<u8>,
    },
    /// From the writer, before a rank's first slab.
    Layout {
        subject: usize,
        layout: Box<Layout>,
    },
    /// From the writer: draw this.
    Slab {
        subject: usize,
        spikes: Slab,
    },
    /// To the writer: drawn.
    Planes {
        subject: usize,
        planes: Planes,
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
    pub grids: Option<PathBuf>,
}

/// What the writer of a subject has found and done.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Written {
    /// Spikes of all neurons in each frame, (T,).
    pub spikes_per_frame: Vec<u32>,
    /// Seconds of drawing, summed over threads.
    pub rasterise_sec: f64,
    /// Seconds of dealing slabs out and putting planes into the file.
    pub write_sec: f64,
}
