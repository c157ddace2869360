//! `benchmark.tsv` of a model folder: how well its rates agreed with known spikes, measured on ground truth that it was not trained on.

use std::io::{self, Read};
use std::path::Path;

use spikegrid_core::cascade::benchmark::{Benchmark, Measured};

use super::error::ModelError;
use super::folder::io_error;
use crate::regular;

/// Name of the file.
pub const BENCHMARK: &str = "benchmark.tsv";
/// Its first line, between tabs.
const COLUMNS: [&str; 8] = [
    "noise_level",
    "neurons",
    "correlation",
    "correlation_25",
    "correlation_75",
    "error",
    "bias",
    "absolute_bias",
];
/// Longest file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 16;

/// Reads the benchmark of the model folder `dir`; none if it has no such file.
///
/// # Errors
/// A file that cannot be read, or whose columns, numbers or noise levels are not those of a benchmark.
pub fn read(dir: &Path) -> Result<Option<Benchmark>, ModelError> {
    let path = dir.join(BENCHMARK);
    if !path.try_exists().map_err(io_error(&path))? {
        return Ok(None);
    }
    let file = regular::open(&path).map_err(io_error(&path))?;
    let text = io::read_to_string(file.take(MAX_BYTES)).map_err(io_error(&path))?;
    let parsed = parse(&text).map(Some);
    parsed.map_err(|(expected, found)| ModelError::Benchmark {
        path,
        expected,
        found,
    })
}

/// The benchmark of a text; what was expected and found where it is none.
fn parse(text: &str) -> Result<Benchmark, (String, String)> {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    if !header.split('\t').eq(COLUMNS) {
        let expected = format!("the columns {}, between tabs", COLUMNS.join(", "));
        return Err((expected, format!("\"{}\"", shortened(header))));
    }
    let rows: Result<Vec<Measured>, _> = lines.map(measured).collect();
    let expected = "a row for each noise level, at least one";
    Benchmark::new(rows?).ok_or((expected.to_owned(), "none, or one twice".to_owned()))
}

/// One row; what was expected and found where it is none.
fn measured(line: &str) -> Result<Measured, (String, String)> {
    let numbers: Option<Vec<f64>> = line.split('\t').map(|cell| cell.parse().ok()).collect();
    let row = numbers.filter(|numbers| numbers.len() == COLUMNS.len());
    let row = row.map(|row| Measured {
        noise_level: row[0],
        correlation: row[2],
    });
    let is_sound = |row: &Measured| {
        (0.0..f64::INFINITY).contains(&row.noise_level) && (-1.0..=1.0).contains(&row.correlation)
    };
    row.filter(is_sound).ok_or_else(|| {
        let expected = format!(
            "{} numbers between tabs, first a noise level from 0, third a correlation from -1 to 1",
            COLUMNS.len()
        );
        (expected, format!("\"{}\"", shortened(line)))
    })
}

/// The beginning of a line, as messages show it.
fn shortened(line: &str) -> String {
    line.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn rule_4_1_a_benchmark_is_read_if_there_is_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let read = || read(folder.path()).expect("a benchmark or none");
        assert_eq!(read(), None);
        let header = COLUMNS.join("\t");
        let text = format!(
            "{header}\n2\t120\t0.9\t0.8\t0.95\t0.8\t0.1\t0.5\n8\t120\t0.6\t0\t1\t1\t-1\t1\n"
        );
        fs::write(folder.path().join(BENCHMARK), text).expect("a file");
        let found = read().expect("a benchmark");
        assert!((found.expected_correlation(5.0) - 0.75).abs() < 1e-6);
    }

    #[test]
    fn rule_4_1_what_is_no_benchmark_is_refused_with_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let header = COLUMNS.join("\t");
        let row = "2\t120\t0.9\t0.8\t0.95\t0.8\t0.1\t0.5";
        for (text, word) in [
            (String::new(), "the columns noise_level, neurons"),
            (
                "noise_level\tcorrelation\n2\t0.9\n".to_owned(),
                "found \"noise_level\tcorrelation\"",
            ),
            (header.clone(), "at least one"),
            (format!("{header}\n{row}\n{row}\n"), "one twice"),
            (format!("{header}\n{row}\t1\n"), "8 numbers"),
            (
                format!("{header}\n{}\n", row.replace("0.9\t", "good\t")),
                "good",
            ),
            (
                format!("{header}\n{}\n", row.replace("0.9\t", "NaN\t")),
                "NaN",
            ),
            (
                format!("{header}\n{}\n", row.replace("0.9\t", "1.5\t")),
                "1.5",
            ),
            (format!("{header}\n-{row}\n"), "\"-2"),
        ] {
            fs::write(folder.path().join(BENCHMARK), &text).expect("a file");
            let error = read(folder.path()).expect_err("no benchmark").to_string();
            assert!(
                error.contains("benchmark.tsv") && error.contains(word),
                "{text}: {error}"
            );
        }
    }
}
