#!/usr/bin/env python3
"""Measures the program against its floors and peers and prints one table; run by bench.sh, which builds what this needs.

Every figure is the median of several measurements that take turns with those of its floor or peer, so that what else the
machine does touches both. Only ratios within one run mean something. `target/bench/results.json` has all measurements.
"""

import argparse
import ctypes
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import bench_data

FOLDER = Path("target/bench")
DATA = FOLDER / "data"
PROGRAM = Path("target/release/spikegrid-mpi")
CORES = len(os.sched_getaffinity(0))
REPEATS = 5
PLANES = 29
PLANE_BYTES = 256 * 128
MIB = 1 << 20

# Multiply-adds of one member of the default architecture for each frame along the trace: filters of 13, 9 and 3 taps with 30,
# 40 and 50 outputs, a dense layer of 10, and one output from the 10 positions that are left of a window of 64.
MEMBER = 13 * 30 + 9 * 30 * 40 + 3 * 40 * 50 + 50 * 10 + 10 * 10
FLOP_PER_NEURON_FRAME = 2 * 5 * MEMBER

AVX2_ONLY = {"MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}

rows = []
measurements = []


class Worker:
    """A process that does what it is asked for and answers with the seconds that it took."""

    def __init__(self, *command, **environment):
        self.process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | environment,
        )

    def start(self, *request):
        self.process.stdin.write(" ".join(str(word) for word in request) + "\n")
        self.process.stdin.flush()

    def seconds(self):
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"{self.process.args} ended with status {self.process.wait()}")
        return float(answer)

    def ask(self, *request):
        self.start(*request)
        return self.seconds()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


@cache
def figures_program(*features):
    built = subprocess.run(
        ["cargo", "bench", "--no-run", "--bench", "figures", "--message-format", "json", *features],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    artifacts = [json.loads(line) for line in built.stdout.splitlines()]
    return next(found["executable"] for found in artifacts if found.get("target", {}).get("name") == "figures" and found.get("executable"))


def program(*features):
    return Worker(figures_program(*features), "serve")


def peer(**environment):
    return Worker(sys.executable, "scripts/bench_peers.py", **environment)


def sgemm(instruction_set):
    return Worker(FOLDER / f"sgemm-{instruction_set}/release/sgemm")


def taking_turns(repeats=REPEATS, **works):
    """Medians of the works' results by their names."""
    results = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            results[name].append(work())
    return medians(results)


def medians(results):
    """Of lists of seconds by their names; notes them all."""
    measurements.append(results)
    found = {name: statistics.median(seconds) for name, seconds in results.items()}
    print("  " + ", ".join(f"{name} {seconds:.3g} s" for name, seconds in found.items()), file=sys.stderr)
    return found


def row(target, figure, ours, against, ratio, bound, most=False):
    """Adds a line to the table; a bound of None is for information only, `most` makes it an upper one."""
    met = None if bound is None else ratio <= bound if most else ratio >= bound
    rows.append({"target": target, "figure": figure, "ours": ours, "against": against, "ratio": ratio, "bound": bound,
                 "at_most": most, "met": met})


def run(ranks, folder, *flags):
    """Runs the program on a folder of subjects; its report."""
    output = Path(tempfile.mkdtemp(prefix="output-", dir=FOLDER))
    launcher = ["mpirun", "-n", str(ranks)] if ranks > 1 else []
    command = [*launcher, PROGRAM, "--input_dir", folder, "--output_dir", output, *flags]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{command} ended with status {done.returncode}\n{done.stdout}{done.stderr}")
    report = json.loads((output / "report.json").read_text())
    shutil.rmtree(output)
    return report


def inference():
    neurons, frames, size, products = 2000, 3000, 2048, 8
    sets = [("AVX2", "avx2", AVX2_ONLY)]
    if "avx512f" in Path("/proc/cpuinfo").read_text():
        sets.insert(0, ("AVX-512", "avx512", {}))
    for name, instruction_set, environment in sets:
        with program() as ours, sgemm(instruction_set) as gemm, peer(**environment) as torch:
            found = taking_turns(
                ours=lambda: ours.ask("inference", neurons, frames, CORES, instruction_set),
                gemm=lambda: gemm.ask("sgemm", size, CORES, products),
                mkl=lambda: torch.ask("sgemm", size, CORES, products),
            )
        rate = neurons * frames / found["ours"]
        reached = rate * FLOP_PER_NEURON_FRAME / 1e9
        floor = min(("gemm", "mkl"), key=found.get)
        most = 2 * size**3 * products / found[floor] / 1e9
        row(1, f"inference, {name}, {CORES} threads", f"{rate / 1e6:.2f} M/s = {reached:.0f} GFLOP/s",
            f"sgemm ({floor}) {most:.0f} GFLOP/s", reached / most, 0.65)
    traces, windows, part = (64, 3000), (10, 1000), (400, 3000)
    with program() as ours, peer() as torch, peer() as tensorflow:
        found = taking_turns(
            ours=lambda: ours.ask("inference", *part, CORES, sets[0][1]),
            torch=lambda: torch.ask("trace", *traces, CORES),
            tensorflow=lambda: tensorflow.ask("windows", *windows),
        )
    rate, torch, tensorflow = (math.prod(shape) / found[name] for shape, name in
                               ((part, "ours"), (traces, "torch"), (windows, "tensorflow")))
    row(1, "inference, along the trace", f"{rate / 1e6:.2f} M/s", f"PyTorch {torch / 1e6:.3f} M/s", rate / torch,
        3 if len(sets) == 2 else None)
    row(1, "inference, window by window", f"{rate / 1e6:.2f} M/s", f"TensorFlow {tensorflow / 1e3:.1f} k/s", rate / tensorflow, 90)


def gpu():
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        print(f"  no GPU: {error}", file=sys.stderr)
        return
    subprocess.run(["scripts/cuda-toolkit.sh"], check=True, stdout=sys.stderr)
    few, many = (200, 3000), (8000, 3000)
    instruction_set = "avx512" if "avx512f" in Path("/proc/cpuinfo").read_text() else "avx2"
    with program("--features", "cuda") as ours:
        if math.isnan(ours.ask("gpu", *few)):
            return
        found = taking_turns(gpu=lambda: ours.ask("gpu", *many), core=lambda: ours.ask("inference", *few, 1, instruction_set))
    on_gpu, on_core = (math.prod(shape) / found[name] for shape, name in ((many, "gpu"), (few, "core")))
    row(10, "inference on a GPU", f"{on_gpu / 1e6:.1f} M/s = {on_gpu * FLOP_PER_NEURON_FRAME / 1e12:.1f} TFLOP/s",
        f"one core {on_core / 1e6:.2f} M/s", on_gpu / on_core, 100)


def scaling():
    # One plane: what is written is small beside what is computed.
    folder = bench_data.subject(DATA, 4000, 3000, 1)
    flags = ["--num_neurons", "0"]
    size, products = 2048, 10
    instruction_set = "avx512" if "avx512f" in Path("/proc/cpuinfo").read_text() else "avx2"
    with sgemm(instruction_set) as one, sgemm(instruction_set) as other:
        request = "sgemm", size, 1, products

        def together():
            one.start(*request)
            other.start(*request)
            return max(one.seconds(), other.seconds())

        found = taking_turns(
            alone=lambda: run(1, folder, *flags)["wall_sec"],
            sgemm_alone=lambda: one.ask(*request),
            threads=lambda: run(1, folder, "--workers", "2", *flags)["wall_sec"],
            sgemm_together=together,
            ranks=lambda: run(2, folder, *flags)["wall_sec"],
        )
    machine = 2 * found["sgemm_alone"] / found["sgemm_together"]
    for name, figure in ("threads", "--workers 2 on one rank"), ("ranks", "two ranks of one worker"):
        gain = found["alone"] / found[name]
        row(2, figure, f"{gain:.2f} times one", f"two sgemms {machine:.2f} times one", gain / machine, 0.95)


def baseline():
    neurons, frames = 500, 9000
    with program() as ours:
        ask = lambda half, missing: lambda: ours.ask("dff", frames, half, missing)
        found = taking_turns(short=ask(30, 0), short_missing=ask(30, 9001), long=ask(450, 0), long_missing=ask(450, 9001))
    rates = {name: neurons * frames / seconds / 1e6 for name, seconds in found.items()}
    for missing, figure in ("", "whole"), ("_missing", "a NaN in each"):
        short, long = rates["short" + missing], rates["long" + missing]
        row(3, f"ΔF/F, 61 frames, {figure}, 1 thread", f"{short:.0f} M/s", "40 M/s", short / 40, 1)
        row(3, f"ΔF/F, 901 frames, {figure}, 1 thread", f"{long:.0f} M/s", f"61 frames {short:.0f} M/s",
            short / long, math.log(901) / math.log(61), most=True)


def grids():
    frames, neurons, sparse = 1024, 100_000, 10_000
    volume = frames * PLANES * PLANE_BYTES / 1e9
    rates = {}
    for ranks in 1, 2:
        command = ["mpirun", "-n", str(ranks), figures_program(), "grids", str(DATA), str(frames), str(REPEATS)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        ours, zlib = zip(*([float(word) for word in line.split()] for line in lines))
        found = medians({"ours": ours, "zlib": zlib})
        rates[ranks], zlib = volume / found["ours"], volume / found["zlib"]
        row(4, f"grids to a closed file, {ranks} rank{'s' * (ranks > 1)}", f"{rates[ranks]:.2f} GB/s", f"zlib 1 alone {zlib:.2f} GB/s",
            rates[ranks] / zlib, {1: 1.5, 2: 1.3}[ranks])
    row(4, "grids, two ranks over one", f"{rates[2]:.2f} GB/s", f"one rank {rates[1]:.2f} GB/s", rates[2] / rates[1], 1)
    for ranks in 1, 2, 4:
        command = ["mpirun", "-n", str(ranks), figures_program(), "contiguous", str(DATA), str(frames), str(REPEATS)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        ours, plain = zip(*([float(word) for word in line.split()] for line in lines))
        found = medians({"ours": ours, "plain": plain})
        ours, plain = volume / found["ours"], volume / found["plain"]
        row(4, f"--compression none to a closed file, {ranks} rank{'s' * (ranks > 1)}", f"{ours:.2f} GB/s",
            f"plain writes {plain:.2f} GB/s", ours / plain, 0.8)
    frames, rates = 2000, {}
    for ranks in 1, 2, 4:
        command = ["mpirun", "-n", str(ranks), figures_program(), "planes", str(DATA), str(frames), str(REPEATS)]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        every_rank, one_rank = zip(*([float(word) for word in line.split()] for line in lines))
        found = medians({"every rank": every_rank, "one rank": one_rank})
        rates[ranks], one_rank = (frames * PLANES / found[name] / 1e3 for name in ("every rank", "one rank"))
        row(4, f"compressed planes into a closed file, {ranks} rank{'s' * (ranks > 1)}", f"{rates[ranks]:.0f} k/s",
            f"H5Dwrite_chunk {one_rank:.0f} k/s", rates[ranks] / one_rank, 3)
    row(4, "compressed planes, four ranks over one", f"{rates[4]:.0f} k/s", f"one rank {rates[1]:.0f} k/s", rates[4] / rates[1], 1)
    with program() as ours:
        found = taking_turns(**{str(count): lambda count=count: ours.ask("rasterise", count) for count in (sparse, neurons)})
    for count in sparse, neurons:
        rate = 512 * PLANES * PLANE_BYTES / found[str(count)] / 1e9
        row(4, f"rasterise, {count:,} neurons, 1 thread", f"{rate:.1f} GB/s", "2 GB/s", rate / 2, 1)


def reading():
    neurons, frames = 20_000, 4000
    with program() as ours:
        def turns(path, cache, stretches, *floors):
            def ask(*work):
                drop_from_cache(path) if cache == "cold" else ours.ask("stream", path)
                return ours.ask(*work)

            works = {floor[0]: lambda floor=floor: ask(*floor) for floor in floors}
            return taking_turns(read=lambda: ask("read", path, stretches), **works)

        def compare(found, floor, figure, bound):
            row(5, f"all pieces, {figure} cache", f"{found['read']:.2f} s", f"{floor} {found[floor]:.2f} s",
                found["read"] / found[floor], bound, most=True)

        for layout in bench_data.LAYOUTS:
            path = bench_data.time_series(DATA / f"{layout}.h5", neurons, frames, layout)
            # Not counted: a machine that is shared may have to find the memory first.
            ours.ask("read", path, 1)
            floor = "inflate" if "gzip" in layout else "stream"
            for cache, bound in ("cold", 1.2), ("warm", None):
                compare(turns(path, cache, 1, (floor, path)), floor, f"{layout}, {cache}", bound)
        # As one rank reads a whole brain that it may not hold.
        brain = bench_data.time_series(DATA / "brain.h5", 4 * neurons, frames // 4)
        compare(turns(brain, "cold", 1, ("stream", brain)), "stream", "wide frames, cold", 1.2)
        for stretches in 3, 9:
            found = turns(brain, "cold", stretches, ("parts", brain, stretches), ("stream", brain))
            compare(found, "parts", f"wide frames, {stretches} stretches, cold", 1.2)
            compare(found, "stream", f"wide frames, {stretches} stretches, cold", None)
        found = taking_turns(turn=lambda: ours.ask("turn", path), network=lambda: ours.ask("inference", 500, frames, 1, "avx2"))
        turn, network = found["turn"] / neurons, found["network"] / 500
        row(5, f"turning to neurons, {layout}, a trace, 1 thread", f"{1e6 * turn:.0f} µs", f"its inference {1e3 * network:.1f} ms", turn / network, None)


def drop_from_cache(path):
    """Drops a file from the page cache."""
    with open(path, "rb") as file:
        os.fsync(file)
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def pipeline():
    neurons, frames, ranks = 10_000, 3000, 2
    folder = bench_data.subject(DATA, neurons, frames, PLANES)
    reports = []

    def ours():
        reports.append(run(ranks, folder))
        return reports[-1]["wall_sec"]

    percentile, windows, frames_of_grids = (1000, 300), (10, 1000), 40
    with program() as stages, peer() as tensorflow, peer() as numpy:
        found = taking_turns(
            3,
            ours=ours,
            dff=lambda: stages.ask("dff", frames, 30, 0),
            sample=lambda: stages.ask("sample", frames),
            percentile=lambda: numpy.ask("percentile", *percentile),
            windows=lambda: tensorflow.ask("windows", *windows),
            grids=lambda: numpy.ask("grids", neurons, frames_of_grids, PLANES, DATA / "reference.h5"),
        )
    # `compute` has ΔF/F and the sampling of spikes in it, each of 500 traces when measured alone.
    beside = (found["dff"] + found["sample"]) * neurons / 500
    shares = [(stages["compute"] - beside) / (ranks * stages["total"])
              for stages in (report["subjects"][0]["stage_sec"] for report in reports)]
    row(6, "whole pipeline, share of inference", f"{found['ours']:.1f} s", "", statistics.median(shares), 0.85)
    rate = neurons * frames / found["ours"]
    reference = 1 / (found["percentile"] / math.prod(percentile) + found["windows"] / math.prod(windows)
                     + found["grids"] / (neurons * frames_of_grids))
    row(6, "whole pipeline, 10,000 x 3,000", f"{rate / 1e6:.2f} M/s", f"reference {reference / 1e3:.1f} k/s", rate / reference, 60)


def cluster():
    folder = DATA / "three"
    if not folder.exists():
        sizes = ["--subjects", "3", "--neurons", "5000", "--frames", "2000"]
        subprocess.run([PROGRAM, "demo-data", *sizes, "--output", folder], check=True, stdout=subprocess.DEVNULL)
    reports = {ranks: [] for ranks in (1, 2, 4)}

    def ranks(count):
        reports[count].append(run(count, folder))
        return reports[count][-1]["wall_sec"]

    def two_runs():
        with ThreadPoolExecutor(2) as both:
            return max(report["wall_sec"] for report in both.map(lambda _: run(1, folder), range(2)))

    found = taking_turns(3, one=lambda: ranks(1), two=lambda: ranks(2), four=lambda: ranks(4), apart=two_runs)
    ours, apart = found["one"] / found["two"], 2 * found["one"] / found["apart"]
    row(9, "three subjects, two ranks", f"{ours:.2f} times one", f"two runs of one {apart:.2f} times one", ours / apart, 0.95)
    report = FOLDER / "report.json"
    report.write_text(json.dumps(sorted(reports[1], key=lambda report: report["wall_sec"])[1]))
    command = [PROGRAM, "plan", "--input_dir", folder, "--from_run", report, "--cores_per_node", CORES, "--nodes", 1, "--ranks", "1,2,4"]
    lines = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout.splitlines()
    planned = [float(line.split()[2]) for line in lines[4:7]]
    for count, seconds, name, bound in zip(reports, planned, ("one", "two", "four"), (1.15, 1.15, 1.25)):
        ratio = max(seconds / found[name], found[name] / seconds)
        row(9, f"plan, {count} rank{'s' * (count > 1)}", f"{seconds:.1f} s", f"measured {found[name]:.1f} s", ratio, bound, most=True)


def memory():
    flags = bench_data.tiny_model(DATA / "models")
    every_limit = [(ranks, 1024) for ranks in (1, 2, 4)] + [(4, 512), (4, 256)]
    # With one chunk for each frame, a rank holds as much of a recording as the limit allows.
    to_the_limit = [(1, 1024), (1, 2048), (2, 1024)]
    for neurons, frames, layout, runs in [
        (71_721, 7879, "contiguous", every_limit),
        (100_000, 8000, "contiguous", every_limit),
        (71_721, 7879, "gzip_frames", to_the_limit),
    ]:
        folder = bench_data.subject(DATA, neurons, frames, PLANES, layout)
        chunks = ", a chunk per frame" if layout == "gzip_frames" else ""
        for ranks, limit in runs:
            steered = [] if limit == 1024 else ["--memory_limit", f"{limit}MiB"]
            peak = max(run(ranks, folder, *flags, *steered)["peak_resident_bytes_per_rank"]) / MIB
            measurements.append({"neurons": neurons, "layout": layout, "ranks": ranks, "limit_mib": limit, "peak_mib": peak})
            print(f"  {neurons} neurons, {ranks} ranks, limit {limit} MiB: {peak:.0f} MiB", file=sys.stderr)
            row(7, f"memory, {neurons:,} x {frames:,}{chunks}, {ranks} rank{'s' * (ranks > 1)}", f"{peak:.0f} MiB",
                f"--memory_limit {limit} MiB", peak / limit, 1.0 if limit >= 1024 else 1.1, most=True)


def growth():
    frames, few, many = 500, 10_000, 100_000
    flags = bench_data.tiny_model(DATA / "models")
    folders = {count: bench_data.subject(DATA, count, frames, PLANES) for count in (few, many)}
    stages = {few: [], many: []}

    def whole(count):
        report = run(1, folders[count], *flags)
        stages[count].append(report["subjects"][0]["stage_sec"])
        return report["wall_sec"]

    found = taking_turns(few=lambda: whole(few), many=lambda: whole(many))
    inner = {count: statistics.median(stage["read"] + stage["compute"] for stage in stages[count]) for count in stages}
    for part, small, large in ("all", found["few"], found["many"]), ("reading and computing", inner[few], inner[many]):
        small, large = (seconds / (count * frames) * 1e9 for seconds, count in ((small, few), (large, many)))
        row(8, f"time per neuron-frame, N = {many:,}, {part}", f"{large:.0f} ns", f"N = {few:,}: {small:.0f} ns", large / small, 1.1, most=True)


SHORT = [inference, gpu, scaling, baseline, grids, reading, pipeline, cluster]
LONG = [memory, growth]


def table():
    lines = [["", "figure", "ours", "floor or peer", "ratio", "target", "met"]]
    for found in rows:
        bound = "" if found["bound"] is None else f"{'≤' if found['at_most'] else '≥'} {found['bound']:.3g}"
        met = {None: "", True: "yes", False: "NO"}[found["met"]]
        lines.append([str(found["target"]), found["figure"], found["ours"], found["against"], f"{found['ratio']:.2f}", bound, met])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true", help="also memory and growth: large recordings, about an hour")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=" ".join(target.__name__ for target in SHORT + LONG))
    arguments = parser.parse_args()
    known = {target.__name__: target for target in SHORT + LONG}
    unknown = set(arguments.targets) - set(known)
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    DATA.mkdir(parents=True, exist_ok=True)
    chosen = [known[name] for name in arguments.targets] or SHORT + (LONG if arguments.long else [])
    for target in chosen:
        print(target.__name__, file=sys.stderr)
        target()
    results = {"cores": CORES, "load_average": os.getloadavg(), "rows": rows, "measurements": measurements}
    (FOLDER / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(table())


if __name__ == "__main__":
    main()
