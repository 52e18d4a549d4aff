"""The recommender: against alternating least squares, the planted rank, and entries that the fit has not seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import here
from fitting import assembled, column, fit, source
from numpy.typing import NDArray

from fitkit.errors import ConfigError
from fitkit.minimize import Watch, minimize
from fitkit.run.choose import choose
from fitkit.run.told import values_by_name

RANDOM = np.random.default_rng(8)
PAIRS = np.array([(u, i) for u in range(12) for i in range(9) if RANDOM.random() < 0.75 or i == u % 9])
USER, ITEM = PAIRS.T
Y = (
    3
    + RANDOM.normal(0, 0.5, 12)[USER]
    + np.sum(RANDOM.normal(size=(12, 2))[USER] * RANDOM.normal(size=(9, 2))[ITEM], 1)
)
Y = Y + RANDOM.normal(0, 0.3, len(Y))
NAMES = [f"u{u:02d}" for u in USER]
L2 = 0.02


def config(model: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    values = {"who": NAMES, "what": [int(i) + 100 for i in ITEM], "y": column(Y)}
    told = {"kind": "matrix_factorization", "user": "who", "item": "what", "target": "y", "rank": 2, **(model or {})}
    return {"data": {"values": values}, "model": told, **more}


def alternating_least_squares(*, biases: bool) -> tuple[float, NDArray[Any]]:
    """Return the least objective and the predictions there: each half of it is a ridge regression with a closed form.

    Minimised for each user over its bias and its factors, then for each item, then over the mean, to the last digit.
    """
    mean, bias = Y.mean(), [np.zeros(12), np.zeros(9)]
    factors = [np.random.default_rng(1).normal(size=(n, 2)) for n in (12, 9)]
    places = (USER, ITEM)
    for _ in range(800):
        for side in (0, 1):
            other = 1 - side
            for entry in range(len(bias[side])):
                rows = places[side] == entry
                design = np.column_stack([np.full(rows.sum(), float(biases)), factors[other][places[other][rows]]])
                rest = Y[rows] - mean - bias[other][places[other][rows]]
                ridge = np.diag([1e-300 if biases else 1.0, len(Y) * L2 / 2, len(Y) * L2 / 2])
                solved = np.linalg.solve(design.T @ design + ridge, design.T @ rest)
                bias[side][entry], factors[side][entry] = solved[0], solved[1:]
        product = np.sum(factors[0][USER] * factors[1][ITEM], 1)
        mean = np.mean(Y - bias[0][USER] - bias[1][ITEM] - product)
    predictions = mean + bias[0][USER] + bias[1][ITEM] + product
    penalty = L2 / 2 * sum(np.sum(part**2) for part in factors)
    return float(np.mean((Y - predictions) ** 2) + penalty), predictions


@pytest.mark.parametrize("biases", [True, False])
def test_the_minimum_is_that_of_alternating_least_squares(*, biases: bool) -> None:
    """By the value and the predictions: factors are determined up to a rotation, and the mean beside free biases not."""
    expected, predictions = alternating_least_squares(biases=biases)
    found = assembled(config({"biases": biases}, regularization={"l2": L2}, precision="float64", optimizer="lbfgs"))
    told = source(config(optimizer="lbfgs")).config
    search = minimize(found.problem, told.optimizer, told.stopping, found.start, watch=Watch())  # type: ignore[arg-type]
    assert search.final.loss == pytest.approx(expected, rel=1e-12)
    values = values_by_name(found.problem, search.theta)
    product = values["user_factors"] @ values["item_factors"].T
    offsets = np.zeros((12, 9)) if not biases else values["user_bias"][:, None] + values["item_bias"]
    np.testing.assert_allclose((values["mean"] + offsets + product)[USER, ITEM], predictions, atol=1e-6)


def test_left_to_fitkit_it_is_trained_in_batches_and_float32() -> None:
    found = assembled(config())
    assert found.problem.single
    assert found.problem.rows is not None
    assert {str(places.dtype) for places in found.problem.rows.inputs.values()} == {"int32"}
    optimizer, _ = choose(source(config()).config.optimizer, found.problem)
    assert optimizer.kind == "adam"
    assert found.start[found.problem.layout.places["mean"]] == pytest.approx(Y.mean(), rel=1e-12)


def test_starts_are_drawn_as_told() -> None:
    wide = assembled(config(parameters={"user_factors": {"start": {"normal": 3.0}}, "mean": 1}))
    places = wide.problem.layout.places
    assert wide.start[places["mean"]] == 1
    assert 2 < wide.start[places["user_factors"]].std() < 4
    assert 0.07 < wide.start[places["item_factors"]].std() < 0.13


def test_the_ratings_are_predicted_to_their_noise_and_the_planted_rank_comes_out() -> None:
    """The table has errors of 0.5 and rank 3. A penalty on both factors is one on the singular values, and clears the rest."""
    found = fit("ratings.yaml")
    assert found.verdict == ("completed", 0, "epochs_done")
    assert 0.97 * 0.5 < found.result.metrics["validation"]["rmse"] < 1.05 * 0.5
    assert found.result.metrics["validation"]["unseen_rows"] == 0


def test_the_planted_rank_comes_out(tmp_path: Path) -> None:
    more = ("model.rank=10", "regularization.l2=1.2e-3", "data.validation=null")
    settings = [word for one in more for word in ("--set", one)]
    done = here("train", "configs/ratings.yaml", *settings, "--out", tmp_path / "run", "--quiet")
    assert done.code == 0, done.err
    with np.load(tmp_path / "run" / "parameters.npz") as arrays:
        singular = np.linalg.svd(arrays["user_factors"] @ arrays["item_factors"].T, compute_uv=False)
    assert (singular > 0.01 * singular[0]).sum() == 3
    assert singular[2] > 0.3 * singular[0]


def test_what_the_fit_has_not_seen_is_told_and_predicted_by_the_rest(tmp_path: Path) -> None:
    told = config(optimizer={"kind": "adam", "learning_rate": 0.05, "epochs": 20})
    path = tmp_path / "fit.yaml"
    path.write_text(json.dumps(told))
    other = "who,what,y\nu00,101,3\nu99,101,3\nu00,999,3\nu99,999,3\n"
    (tmp_path / "other.csv").write_text(other)
    done = here("train", path, "--out", tmp_path / "run", "--json", "--set", f"data.validation={tmp_path}/other.csv")
    result = json.loads(done.out)
    assert done.code == 0, done.err
    assert result["metrics"]["validation"]["unseen_rows"] == 3
    words = "3 of 4 rows held out have what the fit has not seen, a new `who` in 2 rows and a new `what` in 2 rows"
    assert any(warning.startswith(words) for warning in result["warnings"])
    predicted = here("predict", tmp_path / "run", "--data", tmp_path / "other.csv")
    assert "note: 3 of 4 rows have what the fit has not seen" in predicted.err
    found = [float(line.split(",")[3]) for line in predicted.out.splitlines()[1:]]
    with np.load(tmp_path / "run" / "parameters.npz") as arrays:
        mean, user, item = float(arrays["mean"]), float(arrays["user_bias"][0]), float(arrays["item_bias"][1])
        product = float(arrays["user_factors"][0] @ arrays["item_factors"][1])
    np.testing.assert_allclose(found, [mean + user + item + product, mean + item, mean + user, mean], rtol=1e-6)


def test_a_user_of_rows_held_out_only_is_one_that_the_fit_has_not_seen() -> None:
    values = {"who": [*NAMES, *(f"once{k}" for k in range(40))], "what": [*(ITEM + 0).tolist(), *[0] * 40]}
    data = {"values": {**values, "y": [*column(Y), *[3.0] * 40]}, "validation": 0.5}
    found = assembled({**config(), "data": data})
    assert found.validation is not None
    unseen = np.asarray(found.validation.inputs["who"]) < 0
    assert 10 < unseen.sum() < 30
    assert found.problem.layout.shape("user_bias")[0] == 52 - unseen.sum()
    assert not (np.asarray(found.problem.rows.inputs["who"]) < 0).any()  # type: ignore[union-attr]


def test_predictions_from_the_saved_run_are_those_of_train(tmp_path: Path) -> None:
    rows = zip(NAMES, ITEM, (Y > 3).astype(int), strict=True)
    (tmp_path / "t.csv").write_text("who,what,liked\n" + "".join(f"{u},{i},{y}\n" for u, i, y in rows))
    (tmp_path / "fit.yaml").write_text(
        "data: t.csv\nmodel: {kind: matrix_factorization, user: who, item: what, target: liked, rank: 2}\n"
        "loss: binary_cross_entropy\noptimizer: {kind: adam, epochs: 3, batch_size: 16}\n"
    )
    assert here("train", tmp_path / "fit.yaml", "--out", tmp_path / "run", "--quiet").code == 0
    done = here("predict", tmp_path / "run", "--data", tmp_path / "t.csv", "--out", tmp_path / "p.csv")
    assert done.code == 0, done.err
    assert (tmp_path / "p.csv").read_bytes() == (tmp_path / "run" / "predictions.csv").read_bytes()
    begun = assembled({**config(), "loss": "binary_cross_entropy", "data": {"values": {
        "who": NAMES, "what": ITEM.tolist(), "y": (Y > 3).astype(float).tolist()}}})  # fmt: skip
    share = (Y > 3).mean()
    assert begun.start[begun.problem.layout.places["mean"]] == pytest.approx(np.log(share / (1 - share)), rel=1e-9)


@pytest.mark.parametrize(
    ("model", "more", "code", "words"),
    [
        ({"item": "who"}, {}, "E106", "`who` is both user and item"),
        ({"user": "y"}, {}, "E111", "`y` is both the target and an input"),
        ({"rank": 0}, {}, "E109", "rank"),
        ({}, {"loss": "cross_entropy"}, "E111", "one for each class"),
        ({}, {"parameters": {"mean": {"max": 5}}}, "E111", "only `start` and `fixed`"),
        ({"biases": False}, {"parameters": {"user_bias": 0}}, "E120", "no parameter `user_bias`"),
    ],
)
def test_what_is_refused(model: dict[str, Any], more: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        source(config(model, **more))
    told = caught.value.diagnostics[0]
    assert (told.code, words in told.message) == (code, True), told.message
