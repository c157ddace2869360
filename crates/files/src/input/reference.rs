//! Recordings that other tools wrote, where they are at hand: the fluorescence, positions, rate and selection that must come out.

use std::path::{Path, PathBuf};

use super::*;

/// The folder with the recordings, or nothing where it is not there; then the tests that need it say so.
fn sources() -> Option<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/reference/sources");
    if sources.is_dir() {
        return Some(sources);
    }
    eprintln!(
        "SKIPPED: no reference data at {}: the checks against it did not run",
        sources.display()
    );
    None
}

/// What is compared with the truth of a group of `truth.h5`.
struct Expected {
    /// (T, N).
    fluorescence: ndarray::Array2<f32>,
    /// (N, 3).
    xyz: ndarray::Array2<f64>,
    /// Hz.
    rate: Option<f64>,
}

impl Expected {
    /// Reads the truth; `rate_is_stated` where the recording's own files hold the rate.
    fn read(sources: &Path, group: &str, rate_is_stated: bool) -> Self {
        let file = hdf5::File::open(sources.join("truth.h5")).expect("the truth");
        let group = file.group(group).expect("a group of the truth");
        let read = |name: &str| group.dataset(name).expect("a dataset of the truth");
        let rate = group.attr("sampling_rate").expect("the true rate");
        let rate = rate.read_scalar::<f64>().expect("the true rate");
        Self {
            fluorescence: read("F").read_2d().expect("the true fluorescence"),
            xyz: read("xyz").read_2d().expect("the true positions"),
            rate: rate_is_stated.then_some(rate),
        }
    }
}

/// Opens a recording of the reference as the program does and compares all that comes out of it.
fn check(folder: &Path, request: &Request, expected: &Expected, format: &str) -> Source {
    let subject = Subject {
        name: "subject_1".to_owned(),
        dir: folder.to_owned(),
    };
    let source = open(&subject, request).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(source.format, format);
    let (frames, neurons) = expected.fluorescence.dim();
    assert_eq!((source.frames(), source.neurons()), (frames, neurons));
    match (source.rate, expected.rate) {
        (Some(found), Some(rate)) => assert!((found - rate).abs() <= 1e-3 * rate, "{found} Hz"),
        (found, rate) => assert_eq!(found, rate),
    }
    for (neuron, xyz) in source.positions.xyz.iter().enumerate() {
        for (axis, found) in xyz.iter().enumerate() {
            let expected = expected.xyz[[neuron, axis]];
            let close = (found - expected).abs() <= 1e-5 * expected.abs().max(1.0);
            assert!(close, "neuron {neuron}: {xyz:?}, not {expected}");
        }
    }
    let reader = source.location.open().expect("fluorescence");
    let pieces = reader.pieces(&(0..neurons));
    let storage = reader.storage();
    let mut samples = Samples::new(&storage, storage.all_frames(0..neurons));
    for piece in &pieces {
        reader.read(piece, &mut [&mut samples]).expect("a piece");
    }
    let traces = samples.traces(&(0..neurons));
    for (neuron, trace) in traces.chunks(frames).enumerate() {
        for (frame, &found) in trace.iter().enumerate() {
            let expected = expected.fluorescence[[frame, neuron]];
            let same = (found - expected).abs() <= 2e-6 * expected.abs().max(1.0)
                || found.is_nan() && expected.is_nan();
            assert!(
                same,
                "neuron {neuron}, frame {frame}: {found}, not {expected}"
            );
        }
    }
    source
}

/// What `--source` names.
fn request(source: &str) -> Request {
    Request {
        source: Some(source.into()),
        ..Request::default()
    }
}

#[test]
fn rule_2_6_caiman() {
    let Some(sources) = sources() else { return };
    for (file, dataset, is_dff) in [
        ("cnmf_2d.hdf5", "estimates/F_dff", true),
        ("cnmf_2d_no_dff.hdf5", "C+YrA", false),
        ("cnmf_3d.hdf5", "estimates/F_dff", true),
    ] {
        let expected = Expected::read(&sources, &format!("caiman/{file}"), true);
        let source = check(&sources.join("caiman"), &request(file), &expected, "CaImAn");
        assert_eq!((source.dataset.as_str(), source.is_dff), (dataset, is_dff));
    }
}

#[test]
fn rule_2_6_voluseg() {
    let Some(sources) = sources() else { return };
    let expected = Expected::read(&sources, "voluseg", true);
    let folder = sources.join("voluseg");
    let source = check(&folder, &Request::default(), &expected, "voluseg");
    assert_eq!(source.dataset, "cell_timeseries");
}

#[test]
fn rule_2_6_zarr() {
    let Some(sources) = sources() else { return };
    for (name, dataset, rate_is_stated) in [
        ("zarr_v2_blosc", "F", true),
        ("zarr_v3_sharded", "traces", true),
        ("zarr_v3_sharded_ts", "F.zarr", true),
        ("zarr_zapbench", "traces", false),
        ("zarr_zapbench_sorted", "s0", false),
    ] {
        let expected = Expected::read(&sources, name, rate_is_stated);
        let source = check(&sources.join(name), &Request::default(), &expected, "Zarr");
        assert_eq!(source.dataset, dataset);
    }
}

/// F and Fneu of a group of the truth, and what comes of them.
fn corrected(sources: &Path, group: &str, coefficient: f32) -> Expected {
    let mut expected = Expected::read(sources, group, true);
    let file = hdf5::File::open(sources.join("truth.h5")).expect("the truth");
    let neuropil = file
        .dataset(&format!("{group}/Fneu"))
        .expect("the neuropil");
    let neuropil: ndarray::Array2<f32> = neuropil.read_2d().expect("the neuropil");
    expected.fluorescence -= &(neuropil * coefficient);
    expected
}

#[test]
fn rule_2_6_suite2p() {
    let Some(sources) = sources() else { return };
    for version in ["suite2p_0_14", "suite2p_1_1"] {
        let folder = sources.join(version);
        let expected = corrected(&sources, version, 0.7);
        let source = check(&folder, &Request::default(), &expected, "suite2p");
        assert_eq!(source.dataset, "F - 0.7 Fneu");
        let uncorrected = Request {
            neuropil_coefficient: Some(0.0),
            ..Request::default()
        };
        let expected = Expected::read(&sources, version, true);
        check(&folder, &uncorrected, &expected, "suite2p");
        for plane in ["plane0", "plane1"] {
            let request = Request {
                source: Some(plane.into()),
                ..uncorrected.clone()
            };
            let expected = Expected::read(&sources, &format!("{version}/{plane}"), true);
            check(&folder, &request, &expected, "suite2p");
        }
    }
}

#[test]
fn rule_2_6_nwb() {
    let Some(sources) = sources() else { return };
    for (file, dataset, is_dff) in [
        ("fluorescence_rate", "Fluorescence", false),
        (
            "fluorescence_timestamps_voxel_mask",
            "Fluorescence/RoiResponseSeries",
            false,
        ),
        (
            "subset_gzip_scaled",
            "Fluorescence/RoiResponseSeries",
            false,
        ),
        ("dff_only", "DfOverF/RoiResponseSeries", true),
    ] {
        let file = format!("{file}.nwb");
        let expected = Expected::read(&sources, &format!("nwb/{file}"), true);
        let source = check(&sources.join("nwb"), &request(&file), &expected, "NWB");
        let dataset = format!("processing/ophys/{dataset}");
        assert_eq!((source.dataset, source.is_dff), (dataset, is_dff));
    }
}

#[test]
fn rule_2_6_nwb_of_suite2p() {
    let Some(sources) = sources() else { return };
    for folder in ["suite2p_0_14", "suite2p_1_1"] {
        let expected = Expected::read(&sources, &format!("{folder}/ophys.nwb"), true);
        let source = check(
            &sources.join(folder),
            &request("ophys.nwb"),
            &expected,
            "NWB",
        );
        assert_eq!(source.dataset, "processing/ophys/Fluorescence");
        assert!(
            source.reason.ends_with("suite2p exported it"),
            "{}",
            source.reason
        );
    }
}

#[test]
fn rule_2_6_plain_matrices() {
    let Some(sources) = sources() else { return };
    for (name, rate_is_stated) in [
        ("plain_npy", false),
        ("plain_npy_dict", false),
        ("plain_npz", true),
        ("plain_mat5", true),
        ("plain_mat5_uncompressed", true),
        ("plain_mat73", true),
        ("plain_csv", false),
    ] {
        let expected = Expected::read(&sources, name, rate_is_stated);
        let folder = sources.join(name);
        let source = check(&folder, &Request::default(), &expected, "plain matrix");
        assert_eq!(source.dataset, "dF_traces", "{name}");
        assert!(source.findings.is_empty(), "{:?}", source.findings);
    }
    // In per cent, as the excerpt tells; `--scale` divides.
    let mut expected = Expected::read(&sources, "plain_npy_percent", false);
    expected.fluorescence *= 100.0;
    let folder = sources.join("plain_npy_percent");
    check(&folder, &Request::default(), &expected, "plain matrix");
}
