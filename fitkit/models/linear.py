"""A linear model of several inputs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

from fitkit.backend import jnp
from fitkit.input_matrix import input_matrix
from fitkit.models.base import Model
from fitkit.models.coding import CodedColumn, coded_column, design, moments
from fitkit.models.outlook import Outlook
from fitkit.parameters import in_a_row
from fitkit.readers import Table
from fitkit.types import Array, Inputs, Outputs, Rows, Values

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

INTERCEPT = "intercept"


@final
@dataclass(frozen=True, kw_only=True)
class LinearModel(Model):
    """A weighted sum of inputs: intercept + sum over inputs of weight times input.

    The parameters are named `intercept` and after their inputs, and start at zero unless `parameters` says otherwise. Inputs
    of texts, and those listed in `categorical`, are coded: levels sorted, first the baseline, the others `name=level`. Under
    cross_entropy each class has weights of its own, `name[class]`, which sum to zero over the classes.
    """

    kind: Literal["linear"] = "linear"
    inputs: tuple[str, ...] | str
    """The input columns; `"*"` for every column but the target, sigma, weights and group columns."""
    target: str
    """The column that is predicted."""
    intercept: bool = True
    """Whether there is a constant term."""
    categorical: tuple[str, ...] = ()
    """Inputs of numbers that are coded as texts are."""
    standardize: bool = False
    """Whether inputs are brought to mean 0 and deviation 1 inside the model; what is reported is in raw units, with the
    standardized values beside it, and penalties act on the standardized weights."""
    coded: tuple[CodedColumn, ...] | None = field(default=None, init=False)
    """How the inputs become numbers, once the table is known."""
    classes: tuple[str, ...] | None = field(default=None, init=False)
    """Where each has weights of its own."""
    plain: bool = field(default=True, init=False)
    """Whether the parameters are searched as they are reported."""
    center: Array | None = field(default=None, init=False, metadata={"traced": True})
    """What is subtracted from each feature, shape (features,); None where they are not standardized."""
    scale: Array | None = field(default=None, init=False, metadata={"traced": True})
    """The deviation of each feature, one where it is constant, shape (features,)."""
    constant: tuple[str, ...] = field(default=(), init=False)
    """Features that are the same in every row, and have weight zero where they are standardized."""
    as_matrix: ClassVar[bool] = True

    @property
    def inputs_used(self) -> tuple[str, ...]:
        """The input columns."""
        return () if isinstance(self.inputs, str) else self.inputs

    @property
    def all_inputs(self) -> bool:
        """Whether the inputs are all columns without another part to play."""
        return isinstance(self.inputs, str)

    @property
    def target_used(self) -> str:
        """The target column."""
        return self.target

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the numbers that are weighed: inputs, and levels of coded ones."""
        if self.coded is None:
            return self.inputs_used
        return tuple(name for column in self.coded for name in column.features)

    @property
    def _rows_of_weights(self) -> tuple[str, ...]:
        return ((INTERCEPT,) if self.intercept else ()) + self.features

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """`intercept`, then the features; of several classes those of each class."""
        if self.classes is None:
            return self._rows_of_weights
        return tuple(f"{name}[{level}]" for level in self.classes for name in self._rows_of_weights)

    @property
    def weighs(self) -> tuple[str | None, tuple[str, ...]] | None:
        """The intercept and the features, where they are the parameters that are searched."""
        return (INTERCEPT if self.intercept else None, self.features) if self.classes is None else None

    @property
    def inner_shapes(self) -> dict[str, tuple[int, ...]] | None:
        """The parameters that are searched, where those of the classes are computed from them: one less than classes each."""
        if self.classes is None:
            return None
        return dict.fromkeys(self._rows_of_weights, (len(self.classes) - 1,))

    @property
    def has_constant(self) -> bool:
        """Whether there is an intercept."""
        return self.intercept

    @property
    def penalized(self) -> frozenset[str]:
        """The weights, not the intercept."""
        return frozenset(self.features)

    @property
    def reports_otherwise(self) -> bool:
        """Whether weights are standardized, or of several classes."""
        return self.classes is not None or (self.center is not None and not self.plain)

    @property
    def unused(self) -> tuple[str, ...]:
        """Constant features, where they are standardized."""
        return self.constant

    def with_inputs(self, names: tuple[str, ...]) -> LinearModel:
        """Return the model of these inputs, where it asks for all."""
        return replace(self, inputs=names) if isinstance(self.inputs, str) else self

    def prepared(self, table: Table, outlook: Outlook) -> LinearModel:
        """Return the model with its inputs coded and the numbers that it standardizes by."""
        import numpy as np

        coded = tuple(coded_column(table, name, categorical=name in self.categorical) for name in self.inputs_used)
        found = _with(self, coded=coded, classes=outlook.classes, plain=outlook.plain and outlook.classes is None)
        if not self.standardize:
            return found
        center, scale, constant = moments(design(table, coded), outlook.weight)
        return _with(
            found,
            center=center if self.intercept else np.zeros_like(center),
            scale=scale,
            constant=tuple(name for name, same in zip(found.features, constant.tolist(), strict=True) if same),
        )

    def learned(self) -> dict[str, Any]:
        """Return how inputs are coded and standardized."""
        return {
            "inputs": list(self.inputs_used),
            "columns": [column.as_json() for column in self.coded or ()],
            "classes": None if self.classes is None else list(self.classes),
            "plain": self.plain,
            "center": None if self.center is None else [float(number) for number in self.center],
            "scale": None if self.scale is None else [float(number) for number in self.scale],
            "constant": list(self.constant),
        }

    def recalled(self, learned: dict[str, Any]) -> LinearModel:
        """Return the model with what it once learned."""
        import numpy as np

        return _with(
            self.with_inputs(tuple(learned["inputs"])),
            coded=tuple(CodedColumn.from_json(told) for told in learned["columns"]),
            classes=None if learned["classes"] is None else tuple(learned["classes"]),
            plain=learned["plain"],
            center=None if learned["center"] is None else np.array(learned["center"]),
            scale=None if learned["scale"] is None else np.array(learned["scale"]),
            constant=tuple(learned["constant"]),
        )

    def design(self, table: Table) -> tuple[tuple[str, ...], Matrix]:
        """Return the names and numbers of the features, shape (rows, features), standardized if they are so inside."""
        matrix = design(table, self.coded or ())
        if self.center is not None and self.scale is not None and not self.plain:
            matrix = (matrix - self.center) / self.scale
        return self.features, matrix

    def weights(self, values: Values, names: tuple[str, ...]) -> Rows:
        """Return the weights that penalties act on: of the standardized inputs."""
        found = in_a_row(values, names)
        if self.scale is None or not self.plain:
            return found
        places = {name: place for place, name in enumerate(self.features)}
        scaled: Rows = found * jnp.asarray(self.scale)[jnp.asarray([places[name] for name in names])]
        return scaled

    def predict(self, values: Values, inputs: Inputs) -> Outputs:
        """Return intercept + sum_j w_j x_j, shape (rows,); of several classes one for each, shape (rows, classes)."""
        matrix, weights = input_matrix(inputs, self.features), in_a_row(values, self.features)
        if self.classes is None:
            weighted = matrix @ weights
            return weighted + values[INTERCEPT] if self.intercept else weighted
        inner = matrix @ weights.reshape(len(self.features), len(self.classes) - 1)
        inner = inner + values[INTERCEPT] if self.intercept else inner
        logits: Outputs = inner @ contrasts(len(self.classes)).T
        return logits

    @property
    def reported_names(self) -> tuple[str, ...]:
        """The parameters in raw units, class by class."""
        return self.parameter_names

    def reported(self, values: Values) -> Rows:
        """Return them, shape (reported,)."""
        weights, intercept = self._outer(values)
        if self.center is not None and not self.plain:
            weights = weights / jnp.asarray(self.scale)[:, None]
            intercept = intercept - jnp.asarray(self.center) @ weights
        return self._listed(weights, intercept)

    def standardized(self, values: Values) -> Rows | None:
        """Return them as they are for standardized inputs, shape (reported,); None where those are not."""
        if self.center is None:
            return None
        weights, intercept = self._outer(values)
        if self.plain:
            intercept = intercept + jnp.asarray(self.center) @ weights
            weights = weights * jnp.asarray(self.scale)[:, None]
        return self._listed(weights, intercept)

    def _outer(self, values: Values) -> tuple[Any, Any]:
        """Return the weights of every class, shape (features, classes), and the intercepts, (classes,)."""
        count = 1 if self.classes is None else len(self.classes)
        spread = jnp.ones((1, 1)) if self.classes is None else contrasts(count).T
        weights = in_a_row(values, self.features).reshape(len(self.features), len(spread)) @ spread
        intercept = jnp.atleast_1d(values[INTERCEPT]) @ spread if self.intercept else jnp.zeros(count)
        return weights, intercept

    def _listed(self, weights: Any, intercept: Any) -> Rows:
        parts = jnp.concatenate([intercept[None], weights]) if self.intercept else weights
        listed: Rows = jnp.ravel(parts.T)
        return listed

    def inner_start(self, outer: dict[str, float]) -> dict[str, Any]:
        """Return where the numbers that are searched begin, from starts as they are reported."""
        import numpy as np

        count = 1 if self.classes is None else len(self.classes)
        listed = np.array([outer[name] for name in self.parameter_names]).reshape(count, len(self._rows_of_weights)).T
        weights = listed[1:] if self.intercept else listed
        intercept = listed[0] if self.intercept else np.zeros(count)
        if self.center is not None and self.scale is not None and not self.plain:
            intercept = intercept + np.asarray(self.center) @ weights
            weights = weights * np.asarray(self.scale)[:, None]
        spread = np.ones((1, 1)) if self.classes is None else np.asarray(contrasts(count))
        inner = np.vstack([intercept[None], weights] if self.intercept else [weights]) @ spread
        shape = () if self.classes is None else (count - 1,)
        return {name: row.reshape(shape) for name, row in zip(self._rows_of_weights, inner, strict=True)}


def contrasts(classes: int) -> Any:
    """Return orthonormal columns perpendicular to the ones (Helmert's), shape (classes, classes - 1).

    Weights C v of classes sum to zero for every v, and their squares to those of v: nothing is left undetermined, and a
    penalty is the same in both.
    """
    import numpy as np

    matrix = np.zeros((classes, classes - 1))
    for column in range(classes - 1):
        matrix[: column + 1, column] = 1.0
        matrix[column + 1, column] = -(column + 1.0)
        matrix[:, column] /= np.sqrt((column + 1.0) * (column + 2.0))
    return matrix


def _with(model: LinearModel, **known: Any) -> LinearModel:
    """Return the model with what is known of the table."""
    found = replace(model)
    for name in ("coded", "classes", "plain", "center", "scale", "constant"):
        object.__setattr__(found, name, known.get(name, getattr(model, name)))  # frozen for users; this is construction
    return found
