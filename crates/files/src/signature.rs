//! What a file is by its first bytes: whether it is an HDF5 file, and what it is otherwise.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::regular;

/// With what an HDF5 file begins, after a user block if it has one.
const HDF5: [u8; 8] = *b"\x89HDF\r\n\x1a\n";
/// Bytes by which a file is told.
const START: u64 = 1024;

/// Whether a file has HDF5's signature: at its beginning, or after a user block of 512 bytes or a power of 2 times as many.
pub fn is_hdf5(path: &Path) -> bool {
    regular::open(path).is_ok_and(|mut file| has_hdf5_signature(&mut file).unwrap_or(false))
}

/// As [`is_hdf5`], of an open file, which is read from its beginning afterwards.
///
/// # Errors
/// The system's reason.
pub(crate) fn has_hdf5_signature(file: &mut (impl Read + Seek)) -> io::Result<bool> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut places = std::iter::successors(Some(0), |place| Some((2 * place).max(512)));
    let mut found = false;
    while let Some(place) = places.next().filter(|place| !found && place + 8 <= length) {
        let mut signature = [0; 8];
        file.seek(SeekFrom::Start(place))?;
        file.read_exact(&mut signature)?;
        found = signature == HDF5;
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(found)
}

/// What a file is that should be another one, in a few words.
#[derive(Debug)]
pub(crate) struct Instead {
    what: String,
    /// What to do about it, where that is clear.
    repair: Option<&'static str>,
}

impl Instead {
    fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            repair: None,
        }
    }

    /// With what to do about it: `repair` unless another repair is clear.
    pub(crate) fn repaired_by(&self, repair: &str) -> String {
        match self.repair {
            Some(_) => self.to_string(),
            None => format!("{self}; {repair}"),
        }
    }
}

/// With what to do about it, where that is clear: `a zip archive: unpack it`.
impl fmt::Display for Instead {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.what)?;
        match self.repair {
            Some(repair) => write!(f, ": {repair}"),
            None => Ok(()),
        }
    }
}

/// What a file is that should be another one.
///
/// # Errors
/// The system's reason.
pub(crate) fn instead(file: &mut (impl Read + Seek)) -> io::Result<Instead> {
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.by_ref().take(START).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(told(&start))
}

/// As [`instead`], of a file at a path, with what to do about it; nothing where it cannot be read.
pub(crate) fn instead_at(path: &Path) -> Option<String> {
    let mut file: File = regular::open(path).ok()?;
    Some(instead(&mut file).ok()?.to_string())
}

/// What a file is that should be an HDF5 file, or why it cannot be read; nothing where it is one.
pub(crate) fn other_than_hdf5(path: &Path) -> Option<String> {
    let judged = || -> io::Result<Option<Instead>> {
        let mut file = regular::open(path)?;
        match has_hdf5_signature(&mut file)? {
            true => Ok(None),
            false => instead(&mut file).map(Some),
        }
    };
    match judged() {
        Ok(found) => found.map(|found| found.to_string()),
        Err(error) => Some(format!("one that cannot be read ({error})")),
    }
}

/// As [`instead_at`], of a file that is text or empty; nothing where it is binary.
pub(crate) fn text_instead_at(path: &Path) -> Option<String> {
    let mut start = Vec::new();
    let file = regular::open(path).ok()?;
    file.take(START).read_to_end(&mut start).ok()?;
    text(&start).map(|_| told(&start).to_string())
}

fn told(start: &[u8]) -> Instead {
    if start.is_empty() {
        return Instead::new("an empty file (it was not copied, or its writer was stopped)");
    }
    let known = BINARY.iter().find(|(place, bytes, ..)| {
        start
            .get(*place..)
            .is_some_and(|rest| rest.starts_with(bytes))
    });
    if let Some((_, _, what, repair)) = known {
        return Instead {
            what: (*what).to_owned(),
            repair: (!repair.is_empty()).then_some(repair),
        };
    }
    match text(start) {
        Some(text) => told_of_text(text),
        None => Instead::new("other bytes, which are damaged or of another format"),
    }
}

/// Place, bytes, what a file with these bytes there is, and what to do about it, where that is clear.
const BINARY: [(usize, &[u8], &str, &str); 14] = [
    (
        0,
        b"\x1f\x8b",
        "a file compressed by gzip",
        "decompress it with gunzip",
    ),
    (0, b"PK\x03\x04", "a zip archive", "unpack it"),
    (257, b"ustar", "a tar archive", "unpack it"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (0, b"Rar!", "a RAR archive", "unpack it"),
    (
        0,
        b"\xfd7zXZ",
        "a file compressed by xz",
        "decompress it with unxz",
    ),
    (
        0,
        b"BZh",
        "a file compressed by bzip2",
        "decompress it with bunzip2",
    ),
    (
        0,
        b"\x28\xb5\x2f\xfd",
        "a file compressed by zstd",
        "decompress it with unzstd",
    ),
    (0, b"\x93NUMPY", "a NumPy file (.npy)", ""),
    (0, b"\x0e\x03\x13\x01", "an HDF4 file", ""),
    (0, &HDF5, "an HDF5 file", ""),
    (0, b"MATLAB 5.0", "a MAT-file 5", ""),
    (
        0,
        b"\x00\x05\x16\x07",
        "a file of macOS about another file (AppleDouble), without its data",
        "copy the file itself",
    ),
    (0, b"II*\x00", "a TIFF image", ""),
];

/// The beginning of a text; nothing where it is none.
fn text(start: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The last character may be cut.
        Err(error) if error.error_len().is_none() => {
            str::from_utf8(&start[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let control = |character: char| character.is_control() && !"\t\n\r\u{c}".contains(character);
    (!text.chars().any(control)).then_some(text)
}

fn told_of_text(text: &str) -> Instead {
    let clear = |what: &str, repair| Instead {
        repair: Some(repair),
        ..Instead::new(what)
    };
    let lower = text
        .trim_start_matches(['\u{feff}', ' ', '\t', '\n', '\r'])
        .to_lowercase();
    if lower.starts_with("version https://git-lfs") {
        return clear(
            "a Git LFS pointer, not the file itself",
            "fetch it with git lfs pull",
        );
    }
    if lower.contains("/annex/objects/") {
        return clear(
            "a git-annex pointer, not the file itself",
            "fetch it with git annex get",
        );
    }
    if lower.starts_with("<!doctype html") || lower.contains("<html") {
        return clear(
            "an HTML page, such as a download gives that was not signed in",
            "download the file again",
        );
    }
    if lower.starts_with("<?xml") {
        return clear(
            "an XML text, such as a download gives that was refused",
            "download the file again",
        );
    }
    let mut line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
        .to_owned();
    if line.chars().count() > 60 {
        line = line.chars().take(60).chain(['…']).collect();
    }
    Instead::new(format!("a text that begins with {line:?}"))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn files_are_told_by_their_first_bytes() {
        let tar = [&[b'a'; 257][..], b"ustar\0"].concat();
        for (start, what) in [
            (&b""[..], "an empty file"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid",
                "a Git LFS pointer",
            ),
            (b"/annex/objects/MD5E-s1--0.h5\n", "a git-annex pointer"),
            (b"\n<!DOCTYPE html><title>Sign in</title>", "an HTML page"),
            (b"<html>Sign in to download</html>", "an HTML page"),
            (b"<?xml version=\"1.0\"?><Error>AccessDenied", "an XML text"),
            (b"\x1f\x8b\x08\0", "gunzip"),
            (b"PK\x03\x04\x14\0", "a zip archive"),
            (&tar, "a tar archive"),
            (b"MATLAB 5.0 MAT-file", "a MAT-file 5"),
            (b"Not Found\nmore", "a text that begins with \"Not Found\""),
            ("Größe 1 µ\u{3b1}".as_bytes(), "a text that begins with"),
            (&"µ".as_bytes()[..1], "a text that begins with \"\""),
            (b"\0\x01\x02\xff", "other bytes"),
        ] {
            let found = instead(&mut Cursor::new(start)).expect("bytes").to_string();
            assert!(found.contains(what), "{start:?}: {found}");
        }
    }

    #[test]
    fn one_repair_is_told() {
        let told = |start: &[u8]| told(start).repaired_by("save it again");
        assert_eq!(told(b"PK\x03\x04"), "a zip archive: unpack it");
        assert!(told(b"<html>").ends_with(": download the file again"));
        for start in [&b""[..], b"\0\xff", b"II*\0", b"text"] {
            assert!(told(start).ends_with("; save it again"), "{start:?}");
        }
    }

    #[test]
    fn the_signature_may_follow_a_user_block_of_any_size() {
        for place in [0, 512, 1024, 2048, 1 << 16] {
            let bytes = [&vec![7; place][..], &HDF5, &[0; 100]].concat();
            assert!(
                has_hdf5_signature(&mut Cursor::new(&bytes)).expect("bytes"),
                "{place}"
            );
        }
        for place in [1, 256, 513, 1536] {
            let bytes = [&vec![7; place][..], &HDF5, &[0; 4000]].concat();
            assert!(
                !has_hdf5_signature(&mut Cursor::new(&bytes)).expect("bytes"),
                "{place}"
            );
        }
        assert!(!has_hdf5_signature(&mut Cursor::new(&[])).expect("bytes"));
    }
}
