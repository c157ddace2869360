//! Model folders that are refused, and what is said about them (rule 4.1).

use tempfile::TempDir;

use super::tests::{copy, edit_config, fixture};
use super::*;

fn message(dir: &TempDir) -> String {
    let error = load(dir.path()).unwrap_err().to_string();
    error
        .replace(&format!("{}/", dir.path().display()), "")
        .replace(&dir.path().display().to_string(), "DIR")
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
fn what_is_there_instead_of_weights_is_said() {
    for (format, file) in [
        ("keras", "Model_NoiseLevel_2_Ensemble_0.h5"),
        ("torch", "Model_NoiseLevel_2_Ensemble_0.pth"),
        ("safetensors", "Model_NoiseLevel_2_Ensemble_0.safetensors"),
    ] {
        for (content, words) in [
            (
                &b"version https://git-lfs.github.com/spec/v1\n"[..],
                "a Git LFS pointer",
            ),
            (b"<!DOCTYPE html>", "an HTML page"),
            (b"", "an empty file"),
        ] {
            let dir = copy(format);
            fs::write(dir.path().join(file), content).unwrap();
            assert!(message(&dir).contains(words));
        }
        let dir = copy(format);
        let path = dir.path().join(file);
        fs::remove_file(&path).unwrap();
        crate::regular::make_pipe(&path);
        let message = message(&dir);
        assert!(message.contains("found a named pipe (FIFO)"), "{message}");
    }
}

#[test]
fn messages_about_a_configuration_hold_no_names_of_the_parser() {
    let dir = copy("keras");
    let path = dir.path().join("config.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text + "\nwindowsize: 64\n").unwrap();
    let message = message(&dir);
    assert!(message.contains("duplicate mapping key"), "{message}");
    assert!(
        message.contains("windowsize") && !message.contains("Policy"),
        "{message}"
    );
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
                load(dir.path()).is_err(),
                "{format}: {length} of {} bytes",
                whole.len()
            );
        }
    }
}

#[test]
fn rule_4_1_a_damaged_weight_file_is_refused_or_read_but_never_a_panic() {
    for format in ["keras", "torch", "safetensors"] {
        let dir = copy(format);
        let mut files: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let whole = fs::read(&files[0]).unwrap();
        for place in (0..whole.len()).step_by(whole.len() / 1500 + 1) {
            for flipped in [0x01, 0x20, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[place] ^= flipped;
                fs::write(&files[0], &damaged).unwrap();
                if let Ok(model) = load(dir.path()) {
                    let mut weights = model.levels[0].members[0].layers().iter();
                    assert!(
                        weights.all(|layer| layer.kernel.iter().all(|weight| weight.is_finite()))
                    );
                }
            }
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
            "sampling_rate: expected a frequency above 0, up to 10000 Hz, found 0",
        ),
        (
            "sampling_rate: 7.5",
            "sampling_rate: .nan",
            "sampling_rate: expected a frequency above 0, up to 10000 Hz, found NaN",
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
            "filter_numbers: expected three counts of 1 to 1024 channels, found [3, 0, 5]",
        ),
        (
            "- 3\n- 4\n- 5",
            "- 1000\n- 1024\n- 1024",
            "filter_numbers: expected a network of at most 4000000 weights, found 5176210",
        ),
        (
            "dense_expansion: 2",
            "dense_expansion: 0",
            "dense_expansion: expected 1 to 1024 outputs, found 0",
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
