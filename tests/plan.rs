//! `spikegrid-mpi plan`: from an input folder or from sizes, by a report or by what is measured here.

mod common;

use common::{Run, Workbench, alone, report};

/// Checks for words in the table.
fn shows(run: &Run, words: &[&str]) {
    for word in words {
        assert!(run.stdout.contains(word), "no {word:?} in {}", run.stdout);
    }
}

fn plan(arguments: &[&str]) -> Run {
    alone(&[&["plan"], arguments].concat())
}

/// The seconds of the table's only line, from which "… s" stands in the third column.
fn seconds(run: &Run) -> f64 {
    let line = run
        .stdout
        .lines()
        .skip_while(|line| !line.contains("ranks  nodes"))
        .nth(1);
    let line = line.unwrap_or_else(|| panic!("no table in {}", run.stdout));
    line.split_whitespace().nth(2).unwrap().parse().unwrap()
}

#[test]
fn a_plan_by_a_report_says_time_memory_and_disk_for_any_number_of_ranks() {
    let bench = Workbench::get();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    bench.run(1, &bench.raw(), &out, &[]).expect(0);
    let file = out.join("report.json");
    let raw = bench.raw();
    let by_report = |ranks: &str| {
        let input = ["--input_dir", raw.to_str().unwrap()];
        let run = ["--from_run", file.to_str().unwrap(), "--ranks", ranks];
        plan(&[&input[..], &run, &["--cores-per-node", "2"]].concat()).expect(0)
    };
    let one = by_report("1");
    shows(
        &one,
        &["2 subjects, 126 k neuron-frames", "to write", "MiB"],
    );
    let stages = &report(&out)["subjects"];
    let spent = |stage: &str| -> f64 {
        let subjects = (0..2).map(|subject| &stages[subject]["stage_sec"][stage]);
        subjects.map(|seconds| seconds.as_f64().unwrap()).sum()
    };
    let computed = spent("compute") + spent("draw");
    let alone = ["open", "read", "write", "finish"].map(spent);
    let most = computed + alone.iter().sum::<f64>();
    // The table has tenths of a second; messages take some.
    assert!(
        (computed - 0.1..most + 0.5).contains(&seconds(&one)),
        "{computed} to {most}: {}",
        one.stdout
    );
    shows(&by_report("1,2,64"), &["    64     32"]);
}

#[test]
fn a_plan_for_recordings_that_are_not_there_measures_what_work_costs() {
    let models = Workbench::get().models();
    let model = [
        "--model_dir",
        models.to_str().unwrap(),
        "--cascade_model",
        common::MODEL,
    ];
    let sizes = ["--recordings", "18x80000x8000x29", "--save_traces"];
    let planned = plan(&[&sizes[..], &model].concat()).expect(0);
    let disk = "18 subjects, 11.5 G neuron-frames; 46.1 GB to read, 10";
    shows(&planned, &[disk, "  1024"]);
}

#[test]
fn what_cannot_be_planned_ends_with_2_and_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    std::fs::write(&file, "{\"subjects\": []}").unwrap();
    let report = ["--from_run", file.to_str().unwrap()];
    let sizes = ["--recordings", "1x10x10x1"];
    plan(&[&sizes[..], &report].concat())
        .expect(2)
        .says(&["no subject that was", "expected the report.json"]);
    plan(&["--from_run", "nowhere.json"])
        .expect(2)
        .says(&["nowhere.json: No such file"]);
    plan(&["--recordings", "18x80000"])
        .expect(2)
        .says(&["18x80000x8000x29"]);
    plan(&["--ranks", "0"])
        .expect(2)
        .says(&["--ranks: expected at least 1, found 0"]);
    plan(&["--bandwidth", "-1"]).expect(2);
    plan(&[&sizes[..], &["--cascade_model", "none"]].concat())
        .expect(2)
        .says(&["costs cannot be measured here", "none"]);
}
