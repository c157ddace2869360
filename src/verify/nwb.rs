//! The NWB file (rule 8.10): whether its matrices, positions and voxels are those of the other files. Validators of NWB check the
//! rest.

use spikegrid_files::output::nwb::{DFF, RATES, TABLE, Voxel};
use spikegrid_files::output::written::{NumberKind, SmallValue};

use super::matrix;
use super::report::{Opened, Report};
use super::rules::Place;
use super::traces::Traces;

const RULE: &str = "rule 8.10";
const VERSION: &str = "2.8.0";
/// What a reader asks for beside the series and the table.
const OBJECTS: [&str; 5] = [
    "identifier",
    "session_description",
    "session_start_time",
    "general/subject",
    "general/devices/microscope",
];
/// The types of the objects that a reader looks for.
const TYPES: [(&str, &str); 6] = [
    ("/", "NWBFile"),
    ("general/optophysiology/volume", "ImagingPlane"),
    ("processing/ophys/DfOverF", "DfOverF"),
    ("processing/ophys/DfOverF/DfOverF", "RoiResponseSeries"),
    (
        "processing/ophys/SpikeRates/SpikeRates",
        "RoiResponseSeries",
    ),
    (TABLE, "PlaneSegmentation"),
];

/// Checks the file of a subject of `frames` frames at this rate, as far as traces are there to compare it with; `places` are those of
/// the neurons in the grids, (N,).
pub(super) fn check(
    report: &mut Report,
    file: &Opened,
    frames: usize,
    sampling_rate_hz: Option<f64>,
    traces: Option<&Traces>,
    places: Option<&[Option<Place>]>,
) {
    check_document(report, file);
    for (data, unit) in [(DFF, "n.a."), (RATES, "Hz")] {
        check_series(report, file, data, unit, sampling_rate_hz);
    }
    let Some(traces) = traces else {
        let ids = file.file.dataset(&format!("{TABLE}/id"));
        let neurons = ids.map_or(0, |ids| ids.shape.first().copied().unwrap_or(0));
        for name in [DFF, RATES] {
            file.dataset(report, name, NumberKind::F32, &[frames, neurons], RULE);
        }
        return;
    };
    let shape = [frames, traces.neurons];
    let mut matrix_of = |name| file.dataset(report, name, NumberKind::F32, &shape, RULE);
    let (dff, rates) = (matrix_of(DFF), matrix_of(RATES));
    if let Some((dff, expected)) = dff.zip(traces.dff.as_ref()) {
        matrix::compare(report, file, DFF, &dff, expected, f64::from, RULE);
    }
    if let Some(((rates, expected), rate)) = rates.zip(traces.rates.as_ref()).zip(sampling_rate_hz)
    {
        let hertz = |per_frame: f32| f64::from((f64::from(per_frame) * rate) as f32);
        matrix::compare(report, file, RATES, &rates, expected, hertz, RULE);
    }
    let neurons: Vec<i64> = (0..traces.neurons as i64).collect();
    for data in [DFF, RATES] {
        let rois = data.replace("/data", "/rois");
        file.expect(report, &rois, NumberKind::I64, &neurons, RULE);
    }
    let column = |name: &str| format!("{TABLE}/{name}");
    file.expect(report, &column("id"), NumberKind::I64, &neurons, RULE);
    for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
        if let Some(xyz) = &traces.xyz {
            let expected: Vec<f64> = xyz.iter().map(|place| place[axis]).collect();
            file.expect(report, &column(name), NumberKind::F64, &expected, RULE);
        }
    }
    if let Some(rows) = &traces.source_row {
        let kind = NumberKind::I64;
        file.expect(report, &column("source_row"), kind, rows, RULE);
    }
    if let Some(places) = places {
        check_voxels(report, file, places);
    }
}

/// Checks what every reader of NWB needs.
fn check_document(report: &mut Report, file: &Opened) {
    for name in OBJECTS {
        if let Err(found) = file.file.attributes_at(name) {
            let place = format!("{}: {name}", file.name);
            report.difference(place, "a group or dataset", found, RULE);
        }
    }
    for (object, neurodata_type) in TYPES {
        let expected = SmallValue::Texts(vec![neurodata_type.to_owned()]);
        file.expect_attribute(report, object, "neurodata_type", &expected, RULE);
    }
    let version = SmallValue::Texts(vec![VERSION.to_owned()]);
    file.expect_attribute(report, "/", "nwb_version", &version, RULE);
    for (object, name) in [
        (&format!("{TABLE}/voxel_mask_index")[..], "target"),
        (&DFF.replace("/data", "/rois"), "table"),
        (&RATES.replace("/data", "/rois"), "table"),
        (TABLE, "colnames"),
    ] {
        let names = file.file.attributes_at(object).unwrap_or_default();
        if !names.iter().any(|found| found == name) {
            let place = format!("{}: {object}, attribute {name}", file.name);
            report.difference(place, "a reference or names", "no such attribute", RULE);
        }
    }
}

/// Checks what gives the values of a series their meaning: unit, scale, and the recording's rate.
fn check_series(
    report: &mut Report,
    file: &Opened,
    data: &str,
    unit: &str,
    sampling_rate_hz: Option<f64>,
) {
    let unit = SmallValue::Texts(vec![unit.to_owned()]);
    file.expect_attribute(report, data, "unit", &unit, RULE);
    for (name, value) in [("conversion", 1.0), ("offset", 0.0)] {
        let expected = SmallValue::Numbers(vec![value]);
        file.expect_attribute(report, data, name, &expected, RULE);
    }
    let start = data.replace("/data", "/starting_time");
    let kind = NumberKind::F64;
    if let Some(found) = file.values::<f64>(report, &start, kind, &[], RULE) {
        file.compare(report, &start, &[], &[0.0], &found, RULE);
    }
    if let Some(rate) = sampling_rate_hz {
        let expected = SmallValue::Numbers(vec![f64::from(rate as f32)]);
        file.expect_attribute(report, &start, "rate", &expected, RULE);
    }
}

/// Checks that each neuron with a place has its pixel, and no other neuron has one.
fn check_voxels(report: &mut Report, file: &Opened, places: &[Option<Place>]) {
    let mask = format!("{TABLE}/voxel_mask");
    let mut end = 0;
    let ends = places.iter().map(|place| {
        end += u32::from(place.is_some());
        end
    });
    let ends: Vec<u32> = ends.collect();
    let index = format!("{mask}_index");
    file.expect(report, &index, NumberKind::U32, &ends, RULE);
    let Some(found) = file.read(report, &mask, file.file.records::<Voxel>(&mask), RULE) else {
        return;
    };
    let voxel = |place: &Place| Voxel {
        x: place.row as u32,
        y: place.column as u32,
        z: place.plane as u32,
        weight: 1.0,
    };
    let expected: Vec<Voxel> = places.iter().flatten().map(voxel).collect();
    if expected.len() != found.len() {
        let place = format!("{}: {mask}", file.name);
        return report.difference(place, expected.len(), found.len(), RULE);
    }
    let mut pairs = expected.iter().zip(&found).enumerate();
    if let Some((place, (expected, found))) = pairs.find(|(_, (expected, found))| expected != found)
    {
        let text = |voxel: &Voxel| {
            format!(
                "({}, {}, {}, {:?})",
                voxel.x, voxel.y, voxel.z, voxel.weight
            )
        };
        let place = format!("{}: {mask}[{place}]", file.name);
        report.difference(place, text(expected), text(found), RULE);
    }
}
