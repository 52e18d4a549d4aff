"""From a search to a result: the verdict, the parameter table, goodness of fit, error bars, and a colleague's warnings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from fitkit.evidence import Evidence, assess, confirms, gain_along_slope
from fitkit.evidence.degenerate import Degenerate, degenerate_minimum
from fitkit.minimize import Search, stop_rule
from fitkit.optimizers import Optimizer, Stopping
from fitkit.optimizers.first_order import FirstOrder
from fitkit.optimizers.stopping import CLAIMS, Reason
from fitkit.problem import Problem
from fitkit.result import (
    ConstraintSummary,
    EvidenceSummary,
    FitSummary,
    FittedParameter,
    LossSummary,
    UncertaintySummary,
)
from fitkit.run.advice import too_fast, warnings_of
from fitkit.run.assemble import Assembled
from fitkit.run.constraint_table import constraint_table
from fitkit.run.error_bars import error_bars
from fitkit.run.explain import explain
from fitkit.run.goodness import chi_square_of_priors, goodness, predictions_at
from fitkit.run.metrics import metrics_of
from fitkit.run.numbers import number
from fitkit.run.parameter_table import parameter_table
from fitkit.run.row_bands import row_bands
from fitkit.run.told import names_of_directions, values_by_name
from fitkit.run.unseen import unseen_rows
from fitkit.run.validation import validation_loss
from fitkit.run.verdict import Verdict, judge_search, run_away
from fitkit.uncertainty import Uncertainty
from fitkit.uncertainty.bands import Bands, Spread
from fitkit.uncertainty.tangent import equalities_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


MOST_PRODUCTS = 100_000_000
"""Rows times parameters for which predictions take too long to wait for after Ctrl-C."""
MOST_CELLS = 300_000
"""Inputs that take too long to write down."""
LEFT_OUT = (
    "predictions and metrics were left out, so as not to keep who interrupted waiting; `fitkit predict` makes them from "
    "the saved run"
)


@final
@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """The parts of a result that follow from the search; what only describes the fit is worked out when it is read."""

    assembled: Assembled
    search: Search
    optimizer: Optimizer
    verdict: Verdict
    parameters: dict[str, FittedParameter]
    values: dict[str, Any]
    """All parameters, numbers or arrays."""
    loss: LossSummary
    evidence: EvidenceSummary
    equalities: int
    """How many independent equality constraints there are."""
    uncertainty: UncertaintySummary
    constraints: tuple[ConstraintSummary, ...]
    predictions: Vector | None
    spread: Spread | None
    """Of theta."""
    held_out: dict[str, Any]
    """The metrics on the rows for validation."""
    bands: Bands | None
    """Of the rows, where they were asked for."""

    @cached_property
    def fit(self) -> FitSummary:
        """How well the predictions fit the target."""
        problem, theta = self.assembled.problem, self.search.theta
        return goodness(problem, theta, self.predictions, chi_square_of_priors(problem, theta), self.equalities)

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """On the rows of the fit."""
        return {} if self.predictions is None else _metrics(self.assembled.problem, self.predictions)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a careful colleague would mention."""
        return (
            *([LEFT_OUT] if _hurried(self.assembled, self.search) else []),
            *warnings_of(self.assembled, self.fit, self.uncertainty, self.optimizer),
            *too_fast(self.search, self.optimizer),
        )


@final
@dataclass(frozen=True, kw_only=True)
class Judged:
    """What is to be said of a search before its errors."""

    evidence: Evidence
    flat: tuple[tuple[str, ...], ...]
    """For each flat direction, the parameters that take part in it."""
    predictions: Vector | None
    verdict: Verdict


def judge(
    problem: Problem,
    start: Vector,
    search: Search,
    optimizer: Optimizer,
    stopping: Stopping,
    *,
    watched: str = "loss",
    hurried: bool = False,
) -> Judged:
    """Return the evidence at the end of a search, and the verdict that follows from it; without predictions if `hurried`."""
    evidence = assess(problem, search.theta, search.largest, start)
    unhurried = search.reason is not Reason.INTERRUPTED  # who asks to stop is not kept waiting for it
    if unhurried and not evidence.known and problem.smooth and not problem.constrained:
        evidence = replace(evidence, gain_along_slope=gain_along_slope(problem, search.theta))
    ways = evidence.flat
    rule = stop_rule(optimizer, stopping, single=problem.single)
    degenerate = _degenerate(problem, search, evidence, rule.gtol)
    if degenerate is not None:
        evidence, ways = _at_degenerate(evidence, degenerate), degenerate.ways
    flat = names_of_directions(problem, search.theta, ways)
    verdict = judge_search(
        search,
        evidence,
        rule,
        replace(stopping, allow_flat=True) if problem.trained else stopping,
        flat_names=flat,
        ran_away=() if problem.trained else run_away(problem.layout, start, search.theta, evidence),
        first_order=isinstance(optimizer, FirstOrder),
        watched=watched,
        constraints=tuple(one.source.strip() for one in problem.constraints),
    )
    predictions = None if hurried else predictions_at(problem, search.theta)
    verdict = explain(problem, search, start, verdict, predictions)
    return Judged(evidence=evidence, flat=flat, predictions=predictions, verdict=verdict)


def _degenerate(problem: Problem, search: Search, evidence: Evidence, gtol: float) -> Degenerate | None:
    """Return the degenerate minimum where a search ended and derivatives do not confirm a strict one, or None."""
    import numpy as np

    ended = search.reason in {*CLAIMS, Reason.STALLED} and evidence.known and evidence.finite
    if (
        not ended
        or problem.constrained
        or problem.trained
        or not problem.smooth
        or evidence.minimum in {"kink", "saddle"}
    ):
        return None
    if evidence.minimum == "strict" and confirms(evidence, gtol):
        return None
    seen = np.maximum(search.largest, np.abs(search.theta))
    return degenerate_minimum(problem, search.theta, seen, ~evidence.held)


def _at_degenerate(evidence: Evidence, found: Degenerate) -> Evidence:
    """Return the evidence of a degenerate minimum: nothing is left flat, and what is left to move hides in rounding."""
    return replace(
        evidence, minimum="degenerate", flat=evidence.flat[:0], at_rounding=True, uncertainty_of_minimum=found.distance
    )


def conclude(
    assembled: Assembled,
    search: Search,
    optimizer: Optimizer,
    stopping: Stopping,
    uncertainty: Uncertainty,
    *,
    seed: int = 0,
    stop: Callable[[], bool] = lambda: False,
    with_bands: bool = False,
) -> Conclusion:
    """Return what is to be said of a search; `seed` is for resamples, and `stop` is asked in error bars that take long."""
    problem = assembled.problem
    watched = "validation loss" if assembled.validation is not None else "loss"
    hurried = _hurried(assembled, search)
    judged = judge(problem, assembled.start, search, optimizer, stopping, watched=watched, hurried=hurried)
    evidence, verdict, predictions = judged.evidence, judged.verdict, judged.predictions
    errors = error_bars(problem, search, evidence, uncertainty, verdict, seed=seed, stop=stop)
    values = values_by_name(problem, search.theta)
    return Conclusion(
        assembled=assembled,
        search=search,
        optimizer=optimizer,
        verdict=verdict,
        parameters=parameter_table(assembled, search, evidence, errors, verdict, values),
        values=values,
        loss=LossSummary(
            kind="minimize" if problem.loss is None else problem.loss.kind,
            initial=number(search.history[0].loss),
            final=number(search.final.loss),
            validation=number(
                search.final.validation if hurried else validation_loss(problem, assembled.validation, search.theta)
            ),
        ),
        evidence=EvidenceSummary(
            optimality=number(evidence.optimality),
            smallest_eigenvalue=number(evidence.smallest_eigenvalue),
            condition=number(evidence.condition),
            minimum=evidence.minimum,
            flat=judged.flat,
            gain_along_slope=number(evidence.gain_along_slope),
        ),
        equalities=equalities_of(evidence),
        uncertainty=errors.summary,
        constraints=constraint_table(problem, evidence),
        predictions=predictions,
        spread=errors.spread,
        held_out={} if hurried else _validation_metrics(assembled, search.theta),
        bands=row_bands(problem, search.theta, errors.spread, errors.summary) if with_bands else None,
    )


def _hurried(assembled: Assembled, search: Search) -> bool:
    """Return whether who asked to stop would be kept waiting for predictions."""
    rows, size = assembled.problem.rows, assembled.problem.layout.size
    if search.reason is not Reason.INTERRUPTED or rows is None:
        return False
    return len(rows) * size > MOST_PRODUCTS or len(rows) * len(assembled.inputs) > MOST_CELLS


def _metrics(problem: Problem, predictions: Vector) -> dict[str, Any]:
    import numpy as np

    if problem.rows is None or problem.loss is None:
        raise AssertionError("predictions come from rows")
    target, weight = (np.asarray(column, np.float64) for column in (problem.rows.target, problem.rows.weight))
    return metrics_of(problem.loss, target, predictions, weight)


def _validation_metrics(assembled: Assembled, theta: Vector) -> dict[str, Any]:
    """Return the metrics of the rows held out, nothing where there are none."""
    if assembled.validation is None:
        return {}
    problem = assembled.problem.with_rows(assembled.validation)
    predictions = predictions_at(problem, theta)
    unseen = unseen_rows(problem.model, assembled.validation)
    found = {} if predictions is None else _metrics(problem, predictions)
    return found if unseen is None else {**found, "unseen_rows": unseen}
