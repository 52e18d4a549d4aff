"""Laws of the models: every one that is listed is tested."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fitting import assembled, fit

import fitkit.models as folder
from fitkit.backend import jax, jnp
from fitkit.errors import ConfigError
from fitkit.expressions import parse_equation
from fitkit.models import (
    MODELS,
    FormulaModel,
    LinearModel,
    MatrixFactorization,
    Model,
    MultilayerPerceptron,
    PolynomialModel,
    PythonModel,
)
from fitkit.problem import ShapeMismatchError

HERE = Path(__file__).parent
SOURCE = """
import jax.numpy as jnp
def line(p, c):
    return p["a"] * c["x"] + p["b"]
def column(p, c):
    return (p["a"] * c["x"])[:, None]
def square(p, c):
    return p["a"] * c["x"][:, None] * c["x"]
def number(p, c):
    return p["a"]
def typo(p, c):
    return p["amplitude"] * c["x"]
def host(p, c):
    return [float(p["a"]) for _ in c["x"]]
not_callable = 3
"""
X = np.array([-1.5, 0.0, 0.25, 2.0])
Z = np.array([4.0, 3.0, -2.0, 0.5])
USERS, ITEMS = np.array([0, 1, -1, 0]), np.array([0, 1, 1, -1])
"""Places, -1 for what the fit has not seen."""


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    (tmp_path / "models.py").write_text(SOURCE)
    return tmp_path


def python(folder_of_file: Path, function: str) -> PythonModel:
    return PythonModel(function=function, inputs=("x",), target="y").load(folder_of_file)


def predict(model: Model, **values: Any) -> Any:
    inputs = {"x": jnp.asarray(X), "z": jnp.asarray(Z)} | {"user": jnp.asarray(USERS), "item": jnp.asarray(ITEMS)}
    return np.asarray(model.predict({name: jnp.asarray(value) for name, value in values.items()}, inputs))


def subclasses_in_the_folder() -> set[type[Model]]:
    modules = [importlib.import_module(f"fitkit.models.{m.name}") for m in pkgutil.iter_modules(folder.__path__)]
    return {
        cls
        for module in modules
        for cls in vars(module).values()
        if isinstance(cls, type) and issubclass(cls, Model) and cls is not Model
    }


def test_every_model_in_the_folder_is_listed() -> None:
    assert subclasses_in_the_folder() == set(MODELS)


def test_every_listed_model_predicts_what_numpy_does(beside: Path) -> None:
    weight, bias = np.array([[0.5, -1.0, 2.0], [1.0, 0.0, -0.25]]), np.array([0.1, -0.2, 0.0])
    cases: list[tuple[Model, dict[str, Any], Any]] = [
        (
            FormulaModel(formula=parse_equation("y ~ a * exp(-b * x) + z")),
            {"a": 2.0, "b": 0.5},
            2 * np.exp(-0.5 * X) + Z,
        ),
        (
            LinearModel(inputs=("x", "z"), target="y"),
            {"intercept": 7.0, "x": 2.0, "z": -3.0},
            7 + np.column_stack([X, Z]) @ [2.0, -3.0],
        ),
        (LinearModel(inputs=("z",), target="y", intercept=False), {"z": 5.0}, 5 * Z),
        (PolynomialModel(input="x", target="y", degree=0), {"c0": 4.0}, np.full(4, 4.0)),
        (
            PolynomialModel(input="x", target="y", degree=3),
            {"c0": 1.0, "c1": -2.0, "c2": 0.5, "c3": 3.0},
            np.polynomial.polynomial.polyval(X, [1.0, -2.0, 0.5, 3.0]),
        ),
        (python(beside, "models.py:line"), {"a": 3.0, "b": -1.0}, 3 * X - 1),
        (
            MultilayerPerceptron(inputs=("x", "z"), target="y", hidden=(3,)),
            {"weight1": weight, "bias1": bias, "weight2": np.array([[1.0], [-2.0], [3.0]]), "bias2": np.array([0.5])},
            np.maximum(np.column_stack([X, Z]) @ weight + bias, 0) @ [1.0, -2.0, 3.0] + 0.5,
        ),
        (
            MatrixFactorization(user="user", item="item", target="y", rank=2),
            {
                "mean": 3.0,
                "user_bias": np.array([0.5, -0.5]),
                "item_bias": np.array([0.0, 1.0, 2.0]),
                "user_factors": np.array([[1.0, 2.0], [3.0, 4.0]]),
                "item_factors": np.array([[1.0, 0.0], [0.5, 1.0], [7, 7]]),
            },
            [3 + 0.5 + 0 + 1, 3 - 0.5 + 1 + 5.5, 3 + 1, 3 + 0.5],
        ),
    ]
    assert {type(model) for model, _, _ in cases} == set(MODELS)
    for model, values, expected in cases:
        found = predict(model, **values)
        assert found.shape == X.shape
        np.testing.assert_allclose(found, expected, rtol=1e-14)
        if model.parameter_names is not None:
            assert model.parameter_names == tuple(values)


def test_names_penalties_and_constants() -> None:
    line = LinearModel(inputs=("x", "z"), target="y")
    assert line.inputs_used == ("x", "z")
    assert line.penalized == {"x", "z"}
    assert line.has_constant
    assert not LinearModel(inputs=("x",), target="y", intercept=False).has_constant
    curve = PolynomialModel(input="x", target="y", degree=2)
    assert (curve.inputs_used, curve.parameter_names) == (("x",), ("c0", "c1", "c2"))
    assert curve.penalized == {"c1", "c2"}
    formula = FormulaModel(formula=parse_equation("y ~ a * x"))
    assert formula.inputs_used is formula.parameter_names is formula.penalized is None


def test_a_polynomial_of_degree_sixty_does_not_lose_its_digits() -> None:
    degree = 60
    coefficients = np.random.default_rng(1).normal(size=degree + 1)
    model = PolynomialModel(input="x", target="y", degree=degree)
    found = predict(model, **{f"c{power}": value for power, value in enumerate(coefficients)})
    np.testing.assert_allclose(found, np.polynomial.polynomial.polyval(X, coefficients), rtol=1e-12)


def data(model: Any, **parameters: float) -> dict[str, Any]:
    return {"data": {"values": {"x": [1, 2, 3], "y": [0, 1, 2]}}, "model": model, "parameters": parameters}


def test_one_number_for_all_rows_is_a_prediction_of_formulas() -> None:
    found = fit(data("y ~ a", a=0))
    assert found.values == pytest.approx([1.0], rel=1e-14)
    assert found.errors == pytest.approx([np.std([0, 1, 2], ddof=1) / np.sqrt(3)], rel=1e-12)


@pytest.mark.parametrize("function", ["column", "square", "number"])
def test_a_prediction_of_another_shape_is_an_error_and_never_a_broadcast(beside: Path, function: str) -> None:
    problem = assembled(data("y ~ a * x", a=1)).problem
    model = python(beside, f"models.py:{function}")
    wrong = type(problem)(
        layout=problem.layout, held={}, lower=problem.lower, upper=problem.upper, rows=problem.rows,
        total_weight=problem.total_weight, model=model, loss=problem.loss,
    )  # fmt: skip
    with pytest.raises(ShapeMismatchError, match=r"shape \(.*\) where the target has shape \(3,\)"):
        jax.eval_shape(wrong.objective, jnp.ones(1))


def config_beside(folder_of_file: Path, function: str) -> str:
    path = folder_of_file / "fit.yaml"
    path.write_text(
        "data: {values: {x: [1, 2, 3], y: [0, 1, 2]}}\n"
        f"model: {{kind: python, function: '{function}', inputs: [x], target: y}}\n"
        "parameters: {a: 1, b: 0}\n"
    )
    return str(path)


@pytest.mark.parametrize(
    ("function", "code", "words"),
    [
        ("models.py:missing", "E160", "no function `missing`"),
        ("models.py:not_callable", "E160", "no function `not_callable`"),
        ("absent.py:line", "E160", "cannot read `absent.py`"),
        ("../models.py:line", "E160", "outside the config's folder"),
        ("/etc/models.py:line", "E160", "outside the config's folder"),
        ("models.py", "E160", "does not name a function"),
        ("models.txt:line", "E160", "does not name a function"),
        ("broken.py:line", "E160", "failed while it was read: ZeroDivisionError"),
        ("unparsable.py:line", "E160", "failed while it was read: SyntaxError"),
        ("models.py:column", "E161", "shape (3, 1) where the target has shape (3,)"),
        ("models.py:number", "E161", "shape () where the target has shape (3,)"),
        ("models.py:typo", "E162", "failed in line 12: KeyError: 'amplitude'"),
        ("models.py:host", "E162", "failed in line 14"),
    ],
)
def test_python_models_that_are_refused(beside: Path, function: str, code: str, words: str) -> None:
    (beside / "broken.py").write_text("1 / 0\n")
    (beside / "unparsable.py").write_text("def line(:\n")
    with pytest.raises(ConfigError) as caught:
        fit(config_beside(beside, function))
    told = caught.value.diagnostics[0]
    assert told.code == code
    assert words in told.message
    assert (told.line, told.file) == (2, str(beside / "fit.yaml"))


def test_a_python_model_fits_and_is_known_by_its_bytes(beside: Path) -> None:
    found = fit(config_beside(beside, "models.py:line"))
    assert found.values == pytest.approx([1.0, -1.0], rel=1e-12)
    import hashlib

    assert found.result.provenance["code_sha256"] == hashlib.sha256(SOURCE.encode()).hexdigest()
