//! What a pickle is made of.

use std::cell::{Cell, Ref, RefCell};
use std::fmt;
use std::ops::{Deref, Range};
use std::rc::Rc;

/// Memory that values may take at a time, at most. The neurons of a recording take 300 bytes each.
pub(super) const MOST_BYTES: usize = 256 << 20;
/// What a list, tuple, dictionary or call takes beside its values, about.
const OBJECT_BYTES: usize = 96;
/// What a text, or bytes, take beside their letters.
const TEXT_BYTES: usize = 64;

/// A value of a pickle. Copies share what they contain.
#[derive(Clone, Debug)]
pub enum Value {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// A whole number of 64 bits.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(Text),
    /// Bytes.
    Bytes(Bytes),
    /// A text or a whole number that is longer than any that is of use.
    Long,
    /// A list or a set.
    List(Object),
    /// A tuple.
    Tuple(Object),
    /// Keys and values one after the other.
    Dict(Object),
    /// An expected name, by its place in the list of those.
    Global(usize),
    /// What a call would return.
    Call(Rc<Call>),
    /// What lies outside the pickle, under one value.
    Persistent(Object),
}

/// How much memory the values of a pickle take together.
#[derive(Clone, Debug, Default)]
pub(super) struct Account(Rc<Cell<usize>>);

/// A part of an account, until the value that takes it is dropped.
#[derive(Debug)]
struct Charge {
    account: Account,
    bytes: Cell<usize>,
}

impl Account {
    fn charge(&self, bytes: usize) -> Result<Charge, String> {
        let charge = Charge {
            account: self.clone(),
            bytes: Cell::new(0),
        };
        charge.grow(bytes).map(|()| charge)
    }
}

impl Charge {
    fn grow(&self, bytes: usize) -> Result<(), String> {
        let all = self.account.0.get().saturating_add(bytes);
        if all > MOST_BYTES {
            return Err(format!("values that take more than {MOST_BYTES} bytes"));
        }
        self.account.0.set(all);
        self.bytes.set(self.bytes.get() + bytes);
        Ok(())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let all = &self.account.0;
        all.set(all.get().saturating_sub(self.bytes.get()));
    }
}

/// A text of a pickle.
#[derive(Clone)]
pub struct Text(Rc<(Box<str>, Charge)>);

impl Text {
    pub(super) fn new(text: &str, account: &Account) -> Result<Self, String> {
        let charge = account.charge(TEXT_BYTES + text.len())?;
        Ok(Self(Rc::new((text.into(), charge))))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.0
    }
}

/// Bytes of a pickle.
#[derive(Clone, Debug)]
pub struct Bytes(Rc<Stored>);

#[derive(Debug)]
struct Stored {
    place: Range<u64>,
    content: Option<Box<[u8]>>,
    _charge: Charge,
}

impl Bytes {
    /// The bytes that lie at a place of the file; `content` is what they are, if they are few.
    pub(super) fn new(
        place: Range<u64>,
        content: Option<&[u8]>,
        account: &Account,
    ) -> Result<Self, String> {
        Ok(Self(Rc::new(Stored {
            place,
            content: content.map(Into::into),
            _charge: account.charge(TEXT_BYTES + content.map_or(0, <[u8]>::len))?,
        })))
    }

    /// Which bytes of the file these are.
    #[must_use]
    pub fn place(&self) -> Range<u64> {
        self.0.place.clone()
    }

    /// The bytes, if they are few.
    #[must_use]
    pub fn content(&self) -> Option<&[u8]> {
        self.0.content.as_deref()
    }
}

/// A call of a name, which is not carried out.
#[derive(Debug)]
pub struct Call {
    /// The place of the name in the list of expected ones.
    pub name: usize,
    /// A tuple.
    pub arguments: Object,
    /// What its result would be given as its state.
    pub state: RefCell<Option<Value>>,
    /// Keys and values that were set on its result.
    pub object: Object,
}

/// Values that something contains.
#[derive(Clone, Debug)]
pub struct Object(Rc<Contents>);

#[derive(Debug)]
struct Contents {
    values: RefCell<Vec<Value>>,
    charge: Charge,
    /// How deep values in it are nested.
    depth: Cell<usize>,
    /// Whether nothing can be added any more.
    is_frozen: Cell<bool>,
}

impl Object {
    pub(super) fn new(account: &Account) -> Result<Self, String> {
        Ok(Self(Rc::new(Contents {
            values: RefCell::default(),
            charge: account.charge(OBJECT_BYTES)?,
            depth: Cell::new(0),
            is_frozen: Cell::new(false),
        })))
    }

    /// The values.
    #[must_use]
    pub fn values(&self) -> Ref<'_, [Value]> {
        Ref::map(self.0.values.borrow(), Vec::as_slice)
    }

    /// Keys and values, where these are those of a dictionary.
    #[must_use]
    pub fn pairs(&self) -> Ref<'_, [[Value; 2]]> {
        Ref::map(self.values(), |values| values.as_chunks().0)
    }

    /// Adds values.
    ///
    /// # Errors
    /// If nothing can be added any more, or values are nested too deep or take too much memory.
    pub(super) fn add(
        &self,
        values: impl IntoIterator<Item = Value, IntoIter: ExactSizeIterator>,
    ) -> Result<(), String> {
        self.change()?;
        let mut own = self.0.values.borrow_mut();
        let values = values.into_iter();
        let before = own.capacity();
        match own.is_empty() {
            true => own.reserve_exact(values.len()),
            false => own.reserve(values.len()),
        }
        let grown = own.capacity() - before;
        self.0.charge.grow(grown * size_of::<Value>())?;
        for value in values {
            self.deepen(&value)?;
            own.push(value);
        }
        Ok(())
    }

    /// Counts a value as one that it contains.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub(super) fn deepen(&self, value: &Value) -> Result<(), String> {
        self.change()?;
        let depth = value.depth() + 1;
        if depth > super::DEEPEST {
            return Err(format!("values nested more than {} deep", super::DEEPEST));
        }
        self.0.depth.set(self.0.depth.get().max(depth));
        Ok(())
    }

    fn change(&self) -> Result<(), String> {
        match self.0.is_frozen.get() {
            true => Err("a change of a value that something else contains, too".to_owned()),
            false => Ok(()),
        }
    }

    pub(super) fn freeze(&self) {
        self.0.is_frozen.set(true);
    }
}

impl Value {
    /// What it contains, if it is of a kind that contains values.
    pub(super) fn object(&self) -> Option<&Object> {
        match self {
            Self::List(object)
            | Self::Tuple(object)
            | Self::Dict(object)
            | Self::Persistent(object) => Some(object),
            Self::Call(call) => Some(&call.object),
            _ => None,
        }
    }

    /// How deep values within it are nested.
    fn depth(&self) -> usize {
        self.object().map_or(0, |object| object.0.depth.get())
    }

    /// The value of a key of a dictionary.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value> {
        let Self::Dict(object) = self else {
            return None;
        };
        let pairs = object.pairs();
        let is_key = |name: &Value| matches!(name, Value::Text(name) if **name == *key);
        // A key that is set twice has the later value.
        let mut latest = pairs.iter().rev();
        latest
            .find(|[name, _]| is_key(name))
            .map(|[_, value]| value.clone())
    }

    /// The elements of a list or tuple.
    #[must_use]
    pub fn elements(&self) -> Option<Ref<'_, [Value]>> {
        match self {
            Self::List(object) | Self::Tuple(object) => Some(object.values()),
            _ => None,
        }
    }
}
