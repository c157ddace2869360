#!/usr/bin/env python3
"""Leave-one-dataset-out cross-validation of a training recipe, beside the published one.

For every dataset of the configuration and both recipes, one member per noise level is trained on the other datasets and
evaluated on the one left out. Results are kept in the output folder: run it again to go on after an interruption.

    scripts/cross_validate.py --ground_truth DIR --output cross_validation [--ranks 8] > tables.md
"""

import argparse
import csv
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

LEVELS = [2, 5, 10]
# What makes the published recipe of ours; the frame that rates belong to, the range of noise and joined trials stay.
PUBLISHED = {
    "learning_rate": 0.05,
    "batch_size": 2048,
    "time_stretch": None,
    "amplitude_spread": None,
    "dataset_balance": None,
    "variance_weighting": None,
}


def edited(text, values):
    """The configuration with other values for some keys; None removes a key. Lists are written in one line."""
    text = text.rstrip() + "\n"
    for key, value in values.items():
        text = re.sub(rf"^{key}:.*\n(?: *- .*\n)*", "", text, flags=re.MULTILINE)
        if value is not None:
            text += f"{key}: {value}\n"
    return text


def listed(text, key):
    """The names in a list of the configuration, in one line or one per line."""
    found = re.search(rf"^{key}:(.*)\n((?: *- .*\n)*)", text, flags=re.MULTILINE)
    line, block = found.groups() if found else ("", "")
    names = line.strip(" []").replace(",", " ").split() or re.findall(r"^ *- (\S+)", block, flags=re.MULTILINE)
    return names or sys.exit(f"the configuration has no {key}")


def run(command):
    print(" ".join(map(str, command)), file=sys.stderr)
    status = subprocess.run(list(map(str, command)), stdout=sys.stderr).returncode
    if status != 0:
        sys.exit(f"{command[0]} ended with status {status}; run this again to go on")


def fold(arguments, recipe, text, dataset, datasets):
    """Scores of the neurons of the dataset that is left out."""
    folder = arguments.output / recipe / dataset
    scores, config = folder / "scores.tsv", folder / "config.yaml"
    values = {
        "model_name": f"{recipe}_without_{dataset}",
        "training_datasets": "[" + ", ".join(name for name in datasets if name != dataset) + "]",
        "noise_levels": LEVELS,
        "ensemble_size": 1,
        "training_frames": arguments.frames,
    }
    wanted = edited(text, values | (PUBLISHED if recipe == "published" else {}))
    if config.exists() and config.read_text() != wanted:
        sys.exit(f"{config} is of another cross-validation: give another --output, or remove {folder}")
    if not scores.exists():
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text(wanted)
        ground_truth = ["--ground_truth", arguments.ground_truth]
        launcher = [arguments.launcher, "-n", arguments.ranks] if arguments.ranks > 1 else []
        run([*launcher, arguments.program, "train", *ground_truth]
            + ["--config", config, "--output", folder])
        levels = ",".join(map(str, LEVELS))
        run([arguments.program, "evaluate", *ground_truth, "--datasets", dataset]
            + ["--noise_levels", levels, "--output", scores, folder])
    with open(scores, newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def medians(rows):
    if not rows:
        return "| | | "
    figures = [statistics.median(float(row[key]) for row in rows) for key in ("correlation", "error", "bias")]
    return "| {:.3f} | {:.2f} | {:+.2f} ".format(*figures)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ground_truth", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path("cross_validation"))
    parser.add_argument("--config", type=Path, default=Path("models/Global_EXC_2Hz_smoothing500ms/config.yaml"))
    parser.add_argument("--program", type=Path, default=Path("target/release/spikegrid-mpi"))
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--launcher", default=os.environ.get("SPIKEGRID_LAUNCHER", "mpirun"),
                        help="what starts the ranks, as LAUNCHER -n RANKS; SPIKEGRID_LAUNCHER or mpirun by default")
    parser.add_argument("--frames", type=int, default=1_500_000, help="windows that each member sees")
    arguments = parser.parse_args()
    arguments.program = arguments.program.resolve()
    text = arguments.config.read_text()
    datasets = listed(text, "training_datasets")
    rows = {
        (recipe, dataset): fold(arguments, recipe, text, dataset, datasets)
        for dataset in datasets
        for recipe in ("published", "ours")
    }
    for level in LEVELS:
        print(f"\nNoise level {level}, {arguments.frames} frames a member\n")
        print("| left out | neurons | published: correlation | error | bias | ours: correlation | error | bias |")
        print("|---|---|---|---|---|---|---|---|")
        chosen = {
            key: [row for row in scores if int(row["noise_level"]) == level] for key, scores in rows.items()
        }
        pooled = {
            recipe: [row for (other, _), scores in chosen.items() if other == recipe for row in scores]
            for recipe in ("published", "ours")
        }
        for dataset in datasets:
            ours = chosen["ours", dataset]
            print(f"| {dataset} | {len(ours)} {medians(chosen['published', dataset])}{medians(ours)}|")
        print(f"| **all** | {len(pooled['ours'])} {medians(pooled['published'])}{medians(pooled['ours'])}|")


if __name__ == "__main__":
    main()
