"""Bands of the rows: closed forms, lmfit's and scipy's numbers, and the law that they cover as often as they promise."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmfit  # type: ignore[import-untyped]  # it comes without types
import numpy as np
import pytest
from fitting import assembled, column, source
from numpy.typing import NDArray
from scipy import optimize, special, stats

from fitkit.backend import array
from fitkit.reports import json_document
from fitkit.run.train import TrainOptions, train
from fitkit.uncertainty import bands as bands_module
from fitkit.uncertainty.bands import Bands, NormalSpread, ResampledSpread, bands

Array = NDArray[np.float64]
RANDOM = np.random.default_rng(31)
X = np.linspace(0, 3, 25)
SIGMA, WEIGHT = RANDOM.uniform(0.05, 0.3, 25), RANDOM.uniform(0.2, 3, 25)
Y = 3 * np.exp(-0.9 * X) + 0.5 + SIGMA * RANDOM.normal(size=25)
MODEL = "y ~ a * exp(-k * x) + c"
START = {"a": 2.0, "k": 0.5, "c": 0.1}
DESIGN = np.column_stack([np.ones(25), X])
ENDS = ("confidence_lower", "confidence_upper", "prediction_lower", "prediction_upper")


def saved(folder: Path, config: dict[str, Any]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the table of predictions and the document that the command leaves behind."""
    options = TrainOptions(out=str(folder / "run"), overwrite=True)
    result, _ = train(source(config), options, started=time.perf_counter())
    with (folder / "run" / "predictions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    table = {name: np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}
    return table, json.loads(json_document.render(result))


def config(model: Any = MODEL, y: Array = Y, **more: Any) -> dict[str, Any]:
    columns = {"x": column(X), "y": column(y), "s": column(SIGMA), "w": column(WEIGHT)}
    data = {"values": columns, **more.pop("data", {})}
    return {"data": data, "model": model, **({"parameters": START} if model == MODEL else {}), **more}


LINE = {"kind": "linear", "inputs": ["x"], "target": "y"}


@pytest.mark.parametrize("level", [0.68, 0.95])
@pytest.mark.parametrize("precision", ["none", "sigma", "weights"])
def test_of_a_straight_line_they_are_the_closed_form(tmp_path: Path, precision: str, level: float) -> None:
    data = {"none": {}, "sigma": {"sigma": "s"}, "weights": {"weights": "w"}}[precision]
    weight = {"none": np.ones(25), "sigma": SIGMA**-2, "weights": WEIGHT}[precision]
    uncertainty = {"kind": "covariance", "level": level}
    table, document = saved(tmp_path, config(LINE, data=data, uncertainty=uncertainty))
    inverse = np.linalg.inv((DESIGN.T * weight) @ DESIGN)
    mean = DESIGN @ inverse @ DESIGN.T @ (weight * Y)
    variance = 1.0 if precision == "sigma" else float(weight @ (Y - mean) ** 2) / 23
    quantile = stats.norm.ppf((1 + level) / 2) if precision == "sigma" else stats.t.ppf((1 + level) / 2, 23)
    spread = variance * np.einsum("ij,jk,ik->i", DESIGN, inverse, DESIGN)
    expected = [mean + sign * quantile * np.sqrt(v) for v in (spread, spread + variance / weight) for sign in (-1, 1)]
    for name, end in zip(ENDS, expected, strict=True):
        np.testing.assert_allclose(table[name], end, rtol=1e-9, atol=1e-11)
    assert document["uncertainty"]["bands"] == "of confidence and of prediction"
    assert document["uncertainty"]["residual_variance"] == pytest.approx(variance, rel=1e-10)


def scipy_fit(**options: Any) -> tuple[Array, Array]:
    def curve(x: Array, a: float, k: float, c: float) -> Array:
        return np.asarray(a * np.exp(-k * x) + c)

    def slopes(x: Array, a: float, k: float, _: float) -> Array:
        return np.column_stack([np.exp(-k * x), -a * x * np.exp(-k * x), np.ones(25)])

    best, covariance = optimize.curve_fit(
        curve, X, Y, [2, 0.5, 0], jac=slopes, method="lm", xtol=1e-15, ftol=1e-15, gtol=0, **options
    )
    return np.asarray(best, np.float64), np.asarray(covariance, np.float64)


@pytest.mark.parametrize("sigma", [False, True])
def test_of_a_curve_they_are_lmfits(tmp_path: Path, *, sigma: bool) -> None:
    """lmfit's quantile is always Student's, which is put right for a known sigma."""
    table, _ = saved(tmp_path, config(data={"sigma": "s"} if sigma else {}))
    model = lmfit.Model(lambda x, a, k, c: a * np.exp(-k * x) + c)

    found = model.fit(
        Y, x=X, **START, weights=1 / SIGMA if sigma else None, scale_covar=not sigma,
        fit_kws={"xtol": 1e-15, "ftol": 1e-15, "gtol": 0},
    )  # fmt: skip
    # lmfit's own covariance has five digits, of forward differences; scipy's stands in.
    found.covar = scipy_fit(sigma=SIGMA if sigma else None, absolute_sigma=sigma)[1]
    normal = stats.norm.ppf(0.975) / stats.t.ppf(0.975, 22) if sigma else 1.0
    half = found.eval_uncertainty(sigma=0.95, dscale=1e-3) * normal
    np.testing.assert_allclose(table["confidence_upper"] - table["prediction"], half, rtol=2e-6)
    np.testing.assert_allclose(table["prediction"] - table["confidence_lower"], half, rtol=2e-6)
    if not sigma:  # lmfit's dely_predicted knows no sigma of the rows
        np.testing.assert_allclose(table["prediction_upper"] - table["prediction"], found.dely_predicted, rtol=2e-6)


def test_of_a_curve_they_are_scipys_covariance_along_the_gradient(tmp_path: Path) -> None:
    """A logarithmic and a tied parameter change nothing."""
    (a, k, _), covariance = scipy_fit()
    slopes = np.column_stack([np.exp(-k * X), -a * X * np.exp(-k * X), np.ones(25)])
    half = stats.t.ppf(0.975, 22) * np.sqrt(np.einsum("ij,jk,ik->i", slopes, covariance, slopes))
    parameters = {"a": 2, "life": {"start": 2, "scale": "log"}, "k": {"equals": "1 / life"}, "c": 0.1}
    table, _ = saved(tmp_path, config(parameters=parameters))
    np.testing.assert_allclose(table["confidence_upper"] - table["prediction"], half, rtol=2e-6)


def test_a_formula_of_the_residual_scatters_as_it_says(tmp_path: Path) -> None:
    """Divided by sigma by hand, s² of the residual is that of the weighted fit; so are both bands."""
    by_hand = {"kind": "residual", "expression": "(target - prediction) / s"}
    table, _ = saved(tmp_path, config(loss=by_hand))
    weights = column(SIGMA**-2)
    same = config()
    same["data"]["values"]["w"] = weights
    same["data"]["weights"] = "w"
    expected, _ = saved(tmp_path, same)
    for name in ENDS:
        np.testing.assert_allclose(table[name], expected[name], rtol=1e-8)


COUNTS = RANDOM.poisson(np.exp(0.3 + 0.5 * X)).astype(float)
YES = (RANDOM.random(25) < special.expit(2 * (X - 1.5))).astype(float)


def scored(mean: Callable[[Array], Array], target: Array) -> Array:
    """Return where the score of a canonical link vanishes."""

    def score(theta: Array) -> Array:
        return np.asarray(DESIGN.T @ (mean(DESIGN @ theta) - target))

    return np.asarray(optimize.root(score, [0.1, 0.1], tol=1e-14).x)


def test_under_a_log_link_the_band_is_that_of_the_log_rate_and_counts_scatter_as_poisson(tmp_path: Path) -> None:
    table, _ = saved(tmp_path, config(LINE, COUNTS, loss="poisson"))
    theta = scored(np.exp, COUNTS)
    rate = np.exp(DESIGN @ theta)
    inverse = np.linalg.inv((DESIGN.T * rate) @ DESIGN)
    error = np.sqrt(np.einsum("ij,jk,ik->i", DESIGN, inverse, DESIGN))
    np.testing.assert_allclose(table["confidence_lower"], rate * np.exp(-1.959963984540054 * error), rtol=1e-8)
    np.testing.assert_allclose(table["confidence_upper"], rate * np.exp(1.959963984540054 * error), rtol=1e-8)
    reach = 1.959963984540054 * np.sqrt(rate + (rate * error) ** 2)
    np.testing.assert_allclose(table["prediction_upper"], rate + reach, rtol=1e-8)
    np.testing.assert_allclose(table["prediction_lower"], np.maximum(rate - reach, 0), rtol=1e-8, atol=1e-9)


def test_a_chance_has_a_band_within_zero_and_one_and_a_yes_or_no_none(tmp_path: Path) -> None:
    table, document = saved(tmp_path, config(LINE, YES, loss="binary_cross_entropy"))
    theta = scored(special.expit, YES)
    chance = special.expit(DESIGN @ theta)
    inverse = np.linalg.inv((DESIGN.T * (chance * (1 - chance))) @ DESIGN)
    reach = 1.959963984540054 * np.sqrt(np.einsum("ij,jk,ik->i", DESIGN, inverse, DESIGN))
    np.testing.assert_allclose(table["confidence_lower"], special.expit(DESIGN @ theta - reach), rtol=1e-7)
    np.testing.assert_allclose(table["confidence_upper"], special.expit(DESIGN @ theta + reach), rtol=1e-7)
    assert "prediction_lower" not in table
    assert "none of prediction" in document["uncertainty"]["bands"]


def test_a_fitted_sigma_is_the_scatter_of_new_targets(tmp_path: Path) -> None:
    loss = {"kind": "gaussian_nll", "sigma": "s0 + s1 * x"}
    y = 1 + 2 * X + (0.1 + 0.2 * X) * RANDOM.normal(size=25)
    parameters = {"a": 1, "b": 2, "s0": {"start": 0.2, "min": 0.01}, "s1": {"start": 0.1, "min": 0}}
    table, document = saved(tmp_path, config("y ~ a + b * x", y, loss=loss, parameters=parameters))
    value = {name: entry["value"] for name, entry in document["parameters"].items()}
    error = (table["confidence_upper"] - table["prediction"]) / 1.959963984540054
    expected = np.sqrt(error**2 + (value["s0"] + value["s1"] * X) ** 2)
    np.testing.assert_allclose(
        (table["prediction_upper"] - table["prediction"]) / 1.959963984540054, expected, rtol=1e-9
    )


def test_a_robust_loss_knows_the_scatter_of_targets_only_by_sigma(tmp_path: Path) -> None:
    table, document = saved(tmp_path, config(loss="huber"))
    assert "confidence_lower" in table
    assert "prediction_lower" not in table
    assert "does not say how new targets scatter" in document["uncertainty"]["bands"]
    table, _ = saved(tmp_path, config(loss="huber", data={"sigma": "s"}))
    half, error = (
        (table[f"{kind}_upper"] - table["prediction"]) / stats.norm.ppf(0.975) for kind in ("prediction", "confidence")
    )
    np.testing.assert_allclose(half**2 - error**2, SIGMA**2, rtol=1e-8)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"uncertainty": "none"}, "none were asked for"),
        ({"stopping": {"max_steps": 1}}, "not converged"),
        ({"loss": "mae"}, "no curvature"),
    ],
    ids=str,
)
def test_where_there_is_no_covariance_there_are_none_for_its_reason(tmp_path: Path, more: Any, word: str) -> None:
    table, document = saved(tmp_path, config(**more))
    assert not set(ENDS) & set(table)
    assert word in document["uncertainty"]["bands"]


def test_what_predictions_need_is_known_even_where_parameters_are_not(tmp_path: Path) -> None:
    """Of a * b * x only the product is identified: neither has an error, and every row has its band."""
    flat, document = saved(
        tmp_path, config("y ~ a * b * x", parameters={"a": 1, "b": 2}, stopping={"allow_flat": True})
    )
    plain, _ = saved(tmp_path, config("y ~ c * x", parameters={"c": 1}))
    assert document["parameters"]["a"]["error"] is None
    scale = np.sqrt(24 / 23)  # a and b are counted as two
    quantiles = stats.t.ppf(0.975, 23) / stats.t.ppf(0.975, 24)
    half, expected = (table["confidence_upper"] - table["prediction"] for table in (flat, plain))
    np.testing.assert_allclose(half, expected * scale * quantiles, rtol=1e-7, atol=1e-12)


# -- resamples ----------------------------------------------------------------------------------------------------------------


def test_of_resamples_they_are_the_percentiles_of_their_predictions(tmp_path: Path) -> None:
    """Cases are drawn anew in numpy from the seeds that the bootstrap documents, and refitted by its normal equations."""
    table, document = saved(tmp_path, config(LINE, uncertainty={"kind": "bootstrap", "resamples": 200}, seed=4))
    refits = []
    for number in range(200):
        weight = np.random.default_rng([4, number]).multinomial(25, np.full(25, 1 / 25))
        refits.append(np.linalg.solve((DESIGN.T * weight) @ DESIGN, DESIGN.T @ (weight * Y)))
    drawn = np.array(refits) @ DESIGN.T
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    np.testing.assert_allclose(table["confidence_lower"], low, rtol=1e-7)
    np.testing.assert_allclose(table["confidence_upper"], high, rtol=1e-7)
    variance = document["uncertainty"]["residual_variance"]
    reach = stats.t.ppf(0.975, 23) * np.sqrt(drawn.var(axis=0, ddof=1) + variance)
    np.testing.assert_allclose(table["prediction_upper"] - table["prediction"], reach, rtol=1e-6)


def test_too_many_predictions_of_resamples_give_way_to_their_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, theta = _line()
    sample = theta + RANDOM.normal(size=(4000, 2)) * [0.1, 0.05]
    spread = ResampledSpread(theta=sample, dof=23)
    every = bands(problem, theta, spread, level=0.5, residual_variance=0.1)
    monkeypatch.setattr(bands_module, "MOST_RESAMPLED", 10)
    some = bands(problem, theta, spread, level=0.5, residual_variance=0.1)
    np.testing.assert_allclose(some.ends["prediction_upper"], every.ends["prediction_upper"], rtol=1e-12)
    quantiles = stats.t.ppf(0.75, 23) / stats.norm.ppf(0.75)
    np.testing.assert_allclose(
        some.confidence_upper - some.prediction,
        (every.confidence_upper - every.confidence_lower) / 2 * quantiles, rtol=0.1,
    )  # fmt: skip


# -- rows ---------------------------------------------------------------------------------------------------------------------


def _line(loss: str = "mse") -> tuple[Any, Array]:
    problem = assembled(config(LINE, Y, loss=loss)).problem
    return problem, np.asarray(np.linalg.lstsq(DESIGN, Y)[0], np.float64)


@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_rows_by_chunks_are_the_rows_at_once(monkeypatch: pytest.MonkeyPatch, loss: str) -> None:
    problem, theta = _line(loss)
    spread = NormalSpread(half=np.array([[0.1, 0.0], [0.02, 0.07]]), dof=None)
    whole = bands(problem, theta, spread, level=0.9, residual_variance=0.3)
    monkeypatch.setattr(bands_module, "CHUNK", 7)
    monkeypatch.setattr("fitkit.optimizers.least_squares.CHUNK", 7)
    monkeypatch.setattr("fitkit.optimizers.bound_rows.CHUNK", 7)
    problem, theta = _line(loss)  # what was compiled for the rows at once stays with them
    parts = bands(problem, theta, spread, level=0.9, residual_variance=0.3)
    for name, end in whole.ends.items():
        np.testing.assert_allclose(parts.ends[name], end, rtol=1e-13)
    assert len(parts.prediction) == 25


@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_new_rows_need_no_targets(loss: str) -> None:
    """The bands of a line at other places, where the spread is written out by hand."""
    problem, theta = _line(loss)
    places = np.array([-2.0, 0.5, 9.0])
    rows = problem.rows.take(slice(0, 3))
    rows = type(rows)(
        inputs={"x": array(places, "float64")}, target=array(np.full(3, np.nan), "float64"), sigma=None,
        weight=array(np.ones(3), "float64"),
    )  # fmt: skip
    half = np.array([[0.1, 0.0], [0.02, 0.07]])
    found: Bands = bands(problem.with_rows(rows), theta, NormalSpread(half=half, dof=5), level=0.9)
    design = np.column_stack([np.ones(3), places])
    reach = stats.t.ppf(0.95, 5) * np.sqrt(np.einsum("ij,jk,ik->i", design, half @ half.T, design))
    np.testing.assert_allclose(found.prediction, design @ theta, rtol=1e-12)
    np.testing.assert_allclose(found.confidence_upper, design @ theta + reach, rtol=1e-12)
    assert found.prediction_lower is None


def test_bands_cover_as_often_as_they_promise() -> None:
    """Of 400 simulated lines the bands of 25 rows cover the mean, and a new target, as often as the level says."""
    random, level, fits = np.random.default_rng(2), 0.9, 400
    truth = 1 + 2 * X
    problem, _ = _line()
    covered, predicted = np.zeros(25), np.zeros(25)
    inverse = np.linalg.inv(DESIGN.T @ DESIGN)
    for _ in range(fits):
        y = truth + 0.4 * random.normal(size=25)
        theta = inverse @ DESIGN.T @ y
        variance = float(np.sum((y - DESIGN @ theta) ** 2) / 23)
        spread = NormalSpread(half=np.asarray(np.linalg.cholesky(variance * inverse), np.float64), dof=23)
        found = bands(problem, theta, spread, level=level, residual_variance=variance)
        new = truth + 0.4 * random.normal(size=25)
        covered += (found.confidence_lower <= truth) & (truth <= found.confidence_upper)
        assert found.prediction_lower is not None
        assert found.prediction_upper is not None
        predicted += (found.prediction_lower <= new) & (new <= found.prediction_upper)
    deviation = np.sqrt(fits * level * (1 - level))
    np.testing.assert_allclose(covered, fits * level, atol=3.5 * deviation)
    np.testing.assert_allclose(predicted, fits * level, atol=3.5 * deviation)
