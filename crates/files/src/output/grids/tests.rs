use std::ops::Range;
use std::time::Duration;

use hdf5::file::LibraryVersion;
use spikegrid_core::grid::{Layout, PLANE_BYTES, PlaneRule};
use spikegrid_core::slab::{Compression, Slab, UnitSpikes};
use spikegrid_core::spikes::row_bytes;

use super::*;

const NEURONS: usize = 60;

/// Grids of some frames, and a folder for their file.
struct Grids {
    folder: tempfile::TempDir,
    frames: usize,
    layout: Layout,
    spikes: Vec<u8>,
}

impl Grids {
    fn new(frames: usize, planes: usize) -> Self {
        let place = |neuron: usize| [(neuron * 37 % 200) as f64, (neuron * 11 % 100) as f64];
        let xyz: Vec<[f64; 3]> = (0..NEURONS)
            .map(|neuron| [place(neuron)[0], place(neuron)[1], (neuron % planes) as f64])
            .collect();
        let spikes = (0..NEURONS * row_bytes(frames)).map(|place| (place * place % 251) as u8);
        let last_bits = 0xff >> (8 * row_bytes(frames) - frames);
        let mut spikes: Vec<u8> = spikes.collect();
        for row in spikes.chunks_exact_mut(row_bytes(frames)) {
            row[row_bytes(frames) - 1] &= last_bits;
        }
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            frames,
            layout: Layout::new(&xyz, PlaneRule::Levels).expect("levels"),
            spikes,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("grids.h5")
    }

    fn count(&self) -> usize {
        self.frames * self.layout.planes()
    }

    fn create(&self) -> GridsFile {
        GridsFile::create(&self.path(), self.frames, self.layout.planes()).expect("a file")
    }

    /// Slabs of so many frames.
    fn slabs(&self, slab_frames: usize) -> Vec<Planes> {
        let unit = UnitSpikes::new(0..NEURONS, NEURONS, self.frames, &self.spikes);
        let mut whole = Slab::silent(0..self.frames, NEURONS);
        whole.put(&unit);
        let cut = |frames: Range<usize>| {
            let slab = whole.part(frames);
            slab.rasterise(&self.layout, Compression::Gzip, || Duration::ZERO)
        };
        let starts = (0..self.frames).step_by(slab_frames);
        starts
            .map(|start| cut(start..self.frames.min(start + slab_frames)))
            .collect()
    }

    /// Writes all slabs by three ranks, the last slab first.
    fn write(&self, grids: &mut GridsFile, slabs: &[Planes]) {
        let path = partial(&self.path());
        let ranks = [(); 3].map(|()| RankFile::open(&path).expect("the file"));
        for (number, planes) in slabs.iter().enumerate().rev() {
            let address = grids.place(&planes.table).expect("a place");
            assert_eq!(address % ALIGNMENT, 0);
            let rank = &ranks[number % 3];
            rank.write(address, &planes.bytes).expect("written");
        }
        for rank in ranks {
            rank.close().expect("on disk");
        }
    }

    /// Whether the planes that HDF5 reads are those of the spikes.
    fn assert_right(&self) {
        let file = File::open(partial(&self.path())).expect("a file");
        let grids = file.dataset(GRIDS).expect("grids");
        let planes = self.layout.planes();
        assert_eq!(grids.shape(), [self.frames, planes, ROWS, COLUMNS]);
        let found: Vec<u8> = grids.read_raw().expect("pixels");
        let mut expected = vec![0; self.count() * PLANE_BYTES];
        let (frames, row) = (0..self.frames, row_bytes(self.frames));
        self.layout
            .rasterise(&self.spikes, row, frames, 0..planes, &mut expected);
        assert!(found == expected);
    }
}

fn placed(grids: GridsFile) -> Placed {
    match grids.way {
        Way::EveryRank(placed) => placed,
        Way::OneRank { reason, .. } => panic!("{reason}"),
    }
}

#[test]
fn rule_8_8_planes_that_ranks_write_in_any_order_are_what_hdf5_reads() {
    // One plane more than a page has, whole pages, and more pages than a byte has bits.
    for (frames, planes) in [(1025, 1), (256, 8), (700, 3), (9221, 1)] {
        let made = Grids::new(frames, planes);
        let mut grids = made.create();
        let path = partial(&made.path());
        assert_eq!(grids.plane_writers(), PlaneWriters::EveryRank(path.clone()));
        made.write(&mut grids, &made.slabs(104));
        grids.close().expect("a whole file");
        // More can be added through HDF5.
        let file = File::open_rw(&path).expect("a file");
        let numbers = file.new_dataset_builder().with_data(&[1, 2, 3]);
        numbers.create("more").expect("a dataset");
        file.close().expect("a whole file");
        made.assert_right();
    }
}

#[test]
fn few_planes_are_written_by_one_rank_and_the_reason_is_told() {
    let made = Grids::new(512, 2);
    let mut grids = made.create();
    let PlaneWriters::OneRank(reason) = grids.plane_writers() else {
        panic!("ranks write");
    };
    assert_eq!(reason, "1024 planes are too few for an index with pages");
    let slabs = made.slabs(64);
    assert!(grids.place(&slabs[0].table).is_err());
    for planes in slabs.iter().rev() {
        grids.write(planes).expect("written");
    }
    grids.close().expect("a whole file");
    made.assert_right();
}

#[test]
fn what_is_not_recognised_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file.h5");
    let found = |make: &dyn Fn()| {
        make();
        Placed::recognise(&path, 2000)
            .err()
            .expect("no index of ours")
    };
    let shape = (1000, 2, ROWS, COLUMNS);
    let in_version = |version, chunk: Option<(usize, usize, usize, usize)>, level| {
        let file = File::with_options()
            .with_fapl(|fapl| fapl.libver_bounds(version, LibraryVersion::latest()))
            .create(&path)
            .expect("a file");
        let mut builder = file.new_dataset::<u8>().shape(shape);
        if let Some(chunk) = chunk {
            builder = builder.chunk(chunk);
        }
        if level > 0 {
            builder = builder.deflate(level);
        }
        let dataset = builder.create(GRIDS).expect("a dataset");
        if chunk.is_some() {
            write_packed(&dataset, &[0; 4], &[0]).expect("a chunk");
        }
        drop(dataset);
        file.close().expect("a whole file");
    };
    let chunk = Some((1, 1, ROWS, COLUMNS));
    let (old, new) = (LibraryVersion::Earliest, LibraryVersion::V110);
    for (make, words) in [
        (&(|| in_version(old, chunk, 1)) as &dyn Fn(), "superblock"),
        (&|| in_version(new, None, 0), "class of the storage layout"),
        (&|| in_version(new, chunk, 0), "kind of chunks in the index"),
        (
            &|| in_version(new, Some((1, 2, ROWS, COLUMNS)), 1),
            "an index of other chunks",
        ),
        (
            &|| std::fs::write(&path, "no HDF5").expect("written"),
            "48 bytes at 0",
        ),
        (
            &|| std::fs::remove_file(&path).expect("removed"),
            "No such file",
        ),
    ] {
        let reason = found(make);
        assert!(reason.contains(words), "{words}: {reason}");
    }
    in_version(new, chunk, 1);
    assert!(Placed::recognise(&path, 2000).is_ok());
    let other = Placed::recognise(&path, 2001).err().expect("other chunks");
    assert_eq!(other, "an index of other chunks");
}

#[test]
fn an_index_that_is_interrupted_at_any_byte_or_damaged_is_found() {
    let made = Grids::new(1030, 1);
    let mut grids = made.create();
    made.write(&mut grids, &made.slabs(200));
    let placed = placed(grids);
    let path = partial(&made.path());
    let file = OpenOptions::new().read(true).write(true).open(&path);
    let file = file.expect("the file");
    let blocks = index::blocks(&file, &placed.index, &placed.chunks, placed.end);
    let blocks = blocks.expect("blocks");
    let length = file.metadata().expect("a length").len();
    let mut same_since = 0;
    let mut written = 0;
    for (address, bytes) in &blocks {
        for (place, byte) in bytes.iter().enumerate() {
            let at = address + place as u64;
            let mut before = [0];
            // The end of the file is read as zeros.
            let _ = file.read_at(&mut before, at).expect("read");
            if before != [*byte] {
                let checked = check::check(&path, &file, &placed);
                assert!(checked.is_err(), "whole before byte {written}");
                same_since = written;
            }
            file.write_all_at(&[*byte], at).expect("written");
            written += 1;
        }
    }
    assert!(
        same_since > 1030 * placed.index.entry_bytes(),
        "{same_since}"
    );
    assert_eq!(file.metadata().expect("a length").len(), length);
    check::check(&path, &file, &placed).expect("a whole file");
    made.assert_right();
    // Any byte that is another one later.
    for (address, bytes) in &blocks {
        for (place, byte) in bytes.iter().enumerate() {
            let at = address + place as u64;
            file.write_all_at(&[byte ^ 0x10], at).expect("written");
            assert!(check::check(&path, &file, &placed).is_err(), "byte {at}");
            file.write_all_at(&[*byte], at).expect("written");
        }
    }
    check::check(&path, &file, &placed).expect("a whole file");
}

#[test]
fn where_hdf5_cannot_read_the_index_its_reason_is_told() {
    let made = Grids::new(1030, 1);
    let mut grids = made.create();
    made.write(&mut grids, &made.slabs(200));
    grids.close().expect("a whole file");
    let path = partial(&made.path());
    let file = OpenOptions::new().read(true).write(true).open(&path);
    let file = file.expect("the file");
    let index = index::FixedArray::find(&file, GRIDS).expect("an index");
    file.write_all_at(b"none", index.header).expect("written");
    let grids = File::open(&path).and_then(|file| file.dataset(GRIDS));
    let said = index::check_counts(&grids.expect("a dataset"), &[]).expect_err("no index");
    assert!(said.contains("checksum"), "{said}");
}

#[test]
fn planes_that_are_missing_or_others_are_found() {
    let made = Grids::new(1100, 1);
    let slabs = made.slabs(400);
    type Spoil = fn(&mut Vec<Planes>);
    let spoils: [Spoil; 2] = [
        |slabs| slabs[1].bytes.fill(0),
        |slabs| {
            // The planes of another slab, which are planes as well.
            slabs[0].bytes = slabs[1].bytes.clone();
            slabs[0].table.lengths = slabs[1].table.lengths.clone();
        },
    ];
    for spoil in spoils {
        let mut spoilt = slabs.clone();
        spoil(&mut spoilt);
        let mut grids = made.create();
        made.write(&mut grids, &spoilt);
        let said = grids.close().expect_err("wrong planes").to_string();
        assert!(said.contains("is not as it was written"), "{said}");
    }
    // A slab that got no place.
    let mut grids = made.create();
    made.write(&mut grids, &slabs[..2]);
    assert!(grids.close().is_err());
}

#[test]
fn tables_that_do_not_fit_the_file_get_no_place() {
    let made = Grids::new(1100, 1);
    let slabs = made.slabs(400);
    let mut grids = made.create();
    let table = |change: &dyn Fn(&mut PlaneTable)| {
        let mut table = slabs[0].table.clone();
        change(&mut table);
        table
    };
    for wrong in [
        table(&|table| table.frames = 900..1300),
        table(&|table| table.frames = 0..399),
        table(&|table| table.lengths.truncate(399)),
        table(&|table| table.checksums.push(0)),
    ] {
        assert!(grids.place(&wrong).is_err(), "{:?}", wrong.frames);
    }
    assert!(grids.write(&slabs[0]).is_err());
    // The index has three bytes for the length of a chunk.
    let mut placed = placed(grids);
    placed.chunks[7].bytes = 1 << 24;
    let file = std::fs::File::open(partial(&made.path())).expect("the file");
    let blocks = index::blocks(&file, &placed.index, &placed.chunks, placed.end);
    assert!(blocks.is_err());
}
