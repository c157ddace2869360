//! Two datasets, value by value.

use spikegrid_core::wording::{counted, whole};
use spikegrid_files::output::written::{NumberKind, Planes, WrittenDataset};

use crate::verify::report::{Number, Opened, Report, index_text};
use crate::verify::rules::{COLUMNS, PIXELS, ROWS};
use crate::verify::stream::{Judged, NoPixels, Scratch, Tally, judge_planes};

/// Bytes that are read of each dataset at once.
const READ_BYTES: usize = 4 << 20;

/// Checks that a group of a file holds what another file holds.
pub(in crate::verify) fn compare_group(
    report: &mut Report,
    expected: &Opened,
    file: &Opened,
    group: &str,
    rule: &str,
) {
    let names = expected.file.datasets();
    for name in expected
        .read(report, "datasets", names, rule)
        .unwrap_or_default()
    {
        let in_group = format!("{group}/{name}");
        compare_dataset(
            report,
            [(file, &in_group), (expected, &name)],
            &expected.name,
            rule,
        );
    }
}

/// Compares a dataset with that of the second file, which `source` names in messages.
pub(super) fn compare_dataset(
    report: &mut Report,
    [(file, name), (other, other_name)]: [(&Opened, &str); 2],
    source: &str,
    rule: &str,
) {
    let expected = match other.file.dataset(other_name) {
        Ok(expected) => expected,
        Err(reason) => {
            let place = format!("{} in {source}: {other_name}", other.name);
            return report.difference(place, "a dataset of numbers", reason, rule);
        }
    };
    let place = format!("{}: {name}", file.name);
    let as_there = format!("{}, as in {source}", expected.words());
    let found = match file.file.dataset(name) {
        Ok(found) if found.words() == expected.words() => found,
        Ok(found) => return report.difference(place, as_there, found.words(), rule),
        Err(found) => return report.difference(place, as_there, found, rule),
    };
    let differences = Differences::between(&found, &expected);
    let Some(differences) = file.read(report, name, differences, rule) else {
        return;
    };
    if let Some(first) = differences.first {
        let all = expected.shape.iter().product::<usize>();
        report.difference(
            format_args!(
                "{}: {name}{}",
                file.name,
                index_text(first.place, &expected.shape)
            ),
            format_args!("{}, as in {source}", first.expected),
            first.found,
            format_args!(
                "{rule}; {} of {} differ",
                whole(differences.count),
                counted(all, "value")
            ),
        );
    }
}

/// Values that differ.
#[derive(Debug, Default, PartialEq)]
struct Differences {
    count: u64,
    first: Option<First>,
}

#[derive(Debug, PartialEq)]
struct First {
    place: usize,
    expected: String,
    found: String,
}

impl Differences {
    /// Compares all values of two datasets of one type and shape.
    fn between(found: &WrittenDataset, expected: &WrittenDataset) -> Result<Self, String> {
        match expected.shape[..] {
            [_, _, ROWS, COLUMNS] if expected.kind == NumberKind::U8 => {
                Ok(compare_planes(found, expected))
            }
            _ => match expected.kind {
                NumberKind::F32 => compare_values::<f32>(found, expected),
                NumberKind::F64 => compare_values::<f64>(found, expected),
                NumberKind::I8 => compare_values::<i8>(found, expected),
                NumberKind::I16 => compare_values::<i16>(found, expected),
                NumberKind::I32 => compare_values::<i32>(found, expected),
                NumberKind::I64 => compare_values::<i64>(found, expected),
                NumberKind::U8 => compare_values::<u8>(found, expected),
                NumberKind::U16 => compare_values::<u16>(found, expected),
                NumberKind::U32 => compare_values::<u32>(found, expected),
                NumberKind::U64 => compare_values::<u64>(found, expected),
            },
        }
    }

    fn note(&mut self, count: u64, first: impl FnOnce() -> First) {
        self.count += count;
        self.first.get_or_insert_with(first);
    }
}

impl Tally for Differences {
    fn add(&mut self, later: Self) {
        self.count += later.count;
        self.first = self.first.take().or(later.first);
    }
}

fn compare_values<T: Number>(
    found: &WrittenDataset,
    expected: &WrittenDataset,
) -> Result<Differences, String> {
    let mut differences = Differences::default();
    let mut compare = |start: usize, expected: &[T], found: &[T]| {
        let pairs = expected.iter().zip(found).enumerate();
        for (place, (expected, found)) in pairs.filter(|(_, (a, b))| !a.same(**b)) {
            differences.note(1, || First {
                place: start + place,
                expected: format!("{expected:?}"),
                found: format!("{found:?}"),
            });
        }
    };
    let Some((&rows, rest)) = expected.shape.split_first() else {
        compare(0, &expected.values()?, &found.values()?);
        return Ok(differences);
    };
    let row = rest.iter().product::<usize>();
    let together = (READ_BYTES / (row * size_of::<T>()).max(1)).max(1);
    for start in (0..rows).step_by(together) {
        let part = start..rows.min(start + together);
        let values = expected.rows(part.clone())?;
        compare(start * row, &values, &found.rows(part)?);
    }
    Ok(differences)
}

fn compare_planes(found: &WrittenDataset, expected: &WrittenDataset) -> Differences {
    let planes = [found, expected].map(Planes::of);
    let all = 0..expected.shape[0] * expected.shape[1];
    judge_planes(planes.each_ref(), all, judge)
}

/// Compares a plane of both files: where their bytes are the same, without inflating them.
fn judge(differences: &mut Differences, plane: Judged<2>, scratch: &mut Scratch<2>) {
    if plane.same_bytes() {
        return;
    }
    let start = plane.place * PIXELS;
    match plane.pixels(scratch) {
        [Ok(found), Ok(expected)] => {
            if found == expected {
                return;
            }
            let pairs = found.iter().zip(expected).enumerate();
            for (pixel, (found, expected)) in pairs.filter(|(_, (a, b))| a != b) {
                differences.note(1, || First {
                    place: start + pixel,
                    expected: expected.to_string(),
                    found: found.to_string(),
                });
            }
        }
        [found, expected] => {
            let [found, expected] = [found, expected].map(|pixels| match pixels {
                Ok(_) => "a plane".to_owned(),
                Err(NoPixels::Nowhere) => "none: it was never stored".to_owned(),
                Err(NoPixels::Unreadable(reason)) => reason,
            });
            differences.note(PIXELS as u64, || First {
                place: start,
                expected,
                found,
            });
        }
    }
}
