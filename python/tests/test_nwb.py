"""The NWB file of the program, in the tools that read NWB (rule 8.10)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import spikegrid

# Libraries of NWB warn of their own future.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def with_nwb(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> spikegrid.Subject:
    """Run the program on a recording, with traces and the NWB file."""
    folder = tmp_path_factory.mktemp("nwb")
    return spikegrid.run(recordings, folder, save_traces=True, nwb=True, only="subject_1")["subject_1"]


def test_rule_8_10_pynwb_finds_the_traces(with_nwb: spikegrid.Subject) -> None:
    file = with_nwb.nwb()
    ophys = file.processing["ophys"]
    dff, rates = ophys["DfOverF"]["DfOverF"], ophys["SpikeRates"]["SpikeRates"]
    np.testing.assert_array_equal(dff.data[:], with_nwb.dff[...])
    np.testing.assert_array_equal(rates.data[:], with_nwb.rates_hz[...])
    assert (rates.unit, rates.rate, rates.starting_time) == ("Hz", with_nwb.sampling_rate_hz, 0.0)
    table = rates.rois.to_dataframe()
    np.testing.assert_array_equal(table[["x", "y", "z"]], with_nwb.positions)
    neurons = with_nwb.neurons
    for axis, place in {"x": "row", "y": "column", "z": "plane"}.items():
        np.testing.assert_array_equal([mask[axis][0] for mask in table["voxel_mask"]], neurons[place])
    assert file.subject.subject_id == "subject_1"


def test_rule_8_10_validators_find_nothing_critical(with_nwb: spikegrid.Subject) -> None:
    pynwb = pytest.importorskip("pynwb", reason="pynwb is not installed: the NWB file is not validated")
    inspector = pytest.importorskip("nwbinspector", reason="nwbinspector is not installed: the NWB file is not inspected")
    path = str(with_nwb.folder / "subject_1.nwb")
    found = pynwb.validate(path=path)
    assert not [str(error) for error in (found[0] if isinstance(found, tuple) else found)]
    threshold = inspector.Importance.CRITICAL
    assert not list(inspector.inspect_nwbfile(nwbfile_path=path, importance_threshold=threshold))


def test_rule_8_10_pynapple_opens_it(with_nwb: spikegrid.Subject) -> None:
    pynapple = pytest.importorskip("pynapple", reason="pynapple is not installed: the NWB file is not opened with it")
    rates = pynapple.load_file(str(with_nwb.folder / "subject_1.nwb"))["SpikeRates"]
    np.testing.assert_array_equal(rates.values, with_nwb.rates_hz[...])
    np.testing.assert_allclose(np.diff(rates.t), 1 / with_nwb.sampling_rate_hz)
    np.testing.assert_array_equal(rates["x"], with_nwb.positions[:, 0])
