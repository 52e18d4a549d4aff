"""Classical problems of unconstrained least squares: the published minimum, or a status that does not claim one.

Source of the problems, their starts and minima: J. J. Moré, B. S. Garbow and K. E. Hillstrom, Testing Unconstrained
Optimization Software, ACM Transactions on Mathematical Software 7 (1981) 17-41; the numbers in the names are theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest
from fitting import Fit, column, fit, right_digits
from scipy import optimize

ZERO = 1e-14
"""A sum of squares that counts as zero beside terms of size one."""
SIX_DIGITS = 1e-5
"""The paper prints six digits, and rounds some of them down."""


@final
@dataclass(frozen=True, kw_only=True)
class Classical:
    """A problem, where it starts, and its published minima as sums of squares."""

    residual: str
    """A formula of the columns and x1, x2, ..., or the name of a function in `classical_models`."""
    columns: dict[str, Any]
    start: Sequence[float]
    minima: tuple[float, ...]
    """The lowest first; then the local minima that the paper, or NIST, tells of."""
    at: Sequence[float] | None = None
    """The lowest minimum where it is known in closed form."""
    flat: bool = False
    """Whether the minimum has a direction without curvature."""


def one_each(*residuals: str) -> str:
    """Return a formula whose row i is the i-th residual."""
    formula = residuals[-1]
    for i in range(len(residuals) - 1, 0, -1):
        formula = f"where(i == {i}, {residuals[i - 1]}, {formula})"
    return formula


def numbers(count: int) -> dict[str, Any]:
    return {"i": np.arange(1.0, count + 1)}


I15, I20, I33, I65 = (np.arange(1.0, count + 1) for count in (15, 20, 33, 65))
BARD = [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39]
GAUSSIAN = [0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521]
MEYER = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872]
KOWALIK_U = [4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625]
KOWALIK_Y = [0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246]
OSBORNE_1 = [
    0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658, 0.628, 0.603, 0.580,
    0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406,
]  # fmt: skip
OSBORNE_2 = [
    1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608, 0.655, 0.616, 0.606, 0.602,
    0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661, 0.612, 0.558, 0.533, 0.495, 0.500, 0.423, 0.395, 0.375,
    0.372, 0.391, 0.396, 0.405, 0.428, 0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668, 0.645, 0.632, 0.591,
    0.559, 0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098, 0.054,
]  # fmt: skip
POWELL = optimize.brentq(lambda x: np.exp(-1e-4 / x) + np.exp(-x) - 1.0001, 5, 15, xtol=1e-15, rtol=1e-15)
TENTHS = np.arange(1.0, 14) / 10
GULF = np.arange(1.0, 11) / 100

PROBLEMS: dict[str, Classical] = {
    "2 Freudenstein and Roth": Classical(
        residual=one_each("-13 + x1 + ((5 - x2) * x2 - 2) * x2", "-29 + x1 + ((x2 + 1) * x2 - 14) * x2"),
        columns=numbers(2), start=[0.5, -2], minima=(0, 48.9842536792), at=[5, 4],
    ),
    "3 Powell badly scaled": Classical(
        residual=one_each("1e4 * x1 * x2 - 1", "exp(-x1) + exp(-x2) - 1.0001"),
        columns=numbers(2), start=[0, 1], minima=(0,), at=[1e-4 / POWELL, POWELL],
    ),
    "4 Brown badly scaled": Classical(
        residual=one_each("x1 - 1e6", "x2 - 2e-6", "x1 * x2 - 2"),
        columns=numbers(3), start=[1, 1], minima=(0,), at=[1e6, 2e-6],
    ),
    "5 Beale": Classical(
        residual="y - x1 * (1 - x2**i)",
        columns={**numbers(3), "y": [1.5, 2.25, 2.625]}, start=[1, 1], minima=(0,), at=[3, 0.5],
    ),
    "6 Jennrich and Sampson": Classical(
        residual="2 + 2 * i - exp(i * x1) - exp(i * x2)", columns=numbers(10), start=[0.3, 0.4], minima=(124.362182356,),
    ),
    "7 helical valley": Classical(
        residual="helical_valley", columns=numbers(3), start=[-1, 0, 0], minima=(0,), at=[1, 0, 0]
    ),
    "8 Bard": Classical(
        residual="y - (x1 + u / (v * x2 + w * x3))",
        columns={"y": BARD, "u": I15, "v": 16 - I15, "w": np.minimum(I15, 16 - I15)},
        start=[1, 1, 1], minima=(8.21487730658e-3,),
    ),
    "9 Gaussian": Classical(
        residual="x1 * exp(-x2 * (t - x3)**2 / 2) - y",
        columns={"y": [*GAUSSIAN, 0.3989, *GAUSSIAN[::-1]], "t": (8 - I15) / 2}, start=[0.4, 1, 0], minima=(1.12793276962e-8,),
    ),
    "10 Meyer": Classical(
        residual="x1 * exp(x2 / (t + x3)) - y",
        columns={"y": MEYER, "t": 45 + 5 * np.arange(1.0, 17)}, start=[0.02, 4000, 250], minima=(87.9458551713,),
    ),
    "11 Gulf research and development": Classical(
        residual="exp(-abs(y - x2)**x3 / x1) - t",
        columns={"t": GULF, "y": 25 + (-50 * np.log(GULF)) ** (2 / 3)}, start=[5, 2.5, 0.15], minima=(0,), at=[50, 25, 1.5],
    ),
    "12 Box three-dimensional": Classical(
        residual="exp(-t * x1) - exp(-t * x2) - x3 * (exp(-t) - exp(-10 * t))",
        columns={"t": TENTHS[:10]}, start=[0, 10, 20], minima=(0,), at=[1, 10, 1],
    ),
    "13 Powell singular": Classical(
        residual="powell_singular", columns=numbers(4), start=[3, -1, 0, 1], minima=(0,), flat=True
    ),
    "14 Wood": Classical(
        residual="wood", columns=numbers(6), start=[-3, -1, -3, -1], minima=(0,), at=[1, 1, 1, 1]
    ),
    "15 Kowalik and Osborne": Classical(
        residual="y - x1 * (u**2 + u * x2) / (u**2 + u * x3 + x4)",
        columns={"y": KOWALIK_Y, "u": KOWALIK_U}, start=[0.25, 0.39, 0.415, 0.39], minima=(3.07505603849e-4,),
    ),
    "16 Brown and Dennis": Classical(
        residual="(x1 + t * x2 - exp(t))**2 + (x3 + x4 * sin(t) - cos(t))**2",
        columns={"t": I20 / 5}, start=[25, 5, -5, -1], minima=(85822.2016264,),
    ),
    "17 Osborne 1": Classical(
        residual="y - (x1 + x2 * exp(-t * x4) + x3 * exp(-t * x5))",
        columns={"y": OSBORNE_1, "t": 10 * (I33 - 1)}, start=[0.5, 1.5, -1, 0.01, 0.02], minima=(5.46489469748e-5,),
    ),
    "18 Biggs EXP6": Classical(
        residual="x3 * exp(-t * x1) - x4 * exp(-t * x2) + x6 * exp(-t * x5) - y",
        columns={"t": TENTHS, "y": np.exp(-TENTHS) - 5 * np.exp(-10 * TENTHS) + 3 * np.exp(-4 * TENTHS)},
        start=[1, 2, 1, 1, 1, 1], minima=(0, 5.65564992550e-3),
    ),
    "19 Osborne 2": Classical(
        residual="y - (x1 * exp(-t * x5) + x2 * exp(-(t - x9)**2 * x6) + x3 * exp(-(t - x10)**2 * x7)"
        " + x4 * exp(-(t - x11)**2 * x8))",
        columns={"y": OSBORNE_2, "t": (I65 - 1) / 10},
        start=[1.3, 0.65, 0.65, 0.7, 0.6, 3, 5, 7, 2, 4.5, 5.5], minima=(4.01377362935e-2,),
    ),
    "20 Watson 6": Classical(residual="watson", columns=numbers(31), start=[0] * 6, minima=(2.28767005355e-3,)),
    "20 Watson 9": Classical(residual="watson", columns=numbers(31), start=[0] * 9, minima=(1.39976e-6,)),
    "25 variably dimensioned": Classical(
        residual="variably_dimensioned", columns=numbers(12), start=[1 - j / 10 for j in range(1, 11)], minima=(0,), at=[1] * 10
    ),
    "26 trigonometric": Classical(
        residual="trigonometric", columns=numbers(10), start=[0.1] * 10, minima=(0, 2.79506e-5)
    ),
    "27 Brown almost linear": Classical(
        residual="brown_almost_linear", columns=numbers(10), start=[0.5] * 10, minima=(0, 1.0)
    ),
    "35 Chebyquad 8": Classical(
        residual="chebyquad", columns=numbers(8), start=[j / 9 for j in range(1, 9)], minima=(3.51687e-3,)
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _beside_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)


def solve(problem: Classical, optimizer: str) -> Fit:
    values = {name: column(numbers) for name, numbers in problem.columns.items()}
    count = len(next(iter(values.values())))
    config: dict[str, Any] = {
        "data": {"values": {**values, "none": [0.0] * count}},
        "parameters": {f"x{j + 1}": float(start) for j, start in enumerate(problem.start)},
        "optimizer": optimizer,
    }
    if " " in problem.residual:
        return fit({**config, "model": f"none ~ {problem.residual}"})
    model = {"kind": "python", "function": f"classical_models.py:{problem.residual}", "inputs": ["i"], "target": "none"}
    return fit({**config, "model": model})


def is_minimum(found: Fit, minima: Sequence[float]) -> bool:
    """Return whether the sum of squares is one of the published ones."""
    summary = found.result.fit
    if summary is None or summary.rss is None:
        return False
    return any(abs(summary.rss - one) <= max(SIX_DIGITS * one, ZERO) for one in minima)


STRICT = [name for name, problem in PROBLEMS.items() if not problem.flat]
SMALL = [name for name in STRICT if len(PROBLEMS[name].start) < 7]


@pytest.mark.parametrize("name", STRICT)
def test_the_published_minimum_is_found(name: str) -> None:
    found = solve(PROBLEMS[name], "lm")
    assert found.verdict[:2] == ("converged", 0), found.result.message
    assert is_minimum(found, PROBLEMS[name].minima)
    assert found.result.evidence is not None
    assert found.result.evidence.minimum == "strict"
    at = PROBLEMS[name].at
    if at is not None and is_minimum(found, [0]):
        assert right_digits(found.values, at) >= 12


@pytest.mark.parametrize(
    ("optimizer", "name"), [*(("newton", name) for name in STRICT), *(("lbfgs", name) for name in SMALL)]
)
def test_only_a_published_minimum_is_claimed(optimizer: str, name: str) -> None:
    found = solve(PROBLEMS[name], optimizer)
    if found.result.status != "converged":
        assert name == "18 Biggs EXP6"  # where two of its exponentials become one, along a valley without a floor
        assert found.result.exit_code == 4
        return
    assert is_minimum(found, PROBLEMS[name].minima)
    at = PROBLEMS[name].at
    if at is None or not is_minimum(found, [0]):
        return
    for parameter, truth in zip(found.result.parameters.values(), at, strict=True):
        right = right_digits([parameter.value], [truth])
        assert right >= 6
        assert parameter.digits is None or parameter.digits <= right + 1 or right == 16


@pytest.mark.parametrize("optimizer", ["lm", "newton", "lbfgs"])
def test_the_singular_minimum_is_reached_and_called_degenerate(optimizer: str) -> None:
    found = solve(PROBLEMS["13 Powell singular"], optimizer)
    assert found.verdict[:2] == ("converged", 0), found.result.message
    assert "degenerate" in found.result.message
    assert found.result.evidence is not None
    assert found.result.evidence.minimum == "degenerate"
    assert np.abs(found.values).max() < 1e-6
    assert np.isnan(found.errors).all()
