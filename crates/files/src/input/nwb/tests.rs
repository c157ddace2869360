use std::path::Path;

use hdf5::File;
use ndarray::{Array2, ArrayD};
use spikegrid_core::findings::Severity;

use super::made::*;
use super::*;
use crate::input::{self, Cells, InputError};

const DFF: &str = "processing/ophys/DfOverF/RoiResponseSeries";

#[test]
fn rule_2_6_each_file_with_the_extension_is_a_recording_called_by_its_stem() {
    for (name, recognised) in [
        ("a.nwb", true),
        ("b.NWB", true),
        ("c.h5", false),
        ("nwb", false),
    ] {
        assert_eq!(Nwb.recognises(Path::new(name)), recognised, "{name}");
    }
    assert!(!Nwb.recognises(&std::env::temp_dir()));
    let name = Nwb.name_of_loose(Path::new("sub-1/sub-1_ses-2_ophys.nwb"));
    assert_eq!(name.as_deref(), Some("sub-1_ses-2_ophys"));
    let made = Made::new();
    let subject = input::Subject {
        name: "made".to_owned(),
        dir: made.path(),
    };
    made.file.flush().expect("a file");
    let source = input::open(&subject, &Request::default()).expect("a recording");
    assert_eq!((source.format, source.neurons()), ("NWB", 3));
}

#[test]
fn rule_2_6_fluorescence_is_taken_as_it_is_and_positions_are_centroids() {
    let made = Made::new();
    let source = made.source();
    assert_eq!((source.frames(), source.neurons()), (FRAMES, 3));
    assert_eq!((source.rate, source.is_dff), (Some(4.0), false));
    assert_eq!(source.dataset, SERIES);
    assert_eq!(
        source.reason,
        format!("made.nwb is there; its traces are {SERIES}")
    );
    assert_eq!(source.findings, []);
    let positions = &source.positions;
    assert_eq!(positions.xyz[..2], [[1.0, 2.0, 0.0], [2.5, 4.0, 0.0]]);
    let [x, y, _] = positions.xyz[2];
    assert!(x.is_nan() && y.is_nan(), "an empty mask");
    assert_eq!(
        (&positions.source_row[..], &positions.source_plane),
        (&[0, 1, 2][..], &None)
    );
    assert_eq!(traces(&source)[1], [1.0, 101.0, 201.0, 301.0, 401.0, 501.0]);
}

#[test]
fn rule_2_6_nothing_is_computed_where_there_is_nothing_to_compute() {
    let made = Made::new();
    let data = made.file.dataset(&format!("{SERIES}/data")).expect("data");
    number_attribute(&data, "conversion", 1.0);
    number_attribute(&data, "offset", 0.0);
    assert_eq!(made.source().location.scratch_bytes(), 0);
}

#[test]
fn rule_2_6_conversion_and_offset_of_the_data_hold() {
    let made = Made::new();
    let data = made.file.dataset(&format!("{SERIES}/data")).expect("data");
    number_attribute(&data, "conversion", 0.5);
    number_attribute(&data, "offset", -3.0);
    assert_eq!(
        traces(&made.source())[2],
        [-2.0, 48.0, 98.0, 148.0, 198.0, 248.0]
    );
}

#[test]
fn rule_2_6_a_column_is_the_row_of_the_table_that_rois_says() {
    let made = Made::empty();
    made.pixel_table(TABLE, None);
    made.container("Fluorescence", "Fluorescence");
    made.series(SERIES, TABLE, &[1, 0]);
    let source = made.source();
    assert_eq!(source.positions.source_row, [1, 0]);
    assert_eq!(source.positions.xyz, [[2.5, 4.0, 0.0], [1.0, 2.0, 0.0]]);
    assert_eq!(traces(&source)[0][1], 100.0);
}

#[test]
fn rule_2_2_the_transpose_is_recognised_where_only_that_fits_rois() {
    let made = Made::empty();
    made.pixel_table(TABLE, None);
    made.container("Fluorescence", "Fluorescence");
    let data = Array2::from_shape_fn((2, FRAMES), |(neuron, frame)| (10 * neuron + frame) as f32);
    made.series_of(SERIES, TABLE, &[2, 1], &data);
    let source = made.source();
    assert_eq!((source.frames(), source.neurons()), (FRAMES, 2));
    assert_eq!(traces(&source)[1], [10.0, 11.0, 12.0, 13.0, 14.0, 15.0]);
    made.unlink(SERIES);
    made.series_of(SERIES, TABLE, &[2, 1, 0], &data);
    let message = made.error(&Request::default());
    assert!(
        message.contains("(2, 6)") && message.contains("3 rows"),
        "{message}"
    );
    made.unlink(SERIES);
    let square = Array2::from_shape_fn((2, 2), |(frame, neuron)| (10 * neuron + frame) as f32);
    made.series_of(SERIES, TABLE, &[2, 1], &square);
    let source = made.source();
    assert_eq!(source.findings[0].code, Code::AmbiguousLayout);
    assert_eq!(traces(&source)[1], [10.0, 11.0]);
}

#[test]
fn rule_2_6_lengths_of_the_plane_hold_for_voxels_and_pixels() {
    let made = Made::empty();
    made.lengths("origin_coords", &[1e-3, 0.0, 5e-5], "meters");
    made.lengths("grid_spacing", &[2.0, 3.0, 10.0], "microns");
    made.voxel_table(TABLE);
    made.container("Fluorescence", "Fluorescence");
    made.series(SERIES, TABLE, &[1, 0]);
    assert_eq!(
        made.source().positions.xyz,
        [[1002.0, 3.0, 70.0], [1004.0, 12.0, 130.0]]
    );
    let made = Made::new();
    made.lengths("origin_coords", &[0.0, 1.0, 0.5], "millimeters");
    made.lengths("grid_spacing", &[2.0, 4.0], "um");
    assert_eq!(made.source().positions.xyz[1], [5.0, 1016.0, 500.0]);
    let made = Made::new();
    made.lengths("grid_spacing", &[2.0, 4.0], "inches");
    let source = made.source();
    assert_eq!(source.positions.xyz[1], [5.0, 16.0, 0.0]);
    let told = "the unit \"inches\" of its positions is not known";
    assert!(source.reason.contains(told), "{}", source.reason);
}

#[test]
fn rule_2_6_images_are_read_in_pieces_whatever_their_type_and_layout() {
    let centroids = [[1.0, 2.0, 0.0], [2.0, 0.5, 0.0], [5.0, 3.0, 0.0]];
    let of = |row: usize, x: usize, y: usize| match (row, x, y) {
        (0, 1, 2) | (1, 2, 0 | 1) | (2, 5, 3) => 1_u8,
        _ => 0,
    };
    let numbers = ArrayD::from_shape_fn(vec![3, 6, 4], |place| of(place[0], place[1], place[2]));
    for chunk in [
        None,
        Some(&[1, 6, 4][..]),
        Some(&[2, 4, 3]),
        Some(&[3, 1, 1]),
    ] {
        let check = |make: &dyn Fn(&Made)| {
            let made = Made::empty();
            make(&made);
            made.container("Fluorescence", "Fluorescence");
            made.series(SERIES, TABLE, &[0, 1, 2]);
            assert_eq!(made.source().positions.xyz, centroids, "{chunk:?}");
        };
        check(&|made| made.image_table(TABLE, &numbers, chunk));
        check(&|made| made.image_table(TABLE, &numbers.mapv(f64::from), chunk));
        check(&|made| made.image_table(TABLE, &numbers.mapv(|number| number == 1), chunk));
    }
    // Weights along z, in four axes.
    let made = Made::empty();
    let voxels = ArrayD::from_shape_fn(vec![2, 1, 2, 3], |place| (place[0] + place[3]) as f32);
    made.image_table(TABLE, &voxels, None);
    made.container("Fluorescence", "Fluorescence");
    made.series(SERIES, TABLE, &[0]);
    let [x, y, z] = made.source().positions.xyz[0];
    assert_eq!([x, y], [0.0, 0.5]);
    assert!((z - 5.0 / 3.0).abs() < 1e-12, "{z}");
}

/// A file with two planes, whose series are `Plane10` and `Plane2`.
fn two_planes() -> Made {
    let made = Made::empty();
    made.container("Traces", "Fluorescence");
    for plane in [10, 2] {
        let group = format!("general/optophysiology/Plane{plane}");
        made.plane(&group);
        made.numbers(
            &format!("{group}/origin_coords"),
            &[0.0, 0.0, 1e-6 * f64::from(plane)],
        );
        let table = format!("processing/ophys/ImageSegmentation/PlaneSegmentation{plane}");
        made.pixel_table(&table, Some(&group));
        made.series(
            &format!("processing/ophys/Traces/Plane{plane}"),
            &table,
            &[0, 1],
        );
    }
    made
}

#[test]
fn rule_2_6_planes_come_in_the_order_of_their_names() {
    let made = two_planes();
    let source = made.source();
    assert_eq!(source.dataset, "processing/ophys/Traces");
    let z: Vec<f64> = source.positions.xyz.iter().map(|[_, _, z]| *z).collect();
    assert_eq!(z, [2.0, 2.0, 10.0, 10.0]);
    assert_eq!(source.positions.source_row, [0, 1, 0, 1]);
    assert_eq!(source.positions.source_plane, Some(vec![0, 0, 1, 1]));
    assert_eq!(traces(&source)[3][2], 201.0);
    let one = two_planes().open(&named("Plane10")).expect("a recording");
    assert_eq!((one.neurons(), one.positions.source_plane), (2, None));
}

#[test]
fn rule_2_6_series_that_start_at_different_times_lie_frame_by_frame() {
    let made = two_planes();
    let series = "processing/ophys/Traces/Plane2/starting_time";
    made.unlink(series);
    made.starting_time("processing/ophys/Traces/Plane2", 0.6, 4.0);
    let source = made.source();
    assert_eq!(source.frames(), FRAMES - 2);
    let traces = traces(&source);
    assert_eq!((traces[0][0], traces[2][0]), (0.0, 200.0));
    made.unlink(series);
    made.starting_time("processing/ophys/Traces/Plane2", 600.0, 4.0);
    let message = made.error(&Request::default());
    assert!(
        message.contains("2400 frames") && message.contains("--calcium_dataset"),
        "{message}"
    );
    made.unlink(series);
    made.starting_time("processing/ophys/Traces/Plane2", 0.0, 8.0);
    let message = made.error(&Request::default());
    assert!(message.contains("8 Hz and 4 Hz"), "{message}");
}

#[test]
fn rule_2_6_planes_without_a_place_are_a_plane_step_apart() {
    let made = two_planes();
    for plane in [2, 10] {
        made.unlink(&format!(
            "general/optophysiology/Plane{plane}/origin_coords"
        ));
    }
    let step = Request {
        plane_step: Some(15.0),
        ..Request::default()
    };
    let z = |source: Source| -> Vec<f64> {
        let xyz = source.positions.xyz.into_iter();
        xyz.map(|[_, _, z]| z).collect()
    };
    assert_eq!(
        z(made.open(&step).expect("a recording")),
        [0.0, 0.0, 15.0, 15.0]
    );
    assert_eq!(z(made.source()), [0.0; 4]);
    assert_eq!(
        z(two_planes().open(&step).expect("a recording")),
        [2.0, 2.0, 10.0, 10.0]
    );
}

#[test]
fn rule_2_6_neuropil_and_deconvolved_traces_are_not_taken() {
    let made = Made::new();
    made.container("Neuropil", "Fluorescence");
    made.container("Deconvolved", "Fluorescence");
    for container in ["Neuropil", "Deconvolved"] {
        made.series(
            &format!("processing/ophys/{container}/RoiResponseSeries"),
            TABLE,
            &[0, 1, 2],
        );
    }
    made.series("processing/ophys/Fluorescence/Denoised", TABLE, &[0, 1, 2]);
    assert_eq!(made.source().dataset, SERIES);
    let chosen = |name: &str| made.open(&named(name)).expect("a recording").dataset;
    assert_eq!(chosen("RoiResponseSeries"), SERIES);
    assert_eq!(
        chosen("Neuropil"),
        "processing/ophys/Neuropil/RoiResponseSeries"
    );
    assert_eq!(chosen("Denoised"), "processing/ophys/Fluorescence/Denoised");
    let path = "/processing/ophys/Deconvolved/RoiResponseSeries/data";
    assert_eq!(
        chosen(path),
        "processing/ophys/Deconvolved/RoiResponseSeries"
    );
    let message = made.error(&named("nothing"));
    assert!(
        message.contains("a dataset nothing") && message.contains(SERIES),
        "{message}"
    );
    made.unlink(SERIES);
    let message = made.error(&Request::default());
    assert!(
        message.contains("Neuropil/RoiResponseSeries") && message.contains("--calcium_dataset"),
        "{message}"
    );
}

#[test]
fn rule_2_6_corrected_traces_are_fluorescence() {
    let made = Made::empty();
    made.pixel_table(TABLE, None);
    made.container("neuropil_corrected_fluorescence", "Fluorescence");
    let path = "processing/ophys/neuropil_corrected_fluorescence/traces";
    made.series(path, TABLE, &[0, 1, 2]);
    assert_eq!(made.source().dataset, path);
}

#[test]
fn rule_2_6_dff_is_taken_where_there_is_no_fluorescence() {
    let made = Made::new();
    made.container("DfOverF", "DfOverF");
    made.series(DFF, TABLE, &[0, 1, 2]);
    assert_eq!(made.source().dataset, SERIES);
    let chosen = made.open(&named("DfOverF")).expect("a recording");
    assert_eq!((chosen.dataset.as_str(), chosen.is_dff), (DFF, true));
    made.unlink("processing/ophys/Fluorescence");
    let source = made.source();
    assert_eq!((source.dataset.as_str(), source.is_dff), (DFF, true));
}

#[test]
fn rule_2_6_series_of_the_same_neurons_are_listed() {
    let made = Made::new();
    made.series("processing/ophys/Fluorescence/Red", TABLE, &[2]);
    let message = made.error(&Request::default());
    for words in [SERIES, "Fluorescence/Red", "--calcium_dataset"] {
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(made.open(&named("Red")).expect("a recording").neurons(), 1);
}

#[test]
fn rule_2_6_a_second_channel_is_not_taken() {
    let made = Made::new();
    made.container("Fluorescence_chan2", "Fluorescence");
    let second = "processing/ophys/Fluorescence_chan2/RoiResponseSeries";
    made.series(second, TABLE, &[0, 1, 2]);
    assert_eq!(made.source().dataset, SERIES);
    let chosen = made.open(&named("Fluorescence_chan2"));
    assert_eq!(chosen.expect("a recording").dataset, second);
}

#[test]
fn rule_2_6_groups_may_lie_in_other_files() {
    for linked in [
        "processing",
        "processing/ophys/Traces",
        "processing/ophys/Traces/Plane2",
    ] {
        let made = two_planes();
        let before = made.source();
        let expected = (traces(&before), before.positions);
        std::fs::copy(made.path(), made.path().with_file_name("other.h5")).expect("a file");
        made.unlink(linked);
        let link = made
            .file
            .link_external("other.h5", &format!("/{linked}"), linked);
        link.expect("a link");
        let source = made.source();
        assert_eq!((traces(&source), source.positions), expected, "{linked}");
        let identity = serde_json::to_value(&source.identity).expect("an identity");
        assert!(
            identity["nwb link other.h5"]["size"].is_number(),
            "{identity}"
        );
    }
}

#[test]
fn rule_2_6_series_may_lie_in_a_module_itself_or_in_another_section() {
    let made = Made::empty();
    made.pixel_table(TABLE, None);
    made.series("processing/ophys/Traces", TABLE, &[0]);
    assert_eq!(made.source().dataset, "processing/ophys/Traces");
    made.unlink("processing/ophys/Traces");
    let message = made.error(&Request::default());
    assert!(
        message.contains("no series of the class RoiResponseSeries"),
        "{message}"
    );
    made.file.create_group("acquisition").expect("a group");
    made.series("acquisition/Traces", TABLE, &[0]);
    assert_eq!(made.source().dataset, "acquisition/Traces");
}

#[test]
fn rule_2_7_the_rate_is_the_first_that_is_one() {
    let made = Made::empty();
    made.pixel_table(TABLE, Some("general/optophysiology/ImagingPlane"));
    made.container("Fluorescence", "Fluorescence");
    made.series_of(SERIES, TABLE, &[0], &Array2::zeros((FRAMES, 1)));
    assert_eq!(made.source().rate, None);
    made.number("general/optophysiology/ImagingPlane/imaging_rate", 30.0);
    assert_eq!(made.source().rate, Some(30.0));
    made.numbers(
        &format!("{SERIES}/timestamps"),
        &[1.0, 1.5, 2.0, 2.5, 3.5, 4.0],
    );
    let source = made.source();
    assert_eq!(source.rate, Some(2.0));
    let finding = &source.findings[0];
    assert_eq!(
        (finding.code, finding.severity),
        (Code::UnevenRate, Severity::Warning)
    );
    made.starting_time(SERIES, 0.0, f64::NAN);
    assert_eq!(made.source().rate, Some(2.0));
    made.unlink(&format!("{SERIES}/starting_time"));
    made.starting_time(SERIES, 0.0, 5.0);
    assert_eq!(made.source().rate, Some(5.0));
}

#[test]
fn rule_2_6_iscell_selects() {
    let made = Made::new();
    let is_cell = ndarray::arr2(&[[1.0, 0.9], [0.0, 0.2], [1.0, 0.6]]);
    let column = made.file.new_dataset_builder().with_data(&is_cell);
    column
        .create(format!("{TABLE}/iscell").as_str())
        .expect("a column");
    let source = made.source();
    assert_eq!(source.positions.source_row, [0, 2]);
    assert_eq!(traces(&source)[1][1], 102.0);
    let all = Request {
        cells: Cells::All,
        ..Request::default()
    };
    assert_eq!(made.open(&all).expect("a recording").neurons(), 3);
    made.unlink(&format!("{TABLE}/iscell"));
    made.numbers(&format!("{TABLE}/iscell"), &[0.0, 0.0, 0.0]);
    let message = made.error(&Request::default());
    assert!(
        message.contains("iscell") && message.contains("--cells all"),
        "{message}"
    );
    made.unlink(&format!("{TABLE}/iscell"));
    made.numbers(&format!("{TABLE}/iscell"), &[1.0]);
    let message = made.error(&Request::default());
    assert!(
        message.contains("iscell") && message.contains("(3, 2)"),
        "{message}"
    );
}

#[test]
fn rule_2_6_neuropil_is_subtracted_where_the_user_says_so() {
    let made = Made::new();
    made.container("Neuropil", "Fluorescence");
    let neuropil = "processing/ophys/Neuropil/RoiResponseSeries";
    made.series_of(
        neuropil,
        TABLE,
        &[0, 1, 2],
        &Array2::from_elem((FRAMES, 3), 10.0),
    );
    assert_eq!(traces(&made.source())[0][1], 100.0);
    let corrected = |coefficient| {
        let request = Request {
            neuropil_coefficient: Some(coefficient),
            ..Request::default()
        };
        traces(&made.open(&request).expect("a recording"))[0][1]
    };
    assert_eq!((corrected(0.5), corrected(0.0)), (95.0, 100.0));
    let data = made
        .file
        .dataset(&format!("{neuropil}/data"))
        .expect("data");
    number_attribute(&data, "conversion", 2.0);
    number_attribute(&data, "offset", 4.0);
    assert_eq!(corrected(0.5), 88.0);
}

#[test]
fn rule_2_6_an_export_of_suite2p_is_told() {
    let made = Made::new();
    made.unlink("session_description");
    made.text("session_description", "suite2p_proc");
    let source = made.source();
    assert!(
        source.reason.ends_with("suite2p exported it"),
        "{}",
        source.reason
    );
    let finding = &source.findings[0];
    assert_eq!(
        (finding.code, finding.severity),
        (Code::Suite2pExport, Severity::Note)
    );
}

#[test]
fn rule_9_3_file_lost_source() {
    let made = Made::new();
    let other = made.path().with_file_name("other.h5");
    let copy = || {
        let from = made.file.dataset(&format!("{SERIES}/data")).expect("data");
        let other = File::create(&other).expect("a file");
        let values: Array2<f32> = from.read_2d().expect("numbers");
        other
            .new_dataset_builder()
            .with_data(&values)
            .create("F")
            .expect("a dataset");
    };
    copy();
    let before = made.source();
    made.unlink(&format!("{SERIES}/data"));
    let data = format!("{SERIES}/data");
    made.file
        .link_external("other.h5", "/F", &data)
        .expect("a link");
    let source = made.source();
    assert_eq!(traces(&source), traces(&before));
    let identity = serde_json::to_value(&source.identity).expect("an identity");
    assert!(
        identity["nwb link other.h5"]["size"].is_number(),
        "{identity}"
    );
    std::fs::remove_file(&other).expect("a file");
    let error = made.open(&Request::default()).expect_err("a lost file");
    assert_eq!(
        error.code().map(|code| code.name()),
        Some("file.lost_source")
    );
    assert!(error.to_string().contains("other.h5"), "{error}");
}

#[test]
fn rule_9_3_a_lost_series_is_not_passed_over() {
    let made = Made::new();
    let link = |name: &str| {
        made.file
            .link_external("lost.h5", "/F", name)
            .expect("a link")
    };
    let code = |made: &Made| {
        let error = made.open(&Request::default()).err();
        error.and_then(|error| error.code()).map(|code| code.name())
    };
    link("processing/ophys/Neuropil");
    link("processing/ophys/Movie");
    assert_eq!(code(&made), None, "what is not needed");
    link("processing/ophys/Fluorescence/Plane2");
    assert_eq!(code(&made), Some("file.lost_source"));
    made.unlink("processing/ophys/Fluorescence");
    made.container("DfOverF", "DfOverF");
    made.series(DFF, TABLE, &[0, 1, 2]);
    assert_eq!(
        code(&made),
        Some("file.lost_source"),
        "the movie may be the fluorescence"
    );
    made.unlink("processing/ophys/Movie");
    assert_eq!(code(&made), None);
}

#[test]
fn rule_2_6_files_that_contradict_themselves_are_refused() {
    type Change = fn(&Made);
    let cases: [(Change, &[&str]); 9] = [
        (
            |made| {
                made.unlink(&format!("{SERIES}/rois"));
                let rois = made.numbers(&format!("{SERIES}/rois"), &[0.0, 1.0, 3.0]);
                made.refer(&rois, TABLE);
            },
            &["rois", "0 to 2", "found 3"],
        ),
        (
            |made| {
                made.unlink(&format!("{SERIES}/rois"));
                made.numbers(&format!("{SERIES}/rois"), &[0.0, 1.0, 2.0]);
            },
            &["rois", "attribute table"],
        ),
        (
            |made| {
                made.unlink(&format!("{SERIES}/rois"));
                let rois = made.numbers(&format!("{SERIES}/rois"), &[0.0, 1.0, 2.0]);
                made.refer(&rois, &format!("{SERIES}/data"));
            },
            &["rois", "something else"],
        ),
        (
            |made| made.unlink(&format!("{SERIES}/rois")),
            &["rois", "no such dataset"],
        ),
        (|made| made.unlink(&format!("{SERIES}/data")), &["data"]),
        (
            |made| {
                made.unlink(&format!("{TABLE}/pixel_mask_index"));
                made.numbers(&format!("{TABLE}/pixel_mask_index"), &[2.0, 1.0, 3.0]);
            },
            &["pixel_mask_index", "ascending", "1 in row 1"],
        ),
        (
            |made| {
                made.unlink(&format!("{TABLE}/pixel_mask_index"));
                made.numbers(&format!("{TABLE}/pixel_mask_index"), &[1.0, 2.0, 4.0]);
            },
            &["pixel_mask_index", "0 to 3", "4 in row 2"],
        ),
        (
            |made| {
                made.unlink(&format!("{TABLE}/pixel_mask"));
                made.numbers(&format!("{TABLE}/pixel_mask"), &[2.0, 1.0, 3.0]);
            },
            &["pixel_mask", "x, y, weight"],
        ),
        (
            |made| made.unlink(&format!("{TABLE}/pixel_mask")),
            &["image_mask", "pixel_mask_index"],
        ),
    ];
    for (change, words) in cases {
        let made = Made::new();
        change(&made);
        let message = made.error(&Request::default());
        for word in words {
            assert!(message.contains(word), "{word}: {message}");
        }
    }
}

#[test]
fn a_crash_trial_reads_the_ends_of_large_tables() {
    let starts = |extent: Extent, elements| extent.starts(elements, 10).collect::<Vec<_>>();
    assert_eq!(starts(Extent::Whole, 35), [0, 10, 20, 30]);
    assert_eq!(starts(Extent::Ends, 35), [0, 30]);
    assert_eq!(starts(Extent::Ends, 10), [0]);
    assert_eq!(starts(Extent::Whole, 0), [0; 0]);
}

#[test]
fn what_is_no_hdf5_file_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.nwb");
    std::fs::write(&path, "<html>").expect("a file");
    let message = Nwb
        .open(&path, &Request::default())
        .expect_err("no recording");
    assert!(matches!(message, InputError::File { .. }), "{message}");
}
