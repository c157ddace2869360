//! The files of a subject: which there are, which a run writes, and when they get their final names.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use spikegrid_core::activity::Precision;

use super::activity::{ActivityFile, Expected};
use super::error::OutputError;
use super::files::{discard, finish};
use super::journal;
use super::metadata::Metadata;
use super::nwb::NwbFile;
use super::provenance::{self, Provenance};
use super::traces::TracesFile;
use crate::names::partial;
use crate::regular::irregular;

/// A file of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFile {
    /// Rule 8.1. The subject is complete with it: the others are written again where they are missing.
    Grids,
    /// Rule 8.2.
    Metadata,
    /// Rule 8.3.
    Figures,
    /// Rule 8.5.
    Traces,
    /// Rule 8.9.
    Activity,
    /// Rule 8.10.
    Nwb,
    /// Rule 9.4.
    Neurons,
    /// Rule 9.5.
    Page,
}

impl OutputFile {
    /// All of them, the grids first.
    pub const ALL: [Self; 8] = [
        Self::Grids,
        Self::Metadata,
        Self::Figures,
        Self::Traces,
        Self::Activity,
        Self::Nwb,
        Self::Neurons,
        Self::Page,
    ];

    fn name(self, subject: &str) -> String {
        match self {
            Self::Grids => "preaugmented_grids.h5".into(),
            Self::Metadata => "metadata.h5".into(),
            Self::Figures => format!("{subject}_visualization.pdf"),
            Self::Traces => "traces.h5".into(),
            Self::Activity => "activity.h5".into(),
            Self::Nwb => format!("{subject}.nwb"),
            Self::Neurons => "neurons.tsv".into(),
            Self::Page => format!("{subject}_report.html"),
        }
    }

    /// Whether a later run uses the unfinished file of an interrupted one.
    fn is_resumable(self) -> bool {
        matches!(self, Self::Traces | Self::Activity | Self::Nwb)
    }

    /// Whether a run with these settings writes it at all.
    fn is_asked_for(self, required: &Required) -> bool {
        match self {
            Self::Grids | Self::Metadata | Self::Figures | Self::Neurons | Self::Page => true,
            Self::Traces => required.save_traces,
            Self::Activity => required.activity.is_some(),
            Self::Nwb => required.nwb,
        }
    }

    /// Whether the file that is there holds what it must.
    ///
    /// # Errors
    /// Grids that are not this program's, or were made with other settings.
    fn is_complete(self, files: &SubjectFiles, required: &Required) -> Result<bool, OutputError> {
        let [frames, ..] = required.shape;
        let path = &files.path(self);
        match self {
            Self::Grids if path.exists() => {
                provenance::check(path, required.shape, required.provenance).map(|()| true)
            }
            Self::Grids => Ok(false),
            Self::Metadata => Ok(required.metadata.is_in(path)),
            Self::Figures => Ok(path.exists()),
            Self::Traces => Ok(TracesFile::open(path, frames, required.neurons).is_some()),
            Self::Activity => Ok(required.activity.is_some_and(|precision| {
                let expected = Expected {
                    neurons: required.neurons,
                    precision,
                    is_train: &required.metadata.is_train,
                    sampling_rate_hz: required.provenance.sampling_rate,
                };
                ActivityFile::is_complete(path, &expected)
            })),
            Self::Nwb => Ok(NwbFile::is_complete(path, frames, required.neurons)),
            // Outputs from before there were such files are complete without them.
            Self::Neurons | Self::Page => {
                Ok(path.exists() || !provenance::has_findings(&files.path(Self::Grids)))
            }
        }
    }
}

/// What a run must leave of a subject.
#[derive(Debug, Clone, Copy)]
pub struct Required<'a> {
    /// Whether files that are there are written again.
    pub overwrite: bool,
    /// Whether traces are asked for.
    pub save_traces: bool,
    /// The numbers of the activity matrix, if it is asked for.
    pub activity: Option<Precision>,
    /// Whether the NWB file is asked for.
    pub nwb: bool,
    /// The shape of the grids, (T, Z, 256, 128).
    pub shape: [usize; 4],
    /// The number of neurons, N.
    pub neurons: usize,
    /// What the grids are made of, and how.
    pub provenance: &'a Provenance,
    /// The content of `metadata.h5`.
    pub metadata: &'a Metadata,
}

/// The files of a subject that a run writes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted([bool; OutputFile::ALL.len()]);

impl Wanted {
    /// Finds the files that are missing or damaged; all where grids are missing, or with `--overwrite`: other files do not belong to
    /// new grids.
    ///
    /// # Errors
    /// Files are there that this run must not write over.
    pub fn find(files: &SubjectFiles, required: &Required) -> Result<Self, OutputError> {
        files.check_names()?;
        let mut wanted = Self::default();
        for file in OutputFile::ALL {
            let wants = file.is_asked_for(required)
                && (required.overwrite
                    || wanted.has(OutputFile::Grids)
                    || !file.is_complete(files, required)?);
            wanted.0[file as usize] = wants;
        }
        Ok(wanted)
    }

    /// Whether a file is to be written.
    #[must_use]
    pub fn has(self, file: OutputFile) -> bool {
        self.0[file as usize]
    }

    /// Whether neurons must be computed for it: rank 0 writes metadata without them.
    #[must_use]
    pub fn needs_neurons(self) -> bool {
        let files = self.files().filter(|file| *file != OutputFile::Metadata);
        files.count() > 0
    }

    /// The files that are to be written.
    pub fn files(self) -> impl Iterator<Item = OutputFile> {
        OutputFile::ALL
            .into_iter()
            .filter(move |file| self.has(*file))
    }

    /// Their names.
    #[must_use]
    pub fn names(self, files: &SubjectFiles) -> Vec<String> {
        self.files().map(|file| file.name(&files.subject)).collect()
    }

    /// The bytes that they take once they are written.
    #[must_use]
    pub fn bytes(self, files: &SubjectFiles) -> u64 {
        let size = |file| std::fs::metadata(files.path(file)).map_or(0, |found| found.len());
        self.files().map(size).sum()
    }

    /// Gives the files their final names, the grids first.
    ///
    /// # Errors
    /// The system's reason.
    pub fn finish(self, files: &SubjectFiles) -> Result<(), OutputError> {
        if self.has(OutputFile::Grids) {
            // Files that belong to other grids must not stand beside these, not even after an interruption here.
            for stale in OutputFile::ALL
                .map(|file| files.path(file))
                .into_iter()
                .skip(1)
            {
                if stale.exists() {
                    std::fs::remove_file(&stale)
                        .map_err(OutputError::io(&stale, "cannot be replaced"))?;
                }
            }
        }
        self.files().try_for_each(|file| finish(&files.path(file)))
    }
}

/// The places of a subject's files, each with a temporary name beside the final one.
#[derive(Debug, Clone)]
pub struct SubjectFiles {
    /// The subject's output folder.
    pub folder: PathBuf,
    subject: String,
}

impl SubjectFiles {
    /// The files of a subject in the output folder.
    #[must_use]
    pub fn new(output_dir: &Path, subject: &str) -> Self {
        Self {
            folder: output_dir.join(subject),
            subject: subject.to_owned(),
        }
    }

    /// The files of a subject that stand beside its grids file.
    #[must_use]
    pub fn beside(grids: &Path, subject: &str) -> Self {
        Self {
            folder: grids.parent().unwrap_or(Path::new("")).to_owned(),
            subject: subject.to_owned(),
        }
    }

    /// The final name of a file.
    #[must_use]
    pub fn path(&self, file: OutputFile) -> PathBuf {
        self.folder.join(file.name(&self.subject))
    }

    /// # Errors
    /// Something that is no file has the name of one of the files.
    fn check_names(&self) -> Result<(), OutputError> {
        let paths = OutputFile::ALL.map(|file| self.path(file));
        let names = paths
            .into_iter()
            .flat_map(|path| [path.clone(), partial(&path)]);
        names.into_iter().try_for_each(check_irregular)
    }

    /// Makes the folder, keeps other runs out of it, and clears away what an interrupted run left, except what the
    /// next run may use: its [journal] and the unfinished files that are filled unit by unit.
    ///
    /// # Errors
    /// The system's reason, or that another run has the folder.
    pub fn claim(self) -> Result<Claim, OutputError> {
        let folder = &self.folder;
        std::fs::create_dir_all(folder).map_err(OutputError::io(folder, "cannot be made"))?;
        let lock = File::open(folder).map_err(OutputError::io(folder, "cannot be opened"))?;
        // On file systems without locks nothing keeps two runs apart.
        if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(OutputError::Busy {
                folder: folder.clone(),
            });
        }
        self.remove_partial(|file| !file.is_resumable());
        Ok(Claim {
            files: self,
            resumable: false,
            _lock: lock,
        })
    }

    /// Removes unfinished files of some kinds, and what MPI made beside them: Open MPI puts the state of shared file pointers
    /// into files whose names begin with that of the open file, and a killed process leaves them.
    fn remove_partial(&self, kinds: impl Fn(OutputFile) -> bool) {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        for file in OutputFile::ALL.into_iter().filter(|file| kinds(*file)) {
            let unfinished = partial(&self.path(file));
            let start = unfinished
                .file_name()
                .unwrap_or_default()
                .as_encoded_bytes();
            let left = |name: &&OsString| name.as_encoded_bytes().starts_with(start);
            for name in names.iter().filter(left) {
                discard(&self.folder.join(name));
            }
        }
    }
}

/// # Errors
/// Something is at a path that is no file.
pub(super) fn check_irregular(path: PathBuf) -> Result<(), OutputError> {
    match irregular(&path) {
        Some(found) => Err(OutputError::Irregular { path, found }),
        None => Ok(()),
    }
}

/// A subject's files while this run works on them. When it is dropped, unfinished files are removed, and the folder if it is
/// empty; what the next run may use stays if [`keep_journal`](Self::keep_journal) said so.
#[derive(Debug)]
pub struct Claim {
    /// The files.
    pub files: SubjectFiles,
    resumable: bool,
    _lock: File,
}

impl Claim {
    /// Removes the journals, which a complete subject does not need.
    ///
    /// # Errors
    /// The system's reason for the first that stays.
    pub fn remove_journals(&self) -> Result<(), OutputError> {
        let folder = &self.files.folder;
        let removed = journal::remove(folder);
        removed.map_err(OutputError::io(
            folder,
            "the files .journal-* in it cannot be removed",
        ))
    }

    /// Leaves the journal for another run.
    pub fn keep_journal(&mut self) {
        self.resumable = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let resumable = self.resumable;
        self.files
            .remove_partial(|file| !(resumable && file.is_resumable()));
        if !resumable {
            let _ = journal::remove(&self.files.folder);
        }
        let _ = std::fs::remove_dir(&self.files.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_goes_when_the_folder_is_claimed_and_released() {
        let folder = tempfile::tempdir().expect("a folder");
        let subject = folder.path().join("subject_1");
        std::fs::create_dir(&subject).expect("a subject's folder");
        let write = |name: &str| std::fs::write(subject.join(name), "x").expect("a file");
        // The names that Open MPI's components `individual` and `lockedfile` give to shared file pointers.
        let left = [
            ".preaugmented_grids.h5.partial",
            ".preaugmented_grids.h5.partial.data.0",
            ".preaugmented_grids.h5.partial.metadata.0",
            ".preaugmented_grids.h5.partial-3506241536-772044.lock",
        ];
        let stays = [".traces.h5.partial", "notes.txt"];
        let names = || {
            let entries = std::fs::read_dir(&subject).into_iter().flatten().flatten();
            let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
            names.sort();
            names
        };

        left.into_iter().chain(stays).for_each(write);
        let files = SubjectFiles::new(folder.path(), "subject_1");
        let mut claim = files.claim().expect("a claim");
        assert_eq!(names(), stays);

        left.into_iter().for_each(write);
        claim.keep_journal();
        drop(claim);
        assert_eq!(names(), stays);
    }
}
