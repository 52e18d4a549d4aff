"""Many fits at once, beside scipy's and lmfit's in a loop: speed, growth, unequal lengths, global fits, and agreement.

    python benchmarks/groups.py [--rounds 5] [--groups 10000] [--million] [--only speed agreement growth lengths together]

All in this process after compilation, in float64, one after another within each round. fitkit's time is the whole fit with
its packing, errors and verdicts, of all groups; scipy's `curve_fit` and lmfit fit a sample of them in a loop. The limit is
what the model and one sum over its rows would allow, as often as a fit evaluates it, on every core. Exits with 1 if a bound
is missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import os
import resource
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from timing import print_table

from fitkit.backend import jax, jnp, lax
from fitkit.config import load
from fitkit.grouped import GroupedFit, Groups, fit_groups
from fitkit.grouped.one import problem_of
from fitkit.optimizers import Automatic, Stopping
from fitkit.problem import Problem, RowData
from fitkit.run.assemble import assemble
from fitkit.run.one_group import single_fitter
from fitkit.uncertainty import Covariance

Vector = NDArray[np.float64]
SCIPY_FACTOR, LMFIT_FACTOR = 60, 600
GROWTH, RAGGED = 1.5, 1.5
MEMORY = 3.0
"""GiB beyond the table at a million groups."""
ALONE = single_fitter(Automatic(), Stopping(), Covariance())


@final
@dataclass(frozen=True, kw_only=True)
class Curve:
    """A model, and how its groups are drawn."""

    name: str
    formula: str
    start: dict[str, float]
    call: Callable[..., Any]
    """In numpy or jax.numpy alike: (exp, x, *parameters)."""
    span: tuple[float, float]
    draw: Callable[[np.random.Generator, int], list[Vector]]


def _noisy(random: np.random.Generator, groups: int) -> Vector:
    return 1 + 0.3 * random.normal(size=groups)


PEAK = Curve(
    name="Gaussian peaks",
    formula="y ~ a * exp(-((x - b) / c)**2 / 2) + d",
    start={"a": 4, "b": 0, "c": 1, "d": 0},
    call=lambda exp, x, a, b, c, d: a * exp(-(((x - b) / c) ** 2) / 2) + d,
    span=(-5, 5),
    draw=lambda r, n: [r.uniform(3, 7, n), r.uniform(-1.5, 1.5, n), r.uniform(0.7, 1.5, n), _noisy(r, n)],
)
DECAY = Curve(
    name="exponential decays",
    formula="y ~ a * exp(-k * x) + c",
    start={"a": 4, "k": 1, "c": 0},
    call=lambda exp, x, a, k, c: a * exp(-k * x) + c,
    span=(0, 5),
    draw=lambda r, n: [r.uniform(3, 7, n), r.uniform(0.5, 2, n), _noisy(r, n)],
)
TWO_DECAYS = Curve(
    name="two decays",
    formula="y ~ a * exp(-k1 * x) + b * exp(-k2 * x) + c",
    start={"k1": 0.4, "k2": 3, "a": 2, "b": 2, "c": 0.5},
    call=lambda exp, x, k1, k2, a, b, c: a * exp(-k1 * x) + b * exp(-k2 * x) + c,
    span=(0, 4),
    draw=lambda r, n: [np.full(n, 0.6), np.full(n, 2.5), 3 + 0.5 * r.normal(size=n), r.uniform(1, 3, n), _noisy(r, n)],
)


def table(
    curve: Curve, lengths: NDArray[np.int64], noise: float = 0.2, shared: tuple[str, ...] = ()
) -> tuple[Problem, Groups]:
    """Return groups of these lengths, drawn anew by the same seed."""
    random = np.random.default_rng(1)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    low, high = curve.span
    group = np.repeat(np.arange(len(lengths)), lengths)
    x = low + (high - low) * (np.arange(offsets[-1]) - offsets[group]) / np.maximum(lengths[group] - 1, 1)
    y = curve.call(np.exp, x, *(each[group] for each in curve.draw(random, len(lengths))))
    y += noise * random.normal(size=len(x))
    data = {"values": {"x": x[:60].tolist(), "y": y[:60].tolist()}}
    config = {"data": data, "model": curve.formula, "parameters": curve.start}
    ready = assemble(load("-", (), io.StringIO(json.dumps(config))), allow_python=False)
    rows = RowData(inputs={"x": x}, target=y, sigma=None, weight=np.ones(len(x)))  # type: ignore[arg-type]  # the host's arrays
    start = np.tile(ready.start, (len(lengths), 1))
    return ready.problem, Groups(rows=rows, offsets=offsets, start=start, shared=shared)


def seconds(work: Callable[[], Any]) -> float:
    """Return how long `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def fitted(problem: Problem, groups: Groups) -> GroupedFit:
    """Return the fit by a program compiled to run fast."""
    return fit_groups(problem, groups, ALONE, effort="full")


# -- speed ------------------------------------------------------------------------------------------------------------------


def with_scipy(curve: Curve, groups: Groups, count: int) -> Callable[[], None]:
    """Return `curve_fit` on the first groups in a loop."""
    from scipy.optimize import curve_fit

    x, y, start = _cut(groups, count), _cut(groups, count, target=True), list(curve.start.values())

    def model(x: Vector, *p: float) -> Any:
        return curve.call(np.exp, x, *p)

    def work() -> None:
        for at, values in zip(x, y, strict=True):
            curve_fit(model, at, values, start)

    return work


def with_lmfit(curve: Curve, groups: Groups, count: int) -> Callable[[], None]:
    """Return lmfit on the first groups in a loop, its model and parameters made once."""
    import lmfit  # type: ignore[import-untyped]  # it has no types

    x, y = _cut(groups, count), _cut(groups, count, target=True)
    names = ", ".join(curve.start)
    space: dict[str, Any] = {"call": curve.call, "exp": np.exp}
    exec(f"def model(x, {names}): return call(exp, x, {names})", space)  # noqa: S102 - lmfit asks for names
    model = lmfit.Model(space["model"])
    parameters = model.make_params(**curve.start)

    def work() -> None:
        for at, values in zip(x, y, strict=True):
            model.fit(values, parameters, x=at)

    return work


def _cut(groups: Groups, count: int, *, target: bool = False) -> list[Vector]:
    column = np.asarray(groups.rows.target if target else groups.rows.inputs["x"])
    return [column[groups.offsets[g] : groups.offsets[g + 1]] for g in range(count)]


def limit(curve: Curve, evaluations: float, rows: int) -> float:
    """Return fits per second that one core could make if a fit were its model and one sum over rows, so often evaluated."""
    lanes, repeats = 128, 400
    theta = jnp.asarray(np.tile(np.array(list(curve.start.values()))[:, None], (1, lanes)))
    x = jnp.asarray(np.linspace(*curve.span, rows)[:, None] * np.ones(lanes))

    @jax.jit
    def work(theta: Any, x: Any) -> Any:
        def once(_: int, total: Any) -> Any:
            return (curve.call(jnp.exp, x, *(theta + 1e-30 * total)) ** 2).sum(axis=0)

        return lax.fori_loop(0, repeats, once, jnp.zeros(lanes))

    work(theta, x).block_until_ready()
    best = min(seconds(lambda: work(theta, x).block_until_ready()) for _ in range(9))
    return lanes * repeats / best / evaluations


def speed(count: int, rounds: int) -> bool:
    """Time both curves beside scipy and lmfit; return whether the bounds hold."""
    cores, kept = os.cpu_count() or 1, True
    for curve in (PEAK, DECAY):
        problem, groups = table(curve, np.full(count, 50))
        others: dict[str, tuple[int, Callable[[], None], int]] = {
            "scipy curve_fit": (300, with_scipy(curve, groups, 300), SCIPY_FACTOR)
        }
        if importlib.util.find_spec("lmfit") is not None:
            others["lmfit"] = (30, with_lmfit(curve, groups, 30), LMFIT_FACTOR)
        fit = fitted(problem, groups)
        times: dict[str, list[float]] = {name: [] for name in ("fitkit", *others)}
        for _ in range(rounds):
            times["fitkit"].append(seconds(lambda: fitted(problem, groups)) / count)  # noqa: B023 - called at once
            for name, (sample, work, _) in others.items():
                times[name].append(seconds(work) / sample)
        ours = median(times["fitkit"])
        rows = [(name, f"{1 / median(each):,.0f}", f"{median(each) / ours:.1f}") for name, each in times.items()]
        print(f"\n{count:,} {curve.name}, 50 points, {cores} cores; {fit.converged.mean():.2%} converged")
        print_table(("", "fits/s", "times as long as fitkit"), rows)
        best = limit(curve, fit.evaluations / count, 50)
        print(f"the model and one sum alone: {best:,.0f} fits/s a core; share reached: {1 / ours / cores / best:.0%}")
        for name, (_, _, factor) in others.items():
            kept &= _bound(f"{name} takes at least {factor} times as long", median(times[name]) / ours >= factor)
    return kept


def _bound(words: str, holds: bool) -> bool:  # noqa: FBT001 - a verdict
    print(f"{'kept  ' if holds else 'MISSED'} {words}")
    return holds


# -- agreement --------------------------------------------------------------------------------------------------------------


def agreement(count: int = 500) -> bool:
    """Compare each of some groups with a fit of it alone."""
    kept = True
    for curve in (PEAK, DECAY):
        problem, groups = table(curve, np.full(count, 50))
        fit = fitted(problem, groups)
        value = error = 0.0
        same = 0
        for group in range(count):
            alone = ALONE(problem_of(problem, groups, group), groups.start[group])
            same += int(fit.reason[group]) == int(alone.reason)
            value = max(value, float(np.max(np.abs(fit.values[group] / alone.values - 1))))
            error = max(error, float(np.max(np.abs(fit.errors[group] / alone.errors - 1))))
        print(f"\n{count} {curve.name} against single fits: {same} statuses the same")
        kept &= _bound(f"parameters to 1e-8: {value:.1e}", value <= 1e-8)
        kept &= _bound(f"standard errors to 1e-6: {error:.1e}", error <= 1e-6)
        kept &= _bound("statuses match", same == count)
    return kept


# -- growth -----------------------------------------------------------------------------------------------------------------


def growth(rounds: int, *, million: bool) -> bool:
    """Time tables of growing size."""
    speeds, rows = [], []
    for count in (1_000, 10_000, 100_000, *((1_000_000,) if million else ())):
        problem, groups = table(PEAK, np.full(count, 50))
        with Memory() as memory:
            fitted(problem, groups)
        best = median(seconds(lambda: fitted(problem, groups)) for _ in range(rounds if count < 10**6 else 1))  # noqa: B023 - called at once
        rows.append((f"{count:,}", f"{best:.3f}", f"{count / best:,.0f}", f"{memory.beyond:.2f}"))
        speeds += [count / best] if count >= 10_000 else []
    print("\nGaussian peaks, 50 points")
    print_table(("groups", "s", "fits/s", "GiB beyond the table"), rows)
    kept = _bound(f"fits/s within {GROWTH} from 10,000 groups on", max(speeds) <= GROWTH * min(speeds))
    return (
        _bound(f"less than {MEMORY} GiB beyond a million groups", memory.beyond < MEMORY) if million else True
    ) and kept


@final
class Memory:
    """The most memory that this process has meanwhile, in GiB beyond what it had, looked at a hundred times a second."""

    def __enter__(self) -> Memory:
        self.beyond, self._before, self._over = 0.0, self._now(), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.01):
            self.beyond = max(self.beyond, self._now() - self._before)

    @staticmethod
    def _now() -> float:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() / 2**30


def lengths(rounds: int, count: int = 20_000) -> bool:
    """Time unequal groups beside equal ones of the same number and the same rows in all."""
    random = np.random.default_rng(2)
    ragged = np.exp(random.uniform(np.log(3), np.log(500), count)).astype(np.int64)
    equal = np.full(count, round(ragged.mean()))
    tables = {"equal": table(PEAK, equal), "unequal": table(PEAK, ragged)}
    fits = {name: fitted(*each) for name, each in tables.items()}
    times: dict[str, list[float]] = {name: [] for name in tables}
    for _ in range(rounds):
        for name, (problem, groups) in tables.items():
            times[name].append(seconds(lambda: fitted(problem, groups)))  # noqa: B023 - called at once
    rows = [
        (
            name,
            f"{median(times[name]):.3f}",
            f"{tables[name][1].offsets[-1]:,}",
            f"{fit.converged.mean():.2%}",
            fit.alone,
        )
        for name, fit in fits.items()
    ]
    print(f"\n{count:,} Gaussian peaks of 3 to 500 points")
    print_table(("lengths", "s", "rows", "converged", "fitted alone"), [tuple(map(str, row)) for row in rows])
    ratio = median(times["unequal"]) / median(times["equal"])
    return _bound(f"unequal lengths take at most {RAGGED} times as long: {ratio:.2f}", ratio <= RAGGED)


def together(rounds: int, *, large: bool) -> bool:
    """Time global fits of growing size, 2 shared and 3 local parameters, 40 rows."""
    rows, costs = [], []
    for count in (2_000, 20_000, *((100_000,) if large else ())):
        problem, groups = table(TWO_DECAYS, np.full(count, 40), noise=0.05, shared=("k1", "k2"))
        fit = fitted(problem, groups)
        best = median(seconds(lambda: fitted(problem, groups)) for _ in range(max(1, rounds // 2)))  # noqa: B023 - called at once
        if fit.shared is None:
            raise AssertionError("a global fit shares")
        cost = best / count / fit.shared.steps * 1e6
        costs.append(cost)
        rows.append((f"{count:,}", f"{best:.2f}", str(fit.shared.steps), f"{cost:.2f}", fit.shared.reason.word))
    print("\nglobal fits, 2 shared and 3 local parameters, 40 rows")
    print_table(("groups", "s", "steps", "us a group and step", "reason"), rows)
    return _bound("time is linear in the groups", max(costs[1:]) <= 1.5 * costs[0])


PARTS = ("speed", "agreement", "growth", "lengths", "together")


def main() -> int:
    """Run what is asked for and return the exit code."""
    parser = argparse.ArgumentParser(description="Time many fits at once.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--groups", type=int, default=10_000)
    parser.add_argument("--million", action="store_true", help="also a million groups, and 100,000 in a global fit")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    run: dict[str, Callable[[], bool]] = {
        "speed": lambda: speed(asked.groups, asked.rounds),
        "agreement": agreement,
        "growth": lambda: growth(asked.rounds, million=asked.million),
        "lengths": lambda: lengths(asked.rounds),
        "together": lambda: together(asked.rounds, large=asked.million),
    }
    kept = [run[part]() for part in asked.only]  # all of them, also after one that missed
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
