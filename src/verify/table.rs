//! `neurons.tsv` (rule 9.4): a row per neuron, and what it repeats of other files.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use spikegrid_core::wording::{counted, whole};
use spikegrid_files::regular;

use super::report::Report;
use super::rules::Place;
use super::traces::Traces;

/// The columns that every table has, in this order; others may follow.
const COLUMNS: [&str; 16] = [
    "index",
    "source_row",
    "x",
    "y",
    "z",
    "plane",
    "row",
    "column",
    "noise_level",
    "model_noise_level",
    "f0_median",
    "missing_frames",
    "expected_spikes",
    "spikes",
    "clipped_share",
    "flags",
];
/// A line has at most so many bytes; a damaged file may have no line breaks.
const LONGEST: u64 = 1 << 16;
const RULE: &str = "rule 9.4";

/// What `traces.h5` says of each neuron.
#[derive(Default)]
pub(super) struct Known<'a> {
    pub traces: Option<&'a Traces>,
    /// The place of each neuron, (N,).
    pub places: Option<&'a [Option<Place>]>,
}

impl Known<'_> {
    /// What a field of a neuron's row should be; none where that is not known here.
    fn expected(&self, column: &str, neuron: usize) -> Option<String> {
        let traces = self.traces;
        let place = |of: fn(Place) -> usize| {
            let place = self.places?.get(neuron)?;
            Some(place.map_or_else(String::new, |place| of(place).to_string()))
        };
        match column {
            "index" => Some(neuron.to_string()),
            "source_row" => Some(traces?.source_row.as_ref()?.get(neuron)?.to_string()),
            "model_noise_level" => {
                Some(traces?.model_noise_level.as_ref()?.get(neuron)?.to_string())
            }
            "spikes" => Some(traces?.counts.as_ref()?.get(neuron)?.to_string()),
            "x" | "y" | "z" => {
                let axis = ["x", "y", "z"].iter().position(|name| *name == column)?;
                Some(number(traces?.xyz.as_ref()?.get(neuron)?[axis]))
            }
            "noise_level" => Some(number(*traces?.noise_level.as_ref()?.get(neuron)?)),
            "plane" => place(|place| place.plane),
            "row" => place(|place| place.row),
            "column" => place(|place| place.column),
            _ => None,
        }
    }
}

/// A number as the table writes it; NaN is an empty field.
fn number<N: Into<f64> + Display + Copy>(number: N) -> String {
    match number.into().is_nan() {
        true => String::new(),
        false => number.to_string(),
    }
}

/// Checks a table; the number of its rows.
pub(super) fn check(report: &mut Report, path: &Path, name: &str, known: &Known) -> Option<usize> {
    match read(report, path, name, known) {
        Ok(rows) => rows,
        Err(reason) => {
            report.difference(name, "a table that can be read", reason, RULE);
            None
        }
    }
}

fn read(
    report: &mut Report,
    path: &Path,
    name: &str,
    known: &Known,
) -> Result<Option<usize>, std::io::Error> {
    let mut reader = BufReader::new(regular::open(path)?);
    let header = line(&mut reader)?.unwrap_or_default();
    let columns: Vec<&str> = header.split('\t').collect();
    if !columns.starts_with(&COLUMNS) {
        let expected = format!("the columns {}", COLUMNS.join(", "));
        let found = columns.join(", ");
        report.difference(format_args!("{name}: header"), expected, found, RULE);
        return Ok(None);
    }
    // Of each column the first difference, and how many there are.
    let mut differences = vec![(0_u64, None); columns.len()];
    let mut rows = 0;
    while let Some(text) = line(&mut reader)? {
        let fields: Vec<&str> = text.split('\t').collect();
        if fields.len() != columns.len() {
            let place = format!("{name}: row {rows}");
            let expected = format!("{} fields", columns.len());
            report.difference(place, expected, fields.len(), RULE);
            return Ok(None);
        }
        for ((column, field), (count, first)) in columns.iter().zip(fields).zip(&mut differences) {
            if let Some(expected) = known.expected(column, rows)
                && !same(field, &expected)
            {
                *count += 1;
                first.get_or_insert_with(|| (rows, expected, field.to_owned()));
            }
        }
        rows += 1;
    }
    for (column, (count, first)) in columns.iter().zip(differences) {
        if let Some((row, expected, found)) = first {
            report.difference(
                format_args!("{name}: {column} of neuron {row}"),
                in_words(&expected),
                in_words(&found),
                format_args!("{RULE}; {} of {} rows differ", whole(count), whole(rows)),
            );
        }
    }
    if let Some(traces) = known.traces
        && traces.neurons != rows
    {
        let expected = format!("{} rows, as there are neurons", whole(traces.neurons));
        report.difference(name, expected, whole(rows), RULE);
    }
    Ok(Some(rows))
}

/// The next line without its end.
pub(super) fn line(reader: &mut impl BufRead) -> Result<Option<String>, std::io::Error> {
    let mut bytes = Vec::new();
    reader
        .by_ref()
        .take(LONGEST)
        .read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.pop_if(|byte| *byte == b'\n').is_none() && bytes.len() as u64 == LONGEST {
        return Err(std::io::Error::other("a line without an end"));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Whether a field says this, as text or as a number; what a neuron does not have is empty or NaN.
fn same(field: &str, expected: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    match expected {
        "" => field.is_empty() || number(field).is_some_and(f64::is_nan),
        _ => field == expected || number(field).is_some() && number(field) == number(expected),
    }
}

/// Compares a table, row by row, with that of another folder, which `source` names in messages.
pub(super) fn compare(report: &mut Report, [here, other]: [&Path; 2], name: &str, source: &str) {
    match different_rows(here, other) {
        Ok((0, _)) => {}
        Ok((count, first)) => {
            let (row, found, expected) = first.unwrap_or_default();
            report.difference(
                format_args!("{name}: line {row}"),
                format_args!("\"{expected}\", as in {source}"),
                format_args!("\"{found}\""),
                format_args!("{RULE}; {} differ", counted(count, "line")),
            );
        }
        Err(reason) => report.difference(name, "a table that can be read", reason, RULE),
    }
}

type Lines = (usize, String, String);

/// How many lines of two tables differ; the first of them, counted from 1, in both. A column that one of them lacks because its version of
/// the program did not write it is left out.
fn different_rows(here: &Path, other: &Path) -> Result<(u64, Option<Lines>), std::io::Error> {
    let open = |path| regular::open(path).map(BufReader::new);
    let (mut here, mut other) = (open(here)?, open(other)?);
    let (mut count, mut first) = (0, None);
    let mut later = [None, None];
    for row in 1.. {
        let mut lines = [line(&mut here)?, line(&mut other)?];
        if lines == [None, None] {
            break;
        }
        if row == 1 {
            later = lines
                .each_ref()
                .map(|header| place_of_later(header.as_deref()));
        }
        match later {
            [Some(place), None] => lines[0] = without(lines[0].take(), place),
            [None, Some(place)] => lines[1] = without(lines[1].take(), place),
            _ => {}
        }
        let lines: (Option<String>, Option<String>) = lines.into();
        if lines.0 != lines.1 {
            count += 1;
            let text = |line: Option<String>| line.unwrap_or_else(|| "no line".into());
            first.get_or_insert_with(|| (row, text(lines.0), text(lines.1)));
        }
    }
    Ok((count, first))
}

/// Where a header has the column that older versions do not write.
fn place_of_later(header: Option<&str>) -> Option<usize> {
    let mut columns = header?.split('\t');
    columns.position(|column| column == "expected_correlation")
}

/// A line without the field at this place.
fn without(line: Option<String>, place: usize) -> Option<String> {
    let line = line?;
    let fields = line.split('\t').enumerate();
    let kept: Vec<&str> = fields
        .filter(|(field, _)| *field != place)
        .map(|(_, field)| field)
        .collect();
    Some(kept.join("\t"))
}

fn in_words(field: &str) -> &str {
    match field {
        "" => "nothing",
        _ => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(table: &str, known: &Known) -> (Option<usize>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("neurons.tsv");
        std::fs::write(&path, table).unwrap();
        let mut lines = Vec::new();
        let mut print = |line: &str| lines.push(line.to_owned());
        let rows = check(&mut Report::new(&mut print), &path, "neurons.tsv", known);
        (rows, lines)
    }

    fn table(rows: &[[&str; 16]]) -> String {
        let lines = [COLUMNS]
            .iter()
            .chain(rows)
            .map(|row| row.join("\t") + "\n");
        lines.collect()
    }

    fn known() -> Traces {
        Traces {
            dff: None,
            rates: None,
            spikes: None,
            counts: Some(vec![7, 0]),
            xyz: Some(vec![[1.0, 2.0, 3.0], [f64::NAN, 2.0, 3.0]]),
            noise_level: Some(vec![2.2, 8.1]),
            source_row: Some(vec![4, 5]),
            model_noise_level: Some(vec![2, 8]),
            neurons: 2,
        }
    }

    const ROWS: [[&str; 16]; 2] = [
        [
            "0", "4", "1", "2", "3", "1", "9", "8", "2.2", "2", "100.0", "0", "7.5", "7", "0.0", "",
        ],
        [
            "1", "5", "nan", "2.0", "3.0", "", "", "", "8.1", "8", "100.0", "0", "0.1", "0", "0.0",
            "dead",
        ],
    ];

    #[test]
    fn rule_9_6_a_table_that_says_what_traces_say_has_no_difference() {
        let place = Place {
            plane: 1,
            row: 9,
            column: 8,
        };
        let traces = known();
        let known = Known {
            traces: Some(&traces),
            places: Some(&[Some(place), None]),
        };
        assert_eq!(checked(&table(&ROWS), &known), (Some(2), vec![]));
    }

    #[test]
    fn rule_9_6_a_table_that_says_something_else_is_named() {
        let place = Place {
            plane: 1,
            row: 9,
            column: 8,
        };
        let traces = known();
        let known = Known {
            traces: Some(&traces),
            places: Some(&[Some(place), Some(place)]),
        };
        let mut rows = ROWS;
        rows[1][13] = "3";
        let (_, lines) = checked(&table(&rows), &known);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert_eq!(
            lines[3],
            "neurons.tsv: spikes of neuron 1: expected 0, found 3 (rule 9.4; 1 of 2 rows differ)"
        );
        assert!(
            lines[0].contains("plane of neuron 1: expected 1, found nothing"),
            "{lines:?}"
        );

        let (_, lines) = checked(&table(&ROWS[..1]), &known);
        assert_eq!(
            lines,
            ["neurons.tsv: expected 2 rows, as there are neurons, found 1 (rule 9.4)"]
        );
        for damaged in [
            "",
            "index\tx\n",
            &"x".repeat(1 << 17),
            &(table(&[]) + "0\t1\n"),
        ] {
            let (rows, lines) = checked(damaged, &known);
            assert_eq!((rows, lines.len()), (None, 1), "{lines:?}");
        }
    }

    #[test]
    fn rule_9_6_a_column_that_one_version_did_not_write_makes_no_difference() {
        let folder = tempfile::tempdir().unwrap();
        let compared = |here: &str, other: &str| {
            let paths = ["here.tsv", "other.tsv"].map(|name| folder.path().join(name));
            std::fs::write(&paths[0], here).unwrap();
            std::fs::write(&paths[1], other).unwrap();
            let rows = different_rows(&paths[0], &paths[1]).unwrap();
            rows.0
        };
        let older = "index\tflags\tsource_plane\n0\tdead\t3\n";
        let newer = "index\tflags\texpected_correlation\tsource_plane\n0\tdead\t0.5\t3\n";
        assert_eq!(compared(newer, older), 0);
        assert_eq!(compared(older, newer), 0);
        assert_eq!(compared(&newer.replace("dead", ""), older), 1);
        assert_eq!(compared(newer, &newer.replace("0.5", "0.6")), 1);
    }
}
