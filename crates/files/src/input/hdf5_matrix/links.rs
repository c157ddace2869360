//! What links and virtual datasets of an HDF5 file refer to, which need not be there.

use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_void};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::ptr::{null, null_mut};

use hdf5::{Dataset, File, h5check};
use hdf5_sys::h5::hsize_t;
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5l::{H5Lget_val, H5Lunpack_elink_val};
use hdf5_sys::h5p::{
    H5P_DEFAULT, H5Pget_virtual_count, H5Pget_virtual_dsetname, H5Pget_virtual_filename,
    H5Pget_virtual_srcspace, H5Pget_virtual_vspace,
};
use hdf5_sys::h5s::{
    H5Sclose, H5Sget_select_bounds, H5Sget_select_npoints, H5Sget_simple_extent_ndims,
};

use super::regions::{Region, volume};

/// Longest value of a link that is read.
const LONGEST: usize = 16 << 10;

/// What a link refers to.
#[derive(Debug, PartialEq)]
pub(super) enum Target {
    /// Another name of the file.
    Soft(String),
    /// An object of another file.
    External { file: OsString, object: String },
}

/// What the link of this name refers to; nothing where it is the object itself.
pub(super) fn target(file: &File, name: &str) -> Option<Target> {
    let name = CString::new(name).ok()?;
    let mut value = vec![0_u8; LONGEST + 1];
    hdf5::sync::sync(|| {
        // SAFETY: the file is open, the name ends with 0, and the value has room for as much as is asked for, and a 0. The names that are
        // taken out of it lie within it.
        unsafe {
            let read = H5Lget_val(
                file.id(),
                name.as_ptr(),
                value.as_mut_ptr().cast(),
                LONGEST,
                H5P_DEFAULT,
            );
            h5check(read).ok()?;
            let (mut flags, mut other, mut object) = (0, null(), null());
            let link: *const c_void = value.as_ptr().cast();
            // The value of a soft link is text, which the library does not take for that of an external one.
            let external =
                H5Lunpack_elink_val(link, value.len(), &mut flags, &mut other, &mut object);
            if h5check(external).is_err() {
                let text = CStr::from_bytes_until_nul(&value).ok()?;
                return Some(Target::Soft(text.to_string_lossy().into_owned()));
            }
            Some(Target::External {
                file: OsStr::from_bytes(CStr::from_ptr(other).to_bytes()).to_owned(),
                object: CStr::from_ptr(object).to_string_lossy().into_owned(),
            })
        }
    })
}

/// A part of a virtual dataset, and the part of another dataset that it shows.
#[derive(Debug)]
pub(super) struct Mapping {
    /// The file of the other dataset, as it is named; `.` for the same file.
    pub file: OsString,
    pub dataset: String,
    pub here: Selection,
    pub there: Selection,
}

/// Elements of a dataset.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    /// The smallest box around them, a range for each axis; none where an axis has no end.
    pub bounds: Option<Region>,
    /// How many they are.
    pub elements: usize,
}

impl Selection {
    /// The same of a dataset that has this shape. Where all elements are selected, HDF5 does not note which these are.
    pub(super) fn of_shape(&self, shape: &[usize]) -> Self {
        if self.bounds.as_ref().is_some_and(Vec::is_empty) {
            let bounds: Region = shape.iter().map(|extent| 0..*extent).collect();
            return Self {
                elements: volume(&bounds),
                bounds: Some(bounds),
            };
        }
        self.clone()
    }

    /// The box, if they fill it.
    pub(super) fn filled(&self) -> Option<&[Range<usize>]> {
        let bounds = self.bounds.as_deref()?;
        (volume(bounds) == self.elements).then_some(bounds)
    }
}

/// The parts of a virtual dataset.
///
/// # Errors
/// If the dataset's settings cannot be read.
pub(super) fn mappings(dataset: &Dataset) -> Result<Vec<Mapping>, hdf5::Error> {
    let settings = dataset.dcpl()?;
    let list = settings.id();
    hdf5::sync::sync(|| {
        let mut count = 0;
        // SAFETY: the list of settings is open, here and below; `place` is below the count.
        h5check(unsafe { H5Pget_virtual_count(list, &mut count) })?;
        let mapping = |place| {
            // SAFETY: where the functions are given memory, it is as long as they are told.
            let file = text(|to, size| unsafe { H5Pget_virtual_filename(list, place, to, size) })?;
            let name = text(|to, size| unsafe { H5Pget_virtual_dsetname(list, place, to, size) })?;
            Ok(Mapping {
                file: OsStr::from_bytes(&file).to_owned(),
                dataset: String::from_utf8_lossy(&name).into_owned(),
                here: selection(unsafe { H5Pget_virtual_vspace(list, place) })?,
                there: selection(unsafe { H5Pget_virtual_srcspace(list, place) })?,
            })
        };
        (0..count).map(mapping).collect()
    })
}

/// The text that a function of the library writes, which also says how long it is.
fn text(write: impl Fn(*mut c_char, usize) -> isize) -> Result<Vec<u8>, hdf5::Error> {
    let length = write(null_mut(), 0);
    let length = usize::try_from(length).map_err(|_| "a virtual dataset without its sources")?;
    let mut text = vec![0_u8; length + 1];
    write(text.as_mut_ptr().cast(), text.len());
    text.truncate(length);
    Ok(text)
}

/// The elements that a dataspace selects, which is closed.
fn selection(space: hid_t) -> Result<Selection, hdf5::Error> {
    h5check(space)?;
    // SAFETY: the dataspace is open, and nobody else's.
    let axes = unsafe { H5Sget_simple_extent_ndims(space) };
    let mut start = vec![0 as hsize_t; usize::try_from(axes).unwrap_or(0)];
    let mut end = start.clone();
    // SAFETY: as above; `start` and `end` have a place for each axis.
    let (elements, bounded) = unsafe {
        let elements = H5Sget_select_npoints(space);
        let bounded = H5Sget_select_bounds(space, start.as_mut_ptr(), end.as_mut_ptr());
        H5Sclose(space);
        (elements, bounded)
    };
    let unlimited = h5check(bounded).is_err() || end.contains(&hsize_t::MAX);
    let range =
        |(start, end): (&hsize_t, &hsize_t)| *start as usize..(*end as usize).saturating_add(1);
    Ok(Selection {
        bounds: (!unlimited).then(|| start.iter().zip(&end).map(range).collect()),
        elements: usize::try_from(elements).unwrap_or(usize::MAX),
    })
}
