//! Array jobs: tasks share the subjects, never write the same file, and their metadata is combined afterwards.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use common::{Run, Workbench, datasets, visible_files};

/// Three subjects, and what one run makes of them.
struct Bench {
    folder: tempfile::TempDir,
    expected: BTreeMap<String, (String, Vec<usize>, Vec<u8>)>,
}

impl Bench {
    fn get() -> &'static Self {
        static BENCH: OnceLock<Bench> = OnceLock::new();
        BENCH.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let (raw, out) = (folder.path().join("raw"), folder.path().join("out"));
            common::demo_data(&raw, 3, 40, 400);
            Workbench::get().run(2, &raw, &out, &[]).expect(0);
            let expected = datasets(&out);
            Bench { folder, expected }
        })
    }

    /// One task, as Slurm starts it.
    fn task(&self, out: &Path, variables: &[(&str, &str)], more: &[&str]) -> Run {
        let raw = self.folder.path().join("raw");
        let mut command = Command::new(common::PROGRAM);
        command
            .args(Workbench::get().flags(&raw, out, more))
            .envs(variables.iter().copied());
        common::finish(command)
    }

    /// A task of `sbatch --array=FIRST-LAST:STEP`, of which there are `count`.
    fn slurm_task(&self, out: &Path, task: &str, array: [&str; 3], count: &str) -> Run {
        let variables = [
            ("SLURM_ARRAY_TASK_ID", task),
            ("SLURM_ARRAY_TASK_MIN", array[0]),
            ("SLURM_ARRAY_TASK_MAX", array[1]),
            ("SLURM_ARRAY_TASK_STEP", array[2]),
            ("SLURM_ARRAY_TASK_COUNT", count),
        ];
        self.task(out, &variables, &["--array", "auto"])
    }
}

fn combine(out: &Path) -> Run {
    common::alone(&["combine", "--output_dir", out.to_str().unwrap()])
}

#[test]
fn tasks_at_the_same_time_write_what_one_run_writes_and_no_file_twice() {
    let bench = Bench::get();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    std::thread::scope(|scope| {
        let tasks = ["4", "6"].map(|task| {
            let out = &out;
            scope.spawn(move || bench.slurm_task(out, task, ["4", "6", "2"], "2").expect(0))
        });
        let [first, second] = tasks.map(|task| task.join().unwrap().stdout);
        assert!(
            first.contains("2 processed, 0 skipped, 0 failed"),
            "{first}"
        );
        assert!(
            second.contains("1 processed, 0 skipped, 0 failed"),
            "{second}"
        );
    });
    let mut files = visible_files(&out);
    files.sort();
    let reports = [4, 6].map(|task| [format!("report-{task}.html"), format!("report-{task}.json")]);
    assert_eq!(
        files[..4],
        reports.concat(),
        "combined_metadata.h5 is for later"
    );
    assert!(
        files[4..].iter().all(|name| name.starts_with("subject_")),
        "{files:?}"
    );

    let combined = combine(&out).expect(0);
    assert!(
        combined.stdout.contains("3 subjects"),
        "{}",
        combined.stdout
    );
    assert!(datasets(&out) == bench.expected);
}

#[test]
fn a_task_without_subjects_says_so_and_ends_with_0() {
    let bench = Bench::get();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let idle = bench.slurm_task(&out, "9", ["0", "9", "1"], "10").expect(0);
    assert!(idle.stdout.contains("array task 9: "), "{}", idle.stdout);
    assert!(idle.stdout.contains("0 processed, 0 skipped, 0 failed"));
    let mut files = visible_files(&out);
    files.sort();
    assert_eq!(files, ["report-9.html", "report-9.json"]);
}

#[test]
fn other_batch_systems_say_which_task_it_is() {
    let bench = Bench::get();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let more = ["--array", "2/2", "--skip", "subject_1"];
    bench.task(&out, &[], &more).expect(0);
    assert!(out.join("subject_3/preaugmented_grids.h5").is_file());
    assert!(!out.join("subject_1").exists() && !out.join("subject_2").exists());
    assert!(out.join("report-2.json").is_file());
}

#[test]
fn array_auto_outside_an_array_ends_with_2_and_says_what_is_missing() {
    let bench = Bench::get();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    bench
        .task(&out, &[], &["--array", "auto"])
        .expect(2)
        .says(&["SLURM_ARRAY_TASK_ID is not set", "--array 3/18"]);
    bench
        .slurm_task(&out, "3", ["3", "7", "1"], "2")
        .expect(2)
        .says(&["2 from 3 to 7", "Submit the whole array again"]);
    bench.task(&out, &[], &["--array", "0/4"]).expect(2);
    assert!(!out.exists());
}

#[test]
fn combine_says_what_it_leaves_out() {
    let bench = Bench::get();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    combine(&out).expect(2).says(&["out: cannot be read"]);
    std::fs::create_dir_all(out.join("subject_9")).unwrap();
    combine(&out).expect(2).says(&["holds no complete subject"]);
    assert!(visible_files(&out).iter().all(|name| name == "subject_9"));

    bench.task(&out, &[], &["--array", "1/2"]).expect(0);
    combine(&out).expect(1).says(&["not complete: subject_9"]);
    std::fs::write(out.join("subject_3/metadata.h5"), b"torn").unwrap();
    combine(&out).expect(1).says(&["leaves subject_3 out"]);
    let combined = hdf5::File::open(out.join("combined_metadata.h5")).unwrap();
    assert_eq!(combined.member_names().unwrap(), ["subject_1"]);
}
