#!/usr/bin/env python3
"""The benchmark behind docs/benchmark.md: how well spikes are inferred from recordings that no network was trained on.

For every frame rate, recipe and fold, one member per noise level (2, 5 and 10, or the model's own if it has no more) is trained
on the other datasets and evaluated on those left out, beside OASIS. Results stay in the folder --work: run the script again to go on after an interruption.

    pip install numpy scipy numba && pip install --no-deps suite2p==0.14.4
    scripts/benchmark.py --ground_truth Ground_truth --work benchmark

It writes the tables of docs/benchmark.md, its plot, and benchmark.tsv and MODEL_CARD.md of every model in models/.
"""

import argparse
import csv
import functools
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.ndimage import gaussian_filter1d
from scipy.signal import resample

LEVELS = (2, 5, 10)
# Noise levels of recordings: beyond the networks' own, too, so that the figures of benchmark.tsv do not end there.
EVALUATED = (*LEVELS, 20)
# Frame rates in Hz, with the standard deviation in seconds of the Gaussian that smooths the true spikes.
RATES = {1.094: 1.0, 2.0: 0.5, 2.33: 0.5, 3.0: 0.4, 7.5: 0.2, 30.0: 0.05}
# By how much a recording is off a model's rate.
RATIOS = (0.72, 0.85, 0.92, 0.97, 1.0, 1.03, 1.08, 1.15, 1.28)
# What makes the published recipe of ours; the frame that rates belong to, the range of noise and joined trials stay.
PUBLISHED = {
    "learning_rate": 0.05,
    "batch_size": 2048,
    "time_stretch": None,
    "amplitude_spread": None,
    "dataset_balance": None,
    "variance_weighting": None,
    "absolute_error": None,
    "noise_spread": None,
    "simulated_part": None,
}
# Decay times in seconds among which OASIS takes the best: those that the authors of suite2p recommend.
TAUS = (0.7, 1.0, 1.5)
# Largest |ln(recording's rate / model's)| at which a model is evaluated as that of the recording.
TOLERANCE = 0.2
FIGURES = ("correlation", "error", "bias", "lag")
LEAST_FRAMES = 32
MEDIAN_STEP = np.sqrt(2) * 0.6744897501960817
COLUMNS = "noise_level\tneurons\tcorrelation\tcorrelation_25\tcorrelation_75\terror\tbias\tabsolute_bias\n"


# ---- ground truth -------------------------------------------------------------------------------------------------------------


def content(value):
    """What is in cell arrays of one element."""
    while value.dtype == object and value.size == 1:
        value = value.flat[0]
    return value


@functools.cache
def neurons(folder):
    """The neurons of a dataset: name and trials (ΔF/F, frame rate, times of the spikes in s), as the program reads them."""
    found = []
    for path in sorted(folder.glob("*.mat")):
        cells, trials = loadmat(path)["CAttached"], []
        for trial in cells.ravel() if cells.dtype == object else [cells]:
            trial = content(trial)
            if trial.dtype.names is None or not {"fluo_mean", "fluo_time", "events_AP"} <= set(trial.dtype.names):
                continue
            columns = ("fluo_mean", "fluo_time", "events_AP")
            dff, times, events = (np.asarray(content(trial[name]), float).ravel() for name in columns)
            count = min(len(dff), len(times))
            there = ~np.isnan(times[:count])
            dff, times = dff[:count][there], times[:count][there]
            if len(times) > 1:
                rate = (len(times) - 1) / (times[-1] - times[0])
                trials.append((dff, rate, events[~np.isnan(events)] * 1e-4 - times[0]))
        found.append((path.stem, trials))
    return found


def noise_level(dff, rate):
    return 100 * np.median(np.abs(np.diff(dff))) / np.sqrt(rate) if len(dff) > 1 else np.nan


def smoothed(values, frames):
    return gaussian_filter1d(values, frames, mode="reflect") if frames > 0 else values


def causally_smoothed(values, smoothing, rate):
    """Smoothed by CASCADE's causal kernel, an inverse Gaussian density with mean `2 * smoothing`."""
    seconds = (np.arange(199) - 101) / rate
    after, mean = np.maximum(seconds, 1e-9), 2 * smoothing
    kernel = np.where(seconds > 0, np.exp(-((after - mean) ** 2) / (2 * after * mean**2)) / np.sqrt(2 * np.pi * after**3), 0)
    kernel = np.roll(kernel, -int((np.argmax(kernel) - 99) / 1.5))
    return np.convolve(values, kernel / kernel.sum())[99:][: len(values)]


def recordings(trials, rate, smoothing, causal=False):
    """Trials at another frame rate: ΔF/F, smoothed true spikes per frame, noise level as measured, relative noise of each frame."""
    for dff, measured, spikes in trials:
        same = abs(rate - measured) <= 0.05 * measured
        frames = len(dff) if same else round(len(dff) * rate / measured)
        if frames < LEAST_FRAMES:
            continue
        trace = dff if frames == len(dff) else resample(dff, frames)
        places = np.floor(spikes * measured * frames / len(dff) + 0.5).astype(int)
        counts = np.bincount(places[(places >= 0) & (places < frames)], minlength=frames).astype(float)
        photon = np.sqrt(np.abs(trace + 1))
        photon /= max(np.sort(photon)[frames // 2], 1e-6)
        true_rate = causally_smoothed(counts, smoothing, rate) if causal else smoothed(counts, smoothing * rate)
        yield trace, true_rate, noise_level(dff, measured), photon


def evaluate(infer, folder, rate, smoothing, levels=EVALUATED, window=64, causal=False):
    """Rates and true rates of each neuron of a dataset: name, noise level, inferred, true."""
    for place, (name, trials) in enumerate(neurons(folder)):
        prepared = list(recordings(trials, rate, smoothing, causal))
        for level in levels:
            random, inferred, truth = np.random.default_rng([place, level]), [], []
            for trace, true_rate, measured, photon in prepared:
                if len(trace) < window or not measured <= level:
                    continue
                noise = np.sqrt((level**2 - measured**2) * rate) / 100 / MEDIAN_STEP
                spike_rate = infer(trace + noise * photon * random.standard_normal(len(trace)))
                there = ~np.isnan(spike_rate)
                inferred.append(spike_rate[there])
                truth.append(true_rate[there])
            if inferred:
                inferred, truth = np.concatenate(inferred), np.concatenate(truth)
                if len(truth) >= LEAST_FRAMES and truth.sum() > 0:
                    yield name, level, inferred, truth


def correlation(one, other):
    return np.corrcoef(one, other)[0, 1] if one.std() > 0 and other.std() > 0 else 0.0


def figures(inferred, truth):
    """Correlation, relative error, relative bias, and the lag in frames at which the correlation is largest."""

    def at(lag):
        late, early = max(lag, 0), max(-lag, 0)
        return correlation(inferred[late : len(inferred) - early], truth[early : len(truth) - late])

    difference = inferred - truth
    lag = max(range(-3, 4), key=at)
    return at(0), np.abs(difference).sum() / truth.sum(), difference.sum() / truth.sum(), lag


# ---- networks -----------------------------------------------------------------------------------------------------------------


def value(text, key):
    return re.search(rf"^{key}: *([^#\n]*)", text, re.MULTILINE).group(1).strip()


def members(path):
    """The members of a model folder by noise level: tensors by name."""
    levels = {}
    for file in sorted(path.glob("Model_*.safetensors")):
        data = file.read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:start])
        header.pop("__metadata__", None)
        member = {}
        for name, entry in header.items():
            count, begin = int(np.prod(entry["shape"])), start + entry["data_offsets"][0]
            member[name] = np.frombuffer(data, "<f4", count, begin).reshape(entry["shape"])
        levels.setdefault(int(file.name.split("_")[2]), []).append(member)
    return levels


def convolved(features, weight, bias, distance=1):
    """The rectified 'valid' convolution of (frames, inputs) with taps `distance` frames apart."""
    outputs, inputs, taps = weight.shape
    frames = len(features) - (taps - 1) * distance
    patches = np.concatenate([features[tap * distance :][:frames] for tap in range(taps)], 1)
    product = patches @ weight.transpose(2, 1, 0).reshape(taps * inputs, outputs) + bias
    return np.maximum(product, 0, out=product)


def window_rates(member, trace, window):
    """The network (rule 4.2) along a trace: one rate for each window."""
    features = convolved(trace[:, None], member["conv1.weight"], member["conv1.bias"])
    features = convolved(features, member["conv2.weight"], member["conv2.bias"])
    features = np.maximum(features[:-1], features[1:])
    features = convolved(features, member["conv3.weight"], member["conv3.bias"], 2)
    features = np.maximum(features[:-2], features[2:])
    features = np.maximum(features @ member["dense1.weight"].T + member["dense1.bias"], 0)
    last = member["dense2.weight"].reshape(-1, features.shape[1])
    windows = len(trace) - window + 1
    return sum(features[4 * place :][:windows] @ last[place] for place in range(len(last))) + member["dense2.bias"][0]


class Model:
    """A model folder, as rules 4.3 to 4.6 use it with threshold 0."""

    def __init__(self, path):
        text = (path / "config.yaml").read_text()
        self.rate, self.window = float(value(text, "sampling_rate")), int(value(text, "windowsize"))
        self.before = int(float(value(text, "before_frac")) * self.window)
        self.levels = members(path)

    def infer(self, trace):
        rates = np.full(len(trace), np.nan)
        if len(trace) < self.window:
            return rates
        own = noise_level(trace, self.rate)
        ensemble = self.levels[min(sorted(self.levels), key=lambda level: abs(level - own))]
        trace = trace.astype(np.float32)
        windows = np.mean([window_rates(member, trace, self.window) for member in ensemble], 0)
        rates[self.before - 1 :][: len(windows)] = np.maximum(windows, 0)
        rates[: self.before] = rates[len(rates) - (self.window - self.before) :] = np.nan
        return rates

    def infer_resampled(self, trace, rate):
        """Of a trace at another frame rate: resampled to the model's, and the spike rate back."""
        frames = round(len(trace) * self.rate / rate)
        inner = self.infer(resample(trace, frames))
        there = ~np.isnan(inner)
        if not there.any():
            return np.full(len(trace), np.nan)
        at = np.arange(len(trace)) * frames / len(trace)
        places = np.flatnonzero(there)
        return np.interp(at, places, inner[there], np.nan, np.nan) * self.rate / rate


# ---- OASIS --------------------------------------------------------------------------------------------------------------------


@functools.cache
def dcnv():
    """suite2p's deconvolution, without the rest of the package, which needs much more; None if it is not installed."""
    package = importlib.util.find_spec("suite2p")
    if package is None:
        return None
    path = Path(package.submodule_search_locations[0]) / "extraction/dcnv.py"
    spec = importlib.util.spec_from_file_location("dcnv", path)
    module = sys.modules["dcnv"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def oasis(trace, rate, smoothing, tau, baseline, lag=0):
    """OASIS, smoothed like the true spikes and moved `lag` frames earlier, where a network of 64 frames has a rate."""
    trace = trace[None].astype(np.float32)
    if baseline:
        trace = dcnv().preprocess(trace, baseline="maximin", win_baseline=60.0, sig_baseline=10.0, fs=rate)
    spikes = dcnv().oasis(trace, 1, np.float32(tau), np.float32(rate))[0].astype(float)
    rates = np.roll(smoothed(spikes, smoothing * rate), -lag)
    rates[:32] = rates[-32:] = np.nan
    return rates


# ---- folds --------------------------------------------------------------------------------------------------------------------


def edited(text, values):
    """The configuration with other values for some keys; None removes a key. Lists are written in one line."""
    text = text.rstrip() + "\n"
    for key, new in values.items():
        text = re.sub(rf"^{key}:.*\n(?: *- .*\n)*", "", text, flags=re.MULTILINE)
        if new is not None:
            text += f"{key}: {new}\n"
    return text


def listed(text, key):
    """The names in a list of the configuration, in one line or one per line."""
    line, block = re.search(rf"^{key}:(.*)\n((?: *- .*\n)*)", text, flags=re.MULTILINE).groups()
    return line.strip(" []").replace(",", " ").split() or re.findall(r"^ *- (\S+)", block, flags=re.MULTILINE)


class Benchmark:
    """The folds of all models, trained and scored once."""

    def __init__(self, arguments):
        self.arguments = arguments
        folders = [path.parent for path in sorted(arguments.models.glob("Global_EXC_*/config.yaml"))]
        self.texts = {folder: (folder / "config.yaml").read_text() for folder in folders}
        self.texts = dict(sorted(self.texts.items(), key=lambda item: float(value(item[1], "sampling_rate"))))
        self.datasets = listed(next(iter(self.texts.values())), "training_datasets")

    def is_causal(self, folder):
        return value(self.texts[folder], "causal_kernel") != "0"

    def nearest(self, rate):
        """The model folder whose frame rate is nearest, of those that are not causal."""
        folders = (folder for folder in self.texts if not self.is_causal(folder))
        return min(folders, key=lambda folder: abs(np.log(rate / self.rate(folder))))

    def rate(self, folder):
        return float(value(self.texts[folder], "sampling_rate"))

    def smoothing(self, rate):
        """That of the true spikes at any frame rate, between those of RATES."""
        return float(np.exp(np.interp(np.log(rate), np.log(list(RATES)), np.log(list(RATES.values())))))

    def fold(self, folder, recipe, dataset):
        """The model trained without `dataset` and the others of its fold."""
        number = self.datasets.index(dataset) % self.arguments.folds
        rest = [name for place, name in enumerate(self.datasets) if place % self.arguments.folds != number]
        path = self.arguments.work / recipe / folder.name / f"fold_{number}"
        levels = [int(level) for level in listed(self.texts[folder], "noise_levels")]
        values = {
            "model_name": f"{recipe}_fold_{number}",
            "training_datasets": "[" + ", ".join(rest) + "]",
            "noise_levels": levels if len(levels) <= len(LEVELS) else list(LEVELS),
            "ensemble_size": 1,
            "training_frames": self.arguments.frames,
        }
        config, wanted = path / "config.yaml", edited(self.texts[folder], values | (PUBLISHED if recipe == "published" else {}))
        if config.exists() and config.read_text() != wanted:
            sys.exit(f"{config} is of another benchmark: give another --work, or remove {path}")
        if not (path / "SHA256SUMS").exists():
            path.mkdir(parents=True, exist_ok=True)
            config.write_text(wanted)
            command = [self.arguments.program, "train", "--ground_truth", self.arguments.ground_truth]
            command += ["--config", config, "--output", path]
            print(*command, file=sys.stderr)
            subprocess.run(command, check=True, stdout=sys.stderr, stderr=subprocess.DEVNULL)
        return Model(path)

    def scores(self, name, dataset, evaluated):
        """The figures of a dataset's neurons, computed by `evaluated` unless they are kept already."""
        path = self.arguments.work / "scores" / name / f"{dataset}.tsv"
        if not path.exists():
            rows = [(neuron, level, *figures(*both)) for neuron, level, *both in evaluated()]
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = ["\t".join(["neuron", "noise_level", *FIGURES])]
            lines += ["\t".join([neuron, str(level), *(f"{figure:.5f}" for figure in row)]) for neuron, level, *row in rows]
            path.with_suffix(".partial").write_text("\n".join(lines) + "\n")
            path.with_suffix(".partial").rename(path)
        with open(path, newline="") as file:
            rows = csv.DictReader(file, delimiter="\t")
            return [
                {"dataset": dataset, "level": int(row["noise_level"])} | {name: float(row[name]) for name in FIGURES}
                for row in rows
            ]

    def networks(self, recipe, folder, rate, smoothing, resampled=False):
        """The folds of a model on recordings at a frame rate; the rows of all neurons."""
        rows = []
        for dataset in self.datasets:
            ground_truth = self.arguments.ground_truth / dataset

            def evaluated():
                model = self.fold(folder, recipe, dataset)
                infer = (lambda trace: model.infer_resampled(trace, rate)) if resampled else model.infer
                return evaluate(infer, ground_truth, rate, smoothing, window=model.window, causal=self.is_causal(folder))

            kind = "resampled" if resampled else recipe
            rows += self.scores(f"{kind}/{folder.name}/{rate:.4g}Hz_{smoothing:.3g}s", dataset, evaluated)
        return rows

    def oasis(self, rate, smoothing, settings, divisors):
        """OASIS on recordings at a frame rate; the rows of all neurons."""
        rows = []
        for dataset in self.datasets:
            ground_truth = self.arguments.ground_truth / dataset

            def evaluated():
                for name, level, inferred, truth in evaluate(
                    lambda trace: oasis(trace, rate, smoothing, *settings), ground_truth, rate, smoothing
                ):
                    yield name, level, inferred / divisors.get(level, 1.0), truth

            name = "_".join(map(str, settings)) + ("_scaled" if divisors else "")
            rows += self.scores(f"oasis/{rate:.4g}Hz_{smoothing:.3g}s/{name}", dataset, evaluated)
        return rows

    def tuned_oasis(self, rate, smoothing):
        """OASIS with the settings that are best on the data themselves, which no user can choose so."""
        tried = {}
        for tau in TAUS:
            for baseline in (False, True):
                for lag in (0, 1):
                    rows = self.oasis(rate, smoothing, (tau, baseline, lag), {})
                    tried[np.median(column(rows, 5, "correlation"))] = (tau, baseline, lag), rows
        settings, rows = tried[max(tried)]
        print(f"OASIS at {rate} Hz: tau {settings[0]} s, baseline {settings[1]}, {settings[2]} frames earlier", file=sys.stderr)
        ratio = {level: np.median(column(rows, level, "bias") + 1) for level in LEVELS}
        return self.oasis(rate, smoothing, settings, ratio)


# ---- tables -------------------------------------------------------------------------------------------------------------------


def column(rows, level, name, dataset=None):
    values = [row[name] for row in rows if row["level"] == level and dataset in (None, row["dataset"])]
    return np.array(values)


def interval(values):
    """95 % bootstrap confidence interval of the median over neurons."""
    draws = np.random.default_rng(0).choice(values, (2000, len(values)))
    return np.percentile(np.median(draws, 1), [2.5, 97.5])


def cells(rows, level, dataset=None, with_interval=False):
    """Correlation, error, bias, absolute bias, lag as cells of a table."""
    values = {name: column(rows, level, name, dataset) for name in FIGURES}
    if not len(values["bias"]):
        return " | | | | |"
    median = {name: np.median(value) for name, value in values.items()}
    spread = "{:.3f} to {:.3f}".format(*interval(values["correlation"])) if with_interval else ""
    first = f"{median['correlation']:.3f}" + (f" ({spread})" if spread else "")
    absolute = np.median(np.abs(values["bias"]))
    return f" {first} | {median['error']:.2f} | {median['bias']:+.2f} | {absolute:.2f} | {median['lag']:.0f} |"


def table_of_rates(results):
    yield "| Hz | noise level | neurons | method | correlation (95 %) | error | bias | absolute bias | lag, frames |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for rate, methods in results.items():
        for level in LEVELS:
            for method, rows in methods.items():
                count = len(column(rows, level, "bias"))
                yield f"| {rate:.4g} | {level} | {count} | {method} |" + cells(rows, level, with_interval=True)


def tables_of_datasets(results, datasets):
    for rate, methods in results.items():
        yield f"\n**{rate:.4g} Hz, noise level 5**\n"
        yield "| left out | neurons | " + " | ".join(f"{method}: correlation | error | bias" for method in methods) + " |"
        yield "|---" * (2 + 3 * len(methods)) + "|"
        for dataset in datasets:
            line, counts = "", [0]
            for rows in methods.values():
                values = [column(rows, 5, name, dataset) for name in FIGURES[:3]]
                counts.append(len(values[0]))
                forms = (" {:.3f} |", " {:.2f} |", " {:+.2f} |")
                line += "".join(form.format(np.median(v)) for form, v in zip(forms, values)) if len(values[0]) else " | | |"
            yield f"| {dataset} | {max(counts)} |{line}"


def table_of_ratios(benchmark, results):
    """What models lose on recordings off their frame rate, against a model of their rate, interpolated between the models."""
    own = {
        level: [(np.log(benchmark.rate(folder)), *summary(kinds[""], level)) for (folder, ratio), kinds in results.items() if ratio == 1]
        for level in LEVELS
    }
    yield "| recording / model | models | " + " | ".join(
        f"level {level}: loss of correlation (largest) | change of bias (largest) | loss if resampled (largest)" for level in LEVELS
    ) + " |"
    yield "|---" * (2 + 3 * len(LEVELS)) + "|"
    for ratio in RATIOS:
        line, models = "", []
        for level in LEVELS:
            rates, correlations, biases = zip(*own[level])
            places = [(kinds, np.log(benchmark.rate(folder) * ratio)) for (folder, of), kinds in results.items() if of == ratio]
            places = [(kinds, at) for kinds, at in places if rates[0] - 1e-9 <= at <= rates[-1] + 1e-9]
            loss, change, resampled = [], [], []
            for kinds, at in places:
                best = np.interp(at, rates, correlations)
                here, bias = summary(kinds[""], level)
                loss.append(best - here)
                change.append(bias - np.interp(at, rates, biases))
                if "resampled" in kinds:
                    resampled.append(best - summary(kinds["resampled"], level)[0])
            models.append(len(places))
            if not places:
                line += " | | |"
                continue
            largest_change = max(change, key=abs)
            line += f" {np.median(loss):+.3f} ({max(loss):+.3f}) | {np.median(change):+.2f} ({largest_change:+.2f}) |"
            line += f" {np.median(resampled):+.3f} ({max(resampled):+.3f}) |" if resampled else " |"
        if ratio != 1:
            yield f"| {ratio:.2f} | {max(models)} |{line}"


def summary(rows, level):
    return np.median(column(rows, level, "correlation")), np.median(column(rows, level, "bias"))


def write_benchmark_file(folder, rows):
    """What the program reads: medians and quartiles over neurons by noise level."""
    lines = COLUMNS
    for level in EVALUATED:
        correlations, errors, biases = (column(rows, level, name) for name in FIGURES[:3])
        quartiles = np.percentile(correlations, [50, 25, 75])
        numbers = [*quartiles, np.median(errors), np.median(biases), np.median(np.abs(biases))]
        lines += "\t".join([str(level), str(len(biases)), *(f"{number:.4f}" for number in numbers)]) + "\n"
    (folder / "benchmark.tsv").write_text(lines)


def kernel(smoothing, rate, causal):
    """What smooths the true spikes, in the words of a model card; `smoothing` in s."""
    if not causal:
        return f"a Gaussian with a standard deviation of {1000 * smoothing:g} ms. A rate belongs to the frame that it is written to"
    spike = np.eye(1, 200)[0]
    delay = np.arange(200) @ causally_smoothed(spike, smoothing, rate)
    return (
        "CASCADE's causal kernel, which is 0 until the frame after a spike. So\n"
        f"  rates, and the spikes sampled from them, come {delay:.1f} frames ({delay / rate:.1f} s) late on average. A rate is still computed from 32 later\n"
        "  frames of ΔF/F: this model does not make predictions free of the future, and it cannot run live"
    )


def write_card(folder, text):
    """MODEL_CARD.md from the template, with the figures of benchmark.tsv."""
    with open(folder / "benchmark.tsv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    table = ["| noise level | neurons | correlation (quartiles) | error | bias | absolute bias |", "|---|---|---|---|---|---|"]
    for row in rows:
        number = {name: float(figure) for name, figure in row.items()}
        line = "| {noise_level:.0f} | {neurons:.0f} | {correlation:.3f} ({correlation_25:.3f} to {correlation_75:.3f}) "
        table.append((line + "| {error:.2f} | {bias:+.2f} | {absolute_bias:.2f} |").format(**number))
    rate = value(text, "sampling_rate")
    card = (Path(__file__).parent / "model_card.md").read_text().format(
        name=folder.name,
        rate=rate,
        levels=value(text, "noise_levels").strip("[]"),
        members=value(text, "ensemble_size"),
        simulated=", and on simulated recordings" if "simulated_part:" in text else "",
        smoothing=kernel(float(value(text, "smoothing")), float(rate), value(text, "causal_kernel") != "0"),
        table="\n".join(table),
    )
    (folder / "MODEL_CARD.md").write_text(card)


def plot(results):
    """An SVG: correlation by frame rate, a line for each method and noise level."""
    width, height, left, top = 560, 300, 60, 20
    rates = list(results)
    x = lambda rate: left + (np.log(rate) - np.log(rates[0])) / np.log(rates[-1] / rates[0]) * (width - left - 150)
    y = lambda value: top + (0.95 - value) / 0.6 * (height - top - 50)
    colours = {"ours": "#0a6", "published recipe": "#06c", "OASIS": "#c40"}
    colours = {name: colour for name, colour in colours.items() if any(name in methods for methods in results.values())}
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">']
    parts.append(f'<rect width="{width}" height="{height}" fill="white"/>')
    for tick in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        parts.append(f'<path d="M{left} {y(tick):.0f}H{width - 140}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y(tick) + 4:.0f}" text-anchor="end">{tick}</text>')
    for rate in rates:
        # Between 2 and 3 Hz there is no room for another number.
        if rate != 2.33:
            parts.append(f'<text x="{x(rate):.0f}" y="{height - 32}" text-anchor="middle">{rate:.3g}</text>')
    parts.append(f'<text x="{(left + width - 150) / 2}" y="{height - 12}" text-anchor="middle">frame rate, Hz</text>')
    parts.append(f'<text transform="translate(14 {height / 2}) rotate(-90)" text-anchor="middle">median correlation</text>')
    for level, dash in zip(LEVELS, ("", "6 3", "2 3")):
        for method, colour in colours.items():
            points = [
                f"{x(rate):.1f} {y(np.median(column(methods[method], level, 'correlation'))):.1f}"
                for rate, methods in results.items()
                if method in methods
            ]
            line = f'<path d="M{" L".join(points)}" fill="none" stroke="{colour}" stroke-dasharray="{dash}" stroke-width="1.6"/>'
            parts.append(line)
    for row, (name, colour) in enumerate(colours.items()):
        parts.append(f'<text x="{width - 130}" y="{top + 20 + 16 * row}" fill="{colour}">{name}</text>')
    for row, (level, name) in enumerate(zip(LEVELS, ("full", "dashed", "dotted"))):
        parts.append(f'<text x="{width - 130}" y="{top + 84 + 16 * row}">noise level {level}: {name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def replace_sections(path, sections):
    """Puts tables between the marks <!-- name --> and <!-- end of name --> of a document."""
    text = path.read_text()
    for name, lines in sections.items():
        marks = re.escape(f"<!-- {name} -->"), re.escape(f"<!-- end of {name} -->")
        text, count = re.subn(f"({marks[0]}\n).*?({marks[1]})", lambda m: m[1] + "\n".join(lines) + "\n" + m[2], text, flags=re.DOTALL)
        if count != 1:
            sys.exit(f"{path}: expected the marks of {name} once")
    path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ground_truth", type=Path, required=True, help="folder of CASCADE's ground truth")
    parser.add_argument("--work", type=Path, default=Path("benchmark"), help="where folds and figures are kept")
    parser.add_argument("--folds", type=int, default=18, help="each leaves out every so many-th dataset; 18 leave one out")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--program", type=Path, default=Path("target/release/spikegrid-mpi"))
    parser.add_argument("--frames", type=int, default=1_500_000, help="windows that each member sees")
    parser.add_argument("--published", type=float, nargs="*", default=[2.0], help="frame rates at which the published recipe is trained too")
    parser.add_argument("--document", type=Path, default=Path("docs/benchmark.md"))
    arguments = parser.parse_args()
    arguments.program = arguments.program.resolve()
    benchmark = Benchmark(arguments)
    if not dcnv():
        print("without OASIS, because suite2p is not installed", file=sys.stderr)
    results, ratios = {}, {}
    for rate, smoothing in RATES.items():
        folder = benchmark.nearest(rate)
        if abs(np.log(rate / benchmark.rate(folder))) > TOLERANCE:
            continue
        results[rate] = {"ours": benchmark.networks("ours", folder, rate, smoothing)}
        if rate in arguments.published:
            results[rate]["published recipe"] = benchmark.networks("published", folder, rate, smoothing)
        if dcnv():
            results[rate]["OASIS"] = benchmark.tuned_oasis(rate, smoothing)
    for folder in benchmark.texts:
        rate, smoothing = benchmark.rate(folder), float(value(benchmark.texts[folder], "smoothing"))
        write_benchmark_file(folder, benchmark.networks("ours", folder, rate, smoothing))
        write_card(folder, benchmark.texts[folder])
        if benchmark.is_causal(folder):
            continue
        for ratio in RATIOS:
            off = benchmark.networks("ours", folder, rate * ratio, benchmark.smoothing(rate * ratio))
            ratios[folder, ratio] = {"": off}
            if abs(ratio - 1) > 0.1:
                resampled = benchmark.networks("ours", folder, rate * ratio, benchmark.smoothing(rate * ratio), resampled=True)
                ratios[folder, ratio]["resampled"] = resampled
    replace_sections(arguments.document, {
        "rates": table_of_rates(results),
        "ratios": table_of_ratios(benchmark, ratios),
        "datasets": tables_of_datasets(results, benchmark.datasets),
    })
    arguments.document.with_suffix(".svg").write_text(plot(results))


if __name__ == "__main__":
    main()
