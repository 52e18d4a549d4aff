"""Training: the order of the rows, rows held out, patience, schedules, clipping, and what is said when it fails."""

from __future__ import annotations

import io
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fitting import Fit, column, fit, source
from hypothesis import given, settings
from hypothesis import strategies as st

from fitkit.backend import COMPILATIONS, jax
from fitkit.errors import ConfigError, DataError
from fitkit.minimize import HistoryRow, Search, Watch, by_epochs, minimize
from fitkit.models import LinearModel
from fitkit.optimizers import Stopping, pieces
from fitkit.optimizers.adam import Adam
from fitkit.optimizers.lm import LevenbergMarquardt
from fitkit.optimizers.shuffle import Order, draw_order, order_of_pass, rows_of_batch
from fitkit.optimizers.stopping import Reason
from fitkit.parameters import Layout
from fitkit.progress import Progress
from fitkit.run.advice import too_fast
from fitkit.run.assemble import assemble
from fitkit.run.train import TrainOptions
from fitkit.run.train import train as trained

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=60)
Y = 1 + 2 * X + RANDOM.normal(0, 0.3, 60)
LINEAR = {"kind": "linear", "inputs": ["x"], "target": "y"}


def train(optimizer: dict[str, Any], *, data: dict[str, Any] | None = None, **more: Any) -> Fit:
    table = {"values": {"x": column(X), "y": column(Y)}, **(data or {})}
    return fit({"data": table, "model": LINEAR, "optimizer": optimizer, **more})


def passes(rows: int, size: int, seed: int, count: int) -> list[list[int]]:
    order = draw_order(rows, seed)

    @jax.jit
    def one(number: Any, order: Order) -> Any:
        chosen = order_of_pass(order, number)
        return jax.lax.map(lambda batch: rows_of_batch(order, chosen, batch, size), jax.numpy.arange(-(-rows // size)))

    return [np.asarray(one(number, order)).ravel().tolist() for number in range(count)]


@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 90), size=st.integers(1, 40), seed=st.integers(0, 10))
def test_a_pass_takes_every_row_once(rows: int, size: int, seed: int) -> None:
    size = min(size, rows)
    for taken in passes(rows, size, seed, 2):
        assert sorted(taken[:rows]) == list(range(rows))


def test_passes_are_in_different_orders_that_the_seed_decides() -> None:
    first = passes(50, 10, 3, 3)
    assert len({tuple(taken) for taken in first}) == 3
    assert first == passes(50, 10, 3, 3)
    assert first[0] != passes(50, 10, 4, 1)[0]


def test_any_two_rows_meet_in_a_batch_as_often_as_chance_has_it() -> None:
    """In each of 400 passes, 24 rows in batches of 6: a pair meets with probability 5/23; chi-square over the pairs."""
    together = np.zeros((24, 24))
    for taken in passes(24, 6, 0, 400):
        for batch in np.reshape(taken, (4, 6)):
            together[np.ix_(batch, batch)] += 1
    met = together[np.triu_indices(24, 1)]
    expected = 400 * 5 / 23
    assert met.mean() == pytest.approx(expected)
    spread = np.sum((met - expected) ** 2 / (expected * (1 - 5 / 23))) / len(met)
    assert 0.7 < spread < 1.35  # 276 pairs: one, plus or minus about 0.085


def test_the_numbers_do_not_depend_on_where_blocks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = {"kind": "adam", "learning_rate": 0.05, "batch_size": 7, "epochs": 6}
    usual = train(optimizer)
    monkeypatch.setattr(by_epochs, "BLOCK_SECONDS", 1e-12)  # one update at a time
    cut = train(optimizer)
    assert cut.values.tolist() == usual.values.tolist()
    assert [row.loss for row in cut.rows] == [row.loss for row in usual.rows]


def test_the_numbers_do_not_depend_on_who_watches() -> None:
    """Neither on a terminal, where a line is replaced all the time."""
    config = {"data": {"values": {"x": column(X), "y": column(Y)}}, "model": LINEAR}
    config["optimizer"] = {"kind": "adam", "learning_rate": 0.05, "batch_size": 7, "epochs": 6}
    progress = Progress(io.StringIO(), live=True)
    options = (TrainOptions(keep=False), TrainOptions(keep=False, show=progress.show))
    alone, watched = (trained(source(config), each, time.perf_counter())[0] for each in options)
    progress.close()
    assert watched.parameters == alone.parameters
    assert watched.loss == alone.loss


def test_an_update_of_a_batch_is_that_of_the_rows_in_it() -> None:
    """Gradient descent written out in numpy, on the rows that the order of the passes says; the last batch is smaller."""
    rate, theta = 0.05, np.zeros(2)
    for taken in passes(60, 16, 0, 3):
        for begin in range(0, 60, 16):
            rows = taken[begin : min(begin + 16, 60)]
            residual = theta[0] + theta[1] * X[rows] - Y[rows]
            theta = theta - rate * 2 * np.array([residual.mean(), (residual * X[rows]).mean()])
    found = train({"kind": "sgd", "learning_rate": rate, "batch_size": 16, "epochs": 3})
    np.testing.assert_allclose(found.values, theta, rtol=1e-12)


def test_lion_takes_steps_of_one_length_by_the_sign_of_its_mean() -> None:
    """Algorithm 2 of the paper, written out."""
    theta, mean, rate, decay = np.zeros(2), np.zeros(2), 0.01, 0.3
    for _ in range(40):
        residual = theta[0] + theta[1] * X - Y
        gradient = 2 * np.array([residual.mean(), (residual * X).mean()])
        theta = theta - rate * (np.sign(0.9 * mean + 0.1 * gradient) + decay * theta)
        mean = 0.99 * mean + 0.01 * gradient
    found = train({"kind": "lion", "learning_rate": rate, "weight_decay": decay, "epochs": 40})
    np.testing.assert_allclose(found.values, theta, rtol=1e-12)


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize(
    ("schedule", "share"),
    [
        ({"kind": "constant", "warmup": 4}, lambda k: min(1.0, (k + 1) / 4)),
        ({"kind": "step", "every": 5, "factor": 0.3}, lambda k: 0.3 ** (k // 5)),
        (
            {"kind": "cosine", "warmup": 2, "floor": 0.1},
            lambda k: (k + 1) / 2 if k < 2 else 0.1 + 0.9 * (1 + math.cos(math.pi * (k - 2) / 18)) / 2,
        ),
        ("cosine", lambda k: (1 + math.cos(math.pi * k / 20)) / 2),
    ],
)
def test_the_learning_rate_follows_its_schedule_and_gradients_are_clipped(schedule: Any, share: Any, clip: Any) -> None:
    theta = np.zeros(2)
    for number in range(20):
        residual = theta[0] + theta[1] * X - Y
        gradient = 2 * np.array([residual.mean(), (residual * X).mean()])
        if clip is not None:
            gradient = gradient * min(1.0, clip / (np.linalg.norm(gradient) + 1e-6))
        theta = theta - 0.1 * share(number) * gradient
    limits = {} if clip is None else {"clip": clip}
    found = train({"kind": "sgd", "learning_rate": 0.1, "epochs": 20, "schedule": schedule, **limits})
    np.testing.assert_allclose(found.values, theta, rtol=1e-12)


def test_a_share_of_the_rows_is_held_out_and_told() -> None:
    found = train({"kind": "sgd", "learning_rate": 0.05, "epochs": 30}, data={"validation": 0.25})
    result = found.result
    assert result.fit is not None
    assert result.loss is not None
    assert result.fit.rows == 45
    everything = np.mean((found.values[0] + found.values[1] * X - Y) ** 2) * 60
    assert result.loss.final is not None
    assert result.loss.validation is not None
    assert 45 * result.loss.final + 15 * result.loss.validation == pytest.approx(everything, rel=1e-12)
    assert found.rows[-1].validation == pytest.approx(result.loss.validation, rel=1e-12)
    assert not any("weight zero" in warning for warning in result.warnings)


def test_what_is_held_out_does_not_standardize() -> None:
    data = {"values": {"x": column(X), "y": column(Y)}, "validation": 0.25}
    found = assemble(source({"data": data, "model": {**LINEAR, "standardize": True}}), allow_python=False)
    trained = X[found.counts]
    assert len(trained) == 45
    model = found.problem.model
    assert isinstance(model, LinearModel)
    np.testing.assert_allclose(np.asarray(model.center), [trained.mean()], rtol=1e-12)
    np.testing.assert_allclose(np.asarray(model.scale), [trained.std()], rtol=1e-12)


def test_another_table_is_read_for_validation(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("x,y\n0,0\n1,5\n")
    found = train(
        {"kind": "sgd", "learning_rate": 0.05, "epochs": 30}, data={"validation": str(tmp_path / "other.csv")}
    )
    intercept, slope = found.values
    assert found.result.loss is not None
    assert found.result.loss.validation == pytest.approx((intercept**2 + (intercept + slope - 5) ** 2) / 2, rel=1e-12)


def test_patience_returns_to_the_best_epoch_by_the_rows_held_out() -> None:
    optimizer = {"kind": "sgd", "learning_rate": 0.3, "batch_size": 2, "epochs": 400}
    found = train(optimizer, data={"validation": 0.3}, stopping={"patience": 6})
    losses = [row.validation for row in found.rows]
    best = int(np.argmin(losses))
    assert (found.result.reason, found.result.steps) == ("patience", best + 6)
    assert f"the lowest validation loss, of epoch {best}" in found.result.message
    again = train({**optimizer, "epochs": best}, data={"validation": 0.3})
    assert again.values.tolist() == found.values.tolist()


@pytest.mark.parametrize("epochs", [5, 3000])
@pytest.mark.parametrize("more", [{}, {"stopping": {"patience": 2}, "data": {"validation": 0.2}}])
def test_a_learning_rate_a_thousand_times_too_large_is_told_with_one_that_works(epochs: int, more: Any) -> None:
    found = train({"kind": "sgd", "learning_rate": 100.0, "batch_size": 10, "epochs": epochs}, **more)
    assert (found.result.status, found.result.exit_code) == ("diverged", 5)
    rate = float(found.result.message.split("`learning_rate: ")[1].split("`")[0])
    better = train({"kind": "sgd", "learning_rate": rate, "batch_size": 10, "epochs": 20})
    assert better.result.status == "completed"


@pytest.mark.parametrize(
    ("optimizer", "rate"),
    [
        ({"kind": "sgd"}, 0.1),
        ({"kind": "sgd", "momentum": 0.9}, 0.01),
        ({"kind": "adam"}, 0.1),
        ({"kind": "adamw"}, 0.1),
        ({"kind": "rmsprop"}, 0.1),
        ({"kind": "adagrad"}, 1.0),
        ({"kind": "lion"}, 0.01),
    ],
)
def test_every_optimizer_tells_a_rate_a_thousand_times_too_large(optimizer: dict[str, Any], rate: float) -> None:
    """Of a logistic regression, whose loss grows with the weights: a rate with which it falls, and exit 5."""
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 3))
    y = (x @ [1.0, -2.0, 0.5] + 1 + random.normal(size=200) > 0).astype(float)
    names = ["a", "b", "c"]
    told = {
        "data": {"values": {"y": column(y), **{name: column(part) for name, part in zip(names, x.T, strict=True)}}},
        "model": {"kind": "linear", "inputs": names, "target": "y"},
        "loss": "binary_cross_entropy",
    }
    optimizer = {**optimizer, "batch_size": 20, "epochs": 20}
    usual = fit({**told, "optimizer": {**optimizer, "learning_rate": rate}})
    assert (usual.verdict[:2], usual.result.warnings) == (("completed", 0), ())
    found = fit({**told, "optimizer": {**optimizer, "learning_rate": 1000 * rate}})
    assert found.verdict[:2] == ("diverged", 5)
    assert 0 < float(found.result.message.split("`learning_rate: ")[1].split("`")[0]) < 1000 * rate


def test_a_share_that_leaves_nothing_and_a_schedule_without_an_end_are_refused() -> None:
    with pytest.raises(DataError, match="leaves no row to hold out"):
        train({"kind": "adam", "epochs": 2}, data={"validation": 0.001})
    with pytest.raises(DataError, match="leaves no row to fit"):
        train({"kind": "adam", "epochs": 2}, data={"validation": 0.999})
    with pytest.raises(ConfigError, match="between 0 and 1"):
        train({"kind": "adam", "epochs": 2}, data={"validation": 1.0})
    with pytest.raises(ConfigError, match="needs `epochs`"):
        train({"kind": "adam", "schedule": "cosine"})
    with pytest.raises(ConfigError, match="leaves none of 3"):
        train({"kind": "adam", "epochs": 3, "schedule": {"kind": "step", "every": 2, "warmup": 3}})


def test_a_batch_of_more_than_all_rows_is_warned_of() -> None:
    found = train({"kind": "adam", "epochs": 2, "batch_size": 61})
    assert "`batch_size` is 61, more than there are rows: each update takes all 60" in found.result.warnings


def test_the_start_and_a_block_are_compiled_once_however_many_blocks_there_are_and_the_end_is_told_by_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(by_epochs, "BLOCK_SECONDS", 1e-12)
    table = {"values": {"x": column(X[:53]), "y": column(Y[:53])}}
    problem = assemble(source({"data": table, "model": LINEAR}), allow_python=False).problem
    before = COMPILATIONS.programs
    for rate in (0.1, 0.2):
        adam = Adam(batch_size=11, epochs=3, learning_rate=rate)
        minimize(problem, adam, Stopping(), np.zeros(2), watch=Watch())
    assert COMPILATIONS.programs - before == 2


def test_rows_for_validation_may_lack_a_class_but_have_no_new_one(tmp_path: Path) -> None:
    (tmp_path / "fewer.csv").write_text("x,kind\n0,a\n1,c\n")
    (tmp_path / "other.csv").write_text("x,kind\n0,a\n1,d\n")
    config: dict[str, Any] = {
        "data": {"values": {"x": [0, 1, 2, 3, 4, 5], "kind": [*"abcbac"]}},
        "model": {"kind": "linear", "inputs": ["x"], "target": "kind"},
        "loss": "cross_entropy",
        "optimizer": {"kind": "sgd", "epochs": 1, "learning_rate": 1e-9},
    }  # fmt: skip
    found = fit(config | {"data": config["data"] | {"validation": str(tmp_path / "fewer.csv")}})
    assert found.result.loss is not None
    assert found.result.loss.validation == pytest.approx(math.log(3))
    with pytest.raises(DataError, match="have a class that those of the fit lack"):
        fit(config | {"data": config["data"] | {"validation": str(tmp_path / "other.csv")}})


@pytest.mark.parametrize(
    "optimizer",
    [
        {"kind": "adam", "batch_size": 16},
        {"kind": "adamw"},
        {"kind": "adagrad", "batch_size": 60},
        {"kind": "rmsprop", "momentum": 0.5},
        {"kind": "sgd", "batch_size": 20},
    ],
    ids=lambda optimizer: optimizer["kind"],
)
def test_theta_in_pieces_moves_as_in_one(optimizer: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Three arrays of three numbers; classes of other names, or the programs of the first fit would be run again."""

    def trained(classes: str) -> Fit:
        values = {"x": column(X), "z": column(X**2), "kind": [*classes * 15]}
        return fit({
            "data": {"values": values},
            "model": {"kind": "linear", "inputs": ["x", "z"], "target": "kind"},
            "loss": "cross_entropy",
            "regularization": {"l1": 0.02},
            "optimizer": {**optimizer, "learning_rate": 0.05, "epochs": 8, "clip": 0.2},
        })  # fmt: skip

    whole = trained("abcd")
    monkeypatch.setattr(pieces, "LARGE", 3)
    np.testing.assert_allclose(trained("efgh").values, whole.values, rtol=1e-12)


def test_a_place_in_pieces_is_read_as_in_one() -> None:
    layout = Layout(names=("a", "b", "c", "d"), free=("a", "b", "c", "d"), shapes=(("b", (2, 512)), ("d", (2000,))))
    numbers = np.arange(layout.size)
    found = pieces.cut(numbers, layout)
    assert [len(part) for part in found.parts] == [1, 1024, 1, 2000]
    for place in (slice(0, 1), slice(1, 1025), slice(3, 7), slice(0, 1026), slice(1000, 1500), slice(5, 5)):
        np.testing.assert_array_equal(found[place], numbers[place])
    assert found[1025] == 1025
    np.testing.assert_array_equal(pieces.joined(found), numbers)


@pytest.mark.parametrize(("kind", "rate"), [("adam", 0.02), ("adamw", 0.02), ("rmsprop", 0.02), ("adagrad", 0.2)])
def test_optimizers_that_scale_their_steps_warn_of_a_rate_a_thousand_times_too_large(kind: str, rate: float) -> None:
    """They come down again, so that the end alone tells nothing."""
    told = {}
    for times in (1, 1000):
        found = train({"kind": kind, "learning_rate": times * rate, "batch_size": 10, "epochs": 20})
        assert found.result.status == "completed"
        told[times] = [warning for warning in found.result.warnings if "a smaller `learning_rate` than" in warning]
    assert told[1] == []
    assert len(told[1000]) == 1


def test_a_loss_that_jumps_at_the_end_is_warned_of() -> None:
    rows = [HistoryRow(step, loss, math.nan, math.nan) for step, loss in enumerate([9.0, *[1.0, 1.5] * 8])]
    search = Search(
        theta=np.zeros(1), largest=np.zeros(1), reason=Reason.EPOCHS_DONE, history=tuple(rows), final=rows[-1],
        steps=16, evaluations=17,
    )  # fmt: skip
    assert "jumps by 50 %" in too_fast(search, Adam())[0]
    assert too_fast(search, LevenbergMarquardt()) == []
    calm = [row._replace(loss=1 + row.loss / 10) for row in rows]
    assert too_fast(replace(search, history=tuple(calm)), Adam()) == []
