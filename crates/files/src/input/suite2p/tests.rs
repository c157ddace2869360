use std::fs;

use super::*;
use crate::input::{Subject, open};

mod damaged;

/// A subject with folders of suite2p, each region `r` of plane `p` in frame `t` with fluorescence 1000 p + 100 r + t.
struct Lab {
    folder: tempfile::TempDir,
}

/// An array of f32, or of f64, as `numpy.save` writes it.
fn npy(
    shape: [usize; 2],
    fortran: bool,
    wide: bool,
    value: impl Fn(usize, usize) -> f64,
) -> Vec<u8> {
    let [rows, columns] = shape;
    let (descr, order) = (
        if wide { "<f8" } else { "<f4" },
        if fortran { "True" } else { "False" },
    );
    let header = format!(
        "{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({rows}, {columns}), }}\n"
    );
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    let mut put = |row, column| match wide {
        true => bytes.extend(value(row, column).to_le_bytes()),
        false => bytes.extend((value(row, column) as f32).to_le_bytes()),
    };
    match fortran {
        true => (0..columns).for_each(|column| (0..rows).for_each(|row| put(row, column))),
        false => (0..rows).for_each(|row| (0..columns).for_each(|column| put(row, column))),
    }
    bytes
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/numpy");
    fs::read(folder.join(name)).expect("a fixture")
}

impl Lab {
    /// Planes of these numbers with so many frames, three regions each, of which the first and last are cells.
    fn new(planes: &[(usize, usize)]) -> Self {
        let lab = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        for &(plane, frames) in planes {
            let f = |region: usize, frame: usize| (1000 * plane + 100 * region + frame) as f64;
            lab.put(plane, FLUORESCENCE, &npy([3, frames], false, false, f));
            let neuropil = npy([3, frames], false, false, |region, _| region as f64);
            lab.put(plane, NEUROPIL, &neuropil);
            let is_cell = npy(
                [3, 2],
                plane % 2 == 1,
                true,
                |region, column| match column {
                    0 if region == 1 => 0.0,
                    0 => 1.0,
                    _ => 0.5,
                },
            );
            lab.put(plane, SELECTED, &is_cell);
            lab.put(plane, REGIONS, &fixture("stat_4.npy"));
            lab.put(plane, "ops.npy", &fixture("settings_3.npy"));
        }
        lab
    }

    fn path(&self, plane: usize, name: &str) -> PathBuf {
        let subject = self.folder.path().join("fish");
        subject.join(format!("suite2p/plane{plane}")).join(name)
    }

    fn put(&self, plane: usize, name: &str, bytes: &[u8]) {
        let path = self.path(plane, name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }

    fn open(&self, request: &Request) -> Result<Source, InputError> {
        let subject = Subject {
            name: "fish".to_owned(),
            dir: self.folder.path().join("fish"),
        };
        open(&subject, request)
    }

    fn message(&self, request: &Request) -> String {
        self.open(request).expect_err("an error").to_string()
    }
}

fn traces(source: &Source) -> Vec<Vec<f32>> {
    let (neurons, frames) = (source.neurons(), source.frames());
    let reader = source.location.open().expect("fluorescence");
    let samples = reader.read_neurons(0..neurons).expect("samples");
    let traces = samples.traces(&(0..neurons));
    traces.chunks(frames).map(<[f32]>::to_vec).collect()
}

#[test]
fn rule_2_6_planes_are_joined_in_the_order_of_their_numbers_and_cut_to_the_shortest() {
    let lab = Lab::new(&[(0, 20), (2, 19), (10, 20)]);
    let source = lab.open(&Request::default()).expect("a recording");
    assert_eq!((source.neurons(), source.frames()), (6, 19));
    let Positions {
        xyz,
        source_row,
        source_plane,
    } = &source.positions;
    assert_eq!(source_row[..], [0, 2, 0, 2, 0, 2]);
    assert_eq!(source_plane.as_deref(), Some(&[0, 0, 2, 2, 10, 10][..]));
    // `med` of region r is [3 r, 4 r + 1].
    assert_eq!(xyz[3], [9.0, 6.0, 2.0]);
    assert_eq!((source.format, source.rate), ("suite2p", Some(7.5)));
    // The coefficient is that of the settings.
    assert_eq!(source.dataset, "F - 0.65 Fneu");
    let traces = traces(&source);
    for (trace, (plane, region)) in
        traces
            .iter()
            .zip([(0, 0), (0, 2), (2, 0), (2, 2), (10, 0), (10, 2)])
    {
        for (frame, sample) in trace.iter().enumerate() {
            let expected = (1000 * plane + 100 * region + frame) as f32 - 0.65 * region as f32;
            assert!((sample - expected).abs() < 1e-3, "{sample}, not {expected}");
        }
    }
    let codes: Vec<_> = source
        .findings
        .iter()
        .map(|finding| finding.code.name())
        .collect();
    assert_eq!(codes, ["frames.cut"]);
    let stepped = lab.open(&Request {
        plane_step: Some(8.0),
        ..Request::default()
    });
    assert_eq!(
        stepped.expect("a recording").positions.xyz[5],
        [9.0, 6.0, 80.0]
    );
}

#[test]
fn rule_2_6_cells_neuropil_and_traces_are_chosen_by_flags() {
    let lab = Lab::new(&[(0, 20)]);
    let all = lab.open(&Request {
        cells: Cells::All,
        neuropil_coefficient: Some(0.0),
        ..Request::default()
    });
    let all = all.expect("a recording");
    assert_eq!((all.neurons(), all.dataset.as_str()), (3, "F"));
    assert_eq!(traces(&all)[1][7], 107.0);
    lab.put(
        0,
        "spks.npy",
        &npy([3, 20], true, false, |region, _| region as f64),
    );
    let spikes = lab.open(&Request {
        dataset: Some("spks".to_owned()),
        ..Request::default()
    });
    let spikes = spikes.expect("a recording");
    assert_eq!(spikes.dataset, "spks");
    assert_eq!(traces(&spikes)[1][3], 2.0);
}

#[test]
fn rule_2_6_without_neuropil_fluorescence_is_taken_as_it_is_and_that_is_said() {
    let lab = Lab::new(&[(0, 20)]);
    fs::remove_file(lab.path(0, NEUROPIL)).expect("a file");
    let source = lab.open(&Request::default()).expect("a recording");
    assert_eq!(source.dataset, "F");
    assert_eq!(source.findings.len(), 1);
    assert_eq!(source.findings[0].code.name(), "input.no_neuropil");
    let wanted = lab.open(&Request {
        neuropil_coefficient: Some(0.0),
        ..Request::default()
    });
    assert_eq!(wanted.expect("a recording").findings, []);
}

#[test]
fn rule_2_6_the_planes_lie_in_any_of_three_places() {
    let lab = Lab::new(&[(3, 20)]);
    let fish = lab.folder.path().join("fish");
    for (source, z) in [
        (None, 3.0),
        (Some("suite2p"), 3.0),
        (Some("suite2p/plane3"), 3.0),
    ] {
        let found = lab.open(&Request {
            source: source.map(PathBuf::from),
            ..Request::default()
        });
        assert_eq!(
            found.expect("a recording").positions.xyz[0][2],
            z,
            "{source:?}"
        );
    }
    // A folder of the name of the planes alone, without the folder `suite2p` around it; and the folder without `subject_`.
    let found = crate::input::subjects(lab.folder.path()).expect("subjects");
    assert_eq!((found[0].name.as_str(), &found[0].dir), ("fish", &fish));
    fs::rename(fish.join("suite2p/plane3"), fish.join("plane3")).expect("a folder");
    fs::remove_dir(fish.join("suite2p")).expect("a folder");
    assert_eq!(
        lab.open(&Request::default())
            .expect("a recording")
            .neurons(),
        2
    );
    fs::create_dir(fish.join("suite2p")).expect("a folder");
    fs::rename(fish.join("plane3"), fish.join("suite2p/combined")).expect("a folder");
    let message = lab.message(&Request::default());
    assert!(
        message.contains("combined/ alone") && message.contains("--source"),
        "{message}"
    );
}

#[test]
fn rule_2_6_files_that_contradict_each_other_are_refused() {
    let none = Request::default();
    let lab = Lab::new(&[(0, 20)]);
    lab.put(0, SELECTED, &npy([2, 2], false, true, |_, _| 1.0));
    let message = lab.message(&none);
    assert!(
        message.contains(SELECTED) && message.contains("3 regions"),
        "{message}"
    );
    lab.put(0, SELECTED, &npy([3, 2], false, true, |_, _| 0.0));
    let message = lab.message(&none);
    assert!(message.contains("--cells all"), "{message}");
    fs::remove_file(lab.path(0, SELECTED)).expect("a file");
    let message = lab.message(&none);
    assert!(
        message.contains(SELECTED) && message.contains("--cells all"),
        "{message}"
    );
    let lab = Lab::new(&[(0, 20)]);
    lab.put(0, NEUROPIL, &npy([3, 19], false, false, |_, _| 1.0));
    let message = lab.message(&none);
    assert!(
        message.contains(NEUROPIL) && message.contains("(3, 19)"),
        "{message}"
    );
    let lab = Lab::new(&[(0, 20)]);
    lab.put(0, FLUORESCENCE, &npy([4, 20], false, false, |_, _| 1.0));
    let message = lab.message(&none);
    assert!(
        message.contains(REGIONS) && message.contains("F.npy 4"),
        "{message}"
    );
    let lab = Lab::new(&[(0, 20), (1, 20)]);
    fs::remove_file(lab.path(1, FLUORESCENCE)).expect("a file");
    let message = lab.message(&none);
    assert!(message.contains("plane1/F.npy"), "{message}");
    let lab = Lab::new(&[(0, 20)]);
    lab.put(0, "ops.npy", &fixture("evil.npy"));
    let message = lab.message(&none);
    assert!(
        message.contains("ops.npy") && message.contains("posix.system"),
        "{message}"
    );
}

#[test]
fn rule_2_6_planes_of_the_flyback_are_passed_over_and_planes_of_another_rate_are_not_joined() {
    let lab = Lab::new(&[(1, 20), (2, 20)]);
    fs::create_dir(lab.path(0, "")).expect("a folder");
    fs::write(lab.path(0, "ops.npy"), fixture("settings_3.npy")).expect("a file");
    let source = lab.open(&Request::default()).expect("a recording");
    assert_eq!(
        source.positions.source_plane.as_deref(),
        Some(&[1, 1, 2, 2][..])
    );
    assert_eq!(source.findings.len(), 1);
    assert_eq!(source.findings[0].code.name(), "layout.skipped_planes");
    let mut faster = fixture("settings_3.npy");
    let place = faster
        .windows(8)
        .position(|bytes| bytes == 7.5_f64.to_be_bytes());
    let place = place.expect("the rate");
    faster[place..place + 8].copy_from_slice(&8.0_f64.to_be_bytes());
    lab.put(2, "ops.npy", &faster);
    let message = lab.message(&Request::default());
    assert!(
        message.contains("8 Hz, not 7.5 Hz") && message.contains("--source suite2p/plane2"),
        "{message}"
    );
}

#[test]
fn rule_2_6_the_input_folder_itself_is_a_recording() {
    let lab = Lab::new(&[(0, 20)]);
    let found = crate::input::subjects(&lab.folder.path().join("fish")).expect("subjects");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, "fish");
}

#[test]
fn rule_8_7_a_curation_changes_the_identity() {
    let lab = Lab::new(&[(0, 20), (1, 20)]);
    let before = lab.open(&Request::default()).expect("a recording").identity;
    lab.put(1, SELECTED, &npy([3, 2], false, false, |_, _| 1.0));
    let after = lab.open(&Request::default()).expect("a recording").identity;
    let json = |identity| serde_json::to_value(identity).expect("JSON");
    let (before, after) = (json(before), json(after));
    assert_ne!(before["plane1/iscell.npy"], after["plane1/iscell.npy"]);
    assert_eq!(before["plane0/F.npy"], after["plane0/F.npy"]);
}
