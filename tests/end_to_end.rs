//! The whole program on demo data: from a folder of subjects to grids and plots, on any number of ranks.

mod common;

use common::{Workbench, datasets, python};

#[test]
fn rule_8_6_datasets_are_the_same_bytes_for_any_ranks_threads_and_units() {
    let bench = Workbench::get();
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("1");
    const FILES: &[&str] = &["--save_traces", "--activity", "--nwb"];
    bench.run(1, &bench.raw(), &first, FILES).expect(0);
    let expected = datasets(&first);
    assert!(expected.contains_key("subject_2/preaugmented_grids.h5:grids"));
    assert!(expected.contains_key("subject_2/activity.h5:neuron_values"));
    assert!(
        expected
            .contains_key("subject_2/subject_2.nwb:processing:ophys:SpikeRates:SpikeRates:data")
    );
    let spikes: usize = expected["subject_1/traces.h5:spikes"]
        .2
        .iter()
        .map(|&spike| usize::from(spike))
        .sum();
    assert!(
        spikes > 100,
        "only {spikes} spikes: the comparison would show little"
    );
    for (ranks, more) in [
        (2, &["--batch_size", "7"][..]),
        (3, &["--workers", "2"]),
        (4, &[]),
        (8, &["--batch_size", "1"]),
        (1, &["--workers", "3", "--memory_limit", "128MiB"]),
    ] {
        let output = folder.path().join(format!("{ranks} {}", more.join(" ")));
        bench
            .run(ranks, &bench.raw(), &output, &[FILES, more].concat())
            .expect(0);
        let found = datasets(&output);
        assert!(found.keys().eq(expected.keys()));
        for (name, dataset) in &expected {
            assert!(
                found[name] == *dataset,
                "{name} differs at {ranks} ranks with {more:?}"
            );
        }
    }
    python("tests/check_outputs.py", &[first.to_str().unwrap()]);
    python(
        "scripts/replay_spikes.py",
        &[first.join("subject_1").to_str().unwrap()],
    );
}

#[test]
fn rule_8_7_a_complete_subject_is_skipped_and_a_missing_file_is_added() {
    let bench = Workbench::get();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let run = |more: &[&str]| bench.run(2, &bench.raw(), &out, more);
    let first = run(&[]).expect(0);
    let findings = |stderr: &str| -> Vec<String> {
        let lines = stderr.lines().filter(|line| line.contains(": subject_1: "));
        lines.map(str::to_owned).collect()
    };
    let found = common::report(&out)["subjects"][0]["findings"].clone();
    assert_ne!(found, serde_json::json!([]), "demo data have findings");
    let before = datasets(&out);
    let grids = out.join("subject_1/preaugmented_grids.h5");
    let written = std::fs::metadata(&grids).unwrap().modified().unwrap();

    let again = run(&["--workers", "2", "--batch_size", "5"]).expect(0);
    assert!(
        again.stdout.contains("0 processed, 2 skipped, 0 failed"),
        "{}",
        again.stdout
    );

    for name in ["metadata.h5", "subject_1_visualization.pdf"] {
        std::fs::remove_file(out.join("subject_1").join(name)).unwrap();
        let added = run(&[]).expect(0);
        assert!(
            added.stdout.contains("1 processed, 1 skipped, 0 failed"),
            "{}",
            added.stdout
        );
        assert!(out.join("subject_1").join(name).is_file());
        // What was found out stays so, be it found again or read from the grids.
        assert_eq!(common::report(&out)["subjects"][0]["findings"], found);
        let said = [&first, &added].map(|run| {
            let mut said = findings(&run.stderr);
            said.sort();
            said
        });
        assert_eq!(said[0], said[1]);
    }
    run(&["--save_traces", "--activity=f16", "--nwb"]).expect(0);
    assert!(out.join("subject_2/traces.h5").is_file());
    assert!(out.join("subject_2/subject_2.nwb").is_file());
    let activity = out.join("subject_2/activity.h5");
    let bytes = || {
        let file = hdf5::File::open(&activity).unwrap();
        let values = file.dataset("neuron_values").unwrap();
        values.dtype().unwrap().size()
    };
    assert_eq!(bytes(), 2);
    let again = run(&["--activity=f16"]).expect(0).stdout;
    assert!(again.contains("0 processed, 2 skipped"), "{again}");
    let wider = run(&["--activity"]).expect(0).stdout;
    let writing = "; writing activity.h5 (activity.h5 again, because the one there has f16)\n";
    assert!(wider.contains(writing), "{wider}");
    assert_eq!(bytes(), 4, "activity.h5 is not as the last run was asked");
    assert_eq!(
        std::fs::metadata(&grids).unwrap().modified().unwrap(),
        written,
        "the grids were written again"
    );
    let after = datasets(&out);
    assert!(before.iter().all(|(name, dataset)| after[name] == *dataset));
    python("tests/check_outputs.py", &[out.to_str().unwrap()]);

    let other = run(&["--seed", "7", "--percentile", "10.5"]).expect(1);
    other.says(&[
        "subject_1 failed",
        "seed 42 (now 7)",
        "percentile 8.0 (now 10.5)",
        "--overwrite",
    ]);
    assert!(datasets(&out) == after, "a refused run changed something");

    let overwritten = run(&["--seed", "7", "--overwrite"]).expect(0);
    assert!(
        overwritten
            .stdout
            .contains("2 processed, 0 skipped, 0 failed"),
        "{}",
        overwritten.stdout
    );
    assert!(
        !out.join("subject_2/traces.h5").exists(),
        "traces of the old seed stand beside new grids"
    );
    python("tests/check_outputs.py", &[out.to_str().unwrap()]);
}

#[test]
fn rule_8_8_uncompressed_grids_hold_the_same_bytes_on_any_ranks_and_the_values_of_compressed_ones()
{
    let bench = Workbench::get();
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("gzip");
    bench
        .run(2, &bench.raw(), &packed, &["--save_traces"])
        .expect(0);
    let expected = datasets(&packed);
    for (ranks, more) in [(1, &[][..]), (2, &["--workers", "2"]), (4, &[])] {
        let out = folder.path().join(format!("none {ranks}"));
        let flags = [&["--save_traces", "--compression", "none"], more].concat();
        bench.run(ranks, &bench.raw(), &out, &flags).expect(0);
        for (name, dataset) in datasets(&out) {
            assert!(
                dataset == expected[&name],
                "{name} differs at {ranks} ranks"
            );
        }
        for subject in ["subject_1", "subject_2"] {
            let file = hdf5::File::open(out.join(subject).join("preaugmented_grids.h5")).unwrap();
            let grids = file.dataset("grids").unwrap();
            assert!(grids.offset().is_some() && grids.chunk().is_none());
            assert!(grids.filters().is_empty());
            let planes = &common::report(&out)["subjects"][0]["planes_written_by"];
            assert_eq!(planes.as_str(), Some(every_rank()));
            assert_eq!(
                common::undisturbed::hidden_files(&out.join(subject)),
                [""; 0]
            );
        }
    }
    let out = folder.path().join("none 4");
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let verified = common::alone(&["verify", &text(&out), "--against", &text(&packed)]);
    verified.expect(0);
    python("tests/check_outputs.py", &[&text(&out)]);
}

#[test]
fn rule_8_8_where_parallel_hdf5_cannot_open_the_grids_they_are_written_without_it() {
    let bench = Workbench::get();
    let folder = tempfile::tempdir().unwrap();
    let [packed, out] = ["gzip", "none"].map(|name| folder.path().join(name));
    bench.run(2, &bench.raw(), &packed, &[]).expect(0);
    let mut command = bench.mpirun(2, &bench.raw(), &out, &["--compression", "none"]);
    // Without any of its shared file pointers, Open MPI 4.1 opens no file; others do.
    command.env("OMPI_MCA_sharedfp", "^lockedfile,sm,individual");
    let run = common::finish(command).expect(0);
    println!("{}", run.stderr);
    assert!(datasets(&out) == datasets(&packed));
}

/// Who writes uncompressed planes, as the report says.
fn every_rank() -> &'static str {
    match cfg!(feature = "mpio") {
        true => "every rank (parallel HDF5)",
        false => "every rank",
    }
}

#[test]
fn rule_8_7_compression_is_not_compared_and_is_written_down() {
    let bench = Workbench::get();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let run = |more: &[&str]| bench.run(2, &bench.raw(), &out, more).expect(0).stdout;
    let is_compressed = || {
        let file = hdf5::File::open(out.join("subject_1/preaugmented_grids.h5")).unwrap();
        let config: hdf5::types::VarLenUnicode =
            file.attr("config").unwrap().read_scalar().unwrap();
        let is_chunked = file.dataset("grids").unwrap().is_chunked();
        let named = config.contains("\"compression\":\"gzip\"");
        assert_eq!(is_chunked, named, "{config}");
        is_chunked
    };
    run(&[]);
    assert!(is_compressed());
    let skipped = run(&["--compression", "none"]);
    assert!(skipped.contains("0 processed, 2 skipped"), "{skipped}");
    assert!(is_compressed());
    run(&["--compression", "none", "--overwrite"]);
    assert!(!is_compressed());
    // What is missing is added beside grids that stay as they are.
    std::fs::remove_file(out.join("subject_1/subject_1_visualization.pdf")).unwrap();
    let added = run(&[]);
    assert!(added.contains("1 processed, 1 skipped"), "{added}");
    assert!(!is_compressed());
    python("tests/check_outputs.py", &[out.to_str().unwrap()]);
}

#[test]
fn rule_8_7_a_changed_input_file_is_noticed() {
    let bench = Workbench::get();
    let folder = tempfile::tempdir().unwrap();
    let (raw, out) = (folder.path().join("raw"), folder.path().join("out"));
    common::copy_subject(&bench.raw().join("subject_1"), &raw.join("subject_1"));
    bench.run(1, &raw, &out, &[]).expect(0);
    let file = std::fs::OpenOptions::new()
        .append(true)
        .open(raw.join("subject_1/TimeSeries.h5"))
        .unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    bench
        .run(1, &raw, &out, &[])
        .expect(1)
        .says(&["subject_1 failed", "input."]);
}

#[test]
fn rule_8_7_grids_of_another_program_are_not_touched() {
    let bench = Workbench::get();
    let out = tempfile::tempdir().unwrap();
    let grids = out.path().join("subject_1/preaugmented_grids.h5");
    std::fs::create_dir(out.path().join("subject_1")).unwrap();
    hdf5::File::create(&grids).unwrap().close().unwrap();
    let before = std::fs::read(&grids).unwrap();
    bench
        .run(2, &bench.raw(), out.path(), &[])
        .expect(1)
        .says(&["subject_1 failed", "--overwrite"]);
    assert_eq!(std::fs::read(&grids).unwrap(), before);
    assert!(out.path().join("subject_2/preaugmented_grids.h5").is_file());
    bench
        .run(2, &bench.raw(), out.path(), &["--overwrite"])
        .expect(0);
}

#[test]
fn rule_1_1_the_program_runs_without_mpirun() {
    let bench = Workbench::get();
    let out = tempfile::tempdir().unwrap();
    let flags = bench.flags(&bench.raw(), out.path(), &["--only", "subject_2"]);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let run = common::alone(&flags).expect(0);
    assert!(
        run.stdout.contains("1 processed, 0 skipped, 0 failed"),
        "{}",
        run.stdout
    );
    assert!(!out.path().join("subject_1").exists());
}

#[test]
fn rule_1_5_the_report_says_what_the_last_lines_say() {
    let bench = Workbench::get();
    let out = tempfile::tempdir().unwrap();
    let run = bench
        .run(2, &bench.raw(), out.path(), &["--skip", "subject_1"])
        .expect(0);
    let last = run.stdout.trim_end().lines().last().unwrap();
    assert_eq!(last, "subjects: 1 processed, 0 skipped, 0 failed");
    assert!(
        run.stdout.contains("neuron-frames/s") && run.stdout.contains("peak memory"),
        "{}",
        run.stdout
    );
    let line = "subject_2: 90 neurons, 700 frames, ";
    let line = run.stdout.lines().find(|said| said.starts_with(line));
    let line = line.expect("a line of the subject");
    assert!(
        line.contains(" z-planes, at 2 Hz, baseline dff (auto); writing preaugmented_grids.h5"),
        "{line}"
    );
    let report = common::report(out.path());
    assert_eq!(report["subjects"][0]["outcome"], "processed");
    assert_eq!(report["subjects"][0]["neurons"], 90);
    assert_eq!(report["neuron_frames"], 90 * 700);
    assert_eq!(
        report["peak_resident_bytes_per_rank"]
            .as_array()
            .unwrap()
            .len(),
        common::available(2)
    );
    assert_eq!(report["configuration"]["skip"][0], "subject_1");
}

#[test]
fn rule_1_4_a_signal_ends_the_run_with_3_and_a_rerun_gives_the_same_bytes() {
    let bench = Workbench::get();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let raw = path("raw");
    common::demo_data(&raw, 2, 1500, 2000);
    bench.run(2, &raw, &path("undisturbed"), &[]).expect(0);

    let flags = bench.flags(&raw, &path("out"), &["--save_traces"]);
    let mut command = std::process::Command::new(common::PROGRAM);
    command.args(&flags);
    let mut job = common::Job::start(command);
    while !path("out/subject_1/.traces.h5.partial").exists() {
        assert!(job.runs(), "the run ended before it was stopped");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    job.signal("TERM");
    job.ends_within(10)
        .expect(3)
        .says(&["run the same command again to continue"]);
    assert!(common::visible_files(&path("out/subject_1")).is_empty());

    bench.run(2, &raw, &path("out"), &[]).expect(0);
    assert!(datasets(&path("out")) == datasets(&path("undisturbed")));
}

#[test]
fn rule_8_7_what_an_interrupted_run_left_is_cleared_away_beside_complete_files() {
    let bench = Workbench::get();
    let out = tempfile::tempdir().unwrap();
    bench.run(2, &bench.raw(), out.path(), &[]).expect(0);
    let left = out.path().join("subject_1/.traces.h5.partial");
    std::fs::write(&left, b"half a file").unwrap();
    bench.run(2, &bench.raw(), out.path(), &[]).expect(0);
    assert!(!left.exists());
}

#[test]
fn rule_8_7_damaged_files_beside_good_grids_do_not_count_as_complete() {
    let bench = Workbench::get();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    const FLAGS: &[&str] = &["--save_traces", "--activity"];
    let run = || bench.run(2, &bench.raw(), &out, FLAGS).expect(0);
    let again = "; writing activity.h5 (activity.h5 again, because the one there is damaged or of other data)\n";
    run();
    let expected = datasets(&out);
    let written = |name: &str| {
        let report = common::report(&out);
        report["subjects"][0]["files_written"] == serde_json::json!([name])
    };
    for name in ["metadata.h5", "traces.h5", "activity.h5"] {
        let path = out.join("subject_1").join(name);
        let whole = std::fs::read(&path).unwrap();
        for damaged in [&whole[..whole.len() / 2], &[0; 100], b""] {
            std::fs::write(&path, damaged).unwrap();
            let stdout = run().stdout;
            assert!(written(name));
            assert_eq!(stdout.contains(again), name == "activity.h5", "{stdout}");
            assert!(datasets(&out) == expected);
        }
    }
    for name in ["metadata.h5", "activity.h5"] {
        let file = hdf5::File::open_rw(out.join("subject_1").join(name)).unwrap();
        let train = file.dataset("is_train").unwrap();
        let split = train.read_raw::<u8>().unwrap();
        let flipped: Vec<u8> = split.iter().map(|train| 1 - train).collect();
        train.write_raw(&flipped).unwrap();
        drop((train, file));
        let stdout = run().stdout;
        assert!(written(name));
        assert_eq!(stdout.contains(again), name == "activity.h5", "{stdout}");
        assert!(datasets(&out) == expected);
    }
    // With new grids, every file is new.
    let activity = hdf5::File::open_rw(out.join("subject_1/activity.h5")).unwrap();
    activity.unlink("timepoint_indices").unwrap();
    drop(activity);
    let flags = [FLAGS, &["--overwrite"]].concat();
    let stdout = bench.run(2, &bench.raw(), &out, &flags).expect(0).stdout;
    assert!(!stdout.contains("again, because"), "{stdout}");
    assert!(datasets(&out) == expected);
}

#[test]
fn rule_8_4_combined_metadata_holds_every_complete_subject_whoever_wrote_it() {
    let bench = Workbench::get();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    std::fs::create_dir_all(out.join("subject_unfinished")).unwrap();
    std::thread::scope(|scope| {
        let runs = ["subject_1", "subject_2"].map(|subject| {
            let out = &out;
            scope.spawn(move || bench.run(1, &bench.raw(), out, &["--only", subject]))
        });
        for run in runs {
            run.join().unwrap().expect(0);
        }
    });
    let combined = hdf5::File::open(out.join("combined_metadata.h5")).unwrap();
    assert_eq!(combined.member_names().unwrap(), ["subject_1", "subject_2"]);
    drop(combined);
    let all = datasets(&out);
    let within = |prefix: &str| -> Vec<_> {
        let inside = |(name, dataset)| Some((str::strip_prefix(name, prefix)?, dataset));
        all.iter()
            .filter_map(|(n, d)| inside((n.as_str(), d)))
            .collect()
    };
    for subject in ["subject_1", "subject_2"] {
        let own = within(&format!("{subject}/metadata.h5:"));
        assert_eq!(own.len(), 6, "the datasets of rule 8.2");
        let copied = within(&format!("combined_metadata.h5:{subject}:"));
        assert!(copied == own, "{subject}");
    }
}

#[test]
fn a_subject_that_another_run_writes_is_left_to_it() {
    let bench = Workbench::get();
    let out = tempfile::tempdir().unwrap();
    std::fs::create_dir(out.path().join("subject_1")).unwrap();
    let other = std::fs::File::open(out.path().join("subject_1")).unwrap();
    other.lock().unwrap();
    let run = bench.run(2, &bench.raw(), out.path(), &[]).expect(1);
    run.says(&["subject_1 failed", "another run"]);
    assert!(out.path().join("subject_2/preaugmented_grids.h5").is_file());
}

#[test]
fn long_paths_are_no_problem() {
    let bench = Workbench::get();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("d".repeat(200)).join("e".repeat(100));
    bench.run(2, &bench.raw(), &out, &[]).expect(0);
    assert!(out.join("subject_2/preaugmented_grids.h5").is_file());
}
