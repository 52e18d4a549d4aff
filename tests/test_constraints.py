"""Constraints through the command: honest statuses, multipliers, errors along the tangent plane, and mistakes told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitting import Fit, fit, source
from scipy import optimize

from fitkit.errors import ConfigError

X = np.linspace(0.0, 4.0, 24)
NOISE = np.random.default_rng(4).normal(0.0, 0.05, 24)
Y = 2.0 * np.exp(-0.8 * X) + 0.4 + NOISE
DECAY = {
    "data": {"values": {"x": X.tolist(), "y": Y.tolist()}},
    "model": "y ~ a * exp(-k * x) + b",
    "parameters": {"a": 1.5, "k": 1.0, "b": 0.5},
}


PYTHON = {"kind": "python", "function": "configs/models.py:damped", "inputs": ["x"], "target": "y"}


def decay(constraints: list[str], **sections: Any) -> Fit:
    return fit({**DECAY, "constraints": constraints, **sections})


def pure(objective: str, parameters: dict[str, Any], constraints: list[str], **sections: Any) -> Fit:
    return fit({"minimize": objective, "parameters": parameters, "constraints": constraints, **sections})


@pytest.mark.parametrize("optimizer", ["auto", "lm", "newton", "lbfgs"])
def test_an_equality_is_a_tie(optimizer: str) -> None:
    constrained = decay(["a + b == 2.5"], optimizer=optimizer)
    parameters = {"a": 1.5, "k": 1.0, "b": {"equals": "2.5 - a"}}
    tied = fit({**DECAY, "parameters": parameters})
    assert constrained.result.status == tied.result.status == "converged"
    assert np.allclose(constrained.values, tied.values, rtol=1e-10)
    assert np.allclose(constrained.errors, tied.errors, rtol=1e-7)
    assert constrained.result.fit is not None
    assert tied.result.fit is not None
    assert constrained.result.fit.dof == tied.result.fit.dof
    assert constrained.result.fit.rss == pytest.approx(tied.result.fit.rss, rel=1e-12)


def test_a_nonlinear_equality_is_a_tie() -> None:
    constrained = decay(["a * k == 1.7"])
    tied = fit({**DECAY, "parameters": {"a": 1.5, "k": {"equals": "1.7 / a"}, "b": 0.5}})
    assert np.allclose(constrained.values, tied.values, rtol=1e-10)
    assert np.allclose(constrained.errors, tied.errors, rtol=1e-7)


@pytest.mark.filterwarnings("ignore")  # scipy's, on its way
@pytest.mark.parametrize(
    "constraints", [["a + b <= 2.2"], ["a * k >= 1.9", "b >= 0.45"], ["a <= 5 * b", "k**2 >= 0.7"]]
)
def test_a_fit_under_inequalities_is_scipys(constraints: list[str]) -> None:
    def cost(p: Any) -> float:
        return float(np.mean((p[0] * np.exp(-p[1] * X) + p[2] - Y) ** 2))

    inside = {
        "a + b <= 2.2": lambda p: 2.2 - p[0] - p[2],
        "a * k >= 1.9": lambda p: p[0] * p[1] - 1.9,
        "b >= 0.45": lambda p: p[2] - 0.45,
        "a <= 5 * b": lambda p: 5 * p[2] - p[0],
        "k**2 >= 0.7": lambda p: p[1] ** 2 - 0.7,
    }
    best = optimize.minimize(
        cost,
        [1.5, 1.0, 0.5],
        method="SLSQP",
        constraints=[{"type": "ineq", "fun": inside[one]} for one in constraints],
        options={"ftol": 1e-15, "maxiter": 500},
    )
    found = decay(constraints)
    assert found.verdict[:2] == ("converged", 0)
    assert found.result.loss is not None
    assert found.result.loss.final == pytest.approx(best.fun, rel=1e-7)
    assert np.allclose(found.values, best.x, rtol=1e-4)


def test_an_inactive_constraint_changes_nothing() -> None:
    free, held = fit(DECAY), decay(["a + b <= 100"])
    assert np.allclose(free.values, held.values, rtol=1e-10)
    assert np.allclose(free.errors, held.errors, rtol=1e-7)
    assert held.result.constraints[0].multiplier == 0.0
    assert held.result.constraints[0].active is False


@pytest.mark.parametrize(("constraint", "limit"), [("a + b <= {}", 2.2), ("a * k >= {}", 1.9), ("a + b == {}", 2.3)])
def test_the_multiplier_is_the_rise_of_the_loss_with_the_limit(constraint: str, limit: float) -> None:
    def loss(at: float) -> float:
        found = decay([constraint.format(repr(at))]).result.loss
        assert found is not None
        assert found.final is not None
        return found.final

    multiplier = decay([constraint.format(limit)]).result.constraints[0].multiplier
    assert multiplier == pytest.approx((loss(limit + 1e-4) - loss(limit - 1e-4)) / 2e-4, rel=1e-4)
    assert multiplier


def test_a_parameter_that_an_inequality_determines_has_no_error() -> None:
    found = decay(["b >= 0.6"]).result.parameters["b"]
    assert found.value == pytest.approx(0.6, rel=1e-14)
    assert (found.error, found.flags) == (None, ("at_bound",))


def test_redundant_constraints_do_no_harm() -> None:
    once, often = decay(["a + b == 2.5"]), decay(["a + b == 2.5", "2 * a + 2 * b == 5", "a + b <= 2.5", "b >= 2.5 - a"])
    assert often.verdict[:2] == ("converged", 0)
    assert np.allclose(once.values, often.values, rtol=1e-9)
    assert np.allclose(once.errors, often.errors, rtol=1e-6)


@pytest.mark.parametrize("share", [1e-8, 1.0, 1e8])
def test_no_unit_changes_the_verdict(share: float) -> None:
    constraint = f"{share!r} * (a + b / {share!r}) <= {2.2 * share!r}"
    found = fit(
        {
            **DECAY,
            "model": f"y ~ a * exp(-k * x) + b / {share!r}",
            "parameters": {"a": 1.5, "k": 1.0, "b": 0.5 * share},
            "constraints": [constraint],
        }
    )
    assert found.verdict[:2] == ("converged", 0)
    assert found.values[0] + found.values[2] / share == pytest.approx(2.2, rel=1e-12)


# -- what is no minimum ----------------------------------------------------------------------------------------------------


def test_constraints_that_exclude_each_other() -> None:
    found = pure("(a - 1)**2 + b**2", {"a": 1, "b": 0.3}, ["a + b <= 1", "a + b >= 2"])
    assert found.verdict == ("not_converged", 4, "stalled")
    assert "cannot be met together" in found.result.message
    assert "0.5" in found.result.message  # in the middle between 1 and 2


@pytest.mark.parametrize("optimizer", ["newton", "lbfgs"])
@pytest.mark.parametrize(
    ("objective", "constraint"), [("-a", "a + b <= 1"), ("-a**2 + b", "b >= 0.2"), ("a * b", "a + b == 1.3")]
)
def test_an_objective_without_a_bottom(objective: str, constraint: str, optimizer: str) -> None:
    """Even where the search would not end: each step leads on."""
    found = pure(objective, {"a": 1, "b": 0.3}, [constraint], optimizer=optimizer)
    assert found.verdict == ("not_converged", 4, "runaway")
    assert found.result.steps is not None
    assert found.result.steps < 1000
    assert "no minimum at a finite value" in found.result.message


def test_an_infimum_at_infinity() -> None:
    found = pure("1 / a", {"a": 1, "b": 2}, ["a + b >= 1"])
    assert found.verdict == ("not_converged", 4, "runaway")
    assert "a ran away" in found.result.message


def test_a_maximum_along_the_constraint_is_no_minimum() -> None:
    found = pure("a**2 - 4 * b**2", {"a": 1, "b": 0}, ["a**2 + b**2 == 1"])
    assert found.result.status == "converged"
    assert found.result.loss is not None
    assert found.result.loss.final == pytest.approx(-4, rel=1e-12)


def test_not_finite_at_the_start() -> None:
    found = pure("a**2 + b**2", {"a": -1, "b": 1}, ["log(a) >= -1"])
    assert found.verdict == ("diverged", 5, "not_finite")
    assert "constraint" in found.result.message


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5])
def test_stopped_early_is_not_converged_without_being_so(steps: int) -> None:
    found = pure(
        "x1*x4*(x1 + x2 + x3) + x3",
        {
            name: {"start": start, "min": 1, "max": 5}
            for name, start in zip(("x1", "x2", "x3", "x4"), (1, 5, 5, 1), strict=True)
        },
        ["x1*x2*x3*x4 >= 25", "x1**2 + x2**2 + x3**2 + x4**2 == 40"],
        stopping={"max_steps": steps},
    )
    assert found.result.loss is not None
    assert found.result.loss.final is not None
    assert found.result.status == "not_converged" or abs(found.result.loss.final - 17.0140173) < 1e-6


# -- mistakes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("constraint", "code", "words"),
    [
        ("a < 1", "E210", "write `<=`"),
        ("0 <= a <= 1", "E210", "one relation"),
        ("a != 1", "E210", "`!=`"),
        ("a + 1", "E210", "needs `<=`"),
        ("3 >= 1", "E210", "no parameter"),
        ("a == 1 and k == 2", "E210", "constraint for each"),
        ("a = 1", "E201", "written `==`"),
        ("<= 1", "E210", "before"),
        ("a + kk <= 1", "E120", "did you mean `k`"),
        ("a + x <= 1", "E122", "column"),
    ],
)
def test_a_mistake_in_a_constraint(constraint: str, code: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        decay([constraint])
    (told,) = raised.value.diagnostics
    assert told.code == code
    assert words in f"{told.message} {told.help}"


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"optimizer": "adam"}, "adam"),
        ({"loss": "mae"}, "kinks"),
        ({"regularization": {"l1": 1}}, "l1"),
        ({"uncertainty": "profile"}, "profile"),
        ({"uncertainty": "bootstrap"}, "bootstrap"),
        ({"precision": "float32"}, "float64"),
        ({"stopping": {"patience": 3}}, "patience"),
        ({"parameters": {"a": {"start": 1, "shape": [2]}, "k": 1, "b": 1}, "model": PYTHON}, "array"),
        ({"parameters": {"a": {"start": 1, "fixed": True}, "k": 1, "b": {"start": 1, "fixed": True}}}, "fixed"),
    ],
)
def test_what_cannot_be_had_with_constraints(sections: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        source({**DECAY, "constraints": ["a + b <= 3"], **sections})
    assert any(words in told.message for told in raised.value.diagnostics)
