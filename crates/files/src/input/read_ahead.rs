//! Advice to the system on what is read next of a file, where the system does not see it by itself.

use std::fs::File;
use std::num::NonZero;
use std::ops::Range;

use rustix::fs::{Advice, fadvise};

/// What Linux reads ahead unless told otherwise.
const NEAR: u64 = 128 << 10;
/// Shorter parts: of each two pages that are read, one is not wanted, so announcing them gains little.
const SHORT: u64 = 8 << 10;

/// Tells the system which parts of rows are read next of a matrix whose numbers follow each other in `file` from byte `start` on, where
/// these parts are too far from each other for the system to read ahead by itself. Parts that are at most 128 KiB apart are not
/// announced: the system's own read-ahead is better, and announcing whole rows halves the speed.
pub(super) fn announce(
    file: &File,
    start: u64,
    row_numbers: usize,
    value_bytes: usize,
    [rows, columns]: &[Range<usize>; 2],
) {
    // A damaged file may say any extents.
    let bytes = |numbers: usize| (numbers as u64).saturating_mul(value_bytes as u64);
    let (row_bytes, length) = (bytes(row_numbers), bytes(columns.len()));
    if row_bytes.saturating_sub(length) < NEAR || length < SHORT {
        return;
    }
    let first = start.saturating_add(bytes(columns.start));
    for row in rows.clone() {
        let place = first.saturating_add(row_bytes.saturating_mul(row as u64));
        // The reading works without the advice, so it may fail.
        let _ = fadvise(file, place, NonZero::new(length), Advice::WillNeed);
    }
}
