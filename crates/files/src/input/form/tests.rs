use super::*;

/// A subject whose folder has these files, empty ones, and folders, whose names end with a slash.
fn subject(names: &[&str]) -> (tempfile::TempDir, Subject) {
    let folder = tempfile::tempdir().expect("a folder");
    for name in names {
        let path = folder.path().join(name);
        let parent = match name.ends_with('/') {
            true => path.as_path(),
            false => path.parent().unwrap_or(&path),
        };
        fs::create_dir_all(parent).expect("a folder");
        if !name.ends_with('/') {
            fs::write(&path, "").expect("a file");
        }
    }
    let dir = folder.path().to_owned();
    let name = "subject_1".to_owned();
    (folder, Subject { name, dir })
}

fn found(names: &[&str], source: Option<&str>) -> Result<(&'static str, PathBuf), InputError> {
    let (folder, subject) = subject(names);
    let request = Request {
        source: source.map(PathBuf::from),
        ..Request::default()
    };
    let Found { form, place } = find(&subject, &request)?;
    let place = place.strip_prefix(folder.path()).unwrap_or(&place);
    Ok((form.name(), place.to_owned()))
}

#[test]
fn rule_2_6_the_first_form_of_the_list_is_taken() {
    for (names, form, place) in [
        (
            &["TimeSeries.h5", "cells0_clean.hdf5"][..],
            "TimeSeries",
            "",
        ),
        (
            &["cells0_clean.hdf5", "notes.txt"],
            "voluseg",
            "cells0_clean.hdf5",
        ),
        (&["notes.txt"], "TimeSeries", ""),
        (&[".cells0_clean.hdf5"], "TimeSeries", ""),
    ] {
        let found = found(names, None).expect("a form");
        assert_eq!(found, (form, PathBuf::from(place)), "{names:?}");
    }
}

#[test]
fn rule_2_6_source_chooses_and_says_what_is_no_recording() {
    let names = ["TimeSeries.h5", "run_2/cells0_clean.hdf5", "notes.txt"];
    let chosen = found(&names, Some("run_2/cells0_clean.hdf5")).expect("a form");
    assert_eq!(chosen.0, "voluseg");
    for (source, words) in [
        ("notes.txt", "a file of another kind"),
        ("run_2", "a folder with cells0_clean.hdf5"),
        ("run_3", "No such file"),
    ] {
        let message = found(&names, Some(source)).expect_err("no recording");
        let message = message.to_string();
        assert!(
            message.contains(source) && message.contains(words) && message.contains("--source"),
            "{message}"
        );
    }
}

#[test]
fn rule_2_6_only_forms_that_names_do_not_tell_are_tried_before_they_are_recognised() {
    let tried = |names: &[&str]| {
        let (_folder, subject) = subject(names);
        let files = files_to_recognise(&subject, &Request::default());
        files.iter().map(|path| file_name(path)).collect::<Vec<_>>()
    };
    assert_eq!(tried(&["TimeSeries.h5", "data_full.mat"]), [""; 0]);
    assert_eq!(
        tried(&["results.hdf5", "notes.txt"]),
        ["notes.txt", "results.hdf5"]
    );
}

#[test]
fn sizes_are_told_without_opening_a_file_whose_form_names_do_not_tell() {
    let (folder, subject) = subject(&["notes.txt"]);
    fs::write(folder.path().join("results.hdf5"), [0; 100]).expect("a file");
    let bytes = || fluorescence_bytes(&subject, &Request::default());
    assert_eq!(bytes(), 100);
    fs::write(folder.path().join("TimeSeries.h5"), [0; 7]).expect("a file");
    assert_eq!(bytes(), 7);
}

#[test]
fn bytes_of_a_folder_are_those_of_its_files() {
    let (folder, _) = subject(&["array/0/1", "array/0/2"]);
    fs::write(folder.path().join("array/0/1"), [0; 100]).expect("a file");
    fs::write(folder.path().join("array/0/2"), [0; 11]).expect("a file");
    std::os::unix::fs::symlink(".", folder.path().join("array/loop")).expect("a link");
    assert_eq!(bytes_below(&folder.path().join("array")), 111);
    assert_eq!(bytes_below(&folder.path().join("gone")), 0);
}

#[test]
fn rule_2_6_results_of_the_program_are_no_recording_unless_one_is_named() {
    let names = ["preaugmented_grids.h5", "activity.h5", "subject_1.nwb"];
    let refused = found(&names, None).expect_err("no recording").to_string();
    assert!(refused.contains("results of this program"), "{refused}");
    let (form, place) = found(&names, Some("subject_1.nwb")).expect("a recording");
    assert_eq!((form, place), ("NWB", PathBuf::from("subject_1.nwb")));
}
