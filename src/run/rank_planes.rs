//! The planes that a rank has rasterised: it writes them into the grids of their subject itself, or sends them to the writer.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Instant;

use spikegrid_core::grid::Layout;
use spikegrid_core::slab::{Compression, Planes};
use spikegrid_files::output::OutputError;
use spikegrid_files::output::grids::{PlaneWriters, RankFile};
use spikegrid_files::output::grids_contiguous::{ContiguousFile, ContiguousGrids};

use crate::run::messages::{Message, Outbox, Reply};

/// The subjects of which this rank rasterises slabs.
#[derive(Default)]
pub(super) struct RankPlanes(HashMap<usize, SubjectPlanes>);

struct SubjectPlanes {
    writer: usize,
    layout: Arc<Layout>,
    plane_writers: PlaneWriters,
    /// None before the first planes.
    file: Option<RankFile>,
    /// None before the first planes, and where planes are compressed.
    contiguous: Option<ContiguousFile>,
    /// Planes whose place is not known yet, by their first frame.
    waiting: HashMap<usize, Vec<u8>>,
}

impl RankPlanes {
    /// Begins with a subject that `writer` writes.
    pub(super) fn begin(
        &mut self,
        subject: usize,
        writer: usize,
        layout: Layout,
        plane_writers: PlaneWriters,
    ) {
        let planes = SubjectPlanes {
            writer,
            layout: Arc::new(layout),
            plane_writers,
            file: None,
            contiguous: None,
            waiting: HashMap::new(),
        };
        self.0.insert(subject, planes);
    }

    /// The layout of a subject's grids, and how these are stored.
    pub(super) fn layout(&self, subject: usize) -> Option<(Arc<Layout>, Compression)> {
        let held = self.0.get(&subject)?;
        let compression = match held.plane_writers {
            PlaneWriters::EachInItsPlace(_) => Compression::None,
            PlaneWriters::EveryRank(_) | PlaneWriters::OneRank(_) => Compression::Gzip,
        };
        Some((held.layout.clone(), compression))
    }

    /// Asks the writer for the place of a slab, or sends it the planes; writes planes that have their place from the start.
    pub(super) fn on_rasterised(
        &mut self,
        outbox: &mut impl Outbox,
        subject: usize,
        planes: Planes,
    ) {
        let Some(held) = self.0.get_mut(&subject) else {
            return;
        };
        let message = match &held.plane_writers {
            PlaneWriters::OneRank(_) => Message::Planes { subject, planes },
            PlaneWriters::EachInItsPlace(grids) => {
                let outcome = timed(|| {
                    let file = opened(grids, &mut held.contiguous, outbox, subject)?;
                    file.write(&planes.table.frames, &planes.bytes)
                });
                Message::PlanesWritten {
                    subject,
                    table: planes.table,
                    outcome,
                }
            }
            PlaneWriters::EveryRank(_) => {
                let Planes { table, bytes } = planes;
                held.waiting.insert(table.frames.start, bytes);
                Message::PlaneTable { subject, table }
            }
        };
        outbox.send(held.writer, message);
    }

    /// Writes the planes of a slab at their place, and tells the writer.
    pub(super) fn on_place(
        &mut self,
        outbox: &mut impl Outbox,
        subject: usize,
        first_frame: usize,
        address: u64,
    ) {
        let Some(held) = self.0.get_mut(&subject) else {
            return;
        };
        let placed = Message::Placed {
            subject,
            outcome: timed(|| held.write(first_frame, address)),
        };
        outbox.send(held.writer, placed);
    }

    /// Brings what this rank has written of a subject to disk, and tells the writer.
    pub(super) fn close(&mut self, outbox: &mut impl Outbox, subject: usize) {
        let Some(held) = self.0.get_mut(&subject) else {
            return;
        };
        let (file, contiguous) = (held.file.take(), held.contiguous.take());
        let close = || {
            let closed = file.map_or(Ok(()), RankFile::close);
            closed.and(contiguous.map_or(Ok(()), ContiguousFile::close))
        };
        let closed = Message::Closed {
            subject,
            outcome: timed(close),
        };
        outbox.send(held.writer, closed);
    }

    /// Frees what is held of a subject.
    pub(super) fn drop_subject(&mut self, subject: usize) {
        self.0.remove(&subject);
    }
}

/// The seconds that something took that succeeded, or why it did not.
fn timed<E: Display>(work: impl FnOnce() -> Result<(), E>) -> Result<f64, String> {
    let start = Instant::now();
    match work() {
        Ok(()) => Ok(start.elapsed().as_secs_f64()),
        Err(error) => Err(error.to_string()),
    }
}

/// The file in which each plane has its place, which is opened for the first planes.
fn opened<'a>(
    grids: &ContiguousGrids,
    file: &'a mut Option<ContiguousFile>,
    outbox: &mut impl Outbox,
    subject: usize,
) -> Result<&'a ContiguousFile, OutputError> {
    match file {
        Some(file) => Ok(file),
        none => {
            let file = grids.open()?;
            if let Some(message) = file.warning() {
                outbox.send(0, Message::Reply(Reply::Warning { subject, message }));
            }
            Ok(none.insert(file))
        }
    }
}

impl SubjectPlanes {
    fn write(&mut self, first_frame: usize, address: u64) -> Result<(), String> {
        let bytes = self.waiting.remove(&first_frame);
        let bytes = bytes.ok_or("a place for planes that are not here")?;
        let PlaneWriters::EveryRank(path) = &self.plane_writers else {
            return Err("a place for planes that the writer writes".into());
        };
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(RankFile::open(path).map_err(|error| error.to_string())?),
        };
        file.write(address, &bytes)
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
