//! How much of a subject a rank may read at a time, so that it keeps to `--memory_limit`; and how freed memory is kept.

use crate::schedule::{RUNS_IN_FLIGHT, SHARE, SLABS_IN_FLIGHT};
use crate::slab::Slabs;
use crate::spikes::row_bytes;
use crate::subject::SubjectPlan;

/// A compressed plane, a twentieth of its pixels set.
const PLANE: u64 = 2 << 10;
/// What a thread draws with: a plane in 8 frames, and what compresses it.
const PENCIL: u64 = 1 << 20;
/// The file's numbers while they are turned, in the widest type.
const TURNING: u64 = 8 << 20;
/// Samples in a run, unless one unit has more: 128 MiB as f32, enough for the pieces of a row to be worth their reading.
const RUN_SAMPLES: u64 = 32 << 20;
/// Chunks of the file that inflating one takes: the one before, the compressed bytes, and the growing result.
const CHUNKS_HELD: usize = 3;
/// One sample of a unit on its way into `traces.h5`.
const FILLING: u64 = 9;
/// One frame on one compute thread: the trace, its baseline's window, its rate.
const THREAD_BYTES_PER_FRAME: u64 = 32;
/// One neuron: position, pixel, noise levels, journal.
const BYTES_PER_NEURON: u64 = 128;

/// What a rank has.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    pub limit: u64,
    /// In use before the first subject.
    pub at_start: u64,
    pub ranks: usize,
    /// Compute threads of a rank.
    pub threads: usize,
}

impl Budget {
    /// Work units that a rank may read together, of a subject of `planes` z-planes. `traces` says whether traces are written;
    /// `chunk_bytes` is the size of a chunk of the file, 0 if it has none.
    ///
    /// # Errors
    /// The bytes that a rank needs to read one unit at a time, where these are beyond the limit.
    pub fn longest_run(
        &self,
        plan: &SubjectPlan,
        planes: usize,
        traces: bool,
        chunk_bytes: usize,
    ) -> Result<usize, u64> {
        let one = self.needed(plan, planes, traces, chunk_bytes, 1);
        let each = self.needed(plan, planes, traces, chunk_bytes, 2) - one;
        let more = self.limit.checked_sub(one).ok_or(one)? / each.max(1);
        let unit = (plan.frames * plan.unit_neurons).max(1) as u64;
        let handed_out = (plan.units() / SHARE) as u64;
        Ok((1 + more).min(RUN_SAMPLES / unit).min(handed_out).max(1) as usize)
    }

    /// Bytes that a rank takes, at most, to process a subject in runs of `run` units.
    pub fn needed(
        &self,
        plan: &SubjectPlan,
        planes: usize,
        traces: bool,
        chunk_bytes: usize,
        run: usize,
    ) -> u64 {
        let (frames, neurons) = (plan.frames as u64, plan.neurons as u64);
        // Of one rank's subjects one is written while the next is computed.
        let written = if self.ranks == 1 { 2 } else { 1 };
        let spikes = neurons.saturating_mul(written * row_bytes(plan.frames) as u64);
        let slabs = Slabs::new(plan.frames, plan.neurons, planes);
        let slab_frames = slabs.frames(0).len() as u64;
        let in_flight = SLABS_IN_FLIGHT.min(RUNS_IN_FLIGHT * self.ranks);
        let in_flight = in_flight.min(slabs.count()) as u64;
        let slab = neurons * slab_frames.div_ceil(8) + slab_frames * planes as u64 * PLANE;
        let drawn = frames.saturating_mul(9 * plan.drawn.len() as u64);
        let threads = frames.saturating_mul(THREAD_BYTES_PER_FRAME * self.threads as u64);
        let unit = frames.saturating_mul(plan.unit_neurons as u64).max(1);
        // ΔF/F in place of the fluorescence, and rates where they are kept.
        let sample = 4 + 4 * u64::from(traces || !plan.drawn.is_empty());
        let units_in_flight = unit.saturating_mul(sample * (RUNS_IN_FLIGHT * run) as u64);
        let parts = [
            self.at_start,
            TURNING,
            chunk_bytes.saturating_mul(CHUNKS_HELD) as u64,
            unit.saturating_mul(FILLING * u64::from(traces)),
            neurons * BYTES_PER_NEURON,
            spikes,
            slab.saturating_mul(in_flight),
            PENCIL * self.threads as u64,
            drawn,
            threads,
            units_in_flight,
        ];
        parts
            .iter()
            .fold(0, |sum: u64, part| sum.saturating_add(*part))
    }
}

/// Lets the C library keep the small blocks that are freed: planes, slabs and units take and free some all the time. The library
/// gives those back to the system each time unless told otherwise, and taking them again costs page faults. Large blocks go back
/// at once.
pub fn keep_freed_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` only sets two parameters of the allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

const LARGE: i32 = 1 << 20;
const KEPT: i32 = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::traces::Orientation;
    use crate::output::journal::Journal;
    use crate::subject::unit_neurons;

    const GIB: u64 = 1 << 30;

    fn plan(neurons: usize, frames: usize, chunk_width: Option<usize>) -> SubjectPlan {
        SubjectPlan {
            index: 0,
            name: "subject_1".into(),
            traces_path: Default::default(),
            dataset: Default::default(),
            orientation: Orientation::FramesByNeurons,
            frames,
            neurons,
            unit_neurons: unit_neurons(neurons, frames, chunk_width, 30_000),
            writer: 0,
            drawn: Vec::new(),
            traces_file: None,
            journal: Journal::default(),
        }
    }

    fn budget(limit: u64, ranks: usize) -> Budget {
        Budget {
            limit,
            at_start: 60 << 20,
            ranks,
            threads: 1,
        }
    }

    #[test]
    fn whole_brains_fit_the_default_limit_on_any_number_of_ranks() {
        for (neurons, frames) in [(71_721, 7_879), (100_000, 8_000)] {
            for chunk_width in [None, Some(100), Some(neurons)] {
                let plan = plan(neurons, frames, chunk_width);
                for ranks in [1, 2, 4, 64] {
                    let run = budget(GIB, ranks).longest_run(&plan, 29, false, 4 * neurons);
                    assert!(run.is_ok_and(|units| units > 0), "{neurons}, {ranks} ranks");
                }
            }
        }
    }

    #[test]
    fn what_is_read_at_a_time_grows_with_the_limit_and_shrinks_with_traces() {
        let plan = plan(10_000, 3_000, None);
        let run = |limit, traces| budget(limit, 2).longest_run(&plan, 29, traces, 0);
        let (small, large) = (run(112 << 20, false), run(128 << 20, false));
        assert!(small.is_ok() && small < large);
        assert!(run(128 << 20, true).is_ok_and(|units| Ok(units) < large));
        assert!(
            run(64 * GIB, false).is_ok_and(|units| units * plan.unit_neurons * 3_000 <= 32 << 20)
        );
    }

    #[test]
    fn a_subject_beyond_the_limit_is_refused_with_what_would_do() -> Result<(), u64> {
        let plan = plan(100_000, 8_000, Some(100_000));
        let refused = budget(256 << 20, 1).longest_run(&plan, 29, true, 0);
        let needed = refused.expect_err("units of 128 MiB");
        assert!(
            budget(needed - 1, 1)
                .longest_run(&plan, 29, true, 0)
                .is_err()
        );
        assert_eq!(budget(needed, 1).longest_run(&plan, 29, true, 0)?, 1);
        Ok(())
    }
}
