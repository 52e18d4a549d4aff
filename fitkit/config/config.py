"""What a config says once it is understood: the sections as components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, final

from fitkit.component import Component
from fitkit.expectations import Expect
from fitkit.expressions import Constraint, Expression
from fitkit.gradient_policy import CheckGrad
from fitkit.losses import Loss
from fitkit.losses.mse import MeanSquaredError
from fitkit.models import Model
from fitkit.multistart.settings import Multistart
from fitkit.optimizers import Automatic, Optimizer, Stopping
from fitkit.parameters import Parameter
from fitkit.readers.data import Data
from fitkit.regularization import Regularization
from fitkit.types import Count
from fitkit.uncertainty import Covariance, Uncertainty


@final
@dataclass(frozen=True, kw_only=True)
class Config(Component):
    """A fit: data, a model and a loss, or an objective to minimize, and how it is done."""

    fitkit: Literal[1] = 1
    """The version of the config language."""
    name: str | None = None
    """What results are called; by default the file's stem."""
    description: str | None = None
    """Free text."""
    data: Data | None = None
    """The table; a bare text is its path."""
    model: Model | None = None
    """What predicts the target; a bare text is a formula: `y ~ a * exp(-k * t)`."""
    definitions: Mapping[str, Expression] = field(default_factory=dict)
    """Named parts of formulas, each of which may use those above it."""
    minimize: Expression | None = None
    """An objective of the parameters, instead of data, model and loss."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    """The parameters in the order of every table; a bare number is the start."""
    constraints: tuple[Constraint, ...] = ()
    """What the parameters must satisfy: a list of `<=`, `>=` and `==` between formulas of parameters."""
    loss: Loss = field(default_factory=MeanSquaredError)
    """What a misfit costs; a bare text is the kind."""
    regularization: Regularization = field(default_factory=Regularization)
    """Penalties on the size of the weights."""
    optimizer: Optimizer | Automatic = field(default_factory=Automatic)
    """How the search goes; a bare text is the kind."""
    stopping: Stopping = field(default_factory=Stopping)
    """When the search ends."""
    multistart: Multistart | None = None
    """Search from many starts, and report the distinct minima."""
    uncertainty: Uncertainty = field(default_factory=Covariance)
    """Error bars; a bare text is the kind."""
    expect: Expect | None = None
    """What must hold of the result, else the exit code is 6."""
    check_grad: CheckGrad = field(default_factory=CheckGrad)
    """What `check-grad` is told: derivatives by hand, and policies."""
    matrix: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """For `batch`: a fit for each combination of values: `{optimizer.learning_rate: [1e-3, 1e-2], seed: [0, 1, 2]}`."""
    seed: Count = 0
    """The seed of everything random."""
    precision: Literal["auto", "float64", "float32"] = "auto"
    """The numbers that the computation is made in; `auto` is float64, but float32 for `mlp` and `matrix_factorization`."""
    device: Literal["auto", "cpu", "gpu", "tpu"] = "auto"
    """Where it runs; anything but `auto` never falls back to another."""
