//! Two output folders, value by value: the same subjects, files, datasets, values bit by bit, and the settings that decide results
//! (rules 8.6 and 8.7).

mod datasets;
mod settings;

use std::path::{Path, PathBuf};

use spikegrid_core::wording::counted;
use spikegrid_files::output::written::regular_file;
use spikegrid_files::output::{OutputFile, SubjectFiles};

use super::report::Report;
use super::subject::{exists, open, try_out};
use super::{COMBINED, Found, VerifyError, table};
use datasets::compare_dataset;
pub(super) use datasets::compare_group;
use settings::{compare_attributes, compare_attributes_of};

const SAME_BYTES: &str = "rule 8.6";
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
    let files = [
        OutputFile::Grids,
        OutputFile::Metadata,
        OutputFile::Traces,
        OutputFile::Activity,
        OutputFile::Nwb,
    ];
    for folder in folders {
        let of_subject = SubjectFiles::new(folder, subject);
        try_out(report, &files.map(|file| of_subject.path(file)));
    }
    // A version before rule 9.4 wrote none.
    let table = format!("{subject}/neurons.tsv");
    let tables = folders.map(|folder| folder.join(&table));
    if tables.iter().all(|path| regular_file(path).is_ok()) {
        table::compare(
            report,
            tables.each_ref().map(PathBuf::as_path),
            &table,
            source,
        );
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
    let [found, expected] = [&here, &other].map(|file| {
        let names = file.file.objects();
        file.read(report, "datasets and groups", names, SAME_BYTES)
            .unwrap_or_default()
    });
    for added in only_in(&found, &expected) {
        let place = format!("{name}: {added}");
        let nowhere = format!("no such dataset or group, as in {source}");
        report.difference(place, nowhere, "one", SAME_BYTES);
    }
    for missing in only_in(&expected, &found) {
        let place = format!("{name}: {missing}");
        let there = format!("a dataset or group, as in {source}");
        report.difference(place, there, "none", SAME_BYTES);
    }
    for object in expected.iter().filter(|name| found.contains(name)) {
        compare_attributes_of(report, object, &here, &other, source);
    }
    let datasets = other.file.datasets().unwrap_or_default();
    for dataset in datasets.iter().filter(|name| found.contains(name)) {
        let datasets = [(&here, &dataset[..]), (&other, dataset)];
        compare_dataset(report, datasets, source, SAME_BYTES);
    }
    true
}

/// The datasets that the second file lacks, those of a group that it lacks as that group.
fn only_in<'a>(names: &'a [String], other: &[String]) -> Vec<&'a str> {
    let group = |name: &'a str| name.split_once('/').map(|(group, _)| group);
    let has_group = |group: &str| {
        other
            .iter()
            .any(|name| name.starts_with(&format!("{group}/")))
    };
    let lacking = names.iter().filter(|name| !other.contains(name));
    let mut only: Vec<&str> = lacking
        .map(|name| match group(name) {
            Some(group) if !has_group(group) => group,
            _ => name,
        })
        .collect();
    only.dedup();
    only
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_9_6_a_group_that_is_missing_is_one_line() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let all = names(&["a/x", "a/y", "b/x", "b/y", "z"]);
        assert_eq!(only_in(&all, &all), [""; 0]);
        assert_eq!(only_in(&all, &names(&["b/x"])), ["a", "b/y", "z"]);
    }
}
