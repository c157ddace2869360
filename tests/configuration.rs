//! `--config` and `--print_config` (rule 1.6), and the command `demo`.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{PROGRAM, Run, Workbench, alone, available, datasets, finish, mpirun, report};

fn verify_against(found: &Path, expected: &Path) -> Run {
    let [found, expected] = [found, expected].map(|path| path.to_str().unwrap());
    alone(&["verify", found, "--against", expected])
}

#[test]
fn rule_1_6_a_run_is_repeated_from_a_file_and_from_what_it_wrote() {
    let bench = Workbench::get();
    let folder = tempfile::tempdir().unwrap();
    let (first, file) = (folder.path().join("first"), folder.path().join("run.toml"));
    let [first_text, file_text] = [&first, &file].map(|path| path.to_str().unwrap());
    let more = [
        "--seed",
        "7",
        "--save_traces",
        "--threshold",
        "0",
        "--overwrite",
    ];
    let flags = bench.flags(&bench.raw(), &first, &more);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let printed = alone(&[&flags[..], &["--print_config"]].concat()).expect(0);
    assert!(printed.stderr.is_empty() && !first.exists());
    fs::write(&file, printed.stdout).unwrap();
    mpirun(2, &["--config", file_text]).expect(0);
    assert_eq!(report(&first)["configuration"]["seed"], 7);
    assert_eq!(report(&first)["ranks"], available(2));

    // Also what the command line gives differs here, and wins.
    let grids = first.join("subject_2/preaugmented_grids.h5");
    let sources = [
        first_text,
        &format!("{first_text}/report.json"),
        grids.to_str().unwrap(),
    ];
    for (number, source) in sources.into_iter().enumerate() {
        let again = folder.path().join(format!("again_{number}"));
        let output = ["--output_dir", again.to_str().unwrap(), "--workers", "2"];
        alone(&[&["--config", source], &output[..]].concat()).expect(0);
        let configuration = &report(&again)["configuration"];
        assert_eq!(
            (&configuration["seed"], &configuration["workers"]),
            (&7.into(), &2.into())
        );
        assert_eq!(configuration["overwrite"], false);
        if source.ends_with(".h5") {
            assert_eq!(configuration["only"], serde_json::json!(["subject_2"]));
            assert!(!again.join("subject_1").exists());
            assert!(datasets(&again.join("subject_2")) == datasets(&first.join("subject_2")));
        } else {
            verify_against(&again, &first).expect(0);
        }
    }

    // Files that a later run added.
    let grids = grids.to_str().unwrap();
    alone(&["--config", grids, "--activity", "f16", "--nwb"]).expect(0);
    let again = folder.path().join("again_with_all");
    let output = ["--output_dir", again.to_str().unwrap()];
    alone(&[&["--config", grids], &output[..]].concat()).expect(0);
    let repeated = datasets(&again.join("subject_2"));
    assert!(repeated == datasets(&first.join("subject_2")));
    for name in ["activity.h5", "traces.h5", "subject_2.nwb"] {
        assert!(again.join("subject_2").join(name).is_file(), "no {name}");
    }
}

#[test]
fn rule_1_6_all_ranks_refuse_what_rank_0_reads() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.toml");
    fs::write(&file, "seed = 1\ncascade_modell = \"a\"\n").unwrap();
    let run = mpirun(3, &["--config", file.to_str().unwrap()]).expect(2);
    let words = "run.toml: \"cascade_modell\" is no flag that a file can give; the nearest is \"cascade_model\"";
    assert_eq!(run.stderr.matches(words).count(), 1, "{}", run.stderr);

    let other = folder.path().join("other.h5");
    hdf5::File::create(&other).unwrap();
    alone(&["--config", other.to_str().unwrap(), "--print_config"])
        .expect(2)
        .says(&["other.h5: expected grids of a finished run"]);
    alone(&["--config", "nothing.toml", "doctor"]).expect(2);
    alone(&["doctor", "--config", "nothing.toml"])
        .expect(2)
        .says(&["nothing.toml: No such file"]);
    fs::write(&file, "split_ratio = 2").unwrap();
    alone(&["--config", file.to_str().unwrap(), "--print_config"])
        .expect(2)
        .says(&["--split_ratio is 2, expected a number from 0 to 1"]);
}

#[test]
fn rule_1_6_an_environment_variable_wins_over_a_file_and_loses_to_a_flag() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.toml");
    fs::write(&file, "model_dir = \"of_the_file\"\n").unwrap();
    let printed = |variable: Option<&str>, more: &[&str]| {
        let mut command = Command::new("env");
        command.args(variable.map(|value| format!("SPIKEGRID_MODEL_DIR={value}")));
        command.args([
            PROGRAM,
            "--print_config",
            "--config",
            file.to_str().unwrap(),
        ]);
        finish({
            command.args(more);
            command
        })
        .expect(0)
        .stdout
    };
    assert!(printed(None, &[]).contains("\nmodel_dir = \"of_the_file\"\n"));
    assert!(printed(Some("of_the_variable"), &[]).contains("\nmodel_dir = \"of_the_variable\"\n"));
    let flag = ["--model_dir", "of_the_flag"];
    assert!(printed(Some("of_the_variable"), &flag).contains("\nmodel_dir = \"of_the_flag\"\n"));
}

#[test]
fn the_demo_makes_subjects_processes_them_and_names_the_page_to_open() {
    let folder = tempfile::tempdir().unwrap();
    let demo = folder.path().join("demo");
    let run = mpirun(2, &["demo", demo.to_str().unwrap()]).expect(0);
    let output = demo.join("processed_spike_grids_demo");
    let page = output.join("report.html");
    assert!(page.is_file());
    let line = format!(
        "Open this page in a browser: {}",
        page.canonicalize().unwrap().display()
    );
    assert_eq!(run.stdout.matches(&line).count(), 1, "{}", run.stdout);
    assert_eq!(report(&output)["ranks"], available(2));
    assert!(
        run.stdout.contains("2 processed, 0 skipped, 0 failed"),
        "{}",
        run.stdout
    );
    alone(&["verify", output.to_str().unwrap()]).expect(0);

    let again = alone(&["demo", demo.to_str().unwrap()]).expect(0).stdout;
    assert!(again.contains("0 processed, 2 skipped"), "{again}");
    alone(&["demo", "/proc/nothing"])
        .expect(2)
        .says(&["/proc/nothing/raw_trace_data_demo"]);
}
