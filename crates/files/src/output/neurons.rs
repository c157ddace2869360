//! `neurons.tsv` (rule 9.4): a row for each neuron, for eyes and for data frames.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use spikegrid_core::grid::Place;
use spikegrid_core::unit::{NeuronFacts, NeuronFlags};

use super::error::OutputError;
use crate::input::Positions;
use crate::names::partial;

const HEADER: &str = "index\tsource_row\tx\ty\tz\tplane\trow\tcolumn\tnoise_level\tmodel_noise_level\tf0_median\tmissing_frames\t\
                      expected_spikes\tspikes\tclipped_share\tflags\texpected_correlation";

/// What the table says of all neurons; each slice has (N,) entries.
#[derive(Debug, Clone, Copy)]
pub struct NeuronTable<'a> {
    /// Position of each neuron and where it comes from.
    pub positions: &'a Positions,
    /// z-plane, row and column of each neuron that has a position.
    pub places: &'a [Option<Place>],
    /// Noise levels (rule 4.3).
    pub noise_level: &'a [f32],
    /// Noise levels of the ensembles that were used.
    pub model_noise_level: &'a [i32],
    /// Correlations with true spike rates that the model's benchmark lets one expect; NaN for none.
    pub expected_correlation: &'a [f32],
    /// What was found out on the way.
    pub facts: &'a [NeuronFacts],
}

impl NeuronTable<'_> {
    /// Writes the table under its temporary name. What a neuron does not have is an empty cell.
    ///
    /// # Errors
    /// The system's reason.
    pub fn write(&self, path: &Path) -> Result<(), OutputError> {
        let path = partial(path);
        self.write_to(&path)
            .map_err(OutputError::io(&path, "cannot be written"))
    }

    fn write_to(&self, path: &Path) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        match self.positions.source_plane {
            Some(_) => writeln!(file, "{HEADER}\tsource_plane")?,
            None => writeln!(file, "{HEADER}")?,
        }
        for neuron in 0..self.facts.len() {
            self.write_row(&mut file, neuron)?;
        }
        file.flush()
    }

    fn write_row(&self, file: &mut impl Write, neuron: usize) -> io::Result<()> {
        let Positions {
            xyz,
            source_row,
            source_plane,
        } = self.positions;
        let facts = &self.facts[neuron];
        write!(file, "{neuron}\t{}\t", source_row[neuron])?;
        for coordinate in xyz[neuron] {
            write_number(file, coordinate)?;
        }
        match self.places[neuron] {
            Some(Place { plane, row, column }) => write!(file, "{plane}\t{row}\t{column}\t")?,
            None => write!(file, "\t\t\t")?,
        }
        write_number(file, self.noise_level[neuron])?;
        write!(file, "{}\t", self.model_noise_level[neuron])?;
        write_number(file, facts.f0_median)?;
        write!(file, "{}\t", facts.missing_frames)?;
        write_number(file, facts.expected_spikes)?;
        write!(file, "{}\t", facts.spikes)?;
        write_number(file, facts.clipped_share())?;
        write!(file, "{}\t", self.flags(neuron).join(","))?;
        let expected = self.expected_correlation[neuron];
        if !expected.is_nan() {
            write!(file, "{expected}")?;
        }
        match source_plane {
            Some(planes) => writeln!(file, "\t{}", planes[neuron]),
            None => writeln!(file),
        }
    }

    /// The names of what is odd about a neuron.
    fn flags(&self, neuron: usize) -> Vec<&'static str> {
        let facts = &self.facts[neuron];
        let odd = NeuronFlags::NAMES.into_iter();
        let mut names: Vec<_> = odd
            .filter(|(flag, _)| facts.flags.has(*flag))
            .map(|(_, name)| name)
            .collect();
        if self.places[neuron].is_none() {
            names.push("no_position");
        }
        if facts.frames_without_rate > 0 {
            names.push("no_rate");
        }
        names
    }
}

/// Writes a number and a tab; nothing but the tab for NaN.
fn write_number<N: Into<f64> + std::fmt::Display + Copy>(
    file: &mut impl Write,
    number: N,
) -> io::Result<()> {
    match number.into().is_nan() {
        true => write!(file, "\t"),
        false => write!(file, "{number}\t"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_9_4_a_row_for_each_neuron_with_empty_cells_for_what_it_has_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("neurons.tsv");
        let mut odd = NeuronFacts {
            f0_median: f32::NAN,
            expected_spikes: 1.5,
            clipped_spikes: 0.5,
            frames_without_rate: 3,
            ..NeuronFacts::default()
        };
        odd.flags.set(NeuronFlags::DEAD, true);
        let plain = NeuronFacts {
            f0_median: 400.25,
            missing_frames: 2,
            spikes: 7,
            ..NeuronFacts::default()
        };
        let table = NeuronTable {
            positions: &Positions {
                xyz: vec![[1.0, 2.5, -3.0], [f64::NAN, 1.0, 1.0]],
                source_row: vec![4, 9],
                source_plane: None,
            },
            places: &[
                Some(Place {
                    plane: 1,
                    row: 255,
                    column: 127,
                }),
                None,
            ],
            noise_level: &[2.25, f32::NAN],
            model_noise_level: &[2, 3],
            expected_correlation: &[0.875, f32::NAN],
            facts: &[plain, odd],
        };
        table.write(&path).expect("a table");
        let text = std::fs::read_to_string(partial(&path)).expect("a table");
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split('\t').collect())
            .collect();
        assert!(rows.iter().all(|row| row.len() == 17), "{text}");
        let first = "0 4 1 2.5 -3 1 255 127 2.25 2 400.25 2 0 7 0  0.875";
        assert_eq!(rows[1].join(" "), first);
        let second = [
            "1", "9", "", "1", "1", "", "", "", "", "3", "", "0", "1.5", "0", "0.25",
        ];
        assert_eq!(rows[2][..15], second);
        assert_eq!(rows[2][15..], ["dead,no_position,no_rate", ""]);
    }
}
