//! All files of one subject.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use spikegrid_core::slab::Compression;
use spikegrid_core::wording::counted;
use spikegrid_files::crash_trial;
use spikegrid_files::output::written::{NumberKind, WrittenDataset, WrittenFile, regular_file};
use spikegrid_files::output::{OutputFile, SubjectFiles};
use spikegrid_files::regular;

use super::activity;
use super::grids;
use super::header::{self, Header};
use super::metadata::Metadata;
use super::nwb;
use super::report::{Opened, Report, shape_text};
use super::rules::{self, COLUMNS, Cut, Missing, Place, ROWS};
use super::table::{self, Known};
use super::traces::{self, Traces};

/// Lets a process of its own read HDF5 files, those of them that are there, first; [`open`] then refuses those that the library
/// does not survive.
pub(super) fn try_out(report: &mut Report, paths: &[PathBuf]) {
    // Nothing else than a regular file is opened.
    let regular = paths.iter().filter(|path| regular_file(path).is_ok());
    let mut paths: Vec<PathBuf> = regular.cloned().collect();
    while let Err(crashing) = crash_trial::written(&paths) {
        paths.retain(|path| *path != crashing.path);
        report.crashing.insert(crashing.path);
    }
}

/// Opens an HDF5 file of an output folder that was tried, or reports why not.
pub(super) fn open(
    report: &mut Report,
    output_dir: &Path,
    name: &str,
    rule: &str,
) -> Option<Opened> {
    let path = output_dir.join(name);
    let opened = match report.crashing.contains(&path) {
        true => Err("a file that the HDF5 library does not survive".into()),
        false => WrittenFile::open(&path),
    };
    let place = name.to_owned();
    match opened {
        Ok(file) => Some(Opened { file, name: place }),
        Err(found) => {
            report.difference(place, "an HDF5 file", found, rule);
            None
        }
    }
}

/// A subject in words, with the facts that its files agree on.
pub(super) struct Subject {
    pub words: String,
    /// Whether spikes and planes were recomputed.
    pub recomputed: bool,
}

/// Checks the files of a subject that is complete; none if its grids cannot be read.
pub(super) fn check(report: &mut Report, output_dir: &Path, subject: &str) -> Option<Subject> {
    let files = SubjectFiles::new(output_dir, subject);
    let name = |file: OutputFile| {
        let path = files.path(file);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        format!("{subject}/{name}")
    };
    try_out(report, &OutputFile::ALL.map(|file| files.path(file)));
    check_leftovers(report, &files.folder, subject);
    check_pdf(
        report,
        &files.path(OutputFile::Figures),
        &name(OutputFile::Figures),
    );

    let file = open(report, output_dir, &name(OutputFile::Grids), "rule 8.1")?;
    let grids = open_grids(report, &file)?;
    let (frames, planes) = (grids.shape[0], grids.shape[1]);
    let header = header::check(report, &file, subject, &grids.shape);
    check_storage(report, &file, &grids, header.compression);
    let split = header.seed.zip(header.split_ratio);
    let mut metadata = Metadata {
        frames,
        planes,
        is_train: split.map(|(seed, ratio)| rules::split(frames, ratio, seed)),
    };
    metadata.check_beside_grids(report, &file);
    let of_metadata = open(report, output_dir, &name(OutputFile::Metadata), "rule 8.2");
    let z_values = of_metadata
        .as_ref()
        .and_then(|file| metadata.check(report, file, "", "rule 8.2"));

    let traces_name = name(OutputFile::Traces);
    let traces = match exists(&files.path(OutputFile::Traces)) {
        true => open(report, output_dir, &traces_name, "rule 8.5").and_then(|file| {
            let seeded = header.subject.as_deref().unwrap_or(subject);
            traces::check(report, &file, seeded, frames, header.seed)
        }),
        false => None,
    };
    let activity_name = name(OutputFile::Activity);
    if exists(&files.path(OutputFile::Activity))
        && let Some(file) = open(report, output_dir, &activity_name, "rule 8.9")
    {
        let is_train = metadata.is_train.as_deref();
        let rate = header.sampling_rate_hz;
        let traces = traces.as_ref();
        let table = files.path(OutputFile::Neurons);
        activity::check(report, &file, &table, frames, is_train, rate, traces);
    }
    let places = traces.as_ref().and_then(|traces| {
        let xyz = traces.xyz.as_deref()?;
        let metadata = of_metadata.as_ref().zip(z_values.as_deref());
        check_places(report, subject, metadata, planes, xyz, &header)
    });
    let nwb_name = name(OutputFile::Nwb);
    if exists(&files.path(OutputFile::Nwb))
        && let Some(file) = open(report, output_dir, &nwb_name, "rule 8.10")
    {
        let rate = header.sampling_rate_hz;
        nwb::check(
            report,
            &file,
            frames,
            rate,
            traces.as_ref(),
            places.as_deref(),
        );
    }
    let recomputed = check_planes(report, &file, &grids, traces.as_ref(), places.as_deref());
    let table = files.folder.join("neurons.tsv");
    let mut neurons = traces.as_ref().map(|traces| traces.neurons);
    if exists(&table) {
        let known = Known {
            traces: traces.as_ref(),
            places: places.as_deref(),
        };
        let table_name = format!("{subject}/neurons.tsv");
        let rows = match regular_file(&table) {
            Ok(_) => table::check(report, &table, &table_name, &known),
            Err(found) => {
                report.difference(table_name, "a table", found, "rule 9.4");
                None
            }
        };
        neurons = neurons.or(rows);
    }
    let neurons = neurons.map_or_else(String::new, |n| counted(n, "neuron") + " × ");
    Some(Subject {
        words: format!(
            "{neurons}{}, {}",
            counted(frames, "frame"),
            counted(planes, "plane")
        ),
        recomputed,
    })
}

/// Whether something has this name, be it a link that leads nowhere.
pub(super) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Opens the grids, which every other check needs.
fn open_grids(report: &mut Report, file: &Opened) -> Option<WrittenDataset> {
    const RULE: &str = "rule 8.1";
    let grids = match file.file.dataset("grids") {
        Ok(grids) => grids,
        Err(found) => {
            let place = format!("{}: grids", file.name);
            report.difference(place, "u8 (T, Z, 256, 128)", found, RULE);
            return None;
        }
    };
    let of_planes =
        matches!(grids.shape[..], [frames, planes, ROWS, COLUMNS] if frames > 0 && planes > 0);
    if grids.kind != NumberKind::U8 || !of_planes {
        let found = format!("{} {}", grids.kind, shape_text(&grids.shape));
        report.difference(
            format_args!("{}: grids", file.name),
            "u8 (T, Z, 256, 128)",
            found,
            RULE,
        );
        return None;
    }
    Some(grids)
}

/// Checks that the grids are stored as the configuration says; `asked` is none where there is no telling.
fn check_storage(
    report: &mut Report,
    file: &Opened,
    grids: &WrittenDataset,
    asked: Option<Compression>,
) {
    let words = |compression| match compression {
        Compression::Gzip => format!("chunks (1, 1, {ROWS}, {COLUMNS}), gzip level 1"),
        Compression::None => "contiguous, without compression".to_owned(),
    };
    let found = grids.grids_compression();
    let expected = match (asked, &found) {
        (None, Ok(_)) => return,
        (Some(asked), Ok(found)) if asked == *found => return,
        (asked, _) => words(asked.unwrap_or_default()),
    };
    let found = found.map_or_else(|storage| storage, words);
    report.difference(
        format_args!("{}: grids", file.name),
        expected,
        found,
        "rules 8.1 and 8.8",
    );
}

/// Checks the z of the planes; the place of each neuron, (N,), unless the planes are others.
fn check_places(
    report: &mut Report,
    subject: &str,
    metadata: Option<(&Opened, &[f64])>,
    planes: usize,
    xyz: &[[f64; 3]],
    header: &Header,
) -> Option<Vec<Option<Place>>> {
    let z_values = metadata.map(|(_, z_values)| z_values);
    let missing = meaning_of_nan(xyz, header, z_values);
    tell_old_positions(report, subject, xyz, missing);
    let (mut expected, places) = rules::places(xyz, header.cut, missing);
    let rule = match header.cut {
        Cut::Levels => "rule 7.1",
        _ => "rule 7.4",
    };
    match metadata {
        Some((file, z_values)) if expected.len() == z_values.len() => {
            if header.cut != Cut::Levels {
                accept_rounding(&mut expected, z_values);
            }
            file.compare(report, "z_values", &[planes], &expected, z_values, rule);
        }
        Some((file, z_values)) => {
            let of_positions = counted(expected.len(), "plane");
            report.difference(
                format_args!("{}: z_values", file.name),
                format_args!("{of_positions}, as the positions in traces.h5 have"),
                z_values.len(),
                rule,
            );
        }
        None => {}
    }
    (expected.len() == planes).then_some(places)
}

/// Takes the middles of slabs as they are found where they differ by rounding alone: no rule says in which order they are computed.
fn accept_rounding(expected: &mut [f64], found: &[f64]) {
    let largest = expected
        .iter()
        .fold(0.0_f64, |largest, z| largest.max(z.abs()));
    for (expected, &found) in expected.iter_mut().zip(found) {
        if (*expected - found).abs() <= 8.0 * f64::EPSILON * largest {
            *expected = found;
        }
    }
}

/// What a NaN coordinate means in these files: where the settings leave that open, what the z of the planes follow from.
fn meaning_of_nan(xyz: &[[f64; 3]], header: &Header, z_values: Option<&[f64]>) -> Missing {
    let follows = |missing| {
        let (expected, _) = rules::places(xyz, header.cut, missing);
        z_values.is_none_or(|z_values| expected == z_values)
    };
    match header.missing {
        Missing::Zero if !follows(Missing::Zero) && follows(Missing::NoPosition) => {
            Missing::NoPosition
        }
        missing => missing,
    }
}

/// Says where NaN coordinates count as 0, as they did in versions before rule 2.5.
fn tell_old_positions(report: &mut Report, subject: &str, xyz: &[[f64; 3]], missing: Missing) {
    let without = xyz
        .iter()
        .filter(|position| position.iter().any(|c| c.is_nan()));
    let count = without.count();
    if missing == Missing::Zero && count > 0 {
        report.say(format_args!(
            "{subject}: note: {} a NaN coordinate, which counts as 0: a version before rule 2.5 made these files",
            match count {
                1 => "1 neuron has".into(),
                _ => format!("{} have", counted(count, "neuron")),
            }
        ));
    }
}

/// Checks the planes; whether they were compared with spikes.
fn check_planes(
    report: &mut Report,
    file: &Opened,
    grids: &WrittenDataset,
    traces: Option<&Traces>,
    places: Option<&[Option<Place>]>,
) -> bool {
    let spikes = traces.and_then(|traces| traces.spikes.as_ref());
    let expected = spikes
        .zip(places)
        .map(|(spikes, places)| grids::Expected { spikes, places });
    let checked = grids::check(report, file, grids, expected.as_ref());
    file.read(report, "grids", checked, "rule 7.2");
    expected.is_some()
}

/// Reports what should not be there beside complete files (rule 8.7).
fn check_leftovers(report: &mut Report, folder: &Path, subject: &str) {
    for name in leftovers(folder) {
        let place = format!("{subject}/{name}");
        let found = match name.starts_with(".journal-") {
            true => "the journal of a run that was interrupted",
            false => "a file that is not complete",
        };
        report.difference(place, "nothing beside complete files", found, "rule 8.7");
    }
}

/// The journals and partial files in a folder, in the order of the alphabet.
pub(super) fn leftovers(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_left = |name: &String| {
        name.starts_with(".journal-") || name.starts_with('.') && name.contains(".partial")
    };
    let mut left: Vec<String> = names.filter(is_left).collect();
    left.sort();
    left
}

/// Checks that the figures are there and whole, as far as a PDF's first and last line say (rule 8.3).
fn check_pdf(report: &mut Report, path: &Path, name: &str) {
    let read = |path: &PathBuf| -> Result<bool, std::io::Error> {
        let mut file = regular::open(path)?;
        let mut start = [0; 5];
        file.read_exact(&mut start)?;
        let end = file.seek(SeekFrom::End(0))?.saturating_sub(32);
        file.seek(SeekFrom::Start(end))?;
        let mut last = Vec::new();
        file.read_to_end(&mut last)?;
        Ok(start == *b"%PDF-" && last.windows(5).any(|bytes| bytes == b"%%EOF"))
    };
    let found = match regular_file(path).map(|_| read(&path.to_path_buf())) {
        Ok(Ok(true)) => return,
        Ok(Ok(false)) => "a file that is none, or that is cut".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(found) => found,
    };
    report.difference(name, "a PDF", found, "rule 8.3");
}
