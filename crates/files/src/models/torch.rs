//! PyTorch state dictionaries: what `torch.save(network.state_dict(), path)` writes, and nothing else.
//!
//! The file is a zip archive of entries that are stored as they are: `<name>/data.pkl`, a pickle that describes the
//! tensors, and `<name>/data/<key>`, the numbers of each. The pickle may name `OrderedDict`, `_rebuild_tensor_v2` and `FloatStorage`;
//! the rest is refused by name.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use flate2::Crc;

use crate::pickle::{self, Call, Expected, Value};

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
        let tensors = tensors(&dictionary)?;
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

/// Bytes that are read from the front.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("an early end")?;
        self.0 = rest;
        Ok(taken)
    }

    /// A little-endian number of up to 8 bytes.
    fn number(&mut self, bytes: usize) -> Result<usize, String> {
        let bytes = self.take(bytes)?.iter().rev();
        Ok(bytes.fold(0, |number, &byte| number << 8 | usize::from(byte)))
    }
}

/// A zip archive.
struct Archive<'a> {
    bytes: &'a [u8],
    /// The folder of all entries.
    folder: String,
    entries: HashMap<String, Entry>,
}

struct Entry {
    local_header: usize,
    length: usize,
    crc: u32,
}

impl<'a> Archive<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        const END: usize = 22;
        let marks = bytes.windows(END).rev().take(END + usize::from(u16::MAX));
        let end = marks.into_iter().find(|end| end.starts_with(b"PK\x05\x06"));
        let mut end = Cursor(end.ok_or("no zip archive")?);
        end.take(10)?;
        let (count, length, start) = (end.number(2)?, end.number(4)?, end.number(4)?);
        let directory = bytes.get(start..).and_then(|rest| rest.get(..length));
        let mut directory = Cursor(directory.ok_or("a directory outside the archive")?);
        let mut entries = HashMap::new();
        for _ in 0..count {
            let (name, entry) = Entry::parse(&mut directory)?;
            if entries.insert(name.clone(), entry).is_some() {
                return Err(format!("{name} twice"));
            }
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

    fn read(&self, entry: &Entry) -> Result<&'a [u8], String> {
        let local = self.bytes.get(entry.local_header..);
        let mut local = Cursor(local.ok_or("an early end")?);
        if local.take(4)? != b"PK\x03\x04" {
            return Err("no header".into());
        }
        local.take(22)?;
        let (name, extra) = (local.number(2)?, local.number(2)?);
        local.take(name + extra)?;
        let bytes = local.take(entry.length)?;
        let mut crc = Crc::new();
        crc.update(bytes);
        match crc.sum() == entry.crc {
            true => Ok(bytes),
            false => Err("a wrong checksum".into()),
        }
    }
}

impl Entry {
    /// An entry of the archive's directory, with its name.
    fn parse(directory: &mut Cursor) -> Result<(String, Self), String> {
        if directory.take(4)? != b"PK\x01\x02" {
            return Err("a damaged directory".into());
        }
        directory.take(4)?;
        let (flags, method) = (directory.number(2)?, directory.number(2)?);
        directory.take(4)?;
        let crc = directory.number(4)? as u32;
        let (stored, length) = (directory.number(4)?, directory.number(4)?);
        let names = [
            directory.number(2)?,
            directory.number(2)?,
            directory.number(2)?,
        ];
        directory.take(8)?;
        let local_header = directory.number(4)?;
        let name = String::from_utf8_lossy(directory.take(names[0])?).into_owned();
        directory.take(names[1] + names[2])?;
        if method != 0 || flags & 1 != 0 || stored != length {
            return Err(format!("{name} compressed or encrypted"));
        }
        let entry = Self {
            local_header,
            length,
            crc,
        };
        Ok((name, entry))
    }
}

/// The tensors that a pickled state dictionary names.
fn tensors(dictionary: &Value) -> Result<HashMap<Rc<str>, Tensor>, String> {
    let items = match dictionary {
        Value::Dict(items) => items,
        Value::Call(call) if is_dictionary(call) => &call.object,
        _ => return Err("something other than a dictionary".into()),
    };
    let mut tensors = HashMap::new();
    for [name, value] in items.pairs().iter() {
        match (name, value) {
            (Value::Text(name), Value::Call(call)) if NAMES[call.name] == REBUILD_TENSOR => {
                let tensor = Tensor::of(call).ok_or("a tensor of other parts")?;
                if tensors.insert(Rc::from(&**name), tensor).is_some() {
                    return Err(format!("{name:?} twice"));
                }
            }
            (Value::Text(_), Value::Integer(_) | Value::None | Value::Bool(_) | Value::Dict(_)) => {
            }
            (Value::Text(_), Value::Call(call)) if is_dictionary(call) => {}
            _ => return Err("an entry that is no tensor".into()),
        }
    }
    Ok(tensors)
}

/// Whether a call makes a dictionary that is filled afterwards.
fn is_dictionary(call: &Call) -> bool {
    NAMES[call.name] == ORDERED_DICT && call.arguments.values().is_empty()
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
