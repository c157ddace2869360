//! Which subjects there are (rule 2.1).

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::InputError;
use super::form::{self, entries, file_name};
use crate::hdf5_access::name_list;

/// With what the name of a subject's folder begins.
const PREFIX: &str = "subject_";
/// The file by which a subject's folder is recognised.
const RECORDING: &str = "TimeSeries.h5";

/// A folder `subject_*`, which holds one recording, or a recording that needs none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Name of the folder or recording, also that of the output folder. [`open`](super::open) refuses one that is not UTF-8.
    pub name: String,
    /// The folder, or the recording.
    pub dir: PathBuf,
}

/// The subjects of an input folder, in natural order: `subject_2` before `subject_10`. These are the folders `subject_*` directly in it
/// (rule 2.1); a link of such a name that leads nowhere is a subject, too, which [`open`](super::open) refuses (rule 9.3). Recordings of
/// an unmistakable form need no such folder: they may lie in the input folder, in DANDI's folders `sub-*`, or be the input folder itself
/// (rule 2.6).
///
/// # Errors
/// If the folder cannot be read or holds no subject, or if two subjects have one name.
pub fn subjects(input_dir: &Path) -> Result<Vec<Subject>, InputError> {
    let unreadable = |error: std::io::Error| InputError::Folder {
        path: input_dir.to_owned(),
        reason: match is_url(input_dir) {
            true => "a URL, and only folders of this machine are read".to_owned(),
            false => error.to_string(),
        },
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(input_dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let (dir, name) = (entry.path(), entry.file_name());
        let is_subject = name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
            && (dir.is_dir() || lost_target(&dir).is_some());
        if is_subject {
            let name = name.to_string_lossy().into_owned();
            found.push(Subject { name, dir });
        } else if !name.as_encoded_bytes().starts_with(b".") {
            found.extend(loose(&dir));
        }
    }
    let is_folder_of_subject = |subject: &Subject| file_name(&subject.dir).starts_with(PREFIX);
    if !found.iter().any(is_folder_of_subject)
        && let Some(itself) = loose_subject(input_dir)
    {
        // What lies in it are parts of one recording.
        found = vec![itself];
    }
    if found.is_empty() {
        return Err(InputError::NoSubjects {
            path: input_dir.to_owned(),
            found: found_instead(input_dir),
        });
    }
    found.sort_by(|a, b| natural_order(&a.name, &b.name));
    let same = |pair: &&[Subject]| pair[0].name == pair[1].name;
    match found.windows(2).find(same) {
        Some(pair) => Err(InputError::SameName {
            name: pair[0].name.clone(),
            paths: [pair[0].dir.clone(), pair[1].dir.clone()],
        }),
        None => Ok(found),
    }
}

/// The recordings that a file or folder of the input folder is, or that DANDI's folder `sub-*` has in it or in its folders `ses-*`.
fn loose(place: &Path) -> Vec<Subject> {
    let is_folder = |place: &Path, prefix: &str| file_name(place).starts_with(prefix);
    if !is_folder(place, "sub-") {
        return loose_subject(place).into_iter().collect();
    }
    let inside = entries(place).into_iter();
    let files = inside.flat_map(|entry| match is_folder(&entry, "ses-") {
        true => entries(&entry),
        false => vec![entry],
    });
    files.filter_map(|file| loose_subject(&file)).collect()
}

/// The recording that a file or folder is by itself.
fn loose_subject(place: &Path) -> Option<Subject> {
    let dir = place.to_owned();
    Some(Subject {
        name: form::name_of_loose(place)?,
        dir,
    })
}

/// Whether a path is meant as the address of something elsewhere, such as `s3://bucket/traces.zarr`.
pub(super) fn is_url(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let scheme = text.split_once(":/").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        !scheme.is_empty() && scheme.chars().all(is_part)
    })
}

/// Where a link says that it leads, if nothing is there.
pub(super) fn lost_target(path: &Path) -> Option<PathBuf> {
    let target = fs::read_link(path).ok()?;
    fs::metadata(path).is_err().then_some(target)
}

/// What a folder without subjects holds instead, and what to do about it.
fn found_instead(input_dir: &Path) -> String {
    let entries = fs::read_dir(input_dir).into_iter().flatten().flatten();
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.path().is_dir() {
            _ if name.starts_with('.') => {}
            true => folders.push(name),
            false => files.push(name),
        }
    }
    folders.sort_by(|a, b| natural_order(a, b));
    files.sort_by(|a, b| natural_order(a, b));
    if files.iter().any(|name| name == RECORDING) {
        return format!(
            "a {RECORDING}: it is a subject's folder itself; give its parent folder as --input_dir"
        );
    }
    instead_in_folders(input_dir, &folders).unwrap_or_else(|| instead_of_files(&folders, &files))
}

/// What to do about folders that hold recordings.
fn instead_in_folders(input_dir: &Path, folders: &[String]) -> Option<String> {
    let holds = |folder: &str| subjects_directly_in(&input_dir.join(folder));
    let deeper = folders.iter().map(|folder| (folder, holds(folder)));
    if let Some((folder, subjects)) = deeper
        .into_iter()
        .find(|(_, subjects)| !subjects.is_empty())
    {
        let subjects = name_list(subjects.into_iter(), "");
        let input_dir = input_dir.join(folder);
        return Some(format!(
            "{folder}/ with {subjects} in it; give --input_dir {}",
            input_dir.display()
        ));
    }
    let looks_like = |name: &&String| {
        name.to_lowercase().starts_with("subject") || input_dir.join(name).join(RECORDING).is_file()
    };
    let like: Vec<&String> = folders.iter().filter(looks_like).collect();
    let first = like.first()?;
    let lower = first.to_lowercase();
    let number = lower.strip_prefix("subject").unwrap_or(&lower);
    let name = format!("{PREFIX}{}", number.trim_start_matches(['_', '-', ' ']));
    let names = name_list(like.iter().map(|name| (*name).clone()), "");
    Some(format!(
        "{names}; give {} a name such as {name} (mv {first:?} {name:?}), or make links of such names, and give their folder as --input_dir",
        if like.len() == 1 { "it" } else { "each" }
    ))
}

/// What to do about a folder that has no folder with recordings in it.
fn instead_of_files(folders: &[String], files: &[String]) -> String {
    let is_data = |name: &&String| {
        let extension = name.rsplit('.').next().unwrap_or_default().to_lowercase();
        ["h5", "hdf5", "mat", "zip", "tar", "gz", "7z"].contains(&extension.as_str())
    };
    let data: Vec<String> = files.iter().filter(is_data).cloned().collect();
    if !data.is_empty() {
        let names = name_list(data.into_iter(), "");
        return format!(
            "the files {names}; put those of each subject into a folder, such as {PREFIX}1/{RECORDING} and {PREFIX}1/data_full.mat, and give \
             the folder above it as --input_dir"
        );
    }
    let names = folders.iter().chain(files).cloned();
    format!(
        "{}; give the folder that holds {PREFIX}1, {PREFIX}2, … as --input_dir",
        name_list(names, "none")
    )
}

/// Names of the folders `subject_*` in a folder.
fn subjects_directly_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter(|entry| entry.path().is_dir());
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(PREFIX)).collect();
    names.sort_by(|a, b| natural_order(a, b));
    names
}

/// Text order, except that runs of digits compare as the numbers they write, whatever their length.
pub(super) fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (Some(x), Some(y)) = (left.chars().next(), right.chars().next()) else {
            // Equal but for leading zeros ("subject_1", "subject_01"): plain order keeps the result definite.
            return left.len().cmp(&right.len()).then_with(|| a.cmp(b));
        };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (number_a, rest_a) = split_number(left);
            let (number_b, rest_b) = split_number(right);
            let order = number_a
                .len()
                .cmp(&number_b.len())
                .then_with(|| number_a.cmp(number_b));
            if order != Ordering::Equal {
                return order;
            }
            (left, right) = (rest_a, rest_b);
        } else {
            if x != y {
                return x.cmp(&y);
            }
            (left, right) = (&left[x.len_utf8()..], &right[y.len_utf8()..]);
        }
    }
}

/// The leading digits without leading zeros, and what follows them.
fn split_number(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    (number.trim_start_matches('0'), rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Request;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for name in names {
            fs::create_dir(dir.path().join(name)).expect("a subject folder");
        }
        dir
    }

    #[test]
    fn rule_2_1_subjects_come_in_natural_order() {
        let dir = folder_with(&[
            "subject_10",
            "subject_2",
            "subject_1",
            "subject_2b",
            "subject_2_1",
            "subject_007",
            "other",
        ]);
        let names: Vec<String> = subjects(dir.path())
            .expect("subjects")
            .into_iter()
            .map(|s| s.name)
            .collect();
        assert_eq!(
            names,
            [
                "subject_1",
                "subject_2",
                "subject_2_1",
                "subject_2b",
                "subject_007",
                "subject_10"
            ]
        );
    }

    #[test]
    fn rule_2_1_only_folders_directly_in_the_input_folder_count() {
        let dir = folder_with(&["subject_1", "group", "group/subject_3", ".subject_4"]);
        fs::write(dir.path().join("subject_2"), "a file").expect("a file");
        let found = subjects(dir.path()).expect("subjects");
        assert_eq!(
            found,
            [Subject {
                name: "subject_1".into(),
                dir: dir.path().join("subject_1")
            }]
        );
    }

    #[test]
    fn rule_2_1_a_missing_or_empty_input_folder_says_so() {
        let dir = folder_with(&["session_1"]);
        let empty = subjects(dir.path()).expect_err("no subject").to_string();
        assert!(
            empty.contains("subject_*") && empty.contains("--input_dir"),
            "{empty}"
        );
        let missing = subjects(&dir.path().join("nowhere"))
            .expect_err("no folder")
            .to_string();
        assert!(
            missing.contains("nowhere") && missing.contains("--input_dir"),
            "{missing}"
        );
    }

    #[test]
    fn rule_9_3_subjects_unreadable_link() {
        let dir = folder_with(&["subject_1", "store", "store/fish"]);
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, dir.path().join(name)).expect("a link");
        };
        link("store/gone", "subject_2");
        link("store/fish", "subject_3");
        link("subject_4", "subject_4");
        link("store/gone", "other_5");
        let found = subjects(dir.path()).expect("subjects");
        let names: Vec<&str> = found.iter().map(|subject| &subject.name[..]).collect();
        assert_eq!(names, ["subject_1", "subject_2", "subject_3", "subject_4"]);
        let failure = |subject: &Subject| {
            let error = super::super::open(subject, &Request::default()).expect_err("no recording");
            (error.code().map(|code| code.name()), error.to_string())
        };
        let (code, message) = failure(&found[1]);
        assert_eq!(code, Some("subjects.unreadable_link"));
        assert!(
            message.contains("subject_2") && message.contains("store/gone"),
            "{message}"
        );
        assert_eq!(failure(&found[3]).0, Some("subjects.unreadable_link"));
        assert_eq!(
            failure(&found[2]).0,
            None,
            "the near miss: a folder without files"
        );
    }

    #[test]
    fn rule_2_1_without_subjects_the_message_says_what_was_found_instead() {
        let message = |folders: &[&str], files: &[&str]| {
            let dir = folder_with(folders);
            for file in files {
                fs::write(dir.path().join(file), "").expect("a file");
            }
            let message = subjects(dir.path()).expect_err("no subject").to_string();
            assert!(message.contains("--input_dir"), "{message}");
            message
        };
        for (folders, files, words) in [
            (
                &["Subject_2", "Subject_10"][..],
                &[][..],
                &["Subject_2, Subject_10", "subject_2"][..],
            ),
            (&["subject1"], &[], &["subject1", "subject_1"]),
            (
                &["Subjects", "Subjects/subject_1"],
                &[],
                &["Subjects/ with subject_1", "/Subjects"],
            ),
            (
                &["fish 3"],
                &["fish 3/TimeSeries.h5"],
                &["fish 3", "subject_fish 3"],
            ),
            (
                &[],
                &["a.h5", "b.mat", "notes.txt"],
                &["a.h5, b.mat", "subject_1/TimeSeries.h5"],
            ),
            (
                &[],
                &["TimeSeries.h5"],
                &["a subject's folder itself", "parent"],
            ),
            (&["figures"], &["notes.txt"], &["figures, notes.txt"]),
            (&[], &["subject_1.zip"], &["subject_1.zip"]),
            (&[], &[], &["found none"]),
        ] {
            let message = message(folders, files);
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        }
    }

    #[test]
    fn natural_order_handles_numbers_of_any_length_and_leading_zeros() {
        assert_eq!(
            natural_order("s_99999999999999999999999", "s_100000000000000000000000"),
            Ordering::Less
        );
        assert_eq!(natural_order("s_01", "s_1"), Ordering::Less);
        assert_eq!(natural_order("s_0", "s_00"), Ordering::Less);
        assert_eq!(natural_order("s_1", "s_1"), Ordering::Equal);
        assert_eq!(natural_order("é2", "é10"), Ordering::Less);
    }
}
