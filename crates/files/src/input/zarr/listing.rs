//! The arrays of a Zarr store, or of a folder with arrays in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::metadata::{ArrayHeader, Group, Node};
use crate::input::error::InputError;
use crate::input::form::{entries, file_name};

/// How deep groups are looked into.
const DEPTH: usize = 6;
/// Folders that are looked at, at most.
const FOLDERS: usize = 4096;

/// The arrays at and below a folder.
#[derive(Debug)]
pub(super) struct Listing {
    /// The folder.
    pub folder: PathBuf,
    pub arrays: Vec<Listed>,
    /// Names and folders of those whose metadata cannot be read.
    pub unreadable: Vec<(String, PathBuf)>,
}

/// An array of a store.
#[derive(Debug)]
pub(super) struct Listed {
    /// Its path within the folder, with `/` between the parts; its own name where it is the folder.
    pub name: String,
    pub header: ArrayHeader,
    /// The groups around it, the innermost first.
    pub groups: Vec<Rc<Group>>,
}

/// The last part of a name, without `.zarr`, in small letters.
pub(super) fn short_name(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or_default();
    let name = name.strip_suffix(".zarr").unwrap_or(name);
    name.to_lowercase()
}

impl Listed {
    /// Rows and columns of an array with two axes.
    pub(super) fn matrix_shape(&self) -> Option<[usize; 2]> {
        self.header.shape[..].try_into().ok()
    }

    /// Its name and shape, for messages.
    pub(super) fn described(&self) -> String {
        let extents: Vec<String> = self.header.shape.iter().map(usize::to_string).collect();
        format!("{} ({})", self.name, extents.join(", "))
    }
}

/// Whether a folder has metadata of Zarr itself.
pub(super) fn is_node(folder: &Path) -> bool {
    let names = ["zarr.json", ".zarray", ".zgroup"];
    names.iter().any(|name| folder.join(name).is_file())
}

impl Listing {
    /// Lists what is at and below a folder. A folder that is no group may hold arrays, but of its folders only those that are arrays or
    /// groups are looked into.
    pub(super) fn of(folder: &Path) -> Self {
        let mut listing = Self {
            folder: folder.to_owned(),
            arrays: Vec::new(),
            unreadable: Vec::new(),
        };
        let mut left = FOLDERS;
        listing.add(folder, &mut Vec::new(), &mut Vec::new(), &mut left);
        listing
    }

    /// As [`of`](Self::of), for a group or folder; of an array, what is in the folder around it, which may have its positions, and the
    /// name of the array there.
    pub(super) fn around(place: &Path) -> (Self, Option<String>) {
        let listing = Self::of(place);
        let is_itself = |listed: &Listed| listed.header.path == place;
        if let [array] = &listing.arrays[..]
            && is_itself(array)
            && let Some(parent) = place.parent()
        {
            let here = Path::new(".");
            let parent = if parent.as_os_str().is_empty() {
                here
            } else {
                parent
            };
            let around = Self::of(parent);
            let name = file_name(place);
            if around.arrays.iter().any(|listed| listed.name == name) {
                return (around, Some(name));
            }
        }
        (listing, None)
    }

    /// Fails if an array or group cannot be read whose name fits.
    ///
    /// # Errors
    /// What is wrong with its metadata.
    pub(super) fn check_unreadable(&self, fits: &dyn Fn(&str) -> bool) -> Result<(), InputError> {
        let mut unreadable = self.unreadable.iter();
        match unreadable.find(|(name, _)| fits(name)) {
            Some((_, folder)) => Node::read(folder).map(|_| ()),
            None => Ok(()),
        }
    }

    fn add(
        &mut self,
        folder: &Path,
        parts: &mut Vec<String>,
        groups: &mut Vec<Rc<Group>>,
        left: &mut usize,
    ) {
        let name = match parts.is_empty() {
            true => file_name(folder),
            false => parts.join("/"),
        };
        match Node::read(folder) {
            Err(_) => return self.unreadable.push((name, folder.to_owned())),
            Ok(Some(Node::Array(mut header))) => {
                let around = groups.iter().rev();
                header
                    .files
                    .extend(around.clone().flat_map(|group| group.files.clone()));
                return self.arrays.push(Listed {
                    name,
                    groups: around.cloned().collect(),
                    header: *header,
                });
            }
            Ok(Some(Node::Group(group))) => groups.push(Rc::new(group)),
            Ok(None) => groups.push(Rc::default()),
        }
        if parts.len() < DEPTH {
            for entry in entries(folder) {
                let is_below = fs::metadata(&entry).is_ok_and(|found| found.is_dir());
                if !is_below || !is_node(&entry) {
                    continue;
                }
                let Some(fewer) = left.checked_sub(1) else {
                    break;
                };
                *left = fewer;
                parts.push(file_name(&entry));
                self.add(&entry, parts, groups, left);
                parts.pop();
            }
        }
        groups.pop();
    }
}
