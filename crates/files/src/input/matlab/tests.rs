//! Rule 2.3, on the files that `tests/fixtures/make_mat.py` writes and on damaged copies of them.

use std::fs::File;
use std::io::Cursor;
use std::path::PathBuf;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::*;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/mat")
        .join(name)
}

fn fixtures(keep: impl Fn(&str) -> bool) -> Vec<(String, Vec<u8>)> {
    let dir = fixture("");
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(dir)
        .expect("the fixtures")
        .filter_map(|entry| {
            let entry = entry.expect("a fixture");
            let name = entry.file_name().into_string().expect("a name in UTF-8");
            keep(&name).then(|| (name, std::fs::read(entry.path()).expect("a fixture")))
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Row `i` of every good fixture is (10 i, 10 i + 1, 10 i + 2) + `fraction`.
fn expected_cells(fraction: f64) -> Vec<[f64; 3]> {
    (0..6)
        .map(|i| [0.0, 1.0, 2.0].map(|k| f64::from(10 * i) + k + fraction))
        .collect()
}

fn read(name: &str) -> Anatomy {
    read_anatomy(&fixture(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn message(name: &str) -> String {
    let message = read_anatomy(&fixture(name)).expect_err(name).to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn rule_2_3_plain_and_compressed_mat_5_files() {
    for name in [
        "plain.mat",
        "compressed.mat",
        "many_fields.mat",
        "many_fields_compressed.mat",
        "in_cells.mat",
        "float32.mat",
    ] {
        let found = read(name);
        assert_eq!(found.cell_xyz, expected_cells(0.25), "{name}");
        assert_eq!(found.invalid, Some(Ok(vec![2.0, 5.0])), "{name}");
    }
}

#[test]
fn rule_2_3_every_numeric_class_of_either_sign() {
    for bits in [8, 16, 32, 64] {
        for sign in ["", "u"] {
            let name = format!("{sign}int{bits}.mat");
            let found = read(&name);
            assert_eq!(found.cell_xyz, expected_cells(0.0), "{name}");
            assert_eq!(found.invalid, Some(Ok(vec![2.0, 5.0])), "{name}");
        }
    }
}

#[test]
fn rule_2_3_either_byte_order_and_doubles_stored_in_smaller_types() {
    for name in ["by_hand_little_endian.mat", "by_hand_big_endian.mat"] {
        let found = read(name);
        assert_eq!(found.cell_xyz, expected_cells(0.0), "{name}");
        assert_eq!(found.invalid, Some(Ok(vec![2.0, 5.0])), "{name}");
    }
}

#[test]
fn rule_2_3_mat_7_3_files() {
    for name in ["v73.mat", "v73_in_cells.mat"] {
        let found = read(name);
        assert_eq!(found.cell_xyz, expected_cells(0.25), "{name}");
        assert_eq!(found.invalid, Some(Ok(vec![2.0, 5.0])), "{name}");
    }
}

#[test]
fn rule_2_3_the_index_may_be_empty_or_missing() {
    for name in [
        "empty_index.mat",
        "empty_index_in_cell.mat",
        "v73_empty_index.mat",
    ] {
        assert_eq!(read(name).invalid, Some(Ok(vec![])), "{name}");
    }
    for name in ["no_index.mat", "v73_no_index.mat"] {
        assert_eq!(read(name).invalid, None, "{name}");
    }
}

#[test]
fn rule_2_3_a_wrong_field_says_what_was_expected_and_found() {
    for (name, found) in [
        ("bad_two_columns.mat", "a (6, 2) numeric array"),
        (
            "bad_transposed.mat",
            "its transpose, a (3, 6) numeric array",
        ),
        (
            "bad_v73_transposed.mat",
            "its transpose, a (3, 6) numeric array",
        ),
        ("bad_no_rows.mat", "a (0, 3) numeric array"),
        ("bad_three_dimensions.mat", "a (6, 3, 2) numeric array"),
        ("bad_char.mat", "char"),
        ("bad_v73_char.mat", "a (1, 3) char array"),
        ("bad_logical.mat", "a (6, 3) logical array"),
        ("bad_complex.mat", "a (6, 3) complex array"),
        ("bad_sparse.mat", "a (6, 3) sparse array"),
        ("bad_struct.mat", "a (1, 1) struct array"),
        ("bad_two_cells.mat", "a (1, 2) cell array"),
    ] {
        let message = message(name);
        assert!(
            message.contains("field CellXYZ of data: expected an (N, 3) array")
                && message.contains(found),
            "{name}: {message}"
        );
    }
    let found = read("bad_char_index.mat");
    let message = found.invalid_rows().expect_err("text").to_string();
    assert!(
        message.contains("IX_inval_anat") && message.contains("char"),
        "{message}"
    );
}

#[test]
fn rule_2_7_the_rate_is_one_positive_number_of_any_class() {
    for (name, rate) in [
        ("many_fields.mat", Some(2.0)),
        ("rate_int32_in_cell.mat", Some(2.0)),
        ("v73_rate.mat", Some(1.75)),
        ("v73_rate_in_cell.mat", Some(1.75)),
        ("plain.mat", None),
        ("v73.mat", None),
        ("rate_zero.mat", None),
        ("rate_negative.mat", None),
        ("rate_nan.mat", None),
        ("rate_infinite.mat", None),
        ("rate_text.mat", None),
        ("rate_complex.mat", None),
        ("rate_empty.mat", None),
        ("rate_two.mat", None),
        ("v73_rate_text.mat", None),
    ] {
        assert_eq!(read(name).rate, rate, "{name}");
    }
}

#[test]
fn rule_2_3_a_wrong_struct_says_what_was_expected_and_found() {
    for (name, parts) in [
        (
            "bad_no_cell_xyz.mat",
            ["expected a field CellXYZ", "found cellxyz, IX_inval_anat"],
        ),
        (
            "bad_v73_no_cell_xyz.mat",
            ["expected a field CellXYZ", "IX_inval_anat, note, weights"],
        ),
        (
            "bad_data_is_numeric.mat",
            ["expected a 1×1 struct", "found a (6, 3) numeric array"],
        ),
        (
            "bad_data_is_struct_array.mat",
            ["expected a 1×1 struct", "found a (1, 2) struct array"],
        ),
        (
            "bad_no_data.mat",
            ["expected a variable data", "found Data, other"],
        ),
        ("bad_mat4.mat", ["found a MAT-file 4", "'-v7'"]),
    ] {
        let message = message(name);
        assert!(
            parts.iter().all(|part| message.contains(part)),
            "{name}: {message}"
        );
    }
}

#[test]
fn rule_2_3_what_is_no_mat_file_says_how_to_get_one() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut random = vec![0u8; 5000];
    Xoshiro256PlusPlus::seed_from_u64(1).fill_bytes(&mut random);
    const SAVE: &str = "; save it again in MATLAB with save('data_full.mat', 'data', '-v7')";
    for (content, found, repair) in [
        (&random[..], "other bytes", SAVE),
        (&[], "an empty file", SAVE),
        (&random[..50], "other bytes", SAVE),
        (
            b"<!DOCTYPE html><title>Sign in</title>",
            "an HTML page",
            "not signed in: download the file again",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "a Git LFS pointer",
            ": fetch it with git lfs pull",
        ),
    ] {
        let path = dir.path().join("data_full.mat");
        std::fs::write(&path, content).expect("a file");
        let message = read_anatomy(&path).expect_err("no MAT-file").to_string();
        assert!(
            message.contains(found) && message.ends_with(repair),
            "{message}"
        );
    }
    let missing = read_anatomy(&dir.path().join("nothing.mat")).expect_err("missing");
    assert!(matches!(missing, MatError::Io(_)), "{missing}");
}

#[test]
fn rule_2_3_a_truncated_file_is_an_error_wherever_it_breaks_off() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("data_full.mat");
    for name in [
        "plain.mat",
        "compressed.mat",
        "many_fields_compressed.mat",
        "by_hand_big_endian.mat",
        "v73.mat",
    ] {
        let bytes = std::fs::read(fixture(name)).expect("a fixture");
        // An HDF5 file is longer than a cut of its unused last bytes shows; the other format has none.
        let step = if name.starts_with("v73") { 97 } else { 1 };
        let whole = if name.starts_with("many") {
            bytes.len() - 200
        } else {
            bytes.len()
        };
        for length in (0..whole).step_by(step) {
            std::fs::write(&path, &bytes[..length]).expect("a file");
            assert!(read_anatomy(&path).is_err(), "{name} cut at {length}");
        }
    }
}

/// Runs the MAT-file 5 reader on bytes in memory, following every field.
fn walk(bytes: &[u8], name: &'static str) -> Result<Array, MatError> {
    mat5::read_variable(&mut Cursor::new(bytes), name, &|_| true)
}

#[test]
fn damaged_mat_5_files_are_errors_and_never_panics() {
    let files =
        fixtures(|name| name.ends_with(".mat") && !name.contains("v73") && !name.contains("mat4"));
    let mut random = Xoshiro256PlusPlus::seed_from_u64(20);
    for round in 0..12_000 {
        let (name, bytes) = &files[round % files.len()];
        let mut bytes = bytes.clone();
        for _ in 0..1 + random.next_u64() % 4 {
            let place = (random.next_u64() % bytes.len() as u64) as usize;
            match random.next_u64() % 4 {
                0 => bytes[place] = random.next_u64() as u8,
                1 => {
                    bytes[place] = [0x00, 0x01, 0x7f, 0x80, 0xff][(random.next_u64() % 5) as usize]
                }
                2 => bytes[place] ^= 1 << (random.next_u64() % 8),
                _ => bytes.truncate(place.max(1)),
            }
        }
        let followed = walk(&bytes, "data");
        let skipped = mat5::read_variable(&mut Cursor::new(&bytes), "data", &|field| {
            field == "CellXYZ"
        });
        // A flipped bit in compressed data is noticed, or lies where nothing is stored.
        if let ("compressed.mat", Ok(data)) = (name.as_str(), followed) {
            assert_eq!(anatomy(data).expect("anatomy"), read(name), "round {round}");
        }
        drop(skipped);
    }
}

#[test]
fn damaged_compressed_content_is_an_error_and_never_a_panic() {
    use std::io::Write;

    use flate2::{Compression, write::ZlibEncoder};
    let mut random = Xoshiro256PlusPlus::seed_from_u64(21);
    let plain = std::fs::read(fixture("many_fields.mat")).expect("a fixture");
    let (header, content) = plain.split_at(128);
    for _ in 0..1500 {
        // Damage inside of a valid zlib stream reaches the parser with lengths that the file's size does not bound.
        let mut content = content.to_vec();
        for _ in 0..1 + random.next_u64() % 3 {
            let place = (random.next_u64() % content.len() as u64) as usize;
            content[place] = random.next_u64() as u8;
        }
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&content).expect("compressed");
        let zlib = zlib.finish().expect("compressed");
        let mut file = header.to_vec();
        file.extend(15u32.to_le_bytes());
        file.extend((zlib.len() as u32).to_le_bytes());
        file.extend(&zlib);
        let _ = walk(&file, "data");
        let _ = walk(&file, "before");
    }
}

#[test]
fn an_array_that_claims_the_machines_memory_is_an_error() {
    let mut bytes = std::fs::read(fixture("plain.mat")).expect("a fixture");
    // The dimensions of CellXYZ, (6, 3), become (2^31 - 1, 3): refused before anything is held.
    let place = bytes
        .windows(8)
        .position(|w| w == [6, 0, 0, 0, 3, 0, 0, 0])
        .expect("dimensions");
    bytes[place..place + 4].copy_from_slice(&i32::MAX.to_le_bytes());
    let message = walk(&bytes, "data").expect_err("too large").to_string();
    assert!(message.contains("6442450941 elements"), "{message}");
}

/// The folder of reference data, where this checkout has one beside it.
fn reference() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/reference"
    ));
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!(
        "SKIPPED: no reference data at {}: the checks against it did not run",
        folder.display()
    );
    None
}

#[test]
fn rule_2_3_real_matlab_files_are_walked_to_their_last_element() {
    let Some(reference) = reference() else { return };
    let (mut files, mut recordings) = (0, 0);
    for dataset in std::fs::read_dir(reference.join("ground_truth")).expect("datasets") {
        for file in std::fs::read_dir(dataset.expect("a dataset").path()).expect("files") {
            let path = file.expect("a file").path();
            if path.extension().is_none_or(|extension| extension != "mat") {
                continue;
            }
            let mut stream = BufReader::new(File::open(&path).expect("a file"));
            let array = mat5::read_variable(&mut stream, "CAttached", &|_| true)
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let Array::Cell { elements, .. } = array else {
                panic!("{}: no cells", path.display())
            };
            recordings += elements
                .iter()
                .filter(|element| is_recording(element))
                .count();
            files += 1;
        }
    }
    assert_eq!((files, recordings), (202, 645));
}

/// Whether the array is a struct with the fluorescence and the action potentials of a cell.
fn is_recording(array: &Array) -> bool {
    let Array::Struct { fields, .. } = array else {
        return false;
    };
    ["fluo_mean", "fluo_time", "events_AP"]
        .iter()
        .all(|wanted| {
            fields
                .iter()
                .any(|(name, arrays)| name == wanted && matches!(arrays[..], [Array::Numeric(_)]))
        })
}
