//! `spikegrid-mpi verify` (rule 9.6) on whole outputs: all well, then one kind of damage after the other.

mod common;

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use common::{Job, PROGRAM, Run, Workbench, alone, copy_folder};
use hdf5::{File, H5Type};
use ndarray::s;
use spikegrid_files::output::nwb::Voxel;

const GRIDS: &str = "subject_1/preaugmented_grids.h5";
const METADATA: &str = "subject_1/metadata.h5";
const TRACES: &str = "subject_1/traces.h5";
const ACTIVITY: &str = "subject_1/activity.h5";
const NWB: &str = "subject_1/subject_1.nwb";
const COMBINED: &str = "combined_metadata.h5";

/// An output of two subjects with traces.
fn output() -> &'static Path {
    static OUTPUT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = OUTPUT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        run(&path, &["--save_traces", "--activity", "--nwb"]);
        (folder, path)
    });
    path
}

/// A program that is started gets the HDF5 files that another thread of this test has open, with their locks. So either programs
/// are started or files are changed.
fn alone_with_files() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn finish(command: Command) -> Run {
    let lock = alone_with_files();
    let job = Job::start(command);
    drop(lock);
    job.ends_within(60)
}

fn run(output: &Path, more: &[&str]) {
    run_on(1, &Workbench::get().raw(), output, more);
}

fn run_on(ranks: usize, raw: &Path, output: &Path, more: &[&str]) {
    let command = Workbench::get().mpirun(ranks, raw, output, more);
    finish(command).expect(0);
}

/// A copy of the output, to be damaged.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(output(), folder.path());
        Self(folder)
    }

    /// Damages it, while no program is started.
    fn damage(&self, damage: impl FnOnce(&Self)) {
        let _lock = alone_with_files();
        damage(self);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn open(&self, name: &str) -> File {
        File::open_rw(self.path(name)).unwrap()
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    /// Changes one value of a dataset with two axes or one.
    fn change<T: H5Type + Clone>(&self, name: &str, dataset: &str, at: &[usize], value: T) {
        let file = self.open(name);
        let dataset = file.dataset(dataset).unwrap();
        let value = ndarray::arr0(value).into_dyn();
        match *at {
            [row, column] => dataset.write_slice(&value, s![row, column]),
            [place] => dataset.write_slice(&value, s![place]),
            _ => unreachable!("two axes or one"),
        }
        .unwrap();
    }

    fn verify(&self) -> Run {
        verify(&[self.0.path()])
    }

    fn against_undamaged(&self) -> Run {
        verify(&[self.0.path(), Path::new("--against"), output()])
    }
}

fn verify(arguments: &[&Path]) -> Run {
    let mut command = Command::new(PROGRAM);
    command.arg("verify").args(arguments);
    finish(command)
}

/// Verify ends with status 1, and one of its lines has all of these words.
fn finds(run: Run, words: &[&str]) {
    let run = run.expect(1);
    let all = |line: &str| words.iter().all(|word| line.contains(word));
    assert!(
        run.stdout.lines().any(all),
        "no line with {words:?} in:\n{}",
        run.stdout
    );
}

/// Damages the output, and expects one line of verify to have these words.
fn damaged(damage: impl FnOnce(&Copy), words: &[&str]) {
    let copy = Copy::new();
    copy.damage(damage);
    finds(copy.verify(), words);
}

/// Changes a pixel of the grids.
fn set_pixel(copy: &Copy, [frame, plane, row, column]: [usize; 4], to: impl Fn(u8) -> u8) {
    let file = copy.open(GRIDS);
    let grids = file.dataset("grids").unwrap();
    let place = s![frame, plane, row, column];
    let before = grids.read_slice::<u8, _, ndarray::Ix0>(place).unwrap();
    grids.write_slice(&before.mapv(to), place).unwrap();
}

#[test]
fn rule_9_6_an_output_that_keeps_the_rules_is_verified() {
    let verified = verify(&[output()]).expect(0);
    for subject in ["subject_1", "subject_2"] {
        let line = format!(
            "{subject}: 90 neurons × 700 frames, 3 planes: as rules 6 to 8 say (recomputed from traces.h5)"
        );
        assert!(verified.stdout.contains(&line), "{}", verified.stdout);
    }
    assert!(
        verified
            .stdout
            .ends_with("2 subjects verified, 0 with differences; 0 differences in all\n")
    );
    let copy = Copy::new();
    copy.remove(TRACES);
    copy.remove("subject_2/traces.h5");
    let verified = copy.verify().expect(0);
    assert!(
        verified
            .stdout
            .contains("as far as can be told without traces.h5"),
        "{}",
        verified.stdout
    );
}

#[test]
fn rule_9_6_nothing_to_verify_is_status_2() {
    let folder = tempfile::tempdir().unwrap();
    verify(&[folder.path()])
        .expect(2)
        .says(&["holds no subject"]);
    let nowhere = folder.path().join("nowhere");
    verify(&[&nowhere])
        .expect(2)
        .says(&["nowhere", "expected an output folder"]);
    verify(&[output(), Path::new("--against"), &nowhere])
        .expect(2)
        .says(&["nowhere"]);
    alone(&["verify"]).expect(2).says(&["OUTPUT_DIR"]);
}

#[test]
fn rule_9_6_pixels_and_markers() {
    let flip = |pixel: u8| 1 - pixel;
    damaged(
        |copy| set_pixel(copy, [5, 1, 100, 60], flip),
        &[
            GRIDS,
            "grids[5, 1, 100, 60]",
            "expected",
            "traces.h5",
            "rule 7.2; 1 pixel in 1 of 2,100 planes",
        ],
    );
    let marker = &[
        GRIDS,
        "grids[699, 0, 1, 127]",
        "expected 1 (the marker), found 0",
        "rule 7.2",
    ];
    let value = &[
        GRIDS,
        "grids[0, 0, 255, 0]",
        "expected 0 or 1, found 7",
        "rule 8.1",
    ];
    damaged(|copy| set_pixel(copy, [699, 0, 1, 127], flip), marker);
    damaged(|copy| set_pixel(copy, [0, 0, 255, 0], |_| 7), value);
    // Both are seen without traces, too.
    let copy = Copy::new();
    copy.remove(TRACES);
    copy.damage(|copy| {
        set_pixel(copy, [699, 0, 1, 127], flip);
        set_pixel(copy, [0, 0, 255, 0], |_| 7);
    });
    finds(copy.verify(), marker);
    finds(copy.verify(), value);
}

#[test]
fn rule_9_6_planes_that_were_never_stored() {
    damaged(
        |copy| {
            let file = copy.open(GRIDS);
            let grids = file.dataset("grids").unwrap();
            let new = file
                .new_dataset::<u8>()
                .shape((700, 3, 256, 128))
                .chunk((1, 1, 256, 128));
            let new = new.deflate(1).create("new").unwrap();
            for frame in (0..700).filter(|frame| *frame != 3) {
                let place = s![frame, .., .., ..];
                let planes = grids.read_slice::<u8, _, ndarray::Ix3>(place).unwrap();
                new.write_slice(&planes, place).unwrap();
            }
            file.unlink("grids").unwrap();
            file.relink("new", "grids").unwrap();
        },
        &[
            GRIDS,
            "grids[3, 0]",
            "never stored",
            "rule 8.1; 3 of 2,100 planes",
        ],
    );
}

#[test]
fn rule_9_6_grids_that_are_stored_in_another_way() {
    damaged(
        |copy| {
            let file = copy.open(GRIDS);
            let pixels = file.dataset("grids").unwrap().read_raw::<u8>().unwrap();
            file.unlink("grids").unwrap();
            let new = file
                .new_dataset::<u8>()
                .shape((700, 3, 256, 128))
                .create("grids");
            new.unwrap().write_raw(&pixels).unwrap();
        },
        &[
            GRIDS,
            "expected chunks (1, 1, 256, 128), gzip level 1, found contiguous, without compression",
            "rules 8.1 and 8.8",
        ],
    );
}

#[test]
fn rule_9_6_split() {
    let is_train = |name| move |copy: &Copy| copy.change(name, "is_train", &[3], 2_u8);
    for name in [GRIDS, METADATA] {
        damaged(
            is_train(name),
            &[name, "is_train[3]", "found 2", "rule 6.1; 1 of 700 values"],
        );
    }
    damaged(
        |copy| copy.change(METADATA, "train_timepoints", &[1], 0_i64),
        &[METADATA, "train_timepoints[1]", "found 0", "rule 8.2"],
    );
    // Of another seed.
    damaged(
        |copy| {
            let file = copy.open(GRIDS);
            file.attr("seed").unwrap().write_scalar(&1_i64).unwrap();
        },
        &[GRIDS, "is_train[0]", "rule 6.1; 660 of 700 values differ"],
    );
    // The seed is not there: both files still have to say the same.
    damaged(
        |copy| {
            copy.open(GRIDS).delete_attr("seed").unwrap();
            copy.change(METADATA, "is_train", &[9], 2_u8);
        },
        &[METADATA, "is_train[9]", "found 2"],
    );
}

#[test]
fn rule_9_6_datasets_and_attributes_of_the_grids_file() {
    damaged(
        |copy| copy.change(GRIDS, "timepoint_indices", &[699], 0_i32),
        &[
            GRIDS,
            "timepoint_indices[699]: expected 699, found 0",
            "rule 8.1",
        ],
    );
    for (name, expected) in [
        ("seed", "an i64"),
        ("config", "JSON"),
        ("num_z_planes", "3"),
    ] {
        damaged(
            |copy| copy.open(GRIDS).delete_attr(name).unwrap(),
            &[
                GRIDS,
                &format!("attribute {name}"),
                expected,
                "no such attribute",
                "rule 8.1",
            ],
        );
    }
    damaged(
        |copy| {
            let file = copy.open(GRIDS);
            file.attr("window_sec")
                .unwrap()
                .write_scalar(&31.0)
                .unwrap();
        },
        &[
            GRIDS,
            "attribute config, window_sec: expected 31.0, found 30.0",
            "rule 8.1",
        ],
    );
    damaged(
        |copy| {
            let [from, to] = ["subject_1", "subject_7"].map(|name| copy.path(name));
            std::fs::rename(from, to).unwrap();
        },
        &[
            "subject_7/preaugmented_grids.h5",
            "attribute subject",
            "\"subject_7\"",
            "\"subject_1\"",
        ],
    );
}

#[test]
fn rule_9_6_metadata() {
    damaged(
        |copy| copy.change(METADATA, "z_values", &[1], 12345.0),
        &[
            METADATA,
            "z_values[1]",
            "found 12345.0",
            "rule 7.1; 1 of 3 values",
        ],
    );
    damaged(
        |copy| {
            copy.remove(TRACES);
            copy.change(METADATA, "z_values", &[1], -1e9);
        },
        &[METADATA, "z_values[1]: expected more than", "rule 8.2"],
    );
    damaged(
        |copy| copy.open(METADATA).unlink("z_values").unwrap(),
        &[
            METADATA,
            "z_values: expected f64 (3,), found no such dataset",
            "rule 8.2",
        ],
    );
    damaged(
        |copy| {
            let file = copy.open(METADATA);
            file.unlink("is_train").unwrap();
            let data = file.new_dataset_builder().with_data(&[1_i32; 700]);
            data.create("is_train").unwrap();
        },
        &[METADATA, "is_train: expected u8 (700,), found i32 (700,)"],
    );
    damaged(
        |copy| copy.remove(METADATA),
        &[METADATA, "no such file", "rule 8.2"],
    );
}

#[test]
fn rule_9_6_spikes_follow_from_rates_and_seed() {
    let copy = Copy::new();
    copy.damage(|copy| {
        let spikes = copy.open(TRACES).dataset("spikes").unwrap();
        let spikes = spikes.read_2d::<u8>().unwrap();
        copy.change(TRACES, "spikes", &[12, 300], 1 - spikes[[12, 300]]);
    });
    finds(
        copy.verify(),
        &[
            TRACES,
            "spikes[12, 300]",
            "of the rate",
            "rules 5.1 and 5.2; 1 of 63,000 values",
        ],
    );
    finds(
        copy.verify(),
        &[GRIDS, "grids[300, ", "traces.h5", "rule 7.2; 1 pixel"],
    );
    damaged(
        |copy| copy.change(TRACES, "spikes", &[0, 0], 9_u8),
        &[TRACES, "spikes[0, 0]: expected 0 or 1, found 9", "rule 8.5"],
    );
    damaged(
        |copy| copy.open(TRACES).unlink("noise_level").unwrap(),
        &[
            TRACES,
            "noise_level: expected f32 (90,), found no such dataset",
            "rule 8.5",
        ],
    );
}

#[test]
fn rule_8_9_the_activity_matrix_holds_the_rates_of_the_traces() {
    damaged(
        |copy| {
            copy.change(ACTIVITY, "neuron_values", &[500, 3], 0.25_f32);
        },
        &["activity.h5: neuron_values[500, 3]", "rule 8.9; 1 of"],
    );
    damaged(
        |copy| copy.change(ACTIVITY, "is_train", &[0], 7_u8),
        &["activity.h5: is_train[0]"],
    );
    damaged(
        |copy| copy.change(ACTIVITY, "cell_positions", &[2, 1], 7_f32),
        &["activity.h5: cell_positions[2, 1]: expected "],
    );
}

#[test]
fn rule_9_6_rates_of_the_activity_matrix_are_read_without_traces() {
    let without_traces = |damage: &dyn Fn(&Copy), words: &[&str]| {
        let damage = |copy: &Copy| {
            copy.remove(TRACES);
            damage(copy);
        };
        damaged(damage, words);
    };
    for rate in [f32::INFINITY, f32::NEG_INFINITY] {
        without_traces(
            &|copy| copy.change(ACTIVITY, "neuron_values", &[500, 3], rate),
            &[
                &format!("{ACTIVITY}: neuron_values[500, 3]: expected a finite rate"),
                &format!("found {rate:?} (rule 8.9; 1 of 63,000 values are infinite)"),
            ],
        );
    }
    without_traces(
        &|copy| copy.change(ACTIVITY, "neuron_values", &[500, 3], 0.25_f32),
        &[
            &format!("{ACTIVITY}: neuron_values[:, 3]: expected rates with the sum "),
            "as in neurons.tsv, found ",
            "(rule 8.9; 1 of 90 neurons differ)",
        ],
    );
    let sums = &[ACTIVITY, "neuron_values[:, ", "as in neurons.tsv"];
    without_traces(
        &|copy| {
            let values = copy.open(ACTIVITY).dataset("neuron_values").unwrap();
            let none = ndarray::Array2::from_elem((700, 90), f32::NAN);
            values.write(&none).unwrap();
        },
        sums,
    );
    without_traces(
        &|copy| {
            let other = copy.path("subject_2/activity.h5");
            std::fs::copy(other, copy.path(ACTIVITY)).unwrap();
        },
        sums,
    );
    without_traces(
        &|copy| {
            let table = copy.path("subject_1/neurons.tsv");
            let text = std::fs::read_to_string(&table).unwrap();
            let last = text.trim_end().rfind('\n').unwrap();
            std::fs::write(table, &text[..=last]).unwrap();
        },
        &[
            ACTIVITY,
            "neuron_values: expected as many neurons as neurons.tsv has rows, found 90",
        ],
    );
    // Without a table, what can be read can be told.
    without_traces(
        &|copy| {
            copy.remove("subject_1/neurons.tsv");
            copy.change(ACTIVITY, "neuron_values", &[0, 89], f32::INFINITY);
        },
        &["neuron_values[0, 89]: expected a finite rate", "found inf"],
    );
}

#[test]
fn rule_9_6_chunks_of_the_activity_matrix_that_cannot_be_inflated_or_were_never_stored() {
    let spoil = |copy: &Copy| {
        let file = File::open(copy.path(ACTIVITY)).unwrap();
        let chunk = file.dataset("neuron_values").unwrap().chunk_info(0);
        drop(file);
        let chunk = chunk.unwrap();
        let file = OpenOptions::new().write(true).open(copy.path(ACTIVITY));
        let bytes = vec![0xff_u8; chunk.size as usize];
        file.unwrap().write_all_at(&bytes, chunk.addr).unwrap();
    };
    let leave_out = |copy: &Copy| {
        let file = copy.open(ACTIVITY);
        let rates = file.dataset("neuron_values").unwrap();
        let some = s![.., ..45];
        let rates = rates.read_slice::<f32, _, ndarray::Ix2>(some).unwrap();
        let new = file.new_dataset::<f32>().shape((700, 90)).chunk((700, 45));
        let new = new.deflate(1).create("new").unwrap();
        new.write_slice(&rates, some).unwrap();
        file.unlink("neuron_values").unwrap();
        file.relink("new", "neuron_values").unwrap();
    };
    let unreadable = "neuron_values: expected values that can be read, found ";
    let left_out =
        "neuron_values: expected chunks of rates, found chunks that were never stored (rule 8.9)";
    for with_traces in [true, false] {
        let prepare = |copy: &Copy| {
            if !with_traces {
                copy.remove(TRACES);
            }
        };
        damaged(
            |copy| {
                prepare(copy);
                spoil(copy);
            },
            &[ACTIVITY, unreadable, "(rule 8.9)"],
        );
        damaged(
            |copy| {
                prepare(copy);
                leave_out(copy);
            },
            &[ACTIVITY, left_out],
        );
    }
}

#[test]
fn rule_9_6_an_activity_matrix_of_halves_is_verified_without_traces() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    run(&out, &["--activity=f16"]);
    verify(&[&out]).expect(0);
    let lock = alone_with_files();
    let file = File::open_rw(out.join(ACTIVITY)).unwrap();
    let values = file.dataset("neuron_values").unwrap();
    let one = ndarray::arr0(half::f16::INFINITY).into_dyn();
    values.write_slice(&one, s![7, 2]).unwrap();
    drop((values, file, lock));
    finds(
        verify(&[&out]),
        &["neuron_values[7, 2]: expected a finite rate", "found inf"],
    );
}

#[test]
fn rule_8_10_the_nwb_file_holds_the_traces() {
    const OPHYS: &str = "processing/ophys";
    let rates = format!("{OPHYS}/SpikeRates/SpikeRates/data");
    damaged(
        |copy| copy.change(NWB, &rates, &[500, 3], 0.25_f32),
        &[
            "subject_1.nwb: ",
            "SpikeRates/data[500, 3]",
            "rule 8.10; 1 of",
        ],
    );
    damaged(
        |copy| {
            copy.change(
                NWB,
                &format!("{OPHYS}/DfOverF/DfOverF/data"),
                &[0, 89],
                9_f32,
            )
        },
        &["DfOverF/data[0, 89]", "rule 8.10; 1 of"],
    );
    damaged(
        |copy| {
            let x = format!("{OPHYS}/ImageSegmentation/PlaneSegmentation/x");
            copy.change(NWB, &x, &[7], -1e6_f64);
        },
        &["PlaneSegmentation/x[7]", "rule 8.10"],
    );
    damaged(
        |copy| {
            let table = format!("{OPHYS}/ImageSegmentation/PlaneSegmentation");
            let voxel = Voxel {
                x: 255,
                y: 127,
                z: 9,
                weight: 0.5,
            };
            copy.change(NWB, &format!("{table}/voxel_mask"), &[3], voxel);
        },
        &[
            "PlaneSegmentation/voxel_mask[3]: expected (",
            ", 1.0), found (255, 127, 9, 0.5) (rule 8.10",
        ],
    );
    damaged(
        |copy| {
            let rois = format!("{OPHYS}/SpikeRates/SpikeRates/rois");
            copy.change(NWB, &rois, &[4], 5_i64);
        },
        &["SpikeRates/rois[4]: expected 4, found 5 (rule 8.10"],
    );
    damaged(
        |copy| {
            let file = copy.open(NWB);
            let start = file.dataset(&format!("{OPHYS}/DfOverF/DfOverF/starting_time"));
            let rate = start.unwrap().attr("rate").unwrap();
            rate.write_scalar(&7_f32).unwrap();
        },
        &[
            "DfOverF/starting_time, attribute rate: expected ",
            ", found 7.0 (rule 8.10",
        ],
    );
}

#[test]
fn rules_8_9_and_8_10_attributes_say_what_values_mean() {
    let rates = "processing/ophys/SpikeRates/SpikeRates/data";
    let attribute = |copy: &Copy, file: &str, object: &str, name: &str| {
        let dataset = copy.open(file).dataset(object).unwrap();
        dataset.attr(name).unwrap()
    };
    let conversion = |copy: &Copy| {
        let conversion = attribute(copy, NWB, rates, "conversion");
        conversion.write_scalar(&2_f32).unwrap();
    };
    let words = "SpikeRates/data, attribute conversion: expected 1.0";
    damaged(conversion, &[words, "found 2.0 (rule 8.10)"]);
    let copy = Copy::new();
    copy.damage(conversion);
    finds(copy.against_undamaged(), &[words, "as in", "found 2.0"]);
    damaged(
        |copy| {
            let least = attribute(copy, ACTIVITY, "cell_positions", "positions_min");
            least.write_raw(&[-1e6, 0.0, 0.0]).unwrap();
        },
        &[
            "cell_positions, attribute positions_min: expected (",
            "found (-1000000.0, 0.0, 0.0) (rule 8.9)",
        ],
    );
    damaged(
        |copy| {
            let values = copy.open(ACTIVITY).dataset("neuron_values").unwrap();
            values.delete_attr("unit").unwrap();
        },
        &[
            "neuron_values, attribute unit: expected \"spikes per frame",
            "found no such attribute (rule 8.9)",
        ],
    );
    damaged(
        |copy| copy.open(NWB).unlink("session_start_time").unwrap(),
        &[
            "subject_1.nwb: session_start_time: expected a group or dataset, found no such group or dataset (rule 8.10)",
        ],
    );
}

#[test]
fn rule_9_6_neurons_in_another_order() {
    damaged(
        |copy| {
            let file = copy.open(TRACES);
            let rate = file.dataset("spike_rate").unwrap();
            let mut rates = rate.read_2d::<f32>().unwrap();
            let first = rates.row(0).to_owned();
            let last = rates.row(89).to_owned();
            rates.row_mut(0).assign(&last);
            rates.row_mut(89).assign(&first);
            rate.write(&rates).unwrap();
        },
        &[TRACES, "spikes[0, ", "rules 5.1 and 5.2"],
    );
}

#[test]
fn rule_9_6_damaged_files_are_a_line() {
    for name in [GRIDS, METADATA, TRACES, COMBINED] {
        let cut = |copy: &Copy| {
            let bytes = std::fs::read(copy.path(name)).unwrap();
            std::fs::write(copy.path(name), &bytes[..bytes.len() / 2]).unwrap();
        };
        damaged(cut, &[name, "expected an HDF5 file", "cannot be read"]);
        damaged(
            |copy| std::fs::write(copy.path(name), "").unwrap(),
            &[name, "expected an HDF5 file"],
        );
    }
    damaged(
        |copy| {
            // In the middle of the compressed planes.
            let mut bytes = std::fs::read(copy.path(GRIDS)).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle..middle + 400].fill(0xff);
            std::fs::write(copy.path(GRIDS), bytes).unwrap();
        },
        &[GRIDS, "grids["],
    );
}

#[test]
fn rule_9_6_whatever_bit_is_flipped_verify_comes_to_an_end() {
    const FLIPS: usize = 12;
    for name in [GRIDS, METADATA, TRACES, COMBINED] {
        let copy = Copy::new();
        let whole = std::fs::read(copy.path(name)).unwrap();
        for flip in 0..FLIPS {
            // Most of the structure is at the beginning.
            let byte = (whole.len() - 1).min(flip * flip * 97 + 7 * flip);
            let mut bytes = whole.clone();
            bytes[byte] ^= 1 << (flip % 8);
            std::fs::write(copy.path(name), bytes).unwrap();
            let status = copy.verify().status;
            assert!(
                [0, 1].contains(&status),
                "{name}, byte {byte}: status {status}"
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn rule_9_6_a_fifo_is_not_opened() {
    for name in [
        GRIDS,
        METADATA,
        TRACES,
        COMBINED,
        "subject_1/subject_1_visualization.pdf",
    ] {
        damaged(
            |copy| {
                copy.remove(name);
                let made = Command::new("mkfifo").arg(copy.path(name)).status();
                assert!(made.unwrap().success());
            },
            &[name, "no regular file"],
        );
    }
}

#[test]
fn rule_9_6_figures_and_what_was_left_over() {
    let pdf = "subject_1/subject_1_visualization.pdf";
    damaged(
        |copy| copy.remove(pdf),
        &[pdf, "expected a PDF, found no such file", "rule 8.3"],
    );
    damaged(
        |copy| {
            let bytes = std::fs::read(copy.path(pdf)).unwrap();
            std::fs::write(copy.path(pdf), &bytes[..bytes.len() / 2]).unwrap();
        },
        &[pdf, "expected a PDF", "cut", "rule 8.3"],
    );
    for name in [
        "subject_1/.traces.h5.partial",
        "subject_1/.preaugmented_grids.h5.partial.data.0",
        "subject_1/.journal-0-0",
        ".report.json.partial",
    ] {
        damaged(
            |copy| std::fs::write(copy.path(name), "x").unwrap(),
            &[name, "rule 8.7"],
        );
    }
    damaged(
        |copy| {
            copy.remove(GRIDS);
            std::fs::write(copy.path("subject_1/.journal-0-1"), "x").unwrap();
        },
        &[GRIDS, "interrupted run", ".journal-0-1", "rule 8.7"],
    );
}

#[test]
fn rule_9_6_combined_metadata() {
    damaged(
        |copy| copy.change(COMBINED, "subject_2/is_train", &[4], 2_u8),
        &[
            COMBINED,
            "subject_2/is_train[4]",
            "as in subject_2/metadata.h5, found 2",
            "rule 8.4",
        ],
    );
    damaged(
        |copy| copy.open(COMBINED).unlink("subject_2").unwrap(),
        &[
            COMBINED,
            "subject_2: expected a group, found none",
            "rule 8.4",
        ],
    );
    damaged(
        |copy| drop(copy.open(COMBINED).create_group("subject_3").unwrap()),
        &[COMBINED, "subject_3", "rule 8.4"],
    );
    damaged(
        |copy| copy.remove(COMBINED),
        &[COMBINED, "spikegrid-mpi combine", "rule 8.4"],
    );
}

#[test]
fn rule_9_6_table_of_neurons() {
    let table = "subject_1/neurons.tsv";
    let change = |copy: &Copy, column: usize, to: &str| {
        let text = std::fs::read_to_string(copy.path(table)).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut fields: Vec<&str> = lines[8].split('\t').collect();
        fields[column] = to;
        lines[8] = fields.join("\t");
        std::fs::write(copy.path(table), lines.join("\n") + "\n").unwrap();
    };
    for (column, name) in [
        (4, "z"),
        (5, "plane"),
        (7, "column"),
        (8, "noise_level"),
        (13, "spikes"),
    ] {
        let place = format!("{name} of neuron 7: expected");
        damaged(
            |copy| change(copy, column, "12345"),
            &[table, &place, "found 12345", "rule 9.4; 1 of 90 rows"],
        );
    }
    damaged(
        |copy| std::fs::write(copy.path(table), "index\n0\n").unwrap(),
        &[table, "the columns index, source_row", "rule 9.4"],
    );
    // It may not be there: earlier versions wrote none.
    let copy = Copy::new();
    copy.damage(|copy| copy.remove(table));
    copy.verify().expect(0);
    copy.against_undamaged().expect(0);
    let copy = Copy::new();
    copy.damage(|copy| change(copy, 10, "-1"));
    copy.verify().expect(0);
    finds(
        copy.against_undamaged(),
        &[table, "line 9", "as in", "rule 9.4; 1 line"],
    );
}

#[test]
fn rule_9_6_planes_that_z_is_cut_into() {
    let folder = tempfile::tempdir().unwrap();
    for (name, flags, planes) in [
        ("count", ["--planes", "5"], "5 planes"),
        ("step", ["--plane_step", "7.3"], "3 planes"),
    ] {
        let out = folder.path().join(name);
        run(&out, &[&flags[..], &["--save_traces"]].concat());
        let verified = verify(&[&out]).expect(0);
        assert!(verified.stdout.contains(planes), "{}", verified.stdout);
        finds(
            verify(&[&out, Path::new("--against"), output()]),
            &[
                GRIDS,
                "attribute config, planes: expected a plane for each level of z, as in",
            ],
        );
        let lock = alone_with_files();
        let file = File::open_rw(out.join(METADATA)).unwrap();
        let z_values = file.dataset("z_values").unwrap();
        let mut values = z_values.read_raw::<f64>().unwrap();
        values[1] += 0.001;
        z_values.write_raw(&values).unwrap();
        drop((z_values, file, lock));
        finds(
            verify(&[&out]),
            &[METADATA, "z_values[1]", "rule 7.4; 1 of"],
        );
    }
}

#[test]
fn rule_9_6_equal_outputs_are_equal_against_each_other() {
    let copy = Copy::new();
    let compared = copy.against_undamaged().expect(0);
    assert!(
        compared.stdout.contains(
            "(preaugmented_grids.h5, metadata.h5, traces.h5, activity.h5, subject_1.nwb)"
        ),
        "{}",
        compared.stdout
    );
    // A pixel that is written again: other bytes, the same values.
    copy.damage(|copy| {
        set_pixel(copy, [5, 1, 100, 60], |pixel| 1 - pixel);
        set_pixel(copy, [5, 1, 100, 60], |pixel| 1 - pixel);
    });
    copy.against_undamaged().expect(0);
    // Neither ranks, threads nor paths count.
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    let flags = [
        "--save_traces",
        "--activity",
        "--nwb",
        "--workers",
        "2",
        "--batch_size",
        "17",
        "--num_neurons",
        "3",
    ];
    run_on(2, &Workbench::get().raw(), &other, &flags);
    verify(&[&other, Path::new("--against"), output()]).expect(0);
}

#[test]
fn rule_9_6_each_difference_against_another_output_is_a_line() {
    let against = |damage: &dyn Fn(&Copy), words: &[&str]| {
        let copy = Copy::new();
        copy.damage(damage);
        finds(copy.against_undamaged(), words);
    };
    against(
        &|copy| set_pixel(copy, [5, 1, 100, 60], |_| 3),
        &[
            GRIDS,
            "grids[5, 1, 100, 60]",
            "as in",
            "found 3",
            "1 of 68,812,800 values differ",
        ],
    );
    against(
        &|copy| copy.change(TRACES, "dff", &[2, 9], f32::NAN),
        &[
            TRACES,
            "dff[2, 9]",
            "found NaN",
            "1 of 63,000 values differ",
        ],
    );
    against(
        &|copy| copy.change(TRACES, "cell_xyz", &[2, 0], -0.5),
        &[TRACES, "cell_xyz[2, 0]", "found -0.5"],
    );
    against(
        &|copy| copy.change(COMBINED, "subject_1/z_values", &[0], -0.5),
        &[COMBINED, "subject_1/z_values[0]", "found -0.5"],
    );
    against(
        &|copy| {
            let file = copy.open(ACTIVITY);
            let shape = file.dataset("neuron_values").unwrap().shape();
            file.unlink("neuron_values").unwrap();
            let halves = file.new_dataset::<half::f16>().shape(shape);
            halves.create("neuron_values").unwrap();
        },
        &[
            ACTIVITY,
            "neuron_values: expected f32 (700, 90), as in",
            "found f16 (700, 90)",
        ],
    );
    against(
        &|copy| copy.remove(TRACES),
        &[TRACES, "expected a file", "found no such file"],
    );
    against(
        &|copy| copy.open(METADATA).unlink("is_train").unwrap(),
        &[
            METADATA,
            "is_train: expected a dataset or group, as in",
            "found none",
        ],
    );
    against(
        &|copy| std::fs::remove_dir_all(copy.path("subject_2")).unwrap(),
        &["subject_2: expected a complete subject", "found none"],
    );
    against(
        &|copy| std::fs::write(copy.path(METADATA), "no HDF5").unwrap(),
        &[METADATA, "expected an HDF5 file"],
    );
}

#[test]
fn rule_9_6_another_seed_is_found_against_another_output() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    run(&other, &["--save_traces", "--seed", "7"]);
    verify(&[&other]).expect(0);
    let run = verify(&[&other, Path::new("--against"), output()]).expect(1);
    for words in [
        &["attribute seed: expected 42, as in", "found 7", "rule 8.7"][..],
        &["traces.h5: spikes[", "rule 8.6"],
        &["preaugmented_grids.h5: grids["],
    ] {
        let all = |line: &str| words.iter().all(|word| line.contains(word));
        assert!(run.stdout.lines().any(all), "{words:?}: {}", run.stdout);
    }
}

#[test]
fn rule_9_6_neurons_without_a_coordinate() {
    let folder = tempfile::tempdir().unwrap();
    let raw = folder.path().join("raw");
    common::copy_subject(
        &Workbench::get().raw().join("subject_1"),
        &raw.join("subject_1"),
    );
    let mut z = 0.0;
    Copy::new().damage(|copy| {
        let positions = copy.open(TRACES).dataset("cell_xyz").unwrap();
        z = positions.read_2d::<f64>().unwrap()[[5, 2]];
    });
    let path = raw.join("subject_1/data_full.mat");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes
        .windows(8)
        .position(|bytes| bytes == z.to_le_bytes())
        .unwrap();
    bytes[at..at + 8].copy_from_slice(&f64::NAN.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let out = folder.path().join("out");
    run_on(1, &raw, &out, &["--save_traces"]);
    verify(&[&out]).expect(0);
}
