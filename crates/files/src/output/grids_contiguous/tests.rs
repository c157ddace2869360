use std::os::unix::fs::MetadataExt;

use hdf5::plist::dataset_create::Layout;

use super::*;

const FRAMES: usize = 9;
const PLANES: usize = 2;

fn laid_out() -> (tempfile::TempDir, PathBuf, ContiguousGrids) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("grids.h5");
    let grids = ContiguousGrids::create(&path, FRAMES, PLANES).expect("a layout");
    (folder, partial(&path), grids)
}

/// Pixels of which each frame and plane has its own.
fn pixels(frames: &Range<usize>) -> Vec<u8> {
    let planes = frames
        .clone()
        .flat_map(|t| (0..PLANES).map(move |z| t * PLANES + z));
    planes
        .flat_map(|place| std::iter::repeat_n(place as u8 + 1, PLANE_BYTES))
        .collect()
}

#[test]
fn rule_8_8_ranks_write_their_planes_into_one_contiguous_dataset() {
    let (_folder, path, grids) = laid_out();
    let (one, other) = (grids.open().expect("a file"), grids.open().expect("a file"));
    for (file, frames) in [(&one, 3..8), (&other, 8..9), (&other, 0..3)] {
        file.write(&frames, &pixels(&frames)).expect("planes");
    }
    one.close().expect("a closed file");
    other.close().expect("a closed file");
    let file = File::open(&path).expect("a file");
    let dataset = file.dataset(GRIDS).expect("grids");
    assert_eq!(dataset.layout(), Layout::Contiguous);
    assert_eq!(dataset.shape(), [FRAMES, PLANES, ROWS, COLUMNS]);
    assert!(dataset.filters().is_empty());
    let offset = dataset.offset().expect("a place");
    assert!(offset.is_multiple_of(PLANE_BYTES as u64));
    let all = dataset.read_raw::<u8>().expect("pixels");
    assert!(all == pixels(&(0..FRAMES)));
}

#[test]
fn rule_8_8_the_bytes_are_reserved_before_anything_is_computed() {
    let (_folder, path, _grids) = laid_out();
    let found = std::fs::metadata(path).expect("a file");
    // What the file system holds of the file; all file systems on which tests run can reserve.
    assert!(found.blocks() * 512 >= bytes(FRAMES, PLANES));
}

#[test]
fn rule_8_8_a_disk_without_room_is_an_error_that_says_how_much_is_missing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("grids.h5");
    // An exabyte.
    let error = ContiguousGrids::create(&path, 1 << 33, 1 << 12).expect_err("no disk has so much");
    let message = error.to_string();
    for part in ["takes 1152921504.6 GB", "GB free", "--compression gzip"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!partial(&path).exists());
}

#[test]
fn rule_8_8_pixels_that_cannot_be_written_are_an_error() {
    let (_folder, path, grids) = laid_out();
    let mut file = grids.open().expect("a file");
    file.plain = std::fs::File::open(&path).expect("a file");
    let error = file
        .write(&(0..1), &pixels(&(0..1)))
        .expect_err("read-only");
    assert!(error.to_string().contains("cannot be written"), "{error}");
    std::fs::remove_file(&path).expect("a file");
    assert!(grids.open().is_err());
}
