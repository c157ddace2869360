//! `traces.h5`: what it holds (rule 8.5), and whether its spikes follow from its rates and the seed (rules 5.1 and 5.2).

use std::ops::Range;

use rayon::prelude::*;
use spikegrid_core::wording::{counted, whole};
use spikegrid_files::output::written::{NumberKind, WrittenDataset};

use super::report::{Opened, Report};
use super::rules::Uniform;

/// Bytes of rates that are read at once.
const READ_BYTES: usize = 4 << 20;

/// The parts of `traces.h5` by which other files are checked.
pub(super) struct Traces {
    /// ΔF/F, (N, T).
    pub dff: Option<WrittenDataset>,
    /// Spike rates, (N, T).
    pub rates: Option<WrittenDataset>,
    /// Spikes, (N, T).
    pub spikes: Option<WrittenDataset>,
    /// Spikes of each neuron, (N,), where they could be read.
    pub counts: Option<Vec<u64>>,
    /// Positions, (N, 3).
    pub xyz: Option<Vec<[f64; 3]>>,
    /// Place of each neuron in the recording's table of cells, (N,).
    pub source_row: Option<Vec<i64>>,
    /// Noise level of each neuron, (N,).
    pub noise_level: Option<Vec<f32>>,
    /// Noise level of each neuron's ensemble, (N,).
    pub model_noise_level: Option<Vec<i32>>,
    /// The number of neurons, N.
    pub neurons: usize,
}

/// Checks the file of a subject of `frames` frames; nothing if it does not say how many neurons there are.
pub(super) fn check(
    report: &mut Report,
    file: &Opened,
    subject: &str,
    frames: usize,
    seed: Option<u32>,
) -> Option<Traces> {
    const RULE: &str = "rule 8.5";
    let neurons = match file.file.dataset("spikes") {
        Ok(spikes) if spikes.shape.len() == 2 => spikes.shape[0],
        _ => {
            file.dataset(report, "spikes", NumberKind::U8, &[0, frames], RULE);
            return None;
        }
    };
    let mut traces_of = |name, kind| file.dataset(report, name, kind, &[neurons, frames], RULE);
    let dff = traces_of("dff", NumberKind::F32);
    let rates = traces_of("spike_rate", NumberKind::F32);
    let spikes = traces_of("spikes", NumberKind::U8);
    let noise_level = file.values(report, "noise_level", NumberKind::F32, &[neurons], RULE);
    let model_noise_level = file.values(
        report,
        "model_noise_level",
        NumberKind::I32,
        &[neurons],
        RULE,
    );
    let xyz = file.values::<f64>(report, "cell_xyz", NumberKind::F64, &[neurons, 3], RULE);
    let source_row = file.values::<i64>(report, "source_row", NumberKind::I64, &[neurons], RULE);
    if let Some(rows) = &source_row
        && let Some(neuron) = rows.iter().position(|&row| row < 0)
    {
        let place = format!("{}: source_row[{neuron}]", file.name);
        report.difference(place, "a row, counted from 0", rows[neuron], RULE);
    }
    let mut counts = None;
    if let Some(spikes) = &spikes {
        let seed = seed.map(|seed| (u64::from(seed), subject));
        let sampled = Sampled::of(rates.as_ref().zip(seed), spikes, frames);
        counts = file
            .read(report, "spikes", sampled, RULE)
            .map(|sampled| sampled.tell(report, file, neurons * frames));
    }
    let position = |xyz: Vec<f64>| xyz.chunks_exact(3).map(|c| [c[0], c[1], c[2]]).collect();
    Some(Traces {
        dff,
        rates,
        spikes,
        counts,
        xyz: xyz.map(position),
        source_row,
        noise_level,
        model_noise_level,
        neurons,
    })
}

/// A spike that is not as it should be.
#[derive(Debug, Clone, PartialEq)]
struct Odd {
    neuron: usize,
    frame: usize,
    expected: String,
    found: u8,
}

/// Spikes that were compared with rates, of neighbouring neurons.
#[derive(Debug, Default, PartialEq)]
struct Sampled {
    /// Spikes of each neuron.
    counts: Vec<u64>,
    /// Spikes that are neither 0 nor 1, and the first of them.
    values: u64,
    first_value: Option<Odd>,
    /// Spikes that are not those of the rate, and the first of them.
    spikes: u64,
    first_spike: Option<Odd>,
}

impl Sampled {
    /// Compares the spikes of all neurons, (N, T), with what follows from their rates, (N, T), the seed and the subject's name.
    fn of(
        rates: Option<(&WrittenDataset, (u64, &str))>,
        spikes: &WrittenDataset,
        frames: usize,
    ) -> Result<Self, String> {
        let neurons = spikes.shape[0];
        let together = (READ_BYTES / (4 * frames).max(1)).max(1);
        let mut start = 0;
        let mut read = || {
            let rows = start..neurons.min(start + together);
            start = rows.end;
            let rates = rates.map(|(rates, _)| rates.rows::<f32>(rows.clone()));
            let spikes = spikes.rows::<u8>(rows.clone())?;
            Ok::<_, String>((rows, rates.transpose()?, spikes))
        };
        let seed = rates.map(|(_, seed)| seed);
        let mut all = Self::default();
        let mut part = read()?;
        while !part.0.is_empty() {
            let (rows, rates, spikes) = part;
            let (next, sampled) = rayon::join(&mut read, || {
                Self::of_part(&rows, rates.as_deref().zip(seed), &spikes, frames)
            });
            all.add(sampled);
            part = next?;
        }
        Ok(all)
    }

    fn of_part(
        neurons: &Range<usize>,
        rates: Option<(&[f32], (u64, &str))>,
        spikes: &[u8],
        frames: usize,
    ) -> Self {
        let of_neuron = |row: usize| {
            let places = row * frames..(row + 1) * frames;
            let rates = rates.map(|(rates, seed)| (&rates[places.clone()], seed));
            Self::of_neuron(neurons.start + row, rates, &spikes[places])
        };
        let rows: Vec<Self> = (0..neurons.len()).into_par_iter().map(of_neuron).collect();
        let mut all = Self::default();
        rows.into_iter().for_each(|row| all.add(row));
        all
    }

    fn of_neuron(neuron: usize, rates: Option<(&[f32], (u64, &str))>, spikes: &[u8]) -> Self {
        let mut found = Self::default();
        let count = spikes.iter().filter(|&&spike| spike != 0).count();
        found.counts.push(count as u64);
        for (frame, &spike) in spikes.iter().enumerate().filter(|(_, spike)| **spike > 1) {
            found.values += 1;
            found.first_value.get_or_insert_with(|| Odd {
                neuron,
                frame,
                expected: "0 or 1".into(),
                found: spike,
            });
        }
        let Some((rates, (seed, subject))) = rates else {
            return found;
        };
        let mut uniform = Uniform::new(seed, subject, neuron);
        for (frame, (&rate, &spike)) in rates.iter().zip(spikes).enumerate() {
            let expected = uniform.spikes(rate);
            if spike <= 1 && expected != (spike == 1) {
                found.spikes += 1;
                found.first_spike.get_or_insert_with(|| Odd {
                    neuron,
                    frame,
                    expected: format!("{} (of the rate {rate:?})", u8::from(expected)),
                    found: spike,
                });
            }
        }
        found
    }

    /// Adds what was found of the neurons that follow.
    fn add(&mut self, later: Self) {
        self.counts.extend(later.counts);
        self.values += later.values;
        self.first_value = self.first_value.take().or(later.first_value);
        self.spikes += later.spikes;
        self.first_spike = self.first_spike.take().or(later.first_spike);
    }

    /// Reports what is wrong; the spikes of each neuron.
    fn tell(self, report: &mut Report, file: &Opened, all: usize) -> Vec<u64> {
        let kinds = [
            (self.first_value, self.values, "rule 8.5"),
            (self.first_spike, self.spikes, "rules 5.1 and 5.2"),
        ];
        for (first, count, rule) in kinds {
            let Some(odd) = first else {
                continue;
            };
            report.difference(
                format_args!("{}: spikes[{}, {}]", file.name, odd.neuron, odd.frame),
                odd.expected,
                odd.found,
                format_args!(
                    "{rule}; {} of {} differ",
                    whole(count),
                    counted(all, "value")
                ),
            );
        }
        self.counts
    }
}
