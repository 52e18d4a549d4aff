"""How long all 27 NIST problems take in one process, through the command line.

    python benchmarks/nist.py [--rounds 5]

Each round is a fresh process that runs `fitkit train` for every config of configs/nist, one after another. Prints the
median seconds of each and the average over the whole process, imports included; exits with 1 if that exceeds 0.35 s a
problem or if a fit does not converge.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from timing import ROOT, CommandFailed, print_table, verdict

BOUND = 0.35
CONFIGS = sorted((ROOT / "configs" / "nist").glob("*.yaml"))


def fit(config: Path) -> tuple[float, int]:
    """Run `fitkit train CONFIG` in this process; return its seconds and its exit code."""
    from fitkit.cli.main import main as command

    sys.argv = ["fitkit", "train", str(config)]
    code: Any = 0
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            command()
        except SystemExit as end:
            code = end.code
    return time.perf_counter() - began, code if isinstance(code, int) else int(code is not None)


def one_process() -> None:
    """Fit all configs here and print a JSON object of config name to [seconds, exit code]."""
    sys.path.insert(0, str(ROOT))
    print(json.dumps({config.stem: fit(config) for config in CONFIGS}))


def one_round() -> tuple[float, dict[str, tuple[float, int]]]:
    """Return the seconds of a whole process that fits all configs, and what it says of each.

    Raises:
        CommandFailed: the process did not get through.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        arguments = (sys.executable, str(Path(__file__).resolve()), "--one-process")
        done = subprocess.run(arguments, cwd=folder, env=os.environ, capture_output=True, text=True, check=False)
    elapsed = time.perf_counter() - began
    if done.returncode != 0:
        told = (done.stderr.strip() or "no message").splitlines()
        raise CommandFailed(f"the process ended with exit code {done.returncode}: {told[-1]}")
    return elapsed, json.loads(done.stdout)


def report(rounds: list[tuple[float, dict[str, tuple[float, int]]]]) -> bool:
    """Print the table and return whether the average keeps its bound and every fit converged."""
    rows, failed = [], []
    for config in CONFIGS:
        runs = [problems[config.stem] for _, problems in rounds]
        codes = {code for _, code in runs}
        rows.append(
            (config.stem, f"{median([elapsed for elapsed, _ in runs]):.3f}", ", ".join(map(str, sorted(codes))))
        )
        if codes != {0}:
            failed.append(config.stem)
    print_table(("problem", "median s", "exit code"), rows)
    average = median([elapsed for elapsed, _ in rounds]) / len(CONFIGS)
    print(f"\naverage over the whole process: {average:.3f} s (bound {BOUND} s: {verdict(average, BOUND)})")
    if failed:
        print(f"did not converge: {', '.join(failed)}")
    return average <= BOUND and not failed


def main() -> int:
    """Run all rounds and return the exit code."""
    parser = argparse.ArgumentParser(description="Time all NIST problems in one process.")
    parser.add_argument("--rounds", type=int, default=5, help="processes to take the median of (at least 5)")
    parser.add_argument("--one-process", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one_process:
        one_process()
        return 0
    try:
        return 0 if report([one_round() for _ in range(max(5, arguments.rounds))]) else 1
    except CommandFailed as failure:
        print(failure)
        return 1


if __name__ == "__main__":
    sys.exit(main())
