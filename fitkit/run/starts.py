"""From what a config says of its parameters to the layout, the bounds and the start of theta."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final
from zlib import crc32

from fitkit.config import Config
from fitkit.models import Model
from fitkit.parameters import Layout, Parameter, RandomStart, order_ties

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a problem needs to know of its parameters."""

    fields: dict[str, Any]
    start: Vector
    """Shape (free,)."""


def with_defaults(config: Config, model: Model) -> dict[str, Parameter]:
    """Return the parameters of the config, and first those the model names itself.

    These start at zero or within bounds; those of a model that is trained, where it says itself.
    """
    own = model.parameter_names
    if own is None:
        return dict(config.parameters)
    found = {}
    for name in own:
        given = replace(config.parameters.get(name, Parameter()), shape=model.shapes.get(name))
        if given.start is None and given.equals is None and not model.trained:
            low = -float("inf") if given.min is None else given.min
            high = float("inf") if given.max is None else given.max
            given = replace(given, start=min(max(0.0, low), high))
        found[name] = given
    return found | {name: parameter for name, parameter in config.parameters.items() if name not in found}


def parameter_parts(
    parameters: Mapping[str, Parameter],
    unused: tuple[str, ...],
    seed: int,
    dtype: str,
    initial: Mapping[str, Any] = MappingProxyType({}),
) -> Parts:
    """Return layout, bounds and start; a parameter that is fixed, or `unused`, is held there.

    Where a parameter has no start, that is what `initial` says, or zero.
    """
    import numpy as np

    tied = {name: parameter.equals for name, parameter in parameters.items() if parameter.equals is not None}
    held = {name for name, parameter in parameters.items() if parameter.fixed or name in unused} - tied.keys()
    free = tuple(name for name in parameters if name not in held and name not in tied)
    logarithmic = frozenset(name for name in free if parameters[name].scale == "log")

    def block(name: str, value: float | None, missing: float) -> Vector:
        found = coordinate(missing if value is None else value, logarithmic=value is not None and name in logarithmic)
        return np.full(prod(parameters[name].shape or ()), found)

    def joined(blocks: list[Vector]) -> Vector:
        return np.concatenate([*blocks, np.zeros(0)])

    begun = {
        name: initial[name]
        if name in initial and parameters[name].start is None
        else starting(name, parameters[name], seed)
        for name in (*free, *sorted(held))
    }
    infinity = float("inf")
    start = joined([np.ravel(np.log(begun[name]) if name in logarithmic else begun[name]) for name in free])
    fields = {
        "layout": Layout(
            names=tuple(parameters),
            free=free,
            logarithmic=logarithmic,
            tied=order_ties(tied),
            shapes=tuple((name, parameter.shape) for name, parameter in parameters.items() if parameter.shape),
        ),
        "held": {name: np.asarray(begun[name], dtype) for name in sorted(held)},
        "lower": np.asarray(joined([block(name, parameters[name].min, -infinity) for name in free]), dtype),
        "upper": np.asarray(joined([block(name, parameters[name].max, infinity) for name in free]), dtype),
        "priors": {
            name: parameter.prior
            for name, parameter in parameters.items()
            if parameter.prior is not None and name not in held
        },
    }
    return Parts(fields=fields, start=start)


def inner_parts(
    model: Model, parameters: Mapping[str, Parameter], unused: tuple[str, ...], seed: int, dtype: str
) -> Parts:
    """Return layout, bounds and start of the numbers that are searched, where the model computes its parameters from them."""
    if not model.reports_otherwise:
        return parameter_parts(parameters, (*unused, *model.unused), seed, dtype, model.initial(seed))
    outer = {name: float(starting(name, parameters[name], seed)) for name in model.parameter_names or ()}
    shapes, begun = model.inner_shapes or {}, model.inner_start(outer)
    inner = {name: Parameter(start=0.0, shape=shapes.get(name)) for name in begun}
    parts = parameter_parts(inner, model.unused, seed, dtype)
    import numpy as np

    start = np.concatenate([*(np.ravel(begun[name]) for name in parts.fields["layout"].free), np.zeros(0)])
    return Parts(fields=parts.fields, start=start)


def starting(name: str, parameter: Parameter, seed: int) -> Any:
    """Return where a parameter starts, of its shape: drawn by the seed and its name, whatever others there are."""
    import numpy as np

    shape, start = parameter.shape or (), parameter.start
    if not isinstance(start, RandomStart):
        return np.full(shape, 0.0 if start is None else start)
    random = np.random.default_rng([seed, crc32(name.encode())])
    if start.normal is not None:
        return random.normal(0.0, start.normal, shape)
    reach = start.uniform or 0.0
    return random.uniform(-reach, reach, shape)


def coordinate(value: float, *, logarithmic: bool) -> float:
    """Return a value as the optimizer sees it; what has no logarithm lies at minus infinity."""
    import numpy as np

    if not logarithmic:
        return value
    return float(np.log(value)) if value > 0 else -float("inf")
