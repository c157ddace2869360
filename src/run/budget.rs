//! How much of a subject a rank may hold at a time, so that it keeps to `--memory_limit`.

use spikegrid_core::cascade::{ModelConfig, trace};
use spikegrid_core::grid::PLANE_BYTES;
use spikegrid_core::slab::{Compression, Slabs};
use spikegrid_core::spikes::row_bytes;
use spikegrid_files::input::Piece;
use spikegrid_inference::ensembles::GPU_SAMPLES;
use spikegrid_inference::gpu::launches;
use spikegrid_inference::pipeline::GPU_UNITS;
use spikegrid_ranks::ARRIVING;

use crate::run::schedule::{SLABS_AT_ONCE, SLABS_COMING_BACK, STRETCHES, Stretch, in_flight};
use crate::run::subject_plan::SubjectPlan;
use crate::settings::Config;
use crate::settings::flags::Device;

/// A compressed plane, a twentieth of its pixels set.
const PLANE: u64 = 2 << 10;
/// Scratch memory of one rasterising thread: a plane in 8 frames, and the state of the compressor.
const RASTER_SCRATCH: u64 = 1 << 20;
/// Samples that a rank holds of a stretch, unless one unit has more or chunks would lie in several stretches: 256 MiB as f32. A rank that
/// is alone then reads a whole brain in some ten stretches, each a tenth of every row; many ranks read it in one.
const SHARE_SAMPLES: u64 = 64 << 20;
/// Parts of pieces that a rank holds of those that it reads: one as it is read and sent, and what is still on its way.
const PARTS_HELD: u64 = 4;
/// Chunks of the file that inflating one takes, by HDF5 the one before, the compressed bytes, and the growing result.
const CHUNKS_HELD: usize = 3;
/// One sample of a unit on its way into `traces.h5`.
const FILLING: u64 = 9;
/// One sample of a unit in compressed chunks of `activity.h5` that wait for their place, at most.
const PACKED: u64 = 5;
/// One frame on one compute thread: the trace, its baseline's window, the network's samples, its rate.
const THREAD_BYTES_PER_FRAME: u64 = 48;
/// One neuron: position, pixel, noise levels, facts, journal.
const BYTES_PER_NEURON: u64 = 256;

/// Bytes of the samples of a unit that go to a GPU together.
fn gpu_rows(frames: usize, unit_neurons: usize) -> u64 {
    let neurons = (GPU_SAMPLES / frames.max(1)).clamp(1, unit_neurons.max(1));
    (neurons * launches::stride(frames)) as u64 * 4
}

/// What a rank may use, and what of it is in use whatever the subject.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// `--memory_limit`, in bytes.
    pub limit: u64,
    /// Bytes in use before the first subject.
    pub at_start: u64,
    /// Ranks of the run.
    pub ranks: usize,
    /// Compute threads of a rank.
    pub threads: usize,
    /// Bytes with which each of them evaluates the network.
    pub network: u64,
    /// Whether a GPU may evaluate the network.
    pub gpu: bool,
    /// How the grids are stored.
    pub compression: Compression,
}

/// How a subject is read: in stretches, each in pieces.
#[derive(Debug, Clone, Default)]
pub struct Cut {
    /// The stretches as the scheduler sees them.
    pub stretches: Vec<Stretch>,
    /// The pieces of each stretch.
    pub pieces: Vec<Vec<Piece>>,
    /// Bytes that a rank takes, at most.
    pub memory: u64,
}

impl Budget {
    /// The budget of each of `ranks` ranks that take `at_start` bytes before the first subject, and `network` bytes for each
    /// compute thread to evaluate the network.
    pub fn new(config: &Config, ranks: usize, at_start: u64, network: u64) -> Self {
        Self {
            limit: config.memory_limit.0,
            at_start,
            ranks,
            threads: config.workers,
            network,
            gpu: cfg!(feature = "cuda") && config.device != Device::Cpu,
            compression: config.compression,
        }
    }

    /// The same for a subject with this model, where models that were chosen take `bytes` on a rank.
    pub fn with_models(&self, model: &ModelConfig, bytes: u64) -> Self {
        Self {
            at_start: self.at_start + bytes,
            network: trace::working_memory(model) as u64,
            ..*self
        }
    }

    /// Cuts a subject of `planes` z-planes into as few stretches as the budget allows, as even as can be. `filled` says whether
    /// files are filled unit by unit.
    ///
    /// # Errors
    /// The bytes that a rank needs to hold one unit at a time, where these are beyond the limit.
    pub fn cut(&self, plan: &mut SubjectPlan, planes: usize, filled: bool) -> Result<Cut, u64> {
        let longest_share = self.longest_share(plan, planes, filled)?;
        plan.cut(longest_share, self.ranks);
        let pieces = plan.pieces();
        let share = plan.stretch(0).len().div_ceil(self.ranks);
        Ok(Cut {
            stretches: plan.scheduled(&pieces, longest_share, self.ranks),
            pieces,
            memory: self.needed(plan, planes, filled, share),
        })
    }

    /// The most units that a rank may hold of a stretch of a subject of `planes` z-planes.
    fn longest_share(&self, plan: &SubjectPlan, planes: usize, filled: bool) -> Result<usize, u64> {
        let one = self.needed(plan, planes, filled, 1);
        let each = self.needed(plan, planes, filled, 2) - one;
        let units_within = |bytes: u64| bytes.checked_sub(one).map(|more| 1 + more / each.max(1));
        let most = units_within(self.limit).ok_or(one)?;
        let unit = (plan.frames * plan.unit_neurons).max(1) as u64;
        let usual = (SHARE_SAMPLES / unit).max(1);
        let usual_stretch = usual.saturating_mul((plan.unit_neurons * self.ranks) as u64);
        if plan.storage.chunk_neurons() as u64 <= usual_stretch {
            // Larger shares of such recordings are slower: everything is read before anything is computed.
            return Ok(most.min(usual) as usize);
        }
        // A chunk is inflated once for each stretch in which it lies, so shares reach up to the limit. An eighth of the limit stays
        // free: `needed` counts one subject at a time, but ranks may still hold something of the one before.
        let reached = units_within(self.limit / 8 * 7).unwrap_or(1);
        Ok(reached.max(most.min(usual)) as usize)
    }

    /// Bytes that a rank takes, at most, to process a subject of which it holds `share` units of each stretch.
    fn needed(&self, plan: &SubjectPlan, planes: usize, filled: bool, share: usize) -> u64 {
        let (frames, neurons) = (plan.frames as u64, plan.neurons as u64);
        // Of one rank's subjects one is written while the next is computed.
        let written = if self.ranks == 1 { 2 } else { 1 };
        let spikes = neurons.saturating_mul(written * row_bytes(plan.frames) as u64);
        let slabs = Slabs::new(plan.frames, plan.neurons, planes, self.compression);
        let slab_frames = slabs.frames(0).len() as u64;
        let units_in_flight = in_flight(self.threads);
        let slabs_in_flight = slabs.count().min(units_in_flight * self.ranks);
        let slab_spikes = neurons.saturating_mul(slab_frames.div_ceil(8));
        let slab_planes = slab_frames * planes as u64;
        let rasterised = match self.compression {
            Compression::Gzip => {
                slab_planes * PLANE * slabs_in_flight.min(SLABS_COMING_BACK) as u64
            }
            // Written as soon as they are rasterised, by the rank that does so.
            Compression::None => {
                let of_rank = units_in_flight.min(slabs.count()) as u64;
                slab_planes * PLANE_BYTES as u64 * of_rank
            }
        };
        let plotted = frames.saturating_mul(9 * plan.plotted.len() as u64);
        let threads = frames.saturating_mul(THREAD_BYTES_PER_FRAME * self.threads as u64);
        let unit = frames.saturating_mul(plan.unit_neurons as u64).max(1);
        let held = unit.saturating_mul((4 * STRETCHES * share) as u64);
        // Samples from another rank and the traces made of them, or ΔF/F and rates.
        let units = unit.saturating_mul(8 * units_in_flight as u64);
        let part = 4 * plan.storage.largest_part() as u64;
        let gpu_rows = match self.gpu {
            true => GPU_UNITS as u64 * gpu_rows(plan.frames, plan.unit_neurons),
            false => 0,
        };
        let parts = [
            self.at_start,
            plan.storage.block_bytes() as u64,
            plan.location.scratch_bytes(),
            2 * ARRIVING as u64,
            plan.storage.chunk_bytes().saturating_mul(CHUNKS_HELD) as u64,
            part.saturating_mul(PARTS_HELD),
            unit.saturating_mul((FILLING + PACKED * units_in_flight as u64) * u64::from(filled)),
            neurons * BYTES_PER_NEURON,
            spikes,
            slab_spikes.saturating_mul(slabs_in_flight.min(SLABS_AT_ONCE) as u64),
            rasterised,
            RASTER_SCRATCH * self.threads as u64,
            self.network.saturating_mul(self.threads as u64),
            plotted,
            threads,
            held,
            units,
            gpu_rows,
        ];
        parts
            .iter()
            .fold(0, |sum: u64, part| sum.saturating_add(*part))
    }
}

impl SubjectPlan {
    /// Cuts the subject into as few stretches as ranks that hold `longest_share` units of each allow, as even as can be.
    fn cut(&mut self, longest_share: usize, ranks: usize) {
        let units = self.units();
        let stretches = units.div_ceil(longest_share.saturating_mul(ranks)).max(1);
        self.stretch_units = units.div_ceil(stretches).max(1);
    }

    /// The stretches as the scheduler sees them; `pieces` are those of each.
    fn scheduled(&self, pieces: &[Vec<Piece>], longest_share: usize, ranks: usize) -> Vec<Stretch> {
        let stretches = pieces.iter().enumerate().map(|(stretch, pieces)| {
            let units = self.stretch(stretch);
            Stretch {
                weight: units.len().div_ceil(ranks) as f64 / longest_share as f64,
                pieces: pieces.len(),
                units,
            }
        });
        stretches.collect()
    }
}

#[cfg(test)]
mod tests {
    use spikegrid_files::input::Storage;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn plan(neurons: usize, frames: usize, chunk: Option<[usize; 2]>) -> SubjectPlan {
        SubjectPlan::made_up(Storage {
            chunk,
            ..Storage::contiguous(frames, neurons)
        })
    }

    fn budget(limit: u64, ranks: usize) -> Budget {
        Budget {
            limit,
            at_start: 60 << 20,
            ranks,
            threads: 1,
            network: 1 << 19,
            gpu: false,
            compression: Compression::Gzip,
        }
    }

    #[test]
    fn whole_brains_fit_the_default_limit_on_any_number_of_ranks() {
        for (neurons, frames) in [(71_721, 7_879), (100_000, 8_000)] {
            for chunk in [None, Some([100, 100]), Some([1, neurons])] {
                let plan = plan(neurons, frames, chunk);
                for ranks in [1, 2, 4, 64] {
                    let share = budget(GIB, ranks).longest_share(&plan, 29, false);
                    let samples = share.map(|units| units * plan.unit_neurons * frames);
                    assert!(
                        samples.is_ok_and(|samples| samples > 32 << 20),
                        "{neurons}, {ranks} ranks"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_held_at_a_time_grows_with_the_limit_and_shrinks_with_traces() {
        let plan = plan(10_000, 3_000, None);
        let share = |limit, traces| budget(limit, 2).longest_share(&plan, 29, traces);
        let (small, large) = (share(160 << 20, false), share(192 << 20, false));
        assert!(small.is_ok() && small < large);
        assert!(share(192 << 20, true).is_ok_and(|units| Ok(units) < large));
        assert!(
            share(64 * GIB, false).is_ok_and(|units| units * plan.unit_neurons * 3_000 <= 64 << 20)
        );
    }

    #[test]
    fn chunks_of_all_neurons_are_inflated_as_seldom_as_memory_allows() -> Result<(), u64> {
        let stretches = |chunk, limit, ranks| {
            let mut plan = plan(71_721, 7_879, Some(chunk));
            let share = budget(limit, ranks).longest_share(&plan, 29, false)?;
            plan.cut(share, ranks);
            Ok::<_, u64>(plan.stretches())
        };
        let (one_frame, small) = ([1, 71_721], [124, 1_121]);
        assert_eq!(stretches(one_frame, 8 * GIB, 1)?, 1);
        assert!(stretches(one_frame, GIB, 1)? < stretches(small, GIB, 1)?);
        assert_eq!(stretches(small, 8 * GIB, 1)?, stretches(small, GIB, 1)?);
        for ranks in [9, 64] {
            assert_eq!(stretches(one_frame, GIB, ranks)?, 1);
        }
        Ok(())
    }

    #[test]
    fn shares_that_reach_up_to_the_limit_leave_an_eighth_of_it_free() -> Result<(), u64> {
        let mut plan = plan(71_721, 7_879, Some([1, 71_721]));
        for limit in [GIB, 2 * GIB] {
            let memory = budget(limit, 1).cut(&mut plan, 29, false)?.memory;
            assert!((limit / 2..=limit / 8 * 7).contains(&memory), "{memory}");
        }
        Ok(())
    }

    #[test]
    fn rule_8_8_pixels_of_slabs_count_on_the_rank_that_rasterises_them() {
        let plan = plan(10_000, 3_000, None);
        let needed = |compression, ranks| {
            Budget {
                compression,
                ..budget(GIB, ranks)
            }
            .needed(&plan, 29, false, 1)
        };
        // 16 frames of 29 planes, three at a time, whatever the number of ranks.
        let pixels = 3 * 16 * 29 * PLANE_BYTES as u64;
        for ranks in [1, 16] {
            let with = needed(Compression::None, ranks);
            assert!(with > pixels && with < needed(Compression::Gzip, ranks) + pixels);
        }
    }

    #[test]
    fn samples_on_their_way_to_a_gpu_count() {
        let plan = plan(10_000, 3_000, None);
        let needed = |gpu| {
            Budget {
                gpu,
                ..budget(GIB, 1)
            }
            .needed(&plan, 29, false, 1)
        };
        let rows = GPU_UNITS as u64 * 4 * (plan.unit_neurons * plan.frames) as u64;
        assert!((rows..2 * rows).contains(&(needed(true) - needed(false))));
    }

    #[test]
    fn a_subject_beyond_the_limit_is_refused_with_what_would_do() -> Result<(), u64> {
        let plan = plan(100_000, 8_000, Some([200, 100_000]));
        let share = |limit| budget(limit, 1).longest_share(&plan, 29, true);
        let needed = share(256 << 20).expect_err("chunks of 80 MB");
        assert!(share(needed - 1).is_err());
        assert_eq!(share(needed)?, 1);
        Ok(())
    }

    #[test]
    fn chunks_of_160_mb_fit_the_default_limit() -> Result<(), u64> {
        for chunk in [[2_000, 20_000], [5_000, 8_000]] {
            let plan = plan(20_000, chunk[0], Some(chunk));
            for ranks in [1, 2, 64] {
                assert!(budget(GIB, ranks).longest_share(&plan, 29, true)? >= 1);
            }
        }
        Ok(())
    }

    #[test]
    fn stretches_are_few_and_even_and_no_share_is_larger_than_allowed() {
        let mut plan = plan(10_000, 3_000, None);
        for (longest_share, ranks) in [(1, 1), (7, 3), (1000, 64)] {
            plan.cut(longest_share, ranks);
            let scheduled = plan.scheduled(&plan.pieces(), longest_share, ranks);
            let weights = scheduled.iter().map(|stretch| stretch.weight);
            assert!(
                weights
                    .into_iter()
                    .all(|weight| weight > 0.0 && weight <= 1.0)
            );
            assert_eq!(
                plan.stretches(),
                plan.units().div_ceil(longest_share * ranks)
            );
        }
    }
}
