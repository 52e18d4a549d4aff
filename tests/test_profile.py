"""Profile intervals against iminuit's MINOS and lmfit's conf_interval, and the laws that they obey."""

from __future__ import annotations

import json
from typing import Any

import iminuit  # type: ignore[import-untyped]  # it comes without types
import lmfit  # type: ignore[import-untyped]  # it comes without types
import numpy as np
import pytest
from command import fitkit, written
from fitting import ROOT, Fit, column, fit
from numpy.typing import NDArray
from scipy import optimize, special, stats

from fitkit.reports import json_document, text
from fitkit.reports.text import TextStyle

Array = NDArray[np.float64]
RANDOM = np.random.default_rng(1)
X = np.linspace(0, 4, 20)
Y = 5 * np.exp(-0.8 * X) + 1 + 0.4 * RANDOM.normal(size=20)
COUNTS = RANDOM.poisson(20 * np.exp(-X) + 4).astype(float)
START = {"a": 4, "k": 1, "c": 0.5}
PROFILE = {"kind": "profile"}


def decay(x: Array, a: Any, k: Any, c: Any) -> Array:
    return np.asarray(a * np.exp(-k * x) + c)


def profiled(y: Array = Y, **more: Any) -> Fit:
    data: dict[str, Any] = {"values": {"x": column(X), "y": column(y)}}
    if "sigma" in more:
        data["sigma"] = more.pop("sigma")
    return fit({"data": data, "model": "y ~ a * exp(-k * x) + c", "parameters": START, "uncertainty": PROFILE, **more})


def intervals(found: Fit) -> Array:
    return np.array([parameter.interval for parameter in found.result.parameters.values()], float)


def ends_of(found: Fit, name: str) -> Array:
    return np.array(found.result.parameters[name].interval, float)


def minos(cost: Any, level: float, **start: float) -> Array:
    """Return the intervals of iminuit, whose parameters are those of `cost`."""
    found = iminuit.Minuit(cost, **start)
    found.errordef = iminuit.Minuit.LIKELIHOOD
    found.strategy, found.tol = 2, 1e-8
    found.migrad()
    found.minos(cl=level)
    ends = [(p.value + found.merrors[p.name].lower, p.value + found.merrors[p.name].upper) for p in found.params]
    return np.array(ends)


def test_without_sigma_they_are_lmfits_f_test() -> None:
    model = lmfit.Model(lambda x, a, k, c: a * np.exp(-k * x) + c)
    best = model.fit(Y, x=X, **START, fit_kws={"xtol": 1e-12, "ftol": 1e-12})
    oracle = lmfit.conf_interval(best, best, sigmas=[0.9])
    expected = [[oracle[name][0][1], oracle[name][2][1]] for name in START]
    found = profiled(uncertainty={"kind": "profile", "level": 0.9})
    np.testing.assert_allclose(intervals(found), expected, rtol=1e-5)
    assert found.result.uncertainty is not None
    assert found.result.uncertainty.status == "accurate"


def test_with_sigma_they_are_minos_at_a_rise_of_chi_square() -> None:
    def cost(a: float, k: float, c: float) -> float:
        return float(np.sum(((Y - decay(X, a, k, c)) / 0.4) ** 2) / 2)

    np.testing.assert_allclose(intervals(profiled(sigma=0.4)), minos(cost, 0.95, **START), rtol=1e-5, atol=1e-5)


def test_of_counts_they_are_minos() -> None:
    def cost(a: float, k: float, c: float) -> float:
        rate = np.maximum(decay(X, a, k, c), 1e-9)
        return float(np.sum(rate - special.xlogy(COUNTS, rate)))

    parameters = {"a": {"start": 10, "min": 0}, "k": {"start": 1, "min": 0}, "c": {"start": 2, "min": 0}}
    found = profiled(COUNTS, loss="poisson", parameters=parameters, uncertainty={"kind": "profile", "level": 0.68})
    np.testing.assert_allclose(intervals(found), minos(cost, 0.68, a=20, k=1, c=4), rtol=1e-4)


def test_of_a_logistic_regression_they_are_minos() -> None:
    yes = (RANDOM.random(20) < special.expit(2 * (X - 1.5))).astype(float)

    def cost(u: float, v: float) -> float:
        logit = u + v * X
        return float(np.sum(np.logaddexp(0, logit) - yes * logit))

    data = {"values": {"x": column(X), "y": column(yes)}}
    linear = {"kind": "linear", "inputs": ["x"], "target": "y"}
    found = fit({"data": data, "model": linear, "loss": "binary_cross_entropy", "uncertainty": PROFILE})
    np.testing.assert_allclose(intervals(found), minos(cost, 0.95, u=0, v=0), rtol=1e-4)


def test_an_objective_is_taken_for_a_negative_log_likelihood() -> None:
    def cost(a: float, b: float) -> float:
        return float((a - 1) ** 2 + 0.3 * (a - 1) ** 3 + 10 * (b - a**2) ** 2)

    config = {"minimize": "(a - 1)**2 + 0.3 * (a - 1)**3 + 10 * (b - a**2)**2", "parameters": {"a": 1.2, "b": 1}}
    found = fit({**config, "uncertainty": {"kind": "profile", "level": 0.68}})
    np.testing.assert_allclose(intervals(found), minos(cost, 0.68, a=1.2, b=1), rtol=1e-4)
    assert found.result.uncertainty is not None
    assert "negative log-likelihood" in (found.result.uncertainty.message or "")


@pytest.mark.parametrize("sigma", [None, 0.4])
def test_of_a_linear_model_they_are_those_of_the_covariance(sigma: float | None) -> None:
    data = {"values": {"x": column(X), "y": column(Y)}} | ({} if sigma is None else {"sigma": sigma})
    line = {"data": data, "model": {"kind": "polynomial", "input": "x", "target": "y", "degree": 2}}
    np.testing.assert_allclose(
        intervals(fit({**line, "uncertainty": PROFILE})), intervals(fit(line)), rtol=1e-6, atol=1e-6
    )


def test_one_parameter_alone_in_closed_form() -> None:
    config = {"data": {"values": {"x": column(X), "y": column(Y)}, "sigma": 0.4}, "model": "y ~ 5 * exp(-k * x) + 1"}
    found = fit({**config, "parameters": {"k": 1}, "uncertainty": PROFILE})

    def rise(k: float) -> float:
        chi = [np.sum(((Y - decay(X, 5, rate, 1)) / 0.4) ** 2) for rate in (k, found.values[0])]
        return float(chi[0] - chi[1] - stats.chi2.ppf(0.95, 1))

    best = float(found.values[0])
    expected = [optimize.brentq(rise, 0.5, best, xtol=1e-13), optimize.brentq(rise, best, 1.2, xtol=1e-13)]
    np.testing.assert_allclose(intervals(found)[0], expected, rtol=1e-6)


def test_they_do_not_depend_on_the_scale_of_the_search() -> None:
    straight = profiled(sigma=0.4)
    logarithmic = {"a": 4, "k": {"start": 1, "scale": "log"}, "c": 0.5}
    np.testing.assert_allclose(intervals(profiled(sigma=0.4, parameters=logarithmic)), intervals(straight), rtol=1e-6)


def test_they_follow_a_rescaling_of_the_data() -> None:
    small, large = profiled(), profiled(1e8 * Y, parameters={"a": 4e8, "k": 1, "c": 0.5e8})
    np.testing.assert_allclose(intervals(large), intervals(small) * np.array([[1e8], [1], [1e8]]), rtol=1e-6)


def test_a_bound_ends_an_interval_on_its_side() -> None:
    free = intervals(profiled(sigma=0.4))
    found = profiled(sigma=0.4, parameters={**START, "c": {"start": 0.5, "min": 0.2}})
    low, high = found.result.parameters["c"].interval or (1, None)
    assert low is None
    assert high == pytest.approx(free[2, 1], rel=1e-6)
    told = found.result.uncertainty
    assert told is not None
    assert "bounds end those of c" in (told.message or "")
    assert "below 1.3" in text.render(found.result, TextStyle())
    assert json.loads(json_document.render(found.result))["parameters"]["c"]["interval"][0] is None


def test_a_parameter_held_at_a_bound_has_the_other_side() -> None:
    found = profiled(sigma=0.4, parameters={**START, "c": {"start": 2, "min": 1.5}})
    held = found.result.parameters["c"]
    assert held.flags == ("at_bound",)
    assert held.error is None
    low, high = held.interval or (1, None)
    assert low is None
    assert high is not None

    def chi(c: float) -> float:
        def residuals(t: Array) -> Array:
            return np.asarray((decay(X, t[0], t[1], c) - Y) / 0.4)

        return float(2 * optimize.least_squares(residuals, [4, 1], xtol=1e-14, ftol=1e-14).cost)

    assert chi(high) - chi(1.5) == pytest.approx(stats.chi2.ppf(0.95, 1), rel=1e-5)
    assert found.result.uncertainty is not None
    assert found.result.uncertainty.status == "approximate"


def test_a_profile_that_nothing_ends_has_no_end() -> None:
    """Of exp(-k x) at x >= 1 with data near zero any larger k fits: the interval is open above."""
    x, y = np.linspace(1, 3, 8), np.array([0.3, 0.05, -0.04, 0.06, -0.05, 0.02, 0.04, -0.03])
    config = {"data": {"values": {"x": column(x), "y": column(y)}, "sigma": 0.2}, "model": "y ~ exp(-k * x)"}
    found = fit({**config, "parameters": {"k": 1}, "uncertainty": PROFILE})
    low, high = found.result.parameters["k"].interval or (None, 1)
    assert low is not None
    assert high is None
    assert found.result.uncertainty is not None
    assert "nothing ends" in (found.result.uncertainty.message or "")


def test_a_lower_minimum_is_told() -> None:
    config = {"minimize": "(x**2 - 1)**2 + x / 20", "parameters": {"x": 1.1}, "uncertainty": {"kind": "profile"}}
    told = fit(config).result.uncertainty
    assert told is not None
    assert told.status == "unavailable"
    assert "lower loss" in (told.message or "")


def test_errors_and_correlations_are_those_of_the_covariance() -> None:
    found, plain = profiled(), profiled(uncertainty="covariance")
    np.testing.assert_array_equal(found.errors, plain.errors)
    assert found.result.uncertainty is not None
    assert plain.result.uncertainty is not None
    np.testing.assert_array_equal(found.result.uncertainty.correlation, plain.result.uncertainty.correlation)


TIES: dict[str, Any] = {
    "half": {"equals": "log(2) / k"},
    "ratio": {"equals": "a * k / (1 + c**2)"},
    "double": {"equals": "2 * half"},
}
INSTEAD: dict[str, tuple[str, dict[str, Any]]] = {
    "half": ("y ~ a * exp(-log(2) / half * x) + c", {"a": 4, "half": 1, "c": 0.5}),
    "ratio": ("y ~ ratio * (1 + c**2) / k * exp(-k * x) + c", {"ratio": 4, "k": 1, "c": 0.5}),
}


@pytest.mark.parametrize("sigma", [None, 0.4])
def test_tied_parameters_have_the_profile_that_they_would_have_as_free_ones(sigma: float | None) -> None:
    more: dict[str, Any] = {} if sigma is None else {"sigma": sigma}
    found = profiled(parameters={**START, **TIES}, **more)
    for name, (model, parameters) in INSTEAD.items():
        free = profiled(model=model, parameters=parameters, **more)
        np.testing.assert_allclose(ends_of(found, name), ends_of(free, name), rtol=1e-6)
    np.testing.assert_allclose(ends_of(found, "double"), 2 * ends_of(found, "half"), rtol=1e-6)
    assert found.result.uncertainty is not None
    assert found.result.uncertainty.status == "accurate"


def test_the_profile_of_a_tied_parameter_of_counts_is_minos() -> None:
    def cost(a: float, half: float, c: float) -> float:
        rate = np.maximum(decay(X, a, np.log(2) / half, c), 1e-9)
        return float(np.sum(rate - special.xlogy(COUNTS, rate)))

    parameters = {"a": {"start": 10, "min": 0}, "k": {"start": 1, "min": 0}, "c": {"start": 2, "min": 0}}
    found = profiled(COUNTS, loss="poisson", parameters={**parameters, "half": TIES["half"]})
    np.testing.assert_allclose(ends_of(found, "half"), minos(cost, 0.95, a=20, half=0.7, c=4)[1], rtol=1e-4)


def test_the_profile_of_a_function_of_one_parameter_is_the_function_of_its_profile() -> None:
    """So for a pure objective, and for a parameter that is searched in its logarithm."""
    ties = {"l": {"equals": "log(b)"}, "inverse": {"equals": "1 / b"}}
    text = "(a - 1)**2 + 0.5 * (b - 3)**2 + 0.3 * (a - 1) * (b - 3)"
    for b in ({"start": 2, "min": 0.01}, {"start": 2, "scale": "log"}):
        found = fit({"minimize": text, "parameters": {"a": 0, "b": b, **ties}, "uncertainty": PROFILE})
        np.testing.assert_allclose(ends_of(found, "l"), np.log(ends_of(found, "b")), rtol=1e-6, atol=2e-7)
        np.testing.assert_allclose(ends_of(found, "inverse"), 1 / ends_of(found, "b")[::-1], rtol=1e-6)


def test_a_prior_on_a_tied_parameter_counts_in_its_profile() -> None:
    prior = {"mean": 1, "sigma": 0.05}
    found = profiled(sigma=0.4, parameters={**START, "half": {"equals": "log(2) / k", "prior": prior}})
    model, parameters = INSTEAD["half"]
    free = profiled(sigma=0.4, model=model, parameters={**parameters, "half": {"start": 1, "prior": prior}})
    np.testing.assert_allclose(ends_of(found, "half"), ends_of(free, "half"), rtol=1e-6)


def test_where_a_tied_parameter_cannot_go_nothing_but_a_bound_ends_its_interval() -> None:
    """A square is never below zero, which chance alone does not rule out here."""
    data = {"values": {"x": [1, 2, 3, 4], "y": [0.5, -0.3, 0.4, 0.1]}, "sigma": 0.5}
    parameters = {"c": 1, "square": {"equals": "c**2"}}
    found = fit({"data": data, "model": "y ~ c", "parameters": parameters, "uncertainty": PROFILE})
    low, high = ends_of(found, "square")
    assert np.isnan(low)
    assert high == pytest.approx((0.175 + stats.norm.ppf(0.975) * 0.25) ** 2, rel=1e-6)
    assert found.result.uncertainty is not None
    assert "bounds end those of square" in (found.result.uncertainty.message or "")


def test_a_tied_parameter_of_constants_has_no_interval() -> None:
    assert profiled(parameters={**START, "two": {"equals": "1 + 1"}}).result.parameters["two"].interval is None


def test_without_degrees_of_freedom_there_is_no_scale() -> None:
    config = {"data": {"values": {"x": [0, 1], "y": [1, 3]}}, "model": "y ~ a * x + b", "parameters": {"a": 1, "b": 0}}
    told = fit({**config, "uncertainty": PROFILE}).result.uncertainty
    assert told is not None
    assert told.status == "unavailable"
    assert "degrees of freedom" in (told.message or "")


@pytest.mark.parametrize(
    ("lines", "code", "word"),
    [
        ("loss: huber", "E111", "huber"),
        ("loss: mae\noptimizer: adam", "E111", "mae"),
        ("regularization: {l1: 1}", "E111", "l1"),
        ("loss: {kind: expression, expression: (prediction - target)**2}", "E111", "expression"),
    ],
)
def test_losses_without_a_likelihood_are_refused(tmp_path: Any, lines: str, code: str, word: str) -> None:
    base = "data: {values: {x: [1, 2, 3], y: [1, 2, 4]}}\nmodel: y ~ a * x\nparameters: {a: 1}\nuncertainty: profile\n"
    done = fitkit("validate", written(tmp_path, "c.yaml", f"{base}{lines}\n"))
    assert done.code == 2
    assert f"[{code}]" in done.err + done.out
    assert word in done.err + done.out


def test_a_refit_that_went_astray_is_tried_again_from_a_better_start() -> None:
    """At the distance that the curvature foretells the refit of Rat43's b2 leaves for a plateau; the profile goes on."""
    found = fit("nist/Rat43.yaml", "uncertainty.kind=profile")
    table = np.loadtxt(ROOT / "datasets" / "nist" / "Rat43.csv", delimiter=",", skiprows=1)
    model = lmfit.Model(lambda x, b1, b2, b3, b4: b1 / (1 + np.exp(b2 - b3 * x)) ** (1 / b4))
    start = {name: parameter.value for name, parameter in found.result.parameters.items()}
    best = model.fit(table[:, 1], x=table[:, 0], **start, fit_kws={"xtol": 1e-12, "ftol": 1e-12})
    oracle = lmfit.conf_interval(best, best, p_names=["b2"], sigmas=[0.95])["b2"]
    assert found.result.parameters["b2"].interval == pytest.approx((oracle[0][1], oracle[2][1]), rel=1e-4)
    assert found.result.uncertainty is not None
    assert found.result.uncertainty.status == "accurate"
