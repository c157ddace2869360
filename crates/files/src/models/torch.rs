//! PyTorch state dictionaries: what `torch.save(network.state_dict(), path)` writes, and nothing else.
//!
//! The file is a zip archive of entries that are stored as they are: `<name>/data.pkl`, a pickle that describes the
//! tensors, and `<name>/data/<key>`, the numbers of each. A pickle is a program for a stack machine that can call
//! anything Python has. This one knows `OrderedDict`, `_rebuild_tensor_v2` and `FloatStorage` and refuses the rest by name.

use std::collections::HashMap;
use std::rc::Rc;

use flate2::Crc;

/// Largest `data.pkl` that is read, in bytes; ten tensors take less than 2 KiB.
const MAX_PICKLE_BYTES: usize = 1 << 20;

const MAX_AXES: usize = 8;

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
        let tensors = Machine::new(pickle).run()?;
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

    fn line(&mut self) -> Result<&'a str, String> {
        let length = self.0.iter().position(|&byte| byte == b'\n');
        let line = self.take(length.ok_or("a line without an end")?)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| "a name that is not UTF-8".into())
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

/// What a pickle may put on the stack.
#[derive(Clone)]
enum Value {
    Integer(usize),
    Other,
    Text(Rc<str>),
    OrderedDict,
    RebuildTensor,
    FloatStorage,
    /// The dictionary of the tensors, or one beside it.
    Dict,
    /// Of which only the elements may be tuples.
    Tuple(Rc<[Value]>),
    Storage(Rc<str>, usize),
    Tensor(Rc<Tensor>),
}

/// The stack machine.
struct Machine<'a> {
    program: Cursor<'a>,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<usize, Value>,
    tensors: HashMap<Rc<str>, Tensor>,
}

impl<'a> Machine<'a> {
    fn new(program: &'a [u8]) -> Self {
        Self {
            program: Cursor(program),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            tensors: HashMap::new(),
        }
    }

    fn run(mut self) -> Result<HashMap<Rc<str>, Tensor>, String> {
        loop {
            let opcode = self.program.take(1)?[0];
            match opcode {
                b'.' => break,                       // STOP
                0x80 => drop(self.program.take(1)?), // PROTO
                b'K' => self.integer(1)?,
                b'M' => self.integer(2)?,
                b'J' => self.integer(4)?,
                b'X' => {
                    let length = self.program.number(4)?;
                    let text = std::str::from_utf8(self.program.take(length)?);
                    let text = text.map_err(|_| "text that is not UTF-8")?;
                    self.stack.push(Value::Text(text.into()));
                }
                b'c' => self.global()?,
                b'q' => self.remember(1)?,
                b'r' => self.remember(4)?,
                b'h' => self.recall(1)?,
                b'j' => self.recall(4)?,
                b'(' => self.marks.push(self.stack.len()),
                b')' => self.tuple(0)?,
                0x85..=0x87 => self.tuple(usize::from(opcode - 0x84))?,
                b't' => {
                    let count = self.since_mark()?;
                    self.tuple(count)?;
                }
                b'N' | 0x88 | 0x89 => self.stack.push(Value::Other), // None, True, False
                b'}' => self.stack.push(Value::Dict),
                b's' => self.set_items(2)?,
                b'u' => {
                    let count = self.since_mark()?;
                    self.set_items(count)?;
                }
                b'R' => self.call()?,
                b'Q' => self.persistent()?,
                // BUILD: PyTorch's attributes of the dictionary, which say nothing of the tensors.
                b'b' => match self.pop(2)?[..] {
                    [Value::Dict, Value::Dict] => self.stack.push(Value::Dict),
                    _ => return Err("attributes of something else".into()),
                },
                other => return Err(format!("opcode {other:#04x} in data.pkl")),
            }
        }
        match self.stack[..] {
            [Value::Dict] => Ok(self.tensors),
            _ => Err("something other than a dictionary".into()),
        }
    }

    fn integer(&mut self, bytes: usize) -> Result<(), String> {
        let value = self.program.number(bytes)?;
        if value > i32::MAX as usize {
            return Err("a negative number".into());
        }
        self.stack.push(Value::Integer(value));
        Ok(())
    }

    fn global(&mut self) -> Result<(), String> {
        let (module, name) = (self.program.line()?, self.program.line()?);
        self.stack.push(match (module, name) {
            ("collections", "OrderedDict") => Value::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Value::RebuildTensor,
            ("torch", "FloatStorage") => Value::FloatStorage,
            _ => {
                return Err(format!(
                    "{:?}, which is not used",
                    format!("{module}.{name}")
                ));
            }
        });
        Ok(())
    }

    fn remember(&mut self, bytes: usize) -> Result<(), String> {
        let key = self.program.number(bytes)?;
        let top = self.stack.last().ok_or("an empty stack")?;
        self.memo.insert(key, top.clone());
        Ok(())
    }

    fn recall(&mut self, bytes: usize) -> Result<(), String> {
        let key = self.program.number(bytes)?;
        let value = self.memo.get(&key).ok_or("a reference to nothing")?;
        self.stack.push(value.clone());
        Ok(())
    }

    fn pop(&mut self, count: usize) -> Result<Vec<Value>, String> {
        let below = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= below => Ok(self.stack.split_off(start)),
            _ => Err("an empty stack".into()),
        }
    }

    /// Removes the topmost mark; returns how many values are above it.
    fn since_mark(&mut self) -> Result<usize, String> {
        let mark = self.marks.pop().ok_or("no mark")?;
        Ok(self.stack.len() - mark)
    }

    fn tuple(&mut self, count: usize) -> Result<(), String> {
        let elements = self.pop(count)?;
        let nests = |value: &Value| matches!(value, Value::Tuple(_));
        let deep = elements
            .iter()
            .any(|element| matches!(element, Value::Tuple(inner) if inner.iter().any(nests)));
        if deep {
            return Err("tuples in tuples in tuples".into());
        }
        self.stack.push(Value::Tuple(elements.into()));
        Ok(())
    }

    fn set_items(&mut self, count: usize) -> Result<(), String> {
        let items = self.pop(count)?;
        let (pairs, rest) = items.as_chunks();
        if !rest.is_empty() || !matches!(self.stack.last(), Some(Value::Dict)) {
            return Err("items of something else".into());
        }
        for pair in pairs {
            match pair {
                [Value::Text(name), Value::Tensor(tensor)] => {
                    let tensor = Tensor::clone(tensor);
                    if self.tensors.insert(name.clone(), tensor).is_some() {
                        return Err(format!("{name:?} twice"));
                    }
                }
                [
                    Value::Text(_),
                    Value::Integer(_) | Value::Other | Value::Dict,
                ] => {}
                _ => return Err("an entry that is no tensor".into()),
            }
        }
        Ok(())
    }

    fn call(&mut self) -> Result<(), String> {
        let result = match &self.pop(2)?[..] {
            [Value::OrderedDict, Value::Tuple(none)] if none.is_empty() => Value::Dict,
            [Value::RebuildTensor, Value::Tuple(arguments)] => match &arguments[..] {
                [
                    Value::Storage(key, floats),
                    Value::Integer(offset),
                    Value::Tuple(shape),
                    Value::Tuple(strides),
                    ..,
                ] if shape.len() == strides.len() && shape.len() <= MAX_AXES => {
                    Value::Tensor(Rc::new(Tensor {
                        storage: (key.clone(), *floats),
                        offset: *offset,
                        shape: integers(shape)?,
                        strides: integers(strides)?,
                    }))
                }
                _ => return Err("a tensor of other parts".into()),
            },
            _ => return Err("a call of something else".into()),
        };
        self.stack.push(result);
        Ok(())
    }

    fn persistent(&mut self) -> Result<(), String> {
        let storage = match &self.pop(1)?[..] {
            [Value::Tuple(parts)] => match &parts[..] {
                [
                    Value::Text(kind),
                    Value::FloatStorage,
                    Value::Text(key),
                    Value::Text(_),
                    Value::Integer(floats),
                ] if &**kind == "storage" => Some(Value::Storage(key.clone(), *floats)),
                _ => None,
            },
            _ => None,
        };
        self.stack.push(storage.ok_or("a storage of other parts")?);
        Ok(())
    }
}

fn integers(values: &[Value]) -> Result<Vec<usize>, String> {
    let each = values.iter().map(|value| match value {
        Value::Integer(value) => Ok(*value),
        _ => Err("a shape of something else".to_owned()),
    });
    each.collect()
}

#[cfg(test)]
mod tests;
