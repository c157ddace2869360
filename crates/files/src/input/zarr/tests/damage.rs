//! Arrays that were cut, of which bits were flipped, or whose metadata are absurd.

use std::path::PathBuf;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::*;

/// A store of each way in which chunks are compressed, with positions, small enough to be damaged many times.
fn damageable(folder: &Path) {
    for name in [
        "blosc_lz4_bytes",
        "blosc_blosclz_bits",
        "blosc_zstd_plain",
        "shuffle_zlib",
        "lz4",
        "v3_zstd_checksum",
        "sharded",
        "sharded_start",
    ] {
        let to = folder.join(name);
        copy(&Path::new(FIXTURE).join(name), &to);
    }
    write_positions(folder, 26);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).expect("a copy")),
        }
    }
}

/// All files below a folder, in a fixed order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    let below = entries.into_iter().flat_map(|path| match path.is_dir() {
        true => files(&path),
        false => vec![path],
    });
    below.collect()
}

/// Reads all of an array, as a run does.
fn read_all(folder: &Path, name: &str) -> Result<Vec<f32>, InputError> {
    let source = open(folder, Some(name), None)?;
    let reader = source.location.open()?;
    let samples = reader.read_neurons(0..source.neurons())?;
    Ok(samples.traces(&(0..source.neurons())))
}

#[test]
fn rule_9_3_damaged_arrays_are_errors_or_other_values() {
    const FLIPPED: usize = 150;
    const CUT: usize = 25;
    let folder = folder();
    damageable(folder.path());
    let mut generator = Xoshiro256PlusPlus::seed_from_u64(9);
    let mut random = |below: usize| (generator.next_u64() % below as u64) as usize;
    for path in files(folder.path()) {
        let whole = fs::read(&path).expect("a file");
        let below = path
            .strip_prefix(folder.path())
            .expect("a file of the store");
        let name = below
            .iter()
            .next()
            .and_then(|name| name.to_str())
            .expect("a name");
        let name = if name.ends_with(".csv") { "lz4" } else { name };
        let cut = (0..CUT).map(|cut| whole[..whole.len() * cut / CUT].to_vec());
        let flipped = (0..FLIPPED).map(|_| {
            let mut bytes = whole.clone();
            bytes[random(whole.len())] ^= 1 << random(8);
            bytes
        });
        for (number, bytes) in cut.chain(flipped).enumerate() {
            fs::write(&path, bytes).expect("a damaged file");
            let result = read_all(folder.path(), name);
            let is_cut = (1..CUT).contains(&number) && !path.ends_with("positions.csv");
            assert!(
                !is_cut || result.is_err(),
                "{} cut at {number}/{CUT}",
                below.display()
            );
            if let Err(error) = result {
                let message = error.to_string();
                assert!(!message.contains('\n') && message.len() < 1000, "{message}");
            }
        }
        fs::write(&path, whole).expect("the whole file");
    }
}

/// The message for an array whose metadata were changed; what is changed is named by a path within the JSON.
fn message_with(name: &str, changes: &[(&str, Value)]) -> String {
    let folder = folder();
    copy(&Path::new(FIXTURE).join(name), &folder.path().join(name));
    write_positions(folder.path(), 26);
    let files = ["zarr.json", ".zarray"].map(|file| folder.path().join(name).join(file));
    let path = files.iter().find(|path| path.exists()).expect("metadata");
    let text = fs::read_to_string(path).expect("metadata");
    let mut metadata: Value = serde_json::from_str(&text).expect("JSON");
    for (place, value) in changes {
        *metadata.pointer_mut(place).expect(place) = value.clone();
    }
    fs::write(path, metadata.to_string()).expect("metadata");
    let result = read_all(folder.path(), name);
    result.expect_err("an error").to_string()
}

#[test]
fn rule_9_3_absurd_extents_are_refused_before_anything_is_allocated() {
    let huge = || json!(1_u64 << 40);
    let shard = "/codecs/0/configuration/chunk_shape";
    let outer = "/chunk_grid/configuration/chunk_shape";
    for (name, changes, words) in [
        (
            "lz4",
            &[("/shape/0", huge())][..],
            "of which 1 of 11453246123 are there",
        ),
        (
            "lz4",
            &[("/shape/0", json!(u64::MAX)), ("/shape/1", json!(u64::MAX))],
            "the shape",
        ),
        ("lz4", &[("/chunks/0", huge())], "larger than 2 GiB"),
        ("lz4", &[("/chunks/0", json!(1 << 24))], "of lz4 instead of"),
        ("lz4", &[("/chunks/1", json!(0))], "without extent"),
        (
            "blosc_zstd_plain",
            &[("/chunks/0", json!(1 << 24))],
            "instead of",
        ),
        (
            "v3_zstd_checksum",
            &[("/chunk_grid/configuration/chunk_shape/0", json!(1 << 22))],
            "zstd",
        ),
        (
            "sharded",
            &[(outer, json!([20_u64 << 40, 10_u64 << 40]))],
            "bytes of a shard of",
        ),
        (
            "sharded",
            &[(&format!("{outer}/0"), json!(20_u64 << 40))],
            "bytes of a shard of",
        ),
        ("sharded", &[(&format!("{shard}/0"), json!(7))], "of chunks"),
        ("sharded", &[(&format!("{shard}/0"), json!(0))], "of chunks"),
        (
            "sharded",
            &[(&format!("{shard}/1"), json!(1))],
            "another checksum",
        ),
        ("nested_keys", &[("/chunks/0", huge())], "bytes instead of"),
        (
            "nested_keys",
            &[("/dimension_separator", json!("."))],
            "of which 0 of 4 are there",
        ),
        ("nested_keys", &[("/shape", json!([]))], "axes"),
        (
            "nested_keys",
            &[("/dtype", json!("<c8"))],
            "numbers of type",
        ),
        ("nested_keys", &[("/dtype", json!("|O"))], "numbers of type"),
        (
            "nested_keys",
            &[("/compressor", json!({"id": "bz2"}))],
            "the codec \"bz2\"",
        ),
        (
            "nested_keys",
            &[("/filters", json!([{"id": "delta"}]))],
            "the codec \"delta\"",
        ),
        (
            "v3_turned",
            &[("/codecs/0/configuration/order", json!([0, 0]))],
            "the order of axes",
        ),
        (
            "v3_turned",
            &[("/codecs/0/configuration/order", json!([0, 1, 2]))],
            "the order of axes",
        ),
        (
            "v3_turned",
            &[("/fill_value", json!("0xff"))],
            "the fill value",
        ),
        (
            "v3_turned",
            &[("/chunk_grid/name", json!("rectilinear"))],
            "a chunk grid",
        ),
    ] {
        let message = message_with(name, changes);
        assert!(
            message.contains(words),
            "{name} with {changes:?}: {message}"
        );
    }
}
