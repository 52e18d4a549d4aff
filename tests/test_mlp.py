"""The multilayer perceptron: against torch with the same weights, dropout's laws, and what surrounds it in a fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from command import ROOT, here
from fitting import Fit, assembled, column, fit, source
from numpy.typing import NDArray

from fitkit.backend import jax, jnp
from fitkit.errors import ConfigError, DataError
from fitkit.minimize import Watch, by_epochs, minimize
from fitkit.models import MultilayerPerceptron
from fitkit.models.mlp import Activation, kept_units
from fitkit.optimizers.adam import Adam
from fitkit.run.choose import choose
from fitkit.run.told import values_by_name

RANDOM = np.random.default_rng(3)
X, Z = RANDOM.normal(size=(2, 40))
COLOR = RANDOM.choice(["red", "green", "blue"], 40)
Y = np.sin(X) + 0.3 * Z + (COLOR == "red") + RANDOM.normal(0, 0.1, 40)
KIND = np.where(Y > 1, "high", np.where(Y < 0, "low", "middle"))
COLUMNS: dict[str, Any] = {
    "x": column(X), "z": column(Z), "color": COLOR.tolist(), "y": column(Y), "kind": KIND.tolist(),
}  # fmt: skip


def config(model: dict[str, Any], **more: Any) -> dict[str, Any]:
    data = {"values": COLUMNS, **more.pop("data", {})}
    model = {"kind": "mlp", "inputs": ["x", "z"], "target": "y", "hidden": [7, 5], **model}
    return {"data": data, "model": model, "precision": "float64", **more}


def network(layers: int, activation: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return the same network in torch, with these weights."""
    import torch

    follows: dict[str, Any] = {
        "relu": torch.nn.ReLU, "leaky_relu": torch.nn.LeakyReLU, "elu": torch.nn.ELU, "gelu": torch.nn.GELU,
        "silu": torch.nn.SiLU, "softplus": torch.nn.Softplus, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid,
    }  # fmt: skip
    parts: list[Any] = []
    for layer in range(1, layers + 1):
        weight = torch.tensor(arrays[f"weight{layer}"])
        before, after = weight.shape
        linear = torch.nn.Linear(before, after, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(weight.T)
            linear.bias.copy_(torch.tensor(arrays[f"bias{layer}"]))
        parts += [linear, follows[activation]()]
    return torch.nn.Sequential(*parts[:-1])


@pytest.mark.parametrize(
    ("activation", "loss", "target"),
    [("tanh", "mse", "y"), *((activation, "cross_entropy", "kind") for activation in get_args(Activation))],
)
def test_loss_and_gradient_are_torchs(activation: str, loss: str, target: str) -> None:
    import torch

    found = assembled(config({"activation": activation, "target": target}, loss=loss))
    problem, theta = found.problem, found.start
    value, gradient = jax.jit(jax.value_and_grad(problem.objective))(jnp.asarray(theta))
    net = network(3, activation, values_by_name(problem, theta))
    output = net(torch.tensor(np.column_stack([X, Z])))
    if loss == "mse":
        told = torch.nn.functional.mse_loss(output[:, 0], torch.tensor(Y))
    else:
        codes = np.searchsorted(["high", "low", "middle"], KIND)
        told = torch.nn.functional.cross_entropy(output, torch.tensor(codes))
    torch.autograd.backward(told)
    assert float(value) == pytest.approx(float(told.detach()), rel=1e-13)
    pieces = [p.grad.T if p.ndim == 2 else p.grad for p in net.parameters()]
    expected = np.concatenate([piece.numpy().ravel() for piece in pieces])
    np.testing.assert_allclose(np.asarray(gradient), expected, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("kind", ["torch", "glorot", "he"])
def test_weights_start_as_their_law_says(kind: Any) -> None:
    inputs = tuple(f"x{number}" for number in range(50))
    model = MultilayerPerceptron(inputs=inputs, target="y", hidden=(400, 300), initialisation=kind)
    found = model.initial(0)
    assert {name: array.shape for name, array in found.items()} == model.shapes
    for layer, (before, after) in enumerate([(50, 400), (400, 300), (300, 1)], start=1):
        weight, bias = found[f"weight{layer}"], found[f"bias{layer}"]
        variance = {"torch": 1 / (3 * before), "glorot": 2 / (before + after), "he": 2 / before}[kind]
        assert np.mean(weight**2) == pytest.approx(variance, rel=5 * np.sqrt(2 / weight.size))
        assert abs(weight.mean()) < 5 * np.sqrt(variance / weight.size)
        if kind != "he":
            assert 0.97 if weight.size > 1000 else 0.9 < np.abs(weight).max() / np.sqrt(3 * variance) <= 1
        assert (np.abs(bias) <= (before**-0.5 if kind == "torch" else 0)).all()
    again, other = model.initial(0), model.initial(1)
    assert all((again[name] == found[name]).all() for name in found)
    assert all((other[name] != found[name]).all() for name in found if name.startswith("weight"))


def test_torchs_own_start_has_the_same_law() -> None:
    import torch

    theirs = torch.nn.Linear(50, 4000)
    ours = MultilayerPerceptron(inputs=tuple(map(str, range(50))), target="y", hidden=(4000,)).initial(0)
    for told, found in ((theirs.weight, ours["weight1"]), (theirs.bias, ours["bias1"])):
        numbers = told.detach().numpy()
        assert found.std() == pytest.approx(numbers.std(), rel=0.05)
        assert np.abs(found).max() == pytest.approx(np.abs(numbers).max(), rel=0.01)


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.9])
def test_units_are_dropped_as_often_as_asked_and_apart_from_each_other(dropout: float) -> None:
    masks = np.asarray([kept_units(jnp.uint32(key), (40, 50), dropout) for key in range(50)])
    kept = masks > 0
    assert set(np.unique(masks).tolist()) == {0.0, 1 / (1 - dropout)}
    deviation = np.sqrt(dropout * (1 - dropout))
    assert abs(kept.mean() - (1 - dropout)) < 5 * deviation / np.sqrt(kept.size)
    centered = (kept - (1 - dropout)) / deviation
    for pairs in (
        centered[1:] * centered[:-1],  # one batch and the next
        centered[:, 1:] * centered[:, :-1],  # one row and the next
        centered[:, :, 1:] * centered[:, :, :-1],
    ):
        assert abs(pairs.mean()) < 5 / np.sqrt(pairs.size)


def test_the_mean_over_masks_is_the_prediction() -> None:
    """Exactly so where one layer follows the dropped units, for it is linear in them."""
    found = assembled(config({"hidden": [6], "activation": "tanh", "dropout": 0.4}))
    problem, theta = found.problem, jnp.asarray(found.start)
    assert problem.rows is not None
    rows = problem.rows
    draw = jax.jit(jax.vmap(lambda key: problem.fitted(theta, rows, key).prediction))
    draws = np.asarray(draw(jnp.arange(4000, dtype=jnp.uint32)))
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert (error > 0).all()
    assert (np.abs(draws.mean(axis=0) - np.asarray(problem.fitted(theta, rows).prediction)) < 5 * error).all()


def train(dropout: float, **more: Any) -> Fit:
    optimizer = {"kind": "sgd", "learning_rate": 0.05, "epochs": 5, **more.pop("optimizer", {})}
    return fit(config({"dropout": dropout}, optimizer=optimizer, **more))


def test_dropout_is_in_updates_only() -> None:
    plain, dropped = train(0.0), train(0.5)
    assert dropped.rows[0].loss == plain.rows[0].loss
    assert dropped.rows[-1].loss != plain.rows[-1].loss
    assert dropped.rows[-1].loss == pytest.approx(dropped.result.loss.final, rel=1e-12)  # type: ignore[union-attr]
    still = train(0.5, optimizer={"learning_rate": 1e-12})
    assert still.rows[-1].loss == pytest.approx(plain.rows[0].loss, rel=1e-9)


@pytest.mark.parametrize("size", [None, 16])
def test_masks_are_new_for_each_batch_and_the_seeds(size: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = {} if size is None else {"batch_size": size}
    usual = train(0.5, optimizer=optimizer, data={"validation": 0.2})
    steps = np.diff([row.validation for row in usual.rows])
    assert len(set(steps.tolist())) == len(steps)
    other = train(0.5, optimizer=optimizer, data={"validation": 0.2}, seed=1)
    assert other.rows[-1].loss != usual.rows[-1].loss
    monkeypatch.setattr(by_epochs, "BLOCK_SECONDS", 1e-12)  # one update at a time
    cut = train(0.5, optimizer=optimizer, data={"validation": 0.2})
    assert [row[:2] for row in cut.rows] == [row[:2] for row in usual.rows]


def test_first_updates_with_other_masks_go_other_ways() -> None:
    """A frozen first layer and a linear last one: its update is that of the units kept, others do not move."""
    fixed = {"weight1": {"start": {"normal": 1.0}, "fixed": True}, "bias1": {"start": 1.0, "fixed": True}}
    found = assembled(config({"hidden": [8], "activation": "tanh", "dropout": 0.5}, parameters=fixed))
    problem, theta = found.problem, jnp.asarray(found.start)
    assert found.start.shape == (9,)
    assert problem.rows is not None
    first = problem.rows.take(slice(0, 1))
    slope = jax.jit(jax.grad(lambda t, key: problem.smooth_objective(t, first, 1.0, key)))
    moved = {tuple((np.asarray(slope(theta, jnp.uint32(key)))[:8] != 0).tolist()) for key in range(20)}
    assert len(moved) > 15


@pytest.mark.parametrize(("size", "epochs", "updates"), [(1, 1, 2), (1, 2, 4), (None, 2, 2)])
def test_each_update_drops_units_of_its_own(size: int | None, epochs: int, updates: int) -> None:
    """A unit of a frozen layer has an output weight that leaves zero with the first update of a row that has the unit."""
    parameters = {
        "weight1": {"start": {"normal": 1.0}, "fixed": True},
        "bias1": {"start": 1.0, "fixed": True},
        "weight2": {"start": 0.0},
    }
    optimizer = {"kind": "sgd", "learning_rate": 0.1, "batch_size": size, "epochs": epochs}
    told = config({"hidden": [2000], "activation": "tanh", "dropout": 0.5}, parameters=parameters, optimizer=optimizer)
    rows = 2 if size == 1 else 1
    told["data"] = {"values": {"x": [1.0] * rows, "z": [1.0] * rows, "y": [1.0] * rows}}
    loaded, found = source(told), assembled(told)
    wanted, _ = choose(loaded.config.optimizer, found.problem)
    search = minimize(found.problem, wanted, loaded.config.stopping, found.start, watch=Watch())
    moved = values_by_name(found.problem, search.theta)["weight2"] != 0
    assert abs(moved.mean() - (1 - 0.5**updates)) < 5 * np.sqrt(0.5**updates / 2000)


def test_left_to_fitkit_it_is_trained_by_adam_in_float32() -> None:
    told = config({})
    del told["precision"]
    found = assembled(told)
    assert found.problem.single
    assert not assembled(config({})).problem.single
    optimizer, why = choose(source(told).config.optimizer, found.problem)
    assert isinstance(optimizer, Adam)
    assert optimizer.epochs is not None
    assert optimizer.batch_size is None  # fewer rows than a batch has
    assert why is not None


def test_a_flat_network_converges_without_leave() -> None:
    """Two layers without activation have many more weights than directions: lbfgs finds the least squares of lstsq."""
    found = fit(config({"hidden": [], "inputs": ["x", "z", "color"]}, optimizer="lbfgs"))
    assert found.verdict[:2] == ("converged", 0)
    matrix = np.column_stack([np.ones(40), X, Z, COLOR == "green", COLOR == "red"])
    rss = np.linalg.lstsq(matrix, Y, rcond=None)[1][0]
    assert found.result.loss is not None
    assert found.result.loss.final == pytest.approx(rss / 40, rel=1e-10)
    assert found.result.uncertainty is not None
    assert found.result.uncertainty.status == "unavailable"


def test_the_saved_arrays_predict_from_raw_inputs(tmp_path: Path) -> None:
    told = config(
        {"inputs": "*", "target": "kind", "hidden": [6], "activation": "tanh", "standardize": True},
        loss="cross_entropy", optimizer={"kind": "adam", "epochs": 3, "batch_size": 16},
    )  # fmt: skip
    told["data"]["values"] = {**COLUMNS, "same": [3.0] * 40}
    path, table = tmp_path / "net.yaml", tmp_path / "table.json"
    table.write_text(json.dumps(told["data"]["values"]))
    path.write_text(json.dumps(told))
    done = here("train", path, "--out", tmp_path / "run", "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["classes"] == ["high", "low", "middle"]
    assert all(entry["value"] is None for entry in result["parameters"].values())
    assert result["parameters"]["weight1"]["shape"] == [6, 6]
    assert any("`same` is constant" in warning for warning in result["warnings"])
    with np.load(tmp_path / "run" / "parameters.npz") as archive:
        arrays = dict(archive)
    matrix = np.column_stack([X, Z, COLOR == "green", COLOR == "red", Y, np.full(40, 3.0)])
    logits = np.tanh(matrix @ arrays["weight1"] + arrays["bias1"]) @ arrays["weight2"] + arrays["bias2"]
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    lines = (tmp_path / "run" / "predictions.csv").read_text().splitlines()
    saved = np.array([line.split(",")[-3:] for line in lines[1:]], float)
    np.testing.assert_allclose(saved, chances, rtol=1e-12)


def test_predictions_from_the_saved_run_are_those_of_train(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    names = ("x", "color", "y")
    table.write_text("\n".join([",".join(names), *(",".join(map(str, r)) for r in zip(X, COLOR, Y, strict=True))]))
    path = tmp_path / "net.yaml"
    path.write_text(
        "data: table.csv\nmodel: {kind: mlp, inputs: '*', target: y, hidden: [5], dropout: 0.3, standardize: true}\n"
        "optimizer: {kind: adam, epochs: 2, batch_size: 16}\n"
    )
    assert here("train", path, "--out", tmp_path / "run", "--quiet").code == 0
    done = here("predict", tmp_path / "run", "--data", table, "--out", tmp_path / "p.csv")
    assert done.code == 0, done.err
    assert (tmp_path / "p.csv").read_bytes() == (tmp_path / "run" / "predictions.csv").read_bytes()
    table.write_text("x,color\n1,purple\n")
    strange = here("predict", tmp_path / "run", "--data", table)
    assert (strange.code, "E324" in strange.err, "purple" in strange.err) == (3, True, True)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"parameters": {"weight1": {"min": 0}}}, "only `start` and `fixed`"),
        ({"parameters": {"twice": {"equals": "2"}}}, "only `start` and `fixed`"),
        ({"parameters": {"weight4": 1}}, "no parameter `weight4`"),
        ({"uncertainty": "bootstrap"}, "no error bars"),
        ({"multistart": {"starts": 4}}, "`multistart` cannot be had"),
        ({"data": {"group_by": "color"}}, "`mlp` and `group_by` exclude each other"),
        ({"optimizer": "lbfgs"}, "takes the objective for a fixed function"),
    ],
)
def test_what_cannot_be_asked_of_a_network(more: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        source(config({"dropout": 0.1}, **more))
    assert words in caught.value.diagnostics[0].message


def test_what_the_data_do_not_allow_is_told() -> None:
    told = config({"target": "kind"}, loss="cross_entropy", optimizer={"kind": "adam", "epochs": 2})
    values = told["data"]["values"]
    with pytest.raises(DataError) as caught:
        assembled({**told, "data": {"values": {**values, "kind": ["high"] * 40}}})
    assert (caught.value.diagnostics[0].code, caught.value.exit_code) == ("E323", 3)
    one = fit({**told, "data": {"values": {**values, "kind": ["high"] * 39 + ["low"]}}})
    assert "class `low` has one row: what is said of it is a guess" in one.result.warnings
    digits = [float(k % 5) for k in range(40)]
    with pytest.raises(DataError) as caught:
        assembled({**told, "loss": "binary_cross_entropy", "data": {"values": {**values, "kind": digits}}})
    assert "choose `cross_entropy`, which takes any number of classes" in (caught.value.diagnostics[0].help or "")


def test_a_learning_rate_far_too_large_is_told_with_one_that_works() -> None:
    found = train(0.0, optimizer={"learning_rate": 50.0, "epochs": 30})
    assert found.verdict[:2] == ("diverged", 5)
    rate = float(found.result.message.split("`learning_rate: ")[1].split("`")[0])
    assert train(0.0, optimizer={"learning_rate": rate, "epochs": 30}).verdict[:2] == ("completed", 0)


def test_digits() -> None:
    """The example that ships: at least 97 % of a fifth of the digits that it has not seen."""
    found = fit("digits_mlp.yaml")
    assert found.verdict == ("completed", 0, "epochs_done")
    assert found.result.metrics["validation"]["accuracy"] >= 0.97
    assert (ROOT / "datasets" / "digits.csv").is_file()
