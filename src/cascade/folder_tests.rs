//! Model folders, good and bad (rule 4.1).

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/cascade");

fn fixture(format: &str) -> PathBuf {
    Path::new(FIXTURES).join(format)
}

/// A copy of a fixture, to be damaged.
fn copy(format: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(format)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

/// Replaces `old` by `new` in the configuration.
fn edit_config(dir: &TempDir, old: &str, new: &str) {
    let path = dir.path().join("config.yaml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{old}");
    fs::write(&path, text.replace(old, new)).unwrap();
}

fn message(dir: &TempDir) -> String {
    let error = Model::load(dir.path()).unwrap_err().to_string();
    error
        .replace(&format!("{}/", dir.path().display()), "")
        .replace(&dir.path().display().to_string(), "DIR")
}

#[test]
fn rule_4_1_all_formats_hold_the_same_weights() {
    let keras = Model::load(&fixture("keras")).unwrap();
    assert_eq!(keras.levels.len(), 2);
    assert!(keras.levels.iter().all(|level| level.members.len() == 2));
    assert_eq!(keras.warnings, Vec::<String>::new());
    for format in ["torch", "safetensors"] {
        let other = Model::load(&fixture(format)).unwrap();
        assert!(
            keras.levels == other.levels && keras.config == other.config,
            "{format}"
        );
    }
}

#[test]
fn rule_4_1_an_ensemble_may_mix_formats() {
    let dir = copy("keras");
    let name = "Model_NoiseLevel_2_Ensemble_1";
    fs::remove_file(dir.path().join(format!("{name}.h5"))).unwrap();
    fs::copy(
        fixture("torch").join(format!("{name}.pth")),
        dir.path().join(format!("{name}.pth")),
    )
    .unwrap();
    assert_eq!(
        Model::load(dir.path()).unwrap().levels,
        Model::load(&fixture("keras")).unwrap().levels
    );
}

#[test]
fn rule_4_1_members_are_ordered_by_number() {
    let dir = copy("safetensors");
    let path = |member: u32| {
        dir.path()
            .join(format!("Model_NoiseLevel_2_Ensemble_{member}.safetensors"))
    };
    fs::rename(path(0), path(10)).unwrap();
    let (ours, original) = (
        Model::load(dir.path()).unwrap(),
        Model::load(&fixture("safetensors")).unwrap(),
    );
    let [first, second] = &original.levels[0].members[..] else {
        panic!("two members")
    };
    assert_eq!(ours.levels[0].members, [second.clone(), first.clone()]);
}

#[test]
fn rule_4_1_a_model_survives_its_journey_to_other_ranks() {
    let model = Model::load(&fixture("torch")).unwrap();
    let bytes = postcard::to_stdvec(&model).unwrap();
    assert_eq!(postcard::from_bytes::<Model>(&bytes).unwrap(), model);
}

#[test]
fn rule_4_1_the_checksum_covers_configuration_weights_and_names() {
    let sum = |dir: &Path| Model::load(dir).unwrap().sha256;
    let original = sum(&fixture("keras"));
    let dir = copy("keras");
    assert_eq!(sum(dir.path()), original);
    fs::write(dir.path().join("README"), "anything").unwrap();
    assert_eq!(sum(dir.path()), original);
    edit_config(&dir, "training_finished: Yes", "training_finished: No");
    assert_ne!(sum(dir.path()), original);

    // replayed: SHA-256 of the sorted lines "name NUL sha256 LF"
    let mut names: Vec<_> = fs::read_dir(fixture("keras"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    let mut lines = Vec::new();
    for name in names {
        let digest = Sha256::digest(fs::read(fixture("keras").join(&name)).unwrap());
        lines.extend_from_slice(name.as_encoded_bytes());
        lines.extend_from_slice(format!("\0{}\n", hex(&digest)).as_bytes());
    }
    assert_eq!(hex(&Sha256::digest(&lines)), original);
}

#[test]
fn rule_4_1_fewer_members_than_ensemble_size_is_a_warning() {
    let dir = copy("torch");
    fs::remove_file(dir.path().join("Model_NoiseLevel_5_Ensemble_0.pth")).unwrap();
    let model = Model::load(dir.path()).unwrap();
    assert_eq!(model.levels[1].members.len(), 1);
    let [warning] = &model.warnings[..] else {
        panic!("one warning: {:?}", model.warnings)
    };
    assert!(
        warning.ends_with("noise level 5: expected 2 members (ensemble_size), found 1"),
        "{warning}"
    );
}

#[test]
fn rule_4_1_files_of_an_unlisted_noise_level_are_a_warning() {
    let dir = copy("torch");
    let path = |level: i32| {
        dir.path()
            .join(format!("Model_NoiseLevel_{level}_Ensemble_0.pth"))
    };
    fs::copy(path(5), path(9)).unwrap();
    let model = Model::load(dir.path()).unwrap();
    assert_eq!(model.levels.len(), 2);
    assert!(
        model.warnings[0].ends_with("noise level 9 is not in config.yaml: its files are not used")
    );
}

#[test]
fn rule_4_1_a_noise_level_without_a_file_is_named() {
    let dir = copy("keras");
    edit_config(&dir, "- 5\nplaceholder_2", "- 7\nplaceholder_2");
    assert_eq!(
        message(&dir),
        "DIR: noise level 7: expected Model_NoiseLevel_7_Ensemble_<k> as .h5, .pth or .safetensors, found none"
    );
}

#[test]
fn rule_4_1_a_member_in_two_formats_is_named() {
    let dir = copy("keras");
    let name = "Model_NoiseLevel_5_Ensemble_1.pth";
    fs::copy(fixture("torch").join(name), dir.path().join(name)).unwrap();
    assert_eq!(
        message(&dir),
        "DIR: noise level 5, member 1: expected one file, found Model_NoiseLevel_5_Ensemble_1.h5 and \
         Model_NoiseLevel_5_Ensemble_1.pth"
    );
}

#[test]
fn rule_4_1_weights_that_contradict_the_configuration_are_named_with_both_shapes() {
    let numbers = ("- 4\n- 5\n\ndense", "- 6\n- 5\n\ndense");
    for (format, expected) in [
        (
            "keras",
            "Model_NoiseLevel_2_Ensemble_0.h5: /model_weights/conv1d_8/conv1d_8/kernel:0: expected shape [3, 3, 6] (from \
             config.yaml), found [3, 3, 4]",
        ),
        (
            "torch",
            "Model_NoiseLevel_2_Ensemble_0.pth: conv2.weight: expected shape [6, 3, 3] (from config.yaml), found [4, 3, 3]",
        ),
        (
            "safetensors",
            "Model_NoiseLevel_2_Ensemble_0.safetensors: conv2.weight: expected shape [6, 3, 3] (from config.yaml), found \
             [4, 3, 3]",
        ),
    ] {
        let dir = copy(format);
        edit_config(&dir, numbers.0, numbers.1);
        assert_eq!(message(&dir), expected);
    }
}

#[test]
fn rule_4_1_an_unreadable_weight_file_is_named() {
    for (format, file, expected) in [
        (
            "keras",
            "Model_NoiseLevel_2_Ensemble_0.h5",
            "a Keras model in HDF5",
        ),
        (
            "torch",
            "Model_NoiseLevel_2_Ensemble_0.pth",
            "a PyTorch state dictionary",
        ),
        (
            "safetensors",
            "Model_NoiseLevel_2_Ensemble_0.safetensors",
            "a safetensors file",
        ),
    ] {
        let whole = fs::read(fixture(format).join(file)).unwrap();
        let noise: Vec<u8> = (0..5000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        for damaged in [&whole[..whole.len() / 2], &whole[..7], b"", &noise] {
            let dir = copy(format);
            fs::write(dir.path().join(file), damaged).unwrap();
            let message = message(&dir);
            assert!(
                message.starts_with(&format!("{file}: expected {expected}, found ")),
                "{message}"
            );
            assert!(!message.contains('\n'), "{message}");
        }
    }
}

#[test]
fn rule_4_1_a_truncated_weight_file_never_loads() {
    for format in ["keras", "torch", "safetensors"] {
        let dir = copy(format);
        let mut files: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let whole = fs::read(&files[0]).unwrap();
        for length in (0..whole.len()).step_by(whole.len() / 40 + 1) {
            fs::write(&files[0], &whole[..length]).unwrap();
            assert!(
                Model::load(dir.path()).is_err(),
                "{format}: {length} of {} bytes",
                whole.len()
            );
        }
    }
}

/// Writes a copy of the Keras fixture's first file in which `edit` changed something.
fn with_edited_keras(edit: impl FnOnce(&hdf5::File)) -> TempDir {
    let dir = copy("keras");
    edit(&hdf5::File::open_rw(dir.path().join("Model_NoiseLevel_2_Ensemble_0.h5")).unwrap());
    dir
}

const KERNEL: &str = "/model_weights/conv1d_7/conv1d_7/kernel:0";

#[test]
fn rule_4_1_a_weight_that_is_not_finite_is_named() {
    let dir = with_edited_keras(|file| {
        let dataset = file.dataset(KERNEL).unwrap();
        let mut weights = dataset.read_raw::<f32>().unwrap();
        weights[4] = f32::NAN;
        dataset.write_raw(&weights).unwrap();
    });
    let expected = format!(
        "Model_NoiseLevel_2_Ensemble_0.h5: {KERNEL}: expected finite weights, found NaN at index 4"
    );
    assert_eq!(message(&dir), expected);
}

#[test]
fn rule_4_1_weights_of_another_type_are_named() {
    let dir = with_edited_keras(|file| {
        file.unlink(KERNEL).unwrap();
        file.new_dataset::<f64>()
            .shape((5, 1, 3))
            .create(KERNEL)
            .unwrap();
    });
    let expected = format!(
        "Model_NoiseLevel_2_Ensemble_0.h5: {KERNEL}: expected 32-bit floats, found float64"
    );
    assert_eq!(message(&dir), expected);

    let dir = copy("safetensors");
    let path = dir.path().join("Model_NoiseLevel_2_Ensemble_0.safetensors");
    let bytes = fs::read(&path).unwrap();
    let place = bytes
        .windows(5)
        .position(|word| word == b"\"F32\"")
        .unwrap();
    let mut other = bytes.clone();
    other[place + 1..place + 4].copy_from_slice(b"U32");
    fs::write(&path, other).unwrap();
    assert_eq!(
        message(&dir),
        "Model_NoiseLevel_2_Ensemble_0.safetensors: conv1.weight: expected 32-bit floats, found u32"
    );
}

#[test]
fn rule_4_1_missing_weights_are_named() {
    let dir = with_edited_keras(|file| file.unlink(KERNEL).unwrap());
    let expected = format!(
        "Model_NoiseLevel_2_Ensemble_0.h5: expected a tensor {KERNEL} of shape [5, 1, 3], found none"
    );
    assert_eq!(message(&dir), expected);

    let dir = copy("safetensors");
    let path = dir.path().join("Model_NoiseLevel_2_Ensemble_0.safetensors");
    let bytes = fs::read(&path).unwrap();
    let place = bytes
        .windows(12)
        .position(|word| word == b"dense2.bias\"")
        .unwrap();
    let mut other = bytes.clone();
    other[place..place + 6].copy_from_slice(b"dense9");
    fs::write(&path, other).unwrap();
    let expected = "Model_NoiseLevel_2_Ensemble_0.safetensors: expected a tensor dense2.bias of shape [1], found none";
    assert_eq!(message(&dir), expected);
}

#[test]
fn rule_4_1_another_number_of_layers_is_named() {
    let dir = with_edited_keras(|file| {
        let group = file.group("model_weights/dense_13").unwrap();
        group.delete_attr("weight_names").unwrap();
        group
            .new_attr::<f64>()
            .shape(0)
            .create("weight_names")
            .unwrap();
    });
    assert_eq!(
        message(&dir),
        "Model_NoiseLevel_2_Ensemble_0.h5: expected 5 layers with weights, found 4 (/model_weights/conv1d_7, \
         /model_weights/conv1d_8, /model_weights/conv1d_9, /model_weights/dense_12)"
    );
}

#[test]
fn rule_4_1_an_oversized_file_is_not_read() {
    let dir = copy("torch");
    let path = dir.path().join("Model_NoiseLevel_2_Ensemble_0.pth");
    File::create(&path)
        .unwrap()
        .set_len(MAX_WEIGHT_BYTES + 1)
        .unwrap();
    let expected = "Model_NoiseLevel_2_Ensemble_0.pth: expected a file of at most 67108864 bytes, found 67108865";
    assert_eq!(message(&dir), expected);
}

#[test]
fn rule_4_1_a_folder_without_configuration_is_named() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        message(&dir),
        "config.yaml: No such file or directory (os error 2)"
    );
}

#[test]
fn rule_4_1_a_configuration_that_is_no_mapping_is_named() {
    for text in [
        "",
        "just words",
        "a: [1, 2",
        "- 1\n- 2\n",
        "sampling_rate: 2\n",
        "\u{0}\u{1}",
    ] {
        let dir = copy("torch");
        fs::write(dir.path().join("config.yaml"), text).unwrap();
        let message = message(&dir);
        assert!(
            message.starts_with("config.yaml: not a CASCADE configuration: "),
            "{text:?}: {message}"
        );
        assert!(!message.contains('\n'), "{message}");
    }
    let dir = copy("torch");
    fs::write(dir.path().join("config.yaml"), [0xff, 0xfe, 0x00]).unwrap();
    assert_eq!(
        message(&dir),
        "config.yaml: stream did not contain valid UTF-8"
    );
}

#[test]
fn rule_4_1_values_that_make_no_network_are_named() {
    for (old, new, expected) in [
        (
            "sampling_rate: 7.5",
            "sampling_rate: 0",
            "sampling_rate: expected a frequency above 0 Hz, found 0",
        ),
        (
            "sampling_rate: 7.5",
            "sampling_rate: .nan",
            "sampling_rate: expected a frequency above 0 Hz, found NaN",
        ),
        (
            "smoothing: 0.2",
            "smoothing: -1",
            "smoothing: expected 0 to 4096 frames, in seconds, found -1",
        ),
        (
            "smoothing: 0.2",
            "smoothing: 1e9",
            "smoothing: expected 0 to 4096 frames, in seconds, found 1000000000",
        ),
        (
            "- 2\n- 5",
            "- 5\n- 5",
            "noise_levels: expected distinct levels from 0 up, at least one, found [5, 5]",
        ),
        (
            "windowsize: 31",
            "windowsize: 0",
            "windowsize: expected 1 to 4096 frames, found 0",
        ),
        (
            "windowsize: 31",
            "windowsize: 99999",
            "windowsize: expected 1 to 4096 frames, found 99999",
        ),
        (
            "before_frac: 0.5",
            "before_frac: 0.03",
            "before_frac: expected 1/31 to 1, at least one frame of the window, found 0.03",
        ),
        (
            "before_frac: 0.5",
            "before_frac: 1.5",
            "before_frac: expected 1/31 to 1, at least one frame of the window, found 1.5",
        ),
        (
            "- 5\n- 3\n- 2",
            "- 5\n- 0\n- 2",
            "filter_sizes: expected three sizes of 1 to 31 frames, found [5, 0, 2]",
        ),
        (
            "- 5\n- 3\n- 2",
            "- 15\n- 14\n- 2",
            "windowsize: expected a window longer than the filters [15, 14, 2] and two poolings by 2 use up, found 31",
        ),
        (
            "- 3\n- 4\n- 5",
            "- 3\n- 0\n- 5",
            "filter_numbers: expected three counts of 1 to 4000000 channels, found [3, 0, 5]",
        ),
        (
            "- 3\n- 4\n- 5",
            "- 3000\n- 4000\n- 5",
            "filter_numbers: expected a network of at most 4000000 weights, found 36055020",
        ),
        (
            "dense_expansion: 2",
            "dense_expansion: 0",
            "dense_expansion: expected 1 to 4000000 outputs, found 0",
        ),
    ] {
        let dir = copy("keras");
        edit_config(&dir, old, new);
        assert_eq!(message(&dir), format!("config.yaml: {expected}"));
    }
}

#[test]
fn rule_4_1_an_anchor_bomb_is_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for depth in 1..12 {
        let inner = vec![format!("*a{}", depth - 1); 10].join(", ");
        text += &format!("a{depth}: &a{depth} [{inner}]\n");
    }
    let dir = copy("torch");
    fs::write(dir.path().join("config.yaml"), text).unwrap();
    assert!(message(&dir).starts_with("config.yaml: not a CASCADE configuration: "));
}
