//! Each finding on a recording of which it is true, and on one that misses it by little (rule 9.3).

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::{available, mpirun, python};
use serde::Deserialize;
use spikegrid_core::findings::Code;

#[derive(Deserialize)]
struct Folder {
    flags: Vec<String>,
    subjects: BTreeMap<String, Expected>,
}

#[derive(Deserialize)]
struct Expected {
    codes: Vec<String>,
    not: Vec<String>,
    fails: bool,
    clean: bool,
}

/// Runs the program on a folder of recordings; what is wrong with the findings of its subjects.
fn check(input: &Path, output: &Path, folder: &Folder) -> Vec<String> {
    let paths = [input, output].map(|path| path.to_str().expect("a path"));
    let mut arguments = vec!["--input_dir", paths[0], "--output_dir", paths[1]];
    arguments.extend(folder.flags.iter().map(String::as_str));
    let fails = folder.subjects.values().any(|subject| subject.fails);
    let run = mpirun(available(2), &arguments).expect(i32::from(fails));
    let report = common::report(output);
    let subjects = report["subjects"].as_array().expect("subjects");
    let mut wrong = Vec::new();
    for subject in subjects {
        let name = subject["name"].as_str().expect("a name");
        let expected = &folder.subjects[name];
        let findings = subject["findings"].as_array().expect("findings");
        let of = |finding: &serde_json::Value| finding["code"].as_str().map(str::to_owned);
        let codes: BTreeSet<String> = findings.iter().filter_map(of).collect();
        let mut say = |what: String| wrong.push(format!("{name}: {what}, among {codes:?}"));
        for code in expected.codes.iter().filter(|code| !codes.contains(*code)) {
            say(format!("no finding {code}"));
        }
        for code in expected.not.iter().filter(|code| codes.contains(*code)) {
            say(format!("finding {code}, which is not so"));
        }
        if (subject["outcome"] == "failed") != expected.fails {
            say(format!("{} with {}", subject["outcome"], subject["error"]));
        }
        for finding in findings {
            let severity = finding["severity"].as_str().expect("a severity");
            if expected.clean && severity != "note" {
                say(format!("a {severity}: {}", finding["message"]));
            }
            if !run.stderr.contains(&format!(
                "{name}: {}",
                finding["code"].as_str().expect("a code")
            )) && !run.stderr.contains(&format!(
                "{name} failed: {}",
                finding["code"].as_str().expect("a code")
            )) {
                say(format!("stderr does not name {}", finding["code"]));
            }
        }
    }
    assert_eq!(subjects.len(), folder.subjects.len());
    wrong
}

#[test]
fn rules_9_1_and_9_3_each_finding_is_made_and_told_where_it_is_true_and_not_where_it_nearly_is() {
    let scratch = tempfile::tempdir().expect("a folder");
    let cases = scratch.path().join("cases");
    python("tests/make_findings.py", &[cases.to_str().expect("a path")]);
    let text = std::fs::read_to_string(cases.join("expected.json")).expect("expectations");
    let folders: BTreeMap<String, Folder> = serde_json::from_str(&text).expect("expectations");
    let mut wrong = Vec::new();
    for (name, folder) in &folders {
        let output = scratch.path().join("out").join(name);
        wrong.extend(check(&cases.join(name), &output, folder));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let subjects = folders.values().flat_map(|folder| folder.subjects.values());
    let tried: BTreeSet<&str> = subjects
        .flat_map(|subject| &subject.codes)
        .map(String::as_str)
        .collect();
    // Two indices that disagree are tried in tests/end_to_end.rs.
    let untried: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| **code != Code::DisagreeingIndices)
        .map(|code| code.name())
        .filter(|name| !tried.contains(name))
        .collect();
    assert_eq!(untried, [""; 0], "codes without a recording");
}
