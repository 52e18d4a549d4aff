"""How long fitkit takes to start, beside the imports that it cannot do without.

    python benchmarks/startup.py [--rounds 7]

Prints a table for each comparison and exits with 1 if a bound is exceeded or a command fails.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from statistics import median
from typing import final

from timing import ROOT, Command, CommandFailed, alternate, fitkit, print_table, python, verdict

CONFIGS = ROOT / "configs"


@final
@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Commands, the yardstick they are measured by, and how many times the yardstick they may take."""

    yardstick: Command
    commands: tuple[Command, ...]
    bound: float


def comparisons() -> list[Comparison]:
    """Return what is compared: help, the validation of 30 configs, and one whole fit."""
    several = [
        *sorted((CONFIGS / "nist").glob("*.yaml")),
        *(CONFIGS / f"{name}.yaml" for name in ("bounds", "sigma", "tied")),
    ]
    paths = [str(path) for path in several]
    one = CONFIGS / "nist" / "Misra1a.yaml"
    return [
        Comparison(
            yardstick=python("import click, rich"),
            commands=tuple(fitkit("--help", "--help")),
            bound=3.0,
        ),
        Comparison(
            yardstick=python("import click, rich, yaml, pydantic"),
            commands=tuple(fitkit(f"validate ({len(paths)} configs)", "validate", *paths)),
            bound=4.0,
        ),
        Comparison(
            yardstick=python("import jax"),
            commands=tuple(fitkit(f"train {one.relative_to(ROOT)}", "train", str(one))),
            bound=2.0,
        ),
    ]


def measure(comparison: Comparison, rounds: int) -> bool:
    """Time one comparison, print its table, and return whether every command keeps its bound."""
    times = alternate([comparison.yardstick, *comparison.commands], rounds)
    base = median(times[comparison.yardstick.name])
    rows, kept = [], True
    for name, sample in times.items():
        ratio = median(sample) / base
        told = "" if name == comparison.yardstick.name else verdict(ratio, comparison.bound)
        kept = kept and told != "OVER"
        bound = f"{comparison.bound:.1f}" if told else ""
        rows.append(
            (name, f"{median(sample):.3f}", f"{min(sample):.3f}", f"{max(sample):.3f}", f"{ratio:.2f}", bound, told)
        )
    print_table(("command", "median s", "least", "most", "ratio", "bound", ""), rows)
    return kept


def main() -> int:
    """Run all comparisons and return the exit code."""
    parser = argparse.ArgumentParser(description="Time the start of fitkit beside the imports it needs.")
    parser.add_argument("--rounds", type=int, default=7, help="timed runs of each command (at least 5)")
    rounds = max(5, parser.parse_args().rounds)
    print(f"medians of {rounds} runs each, taken in turn, Python {sys.version.split()[0]}")
    kept = True
    for comparison in comparisons():
        print()
        try:
            kept = measure(comparison, rounds) and kept
        except CommandFailed as failure:
            print(failure)
            kept = False
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
