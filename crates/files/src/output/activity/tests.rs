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
        let is_complete =
            |neurons, precision| ActivityFile::is_complete(&path, frames, neurons, precision);
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
    let path = folder.path().join("activity.h5");
    let is_complete = || ActivityFile::is_complete(&path, 20, 4, Precision::F32);
    let rates = ndarray::Array2::<f32>::zeros((20, 4));
    let lay_out = |file: &File| {
        let builder = file.new_dataset::<f32>().chunk((20, 2)).deflate(1);
        builder.shape((20, 4)).create(VALUES).unwrap()
    };
    let file = File::create(&path).unwrap();
    lay_out(&file).write(&rates).unwrap();
    drop(file);
    assert!(is_complete());

    let file = File::create(&path).unwrap();
    let half = ndarray::Array2::<f32>::zeros((20, 2));
    lay_out(&file).write_slice(&half, (.., ..2)).unwrap();
    drop(file);
    assert!(!is_complete());
    assert_eq!(ActivityFile::precision(&path), Some(Precision::F32));

    let file = File::create(&path).unwrap();
    let whole = file.new_dataset::<i32>().chunk((20, 2));
    let whole = whole.shape((20, 4)).create(VALUES).unwrap();
    whole.write(&rates.mapv(|rate| rate as i32)).unwrap();
    drop((whole, file));
    assert!(!is_complete());
    assert_eq!(ActivityFile::precision(&path), None);
}
