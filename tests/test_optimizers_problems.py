"""Problems times optimizers: each optimizer finds what others find, stays within the bounds, and tells no lies."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, final

import numpy as np
import pytest
from fitting import Fit, column, fit, right_digits
from numpy.typing import NDArray
from scipy import optimize

import fitkit.optimizers as folder
from fitkit.optimizers import OPTIMIZERS, Optimizer
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
NOT_SQUARES = {"rosenbrock", "poisson", "logistic"}
PAIRS = [
    (name, cls.kind)
    for name, case in CASES.items()
    for cls in OPTIMIZERS
    if (cls.kind in case.rates if issubclass(cls, FirstOrder) else cls.kind != "lm" or name not in NOT_SQUARES)
]


def optimizer_of(name: str, kind: str) -> dict[str, Any]:
    rate = CASES[name].rates.get(kind)
    momentum = {"momentum": 0.9} if kind == "sgd" else {}
    return {"kind": kind, **momentum, **({} if rate is None else {"learning_rate": rate})}


@cache
def solved(name: str, kind: str) -> Fit:
    return fit({**CASES[name].config, "optimizer": optimizer_of(name, kind)})


@cache
def answer(name: str) -> Array:
    return np.asarray(CASES[name].answer(), float)


def subclasses_in_the_folder() -> set[type[Optimizer]]:
    modules = [importlib.import_module(f"fitkit.optimizers.{m.name}") for m in pkgutil.iter_modules(folder.__path__)]
    return {
        cls
        for module in modules
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, Optimizer) and cls not in {Optimizer, FirstOrder}
    }


def test_every_optimizer_in_the_folder_is_listed_and_solves_most_problems() -> None:
    assert subclasses_in_the_folder() == set(OPTIMIZERS)
    for cls in OPTIMIZERS:
        assert sum(kind == cls.kind for _, kind in PAIRS) >= 8


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_the_minimum_is_found(name: str, kind: str) -> None:
    found = solved(name, kind)
    assert found.verdict[:2] == ("converged", 0), found.result.message
    assert right_digits(found.values, answer(name)) >= (
        min(7, CASES[name].digits) if kind in RATES else CASES[name].digits
    )


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_the_loss_ends_below_its_start_and_is_told_for_every_step(name: str, kind: str) -> None:
    found = solved(name, kind)
    losses = {row.step: row.loss for row in found.rows}
    assert list(losses) == list(range((found.result.steps or 0) + 1))
    assert found.result.loss is not None
    assert found.result.loss.initial == losses[0]
    assert found.result.loss.final == list(losses.values())[-1] <= losses[0]
    if kind in {"lm", "lbfgs"}:  # these never step upwards, but for what cannot be told from rounding
        values = np.array(list(losses.values()))
        assert (np.diff(values) <= 1e-9 * np.abs(values[:-1])).all()


@pytest.mark.parametrize(("name", "kind"), [pair for pair in PAIRS if pair[0] in {"active bound", "poisson"}])
def test_bounds_hold_at_every_step(name: str, kind: str) -> None:
    """Neither the way nor the end leaves the box, even where steps are much too long."""
    for most in range(8):
        config = {**CASES[name].config, "optimizer": optimizer_of(name, kind), "stopping": {"max_steps": most}}
        found = fit(config)
        assert found.result.exit_code == (0 if found.result.status == "converged" else 4)
        for told, asked in zip(found.result.parameters.values(), config["parameters"].values(), strict=True):
            assert asked.get("min", -np.inf) <= told.value <= asked.get("max", np.inf)


@pytest.mark.parametrize("kind", ["lm", "lbfgs", "sgd", "adam"])
def test_the_same_seed_gives_the_same_bytes(kind: str) -> None:
    first = solved("decay", kind)
    again = fit({**CASES["decay"].config, "optimizer": optimizer_of("decay", kind)})
    assert repr(first.rows) == repr(again.rows)
    assert first.values.tobytes() == again.values.tobytes()


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_batches_reach_the_neighbourhood_of_the_minimum(kind: str) -> None:
    """Half the rows at a time, with a rate that leaves only noise of its own size."""
    options = {**optimizer_of("decay", kind), "learning_rate": 0.01, "batch_size": 16, "epochs": 600}
    found = fit({**CASES["decay"].config, "optimizer": options})
    assert found.verdict == ("completed", 0, "epochs_done")
    np.testing.assert_allclose(found.values, answer("decay"), rtol=0.03)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
@pytest.mark.parametrize("kind", ["lm", "lbfgs"])
def test_rescaling_parameters_or_data_changes_no_verdict(kind: str, scale: float) -> None:
    """In other units of the target, of the input, or of a parameter, the same fit ends for the same reason."""
    model = "y ~ a * exp(-k * x) + c"
    plain = solved("decay", kind)
    target = fit({
        "data": data(DECAY * scale), "model": model, "optimizer": kind,
        "parameters": {"a": 2 * scale, "k": 0.5, "c": 0.0},
    })  # fmt: skip
    inputs = fit({
        "data": {"values": {"x": column(X * scale), "y": column(DECAY)}}, "model": model, "optimizer": kind,
        "parameters": {"a": 2.0, "k": 0.5 / scale, "c": 0.0},
    })  # fmt: skip
    parameter = fit({
        "data": data(DECAY), "model": f"y ~ a * {scale!r} * exp(-k * x) + c", "optimizer": kind,
        "parameters": {"a": 2.0 / scale, "k": 0.5, "c": 0.0},
    })  # fmt: skip
    for found, factors in ((target, [scale, 1, scale]), (inputs, [1, 1 / scale, 1]), (parameter, [1 / scale, 1, 1])):
        assert found.verdict == plain.verdict
        assert right_digits(found.values / factors, answer("decay")) >= 8
        np.testing.assert_allclose(found.errors / factors, plain.errors, rtol=1e-7)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_rescaling_a_pure_objective_changes_no_verdict(scale: float) -> None:
    def valley(value: float, parameter: float) -> Fit:
        return fit({
            "minimize": f"{value!r} * ((1 - a * {parameter!r})**2 + 100 * (b - (a * {parameter!r})**2)**2)",
            "parameters": {"a": -1.2 / parameter, "b": 1}, "optimizer": "lbfgs",
        })  # fmt: skip

    plain = solved("rosenbrock", "lbfgs")
    for found, factor in ((valley(scale, 1.0), 1.0), (valley(1.0, scale), scale)):
        assert found.verdict == plain.verdict
        assert right_digits(found.values * [factor, 1], [1, 1]) >= 8
