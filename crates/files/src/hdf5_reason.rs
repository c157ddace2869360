//! The HDF5 library's errors in words for the person who recorded the data.

use hdf5::Error;

/// What the library says, and what a user understands. The first that an error holds counts.
const KNOWN: [(&str, &str); 9] = [
    ("fail if unknown", NEWER),
    ("bad version number", NEWER),
    ("wrong version number", NEWER),
    ("unknown version", NEWER),
    ("superblock version", NEWER),
    ("file is already open for write", OPEN_ELSEWHERE),
    ("not registered", NO_FILTER),
    ("can't open directory", NO_FILTER),
    ("filter returned failure", "a chunk cannot be decompressed"),
];
const NEWER: &str = "newer format";
const OPEN_ELSEWHERE: &str =
    "another program has it open for writing, or had when it was copied or stopped";
const NO_FILTER: &str = "its chunks are compressed by a filter that this program's HDF5 lacks";

/// The library's reason without the names of its functions and variables: "unable to open file: file signature not found".
pub(crate) fn reason(error: &Error) -> String {
    let descriptions: Vec<String> = match error.stack() {
        Some(stack) => stack.iter().map(|frame| frame.desc().to_owned()).collect(),
        None => vec![error.to_string()],
    };
    for (said, meant) in KNOWN {
        if descriptions
            .iter()
            .any(|description| description.contains(said))
        {
            return match meant {
                NEWER => newer_format(),
                _ => meant.to_owned(),
            };
        }
    }
    let text = match &descriptions[..] {
        [first, .., last] => format!("{first}: {last}"),
        [only] => only.clone(),
        [] => "no reason given".to_owned(),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    truncated(&text)
        .or_else(|| system(&text))
        .unwrap_or_else(|| without_variables(&text))
}

fn newer_format() -> String {
    let (major, minor, patch) = hdf5::library_version();
    format!(
        "it was written in a format newer than this program's HDF5 ({major}.{minor}.{patch}), or is damaged"
    )
}

/// "… truncated file: eof = 98008, sblock->base_addr = 0, stored_eof = 196016"
fn truncated(text: &str) -> Option<String> {
    let (_, numbers) = text.split_once("truncated file: ")?;
    let number = |name: &str| {
        let (_, rest) = numbers.split_once(name)?;
        let digits = rest.split(|character: char| !character.is_ascii_digit());
        digits.into_iter().next()?.parse::<u64>().ok()
    };
    let (found, expected) = (number("eof = ")?, number("stored_eof = ")?);
    Some(format!(
        "it is truncated: {found} of {expected} bytes are there"
    ))
}

/// "… failed: time = …, filename = …, errno = 28, error message = 'No space left on device', buf = …"
fn system(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("error message = '")?;
    let (system, _) = rest.split_once('\'')?;
    let end = [": time = ", ", errno = "]
        .iter()
        .filter_map(|mark| text.find(mark))
        .min();
    Some(format!("{}: {system}", &text[..end.unwrap_or(0)]))
}

/// Leaves out what follows the first name of a variable: "…, addr = 0x…".
fn without_variables(text: &str) -> String {
    let end = text
        .find(" = ")
        .and_then(|equals| text[..equals].rfind([',', ':', '(']));
    text[..end.unwrap_or(text.len())].trim_end().to_owned()
}

/// The library's reason, with advice where it is refused a lock.
pub(crate) fn reason_and_locks(error: &Error) -> String {
    let reason = reason(error);
    let advice = match reason.contains(LOCK_REFUSED) {
        true => LOCK_ADVICE,
        false => "",
    };
    reason + advice
}

const LOCK_REFUSED: &str = "unable to lock";
const LOCK_ADVICE: &str = "; close the programs that have it open, or, on a file system without locks (Lustre, NFS), set \
     HDF5_USE_FILE_LOCKING=FALSE on all ranks: HDF5 then opens files without locking them against other programs";

/// Advice for the reason of an error, beginning with "; ".
pub(crate) fn advice(reason: &str) -> &'static str {
    if reason.contains(LOCK_REFUSED) {
        LOCK_ADVICE
    } else if reason.contains("format newer than") {
        "; store it again with h5repack (h5repack --high=2 OLD NEW, of the HDF5 that wrote it), or write it in \
         Python with h5py.File(..., libver=('earliest', 'v110'))"
    } else if reason == OPEN_ELSEWHERE {
        "; close that program, or clear the mark that it left with h5clear -s"
    } else if reason.contains("compressed by") {
        "; set HDF5_PLUGIN_PATH to the folder with the filter's plugin (Python: hdf5plugin.PLUGIN_PATH), or store the dataset again \
         with gzip"
    } else {
        "; copy or save the file again"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_hold_no_names_of_the_librarys_variables() {
        let said = |text: &'static str| reason(&Error::from(text));
        assert_eq!(
            said(
                "unable to open file: truncated file: eof = 98008, sblock->base_addr = 0, stored_eof = 196016"
            ),
            "it is truncated: 98008 of 196016 bytes are there"
        );
        assert_eq!(
            said(
                "file write failed: time = Mon, filename = 'x', errno = 28, error message = 'No space left on device', buf = 0x1"
            ),
            "file write failed: No space left on device"
        );
        assert_eq!(
            said("can't read data: wrong address (addr = 12, size = 3)"),
            "can't read data: wrong address"
        );
        assert_eq!(said("no such object"), "no such object");
        let newer = said("unable to open dataset: bad version number for layout message");
        assert!(
            newer.contains("format newer than this program's HDF5 (1."),
            "{newer}"
        );
        assert!(advice(&newer).contains("h5repack"));
    }
}
