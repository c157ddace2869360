//! Reads the HDF5 files of an output folder again, for checks: whatever they hold, a part at a time, with the library's errors in a
//! few words.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use hdf5::filters::Filter;
use hdf5::plist::dataset_create::Layout;
use hdf5::types::{TypeDescriptor, VarLenUnicode};
use hdf5::{Dataset, File, Group, H5Type, Hyperslab, Location, SliceOrIndex};
use hdf5_sys::h5z::H5Z_FILTER_DEFLATE;
use ndarray::IxDyn;
use spikegrid_core::grid::{COLUMNS, PLANE_BYTES, ROWS};
use spikegrid_core::slab::{Compression, GZIP_LEVEL};
use zlib_rs::{Inflate, InflateFlush, Status};

use crate::hdf5_access::{self, elements, reason, reason_and_locks};
pub use crate::hdf5_access::{NumberKind, shape_text};
use crate::output::nwb::{TABLE, Voxel};
use crate::raw_chunk::{self, RawChunks, Unread, filters};

/// What deflate saves at most: files that say more are damaged.
const LARGEST_RATIO: u64 = 1100;
/// Groups within groups that are followed, and members of a group: more than a file of ours has.
const MOST_LEVELS: usize = 6;
const MOST_MEMBERS: usize = 1 << 17;
/// Numbers or texts in an attribute: more than one of ours has.
const MOST_NUMBERS: usize = 64;
/// Bytes of a float of half precision.
const HALF_BYTES: usize = 2;
/// What a compressed plane takes at most.
const MOST_PACKED: usize = PLANE_BYTES + PLANE_BYTES / 4;

/// An HDF5 file of an output folder, opened for reading.
pub struct WrittenFile {
    file: File,
    bytes: u64,
}

impl WrittenFile {
    /// Opens a file. Anything else, such as a FIFO or a device, is not opened.
    ///
    /// # Errors
    /// What is there instead.
    pub fn open(path: &Path) -> Result<Self, String> {
        let bytes = regular_file(path)?;
        let file = hdf5_access::open(path).map_err(|error| {
            format!("a file that cannot be read ({})", reason_and_locks(&error))
        })?;
        Ok(Self { file, bytes })
    }

    /// The names of all datasets but those of texts and records, those within groups as `group/name`, in the order of the alphabet.
    ///
    /// # Errors
    /// The library's reason.
    pub fn datasets(&self) -> Result<Vec<String>, String> {
        let mut names = self.objects()?;
        names.retain(|name| self.file.dataset(name).is_ok() && !self.holds_words(name));
        Ok(names)
    }

    /// The names of all groups and datasets, those within groups as `group/name`, in the order of the alphabet.
    ///
    /// # Errors
    /// The library's reason.
    pub fn objects(&self) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        collect(&self.file, "", MOST_LEVELS, &mut names)?;
        names.sort();
        Ok(names)
    }

    /// Whether a dataset holds texts or records, as NWB has them.
    fn holds_words(&self, name: &str) -> bool {
        let dtype = self.file.dataset(name).and_then(|dataset| dataset.dtype());
        let descriptor = dtype.and_then(|dtype| dtype.to_descriptor());
        descriptor.is_ok_and(|descriptor| {
            use TypeDescriptor::{Compound, FixedAscii, FixedUnicode, VarLenAscii, VarLenUnicode};
            matches!(
                descriptor,
                Compound(_) | FixedAscii(_) | FixedUnicode(_) | VarLenAscii | VarLenUnicode
            )
        })
    }

    /// The names of the groups and datasets directly in the file, in the order of the alphabet.
    ///
    /// # Errors
    /// The library's reason.
    pub fn members(&self) -> Result<Vec<String>, String> {
        let mut names = self.file.member_names().map_err(|error| reason(&error))?;
        names.sort();
        Ok(names)
    }

    /// Opens a dataset.
    ///
    /// # Errors
    /// What is there instead.
    pub fn dataset(&self, name: &str) -> Result<WrittenDataset, String> {
        let dataset = self.any_dataset(name)?;
        let kind = hdf5_access::number_kind(&dataset)?;
        let size = dataset.dtype().map_err(|error| reason(&error))?.size();
        let is_half = kind == NumberKind::F64 && size == HALF_BYTES;
        if size != kind.bytes() && !is_half {
            return Err(format!("numbers of {size} bytes"));
        }
        Ok(WrittenDataset {
            shape: dataset.shape(),
            dataset,
            kind,
            is_half,
        })
    }

    /// Reads a dataset of records of this type.
    ///
    /// # Errors
    /// What is there instead, or the library's reason.
    pub fn records<T: H5Type>(&self, name: &str) -> Result<Vec<T>, String> {
        let dataset = self.any_dataset(name)?;
        match elements(&dataset) {
            0 => Ok(Vec::new()),
            _ => dataset.read_raw().map_err(|error| reason(&error)),
        }
    }

    /// The names of the attributes of a group or dataset, in the order of the alphabet.
    ///
    /// # Errors
    /// What is there instead, or the library's reason.
    pub fn attributes_at(&self, object: &str) -> Result<Vec<String>, String> {
        let mut names = self.object(object)?.attr_names().map_err(|e| reason(&e))?;
        names.sort();
        Ok(names)
    }

    /// Reads an attribute of a group or dataset: a text, or numbers.
    ///
    /// # Errors
    /// What is there instead, or the library's reason.
    pub fn attribute_at(&self, object: &str, name: &str) -> Result<SmallValue, String> {
        let attribute = self.object(object)?.attr(name);
        let attribute = attribute.map_err(|_| "no such attribute")?;
        if elements(&attribute) > MOST_NUMBERS {
            return Err(format!("a shape of {}", shape_text(&attribute.shape())));
        }
        let dtype = attribute.dtype().map_err(|error| reason(&error))?;
        let value = match dtype.to_descriptor() {
            Ok(TypeDescriptor::VarLenUnicode | TypeDescriptor::VarLenAscii) => attribute
                .read_raw::<VarLenUnicode>()
                .map(|texts| SmallValue::Texts(texts.iter().map(ToString::to_string).collect())),
            _ => {
                hdf5_access::number_kind(&attribute)?;
                attribute.read_raw().map(SmallValue::Numbers)
            }
        };
        value.map_err(|error| reason(&error))
    }

    fn object(&self, path: &str) -> Result<Location, String> {
        let object = match self.file.group(path) {
            Ok(group) => Ok((*group).clone()),
            Err(_) => self.file.dataset(path).map(|dataset| (**dataset).clone()),
        };
        object.map_err(|_| "no such group or dataset".into())
    }

    /// Opens a dataset that the file is large enough for.
    fn any_dataset(&self, name: &str) -> Result<Dataset, String> {
        let (group, _) = name.rsplit_once('/').unwrap_or_default();
        if !group.is_empty() && !self.file.link_exists(group) || !self.file.link_exists(name) {
            return Err("no such dataset".into());
        }
        let dataset = self.file.dataset(name).map_err(|error| reason(&error))?;
        if (elements(&dataset) as u64) > self.bytes.saturating_mul(LARGEST_RATIO) {
            return Err(format!(
                "a shape of {}, for which the file is too small",
                shape_text(&dataset.shape())
            ));
        }
        Ok(dataset)
    }

    /// The names of the file's own attributes, in the order of the alphabet.
    ///
    /// # Errors
    /// The library's reason.
    pub fn attributes(&self) -> Result<Vec<String>, String> {
        let mut names = self.file.attr_names().map_err(|error| reason(&error))?;
        names.sort();
        Ok(names)
    }

    /// Reads an attribute of the file itself.
    ///
    /// # Errors
    /// What is there instead of a scalar number or text.
    pub fn attribute(&self, name: &str) -> Result<Value, String> {
        let attribute = self.file.attr(name).map_err(|_| "no such attribute")?;
        if !attribute.is_scalar() {
            return Err(format!("a shape of {}", shape_text(&attribute.shape())));
        }
        let dtype = attribute.dtype().map_err(|error| reason(&error))?;
        let value = match dtype.to_descriptor() {
            Ok(TypeDescriptor::VarLenUnicode | TypeDescriptor::VarLenAscii) => attribute
                .read_scalar::<VarLenUnicode>()
                .map(|text| Value::Text(text.to_string())),
            _ => match hdf5_access::number_kind(&attribute)? {
                NumberKind::I64 => attribute.read_scalar().map(Value::Integer),
                NumberKind::F64 => attribute.read_scalar().map(Value::Float),
                other => return Err(format!("a number of the type {other}")),
            },
        };
        value.map_err(|error| reason(&error))
    }

    /// Reads what checks read, for a crash trial: errors do not matter.
    pub(crate) fn read_for_trial(path: &Path) {
        const SMALL: usize = 1 << 22;
        let Ok(written) = Self::open(path) else {
            return;
        };
        for name in written.attributes().unwrap_or_default() {
            let _ = written.attribute(&name);
        }
        for object in written.objects().unwrap_or_default() {
            for name in written.attributes_at(&object).unwrap_or_default() {
                let _ = written.attribute_at(&object, &name);
            }
        }
        let _ = written.records::<Voxel>(&format!("{TABLE}/voxel_mask"));
        for name in written.datasets().unwrap_or_default() {
            let Ok(dataset) = written.dataset(&name) else {
                continue;
            };
            if dataset.shape.len() == 4 {
                dataset.read_index();
            } else if elements(&dataset.dataset) <= SMALL {
                let _ = dataset.values::<f64>();
            } else {
                let _ = dataset.has_all_chunks();
            }
        }
    }
}

/// The size of a file that is one; links are followed.
///
/// # Errors
/// What is there instead.
pub fn regular_file(path: &Path) -> Result<u64, String> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(found.len()),
        Ok(found) if found.is_dir() => Err("a folder".into()),
        Ok(_) => Err("no regular file (a FIFO, a socket or a device)".into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err("no such file".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn collect(
    group: &Group,
    prefix: &str,
    levels: usize,
    names: &mut Vec<String>,
) -> Result<(), String> {
    for name in group.member_names().map_err(|error| reason(&error))? {
        let path = format!("{prefix}{name}");
        if names.len() > MOST_MEMBERS {
            return Err("more datasets than a file of ours has".into());
        }
        if let Ok(inner) = group.group(&name)
            && levels > 0
        {
            collect(&inner, &format!("{path}/"), levels - 1, names)?;
        }
        names.push(path);
    }
    Ok(())
}

/// The value of an attribute of a group or dataset.
#[derive(Debug, Clone, PartialEq)]
pub enum SmallValue {
    /// Numbers of any type
    Numbers(Vec<f64>),
    /// Texts
    Texts(Vec<String>),
}

impl SmallValue {
    /// Whether both are the same, NaN like NaN.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl fmt::Display for SmallValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = match self {
            Self::Numbers(numbers) => numbers.iter().map(|number| format!("{number:?}")).collect(),
            Self::Texts(texts) => texts
                .iter()
                .map(|text| format!("{text:?}"))
                .collect::<Vec<_>>(),
        };
        match &all[..] {
            [one] => f.write_str(one),
            all => write!(f, "({})", all.join(", ")),
        }
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// i64
    Integer(i64),
    /// f64
    Float(f64),
    /// Text
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(value) => write!(f, "\"{value}\""),
        }
    }
}

impl NumberKind {
    /// The bytes of one number.
    fn bytes(self) -> usize {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }
}

/// As the specification writes types: `u8`, `f64`.
impl fmt::Display for NumberKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
        })
    }
}

/// A dataset of numbers.
pub struct WrittenDataset {
    dataset: Dataset,
    /// The type in which they are read.
    pub kind: NumberKind,
    /// Whether they are stored as floats of half precision, which are read as f64.
    pub is_half: bool,
    /// Length of each axis; none for a scalar.
    pub shape: Vec<usize>,
}

impl WrittenDataset {
    /// The type in which its numbers are stored, and its shape.
    #[must_use]
    pub fn words(&self) -> String {
        let kind = match self.is_half {
            true => "f16".to_owned(),
            false => self.kind.to_string(),
        };
        match self.shape[..] {
            [] => format!("{kind} scalar"),
            _ => format!("{kind} {}", shape_text(&self.shape)),
        }
    }

    /// Reads all numbers, in the order of the file.
    ///
    /// # Errors
    /// The library's reason.
    pub fn values<T: H5Type>(&self) -> Result<Vec<T>, String> {
        match elements(&self.dataset) {
            0 => Ok(Vec::new()),
            _ => self.dataset.read_raw().map_err(|error| reason(&error)),
        }
    }

    /// Reads some places of the first axis, and of them all of the others, in the order of the file.
    ///
    /// # Errors
    /// The library's reason, such as places that are not there.
    pub fn rows<T: H5Type>(&self, rows: Range<usize>) -> Result<Vec<T>, String> {
        let rest = self.shape.iter().skip(1).map(|&length| 0..length);
        self.part(&[rows].into_iter().chain(rest).collect::<Vec<_>>())
    }

    /// Reads a range of each axis, in the order of the file.
    ///
    /// # Errors
    /// The library's reason, such as places that are not there.
    pub fn part<T: H5Type>(&self, ranges: &[Range<usize>]) -> Result<Vec<T>, String> {
        if ranges.iter().any(Range::is_empty) {
            return Ok(Vec::new());
        }
        let slices = ranges.iter().map(|range| SliceOrIndex::SliceCount {
            start: range.start,
            step: 1,
            count: range.len(),
            block: 1,
        });
        let slab = Hyperslab::from(slices.collect::<Vec<_>>());
        let read = self.dataset.read_slice::<T, _, IxDyn>(slab);
        let values = read.map_err(|error| reason(&error))?;
        Ok(values.into_raw_vec_and_offset().0)
    }

    /// How grids are stored, if it is one of the ways of rules 8.1 and 8.8.
    ///
    /// # Errors
    /// The storage in words, where it is another.
    pub fn grids_compression(&self) -> Result<Compression, String> {
        let expected = [1, 1, ROWS, COLUMNS];
        match self.dataset.chunk() {
            None if self.dataset.layout() == Layout::Contiguous => Ok(Compression::None),
            None => Err("neither chunks nor contiguous".into()),
            Some(chunk) if chunk != expected => Err(format!("chunks {}", shape_text(&chunk))),
            Some(_) => match &self.dataset.filters()[..] {
                [Filter::Deflate(GZIP_LEVEL)] => Ok(Compression::Gzip),
                [Filter::Deflate(level)] => Err(format!("gzip level {level}")),
                [] => Err("chunks without compression".into()),
                _ => Err("other filters".into()),
            },
        }
    }

    /// Whether all chunks are stored; None where there are none, or their index cannot be read. HDF5 reads a chunk that was never stored
    /// without an error.
    #[must_use]
    pub fn has_all_chunks(&self) -> Option<bool> {
        raw_chunk::has_all(&self.dataset)
    }

    /// Looks chunks up so densely that each part of their index is read; where there is no index, the first and the last plane.
    fn read_index(&self) {
        const EVERY: usize = 16;
        let planes = Planes::of(self);
        let count = self.shape.iter().take(2).product::<usize>();
        let every = match self.dataset.is_chunked() {
            true => EVERY,
            false => count.max(1),
        };
        let mut bytes = Vec::new();
        for place in (0..count).step_by(every).chain(count.checked_sub(1)) {
            bytes.clear();
            let _ = planes.append(place, &mut bytes);
        }
    }
}

/// How a plane came out of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// As it is stored: deflated.
    Deflated,
    /// As its pixels.
    Pixels,
    /// Not at all: it was never stored.
    Nowhere,
}

/// The planes of grids, u8 (T, Z, 256, 128), one after the other: place `t · Z + z` is plane `z` of frame `t`.
pub struct Planes<'a> {
    grids: &'a WrittenDataset,
    chunks: Option<RawChunks<'a, 4>>,
    of_frame: usize,
}

impl<'a> Planes<'a> {
    /// The planes of a dataset of that shape. Those that are stored in an ordinary way, one gzipped chunk each, come deflated.
    #[must_use]
    pub fn of(grids: &'a WrittenDataset) -> Self {
        let dataset = &grids.dataset;
        let ordinary = dataset.chunk().as_deref() == Some(&[1, 1, ROWS, COLUMNS])
            && grids.kind == NumberKind::U8
            && filters(dataset).as_deref() == Some(&[H5Z_FILTER_DEFLATE]);
        Self {
            grids,
            chunks: RawChunks::of(dataset).filter(|_| ordinary),
            of_frame: grids.shape.get(1).copied().unwrap_or(0),
        }
    }

    /// Appends the bytes of a plane.
    ///
    /// # Errors
    /// The library's reason.
    pub fn append(&self, place: usize, bytes: &mut Vec<u8>) -> Result<Stored, String> {
        let (frame, plane) = (place / self.of_frame.max(1), place % self.of_frame.max(1));
        let start = [frame as u64, plane as u64, 0, 0];
        let chunks = self.chunks.as_ref();
        let read = chunks.map(|chunks| chunks.append(&start, MOST_PACKED, bytes));
        if let Some(Ok(())) = read {
            return Ok(Stored::Deflated);
        }
        let pixels =
            self.grids
                .part::<u8>(&[frame..frame + 1, plane..plane + 1, 0..ROWS, 0..COLUMNS])?;
        if let Some(Err(Unread::NotStored)) = read {
            return Ok(Stored::Nowhere);
        }
        bytes.extend(pixels);
        Ok(Stored::Pixels)
    }
}

/// Inflates planes.
pub struct PlaneInflater(Inflate);

impl Default for PlaneInflater {
    fn default() -> Self {
        Self(Inflate::new(true, 15))
    }
}

impl PlaneInflater {
    /// Inflates a plane; whether the bytes are those of one plane.
    pub fn inflate(&mut self, deflated: &[u8], pixels: &mut [u8]) -> bool {
        self.0.reset(true);
        let status = self.0.decompress(deflated, pixels, InflateFlush::Finish);
        matches!(status, Ok(Status::StreamEnd)) && self.0.total_out() == pixels.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(write: impl FnOnce(&File)) -> (tempfile::TempDir, WrittenFile) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file.h5");
        let file = File::create(&path).expect("a file");
        write(&file);
        file.close().expect("a whole file");
        let written = WrittenFile::open(&path).expect("a file that can be read");
        (folder, written)
    }

    #[test]
    fn datasets_come_with_their_groups_type_and_shape() {
        let (_folder, written) = file(|file| {
            let group = file.create_group("subject_1").expect("a group");
            let values = group.new_dataset_builder().with_data(&[1_i64, 2, 3]);
            values.create("numbers").expect("a dataset");
            let text = file.new_dataset::<VarLenUnicode>();
            text.create("text").expect("a dataset");
        });
        // Texts are not compared.
        assert_eq!(written.datasets().expect("names"), ["subject_1/numbers"]);
        let numbers = written.dataset("subject_1/numbers").expect("a dataset");
        assert_eq!(
            (numbers.kind, &numbers.shape[..]),
            (NumberKind::I64, &[3][..])
        );
        assert_eq!(numbers.rows::<i64>(1..3).expect("numbers"), [2, 3]);
        assert!(numbers.rows::<i64>(2..4).is_err());
        let absent = |name| written.dataset(name).err().expect("no dataset");
        assert_eq!(absent("subject_2/numbers"), "no such dataset");
        assert_eq!(absent("text"), "text");
    }

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let found = |path: &str| regular_file(Path::new(path)).expect_err("no file");
        assert_eq!(found(&folder.path().to_string_lossy()), "a folder");
        assert_eq!(found("nowhere"), "no such file");
        assert!(found("/dev/null").contains("a device"));
    }

    #[test]
    fn planes_come_deflated_where_they_are_stored_so_and_as_pixels_elsewhere() {
        let shape = (3, 2, ROWS, COLUMNS);
        let (_folder, written) = file(|file| {
            for (name, chunk, level) in [
                ("ordinary", Some((1, 1, ROWS, COLUMNS)), Some(1)),
                ("whole frames", Some((1, 2, ROWS, COLUMNS)), Some(1)),
                ("plain chunks", Some((1, 1, ROWS, COLUMNS)), None),
                ("contiguous", None, None),
            ] {
                let mut builder = file.new_dataset::<u8>().shape(shape);
                if let Some(chunk) = chunk {
                    builder = builder.chunk(chunk);
                }
                if let Some(level) = level {
                    builder = builder.deflate(level);
                }
                let grids = builder.create(name).expect("grids");
                // The last frame is not there.
                for frame in 0..2 {
                    let pixels = ndarray::Array3::from_elem((2, ROWS, COLUMNS), frame as u8);
                    let place = ndarray::s![frame, .., .., ..];
                    grids.write_slice(&pixels, place).expect("pixels");
                }
            }
        });
        let mut inflater = PlaneInflater::default();
        for (name, stored, storage) in [
            ("ordinary", Stored::Deflated, Ok(Compression::Gzip)),
            (
                "whole frames",
                Stored::Pixels,
                Err("chunks (1, 2, 256, 128)"),
            ),
            (
                "plain chunks",
                Stored::Pixels,
                Err("chunks without compression"),
            ),
            ("contiguous", Stored::Pixels, Ok(Compression::None)),
        ] {
            let grids = written.dataset(name).expect("grids");
            assert_eq!(grids.grids_compression(), storage.map_err(str::to_owned));
            let planes = Planes::of(&grids);
            let mut bytes = vec![7];
            assert_eq!(planes.append(3, &mut bytes), Ok(stored), "{name}");
            let mut pixels = vec![0; PLANE_BYTES];
            match stored {
                Stored::Deflated => assert!(inflater.inflate(&bytes[1..], &mut pixels)),
                _ => pixels.copy_from_slice(&bytes[1..]),
            }
            assert!(pixels.iter().all(|&pixel| pixel == 1), "{name}");
            assert!(planes.append(6, &mut bytes).is_err(), "{name}");
            grids.read_index();
        }
        let ordinary = written.dataset("ordinary").expect("grids");
        let mut bytes = Vec::new();
        assert_eq!(
            Planes::of(&ordinary).append(5, &mut bytes),
            Ok(Stored::Nowhere)
        );
        assert!(!inflater.inflate(b"no gzip", &mut vec![0; PLANE_BYTES]));
    }
}
