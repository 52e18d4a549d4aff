"""A problem's objective in another framework: the model's tree, the loss as a formula of its own, the penalties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, final

from fitkit.expressions import Expression, parse
from fitkit.expressions.framework import Framework
from fitkit.expressions.lower_framework import evaluate
from fitkit.gradient_check.oracle_models import LOWERED_MODELS, predicted
from fitkit.losses import Loss
from fitkit.losses.cross_entropy import CrossEntropy
from fitkit.problem import Problem

if TYPE_CHECKING:
    from fitkit.problem import RowData

LOSS_FORMULAS: Final[Mapping[str, str]] = {
    "mse": "u**2",
    "mae": "abs(u)",
    "quantile": "where(u > 0, (1 - quantile) * u, -quantile * u)",
    "huber": "where(abs(u) <= delta, u**2 / 2, delta * (abs(u) - delta / 2))",
    "soft_l1": "u**2 / (1 + sqrt(1 + (u / scale)**2))",
    "cauchy": "scale**2 / 2 * log1p((u / scale)**2)",
    "poisson log": "exp(prediction) - target * prediction",
    "poisson identity": "where(target > 0, prediction - target * log(prediction), prediction)",
    "binary_cross_entropy logit": "softplus(prediction) - target * prediction",
    "binary_cross_entropy identity": (
        "where(target > 0, -target * log(prediction), 0) + where(target < 1, -(1 - target) * log1p(-prediction), 0)"
    ),
    "gaussian_nll": "log(spread) + ((prediction - target) / spread)**2 / 2",
    "residual": "(residual / sigma)**2",
    "expression": "cost",
}
"""The cost of a row, by the loss's kind and link: u is the residual in units of sigma."""
_OWN: Final[Mapping[str, tuple[str, str]]] = {
    "gaussian_nll": ("spread", "sigma"),
    "residual": ("residual", "expression"),
    "expression": ("cost", "expression"),
}
"""Losses with a formula of the user's: what the row's cost calls its value, and the key that it stands under."""


class NotLoweredError(Exception):
    """Something of the problem has no form outside JAX; the message says what."""


def formula_of(loss: Loss) -> Expression:
    """Return the cost of a row under a loss.

    Raises:
        NotLoweredError: nobody wrote it down.
    """
    link = getattr(loss, "link", None)
    text = LOSS_FORMULAS.get(loss.kind if link is None else f"{loss.kind} {link}")
    if text is None:
        raise NotLoweredError(f"the loss `{loss.kind}`")
    return _parsed(text)


@lru_cache(maxsize=64)
def _parsed(text: str) -> Expression:
    return parse(text)


@final
class OracleObjective:
    """The objective of theta in one framework; a sequence of numbers in, a number out.

    Raises:
        NotLoweredError: the model or the loss has no form outside JAX.
    """

    def __init__(self, problem: Problem, framework: Framework) -> None:
        self._problem = problem
        self._framework = framework
        self._cost: Expression | None = None
        if problem.loss is not None and problem.rows is not None and not isinstance(problem.loss, CrossEntropy):
            self._cost = formula_of(problem.loss)
        if problem.model is not None and not isinstance(problem.model, LOWERED_MODELS):
            raise NotLoweredError(f"a {problem.model.kind} model")
        self._rows = None if problem.rows is None else _Rows(problem.rows, framework)

    def __call__(self, theta: Sequence[Any]) -> Any:
        """Return the objective.

        Raises:
            NoCounterpartError: the framework lacks a function that a formula uses.
        """
        values = self._values(theta)
        if self._problem.expression is not None:
            return evaluate(self._problem.expression, values, self._framework) + self._penalties(values)
        return self._mean_cost(values) + self._penalties(values)

    def _values(self, theta: Sequence[Any]) -> dict[Any, Any]:
        """Return every parameter by name, of an array that is free the tuple of its entries."""
        import numpy as np

        layout = self._problem.layout
        found: dict[Any, Any] = {
            name: self._framework.array(np.asarray(value, np.float64)) for name, value in self._problem.held.items()
        }
        for name, place in layout.places.items():
            numbers: Any = tuple(theta[place]) if layout.shape(name) else theta[place.start]
            found[name] = self._framework.function("exp")(numbers) if name in layout.logarithmic else numbers
        for name, formula in layout.tied:
            found[name] = evaluate(formula, found, self._framework)
        return found

    def _mean_cost(self, values: dict[Any, Any]) -> Any:
        problem, rows, framework = self._problem, self._rows, self._framework
        if rows is None or problem.loss is None or problem.model is None:
            raise AssertionError("a problem has rows or an expression")
        prediction = predicted(problem.model, values, rows.inputs, rows.zero, framework)
        if self._cost is None:
            costs = _cross_entropy(prediction, rows, framework)
            return framework.total(rows.weight * costs) / float(problem.total_weight)
        row: dict[Any, Any] = {"prediction": prediction, "target": rows.target, "sigma": rows.sigma}
        row["u"] = (prediction - rows.target) / rows.sigma
        for name in ("delta", "scale", "quantile"):
            if hasattr(problem.loss, name):
                row[name] = framework.array(getattr(problem.loss, name))
        if problem.loss.kind in _OWN:
            word, key = _OWN[problem.loss.kind]
            roles = {"prediction": prediction, "target": rows.target}
            row[word] = evaluate(getattr(problem.loss, key), {**rows.inputs, **values, **roles}, framework)
        costs = evaluate(self._cost, row, framework)
        return framework.total(rows.weight * costs) / float(problem.total_weight)

    def _penalties(self, values: dict[Any, Any]) -> Any:
        problem, f = self._problem, self._framework.function
        result: Any = 0.0
        l2, l1 = float(problem.regularization.l2), float(problem.regularization.l1)
        shrunk = [values[name] for name in problem.penalized] if l2 or l1 else []
        for weight in (w for value in shrunk for w in (value if isinstance(value, tuple) else (value,))):
            result = result + l2 / 2 * weight * weight
            if l1:
                result = result + l1 * f("abs")(weight)
        half = 1.0 if problem.loss is not None and problem.loss.deviance else 0.5
        for name, prior in problem.priors.items():
            z = (values[name] - prior.mean) / prior.sigma
            result = result + half / float(problem.total_weight) * z * z
        return result


def _cross_entropy(logits: Sequence[Any], rows: _Rows, framework: Framework) -> Any:
    """Return log(sum_k exp(p_k)) - p_target of each row; the largest logit is taken out as a constant of no slope."""
    import numpy as np

    exp, log = framework.function("exp"), framework.function("log")
    largest = framework.array(np.max([framework.plain(logit) for logit in logits], axis=0))
    total, chosen = rows.zero, rows.zero
    for place, logit in enumerate(logits):
        total = total + exp(logit - largest)
        chosen = framework.select(framework.plain(rows.target) == place, logit, chosen)
    return largest + log(total) - chosen


@final
class _Rows:
    """The rows as the framework's numbers."""

    def __init__(self, rows: RowData, framework: Framework) -> None:
        import numpy as np

        def put(column: Any) -> Any:
            return framework.array(np.asarray(column, np.float64))

        self.inputs = {
            key: put(column) if isinstance(key, str) else np.asarray(column, np.float64)
            for key, column in rows.inputs.items()
        }
        self.target = put(rows.target)
        self.sigma = put(np.ones(len(rows)) if rows.sigma is None else rows.sigma)
        self.weight = put(rows.weight)
        self.zero = put(np.zeros(len(rows)))
