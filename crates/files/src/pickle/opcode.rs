//! The instructions of a pickle.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use super::value::Value;

/// Bytes that are read at a time.
const BUFFER: usize = 1 << 17;
/// Longest line that is read.
const LONGEST_LINE: usize = 1 << 10;

/// An instruction. Some have data, which lie behind it: these are to be read or passed over before the next instruction.
#[derive(Debug)]
pub(super) enum Instruction {
    Stop,
    Nothing,
    /// A number, or what stands for itself.
    Push(Value),
    /// A text, bytes or a long whole number of so many bytes.
    Data(Data, u64),
    /// Two lines follow: a module and a name of it.
    Global,
    /// The same, with the arguments on the stack: one of protocol 1.
    Instance,
    EmptyList,
    EmptyTuple,
    EmptyDict,
    Mark,
    Pop,
    PopMark,
    Duplicate,
    Put(u64),
    Memoize,
    Get(u64),
    /// Of so many values.
    Tuple(usize),
    TupleSinceMark,
    List,
    Dict,
    Append,
    Appends,
    SetItem,
    SetItems,
    StackGlobal,
    Call,
    Build,
    Persistent,
    /// An instruction that is known but not carried out, with so many bytes behind it.
    Refused(u64),
    /// The same, with a line behind it.
    RefusedLine,
    /// Nobody knows what lies behind it.
    Unknown,
}

/// What data are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Data {
    Text,
    /// Python 2 had one type for texts and bytes; what is no text is bytes.
    TextOrBytes,
    Bytes,
    Integer,
}

/// A pickle that is read from a part of a file, from front to back.
pub(super) struct Program<R> {
    file: R,
    buffer: Box<[u8]>,
    /// Which bytes of the buffer come next.
    next: usize,
    filled: usize,
    /// The place in the file of the byte that comes next.
    place: u64,
    end: u64,
}

impl<R: Read + Seek> Program<R> {
    /// A pickle of so many bytes from byte `start` of a file on.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn new(mut file: R, start: u64, length: u64) -> Result<Self, String> {
        let found = file.seek(SeekFrom::Start(start));
        found.map_err(|error| error.to_string())?;
        Ok(Self {
            file,
            buffer: vec![0; BUFFER].into(),
            next: 0,
            filled: 0,
            place: start,
            end: start.saturating_add(length),
        })
    }

    /// The place in the file of the byte that comes next.
    pub(super) fn place(&self) -> u64 {
        self.place
    }

    /// The bytes that come next, `length` of them; at most as many as the buffer has.
    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Result<&[u8], String> {
        if self.filled - self.next < length || self.end - self.place < length as u64 {
            self.fill(length)?;
        }
        let taken = self.next..self.next + length;
        self.next = taken.end;
        self.place += length as u64;
        Ok(&self.buffer[taken])
    }

    /// Reads until the buffer has so many bytes that come next.
    #[cold]
    fn fill(&mut self, length: usize) -> Result<(), String> {
        if self.end - self.place < length as u64 || length > self.buffer.len() {
            return Err("an early end".to_owned());
        }
        self.buffer.copy_within(self.next..self.filled, 0);
        self.filled -= self.next;
        self.next = 0;
        while self.filled < length {
            match self.file.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Err("an early end".to_owned()),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// Passes over bytes.
    pub(super) fn skip(&mut self, length: u64) -> Result<(), String> {
        if length > self.end - self.place {
            return Err("an early end".to_owned());
        }
        self.place += length;
        let held = (self.filled - self.next) as u64;
        if length <= held {
            self.next += length as usize;
            return Ok(());
        }
        (self.next, self.filled) = (0, 0);
        let moved = self.file.seek(SeekFrom::Start(self.place));
        moved.map(drop).map_err(|error| error.to_string())
    }

    #[inline]
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let bytes = self.take(N)?.first_chunk();
        Ok(*bytes.unwrap_or(&[0; N]))
    }

    /// A little-endian number of `N` bytes.
    #[inline]
    fn number<const N: usize>(&mut self) -> Result<u64, String> {
        let mut number = [0; 8];
        number[..N].copy_from_slice(&self.bytes::<N>()?);
        Ok(u64::from_le_bytes(number))
    }

    /// A line, without its end.
    pub(super) fn line(&mut self) -> Result<String, String> {
        let mut line = Vec::new();
        loop {
            match self.bytes()? {
                [b'\n'] => break,
                _ if line.len() == LONGEST_LINE => {
                    return Err("a line without an end".to_owned());
                }
                [byte] => line.push(byte),
            }
        }
        String::from_utf8(line).map_err(|_| "a name that is not UTF-8".to_owned())
    }

    /// The next instruction and its opcode.
    ///
    /// # Errors
    /// If there is none.
    #[inline]
    pub(super) fn next(&mut self) -> Result<(u8, Instruction), String> {
        let [opcode] = self.bytes()?;
        Ok((opcode, self.instruction(opcode)?))
    }

    #[inline]
    fn instruction(&mut self, opcode: u8) -> Result<Instruction, String> {
        Ok(match opcode {
            b'.' => Instruction::Stop,
            b'(' => Instruction::Mark,
            b'0' => Instruction::Pop,
            b'1' => Instruction::PopMark,
            b'2' => Instruction::Duplicate,
            // Sets are read as lists.
            b']' | 0x8f => Instruction::EmptyList,
            b')' => Instruction::EmptyTuple,
            b'}' => Instruction::EmptyDict,
            b'l' | 0x91 => Instruction::List,
            b'd' => Instruction::Dict,
            b't' => Instruction::TupleSinceMark,
            0x85..=0x87 => Instruction::Tuple(usize::from(opcode - 0x84)),
            b'a' => Instruction::Append,
            b'e' | 0x90 => Instruction::Appends,
            b's' => Instruction::SetItem,
            b'u' => Instruction::SetItems,
            b'c' => Instruction::Global,
            b'i' => Instruction::Instance,
            0x93 => Instruction::StackGlobal,
            // REDUCE, NEWOBJ
            b'R' | 0x81 => Instruction::Call,
            b'b' => Instruction::Build,
            b'Q' => Instruction::Persistent,
            b'q' => Instruction::Put(self.number::<1>()?),
            b'r' => Instruction::Put(self.number::<4>()?),
            0x94 => Instruction::Memoize,
            b'h' => Instruction::Get(self.number::<1>()?),
            b'j' => Instruction::Get(self.number::<4>()?),
            _ => return self.constant(opcode),
        })
    }

    /// Instructions that put something on the stack, and those that do nothing.
    fn constant(&mut self, opcode: u8) -> Result<Instruction, String> {
        Ok(match opcode {
            // PROTO
            0x80 => match self.number::<1>()? {
                0..=5 => Instruction::Nothing,
                other => return Err(format!("protocol {other}")),
            },
            // FRAME
            0x95 => self.number::<8>().map(|_| Instruction::Nothing)?,
            b'N' => Instruction::Push(Value::None),
            0x88 | 0x89 => Instruction::Push(Value::Bool(opcode == 0x88)),
            b'J' => {
                let number = i32::from_le_bytes(self.bytes()?);
                Instruction::Push(Value::Integer(number.into()))
            }
            b'K' => Instruction::Push(Value::Integer(self.number::<1>()? as i64)),
            b'M' => Instruction::Push(Value::Integer(self.number::<2>()? as i64)),
            b'G' => Instruction::Push(Value::Float(f64::from_be_bytes(self.bytes()?))),
            0x8a => Instruction::Data(Data::Integer, self.number::<1>()?),
            0x8b => Instruction::Data(Data::Integer, self.number::<4>()?),
            0x8c => Instruction::Data(Data::Text, self.number::<1>()?),
            b'X' => Instruction::Data(Data::Text, self.number::<4>()?),
            0x8d => Instruction::Data(Data::Text, self.number::<8>()?),
            b'U' => Instruction::Data(Data::TextOrBytes, self.number::<1>()?),
            b'T' => Instruction::Data(Data::TextOrBytes, self.number::<4>()?),
            b'C' => Instruction::Data(Data::Bytes, self.number::<1>()?),
            b'B' => Instruction::Data(Data::Bytes, self.number::<4>()?),
            // BINBYTES8, BYTEARRAY8
            0x8e | 0x96 => Instruction::Data(Data::Bytes, self.number::<8>()?),
            // Protocol 0: INT, LONG, FLOAT, STRING, UNICODE, PERSID, PUT, GET
            b'I' | b'L' | b'F' | b'S' | b'V' | b'P' | b'p' | b'g' => Instruction::RefusedLine,
            // OBJ, NEWOBJ_EX, NEXT_BUFFER, READONLY_BUFFER; EXT1, EXT2, EXT4
            b'o' | 0x92 | 0x97 | 0x98 => Instruction::Refused(0),
            0x82 => Instruction::Refused(1),
            0x83 => Instruction::Refused(2),
            0x84 => Instruction::Refused(4),
            _ => Instruction::Unknown,
        })
    }
}
