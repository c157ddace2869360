//! What a pickle is made of.

use std::cell::{Cell, Ref, RefCell};
use std::ops::Range;
use std::rc::Rc;

/// A value of a pickle. Copies share what they contain.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Rc<str>),
    Bytes(Bytes),
    /// A text or a whole number that is longer than any that is of use.
    Long,
    List(Object),
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

/// Bytes of a pickle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// Few bytes, and where they begin in the file, unless they are written otherwise there.
    Short(Rc<[u8]>, Option<u64>),
    /// Many bytes: which ones of the file.
    Long(Range<u64>),
}

/// A call of a name, which is not carried out.
#[derive(Debug)]
pub(crate) struct Call {
    /// The place of the name in the list of expected ones.
    pub(crate) name: usize,
    /// A tuple.
    pub(crate) arguments: Object,
    /// What its result would be given as its state.
    pub(crate) state: RefCell<Option<Value>>,
    /// Keys and values that were set on its result.
    pub(crate) object: Object,
}

/// Values that something contains.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object(Rc<Contents>);

#[derive(Debug, Default)]
struct Contents {
    values: RefCell<Vec<Value>>,
    depth: Cell<usize>,
    /// Whether nothing can be added any more.
    is_frozen: Cell<bool>,
}

impl Object {
    /// The values.
    pub(crate) fn values(&self) -> Ref<'_, [Value]> {
        Ref::map(self.0.values.borrow(), Vec::as_slice)
    }

    /// Adds values that are less deep than `depth`.
    ///
    /// # Errors
    /// If nothing can be added any more.
    pub(super) fn add(&self, values: Vec<Value>, depth: usize) -> Result<(), String> {
        if self.0.is_frozen.get() {
            return Err("a change of a value that something else contains, too".to_owned());
        }
        self.0.depth.set(self.0.depth.get().max(depth));
        self.0.values.borrow_mut().extend(values);
        Ok(())
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
    pub(super) fn depth(&self) -> usize {
        self.object().map_or(0, |object| object.0.depth.get())
    }

    /// The value of a key of a dictionary.
    pub(crate) fn get(&self, key: &str) -> Option<Value> {
        let Self::Dict(object) = self else {
            return None;
        };
        let values = object.values();
        // A key that is set twice has the later value.
        let mut pairs = values.as_chunks::<2>().0.iter().rev();
        let is_key = |name: &Value| matches!(name, Value::Text(name) if **name == *key);
        pairs
            .find(|[name, _]| is_key(name))
            .map(|[_, value]| value.clone())
    }

    /// The elements of a list or tuple.
    pub(crate) fn elements(&self) -> Option<Ref<'_, [Value]>> {
        match self {
            Self::List(object) | Self::Tuple(object) => Some(object.values()),
            _ => None,
        }
    }
}
