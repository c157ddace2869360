//! The form of what suite2p wrote: a folder for each imaging plane (rule 2.6).
//!
//! ```text
//! plane0/F.npy, Fneu.npy, (N, T) ─▶ F − coefficient · Fneu
//! plane0/iscell.npy, (N, 2)      ─▶ which regions are cells
//! plane0/stat.npy, `med`         ─▶ y, x in pixels; z is the number of the plane
//! plane0/settings.npy, ops.npy   ─▶ the rate `fs` of a plane, the coefficient
//! plane1/…                       ─▶ further neurons; the recording ends with the shortest plane
//! ```
//!
//! `combined/` tiles the planes into one image and pads short ones with zeros; it is not read where there are planes.

use std::path::{Path, PathBuf};

use spikegrid_core::findings::{Code, Finding};
use spikegrid_core::wording::counted;

use super::error::InputError;
use super::form::{Cells, Form, Request, entries, file_name};
use super::identity::Identity;
use super::npy::{self, NpyArray};
use super::panel::Panel;
use super::place::Place;
use super::source::{Location, Positions, Source};
use super::storage::Orientation;
use crate::hdf5_access::shape_text;
use crate::pickle::{Value, numpy};

/// What suite2p wrote.
pub(super) struct Suite2p;

const FLUORESCENCE: &str = "F.npy";
const NEUROPIL: &str = "Fneu.npy";
const SELECTED: &str = "iscell.npy";
const REGIONS: &str = "stat.npy";
/// Settings, those of suite2p 1 first.
const SETTINGS: [&str; 2] = ["settings.npy", "ops.npy"];
/// The coefficient that suite2p itself has unless it is told otherwise.
const COEFFICIENT: f64 = 0.7;
/// Regions of a plane, at most: a damaged file may say any number.
const MOST_REGIONS: usize = 1 << 24;

impl Form for Suite2p {
    fn name(&self) -> &'static str {
        "suite2p"
    }

    fn recognises(&self, place: &Path) -> bool {
        let has = |folder: &Path| folder.join(FLUORESCENCE).symlink_metadata().is_ok();
        let is_plane = has(place) && place.join(REGIONS).symlink_metadata().is_ok();
        is_plane
            || !planes(place).is_empty()
            || has(&place.join("suite2p/combined"))
            || has(&place.join("combined"))
    }

    fn open(&self, place: &Path, request: &Request) -> Result<Source, InputError> {
        open(place, request)
    }

    fn fluorescence_bytes(&self, place: &Path) -> u64 {
        let bytes = |path: PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
        let planes = planes(place).into_iter();
        planes
            .flat_map(|plane| [FLUORESCENCE, NEUROPIL].map(|name| bytes(plane.folder.join(name))))
            .sum()
    }

    fn name_of_loose(&self, place: &Path) -> Option<String> {
        let place = place.canonicalize().ok()?;
        (place.join("suite2p").is_dir() || !numbered(&place).is_empty()).then(|| file_name(&place))
    }
}

/// The folder of an imaging plane.
struct Plane {
    number: usize,
    folder: PathBuf,
}

impl Plane {
    /// Whether suite2p made its folder and did not process it, as it does with planes of the flyback.
    fn is_unprocessed(&self) -> bool {
        let lacks = |name: &str| self.folder.join(name).symlink_metadata().is_err();
        lacks(FLUORESCENCE) && lacks(REGIONS)
    }
}

/// The planes of a folder, of its folder `suite2p`, or the folder itself; none if it is no recording of suite2p.
fn planes(place: &Path) -> Vec<Plane> {
    let has_planes = [place.join("suite2p"), place.to_owned()];
    let found = has_planes.iter().map(|folder| numbered(folder));
    found
        .into_iter()
        .find(|planes| !planes.is_empty())
        .unwrap_or_default()
}

/// The folders `plane0`, `plane1`, … of a folder, in the order of their numbers, if one of them has fluorescence.
fn numbered(folder: &Path) -> Vec<Plane> {
    let folders = entries(folder).into_iter().filter_map(|folder| {
        let number = file_name(&folder).strip_prefix("plane")?.parse().ok()?;
        folder.is_dir().then_some(Plane { number, folder })
    });
    let mut planes: Vec<Plane> = folders.collect();
    planes.sort_by_key(|plane| plane.number);
    let has = |plane: &Plane| plane.folder.join(FLUORESCENCE).symlink_metadata().is_ok();
    match planes.iter().any(has) {
        true => planes,
        false => Vec::new(),
    }
}

fn open(place: &Path, request: &Request) -> Result<Source, InputError> {
    let mut planes = planes(place);
    if planes.is_empty() && place.join(FLUORESCENCE).symlink_metadata().is_ok() {
        let number = file_name(place).strip_prefix("plane").map(str::parse);
        planes.push(Plane {
            number: number.and_then(Result::ok).unwrap_or(0),
            folder: place.to_owned(),
        });
    }
    let skipped = planes.extract_if(.., |plane| plane.is_unprocessed());
    let skipped: Vec<Plane> = skipped.collect();
    if planes.is_empty() {
        return Err(InputError::File {
            path: place.to_owned(),
            what: "folders plane0, plane1, … of suite2p",
            found: "combined/ alone, which tiles all planes into one image; copy the folders of the planes, too, or read it as one plane \
                    with --source suite2p/combined"
                .to_owned(),
        });
    }
    let opened = planes.iter().map(|plane| OpenPlane::open(plane, request));
    let opened: Vec<OpenPlane> = opened.collect::<Result<_, _>>()?;
    let identity = planes.iter().map(identity).collect::<Result<Vec<_>, _>>()?;
    let mut positions = Positions::default();
    let mut numbers = Vec::new();
    for (plane, opened) in planes.iter().zip(&opened) {
        let z = plane.number as f64 * request.plane_step.unwrap_or(1.0);
        let xyz = opened.selected.iter().map(|&row| {
            let [y, x] = opened.centers[row];
            [x, y, z]
        });
        positions.xyz.extend(xyz);
        let rows = opened.selected.iter().map(|&row| row as i64);
        positions.source_row.extend(rows);
        numbers.extend(vec![plane.number as i64; opened.selected.len()]);
    }
    positions.source_plane = Some(numbers);
    if positions.xyz.is_empty() {
        let regions: usize = opened.iter().map(|plane| plane.centers.len()).sum();
        return Err(InputError::File {
            path: place.to_owned(),
            what: "regions that are cells (iscell.npy)",
            found: format!(
                "{}, none of which is a cell; --cells all takes all",
                counted(regions, "region")
            ),
        });
    }
    let dataset = opened[0].dataset.clone();
    let findings = [uncorrected(&planes, &opened), unprocessed(&skipped)];
    let rate = common_rate(&planes, &opened)?;
    let first = planes[0].folder.join(FLUORESCENCE);
    let first = first.strip_prefix(place).unwrap_or(&first);
    let reason = format!(
        "{} is there; {} of {}",
        first.display(),
        dataset,
        counted(planes.len(), "imaging plane")
    );
    let panels = opened.into_iter().filter_map(|plane| plane.panel);
    Ok(Source {
        location: Location::of_panels(panels.collect()),
        positions,
        identity: Identity::joined(identity),
        format: Suite2p.name(),
        reason,
        dataset,
        rate,
        is_dff: false,
        findings: findings.into_iter().flatten().collect(),
    })
}

/// The rate of all planes, if one states it.
///
/// # Errors
/// If rates differ, so that frames of one number were not recorded together.
fn common_rate(planes: &[Plane], opened: &[OpenPlane]) -> Result<Option<f64>, InputError> {
    /// Rates that differ by no more are the same but for rounding.
    const SAME: f64 = 1e-3;
    let rates = planes.iter().zip(opened);
    let mut rates = rates.filter_map(|(plane, opened)| Some((plane, opened.rate?)));
    let Some((_, first)) = rates.next() else {
        return Ok(None);
    };
    match rates.find(|(_, rate)| (rate - first).abs() > SAME * first.abs()) {
        None => Ok(Some(first)),
        Some((plane, rate)) => Err(InputError::File {
            path: plane.folder.clone(),
            what: "a plane with the rate of the first, so that their frames belong together",
            found: format!(
                "{rate} Hz, not {first} Hz; process the planes one by one with --source suite2p/plane{}",
                plane.number
            ),
        }),
    }
}

/// What is to be said of planes that suite2p did not process.
fn unprocessed(skipped: &[Plane]) -> Option<Finding> {
    let first = skipped.first()?;
    let have = match skipped.len() {
        1 => "1 folder of an imaging plane has".to_owned(),
        several => format!("{several} folders of imaging planes have"),
    };
    Some(Finding::new(
        Code::SkippedPlanes,
        format!(
            "{have} neither {FLUORESCENCE} nor {REGIONS} and no neuron comes of {} (the first is {}).",
            if skipped.len() == 1 { "it" } else { "them" },
            first.folder.display()
        ),
        "Nothing has to be done if suite2p was told to ignore these planes (ignore_flyback). Otherwise run suite2p on them.",
    ))
}

/// What is to be said of planes without neuropil.
fn uncorrected(planes: &[Plane], opened: &[OpenPlane]) -> Option<Finding> {
    let lacking: Vec<&Plane> = planes
        .iter()
        .zip(opened)
        .filter_map(|(plane, opened)| opened.lacks_neuropil.then_some(plane))
        .collect();
    let first = lacking.first()?.folder.join(NEUROPIL);
    Some(Finding::new(
        Code::NoNeuropil,
        format!(
            "{} of {} have no {NEUROPIL} (the first is {}), so that their fluorescence is not corrected for neuropil.",
            lacking.len(),
            counted(planes.len(), "imaging plane"),
            first.display()
        ),
        "Let suite2p extract the neuropil (neuropil_extract), or say that no correction is wanted with --neuropil_coefficient 0.",
    ))
}

/// What a plane has.
struct OpenPlane {
    /// The neurons that are taken, if there are any.
    panel: Option<Panel>,
    /// Regions that are taken.
    selected: Vec<usize>,
    /// y, x of each region in pixels; NaN where it has none.
    centers: Vec<[f64; 2]>,
    rate: Option<f64>,
    /// What is computed, in words.
    dataset: String,
    /// Whether a correction was wanted and there is no neuropil.
    lacks_neuropil: bool,
}

impl OpenPlane {
    fn open(plane: &Plane, request: &Request) -> Result<Self, InputError> {
        let path = |name: &str| plane.folder.join(name);
        let (name, file) = match request.dataset.as_deref() {
            None | Some("F") => ("F", FLUORESCENCE.to_owned()),
            Some(name) => (name, format!("{name}.npy")),
        };
        let what = "suite2p's traces, an array (regions, frames)";
        let traces = NpyArray::open(&path(&file), what)?;
        let [regions, _] = traces.shape();
        let settings = Settings::read(plane)?;
        let centers = match regions {
            0 => Vec::new(),
            _ => centers(&path(REGIONS), regions)?,
        };
        let selected = match request.cells {
            _ if regions == 0 => Vec::new(),
            Cells::All => (0..regions).collect(),
            Cells::Iscell => selected(&path(SELECTED), regions)?,
        };
        let wanted = request.neuropil_coefficient.or(settings.coefficient);
        let coefficient = match name {
            "F" => wanted.unwrap_or(COEFFICIENT),
            _ => 0.0,
        };
        let lacks_neuropil = coefficient != 0.0 && path(NEUROPIL).symlink_metadata().is_err();
        let corrects = coefficient != 0.0 && !lacks_neuropil;
        let orientation = match traces.is_transposed {
            true => Orientation::FramesByNeurons,
            false => Orientation::NeuronsByFrames,
        };
        let panel = match selected[..] {
            [] => None,
            _ => {
                let stored = traces.place.storage(orientation);
                let panel = Panel::new(Place::Flat(traces.place.clone()), stored);
                let panel = panel.of_neurons(selected.iter().copied());
                Some(match corrects {
                    true => panel.plus(-coefficient, neuropil(&path(NEUROPIL), &traces)?),
                    false => panel,
                })
            }
        };
        Ok(Self {
            panel,
            selected,
            centers,
            rate: settings.rate_hz,
            dataset: match corrects {
                true => format!("F - {coefficient} Fneu"),
                false => name.to_owned(),
            },
            lacks_neuropil,
        })
    }
}

/// The neuropil of a plane, which has the shape of its traces.
fn neuropil(path: &Path, traces: &NpyArray) -> Result<Place, InputError> {
    let what = "suite2p's neuropil, an array of the shape and order of F.npy";
    let neuropil = NpyArray::open(path, what)?;
    let order = |array: &NpyArray| (array.shape(), array.is_transposed);
    match order(&neuropil) == order(traces) {
        true => Ok(Place::Flat(neuropil.place)),
        false => Err(InputError::File {
            path: path.to_owned(),
            what,
            found: format!(
                "{}, in F.npy {}",
                shape_text(&neuropil.shape()),
                shape_text(&traces.shape())
            ),
        }),
    }
}

/// The regions that are cells: those whose first number is 1.
fn selected(path: &Path, regions: usize) -> Result<Vec<usize>, InputError> {
    let what = "which regions are cells, an array (regions, 2); --cells all takes all";
    let array = NpyArray::open(path, what)?;
    let [rows, columns] = array.shape();
    if rows != regions || columns == 0 {
        return Err(InputError::File {
            path: path.to_owned(),
            what,
            found: format!(
                "{}, in F.npy {}",
                shape_text(&[rows, columns]),
                counted(regions, "region")
            ),
        });
    }
    let values = array.values(2 * MOST_REGIONS)?;
    let first = values.chunks_exact(columns).map(|row| row[0]);
    Ok(first
        .enumerate()
        .filter_map(|(row, is_cell)| (is_cell == 1.0).then_some(row))
        .collect())
}

/// y, x of each region: `med` of its entry in `stat.npy`.
fn centers(path: &Path, regions: usize) -> Result<Vec<[f64; 2]>, InputError> {
    let what = "suite2p's regions, an array of dictionaries with med";
    let stat = npy::objects(path, what, &["med"])?;
    let elements = stat.elements();
    let elements = elements.as_deref().unwrap_or_default();
    if elements.len() != regions {
        return Err(InputError::File {
            path: path.to_owned(),
            what,
            found: format!("{} regions, in F.npy {regions}", elements.len()),
        });
    }
    let center = |region: &Value| {
        let numbers = numpy::numbers(&region.get("med")?)?;
        match numbers[..] {
            [y, x] if y.is_finite() && x.is_finite() => Some([y, x]),
            _ => None,
        }
    };
    let centers = elements.iter();
    Ok(centers
        .map(|region| center(region).unwrap_or([f64::NAN; 2]))
        .collect())
}

/// What the settings of a plane say.
struct Settings {
    rate_hz: Option<f64>,
    coefficient: Option<f64>,
}

impl Settings {
    /// Reads the files with settings that are there.
    ///
    /// # Errors
    /// If one is damaged.
    fn read(plane: &Plane) -> Result<Self, InputError> {
        let mut settings = Self {
            rate_hz: None,
            coefficient: None,
        };
        for name in SETTINGS {
            let path = plane.folder.join(name);
            if path.symlink_metadata().is_err() {
                continue;
            }
            let keys = &["fs", "neucoeff", "extraction", "neuropil_coefficient"];
            let objects = npy::objects(&path, "suite2p's settings, a dictionary", keys)?;
            let objects = objects.elements();
            let Some(all) = objects.as_deref().and_then(<[Value]>::first) else {
                continue;
            };
            let number = |value: Option<Value>| numpy::number(&value?);
            let extraction = all.get("extraction");
            let nested = extraction.and_then(|nested| nested.get("neuropil_coefficient"));
            let coefficient = number(nested).or_else(|| number(all.get("neucoeff")));
            settings.rate_hz = settings.rate_hz.or(number(all.get("fs")));
            settings.coefficient = settings.coefficient.or(coefficient);
        }
        Ok(settings)
    }
}

/// The files of a plane that are read.
fn identity(plane: &Plane) -> Result<Identity, InputError> {
    let names = [FLUORESCENCE, NEUROPIL, SELECTED, REGIONS];
    let names = names.into_iter().chain(SETTINGS);
    let there = names.map(|name| (name, plane.folder.join(name)));
    let there: Vec<(String, PathBuf)> = there
        .filter(|(_, path)| path.symlink_metadata().is_ok())
        .map(|(name, path)| (format!("{}/{name}", file_name(&plane.folder)), path))
        .collect();
    let files: Vec<(&str, &Path, &'static str)> = there
        .iter()
        .map(|(name, path)| (name.as_str(), path.as_path(), "a file of suite2p"))
        .collect();
    Identity::of(&files)
}

#[cfg(test)]
mod tests;
