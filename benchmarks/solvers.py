"""How long NIST's 54 nonlinear fits take once everything is compiled, and how many digits they get, beside other solvers.

    python benchmarks/solvers.py [--rounds 5]

All run in this process, one after another within each round, from the same starts and by the same formulas. fitkit's time
is the whole fit, with polish, evidence, covariance and parameter table; what describes a fit only when it is read, such as R
squared and warnings, is not asked for. Scipy's `curve_fit` (method lm), lmfit, iminuit and optimistix have tolerances of about
1e-15 where they take them. Also prints how long fitkit traces, lowers and compiles for each problem, in
its first fit and then for the search that is compiled where a problem is fitted again, and exits with 1 if a bound is exceeded.
A solver that is not installed is passed over, and said to be.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import math
import sys
import time
import warnings
from collections.abc import Sequence
from statistics import median

import numpy as np
from peers import SOLVERS, Fit, Task, tasks, with_fitkit
from timing import print_table, verdict

from fitkit.optimizers.compiled_search import SEARCHES_BEFORE

COMPILING = 0.3
"""Seconds of tracing, lowering and compiling that a problem may take."""


def attempt(fit: Fit) -> Sequence[float]:
    """Return what a fit finds; a solver that gives up has found nothing."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return fit()
        except (RuntimeError, ValueError):
            return [math.nan]


def compiling_times(runs: Sequence[Task]) -> list[tuple[str, float, float]]:
    """Return the seconds that fitkit traces, lowers and compiles for each problem: in its first fit, and in the next ones.

    A problem that is fitted again and again has its search compiled as a whole, which a single fit does not wait for.
    """
    from fitkit.backend import COMPILATIONS

    found = []
    for task in runs:
        if task.number == 1:
            fit, before = with_fitkit(task), COMPILATIONS.seconds
            attempt(fit)
            first = COMPILATIONS.seconds - before
            for _ in range(SEARCHES_BEFORE):
                attempt(fit)
            found.append((task.problem.name, first, COMPILATIONS.seconds - before - first))
    return found


def main() -> int:
    """Run all rounds and return the exit code."""
    parser = argparse.ArgumentParser(description="Time NIST's nonlinear fits beside other solvers.")
    parser.add_argument("--rounds", type=int, default=5, help="timed runs of each solver (at least 5)")
    rounds = max(5, parser.parse_args().rounds)
    gc.set_threshold(100_000, 50, 100)  # as the command itself
    runs = tasks()
    compiling = compiling_times(runs)
    solvers = {name: make for name, (module, make) in SOLVERS.items() if importlib.util.find_spec(module) is not None}
    fits = {name: [make(task) for task in runs] for name, make in solvers.items()}
    digits, times = {}, {name: list[float]() for name in solvers}
    for turn in range(rounds + 1):  # the first compiles, and is not counted
        for name, each in fits.items():
            began = time.perf_counter()
            found = [attempt(fit) for fit in each]
            if turn:
                times[name].append(time.perf_counter() - began)
            digits[name] = [task.digits(values) for task, values in zip(runs, found, strict=True)]
    base = median(times["scipy curve_fit"])
    print_table(
        ("solver", "median s", "least", "most", "ratio", ">= 6 digits", ">= 9 digits"),
        [
            (name, f"{median(sample):.3f}", f"{min(sample):.3f}", f"{max(sample):.3f}", f"{median(sample) / base:.2f}",
             f"{sum(d >= 6 for d in digits[name])} of {len(runs)}", f"{sum(d >= 9 for d in digits[name])} of {len(runs)}")
            for name, sample in times.items()
        ],
    )  # fmt: skip
    for name in SOLVERS.keys() - solvers.keys():
        print(f"{name} is not installed, and was passed over")
    print(f"\nmedians of {rounds} rounds of all {len(runs)} fits; fitkit with polish, evidence and covariance")
    ratio = median(times["fitkit"]) / base
    print(f"fitkit over curve_fit: {ratio:.2f} (bound 1.00: {verdict(ratio, 1.0)})\n")
    print_table(
        ("problem", "first fit s", "again s"),
        [(name, f"{first:.3f}", f"{again:.3f}") for name, first, again in compiling],
    )
    worst = max(first for _, first, _ in compiling), max(first + again for _, first, again in compiling)
    for what, longest in zip(("a first fit", "all together"), worst, strict=True):
        print(f"\ncompiling, {what}: {longest:.3f} s at most (bound {COMPILING} s: {verdict(longest, COMPILING)})")
    return 0 if ratio <= 1 and max(worst) <= COMPILING else 1


if __name__ == "__main__":
    sys.exit(main())
