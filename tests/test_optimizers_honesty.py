"""How a search may end when it cannot end well: the status, the reason and the exit code say what is so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitting import fit, pure, right_digits, rows

X = [0.0, 1.0, 2.0, 3.0, 4.0]
CLAIMS = {"gradient_small", "step_small", "loss_flat"}


# -- points that are no minima ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["lbfgs", {"kind": "sgd", "learning_rate": 0.1}, {"kind": "adam"}], ids=str)
@pytest.mark.parametrize(
    ("formula", "box"), [("x**2 - y**2", {}), ("x * y", {"min": -1, "max": 1})], ids=["ridge", "hyperbola"]
)
def test_a_saddle_is_no_minimum(formula: str, box: dict[str, Any], optimizer: Any) -> None:
    found = pure(formula, optimizer, x={"start": 0, **box}, y={"start": 0, **box})
    assert found.verdict == ("not_converged", 4, "saddle")


def test_a_saddle_reached_along_its_ridge_is_no_minimum() -> None:
    assert pure("x**2 - y**2", x=1, y=0).verdict == ("not_converged", 4, "saddle")


def test_beside_a_saddle_the_corner_is_found() -> None:
    found = pure("x * y", x={"start": 0.5, "min": -1, "max": 1}, y={"start": 0.4, "min": -1, "max": 1})
    assert found.verdict == ("converged", 0, "gradient_small")
    assert sorted(found.values) == [-1, 1]
    assert all(parameter.flags == ("at_bound",) for parameter in found.result.parameters.values())


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "newton"])
def test_a_kink_is_no_smooth_minimum(optimizer: str) -> None:
    """|a - 0.3| + 1 squared: the slope jumps from -2 to 2 at the minimum, and no derivative vanishes."""
    loss = {"kind": "residual", "expression": "abs(prediction - 0.3) + target"}
    found = rows("y ~ a", [1, 1, 1], optimizer, loss=loss, parameters={"a": 1.5})
    assert found.result.exit_code == 4
    assert found.result.reason not in CLAIMS
    assert found.values == pytest.approx([0.3], abs=1e-8)


@pytest.mark.parametrize("optimizer", ["lbfgs", {"kind": "sgd", "learning_rate": 0.1}, {"kind": "adam"}], ids=str)
def test_a_slope_without_curvature_is_not_flat(optimizer: Any) -> None:
    """|a - 0.3| has no curvature at its start; that is neither a minimum nor a direction that changes nothing."""
    found = fit(
        {"minimize": "abs(a - 0.3)", "parameters": {"a": 0}, "optimizer": optimizer, "stopping": {"max_steps": 50}}
    )
    assert found.result.exit_code == 4
    assert found.result.reason in {"stalled", "max_steps"}


@pytest.mark.parametrize("formula", ["exp(-a)", "a", "-exp(a)", "1 / (1 + a**2)"])
def test_an_objective_without_a_minimum_never_converges(formula: str) -> None:
    found = pure(formula, a=0.5)
    assert found.result.status in {"not_converged", "diverged"}
    assert found.result.exit_code in {4, 5}


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "newton"])
def test_a_parameter_that_runs_away_never_converges(optimizer: str) -> None:
    """The best exp(-a) for zeros is at infinity; where the residuals underflow nothing was found."""
    found = rows("y ~ exp(-a) * (1 + x)", [0, 0, 0], optimizer, parameters={"a": 0})
    assert found.verdict[:2] == ("not_converged", 4)


# -- data without error -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "newton"])
@pytest.mark.parametrize("start", [0.0, 1.0])
@pytest.mark.parametrize("slope", [2.0, 0.1])
def test_exact_lines_converge(optimizer: str, start: float, slope: float) -> None:
    found = rows("y ~ a * x + b", [slope * x for x in X], optimizer, parameters={"a": start, "b": start})
    assert found.verdict[:2] == ("converged", 0), found.result.message
    np.testing.assert_allclose(found.values, [slope, 0], atol=1e-14)


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "newton"])
@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_exact_curves_converge(optimizer: str, offset: float) -> None:
    """The sum of squares ends at the rounding of the data, where its slope is noise."""
    y = [3 * float(np.exp(-0.7 * x)) for x in X]
    found = rows("y ~ a * exp(-k * x) + b", y, optimizer, parameters={"a": 1, "k": 1, "b": offset})
    assert found.verdict[:2] == ("converged", 0), found.result.message
    np.testing.assert_allclose(found.values, [3, 0.7, 0], atol=1e-13)


@pytest.mark.parametrize("far", [1e6, 1e9])
def test_a_line_far_from_its_intercept(far: float) -> None:
    """The two columns are alike but for one part in `far`."""
    y = [1.0, 2.9, 5.2, 7.1, 8.8, 11.1, 13.2, 14.8]
    data = {"values": {"x": [far + i for i in range(8)], "y": y}}
    found = fit({"data": data, "model": "y ~ a + b * x", "parameters": {"a": 0, "b": 1}})
    assert found.verdict[:2] == ("converged", 0), found.result.message
    slope = sum((i - 3.5) * one for i, one in enumerate(y)) / 42
    assert right_digits(found.values, [sum(y) / 8 - slope * (far + 3.5), slope]) >= 14


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "newton"])
def test_as_many_rows_as_parameters_have_no_errors(optimizer: str) -> None:
    found = rows("y ~ a * x + b", [1, 3], optimizer, parameters={"a": 0, "b": 0})
    assert found.verdict[:2] == ("converged", 0)
    np.testing.assert_allclose(found.values, [2, 1], atol=1e-13)
    assert np.isnan(found.errors).all()
    assert found.result.fit is not None
    assert found.result.fit.dof == 0
    assert found.result.uncertainty is not None
    assert found.result.uncertainty.status == "unavailable"


# -- divergence ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "newton", {"kind": "sgd"}, {"kind": "adam"}], ids=str)
def test_a_start_without_a_value_has_diverged(optimizer: Any) -> None:
    found = rows("y ~ log(a) * x", [1, 2, 3], optimizer, parameters={"a": -1})
    assert found.verdict == ("diverged", 5, "not_finite")
    assert "at the start" in found.result.message
    assert found.result.steps == 0
    assert found.values == [-1]


@pytest.mark.parametrize(("epochs", "reason"), [(20, "rose"), (2000, "not_finite")])
def test_a_rate_that_is_too_large_has_diverged(epochs: int, reason: str) -> None:
    optimizer = {"kind": "sgd", "learning_rate": 1.0, "epochs": epochs}
    found = rows("y ~ a * x", [0, 1, 2, 3, 4], optimizer, parameters={"a": 0})
    assert found.verdict == ("diverged", 5, reason)


# -- limits -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "newton", {"kind": "sgd"}, {"kind": "adam"}], ids=str)
@pytest.mark.parametrize("most", [0, 1])
def test_max_steps_ends_unconverged(optimizer: Any, most: int) -> None:
    found = rows(
        "y ~ a * x + exp(b * x)",
        [1, 2, 8, 20, 60],
        optimizer,
        parameters={"a": 1, "b": 0.5},
        stopping={"max_steps": most},
    )
    assert found.verdict == ("not_converged", 4, "max_steps")
    assert found.result.steps == most
    assert found.result.loss is not None
    if most == 0:
        assert found.values.tolist() == [1, 0.5]
        assert found.result.loss.initial == found.result.loss.final
        expected = np.mean((np.array(X) + np.exp(0.5 * np.array(X)) - [1, 2, 8, 20, 60]) ** 2)
        assert found.result.loss.final == pytest.approx(expected, rel=1e-13)


def test_the_time_limit_ends_unconverged() -> None:
    optimizer = {"kind": "adam", "learning_rate": 1e-9}
    limits = {"time_limit": 0.2, "max_steps": 100_000_000}
    found = rows("y ~ a * x", [0, 1, 2, 3, 4], optimizer, parameters={"a": 0}, stopping=limits)
    assert found.verdict == ("not_converged", 4, "time_limit")
    assert (found.result.steps or 0) > 0


def test_patience_returns_to_the_lowest_point() -> None:
    """Minibatches of noisy rows jump about: the pass with the lowest loss is what is kept, and its exact loss is told."""
    optimizer = {"kind": "sgd", "learning_rate": 0.05, "batch_size": 1, "epochs": 500}
    found = rows(
        "y ~ a * x + b", [0, 1.5, 1.8, 3.3, 3.9], optimizer, parameters={"a": 0, "b": 0}, stopping={"patience": 5}
    )
    losses = [row.loss for row in found.rows]
    assert found.verdict == ("completed", 0, "patience")
    assert int(np.argmin(losses)) == len(losses) - 1 - 5
    assert found.result.loss is not None
    residual = found.values[0] * np.array(X) + found.values[1] - [0, 1.5, 1.8, 3.3, 3.9]
    assert np.mean(residual**2) == pytest.approx(found.result.loss.final, rel=1e-12)
    shorter = {**optimizer, "epochs": len(losses) - 1 - 5}
    again = rows("y ~ a * x + b", [0, 1.5, 1.8, 3.3, 3.9], shorter, parameters={"a": 0, "b": 0})
    assert again.values.tolist() == found.values.tolist()


def test_epochs_are_made_whatever_the_slope_unless_a_tolerance_is_written() -> None:
    optimizer = {"kind": "sgd", "learning_rate": 0.01, "momentum": 0.9, "epochs": 1000}
    y = [1.0, 2.0, 2.9, 4.2, 5.0]
    full = rows("y ~ a * x + b", y, optimizer, parameters={"a": 0, "b": 0})
    assert (full.verdict, full.result.steps) == (("completed", 0, "epochs_done"), 1000)
    early = rows("y ~ a * x + b", y, optimizer, parameters={"a": 0, "b": 0}, stopping={"gtol": 1e-6})
    assert early.verdict == ("converged", 0, "gradient_small")
    assert (early.result.steps or 0) < 1000


# -- nothing to do ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "newton", {"kind": "sgd"}, {"kind": "adam"}], ids=str)
def test_a_model_without_free_parameters_is_evaluated(optimizer: Any) -> None:
    found = rows("y ~ a * x", [0, 1, 2, 3, 5], optimizer, parameters={"a": {"start": 1, "fixed": True}})
    assert found.verdict == ("converged", 0, "gradient_small")
    assert found.result.loss is not None
    assert found.result.loss.final == pytest.approx(1 / 5, rel=1e-14)
    assert found.result.parameters["a"].flags == ("fixed",)


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs", "newton"])
def test_an_unused_parameter_is_held_and_told(optimizer: str) -> None:
    found = rows("y ~ a * x", [0, 1, 2, 3, 5], optimizer, parameters={"a": 2, "z": 7})
    assert found.verdict[:2] == ("converged", 0)
    assert found.result.parameters["z"].flags == ("unused",)
    assert found.values[1] == 7
    assert any("`z` is used by nothing" in warning for warning in found.result.warnings)
