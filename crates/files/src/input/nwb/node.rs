//! Groups and datasets of an NWB file, each with the file in which it lies: links lead from one file to others.

use std::path::{Path, PathBuf};

use hdf5::{Dataset, File, Group, LocationType, ObjectReference1, ReferencedObject};

use crate::hdf5_access;
use crate::input::discovery::natural_order;
use crate::input::error::InputError;
use crate::input::hdf5_matrix::{hdf5_error, linked_file, open_file};
use crate::input::hdf5_values::{self, Numbers};

/// A group.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) file: File,
    /// The file in which it lies.
    pub(super) path: PathBuf,
    /// Its name in that file, empty for the root.
    pub(super) name: String,
    group: Group,
}

/// What a name in a group stands for.
#[derive(Debug)]
pub(super) enum Member {
    Group(Node),
    /// A dataset, and the other file in which it lies, if a link leads there.
    Dataset(Option<PathBuf>),
    /// Something else.
    Other,
}

impl Node {
    /// The root of a file.
    ///
    /// # Errors
    /// If it is not a file that the HDF5 library can open.
    pub(super) fn root(path: &Path) -> Result<Self, InputError> {
        let file = open_file(path, "processing")?;
        let group = file
            .group("/")
            .map_err(|error| hdf5_error(path, "/", &error))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            name: String::new(),
            group,
        })
    }

    /// A group that was opened from this one by the name `by`, or by a reference, wherever a link has led.
    fn opened(&self, group: Group, by: &str) -> Result<Self, InputError> {
        let file = group.file();
        let file = file.map_err(|error| hdf5_error(&self.path, by, &error))?;
        let name = match group.name() {
            name if name.is_empty() => by.to_owned(),
            name => name,
        };
        // The library tells the names of files as text only, which this one's need not be.
        let other = group.filename();
        let path = match other == self.file.filename() {
            true => self.path.clone(),
            false => PathBuf::from(other),
        };
        Ok(Self {
            path,
            name: name.trim_matches('/').to_owned(),
            file,
            group,
        })
    }

    /// The name of something in it, within its file.
    pub(super) fn path_of(&self, member: &str) -> String {
        match &self.name[..] {
            "" => member.to_owned(),
            name => format!("{name}/{member}"),
        }
    }

    /// What is in it, in natural order.
    ///
    /// # Errors
    /// If the group cannot be read.
    pub(super) fn names(&self) -> Result<Vec<String>, InputError> {
        let names = self.group.member_names();
        let mut names = names.map_err(|error| hdf5_error(&self.path, &self.name, &error))?;
        names.sort_by(|a, b| natural_order(a, b));
        Ok(names)
    }

    /// Whether it has something of this name, at the other end of a link or not.
    pub(super) fn has(&self, member: &str) -> bool {
        self.group.link_exists(member)
    }

    /// What a name in it stands for; nothing where it is not there.
    ///
    /// # Errors
    /// If a link leads nowhere, or the file cannot be read.
    pub(super) fn member(&self, member: &str) -> Result<Option<Member>, InputError> {
        if !self.has(member) {
            return Ok(None);
        }
        let name = self.path_of(member);
        let linked = linked_file(&self.file, &self.path, &name)?;
        let failed = |error: hdf5::Error| hdf5_error(&self.path, &name, &error);
        let kind = self.file.loc_type_by_name(&name).map_err(failed)?;
        Ok(Some(match kind {
            LocationType::Group => {
                let group = self.file.group(&name).map_err(failed)?;
                Member::Group(self.opened(group, &name)?)
            }
            LocationType::Dataset => Member::Dataset(linked),
            _ => Member::Other,
        }))
    }

    /// The group of this name in it, if there is one.
    ///
    /// # Errors
    /// As [`member`](Self::member).
    pub(super) fn child(&self, member: &str) -> Result<Option<Self>, InputError> {
        Ok(match self.member(member)? {
            Some(Member::Group(node)) => Some(node),
            _ => None,
        })
    }

    /// The group at the end of these names, if there is one.
    ///
    /// # Errors
    /// As [`member`](Self::member).
    pub(super) fn descend(&self, path: &str) -> Result<Option<Self>, InputError> {
        let mut group = Some(self.clone());
        for name in path.split('/').filter(|name| !name.is_empty()) {
            group = match group {
                Some(group) => group.child(name)?,
                None => return Ok(None),
            };
        }
        Ok(group)
    }

    /// The dataset of this name in it, if there is one.
    ///
    /// # Errors
    /// As [`member`](Self::member).
    pub(super) fn dataset(&self, member: &str) -> Result<Option<Dataset>, InputError> {
        if !matches!(self.member(member)?, Some(Member::Dataset(_))) {
            return Ok(None);
        }
        let name = self.path_of(member);
        let dataset = self.file.dataset(&name);
        dataset
            .map(Some)
            .map_err(|error| hdf5_error(&self.path, &name, &error))
    }

    /// All numbers of a small dataset in it, if there is one.
    ///
    /// # Errors
    /// As [`hdf5_values::numbers`].
    pub(super) fn numbers(&self, member: &str) -> Result<Option<Numbers>, InputError> {
        hdf5_values::numbers(&self.file, &self.path, &self.path_of(member))
    }

    /// The text that an attribute of it holds, if there is one.
    pub(super) fn text_attribute(&self, name: &str) -> Option<String> {
        hdf5_values::text_attribute(&self.group, name)
    }

    /// The class of objects of NWB that it says it belongs to, or nothing.
    pub(super) fn neurodata_type(&self) -> String {
        self.text_attribute("neurodata_type").unwrap_or_default()
    }

    /// The group to which an attribute of a dataset in it refers.
    ///
    /// # Errors
    /// If there is no such dataset or attribute, or it refers to something else.
    pub(super) fn referred(&self, member: &str, attribute: &str) -> Result<Self, InputError> {
        let name = self.path_of(member);
        let wrong = |found: String| InputError::Dataset {
            path: self.path.clone(),
            dataset: name.clone(),
            expected: format!("an attribute {attribute} that refers to a table of cells"),
            found,
        };
        let dataset = self.dataset(member)?;
        let dataset = dataset.ok_or_else(|| wrong("no such dataset".to_owned()))?;
        let open = dataset.attr(attribute);
        let open = open.map_err(|error| wrong(hdf5_access::reason(&error)))?;
        if hdf5_access::elements(&open) != 1 {
            return Err(wrong(format!("{} values", hdf5_access::elements(&open))));
        }
        let reference = open.read_raw::<ObjectReference1>();
        let object = reference.and_then(|references| match &references[..] {
            [reference] => dataset.dereference(reference),
            _ => Err("no reference".into()),
        });
        match object {
            Ok(ReferencedObject::Group(group)) => self.opened(group, attribute),
            Ok(_) => Err(wrong("one that refers to something else".to_owned())),
            Err(error) => Err(wrong(hdf5_access::reason(&error))),
        }
    }
}
