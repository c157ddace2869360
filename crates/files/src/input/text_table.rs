//! Tables of numbers as text: lines of cells that commas, semicolons, tabs or spaces part.

use std::io::{self, BufRead, Read};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What parts the cells of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Separator {
    Comma,
    Semicolon,
    Tab,
    /// Any number of them.
    Spaces,
}

impl Separator {
    /// What parts the cells of a line. A comma beside a semicolon or a tab is a decimal point.
    pub(super) fn of(line: &[u8]) -> Self {
        let has = |byte: u8| line.contains(&byte);
        match () {
            () if has(b';') => Self::Semicolon,
            () if has(b'\t') => Self::Tab,
            () if has(b',') => Self::Comma,
            () => Self::Spaces,
        }
    }

    /// The byte that parts cells; nothing where any number of spaces does.
    pub(super) fn byte(self) -> Option<u8> {
        match self {
            Self::Comma => Some(b','),
            Self::Semicolon => Some(b';'),
            Self::Tab => Some(b'\t'),
            Self::Spaces => None,
        }
    }

    /// The cells of a line, without the spaces and quotation marks around them.
    pub(super) fn cells(self, line: &[u8]) -> Vec<&[u8]> {
        match self.byte() {
            Some(byte) => line.split(|b| *b == byte).map(bare).collect(),
            None => words(line).map(bare).collect(),
        }
    }

    /// The number of cells of a line.
    pub(super) fn count(self, line: &[u8]) -> usize {
        match self.byte() {
            Some(byte) => 1 + line.iter().filter(|b| **b == byte).count(),
            None => words(line).count(),
        }
    }
}

/// What spaces part.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = line.split(u8::is_ascii_whitespace);
    words.filter(|word| !word.is_empty())
}

/// A cell without the spaces and quotation marks around it.
pub(super) fn bare(cell: &[u8]) -> &[u8] {
    let cell = cell.trim_ascii();
    match cell {
        [b'"' | b'\'', inner @ .., b'"' | b'\''] => inner.trim_ascii(),
        _ => cell,
    }
}

/// A number of a table.
pub(super) trait CellNumber: FromStr + Copy {
    /// What stands for a missing number.
    const MISSING: Self;
}

impl CellNumber for f32 {
    const MISSING: Self = Self::NAN;
}

impl CellNumber for f64 {
    const MISSING: Self = Self::NAN;
}

/// The number of a bare cell, rounded once: missing where the cell is empty, `nan` or `NA`; nothing where it holds something else.
pub(super) fn number<N: CellNumber>(cell: &[u8], separator: Separator) -> Option<N> {
    let missing = || {
        let words: [&[u8]; 3] = [b"", b"na", b"n/a"];
        let is_missing = words.iter().any(|word| cell.eq_ignore_ascii_case(word));
        is_missing.then_some(N::MISSING)
    };
    let text = str::from_utf8(cell).ok()?;
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let decimal_comma = separator != Separator::Comma && text.matches(',').count() == 1;
    match decimal_comma {
        true => text.replace(',', ".").parse().ok(),
        false => missing(),
    }
}

/// Reads the next line that holds cells, at most `longest` bytes of it, without its end; returns how many bytes and lines were read, none
/// at the end of the file. Empty lines and comments, which begin with `#`, are passed over.
///
/// # Errors
/// If the file cannot be read, or a line is longer.
pub(super) fn next_row(
    file: &mut impl BufRead,
    line: &mut Vec<u8>,
    longest: u64,
) -> io::Result<Row> {
    let mut read = Row::default();
    loop {
        line.clear();
        let bytes = Read::take(&mut *file, longest).read_until(b'\n', line)? as u64;
        if bytes == 0 {
            return Ok(Row::default());
        }
        if bytes == longest && line.last() != Some(&b'\n') {
            let long = format!("a line of more than {longest} bytes");
            return Err(io::Error::other(long));
        }
        read.bytes += bytes;
        read.lines += 1;
        read.row_bytes = bytes;
        while let Some(b'\n' | b'\r') = line.last() {
            line.pop();
        }
        if line.starts_with(MARK) {
            line.drain(..MARK.len());
        }
        let is_void = line.starts_with(b"#") || line.iter().all(|byte| *byte == b' ');
        if !is_void {
            return Ok(read);
        }
    }
}

/// What was read of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// Bytes and lines, with those that were passed over.
    pub(super) bytes: u64,
    pub(super) lines: u64,
    /// Bytes of the line that was found.
    pub(super) row_bytes: u64,
}

/// The byte order mark with which Windows begins a text.
const MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_2_6_cells_are_parted_by_commas_semicolons_tabs_or_spaces() {
        for (line, separator, cells) in [
            ("1,2 , 3", Separator::Comma, &["1", "2", "3"][..]),
            ("1,5;2;\"3\"", Separator::Semicolon, &["1,5", "2", "3"]),
            ("1\t\t3", Separator::Tab, &["1", "", "3"]),
            ("  1  2 3 ", Separator::Spaces, &["1", "2", "3"]),
            ("1,,", Separator::Comma, &["1", "", ""]),
            ("\t2\t", Separator::Tab, &["", "2", ""]),
        ] {
            assert_eq!(Separator::of(line.as_bytes()), separator, "{line}");
            let found = separator.cells(line.as_bytes());
            let found: Vec<&str> = found
                .into_iter()
                .map(|cell| str::from_utf8(cell).expect("text"))
                .collect();
            assert_eq!(found, cells, "{line}");
            assert_eq!(separator.count(line.as_bytes()), cells.len(), "{line}");
        }
    }

    #[test]
    fn rule_2_6_a_cell_is_a_number_or_missing_or_refused() {
        let of = |cell: &str| number::<f64>(cell.as_bytes(), Separator::Comma);
        for (cell, value) in [("1.5", 1.5), ("-2e-3", -0.002), ("+7", 7.0), (".5", 0.5)] {
            assert_eq!(of(cell), Some(value), "{cell}");
        }
        for cell in ["", "nan", "NaN", "NA", "n/a", "-nan"] {
            assert!(of(cell).is_some_and(f64::is_nan), "{cell}");
        }
        for cell in ["x", "1.5.2", "1,5", "0x10", "1 2", "µ"] {
            assert_eq!(of(cell), None, "{cell}");
        }
        assert_eq!(number(b"1,5", Separator::Semicolon), Some(1.5_f32));
        assert_eq!(number::<f32>(b"1,5,2", Separator::Semicolon), None);
    }

    #[test]
    fn rows_are_lines_with_cells_and_have_a_longest() {
        let mut file = &b"\xef\xbb\xbfa\r\n\n  \n#no\n\t\t\n12345\nend"[..];
        let mut line = Vec::new();
        let (mut lines, mut reads) = (Vec::new(), Vec::new());
        loop {
            let read = next_row(&mut file, &mut line, 6).expect("a line");
            if read.lines == 0 {
                break;
            }
            lines.push(String::from_utf8(line.clone()).expect("text"));
            reads.push([read.bytes, read.lines, read.row_bytes]);
        }
        assert_eq!(lines, ["a", "\t\t", "12345", "end"]);
        assert_eq!(reads, [[6, 1, 6], [11, 4, 3], [6, 1, 6], [3, 1, 3]]);
        let long = next_row(&mut &b"123456\n"[..], &mut line, 6).expect_err("a long line");
        assert!(long.to_string().contains("more than 6 bytes"), "{long}");
    }
}
