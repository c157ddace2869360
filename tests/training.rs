//! The training job on made-up ground truth, and what the program says of models.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{Job, alone, copy_folder, mpirun};

const CONFIG: &str = "\
model_name: Small_2Hz_smoothing500ms
sampling_rate: 2
training_datasets: [DS1-fast, DS2-slow]
noise_levels: [3, 8]
smoothing: 0.5
causal_kernel: 0
windowsize: 64
before_frac: 0.5
filter_sizes: [13, 9, 3]
filter_numbers: [8, 8, 8]
dense_expansion: 4
loss_function: mean_squared_error
optimizer: Adagrad
learning_rate: 0.03
batch_size: 1024
ensemble_size: 2
training_frames: 60000
time_stretch: 0.1
variance_weighting: 0.5
";

fn ground_truth() -> String {
    format!("{}/tests/fixtures/ground_truth", env!("CARGO_MANIFEST_DIR"))
}

/// Trains into `folder`; what the ranks said.
fn train(ranks: usize, config: &Path, output: &Path) -> common::Run {
    let (ground_truth, config) = (ground_truth(), config.to_str().unwrap());
    let places = ["--ground_truth", &ground_truth, "--config", config];
    let output = ["--output", output.to_str().unwrap()];
    mpirun(ranks, &[&["train"], &places[..], &output].concat())
}

fn config(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("recipe.yaml");
    fs::write(&path, text).unwrap();
    path
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let file = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    entries.map(file).collect()
}

/// Loss of each member, from what rank 0 said.
fn losses(said: &str) -> Vec<f64> {
    let lines = said.lines().filter(|line| line.starts_with("noise level"));
    let loss = |line: &str| line.split_once("loss ")?.1.split_once(' ')?.0.parse().ok();
    lines.filter_map(loss).collect()
}

#[test]
fn members_reach_their_loss_and_are_the_same_bytes_for_any_number_of_ranks() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), CONFIG);
    let path = |name: &str| folder.path().join(name);
    let said = train(2, &config, &path("two")).expect(0).stdout;
    let losses = losses(&said);
    assert_eq!(losses.len(), 4, "{said}");
    // a network that always says the mean rate has a weighted loss of 0.31 here
    assert!(
        losses.iter().all(|loss| (0.01..0.16).contains(loss)),
        "{said}"
    );
    assert!(said.contains("is complete"), "{said}");

    train(3, &config, &path("three")).expect(0);
    let two = files(&path("two"));
    assert_eq!(two.len(), 4 + 2, "members, config.yaml, SHA256SUMS");
    assert_eq!(two["config.yaml"], CONFIG.as_bytes());
    assert!(two == files(&path("three")));

    // an interrupted training goes on with the members that are missing
    let missing = "Model_NoiseLevel_8_Ensemble_0.safetensors";
    fs::remove_file(path("two").join(missing)).unwrap();
    let said = train(1, &config, &path("two")).expect(0).stdout;
    assert!(said.contains("1 of 4 members to train"), "{said}");
    assert!(two == files(&path("two")));

    // members of another recipe are not mixed with these
    let other = self::config(folder.path(), &CONFIG.replace("0.03", "0.02"));
    train(2, &other, &path("two")).expect(2).says(&[
        "Model_NoiseLevel_3_Ensemble_0",
        "trained by this configuration",
    ]);
    assert!(two == files(&path("two")));
    // nor with those of another format
    let config = self::config(folder.path(), CONFIG);
    let keras = path("two").join("Model_NoiseLevel_3_Ensemble_2.h5");
    fs::write(&keras, b"").unwrap();
    train(2, &config, &path("two"))
        .expect(2)
        .says(&["Model_NoiseLevel_3_Ensemble_2.h5", "give another --output"]);
    fs::remove_file(keras).unwrap();
    // and a damaged one is not taken for trained
    let mut damaged = two[missing].clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(path("two").join(missing), damaged).unwrap();
    train(2, &config, &path("two"))
        .expect(2)
        .says(&[missing, "expected checksum"]);
}

#[test]
fn a_signal_ends_training_with_3_and_it_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let text = CONFIG.replace("training_frames: 60000", "training_frames: 400000");
    let config = config(folder.path(), &text);
    let output = folder.path().join("model");
    let member = output.join("Model_NoiseLevel_3_Ensemble_0.safetensors");
    let mut command = std::process::Command::new(common::PROGRAM);
    command
        .args(["train", "--ground_truth", &ground_truth(), "--config"])
        .args([&config, Path::new("--output"), &output]);
    let mut job = Job::start(command);
    let start = std::time::Instant::now();
    while !member.exists() {
        assert!(job.runs(), "it ended before it was stopped");
        assert!(
            start.elapsed().as_secs() < 120,
            "no member after two minutes"
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    job.signal("TERM");
    let said = job.ends_within(60).expect(3).stdout;
    assert!(said.contains("run the same command again"), "{said}");
    let before = files(&output);
    assert!(before.len() < 4 && before.keys().all(|name| !name.contains("partial")));
    train(2, &config, &output).expect(0);
    let after = files(&output);
    assert!(before.iter().all(|(name, bytes)| after[name] == *bytes));
}

#[test]
fn simulated_recordings_change_weights_and_are_the_same_on_any_number_of_ranks() {
    let folder = tempfile::tempdir().unwrap();
    let small = CONFIG.replace("training_frames: 60000", "training_frames: 20000");
    let train = |ranks, name: &str, more: &str| {
        let config = config(folder.path(), &format!("{small}{more}"));
        let output = folder.path().join(name);
        self::train(ranks, &config, &output).expect(0);
        files(&output)
    };
    let simulated = "simulated_part: 0.5\n";
    let one = train(1, "one", simulated);
    assert!(one == train(2, "two", simulated));
    let without = train(2, "without", "");
    // Without the header, which also says how a member was trained.
    let weights = |files: &BTreeMap<String, Vec<u8>>| {
        let bytes = &files["Model_NoiseLevel_3_Ensemble_0.safetensors"];
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        bytes[8 + header as usize..].to_vec()
    };
    assert!(weights(&one) != weights(&without));
}

#[test]
fn what_is_wrong_with_a_training_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("model");
    for (from, to, words) in [
        ("DS2-slow", "DS9", ["DS9", "there is no such dataset"]),
        (
            "optimizer: Adagrad",
            "optimizer: Adam",
            ["optimizer", "found Adam"],
        ),
        (
            "[DS1-fast, DS2-slow]",
            "[DS1-fast, DS1-fast]",
            ["training_datasets", "each once"],
        ),
        (
            "training_frames: 60000",
            "training_frames: 0",
            ["training_frames", "at least 1"],
        ),
        (
            "ensemble_size: 2",
            "ensemble_size: 4294967296",
            ["ensemble_size", "at most 1000"],
        ),
        (
            "sampling_rate: 2",
            "sampling_rate: 1e9",
            ["sampling_rate", "up to 10000 Hz"],
        ),
        (
            "noise_levels: [3, 8]",
            "noise_levels: [0]",
            ["noise level 0", "quiet enough"],
        ),
        ("batch_size: 1024\n", "", ["recipe.yaml", "batch_size"]),
    ] {
        let config = config(folder.path(), &CONFIG.replace(from, to));
        let run = train(2, &config, &output).says(&words);
        assert!(
            [1, 2].contains(&run.status),
            "{} {}",
            run.status,
            run.stderr
        );
    }
}

#[test]
fn models_are_listed_shown_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().to_str().unwrap();
    let named = |name: &str| folder.path().join(name);
    let model = named("Small_2Hz_smoothing500ms");
    train(2, &config(folder.path(), CONFIG), &model).expect(0);

    // By rate, whatever the names are, and causal ones last.
    for (name, key, value) in [
        ("A_30Hz", "sampling_rate: 2", "sampling_rate: 30"),
        ("A_1Hz_causal", "causal_kernel: 0", "causal_kernel: 1"),
    ] {
        copy_folder(&model, &named(name));
        let path = named(name).join("config.yaml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace(key, value)).unwrap();
    }
    let list = alone(&["models", "list", "--model_dir", models]);
    let list = list.expect(0).stdout;
    let names: Vec<_> = list.lines().map(|line| line.split(' ').next()).collect();
    let expected = [
        "model",
        "Small_2Hz_smoothing500ms",
        "A_30Hz",
        "A_1Hz_causal",
    ];
    assert_eq!(names, expected.map(Some), "{list}");
    assert!(list.contains("3, 8"), "{list}");
    for name in ["A_30Hz", "A_1Hz_causal"] {
        fs::remove_dir_all(named(name)).unwrap();
    }
    let info = [
        "models",
        "info",
        "Small_2Hz_smoothing500ms",
        "--model_dir",
        models,
    ];
    let info = alone(&info).expect(0).stdout;
    for words in ["2 Hz, for recordings of 1.70 to 2.35 Hz", "DS1-fast"] {
        assert!(info.contains(words), "{info}");
    }
    alone(&["models", "info", "Smaller", "--model_dir", models])
        .expect(2)
        .says(&["Smaller", "Small_2Hz_smoothing500ms"]);

    let verify = |dir: &Path| alone(&["models", "verify", dir.to_str().unwrap()]);
    let said = verify(&model).expect(0).stdout;
    assert!(
        said.contains("4 members, intact; checksums agree"),
        "{said}"
    );

    let member = model.join("Model_NoiseLevel_3_Ensemble_1.safetensors");
    let intact = fs::read(&member).unwrap();
    let mut changed = intact.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&member, &changed).unwrap();
    verify(&model)
        .expect(1)
        .says(&["Ensemble_1", "expected checksum"]);
    // the last four bytes are a weight
    let end = changed.len();
    changed[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&member, &changed).unwrap();
    verify(&model)
        .expect(1)
        .says(&["found NaN", "expected checksum"]);
    fs::remove_file(&member).unwrap();
    verify(&model).expect(1).says(&[
        "noise level 3: expected member 1",
        "SHA256SUMS lists, found none",
    ]);
    fs::write(&member, &intact).unwrap();

    let text = CONFIG.replace("filter_numbers: [8, 8, 8]", "filter_numbers: [8, 8, 9]");
    fs::write(model.join("config.yaml"), text).unwrap();
    verify(&model)
        .expect(1)
        .says(&["conv3.weight: expected shape [9, 8, 3]", "found [8, 8, 3]"]);
    fs::write(model.join("config.yaml"), CONFIG).unwrap();

    let renamed = named("Small_7.5Hz_smoothing200ms_causalkernel");
    fs::rename(&model, &renamed).unwrap();
    verify(&renamed).expect(1).says(&[
        "model_name is Small_2Hz_smoothing500ms",
        "sampling_rate is 2",
        "smoothing is 0.5",
        "causal_kernel is 0",
    ]);
}

#[test]
fn a_model_is_evaluated_on_ground_truth() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("Small_2Hz_smoothing500ms");
    train(2, &config(folder.path(), CONFIG), &model).expect(0);
    let scores = folder.path().join("scores.tsv");
    let places = [
        "--ground_truth",
        &ground_truth(),
        "--output",
        scores.to_str().unwrap(),
    ];
    let levels = ["--noise_levels", "3,8", model.to_str().unwrap()];
    let said = alone(&[&["evaluate"], &places[..], &levels].concat())
        .expect(0)
        .stdout;
    assert!(said.lines().any(|line| line.contains(" all ")), "{said}");
    // The same model by its name.
    let name = ["--noise_levels", "3,8", "Small_2Hz_smoothing500ms"];
    let models = ["--model_dir", folder.path().to_str().unwrap()];
    let by_name = [&["evaluate"], &places[..], &name, &models].concat();
    assert_eq!(alone(&by_name).expect(0).stdout, said);
    let table = fs::read_to_string(&scores).unwrap();
    let mut lines = table.lines();
    assert_eq!(
        lines.next(),
        Some("noise_level\tdataset\tneuron\tcorrelation\terror\tbias\tlag")
    );
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.len(), 2 * 4, "{table}");
    for row in rows {
        let correlation: f64 = row[3].parse().unwrap();
        assert!((0.7..1.0).contains(&correlation), "{table}");
        // where noise allows to tell, rates are in step with the recording
        assert!(row[0] == "8" || row[6] == "0", "{table}");
    }
}

#[test]
fn the_benchmark_makes_its_tables_and_keeps_its_results() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let model = path("models/Global_EXC_2Hz_smoothing500ms");
    fs::create_dir_all(&model).unwrap();
    fs::write(model.join("config.yaml"), CONFIG).unwrap();
    let names = ["rates", "ratios", "datasets"];
    let marks = names.map(|name| format!("<!-- {name} -->\n<!-- end of {name} -->\n"));
    fs::write(path("benchmark.md"), marks.concat()).unwrap();
    let benchmark = || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/benchmark.py");
        let mut command = common::with_mpi(std::process::Command::new(common::interpreter()));
        command
            .args([script, "--program", common::PROGRAM, "--frames", "20000"])
            .args(["--ground_truth", &ground_truth(), "--work"])
            .args([&path("work"), Path::new("--models"), &path("models")])
            .args([Path::new("--document"), &path("benchmark.md")]);
        common::finish(command).expect(0);
        fs::read_to_string(path("benchmark.md")).unwrap()
    };
    let tables = benchmark();
    let ours = tables.lines().filter(|line| line.contains("| ours |"));
    // 2 and 2.33 Hz at three noise levels, four neurons
    assert_eq!(
        ours.filter(|line| line.contains("| 4 |")).count(),
        6,
        "{tables}"
    );
    let figures = fs::read_to_string(model.join("benchmark.tsv")).unwrap();
    let header = "noise_level\tneurons\tcorrelation\tcorrelation_25\tcorrelation_75\terror\tbias\tabsolute_bias\n";
    assert!(figures.starts_with(header), "{figures}");
    // noise levels 2, 5, 10 and 20
    assert_eq!(figures.lines().count(), 5, "{figures}");
    let member = path(
        "work/ours/Global_EXC_2Hz_smoothing500ms/fold_0/Model_NoiseLevel_3_Ensemble_0.safetensors",
    );
    let written = fs::metadata(&member).unwrap().modified().unwrap();
    assert_eq!(benchmark(), tables);
    assert_eq!(fs::metadata(&member).unwrap().modified().unwrap(), written);
}
