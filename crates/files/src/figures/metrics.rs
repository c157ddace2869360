//! Text in the fonts that every PDF reader brings along: which bytes show it, and how wide it is.
//!
//! Helvetica in WinAnsi encoding covers Latin text; Greek letters and signs such as the minus come from Symbol. What
//! neither has is shown as `?`. Widths are those of Adobe's font metrics, in thousandths of the font size.

/// One of the fonts of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// Helvetica.
    Regular,
    /// Helvetica-Bold.
    Bold,
    /// Symbol.
    Symbol,
}

/// A stretch of text in one font on one baseline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    /// The font.
    pub face: Face,
    /// Whether it is a subscript, smaller and lower.
    pub subscript: bool,
    /// The text in the encoding of the font.
    pub bytes: Vec<u8>,
    /// Width at font size 1.
    pub width: f64,
}

/// Size of a subscript, as part of the size of the text around it.
pub(super) const SUBSCRIPT_SCALE: f64 = 0.7;

/// Splits `text` into runs of one font each.
pub(super) fn runs(text: &str, bold: bool) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for character in text.chars() {
        let (face, byte, subscript) = glyph(character, bold);
        let scale = if subscript { SUBSCRIPT_SCALE } else { 1.0 };
        let width = scale * f64::from(advance(face, byte)) / 1000.0;
        match runs.last_mut() {
            Some(run) if run.face == face && run.subscript == subscript => {
                run.bytes.push(byte);
                run.width += width;
            }
            _ => runs.push(Run {
                face,
                subscript,
                bytes: vec![byte],
                width,
            }),
        }
    }
    runs
}

/// Width of `text` at font size 1.
pub(super) fn text_width(text: &str, bold: bool) -> f64 {
    runs(text, bold).iter().map(|run| run.width).sum()
}

/// `text`, or as much of its beginning as fits into `width` at font size `size`, with an ellipsis.
pub(super) fn fitted(text: &str, bold: bool, size: f64, width: f64) -> String {
    if text_width(text, bold) * size <= width {
        return text.to_owned();
    }
    let mut room = width / size - text_width("…", bold);
    if room < 0.0 {
        return String::new();
    }
    let fits = |character: &char| {
        let (face, byte, _) = glyph(*character, bold);
        room -= f64::from(advance(face, byte)) / 1000.0;
        room >= 0.0
    };
    let beginning: String = text.chars().take_while(fits).collect();
    beginning.trim_end().to_owned() + "…"
}

/// Font, byte in its encoding, and whether it is a subscript.
fn glyph(character: char, bold: bool) -> (Face, u8, bool) {
    let face = if bold { Face::Bold } else { Face::Regular };
    if let Some(digit) = "₀₁₂₃₄₅₆₇₈₉".chars().position(|c| c == character) {
        return (face, b'0' + digit as u8, true);
    }
    if let Some(&(_, byte, _)) = SYMBOLS.iter().find(|(c, _, _)| *c == character) {
        return (Face::Symbol, byte, false);
    }
    (face, win_ansi(character).unwrap_or(b'?'), false)
}

/// The byte of a character in the encoding that PDF calls WinAnsiEncoding (Windows code page 1252).
fn win_ansi(character: char) -> Option<u8> {
    match character {
        ' '..='~' | '\u{A0}'..='\u{FF}' => u8::try_from(u32::from(character)).ok(),
        _ => WIN_ANSI_80_TO_9F
            .iter()
            .position(|&c| c == Some(character))
            .map(|place| 0x80 + place as u8),
    }
}

/// Width of a glyph in thousandths of the font size.
fn advance(face: Face, byte: u8) -> u16 {
    let table = match face {
        Face::Regular => &HELVETICA,
        Face::Bold => &HELVETICA_BOLD,
        Face::Symbol => {
            return SYMBOLS
                .iter()
                .find(|(_, b, _)| *b == byte)
                .map_or(0, |(_, _, width)| *width);
        }
    };
    table[usize::from(byte.max(b' ') - b' ')]
}

/// Code page 1252 where it departs from Latin-1.
#[rustfmt::skip]
const WIN_ANSI_80_TO_9F: [Option<char>; 32] = [
    Some('€'), None, Some('‚'), Some('ƒ'), Some('„'), Some('…'), Some('†'), Some('‡'),
    Some('ˆ'), Some('‰'), Some('Š'), Some('‹'), Some('Œ'), None, Some('Ž'), None,
    None, Some('‘'), Some('’'), Some('“'), Some('”'), Some('•'), Some('–'), Some('—'),
    Some('˜'), Some('™'), Some('š'), Some('›'), Some('œ'), None, Some('ž'), Some('Ÿ'),
];

/// Characters shown in the Symbol font: the character, its byte there, its width.
pub(super) const SYMBOLS: [(char, u8, u16); 41] = [
    ('Δ', 0x44, 612),
    ('Γ', 0x47, 603),
    ('Θ', 0x51, 741),
    ('Λ', 0x4C, 686),
    ('Ξ', 0x58, 645),
    ('Π', 0x50, 768),
    ('Σ', 0x53, 592),
    ('Φ', 0x46, 763),
    ('Ψ', 0x59, 795),
    ('Ω', 0x57, 768),
    ('α', 0x61, 631),
    ('β', 0x62, 549),
    ('γ', 0x67, 411),
    ('δ', 0x64, 494),
    ('ε', 0x65, 439),
    ('ζ', 0x7A, 494),
    ('η', 0x68, 603),
    ('θ', 0x71, 521),
    ('ι', 0x69, 329),
    ('κ', 0x6B, 549),
    ('λ', 0x6C, 549),
    ('μ', 0x6D, 576),
    ('ν', 0x6E, 521),
    ('ξ', 0x78, 493),
    ('π', 0x70, 549),
    ('ρ', 0x72, 549),
    ('σ', 0x73, 603),
    ('τ', 0x74, 439),
    ('υ', 0x75, 576),
    ('φ', 0x66, 521),
    ('χ', 0x63, 549),
    ('ψ', 0x79, 686),
    ('ω', 0x77, 686),
    ('−', 0x2D, 549),
    ('√', 0xD6, 549),
    ('≤', 0xA3, 549),
    ('≥', 0xB3, 549),
    ('≈', 0xBB, 549),
    ('≠', 0xB9, 549),
    ('∞', 0xA5, 713),
    ('→', 0xAE, 987),
];

/// Widths of Helvetica for the bytes 0x20 to 0xFF of WinAnsiEncoding.
#[rustfmt::skip]
const HELVETICA: [u16; 224] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722,
    722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722,
    667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556,
    556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500,
    500, 334, 260, 334, 584, 350, 556, 350, 222, 556, 333, 1000, 556, 556, 333, 1000, 667, 333,
    1000, 350, 611, 350, 350, 222, 222, 333, 333, 350, 556, 1000, 333, 1000, 500, 333, 944, 350,
    500, 667, 278, 333, 556, 556, 556, 556, 260, 556, 333, 737, 370, 556, 584, 333, 737, 333,
    400, 584, 333, 333, 333, 556, 537, 278, 333, 333, 365, 556, 834, 834, 834, 611, 667, 667,
    667, 667, 667, 667, 1000, 722, 667, 667, 667, 667, 278, 278, 278, 278, 722, 722, 778, 778,
    778, 778, 778, 584, 778, 722, 722, 722, 722, 667, 667, 611, 556, 556, 556, 556, 556, 556,
    889, 500, 556, 556, 556, 556, 278, 278, 278, 278, 556, 556, 556, 556, 556, 556, 556, 584,
    611, 556, 556, 556, 556, 500, 556, 500,
];

/// Widths of Helvetica-Bold for the bytes 0x20 to 0xFF of WinAnsiEncoding.
#[rustfmt::skip]
const HELVETICA_BOLD: [u16; 224] = [
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722,
    722, 667, 611, 778, 722, 278, 556, 722, 611, 833, 722, 778, 667, 778, 722, 667, 611, 722,
    667, 944, 667, 667, 611, 333, 278, 333, 584, 556, 333, 556, 611, 556, 611, 556, 333, 611,
    611, 278, 278, 556, 278, 889, 611, 611, 611, 611, 389, 556, 333, 611, 556, 778, 556, 556,
    500, 389, 280, 389, 584, 350, 556, 350, 278, 556, 500, 1000, 556, 556, 333, 1000, 667, 333,
    1000, 350, 611, 350, 350, 278, 278, 500, 500, 350, 556, 1000, 333, 1000, 556, 333, 944, 350,
    500, 667, 278, 333, 556, 556, 556, 556, 280, 556, 333, 737, 370, 556, 584, 333, 737, 333,
    400, 584, 333, 333, 333, 611, 556, 278, 333, 333, 365, 556, 834, 834, 834, 611, 722, 722,
    722, 722, 722, 722, 1000, 722, 667, 667, 667, 667, 278, 278, 278, 278, 722, 722, 778, 778,
    778, 778, 778, 584, 778, 722, 722, 722, 722, 667, 667, 611, 556, 556, 556, 556, 556, 556,
    889, 556, 556, 556, 556, 556, 278, 278, 278, 278, 611, 611, 611, 611, 611, 611, 611, 584,
    611, 611, 611, 611, 611, 556, 611, 556,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_those_of_the_font_metrics() {
        assert_eq!(text_width("", false), 0.0);
        assert!((text_width("0123456789", false) - 5.56).abs() < 1e-12);
        assert!((text_width("Wi", true) - (0.944 + 0.278)).abs() < 1e-12);
        assert!((text_width("ΔF", false) - (0.612 + 0.611)).abs() < 1e-12);
        assert!((text_width("ÿ€", false) - (0.5 + 0.556)).abs() < 1e-12);
    }

    #[test]
    fn what_helvetica_lacks_comes_from_symbol_or_is_a_question_mark() {
        let run = |face, bytes: &[u8]| (face, bytes.to_vec());
        let shown = |text| -> Vec<_> {
            let runs = runs(text, false).into_iter();
            runs.map(|run| (run.face, run.bytes)).collect()
        };
        assert_eq!(
            shown("ΔF/F"),
            [run(Face::Symbol, b"D"), run(Face::Regular, b"F/F")]
        );
        assert_eq!(shown("é…魚\n"), [run(Face::Regular, b"\xE9\x85??")]);
        assert!(runs("F₀", false)[1].subscript);
    }

    #[test]
    fn long_text_ends_in_an_ellipsis_within_its_width() {
        assert_eq!(fitted("short", false, 10.0, 100.0), "short");
        let cut = fitted("a rather long warning", false, 10.0, 50.0);
        assert!(cut.ends_with('…') && text_width(&cut, false) * 10.0 <= 50.0);
        assert_eq!(fitted("W", false, 10.0, 1.0), "");
    }
}
