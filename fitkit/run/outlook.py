"""What a model is told of a fit before it begins, and which parameters it then has."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fitkit.config import Config, ConfigSource
from fitkit.errors import ConfigError, did_you_mean, one_of
from fitkit.losses import Loss, ResidualLoss
from fitkit.losses.cross_entropy import CrossEntropy
from fitkit.models import Model
from fitkit.models.outlook import Outlook
from fitkit.optimizers import Automatic
from fitkit.optimizers.lm import LevenbergMarquardt
from fitkit.parameters import Parameter
from fitkit.uncertainty import Profile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


def outlook_of(config: Config, weight: Vector, loss: Loss, target: Vector) -> Outlook:
    """Return what a model is told of a fit before it begins.

    Args:
        config: says what is asked of parameters.
        weight: of each row of the table, shape (rows,); zero for rows that have no part in the fit.
        loss: knows the classes.
        target: shape (rows,).
    """
    import numpy as np

    with np.errstate(all="ignore"):  # no row may count, which is told elsewhere
        mean = float(target @ weight / weight.sum())
    bound = any(_is_bound(parameter) for parameter in config.parameters.values())
    plain = bound or bool(config.constraints) or isinstance(config.uncertainty, Profile)
    return Outlook(
        weight=weight,
        classes=loss.classes if isinstance(loss, CrossEntropy) else None,
        plain=plain,
        unbound=not plain and _unnamed(config),
        refined=_refined(config),
        middle=_middle(loss, mean),
    )


def _unnamed(config: Config) -> bool:
    """Return whether neither penalties, the loss, claims nor starts of many searches are about parameters by name."""
    penalty = config.regularization
    grouped = config.data is not None and config.data.group_by is not None
    named = config.loss.names or config.check_grad.claims or config.multistart is not None
    return not (penalty.l1 or penalty.l2 or grouped or named)


def _refined(config: Config) -> bool:
    solver = isinstance(config.optimizer, Automatic | LevenbergMarquardt)
    return solver and isinstance(config.loss, ResidualLoss) and config.precision != "float32"


def _middle(loss: Loss, mean: float) -> float:
    """Return the prediction that gives every row the mean of the target."""
    link = getattr(loss, "link", None)
    if link == "logit":
        return math.log(mean / (1 - mean)) if 0 < mean < 1 else 0.0
    if link == "log":
        return math.log(mean) if mean > 0 else 0.0
    return mean


def _is_bound(parameter: Parameter) -> bool:
    """Return whether more is said of a parameter than where it starts."""
    said = (parameter.min, parameter.max, parameter.equals, parameter.prior)
    return parameter.fixed or parameter.scale != "linear" or any(entry is not None for entry in said)


def known_parameters(source: ConfigSource, model: Model) -> None:
    """Refuse parameters that the model turns out not to have, and more than a start for those of classes.

    Raises:
        ConfigError: with their places.
    """
    own = model.parameter_names
    if own is None:
        return
    known, config = frozenset(own), source.config
    used = set(config.loss.names).union(*(p.equals.names for p in config.parameters.values() if p.equals is not None))
    told = []
    for name, parameter in config.parameters.items():
        if name in known:
            if model.inner_shapes is not None and _is_bound(parameter):
                message = f"`{name}` is one of several classes, whose weights sum to zero: only its `start` can be said"
                told.append(source.diagnostic(("parameters", name), "E112", message, "remove the other keys"))
        elif name not in used and parameter.equals is None:
            way_out = did_you_mean(name, own[:200]) or one_of(own[:20])
            told.append(
                source.diagnostic(("parameters", name), "E120", f"the model has no parameter `{name}`", way_out)
            )
    if told:
        raise ConfigError(*told)
