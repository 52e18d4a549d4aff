"""The bootstrap: its standard errors against closed forms within Monte Carlo error, its coverage, and its laws."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import fitkit, written
from fitting import Fit, column, fit
from numpy.typing import NDArray
from scipy import optimize, special, stats

from fitkit.reports import json_document, text
from fitkit.reports.text import TextStyle

Array = NDArray[np.float64]
RANDOM = np.random.default_rng(11)
X = np.linspace(0, 3, 120)
Y = 1 + 2 * X + 0.5 * RANDOM.normal(size=120)
DESIGN = np.column_stack([np.ones(120), X])
MANY = 2000
MONTE_CARLO = 5 / np.sqrt(2 * MANY)
"""Five standard deviations of a standard deviation told by so many normal draws, relative."""


def line(method: str, y: Array = Y, **more: Any) -> Fit:
    data = {"values": {"x": column(X), "y": column(y), **more.pop("columns", {})}, **more.pop("data", {})}
    return fit({
        "data": data,
        "model": {"kind": "linear", "inputs": ["x"], "target": "y"},
        "uncertainty": {"kind": "bootstrap", "resamples": MANY, "method": method},
        **more,
    })  # fmt: skip


def scatter(found: Fit) -> float:
    residual = Y - DESIGN @ found.values
    return float(residual @ residual / 118)


@pytest.mark.parametrize("method", ["residual", "parametric"])
def test_of_a_line_the_errors_are_the_closed_form(method: str) -> None:
    found = line(method)
    expected = np.sqrt(np.diag(scatter(found) * np.linalg.inv(DESIGN.T @ DESIGN)))
    np.testing.assert_allclose(found.errors, expected, rtol=MONTE_CARLO)
    for parameter, error in zip(found.result.parameters.values(), expected, strict=True):
        normal = stats.norm.interval(0.95, parameter.value, error)
        assert parameter.interval == pytest.approx(normal, abs=0.2 * error)
    told = found.result.uncertainty
    assert told is not None
    assert told.status == "accurate"
    assert told.converged == told.resamples == MANY
    assert told.correlation is not None
    inverse = np.linalg.inv(DESIGN.T @ DESIGN)
    assert told.correlation[0, 1] == pytest.approx(inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1]), abs=0.05)


def test_of_few_rows_the_residuals_are_enlarged_by_what_the_fit_took_up() -> None:
    few = np.arange(0, 120, 20)
    data = {"values": {"x": column(X[few]), "y": column(Y[few])}}
    found = line("residual", data=data)
    design = DESIGN[few]
    residual = Y[few] - design @ found.values
    expected = np.sqrt(np.diag(residual @ residual / 4 * np.linalg.inv(design.T @ design)))
    np.testing.assert_allclose(found.errors, expected, rtol=MONTE_CARLO)


def test_by_cases_the_errors_are_those_of_rows_drawn_in_numpy() -> None:
    draws = RANDOM.integers(120, size=(MANY, 120))
    refits = np.array([np.linalg.lstsq(DESIGN[rows], Y[rows])[0] for rows in draws])
    np.testing.assert_allclose(line("case").errors, refits.std(axis=0), rtol=1.5 * MONTE_CARLO)


def test_with_sigma_the_parametric_errors_are_absolute_and_the_residual_ones_are_not() -> None:
    sigma = np.linspace(0.5, 2, 120)
    columns, data = {"s": column(sigma)}, {"sigma": "s"}
    information = (DESIGN.T / sigma**2) @ DESIGN
    found = line("parametric", data=data, columns=columns)
    np.testing.assert_allclose(found.errors, np.sqrt(np.diag(np.linalg.inv(information))), rtol=MONTE_CARLO)
    pulls = (Y - DESIGN @ found.values) / sigma
    scale = np.sqrt(np.sum((pulls - pulls.mean()) ** 2) / 118)
    found = line("residual", data=data, columns=columns)
    np.testing.assert_allclose(found.errors, scale * np.sqrt(np.diag(np.linalg.inv(information))), rtol=MONTE_CARLO)


@pytest.mark.parametrize("method", ["residual", "parametric"])
def test_weights_are_inverse_variances(method: str) -> None:
    weight = np.linspace(0.2, 3, 120)
    y = 1 + 2 * X + 0.5 * RANDOM.normal(size=120) / np.sqrt(weight)
    found = line(method, y, data={"weights": "w"}, columns={"w": column(weight)})
    inverse = np.linalg.inv((DESIGN.T * weight) @ DESIGN)
    residual = np.sqrt(weight) * (y - DESIGN @ found.values)
    np.testing.assert_allclose(
        found.errors, np.sqrt(residual @ residual / 118 * np.diag(inverse)), rtol=1.2 * MONTE_CARLO
    )


def test_of_counts_the_parametric_errors_are_the_inverse_information() -> None:
    counts = RANDOM.poisson(np.exp(1 + 0.8 * X)).astype(float)
    found = line("parametric", counts, loss="poisson")
    rate = np.exp(DESIGN @ found.values)
    expected = np.sqrt(np.diag(np.linalg.inv((DESIGN.T * rate) @ DESIGN)))
    np.testing.assert_allclose(found.errors, expected, rtol=MONTE_CARLO)


def test_of_shares_each_weight_is_a_number_of_trials() -> None:
    trials = np.full(120, 40.0)
    shares = RANDOM.binomial(40, special.expit(X - 1)) / 40
    found = line(
        "parametric", shares, loss="binary_cross_entropy", data={"weights": "w"}, columns={"w": column(trials)}
    )
    chance = special.expit(DESIGN @ found.values)
    expected = np.sqrt(np.diag(np.linalg.inv((DESIGN.T * (40 * chance * (1 - chance))) @ DESIGN)))
    np.testing.assert_allclose(found.errors, expected, rtol=MONTE_CARLO)


def test_of_a_robust_fit_they_are_near_the_sandwich() -> None:
    y = 1 + 2 * X + 0.3 * RANDOM.standard_t(3, size=120)
    loss = {"kind": "huber", "delta": 0.4}
    found, sandwich = line("case", y, loss=loss), line("case", y, loss=loss, uncertainty="covariance")
    np.testing.assert_allclose(found.errors, sandwich.errors, rtol=0.2)
    assert line("residual", y, loss=loss).errors == pytest.approx(found.errors, rel=0.2)


def test_tied_and_logarithmic_parameters_have_theirs() -> None:
    y = 5 * np.exp(-0.8 * X) + 0.2 * RANDOM.normal(size=120)
    found = fit({
        "data": {"values": {"x": column(X), "y": column(y)}},
        "model": "y ~ a * exp(-k * x)",
        "parameters": {"a": 4, "k": {"start": 1, "scale": "log"}, "life": {"equals": "1 / k"}},
        "uncertainty": {"kind": "bootstrap", "method": "parametric"},
    }).result.parameters  # fmt: skip
    low, high = found["k"].interval or (None, None)
    assert low is not None
    assert high is not None
    assert low < 0.8 < high
    assert found["life"].interval == pytest.approx((1 / high, 1 / low), rel=1e-3)
    assert found["life"].error == pytest.approx((found["k"].error or 0) / found["k"].value ** 2, rel=0.05)


def test_the_seed_decides() -> None:
    first, again, other = (line("case", seed=seed) for seed in (1, 1, 2))
    assert (first.errors == again.errors).all()
    assert (first.errors != other.errors).all()


def test_what_is_held_at_a_bound_has_no_error() -> None:
    found = line("residual", parameters={"x": {"max": 1.5}})
    assert found.result.parameters["x"].flags == ("at_bound",)
    assert found.result.parameters["x"].error is None
    assert found.result.parameters["x"].interval is None
    assert found.result.parameters["intercept"].error is not None
    assert found.result.uncertainty is not None
    assert found.result.uncertainty.status == "approximate"


def test_resamples_that_do_not_converge_are_counted() -> None:
    """With three rows one resample in nine draws a single row three times, to which any line through it is best."""
    found = fit({
        "data": {"values": {"x": [0, 1, 2], "y": [0, 1.1, 1.9]}},
        "model": "y ~ a * exp(k * x)",
        "parameters": {"a": 0.5, "k": 0.5},
        "uncertainty": {"kind": "bootstrap", "resamples": 200},
    })  # fmt: skip
    told = found.result.uncertainty
    assert told is not None
    assert told.converged is not None
    assert told.converged < 200
    assert f"{told.converged} of 200 resamples converged" in text.render(found.result, TextStyle()).replace("\n", " ")


# -- kinks --------------------------------------------------------------------------------------------------------------------


def linear_program(weight: Array, target: Array, quantile: float, l1: float = 0.0) -> Array:
    """Return the line that a linear program finds: weights times pinball distances, and l1 times the slope's size."""
    cost = np.r_[0, l1, 0, l1, quantile * weight, (1 - quantile) * weight]
    equations = np.hstack([DESIGN, -DESIGN, np.eye(len(X)), -np.eye(len(X))])
    found = np.asarray(optimize.linprog(cost, A_eq=equations, b_eq=target, method="highs-ds").x, np.float64)
    return found[:2] - found[2:4]


@pytest.mark.parametrize(
    ("loss", "quantile"), [("mae", 0.5), ({"kind": "quantile", "quantile": 0.3}, 0.3)], ids=["mae", "quantile"]
)
def test_of_quantiles_each_resample_is_the_linear_programs(loss: Any, quantile: float) -> None:
    asked = {"kind": "bootstrap", "resamples": 60}
    found = line("case", loss=loss, uncertainty=asked, seed=2)
    draws = (np.random.default_rng([2, number]).multinomial(120, np.full(120, 1 / 120)) for number in range(60))
    refits = np.array([linear_program(np.asarray(weight, float), Y, quantile) for weight in draws])
    np.testing.assert_allclose(found.errors, refits.std(axis=0, ddof=1), rtol=1e-9)
    ends = np.array([parameter.interval for parameter in found.result.parameters.values()], float)
    np.testing.assert_allclose(ends, np.percentile(refits, [2.5, 97.5], axis=0).T, rtol=1e-9)
    assert found.result.uncertainty is not None
    assert found.result.uncertainty.converged == 60


def test_of_quantiles_residuals_are_drawn_as_they_are() -> None:
    """Their quantile is zero, and their mean is not: centred, they would move the line."""
    asked = {"kind": "bootstrap", "method": "residual", "resamples": 40}
    found = line("residual", loss={"kind": "quantile", "quantile": 0.2}, uncertainty=asked)
    mean = DESIGN @ linear_program(np.ones(120), Y, 0.2)
    pool = (Y - mean) * np.sqrt(120 / 118)
    targets = (mean + np.random.default_rng([0, number]).choice(pool, 120) for number in range(40))
    refits = np.array([linear_program(np.ones(120), target, 0.2) for target in targets])
    np.testing.assert_allclose(found.errors, refits.std(axis=0, ddof=1), rtol=1e-7)
    assert np.all(np.abs(refits.mean(axis=0) - found.values) < 2 * found.errors)


def test_an_l1_penalty_pins_in_some_resamples_and_not_in_others() -> None:
    """Of a quantile that no whole number of rows lies below, so that where the slope is zero the rest is unique too."""
    y = 1 + 0.1 * X + RANDOM.normal(size=120)
    loss = {"kind": "quantile", "quantile": 0.37}
    asked = {"kind": "bootstrap", "resamples": 60}
    found = line("case", y, uncertainty=asked, loss=loss, regularization={"l1": 0.03}, seed=3)
    draws = (np.random.default_rng([3, number]).multinomial(120, np.full(120, 1 / 120)) for number in range(60))
    refits = np.array([linear_program(np.asarray(weight / 120, float), y, 0.37, 0.03) for weight in draws])
    np.testing.assert_allclose(found.errors, refits.std(axis=0, ddof=1), rtol=1e-7)
    assert 0 < np.count_nonzero(refits[:, 1] == 0) < 60
    assert found.result.uncertainty is not None
    assert "bias of the l1 penalty" in (found.result.uncertainty.message or "")


# -- the interface ------------------------------------------------------------------------------------------------------------


def test_the_document_tells_how(tmp_path: Path) -> None:
    written(
        tmp_path,
        "c.yaml",
        "data: {values: {x: [0, 1, 2, 3, 4], y: [1, 3, 2, 5, 4]}}\nmodel: y ~ a * x + b\nparameters: {a: 1, b: 0}\n"
        "uncertainty: {kind: bootstrap, method: residual, resamples: 50}\n",
    )
    done = fitkit("train", "c.yaml", "--json", "--out", "run", cwd=tmp_path)
    told = json.loads(done.out)["uncertainty"]
    assert {key: told[key] for key in ("kind", "method", "resamples", "converged", "level")} == {
        "kind": "bootstrap", "method": "residual", "resamples": 50, "converged": 50, "level": 0.95,
    }  # fmt: skip
    again = fitkit("train", "run/config.yaml", "--json", "--no-save", cwd=tmp_path)
    assert json.loads(again.out)["parameters"] == json.loads(done.out)["parameters"]
    plain = json.loads(json_document.render(line("case", uncertainty="covariance").result))["uncertainty"]
    assert plain["resamples"] is None


@pytest.mark.parametrize(
    ("lines", "code", "word"),
    [
        ("uncertainty: {kind: bootstrap, method: residual}\nloss: poisson", "E111", "poisson"),
        ("uncertainty: {kind: bootstrap, method: parametric}\nloss: huber", "E111", "huber"),
        ("uncertainty: {kind: bootstrap, resamples: 3}", "E109", "resamples"),
        ("uncertainty: {kind: bootstrap, method: jackknife}", "E107", "jackknife"),
        ("uncertainty: {kind: bootstrap, method: parametric}\nloss: mae", "E111", "mae"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, lines: str, code: str, word: str) -> None:
    base = "data: {values: {x: [1, 2, 3], y: [1, 2, 4]}}\nmodel: y ~ a * x\nparameters: {a: 1}\n"
    done = fitkit("validate", written(tmp_path, "c.yaml", f"{base}{lines}\n"))
    assert done.code == 2
    assert f"[{code}]" in done.err + done.out
    assert word in done.err + done.out


def test_an_objective_has_no_rows_to_draw(tmp_path: Path) -> None:
    path = written(tmp_path, "c.yaml", "minimize: a**2\nparameters: {a: 1}\nuncertainty: bootstrap\n")
    done = fitkit("validate", path)
    assert done.code == 2
    assert "`profile`" in done.err + done.out
