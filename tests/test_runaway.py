"""What looks like convergence from afar: asymptotes, inflections, kinks, plateaus. None of them is a minimum."""

from __future__ import annotations

import io
from typing import Any

import pytest

from fitkit.config import load
from fitkit.run.train import TrainOptions, train


def ended(text: str, optimizer: str) -> tuple[str, int, str, dict[str, Any]]:
    result, _ = train(load("-", (f"optimizer={optimizer}",), io.StringIO(text)), TrainOptions(keep=False), 0.0)
    return str(result.status), result.exit_code, result.reason, dict(result.parameters)


@pytest.mark.parametrize("optimizer", ["newton", "lbfgs"])
@pytest.mark.parametrize("objective", ["atan(x)", "5 + exp(-x)", "-x^2 / (1 + x^2)", "2 + erf(x)", "1 + 1/x"])
def test_an_asymptote_is_no_minimum(objective: str, optimizer: str) -> None:
    status, code, reason, _ = ended(f"minimize: {objective}\nparameters: {{x: 1}}\n", optimizer)
    assert (status, code) == ("not_converged", 4)
    assert reason in {"runaway", "stalled", "max_steps"}


@pytest.mark.parametrize("optimizer", ["newton", "lbfgs"])
@pytest.mark.parametrize("objective", ["x^3", "1 + x^3", "x^3 + y^2"])
def test_an_inflection_is_no_minimum(objective: str, optimizer: str) -> None:
    status, code, _, _ = ended(f"minimize: {objective}\nparameters: {{x: 1, y: 0.5}}\n", optimizer)
    assert (status, code) == ("not_converged", 4)


@pytest.mark.parametrize("optimizer", ["newton", "lbfgs"])
def test_a_minimum_flatter_than_a_parabola_is_one(optimizer: str) -> None:
    status, code, _, parameters = ended("minimize: 1 + (x - 3)^4\nparameters: {x: 1}\n", optimizer)
    assert (status, code) in {("converged", 0), ("not_converged", 4)}  # rounding may hide the last of its slope
    assert parameters["x"].value == pytest.approx(3, abs=1e-2)


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs"])
@pytest.mark.parametrize(
    "text",
    [
        "data: {values: {x: [1, 2, 3], y: [1.7, 1.7, 1.7]}}\nmodel: y ~ atan(k*x)\nparameters: {k: 1}\n",
        "data: {values: {x: [1, 2, 3], y: [-1, -2, -3]}}\nmodel: y ~ a*x\nparameters: {a: {start: 1, scale: log}}\n",
        "data: {values: {y: [-1, -1, -1]}}\nmodel: y ~ k^3\nparameters: {k: 1}\n",
    ],
    ids=["atan", "log", "cube"],
)
def test_data_may_have_no_best_fit(text: str, optimizer: str) -> None:
    status, code, reason, _ = ended(text, optimizer)
    assert (status, code) == ("not_converged", 4)
    assert reason in {"runaway", "stalled", "not_identified", "saddle"}


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs"])
def test_the_parameter_that_ran_away_is_the_one_named(optimizer: str) -> None:
    text = "data: {values: {x: [1,2,3,4,5,6,7,8], y: [.7,1.1,.95,1,1.05,.9,1.1,1]}}\n"
    text += "model: y ~ c + exp(-k*x)\nparameters: {c: 0, k: 1}\n"
    config = load("-", (f"optimizer={optimizer}",), io.StringIO(text))
    result, _ = train(config, TrainOptions(keep=False), 0.0)
    assert (result.exit_code, result.reason) == (4, "runaway")
    assert "k ran away" in result.message


LOG_COSH = "{kind: expression, expression: log(cosh(prediction - target))}"


@pytest.mark.parametrize("loss", ["huber", "{kind: huber, delta: 0.1}", LOG_COSH])
def test_lbfgs_leaves_a_slope_without_curvature(loss: str) -> None:
    text = "data: {values: {x: [1,2,3,4], y: [100,103,104,108]}}\nmodel: y ~ a*x + b\nparameters: {a: 0, b: 0}\n"
    text += f"loss: {loss}\n"
    status, code, _, _ = ended(text, "lbfgs")
    assert (status, code) == ("converged", 0)


@pytest.mark.parametrize("optimizer", ["lm", "lbfgs"])
def test_single_precision_converges(optimizer: str) -> None:
    text = "data: {values: {x: [1,2,3,4,5], y: [3, 5.1, 6.9, 9.2, 10.8]}}\nmodel: y ~ a*x + b\n"
    status, code, _, parameters = ended(text + "parameters: {a: 1, b: 1}\nprecision: float32\n", optimizer)
    assert (status, code) == ("converged", 0)
    assert parameters["a"].value == pytest.approx(1.97, rel=1e-4)  # the normal equations, by hand: 1.97 and 1.09
    assert parameters["b"].value == pytest.approx(1.09, rel=1e-3)
