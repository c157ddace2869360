//! Reads pickles, which are programs for a stack machine that can call anything Python has. This machine calls nothing: a call becomes a
//! value that says what would be called with which arguments, and names that the caller does not expect are refused.
//!
//! - `opcode`: one instruction after the other, with every length checked before it is believed
//! - `value`: what instructions make, with an account of the memory that it takes
//! - `survey`: a first pass, which finds the names and what is needed again
//! - [`numpy`]: NumPy's arrays, types and numbers among the values
//!
//! Protocols 2 to 5 are read, those that Python has written since 2003 (<https://peps.python.org/pep-3154/>, <https://peps.python.org/pep-0574/>).
//! A pickle is read twice from front to back, by way of a small buffer. Tables of cells have hundreds of MB, nearly all of it arrays that
//! nobody wants: those are passed over, and the memory is that of what is kept. A mapped file would end the program where another
//! program cuts it short.

pub mod numpy;
mod opcode;
mod survey;
mod value;

use std::collections::HashMap;
use std::io::{Read, Seek};
use std::rc::Rc;

use opcode::{Data, Instruction, Program};
use survey::Survey;
use value::Account;
pub use value::{Bytes, Call, Object, Text, Value};

/// Values on the stack, at most: Python adds to lists and dictionaries in batches of 1,000.
const HIGHEST_STACK: usize = 1 << 20;
/// Lists within lists, at most.
const DEEPEST: usize = 64;
/// Longest bytes whose content is kept beside their place.
const SHORT: u64 = 1 << 8;
/// Longest part of a name that a message shows.
const LONGEST_NAME: usize = 200;
/// Longest text that is read.
const LONGEST_TEXT: u64 = 1 << 16;

/// What the reader of a pickle expects.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Names that may occur, as module and name; all others are refused. A value tells which by the place in this list.
    pub names: &'static [(&'static str, &'static str)],
    /// Keys of dictionaries whose values are kept; all, if there is no list. What is not kept takes no memory.
    pub keys: Option<&'static [&'static str]>,
    /// What a call of a name with arguments is, where a plain value says it.
    pub plain: fn(usize, &[Value]) -> Option<Value>,
}

/// Reads the pickle that lies in a part of a file.
///
/// # Errors
/// What was found that is not a pickle, or a name that is not expected.
pub fn read(
    mut file: impl Read + Seek,
    start: u64,
    length: u64,
    expected: Expected,
) -> Result<Value, String> {
    let survey = Survey::of(&mut Program::new(&mut file, start, length)?, &expected)?;
    let program = Program::new(&mut file, start, length)?;
    Machine::new(program, expected, survey).run()
}

impl Expected {
    /// The place of an expected name.
    ///
    /// # Errors
    /// The name, if it is not expected.
    fn place(&self, module: &str, name: &str) -> Result<usize, String> {
        let place = self.names.iter().position(|own| *own == (module, name));
        place.ok_or_else(|| {
            let called = format!("{module}.{name}");
            let begin: String = called.chars().take(LONGEST_NAME).collect();
            format!("{begin:?}, which is not used")
        })
    }

    fn is_wanted(&self, key: &Value) -> bool {
        match (self.keys, key) {
            (None, _) => true,
            (Some(keys), Value::Text(key)) => keys.contains(&&**key),
            (Some(_), _) => false,
        }
    }
}

/// The stack machine.
struct Machine<R> {
    program: Program<R>,
    expected: Expected,
    survey: Survey,
    account: Account,
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    /// The noted values that are needed again.
    memo: HashMap<u64, Value>,
    /// How many values were noted.
    noted: u64,
}

impl<R: Read + Seek> Machine<R> {
    fn new(program: Program<R>, expected: Expected, survey: Survey) -> Self {
        Self {
            program,
            expected,
            survey,
            account: Account::default(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            noted: 0,
        }
    }

    fn run(mut self) -> Result<Value, String> {
        loop {
            let (_, instruction) = self.program.next()?;
            if let Instruction::Stop = instruction {
                let result = self.pop()?;
                return match self.stack.is_empty() && self.marks.is_empty() {
                    true => Ok(result),
                    false => Err("more than one value at the end of the pickle".to_owned()),
                };
            }
            self.step(instruction)?;
            if self.stack.len().max(self.marks.len()) > HIGHEST_STACK {
                return Err(format!("more than {HIGHEST_STACK} values on the stack"));
            }
        }
    }

    fn step(&mut self, instruction: Instruction) -> Result<(), String> {
        match instruction {
            Instruction::Stop | Instruction::Nothing => {}
            Instruction::Push(value) => self.stack.push(value),
            Instruction::Data(data, length) => self.data(data, length)?,
            Instruction::EmptyList => {
                let list = Object::new(&self.account)?;
                self.stack.push(Value::List(list));
            }
            Instruction::EmptyTuple => self.tuple(self.stack.len())?,
            Instruction::EmptyDict => {
                let dict = Object::new(&self.account)?;
                self.stack.push(Value::Dict(dict));
            }
            Instruction::Mark => self.marks.push(self.stack.len()),
            Instruction::Pop => {
                // A mark is removed like a value.
                match self.marks.last() {
                    Some(mark) if *mark == self.stack.len() => drop(self.marks.pop()),
                    _ => drop(self.pop()?),
                }
            }
            Instruction::PopMark => {
                let start = self.mark()?;
                self.stack.truncate(start);
            }
            Instruction::Duplicate => {
                let top = self.stack.last().ok_or("an empty stack")?.clone();
                self.push_again(top);
            }
            Instruction::Put(place) => self.note(place)?,
            Instruction::Memoize => self.note(self.noted)?,
            Instruction::Get(place) => {
                let value = self.memo.get(&place).ok_or("a reference to nothing")?;
                self.push_again(value.clone());
            }
            Instruction::Tuple(count) => self.tuple(self.below(count)?)?,
            Instruction::TupleSinceMark => {
                let start = self.mark()?;
                self.tuple(start)?;
            }
            Instruction::List => {
                let (start, list) = (self.mark()?, Object::new(&self.account)?);
                list.add(self.stack.drain(start..))?;
                self.stack.push(Value::List(list));
            }
            Instruction::Dict => {
                let (start, dict) = (self.mark()?, Object::new(&self.account)?);
                self.set_items(start, &dict)?;
                self.stack.push(Value::Dict(dict));
            }
            Instruction::Append => self.append(self.below(1)?)?,
            Instruction::Appends => {
                let start = self.mark()?;
                self.append(start)?;
            }
            Instruction::SetItem => self.set_items_of_top(self.below(2)?)?,
            Instruction::SetItems => {
                let start = self.mark()?;
                self.set_items_of_top(start)?;
            }
            Instruction::Global => {
                let (module, name) = (self.program.line()?, self.program.line()?);
                let place = self.expected.place(&module, &name)?;
                self.stack.push(Value::Global(place));
            }
            Instruction::StackGlobal => self.stack_global()?,
            Instruction::Call => self.call()?,
            Instruction::Build => self.build()?,
            Instruction::Persistent => {
                let (start, id) = (self.below(1)?, Object::new(&self.account)?);
                id.add(self.stack.drain(start..))?;
                self.stack.push(Value::Persistent(id));
            }
            // The survey has refused these.
            Instruction::Instance
            | Instruction::Refused(_)
            | Instruction::RefusedLine
            | Instruction::Unknown => return Err("an instruction that is not used".to_owned()),
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.below(1)?;
        self.stack.pop().ok_or_else(|| "an empty stack".to_owned())
    }

    /// The height of the stack below so many values, all of which are above the topmost mark.
    fn below(&self, count: usize) -> Result<usize, String> {
        let mark = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= mark => Ok(start),
            _ => Err("an empty stack".to_owned()),
        }
    }

    /// Removes the topmost mark; returns the height of the stack below the values above it.
    fn mark(&mut self) -> Result<usize, String> {
        let mark = self.marks.pop().ok_or("no mark")?;
        Ok(mark.min(self.stack.len()))
    }

    /// Pushes a value that is somewhere else, too. From then on nothing can be added to it: so no value comes to contain itself.
    fn push_again(&mut self, value: Value) {
        if let Some(object) = value.object() {
            object.freeze();
        }
        self.stack.push(value);
    }

    fn note(&mut self, place: u64) -> Result<(), String> {
        self.noted += 1;
        if self.survey.is_fetched(place) {
            let top = self.stack.last().ok_or("an empty stack")?;
            self.memo.insert(place, top.clone());
        }
        Ok(())
    }

    /// Pushes the data of so many bytes that come next, or passes over them.
    fn data(&mut self, data: Data, length: u64) -> Result<(), String> {
        let start = self.program.place();
        let longest = match data {
            Data::Text => LONGEST_TEXT,
            Data::TextOrBytes | Data::Bytes => SHORT,
            Data::Integer => 8,
        };
        if length > longest {
            self.program.skip(length)?;
            self.stack.push(match data {
                Data::Text | Data::Integer => Value::Long,
                Data::TextOrBytes | Data::Bytes => Value::Bytes(Bytes::new(
                    start..self.program.place(),
                    None,
                    &self.account,
                )?),
            });
            return Ok(());
        }
        let bytes = self.program.take(length as usize)?;
        let text = std::str::from_utf8(bytes);
        let value = match (data, text) {
            (Data::Integer, _) => Value::Integer(integer(bytes)),
            (Data::Text | Data::TextOrBytes, Ok(text)) => {
                Value::Text(Text::new(text, &self.account)?)
            }
            (Data::Text, Err(_)) => return Err("text that is not UTF-8".to_owned()),
            (Data::Bytes | Data::TextOrBytes, _) => {
                let place = start..start + length;
                Value::Bytes(Bytes::new(place, Some(bytes), &self.account)?)
            }
        };
        self.stack.push(value);
        Ok(())
    }

    /// Makes a tuple of the values from a height of the stack on.
    fn tuple(&mut self, start: usize) -> Result<(), String> {
        let tuple = Object::new(&self.account)?;
        tuple.add(self.stack.drain(start..))?;
        self.stack.push(Value::Tuple(tuple));
        Ok(())
    }

    fn append(&mut self, start: usize) -> Result<(), String> {
        let list = match start.checked_sub(1).map(|below| &self.stack[below]) {
            Some(Value::List(list)) => list.clone(),
            _ => return Err("elements of something else".to_owned()),
        };
        list.add(self.stack.drain(start..))
    }

    fn set_items_of_top(&mut self, start: usize) -> Result<(), String> {
        let object = match start.checked_sub(1).map(|below| &self.stack[below]) {
            Some(Value::Dict(object)) => object.clone(),
            Some(Value::Call(call)) => call.object.clone(),
            _ => return Err("items of something else".to_owned()),
        };
        self.set_items(start, &object)
    }

    /// Adds keys and values one after the other, without the values that nobody wants.
    fn set_items(&mut self, start: usize, object: &Object) -> Result<(), String> {
        if !(self.stack.len() - start).is_multiple_of(2) {
            return Err("a key without a value".to_owned());
        }
        let mut items = self.stack.drain(start..);
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            if self.expected.is_wanted(&key) {
                object.add([key, value])?;
            }
        }
        Ok(())
    }

    fn stack_global(&mut self) -> Result<(), String> {
        let start = self.below(2)?;
        let place = match &self.stack[start..] {
            [Value::Text(module), Value::Text(name)] => self.expected.place(module, name)?,
            _ => return Err("a name that is no text".to_owned()),
        };
        self.stack.truncate(start);
        self.stack.push(Value::Global(place));
        Ok(())
    }

    fn call(&mut self) -> Result<(), String> {
        let start = self.below(2)?;
        let [Value::Global(name), Value::Tuple(arguments)] = &self.stack[start..] else {
            return Err("a call of something else".to_owned());
        };
        let plain = (self.expected.plain)(*name, &arguments.values());
        let result = match plain {
            Some(plain) => plain,
            None => {
                let object = Object::new(&self.account)?;
                object.deepen(&self.stack[start + 1])?;
                Value::Call(Rc::new(Call {
                    name: *name,
                    arguments: arguments.clone(),
                    state: Default::default(),
                    object,
                }))
            }
        };
        self.stack.truncate(start);
        self.stack.push(result);
        Ok(())
    }

    /// Gives a call's result, or a dictionary, its state.
    fn build(&mut self) -> Result<(), String> {
        self.below(2)?;
        let state = self.pop()?;
        match self.stack.last() {
            Some(Value::Call(call)) => {
                call.object.deepen(&state)?;
                *call.state.borrow_mut() = Some(state);
                Ok(())
            }
            Some(Value::Dict(_)) => Ok(()),
            _ => Err("the state of something else".to_owned()),
        }
    }
}

/// A whole number of at most 8 bytes, the last of which has the sign.
fn integer(bytes: &[u8]) -> i64 {
    let is_negative = bytes.last().is_some_and(|byte| byte >> 7 == 1);
    let start = if is_negative { -1 } else { 0 };
    let bytes = bytes.iter().rev();
    bytes.fold(start, |number: i64, &byte| number << 8 | i64::from(byte))
}

#[cfg(test)]
mod tests;
