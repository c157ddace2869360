//! Centroids of regions of interest from their masks. A file may hold 10 GB of masks, which are read in pieces.

use std::ops::Range;

use hdf5::types::TypeDescriptor;
use hdf5::{Dataset, H5Type, Hyperslab, Selection, SliceOrIndex};
use ndarray::IxDyn;

use super::Extent;
use super::node::Node;
use crate::hdf5_access::{self, NumberKind, shape_text};
use crate::input::error::InputError;
use crate::input::hdf5_matrix::hdf5_error;
use crate::input::hdf5_values::{Logical, is_logical};

/// Bytes of a mask that are read at a time where there are no chunks, and the most where there are: a chunk is inflated as a whole.
const PIECE: usize = 2 << 20;
const LARGEST_PIECE: usize = 32 << 20;

/// An element of a list of places.
trait Place: H5Type + Copy {
    const FIELDS: &'static [&'static str];

    fn point(&self) -> [f64; 3];
    fn weight(&self) -> f64;
}

macro_rules! places {
    ($($(#[$doc:meta])* $name:ident { $x:ident, $y:ident $(, $z:ident)?: $place:ty, $weight:ident: $number:ty })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, H5Type)]
        #[repr(C)]
        struct $name {
            $x: $place,
            $y: $place,
            $($z: $place,)?
            $weight: $number,
        }

        impl Place for $name {
            const FIELDS: &'static [&'static str] =
                &[stringify!($x), stringify!($y), $(stringify!($z),)? stringify!($weight)];

            fn point(&self) -> [f64; 3] {
                #[allow(unused_mut, unused_assignments)]
                let mut z = 0.0;
                $(z = f64::from(self.$z);)?
                [f64::from(self.$x), f64::from(self.$y), z]
            }

            fn weight(&self) -> f64 {
                f64::from(self.$weight)
            }
        }
    )+};
}

places! {
    /// An element of a `pixel_mask` of any numbers.
    Pixel { x, y: f64, weight: f64 }
    /// As pynwb writes it, which needs no conversion.
    UsualPixel { x, y: u32, weight: f32 }
    /// An element of a `voxel_mask` of any numbers.
    Voxel { x, y, z: f64, weight: f64 }
    /// As pynwb writes it.
    UsualVoxel { x, y, z: u32, weight: f32 }
}

/// Sums over the mask of a region.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    weight: f64,
    weighted: [f64; 3],
}

impl Moments {
    fn add(&mut self, point: [f64; 3], weight: f64) {
        self.weight += weight;
        for (sum, place) in self.weighted.iter_mut().zip(point) {
            *sum += weight * place;
        }
    }

    /// The centroid; NaN where the mask is empty.
    fn centroid(&self) -> [f64; 3] {
        self.weighted.map(|sum| sum / self.weight)
    }
}

/// Centroids in pixels of the wanted rows of a table of regions, NaN for the others and for those with an empty mask; nothing where the
/// table has no masks.
///
/// # Errors
/// If the masks cannot be read, or contradict the number of rows.
pub(super) fn centroids(
    table: &Node,
    wanted: &[bool],
    extent: Extent,
) -> Result<Option<Vec<[f64; 3]>>, InputError> {
    let moments = if let Some(voxels) = table.dataset("voxel_mask")? {
        lists::<UsualVoxel, Voxel>(table, "voxel_mask", &voxels, wanted, extent)?
    } else if let Some(pixels) = table.dataset("pixel_mask")? {
        lists::<UsualPixel, Pixel>(table, "pixel_mask", &pixels, wanted, extent)?
    } else if let Some(images) = table.dataset("image_mask")? {
        self::images(table, &images, wanted, extent)?
    } else {
        return Ok(None);
    };
    Ok(Some(moments.iter().map(Moments::centroid).collect()))
}

/// Sums over lists of places, one list after the other; an index says where each ends. The places are read as they are where they are
/// of the usual type.
fn lists<Usual: Place, Any: Place>(
    table: &Node,
    column: &str,
    dataset: &Dataset,
    wanted: &[bool],
    extent: Extent,
) -> Result<Vec<Moments>, InputError> {
    let name = table.path_of(column);
    let length = match dataset.shape()[..] {
        [length] => length,
        ref shape => return Err(wrong(table, &name, "one axis", shape_text(shape))),
    };
    let descriptor = dataset.dtype().and_then(|dtype| dtype.to_descriptor());
    let ends = ends(table, column, wanted.len(), length)?;
    let moments = if descriptor.as_ref().ok() == Some(&Usual::type_descriptor()) {
        sums::<Usual>(dataset, &ends, wanted, extent)
    } else {
        require_fields(table, &name, descriptor, Any::FIELDS)?;
        sums::<Any>(dataset, &ends, wanted, extent)
    };
    moments.map_err(|error| hdf5_error(&table.path, &name, &error))
}

/// Sums over lists that end at these places.
fn sums<P: Place>(
    dataset: &Dataset,
    ends: &[usize],
    wanted: &[bool],
    extent: Extent,
) -> Result<Vec<Moments>, hdf5::Error> {
    let mut moments = vec![Moments::default(); wanted.len()];
    let used = ends.last().copied().unwrap_or(0);
    let step = tile(&[used], dataset.chunk().as_deref(), size_of::<P>())[0];
    for start in extent.starts(used, step) {
        let piece = start..start.saturating_add(step).min(used);
        let first = ends.partition_point(|end| *end <= piece.start);
        let last = ends.partition_point(|end| *end < piece.end);
        if !wanted[first..=last].contains(&true) {
            continue;
        }
        let places = dataset.read_slice_1d::<P, _>(piece.clone())?;
        let mut row = first;
        for (place, element) in piece.zip(&places) {
            while ends[row] <= place {
                row += 1;
            }
            moments[row].add(element.point(), element.weight());
        }
    }
    Ok(moments)
}

/// Where the list of each row ends.
fn ends(table: &Node, column: &str, rows: usize, length: usize) -> Result<Vec<usize>, InputError> {
    let index = format!("{column}_index");
    let name = table.path_of(&index);
    let expected = format!("{rows} ascending ends of lists, 0 to {length}");
    let wrong = |found: String| wrong(table, &name, &expected, found);
    let numbers = table.numbers(&index)?;
    let numbers = numbers.ok_or_else(|| wrong("no such dataset".to_owned()))?;
    if numbers.values.len() != rows {
        return Err(wrong(format!("{} numbers", numbers.values.len())));
    }
    let mut before = 0;
    let ends = numbers.values.iter().enumerate().map(|(row, &number)| {
        let end = number as usize;
        if end as f64 != number || end < before || end > length {
            return Err(wrong(format!("{number} in row {row}")));
        }
        before = end;
        Ok(end)
    });
    ends.collect()
}

/// Checks that the elements of a list have the fields that are read: HDF5 leaves the memory of others as it is.
fn require_fields(
    table: &Node,
    name: &str,
    descriptor: Result<TypeDescriptor, hdf5::Error>,
    fields: &[&str],
) -> Result<(), InputError> {
    let found = match descriptor {
        Ok(TypeDescriptor::Compound(compound)) => {
            let has = |name: &&str| {
                let mut there = compound.fields.iter();
                there.any(|field| field.name == *name && is_number(&field.ty))
            };
            if fields.iter().all(has) {
                return Ok(());
            }
            let names: Vec<&str> = compound
                .fields
                .iter()
                .map(|field| &field.name[..])
                .collect();
            format!("the fields {}", names.join(", "))
        }
        Ok(other) => other.to_string(),
        Err(error) => hdf5_access::reason(&error),
    };
    let expected = format!("records of numbers {}", fields.join(", "));
    Err(wrong(table, name, &expected, found))
}

fn is_number(descriptor: &TypeDescriptor) -> bool {
    use TypeDescriptor::{Float, Integer, Unsigned};
    matches!(descriptor, Float(_) | Integer(_) | Unsigned(_))
}

/// Sums over images, (rows, x, y) or (rows, x, y, z), of a weight for each pixel.
fn images(
    table: &Node,
    dataset: &Dataset,
    wanted: &[bool],
    extent: Extent,
) -> Result<Vec<Moments>, InputError> {
    let name = table.path_of("image_mask");
    let shape = dataset.shape();
    if !matches!(shape[..], [rows, _, _] | [rows, _, _, _] if rows == wanted.len()) {
        let expected = format!("(rows, x, y) with {} rows", wanted.len());
        return Err(wrong(table, &name, &expected, shape_text(&shape)));
    }
    let read = match hdf5_access::number_kind(dataset) {
        _ if is_logical(dataset) => weights::<Logical>,
        Ok(NumberKind::U8) => weights::<u8>,
        Ok(_) => weights::<f32>,
        Err(found) => return Err(wrong(table, &name, "numbers or logical values", found)),
    };
    let tile = tile(&shape, dataset.chunk().as_deref(), size_of::<f32>());
    let mut moments = vec![Moments::default(); wanted.len()];
    let count = shape.iter().zip(&tile);
    let count = count.map(|(extent, tile)| extent.div_ceil((*tile).max(1)));
    let count = count.fold(1, usize::saturating_mul);
    for number in extent.starts(count, 1) {
        let piece = piece(&shape, &tile, number);
        if !wanted[piece[0].clone()].contains(&true) {
            continue;
        }
        let weights = read(dataset, &piece);
        let weights = weights.map_err(|error| hdf5_error(&table.path, &name, &error))?;
        add_images(&mut moments, &piece, &weights);
    }
    Ok(moments)
}

/// Numbers of a part of a dataset, row-major, read in a type that needs no conversion or in f32.
fn weights<N: H5Type + Copy>(
    dataset: &Dataset,
    piece: &[Range<usize>],
) -> Result<Vec<f32>, hdf5::Error>
where
    f32: From<N>,
{
    let axes: Vec<SliceOrIndex> = piece.iter().cloned().map(SliceOrIndex::from).collect();
    let selection = Selection::Hyperslab(Hyperslab::from(axes));
    let numbers = dataset.as_reader().read_slice::<N, _, IxDyn>(selection)?;
    let (numbers, _) = numbers.into_raw_vec_and_offset();
    Ok(numbers.into_iter().map(f32::from).collect())
}

/// Adds the weights of a piece of all images to the sums of their rows.
fn add_images(moments: &mut [Moments], piece: &[Range<usize>], weights: &[f32]) {
    let [rows, x, y] = [0, 1, 2].map(|axis| piece[axis].clone());
    let z = piece.get(3).cloned().unwrap_or(0..1);
    let lines = weights.chunks_exact((y.len() * z.len()).max(1));
    let places = rows.flat_map(|row| x.clone().map(move |x| (row, x)));
    for ((row, x), line) in places.zip(lines) {
        for (place, &weight) in line.iter().enumerate() {
            if weight != 0.0 {
                let y = y.start + place / z.len();
                let z = z.start + place % z.len();
                moments[row].add([x as f64, y as f64, z as f64], f64::from(weight));
            }
        }
    }
}

/// Extents of the pieces in which a dataset is read: whole chunks, or neighbours in the file where there are none.
fn tile(shape: &[usize], chunk: Option<&[usize]>, value_bytes: usize) -> Vec<usize> {
    let bytes = if chunk.is_some() {
        LARGEST_PIECE
    } else {
        PIECE
    };
    let most = bytes / value_bytes;
    let volume = |tile: &[usize]| tile.iter().copied().fold(1, usize::saturating_mul).max(1);
    let whole = shape.iter().enumerate().map(|(axis, &extent)| {
        let chunk = chunk.and_then(|chunk| chunk.get(axis)).copied();
        chunk.unwrap_or(1).clamp(1, extent.max(1))
    });
    let mut tile: Vec<usize> = whole.collect();
    for axis in (0..shape.len()).rev() {
        let room = PIECE / value_bytes / volume(&tile);
        tile[axis] = tile[axis]
            .saturating_mul(room.max(1))
            .min(shape[axis].max(1));
        if tile[axis] < shape[axis] {
            break;
        }
    }
    // A chunk that is larger than a piece may be.
    for axis in 0..shape.len() {
        let others = volume(&tile) / tile[axis];
        tile[axis] = tile[axis].min((most / others).max(1));
    }
    tile
}

/// The piece of this number: the last axis runs fastest.
fn piece(shape: &[usize], tile: &[usize], mut number: usize) -> Vec<Range<usize>> {
    let mut piece = vec![0..0; shape.len()];
    for axis in (0..shape.len()).rev() {
        let count = shape[axis].div_ceil(tile[axis].max(1)).max(1);
        let start = number % count * tile[axis];
        piece[axis] = start..start.saturating_add(tile[axis]).min(shape[axis]);
        number /= count;
    }
    piece
}

fn wrong(table: &Node, dataset: &str, expected: &str, found: String) -> InputError {
    InputError::Dataset {
        path: table.path.clone(),
        dataset: dataset.to_owned(),
        expected: expected.to_owned(),
        found,
    }
}
