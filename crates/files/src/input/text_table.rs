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

    /// The first cell, and what follows it if there is a further one.
    pub(super) fn split(self, line: &[u8]) -> (&[u8], Option<&[u8]>) {
        let line = self.start(line);
        let end = match self.byte() {
            Some(byte) => line.iter().position(|b| *b == byte),
            None => line.iter().position(u8::is_ascii_whitespace),
        };
        let (cell, rest) = line.split_at(end.unwrap_or(line.len()));
        (cell, self.next(rest))
    }

    /// From the first cell's own first byte on.
    fn start(self, line: &[u8]) -> &[u8] {
        match (self, line) {
            (Self::Spaces, _) => line.trim_ascii_start(),
            (_, [b' ', ..]) => {
                let spaces = line.iter().take_while(|byte| **byte == b' ');
                &line[spaces.count()..]
            }
            _ => line,
        }
    }

    /// What follows the end of a cell, if there is a further cell.
    fn next(self, rest: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Spaces => Some(rest.trim_ascii_start()).filter(|rest| !rest.is_empty()),
            _ => rest.get(1..),
        }
    }

    /// What follows so many cells, if there are further ones.
    pub(super) fn after(self, line: &[u8], cells: usize) -> Option<&[u8]> {
        (0..cells).try_fold(line, |rest, _| self.split(rest).1)
    }

    /// The number of the first cell, as [`number`], with what follows; a plain one is found faster than by its ends.
    ///
    /// # Errors
    /// The cell, if it holds something else.
    pub(super) fn first_number(self, line: &[u8]) -> Result<(f32, Option<&[u8]>), &[u8]> {
        let line = self.start(line);
        if let Some((number, length)) = decimal(line) {
            let rest = &line[length..];
            let ends = match (self.byte(), rest.first()) {
                (_, None) => true,
                (Some(byte), Some(next)) => *next == byte,
                (None, Some(next)) => next.is_ascii_whitespace(),
            };
            if ends {
                return Ok((number as f32, self.next(rest)));
            }
        }
        let (cell, rest) = self.split(line);
        match number(bare(cell), self) {
            Some(number) => Ok((number, rest)),
            None => Err(cell),
        }
    }

    /// The cells of a line, without the spaces and quotation marks around them.
    pub(super) fn cells(self, line: &[u8]) -> Vec<&[u8]> {
        let mut cells = Vec::new();
        let mut rest = Some(line).filter(|_| self != Self::Spaces || !line.trim_ascii().is_empty());
        while let Some(line) = rest {
            let (cell, next) = self.split(line);
            cells.push(bare(cell));
            rest = next;
        }
        cells
    }

    /// The number of cells of a line.
    pub(super) fn count(self, line: &[u8]) -> usize {
        /// As many as fit a byte: the processor then compares and adds dozens at a time.
        const MOST: usize = u8::MAX as usize;
        let Some(separator) = self.byte() else {
            return self.cells(line).len();
        };
        let parts = line.chunks(MOST).map(|part| {
            let found = part.iter().map(|byte| u8::from(*byte == separator));
            usize::from(found.sum::<u8>())
        });
        1 + parts.sum::<usize>()
    }
}

/// The number that a line begins with, if it is plain (digits, perhaps a point and an exponent), and its length. It is off by less than one
/// part in 10^15, which is nothing before it is rounded to f32.
fn decimal(line: &[u8]) -> Option<(f64, usize)> {
    /// Digits that fit a u64.
    const MOST_DIGITS: usize = 19;
    let is_negative = line.first() == Some(&b'-');
    let mut place = usize::from(is_negative);
    let mut digits: u64 = 0;
    let mut read = |place: &mut usize| {
        let start = *place;
        while let Some(digit) = line.get(*place).map(|byte| byte.wrapping_sub(b'0'))
            && digit < 10
        {
            digits = digits.wrapping_mul(10).wrapping_add(u64::from(digit));
            *place += 1;
        }
        *place - start
    };
    let mut count = read(&mut place);
    let mut exponent: i32 = 0;
    if line.get(place) == Some(&b'.') {
        place += 1;
        let after = read(&mut place);
        count += after;
        exponent = -(after.min(MOST_DIGITS) as i32);
    }
    if count == 0 || count > MOST_DIGITS {
        return None;
    }
    if let Some(b'e' | b'E') = line.get(place) {
        let (number, length) = exponent_of(&line[place + 1..])?;
        exponent += number;
        place += 1 + length;
    }
    let power = POWERS.get(exponent.unsigned_abs() as usize)?;
    let number = match exponent < 0 {
        true => digits as f64 / power,
        false => digits as f64 * power,
    };
    Some((if is_negative { -number } else { number }, place))
}

/// A whole number of at most three digits, with a sign or without, and its length.
fn exponent_of(text: &[u8]) -> Option<(i32, usize)> {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let digits = text[sign..].iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.count();
    let number = str::from_utf8(&text[sign..sign + length]).ok()?;
    let number: i32 = number.parse().ok().filter(|_| length <= 3)?;
    let is_negative = text.first() == Some(&b'-');
    Some((if is_negative { -number } else { number }, sign + length))
}

/// The powers of ten that an f64 holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

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
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

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
    fn rule_2_6_plain_numbers_are_those_of_the_standard_library() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut texts: Vec<String> = [
            "0",
            "-0",
            "1.",
            ".5",
            "-.5e3",
            "1e22",
            "1e-22",
            "12345678901234567890",
            "1e400",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "--1",
            "1.2.3",
            "+1",
            "1e-5x",
            "9999999999999999999",
            "1E5",
            "00000000000000000000.5",
            "0.00000000000000000000001",
        ]
        .map(str::to_owned)
        .into();
        for _ in 0..20_000 {
            let number =
                f64::from(random.next_u32() as i32) / 10_f64.powi((random.next_u32() % 12) as i32);
            texts.push(format!("{number}"));
            texts.push(format!("{number:.18e}"));
            texts.push(format!("{number:.5}"));
            texts.push(format!("{:e}", number as f32));
        }
        for text in texts {
            let line = format!("{text},7");
            let found = Separator::Comma.first_number(line.as_bytes());
            match text.parse::<f32>() {
                Ok(number) => {
                    let (found, rest) = found.unwrap_or_else(|_| panic!("{text}"));
                    let close = (found - number).abs() <= number.abs() * f32::EPSILON;
                    assert!(close || found == number, "{text}: {found}");
                    assert_eq!(rest, Some(&b"7"[..]));
                }
                Err(_) => assert_eq!(found, Err(text.as_bytes()), "{text}"),
            }
        }
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
