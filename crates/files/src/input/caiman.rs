//! The form of a file that CaImAn saved (`CNMF.save`): an HDF5 file with a group `estimates` (rule 2.6).
//!
//! ```text
//! estimates/F_dff, (N, T)        ─▶ ΔF/F; where it is not there, C + YrA, which has no baseline
//! estimates/idx_components       ─▶ which components are neurons; where it is not there, all
//! estimates/center, (N, 2 or 3)  ─▶ y, x, z in pixels; where it is not there, the centres of mass of A's columns
//! params/data/fr                 ─▶ the rate in Hz
//! ```
//!
//! What CaImAn did not compute is the text `NoneType`.

use std::path::{Path, PathBuf};

use hdf5::File;

use super::error::InputError;
use super::form::{Cells, Form, Request};
use super::hdf5_matrix::Header;
use super::hdf5_values::{self, Numbers};
use super::identity::Identity;
use super::panel::Panel;
use super::place::Place;
use super::source::{Positions, Source};
use super::storage::Orientation;
use super::trial::Content;
use crate::hdf5_access::{self, shape_text};
use crate::signature::is_hdf5;

/// What CaImAn saved.
pub(super) struct Caiman;

const GROUP: &str = "estimates";
const DFF: &str = "estimates/F_dff";
const DENOISED: &str = "estimates/C";
const RESIDUAL: &str = "estimates/YrA";
const SELECTED: &str = "estimates/idx_components";
const CENTERS: &str = "estimates/center";
/// The name of C + YrA, for `--calcium_dataset` and the outputs.
const SUM: &str = "C+YrA";

impl Form for Caiman {
    fn name(&self) -> &'static str {
        "CaImAn"
    }

    fn recognises(&self, place: &Path) -> bool {
        let extension = place.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("hdf5" | "h5" | "hdf"))
            && is_hdf5(place)
            && hdf5_access::open(place).is_ok_and(|file| {
                // `link_exists` asks for one link after the other.
                file.link_exists(GROUP) && file.link_exists(DENOISED)
            })
    }

    fn looks_into_files(&self) -> bool {
        true
    }

    fn open(&self, place: &Path, request: &Request) -> Result<Source, InputError> {
        open(place, request)
    }

    fn files_to_try(&self, place: &Path, request: &Request) -> Vec<(PathBuf, Content)> {
        vec![Content::recording(place, request)]
    }
}

fn open(path: &Path, request: &Request) -> Result<Source, InputError> {
    let identity = Identity::of(&[("caiman", path, "the HDF5 file that CaImAn saved")])?;
    let dataset = match request.dataset.as_deref() {
        None => chosen(path)?.to_owned(),
        Some(SUM) => SUM.to_owned(),
        Some(name) if name.contains('/') => name.to_owned(),
        Some(name) => format!("{GROUP}/{name}"),
    };
    let first = if dataset == SUM { DENOISED } else { &dataset };
    let (header, file) = Header::read(path, first)?;
    let [components, frames] = header.shape;
    let (mut panel, unwritten) =
        Panel::hdf5(path, (&header, &file), first, Orientation::NeuronsByFrames)?;
    if dataset == SUM {
        let (residual, _) = Header::read(path, RESIDUAL)?;
        if residual.shape != header.shape {
            return Err(wrong(
                path,
                RESIDUAL,
                format!("the shape of C, {}", shape_text(&[components, frames])),
                shape_text(&residual.shape),
            ));
        }
        panel = panel.plus(1.0, Place::hdf5(path, RESIDUAL));
    }
    let selected = match request.cells {
        Cells::Iscell => selected(&file, path, components)?,
        Cells::All => (0..components).collect(),
    };
    let centers = centers(&file, path, components)?;
    let positions = Positions {
        xyz: selected.iter().map(|&row| centers[row]).collect(),
        source_row: selected.iter().map(|&row| row as i64).collect(),
        source_plane: None,
    };
    Ok(Source {
        location: panel.of_neurons(selected).into(),
        positions,
        identity,
        format: Caiman.name(),
        reason: format!("the file has {GROUP} of CaImAn; its traces are {dataset}"),
        is_dff: dataset == DFF,
        dataset,
        rate: hdf5_values::number(&file, path, "params/data/fr")?,
        findings: unwritten.into_iter().collect(),
    })
}

/// The dataset that is taken: `F_dff` where CaImAn computed it, else C + YrA.
fn chosen(path: &Path) -> Result<&'static str, InputError> {
    let file = hdf5_access::open(path)
        .map_err(|error| super::hdf5_matrix::hdf5_error(path, DFF, &error))?;
    let has = |name: &str| {
        file.link_exists(name)
            && file.dataset(name).is_ok_and(|dataset| {
                dataset.ndim() == 2 && hdf5_access::number_kind(&dataset).is_ok()
            })
    };
    Ok(match (has(DFF), has(RESIDUAL)) {
        (true, _) => DFF,
        (false, true) => SUM,
        (false, false) => DENOISED,
    })
}

/// The components that are neurons, in CaImAn's order; all where CaImAn did not classify them.
fn selected(file: &File, path: &Path, components: usize) -> Result<Vec<usize>, InputError> {
    let Some(Numbers { values, .. }) = hdf5_values::numbers(file, path, SELECTED)? else {
        return Ok((0..components).collect());
    };
    let mut seen = vec![false; components];
    let rows = values.iter().map(|&value| {
        let row = value as usize;
        let is_new = row as f64 == value && seen.get(row) == Some(&false);
        if !is_new {
            let expected = format!("components, each once, 0 to {}", components - 1);
            return Err(wrong(path, SELECTED, expected, value.to_string()));
        }
        seen[row] = true;
        Ok(row)
    });
    let rows: Vec<usize> = rows.collect::<Result<_, _>>()?;
    match rows[..] {
        [] => Err(wrong(
            path,
            SELECTED,
            "at least one component (--cells all takes all)".to_owned(),
            "none".to_owned(),
        )),
        _ => Ok(rows),
    }
}

/// x, y, z of each component in pixels.
fn centers(file: &File, path: &Path, components: usize) -> Result<Vec<[f64; 3]>, InputError> {
    let Some(Numbers { shape, values }) = hdf5_values::numbers(file, path, CENTERS)? else {
        return centres_of_mass(file, path, components);
    };
    match shape[..] {
        [rows, axes @ (2 | 3)] if rows == components => {
            let centers = values.chunks_exact(axes);
            let position = |center: &[f64]| {
                let z = center.get(2).copied().unwrap_or(0.0);
                [center[1], center[0], z]
            };
            Ok(centers.map(position).collect())
        }
        _ => Err(wrong(
            path,
            CENTERS,
            format!("({components}, 2) or ({components}, 3)"),
            shape_text(&shape),
        )),
    }
}

/// The centre of mass of each column of the sparse matrix A, (pixels, N): pixels are numbered in Fortran order of `dims`.
fn centres_of_mass(
    file: &File,
    path: &Path,
    components: usize,
) -> Result<Vec<[f64; 3]>, InputError> {
    let [data, indices, starts, dims] = ["A/data", "A/indices", "A/indptr", "dims"].map(|name| {
        let name = format!("{GROUP}/{name}");
        hdf5_values::numbers(file, path, &name)?.ok_or_else(|| InputError::NoDataset {
            path: path.to_owned(),
            dataset: name,
            found: "neither center nor A, which tell where the neurons are".to_owned(),
        })
    });
    let (data, indices, starts, dims) = (data?, indices?, starts?, dims?);
    let is_sound = starts.values.len() == components + 1
        && starts.values.is_sorted()
        && starts.values.first() == Some(&0.0)
        && starts.values.last() == Some(&(data.values.len() as f64))
        && indices.values.len() == data.values.len()
        && dims.values.iter().all(|extent| *extent >= 1.0);
    if !is_sound {
        return Err(wrong(
            path,
            "estimates/A",
            format!("a sparse matrix with {components} columns"),
            "parts that contradict each other".to_owned(),
        ));
    }
    let height = dims.values.first().copied().unwrap_or(1.0);
    let plane = height * dims.values.get(1).copied().unwrap_or(1.0);
    let centre = |bounds: &[f64]| {
        let own = bounds[0] as usize..bounds[1] as usize;
        let (mut total, mut sums) = (0.0, [0.0; 3]);
        for (weight, index) in data.values[own.clone()].iter().zip(&indices.values[own]) {
            let in_plane = index % plane;
            let place = [
                (in_plane / height).floor(),
                in_plane % height,
                (index / plane).floor(),
            ];
            total += weight;
            sums = std::array::from_fn(|axis| sums[axis] + weight * place[axis]);
        }
        sums.map(|sum| sum / total)
    };
    Ok(starts.values.windows(2).map(centre).collect())
}

fn wrong(path: &Path, dataset: &str, expected: String, found: String) -> InputError {
    InputError::Dataset {
        path: path.to_owned(),
        dataset: dataset.to_owned(),
        expected,
        found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Subject;

    const NEURONS: usize = 3;
    const FRAMES: usize = 5;

    /// A subject with a file as CaImAn saves it, of 3 components in 5 frames; `F_dff` is the text `NoneType`.
    struct Saved {
        _folder: tempfile::TempDir,
        subject: Subject,
    }

    impl Saved {
        fn new(centers: Option<[usize; 2]>, selected: &[f64]) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let file = hdf5::File::create(folder.path().join("cnmf.hdf5")).expect("a file");
            for group in ["estimates/A", "params/data"] {
                file.create_group(group).expect("a group");
            }
            let numbers = |name: &str, shape: &[usize], value: fn(usize) -> f64| {
                let values: Vec<f64> = (0..shape.iter().product()).map(value).collect();
                let dataset = file.new_dataset::<f64>().shape(shape).create(name);
                dataset
                    .expect("a dataset")
                    .write_raw(&values)
                    .expect("numbers");
            };
            numbers(DENOISED, &[NEURONS, FRAMES], |place| place as f64);
            numbers(RESIDUAL, &[NEURONS, FRAMES], |place| 100.0 * place as f64);
            numbers("params/data/fr", &[], |_| 10.0);
            if let Some(shape) = centers {
                numbers(CENTERS, &shape, |place| place as f64);
            }
            if !selected.is_empty() {
                let dataset = file.new_dataset_builder().with_data(selected);
                dataset.create(SELECTED).expect("a selection");
            }
            let text = hdf5::types::VarLenAscii::from_ascii("NoneType");
            let dataset = file.new_dataset::<hdf5::types::VarLenAscii>().create(DFF);
            let dataset = dataset.expect("a dataset");
            dataset
                .write_scalar(&text.unwrap_or_default())
                .expect("a text");
            // A field of 4 rows and 3 columns: pixel 5 lies in row 1 of column 1. The third component has no pixel.
            for (name, values) in [
                ("A/data", &[1.0, 3.0, 2.0][..]),
                ("A/indices", &[5.0, 9.0, 0.0]),
                ("A/indptr", &[0.0, 2.0, 3.0, 3.0]),
                ("dims", &[4.0, 3.0]),
            ] {
                let dataset = file.new_dataset_builder().with_data(values);
                dataset
                    .create(format!("{GROUP}/{name}").as_str())
                    .expect("a part of A");
            }
            let dir = folder.path().to_owned();
            Self {
                _folder: folder,
                subject: Subject {
                    name: "subject_1".to_owned(),
                    dir,
                },
            }
        }

        fn open(&self, request: &Request) -> Result<Source, InputError> {
            crate::input::open(&self.subject, request)
        }
    }

    #[test]
    fn rule_2_6_without_dff_the_sum_of_c_and_yra_is_read_in_the_order_of_the_selection() {
        let saved = Saved::new(Some([NEURONS, 2]), &[2.0, 0.0]);
        let source = saved.open(&Request::default()).expect("a recording");
        assert_eq!((source.dataset.as_str(), source.is_dff), (SUM, false));
        assert_eq!(source.rate, Some(10.0));
        assert_eq!(source.positions.source_row, [2, 0]);
        assert_eq!(source.positions.xyz, [[5.0, 4.0, 0.0], [1.0, 0.0, 0.0]]);
        let reader = source.location.open().expect("fluorescence");
        let traces = reader.read_neurons(0..2).expect("samples").traces(&(0..2));
        assert_eq!(traces[..3], [1010.0, 1111.0, 1212.0]);
        assert_eq!(traces[FRAMES..][..3], [0.0, 101.0, 202.0]);
        let all = Request {
            cells: Cells::All,
            dataset: Some("C".to_owned()),
            ..Request::default()
        };
        let source = saved.open(&all).expect("a recording");
        assert_eq!(
            (source.neurons(), source.dataset.as_str()),
            (NEURONS, DENOISED)
        );
    }

    #[test]
    fn rule_2_6_without_centers_positions_are_centres_of_mass() {
        let source = Saved::new(None, &[]).open(&Request::default());
        let xyz = source.expect("a recording").positions.xyz;
        assert_eq!(xyz[..2], [[1.75, 1.0, 0.0], [0.0, 0.0, 0.0]]);
        assert!(
            xyz[2].iter().all(|x| x.is_nan()),
            "a component without pixels"
        );
        let flat = Saved::new(Some([NEURONS, 3]), &[]).open(&Request::default());
        assert_eq!(flat.expect("a recording").positions.xyz[1], [4.0, 3.0, 5.0]);
    }

    #[test]
    fn rule_2_6_components_that_are_not_there_are_refused() {
        for selected in [&[3.0][..], &[-1.0], &[0.5], &[1.0, 1.0], &[f64::NAN]] {
            let message = Saved::new(Some([NEURONS, 2]), selected).open(&Request::default());
            let message = message.expect_err("no selection").to_string();
            assert!(
                message.contains(SELECTED) && message.contains("0 to 2"),
                "{message}"
            );
        }
        let message = Saved::new(Some([4, 2]), &[]).open(&Request::default());
        let message = message.expect_err("no positions").to_string();
        assert!(
            message.contains(CENTERS) && message.contains("(3, 2)"),
            "{message}"
        );
    }
}
