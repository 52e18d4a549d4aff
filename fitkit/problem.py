"""The problem: a model, a loss, rows and parameters, as one objective of a flat vector theta.

This is the only translator between named parameters and theta. A problem is a pytree: data and numbers are traced, names
and formulas are its structure, so problems of one structure share one compilation. It is rows plus penalties,

    objective(theta) = sum_i w_i cost_i(theta) / sum_i w_i  +  l2/2 sum_j v_j²  +  l1 sum_j |v_j|  +  h/n sum_p z_p²,

with z = (value - mean) / sigma for each prior, n = sum_i w_i, and h = 1 where the cost is a square, else 1/2. Every sum
over rows goes through `weighted_mean`, so that batches, chunks and padding (a row repeated with weight 0) need no second
version.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, final, get_type_hints

from fitkit.backend import jax, jnp, once
from fitkit.component import Component
from fitkit.expressions import Constraint, Expression, TextComparison, to_jax
from fitkit.input_matrix import InputMatrix
from fitkit.losses import LOSSES, Fitted, KinkedLoss, Loss, ResidualLoss
from fitkit.losses.base import rounded_root
from fitkit.models import MODELS, Model
from fitkit.parameters import Layout, NamedValues, Prior
from fitkit.regularization import Regularization
from fitkit.types import Array, ConstraintValues, Rows, Scalar, Theta, Values


class ShapeMismatchError(ValueError):
    """A model returned something else than one number per row."""


@final
@dataclass(frozen=True, kw_only=True)
class RowData:
    """The rows: inputs by name (or by comparison of a text column), target, standard errors and weights.

    All have a number for each row, shape (rows,), but inputs that a model has coded, which may have a vector, (rows, features).
    """

    inputs: Mapping[str | TextComparison, Array] | InputMatrix
    target: Rows
    sigma: Rows | None
    weight: Rows

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.target.shape[0])

    def take(self, index: Any) -> RowData:
        """Return the rows at `index` (a slice or an array of row numbers)."""
        return RowData(
            inputs=self.inputs.take(index)
            if isinstance(self.inputs, InputMatrix)
            else {key: column[index] for key, column in self.inputs.items()},
            target=self.target[index],
            sigma=None if self.sigma is None else self.sigma[index],
            weight=self.weight[index],
        )

    def chunks(self, size: int) -> tuple[RowData, ...]:
        """Return the rows in pieces of `size`, the last filled up with copies of its last row at weight zero.

        The pieces are made once and kept.
        """
        if len(self) <= size:
            return (self,)
        kept: dict[int, tuple[RowData, ...]] = self.__dict__.setdefault("_chunks", {})
        if size not in kept:
            kept[size] = tuple(self._chunk(start, size) for start in range(0, len(self), size))
        return kept[size]

    def _chunk(self, start: int, size: int) -> RowData:
        missing = start + size - len(self)
        part = self.take(slice(start, start + size))
        if missing <= 0:
            return part
        filled = jax.tree.map(lambda column: jnp.concatenate([column, jnp.repeat(column[-1:], missing, axis=0)]), part)
        weight = jnp.concatenate([part.weight, jnp.zeros(missing, part.weight.dtype)])
        return RowData(inputs=filled.inputs, target=filled.target, sigma=filled.sigma, weight=weight)


def weighted_mean(costs: Rows, weight: Rows, total: Scalar) -> Scalar:
    """Return sum_i w_i c_i / total; a row of weight zero counts for nothing even where its cost is not finite."""
    return jnp.sum(jnp.where(weight > 0, weight * costs, 0.0)) / total


class Smoothing(NamedTuple):
    """Half widths to which the kinks of an objective are rounded: |u| becomes sqrt(u² + width²) - width."""

    distances: Scalar
    """Of the rows' distances."""
    weights: Scalar
    """Of the parameters under an l1 penalty."""


class Augmentation(NamedTuple):
    """What an augmented Lagrangian adds: sum_i weight_i/2 (c_i + shift_i)², of inequalities only the part above zero.

    With shift = multiplier / weight this is the multiplier's term and the penalty's, up to a constant.
    """

    shifts: ConstraintValues
    """Shape (constraints,)."""
    weights: ConstraintValues


@final
@dataclass(frozen=True, kw_only=True)
class Problem:
    """An objective of theta, shape (free,), with its bounds; `rows` and `model` are None for a pure objective."""

    layout: Layout
    held: Values
    """Parameters that do not move, by name."""
    lower: Theta
    upper: Theta
    rows: RowData | None = None
    total_weight: Scalar | float = 1.0
    model: Model | None = None
    loss: Loss | None = None
    expression: Expression | None = None
    """The pure objective of `minimize`, instead of rows, model and loss."""
    regularization: Regularization = Regularization()  # noqa: RUF009 - frozen
    priors: Mapping[str, Prior] = field(default_factory=dict)
    """Of parameters that are free or tied, by name."""
    smoothing: Smoothing | None = None
    """How far kinks are rounded; None for the objective itself."""
    constraints: tuple[Constraint, ...] = ()
    augmentation: Augmentation | None = None
    """Makes constraints part of the objective; None for the objective itself."""

    # -- names and numbers ------------------------------------------------------------------------------------------------

    def values(self, theta: Theta) -> NamedValues:
        """Return every parameter of the model by name, in the order of the layout."""
        return self._with_ties(NamedValues(self.layout, theta, self.held))

    def values_apart(self, numbers: tuple[Array, ...]) -> NamedValues:
        """Return the same from the numbers of theta one by one: derivatives by one then know that the others are constant.

        Each is a scalar, or of shape (lanes,) where problems stand side by side, or (rows,) where rows have numbers of their
        own; no parameter may be an array.
        """
        return self._with_ties(NamedValues(self.layout, numbers, self.held))

    def _with_ties(self, found: NamedValues) -> NamedValues:
        for name, formula in self.layout.tied:
            names: dict[Any, Any] = {other: found[other] for other in formula.names & frozenset(self.layout.names)}
            found.set(name, to_jax(formula)(names))
        return found

    @property
    def reports_otherwise(self) -> bool:
        """Whether the parameters that a report tells are others than those of the layout."""
        return self.model is not None and self.model.reports_otherwise

    @property
    def reported_names(self) -> tuple[str, ...]:
        """The parameters that a report tells as numbers, in the order of every table."""
        if self.model is not None and self.model.reports_otherwise:
            return self.model.reported_names
        return tuple(name for name in self.layout.names if not self.layout.shape(name))

    def reported(self, theta: Theta) -> Rows:
        """Return those parameters in the user's units, shape (reported,)."""
        values = self.values(theta)
        if self.model is not None and self.model.reports_otherwise:
            return self.model.reported(values)
        return values.in_a_row(self.reported_names)

    @property
    def trained(self) -> bool:
        """Whether the model is one of many weights that are determined together only."""
        return self.model is not None and self.model.trained

    @property
    def penalized(self) -> tuple[str, ...]:
        """The free parameters that regularization acts on."""
        among = None if self.model is None else self.model.penalized
        return tuple(name for name in self.layout.free if among is None or name in among)

    @property
    def penalized_coordinates(self) -> tuple[bool, ...]:
        """Which numbers of theta are weights that regularization acts on."""
        among = frozenset(self.penalized)
        places = self.layout.places
        return tuple(name in among for name in self.layout.free for _ in range(places[name].stop - places[name].start))

    @property
    def single(self) -> bool:
        """Whether the numbers are float32."""
        return bool(self.lower.dtype.itemsize == 4)

    @property
    def least_squares(self) -> bool:
        """Whether the objective is a sum of squares that `row_residuals` and `penalty_residuals` give."""
        rounded = self.smoothing is not None
        squares = isinstance(self.loss, ResidualLoss) or (rounded and isinstance(self.loss, KinkedLoss))
        return squares and (rounded or self.regularization.l1 == 0)

    @property
    def smooth(self) -> bool:
        """Whether the objective has no kinks that are known."""
        if self.smoothing is not None:
            return True
        return (self.loss is None or self.loss.smooth) and self.regularization.l1 == 0

    @property
    def constrained(self) -> bool:
        """Whether there are constraints beside the objective, instead of in it."""
        return bool(self.constraints) and self.augmentation is None

    # -- rows -------------------------------------------------------------------------------------------------------------

    def fitted(self, theta: Theta, rows: RowData, key: Any = None) -> Fitted:
        """Return predictions beside observations; with a `key`, a uint32, those that an update of training is made with.

        Raises:
            ShapeMismatchError: the model does not return one number per row, or, under a loss of several classes, one for
                each row and class; nothing is ever broadcast over rows.
        """
        return self.fitted_by(self.values(theta), rows, key)

    def fitted_by(self, values: NamedValues, rows: RowData, key: Any = None) -> Fitted:
        """Return the same from the parameters by name."""
        model = self._model()
        inputs = rows.inputs
        prediction = jnp.asarray(
            model.predict(values, inputs) if key is None else model.predict_in_training(values, inputs, key)
        )
        if prediction.shape == rows.target.shape[1:] and model.may_be_constant:
            prediction = jnp.broadcast_to(prediction, rows.target.shape)
        width = () if self.loss is None else self.loss.width
        if prediction.shape != rows.target.shape + width:
            wanted = (
                f"the target has shape {rows.target.shape}" if not width else f"{rows.target.shape + width} is needed"
            )
            raise ShapeMismatchError(f"the model returns an array of shape {prediction.shape} where {wanted}")
        return Fitted(prediction=prediction, target=rows.target, sigma=rows.sigma, values=values, inputs=rows.inputs)

    def row_costs(self, theta: Theta, rows: RowData, key: Any = None) -> Rows:
        """Return the loss of each row, shape (rows,); `key` as in `fitted`."""
        loss, fitted = self._loss(), self.fitted(theta, rows, key)
        if self.smoothing is not None and isinstance(loss, KinkedLoss):
            return loss.smoothed_residual(fitted, self.smoothing.distances) ** 2
        return loss.cost(fitted)

    def row_residuals(self, theta: Theta, rows: RowData) -> Rows:
        """Return residuals r_i sqrt(w_i / sum w), shape (rows,), whose squares sum to the rows' part of the objective."""
        return self.residuals_and_predictions(theta, rows)[0]

    def residuals_and_predictions(self, theta: Theta, rows: RowData) -> tuple[Rows, Rows]:
        """Return the residuals, and the predictions on the scale of the target, shape (rows,) each."""
        return self.residuals_and_predictions_by(self.values(theta), rows)

    def residuals_and_predictions_by(self, values: NamedValues, rows: RowData) -> tuple[Rows, Rows]:
        """Return the same from the parameters by name."""
        loss, fitted = self._loss(), self.fitted_by(values, rows)
        if isinstance(loss, ResidualLoss):
            each = loss.residual(fitted)
        elif isinstance(loss, KinkedLoss) and self.smoothing is not None:
            each = loss.smoothed_residual(fitted, self.smoothing.distances)
        else:
            raise TypeError(f"{loss.kind} has no residuals")
        scale = jnp.sqrt(rows.weight / self.total_weight)
        residuals = jnp.where(rows.weight > 0, scale * each, 0.0)
        return residuals, loss.mean(fitted.prediction)

    # -- penalties and the objective --------------------------------------------------------------------------------------

    def weights(self, theta: Theta) -> Rows:
        """Return the numbers that regularization acts on, shape (penalized,)."""
        values, names = self.values(theta), self.penalized
        return values.in_a_row(names) if self.model is None else self.model.weights(values, names)

    def deviations(self, theta: Theta) -> Rows:
        """Return z = (value - mean) / sigma for each prior, shape (priors,)."""
        values = self.values(theta)
        found = [(values[name] - prior.mean) / prior.sigma for name, prior in self.priors.items()]
        return jnp.stack(found) if found else jnp.zeros(0, theta.dtype)

    def penalty_residuals(self, theta: Theta) -> Rows:
        """Return the penalties and priors as further residuals, shape (penalized + priors,): sqrt(l2/2) v_j, sqrt(h/n) z_p."""
        shrunk = self.weights(theta)
        scale = jnp.sqrt(self._prior_share / jnp.asarray(self.total_weight))
        parts = [jnp.sqrt(self.regularization.l2 / 2) * shrunk, scale * self.deviations(theta)]
        if self.smoothing is not None:
            parts.append(jnp.sqrt(self.regularization.l1) * rounded_root(shrunk, self.smoothing.weights))
        if self.augmentation is not None:
            parts.append(jnp.sqrt(self.augmentation.weights / 2) * self._overshoots(theta, self.augmentation))
        return jnp.concatenate(parts)

    def smooth_penalties(self, theta: Theta) -> Scalar:
        """Return l2/2 sum_j v_j² + h/n sum_p z_p², and what constraints add where there is an augmentation."""
        shrinkage = jnp.zeros((), theta.dtype)
        if not self.regularization.is_zero("l2"):
            root = jnp.sqrt(self.regularization.l2 / 2)  # zero times the square of a huge value would be no number
            shrinkage = jnp.sum((root * self.weights(theta)) ** 2)
        if self.augmentation is not None:
            overshoots = self._overshoots(theta, self.augmentation)
            shrinkage += jnp.sum(self.augmentation.weights / 2 * overshoots**2)
        if not self.priors:
            return shrinkage
        return shrinkage + self._prior_share / self.total_weight * jnp.sum(self.deviations(theta) ** 2)

    @property
    def _prior_share(self) -> float:
        """h: a prior is counted as the loss counts a normal error of one sigma."""
        return 1.0 if self.loss is not None and self.loss.deviance else 0.5

    def smooth_objective(self, theta: Theta, rows: RowData | None, total: Scalar | float, key: Any = None) -> Scalar:
        """Return the objective over `rows`, of total weight `total`, without the l1 penalty that proximal steps handle.

        `key` as in `fitted`.
        """
        if self.expression is not None or rows is None:
            return self._pure(theta) + self.smooth_penalties(theta)
        costs = self.row_costs(theta, rows, key)
        return weighted_mean(costs, rows.weight, jnp.asarray(total)) + self.smooth_penalties(theta)

    def objective(self, theta: Theta) -> Scalar:
        """Return the whole objective at theta."""
        return self.smooth_objective(theta, self.rows, self.total_weight) + self.kinked_penalty(theta)

    def penalty(self, theta: Theta) -> Scalar:
        """Return what the objective has beside the mean over rows."""
        return self.smooth_penalties(theta) + self.kinked_penalty(theta)

    def kinked_penalty(self, theta: Theta) -> Scalar:
        """Return l1 sum_j |v_j|, rounded as far as the smoothing says."""
        if self.regularization.is_zero("l1"):
            return jnp.zeros((), theta.dtype)
        weights = self.weights(theta)
        width = None if self.smoothing is None else self.smoothing.weights
        absolute = jnp.sum(jnp.abs(weights) if width is None else rounded_root(weights, width) ** 2)
        return self.regularization.l1 * absolute

    def sides(self, theta: Theta) -> tuple[ConstraintValues, ConstraintValues]:
        """Return the left and the right side of each constraint, shape (constraints,) each."""
        names: dict[Any, Scalar] = dict(self.values(theta))
        both = [
            [jnp.asarray(to_jax(side)(names), theta.dtype) for side in (one.left, one.right)]
            for one in self.constraints
        ]
        return jnp.stack([left for left, _ in both]), jnp.stack([right for _, right in both])

    def excesses(self, theta: Theta) -> ConstraintValues:
        """Return c_i, shape (constraints,): zero is the edge of each constraint, and inequalities hold at or below it."""
        left, right = self.sides(theta)
        signs = jnp.asarray([-1.0 if one.relation == ">=" else 1.0 for one in self.constraints], theta.dtype)
        return signs * (left - right)

    def _overshoots(self, theta: Theta, augmentation: Augmentation) -> ConstraintValues:
        shifted = self.excesses(theta) + augmentation.shifts
        equality = jnp.asarray([one.relation == "==" for one in self.constraints])
        return jnp.where(equality | (shifted > 0), shifted, 0.0)

    def with_rows(self, rows: RowData) -> Problem:
        """Return the same problem over other rows."""
        return replace(self, rows=rows)

    def _pure(self, theta: Theta) -> Scalar:
        if self.expression is None:
            raise AssertionError("a problem has rows or an expression")
        names: Mapping[Any, Any] = self.values(theta)
        return jnp.asarray(to_jax(self.expression)(names), theta.dtype)

    def _model(self) -> Model:
        if self.model is None:
            raise AssertionError("a pure objective has no model")
        return self.model

    def _loss(self) -> Loss:
        if self.loss is None:
            raise AssertionError("a pure objective has no loss")
        return self.loss


# -- pytrees: what is traced and what is structure ----------------------------------------------------------------------------


_registered: set[object] = set()
_REGISTERING = threading.Lock()


def register_component(cls: type[Component]) -> None:
    """Teach JAX that the real numbers of a component are traced and all else is structure; once for each class."""
    with _REGISTERING:
        if cls not in _registered:
            _register(cls, traced=_numbers(cls))
            _registered.add(cls)


@once
def register_pytrees() -> None:
    """Teach JAX which parts of problems, models and losses are traced; does nothing the second time."""
    components: tuple[type[Component], ...] = (Prior, *MODELS, *LOSSES)
    for cls in components:
        register_component(cls)
    traced = (
        "held",
        "lower",
        "upper",
        "rows",
        "total_weight",
        "model",
        "loss",
        "regularization",
        "priors",
        "smoothing",
        "augmentation",
    )
    _register(Problem, traced=traced)
    _register(InputMatrix, traced=("matrix",))
    jax.tree_util.register_pytree_node(RowData, _flatten_rows, _unflatten_rows)
    jax.tree_util.register_pytree_node(Regularization, _flatten_penalties, _unflatten_penalties)


def _numbers(cls: type) -> tuple[str, ...]:
    """Return the fields that hold real numbers, or say so: they are traced, so that a sweep over them compiles once."""
    hints = get_type_hints(cls)
    return tuple(f.name for f in fields(cls) if hints[f.name] in (float, float | None) or f.metadata.get("traced"))


def _register(cls: type, traced: tuple[str, ...]) -> None:
    structure = tuple(f.name for f in fields(cls) if f.name not in traced)

    def flatten(instance: object) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        return tuple(getattr(instance, name) for name in traced), tuple(getattr(instance, name) for name in structure)

    def unflatten(constant: tuple[Any, ...], leaves: tuple[Any, ...]) -> object:
        instance: object = object.__new__(cls)  # leaves may be tracers or placeholders, which construction would check
        for name, value in zip(traced + structure, (*leaves, *constant), strict=True):
            object.__setattr__(instance, name, value)
        return instance

    jax.tree_util.register_pytree_node(cls, flatten, unflatten)


def _flatten_rows(rows: RowData) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    rest = (rows.target, rows.sigma, rows.weight)
    if isinstance(rows.inputs, InputMatrix):
        return (rows.inputs, *rest), None
    keys = tuple(sorted(rows.inputs, key=str))
    return (*(rows.inputs[key] for key in keys), *rest), keys


def _unflatten_rows(keys: tuple[Any, ...] | None, leaves: tuple[Any, ...]) -> RowData:
    *columns, target, sigma, weight = leaves
    inputs = columns[0] if keys is None else dict(zip(keys, columns, strict=True))
    return RowData(inputs=inputs, target=target, sigma=sigma, weight=weight)


def _flatten_penalties(penalties: Regularization) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """A penalty of zero is structure: programs without one do not pay for it, and a sweep over others compiles once."""
    present = tuple(field.name for field in fields(penalties) if not penalties.is_zero(field.name))
    return tuple(getattr(penalties, name) for name in present), present


def _unflatten_penalties(present: tuple[str, ...], leaves: tuple[Any, ...]) -> Regularization:
    penalties = Regularization()
    for name, value in zip(present, leaves, strict=True):
        object.__setattr__(
            penalties, name, value
        )  # leaves may be tracers or placeholders, which construction would check
    return penalties
