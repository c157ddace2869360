//! What a check prints: a line per difference.

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::path::PathBuf;

use spikegrid_core::wording::{counted, whole};
use spikegrid_files::output::written::{
    self, NumberKind, SmallValue, Value, WrittenDataset, WrittenFile,
};

/// Prints differences and counts them.
pub(super) struct Report<'a> {
    print: &'a mut (dyn FnMut(&str) + Send),
    pub differences: usize,
    /// Files that the HDF5 library does not survive.
    pub crashing: BTreeSet<PathBuf>,
}

impl<'a> Report<'a> {
    pub(super) fn new(print: &'a mut (dyn FnMut(&str) + Send)) -> Self {
        Self {
            print,
            differences: 0,
            crashing: BTreeSet::new(),
        }
    }

    /// A difference: in which file, where in it, what the rule asks for, and what is there. The rule may be followed by how many
    /// values differ.
    pub(super) fn difference(
        &mut self,
        place: impl Display,
        expected: impl Display,
        found: impl Display,
        rule: impl Display,
    ) {
        self.differences += 1;
        self.say(format_args!(
            "{place}: expected {expected}, found {found} ({rule})"
        ));
    }

    /// A line that is no difference.
    pub(super) fn say(&mut self, line: impl Display) {
        (self.print)(&line.to_string());
    }
}

/// Numbers that are compared bit by bit, except that all NaN are the same.
pub(super) trait Number: hdf5::H5Type + Copy + Debug + Send + Sync {
    fn same(self, other: Self) -> bool;
}

macro_rules! integers {
    ($($number:ty),*) => {$(
        impl Number for $number {
            fn same(self, other: Self) -> bool {
                self == other
            }
        }
    )*};
}

macro_rules! floats {
    ($($number:ty),*) => {$(
        impl Number for $number {
            fn same(self, other: Self) -> bool {
                self.to_bits() == other.to_bits() || self.is_nan() && other.is_nan()
            }
        }
    )*};
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64);
floats!(f32, f64);

/// An HDF5 file that is open, with its path within the output folder, as messages name it.
pub(super) struct Opened {
    pub file: WrittenFile,
    pub name: String,
}

impl Opened {
    /// Opens a dataset of this type and shape, or reports what is there instead.
    pub(super) fn dataset(
        &self,
        report: &mut Report,
        name: &str,
        kind: NumberKind,
        shape: &[usize],
        rule: &str,
    ) -> Option<WrittenDataset> {
        let place = format!("{}: {name}", self.name);
        let expected = format!("{kind} {}", shape_text(shape));
        match self.file.dataset(name) {
            Ok(dataset) if dataset.kind == kind && dataset.shape == shape => Some(dataset),
            Ok(dataset) => {
                report.difference(place, expected, dataset.words(), rule);
                None
            }
            Err(found) => {
                report.difference(place, expected, found, rule);
                None
            }
        }
    }

    /// Reads a dataset of this type and shape, or reports what is there instead.
    pub(super) fn values<T: Number>(
        &self,
        report: &mut Report,
        name: &str,
        kind: NumberKind,
        shape: &[usize],
        rule: &str,
    ) -> Option<Vec<T>> {
        let dataset = self.dataset(report, name, kind, shape, rule)?;
        self.read(report, name, dataset.values(), rule)
    }

    /// What was read of a dataset, or nothing after the reason is reported.
    pub(super) fn read<T>(
        &self,
        report: &mut Report,
        name: &str,
        read: Result<T, String>,
        rule: &str,
    ) -> Option<T> {
        let reported = |reason| {
            let place = format!("{}: {name}", self.name);
            report.difference(place, "values that can be read", reason, rule);
        };
        read.map_err(reported).ok()
    }

    /// Checks that a dataset of one axis holds some values.
    pub(super) fn expect<T: Number>(
        &self,
        report: &mut Report,
        name: &str,
        kind: NumberKind,
        expected: &[T],
        rule: &str,
    ) {
        let shape = [expected.len()];
        if let Some(found) = self.values::<T>(report, name, kind, &shape, rule) {
            self.compare(report, name, &shape, expected, &found, rule);
        }
    }

    /// Reports the first value that differs in a dataset of this shape, and how many do; whether all are the same.
    pub(super) fn compare<T: Number>(
        &self,
        report: &mut Report,
        name: &str,
        shape: &[usize],
        expected: &[T],
        found: &[T],
        rule: &str,
    ) -> bool {
        let pairs = expected.iter().zip(found).enumerate();
        let mut different = pairs.filter(|(_, (expected, found))| !expected.same(**found));
        let Some((place, (expected, found_there))) = different.next() else {
            return true;
        };
        let count = different.count() + 1;
        report.difference(
            format_args!("{}: {name}{}", self.name, index_text(place, shape)),
            format_args!("{expected:?}"),
            format_args!("{found_there:?}"),
            format_args!(
                "{rule}; {} of {} differ",
                whole(count),
                counted(found.len(), "value")
            ),
        );
        false
    }

    /// Checks a scalar.
    pub(super) fn expect_scalar(&self, report: &mut Report, name: &str, expected: i64, rule: &str) {
        let read = self.values::<i64>(report, name, NumberKind::I64, &[], rule);
        if let Some(&[found]) = read.as_deref()
            && found != expected
        {
            report.difference(format_args!("{}: {name}", self.name), expected, found, rule);
        }
    }

    /// Checks an attribute of a group or dataset.
    pub(super) fn expect_attribute(
        &self,
        report: &mut Report,
        object: &str,
        name: &str,
        expected: &SmallValue,
        rule: &str,
    ) {
        let found = match self.file.attribute_at(object, name) {
            Ok(found) if found.same(expected) => return,
            Ok(found) => found.to_string(),
            Err(found) => found,
        };
        let place = format!("{}: {object}, attribute {name}", self.name);
        report.difference(place, expected, found, rule);
    }

    /// Reads an attribute that must be of a kind, or reports what is there instead.
    pub(super) fn attribute<T>(
        &self,
        report: &mut Report,
        name: &str,
        expected: &str,
        of_kind: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.file.attribute(name);
        let found = match &value {
            Ok(value) => match of_kind(value) {
                Some(wanted) => return Some(wanted),
                None => value.to_string(),
            },
            Err(found) => found.clone(),
        };
        let place = format!("{}: attribute {name}", self.name);
        report.difference(place, expected, found, "rule 8.1");
        None
    }
}

/// A shape as Python writes it; a scalar is `scalar`.
pub(super) fn shape_text(shape: &[usize]) -> String {
    match shape {
        [] => "scalar".into(),
        _ => written::shape_text(shape),
    }
}

/// The place of a value, in the order of the file, as Python writes it.
pub(super) fn index_text(place: usize, shape: &[usize]) -> String {
    let mut rest = place;
    let mut index = Vec::new();
    for &length in shape.iter().rev() {
        index.push((rest % length.max(1)).to_string());
        rest /= length.max(1);
    }
    index.reverse();
    match index.is_empty() {
        true => String::new(),
        false => format!("[{}]", index.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_9_6_floats_are_compared_bit_by_bit_and_nan_equals_nan() {
        assert!(f64::NAN.same(-f64::NAN) && 1.0_f32.same(1.0));
        assert!(!0.0_f64.same(-0.0) && !f32::NAN.same(0.0));
    }

    #[test]
    fn rule_9_6_places_are_written_as_python_writes_them() {
        assert_eq!(index_text(0, &[]), "");
        assert_eq!(index_text(7, &[9]), "[7]");
        assert_eq!(
            index_text(32768 * 7 + 129, &[3, 5, 256, 128]),
            "[1, 2, 1, 1]"
        );
    }
}
