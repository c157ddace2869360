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
        let line = line.trim_ascii_end();
        match self.byte() {
            Some(byte) => line.split(|b| *b == byte).map(bare).collect(),
            None => line
                .split(u8::is_ascii_whitespace)
                .filter(|cell| !cell.is_empty())
                .map(bare)
                .collect(),
        }
    }
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

/// Reads the next line, at most `longest` bytes of it, without its end and a byte order mark; nothing at the end of the file.
///
/// # Errors
/// If the file cannot be read, or the line is longer.
pub(super) fn next_line(
    file: &mut impl BufRead,
    line: &mut Vec<u8>,
    longest: u64,
) -> io::Result<bool> {
    line.clear();
    if file.take(longest).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.len() as u64 == longest && line.last() != Some(&b'\n') {
        return Err(io::Error::other(format!(
            "a line of more than {longest} bytes"
        )));
    }
    let content = without_mark(line).trim_ascii_end().len();
    let skipped = line.len() - without_mark(line).len();
    line.drain(..skipped);
    line.truncate(content);
    Ok(true)
}

/// A text without the byte order mark with which Windows begins it.
pub(super) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Whether a line holds no numbers: it is empty, or a comment.
pub(super) fn is_void(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start(), [] | [b'#', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_2_6_cells_are_parted_by_commas_semicolons_tabs_or_spaces() {
        for (line, separator, cells) in [
            ("1,2 , 3\r\n", Separator::Comma, &["1", "2", "3"][..]),
            ("1,5;2;\"3\"", Separator::Semicolon, &["1,5", "2", "3"]),
            ("1\t\t3", Separator::Tab, &["1", "", "3"]),
            ("  1  2 3 ", Separator::Spaces, &["1", "2", "3"]),
            ("1,,", Separator::Comma, &["1", "", ""]),
        ] {
            assert_eq!(Separator::of(line.as_bytes()), separator, "{line}");
            let found = separator.cells(line.as_bytes());
            let found: Vec<&str> = found
                .into_iter()
                .map(|cell| str::from_utf8(cell).expect("text"))
                .collect();
            assert_eq!(found, cells, "{line}");
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
    fn lines_end_anywhere_and_have_a_longest() {
        let mut file = &b"\xef\xbb\xbfa\r\n\n12345\nend"[..];
        let mut line = Vec::new();
        let mut lines = Vec::new();
        while next_line(&mut file, &mut line, 6).expect("a line") {
            lines.push(String::from_utf8(line.clone()).expect("text"));
        }
        assert_eq!(lines, ["a", "", "12345", "end"]);
        let long = next_line(&mut &b"123456\n"[..], &mut line, 6).expect_err("a long line");
        assert!(long.to_string().contains("more than 6 bytes"), "{long}");
    }
}
