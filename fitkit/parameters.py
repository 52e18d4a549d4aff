"""Parameters by name: what a config says of each, and how they are laid out for the optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

from fitkit.component import Component
from fitkit.expressions import Expression
from fitkit.types import Positive


@final
@dataclass(frozen=True, kw_only=True)
class Prior(Component):
    """What is known of a parameter beforehand: normal about `mean` with the standard deviation `sigma`.

    It counts as one more observation, and needs `data.sigma` or a likelihood loss, for without a scale of the residuals its
    weight would mean nothing.
    """

    mean: float
    """The value expected."""
    sigma: Positive
    """Its standard deviation."""


@final
@dataclass(frozen=True, kw_only=True)
class Parameter(Component):
    """One number of the model: where the search starts, where it may go, and what ties it to the others."""

    start: float | None = None
    """Where the search starts; a constant expression such as log(0.35) is allowed."""
    min: float | None = None
    """The smallest value allowed."""
    max: float | None = None
    """The largest value allowed."""
    fixed: bool = False
    """Hold the parameter at its start."""
    equals: Expression | None = None
    """A formula of other parameters that gives the value; its standard error is propagated."""
    prior: Prior | None = None
    """What is known beforehand: `{mean: 0, sigma: 0.1}`."""
    scale: Literal["linear", "log"] = "linear"
    """`log` searches in the logarithm of a positive parameter, so that it spans orders of magnitude and never reaches zero."""


@final
@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which parameters are free, in what order, and how the others follow from them: the static half of a problem.

    Every parameter is exactly one of free, held (a number that the fit does not move) or tied.
    """

    names: tuple[str, ...]
    """All parameters, in the order of every table."""
    free: tuple[str, ...]
    """Those that the optimizer moves; `theta[i]` belongs to `free[i]`."""
    logarithmic: frozenset[str] = frozenset()
    """The free ones that are searched in their logarithm."""
    tied: tuple[tuple[str, Expression], ...] = ()
    """Those given by a formula, each after the ones it needs."""


class CircularTies(ValueError):  # noqa: N818 - named for what is wrong
    """Parameters tied to each other in a circle, in the order of the circle."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(" -> ".join((*names, names[0])))
        self.names = names


def order_ties(ties: Mapping[str, Expression]) -> tuple[tuple[str, Expression], ...]:
    """Return the tied parameters in an order in which each can be computed.

    Raises:
        CircularTies: some depend on themselves.
    """
    from graphlib import CycleError, TopologicalSorter

    needs = {name: sorted(formula.names & ties.keys()) for name, formula in ties.items()}
    try:
        return tuple((name, ties[name]) for name in TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = tuple(reversed(error.args[1][1:]))  # graphlib tells it from the needed to the needing, closed
        raise CircularTies(circle) from None
