//! The series of traces of an NWB file (`RoiResponseSeries`), and which of them are the fluorescence.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::node::{Member, Node};
use crate::hdf5_access::name_list;
use crate::input::discovery::natural_order;
use crate::input::error::InputError;

/// The groups of an NWB file in which series may lie; the first that has any counts.
const SECTIONS: [&str; 4] = ["processing", "analysis", "acquisition", "scratch"];
/// How deep groups are searched, and how many of them.
const DEEPEST: usize = 6;
const MOST_GROUPS: usize = 4096;
/// Series whose name, or whose container's name, has such a part are not fluorescence of neurons.
const OTHERS: [&str; 9] = [
    "neuropil",
    "npil",
    "deconv",
    "denois",
    "spike",
    "background",
    "baseline",
    "event",
    "inferred",
];
/// Unless it also has such a part: `neuropil_corrected`.
const CORRECTED: [&str; 2] = ["correct", "subtract"];

/// What the traces of a series are, the preferred ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// In a container of the class `Fluorescence`.
    Fluorescence,
    /// In no container.
    Loose,
    /// In a container of the class `DfOverF`, or called ΔF/F.
    Dff,
}

/// A series of traces, or a link that should lead to one and does not.
#[derive(Debug)]
pub(super) struct Series {
    /// Its path in the NWB file.
    pub(super) path: String,
    pub(super) kind: Kind,
    /// Whether it holds something else than the fluorescence of neurons, by its name.
    is_other: bool,
    /// Its group; none where a link leads nowhere.
    group: Option<Node>,
}

impl Series {
    fn new(path: String, container: Option<Kind>, group: Option<Node>) -> Self {
        // The name of a module says nothing of its series, that of a container does.
        let telling = if container.is_some() { 2 } else { 1 };
        let names = path.rsplit('/').take(telling).map(str::to_lowercase);
        let names: Vec<String> = names.collect();
        let has = |parts: &[&str]| {
            let mut names = names.iter();
            names.any(|name| parts.iter().any(|part| name.contains(part)))
        };
        let kind = match container {
            Some(Kind::Dff) => Kind::Dff,
            _ if has(&["dff", "df_over_f", "dfoverf", "df/f"]) => Kind::Dff,
            Some(kind) => kind,
            None => Kind::Loose,
        };
        Self {
            is_other: has(&OTHERS) && !has(&CORRECTED),
            path,
            kind,
            group,
        }
    }

    /// The path of its container.
    pub(super) fn container(&self) -> &str {
        self.path
            .rsplit_once('/')
            .map_or("", |(container, _)| container)
    }

    /// Its own name.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Its group.
    ///
    /// # Errors
    /// If a link to it leads nowhere.
    pub(super) fn group(&self, root: &Node) -> Result<Node, InputError> {
        let found = match &self.group {
            Some(group) => Some(group.clone()),
            None => root.descend(&self.path)?,
        };
        found.ok_or_else(|| none(root, &self.path, &[]))
    }

    /// Whether its container has the name that containers of its class have by default.
    pub(super) fn is_usual(&self) -> bool {
        let container = self.container().rsplit('/').next();
        matches!(container, Some("Fluorescence" | "DfOverF"))
    }

    /// Whether the user means it: by its path, its name, or the path or name of its container.
    fn is_called(&self, name: &str) -> bool {
        let ends_with = |path: &str| path == name || path.ends_with(&format!("/{name}"));
        ends_with(&self.path) || ends_with(self.container())
    }
}

/// The series of a file in the natural order of their paths: those of the first sections in which there are some that are looked for.
///
/// # Errors
/// If a group cannot be read.
fn found(root: &Node, is_enough: impl Fn(&Series) -> bool) -> Result<Vec<Series>, InputError> {
    let mut search = Search::default();
    for section in SECTIONS {
        if let Some(group) = root.child(section)? {
            search.group(&group, section, None, 0)?;
        }
        if search.found.iter().any(&is_enough) {
            break;
        }
    }
    let found = &mut search.found;
    found.sort_by(|a, b| natural_order(&a.path, &b.path));
    Ok(search.found)
}

/// A search for series.
#[derive(Default)]
struct Search {
    found: Vec<Series>,
    /// File and name of the groups that were seen: links lead to one group by several paths, or around in a ring.
    seen: BTreeSet<(PathBuf, String)>,
}

impl Search {
    /// Searches a group, of which `path` is the path in the NWB file, and `container` what its class says of series in it.
    fn group(
        &mut self,
        group: &Node,
        path: &str,
        container: Option<Kind>,
        depth: usize,
    ) -> Result<(), InputError> {
        for name in group.names()? {
            let path = format!("{path}/{name}");
            let node = match group.member(&name) {
                Ok(Some(Member::Group(node))) => node,
                Ok(_) => continue,
                // What the link should lead to may be a series.
                Err(InputError::LostSource { .. }) if container.is_some() || depth == 1 => {
                    self.found.push(Series::new(path, container, None));
                    continue;
                }
                Err(InputError::LostSource { .. }) => continue,
                Err(error) => return Err(error),
            };
            if self.seen.len() >= MOST_GROUPS
                || !self.seen.insert((node.path.clone(), node.name.clone()))
            {
                continue;
            }
            let class = node.neurodata_type();
            if is_series(&node, &class) {
                self.found.push(Series::new(path, container, Some(node)));
                continue;
            }
            let kind = match (&class[..], &name[..]) {
                ("Fluorescence", _) | ("", "Fluorescence") => Some(Kind::Fluorescence),
                ("DfOverF", _) | ("", "DfOverF") => Some(Kind::Dff),
                _ => None,
            };
            if depth < DEEPEST {
                self.group(&node, &path, kind, depth + 1)?;
            }
        }
        Ok(())
    }
}

/// Whether a group of this class is a series of traces of regions of interest.
fn is_series(node: &Node, class: &str) -> bool {
    class.ends_with("RoiResponseSeries") || class.is_empty() && node.has("data") && node.has("rois")
}

/// The series that are read: those that `--calcium_dataset` names, or the fluorescence, or ΔF/F where there is none. Where the user's name
/// is that of several, the fluorescence comes first, too.
///
/// # Errors
/// If there is none.
pub(super) fn chosen(root: &Node, wanted: Option<&str>) -> Result<Vec<Series>, InputError> {
    let name = wanted.map(|wanted| {
        let name = wanted.trim_matches('/');
        name.strip_suffix("/data").unwrap_or(name)
    });
    let mut series = match name {
        Some(name) => found(root, |series| series.is_called(name))?,
        None => found(root, |series| !series.is_other)?,
    };
    if let Some(name) = name {
        if let Some(place) = series.iter().position(|series| series.path == name) {
            return Ok(vec![series.swap_remove(place)]);
        }
        let is_called = |series: &Series| series.is_called(name);
        if !series.iter().any(is_called) {
            return Err(none(root, name, &series));
        }
        series.retain(is_called);
    }
    let is_fluorescence = |series: &Series| !series.is_other;
    match series.iter().any(is_fluorescence) {
        true => series.retain(is_fluorescence),
        false if wanted.is_none() => {
            return Err(none(root, "RoiResponseSeries with fluorescence", &series));
        }
        false => {}
    }
    let best = series.iter().map(|series| series.kind).min();
    series.retain(|series| Some(series.kind) == best);
    Ok(series)
}

/// There is no such series, among these.
fn none(root: &Node, wanted: &str, series: &[Series]) -> InputError {
    let paths = series.iter().map(|series| series.path.clone());
    InputError::NoDataset {
        path: root.path.clone(),
        dataset: wanted.to_owned(),
        found: name_list(paths, "no series of the class RoiResponseSeries"),
    }
}
