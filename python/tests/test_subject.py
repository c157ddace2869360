"""A subject against its files, read by h5py and by hand."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

import spikegrid

FRAMES, NEURONS = 700, 40


def test_split_rate_and_settings_are_those_of_the_files(subject: spikegrid.Subject) -> None:
    with h5py.File(subject.folder / "metadata.h5") as file:
        assert (subject.train_frames == file["train_timepoints"][:]).all()
        assert (subject.test_frames == file["test_timepoints"][:]).all()
        assert (subject.z_values == file["z_values"][:]).all()
        assert subject.num_planes == len(file["z_values"])
    assert subject.is_train.dtype == np.bool_
    assert (subject.num_frames, subject.num_neurons) == (FRAMES, NEURONS)
    assert subject.name == "subject_1"
    assert subject.sampling_rate_hz == 2.0
    assert subject.attributes["seed"] == subject.config["seed"] == 42
    assert set(map(type, subject.attributes.values())) <= {int, float, str}
    with pytest.raises(ValueError, match="'train', 'test' or 'all'"):
        subject.frames("val")  # type: ignore[arg-type]


def test_traces_have_frames_first(subject: spikegrid.Subject) -> None:
    with h5py.File(subject.folder / "traces.h5") as file:
        rates, spikes, dff = (file[name][:].T for name in ("spike_rate", "spikes", "dff"))
        noise, positions = file["noise_level"][:], file["cell_xyz"][:]
    np.testing.assert_array_equal(subject.dff[...], dff)
    np.testing.assert_array_equal(np.asarray(subject.spikes), spikes)
    np.testing.assert_array_equal(subject.rates_per_frame[:, 5], rates[:, 5])
    np.testing.assert_allclose(subject.rates_hz[100:200], rates[100:200] * 2.0)
    np.testing.assert_array_equal(subject.rates_per_frame[subject.is_train, 3], rates[subject.is_train, 3])
    np.testing.assert_array_equal(subject.dff[10], dff[10])
    np.testing.assert_array_equal(subject.dff[600:100:-7, [5, 3, 3]], dff[600:100:-7, [5, 3, 3]])
    assert subject.dff[-1, -1] == dff[-1, -1]
    assert subject.rates_hz.shape == (FRAMES, NEURONS) == (len(subject.rates_hz), NEURONS)
    np.testing.assert_array_equal(subject.noise_levels, noise)
    np.testing.assert_array_equal(subject.positions, positions)


def test_the_table_of_neurons_has_a_row_for_each_neuron(subject: spikegrid.Subject) -> None:
    neurons = subject.neurons
    assert (neurons["index"] == np.arange(NEURONS)).all()
    assert (neurons["spikes"] == subject.spikes[...].sum(axis=0)).all()
    assert neurons["spikes"].dtype == np.int64
    assert neurons["f0_median"].dtype == np.float64
    frame = neurons.to_pandas()
    assert len(frame) == NEURONS
    assert (frame["spikes"] == neurons["spikes"]).all()


def test_the_correlation_to_expect_is_nan_where_nothing_is_known(subject: spikegrid.Subject, bare: Path) -> None:
    assert subject.expected_correlations.shape == (NEURONS,)
    assert subject.expected_correlations.dtype == np.float64
    rows = [line.split("\t") for line in (bare / "neurons.tsv").read_text(encoding="utf-8").splitlines()]
    place = rows[0].index("expected_correlation")
    for row in rows[1:]:
        row[place] = "0.875"
    table = "".join("\t".join(row) + "\n" for row in rows)
    (bare / "neurons.tsv").write_text(table, encoding="utf-8")
    assert (spikegrid.open(bare).expected_correlations == 0.875).all()
    older = "".join("\t".join(row[:place] + row[place + 1 :]) + "\n" for row in rows)
    (bare / "neurons.tsv").write_text(older, encoding="utf-8")
    assert np.isnan(spikegrid.open(bare).expected_correlations).all()


def test_a_cell_without_a_number_is_missing(tmp_path: Path) -> None:
    table = tmp_path / "neurons.tsv"
    table.write_text("index\tx\trow\tflags\tlater\n0\t1.5\t7\tdead,no_rate\tnew\n1\t\t\t\t\n", encoding="utf-8")
    neurons = spikegrid.Neurons.read(table)
    assert neurons["row"].tolist() == [7, -1]
    assert np.isnan(neurons["x"]).tolist() == [False, True]
    assert neurons.flagged("dead").tolist() == [True, False]
    assert neurons["later"].tolist() == ["new", ""]


def test_findings_are_those_of_the_report(output: spikegrid.Output) -> None:
    for told in output.report["subjects"]:
        findings = output[told["name"]].findings
        assert [finding.__dict__ for finding in findings] == told["findings"]
        assert all(str(finding).startswith(f"{finding.severity} {finding.code}: ") for finding in findings)


def test_a_file_that_needs_a_flag_is_asked_for_by_the_flag(bare: Path) -> None:
    subject = spikegrid.open(bare)
    with pytest.raises(spikegrid.NotWrittenError, match="--save_traces"):
        _ = subject.dff
    with pytest.raises(spikegrid.NotWrittenError, match="--save_traces or --activity"):
        _ = subject.rates_hz
    with pytest.raises(spikegrid.NotWrittenError, match="--activity"):
        _ = subject.activity
    with pytest.raises(spikegrid.NotWrittenError, match="--nwb"):
        subject.nwb()
    with pytest.raises(FileNotFoundError, match="not the folder of a complete subject"):
        spikegrid.open(bare.parent)


def test_rates_come_from_activity_where_there_are_no_traces(with_activity: Path, output: spikegrid.Output) -> None:
    expected, subject = output["subject_2"].rates_per_frame[...], spikegrid.open(with_activity)
    np.testing.assert_array_equal(subject.activity[...], expected)
    np.testing.assert_array_equal(subject.rates_hz[400:, 7], expected[400:, 7] * 2)


def test_half_precision_is_read_as_single(with_activity: Path, output: spikegrid.Output) -> None:
    with h5py.File(with_activity / "activity.h5", "r+") as file:
        values = file["neuron_values"][:]
        del file["neuron_values"]
        file["neuron_values"] = values.astype(np.float16)
    rates = spikegrid.open(with_activity).activity[100]
    assert rates.dtype == np.float32
    np.testing.assert_allclose(rates, output["subject_2"].rates_per_frame[100], rtol=1e-3, atol=1e-4)


def test_an_output_folder_has_its_subjects_by_name(output: spikegrid.Output) -> None:
    again = spikegrid.open_output(output.folder)
    assert list(again) == ["subject_1", "subject_2"]
    assert again["subject_2"].name == "subject_2"
    assert again["subject_2"] is again["subject_2"]
    assert "subject_1, subject_2" in repr(again)
    with pytest.raises(KeyError):
        again["subject_3"]
    with pytest.raises(FileNotFoundError):
        spikegrid.open_output(output.folder / "absent")


def test_subject_10_comes_after_subject_9(tmp_path: Path) -> None:
    for name in ("subject_10", "subject_9"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "preaugmented_grids.h5").touch()
    assert list(spikegrid.open_output(tmp_path)) == ["subject_9", "subject_10"]


def test_a_subject_tells_what_it_is(subject: spikegrid.Subject) -> None:
    assert repr(subject).startswith("<Subject subject_1: 40 neurons, 700 frames at 2 Hz, ")
    assert "without marker" in repr(subject.grids.without_marker())
    assert "spike_rate in traces.h5" in repr(subject.rates_hz)
    assert "flags" in repr(subject.neurons)


def test_a_closed_subject_opens_again(bare: Path) -> None:
    grids_file = str(bare / "preaugmented_grids.h5")
    with spikegrid.open(bare) as subject:
        plane = subject.grids[5, 0]
        assert len(_handles(grids_file)) == 1
    assert _handles(grids_file) == []
    assert (subject.grids[5, 0] == plane).all()


def _handles(path: str) -> list[str]:
    """Return the numbers under which this process has a file open."""
    return [entry.name for entry in os.scandir("/proc/self/fd") if os.path.realpath(entry.path) == path]


def test_a_subject_can_be_pickled(subject: spikegrid.Subject) -> None:
    expected = subject.grids[:4]
    again, grids, dff = pickle.loads(pickle.dumps((subject, subject.grids, subject.dff)))
    assert again.folder == subject.folder
    assert (again.grids[:4] == expected).all()
    assert (grids[:4] == expected).all()
    assert dff.shape == subject.dff.shape


def test_a_forked_process_opens_its_own_files(bare: Path) -> None:
    subject = spikegrid.open(bare)
    grids, grids_file = subject.grids, str(bare / "preaugmented_grids.h5")
    expected = int(grids[3, 1].sum())
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            told = {"sum": int(grids[3, 1].sum()), "handles": len(_handles(grids_file)), "file": subject._files._process}
            os.write(write, json.dumps(told).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert json.loads(os.read(read, 1000)) == {"sum": expected, "handles": 1, "file": child}
    os.close(read)
    os.close(write)
