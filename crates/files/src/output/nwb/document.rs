//! What an NWB file holds beside its two matrices, and where.
//!
//! [NWB](https://nwb-schema.readthedocs.io) asks for identifiers and dates that are new in every file. Here they follow from the
//! settings and the recording, so that the same run writes the same bytes.

use std::path::Path;
use std::str::FromStr;

use hdf5::plist::dataset_create::{AllocTime, FillTime};
use hdf5::types::VarLenUnicode;
use hdf5::{Dataset, File, Group, H5Type, Location, ObjectReference1};
use sha2::{Digest, Sha256};
use spikegrid_core::activity::Chunks;
use spikegrid_core::grid::Place;

use crate::input::Positions;
use crate::output::date::iso_date;
use crate::output::index;
use crate::output::nwb::TABLE;
use crate::output::provenance::Provenance;

const NWB_VERSION: &str = "2.8.0";
const CORE: &str = "core";
const COMMON: &str = "hdmf-common";
const UNKNOWN: &str = "unknown";

/// What an NWB file says of a subject, beside ΔF/F and rates.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// Name of the subject.
    pub subject: &'a str,
    /// Position of each neuron and where it comes from.
    pub positions: &'a Positions,
    /// z-plane, row and column of each neuron that has a position, (N,).
    pub places: &'a [Option<Place>],
    /// All settings, and the recording's files.
    pub provenance: &'a Provenance,
}

/// A pixel of the grids, as the column `voxel_mask` has it.
#[derive(H5Type, Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct Voxel {
    /// Row
    pub x: u32,
    /// Column
    pub y: u32,
    /// z-plane
    pub z: u32,
    /// 1
    pub weight: f32,
}

impl Document<'_> {
    /// Makes the file, with matrices of these chunks.
    pub(super) fn write(&self, path: &Path, chunks: &Chunks) -> hdf5::Result<()> {
        let settings = serde_json::to_string(self.provenance)
            .map_err(|error| hdf5::Error::from(error.to_string()))?;
        let writer = Writer {
            // In this format, chunks that are allocated at once lie one after the other.
            file: index::create_file(path)?,
            seed: Sha256::digest(format!("{} {settings}", self.subject)).into(),
        };
        self.write_session(&writer)?;
        self.write_general(&writer, &settings)?;
        let ophys = writer.object("/processing/ophys", CORE, "ProcessingModule")?;
        text_attribute(&ophys, "description", "ΔF/F and inferred spike rates")?;
        self.write_table(&writer)?;
        self.write_series(
            &writer,
            chunks,
            "DfOverF",
            "DfOverF",
            "n.a.",
            "ΔF/F, not in per cent; NaN where there is none",
        )?;
        self.write_series(
            &writer,
            chunks,
            "Fluorescence",
            "SpikeRates",
            "Hz",
            "Spike rates that CASCADE inferred, in spikes per second; NaN where there is none",
        )?;
        drop(ophys);
        writer.file.close()
    }

    /// The time at which the last file of the recording was changed.
    fn date(&self) -> String {
        let input = self.provenance.input.as_ref();
        iso_date(input.map_or(0, |input| input.latest_ns()))
    }

    fn write_session(&self, writer: &Writer) -> hdf5::Result<()> {
        let root = &writer.file;
        writer.identify(root, "/", CORE, "NWBFile")?;
        text_attribute(root, "nwb_version", NWB_VERSION)?;
        let version = env!("CARGO_PKG_VERSION");
        let description = format!(
            "Calcium imaging of {}. spikegrid-mpi {version} computed ΔF/F and inferred the spike rates with {}. The recording does not say \
             when it began: session_start_time is when its files were last changed.",
            self.subject, self.provenance.cascade_model
        );
        text(root, "identifier", &writer.uuid("identifier"))?;
        text(root, "session_description", &description)?;
        let date = self.date();
        text(root, "session_start_time", &date)?;
        text(root, "timestamps_reference_time", &date)?;
        let dates = [unicode(&date)?];
        root.new_dataset_builder()
            .with_data(&dates)
            .create("file_create_date")?;
        for name in [
            "acquisition",
            "analysis",
            "general",
            "processing",
            "stimulus",
            "stimulus/presentation",
            "stimulus/templates",
            "general/devices",
            "general/optophysiology",
        ] {
            writer.group(name)?;
        }
        Ok(())
    }

    fn write_general(&self, writer: &Writer, settings: &str) -> hdf5::Result<()> {
        let general = writer.file.group("general")?;
        text(&general, "notes", settings)?;
        let [name, version] = ["spikegrid-mpi", env!("CARGO_PKG_VERSION")].map(unicode);
        general
            .new_dataset_builder()
            .with_data(&ndarray::arr2(&[[name?, version?]]))
            .create("was_generated_by")?;

        let subject = writer.object("/general/subject", CORE, "Subject")?;
        text(&subject, "subject_id", self.subject)?;
        let unknown = "Species, age and sex are not known to spikegrid-mpi";
        text(&subject, "description", unknown)?;
        text(&subject, "sex", "U")?;
        // At least 0 days: NWB has no word for an age that is not known.
        let age = text(&subject, "age", "P0D/")?;
        text_attribute(&age, "reference", "birth")?;

        let device = writer.object("/general/devices/microscope", CORE, "Device")?;
        text_attribute(&device, "description", UNKNOWN)?;
        let volume = writer.object("/general/optophysiology/volume", CORE, "ImagingPlane")?;
        let description = "All neurons; voxels of the table of neurons are pixels of the spike grids (z-plane, row, column)";
        text(&volume, "description", description)?;
        number(&volume, "excitation_lambda", f32::NAN)?;
        number(
            &volume,
            "imaging_rate",
            self.provenance.sampling_rate as f32,
        )?;
        text(&volume, "indicator", UNKNOWN)?;
        text(&volume, "location", UNKNOWN)?;
        volume.link_soft("/general/devices/microscope", "device")?;
        let channel = writer.object(
            "/general/optophysiology/volume/channel",
            CORE,
            "OpticalChannel",
        )?;
        text(&channel, "description", UNKNOWN)?;
        number(&channel, "emission_lambda", f32::NAN)?;
        Ok(())
    }

    /// The table of neurons: a row for each.
    fn write_table(&self, writer: &Writer) -> hdf5::Result<()> {
        writer.object(
            "/processing/ophys/ImageSegmentation",
            CORE,
            "ImageSegmentation",
        )?;
        let table = writer.object(TABLE, CORE, "PlaneSegmentation")?;
        text_attribute(
            &table,
            "description",
            "Neurons, in the order of all outputs",
        )?;
        table.link_soft("/general/optophysiology/volume", "imaging_plane")?;
        writer.group(&format!("{TABLE}/reference_images"))?;
        let ids: Vec<i64> = (0..self.places.len() as i64).collect();
        let id = table.new_dataset_builder().with_data(&ids).create("id")?;
        writer.identify(&id, &format!("{TABLE}/id"), COMMON, "ElementIdentifiers")?;

        let column = |name: &str, description: &str| Column {
            writer,
            table: &table,
            name: name.to_owned(),
            description: description.to_owned(),
        };
        let voxels: Vec<Voxel> = self.places.iter().flatten().map(voxel).collect();
        let mut end = 0;
        let ends = self.places.iter().map(|place| {
            end += u32::from(place.is_some());
            end
        });
        let ends: Vec<u32> = ends.collect();
        let mask = "The neuron's pixel in the spike grids: x is its row, y its column, z its z-plane, all from 0";
        column("voxel_mask", mask).write(&voxels)?;
        let index = column("voxel_mask_index", "Where each neuron's voxels end");
        let index = index.write_as(&ends, "VectorIndex")?;
        let target: ObjectReference1 = writer.file.reference(&format!("{TABLE}/voxel_mask"))?;
        index
            .new_attr::<ObjectReference1>()
            .create("target")?
            .write_scalar(&target)?;
        for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
            let of_axis: Vec<f64> = self.positions.xyz.iter().map(|xyz| xyz[axis]).collect();
            let description = format!("{name} of the neuron, in the unit of the recording");
            column(name, &description).write(&of_axis)?;
        }
        let mut names = vec!["voxel_mask", "x", "y", "z", "source_row"];
        column(
            "source_row",
            "The neuron's place in the recording's table of cells, from 0",
        )
        .write(&self.positions.source_row)?;
        if let Some(planes) = &self.positions.source_plane {
            names.push("source_plane");
            column(
                "source_plane",
                "The recording's imaging plane, which has that table",
            )
            .write(planes)?;
        }
        let names: hdf5::Result<Vec<_>> = names.into_iter().map(unicode).collect();
        table
            .new_attr_builder()
            .with_data(&names?)
            .create("colnames")?;
        Ok(())
    }

    /// A matrix in a container of its own name.
    fn write_series(
        &self,
        writer: &Writer,
        chunks: &Chunks,
        container: &str,
        name: &str,
        unit: &str,
        description: &str,
    ) -> hdf5::Result<()> {
        let path = format!("/processing/ophys/{name}");
        writer.object(&path, CORE, container)?;
        let path = format!("{path}/{name}");
        let series = writer.object(&path, CORE, "RoiResponseSeries")?;
        text_attribute(&series, "description", description)?;
        text_attribute(
            &series,
            "comments",
            "Columns are the rows of PlaneSegmentation",
        )?;
        let data = series
            .new_dataset::<f32>()
            .shape((chunks.frames, chunks.neurons))
            .chunk(chunks.extents())
            .alloc_time(Some(AllocTime::Early))
            .fill_time(FillTime::Never)
            .create("data")?;
        for (name, value) in [("conversion", 1.0), ("offset", 0.0), ("resolution", -1.0)] {
            number_attribute(&data, name, value)?;
        }
        text_attribute(&data, "unit", unit)?;
        let rois: Vec<i64> = (0..chunks.neurons as i64).collect();
        let rois = series
            .new_dataset_builder()
            .with_data(&rois)
            .create("rois")?;
        writer.identify(&rois, &format!("{path}/rois"), COMMON, "DynamicTableRegion")?;
        text_attribute(&rois, "description", "All neurons")?;
        let table: ObjectReference1 = writer.file.reference(TABLE)?;
        rois.new_attr::<ObjectReference1>()
            .create("table")?
            .write_scalar(&table)?;
        let start = number(&series, "starting_time", 0.0_f64)?;
        number_attribute(&start, "rate", self.provenance.sampling_rate as f32)?;
        text_attribute(&start, "unit", "seconds")
    }
}

fn voxel(place: &Place) -> Voxel {
    Voxel {
        x: place.row as u32,
        y: place.column as u32,
        z: place.plane as u32,
        weight: 1.0,
    }
}

/// A file in the making, and what its identifiers follow from.
struct Writer {
    file: File,
    seed: [u8; 32],
}

impl Writer {
    /// The identifier of the object at this path, a UUID of version 8 (RFC 9562: of our own making).
    fn uuid(&self, path: &str) -> String {
        let hash = Sha256::new().chain_update(self.seed).chain_update(path);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        bytes[6] = 0x80 | bytes[6] & 0x0f;
        bytes[8] = 0x80 | bytes[8] & 0x3f;
        let hex = |range: std::ops::Range<usize>| -> String {
            bytes[range]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect()
        };
        [hex(0..4), hex(4..6), hex(6..8), hex(8..10), hex(10..16)].join("-")
    }

    fn group(&self, path: &str) -> hdf5::Result<Group> {
        let builder = self.file.create_group_builder();
        builder.obj_track_times(false).create(path)
    }

    /// A group that is an object of this type of NWB.
    fn object(&self, path: &str, namespace: &str, neurodata_type: &str) -> hdf5::Result<Group> {
        let group = self.group(path)?;
        self.identify(&group, path, namespace, neurodata_type)?;
        Ok(group)
    }

    /// Says of which type of NWB an object is.
    fn identify(
        &self,
        object: &Location,
        path: &str,
        namespace: &str,
        neurodata_type: &str,
    ) -> hdf5::Result<()> {
        text_attribute(object, "namespace", namespace)?;
        text_attribute(object, "neurodata_type", neurodata_type)?;
        text_attribute(object, "object_id", &self.uuid(path))
    }
}

/// A column of the table of neurons.
struct Column<'a> {
    writer: &'a Writer,
    table: &'a Group,
    name: String,
    description: String,
}

impl Column<'_> {
    fn write<T: H5Type>(&self, values: &[T]) -> hdf5::Result<Dataset> {
        self.write_as(values, "VectorData")
    }

    fn write_as<T: H5Type>(&self, values: &[T], neurodata_type: &str) -> hdf5::Result<Dataset> {
        let builder = self.table.new_dataset_builder();
        let dataset = builder.with_data(values).create(&self.name[..])?;
        let path = format!("{TABLE}/{}", self.name);
        self.writer
            .identify(&dataset, &path, COMMON, neurodata_type)?;
        text_attribute(&dataset, "description", &self.description)?;
        Ok(dataset)
    }
}

fn unicode(text: &str) -> hdf5::Result<VarLenUnicode> {
    VarLenUnicode::from_str(text).map_err(|error| hdf5::Error::from(error.to_string()))
}

fn text(group: &Group, name: &str, text: &str) -> hdf5::Result<Dataset> {
    let dataset = group.new_dataset::<VarLenUnicode>().create(name)?;
    dataset.write_scalar(&unicode(text)?)?;
    Ok(dataset)
}

fn text_attribute(object: &Location, name: &str, text: &str) -> hdf5::Result<()> {
    let attribute = object.new_attr::<VarLenUnicode>().create(name)?;
    attribute.write_scalar(&unicode(text)?)
}

fn number<T: H5Type>(group: &Group, name: &str, number: T) -> hdf5::Result<Dataset> {
    let dataset = group.new_dataset::<T>().create(name)?;
    dataset.write_scalar(&number)?;
    Ok(dataset)
}

fn number_attribute(object: &Location, name: &str, number: f32) -> hdf5::Result<()> {
    object.new_attr::<f32>().create(name)?.write_scalar(&number)
}
