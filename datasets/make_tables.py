"""Write the generated tables of this folder: decay.csv, outliers.csv, oscillator.csv and ratings.csv.

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


def ratings() -> list[tuple[str, str, str]]:
    """Return readers, books and ratings: 3.5 and a bias for each, a product of rank 3, and errors of 0.5.

    The 200 readers' and 150 books' biases are normal, of deviations 0.4 and 0.3. Each reader and each book has three normal
    factors, whose products count 0.9, 0.7 and 0.5 times. Of the 30,000 pairs 24,000 are rated, to hundredths.
    """
    source, normal = random.Random(4), NormalDist()  # noqa: S311 - a repeatable table, not a secret

    def draws(count: int) -> list[float]:
        return [normal.inv_cdf(source.random()) for _ in range(count)]

    readers, books = 200, 150
    bias = [0.4 * draw for draw in draws(readers)], [0.3 * draw for draw in draws(books)]
    taste, kind = [draws(3) for _ in range(readers)], [draws(3) for _ in range(books)]
    pairs = [(reader, book) for reader in range(readers) for book in range(books)]
    keyed = sorted((source.random(), pair) for pair in pairs)  # `shuffle` is not promised to stay the same
    rows = []
    for _, (reader, book) in keyed[:24_000]:
        product = sum(size * a * b for size, a, b in zip((0.9, 0.7, 0.5), taste[reader], kind[book], strict=True))
        rating = 3.5 + bias[0][reader] + bias[1][book] + product + 0.5 * draws(1)[0]
        rows.append((f"reader{reader + 1}", f"{1001 + book}", f"{rating:.2f}"))
    return rows


def main() -> None:
    """Write all tables."""
    write("decay.csv", ("t", "counts", "error"), decay())
    write("outliers.csv", ("x", "y"), outliers())
    write("oscillator.csv", ("t", "y"), oscillator())
    write("ratings.csv", ("reader", "book", "rating"), ratings())


if __name__ == "__main__":
    main()
