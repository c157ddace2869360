//! Whether the files behind a dataset are there: those of a virtual dataset, of which HDF5 gives a fill value for what is lost
//! without an error, and raw files.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use hdf5::plist::dataset_create::Layout;
use hdf5::{Dataset, File};

use super::header::hdf5_error;
use super::links::{Mapping, Target, mappings, target};
use super::raw_files::RawFiles;
use super::regions::{Region, clipped, outside, translate, volume};
use super::unwritten::unwritten_regions;
use crate::hdf5_access::{self, elements, shape_text};
use crate::input::error::InputError;
use crate::regular::other_than_file;
use crate::signature::other_than_hdf5;

/// Deepest nesting of virtual datasets and links that is followed.
const DEEPEST: usize = 8;

/// The file in which the object of this name is, where a link leads from the file to another one.
///
/// # Errors
/// If what the name links to is not there.
pub(in crate::input) fn linked_file(
    file: &File,
    path: &Path,
    name: &str,
) -> Result<Option<PathBuf>, InputError> {
    Sources::new(path, name).check_link(path, file, name, 0)
}

/// Parts of a dataset that have no samples, found by way of its sources.
pub(super) struct Sources<'a> {
    /// The file and dataset that messages are about.
    path: &'a Path,
    dataset: &'a str,
    /// By file and dataset: what was found already.
    known: HashMap<(PathBuf, String), (Vec<usize>, Vec<Region>)>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(path: &'a Path, dataset: &'a str) -> Self {
        Self {
            path,
            dataset,
            known: HashMap::new(),
        }
    }

    /// The regions of a virtual dataset that have no samples: no source is named for them, or the source lacks them.
    ///
    /// # Errors
    /// If a source is lost, or cannot be read.
    pub(super) fn missing(&mut self, dataset: &Dataset) -> Result<Vec<Region>, InputError> {
        self.missing_of(self.path, dataset, 0)
    }

    fn missing_of(
        &mut self,
        path: &Path,
        dataset: &Dataset,
        depth: usize,
    ) -> Result<Vec<Region>, InputError> {
        let failed = |error| hdf5_error(self.path, self.dataset, &error);
        let settings = dataset.dcpl().map_err(failed)?;
        match settings.get_layout().map_err(failed)? {
            Layout::Virtual => self.missing_of_virtual(path, dataset, depth),
            _ => {
                self.check_raw_files(dataset, &RawFiles::of_source(dataset).map_err(failed)?)?;
                unwritten_regions(dataset).map_err(failed)
            }
        }
    }

    fn missing_of_virtual(
        &mut self,
        path: &Path,
        dataset: &Dataset,
        depth: usize,
    ) -> Result<Vec<Region>, InputError> {
        let parts = mappings(dataset);
        let parts = parts.map_err(|error| hdf5_error(self.path, self.dataset, &error))?;
        let shape = dataset.shape();
        let mut missing = Vec::new();
        for part in &parts {
            let found = self.missing_of_part(path, part, depth)?;
            missing.extend(clipped(found, &shape));
        }
        missing.extend(self.without_source(&parts, &shape)?);
        Ok(missing)
    }

    /// The regions of a virtual dataset that one of its parts should fill and does not.
    fn missing_of_part(
        &mut self,
        path: &Path,
        part: &Mapping,
        depth: usize,
    ) -> Result<Vec<Region>, InputError> {
        let source = self.resolve(path, &part.file)?;
        let name = source_of_pattern(part.dataset.as_bytes(), 0);
        let name = String::from_utf8_lossy(&name).into_owned();
        let (shape, missing) = self.source(&source, &name, depth + 1)?;
        let there = part.there.of_shape(&shape);
        let short = match &there.bounds {
            Some(bounds) => {
                let mut axes = bounds.iter().zip(&shape);
                bounds.len() != shape.len()
                    || axes.any(|(bound, extent)| bound.end > *extent)
                    || part.here.bounds.is_some() && there.elements != part.here.elements
            }
            None => false,
        };
        if short {
            let found = format!("its dataset {name} in shape {} only", shape_text(&shape));
            return Err(self.lost(&source, found));
        }
        let translated = missing
            .iter()
            .map(|region| translate(region, &there, &part.here));
        let translated: Option<Vec<_>> = translated.collect();
        let regions = translated.ok_or_else(|| {
            let found = format!("parts of its dataset {name} that were never stored");
            self.lost(&source, found)
        })?;
        Ok(regions.into_iter().flatten().collect())
    }

    /// Shape of a source, and its regions without samples.
    fn source(
        &mut self,
        path: &Path,
        name: &str,
        depth: usize,
    ) -> Result<(Vec<usize>, Vec<Region>), InputError> {
        let key = (path.to_owned(), name.to_owned());
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        if depth > DEEPEST {
            return Err(self.lost(path, "virtual datasets nested too deeply".to_owned()));
        }
        let file = self.open(path)?;
        self.check_link(path, &file, name, depth)?;
        let open = file.dataset(name);
        let open = open.map_err(|_| self.lost(path, format!("no dataset {name} in it")))?;
        let found = (open.shape(), self.missing_of(path, &open, depth)?);
        self.known.insert(key, found.clone());
        Ok(found)
    }

    /// Opens the file of a source.
    ///
    /// # Errors
    /// If it is not an HDF5 file, or cannot be read.
    fn open(&self, path: &Path) -> Result<File, InputError> {
        if let Some(found) = other_than_hdf5(path) {
            return Err(self.lost(path, found));
        }
        let file = hdf5_access::open(path);
        file.map_err(|error| self.lost(path, hdf5_access::reason(&error)))
    }

    /// Checks that what a name of a file links to is there. Returns the file that it is in, where it is another one.
    ///
    /// # Errors
    /// If it is not there.
    pub(super) fn check_link(
        &self,
        path: &Path,
        file: &File,
        name: &str,
        depth: usize,
    ) -> Result<Option<PathBuf>, InputError> {
        match target(file, name) {
            Some(_) if depth > DEEPEST => {
                Err(self.lost(path, "links that follow each other too long".to_owned()))
            }
            Some(Target::Soft(object)) => {
                let object = beside(name, object);
                if !file.link_exists(&object) {
                    return Err(InputError::LostSource {
                        path: self.path.to_owned(),
                        dataset: self.dataset.to_owned(),
                        lost: format!("{object}, to which the soft link {name} leads"),
                        found: match path == self.path {
                            true => "no such object in the file".to_owned(),
                            false => format!("no such object in {}", path.display()),
                        },
                    });
                }
                self.check_link(path, file, &object, depth + 1)
            }
            Some(Target::External { file, object }) => {
                let source =
                    self.resolve_among(&file, candidates(path, &file, "HDF5_EXT_PREFIX"))?;
                let open = self.open(&source)?;
                if !open.link_exists(&object) {
                    return Err(self.lost(&source, format!("no object {object} in it")));
                }
                let further = self.check_link(&source, &open, &object, depth + 1)?;
                Ok(further.or(Some(source)))
            }
            None => Ok(None),
        }
    }

    /// Checks that the raw files with the numbers of a dataset are there and as long as they should be.
    ///
    /// # Errors
    /// If they are not.
    pub(super) fn check_raw_files(
        &self,
        dataset: &Dataset,
        raw_files: &RawFiles,
    ) -> Result<(), InputError> {
        let failed = |error| hdf5_error(self.path, self.dataset, &error);
        let size = dataset.dtype().map_err(failed)?.size();
        let mut left = elements(dataset).saturating_mul(size) as u64;
        for file in &raw_files.files {
            let source = raw_files.place(&file.name);
            // An unlimited file is told as one of no bytes.
            let used = match file.size as u64 {
                0 => left,
                size => size.min(left),
            };
            let needed = (file.offset as u64).saturating_add(used);
            let found = match std::fs::metadata(&source) {
                Ok(found) => match other_than_file(&found) {
                    Some(kind) => Some(kind.to_owned()),
                    None if found.len() < needed => {
                        Some(format!("{} bytes of {needed}", found.len()))
                    }
                    None => None,
                },
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    Some(format!("no such file{}", raw_files.looked_for(&file.name)))
                }
                Err(error) => Some(error.to_string()),
            };
            if let Some(found) = found {
                return Err(self.lost(&source, found));
            }
            left -= used;
        }
        match left {
            _ if raw_files.files.is_empty() => Ok(()),
            0 => Ok(()),
            left => Err(self.lost(&raw_files.path, format!("raw files that lack {left} bytes"))),
        }
    }

    /// The file that HDF5 opens for the source of a virtual dataset.
    fn resolve(&self, path: &Path, file: &OsStr) -> Result<PathBuf, InputError> {
        if file == "." {
            return Ok(path.to_owned());
        }
        let first = source_of_pattern(file.as_bytes(), 0);
        let name = OsStr::from_bytes(&first);
        let found = self.resolve_among(name, candidates(path, name, "HDF5_VDS_PREFIX"))?;
        // A dataset with a pattern of names ends before the first source that is not there.
        let folder = folder_of(&found);
        match gap(file, &folder) {
            Some(lost) => Err(self.lost(&folder.join(lost), "no such file".to_owned())),
            None => Ok(found),
        }
    }

    fn resolve_among(&self, name: &OsStr, candidates: Vec<PathBuf>) -> Result<PathBuf, InputError> {
        let metadata = |candidate: PathBuf| Some((std::fs::metadata(&candidate).ok()?, candidate));
        if let Some((found, candidate)) = candidates.into_iter().find_map(metadata) {
            return match other_than_file(&found) {
                None => Ok(candidate),
                Some(kind) => Err(self.lost(&candidate, kind.to_owned())),
            };
        }
        Err(self.lost(Path::new(name), "no such file".to_owned()))
    }

    /// The regions of a virtual dataset that no part of it fills.
    fn without_source(
        &self,
        parts: &[Mapping],
        shape: &[usize],
    ) -> Result<Vec<Region>, InputError> {
        let all: Region = shape.iter().map(|extent| 0..*extent).collect();
        if parts.iter().any(|part| part.here.bounds.is_none()) {
            // Parts without an end reach as far as their sources do, and so does the dataset.
            return Ok(Vec::new());
        }
        let boxes: Option<Vec<_>> = parts.iter().map(|part| part.here.filled()).collect();
        let unclear = || InputError::Dataset {
            path: self.path.to_owned(),
            dataset: self.dataset.to_owned(),
            expected: "a virtual dataset all of whose parts have a source".to_owned(),
            found: "one with parts that have none".to_owned(),
        };
        match (boxes, shape) {
            (Some(boxes), [rows, columns]) => {
                outside(&boxes, [*rows, *columns]).ok_or_else(unclear)
            }
            _ => {
                let filled = parts.iter().map(|part| part.here.elements);
                let filled = filled.fold(0, usize::saturating_add);
                (filled >= volume(&all)).then(Vec::new).ok_or_else(unclear)
            }
        }
    }

    fn lost(&self, source: &Path, found: String) -> InputError {
        InputError::LostSource {
            path: self.path.to_owned(),
            dataset: self.dataset.to_owned(),
            lost: source.display().to_string(),
            found,
        }
    }
}

/// The object of a soft link of this name, which may be named as the link's group sees it.
fn beside(name: &str, object: String) -> String {
    match name.rsplit_once('/') {
        Some((group, _)) if !object.starts_with('/') => format!("{group}/{object}"),
        _ => object,
    }
}

/// The folders that an environment variable names for the files which others refer to.
fn prefixes(path: &Path, variable: &str) -> impl Iterator<Item = PathBuf> {
    let origin = folder_of(path);
    let value = std::env::var(variable).unwrap_or_default();
    let folders: Vec<PathBuf> = value
        .split(':')
        .filter(|folder| !folder.is_empty() && *folder != ".")
        .map(|folder| match folder.strip_prefix("${ORIGIN}") {
            Some(rest) => origin.join(rest.trim_start_matches('/')),
            None => PathBuf::from(folder),
        })
        .collect();
    folders.into_iter()
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

/// Where HDF5 looks for a file that the file at `path` refers to, in this order.
fn candidates(path: &Path, name: &OsStr, variable: &str) -> Vec<PathBuf> {
    let mut candidates = Vec::new();
    let mut relative = Path::new(name);
    if relative.is_absolute() {
        candidates.push(relative.to_owned());
        relative = relative.file_name().map_or(relative, Path::new);
    }
    candidates.extend(prefixes(path, variable).map(|folder| folder.join(relative)));
    candidates.push(folder_of(path).join(relative));
    candidates.push(relative.to_owned());
    if let Ok(real) = path.canonicalize() {
        candidates.push(folder_of(&real).join(relative));
    }
    candidates
}

/// The name of a source by a pattern of names, in which `%b` is its number, from 0, and `%%` a per cent sign.
fn source_of_pattern(pattern: &[u8], number: usize) -> Vec<u8> {
    let (mut name, mut rest) = (Vec::new(), pattern);
    loop {
        rest = match rest {
            [] => return name,
            [b'%', b'b', rest @ ..] => {
                name.extend(number.to_string().as_bytes());
                rest
            }
            [b'%', b'%', rest @ ..] => {
                name.push(b'%');
                rest
            }
            [byte, rest @ ..] => {
                name.push(*byte);
                rest
            }
        };
    }
}

/// The file of a pattern of names that is not in a folder although one of a higher number is.
fn gap(pattern: &OsStr, folder: &Path) -> Option<PathBuf> {
    let pattern = Path::new(pattern).file_name()?.as_bytes();
    let name = |number| PathBuf::from(OsStr::from_bytes(&source_of_pattern(pattern, number)));
    if name(0) == name(1) {
        return None;
    }
    let (before, after) = {
        let place = pattern.windows(2).position(|pair| pair == b"%b")?;
        let part = |part| source_of_pattern(part, 0);
        (part(&pattern[..place]), part(&pattern[place + 2..]))
    };
    let number = |name: &OsStr| {
        let digits = name
            .as_bytes()
            .strip_prefix(&before[..])?
            .strip_suffix(&after[..])?;
        std::str::from_utf8(digits).ok()?.parse::<usize>().ok()
    };
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut there: Vec<usize> = entries
        .filter_map(|entry| number(&entry.file_name()))
        .collect();
    there.sort_unstable();
    there.dedup();
    let lost = there
        .iter()
        .enumerate()
        .find(|(place, number)| *place != **number);
    lost.map(|(place, _)| name(place))
}

#[cfg(test)]
mod tests;
