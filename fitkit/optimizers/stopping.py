"""When to stop: one rule, in one place, for numbers on the host and numbers in a compiled loop."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, final

from fitkit.component import Component
from fitkit.types import Count, NonNegative, Positive, PositiveCount


@final
@dataclass(frozen=True, kw_only=True)
class Stopping(Component):
    """When the search ends. Tolerances left out take the optimizer's defaults."""

    max_steps: Count | None = None
    """The most steps; 0 evaluates at the start."""
    gtol: NonNegative | None = None
    """Stop when the scale-free slope is at most this: the largest cosine between the residual and a column of its
    Jacobian, or, for other losses, the square root of the decrease still to be had relative to the objective."""
    ftol: NonNegative | None = None
    """Stop when the last step lowered the loss by at most this share."""
    xtol: NonNegative | None = None
    """Stop when no parameter moves by more than this share of itself."""
    time_limit: Positive | None = None
    """The most seconds of searching."""
    patience: PositiveCount | None = None
    """Stop after so many steps without a new lowest loss, and return to the lowest."""
    allow_flat: bool = False
    """Accept a minimum with a flat direction, along which parameters are not identified."""


@final
class Reason(IntEnum):
    """Why a search ended; the names are those of `reason` in the result."""

    RUNNING = 0
    GRADIENT_SMALL = 1
    STEP_SMALL = 2
    LOSS_FLAT = 3
    EPOCHS_DONE = 4
    PATIENCE = 5
    MAX_STEPS = 6
    TIME_LIMIT = 7
    STALLED = 8
    NOT_FINITE = 9
    ROSE = 10
    NOT_IDENTIFIED = 11
    INTERRUPTED = 12
    RUNAWAY = 13
    SADDLE = 14
    TOO_FEW_ROWS = 15

    @property
    def word(self) -> str:
        """The reason as the result spells it."""
        return self.name.lower()


CLAIMS = frozenset({Reason.GRADIENT_SMALL, Reason.STEP_SMALL, Reason.LOSS_FLAT})
"""Ends that claim a minimum."""


class Measures(NamedTuple):
    """What an optimizer says of its current point, in numbers without units.

    Each is a scalar, of numpy on the host and of JAX in compiled code. NaN for `optimality`, `value_change` or
    `theta_change` means that it is not known at this step.
    """

    value: Any
    """The objective."""
    optimality: Any
    """The scale-free slope that gtol is compared with."""
    value_change: Any
    """The decrease by the last step relative to the value."""
    theta_change: Any
    """The largest move of a parameter by the last step, relative to the parameter."""
    moved: Any
    """Whether the last step moved at all: a refused step has length zero and is not convergence."""
    stalled: Any
    """Whether no better point can be found from here."""
    at_rounding: Any
    """Whether what is left to improve lies below the rounding of the objective, where a stall is convergence."""
    finite: Any
    """Whether the objective and its slope are finite here."""


class StopRule(NamedTuple):
    """The numbers of `Stopping` with every default filled in; a negative tolerance never stops."""

    gtol: float
    ftol: float
    xtol: float
    max_steps: int
    epochs: int
    """Steps after which the run is complete, or -1."""
    patience: int
    """Steps without a new lowest value, or -1."""


def judge(rule: StopRule, step: Any, since_best: Any, measures: Measures, xp: Any) -> Any:
    """Return the `Reason` code at this step, an integer scalar.

    Args:
        rule: the numbers compared with.
        step: how many steps were made.
        since_best: how many of them since the lowest value.
        measures: what the optimizer says of its point.
        xp: numpy on the host, jax.numpy in a compiled loop.
    """
    m = measures
    tests = (
        (~m.finite, Reason.NOT_FINITE),
        (m.optimality <= rule.gtol, Reason.GRADIENT_SMALL),
        (m.moved & (m.theta_change <= rule.xtol), Reason.STEP_SMALL),
        (m.moved & (m.value_change <= rule.ftol), Reason.LOSS_FLAT),
        (m.stalled & m.at_rounding, Reason.STEP_SMALL),
        (m.stalled, Reason.STALLED),
        ((rule.patience >= 0) & (since_best >= rule.patience), Reason.PATIENCE),
        ((rule.epochs >= 0) & (step >= rule.epochs), Reason.EPOCHS_DONE),
        (step >= rule.max_steps, Reason.MAX_STEPS),
    )
    if isinstance(step, int):  # on the host
        return next((reason for test, reason in tests if test), Reason.RUNNING)
    code = xp.asarray(int(Reason.RUNNING))
    for test, reason in reversed(tests):
        code = xp.where(test, int(reason), code)
    return code
