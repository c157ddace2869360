//! Reads rows and columns of a dataset into memory that the caller has. The crate `hdf5` allocates memory for each read and
//! describes both sides of it anew, which takes longer than copying a chunk: for plain chunks 1.29 instead of 1.19 times what
//! reading the file's bytes takes.

use std::ops::Range;
use std::ptr::null;

use hdf5::dataset::FillTime;
use hdf5::{Dataset, Dataspace, Datatype, h5check};
use hdf5_sys::h5::hsize_t;
use hdf5_sys::h5d::H5Dread;
use hdf5_sys::h5p::H5P_DEFAULT;
use hdf5_sys::h5s::{H5S_SELECT_SET, H5Sselect_hyperslab};

use crate::input::samples::Number;

/// Reads blocks of a dataset with two axes as numbers of the type `N`.
pub(super) struct HyperslabReader<'a, N> {
    dataset: &'a Dataset,
    /// What is read next of the dataset.
    there: Dataspace,
    /// The memory that takes it, and its shape.
    here: Dataspace,
    shape: [usize; 2],
    number: Datatype,
    /// Whether HDF5 leaves the memory of chunks that were never written untouched.
    untouched: bool,
    /// For blocks that have no other place.
    block: Vec<N>,
}

impl<'a, N: Number> HyperslabReader<'a, N> {
    /// Prepares to read from `dataset`.
    ///
    /// # Errors
    /// If the dataset has not two axes.
    pub(super) fn new(dataset: &'a Dataset) -> Result<Self, hdf5::Error> {
        let there = dataset.space()?;
        if there.ndim() != 2 {
            return Err("a dataset that has not two axes".into());
        }
        let shape = [0, 0];
        Ok(Self {
            dataset,
            there,
            here: Dataspace::try_new(shape)?,
            shape,
            number: Datatype::from_type::<N>()?,
            untouched: dataset.dcpl()?.fill_time() == FillTime::Never,
            block: Vec::new(),
        })
    }

    /// Reads rows and columns into memory of the reader, row-major.
    ///
    /// # Errors
    /// If the dataset does not have them, or the file cannot be read.
    pub(super) fn read(
        &mut self,
        rows: &Range<usize>,
        columns: &Range<usize>,
    ) -> Result<&[N], hdf5::Error> {
        let mut block = std::mem::take(&mut self.block);
        let length = rows.len() * columns.len();
        if block.len() < length {
            block.resize(length, N::zeroed());
        }
        if self.untouched {
            block.fill(N::zeroed());
        }
        let read = self.read_into(rows, columns, &mut block[..length]);
        self.block = block;
        read.map(|()| &self.block[..length])
    }

    /// Reads rows and columns into `numbers`, row-major.
    ///
    /// # Errors
    /// If the dataset does not have them, `numbers` has another length, or the file cannot be read.
    pub(super) fn read_into(
        &mut self,
        rows: &Range<usize>,
        columns: &Range<usize>,
        numbers: &mut [N],
    ) -> Result<(), hdf5::Error> {
        let shape = [rows.len(), columns.len()];
        if Some(numbers.len()) != shape[0].checked_mul(shape[1]) {
            return Err("memory of another size than what is read".into());
        }
        if self.shape != shape {
            self.here = Dataspace::try_new(shape)?;
            self.shape = shape;
        }
        let start = [rows.start, columns.start].map(|start| start as hsize_t);
        let count = shape.map(|extent| extent as hsize_t);
        hdf5::sync::sync(|| {
            // SAFETY: everything is open. `there` has two axes, as `start` and `count` have (see `new`), and is nobody else's. `here` says
            // how many numbers there is memory for, and `number` that they are of the type `N`, of which any bytes are one. HDF5 reads
            // nothing if as many are not selected there, or the dataset does not reach so far.
            h5check(unsafe {
                H5Sselect_hyperslab(
                    self.there.id(),
                    H5S_SELECT_SET,
                    start.as_ptr(),
                    null(),
                    count.as_ptr(),
                    null(),
                )
            })?;
            h5check(unsafe {
                H5Dread(
                    self.dataset.id(),
                    self.number.id(),
                    self.here.id(),
                    self.there.id(),
                    H5P_DEFAULT,
                    numbers.as_mut_ptr().cast(),
                )
            })
        })
        .map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_written_is_zero_wherever_nothing_fills_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = hdf5::File::create(folder.path().join("numbers.h5")).expect("a file");
        let builder = file.new_dataset::<f32>().shape((4, 4)).chunk((2, 4));
        let dataset = builder.fill_time(FillTime::Never).create("numbers");
        let dataset = dataset.expect("a dataset");
        let ones = ndarray::Array2::<f32>::ones((2, 4));
        dataset.write_slice(&ones, (..2, ..)).expect("ones");
        let mut reader = HyperslabReader::<f32>::new(&dataset).expect("a reader");
        assert_eq!(reader.read(&(0..2), &(0..4)).expect("a block"), [1.0; 8]);
        assert_eq!(reader.read(&(2..4), &(0..4)).expect("a block"), [0.0; 8]);
    }

    #[test]
    fn blocks_are_read_where_they_are_and_into_memory_of_their_size_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = hdf5::File::create(folder.path().join("numbers.h5")).expect("a file");
        let numbers = ndarray::Array2::from_shape_fn((5, 7), |(row, column)| 10 * row + column);
        let builder = file.new_dataset_builder();
        let dataset = builder
            .with_data(&numbers.mapv(|number| number as i32))
            .create("numbers");
        let dataset = dataset.expect("a dataset");
        let mut reader = HyperslabReader::<f64>::new(&dataset).expect("a reader");
        assert_eq!(
            reader.read(&(1..3), &(2..4)).expect("a block"),
            [12.0, 13.0, 22.0, 23.0]
        );
        assert_eq!(reader.read(&(4..5), &(6..7)).expect("a block"), [46.0]);
        let mut two = [0.0; 2];
        assert!(reader.read_into(&(0..2), &(3..4), &mut two).is_ok());
        assert_eq!(two, [3.0, 13.0]);
        for (rows, columns, what) in [
            (0..1, 0..1, "too much memory"),
            (0..3, 0..1, "too little memory"),
            (4..6, 0..1, "rows that are not there"),
            (0..1, 6..8, "columns that are not there"),
        ] {
            assert!(
                reader.read_into(&rows, &columns, &mut two).is_err(),
                "{what}"
            );
        }
        let line = file.new_dataset::<f32>().shape(3).create("line");
        assert!(
            HyperslabReader::<f32>::new(&line.expect("a dataset")).is_err(),
            "one axis"
        );
    }
}
