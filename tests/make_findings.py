"""Makes recordings that findings are true of, and recordings that miss them by little (rule 9.3).

    make_findings.py OUTPUT

OUTPUT gets a folder for each set of flags, with the subjects in it, and expected.json:
folder -> {"flags": [...], "subjects": {subject: {"codes": [...], "not": [...], "fails": bool}}}.
"codes" are findings that must be there, "not" such that must not; "clean" subjects have no warning at all.
Needs numpy, scipy and h5py.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
from scipy.io import savemat

OUTPUT = Path(sys.argv[1])
RATE = 2.0
EXPECTED = {}


def recording(frames=400, neurons=24, noise=0.03, jump=0.4, busy=0.05, low=400.0, seed=1):
    """Raw fluorescence (T, N): jumps that decay within a second on a flat baseline."""
    random = np.random.default_rng(seed)
    spikes = random.random((frames, neurons)) < busy
    calcium, level = np.zeros((frames, neurons)), np.zeros(neurons)
    for frame in range(frames):
        level = level * np.exp(-1 / RATE) + jump * spikes[frame]
        calcium[frame] = level
    relative = calcium + noise * random.standard_normal((frames, neurons))
    return (low * (1 + relative)).astype("f4")


def positions(neurons):
    """Neurons side by side on a lattice that leaves the marker's corner free, on planes of 8 or more."""
    place = np.arange(neurons)
    planes = max(1, min(neurons // 8, 8))
    x = 100.0 + 37.0 * (place // planes % 16)
    y = 50.0 + 23.0 * (place // planes // 16)
    xyz = np.column_stack([x, y, place % planes + 1.0])
    xyz[0, :2] = 0.0, 0.0
    xyz[-1, :2] = 1000.0, 500.0
    return xyz


def write(subject, f, folder="plain", xyz=None, rate=RATE, codes=(), near=(), fails=False, clean=False, flags=(), **options):
    """Writes a subject and what is expected of it; `f` is None where the caller writes TimeSeries.h5."""
    where = OUTPUT / folder / f"subject_{subject}"
    where.mkdir(parents=True)
    if f is not None:
        with h5py.File(where / "TimeSeries.h5", "w") as file:
            file.create_dataset("CellResp", data=f, **options)
    xyz = positions(f.shape[1]) if xyz is None else xyz
    data = {"CellXYZ": xyz} | ({} if rate is None else {"fpsec": float(rate)})
    savemat(where / "data_full.mat", {"data": data}, do_compression=True)
    expect(folder, f"subject_{subject}", codes, near, fails, clean, flags)
    return where


def expect(folder, subject, codes, near, fails=False, clean=False, flags=()):
    entry = EXPECTED.setdefault(folder, {"flags": list(flags), "subjects": {}})
    entry["subjects"][subject] = {"codes": list(codes), "not": list(near), "fails": fails, "clean": clean}


def changed(f, change):
    f = f.copy()
    change(f)
    return f


def quiet_in(neurons, quiet, loud):
    """Neurons of which the first `quiet` have this much noise, the others the usual."""
    f = recording(neurons=neurons, noise=0.03)
    f[:, :quiet] = recording(neurons=quiet, noise=loud)
    return f


def kinds():
    raw = recording(frames=600)
    ratio = raw / 400 - 1
    scored = (ratio - ratio.mean(0)) / ratio.std(0)
    write("clean", recording(frames=600, jump=0.2, busy=0.02), clean=True)
    write("fraction", ratio, codes=["input.already_dff"], near=["input.zscored", "input.percent", "input.scale"])
    write("zscored", scored, codes=["input.zscored"], fails=True)
    write("zscored_not", scored * 1.4, near=["input.zscored"])
    write("percent", ratio * 100, codes=["input.percent"], near=["input.scale"], fails=True)
    write("scale", (ratio * 5000).astype("f4"), codes=["input.scale"], near=["input.percent"], fails=True)
    write("said", ratio * 100, folder="none", flags=["--baseline", "none"], codes=["input.percent"])
    write("scaled", ratio * 100, folder="hundredth", flags=["--scale", "0.01"], codes=["input.already_dff"], near=["input.percent"])
    write("denoised", recording(noise=0.002), codes=["input.denoised"])
    write("denoised_not", recording(noise=0.008), near=["input.denoised"])


def values():
    f = recording(frames=1000)
    write("clipped", np.minimum(f, np.percentile(f, 95, axis=0)), codes=["input.clipped"])
    write("clipped_not", np.minimum(f, np.percentile(f, 99.6, axis=0)), near=["input.clipped"])

    def zero(neurons):
        def change(f):
            f[50:350:20, :neurons] = 0

        return change

    f = recording(neurons=150)
    write("zeros", changed(f, zero(2)), codes=["input.zeros"], near=["frames.blank"])
    write("zeros_not", changed(f, zero(1)), near=["input.zeros"])

    def low(by):
        def change(f):
            f[:, 5] -= by

        return change

    write("not_positive", changed(recording(), low(410)), codes=["baseline.not_positive"])
    write("not_positive_not", changed(recording(), low(300)), near=["baseline.not_positive"])
    tall = recording(neurons=24, noise=0.002)
    write("near_zero", changed(tall, lambda f: f.__setitem__((slice(None), 3), 3 * (f[:, 3] - 394))), codes=["baseline.near_zero"])
    write("near_zero_not", changed(tall, lambda f: f.__setitem__((slice(None), 3), f[:, 3] - 300)), near=["baseline.near_zero"])
    ramp = np.linspace(1, 2, 400)[:, None]

    def drift(neurons):
        def change(f):
            f[:, :neurons] *= ramp

        return change

    write("drift", changed(recording(neurons=40), drift(4)), codes=["baseline.drift"])
    write("drift_not", changed(recording(neurons=40), drift(3)), near=["baseline.drift"])


def frames():
    f = recording()
    write("blank", changed(f, lambda f: f.__setitem__(slice(200, 206), 0)), codes=["frames.blank"], near=["frames.missing", "rates.implausible"])

    def almost_blank(f):
        f[200:206, 1:] = 0

    write("blank_not", changed(f, almost_blank), near=["frames.blank"])

    def put(value, *place):
        return lambda f: f.__setitem__(place, value)

    write("missing", changed(f, put(np.nan, slice(200, 210), 4)), codes=["frames.missing", "frames.no_rate"], near=["neurons.missing"])
    write("missing_infinite", changed(f, put(np.inf, 200, 4)), codes=["frames.missing"])
    write("missing_neuron", changed(f, put(np.nan, slice(None), 4)), codes=["neurons.missing"], near=["frames.missing"])
    write("missing_all_but_one", changed(f, put(np.nan, slice(1, None), 4)), codes=["frames.missing"], near=["neurons.missing"])
    write("bridged", changed(f, put(np.nan, slice(200, 202), 4)), folder="bridged", flags=["--bridge_gaps", "1"], codes=["frames.missing"], near=["frames.no_rate"])
    write("bridged_not", changed(f, put(np.nan, slice(200, 203), 4)), folder="bridged", codes=["frames.missing", "frames.no_rate"])
    write("valued", changed(f, put(-1, slice(200, 202), 4)), folder="valued", flags=["--missing", "-1"], codes=["frames.missing"], near=["frames.value_absent"])
    write("valued_not", f, folder="valued", codes=["frames.value_absent"], near=["frames.missing"])
    write("unbridged", f, folder="unbridged", flags=["--bridge_gaps", "0.45"], codes=["frames.not_bridged"])
    write("unbridged_not", f, folder="unbridged", rate=2.25, near=["frames.not_bridged"])
    repeat = lambda f: f.__setitem__(100, f[99])
    write("repeated", changed(f, repeat), codes=["frames.repeated"])
    write("repeated_not", changed(recording(frames=2100), repeat), near=["frames.repeated"])
    write("short", recording(frames=63), codes=["frames.short"], near=["frames.no_rate"])
    write("short_not", recording(frames=64), near=["frames.short"])
    write("one", recording(frames=1), codes=["frames.short"], near=["neurons.dead", "neurons.repeated"])


def neurons():
    f = recording()
    write("dead", changed(f, lambda f: f.__setitem__((slice(None), 4), 65535)), codes=["neurons.dead"], near=["neurons.repeated"])

    def alive(f):
        f[:, 4], f[100, 4] = 65535, 65000

    write("dead_not", changed(f, alive), near=["neurons.dead"])
    write("zero", np.zeros_like(f), codes=["neurons.dead", "frames.blank", "spikes.none"])
    write("nan", np.full_like(f, np.nan), codes=["neurons.missing", "spikes.none"], near=["frames.blank"])
    write("twins", changed(f, lambda f: f.__setitem__((slice(None), 4), f[:, 5])), codes=["neurons.repeated"])

    def nearly_twins(f):
        f[:, 4] = f[:, 5]
        f[399, 4] += 1

    write("twins_not", changed(f, nearly_twins), near=["neurons.repeated"])


def files():
    f = recording()
    where = write("unwritten", None, xyz=positions(24), codes=["file.unwritten_chunks", "frames.missing"])
    with h5py.File(where / "TimeSeries.h5", "w") as file:
        dataset = file.create_dataset("CellResp", f.shape, "f4", chunks=(100, 12), compression="gzip")
        dataset[:300] = f[:300]
        dataset[300:, :12] = f[300:, :12]
    write("unwritten_not", f, chunks=(100, 12), compression="gzip", near=["file.unwritten_chunks", "frames.missing"])
    f = recording(jump=0.2, busy=0.02)
    for subject, lost in [("lost", True), ("lost_not", False)]:
        codes = ["file.lost_source"] if lost else []
        where = write(subject, None, xyz=positions(24), codes=codes, fails=lost, clean=not lost)
        layout = h5py.VirtualLayout(f.shape, "f4")
        for half in range(2):
            with h5py.File(where / f"half{half}.h5", "w") as file:
                file["F"] = f[:, 12 * half : 12 * half + 12]
            layout[:, 12 * half : 12 * half + 12] = h5py.VirtualSource(f"half{half}.h5", "F", (400, 12))
        with h5py.File(where / "TimeSeries.h5", "w") as file:
            file.create_virtual_dataset("CellResp", layout)
        if lost:
            (where / "half1.h5").unlink()
    write("square", recording(frames=96, neurons=96), codes=["layout.ambiguous"])
    write("square_not", recording(frames=96, neurons=95), near=["layout.ambiguous"])
    (OUTPUT / "plain/subject_link").symlink_to("nowhere")
    expect("plain", "subject_link", ["subjects.unreadable_link"], [], fails=True)


def rates():
    f = recording()
    write("rateless", f, rate=None, codes=["rate.unknown"], near=["rate.model"])
    write("rate_off", f, rate=2.2, codes=["rate.model"], near=["rate.unknown"])
    write("rate_off_not", f, rate=2.09, near=["rate.model", "rate.unknown"])
    write("contradicted", f, rate=1.9, folder="stated", flags=["--sampling_rate", "2"], codes=["rate.contradicted"], near=["rate.model"])
    write("contradicted_not", f, rate=2.1, folder="stated", near=["rate.contradicted"])
    write("unstated", f, rate=None, folder="stated", near=["rate.contradicted", "rate.unknown"])
    write("rate_bad", f, rate=np.nan, codes=["rate.unknown"])


def places():
    def moved(change, neurons=24):
        xyz = positions(neurons)
        change(xyz)
        return xyz

    f = recording()
    nowhere = lambda xyz: xyz.__setitem__((5, 1), np.nan)
    write("nowhere", f, xyz=moved(nowhere), codes=["positions.missing"])
    write("nowhere_all", f, xyz=np.full((24, 3), np.nan), codes=["positions.missing"], fails=True)
    many = recording(frames=100, neurons=300)
    z = np.random.default_rng(5).uniform(0, 100, 300)
    write("continuous", many, xyz=moved(lambda xyz: xyz.__setitem__((slice(None), 2), z), 300), codes=["positions.continuous_z"])
    three = np.repeat(np.arange(100.0), 3)
    write("continuous_not", many, xyz=moved(lambda xyz: xyz.__setitem__((slice(None), 2), three), 300), near=["positions.continuous_z"])
    cut = moved(lambda xyz: xyz.__setitem__((slice(None), 2), z), 300)
    write("cut", many, xyz=cut, folder="cut", flags=["--planes", "10"], near=["positions.continuous_z"])
    together = lambda xyz: xyz.__setitem__(1, xyz[9])
    write("together", f, xyz=moved(together), codes=["positions.repeated", "grid.collisions"])
    beside = lambda xyz: xyz.__setitem__((1, slice(0, 2)), xyz[9, :2] + 18)
    write("together_not", f, xyz=moved(beside), near=["positions.repeated", "grid.collisions"])
    corner = lambda xyz: xyz.__setitem__((1, slice(0, 2)), (0, 500))
    write("corner", f, xyz=moved(corner), codes=["grid.marker"])
    write("corner_not", f, near=["grid.marker"])


def network():
    write("noisy", quiet_in(40, 3, 0.25), codes=["noise.above_model", "baseline.low"])
    write("noisy_not", quiet_in(60, 2, 0.25), near=["noise.above_model", "baseline.low"])
    write("median", quiet_in(40, 3, 0.25), folder="median", flags=["--percentile", "50"], near=["baseline.low"])
    write("calm", quiet_in(40, 4, 0.008), codes=["noise.below_model"], near=["input.denoised"])
    write("calm_not", quiet_in(60, 2, 0.008), near=["noise.below_model"])
    tall = recording(frames=600, jump=30, noise=0.03)
    write("implausible", tall, codes=["rates.implausible", "rates.clipped"])
    write("implausible_not", recording(frames=600), near=["rates.implausible"])
    write("silent", recording(busy=0, noise=0.008), codes=["spikes.none"], near=["rates.clipped", "input.denoised"])
    write("silent_not", recording(), near=["spikes.none"])


def suite2p(subject, frames, neuropil=True, **expected):
    """A recording of suite2p with an imaging plane for each number of frames; planes of none were not processed."""
    where = OUTPUT / "plain" / f"subject_{subject}"
    for plane, length in enumerate(frames):
        folder = where / "suite2p" / f"plane{plane}"
        folder.mkdir(parents=True)
        if length is None:
            continue
        f = recording(frames=length, seed=plane)
        around = 0.1 * recording(frames=length, seed=plane + 10, jump=0)
        xyz = positions(f.shape[1])
        stat = np.array([{"med": [float(y), float(x)]} for x, y, _ in xyz], dtype=object)
        np.save(folder / "F.npy", np.ascontiguousarray((f + 0.7 * around).T))
        if neuropil:
            np.save(folder / "Fneu.npy", np.ascontiguousarray(around.T))
        np.save(folder / "iscell.npy", np.ones((f.shape[1], 2)))
        np.save(folder / "stat.npy", stat, allow_pickle=True)
        np.save(folder / "ops.npy", {"fs": RATE, "neucoeff": 0.7}, allow_pickle=True)
    expect("plain", f"subject_{subject}", **({"codes": [], "near": [], "fails": False} | expected))


def planes():
    suite2p("planes", [400, 399], codes=["frames.cut"], near=["input.no_neuropil"])
    suite2p("planes_not", [400, 400], near=["frames.cut", "input.no_neuropil", "layout.skipped_planes"])
    suite2p("skipped", [400, None], codes=["layout.skipped_planes"], near=["frames.cut"])
    suite2p("neuropil", [400], neuropil=False, codes=["input.no_neuropil"], near=["frames.cut"])


def nwb(subject, timestamps=None, writer="made", **expected):
    """A recording in an NWB file."""
    where = OUTPUT / "plain" / f"subject_{subject}"
    where.mkdir(parents=True)
    f = recording()
    frames, neurons = f.shape
    pixels = np.zeros(neurons, [("x", "u4"), ("y", "u4"), ("weight", "f4")])
    pixels["x"], pixels["y"], pixels["weight"] = *positions(neurons)[:, :2].T, 1
    with h5py.File(where / "recording.nwb", "w") as file:
        file["session_description"] = writer
        table = file.create_group("processing/ophys/ImageSegmentation/PlaneSegmentation")
        table["id"] = np.arange(neurons)
        table["pixel_mask"], table["pixel_mask_index"] = pixels, np.arange(neurons) + 1
        series = file.create_group("processing/ophys/Fluorescence/RoiResponseSeries")
        series.parent.attrs["neurodata_type"] = "Fluorescence"
        series.attrs["neurodata_type"] = "RoiResponseSeries"
        series["data"], series["rois"] = f, np.arange(neurons)
        series["rois"].attrs["table"] = table.ref
        series["timestamps"] = np.arange(frames) / RATE if timestamps is None else timestamps
    expect("plain", f"subject_{subject}", **({"codes": [], "near": [], "fails": False} | expected))


def timestamps():
    times = np.arange(400) / RATE
    lost = np.where(times > 100, times + 1 / RATE, times)
    nwb("uneven", lost, codes=["rate.uneven"], near=["layout.suite2p_nwb"])
    nwb("uneven_not", near=["rate.uneven", "layout.suite2p_nwb"])
    nwb("exported", writer="suite2p_proc", codes=["layout.suite2p_nwb"])


for make in [kinds, values, frames, neurons, files, rates, places, network, planes, timestamps]:
    make()
(OUTPUT / "expected.json").write_text(json.dumps(EXPECTED, indent=1))
