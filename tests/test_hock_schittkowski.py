"""The published minima of Hock and Schittkowski's collection through the command's own path, from the standard starts."""

from __future__ import annotations

import io
import time
from typing import Any

import numpy as np
import pytest
from hock_schittkowski import MORE, PROBLEMS, Problem
from scipy import optimize

from fitkit.config import load
from fitkit.expressions import Constraint, Expression, parse, parse_constraint, to_numpy
from fitkit.result import Result
from fitkit.run.train import TrainOptions, train

LOCAL = {2: 4.941229318, 20: 40.19872981, 47: 0.0, 55: 20 / 3, 97: 4.071246357, 98: 4.071246357}
"""Other minima of these problems, to which searches from the standard start lead as well."""
OTHERS = [problem for problem in PROBLEMS if problem.number in {6, 10, 14, 18, 29, 43, 48, 63, 71, 76, 79, 100, 113}]


def solved(problem: Problem, **sections: str) -> Result:
    source = load("-", (), io.StringIO(problem.config(**sections)))
    result, _ = train(source, TrainOptions(keep=False), started=time.perf_counter())
    return result


def at(expression: Expression, problem: Problem, point: Any) -> float:
    return float(to_numpy(expression)(dict(zip(problem.names, point, strict=True))))


def difference(constraint: Constraint, problem: Problem, point: Any) -> float:
    """How far inside a point lies; on the edge it is zero."""
    found = at(constraint.left, problem, point) - at(constraint.right, problem, point)
    return -found if constraint.relation == "<=" else found


def check(problem: Problem, result: Result) -> None:
    point = [parameter.value for parameter in result.parameters.values()]
    assert result.status == "converged", result.message
    assert result.loss is not None
    final = result.loss.final
    assert final is not None
    assert final == pytest.approx(at(parse(problem.objective), problem, point), rel=1e-12, abs=1e-12)
    for text in problem.constraints:
        constraint = parse_constraint(text)
        inside, size = difference(constraint, problem, point), max(1.0, abs(at(constraint.left, problem, point)))
        assert (abs(inside) if constraint.relation == "==" else -inside) <= 1e-8 * size
    minima = [problem.minimum] + ([LOCAL[problem.number]] if problem.number in LOCAL else [])
    near = [abs(final - minimum) <= 3 * problem.digits * max(1.0, abs(minimum)) for minimum in minima]
    assert any(near), final


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: f"HS{problem.number}")
def test_the_published_minimum(problem: Problem) -> None:
    check(problem, solved(problem))


@pytest.mark.slow
@pytest.mark.parametrize("problem", MORE, ids=lambda problem: f"HS{problem.number}")
def test_the_published_minimum_of_more(problem: Problem) -> None:
    check(problem, solved(problem))


@pytest.mark.parametrize("problem", OTHERS, ids=lambda problem: f"HS{problem.number}")
def test_the_published_minimum_by_lbfgs(problem: Problem) -> None:
    check(problem, solved(problem, optimizer="lbfgs"))


@pytest.mark.filterwarnings("ignore")  # scipy's, on its way
@pytest.mark.parametrize("problem", OTHERS, ids=lambda problem: f"HS{problem.number}")
def test_the_published_minimum_is_confirmed_by_scipy(problem: Problem) -> None:
    objective = parse(problem.objective)
    edges = [(-np.inf if a is None else a, np.inf if b is None else b) for a, b in problem.box]
    given = [parse_constraint(text) for text in problem.constraints]
    kept: Any = [
        {"type": "eq" if one.relation == "==" else "ineq", "fun": lambda x, one=one: difference(one, problem, x)}
        for one in given
    ]

    def height(x: Any) -> float:
        return at(objective, problem, x)

    rng = np.random.default_rng(problem.number)
    start = np.array(problem.inside, float)
    for _ in range(40):
        options: Any = {
            "method": "SLSQP",
            "bounds": edges,
            "constraints": kept,
            "options": {"maxiter": 1000, "ftol": 1e-13},
        }
        found: Any = optimize.minimize(height, start, **options)
        inside = [difference(one, problem, found.x) for one in given]
        broken = [abs(x) if one.relation == "==" else -x for one, x in zip(given, inside, strict=True)]
        if max(broken) < 1e-6 and found.fun == pytest.approx(problem.minimum, rel=1e-5, abs=1e-5):
            return
        start = np.array(problem.inside) + 0.5 * rng.normal(size=len(start)) * (1 + np.abs(start))
    pytest.fail("scipy finds another minimum")
