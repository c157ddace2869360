//! The form NWB: a file `*.nwb`, an HDF5 file in which every group says its class by the attribute `neurodata_type` (rule 2.6).
//!
//! ```text
//! series ─▶ RoiResponseSeries in Fluorescence, or in DfOverF ─┬─ data, its conversion and offset ─▶ a panel
//!                                                             ├─ times: rate, timestamps ─▶ the rate, frames that are skipped
//!                                                             └─ rois ─▶ rows of a PlaneSegmentation
//! PlaneSegmentation ─ table ─▶ cells ─ masks ─▶ centroids in pixels ─ plane: origin_coords, grid_spacing ─▶ x, y, z
//! ```

mod masks;
mod node;
mod panels;
mod plane;
mod series;
mod table;
mod times;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use spikegrid_core::findings::{Code, Finding};

use super::error::InputError;
use super::form::{Form, Request, file_name};
use super::hdf5_values;
use super::identity::Identity;
use super::source::Source;
use super::trial::Content;
use crate::hdf5_access::name_list;
use node::Node;
use panels::Panels;
use series::{Kind, Series};

/// A file `*.nwb`.
pub(super) struct Nwb;

const EXTENSION: &str = "nwb";
/// What the file is, for messages.
const WHAT: &str = "an NWB file";
/// What suite2p's own export says of itself.
const SUITE2P: &str = "suite2p_proc";

/// How much of large tables is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Whole,
    /// Only what comes first and last, for a crash trial.
    Ends,
}

impl Extent {
    /// Where the pieces begin that are read of so many elements.
    fn starts(self, elements: usize, step: usize) -> impl Iterator<Item = usize> {
        let step = step.max(1);
        let count = elements.div_ceil(step);
        let is_read =
            move |piece: &usize| self == Self::Whole || *piece == 0 || *piece + 1 == count;
        (0..count).filter(is_read).map(move |piece| piece * step)
    }
}

impl Form for Nwb {
    fn name(&self) -> &'static str {
        "NWB"
    }

    fn recognises(&self, place: &Path) -> bool {
        let extension = place.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| extension.eq_ignore_ascii_case(EXTENSION))
            && !place.is_dir()
    }

    fn open(&self, place: &Path, request: &Request) -> Result<Source, InputError> {
        open(place, request, Extent::Whole)
    }

    fn files_to_try(&self, place: &Path, request: &Request) -> Vec<(PathBuf, Content)> {
        vec![Content::recording(place, request)]
    }

    fn try_out(&self, place: &Path, request: &Request) {
        if let Ok(source) = open(place, request, Extent::Ends) {
            source.location.read_corners();
        }
    }

    fn name_of_loose(&self, place: &Path) -> Option<String> {
        let stem = place.file_stem()?;
        Some(stem.to_string_lossy().into_owned())
    }
}

fn open(path: &Path, request: &Request, extent: Extent) -> Result<Source, InputError> {
    // Before anything is read: what changes meanwhile is noticed by a later run.
    let identity = Identity::of(&[(EXTENSION, path, WHAT)])?;
    let root = Node::root(path)?;
    let (chosen, mut panels) = panels(&root, request)?;
    let is_dff = chosen.iter().all(|series| series.kind == Kind::Dff);
    let dataset = dataset(&chosen);
    let positions = panels.positions(request, extent)?;
    let mut reason = format!("{} is there; its traces are {dataset}", file_name(path));
    if is_of_suite2p(&root) {
        reason += "; suite2p exported it";
        panels.findings.push(exported_by_suite2p());
    }
    if let Some(unit) = panels.unknown_unit() {
        reason += &format!(
            "; the unit {unit:?} of its positions is not known, and they are taken as they stand"
        );
    }
    Ok(Source {
        location: panels.location(),
        positions,
        identity: Identity::joined(vec![identity, linked(path, &panels.files)?]),
        format: Nwb.name(),
        reason,
        dataset,
        rate: panels.rate,
        is_dff,
        findings: panels.findings,
    })
}

/// The series that are read. Where some have traces of the same neurons, those in containers of the usual names: suite2p exports a second
/// channel as `Fluorescence_chan2`.
fn panels(root: &Node, request: &Request) -> Result<(Vec<Series>, Panels), InputError> {
    let mut chosen = series::chosen(root, request.dataset.as_deref())?;
    let mut panels = Panels::of(root, &chosen, request)?;
    if panels.overlap && chosen.iter().any(Series::is_usual) {
        chosen.retain(Series::is_usual);
        panels = Panels::of(root, &chosen, request)?;
    }
    match panels.overlap {
        false => Ok((chosen, panels)),
        true => Err(InputError::SeveralDatasets {
            path: root.path.clone(),
            candidates: name_list(chosen.into_iter().map(|series| series.path), "none"),
        }),
    }
}

/// The name of the series that are read: its path, or that of the container that they have in common.
fn dataset(series: &[Series]) -> String {
    match series {
        [only] => only.path.clone(),
        [first, others @ ..] if others.iter().all(|s| s.container() == first.container()) => {
            first.container().to_owned()
        }
        _ => name_list(series.iter().map(|series| series.path.clone()), "none"),
    }
}

/// Whether suite2p wrote the file.
fn is_of_suite2p(root: &Node) -> bool {
    hdf5_values::text(&root.file, "session_description").is_some_and(|text| text == SUITE2P)
}

/// What is to be known of suite2p's export.
fn exported_by_suite2p() -> Finding {
    Finding::new(
        Code::Suite2pExport,
        "This is suite2p's own NWB export: its x is the row of a pixel and its y the column, its pixel sizes are constants that nobody \
         measured, and its traces contain neuropil.",
        "All is taken as it stands. Give suite2p's folder instead (--source suite2p) for x and y in pixels and corrected traces, or subtract \
         the neuropil with --neuropil_coefficient 0.7.",
    )
}

/// The other files to which the links of the NWB file lead, each under its path as seen from there.
fn linked(path: &Path, files: &BTreeSet<PathBuf>) -> Result<Identity, InputError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let others = files.iter().filter(|file| *file != path);
    let identities = others.map(|file| {
        let name = file.strip_prefix(folder).unwrap_or(file);
        let name = format!("nwb link {}", name.display());
        Identity::of(&[(&name, file, "a file to which the NWB file links")])
    });
    let identities = identities.collect::<Result<Vec<_>, _>>()?;
    Ok(Identity::joined(identities))
}

#[cfg(test)]
mod made;
#[cfg(test)]
mod tests;
