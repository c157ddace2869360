use hdf5::types::VarLenUnicode;
use spikegrid_core::grid::Place;
use spikegrid_core::spikes::row_bytes;
use spikegrid_core::unit::UnitSummary;

use super::*;
use crate::input::Positions;
use crate::output::provenance::made_up;

/// What a unit computed: ΔF/F and rates that say which neuron and frame they are of.
fn unit(units: Units, number: usize) -> UnitOutput {
    let neurons = units.neurons_of(number);
    let value = |neuron: usize, frame: usize| (neuron * 100 + frame) as f32 / 8.0;
    let dff: Vec<f32> = neurons
        .clone()
        .flat_map(|neuron| (0..units.frames).map(move |frame| value(neuron, frame)))
        .collect();
    UnitOutput {
        rate: dff.iter().map(|value| -value).collect(),
        dff,
        spikes: vec![0; neurons.len() * row_bytes(units.frames)],
        neurons,
        summary: UnitSummary::default(),
    }
}

/// Writes a file in units, the last first, each as if by another run.
fn written(folder: &Path, units: Units) -> PathBuf {
    let path = folder.join("subject_1.nwb");
    let neurons = units.neurons;
    let positions = Positions {
        xyz: (0..neurons)
            .map(|neuron| [neuron as f64, 0.5, -2.0])
            .collect(),
        source_row: (0..neurons as i64).map(|row| 10 + row).collect(),
        source_plane: None,
    };
    let place = |neuron: usize| {
        (neuron != 1).then_some(Place {
            plane: 2,
            row: neuron,
            column: 5,
        })
    };
    let document = Document {
        subject: "subject_1",
        positions: &positions,
        places: &(0..neurons).map(place).collect::<Vec<_>>(),
        provenance: &made_up(1),
    };
    let rate = document.provenance.sampling_rate;
    let mut file = NwbFile::create(&path, units, &document).unwrap();
    for number in (0..neurons.div_ceil(units.unit_neurons)).rev() {
        let (mut written, mut read) = (Crc::new(), Crc::new());
        file.fill(&unit(units, number), &mut written).unwrap();
        assert!(file.add_to(&units.neurons_of(number), &mut read));
        assert_eq!(written.sum(), read.sum());
        file = NwbFile::open(&partial(&path), units, rate).unwrap();
    }
    let others = Units {
        unit_neurons: units.unit_neurons + 1,
        ..units
    };
    assert!(NwbFile::open(&partial(&path), others, rate).is_none());
    crate::output::finish(&path).unwrap();
    path
}

#[test]
fn rule_8_10_units_in_any_order_are_the_matrices() {
    for (frames, neurons, unit_neurons) in [(2300, 13, 5), (3, 2, 1), (40, 9, 9), (1, 1, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let units = Units {
            frames,
            neurons,
            unit_neurons,
        };
        let path = written(folder.path(), units);
        assert!(NwbFile::is_complete(&path, frames, neurons));
        assert!(!NwbFile::is_complete(&path, frames, neurons + 1));
        let file = File::open(&path).unwrap();
        let matrix = |name: &str| file.dataset(name).unwrap().read_2d::<f32>().unwrap();
        let (dff, rates) = (matrix(DFF), matrix(RATES));
        for ((frame, neuron), value) in dff.indexed_iter() {
            assert_eq!(*value, (neuron * 100 + frame) as f32 / 8.0);
            // At 2 Hz.
            assert_eq!(rates[[frame, neuron]], -2.0 * value);
        }
    }
}

#[test]
fn rule_8_10_the_same_run_writes_the_same_bytes() {
    let units = Units {
        frames: 1200,
        neurons: 7,
        unit_neurons: 3,
    };
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let files = folders.each_ref().map(|folder| {
        let file = written(folder.path(), units);
        // HDF5 would note the second in which an object was made.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        file
    });
    let bytes = files.map(|path| std::fs::read(path).unwrap());
    assert!(bytes[0] == bytes[1]);
}

#[test]
fn rule_8_10_identifiers_are_uuids_and_dates_are_of_the_recording() {
    let folder = tempfile::tempdir().unwrap();
    let units = Units {
        frames: 12,
        neurons: 3,
        unit_neurons: 3,
    };
    let file = File::open(written(folder.path(), units)).unwrap();
    let text = |name: &str| -> String {
        let text = file.dataset(name).unwrap().read_scalar::<VarLenUnicode>();
        text.unwrap().to_string()
    };
    let parts: Vec<usize> = text("identifier").split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12]);
    assert!(text("identifier").chars().nth(14) == Some('8'));
    // No file is named in these settings.
    assert_eq!(text("session_start_time"), "1970-01-01T00:00:00+00:00");
    let ends =
        file.dataset("processing/ophys/ImageSegmentation/PlaneSegmentation/voxel_mask_index");
    assert_eq!(ends.unwrap().read_raw::<u32>().unwrap(), [1, 1, 2]);
}
