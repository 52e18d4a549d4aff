"""The compiled search of Levenberg-Marquardt ends as its steps on the host do, and leaves to them what it cannot do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitting import Fit, assembled, fit
from nist_problems import CERTIFIED, digits_of_each, in_units, optimum, printed_digits
from verdict_cases import CASES

from fitkit.backend import array
from fitkit.minimize import Search, Watch, minimize, stop_rule
from fitkit.optimizers import Stopping
from fitkit.optimizers.bound_rows import BoundRows
from fitkit.optimizers.compiled_search import CompiledSearch
from fitkit.optimizers.exact_newton import shaken
from fitkit.optimizers.least_squares import LeastSquares
from fitkit.optimizers.lm import LevenbergMarquardt
from fitkit.optimizers.row_kernels import residual_curvature
from fitkit.optimizers.stopping import Reason
from fitkit.optimizers.stretch import Stretch

DECAY = {
    "data": {"values": {"x": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0], "y": [5.1, 3.0, 1.9, 1.2, 0.6, 0.5]}},
    "model": "y ~ a * exp(-k * x)",
    "parameters": {"a": 1.0, "k": 0.1},
}


@pytest.fixture
def stretches(monkeypatch: pytest.MonkeyPatch) -> list[Stretch]:
    """Compile every search that can be compiled, and tell the calls of the program."""
    found: list[Stretch] = []
    run = CompiledSearch._run

    def told(self: CompiledSearch, *given: Any) -> Stretch:
        found.append(run(self, *given))
        return found[-1]

    monkeypatch.setattr("fitkit.optimizers.compiled_search.SEARCHES_BEFORE", 0)
    monkeypatch.setattr(CompiledSearch, "_run", told)
    return found


def on_host(config: dict[str, Any]) -> Fit:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fitkit.optimizers.compiled_search.SEARCHES_BEFORE", 1000)
        return fit(config)


@pytest.mark.parametrize(
    ("name", "start", "calls"),
    [
        ("MGH17", "start1", 2),  # begins where the Jacobian is singular
        ("MGH10", "start1", 4),  # takes many turns
        ("Lanczos1", "start2", 1),  # has residuals of rounding size
        ("Eckerle4", "start1", 1),
    ],
)
def test_nist_ends_as_certified(name: str, start: str, calls: int, stretches: list[Stretch]) -> None:
    config = in_units(name, CERTIFIED[name][start], [1.0] * len(optimum(name)), 1.0)
    found, host = fit(config), on_host(config)
    assert len(stretches) >= calls
    # Whether slope or step is the first to be small enough is up to rounding.
    assert found.verdict[:2] == host.verdict[:2] == ("converged", 0)
    size = len(optimum(name))
    right = digits_of_each(found.values[:size], optimum(name))
    assert right.min() >= 10
    assert (printed_digits(found)[:size] - right).max() <= 1
    assert found.errors[:size] == pytest.approx(host.errors[:size], rel=1e-9 if name != "Lanczos1" else 1e-2)


@pytest.mark.parametrize(
    "name",
    [
        "a product",
        "a minimum at a bound",
        "no amplitude, no rate",
        "an exponential that is gone",
        "a saddle of squares",
        "the edge of a logarithm",
        "squares that overflow",
    ],
)
def test_a_fit_ends_as_on_the_host(name: str, stretches: list[Stretch]) -> None:
    config = CASES[name].config("lm")
    found, host = fit(config), on_host(config)
    assert stretches
    assert found.verdict == host.verdict
    assert found.result.message.split(":")[0].split(" in ")[0] == host.result.message.split(":")[0].split(" in ")[0]


def searched(config: dict[str, Any], watch: Watch, **stopping: Any) -> Search:
    found = assembled(config)
    return minimize(found.problem, LevenbergMarquardt(), Stopping(**stopping), found.start, watch=watch)


def test_the_history_is_that_of_the_host(stretches: list[Stretch]) -> None:
    shown: list[int] = []
    found = searched(DECAY, Watch(show=lambda row: shown.append(row.step)))
    assert len(stretches) == 1
    host = on_host(DECAY)
    assert [row.step for row in found.history] == shown == list(range(found.steps + 1))
    assert found.steps == host.result.steps
    together = min(len(host.rows), 6)
    for ours, theirs in zip(found.history[:together], host.rows[:together], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6, nan_ok=True)
    assert found.reason is Reason.GRADIENT_SMALL


@pytest.mark.parametrize("most", [0, 1, 3])
def test_no_more_steps_are_made_than_allowed(most: int, stretches: list[Stretch]) -> None:
    found = searched(DECAY, Watch(), max_steps=most)
    assert stretches
    assert (found.reason, found.steps) == (Reason.MAX_STEPS, most)


def test_it_can_be_interrupted(stretches: list[Stretch]) -> None:
    config = in_units("MGH10", CERTIFIED["MGH10"]["start1"], [1.0] * 3, 1.0)
    found = searched(config, Watch(interrupted=lambda: len(stretches) == 2))
    assert found.reason is Reason.INTERRUPTED
    assert 0 < found.steps < 700


def test_the_first_searches_of_a_structure_do_not_wait_for_the_compilation() -> None:
    search = LevenbergMarquardt()
    rule = stop_rule(search, Stopping())
    config = DECAY | {"model": "y ~ b * exp(-r * x)", "parameters": {"b": 1.0, "r": 0.1}}
    compiled = [search.compiled(assembled(config).problem, rule) for _ in range(3)]
    assert [one is None for one in compiled] == [True, True, False]


def test_the_rounding_of_the_residuals_is_measured_as_on_the_host(stretches: list[Stretch]) -> None:
    config = in_units("Thurber", CERTIFIED["Thurber"]["start1"], [1.0] * 7, 1.0)
    problem = assembled(config).problem
    theta = minimize(problem, LevenbergMarquardt(), Stopping(), assembled(config).start, watch=Watch()).theta
    assert len(stretches) == 1
    kept, squares = BoundRows.of(problem), LeastSquares(problem)
    assert kept.shaken is not None
    (at, compiled), kept.shaken = kept.shaken, None
    assert at == theta.tobytes()
    (host,) = shaken(squares, theta, squares.linearize(theta))
    assert 0.25 < np.linalg.norm(compiled) / np.linalg.norm(host) < 4


@pytest.mark.parametrize(
    "name", ["Eckerle4", "ENSO", "Hahn1"]
)  # all pairs of parameters, a seventh, two thirds of them
def test_the_curvature_is_that_of_the_hessian_of_each_residual(name: str, stretches: list[Stretch]) -> None:
    start = CERTIFIED[name]["start2"]
    problem, theta = assembled(in_units(name, start, [1.0] * len(start), 1.0)).problem, np.array(start)
    found = CompiledSearch(problem, stop_rule(LevenbergMarquardt(), Stopping()), 1e-3).curvature(theta)
    squares = LeastSquares(problem)
    residuals = next(iter(squares.columns(theta)))[-1]
    hessian = np.asarray(residual_curvature.light(problem, array(theta, float), array(residuals, float), squares.rows))
    assert len(stretches) == 1
    scale = squares.linearize(theta).column_norms
    for each in (found, squares.curvature(theta, squares.linearize(theta))):
        assert each is not None
        assert each / np.outer(scale, scale) == pytest.approx(hessian / np.outer(scale, scale), rel=1e-9, abs=1e-12)


def test_the_jacobian_is_the_same_backwards_and_forwards(stretches: list[Stretch]) -> None:
    start = CERTIFIED["Gauss1"]["start1"]
    problem = assembled(in_units("Gauss1", start, [1.0] * len(start), 1.0)).problem
    stretch = CompiledSearch(problem, stop_rule(LevenbergMarquardt(), Stopping(max_steps=0)), 1e-3).begin(
        np.array(start)
    )
    (forwards,) = LeastSquares(problem).columns(np.array(start))
    assert len(stretches) == 1
    assert stretch.theta.tolist() == start
    assert stretch.point.columns is not None
    assert stretch.point.columns[0] == pytest.approx(forwards, rel=1e-10, abs=1e-13 * np.abs(forwards).max())
