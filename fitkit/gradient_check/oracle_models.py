"""Models in another framework: what `Model.predict` says in JAX, said once more without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from fitkit.expressions import Expression, parse
from fitkit.expressions.framework import Framework
from fitkit.expressions.lower_framework import evaluate
from fitkit.models import FormulaModel, LinearModel, Model, MultilayerPerceptron, PolynomialModel
from fitkit.models.chebyshev import value as chebyshev
from fitkit.models.linear import INTERCEPT, contrasts

LOWERED_MODELS: Final = (FormulaModel, LinearModel, PolynomialModel, MultilayerPerceptron)
ACTIVATION_FORMULAS: Final[Mapping[str, str]] = {
    "relu": "relu(x)",
    "leaky_relu": "where(x >= 0, x, 0.01 * x)",
    "elu": "where(x > 0, x, expm1(x))",
    "gelu": "x * erfc(-x / sqrt(2)) / 2",
    "silu": "x * sigmoid(x)",
    "softplus": "softplus(x)",
    "tanh": "tanh(x)",
    "sigmoid": "sigmoid(x)",
}
"""What follows a hidden layer of a perceptron."""


def predicted(
    model: Model, values: Mapping[Any, Any], inputs: Mapping[Any, Any], zero: Any, framework: Framework
) -> Any:
    """Return the prediction of each row; of several classes a list of them, a logit for each class.

    Args:
        model: one of `LOWERED_MODELS`.
        values: parameters by name, arrays as tuples of their entries.
        inputs: columns by name.
        zero: a zero for each row.
        framework: whose numbers they are.
    """
    if isinstance(model, FormulaModel):
        return (
            evaluate(model.formula.prediction, {**inputs, **values}, framework) + zero
        )  # one number becomes one per row
    if isinstance(model, MultilayerPerceptron):
        return _perceptron(model, values, inputs, zero, framework)
    if isinstance(model, LinearModel):
        return _linear(model, values, inputs, zero)
    if isinstance(model, PolynomialModel):
        return _polynomial(model, values, inputs, zero)
    raise AssertionError("refused at construction")


def _linear(model: LinearModel, values: Mapping[Any, Any], inputs: Mapping[Any, Any], zero: Any) -> Any:
    columns = [inputs[name] for name in model.features]
    if model.classes is None:
        return _weighted(columns, [values[name] for name in model.features], zero, values.get(INTERCEPT))
    spread = contrasts(len(model.classes)).tolist()
    inner = [
        _weighted(
            columns,
            [values[name][place] for name in model.features],
            zero,
            values[INTERCEPT][place] if model.intercept else None,
        )
        for place in range(len(model.classes) - 1)
    ]
    return [_weighted(inner, of_class, zero, None) for of_class in spread]


def _perceptron(
    model: MultilayerPerceptron, values: Mapping[Any, Any], inputs: Mapping[Any, Any], zero: Any, framework: Framework
) -> Any:
    """Return the output, or the list of logits: every unit is a sum of its own."""
    units, last = [inputs[name] for name in model.features], len(model.hidden) + 1
    for layer in range(1, last + 1):
        weight, bias = values[f"weight{layer}"], values[f"bias{layer}"]
        units = [_weighted(units, weight[unit :: len(bias)], zero, bias[unit]) for unit in range(len(bias))]
        if layer < last:
            after = _parsed(ACTIVATION_FORMULAS[model.activation])
            units = [evaluate(after, {"x": unit}, framework) for unit in units]
    return units[0] if model.outputs is None else units


def _polynomial(model: PolynomialModel, values: Mapping[Any, Any], inputs: Mapping[Any, Any], zero: Any) -> Any:
    x: Any = inputs[model.input]
    if model.center is not None:
        return zero + chebyshev([values[name] for name in model.searched_names], (x - model.center) / model.half)
    found = zero
    for power in reversed(range(model.degree + 1)):
        found = found * x + values[f"c{power}"]
    return found


def _weighted(columns: Sequence[Any], weights: Sequence[Any], zero: Any, constant: Any) -> Any:
    found = zero if constant is None else zero + constant
    for column, weight in zip(columns, weights, strict=True):
        found = found + weight * column
    return found


@lru_cache(maxsize=16)
def _parsed(text: str) -> Expression:
    return parse(text)
