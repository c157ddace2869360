use super::*;

/// Rates of some neurons, (n, T).
fn rates(neurons: std::ops::Range<usize>, frames: usize) -> Vec<f32> {
    let rate = |neuron: usize, frame: usize| (neuron * 7 + frame % 13) as f32 / 8.0;
    neurons
        .flat_map(|neuron| (0..frames).map(move |frame| rate(neuron, frame)))
        .collect()
}

/// Writes a file in units, the last first, each as if by another run.
fn written(folder: &Path, chunks: Chunks) -> PathBuf {
    let path = folder.join("activity.h5");
    let xyz: Vec<[f64; 3]> = (0..chunks.neurons)
        .map(|neuron| {
            [
                neuron as f64,
                2.0,
                if neuron == 1 {
                    f64::NAN
                } else {
                    -4.0 * neuron as f64
                },
            ]
        })
        .collect();
    let is_train = vec![1; chunks.frames];
    let beside = Beside {
        xyz: &xyz,
        is_train: &is_train,
        sampling_rate_hz: 2.5,
    };
    let file = ActivityFile::create(&path, chunks, &beside).unwrap();
    let columns = chunks.counts()[1];
    let mut stored = vec![None; columns];
    let mut end = file.end().unwrap();
    let mut file = Some(file);
    for unit in (0..columns).rev() {
        let neurons =
            unit * chunks.chunk_neurons..((unit + 1) * chunks.chunk_neurons).min(chunks.neurons);
        let open = file.take().unwrap();
        let packed = open.pack(&rates(neurons, chunks.frames));
        let bytes = packed.bytes.len() as u64;
        let unit_stored = open.write(end, packed).unwrap();
        assert!(open.holds(&unit_stored));
        stored[unit] = Some(unit_stored);
        end += bytes;
        file = ActivityFile::open(&partial(&path), chunks);
    }
    let file = file.unwrap();
    let mut damaged = stored[0].clone().unwrap();
    damaged.checksum ^= 1;
    assert!(!file.holds(&damaged));
    let missing = vec![None; columns];
    assert!(file.finish(&missing).is_err());
    file.finish(&stored).unwrap();
    super::super::files::finish(&path).unwrap();
    path
}

/// Whether a file is complete beside a recording of so many frames and neurons, which is otherwise that of [`written`].
fn is_complete(path: &Path, frames: usize, neurons: usize, precision: Precision) -> bool {
    let expected = Expected {
        neurons,
        precision,
        is_train: &vec![1; frames],
        sampling_rate_hz: 2.5,
    };
    ActivityFile::is_complete(path, &expected)
}

/// Puts other rates into a file.
fn replace_rates(path: &Path, create: impl FnOnce(&File) -> Dataset) {
    let file = File::open_rw(path).unwrap();
    file.unlink(VALUES).unwrap();
    let values = create(&file);
    let unit = values.new_attr::<VarLenUnicode>().create("unit").unwrap();
    unit.write_scalar(&VarLenUnicode::from_str(UNIT).unwrap())
        .unwrap();
}

#[test]
fn rule_8_9_rates_of_units_in_any_order_are_the_matrix() {
    for (frames, neurons, chunk_neurons) in [
        (2300, 13, 5),
        (3, 2, 1),
        (40, 9, 32),
        (1, 1, 1),
        (4, 2500, 1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let chunks = Chunks {
            frames,
            neurons,
            chunk_neurons: chunk_neurons.min(neurons),
            precision: Precision::F32,
        };
        let path = written(folder.path(), chunks);
        let is_complete = |neurons, precision| is_complete(&path, frames, neurons, precision);
        assert!(is_complete(neurons, Precision::F32));
        assert!(!is_complete(neurons + 1, Precision::F32));
        assert!(!is_complete(neurons, Precision::F16));
        let file = File::open(&path).unwrap();
        let found = file.dataset(VALUES).unwrap().read_2d::<f32>().unwrap();
        let expected = rates(0..neurons, frames);
        for ((frame, neuron), rate) in found.indexed_iter() {
            assert_eq!(*rate, expected[neuron * frames + frame], "{frame} {neuron}");
        }
    }
}

#[test]
fn rule_8_9_half_precision_and_what_lies_beside() {
    let folder = tempfile::tempdir().unwrap();
    let chunks = Chunks {
        frames: 1500,
        neurons: 7,
        chunk_neurons: 3,
        precision: Precision::F16,
    };
    let path = written(folder.path(), chunks);
    let file = File::open(&path).unwrap();
    let values = file.dataset(VALUES).unwrap();
    assert_eq!(values.dtype().unwrap().size(), 2);
    assert_eq!(values.chunk(), Some(vec![750, 3]));
    let found = values.read_2d::<f16>().unwrap();
    assert_eq!(found[[5, 2]], f16::from_f32((2.0 * 7.0 + 5.0) / 8.0));
    let unit: VarLenUnicode = values.attr("unit").unwrap().read_scalar().unwrap();
    assert!(unit.starts_with("spikes per frame"));
    let positions = file.dataset("cell_positions").unwrap();
    let found = positions.read_2d::<f32>().unwrap();
    assert_eq!(found.row(6).to_vec(), [1.0, 0.0, 0.0]);
    assert!(found[[1, 2]].is_nan() && found[[0, 2]] == 1.0);
    let min = positions
        .attr("positions_min")
        .unwrap()
        .read_1d::<f64>()
        .unwrap();
    let max = positions
        .attr("positions_max")
        .unwrap()
        .read_1d::<f64>()
        .unwrap();
    assert_eq!(
        (min.to_vec(), max.to_vec()),
        (vec![0.0, 2.0, -24.0], vec![6.0, 2.0, 0.0])
    );
    let number = |name: &str| file.dataset(name).unwrap().read_scalar::<i64>().unwrap();
    assert_eq!((number("num_timepoints"), number("num_neurons")), (1500, 7));
    let rate = file.dataset("original_sampling_rate_hz").unwrap();
    assert_eq!(rate.read_scalar::<f64>().unwrap(), 2.5);
    assert_eq!(
        file.dataset("timepoint_indices")
            .unwrap()
            .read_1d::<i32>()
            .unwrap()[1499],
        1499
    );
    assert_eq!(
        file.dataset("is_train")
            .unwrap()
            .read_1d::<u8>()
            .unwrap()
            .len(),
        1500
    );
}

#[test]
fn rule_8_9_a_finished_file_of_other_numbers_or_without_a_chunk_is_not_complete() {
    let folder = tempfile::tempdir().unwrap();
    let chunks = Chunks {
        frames: 20,
        neurons: 4,
        chunk_neurons: 2,
        precision: Precision::F32,
    };
    let path = written(folder.path(), chunks);
    let is_complete = || is_complete(&path, 20, 4, Precision::F32);
    let has_all_chunks =
        || raw_chunk::has_all(&File::open(&path).unwrap().dataset(VALUES).unwrap());
    let rates = ndarray::Array2::<f32>::zeros((20, 4));
    let lay_out = |file: &File| {
        let builder = file.new_dataset::<f32>().chunk((20, 2)).deflate(1);
        builder.shape((20, 4)).create(VALUES).unwrap()
    };
    replace_rates(&path, |file| {
        let whole = lay_out(file);
        whole.write(&rates).unwrap();
        whole
    });
    assert!(is_complete());
    assert_eq!(has_all_chunks(), Some(true));

    replace_rates(&path, |file| {
        let half = lay_out(file);
        let rates = ndarray::Array2::<f32>::zeros((20, 2));
        half.write_slice(&rates, (.., ..2)).unwrap();
        half
    });
    assert!(!is_complete());
    assert_eq!(has_all_chunks(), Some(false));
    assert_eq!(ActivityFile::precision(&path), Some(Precision::F32));

    replace_rates(&path, |file| {
        let whole = file.new_dataset::<i32>().chunk((20, 2));
        let whole = whole.shape((20, 4)).create(VALUES).unwrap();
        whole.write(&rates.mapv(|rate| rate as i32)).unwrap();
        whole
    });
    assert!(!is_complete());
    assert_eq!(ActivityFile::precision(&path), None);

    replace_rates(&path, |file| {
        let whole = file.new_dataset::<f32>().shape((20, 4));
        whole.create(VALUES).unwrap()
    });
    assert!(!is_complete());
    assert_eq!(has_all_chunks(), None);
}

#[test]
fn rule_8_9_a_finished_file_with_something_else_beside_the_rates_is_not_complete() {
    let folder = tempfile::tempdir().unwrap();
    let chunks = Chunks {
        frames: 40,
        neurons: 9,
        chunk_neurons: 4,
        precision: Precision::F32,
    };
    let path = written(folder.path(), chunks);
    let whole = std::fs::read(&path).unwrap();
    let is_complete = |damage: &dyn Fn(&File)| {
        std::fs::write(&path, &whole).unwrap();
        let file = File::open_rw(&path).unwrap();
        damage(&file);
        drop(file);
        // A crash trial comes to an end with it, too.
        ActivityFile::read_for_trial(&path);
        is_complete(&path, 40, 9, Precision::F32)
    };
    assert!(is_complete(&|_| ()));
    for name in [
        "cell_positions",
        "timepoint_indices",
        "is_train",
        "num_timepoints",
        "num_neurons",
        "original_sampling_rate_hz",
    ] {
        let unlink = |file: &File| file.unlink(name).unwrap();
        assert!(!is_complete(&unlink), "without {name}");
    }
    for (object, name) in [
        (VALUES, "unit"),
        ("cell_positions", "positions_min"),
        ("cell_positions", "positions_max"),
    ] {
        let delete = |file: &File| file.dataset(object).unwrap().delete_attr(name).unwrap();
        assert!(!is_complete(&delete), "without {name}");
    }
    let dataset = |file: &File, name: &str| file.dataset(name).unwrap();
    let other_split = |file: &File| {
        let split = dataset(file, "is_train");
        split.write_slice(&ndarray::arr1(&[0_u8]), 39..40).unwrap();
    };
    assert!(!is_complete(&other_split));
    let other_frames = |file: &File| {
        let timepoints = dataset(file, "timepoint_indices");
        timepoints.write_raw(&[7_i32; 40]).unwrap();
    };
    assert!(!is_complete(&other_frames));
    let other_count = |file: &File| {
        let count = dataset(file, "num_neurons");
        count.write_scalar(&8_i64).unwrap();
    };
    assert!(!is_complete(&other_count));
    let other_rate = |file: &File| {
        let rate = dataset(file, "original_sampling_rate_hz");
        rate.write_scalar(&2.0).unwrap();
    };
    assert!(!is_complete(&other_rate));
    let other_type = |file: &File| {
        file.unlink("is_train").unwrap();
        let split = file.new_dataset_builder().with_data(&[1_i32; 40]);
        split.create("is_train").unwrap();
    };
    assert!(!is_complete(&other_type));
    let other_shape = |file: &File| {
        file.unlink("cell_positions").unwrap();
        let positions = file.new_dataset::<f32>().shape((8, 3));
        let positions = positions.create("cell_positions").unwrap();
        for name in ["positions_min", "positions_max"] {
            let builder = positions.new_attr_builder().with_data(&[0.0_f64; 3]);
            builder.create(name).unwrap();
        }
    };
    assert!(!is_complete(&other_shape));
}
