"""Two hundred bounded problems with one minimum each: the loss is never above what the best of scipy's two methods finds.

Row i predicts z + k z³ / 10 with z = u_i . theta and 0 <= k <= 1. Half the second derivative of its squared residual by z is

    (1 + 0.3 k z²)² + 0.6 k z (z + 0.1 k z³ - y)  >=  1 + 1.2 k z² - 0.6 k |z| |y|,

which is above zero wherever |y| < 3.65. So with |y| <= 3.5 and columns of full rank the sum of squares is strictly convex, and
has one minimum in any box.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, final

import numpy as np
import pytest
from fitting import assembled, column
from numpy.typing import NDArray
from scipy import optimize

from fitkit.backend import array
from fitkit.minimize import Search, Watch, minimize
from fitkit.optimizers import Optimizer, Stopping
from fitkit.optimizers.lbfgs import LimitedMemoryBFGS
from fitkit.optimizers.lm import LevenbergMarquardt
from fitkit.optimizers.newton import Newton
from fitkit.optimizers.stopping import CLAIMS
from fitkit.problem import Problem

Array = NDArray[np.float64]

COUNT, ROWS, NAMES = 200, 14, "abcde"
LARGEST_TARGET = 3.5


@final
@dataclass(frozen=True, kw_only=True)
class Bounded:
    """A problem in numpy."""

    design: Array
    """Shape (rows, 5)."""
    target: Array
    bend: float
    lower: Array
    upper: Array
    start: Array
    """Inside the box."""

    def residuals(self, theta: Any) -> Array:
        z = self.design @ np.asarray(theta)
        return np.asarray(z + self.bend * z**3 / 10 - self.target)

    def jacobian(self, theta: Any) -> Array:
        z = self.design @ np.asarray(theta)
        return np.asarray(self.design * (1 + 0.3 * self.bend * z**2)[:, None])

    def loss(self, theta: Array) -> float:
        residuals = self.residuals(theta)
        return float(residuals @ residuals) / ROWS


def draw(number: int) -> Bounded:
    """Return a problem with columns of unlike sizes, some of them nearly alike, and a box that often leaves the minimum out."""
    random = np.random.default_rng([number, 44])
    design = random.standard_normal((ROWS, len(NAMES)))
    design[:, 1] = design[:, 0] + 10 ** random.uniform(-3, 0.5) * design[:, 1]
    truth = random.standard_normal(len(NAMES))
    z = design @ truth
    bend = random.choice([0.0, 0.3, 1.0])
    target = np.clip(z + bend * z**3 / 10 + 0.3 * random.standard_normal(ROWS), -LARGEST_TARGET, LARGEST_TARGET)
    width = 10 ** random.uniform(-2, 1, len(NAMES))
    lower = truth + width * random.uniform(-1.5, 0.5, len(NAMES))
    upper = lower + width
    start = lower + width * random.uniform(0.05, 0.95, len(NAMES))
    unit = 10 ** random.uniform(-4, 4, len(NAMES))
    return Bounded(
        design=design / unit,
        target=target,
        bend=float(bend),
        lower=np.where(random.random(len(NAMES)) < 0.2, -np.inf, lower * unit),
        upper=np.where(random.random(len(NAMES)) < 0.2, np.inf, upper * unit),
        start=start * unit,
    )


@cache
def drawn() -> tuple[Bounded, ...]:
    return tuple(draw(number) for number in range(COUNT))


@cache
def template() -> Problem:
    """Return a problem of the same structure, so that one program serves all."""
    z = "(" + " + ".join(f"{name} * u{name}" for name in NAMES) + ")"
    columns = {f"u{name}": column(np.arange(ROWS) ** 0.5) for name in NAMES}
    found = assembled({
        "data": {"values": {**columns, "y": column(np.ones(ROWS))}},
        "model": f"y ~ {z} + k * {z}**3 / 10",
        "parameters": {**dict.fromkeys(NAMES, 0), "k": {"start": 0.5, "fixed": True}},
    })  # fmt: skip
    return found.problem


def stated(bounded: Bounded) -> Problem:
    problem = template()
    if problem.rows is None:
        raise AssertionError("the template has rows")
    inputs: dict[Any, Any] = {f"u{name}": array(bounded.design[:, j], "float64") for j, name in enumerate(NAMES)}
    return replace(
        problem,
        held={"k": array(bounded.bend, "float64")},
        lower=array(bounded.lower, "float64"),
        upper=array(bounded.upper, "float64"),
        rows=replace(problem.rows, inputs=inputs, target=array(bounded.target, "float64")),
    )


@cache
def best_of_scipy(number: int) -> float:
    """Return the lower of the losses that scipy's `trf` and `dogbox` end at, with tolerances as tight as they go."""
    bounded = drawn()[number]

    def ends() -> Iterator[float]:
        for method in ("trf", "dogbox"):
            found: Any = optimize.least_squares(
                bounded.residuals, bounded.start, bounded.jacobian, (bounded.lower, bounded.upper),
                method=method, x_scale="jac", ftol=1e-15, xtol=1e-15, gtol=1e-15, max_nfev=300,
            )  # fmt: skip
            yield bounded.loss(np.asarray(found.x))

    return min(ends())


def solved(bounded: Bounded, optimizer: Optimizer) -> Search:
    return minimize(stated(bounded), optimizer, Stopping(), bounded.start, watch=Watch())


@pytest.mark.parametrize(
    "optimizer",
    [
        LevenbergMarquardt(),
        Newton(),
        LimitedMemoryBFGS(),
    ],
    ids=lambda one: one.kind,
)
def test_no_loss_is_above_the_best_of_scipy(optimizer: Optimizer) -> None:
    worse, unsure = {}, []
    for number, bounded in enumerate(drawn()):
        found = solved(bounded, optimizer)
        assert (found.theta >= bounded.lower).all()
        assert (found.theta <= bounded.upper).all()
        excess = bounded.loss(found.theta) / best_of_scipy(number) - 1
        if excess > 1e-8:
            worse[number] = excess
        if found.reason not in CLAIMS:
            unsure.append(number)
    assert (worse, unsure) == ({}, [])
