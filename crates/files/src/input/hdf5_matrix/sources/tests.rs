//! Rule 9.3: virtual datasets, links and raw files whose sources are there, or are not.

use std::ops::Range;

use hdf5::{Dataset, File};
use ndarray::s;

use super::*;
use crate::input::hdf5_matrix::Header;
use crate::input::source::Location;
use crate::input::storage::Orientation;

const FRAMES: usize = 50;

/// A folder with `TimeSeries.h5` and the files behind it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn create(&self, name: &str) -> File {
        File::create(self.path(name)).expect("a file")
    }

    /// A plane of some neurons: 100 t + n, in chunks, of which the first frames alone may be written.
    fn plane(&self, name: &str, neurons: Range<usize>, frames: usize) {
        let file = self.create(name);
        let builder = file.new_dataset::<f32>().shape((FRAMES, neurons.len()));
        let dataset = builder.chunk((10, 4)).create("F").expect("a dataset");
        let first = neurons.start;
        let values = ndarray::Array2::from_shape_fn((frames, neurons.len()), |(t, n)| {
            (100 * t + first + n) as f32
        });
        if frames > 0 {
            dataset
                .write_slice(&values, s![..frames, ..])
                .expect("values");
        }
    }

    /// A virtual dataset of 10 neurons, of these parts: file, dataset, frames and neurons of it, and which neurons they are.
    fn stack(&self, name: &str, parts: &[(&str, &str, usize, Range<usize>)]) {
        let file = self.create(name);
        let builder = file.new_dataset::<f32>().shape((FRAMES, 10));
        let builder = builder.with_dcpl(|settings| {
            for (file, dataset, frames, neurons) in parts {
                let there = (*frames, neurons.len());
                let here = (..*frames, neurons.clone());
                settings.virtual_map(file, dataset, there, (.., ..), (FRAMES, 10), here);
            }
            settings
        });
        builder.create("CellResp").expect("a virtual dataset");
    }

    fn message(&self) -> String {
        let path = self.path("TimeSeries.h5");
        let found = Header::read(&path, "CellResp")
            .and_then(|(header, file)| header.missing(&file, &path, "CellResp"));
        let error = found.expect_err("a lost source");
        let code = error.code().map(|code| code.name());
        assert_eq!(code, Some("file.lost_source"), "{error}");
        error.to_string()
    }

    /// All samples; NaN where there is none.
    fn samples(&self) -> Vec<f32> {
        let path = self.path("TimeSeries.h5");
        let location = Location::hdf5(&path, "CellResp", Orientation::FramesByNeurons);
        let reader = location.and_then(|location| location.open());
        let samples = reader.and_then(|reader| reader.read_neurons(0..10));
        samples
            .unwrap_or_else(|error| panic!("{error}"))
            .traces(&(0..10))
    }

    fn finding(&self) -> Option<spikegrid_core::findings::Finding> {
        let path = self.path("TimeSeries.h5");
        let (header, file) = Header::read(&path, "CellResp").expect("a header");
        let missing = header.missing(&file, &path, "CellResp").expect("sources");
        let unwritten = missing.1;
        unwritten.map(|unwritten| unwritten.finding("CellResp", Orientation::FramesByNeurons))
    }

    /// Checks that samples are missing exactly where said.
    fn lacks(&self, missing: impl Fn(usize, usize) -> bool) {
        for (place, found) in self.samples().into_iter().enumerate() {
            let (n, t) = (place / FRAMES, place % FRAMES);
            match missing(t, n) {
                true => assert!(found.is_nan(), "frame {t} of neuron {n}: {found}"),
                false => assert_eq!(found, (100 * t + n) as f32, "frame {t} of neuron {n}"),
            }
        }
    }
}

const PLANES: [(&str, &str, usize, Range<usize>); 2] = [
    ("plane0.h5", "F", FRAMES, 0..6),
    ("plane1.h5", "F", FRAMES, 6..10),
];

#[test]
fn rule_9_3_file_lost_source_and_its_near_misses() {
    let folder = Folder::new();
    folder.plane("plane0.h5", 0..6, FRAMES);
    folder.plane("plane1.h5", 6..10, FRAMES);
    folder.stack("TimeSeries.h5", &PLANES);
    folder.lacks(|_, _| false);
    assert_eq!(folder.finding(), None);
    std::fs::rename(folder.path("plane1.h5"), folder.path("away.h5")).expect("a file");
    let message = folder.message();
    assert!(
        message.contains("plane1.h5, found no such file"),
        "{message}"
    );
    // Another dataset, fewer frames, no HDF5 file.
    let file = folder.create("plane1.h5");
    file.new_dataset::<f32>()
        .shape((FRAMES, 4))
        .create("G")
        .expect("a dataset");
    file.close().expect("a file");
    assert!(
        folder
            .message()
            .contains("plane1.h5, found no dataset F in it")
    );
    let file = folder.create("plane1.h5");
    file.new_dataset::<f32>()
        .shape((FRAMES - 1, 4))
        .create("F")
        .expect("a dataset");
    file.close().expect("a file");
    let message = folder.message();
    assert!(
        message.contains("its dataset F in shape (49, 4) only"),
        "{message}"
    );
    for (bytes, told) in [
        ("no HDF5", "a text that begins with \"no HDF5\""),
        ("", "an empty file"),
        ("<html>Sign in</html>", "an HTML page"),
    ] {
        std::fs::write(folder.path("plane1.h5"), bytes).expect("a file");
        let message = folder.message();
        assert!(
            message.contains(&format!("plane1.h5, found {told}")),
            "{message}"
        );
    }
    std::fs::remove_file(folder.path("plane1.h5")).expect("a file");
    crate::regular::make_pipe(&folder.path("plane1.h5"));
    assert!(
        folder
            .message()
            .contains("plane1.h5, found a named pipe (FIFO)")
    );
}

#[test]
fn rule_9_3_sources_of_sources_and_of_the_same_file_count() {
    let folder = Folder::new();
    folder.plane("plane0.h5", 0..6, FRAMES);
    folder.plane("plane1.h5", 6..10, FRAMES);
    folder.stack("stack.h5", &PLANES);
    folder.stack("TimeSeries.h5", &[("stack.h5", "CellResp", FRAMES, 0..10)]);
    folder.lacks(|_, _| false);
    std::fs::remove_file(folder.path("plane0.h5")).expect("a file");
    assert!(folder.message().contains("plane0.h5, found no such file"));
    folder.stack("TimeSeries.h5", &[(".", "CellResp", FRAMES, 0..10)]);
    assert!(folder.message().contains("nested too deeply"));
    folder.stack("TimeSeries.h5", &[(".", "F", FRAMES, 0..10)]);
    assert!(folder.message().contains("no dataset F"));
}

#[test]
fn rule_9_3_parts_of_a_virtual_dataset_without_samples_are_missing() {
    let folder = Folder::new();
    folder.plane("plane0.h5", 0..6, FRAMES);
    // Rows of chunks of 10 frames: the third to the last were never stored.
    folder.plane("plane1.h5", 6..10, 20);
    folder.stack("TimeSeries.h5", &PLANES);
    folder.lacks(|t, n| n >= 6 && t >= 20);
    let finding = folder.finding().expect("a finding");
    assert_eq!(
        (finding.neurons, finding.frames, finding.first_neuron),
        (4, 30, Some(6))
    );
    assert_eq!(finding.share, 120.0 / 500.0);
    assert!(
        finding.message.starts_with("24.0 % of the samples"),
        "{}",
        finding.message
    );
    // No source at all for some neurons, and for the last frames of others.
    folder.stack(
        "TimeSeries.h5",
        &[
            ("plane0.h5", "F", FRAMES, 0..6),
            ("short.h5", "F", 30, 6..8),
        ],
    );
    let file = folder.create("short.h5");
    let values = ndarray::Array2::from_shape_fn((30, 2), |(t, n)| (100 * t + 6 + n) as f32);
    file.new_dataset_builder()
        .with_data(&values)
        .create("F")
        .expect("a dataset");
    file.close().expect("a file");
    folder.lacks(|t, n| n >= 8 || n >= 6 && t >= 30);
    folder.stack("TimeSeries.h5", &[]);
    folder.lacks(|_, _| true);
}

#[test]
fn rule_9_3_links_that_lead_nowhere_name_their_target() {
    let folder = Folder::new();
    folder.plane("raw.h5", 0..10, FRAMES);
    let link = |make: &dyn Fn(&File)| {
        let file = folder.create("TimeSeries.h5");
        make(&file);
    };
    link(&|file| {
        file.link_external("raw.h5", "/F", "CellResp")
            .expect("a link")
    });
    folder.lacks(|_, _| false);
    link(&|file| {
        file.link_external("raw.h5", "/G", "CellResp")
            .expect("a link")
    });
    assert!(
        folder
            .message()
            .contains("raw.h5, found no object /G in it")
    );
    link(&|file| {
        file.link_external("lost.h5", "/F", "CellResp")
            .expect("a link")
    });
    assert!(
        folder
            .message()
            .contains("expected its source lost.h5, found no such file")
    );
    link(&|file| file.link_soft("/store/raw", "CellResp").expect("a link"));
    let message = folder.message();
    assert!(
        message.contains(
            "expected its source /store/raw, to which the soft link CellResp leads, found no such object in the file;"
        ),
        "{message}"
    );
    std::fs::write(folder.path("page.h5"), "<!DOCTYPE html>").expect("a file");
    link(&|file| {
        file.link_external("page.h5", "/F", "CellResp")
            .expect("a link")
    });
    assert!(folder.message().contains("page.h5, found an HTML page"));
    let elsewhere = folder.create("elsewhere.h5");
    elsewhere.link_soft("/G", "F").expect("a link");
    elsewhere.close().expect("a file");
    link(&|file| {
        file.link_external("elsewhere.h5", "/F", "CellResp")
            .expect("a link")
    });
    let message = folder.message();
    assert!(
        message.contains("/G, to which the soft link /F leads, found no such object in")
            && message.contains("elsewhere.h5;"),
        "{message}"
    );
    link(&|file| file.link_soft("/CellResp", "CellResp").expect("a link"));
    folder.message();
    link(&|file| {
        file.link_soft("/there", "CellResp").expect("a link");
        file.link_external("raw.h5", "/F", "there").expect("a link");
    });
    folder.lacks(|_, _| false);
}

#[test]
fn rule_9_3_raw_files_are_as_long_as_declared() {
    let folder = Folder::new();
    let raw = folder.path("raw.bin");
    let file = folder.create("TimeSeries.h5");
    let builder = file.new_dataset::<f32>().shape((FRAMES, 10));
    let name = raw.to_str().expect("UTF-8");
    let dataset = builder.with_dcpl(|settings| settings.external(name, 8, FRAMES * 40));
    let dataset: Result<Dataset, _> = dataset.create("CellResp");
    drop((dataset.expect("a dataset"), file));
    let message = folder.message();
    assert!(message.contains("raw.bin, found no such file"), "{message}");
    let values: Vec<u8> = (0..FRAMES)
        .flat_map(|t| (0..10).flat_map(move |n| ((100 * t + n) as f32).to_le_bytes()))
        .collect();
    let bytes = [&[0; 8][..], &values].concat();
    std::fs::write(&raw, &bytes[..bytes.len() - 1]).expect("a file");
    let message = folder.message();
    assert!(
        message.contains("raw.bin, found 2007 bytes of 2008"),
        "{message}"
    );
    std::fs::write(&raw, &bytes).expect("a file");
    folder.lacks(|_, _| false);
}

/// A file with a dataset CellResp whose numbers are in raw files, a half in each.
fn of_raw_files(folder: &Folder, name: &str, raw: [&str; 2]) {
    let file = folder.create(name);
    let builder = file.new_dataset::<f32>().shape((FRAMES, 10));
    let builder = builder.with_dcpl(|settings| {
        raw.iter().for_each(|raw| {
            settings.external(raw, 0, FRAMES * 20);
        });
        settings
    });
    builder.create("CellResp").expect("a dataset");
}

#[test]
fn rule_9_3_raw_files_beside_the_file_are_found_wherever_the_program_runs() {
    let folder = Folder::new();
    of_raw_files(&folder, "TimeSeries.h5", ["raw_0.bin", "raw_1.bin"]);
    let message = folder.message();
    assert!(
        message.contains("expected its source raw_0.bin, found no such file beside")
            && message.contains("TimeSeries.h5, or in the folder in which the program runs;"),
        "{message}"
    );
    let values: Vec<u8> = (0..FRAMES)
        .flat_map(|t| (0..10).flat_map(move |n| ((100 * t + n) as f32).to_le_bytes()))
        .collect();
    let (first, second) = values.split_at(FRAMES * 20);
    std::fs::write(folder.path("raw_0.bin"), first).expect("a file");
    let message = folder.message();
    let lost = folder.path("raw_1.bin");
    assert!(
        message.contains(&format!(
            "expected its source {}, found no such file",
            lost.display()
        )),
        "{message}"
    );
    std::fs::write(lost, second).expect("a file");
    folder.lacks(|_, _| false);
    // Twice at once.
    let path = folder.path("TimeSeries.h5");
    let open = || {
        Location::hdf5(&path, "CellResp", Orientation::FramesByNeurons)
            .and_then(|location| location.open())
    };
    let (one, other) = (open().expect("a reader"), open().expect("a reader"));
    let samples = [one, other].map(|reader| {
        reader
            .read_neurons(0..10)
            .expect("samples")
            .traces(&(0..10))
    });
    assert_eq!(samples[0], samples[1]);
    // By way of links.
    let away = tempfile::tempdir().expect("a folder");
    let link = away.path().join("TimeSeries.h5");
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    let location = Location::hdf5(&link, "CellResp", Orientation::FramesByNeurons);
    let reader = location
        .and_then(|location| location.open())
        .expect("a reader");
    assert_eq!(
        reader
            .read_neurons(0..10)
            .expect("samples")
            .traces(&(0..10)),
        samples[0]
    );
    drop(reader);
    std::fs::rename(&path, folder.path("raw.h5")).expect("a file");
    let file = folder.create("TimeSeries.h5");
    file.link_external("raw.h5", "/CellResp", "CellResp")
        .expect("a link");
    file.close().expect("a file");
    folder.lacks(|_, _| false);
    // HDF5 opens the sources of a virtual dataset by itself.
    folder.stack("TimeSeries.h5", &[("raw.h5", "CellResp", FRAMES, 0..10)]);
    let message = folder.message();
    assert!(
        message.contains(
            "found no such file in the folder in which the program runs (if it is beside"
        ) && message.contains("raw.h5, set HDF5_EXTFILE_PREFIX='${ORIGIN}')"),
        "{message}"
    );
}

#[test]
fn patterns_of_names_number_their_sources() {
    assert_eq!(source_of_pattern(b"plane%b.h5", 0), b"plane0.h5");
    assert_eq!(source_of_pattern(b"100%%/F_%b%", 12), b"100%/F_12%");
    let folder = Folder::new();
    let lost = |pattern: &str| gap(OsStr::new(pattern), folder.0.path());
    let write = |name: &str| std::fs::write(folder.path(name), "").expect("a file");
    for name in [
        "part_0.h5",
        "part_1.h5",
        "part_x.h5",
        "part_5.txt",
        "other.h5",
    ] {
        write(name);
    }
    assert_eq!(lost("part_%b.h5"), None);
    assert_eq!(lost("/elsewhere/part_%b.h5"), None);
    write("part_3.h5");
    assert_eq!(lost("part_%b.h5"), Some("part_2.h5".into()));
    assert_eq!(lost("part_0.h5"), None, "no pattern");
}
