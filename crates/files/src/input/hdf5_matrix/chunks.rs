//! Decompresses deflated chunks, and those of h5py's LZF, outside HDF5, which takes 0.6 to 0.9 of HDF5's time: HDF5 inflates with an older library and copies
//! what is asked for out of each chunk. Chunks out of the ordinary are left to HDF5.
//!
//! Inflating a chunk straight to its place gained 0 to 4 %, so each is inflated into memory of its own and then copied. A second
//! thread for inflating was slower on 2 cores.

use hdf5::{Dataset, Datatype};
use hdf5_sys::h5::hsize_t;
use hdf5_sys::h5z::{
    H5Z_FILTER_DEFLATE, H5Z_FILTER_SHUFFLE, H5Z_FILTER_SZIP, H5Z_filter_t, H5Zfilter_avail,
};
use zlib_rs::{Inflate, InflateFlush, Status};

use crate::input::samples::Number;
use crate::lzf::{self, filter::LZF};
use crate::raw_chunk::{RawChunks, filters};

/// Numbers of a chunk that is decompressed here, at most: 1 to 2 MiB, beside which HDF5 has room for another.
const LARGEST: usize = 1 << 18;

/// How chunks were compressed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coding {
    /// Rows and columns of a chunk.
    pub extent: [usize; 2],
    codec: Codec,
    /// First the first bytes of all numbers, then the second ones.
    shuffled: bool,
}

#[derive(Clone, Copy, Debug)]
enum Codec {
    Deflate,
    Lzf,
}

impl Coding {
    /// How chunks of a dataset of `N` were compressed, if they are ordinary: small ones of numbers in the machine's own order, at most
    /// shuffled before.
    pub(super) fn of<N: Number>(dataset: &Dataset) -> Option<Self> {
        let extent: [usize; 2] = dataset.chunk()?.try_into().ok()?;
        let own_type = Datatype::from_type::<N>().ok()? == dataset.dtype().ok()?;
        let (shuffled, filter) = match filters(dataset)?[..] {
            [filter] => (false, filter),
            [H5Z_FILTER_SHUFFLE, filter] => (true, filter),
            _ => return None,
        };
        let codec = match filter {
            H5Z_FILTER_DEFLATE => Codec::Deflate,
            LZF => Codec::Lzf,
            _ => return None,
        };
        let numbers = extent[0].checked_mul(extent[1])?;
        let ordinary = own_type && (1..=LARGEST).contains(&numbers);
        ordinary.then_some(Self {
            extent,
            codec,
            shuffled,
        })
    }
}

/// Whether a dataset is stored in chunks without filters.
pub(super) fn plain(dataset: &Dataset) -> bool {
    dataset.is_chunked() && filters(dataset).is_some_and(|filters| filters.is_empty())
}

/// The first filter of a dataset's chunks that the HDF5 library has neither itself nor as a plugin.
pub(super) fn missing_filter(dataset: &Dataset) -> Option<String> {
    let filters = filters(dataset)?;
    // SAFETY: the function takes any number.
    let available = |filter| hdf5::sync::sync(|| unsafe { H5Zfilter_avail(filter) }) > 0;
    let missing = filters.into_iter().find(|filter| !available(*filter))?;
    let name = KNOWN.iter().find(|(known, _)| *known == missing);
    Some(match name {
        Some((_, name)) => (*name).to_owned(),
        None => format!("filter {missing}"),
    })
}

/// Filters that files for Python and MATLAB have, by their registered numbers.
const KNOWN: [(H5Z_filter_t, &str); 10] = [
    (H5Z_FILTER_SZIP, "szip"),
    (307, "bzip2"),
    (32001, "Blosc"),
    (32004, "LZ4"),
    (32008, "bitshuffle"),
    (32013, "ZFP"),
    (32015, "Zstandard"),
    (32017, "SZ"),
    (32024, "SZ3"),
    (32026, "Blosc2"),
];

/// Decompresses one chunk of a dataset after the other.
pub(super) struct Chunks<'a, N> {
    chunks: Option<RawChunks<'a, 2>>,
    /// The chunk's numbers, row-major.
    numbers: Vec<N>,
    /// Its bytes as stored, and before they are put in order.
    stored: Vec<u8>,
    shuffled: Option<Vec<u8>>,
    codec: Codec,
    inflate: Inflate,
}

impl<'a, N: Number> Chunks<'a, N> {
    pub(super) fn new(dataset: &'a Dataset, coding: Coding) -> Self {
        let numbers = vec![N::zeroed(); coding.extent[0] * coding.extent[1]];
        let bytes = size_of_val(&numbers[..]);
        Self {
            chunks: RawChunks::of(dataset),
            numbers,
            stored: Vec::new(),
            shuffled: coding.shuffled.then(|| vec![0; bytes]),
            codec: coding.codec,
            inflate: Inflate::new(true, 15),
        }
    }

    /// The numbers of the chunk that begins at row and column `start`, row-major, those beyond the dataset's edge included; nothing
    /// where the chunk is out of the ordinary: not there, stored without its filters, damaged.
    pub(super) fn read(&mut self, start: [usize; 2]) -> Option<&[N]> {
        let Self {
            chunks,
            numbers,
            stored,
            shuffled,
            codec,
            inflate,
        } = self;
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(numbers);
        let size = bytes.len();
        let start = start.map(|place| place as hsize_t);
        // What does not shrink grows by little.
        let most = size + size / 8 + 64;
        stored.clear();
        chunks.as_ref()?.append(&start, most, stored).ok()?;
        let decompressed = match shuffled {
            Some(shuffled) => &mut shuffled[..],
            None => &mut bytes[..],
        };
        match codec {
            Codec::Deflate => inflated(inflate, stored, decompressed)?,
            Codec::Lzf => lzf::decompress(stored, decompressed)?,
        }
        let planes = shuffled
            .iter()
            .flat_map(|planes| planes.chunks_exact(size / size_of::<N>()));
        for (place, plane) in planes.enumerate() {
            let bytes = bytes[place..].iter_mut().step_by(size_of::<N>());
            bytes.zip(plane).for_each(|(to, from)| *to = *from);
        }
        Some(numbers)
    }
}

/// Inflates a chunk to exactly the length of `bytes`; nothing where it is damaged or of another length.
fn inflated(inflate: &mut Inflate, stored: &[u8], bytes: &mut [u8]) -> Option<()> {
    inflate.reset(true);
    let status = inflate.decompress(stored, bytes, InflateFlush::Finish);
    let whole =
        matches!(status, Ok(Status::StreamEnd)) && inflate.total_out() == bytes.len() as u64;
    whole.then_some(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    use super::*;
    use crate::input::hdf5_matrix::Matrix;
    use crate::input::samples::Samples;
    use crate::input::storage::Orientation;

    const SHAPE: (usize, usize) = (50, 37);
    const CHUNK: (usize, usize) = (8, 10);

    /// Writes random numbers in chunks with some filters: those of rows from 40 are not there.
    fn write<N: Number>(path: &Path, shuffle: bool, deflate: bool, fletcher32: bool) -> Dataset {
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut bytes = vec![0; SHAPE.0 * SHAPE.1 * size_of::<N>()];
        generator.fill_bytes(&mut bytes);
        // Half of them can be deflated.
        bytes.iter_mut().step_by(2).for_each(|byte| *byte = 1);
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
    fn expected<N: Number>(dataset: &Dataset) -> Vec<f32> {
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
            let coding = Coding::of::<N>(&dataset);
            assert_eq!(coding.is_some(), deflate && !fletcher32);
            assert_eq!(plain(&dataset), filters == 0);
            if let Some(coding) = coding {
                let mut chunks = Chunks::<N>::new(&dataset, coding);
                assert!(chunks.read([32, 30]).is_some(), "filters {filters:03b}");
            }
            let expected = expected::<N>(&dataset);
            drop(dataset);
            // Rows of the file as neurons, so that nothing is turned. HDF5's fill value for what is not there.
            let traces = Matrix::open(&path, "CellResp", Orientation::NeuronsByFrames);
            let traces = traces.expect("traces");
            let piece = traces.storage().all_frames(0..SHAPE.0);
            let mut samples = Samples::new(&traces.storage(), piece.clone());
            traces.read(&piece, &mut [&mut samples]).expect("samples");
            let found = samples.traces(&(0..SHAPE.0));
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
        let mut chunks = Chunks::<f32>::new(&dataset, coding);
        assert!(chunks.read([32, 30]).is_some());
        assert!(chunks.read([40, 0]).is_none(), "not there");
        assert!(chunks.read([1000, 0]).is_none(), "beyond the dataset");
        assert!(Coding::of::<f64>(&dataset).is_none(), "another type");

        let fixture = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/fixtures/traces.h5"
        );
        let fixture = hdf5::File::open(fixture).expect("the fixture");
        let dataset = fixture.dataset("chunked_be").expect("a dataset");
        assert!(
            Coding::of::<f32>(&dataset).is_none(),
            "the other byte order"
        );
        let dataset = fixture.dataset("some_raw").expect("a dataset");
        let coding = Coding::of::<f32>(&dataset).expect("ordinary chunks");
        let mut chunks = Chunks::<f32>::new(&dataset, coding);
        assert!(chunks.read([5, 0]).is_none(), "stored without its filters");
    }

    #[test]
    fn a_damaged_chunk_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("TimeSeries.h5");
        drop(write::<f32>(&path, false, true, false));
        let mut bytes = std::fs::read(&path).expect("the file");
        let header = [0x78, 0x01];
        let chunk = bytes.windows(2).rposition(|at| at == header);
        bytes[chunk.expect("a chunk") + 20..][..40].fill(0xff);
        std::fs::write(&path, bytes).expect("a damaged file");
        let traces = Matrix::open(&path, "CellResp", Orientation::FramesByNeurons).expect("traces");
        let mut samples = Samples::default();
        let whole = traces.storage().all_frames(0..SHAPE.1);
        let message = traces
            .read(&whole, &mut [&mut samples])
            .expect_err("a damaged chunk");
        assert!(message.to_string().contains("copy or save"), "{message}");
    }
}
