//! The whole program on recordings that other tools wrote, where the reference material is at hand (rule 2.6): each as a subject, on 1, 2
//! and 4 ranks. What must come out of each file is tested beside its reader.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::{Workbench, alone, datasets, not_run, reference};

/// A recording of the reference: the files and folders of its folder that make the subject (all, where none are named), the name of its form,
/// and flags that a user has to give.
struct Sample {
    folder: &'static str,
    parts: &'static [&'static str],
    format: &'static str,
    flags: &'static [&'static str],
}

const fn sample(
    folder: &'static str,
    parts: &'static [&'static str],
    format: &'static str,
) -> Sample {
    Sample {
        folder,
        parts,
        format,
        flags: &[],
    }
}

const SAMPLES: [Sample; 25] = [
    sample(
        "suite2p_0_14",
        &["plane0", "plane1", "combined", "ophys.nwb"],
        "suite2p",
    ),
    sample("suite2p_1_1", &[], "suite2p"),
    sample("suite2p_0_14", &["ophys.nwb"], "NWB"),
    sample("suite2p_1_1", &["ophys.nwb"], "NWB"),
    sample("nwb", &["fluorescence_rate.nwb"], "NWB"),
    sample("nwb", &["fluorescence_timestamps_voxel_mask.nwb"], "NWB"),
    sample("nwb", &["subset_gzip_scaled.nwb"], "NWB"),
    sample("nwb", &["dff_only.nwb"], "NWB"),
    sample("zarr_v2_blosc", &[], "Zarr"),
    sample("zarr_v3_sharded", &[], "Zarr"),
    sample("zarr_v3_sharded_ts", &[], "Zarr"),
    sample("zarr_zapbench", &[], "Zarr"),
    sample("zarr_zapbench_sorted", &[], "Zarr"),
    sample("caiman", &["cnmf_2d.hdf5"], "CaImAn"),
    Sample {
        // C + YrA has no baseline, so that nobody can say its unit but the user.
        flags: &["--baseline", "none"],
        ..sample("caiman", &["cnmf_2d_no_dff.hdf5"], "CaImAn")
    },
    sample("caiman", &["cnmf_3d.hdf5"], "CaImAn"),
    sample("voluseg", &[], "voluseg"),
    sample("plain_npy", &[], "plain matrix"),
    Sample {
        flags: &["--scale", "0.01"],
        ..sample("plain_npy_percent", &[], "plain matrix")
    },
    sample("plain_npy_dict", &[], "plain matrix"),
    sample("plain_npz", &[], "plain matrix"),
    sample("plain_mat5", &[], "plain matrix"),
    sample("plain_mat5_uncompressed", &[], "plain matrix"),
    sample("plain_mat73", &[], "plain matrix"),
    sample("plain_csv", &[], "plain matrix"),
];

impl Sample {
    /// Makes the folder of a subject, of links.
    fn lay(&self, sources: &Path, subject: &Path) {
        let folder = sources.join(self.folder);
        std::fs::create_dir_all(subject).unwrap();
        let parts: Vec<PathBuf> = match self.parts {
            [] => {
                let entries = std::fs::read_dir(&folder).unwrap();
                entries.map(|entry| entry.unwrap().path()).collect()
            }
            parts => parts.iter().map(|part| folder.join(part)).collect(),
        };
        for part in parts {
            let link = subject.join(part.file_name().unwrap());
            std::os::unix::fs::symlink(part.canonicalize().unwrap(), link).unwrap();
        }
    }
}

/// Where the reference recordings of other tools are.
fn sources() -> Option<PathBuf> {
    let sources = reference()?.join("sources");
    if !sources.is_dir() {
        not_run("the recordings of other tools, which the reference material lacks");
        return None;
    }
    Some(sources)
}

#[test]
fn rule_2_6_each_form_gives_the_same_bytes_on_any_number_of_ranks() {
    let Some(sources) = sources() else { return };
    let folder = tempfile::tempdir().unwrap();
    let of = |place: usize| format!("subject_{place}");
    // Samples with the same flags are the subjects of one run.
    let mut groups: BTreeMap<&[&str], Vec<usize>> = BTreeMap::new();
    for (place, sample) in SAMPLES.iter().enumerate() {
        groups.entry(sample.flags).or_default().push(place);
    }
    for (number, (flags, places)) in groups.into_iter().enumerate() {
        let raw = folder.path().join(format!("raw_{number}"));
        for &place in &places {
            SAMPLES[place].lay(&sources, &raw.join(of(place)));
        }
        let run = |ranks: usize, more: &[&str]| {
            let out = folder.path().join(format!("out_{number}_{ranks}"));
            let flags = [flags, &["--save_traces"], more].concat();
            Workbench::get().run(ranks, &raw, &out, &flags).expect(0);
            out
        };
        let one = run(1, &[]);
        // Small units and little memory, so that the ranks share each recording.
        let others =
            [2, 4].map(|ranks| run(ranks, &["--batch_size", "8", "--memory_limit", "150MiB"]));
        for place in places {
            let expected = datasets(&one.join(of(place)));
            for other in &others {
                let found = datasets(&other.join(of(place)));
                assert!(found == expected, "{}", other.join(of(place)).display());
            }
            let grids = one.join(of(place)).join("preaugmented_grids.h5");
            let file = hdf5::File::open(grids).unwrap();
            let format = file.attr("source_format").unwrap();
            let format = format.read_scalar::<hdf5::types::VarLenUnicode>().unwrap();
            assert_eq!(format.as_str(), SAMPLES[place].format);
        }
    }
}

#[test]
fn rule_2_6_doctor_names_the_form_and_why() {
    let Some(sources) = sources() else { return };
    let raw = tempfile::tempdir().unwrap();
    for (place, sample) in SAMPLES.iter().enumerate() {
        let subject = raw.path().join(format!("subject_{place}"));
        sample.lay(&sources, &subject);
    }
    let flags = ["doctor", "--input_dir", raw.path().to_str().unwrap()];
    let run = alone(&[&flags[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    for (subject, sample) in report["subjects"].as_array().unwrap().iter().zip(&SAMPLES) {
        assert_eq!(subject["format"], sample.format, "{subject}");
        assert_ne!(subject["reason"], "", "{subject}");
    }
    let text = alone(&flags).stdout;
    assert!(
        text.contains("read as voluseg: cells0_clean.hdf5 is there"),
        "{text}"
    );
}
