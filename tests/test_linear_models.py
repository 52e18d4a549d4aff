"""Linear models: coded inputs, classes, standardized inputs; against published fits and closed forms."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import ROOT, here, written
from fitting import fit, right_digits

from fitkit.config import load
from fitkit.errors import ConfigError, DataError
from fitkit.run.assemble import assemble

PUBLISHED = ROOT / "datasets" / "published"
FITS: dict[str, dict[str, Any]] = json.loads((PUBLISHED / "fits.json").read_text(encoding="utf-8"))

# L2-penalised multinomial logistic regression of iris (scikit-learn's C = 1), by damped Newton in float64 to a gradient of
# 1e-14, equal to scikit-learn's to 2e-14: intercepts and weights of standardized inputs, class by class.
IRIS = [
    [-0.20524113301621535, -1.0740661541568248, 1.1601151162144583, -1.9306918616825635, -1.811556124247105],
    [2.074839784235222, 0.5878102398479444, -0.3618406263284951, -0.363431022937378, -0.8262695764030463],
    [-1.8695986512190066, 0.4862559143088824, -0.7982744898859594, 2.294122884619939, 2.6378257006501484],
]
IRIS_NLL, IRIS_ACCURACY = 19.431340214374533, 0.9733333333333334
# The confusion by scikit-learn's convention follows from three versicolor taken for virginica and one the other way round.


def parameters(found: Any, key: str) -> list[float]:
    return [getattr(parameter, key) for parameter in found.result.parameters.values()]


def table(name: str) -> dict[str, Any]:
    return {"path": str(PUBLISHED / f"{name}.csv")}


def test_coded_numbers_reproduce_the_published_poisson_regression() -> None:
    found = fit({
        "data": table("dobson_d93"),
        "model": {
            "kind": "linear",
            "inputs": ["outcome", "treatment"],
            "target": "counts",
            "categorical": ["outcome", "treatment"],
        },
        "loss": "poisson",
    })  # fmt: skip
    names = ["intercept", "outcome=2", "outcome=3", "treatment=2", "treatment=3"]
    assert list(found.result.parameters) == names
    published = FITS["dobson_d93_poisson"]
    assert found.values == pytest.approx(published["estimate"], rel=1e-9, abs=1e-12)
    assert right_digits(parameters(found, "error"), published["std_error"]) > 8


def test_texts_are_coded_by_their_sorted_levels() -> None:
    found = fit("insect_sprays.yaml")
    assert list(found.result.parameters) == ["intercept", *(f"spray={level}" for level in "BCDEF")]
    published = FITS["insectsprays_poisson"]
    assert right_digits(found.values, published["estimate"]) > 9
    assert right_digits(found.errors, published["std_error"]) > 8


def test_ridge_on_standardized_inputs() -> None:
    found = fit({
        "data": table("diabetes"),
        "model": {"kind": "linear", "inputs": "*", "target": "target", "standardize": True},
        "regularization": {"l2": 2 / 442},
    })  # fmt: skip
    published = FITS["diabetes_ridge_standardized"]
    assert right_digits(parameters(found, "standardized"), published["estimate"]) > 9
    assert found.result.loss is not None
    assert found.result.loss.final == pytest.approx(published["objective_value"] / 442, rel=1e-10)
    columns = np.genfromtxt(PUBLISHED / "diabetes.csv", delimiter=",", skip_header=1)
    raw = found.values
    wanted = np.array(published["estimate"][1:]) / columns[:, :-1].std(axis=0)
    assert raw[1:] == pytest.approx(wanted, rel=1e-9)
    assert raw[0] == pytest.approx(published["estimate"][0] - wanted @ columns[:, :-1].mean(axis=0), rel=1e-9)


@pytest.mark.parametrize("optimizer", ["lm", "newton", "lbfgs"])
def test_standardizing_changes_nothing_without_a_penalty(optimizer: str) -> None:
    model = {"kind": "linear", "inputs": ["Air.Flow", "Water.Temp", "Acid.Conc."], "target": "stack.loss"}
    found = fit({"data": table("stackloss"), "model": {**model, "standardize": True}, "optimizer": optimizer})
    published = FITS["stackloss_lm"]
    assert right_digits(found.values, published["estimate"]) > 7
    assert right_digits(found.errors, published["std_error"]) > 7


@pytest.mark.parametrize("held", [{}, {"x": {"start": 0.1, "max": 5}}])
def test_penalties_act_on_standardized_weights_whatever_is_searched(held: dict[str, Any]) -> None:
    """A bound is about the raw weight, which is then searched itself: the minimum stays where it is."""
    x, y = [1.0, 2.0, 4.0, 7.0, 11.0], [1.2, 1.9, 4.4, 6.6, 11.3]
    found = fit({
        "data": {"values": {"x": x, "y": y}},
        "model": {"kind": "linear", "inputs": ["x"], "target": "y", "standardize": True},
        "parameters": held,
        "regularization": {"l2": 0.5},
    })  # fmt: skip
    z = (np.array(x) - 5) / np.std(x)
    weight = (z @ np.array(y)) / (5 + 0.5 * 5 / 2)
    assert found.result.parameters["x"].standardized == pytest.approx(weight, rel=1e-9)
    assert found.result.parameters["x"].value == pytest.approx(weight / np.std(x), rel=1e-9)
    assert found.result.parameters["intercept"].standardized == pytest.approx(np.mean(y), rel=1e-9)


def test_multinomial_regression_of_iris() -> None:
    found = fit("iris.yaml")
    assert found.verdict[0] == "converged"
    assert found.result.classes == ("setosa", "versicolor", "virginica")
    standardized = np.array(parameters(found, "standardized")).reshape(3, 5)
    assert standardized == pytest.approx(np.array(IRIS), rel=1e-8)
    metrics = found.result.metrics["train"]
    assert metrics["accuracy"] == pytest.approx(IRIS_ACCURACY)
    assert metrics["log_loss"] == pytest.approx(IRIS_NLL / 150, rel=1e-9)
    assert metrics["confusion"] == [[50, 0, 0], [0, 47, 3], [0, 1, 49]]
    raw = found.values.reshape(3, 5)
    assert raw.sum(axis=0) == pytest.approx(np.zeros(5), abs=1e-9)


def test_logistic_regression_of_texts() -> None:
    found = fit("breast_cancer.yaml")
    published = FITS["breast_cancer_logistic_l2"]
    assert right_digits(parameters(found, "standardized"), published["estimate"]) > 8
    assert found.result.classes == ("benign", "malignant")
    assert found.result.metrics["train"]["accuracy"] == pytest.approx(0.9876977152899824)


def classes(targets: list[Any], loss: str, **more: Any) -> Any:
    return fit({
        "data": {"values": {"x": [0.0, 1.0, 2.0, 1.5, 0.5, 2.5], "y": targets}},
        "model": {"kind": "linear", "inputs": ["x"], "target": "y", **more},
        "loss": loss,
        "regularization": {"l2": 0.1},
    })  # fmt: skip


def test_two_classes_by_either_loss_are_the_same_model() -> None:
    """Of two classes the centred logits are -p/2 and p/2; half the squares of both, so l2 of one is that of the other."""
    targets = ["no", "no", "yes", "yes", "no", "yes"]
    one, both = classes(targets, "binary_cross_entropy"), classes(targets, "cross_entropy")
    assert both.result.parameters["x[yes]"].value > 0
    assert one.result.metrics["train"]["roc_auc"] == 1.0
    assert both.result.classes == one.result.classes == ("no", "yes")
    # p = 2 w x + 2 b with the penalty l2/2 (w² + w²) = l2/2 (2 w)²/2
    half = fit({
        "data": {"values": {"x": [0.0, 1.0, 2.0, 1.5, 0.5, 2.5], "y": targets}},
        "model": {"kind": "linear", "inputs": ["x"], "target": "y"},
        "loss": "binary_cross_entropy",
        "regularization": {"l2": 0.05},
    })  # fmt: skip
    assert 2 * both.result.parameters["x[yes]"].value == pytest.approx(half.result.parameters["x"].value, rel=1e-8)


def test_whole_numbers_are_classes_sorted_as_numbers() -> None:
    found = classes([10, 9, 2, 2, 9, 10], "cross_entropy")
    assert found.result.classes == ("2", "9", "10")


def test_two_whole_numbers_are_classes_of_binary_cross_entropy() -> None:
    assert classes([1, 1, 2, 2, 1, 2], "binary_cross_entropy").result.classes == ("1", "2")


@pytest.mark.parametrize(
    ("targets", "loss", "code", "words"),
    [
        (["a"] * 6, "cross_entropy", "E323", "of one class, `a`"),
        (["a"] * 6, "binary_cross_entropy", "E323", "of one class, `a`"),
        ([1] * 6, "binary_cross_entropy", "E323", "of one class, `1`"),
        (["a", "b", "c"] * 2, "binary_cross_entropy", "E321", "takes two classes, and `y` has 3: `a`, `b`, `c`"),
        ([0.5, 1, 2, 1, 2, 0.5], "cross_entropy", "E321", "`0.5` is no class"),
        ([0.5, 1, 2, 1, 2, 0.5], "binary_cross_entropy", "E321", "the target is 2"),
    ],
)
def test_targets_that_are_refused(targets: list[Any], loss: str, code: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        classes(targets, loss)
    assert caught.value.diagnostics[0].code == code
    assert words in caught.value.diagnostics[0].message


def test_a_class_of_one_row_and_a_constant_column_are_told() -> None:
    found = fit({
        "data": {"values": {"x": [0.0, 1, 2, 3, 4], "k": [3.0] * 5, "y": ["a", "b", "a", "b", "c"]}},
        "model": {"kind": "linear", "inputs": "*", "target": "y", "standardize": True},
        "loss": "cross_entropy",
        "regularization": {"l2": 0.1},
    })  # fmt: skip
    told = " / ".join(found.result.warnings)
    assert "class `c` has one row" in told
    assert "`k` is constant" in told
    assert found.result.parameters["k[a]"].value == 0
    assert found.verdict[0] == "converged"


def test_starts_are_those_of_raw_units() -> None:
    found = fit({
        "data": table("stackloss"),
        "model": {"kind": "linear", "inputs": ["Air.Flow", "Water.Temp"], "target": "stack.loss", "standardize": True},
        "parameters": {"intercept": -3.5, "Air.Flow": 0.25, "Water.Temp": 1.5},
        "stopping": {"max_steps": 0},
    })  # fmt: skip
    assert found.values == pytest.approx([-3.5, 0.25, 1.5], rel=1e-12)
    assert parameters(found, "start") == pytest.approx([-3.5, 0.25, 1.5], rel=1e-12)


@pytest.mark.parametrize(
    ("model", "more", "code", "words"),
    [
        ({"inputs": "x"}, {}, "E108", "must be a list, or `*`"),
        ({"inputs": ["x"], "categorical": ["z"]}, {}, "E111", "none of the inputs"),
        ({"inputs": ["x"]}, {"parameters": {"x=3": 1}}, "E120", "no parameter `x=3`"),
        (
            {"inputs": ["x"]},
            {"parameters": {"x[a]": {"start": 0, "max": 1}}, "loss": "cross_entropy"},
            "E112",
            "sum to zero",
        ),
    ],
)
def test_configs_that_are_refused(model: Any, more: Any, code: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        fit({
            "data": {"values": {"x": [0.0, 1.0, 2.0, 3.0], "y": ["a", "b", "a", "c"] if more.get("loss") else [1, 2, 4, 3]}},
            "model": {"kind": "linear", "target": "y", **model},
            **more,
        })  # fmt: skip
    assert caught.value.diagnostics[0].code == code
    assert words in caught.value.diagnostics[0].message


def test_bootstrap_of_classes_and_of_texts(tmp_path: Path) -> None:
    text = (ROOT / "configs" / "insect_sprays.yaml").read_text(encoding="utf-8").replace("../", f"{ROOT}/")
    path = written(tmp_path, "b.yaml", text + "uncertainty: {kind: bootstrap, resamples: 200, method: parametric}\n")
    document = json.loads(here("train", path, "--json", "--no-save").out)
    errors = [parameter["error"] for parameter in document["parameters"].values()]
    assert errors == pytest.approx(FITS["insectsprays_poisson"]["std_error"], rel=0.25)


@pytest.mark.parametrize(("name", "share"), [("digits_logistic", 0.95), ("wine", 0.9)])
def test_classes_of_rows_held_out_are_told_and_the_slope_vanishes(name: str, share: float) -> None:
    """The slope of the penalized mean log loss, written out in numpy from the weights that are reported."""
    found = fit(f"{name}.yaml")
    assert found.verdict[:2] == ("converged", 0)
    assert found.result.metrics["validation"]["accuracy"] >= share
    told = load(str(ROOT / "configs" / f"{name}.yaml"), ())
    rows = assemble(told, allow_python=False).counts
    with (ROOT / "datasets" / f"{name.partition('_')[0]}.csv").open() as lines:
        table = list(csv.DictReader(lines))
    classes = found.result.classes or ()
    columns = [column for column in table[0] if column != "target"]
    matrix = np.array([[float(row[column]) for column in columns] for row in table])[rows]
    hot = np.array([[row["target"] == level for level in classes] for row in table])[rows]
    deviation = matrix.std(axis=0)
    matrix = (matrix - matrix.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    weights, parameters = {}, found.result.parameters
    for row in ("intercept", *columns):
        weights[row] = np.array([parameters[f"{row}[{level}]"].standardized for level in classes])
    slopes = np.stack([weights[column] for column in columns])
    logits = matrix @ slopes + weights["intercept"]
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    penalty = told.config.regularization.l2
    gradient = matrix.T @ (chances - hot) / len(matrix) + penalty * slopes
    assert np.abs(gradient).max() < 1e-6
    assert np.abs((chances - hot).mean(axis=0)).max() < 1e-6
    loss = -np.log(chances[hot]).mean() + penalty / 2 * np.sum(slopes**2)
    assert found.result.loss is not None
    assert found.result.loss.final == pytest.approx(loss, rel=1e-9)
