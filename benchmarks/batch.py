"""What `fitkit batch` saves: one process that shares compilations, against a process for each fit.

    python benchmarks/batch.py [--nist] [--every N]

Runs `fitkit batch configs/` and then `fitkit train` for each of the same configs, one after another, and compares the wall
times and the processors' times; it must be at least 5 times faster. With `--every N` only each N-th config is run, in both.
With `--nist`, instead, the 27 nonlinear problems of NIST from both of their starts, 54 fits, in one batch: at most 15 s. Each
problem is one config, whose two starts are its matrix.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from timing import ROOT, verdict

FASTER = 5.0
NIST_SECONDS = 15.0


def run(*arguments: str) -> tuple[float, float, str]:
    """Run fitkit, and return its wall time, its processors' time, and what it prints."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    command = [sys.executable, "-m", "fitkit", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        print(
            f"fitkit {' '.join(arguments)} ended with exit code {done.returncode}:\n{done.stderr}{done.stdout[-2000:]}"
        )
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, used, done.stdout


def repository(every: int) -> bool:
    """Compare a batch with single processes, and return whether it keeps its bound."""
    from fitkit.batch import plan

    entries = plan([str(ROOT / "configs")]).entries[::every]
    paths = [entry.path for entry in entries]
    wall, used, out = run("batch", *paths, "--allow-python", "--no-save", "--json")
    documents = [json.loads(line) for line in out.splitlines()]
    programs = sum(document["compilations"] for document in documents)
    print(f"one process:     {len(documents)} fits, {programs} programs: {wall:.1f} s, of processors {used:.1f} s")
    alone = [run("train", path, "--allow-python", "--no-save", "--json") for path in paths]
    walls, uses = sum(one[0] for one in alone), sum(one[1] for one in alone)
    print(f"a process each:  {walls:.1f} s, of processors {uses:.1f} s")
    told = "kept" if walls >= FASTER * wall else "MISSED"
    print(f"faster by {walls / wall:.1f} (processors {uses / used:.1f}); at least {FASTER:g}: {told}")
    return walls >= FASTER * wall


def nist() -> bool:
    """Time the 54 runs, and return whether they keep their bound."""
    problems: dict[str, Any] = json.loads((ROOT / "datasets/nist/certified.json").read_text())["nonlinear"]
    with tempfile.TemporaryDirectory() as folder:
        for config in sorted((ROOT / "configs/nist").glob("*.yaml")):
            problem = problems[config.stem]
            starts = [dict(zip(problem["parameter_names"], problem[key], strict=True)) for key in ("start1", "start2")]
            text = config.read_text().replace("../../datasets", str(ROOT / "datasets"))
            (Path(folder) / config.name).write_text(f"{text}matrix: {json.dumps({'parameters': starts})}\n")
        wall, used, out = run("batch", folder, "--no-save", "--json")
    documents = [json.loads(line) for line in out.splitlines()]
    converged = sum(document["status"] == "converged" for document in documents)
    print(f"{len(documents)} runs, {converged} converged: {wall:.1f} s, of processors {used:.1f} s; at most ", end="")
    print(f"{NIST_SECONDS:g} s: {verdict(wall, NIST_SECONDS)}")
    return wall <= NIST_SECONDS and converged == len(documents)


def main() -> int:
    """Run what is asked for, and return the exit code."""
    parser = argparse.ArgumentParser(description="Time a batch against a process for each fit.")
    parser.add_argument("--nist", action="store_true", help="the 54 runs of NIST's problems instead")
    parser.add_argument("--every", type=int, default=1, help="only each N-th config")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    return 0 if (nist() if arguments.nist else repository(arguments.every)) else 1


if __name__ == "__main__":
    sys.exit(main())
