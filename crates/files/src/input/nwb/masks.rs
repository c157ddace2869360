//! Centroids of regions of interest from their masks. A file may hold 10 GB of masks, which are read in pieces.

use std::ops::Range;

use hdf5::types::TypeDescriptor;
use hdf5::{Dataset, H5Type, Hyperslab, Selection, SliceOrIndex};

use super::Extent;
use super::node::Node;
use crate::hdf5_access::{self, shape_text};
use crate::input::error::InputError;
use crate::input::hdf5_matrix::hdf5_error;
use crate::input::hdf5_values::{Logical, is_logical};

/// Bytes of a mask that are read at a time where there are no chunks, and the most where there are: a chunk is inflated as a whole.
const PIECE: usize = 2 << 20;
const LARGEST_PIECE: usize = 32 << 20;

/// An element of a `pixel_mask`.
#[derive(Clone, Copy, H5Type)]
#[repr(C)]
struct Pixel {
    x: f64,
    y: f64,
    weight: f64,
}

/// An element of a `voxel_mask`.
#[derive(Clone, Copy, H5Type)]
#[repr(C)]
struct Voxel {
    x: f64,
    y: f64,
    z: f64,
    weight: f64,
}

/// An element of a list of places.
trait Place: H5Type + Copy {
    const FIELDS: &'static [&'static str];

    fn point(&self) -> [f64; 3];
    fn weight(&self) -> f64;
}

impl Place for Pixel {
    const FIELDS: &'static [&'static str] = &["x", "y", "weight"];

    fn point(&self) -> [f64; 3] {
        [self.x, self.y, 0.0]
    }

    fn weight(&self) -> f64 {
        self.weight
    }
}

impl Place for Voxel {
    const FIELDS: &'static [&'static str] = &["x", "y", "z", "weight"];

    fn point(&self) -> [f64; 3] {
        [self.x, self.y, self.z]
    }

    fn weight(&self) -> f64 {
        self.weight
    }
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
        lists::<Voxel>(table, "voxel_mask", &voxels, wanted, extent)?
    } else if let Some(pixels) = table.dataset("pixel_mask")? {
        lists::<Pixel>(table, "pixel_mask", &pixels, wanted, extent)?
    } else if let Some(images) = table.dataset("image_mask")? {
        self::images(table, &images, wanted, extent)?
    } else {
        return Ok(None);
    };
    Ok(Some(moments.iter().map(Moments::centroid).collect()))
}

/// Sums over lists of places, one list after the other; an index says where each ends.
fn lists<P: Place>(
    table: &Node,
    column: &str,
    dataset: &Dataset,
    wanted: &[bool],
    extent: Extent,
) -> Result<Vec<Moments>, InputError> {
    let name = table.path_of(column);
    require_fields::<P>(table, &name, dataset)?;
    let length = match dataset.shape()[..] {
        [length] => length,
        ref shape => return Err(wrong(table, &name, "one axis", shape_text(shape))),
    };
    let ends = ends(table, column, wanted.len(), length)?;
    let mut moments = vec![Moments::default(); wanted.len()];
    let used = ends.last().copied().unwrap_or(0);
    let step = tile(&[used], dataset.chunk().as_deref(), size_of::<P>())[0];
    let mut row = 0;
    for start in extent.starts(used, step) {
        let piece = start..start.saturating_add(step).min(used);
        row += ends[row..].partition_point(|end| *end <= piece.start);
        let rows = row..row + 1 + ends[row..].partition_point(|end| *end < piece.end);
        if !rows.clone().any(|row| wanted.get(row) == Some(&true)) {
            continue;
        }
        let places = dataset.read_slice_1d::<P, _>(piece.clone());
        let places = places.map_err(|error| hdf5_error(&table.path, &name, &error))?;
        let mut row = rows.start;
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
fn require_fields<P: Place>(table: &Node, name: &str, dataset: &Dataset) -> Result<(), InputError> {
    let descriptor = dataset.dtype().and_then(|dtype| dtype.to_descriptor());
    let (is_sound, found) = match &descriptor {
        Ok(TypeDescriptor::Compound(compound)) => {
            let is_number = |field: &str| {
                let mut fields = compound.fields.iter();
                fields.any(|found| found.name == field && is_number(&found.ty))
            };
            let names: Vec<&str> = compound
                .fields
                .iter()
                .map(|field| &field.name[..])
                .collect();
            (
                P::FIELDS.iter().all(|field| is_number(field)),
                format!("the fields {}", names.join(", ")),
            )
        }
        Ok(other) => (false, other.to_string()),
        Err(error) => (false, hdf5_access::reason(error)),
    };
    match is_sound {
        true => Ok(()),
        false => {
            let expected = format!("records of numbers {}", P::FIELDS.join(", "));
            Err(wrong(table, name, &expected, found))
        }
    }
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
    let is_logical = is_logical(dataset);
    if !is_logical && let Err(found) = hdf5_access::number_kind(dataset) {
        return Err(wrong(table, &name, "numbers or logical values", found));
    }
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
        let weights = weights(dataset, &piece, is_logical);
        let weights = weights.map_err(|error| hdf5_error(&table.path, &name, &error))?;
        add_images(&mut moments, &piece, &weights);
    }
    Ok(moments)
}

/// Numbers of a part of a dataset, row-major.
fn weights(
    dataset: &Dataset,
    piece: &[Range<usize>],
    is_logical: bool,
) -> Result<Vec<f32>, hdf5::Error> {
    let axes: Vec<SliceOrIndex> = piece.iter().cloned().map(SliceOrIndex::from).collect();
    let selection = Selection::Hyperslab(Hyperslab::from(axes));
    if is_logical {
        let values = dataset
            .as_reader()
            .read_slice::<Logical, _, ndarray::IxDyn>(selection)?;
        return Ok(values.iter().map(|value| value.number() as f32).collect());
    }
    let values = dataset
        .as_reader()
        .read_slice::<f32, _, ndarray::IxDyn>(selection)?;
    Ok(values.into_raw_vec_and_offset().0)
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
