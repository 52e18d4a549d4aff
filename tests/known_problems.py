"""Problems whose minima are known from elsewhere: closed forms, scipy, or the root of a score written out in numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, final

import numpy as np
from fitting import Fit, column, fit
from numpy.typing import NDArray
from scipy import optimize

from fitkit.optimizers import OPTIMIZERS
from fitkit.optimizers.first_order import FirstOrder

Array = NDArray[np.float64]
RANDOM = np.random.default_rng(2)
X = np.linspace(0, 3, 30)
DECAY = 3 * np.exp(-0.9 * X) + 0.5 + RANDOM.normal(0, 0.05, 30)
LINE = 1.5 - 0.8 * X + RANDOM.normal(0, 0.1, 30)
OUTLIERS = LINE + np.where(np.arange(30) % 7 == 3, 6.0, 0.0)
SIGMA, WEIGHT = RANDOM.uniform(0.03, 0.2, 30), RANDOM.uniform(0.1, 3, 30)
COUNTS = RANDOM.poisson(40 * np.exp(-1.5 * X) + 8).astype(float)
YES = (RANDOM.random(30) < 1 / (1 + np.exp(-2 * (X - 1.5)))).astype(float)
TIES = np.array([[4, 0], [1, 0], [0, 1.0]])
DESIGN = np.column_stack([np.ones(30), X])


def decay(t: Array, x: Array = X) -> Array:
    return np.asarray(t[0] * np.exp(-t[1] * x) + t[2])


def squares(residual: Callable[[Array], Array], start: Any, **options: Any) -> Array:
    """Return scipy's minimum of a sum of squares, as far as it goes."""
    found = optimize.least_squares(residual, start, xtol=1e-15, ftol=1e-15, gtol=1e-15, x_scale="jac", **options)
    return np.asarray(found.x)


def root(gradient: Callable[[Array], Array], start: Any) -> Array:
    """Return where a gradient vanishes."""
    found = optimize.root(gradient, start, tol=1e-14)
    return np.asarray(found.x)


def poisson_score(t: Array) -> Array:
    rate = decay(t)
    slopes = np.column_stack([np.exp(-t[1] * X), -t[0] * X * np.exp(-t[1] * X), np.ones(30)])
    return np.asarray(slopes.T @ (1 - COUNTS / rate) / 30)


def logistic_score(t: Array) -> Array:
    return np.asarray(DESIGN.T @ (1 / (1 + np.exp(-DESIGN @ t)) - YES) / 30)


def huber_score(t: Array) -> Array:
    return np.asarray(DESIGN.T @ np.clip(DESIGN @ t - OUTLIERS, -0.2, 0.2) / 30)


def data(y: Array, **more: Any) -> dict[str, Any]:
    columns = {name: column(values) for name, values in more.items() if not isinstance(values, str)}
    return {
        "values": {"x": column(X), "y": column(y), **columns},
        **{k: v for k, v in more.items() if isinstance(v, str)},
    }


@final
@dataclass(frozen=True, kw_only=True)
class Case:
    """A problem, and where its minimum is known to be."""

    config: dict[str, Any]
    answer: Callable[[], Any]
    rates: dict[str, float] = field(default_factory=dict)
    """The learning rates that suit it; an optimizer without one is not asked."""
    digits: float = 8
    """How far the oracle's answer can be trusted."""


START = {"a": 2.0, "k": 0.5, "c": 0.0}
RATES = {"sgd": 0.05, "adam": 0.02}
LINEAR = {"kind": "linear", "inputs": ["x"], "target": "y"}
CASES: dict[str, Case] = {
    "line": Case(
        config={"data": data(LINE), "model": LINEAR},
        answer=lambda: np.linalg.lstsq(DESIGN, LINE, rcond=None)[0],
        rates=RATES,
        digits=10,
    ),
    "decay": Case(
        config={"data": data(DECAY), "model": "y ~ a * exp(-k * x) + c", "parameters": START},
        answer=lambda: squares(lambda t: decay(t) - DECAY, [2, 0.5, 0]),
        rates=RATES,
    ),
    "rosenbrock": Case(
        config={"minimize": "(1 - a)**2 + 100 * (b - a**2)**2", "parameters": {"a": -1.2, "b": 1}},
        answer=lambda: [1, 1],
        rates={"adam": 0.02},
    ),
    "rosenbrock as residuals": Case(
        config={
            "data": {"values": {"x": [0, 1], "y": [0, 0]}},
            "model": "y ~ a",
            "loss": {"kind": "residual", "expression": "where(x == 1, 10 * (b - a**2), 1 - a) + 0 * prediction"},
            "parameters": {"a": -1.2, "b": 1},
        },
        answer=lambda: [1, 1],
        rates={"adam": 0.02},
    ),
    "active bound": Case(
        config={
            "data": data(DECAY),
            "model": "y ~ a * exp(-k * x) + c",
            "parameters": {
                "a": {"start": 2, "max": 10},
                "k": {"start": 0.5, "min": 0},
                "c": {"start": 0, "min": -1, "max": 0.3},
            },
        },
        answer=lambda: [*squares(lambda t: decay(np.array([*t, 0.3])) - DECAY, [2, 0.5]), 0.3],
        rates=RATES,
    ),
    "logarithmic scale": Case(
        config={
            "data": data(DECAY),
            "model": "y ~ a * exp(-k * x) + c",
            "parameters": {"a": 2.0, "k": {"start": 0.1, "scale": "log"}, "c": 0.0},
        },
        answer=lambda: squares(lambda t: decay(t) - DECAY, [2, 0.5, 0]),
        rates=RATES,
    ),
    "tied": Case(
        config={
            "data": data(DECAY),
            "model": "y ~ a * exp(-k * x) + c",
            "parameters": {"a": {"equals": "4 * k"}, "k": 0.5, "c": 0.0},
        },
        answer=lambda: TIES @ squares(lambda t: decay(TIES @ t) - DECAY, [0.5, 0]),
        rates=RATES,
    ),
    "weights": Case(
        config={"data": data(LINE, w=WEIGHT, weights="w"), "model": LINEAR},
        answer=lambda: np.linalg.solve((DESIGN.T * WEIGHT) @ DESIGN, (DESIGN.T * WEIGHT) @ LINE),
        rates=RATES,
        digits=10,
    ),
    "sigma": Case(
        config={"data": data(DECAY, s=SIGMA, sigma="s"), "model": "y ~ a * exp(-k * x) + c", "parameters": START},
        answer=lambda: squares(lambda t: (decay(t) - DECAY) / SIGMA, [2, 0.5, 0]),
        rates={"sgd": 1e-4, "adam": 0.02},
    ),
    "poisson": Case(
        config={
            "data": data(COUNTS),
            "model": "y ~ a * exp(-k * x) + c",
            "loss": "poisson",
            "parameters": {name: {"start": start, "min": 0.01} for name, start in {"a": 20, "k": 1, "c": 5}.items()},
        },
        answer=lambda: root(poisson_score, [40, 1.5, 8]),
        rates={"adam": 0.1},
    ),
    "logistic": Case(
        config={"data": data(YES), "model": LINEAR, "loss": "binary_cross_entropy"},
        answer=lambda: root(logistic_score, [0, 0]),
        rates={"sgd": 0.5, "adam": 0.05},
    ),
    "huber": Case(
        config={"data": data(OUTLIERS), "model": LINEAR, "loss": {"kind": "huber", "delta": 0.2}},
        answer=lambda: root(huber_score, [1.5, -0.8]),
        rates=RATES,
    ),
    "ridge": Case(
        config={
            "data": data(LINE),
            "model": "y ~ a + b * x",
            "parameters": {"a": 0, "b": 0},
            "regularization": {"l2": 0.1},
        },
        answer=lambda: np.linalg.solve(2 * DESIGN.T @ DESIGN / 30 + 0.1 * np.eye(2), 2 * DESIGN.T @ LINE / 30),
        rates=RATES,
        digits=10,
    ),
}


def kind_of_rate(kind: str) -> str:
    """Return the optimizer whose learning rates suit another: without decay adamw is adam."""
    return "adam" if kind == "adamw" else kind


NEVER_AT_REST = {"rmsprop", "lion", "adagrad"}
"""Steps that stay long at a minimum, or are short before it: what these do is compared with torch and closed forms."""
NOT_SQUARES = {"rosenbrock", "poisson", "logistic"}
PAIRS = [
    (name, cls.kind)
    for name, case in CASES.items()
    for cls in OPTIMIZERS
    if (
        kind_of_rate(cls.kind) in case.rates
        if issubclass(cls, FirstOrder)
        else cls.kind != "lm" or name not in NOT_SQUARES
    )
]


def optimizer_of(name: str, kind: str) -> dict[str, Any]:
    rate = CASES[name].rates.get(kind_of_rate(kind))
    own = {"sgd": {"momentum": 0.9}, "adamw": {"weight_decay": 0.0}}.get(kind, {})
    return {"kind": kind, **own, **({} if rate is None else {"learning_rate": rate})}


@cache
def solved(name: str, kind: str) -> Fit:
    return fit({**CASES[name].config, "optimizer": optimizer_of(name, kind)})


@cache
def answer(name: str) -> Array:
    return np.asarray(CASES[name].answer(), float)
