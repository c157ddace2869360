//! Model folders, good and bad (rule 4.1).

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::models::verify::write_checksums;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/cascade");

pub(super) fn fixture(format: &str) -> PathBuf {
    Path::new(FIXTURES).join(format)
}

/// A copy of a fixture, to be damaged.
pub(super) fn copy(format: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(format)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

/// Replaces `old` by `new` in the configuration.
pub(super) fn edit_config(dir: &TempDir, old: &str, new: &str) {
    let path = dir.path().join("config.yaml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{old}");
    fs::write(&path, text.replace(old, new)).unwrap();
}

#[test]
fn rule_4_1_all_formats_hold_the_same_weights() {
    let keras = load(&fixture("keras")).unwrap();
    assert_eq!(keras.levels.len(), 2);
    assert!(keras.levels.iter().all(|level| level.members.len() == 2));
    assert_eq!(keras.warnings, Vec::<String>::new());
    for format in ["torch", "safetensors"] {
        let other = load(&fixture(format)).unwrap();
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
        load(dir.path()).unwrap().levels,
        load(&fixture("keras")).unwrap().levels
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
        load(dir.path()).unwrap(),
        load(&fixture("safetensors")).unwrap(),
    );
    let [first, second] = &original.levels[0].members[..] else {
        panic!("two members")
    };
    assert_eq!(ours.levels[0].members, [second.clone(), first.clone()]);
}

#[test]
fn rule_4_1_a_model_survives_its_journey_to_other_ranks() {
    let model = load(&fixture("torch")).unwrap();
    let bytes = postcard::to_stdvec(&model).unwrap();
    assert_eq!(postcard::from_bytes::<Model>(&bytes).unwrap(), model);
}

#[test]
fn rule_4_1_the_checksum_covers_configuration_weights_and_names() {
    let sum = |dir: &Path| load(dir).unwrap().sha256;
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
fn rule_4_1_weights_that_contradict_the_checksums_are_refused_and_a_changed_configuration_is_told()
{
    let dir = copy("safetensors");
    write_checksums(dir.path()).unwrap();
    assert_eq!(load(dir.path()).unwrap().warnings, Vec::<String>::new());

    edit_config(&dir, "training_finished: Yes", "training_finished: No");
    let warnings = load(dir.path()).unwrap().warnings;
    assert!(
        warnings.len() == 1 && warnings[0].contains("config.yaml"),
        "{warnings:?}"
    );

    let weights = dir.path().join("Model_NoiseLevel_2_Ensemble_0.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    // A bit of the last weight: the network still is one.
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    let error = load(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("Ensemble_0.safetensors") && error.contains("checksum"),
        "{error}"
    );
}

#[test]
fn rule_4_1_fewer_members_than_ensemble_size_is_a_warning() {
    let dir = copy("torch");
    fs::remove_file(dir.path().join("Model_NoiseLevel_5_Ensemble_0.pth")).unwrap();
    let model = load(dir.path()).unwrap();
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
    let model = load(dir.path()).unwrap();
    assert_eq!(model.levels.len(), 2);
    assert!(
        model.warnings[0].ends_with("noise level 9 is not in config.yaml: its files are not used")
    );
}
