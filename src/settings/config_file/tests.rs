use std::ffi::OsString;

use spikegrid_core::activity::Precision;

use super::*;
use crate::cli::{Cli, Command as Subcommand, command, parse_with_file};
use crate::settings::as_toml;

/// Reads a command line that names a configuration file of this text.
fn with_text(text: &str, more: &[&str]) -> Result<Cli, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let (command, flags) = match more {
        [command, flags @ ..] if !command.starts_with('-') => (&more[..1], flags),
        flags => (&more[..0], flags),
    };
    let config = ["--config", file.path().to_str().unwrap()];
    let arguments = [&["spikegrid-mpi"], command, &config, flags].concat();
    parse_with_file(arguments.into_iter().map(OsString::from)).map_err(|error| error.to_string())
}

fn refused(text: &str, words: &[&str]) {
    let message = with_text(text, &[]).unwrap_err();
    for word in words {
        assert!(message.contains(word), "no {word} in {message}");
    }
    assert!(message.starts_with("--config /"), "{message}");
    assert!(!message.contains("--help"), "{message}");
}

#[test]
fn rule_1_6_a_file_gives_flags_their_defaults() {
    let text = r#"
        input_dir = "here"
        output-dir = "there"
        only = ["subject_1", "subject_2"]
        skip = "subject_3,subject_4"
        save_traces = true
        overwrite = false
        threshold = 0
        window_sec = 20
        missing = -1.5
        memory_limit = "2GiB"
        peer_timeout = 7
        preemption_signal = "HUP"
    "#;
    let run = with_text(text, &[]).unwrap().run;
    assert_eq!(run.input_dir, Path::new("here"));
    assert_eq!(run.output_dir, Path::new("there"));
    assert_eq!(run.only, ["subject_1", "subject_2"]);
    assert_eq!(run.skip, ["subject_3,subject_4"]);
    assert!(run.save_traces && !run.overwrite);
    assert_eq!((run.threshold.name(), run.window_sec), ("0", 20.0));
    assert_eq!(run.data.missing, Some(-1.5));
    assert_eq!(run.memory_limit.0, 2 << 30);
    assert_eq!(run.interruption.peer_timeout, 7);
}

#[test]
fn rule_1_6_the_command_line_wins() {
    let text =
        "seed = 1\nonly = [\"a\", \"b\"]\nsave_traces = true\nplanes = 3\nactivity = \"f16\"";
    let run = with_text(text, &["--seed", "2", "--only", "c"])
        .unwrap()
        .run;
    assert_eq!((run.seed, run.only), (2, vec!["c".into()]));
    assert!(run.save_traces);
    assert_eq!(run.activity, Some(Precision::F16));
    let off = [
        "--save_traces=false",
        "--activity",
        "off",
        "--plane_step",
        "2",
    ];
    let run = with_text(text, &off).unwrap();
    assert!(!run.run.save_traces && run.run.activity.is_none());
    assert_eq!(
        (run.run.data.planes, run.run.data.plane_step),
        (None, Some(2.0))
    );
    // A value that the command line replaces does not count, whatever it is.
    assert!(with_text("seed = -1", &["--seed", "2"]).is_ok());
}

#[test]
fn rule_1_6_commands_take_what_they_know_of_a_run() {
    let cli = with_text("seed = 1\ninput_dir = \"here\"\nscale = 2", &["doctor"]);
    let Some(Subcommand::Doctor(doctor)) = cli.unwrap().command else {
        panic!("no doctor");
    };
    assert!(format!("{doctor:?}").contains("\"here\""));
    let cli = with_text("seed = 1", &["plan", "--ranks", "2"]).unwrap();
    let Some(Subcommand::Plan(plan)) = cli.command else {
        panic!("no plan");
    };
    assert_eq!((plan.run.seed, plan.ranks), (1, vec![2]));
}

#[test]
fn rule_1_6_wrong_keys_and_values_are_refused_as_flags_are() {
    refused(
        "sed = 1",
        &["\"sed\" is no flag that a file can give; the nearest is \"seed\""],
    );
    refused("outputdir = \"a\"", &["nearest is \"output_dir\""]);
    refused("zzz = 1", &["\"zzz\" is no flag"]);
    refused("config = \"a\"", &["\"config\" is no flag"]);
    refused("[output]\ndir = 1", &["\"output\" is no flag"]);
    refused("[seed]\na = 1", &["seed is a table, expected one value"]);
    refused("seed = [1, 2]", &["seed is a list, expected one value"]);
    refused(
        "only = [[1]]",
        &["only is a list, expected a list of names"],
    );
    refused("seed = 1\nseed = 2", &["line 2", "duplicate key"]);
    refused("seed 1", &["line 1", "="]);
    refused("planes = 1\nplane_step = 2", &["--planes", "--plane_step"]);
    for (text, words) in [
        (
            "seed = -1",
            "invalid value '-1' for '--seed <SEED>': -1 is not in",
        ),
        (
            "seed = 1.5",
            "invalid value '1.5' for '--seed <SEED>': invalid digit",
        ),
        ("device = \"gpu\"", "[possible values: auto, cpu, cuda]"),
        ("save_traces = \"yes\"", "[possible values: true, false]"),
        (
            "memory_limit = \"1 parsec\"",
            "the unit \"parsec\" is none of",
        ),
    ] {
        refused(text, &[words]);
    }
}

#[test]
fn rule_1_6_what_is_printed_can_be_given_back() {
    let arguments = [
        "spikegrid-mpi",
        "--only=subject_1,subject \"2\"",
        "--array=2/3",
        "--overwrite",
        "--baseline=subtract",
        "--missing=-0.1",
        "--threshold=off",
        "--model_dir=some/models",
        "--memory_limit=300MiB",
        "--cells=all",
        "--window_sec=1e-3",
        "--preemption_signal=XCPU",
    ];
    for count in 1..=arguments.len() {
        let run = crate::cli::parse(arguments[..count].iter().map(OsString::from))
            .unwrap()
            .run;
        let text = as_toml(&run, &command()).unwrap();
        let again = with_text(&text, &[]).unwrap().run;
        assert_eq!(format!("{again:?}"), format!("{run:?}"), "{text}");
        assert_eq!(as_toml(&again, &command()).unwrap(), text);
    }
    let defaults = as_toml(&with_text("", &[]).unwrap().run, &command()).unwrap();
    for line in [
        "\nseed = 42\n",
        "\n# sampling_rate =\n",
        "\nonly = []\n",
        "\n# == Computation ==\n",
    ] {
        assert!(defaults.contains(line), "no {line} in {defaults}");
    }
    assert!(!defaults.contains("config ="), "{defaults}");
}

#[test]
fn rule_1_6_a_report_is_taken_without_what_is_not_repeated() {
    let text = r#"{"software_version": "0.0.1", "configuration": {"seed": 7, "scale": null, "overwrite": true, "only": [],
        "array": {"id": 1, "place": 0, "tasks": 2}, "input": {"size": 1}, "some_flag_of_another_version": 1}}"#;
    let run = with_text(text, &[]).unwrap().run;
    assert_eq!((run.seed, run.data.scale, run.overwrite), (7, 1.0, false));
    assert!(run.array.is_none());
    assert!(with_text("{ broken", &[]).unwrap_err().contains("line 1"));
}

#[test]
fn rule_1_6_what_is_no_configuration_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let read = |path: &Path| ConfigFile::read(path).unwrap_err().to_string();
    assert!(read(folder.path()).contains("neither report.json nor"));
    assert!(read(&folder.path().join("none.toml")).contains("No such file"));
    let binary = folder.path().join("binary");
    fs::write(&binary, b"\xff\xfe").unwrap();
    assert!(read(&binary).contains("UTF-8"));
}
