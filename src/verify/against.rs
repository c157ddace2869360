//! Two output folders, value by value: the same subjects, files, datasets, values bit by bit, and the settings that decide results
//! (rules 8.6 and 8.7).

use std::path::Path;

use serde_json::Value as Json;
use spikegrid_files::output::written::{NumberKind, Planes, Value, WrittenDataset};
use spikegrid_files::output::{OutputFile, SubjectFiles};

use super::report::{Number, Opened, Report, counted, thousands};
use super::rules::{COLUMNS, ROWS};
use super::stream::{Judged, NoPixels, Scratch, Tally, judge_planes};
use super::subject::{exists, open, try_out};
use super::{COMBINED, Found, VerifyError};

/// Bytes that are read of each dataset at once.
const READ_BYTES: usize = 4 << 20;
const SAME_BYTES: &str = "rule 8.6";
const SAME_SETTINGS: &str = "rule 8.7";
/// Settings that decide results and stand in the attribute `config` alone, with what an output that lacks them was made with.
const IN_CONFIG: [(&str, Option<f64>); 9] = [
    ("shift_frames", Some(0.0)),
    ("calcium_dataset", None),
    ("missing", None),
    ("bridge_gaps", Some(0.0)),
    ("scale", Some(1.0)),
    ("planes", None),
    ("plane_step", None),
    ("cells", None),
    ("neuropil_coefficient", None),
];

/// Compares a folder with another.
///
/// # Errors
/// There is nothing to compare in one of them.
pub(super) fn compare(report: &mut Report, here: &Path, other: &Path) -> Result<(), VerifyError> {
    let (found, expected) = (Found::in_folder(here)?, Found::in_folder(other)?);
    let source = other.display().to_string();
    for name in &found.complete {
        if !expected.complete.contains(name) {
            let nowhere = format!("no such subject, as in {source}");
            report.difference(name, nowhere, "a complete subject", SAME_BYTES);
        }
    }
    let mut compared = 0;
    for name in &expected.complete {
        if !found.complete.contains(name) {
            let there = format!("a complete subject, as in {source}");
            report.difference(name, there, "none", SAME_BYTES);
            continue;
        }
        compared += 1;
        let before = report.differences;
        let files = compare_subject(report, [here, other], name, &source);
        let outcome = match report.differences - before {
            0 => format!("the same as in {source} ({})", files.join(", ")),
            count => counted(count, "difference"),
        };
        report.say(format_args!("{name}: {outcome}"));
    }
    try_out(report, &[here, other].map(|folder| folder.join(COMBINED)));
    compare_file(report, [here, other], COMBINED, &source);
    report.say(format_args!(
        "{} compared value by value, {}; rules 6 to 8 are checked without --against",
        counted(compared, "subject"),
        counted(report.differences, "difference"),
    ));
    Ok(())
}

/// Compares the files of a subject; the names of those that both folders have.
fn compare_subject(
    report: &mut Report,
    folders: [&Path; 2],
    subject: &str,
    source: &str,
) -> Vec<String> {
    let files = [OutputFile::Grids, OutputFile::Metadata, OutputFile::Traces];
    for folder in folders {
        let of_subject = SubjectFiles::new(folder, subject);
        try_out(report, &files.map(|file| of_subject.path(file)));
    }
    let mut compared = Vec::new();
    for file in files {
        let path = SubjectFiles::new(Path::new(""), subject).path(file);
        if compare_file(report, folders, &path.to_string_lossy(), source) {
            let name = path.file_name().unwrap_or_default();
            compared.push(name.to_string_lossy().into_owned());
        }
    }
    compared
}

/// Compares a file of this name in both folders; whether both have it.
fn compare_file(report: &mut Report, folders: [&Path; 2], name: &str, source: &str) -> bool {
    match folders.map(|folder| exists(&folder.join(name))) {
        [true, true] => {}
        [false, false] => return false,
        [here, _] => {
            let [expected, found] = match here {
                true => ["no such file", "a file"],
                false => ["a file", "no such file"],
            };
            let expected = format!("{expected}, as in {source}");
            report.difference(name, expected, found, SAME_BYTES);
            return false;
        }
    }
    let [here, other] = folders.map(|folder| open(report, folder, name, SAME_BYTES));
    let (Some(here), Some(other)) = (here, other) else {
        return true;
    };
    compare_attributes(report, &here, &other, source);
    let names = [&here, &other].map(|file| {
        let names = file.file.datasets();
        file.read(report, "datasets", names, SAME_BYTES)
            .unwrap_or_default()
    });
    for dataset in names[0]
        .iter()
        .filter(|dataset| !names[1].contains(dataset))
    {
        let place = format!("{name}: {dataset}");
        let expected = format!("no such dataset, as in {source}");
        report.difference(place, expected, "a dataset", SAME_BYTES);
    }
    for dataset in &names[1] {
        compare_dataset(
            report,
            [(&here, dataset), (&other, dataset)],
            source,
            SAME_BYTES,
        );
    }
    true
}

/// Checks that a group of a file holds what another file holds.
pub(super) fn compare_group(
    report: &mut Report,
    expected: &Opened,
    file: &Opened,
    group: &str,
    rule: &str,
) {
    let names = expected.file.datasets();
    for name in expected
        .read(report, "datasets", names, rule)
        .unwrap_or_default()
    {
        let in_group = format!("{group}/{name}");
        compare_dataset(
            report,
            [(file, &in_group), (expected, &name)],
            &expected.name,
            rule,
        );
    }
}

/// Compares a dataset with that of the second file, which `source` names in messages.
fn compare_dataset(
    report: &mut Report,
    [(file, name), (other, other_name)]: [(&Opened, &str); 2],
    source: &str,
    rule: &str,
) {
    let expected = match other.file.dataset(other_name) {
        Ok(expected) => expected,
        Err(reason) => {
            let place = format!("{} in {source}: {other_name}", other.name);
            return report.difference(place, "a dataset of numbers", reason, rule);
        }
    };
    let Some(found) = file.dataset(report, name, expected.kind, &expected.shape, rule) else {
        return;
    };
    let differences = match expected.shape[..] {
        [_, _, ROWS, COLUMNS] if expected.kind == NumberKind::U8 => {
            Ok(compare_planes(&found, &expected))
        }
        _ => match expected.kind {
            NumberKind::F32 => compare_values::<f32>(&found, &expected),
            NumberKind::F64 => compare_values::<f64>(&found, &expected),
            NumberKind::I8 => compare_values::<i8>(&found, &expected),
            NumberKind::I16 => compare_values::<i16>(&found, &expected),
            NumberKind::I32 => compare_values::<i32>(&found, &expected),
            NumberKind::I64 => compare_values::<i64>(&found, &expected),
            NumberKind::U8 => compare_values::<u8>(&found, &expected),
            NumberKind::U16 => compare_values::<u16>(&found, &expected),
            NumberKind::U32 => compare_values::<u32>(&found, &expected),
            NumberKind::U64 => compare_values::<u64>(&found, &expected),
        },
    };
    let Some(differences) = file.read(report, name, differences, rule) else {
        return;
    };
    if let Some(first) = differences.first {
        let all = expected.shape.iter().product::<usize>();
        report.difference(
            format_args!(
                "{}: {name}{}",
                file.name,
                index_text(first.place, &expected.shape)
            ),
            format_args!("{}, as in {source}", first.expected),
            first.found,
            format_args!(
                "{rule}; {} of {} differ",
                thousands(differences.count),
                counted(all, "value")
            ),
        );
    }
}

/// The place of a value, in the order of the file, as Python writes it.
fn index_text(place: usize, shape: &[usize]) -> String {
    let mut rest = place;
    let mut index = Vec::new();
    for &length in shape.iter().rev() {
        index.push((rest % length.max(1)).to_string());
        rest /= length.max(1);
    }
    index.reverse();
    match index.is_empty() {
        true => String::new(),
        false => format!("[{}]", index.join(", ")),
    }
}

/// Values that differ.
#[derive(Debug, Default, PartialEq)]
struct Differences {
    count: u64,
    first: Option<First>,
}

#[derive(Debug, PartialEq)]
struct First {
    place: usize,
    expected: String,
    found: String,
}

impl Differences {
    fn note(&mut self, count: u64, first: impl FnOnce() -> First) {
        self.count += count;
        self.first.get_or_insert_with(first);
    }
}

impl Tally for Differences {
    fn add(&mut self, later: Self) {
        self.count += later.count;
        self.first = self.first.take().or(later.first);
    }
}

fn compare_values<T: Number>(
    found: &WrittenDataset,
    expected: &WrittenDataset,
) -> Result<Differences, String> {
    let mut differences = Differences::default();
    let mut compare = |start: usize, expected: &[T], found: &[T]| {
        let pairs = expected.iter().zip(found).enumerate();
        for (place, (expected, found)) in pairs.filter(|(_, (a, b))| !a.same(**b)) {
            differences.note(1, || First {
                place: start + place,
                expected: format!("{expected:?}"),
                found: format!("{found:?}"),
            });
        }
    };
    let Some((&rows, rest)) = expected.shape.split_first() else {
        compare(0, &expected.values()?, &found.values()?);
        return Ok(differences);
    };
    let row = rest.iter().product::<usize>();
    let together = (READ_BYTES / (row * size_of::<T>()).max(1)).max(1);
    for start in (0..rows).step_by(together) {
        let part = start..rows.min(start + together);
        let values = expected.rows(part.clone())?;
        compare(start * row, &values, &found.rows(part)?);
    }
    Ok(differences)
}

fn compare_planes(found: &WrittenDataset, expected: &WrittenDataset) -> Differences {
    let planes = [found, expected].map(Planes::of);
    let all = 0..expected.shape[0] * expected.shape[1];
    judge_planes(planes.each_ref(), all, judge)
}

/// Compares a plane of both files: where their bytes are the same, without inflating them.
fn judge(differences: &mut Differences, plane: Judged<2>, scratch: &mut Scratch<2>) {
    const PIXELS: usize = ROWS * COLUMNS;
    if plane.same_bytes() {
        return;
    }
    let start = plane.place * PIXELS;
    match plane.pixels(scratch) {
        [Ok(found), Ok(expected)] => {
            if found == expected {
                return;
            }
            let pairs = found.iter().zip(expected).enumerate();
            for (pixel, (found, expected)) in pairs.filter(|(_, (a, b))| a != b) {
                differences.note(1, || First {
                    place: start + pixel,
                    expected: expected.to_string(),
                    found: found.to_string(),
                });
            }
        }
        [found, expected] => {
            let [found, expected] = [found, expected].map(|pixels| match pixels {
                Ok(_) => "a plane".to_owned(),
                Err(NoPixels::Nowhere) => "none: it was never stored".to_owned(),
                Err(NoPixels::Unreadable(reason)) => reason,
            });
            differences.note(PIXELS as u64, || First {
                place: start,
                expected,
                found,
            });
        }
    }
}

/// Compares the attributes that decide results: all but the version, and of the configuration what rule 8.7 names.
fn compare_attributes(report: &mut Report, here: &Opened, other: &Opened, source: &str) {
    let names = [here, other].map(|file| file.file.attributes().unwrap_or_default());
    let mut all: Vec<&String> = names.iter().flatten().collect();
    all.sort();
    all.dedup();
    for name in all {
        let [found, expected] = [here, other].map(|file| file.file.attribute(name));
        match name.as_str() {
            "software_version" => {}
            "config" => compare_configs(report, here, [found, expected].map(json), source),
            _ => {
                let [found, expected] = [found, expected].map(|value| match value {
                    Ok(Value::Text(text)) => format!("\"{}\"", kind_of(name, &text)),
                    Ok(value) => value.to_string(),
                    Err(reason) => reason,
                });
                if found != expected {
                    let place = format!("{}: attribute {name}", here.name);
                    let expected = format!("{expected}, as in {source}");
                    report.difference(place, expected, found, SAME_SETTINGS);
                }
            }
        }
    }
}

/// Of the baseline the kind counts, not who chose it: `subtract (auto)` is `subtract`.
fn kind_of<'a>(name: &str, text: &'a str) -> &'a str {
    match name {
        "baseline" => text.strip_suffix(" (auto)").unwrap_or(text),
        _ => text,
    }
}

fn json(value: Result<Value, String>) -> Json {
    match value {
        Ok(Value::Text(text)) => serde_json::from_str(&text).unwrap_or_default(),
        _ => Json::Null,
    }
}

fn compare_configs(report: &mut Report, here: &Opened, [found, expected]: [Json; 2], source: &str) {
    for (name, default) in IN_CONFIG {
        let [found, expected] = [&found, &expected].map(|config| match &config[name] {
            Json::Null => default.map_or(Json::Null, Json::from),
            number if number.is_number() => Json::from(number.as_f64()),
            value => value.clone(),
        });
        if found != expected {
            let place = format!("{}: attribute config, {name}", here.name);
            let expected = format!("{expected}, as in {source}");
            report.difference(place, expected, found, SAME_SETTINGS);
        }
    }
    let mut times = false;
    for (path, found, expected) in leaves(&found["input"], &expected["input"]) {
        if path.ends_with("modified_ns") {
            times = true;
            continue;
        }
        let place = format!("{}: attribute config, input{path}", here.name);
        let expected = format!("{expected}, as in {source}");
        report.difference(place, expected, found, SAME_SETTINGS);
    }
    if times {
        report.say(format_args!(
            "{}: note: the input files have other modification times than in {source}, as copies have; that is no difference",
            here.name
        ));
    }
}

/// The leaves in which two values differ, with their paths: `.time_series.size`.
fn leaves(found: &Json, expected: &Json) -> Vec<(String, Json, Json)> {
    match (found, expected) {
        (Json::Object(found), Json::Object(expected)) => {
            let mut names: Vec<&String> = found.keys().chain(expected.keys()).collect();
            names.sort();
            names.dedup();
            let of_name = |name: &String| {
                let [found, expected] =
                    [found, expected].map(|map| map.get(name).unwrap_or(&Json::Null));
                let inner = leaves(found, expected);
                let named = inner.into_iter();
                named
                    .map(|(path, a, b)| (format!(".{name}{path}"), a, b))
                    .collect::<Vec<_>>()
            };
            names.into_iter().flat_map(of_name).collect()
        }
        _ if found == expected => Vec::new(),
        _ => vec![(String::new(), found.clone(), expected.clone())],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rule_9_6_places_are_written_as_python_writes_them() {
        assert_eq!(index_text(0, &[]), "");
        assert_eq!(index_text(7, &[9]), "[7]");
        assert_eq!(
            index_text(32768 * 7 + 129, &[3, 5, 256, 128]),
            "[1, 2, 1, 1]"
        );
    }

    #[test]
    fn rule_9_6_of_the_input_the_leaves_that_differ_are_named() {
        let of = |size, modified| json!({"time_series": {"size": size, "modified_ns": modified}});
        assert_eq!(leaves(&of(1, 2), &of(1, 2)), []);
        let found = leaves(&of(1, 2), &of(3, 4));
        let paths: Vec<&str> = found.iter().map(|(path, ..)| path.as_str()).collect();
        assert_eq!(paths, [".time_series.modified_ns", ".time_series.size"]);
        assert_eq!(leaves(&of(1, 2), &json!({})).len(), 1);
    }

    #[test]
    fn rule_9_6_of_the_baseline_the_kind_counts() {
        assert_eq!(kind_of("baseline", "subtract (auto)"), "subtract");
        assert_eq!(kind_of("subject", "a (auto)"), "a (auto)");
    }
}
