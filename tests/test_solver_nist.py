"""NIST's nonlinear problems: digits that are right, digits that are claimed, and verdicts that no unit and no limit bends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitting import assembled, fit
from nist_problems import (
    CERTIFIED,
    RUNS,
    Vector,
    digits_of_each,
    in_units,
    optimum,
    printed_digits,
    solved,
    solved_alone,
)
from scipy import optimize

from fitkit.optimizers.least_squares import LeastSquares
from fitkit.problem import Problem

UNITS = {
    "parameters * 1e8": (1e8, 1e8, 1.0),
    "parameters * 1e-8": (1e-8, 1e-8, 1.0),
    "parameters * 1e8 and 1e-8": (1e8, 1e-8, 1.0),
    "data * 1e8": (1.0, 1.0, 1e8),
    "data * 1e-8": (1.0, 1.0, 1e-8),
}
"""The units of every other parameter, of the rest, and of the data."""


@pytest.mark.parametrize(("name", "start"), RUNS)
def test_ten_digits_of_the_minimum_and_nine_of_the_errors(name: str, start: str) -> None:
    found = solved(name, start)
    assert found.verdict[:2] == ("converged", 0), found.result.message
    assert digits_of_each(found.values, optimum(name)).min() >= 10
    # The residuals of Lanczos1 are the rounding of its data: in double precision their scatter has two or three digits.
    least = 1.5 if name == "Lanczos1" else 9
    assert digits_of_each(found.errors, np.array(CERTIFIED[name]["certified_std"])).min() >= least


@pytest.mark.parametrize(("name", "start"), RUNS)
def test_printed_digits_are_never_more_than_one_too_many(name: str, start: str) -> None:
    found = solved(name, start)
    assert (printed_digits(found) - digits_of_each(found.values, optimum(name))).max() <= 1


def test_printed_digits_of_the_worst_parameter_are_close_to_the_truth() -> None:
    """An estimate that is safe because it is always low says nothing."""
    apart = []
    for run in RUNS:
        found = solved_alone(*run)
        apart.append(printed_digits(found).min() - digits_of_each(found.values, optimum(run[0])).min())
    assert np.count_nonzero(np.abs(apart) <= 1) >= 38


@pytest.mark.parametrize("most_steps", [1, 3, 5, 10, 20, 40])
@pytest.mark.parametrize("name", CERTIFIED)
def test_stopped_early_nothing_is_claimed_that_is_not_so(name: str, most_steps: int) -> None:
    for start in ("start1", "start2"):
        found = solved(name, start, most_steps)
        if found.result.status != "converged":
            assert found.result.reason != "not_identified"  # every one of NIST's minima is strict
            assert np.isnan(printed_digits(found)).all()
            continue
        right = digits_of_each(found.values, optimum(name))
        assert right.min() >= 6
        assert (printed_digits(found) - right).max() <= 1


@pytest.mark.parametrize("name", ["Misra1a", "Lanczos1", "Gauss2", "Nelson", "MGH09", "MGH17", "BoxBOD", "Bennett5"])
def test_no_unit_changes_a_verdict(name: str) -> None:
    for start in ("start1", "start2"):
        plain, begin = solved(name, start), CERTIFIED[name][start]
        for odd, even, of_data in UNITS.values():
            units = np.where(np.arange(len(begin)) % 2, odd, even)
            found = fit(in_units(name, begin, units.tolist(), of_data))
            values = found.values[: len(begin)] * units
            assert found.verdict[:2] == plain.verdict[:2]
            assert found.result.evidence is not None
            assert found.result.evidence.minimum == "strict"
            assert digits_of_each(values, optimum(name)).min() >= 10


def jittered(name: str, start: str) -> Vector:
    """Return three starts within about a fifth of one of NIST's, shape (3, parameters)."""
    random = np.random.default_rng([RUNS.index((name, start)), 20])
    begin = np.array(CERTIFIED[name][start])
    return begin * (1 + 0.2 * random.standard_normal((3, len(begin))))


def minpack(problem: Problem, start: Vector) -> float:
    """Return the sum of squares that MINPACK's `lmder` ends at, with exact derivatives and tight tolerances."""
    squares = LeastSquares(problem)

    def columns(theta: Any) -> Vector:
        return np.concatenate(list(squares.columns(np.asarray(theta))), axis=1)

    def residuals(theta: Any) -> Vector:
        return np.asarray(columns(theta)[-1])

    def jacobian(theta: Any) -> Vector:
        return np.asarray(columns(theta)[:-1].T)

    with np.errstate(all="ignore"):
        found = optimize.least_squares(
            residuals,
            start,
            jac=jacobian,
            method="lm",
            x_scale="jac",
            ftol=1e-14,
            xtol=1e-14,
            gtol=1e-15,
        )
    return 2 * float(found.cost)


def reached(name: str, start: str) -> tuple[int, int]:
    """Return from how many of the jittered starts fitkit and MINPACK end at the certified sum of squares."""
    certified, ours, theirs = CERTIFIED[name], 0, 0
    for begin in jittered(name, start):
        config = in_units(name, begin.tolist(), [1.0] * len(begin), 1.0)
        problem = assembled(config).problem
        if problem.rows is None:
            raise AssertionError("NIST's problems have rows")
        rounding = (100 * np.finfo(float).eps) ** 2 * float(np.sum(np.asarray(problem.rows.target) ** 2))
        enough = certified["residual_sum_of_squares"] * (1 + 1e-6) + rounding
        summary = fit(config).result.fit
        ours += summary is not None and summary.rss is not None and summary.rss <= enough
        theirs += minpack(problem, begin) * len(problem.rows) <= enough
    return ours, theirs


def test_from_jittered_starts_at_least_as_many_minima_as_minpack() -> None:
    counts = [reached(name, start) for name, start in RUNS if name in {"MGH17", "BoxBOD", "Eckerle4", "MGH09", "Rat43"}]
    ours, theirs = np.sum(counts, axis=0)
    assert ours >= theirs
