//! Reads pickles, which are programs for a stack machine that can call anything Python has. This machine calls nothing: a call becomes a
//! value that says what would be called with which arguments, and names that the caller does not expect are refused.
//!
//! - [`opcode`]: one instruction after the other, with every length checked before it is believed
//! - [`value`]: what instructions make
//! - [`numpy`]: NumPy's arrays, types and numbers among the values
//!
//! Protocols 2 to 5 are read, those that Python has written since 2003 (<https://peps.python.org/pep-3154/>, <https://peps.python.org/pep-0574/>).

pub(crate) mod numpy;
mod opcode;
mod value;

use std::collections::{HashMap, HashSet};
use std::io::{Read, Seek, SeekFrom};
use std::rc::Rc;

use opcode::{Instruction, Program};
use value::Object;
pub(crate) use value::{Call, Value};

/// Values on the stack, at most: Python adds to lists and dictionaries in batches of 1,000.
const HIGHEST_STACK: usize = 1 << 20;
/// Values that are kept in lists, dictionaries and tuples, at most.
const MOST_VALUES: usize = 1 << 25;
/// Lists within lists, at most.
const DEEPEST: usize = 64;

/// What the reader of a pickle expects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// Names that may occur, as module and name; all others are refused. A value tells which by the place in this list.
    pub(crate) names: &'static [(&'static str, &'static str)],
    /// Keys of dictionaries whose values are kept; all, if there is no list. What is not kept takes no memory.
    pub(crate) keys: Option<&'static [&'static str]>,
}

/// Reads the pickle that lies in a part of a file.
///
/// # Errors
/// What was found that is not a pickle, or a name that is not expected.
pub(crate) fn read(
    mut file: impl Read + Seek,
    start: u64,
    length: u64,
    expected: Expected,
) -> Result<Value, String> {
    let failed = |error: std::io::Error| error.to_string();
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let fetched = fetched(&mut Program::new(&mut file, start, length))?;
    file.seek(SeekFrom::Start(start)).map_err(failed)?;
    let program = Program::new(&mut file, start, length);
    Machine::new(program, expected, fetched).run()
}

/// The places of the memo that are ever read: a pickle notes nearly every value there, and reads few of them again.
fn fetched(program: &mut Program<impl Read + Seek>) -> Result<HashSet<u64>, String> {
    let mut fetched = HashSet::new();
    loop {
        match program.next()? {
            Instruction::Get(place) => drop(fetched.insert(place)),
            Instruction::Stop => return Ok(fetched),
            _ => {}
        }
    }
}

/// The stack machine.
struct Machine<R> {
    program: Program<R>,
    expected: Expected,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u64, Value>,
    /// How many values were noted.
    noted: u64,
    fetched: HashSet<u64>,
    /// Values in lists, dictionaries and tuples so far.
    kept: usize,
}

impl<R: Read + Seek> Machine<R> {
    fn new(program: Program<R>, expected: Expected, fetched: HashSet<u64>) -> Self {
        Self {
            program,
            expected,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            noted: 0,
            fetched,
            kept: 0,
        }
    }

    fn run(mut self) -> Result<Value, String> {
        loop {
            let instruction = self.program.next()?;
            if let Instruction::Stop = instruction {
                let result = self.pop()?;
                return match self.stack.is_empty() && self.marks.is_empty() {
                    true => Ok(result),
                    false => Err("more than one value at the end of the pickle".to_owned()),
                };
            }
            self.step(instruction)?;
            if self.stack.len() > HIGHEST_STACK {
                return Err(format!("more than {HIGHEST_STACK} values on the stack"));
            }
        }
    }

    fn step(&mut self, instruction: Instruction) -> Result<(), String> {
        match instruction {
            Instruction::Stop | Instruction::Nothing => {}
            Instruction::Push(value) => self.stack.push(value),
            Instruction::Mark => self.marks.push(self.stack.len()),
            Instruction::Pop => {
                // A mark is removed like a value.
                match self.marks.last() {
                    Some(mark) if *mark == self.stack.len() => drop(self.marks.pop()),
                    _ => drop(self.pop()?),
                }
            }
            Instruction::PopMark => drop(self.since_mark()?),
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
            Instruction::Tuple(count) => {
                let items = match count {
                    Some(count) => self.pop_many(count)?,
                    None => self.since_mark()?,
                };
                let tuple = self.sequence(items)?;
                self.stack.push(Value::Tuple(tuple));
            }
            Instruction::List => {
                let items = self.since_mark()?;
                let list = self.sequence(items)?;
                self.stack.push(Value::List(list));
            }
            Instruction::Dict => {
                let items = self.since_mark()?;
                let dict = Object::default();
                self.set_items(&dict, items)?;
                self.stack.push(Value::Dict(dict));
            }
            Instruction::Append { one } => {
                let items = if one {
                    self.pop_many(1)?
                } else {
                    self.since_mark()?
                };
                self.append(items)?;
            }
            Instruction::SetItem { one } => {
                let items = if one {
                    self.pop_many(2)?
                } else {
                    self.since_mark()?
                };
                let object = match self.stack.last() {
                    Some(Value::Dict(object)) => object.clone(),
                    Some(Value::Call(call)) => call.object.clone(),
                    _ => return Err("items of something else".to_owned()),
                };
                self.set_items(&object, items)?;
            }
            Instruction::Global(module, name) => self.global(&module, &name)?,
            Instruction::StackGlobal => match &self.pop_many(2)?[..] {
                [Value::Text(module), Value::Text(name)] => self.global(module, name)?,
                _ => return Err("a name that is no text".to_owned()),
            },
            Instruction::Call => self.call()?,
            Instruction::Build => self.build()?,
            Instruction::Persistent => {
                let id = self.pop()?;
                let id = self.sequence(vec![id])?;
                self.stack.push(Value::Persistent(id));
            }
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, String> {
        let mut values = self.pop_many(1)?;
        values.pop().ok_or_else(|| "an empty stack".to_owned())
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value>, String> {
        let below = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(start) if start >= below => Ok(self.stack.split_off(start)),
            _ => Err("an empty stack".to_owned()),
        }
    }

    /// Removes the topmost mark and the values above it.
    fn since_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().ok_or("no mark")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
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
        if self.fetched.contains(&place) {
            let top = self.stack.last().ok_or("an empty stack")?;
            self.memo.insert(place, top.clone());
        }
        Ok(())
    }

    /// Counts values that are kept, and tells how deep they are.
    fn keep(&mut self, items: &[Value]) -> Result<usize, String> {
        self.kept += items.len();
        if self.kept > MOST_VALUES {
            return Err(format!("more than {MOST_VALUES} values"));
        }
        let depth = items.iter().map(Value::depth).max().unwrap_or(0);
        match depth < DEEPEST {
            true => Ok(depth + 1),
            false => Err(format!("values nested more than {DEEPEST} deep")),
        }
    }

    fn sequence(&mut self, items: Vec<Value>) -> Result<Object, String> {
        let depth = self.keep(&items)?;
        let object = Object::default();
        object.add(items, depth)?;
        Ok(object)
    }

    fn append(&mut self, items: Vec<Value>) -> Result<(), String> {
        let depth = self.keep(&items)?;
        match self.stack.last() {
            Some(Value::List(list)) => list.add(items, depth),
            _ => Err("elements of something else".to_owned()),
        }
    }

    /// Adds keys and values one after the other, without the values that nobody wants.
    fn set_items(&mut self, object: &Object, items: Vec<Value>) -> Result<(), String> {
        if !items.len().is_multiple_of(2) {
            return Err("a key without a value".to_owned());
        }
        let is_wanted = |key: &Value| match (self.expected.keys, key) {
            (None, _) => true,
            (Some(keys), Value::Text(key)) => keys.contains(&&**key),
            (Some(_), _) => false,
        };
        let mut wanted = Vec::new();
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            if is_wanted(&key) {
                wanted.extend([key, value]);
            }
        }
        let depth = self.keep(&wanted)?;
        object.add(wanted, depth)
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), String> {
        let mut names = self.expected.names.iter();
        match names.position(|expected| *expected == (module, name)) {
            Some(place) => {
                self.stack.push(Value::Global(place));
                Ok(())
            }
            None => Err(format!(
                "{:?}, which is not used",
                format!("{module}.{name}")
            )),
        }
    }

    fn call(&mut self) -> Result<(), String> {
        let call = self.pop_many(2)?;
        let depth = self.keep(&call)?;
        match &call[..] {
            [Value::Global(name), Value::Tuple(arguments)] => {
                let object = Object::default();
                object.add(Vec::new(), depth)?;
                self.stack.push(Value::Call(Rc::new(Call {
                    name: *name,
                    arguments: arguments.clone(),
                    state: Default::default(),
                    object,
                })));
                Ok(())
            }
            _ => Err("a call of something else".to_owned()),
        }
    }

    /// Gives a call's result, or a dictionary, its state.
    fn build(&mut self) -> Result<(), String> {
        let state = self.pop_many(1)?;
        let depth = self.keep(&state)?;
        match self.stack.last() {
            Some(Value::Call(call)) => {
                call.object.add(Vec::new(), depth)?;
                *call.state.borrow_mut() = state.into_iter().next();
                Ok(())
            }
            Some(Value::Dict(_)) => Ok(()),
            _ => Err("the state of something else".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
