//! What the metadata of a Zarr array or group say, of version 2 and 3: `zarr.json`, or `.zarray`, `.zgroup` and `.zattrs`.
//!
//! Consolidated metadata are not needed: they repeat what lies beside the arrays.

use std::fs::Metadata;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::codecs::{self, Coding};
use super::numbers;
use crate::input::error::InputError;
use crate::input::number_type::NumberType;
use crate::regular;

/// The largest file of metadata that is read: consolidated metadata of many arrays are some MB.
const LARGEST: u64 = 32 << 20;

/// What a folder of a Zarr store is.
#[derive(Debug)]
pub(super) enum Node {
    Array(Box<ArrayHeader>),
    Group(Group),
}

/// A group, as its metadata describe it.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// The files that say this.
    pub files: Vec<PathBuf>,
    pub attributes: Map<String, Value>,
}

/// An array, as its metadata describe it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ArrayHeader {
    /// Its folder.
    pub path: PathBuf,
    /// The files that say this.
    pub files: Vec<PathBuf>,
    pub shape: Vec<usize>,
    /// Extents of the chunks that have files of their own.
    pub chunk: Vec<usize>,
    pub numbers: NumberType,
    /// The value of what was never stored.
    pub fill: f64,
    pub keys: Keys,
    pub coding: Coding,
    /// The names of its axes, where they have names.
    pub names: Vec<Option<String>>,
    pub attributes: Map<String, Value>,
}

/// How the files of chunks are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keys {
    /// Whether the places of a chunk follow a `c`.
    pub prefix: bool,
    pub separator: char,
}

impl Keys {
    /// The file of a chunk in the folder of its array.
    pub(super) fn file(self, folder: &Path, place: &[usize]) -> PathBuf {
        let prefix = self.prefix.then(|| "c".to_owned());
        let places = place.iter().map(usize::to_string);
        let parts: Vec<String> = prefix.into_iter().chain(places).collect();
        match (self.separator, parts.is_empty()) {
            (_, true) => folder.join("0"),
            ('/', _) => parts
                .iter()
                .fold(folder.to_owned(), |path, part| path.join(part)),
            _ => folder.join(parts.join(".")),
        }
    }
}

/// `zarr.json`: what arrays and groups have.
#[derive(Deserialize)]
struct Version3 {
    zarr_format: u64,
    node_type: String,
    #[serde(default)]
    attributes: Option<Map<String, Value>>,
    shape: Option<Vec<u64>>,
    data_type: Option<Value>,
    chunk_grid: Option<Value>,
    chunk_key_encoding: Option<Value>,
    #[serde(default)]
    fill_value: Value,
    codecs: Option<Vec<Value>>,
    #[serde(default)]
    dimension_names: Option<Vec<Option<String>>>,
    #[serde(default)]
    storage_transformers: Vec<Value>,
}

/// `.zarray`.
#[derive(Deserialize)]
struct Version2 {
    zarr_format: u64,
    shape: Vec<u64>,
    chunks: Vec<u64>,
    dtype: Value,
    #[serde(default)]
    compressor: Option<Value>,
    #[serde(default)]
    fill_value: Value,
    order: String,
    #[serde(default)]
    filters: Option<Vec<Value>>,
    #[serde(default)]
    dimension_separator: Option<String>,
}

/// A file that is or should be one of Zarr metadata, for messages.
const WHAT: &str = "Zarr metadata";

impl Node {
    /// Reads the metadata of a folder; nothing where it has none.
    ///
    /// # Errors
    /// If they are damaged, or of an array that cannot be read here.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, InputError> {
        let path = folder.join("zarr.json");
        if let Some(found) = read_json::<Version3>(&path)? {
            let node = Self::of_version_3(folder, &path, found);
            return node.map(Some).map_err(|found| damaged(&path, found));
        }
        let path = folder.join(".zarray");
        let attributes = || {
            let path = folder.join(".zattrs");
            let found = read_json::<Map<String, Value>>(&path)?;
            Ok(found.map(|attributes| (path, attributes)))
        };
        if let Some(found) = read_json::<Version2>(&path)? {
            let attributes = attributes()?;
            let array = ArrayHeader::of_version_2(folder, &path, found, attributes);
            let array = array.map_err(|found| damaged(&path, found))?;
            return Ok(Some(Self::Array(Box::new(array))));
        }
        let path = folder.join(".zgroup");
        if read_json::<Map<String, Value>>(&path)?.is_none() {
            return Ok(None);
        }
        let (attributes_file, attributes) = attributes()?.unzip();
        Ok(Some(Self::Group(Group {
            files: [path].into_iter().chain(attributes_file).collect(),
            attributes: attributes.unwrap_or_default(),
        })))
    }

    fn of_version_3(folder: &Path, path: &Path, found: Version3) -> Result<Self, String> {
        if found.zarr_format != 3 {
            return Err(format!("version {}", found.zarr_format));
        }
        match found.node_type.as_str() {
            "group" => Ok(Self::Group(Group {
                files: vec![path.to_owned()],
                attributes: found.attributes.unwrap_or_default(),
            })),
            "array" => ArrayHeader::of_version_3(folder, path, found)
                .map(|array| Self::Array(Box::new(array))),
            other => Err(format!("a node of type {other:?}")),
        }
    }
}

impl ArrayHeader {
    fn of_version_3(folder: &Path, path: &Path, found: Version3) -> Result<Self, String> {
        let missing = |what| move || format!("no {what}");
        if !found.storage_transformers.is_empty() {
            return Err("storage transformers, which are not read here".to_owned());
        }
        let shape = extents(&found.shape.ok_or_else(missing("shape"))?)?;
        let grid = found.chunk_grid.ok_or_else(missing("chunk_grid"))?;
        let (name, grid) = named(&grid).ok_or("a chunk grid without a name")?;
        if name != "regular" {
            return Err(format!("a chunk grid {name:?}, which is not read here"));
        }
        let chunk = numbers_of(grid.get("chunk_shape")).ok_or_else(missing("chunk_shape"))?;
        let data_type = found.data_type.ok_or_else(missing("data_type"))?;
        let mut numbers = numbers::of_version_3(&data_type)?;
        let encoding = found.chunk_key_encoding;
        let keys = Keys::of_version_3(&encoding.ok_or_else(missing("chunk_key_encoding"))?)?;
        let codecs = found.codecs.ok_or_else(missing("codecs"))?;
        let (coding, big_endian) = Coding::of_version_3(&codecs, shape.len(), numbers.bytes)?;
        numbers.big_endian = big_endian;
        let array = Self {
            path: folder.to_owned(),
            files: vec![path.to_owned()],
            chunk: extents(&chunk)?,
            fill: numbers::fill(numbers, &found.fill_value)?,
            numbers,
            keys,
            coding,
            names: found.dimension_names.unwrap_or_default(),
            attributes: found.attributes.unwrap_or_default(),
            shape,
        };
        array.checked()
    }

    fn of_version_2(
        folder: &Path,
        path: &Path,
        found: Version2,
        attributes: Option<(PathBuf, Map<String, Value>)>,
    ) -> Result<Self, String> {
        if found.zarr_format != 2 {
            return Err(format!("version {}", found.zarr_format));
        }
        let shape = extents(&found.shape)?;
        let numbers = numbers::of_version_2(&found.dtype)?;
        let filters = found.filters.unwrap_or_default();
        let steps = filters.iter().chain(&found.compressor);
        let steps = codecs::steps_of_version_2(steps, numbers.bytes)?;
        let separator = found.dimension_separator.as_deref().unwrap_or(".");
        let mut files = vec![path.to_owned()];
        let (attributes_file, attributes) = attributes.unzip();
        files.extend(attributes_file);
        let attributes = attributes.unwrap_or_default();
        let array = Self {
            path: folder.to_owned(),
            files,
            chunk: extents(&found.chunks)?,
            fill: numbers::fill(numbers, &found.fill_value)?,
            numbers,
            keys: Keys {
                prefix: false,
                separator: separator_of(separator)?,
            },
            coding: Coding::of_version_2(&found.order, shape.len(), steps)?,
            names: dimensions(&attributes),
            attributes,
            shape,
        };
        array.checked()
    }

    /// The array, if its extents fit each other and chunks are of a size that can be read.
    fn checked(mut self) -> Result<Self, String> {
        let axes = self.shape.len();
        if self.names.is_empty() {
            self.names = dimensions(&self.attributes);
        }
        self.names.resize(axes, None);
        if self.chunk.len() != axes {
            return Err(format!(
                "chunks with {} axes of {axes} axes",
                self.chunk.len()
            ));
        }
        if self.chunk.contains(&0) {
            return Err("chunks without extent".to_owned());
        }
        self.coding.check(&self.chunk, self.numbers.bytes)?;
        let elements = self
            .shape
            .iter()
            .try_fold(1_usize, |all, extent| all.checked_mul(*extent));
        let bytes = elements.and_then(|elements| elements.checked_mul(self.numbers.bytes));
        match bytes {
            Some(_) => Ok(self),
            None => Err(format!("the shape {:?}", self.shape)),
        }
    }

    /// Axis `k` of what is stored of a chunk is axis `stored_order()[k]` of the array.
    pub(super) fn stored_order(&self) -> Vec<usize> {
        let order = &self.coding.order;
        match &self.coding.shards {
            Some(shards) => shards.order.iter().map(|axis| order[*axis]).collect(),
            None => order.clone(),
        }
    }

    /// How many chunks there are along each axis.
    pub(super) fn grid(&self) -> impl Iterator<Item = usize> {
        let axes = self.shape.iter().zip(&self.chunk);
        axes.map(|(extent, chunk)| extent.div_ceil(*chunk))
    }
}

impl Keys {
    fn of_version_3(encoding: &Value) -> Result<Self, String> {
        let (name, configuration) = named(encoding).ok_or("chunk keys without a name")?;
        let (prefix, usual) = match name {
            "default" => (true, "/"),
            "v2" => (false, "."),
            other => return Err(format!("chunk keys {other:?}, which are not read here")),
        };
        let separator = configuration.get("separator").and_then(Value::as_str);
        Ok(Self {
            prefix,
            separator: separator_of(separator.unwrap_or(usual))?,
        })
    }
}

fn separator_of(separator: &str) -> Result<char, String> {
    match separator {
        "." => Ok('.'),
        "/" => Ok('/'),
        other => Err(format!("chunk keys separated by {other:?}")),
    }
}

/// A name, and the configuration that belongs to it.
pub(super) fn named(value: &Value) -> Option<(&str, &Map<String, Value>)> {
    static NOTHING: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    if let Some(name) = value.as_str() {
        return Some((name, &NOTHING));
    }
    let configuration = value.get("configuration").and_then(Value::as_object);
    let name = value.get("name")?.as_str()?;
    Some((name, configuration.unwrap_or(&NOTHING)))
}

/// Whole numbers, if a value is a list of them.
pub(super) fn numbers_of(value: Option<&Value>) -> Option<Vec<u64>> {
    let values = value?.as_array()?;
    values.iter().map(Value::as_u64).collect()
}

/// Extents as this machine counts.
pub(super) fn extents(extents: &[u64]) -> Result<Vec<usize>, String> {
    let extents = extents.iter().map(|extent| usize::try_from(*extent));
    extents
        .collect::<Result<_, _>>()
        .map_err(|_| "extents beyond what this machine counts to".to_owned())
}

/// Names of axes as xarray writes them.
fn dimensions(attributes: &Map<String, Value>) -> Vec<Option<String>> {
    let names = attributes
        .get("_ARRAY_DIMENSIONS")
        .and_then(Value::as_array);
    let names = names.into_iter().flatten();
    names.map(|name| name.as_str().map(str::to_owned)).collect()
}

/// The error of a file of metadata.
pub(super) fn damaged(path: &Path, found: impl Into<String>) -> InputError {
    InputError::File {
        path: path.to_owned(),
        what: WHAT,
        found: found.into(),
    }
}

/// Reads a file of metadata; nothing where there is none.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, InputError> {
    let size = match std::fs::metadata(path) {
        Ok(metadata) => Metadata::len(&metadata),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(damaged(path, error.to_string())),
    };
    if size > LARGEST {
        return Err(damaged(path, format!("{size} bytes")));
    }
    let file = regular::open(path).map_err(|error| damaged(path, error.to_string()))?;
    let mut text = Vec::new();
    let read = file.take(LARGEST).read_to_end(&mut text);
    read.map_err(|error| damaged(path, error.to_string()))?;
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| damaged(path, format!("damaged text ({error})")))
}
