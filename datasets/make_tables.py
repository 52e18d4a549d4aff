"""Write the generated tables of this folder: decay.csv, outliers.csv and oscillator.csv.

Run it from anywhere: `python datasets/make_tables.py`. It needs the standard library only. The random numbers are the
uniform ones of `random.Random`, whose sequence Python keeps from version to version, carried through inverse
distribution functions, so that the tables come out the same, byte for byte, everywhere.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import NormalDist

FOLDER = Path(__file__).resolve().parent


def write(name: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write one comma-separated table beside this script."""
    lines = [",".join(header), *(",".join(row) for row in rows)]
    (FOLDER / name).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def poisson_quantile(probability: float, rate: float) -> int:
    """Return the smallest count whose cumulative Poisson probability reaches `probability`."""
    count, term = 0, math.exp(-rate)
    cumulative = term
    while cumulative < probability:
        count += 1
        term *= rate / count
        cumulative += term
    return count


def decay() -> list[tuple[str, str, str]]:
    """Return times (s), counts and their standard errors: Poisson counts of 200 exp(-0.35 t) + 25."""
    source = random.Random(1)  # noqa: S311 - a repeatable table, not a secret
    rows = []
    for step in range(40):
        time = 0.5 * step
        count = poisson_quantile(source.random(), 200 * math.exp(-0.35 * time) + 25)
        rows.append((f"{time}", f"{count}", f"{math.sqrt(count):.4f}"))
    return rows


def outliers() -> list[tuple[str, str]]:
    """Return points on the line 1 + 2 x with errors of 0.3, every seventh of which is 8 to 16 too high."""
    source, normal = random.Random(2), NormalDist()  # noqa: S311 - a repeatable table, not a secret
    rows = []
    for step in range(35):
        x = 0.25 * step
        y = 1 + 2 * x + 0.3 * normal.inv_cdf(source.random())
        gross = 8 + 8 * source.random()
        rows.append((f"{x}", f"{y + gross if step % 7 == 3 else y:.4f}"))
    return rows


def oscillator() -> list[tuple[str, str]]:
    """Return times (s) and displacements (mm): 12 exp(-0.25 t) cos(3 t + 0.4) with errors of 0.2."""
    source, normal = random.Random(3), NormalDist()  # noqa: S311 - a repeatable table, not a secret
    rows = []
    for step in range(80):
        time = step / 10
        y = 12 * math.exp(-0.25 * time) * math.cos(3 * time + 0.4) + 0.2 * normal.inv_cdf(source.random())
        rows.append((f"{time}", f"{y:.4f}"))
    return rows


def main() -> None:
    """Write all tables."""
    write("decay.csv", ("t", "counts", "error"), decay())
    write("outliers.csv", ("x", "y"), outliers())
    write("oscillator.csv", ("t", "y"), oscillator())


if __name__ == "__main__":
    main()
