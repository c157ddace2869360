//! `--cascade_model auto`: each subject gets the model of its rate (rule 4.9), and what a model's benchmark says of neurons (rule 9.4).

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use common::{Run, alone, available, copy_folder, datasets, finish, mpirun_command};
use serde_json::Value as Json;
use spikegrid_files::models::benchmark::BENCHMARK;
use spikegrid_files::models::verify::write_checksums;

const TWO: &str = "Global_EXC_2Hz_smoothing500ms";
const THREE: &str = "Global_EXC_3Hz_smoothing333ms";
const HEADER: &str =
    "noise_level\tneurons\tcorrelation\tcorrelation_25\tcorrelation_75\terror\tbias\tabsolute_bias";

/// Subjects of different rates, and models for two of these.
struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn get() -> &'static Self {
        static LAB: OnceLock<Lab> = OnceLock::new();
        LAB.get_or_init(|| {
            let lab = Self {
                folder: tempfile::tempdir().unwrap(),
            };
            for (subject, rate) in [(1, "2"), (2, "3.1"), (3, "1.95"), (4, "6")] {
                let folder = match rate {
                    "6" => lab.path("far"),
                    _ => lab.path("raw"),
                };
                lab.add_subject(&folder, subject, rate);
            }
            lab.add_model(TWO, 1, "");
            lab.add_model(THREE, 2, "");
            // The same rates, which `auto` must not take.
            lab.add_model(
                "Global_EXC_3Hz_smoothing400ms_causalkernel",
                3,
                "causal_kernel: 1\n",
            );
            lab.add_model("GCaMP6f_mouse_3Hz_smoothing400ms", 4, "");
            let benchmark =
                format!("{HEADER}\n0\t9\t0.95\t0\t1\t1\t0\t1\n100\t9\t0.45\t0\t1\t1\t0\t1\n");
            fs::write(lab.path("models").join(TWO).join(BENCHMARK), benchmark).unwrap();
            lab
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn add_subject(&self, folder: &Path, subject: usize, rate: &str) {
        let made = self.path("made");
        let (output, seed) = (made.to_str().unwrap(), subject.to_string());
        let counts = ["--subjects", "1", "--neurons", "60", "--frames", "500"];
        let one = [
            "demo-data",
            "--output",
            output,
            "--rate_hz",
            rate,
            "--seed",
            &seed,
        ];
        alone(&[&one[..], &counts].concat()).expect(0);
        fs::create_dir_all(folder).unwrap();
        fs::rename(
            made.join("subject_1"),
            folder.join(format!("subject_{subject}")),
        )
        .unwrap();
        fs::remove_dir_all(made).unwrap();
    }

    /// Makes a model with random weights for the rate and the smoothing that its name says.
    fn add_model(&self, name: &str, seed: usize, more: &str) {
        let made = self.path("made");
        let (output, seed) = (made.to_str().unwrap(), seed.to_string());
        alone(&["untrained-model", "--output", output, "--seed", &seed]).expect(0);
        let made_model = made.join(common::MODEL);
        let config = fs::read_to_string(made_model.join("config.yaml")).unwrap();
        let number = |before: &str, after: &str| -> f64 {
            let word = name
                .split('_')
                .find_map(|word| word.strip_prefix(before)?.strip_suffix(after));
            word.unwrap().parse().unwrap()
        };
        let set = |line: &str| match line.split(':').next() {
            Some("model_name") => format!("model_name: {name}\n"),
            Some("sampling_rate") => format!("sampling_rate: {}\n", number("", "Hz")),
            Some("smoothing") => format!("smoothing: {}\n", number("smoothing", "ms") / 1000.0),
            Some("causal_kernel") if !more.is_empty() => String::new(),
            _ => format!("{line}\n"),
        };
        let config: String = config.lines().map(set).chain([more.to_owned()]).collect();
        fs::write(made_model.join("config.yaml"), config).unwrap();
        fs::create_dir_all(self.path("models")).unwrap();
        fs::rename(made_model, self.path("models").join(name)).unwrap();
        fs::remove_dir_all(made).unwrap();
    }

    fn run(&self, ranks: usize, input: &str, output: &Path, more: &[&str]) -> Run {
        let (input, models) = (self.path(input), self.path("models"));
        let mut flags = vec!["--input_dir", input.to_str().unwrap()];
        flags.extend([
            "--output_dir",
            output.to_str().unwrap(),
            "--save_traces",
            "--activity",
        ]);
        flags.extend(["--model_dir", models.to_str().unwrap()]);
        flags.extend(more);
        finish(mpirun_command(available(ranks), &flags))
    }

    /// What runs with the named models write.
    fn named(&self) -> &'static Path {
        static NAMED: OnceLock<PathBuf> = OnceLock::new();
        NAMED.get_or_init(|| {
            let output = self.path("named");
            let two = ["--cascade_model", TWO, "--only", "subject_1,subject_3"];
            self.run(2, "raw", &output, &two).expect(0);
            let three = ["--cascade_model", THREE, "--only", "subject_2"];
            self.run(2, "raw", &output, &three).expect(0);
            output
        })
    }
}

/// The values of this key of the subjects in a report.
fn of_subjects(output: &Path, key: &str) -> Vec<Json> {
    let report = common::report(output);
    let subjects = report["subjects"].as_array().unwrap();
    subjects
        .iter()
        .map(|subject| subject[key].clone())
        .collect()
}

/// Copies the models that `auto` may take.
fn copy_models(from: &Path, to: &Path) {
    for name in [TWO, THREE] {
        copy_folder(&from.join(name), &to.join(name));
    }
}

fn table(output: &Path, subject: &str) -> String {
    fs::read_to_string(output.join(subject).join("neurons.tsv")).unwrap()
}

#[test]
fn rule_4_9_auto_gives_each_subject_the_model_of_its_rate_with_the_same_bytes_on_any_ranks() {
    let lab = Lab::get();
    let named = lab.named();
    for ranks in [1, 2, 4] {
        let output = lab.path(&format!("auto_{ranks}"));
        let run = lab
            .run(ranks, "raw", &output, &["--cascade_model", "auto"])
            .expect(0);
        assert!(datasets(&output) == datasets(named), "{ranks} ranks");
        for subject in ["subject_1", "subject_2", "subject_3"] {
            assert_eq!(
                table(&output, subject),
                table(named, subject),
                "{ranks} ranks"
            );
        }
        assert_eq!(of_subjects(&output, "cascade_model"), [TWO, THREE, TWO]);
        let sums = of_subjects(&output, "model_sha256");
        assert!(sums[0] == sums[2] && sums[0] != sums[1], "{sums:?}");
        let said = run.stdout + &run.stderr;
        assert!(said.contains(&format!("model {THREE}; writing")), "{said}");
        // Settings, among them the model by name and checksum.
        let paths = [&output, named].map(|path| path.to_str().unwrap());
        alone(&["verify", paths[0], "--against", paths[1]]).expect(0);
        let page = fs::read_to_string(output.join("report.html")).unwrap();
        let models = format!("auto: {TWO} of 2 subjects, {THREE} of 1 subject");
        assert!(page.contains(&models), "{page}");
    }
}

#[test]
fn rule_4_9_what_auto_chose_is_complete_for_auto_and_for_the_named_model_alone() {
    let lab = Lab::get();
    let output = lab.path("again");
    let only = ["--only", "subject_2"];
    let run = |model| {
        lab.run(
            1,
            "raw",
            &output,
            &[&["--cascade_model", model], &only[..]].concat(),
        )
    };
    run("auto").expect(0);
    for model in ["auto", THREE] {
        run(model).expect(0);
        assert_eq!(of_subjects(&output, "outcome"), ["skipped"], "{model}");
    }
    run(TWO).expect(1).says(&["cascade_model", THREE, TWO]);
}

#[test]
fn rule_4_9_auto_fails_a_subject_that_no_model_suits_and_names_the_nearest() {
    let lab = Lab::get();
    let far = lab.path("far");
    // A plain matrix states no rate.
    let plain = far.join("subject_5");
    fs::create_dir_all(&plain).unwrap();
    fs::write(plain.join("F.npy"), matrix(300, 3)).unwrap();
    fs::write(plain.join("positions.csv"), "x,y,z\n1,1,1\n2,5,1\n3,3,2\n").unwrap();
    let output = lab.path("failed");
    let auto = ["--cascade_model", "auto"];
    lab.run(2, "far", &output, &auto).expect(1).says(&[
        "subject_4 failed: rate.model: The recording has 6 Hz",
        &format!("The nearest is {THREE}: the recording has 2 times its 3 Hz"),
        "average every 2 frames into one",
        "subject_5 failed: rate.unknown: Neither the recording nor --sampling_rate states",
    ]);
    let findings = of_subjects(&output, "findings");
    assert_eq!(findings[0][0]["severity"], "failure");
    let stated = [&auto[..], &["--only", "subject_5", "--sampling_rate", "3"]].concat();
    lab.run(1, "far", &output, &stated).expect(0);
    assert_eq!(of_subjects(&output, "cascade_model"), [THREE]);

    // With a named model the better one is advised.
    let named = ["--cascade_model", TWO, "--only", "subject_4"];
    let advice = format!(
        "No installed model is for this rate; the nearest is --cascade_model {THREE}, which is for 3 Hz."
    );
    lab.run(1, "far", &output, &named)
        .expect(0)
        .says(&["rate.model", &advice]);
    let assumed = ["--cascade_model", TWO, "--only", "subject_5"];
    let said = lab.run(1, "far", &lab.path("assumed"), &assumed).expect(0);
    let said = said.stdout + &said.stderr;
    assert!(
        said.contains("at 2 Hz (the model's: the recording states none)"),
        "{said}"
    );
}

#[test]
fn rule_4_9_nothing_starts_where_auto_has_no_model_to_choose() {
    let lab = Lab::get();
    let models = lab.path("other_models");
    fs::create_dir_all(&models).unwrap();
    alone(&["untrained-model", "--output", models.to_str().unwrap()]).expect(0);
    let more = [
        "--cascade_model",
        "auto",
        "--model_dir",
        models.to_str().unwrap(),
    ];
    let input = lab.path("raw");
    let input = ["--input_dir", input.to_str().unwrap()];
    alone(&[&input[..], &more].concat()).expect(2).says(&[
        "--cascade_model auto",
        common::MODEL,
        "Global_EXC",
    ]);
}

#[test]
fn rule_4_9_auto_refuses_to_choose_beside_a_model_that_cannot_be_read() {
    let lab = Lab::get();
    let models = tempfile::tempdir().unwrap();
    for name in [TWO, THREE] {
        let folder = models.path().join(name);
        fs::create_dir(&folder).unwrap();
        let text = fs::read_to_string(lab.path("models").join(name).join("config.yaml")).unwrap();
        fs::write(
            folder.join("config.yaml"),
            if name == TWO { "" } else { &text },
        )
        .unwrap();
    }
    let (raw, out) = (lab.path("raw"), models.path().join("out"));
    let [raw, out, models] =
        [raw.as_path(), &out, models.path()].map(|path| path.to_str().unwrap());
    let words = ["auto", TWO, "config.yaml", "Another model would be taken"];
    let input = ["--input_dir", raw, "--model_dir", models];
    let run = ["--output_dir", out, "--cascade_model", "auto"];
    alone(&[&input[..], &run].concat()).expect(2).says(&words);
    let doctor = alone(&[&["doctor"], &input[..]].concat()).expect(0).stdout;
    for word in words {
        assert!(doctor.contains(word), "{doctor}");
    }
}

#[test]
fn rule_4_9_auto_passes_over_a_model_that_is_being_trained() {
    let lab = Lab::get();
    let models = tempfile::tempdir().unwrap();
    copy_models(&lab.path("models"), models.path());
    let training = models.path().join("Global_EXC_3Hz_smoothing300ms");
    fs::create_dir(&training).unwrap();
    let member = "Model_NoiseLevel_2_Ensemble_0.safetensors";
    fs::copy(models.path().join(TWO).join(member), training.join(member)).unwrap();
    let output = models.path().join("out");
    let more = ["--only", "subject_2", "--cascade_model", "auto"];
    let more = [&more[..], &["--model_dir", models.path().to_str().unwrap()]].concat();
    let input = lab.path("raw");
    let paths = [
        "--input_dir",
        input.to_str().unwrap(),
        "--output_dir",
        output.to_str().unwrap(),
    ];
    alone(&[&paths[..], &more].concat()).expect(0);
    assert_eq!(of_subjects(&output, "cascade_model"), [THREE]);
}

#[test]
fn rule_4_9_doctor_says_which_model_auto_would_take() {
    let lab = Lab::get();
    let doctor = |input: &str, more: &[&str]| {
        let (input, models) = (lab.path(input), lab.path("models"));
        let paths = [input, models].map(|path| path.to_str().unwrap().to_owned());
        let flags = ["doctor", "--input_dir", &paths[0], "--model_dir", &paths[1]];
        alone(&[&flags[..], more].concat()).expect(0).stdout
    };
    let json: Json = serde_json::from_str(&doctor("raw", &["--json"])).unwrap();
    let chosen = json["subjects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subject| &subject["auto_model"]);
    assert_eq!(chosen.collect::<Vec<_>>(), [TWO, THREE, TWO]);
    let text = doctor("raw", &["--only", "subject_2"]);
    assert!(
        text.contains(&format!("--cascade_model auto would take {THREE}")),
        "{text}"
    );
    let text = doctor("far", &["--only", "subject_4"]);
    assert!(
        text.contains("--cascade_model auto would fail: The recording has 6 Hz"),
        "{text}"
    );
    let last = "With --cascade_model auto, it would fail for all of them.";
    assert!(text.trim_end().ends_with(last), "{text}");
    // A run without the flag takes the default model.
    let rate = format!("rate.model: The recording has 6 Hz, 3 times the 2 Hz of the model {TWO}");
    assert!(text.contains(&rate), "{text}");
}

#[test]
fn rule_9_2_doctor_checks_the_model_that_it_is_told_as_a_run_would() {
    let lab = Lab::get();
    let doctor = |input: &str, status: i32, more: &[&str]| {
        let (input, models) = (lab.path(input), lab.path("models"));
        let paths = [input, models].map(|path| path.to_str().unwrap().to_owned());
        let flags = ["doctor", "--input_dir", &paths[0], "--model_dir", &paths[1]];
        alone(&[&flags[..], more].concat()).expect(status)
    };
    let says = |run: Run, words: &[&str]| {
        for word in words {
            assert!(run.stdout.contains(word), "no {word} in {}", run.stdout);
        }
        run.stdout
    };
    let one = ["--only", "subject_2", "--cascade_model"];
    let text = says(
        doctor("raw", 0, &[&one[..], &[TWO]].concat()),
        &["rate.model", TWO, &format!("Use --cascade_model {THREE}")],
    );
    assert!(!text.contains("auto would"), "{text}");
    let text = says(doctor("raw", 0, &[&one[..], &[THREE]].concat()), &[]);
    assert!(!text.contains("rate.model"), "{text}");

    // The model that `auto` takes is read, too.
    let models = tempfile::tempdir().unwrap();
    copy_models(&lab.path("models"), models.path());
    let weights = models.path().join(THREE);
    let weights = weights.join("Model_NoiseLevel_2_Ensemble_0.safetensors");
    let damaged = models.path().to_str().unwrap();
    let auto = ["--cascade_model", "auto", "--only", "subject_1,subject_2"];
    let auto = [&auto[..], &["--model_dir", damaged]].concat();
    let input = lab.path("raw");
    let flags = ["doctor", "--input_dir", input.to_str().unwrap()];
    let auto = [&flags[..], &auto].concat();
    alone(&auto).expect(0);
    write_checksums(weights.parent().unwrap()).unwrap();
    let mut bytes = fs::read(&weights).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    for (damaged, word) in [(bytes, "checksum"), (b"no weights".to_vec(), "safetensors")] {
        fs::write(&weights, damaged).unwrap();
        says(
            alone(&auto).expect(1),
            &[weights.to_str().unwrap(), word, "would fail for 1 of them"],
        );
    }

    let short = lab.path("short").join("subject_1");
    fs::create_dir_all(&short).unwrap();
    fs::write(short.join("F.npy"), matrix(20, 3)).unwrap();
    fs::write(short.join("positions.csv"), "x,y,z\n1,1,1\n2,5,1\n3,3,2\n").unwrap();
    for model in [TWO, "auto"] {
        let flags = ["--sampling_rate", "2", "--cascade_model", model];
        says(doctor("short", 0, &flags), &["frames.short"]);
    }

    let auto = ["--only", "subject_4", "--cascade_model", "auto"];
    let words = [
        "failure: rate.model: The recording has 6 Hz",
        "would fail for 1",
    ];
    says(doctor("far", 1, &auto), &words);
    says(
        doctor("raw", 1, &["--cascade_model", "Nobody_trained_this"]),
        &["A run would not start: no CASCADE model \"Nobody_trained_this\""],
    );
    let json = doctor(
        "raw",
        1,
        &["--json", "--cascade_model", "Nobody_trained_this"],
    )
    .stdout;
    let json: Json = serde_json::from_str(&json).unwrap();
    assert!(json["model_error"].as_str().unwrap().contains(THREE));
    assert!(json["subjects"][0]["error"].is_null());
    doctor("raw", 2, &["--cascade_model", "some/path"]).says(&["--cascade_model is some/path"]);
}

#[test]
fn rule_4_1_all_installed_models_are_verified_where_none_is_named() {
    let lab = Lab::get();
    let models = tempfile::tempdir().unwrap();
    let verify =
        |folder: &Path| alone(&["models", "verify", "--model_dir", folder.to_str().unwrap()]);
    verify(models.path()).expect(2).says(&["no models in"]);
    let list = [
        "models",
        "list",
        "--model_dir",
        models.path().to_str().unwrap(),
    ];
    alone(&list).expect(2).says(&["no models in"]);
    copy_models(&lab.path("models"), models.path());
    let lines = |run: Run, ends: [&str; 2]| {
        let lines: Vec<&str> = run.stdout.lines().collect();
        assert_eq!(lines.len(), 2, "{}", run.stdout);
        for ((line, name), end) in lines.iter().zip([TWO, THREE]).zip(ends) {
            assert!(line.contains(name) && line.contains(end), "{line}");
        }
    };
    lines(verify(models.path()).expect(0), ["members, intact"; 2]);
    // A link may lead to a folder of another name.
    let stored = models.path().join("stored");
    fs::rename(models.path().join(THREE), &stored).unwrap();
    std::os::unix::fs::symlink(&stored, models.path().join(THREE)).unwrap();
    let linked = models.path().join(THREE);
    let folder = linked.to_str().unwrap();
    alone(&["models", "verify", folder]).expect(0);
    alone(&["models", "info", folder]).expect(0);
    fs::remove_file(&linked).unwrap();
    fs::rename(stored, linked).unwrap();

    // A folder of members alone is a model that lost its configuration, or is being trained.
    for damage in [Some("a: 1"), None] {
        let config = models.path().join(TWO).join("config.yaml");
        match damage {
            Some(text) => fs::write(config, text).unwrap(),
            None => fs::remove_file(config).unwrap(),
        }
        let run = verify(models.path()).expect(1).says(&[TWO, "config.yaml"]);
        lines(run, ["1 problem", "members, intact"]);
    }
    let named = |name: &str| {
        let folder = models.path().to_str().unwrap();
        alone(&["models", "verify", name, "--model_dir", folder])
    };
    let run = named(THREE).expect(0);
    assert!(run.stdout.contains("members, intact"), "{}", run.stdout);
    named("Nobody_trained_this").expect(2).says(&[THREE]);
}

#[test]
fn a_command_whose_result_cannot_be_printed_does_not_end_well() {
    let models = Lab::get().path("models");
    let full = "exec \"$@\" >/dev/full";
    let mut command = Command::new("sh");
    command.args(["-c", full, "sh", common::PROGRAM, "models", "verify"]);
    command.args(["--model_dir".as_ref(), models.as_os_str()]);
    finish(command).expect(2).says(&["stdout", "disk full"]);
}

#[test]
fn rule_9_4_neurons_have_the_correlation_that_the_benchmark_lets_one_expect() {
    let lab = Lab::get();
    let output = lab.named();
    let columns = |subject: &str| -> BTreeMap<String, Vec<String>> {
        let text = table(output, subject);
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split('\t').collect())
            .collect();
        let names = rows[0].iter().enumerate();
        names
            .map(|(place, name)| {
                let cells = rows[1..].iter().map(|row| row[place].to_owned());
                (name.to_string(), cells.collect())
            })
            .collect()
    };
    let known = columns("subject_1");
    let numbers = |name: &str| -> Vec<f64> {
        known[name]
            .iter()
            .map(|cell| cell.parse().unwrap())
            .collect()
    };
    let expected = numbers("expected_correlation");
    let levels = numbers("noise_level");
    for (expected, level) in expected.iter().zip(&levels) {
        let line = 0.95 - 0.005 * level.min(100.0);
        assert!((expected - line).abs() < 1e-6, "{level}: {expected}");
    }
    let unknown = columns("subject_2");
    assert!(unknown["expected_correlation"].iter().all(String::is_empty));

    let auto = lab.path("expected");
    let flags = ["--cascade_model", "auto", "--only", "subject_1,subject_2"];
    lab.run(1, "raw", &auto, &flags).expect(0);
    let told = of_subjects(&auto, "expected_correlation");
    let good = expected.iter().filter(|expected| **expected > 0.7).count();
    assert_eq!(told[0]["neurons"], 60);
    assert_eq!(told[0]["share_above_0_7"], good as f64 / 60.0);
    assert!(told[1].is_null(), "{told:?}");
    let page = fs::read_to_string(auto.join("subject_1/subject_1_report.html")).unwrap();
    assert!(page.contains("How far to trust the rates"));
    let page = fs::read_to_string(auto.join("subject_2/subject_2_report.html")).unwrap();
    assert!(!page.contains("How far to trust the rates"));

    // A table from before there was the column is complete, and does not differ.
    let table = auto.join("subject_1/neurons.tsv");
    let older: String = fs::read_to_string(&table).unwrap();
    let older = older
        .lines()
        .map(|line| line.rsplit_once('\t').unwrap().0.to_owned() + "\n");
    fs::write(&table, older.collect::<String>()).unwrap();
    lab.run(1, "raw", &auto, &flags).expect(0);
    assert_eq!(of_subjects(&auto, "outcome"), ["skipped", "skipped"]);
    let paths = [&auto, output].map(|path| path.to_str().unwrap().to_owned());
    alone(&["verify", &paths[0]]).expect(0);
    let both = alone(&["verify", &paths[0], "--against", &paths[1]]).expect(1);
    assert!(!both.stdout.contains("neurons.tsv"), "{}", both.stdout);
}

#[test]
fn rule_4_1_a_benchmark_that_is_none_is_named_and_nothing_starts() {
    let lab = Lab::get();
    let model = lab.path("damaged").join(TWO);
    fs::create_dir_all(&model).unwrap();
    for entry in fs::read_dir(lab.path("models").join(TWO)).unwrap() {
        let from = entry.unwrap().path();
        fs::copy(&from, model.join(from.file_name().unwrap())).unwrap();
    }
    fs::write(model.join(BENCHMARK), "noise_level\tcorrelation\n2\t0.9\n").unwrap();
    let words = ["benchmark.tsv: expected the columns noise_level, neurons"];
    alone(&["models", "verify", model.to_str().unwrap()])
        .expect(1)
        .says(&words);
    let paths = ["raw", "damaged", "never"].map(|name| lab.path(name));
    let [input, models, output] = paths.each_ref().map(|path| path.to_str().unwrap());
    let flags = [
        "--input_dir",
        input,
        "--output_dir",
        output,
        "--model_dir",
        models,
    ];
    alone(&flags).expect(2).says(&words);
}

/// An array of f32, (T, N), around 100 with a transient every so often, as NumPy stores it.
fn matrix(frames: usize, neurons: usize) -> Vec<u8> {
    let shape =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({frames}, {neurons}), }}");
    let header = format!("{shape:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    for sample in 0..frames * neurons {
        let (frame, neuron) = (sample / neurons, sample % neurons);
        let noise = (sample * 7919 % 101) as f32 / 50.0;
        let transient = if (frame + 11 * neuron) % 40 < 3 {
            60.0
        } else {
            0.0
        };
        bytes.extend((100.0 + noise + transient).to_le_bytes());
    }
    bytes
}
