"""A multilayer perceptron."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final
from zlib import crc32

from fitkit.backend import jax, jnp
from fitkit.hashing import salted
from fitkit.input_matrix import input_matrix
from fitkit.models.base import Model
from fitkit.models.coding import CodedColumn, coded_column, design, moments
from fitkit.models.outlook import Outlook
from fitkit.readers import Table
from fitkit.types import Array, Fraction, Inputs, Outputs, PositiveCount, RowsByColumns, Values

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "tanh", "sigmoid"]


@final
@dataclass(frozen=True, kw_only=True)
class MultilayerPerceptron(Model):
    """A multilayer perceptron: h_k = activation(h_(k-1) W_k + b_k), and the last layer without activation.

    There is one output, or under cross_entropy a logit for each class. The parameters are the arrays `weight1`, `bias1`,
    `weight2`, ...: a weight has the shape (inputs, outputs) of its layer, the transpose of torch's. Inputs of texts are coded
    as `linear` codes them. It is trained by `adam` in float32 unless the config says otherwise.
    """

    kind: Literal["mlp"] = "mlp"
    inputs: tuple[str, ...] | str
    """The input columns; `"*"` for every column but the target, sigma, weights and group columns."""
    target: str
    """The column that is predicted."""
    hidden: tuple[PositiveCount, ...] = (100,)
    """How many units each hidden layer has: `[64, 32]`."""
    activation: Activation = "relu"
    """What follows each hidden layer; `leaky_relu` has torch's slope of 0.01, and `gelu` is the exact one."""
    dropout: Fraction = 0.0
    """The share of hidden units that each row of a batch is trained without, drawn anew for each batch; the others count
    1/(1 - dropout) times as much. Evaluation and predictions have all units."""
    initialisation: Literal["torch", "glorot", "he"] = "torch"
    """How weights start, drawn by the seed. `torch`: weights and biases uniform up to 1/sqrt(inputs), as torch.nn.Linear's;
    `glorot`: weights uniform up to sqrt(6/(inputs + outputs)); `he`: weights normal, of deviation sqrt(2/inputs); in both
    biases start at 0."""
    categorical: tuple[str, ...] = ()
    """Inputs of numbers that are coded as texts are."""
    standardize: bool = False
    """Whether inputs are brought to mean 0 and deviation 1 inside the model. Penalties act on the standardized weights, and
    starts are theirs; `weight1` and `bias1` are saved for raw inputs."""
    coded: tuple[CodedColumn, ...] | None = field(default=None, init=False)
    """How the inputs become numbers, once the table is known."""
    outputs: int | None = field(default=None, init=False)
    """How many logits there are; None for one number per row."""
    center: Array | None = field(default=None, init=False, metadata={"traced": True})
    """What is subtracted from each feature, shape (features,); None where they are not standardized."""
    scale: Array | None = field(default=None, init=False, metadata={"traced": True})
    """The deviation of each feature, one where it is constant, shape (features,)."""
    constant: tuple[str, ...] = field(default=(), init=False)
    """Features that are the same in every row, and have no effect where they are standardized."""
    as_matrix: ClassVar[bool] = True
    trained: ClassVar[bool] = True

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
        """The names of the numbers that enter the first layer: inputs, and levels of coded ones."""
        if self.coded is None:
            return self.inputs_used
        return tuple(name for column in self.coded for name in column.features)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """`weight1`, `bias1`, `weight2`, ...: two for each layer."""
        return tuple(f"{part}{layer}" for layer in range(1, len(self.hidden) + 2) for part in ("weight", "bias"))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """(inputs, outputs) of each weight, (outputs,) of each bias."""
        sizes = (len(self.features), *self.hidden, self.outputs or 1)
        layers = (shape for pair in pairwise(sizes) for shape in (pair, pair[1:]))
        return dict(zip(self.parameter_names, layers, strict=True))

    @property
    def penalized(self) -> frozenset[str]:
        """The weights, not the biases."""
        return frozenset(self.parameter_names[::2])

    @property
    def noisy(self) -> bool:
        """Whether training passes drop units."""
        return self.dropout > 0 and len(self.hidden) > 0

    def with_inputs(self, names: tuple[str, ...]) -> MultilayerPerceptron:
        """Return the model of these inputs, where it asks for all."""
        return replace(self, inputs=names) if isinstance(self.inputs, str) else self

    def prepared(self, table: Table, outlook: Outlook) -> MultilayerPerceptron:
        """Return the model with its inputs coded, its outputs counted, and the numbers that it standardizes by."""
        coded = tuple(coded_column(table, name, categorical=name in self.categorical) for name in self.inputs_used)
        outputs = None if outlook.classes is None else len(outlook.classes)
        found = _with(self, coded=coded, outputs=outputs)
        if not self.standardize:
            return found
        center, scale, same = moments(design(table, coded), outlook.weight)
        constant = tuple(name for name, idle in zip(found.features, same.tolist(), strict=True) if idle)
        return _with(found, center=center, scale=scale, constant=constant)

    def learned(self) -> dict[str, Any]:
        """Return how inputs are coded and standardized, and how many outputs there are."""
        return {
            "inputs": list(self.inputs_used),
            "columns": [column.as_json() for column in self.coded or ()],
            "outputs": self.outputs,
            "center": None if self.center is None else [float(number) for number in self.center],
            "scale": None if self.scale is None else [float(number) for number in self.scale],
            "constant": list(self.constant),
        }

    def recalled(self, learned: dict[str, Any]) -> MultilayerPerceptron:
        """Return the model with what it once learned."""
        import numpy as np

        return _with(
            self.with_inputs(tuple(learned["inputs"])),
            coded=tuple(CodedColumn.from_json(told) for told in learned["columns"]),
            outputs=learned["outputs"],
            center=None if learned["center"] is None else np.array(learned["center"]),
            scale=None if learned["scale"] is None else np.array(learned["scale"]),
            constant=tuple(learned["constant"]),
        )

    def design(self, table: Table) -> tuple[tuple[str, ...], Matrix]:
        """Return the names and numbers of the features, shape (rows, features), standardized if they are so inside."""
        matrix = design(table, self.coded or ())
        if self.center is not None and self.scale is not None:
            matrix = (matrix - self.center) / self.scale
        return self.features, matrix

    def initial(self, seed: int) -> dict[str, Any]:
        """Return where each array starts, drawn by the seed and its name.

        References: torch.nn.Linear, whose kaiming_uniform_(a=sqrt(5)) is the uniform distribution up to 1/sqrt(inputs);
        X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010;
        K. He, X. Zhang, S. Ren and J. Sun, Delving Deep into Rectifiers, ICCV 2015.
        """
        import numpy as np

        found: dict[str, Any] = {}
        sizes = (len(self.features), *self.hidden, self.outputs or 1)
        for (name, shape), layer in zip(self.shapes.items(), np.repeat(range(len(sizes) - 1), 2), strict=True):
            random = np.random.default_rng([seed, crc32(name.encode())])
            before, after = max(1, sizes[layer]), sizes[layer + 1]
            if self.initialisation == "torch":
                found[name] = random.uniform(-(before**-0.5), before**-0.5, shape)
            elif len(shape) == 1:
                found[name] = np.zeros(shape)
            elif self.initialisation == "glorot":
                reach = (6 / (before + after)) ** 0.5
                found[name] = random.uniform(-reach, reach, shape)
            else:
                found[name] = random.normal(0.0, (2 / before) ** 0.5, shape)
        return found

    def predict(self, values: Values, inputs: Inputs) -> Outputs:
        """Return the output of each row, shape (rows,); of several classes a logit for each, shape (rows, classes)."""
        return self._forward(values, input_matrix(inputs, self.features), None)

    def predict_in_training(self, values: Values, inputs: Inputs, key: Any) -> Outputs:
        """Return the same of a network without the hidden units that `key`, a uint32, drops for each row."""
        return self._forward(values, input_matrix(inputs, self.features), key)

    def _forward(self, values: Values, h: RowsByColumns, key: Any) -> Outputs:
        last = len(self.hidden) + 1
        for layer in range(1, last):
            h = _activated(self.activation, h @ values[f"weight{layer}"] + values[f"bias{layer}"])
            if key is not None:
                h = h * kept_units(salted(jnp.uint32(layer), key), h.shape, self.dropout).astype(h.dtype)
        found: Outputs = h @ values[f"weight{last}"] + values[f"bias{last}"]
        return found if self.outputs is not None else found[:, 0]

    def in_raw_units(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters with the first layer's for inputs as they stand in the table."""
        import numpy as np

        if self.center is None or self.scale is None:
            return values
        idle = np.isin(self.features, self.constant)
        weight = np.where(idle[:, None], 0.0, values["weight1"] / np.asarray(self.scale)[:, None])
        return {**values, "weight1": weight, "bias1": values["bias1"] - np.asarray(self.center) @ weight}


def _activated(activation: Activation, x: RowsByColumns) -> Any:
    """Return what follows a hidden layer, of the shape of x."""
    if activation == "leaky_relu":
        return jax.nn.leaky_relu(x, 0.01)
    if activation == "gelu":
        return jax.nn.gelu(x, approximate=False)
    return jnp.tanh(x) if activation == "tanh" else getattr(jax.nn, activation)(x)


def kept_units(key: Any, shape: tuple[int, ...], dropout: Any) -> Any:
    """Return for each unit 0 with the probability `dropout`, else 1/(1 - dropout), whose mean is one.

    Reference: N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, Dropout: A Simple Way to Prevent
    Neural Networks from Overfitting, JMLR 15 (2014).
    """
    rows, units = shape
    bits = salted(jnp.arange(rows * units, dtype=jnp.uint32).reshape(shape), key)
    return jnp.where(bits >= jnp.asarray(dropout * 2.0**32, jnp.uint32), 1 / (1 - dropout), 0.0)


def _with(model: MultilayerPerceptron, **known: Any) -> MultilayerPerceptron:
    """Return the model with what is known of the table."""
    found = replace(model)
    for name in ("coded", "outputs", "center", "scale", "constant"):
        object.__setattr__(found, name, known.get(name, getattr(model, name)))  # frozen for users; this is construction
    return found
