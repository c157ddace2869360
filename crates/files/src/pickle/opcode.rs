//! The instructions of a pickle.

use std::io::{BufReader, Read, Seek};

use super::value::{Bytes, Object, Value};

/// Longest bytes that are read; of longer ones only the place is told.
const SHORT: u64 = 1 << 10;
/// Longest text and name that is read.
const LONGEST_TEXT: u64 = 1 << 16;

/// An instruction, with the value that follows it.
pub(super) enum Instruction {
    Stop,
    Nothing,
    Push(Value),
    Mark,
    Pop,
    PopMark,
    Duplicate,
    Put(u64),
    Memoize,
    Get(u64),
    /// Of so many values, or of those above the mark.
    Tuple(Option<usize>),
    List,
    Dict,
    /// One value, or those above the mark.
    Append {
        one: bool,
    },
    SetItem {
        one: bool,
    },
    Global(String, String),
    StackGlobal,
    Call,
    Build,
    Persistent,
}

/// A pickle that is read from a part of a file.
pub(super) struct Program<R> {
    file: BufReader<R>,
    /// The byte of the file that is read next.
    place: u64,
    end: u64,
}

impl<R: Read + Seek> Program<R> {
    /// A pickle of so many bytes; `file` is at its first one, byte `start`.
    pub(super) fn new(file: R, start: u64, length: u64) -> Self {
        Self {
            file: BufReader::with_capacity(1 << 16, file),
            place: start,
            end: start.saturating_add(length),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), String> {
        self.claim(bytes.len() as u64)?;
        let read = self.file.read_exact(bytes);
        read.map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "an early end".to_owned(),
            _ => error.to_string(),
        })
    }

    /// Takes the place of bytes that are read or passed over.
    fn claim(&mut self, bytes: u64) -> Result<(), String> {
        if bytes > self.end - self.place {
            return Err("an early end".to_owned());
        }
        self.place += bytes;
        Ok(())
    }

    /// A little-endian number of `N` bytes.
    fn number<const N: usize>(&mut self) -> Result<u64, String> {
        let bytes = self.take::<N>()?;
        let number = bytes.iter().rev();
        Ok(number.fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn read(&mut self, length: u64) -> Result<Vec<u8>, String> {
        if length > self.end - self.place {
            return Err("an early end".to_owned());
        }
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self, length: u64) -> Result<(), String> {
        self.claim(length)?;
        let far = i64::try_from(length).map_err(|_| "an early end")?;
        let moved = self.file.seek_relative(far);
        moved.map_err(|error| error.to_string())
    }

    fn text(&mut self, length: u64) -> Result<Instruction, String> {
        if length > LONGEST_TEXT {
            self.skip(length)?;
            return Ok(Instruction::Push(Value::Long));
        }
        let text = String::from_utf8(self.read(length)?);
        let text = text.map_err(|_| "text that is not UTF-8")?;
        Ok(Instruction::Push(Value::Text(text.into())))
    }

    fn bytes(&mut self, length: u64) -> Result<Instruction, String> {
        let bytes = match length > SHORT {
            true => {
                let start = self.place;
                self.skip(length)?;
                Bytes::Long(start..self.place)
            }
            false => {
                let start = self.place;
                Bytes::Short(self.read(length)?.into(), Some(start))
            }
        };
        Ok(Instruction::Push(Value::Bytes(bytes)))
    }

    /// A whole number of any length.
    fn long(&mut self, length: u64) -> Result<Instruction, String> {
        if length > 8 {
            self.skip(length)?;
            return Ok(Instruction::Push(Value::Long));
        }
        let bytes = self.read(length)?;
        let negative = bytes.last().is_some_and(|byte| byte >> 7 == 1);
        let start = if negative { -1 } else { 0 };
        let number = bytes.iter().rev();
        let number = number.fold(start, |number: i64, &byte| number << 8 | i64::from(byte));
        Ok(Instruction::Push(Value::Integer(number)))
    }

    /// A name that ends with its line.
    fn line(&mut self) -> Result<String, String> {
        let mut line = Vec::new();
        loop {
            let [byte] = self.take()?;
            match byte {
                b'\n' => break,
                _ if line.len() as u64 == LONGEST_TEXT => {
                    return Err("a line without an end".to_owned());
                }
                _ => line.push(byte),
            }
        }
        String::from_utf8(line).map_err(|_| "a name that is not UTF-8".to_owned())
    }

    /// The next instruction.
    ///
    /// # Errors
    /// If there is none, or it is of another protocol.
    pub(super) fn next(&mut self) -> Result<Instruction, String> {
        let [opcode] = self.take()?;
        let push = |value| Ok(Instruction::Push(value));
        match opcode {
            b'.' => Ok(Instruction::Stop),
            // PROTO
            0x80 => match self.number::<1>()? {
                2..=5 => Ok(Instruction::Nothing),
                other => Err(format!("protocol {other}")),
            },
            // FRAME
            0x95 => self.number::<8>().map(|_| Instruction::Nothing),
            b'(' => Ok(Instruction::Mark),
            b'0' => Ok(Instruction::Pop),
            b'1' => Ok(Instruction::PopMark),
            b'2' => Ok(Instruction::Duplicate),
            b'N' => push(Value::None),
            0x88 => push(Value::Bool(true)),
            0x89 => push(Value::Bool(false)),
            b'J' => {
                let number = i32::from_le_bytes(self.take()?);
                push(Value::Integer(number.into()))
            }
            b'K' => push(Value::Integer(self.number::<1>()? as i64)),
            b'M' => push(Value::Integer(self.number::<2>()? as i64)),
            0x8a => {
                let length = self.number::<1>()?;
                self.long(length)
            }
            0x8b => {
                let length = self.number::<4>()?;
                self.long(length)
            }
            b'G' => push(Value::Float(f64::from_be_bytes(self.take()?))),
            // Texts, those of Python 2 included.
            0x8c | b'U' => {
                let length = self.number::<1>()?;
                self.text_or_bytes(opcode, length)
            }
            b'X' | b'T' => {
                let length = self.number::<4>()?;
                self.text_or_bytes(opcode, length)
            }
            0x8d => {
                let length = self.number::<8>()?;
                self.text(length)
            }
            b'C' => {
                let length = self.number::<1>()?;
                self.bytes(length)
            }
            b'B' => {
                let length = self.number::<4>()?;
                self.bytes(length)
            }
            // BINBYTES8, BYTEARRAY8
            0x8e | 0x96 => {
                let length = self.number::<8>()?;
                self.bytes(length)
            }
            // Sets are read as lists.
            b']' | 0x8f => push(Value::List(Object::default())),
            b')' => push(Value::Tuple(Object::default())),
            b'}' => push(Value::Dict(Object::default())),
            b'l' | 0x91 => Ok(Instruction::List),
            b'd' => Ok(Instruction::Dict),
            b't' => Ok(Instruction::Tuple(None)),
            0x85..=0x87 => Ok(Instruction::Tuple(Some(usize::from(opcode - 0x84)))),
            b'a' => Ok(Instruction::Append { one: true }),
            b'e' | 0x90 => Ok(Instruction::Append { one: false }),
            b's' => Ok(Instruction::SetItem { one: true }),
            b'u' => Ok(Instruction::SetItem { one: false }),
            b'c' => Ok(Instruction::Global(self.line()?, self.line()?)),
            0x93 => Ok(Instruction::StackGlobal),
            // REDUCE, NEWOBJ
            b'R' | 0x81 => Ok(Instruction::Call),
            b'b' => Ok(Instruction::Build),
            b'Q' => Ok(Instruction::Persistent),
            b'q' => Ok(Instruction::Put(self.number::<1>()?)),
            b'r' => Ok(Instruction::Put(self.number::<4>()?)),
            0x94 => Ok(Instruction::Memoize),
            b'h' => Ok(Instruction::Get(self.number::<1>()?)),
            b'j' => Ok(Instruction::Get(self.number::<4>()?)),
            other => Err(format!("opcode {other:#04x}")),
        }
    }

    /// Python 2 had one type for texts and bytes; what is no text is bytes.
    fn text_or_bytes(&mut self, opcode: u8, length: u64) -> Result<Instruction, String> {
        if matches!(opcode, b'X' | 0x8c) {
            return self.text(length);
        }
        if length > SHORT {
            return self.bytes(length);
        }
        let start = self.place;
        let bytes = self.read(length)?;
        Ok(Instruction::Push(match String::from_utf8(bytes) {
            Ok(text) => Value::Text(text.into()),
            Err(error) => Value::Bytes(Bytes::Short(error.into_bytes().into(), Some(start))),
        }))
    }
}
