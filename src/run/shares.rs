//! What a worker holds of a subject: its plan, and the samples of this rank's share of each stretch.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use spikegrid_core::slab::UnitSpikes;
use spikegrid_core::spikes::row_bytes;
use spikegrid_core::unit::{PlottedNeuron, UnitOutput, UnitSummary};
use spikegrid_files::input::{Piece, Reader, Samples};
use spikegrid_files::output::journal::{self, JournalledUnit};

use crate::run::assembly::{self, Assembly};
use crate::run::blank_frames::BlankFrames;
use crate::run::recording::OpenRecording;
use crate::run::schedule::share;
use crate::run::subject_plan::SubjectPlan;

/// A subject as a worker holds it.
pub(super) struct WorkerSubject {
    /// What rank 0 has told of it.
    pub plan: SubjectPlan,
    /// Where this rank notes the units that it has computed.
    pub journal: journal::Writer,
    rank: usize,
    ranks: usize,
    /// By stretch.
    shares: HashMap<usize, Share>,
    blank_frames: BlankFrames,
}

/// This rank's share of a stretch.
struct Share {
    assembly: Assembly,
    /// None until all samples of the share have arrived.
    samples: Option<Arc<Samples>>,
    /// The blank frames in which some of the samples are 0, as soon as the samples have arrived; or why they are not known.
    blank_frames: Result<Arc<[u32]>, String>,
    /// Units, and the ranks that are to compute them, whose orders came before all samples had arrived.
    requested: Vec<(usize, usize)>,
    /// Units to compute for which no order has come yet.
    unrequested: usize,
}

/// A unit of this rank's share that can be computed now.
pub(super) struct ReadyUnit {
    /// The rank that computes it.
    pub rank: usize,
    /// Number of the unit.
    pub unit: usize,
    /// The neurons of the unit.
    pub neurons: Range<usize>,
    /// The samples of the whole share.
    pub samples: Arc<Samples>,
    /// The blank frames of the recording, as far as they concern these samples; or why they are not known.
    pub blank_frames: Result<Arc<[u32]>, String>,
}

impl WorkerSubject {
    /// A subject of which `rank` of `ranks` holds nothing yet.
    pub(super) fn new(plan: SubjectPlan, rank: usize, ranks: usize) -> Self {
        Self {
            journal: plan.journal.writer(rank),
            plan,
            rank,
            ranks,
            shares: HashMap::new(),
            blank_frames: BlankFrames::default(),
        }
    }

    /// Reads a piece of a stretch: puts the samples of this rank's share into it, and returns those of the other ranks' shares.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn read(
        &mut self,
        traces: &Reader,
        stretch: usize,
        piece: &Piece,
    ) -> Result<Vec<(usize, Samples)>, String> {
        let others: Vec<(usize, Range<usize>)> = (0..self.ranks)
            .filter(|rank| *rank != self.rank)
            .map(|rank| {
                let neurons = assembly::neurons(&self.plan, stretch, rank, self.ranks);
                (rank, neurons)
            })
            .collect();
        let assembly = &mut self.share(stretch).assembly;
        let parts = assembly.read(traces, piece, others.into_iter());
        parts.map_err(|error| error.to_string())
    }

    /// Adds samples that another rank has read to this rank's share of a stretch.
    pub(super) fn add_samples(&mut self, stretch: usize, samples: &Samples) {
        self.share(stretch).assembly.put(samples);
    }

    /// Notes that `rank` is to compute a unit of this rank's share; returns the stretch of the unit.
    pub(super) fn request(&mut self, unit: usize, rank: usize) -> usize {
        let stretch = self.plan.stretch_of(unit);
        self.share(stretch).requested.push((unit, rank));
        stretch
    }

    /// Takes the requested units of a stretch if all samples of this rank's share of it have arrived. With its last unit, the share
    /// lets go of the samples.
    pub(super) fn take_ready(
        &mut self,
        stretch: usize,
        recording: &mut OpenRecording,
    ) -> Vec<ReadyUnit> {
        let Some(share) = self.shares.get_mut(&stretch) else {
            return Vec::new();
        };
        if share.samples.is_none()
            && let Some(samples) = share.assembly.whole()
        {
            let plan = &self.plan;
            let blank_frames = &mut self.blank_frames;
            share.blank_frames = blank_frames.of(&samples, move || recording.reader(plan));
            share.samples = Some(samples);
        }
        let Some(samples) = share.samples.clone() else {
            return Vec::new();
        };
        let requested = std::mem::take(&mut share.requested);
        share.unrequested -= requested.len();
        if share.unrequested == 0 {
            share.samples = Some(Arc::default());
        }
        let ready = requested.into_iter().map(|(unit, rank)| ReadyUnit {
            rank,
            unit,
            neurons: self.plan.unit(unit),
            samples: samples.clone(),
            blank_frames: share.blank_frames.clone(),
        });
        ready.collect()
    }

    /// Reads a unit, and finds the blank frames in which some of its samples are 0.
    ///
    /// # Errors
    /// The recording cannot be opened or read.
    pub(super) fn read_unit(
        &mut self,
        unit: usize,
        recording: &mut OpenRecording,
    ) -> Result<(Samples, Arc<[u32]>), String> {
        let plan = &self.plan;
        let samples = recording.read_unit(plan, unit)?;
        let blank_frames = &mut self.blank_frames;
        let blank_frames = blank_frames.of(&samples, move || recording.reader(plan))?;
        Ok((samples, blank_frames))
    }

    /// This rank's share of a stretch, made when it is first needed.
    fn share(&mut self, stretch: usize) -> &mut Share {
        let (plan, rank, ranks) = (&self.plan, self.rank, self.ranks);
        self.shares.entry(stretch).or_insert_with(|| {
            let units = share(&plan.stretch(stretch), plan.index, rank, ranks);
            Share {
                assembly: Assembly::new(plan.neurons_of(&units), &plan.storage),
                samples: None,
                blank_frames: Ok(Arc::default()),
                requested: Vec::new(),
                unrequested: units.filter(|unit| !plan.journal.has(*unit)).count(),
            }
        })
    }

    /// The unit as an interrupted run finished it; none if its record in the journal, or its part of a file that is filled unit by unit, is damaged.
    pub(super) fn load_from_journal(&self, unit: usize) -> Option<JournalledUnit> {
        let start = Instant::now();
        let plan = &self.plan;
        let mut found = plan.journal.load(plan.cut_into_units(), unit)?;
        let whole = plan.unit_files.hold(
            plan.frames,
            &plan.unit(unit),
            found.filled_checksum,
            found.summary.stored_rates.as_ref(),
        );
        found.summary = UnitSummary {
            read_sec: start.elapsed().as_secs_f64(),
            compute_sec: 0.0,
            from_journal: true,
            ..found.summary
        };
        whole.then_some(found)
    }

    /// Whether ΔF/F and rates of these neurons are needed beside their spikes: for a file or for the PDF.
    pub(super) fn needs_traces(&self, neurons: &Range<usize>) -> bool {
        let plan = &self.plan;
        plan.unit_files.any() || plan.plotted.iter().any(|neuron| neurons.contains(neuron))
    }

    /// The bit-packed spikes of a unit, turned for the writer.
    pub(super) fn turned(&self, unit: usize, spikes: &[u8]) -> UnitSpikes {
        let plan = &self.plan;
        UnitSpikes::new(plan.unit(unit), plan.neurons, plan.frames, spikes)
    }

    /// The traces of those neurons of a unit that are plotted in the PDF.
    pub(super) fn plotted(&self, output: &UnitOutput) -> Vec<PlottedNeuron> {
        let (frames, bytes) = (self.plan.frames, row_bytes(self.plan.frames));
        let chosen = self.plan.plotted.iter();
        let chosen = chosen.filter(|neuron| output.neurons.contains(neuron));
        chosen
            .map(|&neuron| {
                let row = neuron - output.neurons.start;
                PlottedNeuron {
                    neuron,
                    dff: output.dff[row * frames..][..frames].to_vec(),
                    rate: output.rate[row * frames..][..frames].to_vec(),
                    spikes: output.spikes[row * bytes..][..bytes].to_vec(),
                }
            })
            .collect()
    }
}
