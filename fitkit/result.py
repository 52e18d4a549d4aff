"""The result of a fit: a value that reports are functions of, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, final

from fitkit.errors import Diagnostic, ExitCode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@final
class Status(StrEnum):
    """How a fit ended."""

    CONVERGED = "converged"
    COMPLETED = "completed"
    NOT_CONVERGED = "not_converged"
    DIVERGED = "diverged"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def exit_code(self) -> ExitCode:
        """What the process returns for this status; a failed run returns what its error says."""
        return {
            Status.NOT_CONVERGED: ExitCode.NOT_CONVERGED,
            Status.DIVERGED: ExitCode.DIVERGED,
            Status.FAILED: ExitCode.INTERNAL,
            Status.INTERRUPTED: ExitCode.INTERRUPTED,
        }.get(self, ExitCode.SUCCESS)


@final
@dataclass(frozen=True, kw_only=True)
class FittedParameter:
    """One line of the parameter table. Numbers that do not exist are None."""

    value: float
    """NaN for an array, whose numbers are in `parameters.npz`."""
    error: float | None = None
    """The standard error."""
    interval: tuple[float | None, float | None] | None = None
    """At the level of the uncertainty; None for a side on which nothing ends it but a bound."""
    start: float | None = None
    min: float | None = None
    max: float | None = None
    fixed: bool = False
    tied: str | None = None
    """The formula that gives the value."""
    digits: float | None = None
    flags: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = None
    """Of an array."""
    standardized: float | None = None
    """The value for standardized inputs, where the model standardizes."""


@final
@dataclass(frozen=True, kw_only=True)
class LossSummary:
    """The objective at both ends of the search."""

    kind: str
    initial: float | None
    final: float | None
    validation: float | None = None
    """The mean loss of the rows held out at the end, without penalties."""


@final
@dataclass(frozen=True, kw_only=True)
class FitSummary:
    """Goodness of fit; None where it means nothing."""

    rows: int | None
    free_parameters: int
    dof: int | None = None
    rss: float | None = None
    """The weighted sum of squared residuals: in the target's units squared, or as a loss of residuals writes them."""
    chi_square: float | None = None
    reduced_chi_square: float | None = None
    r_squared: float | None = None


@final
@dataclass(frozen=True, kw_only=True)
class EvidenceSummary:
    """The evidence of convergence; see `fitkit.evidence`."""

    optimality: float | None
    smallest_eigenvalue: float | None
    condition: float | None
    minimum: str | None
    flat: tuple[tuple[str, ...], ...] = ()
    """For each flat direction, the parameters that take part in it."""
    gain_along_slope: float | None = None
    """The share of the loss that the best step along the slope would remove, where there is no Hessian."""


@final
@dataclass(frozen=True, kw_only=True)
class UncertaintySummary:
    """How the error bars were made, and how far they can be trusted."""

    kind: str
    status: Literal["accurate", "approximate", "unavailable"]
    message: str | None
    """What they are made of, or why there are none."""
    level: float | None
    names: tuple[str, ...] = ()
    """The parameters of the correlation matrix, in its order."""
    correlation: NDArray[np.float64] | None = None
    method: str | None = None
    """How the bootstrap draws."""
    resamples: int | None = None
    converged: int | None = None
    """How many of the resamples converged."""
    bands: str | None = None
    """Which bands of the rows there are, or why there are none; None for an objective without rows."""
    residual_variance: float | None = None
    """s², the variance of a target of weight one (in units of sigma², where the data give sigma); None where not known."""


@final
@dataclass(frozen=True, kw_only=True)
class MinimumSummary:
    """One of the minima that many starts led to."""

    loss: float
    count: int
    """How many starts led there."""
    parameters: dict[str, float]


@final
@dataclass(frozen=True, kw_only=True)
class MultistartSummary:
    """Where many starts led."""

    starts: int
    method: str
    converged: int
    """How many of them ended in a minimum."""
    minima: tuple[MinimumSummary, ...]
    """The distinct minima, the lowest first."""

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that differ between the minima."""
        if not self.minima:
            return ()
        first = self.minima[0].parameters
        return tuple(name for name in first if any(one.parameters[name] != first[name] for one in self.minima[1:]))


@final
@dataclass(frozen=True, kw_only=True)
class ConstraintSummary:
    """One line of the table of constraints."""

    constraint: str
    """As written."""
    value: float | None
    """The left side."""
    limit: float | None
    """The right side."""
    violation: float | None
    """By how much the left side is on the wrong side of the right one; 0 where the constraint holds."""
    multiplier: float | None
    """By how much the least objective rises for each unit that the right side is raised; 0 where the constraint does not
    press. So it is never positive for <=, and never negative for >=."""
    active: bool | None
    """Whether both sides are equal."""


@final
@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What the config expects of one number of the result, and whether it holds."""

    what: str
    """The number: `loss`, `parameters.rate`, `metrics.train.accuracy`."""
    expected: str
    """In words: `0.69 +- 0.02`."""
    found: float | str | None
    """A text is the status."""
    passed: bool
    note: str | None = None
    """Why it cannot be met, or by how much it is missed."""


@final
@dataclass(frozen=True, kw_only=True)
class GroupsLeft:
    """Groups that did not converge, for one and the same reason."""

    reason: str
    status: Status
    count: int
    first: tuple[str, ...]
    """What the first of them are called."""
    message: str
    """The sentence about the first of them."""


@final
@dataclass(frozen=True, kw_only=True)
class Distribution:
    """How a parameter is distributed over the groups that converged."""

    quantiles: tuple[float, float, float, float, float]
    """The least value, the quartiles, and the largest."""
    edges: tuple[float, float]
    """Between which the histogram counts; values beyond are in its outermost parts."""
    histogram: tuple[int, ...]
    """How many values lie in each of equal parts."""
    error: float | None
    """The median standard error."""
    at_bound: int
    """How many groups have it at a bound."""


@final
@dataclass(frozen=True, kw_only=True)
class OneGroup:
    """What one of few groups came to."""

    name: str
    status: Status
    reason: str
    values: dict[str, float | None]
    """Of each parameter that differs between groups."""
    errors: dict[str, float | None]


@final
@dataclass(frozen=True, kw_only=True)
class GroupsSummary:
    """What became of many fits."""

    by: tuple[str, ...]
    """The columns that tell groups apart."""
    count: int
    converged: int
    failed: int
    """All that did not converge."""
    file: str | None
    """The table with a row for each group, in the run's folder; None where nothing was saved."""
    left: tuple[GroupsLeft, ...]
    """Why some did not converge, the most frequent reason first."""
    distributions: dict[str, Distribution]
    """Of each parameter that differs between groups."""
    each: tuple[OneGroup, ...]
    """All groups, where they are few."""
    alone: int
    """How many were fitted one by one, because a batch could not vouch for them."""
    sizes: tuple[int, int]
    """The fewest and the most rows of a group."""


@final
@dataclass(frozen=True, kw_only=True)
class Seconds:
    """Where the time went."""

    compile: float
    run: float
    total: float


@final
@dataclass(frozen=True, kw_only=True)
class Result:
    """Everything that is known at the end of a run; a failed run has what there is."""

    name: str | None
    path: str
    status: Status
    exit_code: int
    reason: str
    message: str
    """One sentence."""
    errors: tuple[Diagnostic, ...] = ()
    parameters: dict[str, FittedParameter] = field(default_factory=dict)
    loss: LossSummary | None = None
    fit: FitSummary | None = None
    classes: tuple[str, ...] | None = None
    """Of the target, sorted, where it has any."""
    metrics: dict[str, dict[str, Any]] = field(default_factory=lambda: {"train": {}, "validation": {}})
    evidence: EvidenceSummary | None = None
    uncertainty: UncertaintySummary | None = None
    multistart: MultistartSummary | None = None
    constraints: tuple[ConstraintSummary, ...] = ()
    groups: GroupsSummary | None = None
    optimizer: dict[str, Any] | None = None
    """Its YAML as used, `kind` first, and `why` where fitkit chose it."""
    steps: int | None = None
    evaluations: int | None = None
    compilations: int | None = None
    """How many programs were compiled for this run; none where an earlier one of the process had the same structure."""
    seconds: Seconds | None = None
    expectations: tuple[Expectation, ...] = ()
    """In the order of the config's section `expect`."""
    warnings: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    """The config as understood, with its defaults."""
    provenance: dict[str, Any] = field(default_factory=dict)
