"""What a config says to `check-grad`: derivatives derived by hand, and what is accepted on the user's word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, final

from fitkit.component import Component
from fitkit.expressions import Expression


@final
@dataclass(frozen=True, kw_only=True)
class Claim(Component):
    """A derivative that a person derived by hand: of the model, row by row, or of `minimize`, by one parameter."""

    formula: Expression
    """The derivative, a formula of columns, parameters and definitions: `-amplitude * t * exp(-rate * t)`."""
    expect: Literal["confirmed", "refuted"] = "confirmed"
    """`refuted` where the claim is meant to be wrong: then a refutation passes, and a confirmation fails."""


@final
@dataclass(frozen=True, kw_only=True)
class Domain(Component):
    """Where a parameter is drawn from, on top of its bounds."""

    min: float | None = None
    """The smallest value drawn."""
    max: float | None = None
    """The largest value drawn."""


@final
@dataclass(frozen=True, kw_only=True)
class CheckGrad(Component):
    """What `check-grad` is told of a config; `train` does not look at it, but for `only`."""

    claims: Mapping[str, Claim] = field(default_factory=dict)
    """Derivatives by hand, by the parameter they are derivatives by; a bare text is the formula."""
    only: bool = False
    """This config is for `check-grad` alone: `train` refuses it, `batch` passes it over."""
    allow_kinks: bool = False
    """Accept any gradient at a kink."""
    allow_stop_gradient: tuple[str, ...] = ()
    """Parameters whose gradient is stopped on purpose; a bare text is one of them."""
    surrogate: bool = False
    """The gradient is meant to be another function's, as of a straight-through estimator: what hand-written rules
    explain warns instead of failing."""
    scale: dict[str, float] | float | None = None
    """The size of a change that matters, by parameter, or one for all; by default the size of the start."""
    domain: Mapping[str, Domain] = field(default_factory=dict)
    """Where points are drawn from, by parameter: `[0, 10]` or `{min: 0}`; by default the bounds, or around the start."""
