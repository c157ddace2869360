//! The planes that a rank has rasterised: it writes them into the grids of their subject itself, or sends them to the writer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use spikegrid_core::grid::Layout;
use spikegrid_core::slab::Planes;
use spikegrid_files::output::grids::{PlaneWriters, RankFile};

use crate::run::messages::{Message, Outbox};

/// The subjects of which this rank rasterises slabs.
#[derive(Default)]
pub(super) struct RankPlanes(HashMap<usize, SubjectPlanes>);

struct SubjectPlanes {
    writer: usize,
    layout: Arc<Layout>,
    plane_writers: PlaneWriters,
    /// None before the first planes.
    file: Option<RankFile>,
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
            waiting: HashMap::new(),
        };
        self.0.insert(subject, planes);
    }

    /// The layout of a subject's grids.
    pub(super) fn layout(&self, subject: usize) -> Option<Arc<Layout>> {
        Some(self.0.get(&subject)?.layout.clone())
    }

    /// Asks the writer for the place of a slab, or sends it the planes.
    pub(super) fn on_rasterised(
        &mut self,
        outbox: &mut impl Outbox,
        subject: usize,
        planes: Planes,
    ) {
        let Some(held) = self.0.get_mut(&subject) else {
            return;
        };
        let message = match held.plane_writers {
            PlaneWriters::OneRank(_) => Message::Planes { subject, planes },
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
        let file = held.file.take();
        let close = || {
            let closed = file.map_or(Ok(()), RankFile::close);
            closed.map_err(|error| error.to_string())
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

/// The seconds that something took that succeeded.
fn timed(work: impl FnOnce() -> Result<(), String>) -> Result<f64, String> {
    let start = Instant::now();
    work().map(|()| start.elapsed().as_secs_f64())
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
