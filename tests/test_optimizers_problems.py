"""Problems times optimizers: each optimizer finds what others find, stays within the bounds, and tells no lies."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import pytest
from fitting import Fit, column, fit, right_digits
from known_problems import (
    CASES,
    DECAY,
    NEVER_AT_REST,
    PAIRS,
    RATES,
    X,
    answer,
    data,
    kind_of_rate,
    optimizer_of,
    solved,
)

import fitkit.optimizers as folder
from fitkit.optimizers import OPTIMIZERS, Optimizer, compiled_search
from fitkit.optimizers.base import Solver
from fitkit.optimizers.first_order import FirstOrder


def subclasses_in_the_folder() -> set[type[Optimizer]]:
    modules = [importlib.import_module(f"fitkit.optimizers.{m.name}") for m in pkgutil.iter_modules(folder.__path__)]
    return {
        cls
        for module in modules
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, Optimizer) and cls not in {Optimizer, Solver, FirstOrder}
    }


def test_every_optimizer_in_the_folder_is_listed_and_solves_most_problems() -> None:
    assert subclasses_in_the_folder() == set(OPTIMIZERS)
    for cls in OPTIMIZERS:
        if cls.kind in NEVER_AT_REST:
            continue
        assert sum(kind == cls.kind for _, kind in PAIRS) >= 8


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_the_minimum_is_found(name: str, kind: str) -> None:
    found = solved(name, kind)
    assert found.verdict[:2] == ("converged", 0), found.result.message
    assert right_digits(found.values, answer(name)) >= (
        min(7, CASES[name].digits) if kind_of_rate(kind) in RATES else CASES[name].digits
    )


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_the_loss_ends_below_its_start_and_is_told_for_every_step(name: str, kind: str) -> None:
    found = solved(name, kind)
    losses = {row.step: row.loss for row in found.rows}
    assert list(losses) == list(range((found.result.steps or 0) + 1))
    assert found.result.loss is not None
    assert found.result.loss.initial == losses[0]
    assert found.result.loss.final == list(losses.values())[-1] <= losses[0]
    if kind in {"lm", "lbfgs", "newton"}:  # these never step upwards, but for what cannot be told from rounding
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


@pytest.mark.parametrize(
    ("kind", "searches"), [("lm", 10**9), ("lm", 0), ("lbfgs", 0), ("newton", 0), ("sgd", 0), ("adam", 0)]
)
def test_the_same_seed_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch, kind: str, searches: int) -> None:
    """Of the first fits of a process, which step on the host, and of the later ones, whose search is compiled."""
    monkeypatch.setattr(compiled_search, "SEARCHES_BEFORE", searches)
    config = {**CASES["decay"].config, "optimizer": optimizer_of("decay", kind)}
    first, again = fit(config), fit(config)
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
@pytest.mark.parametrize("kind", ["lm", "lbfgs", "newton"])
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
