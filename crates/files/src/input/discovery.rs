//! Which subjects there are (rule 2.1).

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::InputError;

/// A folder `subject_*`, which holds one recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Name of the folder, also that of the output folder. [`open`](super::open) refuses one that is not UTF-8.
    pub name: String,
    /// The folder.
    pub dir: PathBuf,
}

/// The folders `subject_*` directly in `input_dir`, in natural order: `subject_2` before `subject_10` (rule 2.1).
///
/// # Errors
/// If the folder cannot be read or holds no subject.
pub fn subjects(input_dir: &Path) -> Result<Vec<Subject>, InputError> {
    let unreadable = |error: std::io::Error| InputError::Folder {
        path: input_dir.to_owned(),
        reason: error.to_string(),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(input_dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let dir = entry.path();
        if !entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(b"subject_")
            || !dir.is_dir()
        {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        found.push(Subject { name, dir });
    }
    if found.is_empty() {
        return Err(InputError::NoSubjects {
            path: input_dir.to_owned(),
        });
    }
    found.sort_by(|a, b| natural_order(&a.name, &b.name));
    Ok(found)
}

/// Text order, except that runs of digits compare as the numbers they write, whatever their length.
fn natural_order(a: &str, b: &str) -> Ordering {
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
