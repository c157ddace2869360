//! Chunks as they lie in the file, inflated and put in order here. HDF5 does the same at half the speed: it takes memory for each chunk,
//! copies out of it what is asked for, and inflates with an older library. What is out of the ordinary is left to it. The only
//! `unsafe` of the input.

use hdf5::filters::Filter;
use hdf5::{Dataset, Datatype, h5check};
use hdf5_sys::h5::{herr_t, hsize_t};
use hdf5_sys::h5d::H5Dread_chunk1;
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5p::H5P_DEFAULT;
use zlib_rs::{Inflate, InflateFlush, Status};

use super::samples::Number;

/// Numbers of a chunk above which HDF5, which keeps the last one, reads them: such a chunk may be needed several times.
const LARGEST: usize = 1 << 20;

unsafe extern "C" {
    // Of HDF5 1.10.2 and later; hdf5-sys does not have it.
    fn H5Dget_chunk_storage_size(
        dataset: hid_t,
        start: *const hsize_t,
        bytes: *mut hsize_t,
    ) -> herr_t;
}

/// What was done to the numbers of a chunk, at most shuffling and then deflating.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coding {
    shuffled: bool,
    deflated: bool,
}

impl Coding {
    /// How chunks of a dataset of `N` are coded, if they are ordinary: small ones of numbers in the machine's own order.
    pub fn of<N: Number>(dataset: &Dataset) -> Option<Self> {
        let numbers = dataset
            .chunk()?
            .iter()
            .fold(1, |all: usize, extent| all.saturating_mul(*extent));
        let own_type = Datatype::from_type::<N>().ok()? == dataset.dtype().ok()?;
        let (shuffled, deflated) = match dataset.filters()[..] {
            [] => (false, false),
            [Filter::Shuffle] => (true, false),
            [Filter::Deflate(_)] => (false, true),
            [Filter::Shuffle, Filter::Deflate(_)] => (true, true),
            _ => return None,
        };
        (own_type && (1..=LARGEST).contains(&numbers)).then_some(Self { shuffled, deflated })
    }
}

/// Reads one chunk of a dataset after the other.
pub(super) struct Chunks<'a, N> {
    dataset: &'a Dataset,
    coding: Coding,
    /// The chunk's numbers, row-major.
    numbers: Vec<N>,
    /// Its bytes as stored, and before they are put in order.
    stored: Vec<u8>,
    shuffled: Vec<u8>,
    inflate: Inflate,
}

impl<'a, N: Number> Chunks<'a, N> {
    /// `extent` is that of a chunk.
    pub fn new(dataset: &'a Dataset, coding: Coding, extent: [usize; 2]) -> Self {
        let numbers = vec![N::zeroed(); extent[0] * extent[1]];
        let shuffled = match coding.shuffled {
            true => vec![0; size_of_val(&numbers[..])],
            false => Vec::new(),
        };
        Self {
            dataset,
            coding,
            numbers,
            stored: Vec::new(),
            shuffled,
            inflate: Inflate::new(true, 15),
        }
    }

    /// The numbers of the chunk that begins at row and column `start`, row-major, those beyond the dataset's edge included; nothing
    /// where the chunk is out of the ordinary: not there, stored without its filters, damaged.
    pub fn read(&mut self, start: [usize; 2]) -> Option<&[N]> {
        let Self {
            dataset,
            coding,
            numbers,
            stored,
            shuffled,
            inflate,
        } = self;
        let start = start.map(|place| place as hsize_t);
        let size = size_of_val(&numbers[..]);
        // What does not shrink is stored without its filters, or grows by little.
        let stored_size = stored_size(dataset, &start)?;
        let plausible = if coding.deflated {
            stored_size <= size + size / 8 + 64
        } else {
            stored_size == size
        };
        if !plausible {
            return None;
        }
        let bytes = bytemuck::cast_slice_mut(numbers);
        let plain = if coding.shuffled {
            &mut shuffled[..]
        } else {
            &mut bytes[..]
        };
        if coding.deflated {
            stored.resize(stored_size, 0);
            read_stored(dataset, &start, stored)?;
            inflate.reset(true);
            let status = inflate.decompress(stored, plain, InflateFlush::Finish);
            if !matches!(status, Ok(Status::StreamEnd)) || inflate.total_out() != size as u64 {
                return None;
            }
        } else {
            read_stored(dataset, &start, plain)?;
        }
        if coding.shuffled {
            // First the first bytes of all numbers, then the second ones.
            let count = size / size_of::<N>();
            for (place, plane) in shuffled.chunks_exact(count).enumerate() {
                for (to, from) in bytes[place..].iter_mut().step_by(size_of::<N>()).zip(plane) {
                    *to = *from;
                }
            }
        }
        Some(numbers)
    }
}

/// The bytes that a chunk takes in the file, if there are any.
fn stored_size(dataset: &Dataset, start: &[hsize_t; 2]) -> Option<usize> {
    let mut size = 0;
    // SAFETY: the dataset is open, and has two dimensions as all traces have; HDF5 looks for the chunk in its index and writes one
    // number. The lock is the library's own, which knows no threads.
    let found = hdf5::sync::sync(|| {
        h5check(unsafe { H5Dget_chunk_storage_size(dataset.id(), start.as_ptr(), &mut size) })
    });
    found.ok().filter(|_| size > 0).map(|_| size as usize)
}

/// Reads the bytes of a chunk, of which there are as many as [`stored_size`] says, if all filters were applied to them.
fn read_stored(dataset: &Dataset, start: &[hsize_t; 2], bytes: &mut [u8]) -> Option<()> {
    let mut left_out = 0;
    // SAFETY: as above; `bytes` has room for what the same index says.
    let read = hdf5::sync::sync(|| {
        h5check(unsafe {
            H5Dread_chunk1(
                dataset.id(),
                H5P_DEFAULT,
                start.as_ptr(),
                &mut left_out,
                bytes.as_mut_ptr().cast(),
            )
        })
    });
    read.ok().filter(|_| left_out == 0).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use hdf5::H5Type;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    use super::super::{Orientation, Samples, Traces};
    use super::*;

    const SHAPE: (usize, usize) = (50, 37);
    const CHUNK: (usize, usize) = (8, 10);

    /// Writes random numbers in chunks with some filters: those of rows from 40 are not there.
    fn write<N: Number>(path: &Path, shuffle: bool, deflate: bool, fletcher32: bool) -> Dataset {
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut bytes = vec![0; SHAPE.0 * SHAPE.1 * size_of::<N>()];
        generator.fill_bytes(&mut bytes);
        let numbers: Vec<N> = bytemuck::pod_collect_to_vec(&bytes);
        let numbers = ndarray::Array2::from_shape_vec(SHAPE, numbers).expect("numbers");
        let file = hdf5::File::create(path).expect("a file");
        let mut builder = file.new_dataset::<N>().shape(SHAPE).chunk(CHUNK);
        if shuffle {
            builder = builder.shuffle();
        }
        if deflate {
            builder = builder.deflate(1);
        }
        if fletcher32 {
            builder = builder.fletcher32();
        }
        let dataset = builder.create("CellResp").expect("a dataset");
        let there = numbers.slice(ndarray::s![..40, ..]);
        dataset.write_slice(there, (..40, ..)).expect("numbers");
        file.flush().expect("a whole file");
        dataset
    }

    /// What HDF5 itself reads, rounded.
    fn expected<N: Number + H5Type>(dataset: &Dataset) -> Vec<f32> {
        let numbers = dataset.read_raw::<N>().expect("numbers");
        let mut rounded = vec![0.0; numbers.len()];
        N::round(&numbers, &mut rounded);
        rounded
    }

    fn check<N: Number>(folder: &Path) {
        let bits = |samples: &[f32]| samples.iter().map(|s| s.to_bits()).collect::<Vec<_>>();
        let path = folder.join("TimeSeries.h5");
        for filters in 0..8 {
            let [shuffle, deflate, fletcher32] = [1, 2, 4].map(|filter| filters & filter != 0);
            let dataset = write::<N>(&path, shuffle, deflate, fletcher32);
            assert_eq!(Coding::of::<N>(&dataset).is_some(), !fletcher32);
            let expected = expected::<N>(&dataset);
            drop(dataset);
            // Rows of the file as neurons, so that nothing is turned.
            let traces = Traces::open(&path, "CellResp", Orientation::NeuronsByFrames);
            let samples = traces.and_then(|traces| traces.read_neurons(0..SHAPE.0));
            let found = samples.expect("samples").traces(&(0..SHAPE.0));
            assert_eq!(bits(&found), bits(&expected), "filters {filters:03b}");
        }
    }

    #[test]
    fn chunks_of_any_type_with_any_filters_are_what_hdf5_reads() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        check::<f32>(path);
        check::<f64>(path);
        check::<i8>(path);
        check::<i16>(path);
        check::<i32>(path);
        check::<i64>(path);
        check::<u8>(path);
        check::<u16>(path);
        check::<u32>(path);
        check::<u64>(path);
    }

    #[test]
    fn chunks_out_of_the_ordinary_are_left_to_hdf5() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("TimeSeries.h5");
        let dataset = write::<f32>(&path, true, true, false);
        let coding = Coding::of::<f32>(&dataset).expect("ordinary chunks");
        let mut chunks = Chunks::<f32>::new(&dataset, coding, CHUNK.into());
        assert!(chunks.read([32, 30]).is_some());
        assert!(chunks.read([40, 0]).is_none(), "not there");
        assert!(chunks.read([1000, 0]).is_none(), "beyond the dataset");
        assert!(Coding::of::<f64>(&dataset).is_none(), "another type");

        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/traces.h5");
        let fixture = hdf5::File::open(fixture).expect("the fixture");
        let dataset = fixture.dataset("chunked_be").expect("a dataset");
        assert!(
            Coding::of::<f32>(&dataset).is_none(),
            "the other byte order"
        );
        let dataset = fixture.dataset("some_raw").expect("a dataset");
        let coding = Coding::of::<f32>(&dataset).expect("ordinary chunks");
        let mut chunks = Chunks::<f32>::new(&dataset, coding, [5, 7]);
        assert!(chunks.read([5, 0]).is_none(), "stored without its filters");
    }

    #[test]
    fn a_damaged_chunk_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("TimeSeries.h5");
        let start = write::<f32>(&path, false, true, false)
            .chunk_info(3)
            .expect("a chunk");
        let mut bytes = std::fs::read(&path).expect("the file");
        bytes[start.addr as usize + 20..][..40].fill(0xff);
        std::fs::write(&path, bytes).expect("a damaged file");
        let traces = Traces::open(&path, "CellResp", Orientation::FramesByNeurons).expect("traces");
        let mut samples = Samples::default();
        let whole = traces.storage().all_frames(0..SHAPE.1);
        let message = traces
            .read(&whole, &mut [&mut samples])
            .expect_err("a damaged chunk");
        assert!(message.to_string().contains("copy or save"), "{message}");
    }
}
