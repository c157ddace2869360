//! Files that may be opened. Whoever opens a named pipe waits until another program writes into it, and devices have no end.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// What something is instead of a file; nothing where it is one. Links are followed.
pub(crate) fn other_than_file(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("a folder"),
        () if kind.is_fifo() => Some("a named pipe (FIFO)"),
        () if kind.is_socket() => Some("a socket"),
        () => Some("a device"),
    }
}

/// What is at a path instead of a file; nothing where a file is, or nothing.
pub(crate) fn irregular(path: &Path) -> Option<&'static str> {
    std::fs::metadata(path)
        .ok()
        .and_then(|found| other_than_file(&found))
}

/// Opens a file for reading, and nothing else.
///
/// # Errors
/// The system's reason, or what is there instead of a file.
pub fn open(path: &Path) -> io::Result<File> {
    match other_than_file(&std::fs::metadata(path)?) {
        Some(kind) => Err(io::Error::other(format!("expected a file, found {kind}"))),
        None => File::open(path),
    }
}

/// Opens an HDF5 file for reading, and nothing that is no file.
///
/// # Errors
/// The library's reason, or what is there instead of a file.
pub(crate) fn open_hdf5(path: &Path) -> hdf5::Result<hdf5::File> {
    match irregular(path) {
        Some(kind) => Err(format!("expected a file, found {kind}").into()),
        None => hdf5::File::open(path),
    }
}

/// Makes a named pipe, in this process: another one would hold the locks of HDF5 files that other tests have open.
#[cfg(test)]
pub(crate) fn make_pipe(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a named pipe");
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn pipes_sockets_devices_and_folders_are_not_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        make_pipe(&path("pipe"));
        let _socket = UnixListener::bind(path("socket")).expect("a socket");
        std::os::unix::fs::symlink("/dev/zero", path("device")).expect("a link");
        std::os::unix::fs::symlink("pipe", path("link")).expect("a link");
        for (name, kind) in [
            ("pipe", "a named pipe (FIFO)"),
            ("link", "a named pipe (FIFO)"),
            ("socket", "a socket"),
            ("device", "a device"),
            (".", "a folder"),
        ] {
            assert_eq!(irregular(&path(name)), Some(kind));
            let message = open(&path(name)).expect_err(name).to_string();
            assert!(message.contains(kind), "{message}");
            assert!(open_hdf5(&path(name)).is_err(), "{name}");
        }
        std::fs::write(path("file"), "text").expect("a file");
        assert_eq!(irregular(&path("file")), None);
        assert_eq!(irregular(&path("nothing")), None);
        assert!(open(&path("file")).is_ok());
        let missing = open(&path("nothing")).expect_err("nothing");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
