//! PyTorch state dictionaries: what `torch.save(network.state_dict(), path)` writes, and nothing else.
//!
//! The file is a zip archive of entries that are stored as they are: `<name>/data.pkl`, a pickle that describes the
//! tensors, and `<name>/data/<key>`, the numbers of each. The pickle may name `OrderedDict`, `_rebuild_tensor_v2` and `FloatStorage`;
//! the rest is refused by name.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use flate2::Crc;

use crate::pickle::{self, Call, Expected, Object, Value};
use crate::zip;

/// Largest `data.pkl` that is read, in bytes; ten tensors take less than 2 KiB.
const MAX_PICKLE_BYTES: usize = 1 << 20;

const MAX_AXES: usize = 8;

const ORDERED_DICT: (&str, &str) = ("collections", "OrderedDict");
const REBUILD_TENSOR: (&str, &str) = ("torch._utils", "_rebuild_tensor_v2");
const FLOAT_STORAGE: (&str, &str) = ("torch", "FloatStorage");
/// What a state dictionary of floats needs.
const NAMES: [(&str, &str); 3] = [ORDERED_DICT, REBUILD_TENSOR, FLOAT_STORAGE];

/// The tensors of a file.
pub(super) struct StateDict<'a> {
    archive: Archive<'a>,
    tensors: HashMap<Rc<str>, Tensor>,
}

/// A view of a storage.
#[derive(Clone, Debug)]
struct Tensor {
    /// Key of the storage and the floats in it.
    storage: (Rc<str>, usize),
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl<'a> StateDict<'a> {
    /// Reads what the tensors are, not yet their numbers.
    ///
    /// # Errors
    /// What was found instead of a state dictionary.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let archive = Archive::parse(bytes)?;
        if let Some(order) = archive.entries.get(&archive.path("byteorder"))
            && archive.read(order)? != b"little"
        {
            return Err("numbers that are not little-endian".into());
        }
        let pickle = archive.find("data.pkl")?;
        if pickle.len() > MAX_PICKLE_BYTES {
            return Err(format!("a data.pkl of {} bytes", pickle.len()));
        }
        let expected = Expected {
            names: &NAMES,
            keys: None,
            plain: |_, _| None,
        };
        let dictionary = pickle::read(io::Cursor::new(pickle), 0, pickle.len() as u64, expected)?;
        let mut tensors = HashMap::new();
        collect(&dictionary, &mut tensors)?;
        Ok(Self { archive, tensors })
    }

    /// The shape of a tensor.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.tensors.get(name)?.shape)
    }

    /// The numbers of a tensor in row-major order; its shape is to be checked before.
    ///
    /// # Errors
    /// What was found instead.
    pub(super) fn load(&self, name: &str) -> Result<Vec<f32>, String> {
        let tensor = self.tensors.get(name).ok_or("no such tensor")?;
        let (key, floats) = &tensor.storage;
        let bytes = self.archive.find(&format!("data/{key}"))?;
        if floats.checked_mul(4) != Some(bytes.len()) {
            return Err(format!("{} bytes for {floats} floats", bytes.len()));
        }
        let steps = || tensor.shape.iter().zip(&tensor.strides);
        let last = steps().try_fold(tensor.offset, |place, (extent, stride)| {
            place.checked_add(extent.checked_sub(1)?.checked_mul(*stride)?)
        });
        let count =
            (tensor.shape.iter()).try_fold(1_usize, |count, extent| count.checked_mul(*extent));
        let count =
            count.filter(|count| count <= floats && last.is_some_and(|last| last < *floats));
        let Some(count) = count else {
            return Err(format!(
                "shape {:?} with strides {:?} from {} in {floats} floats",
                tensor.shape, tensor.strides, tensor.offset
            ));
        };
        let value = |index: usize| {
            let (place, _) = steps()
                .rev()
                .fold((tensor.offset, index), |(place, rest), (extent, stride)| {
                    (place + rest % extent * stride, rest / extent)
                });
            let bytes = bytes[place * 4..].first_chunk().copied();
            f32::from_le_bytes(bytes.unwrap_or_default())
        };
        Ok((0..count).map(value).collect())
    }
}

/// A zip archive of entries that are stored as they are.
struct Archive<'a> {
    bytes: &'a [u8],
    /// The folder of all entries.
    folder: String,
    entries: HashMap<String, zip::Entry>,
}

impl<'a> Archive<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let mut entries = HashMap::new();
        for entry in zip::directory(bytes)? {
            if entry.method != zip::Method::Stored {
                return Err(format!("{} compressed", entry.name));
            }
            entries.insert(entry.name.clone(), entry);
        }
        let mut pickles = entries
            .keys()
            .filter_map(|name| name.strip_suffix("data.pkl"));
        let folder = pickles.next().ok_or("no data.pkl")?.to_owned();
        if pickles.next().is_some() {
            return Err("more than one data.pkl".into());
        }
        Ok(Self {
            bytes,
            folder,
            entries,
        })
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }

    fn find(&self, name: &str) -> Result<&'a [u8], String> {
        let entry = self.entries.get(&self.path(name));
        let read = self.read(entry.ok_or_else(|| format!("no {name}"))?);
        read.map_err(|found| format!("{found} in {name}"))
    }

    fn read(&self, entry: &zip::Entry) -> Result<&'a [u8], String> {
        let start = entry.start(self.bytes)? as usize;
        let bytes = &self.bytes[start..][..entry.length as usize];
        let mut crc = Crc::new();
        crc.update(bytes);
        match crc.sum() == entry.crc {
            true => Ok(bytes),
            false => Err("a wrong checksum".into()),
        }
    }
}

/// Collects the tensors that a pickled state dictionary names, and those of dictionaries in it.
fn collect(dictionary: &Value, tensors: &mut HashMap<Rc<str>, Tensor>) -> Result<(), String> {
    let items = items(dictionary).ok_or("something other than a dictionary")?;
    for [name, value] in items.pairs().iter() {
        match (name, value) {
            (Value::Text(name), Value::Call(call)) if NAMES[call.name] == REBUILD_TENSOR => {
                let tensor = Tensor::of(call).ok_or("a tensor of other parts")?;
                if tensors.insert(Rc::from(&**name), tensor).is_some() {
                    return Err(format!("{name:?} twice"));
                }
            }
            (Value::Text(_), Value::Integer(_) | Value::None | Value::Bool(_)) => {}
            // The machine bounds how deep values are nested.
            (Value::Text(_), inner) if self::items(inner).is_some() => collect(inner, tensors)?,
            _ => return Err("an entry that is no tensor".into()),
        }
    }
    Ok(())
}

/// Keys and values of a dictionary.
fn items(dictionary: &Value) -> Option<&Object> {
    match dictionary {
        Value::Dict(items) => Some(items),
        Value::Call(call) => {
            let is_empty = call.arguments.values().is_empty();
            (NAMES[call.name] == ORDERED_DICT && is_empty).then_some(&call.object)
        }
        _ => None,
    }
}

impl Tensor {
    /// The tensor that a call would make.
    fn of(call: &Call) -> Option<Self> {
        let arguments = call.arguments.values();
        let [
            Value::Persistent(storage),
            Value::Integer(offset),
            shape,
            strides,
            ..,
        ] = &arguments[..]
        else {
            return None;
        };
        let (shape, strides) = (integers(shape)?, integers(strides)?);
        (shape.len() == strides.len() && shape.len() <= MAX_AXES).then_some(Self {
            storage: storage_of(&storage.values())?,
            offset: usize::try_from(*offset).ok()?,
            shape,
            strides,
        })
    }
}

/// The key of a storage of floats, and how many it has.
fn storage_of(id: &[Value]) -> Option<(Rc<str>, usize)> {
    let [parts] = id else {
        return None;
    };
    match &parts.elements()?[..] {
        [
            Value::Text(kind),
            Value::Global(class),
            Value::Text(key),
            Value::Text(_),
            Value::Integer(floats),
        ] if &**kind == "storage" && NAMES[*class] == FLOAT_STORAGE => {
            Some((Rc::from(&**key), usize::try_from(*floats).ok()?))
        }
        _ => None,
    }
}

fn integers(tuple: &Value) -> Option<Vec<usize>> {
    let elements = tuple.elements()?;
    let each = elements.iter().map(|value| match value {
        Value::Integer(value) => usize::try_from(*value).ok(),
        _ => None,
    });
    each.collect()
}

#[cfg(test)]
mod tests;
