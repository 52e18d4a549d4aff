"""The normal likelihood with a fitted standard deviation, against closed forms and iminuit."""

from __future__ import annotations

from typing import Any

import iminuit  # type: ignore[import-untyped]  # it comes without types
import numpy as np
import pytest
from fitting import column, fit, right_digits, source

from fitkit.config import resolved
from fitkit.errors import ConfigError

RANDOM = np.random.default_rng(4)
T = np.linspace(0, 5, 60)
Y = 1 + 2 * T + RANDOM.normal(size=60) * (0.2 + 0.3 * T)
LINE: dict[str, Any] = {
    "data": {"values": {"t": column(T), "y": column(Y)}},
    "model": "y ~ a + b * t",
    "loss": {"kind": "gaussian_nll", "sigma": "s0 + s1 * t"},
    "parameters": {"a": 0, "b": 1, "s0": 1, "s1": 0.1},
}


@pytest.mark.parametrize("optimizer", ["auto", "newton", "lbfgs"])
def test_a_constant_scatter_has_a_closed_form(optimizer: str) -> None:
    """Ordinary least squares, s² = rss / n, and the inverse information: s² (X'X)^-1 and s² / 2n."""
    loss = {"kind": "gaussian_nll", "sigma": "s"}
    found = fit({**LINE, "loss": loss, "parameters": {"a": 0, "b": 1, "s": 3}, "optimizer": optimizer})
    design = np.column_stack([np.ones(60), T])
    line = np.linalg.lstsq(design, Y, rcond=None)[0]
    s = np.sqrt(np.mean((Y - design @ line) ** 2))
    errors = s * np.sqrt([*np.diag(np.linalg.inv(design.T @ design)), 1 / 120])
    assert found.verdict[:2] == ("converged", 0), found.result.message
    assert right_digits(found.values, [*line, s]) >= 8
    assert right_digits(found.errors, errors) >= 7
    assert found.result.loss is not None
    assert found.result.loss.final == pytest.approx(np.log(s) + 0.5, rel=1e-12)
    assert found.result.uncertainty is not None
    assert "observed information" in str(found.result.uncertainty.message)
    assert found.result.optimizer is not None
    assert found.result.optimizer["kind"] == ("newton" if optimizer == "auto" else optimizer)


def test_a_scatter_that_grows_is_iminuits() -> None:
    def cost(a: float, b: float, s0: float, s1: float) -> float:
        sigma = s0 + s1 * T
        return float(np.sum(np.log(sigma) + ((Y - a - b * T) / sigma) ** 2 / 2)) if (sigma > 0).all() else np.inf

    oracle = iminuit.Minuit(cost, a=1, b=2, s0=0.3, s1=0.3)
    oracle.errordef, oracle.strategy, oracle.tol = iminuit.Minuit.LIKELIHOOD, 2, 1e-8
    oracle.migrad()
    oracle.hesse()
    found = fit(LINE)
    assert found.verdict[:2] == ("converged", 0), found.result.message
    np.testing.assert_allclose(found.values, oracle.values, rtol=1e-5)
    np.testing.assert_allclose(found.errors, oracle.errors, rtol=1e-3)


def test_the_scatter_may_follow_the_prediction() -> None:
    found = fit({**LINE, "loss": {"kind": "gaussian_nll", "sigma": "f * prediction"},
                 "parameters": {"a": 1, "b": 2, "f": 0.3}})  # fmt: skip
    assert found.verdict[:2] == ("converged", 0), found.result.message
    a, b, f = found.values
    m = a + b * T
    z = (Y - m) / (f * m)
    assert np.mean(z**2) == pytest.approx(1, rel=1e-9)  # the score of f
    for slope in (np.ones(60), T):
        assert abs(np.sum(slope * ((1 - z**2) / m - z / (f * m)))) < 1e-6


def test_the_resolved_config_keeps_the_formula() -> None:
    assert "sigma: s0 + s1 * t" in resolved(source(LINE))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loss": "gaussian_nll"}, "sigma"),
        ({"loss": {"kind": "gaussian_nll", "sigma": "s0 + s2 * t"}}, "`s2` is neither a column nor a parameter"),
        ({"optimizer": "lm"}, "`lm` minimises sums of squared residuals"),
        ({"data": {"values": {"t": [1, 2], "y": [1, 2]}, "sigma": 1}}, "`sigma` means nothing under"),
    ],
)
def test_mistakes_are_told(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        fit({**LINE, **change})
    assert words in " ".join(diagnostic.message for diagnostic in caught.value.diagnostics)


def test_a_negative_standard_deviation_at_the_start_has_diverged() -> None:
    found = fit({**LINE, "parameters": {"a": 0, "b": 1, "s0": -1, "s1": 0.1}})
    assert found.verdict == ("diverged", 5, "not_finite")
