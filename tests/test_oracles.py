"""Independent oracles: torch, TensorFlow, mpmath and the complex step give fitkit's values and gradients, or are believed.

Each framework is an oracle of the others here too: mpmath computes in 60 digits.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import fitkit, here, python, written
from fitting import assembled

from fitkit.backend import jax
from fitkit.expressions import FUNCTIONS, parse
from fitkit.expressions.framework import Framework
from fitkit.expressions.jax_functions import FUNCTIONS as IN_JAX
from fitkit.expressions.lower_framework import evaluate
from fitkit.gradient_check.oracle import Compared, compare_with
from fitkit.gradient_check.oracle_models import ACTIVATION_FORMULAS
from fitkit.gradient_check.oracle_objective import formula_of
from fitkit.losses import LOSSES
from fitkit.run.oracles import frameworks

NAMES = ("torch", "tensorflow", "complex-step", "mpmath")
PACKAGES = {"torch": "torch", "tensorflow": "tensorflow", "mpmath": "mpmath"}


@pytest.fixture(params=NAMES)
def framework(request: pytest.FixtureRequest) -> Framework:
    if importlib.util.find_spec(PACKAGES.get(request.param, "numpy")) is None:
        pytest.skip(f"{request.param} is not installed")
    return frameworks([request.param])[0]


@pytest.fixture
def installed() -> tuple[Framework, ...]:
    return frameworks([name for name in NAMES if importlib.util.find_spec(PACKAGES.get(name, "numpy"))])


def said(asked: Sequence[Framework], config: dict[str, Any]) -> Compared:
    problem = assembled(config)
    return compare_with(asked, problem.problem, problem.start, seed=0)


def agreed(asked: Framework | Sequence[Framework], config: dict[str, Any]) -> bool:
    """Return whether values and gradients agree at the start and near it; a difference fails with what it is."""
    every = asked if isinstance(asked, Sequence) else [asked]
    found = said(every, config)
    assert found.findings == ()
    assert {check.verdict for check in found.checks} <= {"pass"}, found.checks
    return len(found.checks) == 3 * len(every)


ARGUMENTS: dict[str, list[float]] = {
    "asin": [0.3], "acos": [-0.4], "atanh": [0.3], "acosh": [1.7], "log": [0.3], "log2": [0.3], "log10": [30.0],
    "log1p": [-0.3], "sqrt": [2.0], "lgamma": [-1.3], "digamma": [2.3], "gaussian": [1.2, 0.3, 0.7],
    "lorentzian": [1.2, 0.3, 0.7], "voigt": [1.2, 0.3, 0.7, 0.5], "pseudo_voigt": [1.2, 0.3, 0.7, 0.4],
    "clip": [0.5, 0.1, 0.9], "where": [1.0, 2.0, 3.0],
}  # fmt: skip


NOT_THERE = {"torch": {"voigt", "digamma"}, "tensorflow": {"voigt"}, "complex-step": {"voigt"}, "mpmath": set[str]()}


def call_of(name: str) -> tuple[str, dict[str, float]]:
    """Return a call of a function with parameters of its own, and their values."""
    function = FUNCTIONS[name]
    values = ARGUMENTS.get(name, [0.7, -1.3][: len(function.arguments)])
    named = {f"{name}_{letter}": value for letter, value in zip("pqrs", values, strict=False)}
    return f"{name}({', '.join(named)})", named


def test_every_function_of_the_language(framework: Framework) -> None:
    """In one objective, each with parameters of its own, so that a wrong one is named by the parameter."""
    names = [name for name, function in FUNCTIONS.items() if function.alias_of is None]
    calls = [call_of(name) for name in names if name not in NOT_THERE[framework.name]]
    parameters = {name: value for _, named in calls for name, value in named.items()}
    config = {"minimize": " + ".join(call for call, _ in calls), "parameters": parameters}
    assert agreed(framework, {**config, "minimize": f"{config['minimize']} + {' + '.join(parameters)}"})


def test_a_function_that_a_framework_lacks_is_told(framework: Framework) -> None:
    for name in NOT_THERE[framework.name]:
        call, named = call_of(name)
        found = said([framework], {"minimize": call, "parameters": named})
        assert found.checks == ()
        assert f"`{name}`" in found.notes[0]


FORMULAS = (
    "x**2.5 * P**x", "P**3 + P**-2 + P**Q", "(0 * x)**1.5 + P", "where(x > 1, sqrt(x - 1), P * x)",
    "(log(P) if x > 100 else P)", "abs(P - 1) + sqrt(0 * P)", "minimum(P, x) + maximum(P * x, 2)",
    "hypot(0 * P, 0 * P) + P", "(x > 1) * P + (x > 1 and P > 0) * P**2", "sign(P) * floor(x) + P",
    "exp(-P * x) * cos(Q * x + 0.3)", "1 / (1 + exp(-(x - P) / Q))", "(-P)**3 + P * (x - 1)**2",
)  # fmt: skip


def test_branches_edges_and_powers(installed: tuple[Framework, ...]) -> None:
    formula = " + ".join(text.replace("P", f"p{i}").replace("Q", f"q{i}") for i, text in enumerate(FORMULAS))
    parameters = {f"p{i}": 1.2 + i / 100 for i in range(len(FORMULAS))}
    parameters |= {f"q{i}": 0.8 for i, text in enumerate(FORMULAS) if "Q" in text}
    data = {"values": {"x": [0.5, 1, 1.5, 2] * 5, "y": [1, 2, 1, 2] * 5}}
    assert agreed(installed, {"data": data, "model": f"y ~ {formula}", "parameters": parameters})


LOSS_SETTINGS: dict[str, dict[str, Any]] = {
    "quantile": {"quantile": 0.3},
    "huber": {"delta": 0.4},
    "soft_l1": {"scale": 0.5},
    "cauchy": {"scale": 0.5},
    "gaussian_nll": {"sigma": "s + 0.1 * x + 0.01 * abs(prediction)"},
    "residual": {"expression": "(target - prediction) / sqrt(1 + s * x)"},
    "expression": {"expression": "log(cosh(prediction - target)) * (1 + s * x)"},
}


@pytest.mark.parametrize("loss", [cls.kind for cls in LOSSES if cls.kind != "cross_entropy"])
def test_every_loss(installed: tuple[Framework, ...], loss: str) -> None:
    """With weights or sigma, a prior, a tie, a logarithmic parameter, and penalties."""
    likelihood = {cls.kind: cls for cls in LOSSES}[loss].likelihood
    spread = {"weights": "w"} if likelihood or loss == "expression" else {"sigma": "w"}
    y = [0, 1, 1, 0, 1] if loss == "binary_cross_entropy" else [2, 0, 1.5, 3, 4]
    config: dict[str, Any] = {
        "data": {"values": {"x": [0.5, 1, 1.5, 2, 3], "y": y, "w": [1, 2, 1, 0.5, 0.7]}, **spread},
        "model": "y ~ a * exp(-k * x) + b + 0.3",
        "parameters": {"a": 3, "k": {"start": 0.5, "scale": "log"}, "b": {"equals": "k / 4"}},
        "loss": {"kind": loss, **LOSS_SETTINGS.get(loss, {})},
        "regularization": {"l2": 0.3, "l1": 0.2},
    }
    if "s" in json.dumps(LOSS_SETTINGS.get(loss, {}).get("sigma", "")) or loss in {"residual", "expression"}:
        config["parameters"]["s"] = 0.7
    if loss != "expression":
        config["parameters"]["a"] = {"start": 3, "prior": {"mean": 2.5, "sigma": 0.4}}
    if loss in {"expression", "mae", "quantile", "huber", "soft_l1", "cauchy"}:
        config["parameters"]["a"] = 3
    assert agreed(installed, config)


@pytest.mark.parametrize(("loss", "link"), [("poisson", "log"), ("binary_cross_entropy", "identity")])
def test_links(installed: tuple[Framework, ...], loss: str, link: str) -> None:
    data = {"values": {"x": [0.1, 0.2, 0.3], "y": [0, 1, 1]}}
    config = {"data": data, "model": "y ~ a + b * x", "parameters": {"a": 0.3, "b": 0.9}}
    assert agreed(installed, {**config, "loss": {"kind": loss, "link": link}})


def test_linear_and_polynomial_models(installed: tuple[Framework, ...]) -> None:
    values = {"x": [1, 2, 4, 5], "z": [0, 1, 1, 3], "y": [1, 2, 3, 7]}
    linear = {"kind": "linear", "inputs": ["x", "z"], "target": "y"}
    assert agreed(installed, {"data": {"values": values}, "model": linear, "regularization": {"l2": 0.1}})
    curve = {"kind": "polynomial", "input": "x", "degree": 3, "target": "y"}
    assert agreed(installed, {"data": {"values": values}, "model": curve, "loss": "huber"})
    assert agreed(installed, {"data": {"values": values}, "model": curve, "optimizer": "lbfgs"})


CLASSES = {"values": {"x": [0, 1, 2, 3, 2, 1], "z": [1, 0, 3, 1, 2, 2], "kind": ["a", "b", "c", "a", "b", "c"]}}


@pytest.mark.parametrize("intercept", [True, False])
def test_a_linear_model_of_classes(installed: tuple[Framework, ...], *, intercept: bool) -> None:
    model = {"kind": "linear", "inputs": ["x", "z"], "target": "kind", "standardize": True, "intercept": intercept}
    data = {**CLASSES, "weights": "z"} if intercept else CLASSES
    starts = {"x[a]": 0.7, "x[b]": 2.0, "x[c]": -1.0, "z[a]": 0.3}
    config = {"data": data, "model": model, "loss": "cross_entropy", "parameters": starts}
    assert agreed(installed, {**config, "regularization": {"l2": 0.3}})


def test_large_logits_of_classes(installed: tuple[Framework, ...]) -> None:
    """Of several hundred, whose exponentials would overflow."""
    values = {**CLASSES["values"], "x": [0, 1000, 2000, 3000, 2000, 1000]}
    model = {"kind": "linear", "inputs": ["x"], "target": "kind"}
    starts = {"x[a]": 1, "x[b]": 0, "x[c]": -1}
    assert agreed(
        installed, {"data": {"values": values}, "model": model, "loss": "cross_entropy", "parameters": starts}
    )


def test_a_perceptron_of_classes(installed: tuple[Framework, ...]) -> None:
    model = {"kind": "mlp", "inputs": ["x", "z"], "hidden": [3, 2], "activation": "tanh", "target": "kind"}
    config = {"data": CLASSES, "model": model, "loss": "cross_entropy", "precision": "float64"}
    assert agreed(installed, {**config, "regularization": {"l2": 0.1}})


@pytest.mark.parametrize("activation", ACTIVATION_FORMULAS)
def test_what_follows_a_hidden_layer(activation: str) -> None:
    """Value and slope of jax.nn's, on both sides of zero."""
    there, formula = frameworks(["complex-step"])[0], parse(ACTIVATION_FORMULAS[activation])
    settings = {"gelu": {"approximate": False}}.get(activation, {})
    for x in (-1.7, 0.6):
        found = there.differentiate(lambda t: evaluate(formula, {"x": t[0]}, there), np.array([x]))
        value, slope = jax.value_and_grad(lambda t: getattr(jax.nn, activation)(t, **settings))(x)
        np.testing.assert_allclose([found[0], found[1][0]], [float(value), float(slope)], rtol=1e-14, atol=1e-16)


def test_a_model_that_is_not_lowered_is_told(framework: Framework) -> None:
    data = {"values": {"u": ["a", "b", "a", "b"], "i": ["p", "p", "q", "q"], "r": [1, 2, 3, 4]}}
    model = {"kind": "matrix_factorization", "user": "u", "item": "i", "target": "r", "rank": 1}
    found = said([framework], {"data": data, "model": model, "precision": "float64"})
    assert found.checks == ()
    assert "not compared, a matrix_factorization model cannot be written" in found.notes[0]


def test_coded_and_standardized_inputs(installed: tuple[Framework, ...]) -> None:
    data = {"values": {"x": [1, 2, 4, 5, 7], "z": ["u", "v", "w", "u", "w"], "y": [1, 2, 3, 7, 1]}}
    model = {"kind": "linear", "inputs": ["x", "z"], "target": "y", "standardize": True}
    assert agreed(installed, {"data": data, "model": model, "regularization": {"l2": 0.1}})


def test_text_columns(installed: tuple[Framework, ...]) -> None:
    values = {"state": ["a", "b", "a"], "y": [1, 2, 3]}
    config = {"data": {"values": values}, "model": "y ~ where(state == 'b', p, p**2)", "parameters": {"p": 2}}
    assert agreed(installed, config)


def test_a_wrong_value_is_refuted_before_gradients(framework: Framework, monkeypatch: pytest.MonkeyPatch) -> None:
    right = IN_JAX["sin"]
    monkeypatch.setitem(IN_JAX, "sin", lambda x: right(x) * (1 + 1e-9))
    found = said([framework], {"minimize": "sin(p) + p**2", "parameters": {"p": 0.7}})
    assert found.checks == ()
    assert {finding.verdict for finding in found.findings} == {"refuted"}
    assert framework.name in found.findings[0].message


@pytest.mark.parametrize("error", [1e-9, -2.0])
def test_a_wrong_rule_is_refuted(framework: Framework, monkeypatch: pytest.MonkeyPatch, error: float) -> None:
    right = IN_JAX["sin"]
    wrong = jax.custom_jvp(right)
    wrong.defjvp(lambda p, t: (right(p[0]), jax.numpy.cos(p[0]) * (1 + error) * t[0]))
    monkeypatch.setitem(IN_JAX, "sin", wrong)
    found = said([framework], {"minimize": "q**2 + sin(p) + p**2", "parameters": {"p": 0.7, "q": 1}})
    assert [check.verdict for check in found.checks] == ["refuted"] * 3
    assert {check.parameter for check in found.checks} == {"p"}


def test_a_difference_of_rounding_is_none(installed: tuple[Framework, ...]) -> None:
    """Cancellation of nine digits in the objective, and a minimum, where the rows' parts of the gradient cancel."""
    assert agreed(installed, {"minimize": "(1 - cos(p)) / p**2", "parameters": {"p": 1e-4}})
    data = {"values": {"x": [0, 1, 2, 3, 4], "y": [1, 3, 2, 5, 4]}}
    config = {"data": data, "model": "y ~ slope * x + offset", "parameters": {"slope": 0.8, "offset": 1.4}}
    assert agreed(installed, config)


def test_every_loss_is_written_down_for_oracles() -> None:
    config = {"minimize": "p", "parameters": {"p": 1}}
    assert assembled(config).problem.loss is None
    for cls in LOSSES:
        if cls.kind == "cross_entropy":
            continue  # of several logits, which a formula has no word for: `test_a_linear_model_of_classes`
        settings = {key: value for key, value in LOSS_SETTINGS.get(cls.kind, {}).items() if not isinstance(value, str)}
        if not (set(LOSS_SETTINGS.get(cls.kind, {})) - set(settings)):
            link = {"link": "log"} if cls.kind == "poisson" else {}
            assert formula_of(cls(**settings, **link)).names


# -- the command ------------------------------------------------------------------------------------------------------------

CONFIG = "data: {values: {x: [0, 1, 2, 3], y: [1, 3, 2, 5]}}\nmodel: y ~ a * exp(b * x)\nparameters: {a: 1, b: 0.1}\n"


def test_the_command_compares(tmp_path: Path) -> None:
    written(tmp_path, "c.yaml", CONFIG)
    done = here("check-grad", "c.yaml", "--against", "complex-step", "--against", "mpmath", "--json", cwd=tmp_path)
    document = json.loads(done.out)
    against = [check for check in document["checks"] if check["direction"].startswith("against ")]
    assert done.code == 0, done.out + done.err
    assert {check["direction"] for check in against} == {"against complex-step", "against mpmath"}
    assert all(check["verdict"] == "pass" and check["digits"] >= 12 for check in against)
    for check in against:
        assert np.isclose(check["autodiff"], check["numerical"], rtol=1e-12)


@pytest.mark.parametrize("name", ["torch", "tensorflow"])
def test_the_command_compares_with_what_is_installed(tmp_path: Path, name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    written(tmp_path, "c.yaml", CONFIG)
    done = fitkit("check-grad", "c.yaml", "--against", name, cwd=tmp_path)
    assert done.code == 0, done.out + done.err
    assert f"digits against {name} at 3 points" in " ".join(done.out.split())
    assert done.err == ""


@pytest.mark.parametrize("name", ["torch", "tensorflow", "mpmath"])
def test_an_oracle_that_is_not_installed_is_7(tmp_path: Path, name: str) -> None:
    written(tmp_path, "c.yaml", CONFIG)
    hide = f"import sys; sys.modules['{name}'] = None; from fitkit.cli.main import main; main()"
    done = python("-c", hide, "check-grad", "c.yaml", "--against", name, cwd=tmp_path)
    assert done.code == 7
    assert "error[E703]" in done.err
    assert f'pip install "fitkit[{name}]"' in done.err


def test_a_python_model_is_told_apart(tmp_path: Path) -> None:
    written(tmp_path, "m.py", "def f(parameters, inputs):\n    return parameters['a'] * inputs['x']\n")
    data = "data: {values: {x: [1, 2], y: [1, 3]}}\n"
    written(
        tmp_path,
        "c.yaml",
        data + "model: {kind: python, function: m.py:f, inputs: [x], target: y}\nparameters: {a: 1}\n",
    )
    done = here("check-grad", "c.yaml", "--allow-python", "--against", "complex-step", cwd=tmp_path)
    assert done.code == 0
    assert "not compared, a python model cannot be written in complex-step" in " ".join(done.out.split())
