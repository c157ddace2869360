//! Small NWB files for tests, as a writer of such files lays them out.

use std::path::PathBuf;

use hdf5::types::{VarLenAscii, VarLenUnicode};
use hdf5::{Dataset, File, H5Type, Location, ObjectReference1};
use ndarray::{Array2, ArrayD};

use crate::input::{self, InputError, Request, Samples, Source, Subject};

pub(super) const FRAMES: usize = 6;
pub(super) const TABLE: &str = "processing/ophys/ImageSegmentation/PlaneSegmentation";
pub(super) const SERIES: &str = "processing/ophys/Fluorescence/RoiResponseSeries";
const PLANE: &str = "general/optophysiology/ImagingPlane";

/// An element of a pixel mask as pynwb writes it.
#[derive(Clone, Copy, H5Type)]
#[repr(C)]
struct Pixel {
    x: u32,
    y: u32,
    weight: f32,
}

/// As of a voxel mask, whose fields may stand in any order.
#[derive(Clone, Copy, H5Type)]
#[repr(C)]
struct Voxel {
    weight: f64,
    z: u16,
    y: u16,
    x: u16,
}

/// An NWB file of a subject.
pub(super) struct Made {
    folder: tempfile::TempDir,
    pub(super) file: File,
}

impl Made {
    /// A file with an imaging plane, an empty module for its processing and no series.
    pub(super) fn empty() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = File::create(folder.path().join("made.nwb")).expect("a file");
        let made = Self { folder, file };
        made.text("session_description", "made for a test");
        made.plane(PLANE);
        made.group("processing/ophys", "ProcessingModule");
        made.group("processing/ophys/ImageSegmentation", "ImageSegmentation");
        made
    }

    /// A file with a table of three regions of interest and their fluorescence.
    pub(super) fn new() -> Self {
        let made = Self::empty();
        made.pixel_table(TABLE, Some(PLANE));
        made.container("Fluorescence", "Fluorescence");
        made.series(SERIES, TABLE, &[0, 1, 2]);
        made
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("made.nwb")
    }

    pub(super) fn text(&self, name: &str, text: &str) {
        let dataset = self.file.new_dataset::<VarLenUnicode>().create(name);
        let text: VarLenUnicode = text.parse().expect("a text");
        dataset
            .expect("a dataset")
            .write_scalar(&text)
            .expect("a text");
    }

    pub(super) fn group(&self, path: &str, class: &str) {
        let group = self.file.create_group(path).expect("a group");
        text_attribute(&group, "neurodata_type", class);
    }

    /// A container of series in the module.
    pub(super) fn container(&self, name: &str, class: &str) {
        self.group(&format!("processing/ophys/{name}"), class);
    }

    pub(super) fn plane(&self, path: &str) {
        self.group(path, "ImagingPlane");
    }

    pub(super) fn numbers(&self, name: &str, values: &[f64]) -> Dataset {
        let dataset = self.file.new_dataset_builder().with_data(values);
        dataset.create(name).expect("a dataset")
    }

    pub(super) fn number(&self, name: &str, value: f64) -> Dataset {
        let dataset = self
            .file
            .new_dataset::<f64>()
            .create(name)
            .expect("a dataset");
        dataset.write_scalar(&value).expect("a number");
        dataset
    }

    /// Lengths of an imaging plane with their unit.
    pub(super) fn lengths(&self, name: &str, values: &[f64], unit: &str) {
        let dataset = self.numbers(&format!("{PLANE}/{name}"), values);
        text_attribute(&dataset, "unit", unit);
    }

    /// A table of so many regions without masks.
    pub(super) fn table(&self, path: &str, plane: Option<&str>, rows: usize) {
        self.group(path, "PlaneSegmentation");
        let ids: Vec<f64> = (0..rows).map(|id| id as f64).collect();
        self.numbers(&format!("{path}/id"), &ids);
        if let Some(plane) = plane {
            let link = format!("{path}/imaging_plane");
            self.file
                .link_soft(&format!("/{plane}"), &link)
                .expect("a link");
        }
    }

    /// A table of three regions with centroids (1, 2), (2.5, 4) and none.
    pub(super) fn pixel_table(&self, path: &str, plane: Option<&str>) {
        self.table(path, plane, 3);
        let pixels = [(1, 2, 0.5), (1, 4, 1.0), (3, 4, 3.0)];
        let pixels = pixels.map(|(x, y, weight)| Pixel { x, y, weight });
        let column = self.file.new_dataset_builder().with_data(&pixels);
        let column = column.create(format!("{path}/pixel_mask").as_str());
        column.expect("a column");
        self.numbers(&format!("{path}/pixel_mask_index"), &[1.0, 3.0, 3.0]);
    }

    /// A table of two regions with centroids (2, 4, 8) and (1, 1, 2), in chunks.
    pub(super) fn voxel_table(&self, path: &str) {
        self.table(path, Some(PLANE), 2);
        let voxels = [
            (1, 4, 7, 1.0),
            (3, 4, 9, 1.0),
            (1, 1, 1, 1.0),
            (1, 1, 3, 1.0),
        ];
        let voxels = voxels.map(|(x, y, z, weight)| Voxel { weight, z, y, x });
        let column = self.file.new_dataset_builder().with_data(&voxels);
        let column = column.chunk(3).deflate(1);
        let column = column.create(format!("{path}/voxel_mask").as_str());
        column.expect("a column");
        self.numbers(&format!("{path}/voxel_mask_index"), &[2.0, 4.0]);
    }

    /// A table with an image for each region.
    pub(super) fn image_table<T: H5Type>(
        &self,
        path: &str,
        images: &ArrayD<T>,
        chunk: Option<&[usize]>,
    ) {
        self.table(path, Some(PLANE), images.shape()[0]);
        let column = self.file.new_dataset_builder().with_data(images);
        let column = match chunk {
            Some(chunk) => column.chunk(chunk.to_vec()).deflate(1),
            None => column,
        };
        let column = column.create(format!("{path}/image_mask").as_str());
        column.expect("a column");
    }

    /// A series at 4 Hz: sample `t` of the trace in column `j` is `100 t + j`.
    pub(super) fn series(&self, path: &str, table: &str, rois: &[usize]) {
        let data = Array2::from_shape_fn((FRAMES, rois.len()), |(t, j)| (100 * t + j) as f32);
        self.series_of(path, table, rois, &data);
        self.starting_time(path, 0.0, 4.0);
    }

    /// A series of this data, without times.
    pub(super) fn series_of(&self, path: &str, table: &str, rois: &[usize], data: &Array2<f32>) {
        self.group(path, "RoiResponseSeries");
        let column = self.file.new_dataset_builder().with_data(data);
        column
            .create(format!("{path}/data").as_str())
            .expect("data");
        let rois: Vec<f64> = rois.iter().map(|&row| row as f64).collect();
        let rois = self.numbers(&format!("{path}/rois"), &rois);
        self.refer(&rois, table);
    }

    /// Gives the rows of a series their table.
    pub(super) fn refer(&self, rois: &Dataset, table: &str) {
        let reference = self.file.reference::<ObjectReference1>(table);
        let attribute = rois.new_attr::<ObjectReference1>().create("table");
        let attribute = attribute.expect("an attribute");
        attribute
            .write_scalar(&reference.expect("a reference"))
            .expect("a reference");
    }

    pub(super) fn starting_time(&self, series: &str, start: f64, rate: f64) {
        let dataset = self.number(&format!("{series}/starting_time"), start);
        number_attribute(&dataset, "rate", rate);
    }

    pub(super) fn unlink(&self, name: &str) {
        self.file.unlink(name).expect("an object");
    }

    /// Opens the recording as the program does.
    pub(super) fn open(&self, request: &Request) -> Result<Source, InputError> {
        self.file.flush().expect("a file");
        let subject = Subject {
            name: "subject_1".to_owned(),
            dir: self.folder.path().to_owned(),
        };
        input::open(&subject, request)
    }

    /// The recording that it is.
    pub(super) fn source(&self) -> Source {
        let source = self.open(&Request::default());
        source.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Why it cannot be opened.
    pub(super) fn error(&self, request: &Request) -> String {
        self.open(request).expect_err("no recording").to_string()
    }
}

/// `--calcium_dataset`.
pub(super) fn named(dataset: &str) -> Request {
    Request {
        dataset: Some(dataset.to_owned()),
        ..Request::default()
    }
}

/// All traces of a recording, one after the other.
pub(super) fn traces(source: &Source) -> Vec<Vec<f32>> {
    let reader = source.location.open().expect("fluorescence");
    let storage = reader.storage();
    let neurons = 0..source.neurons();
    let mut samples = Samples::new(&storage, storage.all_frames(neurons.clone()));
    for piece in reader.pieces(&neurons) {
        reader.read(&piece, &mut [&mut samples]).expect("a piece");
    }
    let traces = samples.traces(&neurons);
    traces
        .chunks(source.frames())
        .map(<[f32]>::to_vec)
        .collect()
}

pub(super) fn text_attribute(object: &Location, name: &str, text: &str) {
    let attribute = object.new_attr::<VarLenAscii>().create(name);
    let text = VarLenAscii::from_ascii(text).expect("a text");
    attribute
        .expect("an attribute")
        .write_scalar(&text)
        .expect("a text");
}

pub(super) fn number_attribute(object: &Location, name: &str, value: f64) {
    let attribute = object.new_attr::<f64>().create(name);
    attribute
        .expect("an attribute")
        .write_scalar(&value)
        .expect("a number");
}
