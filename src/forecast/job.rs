//! The recordings of a job, cut into work as a run cuts them, and the forecast for a number of ranks.

use std::str::FromStr;

use spikegrid_core::grid::Layout;
use spikegrid_core::slab::{Compression, Slabs};
use spikegrid_core::spikes::row_bytes;
use spikegrid_files::crash_trial;
use spikegrid_files::input::{self, Storage};
use spikegrid_files::output::grids_contiguous;

use super::costs::{Costs, EMPTY_PLANE_BYTES};
use super::error::PlanError;
use super::simulation::{self, Load};
use crate::run::budget::{Budget, Cut};
use crate::run::schedule::largest_first;
use crate::run::subject_plan::{SubjectPlan, unit_neurons};
use crate::settings::Config;
use crate::settings::flags::DataArgs;

/// Bytes of a rank before its first subject.
const RANK_BYTES: u64 = 60 << 20;
/// Bytes with which one compute thread evaluates a network of CASCADE's.
const NETWORK_BYTES: u64 = 1 << 19;

/// Recordings that are not there yet: `18x80000x8000x29`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recordings {
    pub(super) count: usize,
    neurons: usize,
    frames: usize,
    planes: usize,
}

impl FromStr for Recordings {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Option<Vec<usize>> = text
            .split('x')
            .map(|number| {
                number
                    .parse()
                    .ok()
                    .filter(|number| (1..1 << 31).contains(number))
            })
            .collect();
        match numbers.as_deref() {
            Some(&[count, neurons, frames, planes]) if count <= 1_000_000 => Ok(Self {
                count,
                neurons,
                frames,
                planes,
            }),
            _ => Err(
                "expected four whole numbers above 0 such as 18x80000x8000x29: recordings, neurons, frames, z-planes",
            ),
        }
    }
}

/// A recording to plan for.
pub(super) struct Recording {
    neurons: usize,
    frames: usize,
    planes: usize,
    storage: Storage,
    /// Of the files with the fluorescence.
    pub(super) bytes: f64,
}

impl From<Recordings> for Recording {
    fn from(recordings: Recordings) -> Self {
        let Recordings {
            neurons,
            frames,
            planes,
            ..
        } = recordings;
        Self {
            neurons,
            frames,
            planes,
            storage: Storage::contiguous(frames, neurons),
            bytes: (neurons * frames) as f64 * 4.0,
        }
    }
}

impl Recording {
    /// Looks into the files of a subject.
    ///
    /// # Errors
    /// A recording that cannot be read.
    pub(super) fn open(subject: &input::Subject, data: &DataArgs) -> Result<Self, PlanError> {
        let request = data.request();
        crash_trial::subject(subject, &request)?;
        let found = input::open(subject, &request)?;
        Ok(Self {
            neurons: found.neurons(),
            frames: found.frames(),
            planes: Layout::new(&found.positions.xyz, data.plane_rule())?.planes(),
            storage: found.storage(),
            bytes: input::fluorescence_bytes(subject, &request) as f64,
        })
    }

    pub(super) fn neuron_frames(&self) -> f64 {
        (self.neurons * self.frames) as f64
    }

    fn plan(&self, config: &Config) -> SubjectPlan {
        SubjectPlan {
            unit_neurons: unit_neurons(self.neurons, self.frames, config.batch_size),
            plotted: (0..config.num_neurons.min(self.neurons)).collect(),
            ..SubjectPlan::made_up(self.storage)
        }
    }

    /// Bytes of the files written for it.
    pub(super) fn output_bytes(&self, costs: &Costs, config: &Config) -> f64 {
        self.neuron_frames() * config.bytes_beside_grids()
            + match config.compression {
                Compression::Gzip => self.packed_bytes(costs),
                Compression::None => grids_contiguous::bytes(self.frames, self.planes) as f64,
            }
    }

    /// Bytes of its grids when they are compressed.
    fn packed_bytes(&self, costs: &Costs) -> f64 {
        let spikes = self.neuron_frames() * costs.spikes;
        (self.frames * self.planes) as f64 * EMPTY_PLANE_BYTES + spikes * costs.bytes_per_spike
    }

    /// Bytes from rank to rank: samples to those who compute them, spikes to the writer, slabs from it.
    fn moved_bytes(&self, ranks: usize) -> f64 {
        let away = 1.0 - 1.0 / ranks as f64;
        let spikes = (self.neurons * row_bytes(self.frames)) as f64;
        away * (4.0 * self.neuron_frames() + 2.0 * spikes)
    }
}

/// One line of the table.
pub(super) struct Forecast {
    pub(super) ranks: usize,
    pub(super) nodes: usize,
    pub(super) seconds: f64,
    /// Of what the ranks could do at best.
    pub(super) efficiency: f64,
    pub(super) memory: u64,
    pub(super) moved_bytes: f64,
}

/// A job and the machine it is planned for.
pub(super) struct Job<'a> {
    pub(super) config: &'a Config,
    pub(super) recordings: &'a [Recording],
    pub(super) costs: Costs,
    pub(super) bytes_per_sec: f64,
    pub(super) cores_per_node: usize,
    pub(super) most_nodes: usize,
}

impl Job<'_> {
    /// # Errors
    /// The bytes that a rank needs, where these are more than `--memory_limit`.
    pub(super) fn forecast(&self, ranks: usize) -> Result<Forecast, u64> {
        let threads = ranks * self.config.workers;
        let nodes = threads.div_ceil(self.cores_per_node).min(self.most_nodes);
        let cores = nodes * self.cores_per_node;
        let slowed = (threads as f64 / cores as f64).max(1.0);
        let mut memory = 0;
        let mut loads = Vec::new();
        for recording in self.recordings {
            let (load, bytes) = self.load(recording, ranks, slowed)?;
            loads.push(load);
            memory = memory.max(bytes);
        }
        let sizes: Vec<u64> = self
            .recordings
            .iter()
            .map(|recording| recording.bytes as u64)
            .collect();
        let order = largest_first(&sizes, ranks);
        let loads: Vec<Load> = order
            .into_iter()
            .map(|place| loads[place].clone())
            .collect();
        let busy = |of: fn(&Load) -> f64| loads.iter().map(of).sum::<f64>();
        let (computing, moving) = (busy(Load::computing), busy(Load::moving));
        let ideal = computing.max(moving) / ranks as f64;
        // The main thread of a rank needs a core as well.
        let work = (computing * self.config.workers as f64 + moving) / slowed;
        let seconds =
            simulation::makespan(&loads, ranks, self.config.workers).max(work / cores as f64);
        Ok(Forecast {
            ranks,
            nodes,
            seconds,
            efficiency: ideal / seconds,
            memory,
            moved_bytes: self
                .recordings
                .iter()
                .map(|recording| recording.moved_bytes(ranks))
                .sum(),
        })
    }

    fn load(&self, recording: &Recording, ranks: usize, slowed: f64) -> Result<(Load, u64), u64> {
        let Self { config, costs, .. } = self;
        let mut plan = recording.plan(config);
        let budget = Budget::new(config, ranks, RANK_BYTES, NETWORK_BYTES);
        let Cut {
            stretches, memory, ..
        } = budget.cut(&mut plan, recording.planes, config.fills_unit_by_unit())?;
        let pieces: usize = stretches.iter().map(|stretch| stretch.pieces).sum();
        let units = plan.units();
        let slabs = Slabs::new(
            recording.frames,
            recording.neurons,
            recording.planes,
            config.compression,
        )
        .count();
        let (neuron_frames, planes) = (
            recording.neuron_frames(),
            (recording.frames * recording.planes) as f64,
        );
        let transfer = |bytes: f64| bytes / self.bytes_per_sec;
        let read = (neuron_frames * costs.read * slowed).max(transfer(recording.bytes));
        let written = recording.output_bytes(costs, config);
        let write = (planes * costs.write * slowed).max(transfer(written));
        let cut = neuron_frames * costs.cut * slowed;
        let threads = config.workers as f64 / slowed;
        let load = Load {
            units,
            stretches,
            slabs,
            open: costs.open * slowed,
            read: read / pieces as f64,
            compute: neuron_frames * costs.gpu.unwrap_or(costs.compute / threads) / units as f64,
            rasterise: planes * costs.rasterise / threads / slabs as f64,
            cut: cut / slabs as f64,
            write: write / slabs as f64,
            index: planes * costs.index * slowed,
            finish: costs.finish * slowed,
        };
        Ok((load, memory))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As reports say on one core of 2024, opening and finishing with some room for slow file systems.
    const COSTS: Costs = Costs {
        compute: 2.5e-6,
        gpu: None,
        read: 1.2e-8,
        rasterise: 2e-5,
        cut: 1e-10,
        write: 1e-6,
        index: 1e-6,
        open: 0.1,
        finish: 0.1,
        spikes: 0.1,
        bytes_per_spike: 1.3,
    };

    fn config() -> Config {
        config_of(&[])
    }

    fn config_of(flags: &[&str]) -> Config {
        use clap::Parser;
        let cli = crate::cli::Cli::parse_from([&["spikegrid-mpi"], flags].concat());
        Config::resolve(cli.run).unwrap()
    }

    #[test]
    fn eighteen_whole_brains_keep_a_thousand_ranks_busy() {
        let recordings: Recordings = "18x80000x8000x29".parse().unwrap();
        let recordings: Vec<Recording> = (0..18).map(|_| recordings.into()).collect();
        let job = Job {
            config: &config(),
            recordings: &recordings,
            costs: COSTS,
            bytes_per_sec: 1e9,
            cores_per_node: 64,
            most_nodes: usize::MAX,
        };
        for (ranks, least) in [(1, 0.99), (64, 0.95), (1024, 0.9)] {
            let forecast = job.forecast(ranks).unwrap();
            assert!(
                (least..=1.0).contains(&forecast.efficiency),
                "{} of ideal in {} s on {ranks} ranks",
                forecast.efficiency,
                forecast.seconds
            );
            assert!(forecast.memory <= 1 << 30);
            assert_eq!(forecast.nodes, ranks.div_ceil(64));
        }
    }

    /// As the report of a run on one core of 2025 says, whose threads compute 0.8 M neuron-frames a second.
    const FAST: Costs = Costs {
        compute: 1.25e-6,
        cut: 2e-11,
        index: 3e-7,
        open: 0.03,
        finish: 0.04,
        ..COSTS
    };

    fn one_brain(costs: Costs, workers: usize, ranks: usize) -> Forecast {
        let recordings: Recordings = "1x80000x8000x29".parse().unwrap();
        let config = config_of(&["--workers", &workers.to_string()]);
        let job = Job {
            config: &config,
            recordings: &[recordings.into()],
            costs,
            bytes_per_sec: f64::INFINITY,
            cores_per_node: 64,
            most_nodes: usize::MAX,
        };
        job.forecast(ranks).unwrap()
    }

    #[test]
    fn one_whole_brain_keeps_a_thousand_ranks_busy() {
        for (ranks, least) in [(64, 0.93), (256, 0.85), (1024, 0.75)] {
            let found = one_brain(FAST, 1, ranks).efficiency;
            assert!((least..=1.0).contains(&found), "{found} on {ranks} ranks");
        }
    }

    #[test]
    fn one_whole_brain_takes_a_second_or_two_on_eight_gpus() {
        let costs = Costs {
            gpu: Some(1e-8),
            ..FAST
        };
        let found = one_brain(costs, 16, 8).seconds;
        assert!((0.8..2.0).contains(&found), "{found} s");
    }

    #[test]
    fn recordings_are_four_numbers() {
        assert!("18x80000x8000x29".parse::<Recordings>().is_ok());
        for text in [
            "",
            "18",
            "0x1x1x1",
            "1x2x3",
            "1x2x3x4x5",
            "1x2x3x-4",
            "axbxcxd",
        ] {
            assert!(text.parse::<Recordings>().is_err(), "{text}");
        }
    }
}
