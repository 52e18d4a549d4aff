"""The search from many starts: a batch finds the minima, and the configured optimizer polishes the best."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fitkit.batched import Lanes, solver_for
from fitkit.batched.solve import MOST_STEPS
from fitkit.config import ConfigSource
from fitkit.errors import ConfigError
from fitkit.evidence import EXACT_UP_TO, assess, confirms
from fitkit.minimize import Search, Watch, minimize, stop_rule
from fitkit.multistart.minima import distinct_minima
from fitkit.multistart.settings import Multistart
from fitkit.multistart.starts import draw_starts, start_range
from fitkit.optimizers import Optimizer
from fitkit.optimizers.stopping import CLAIMS, Reason
from fitkit.problem import Problem
from fitkit.result import MinimumSummary, MultistartSummary
from fitkit.run.assemble import Assembled
from fitkit.run.constrained_starts import searched_one_by_one
from fitkit.run.told import values_by_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]

TIE = 1e-9
"""Relative difference of the objective below which the search from the given start is kept: its history is whole."""


def search_for(
    source: ConfigSource, assembled: Assembled, optimizer: Optimizer, watch: Watch
) -> tuple[Search, MultistartSummary | None]:
    """Return the search that the config asks for, and the minima where it asks for many starts.

    Raises:
        ConfigError: there are more free parameters than a batch forms exact Hessians of.
    """
    config, problem, start = source.config, assembled.problem, assembled.start
    settings = config.multistart
    if settings is not None and len(start) > EXACT_UP_TO:
        message = f"`multistart` takes up to {EXACT_UP_TO} free parameters, and this fit has {len(start)}"
        raise ConfigError(source.diagnostic(("multistart",), "E111", message, "remove `multistart`"))
    watched = watch if settings is None else replace(watch, show=lambda _: None)
    alone = minimize(problem, optimizer, config.stopping, start, seed=config.seed, watch=watched)
    if settings is None or len(start) == 0:
        return alone, None
    return _from_many(source, problem, optimizer, settings, start, alone, watch)


def _from_many(
    source: ConfigSource,
    problem: Problem,
    optimizer: Optimizer,
    settings: Multistart,
    start: Vector,
    alone: Search,
    watch: Watch,
) -> tuple[Search, MultistartSummary]:
    """Return the best of all searches, that from the given start `alone` among them, and the minima found."""
    import numpy as np

    stopping = source.config.stopping
    most = MOST_STEPS if stopping.max_steps is None else min(MOST_STEPS, stopping.max_steps)

    def stop() -> bool:
        return watch.interrupted() or watch.too_late(stopping)

    box = start_range(problem, start, settings.spread)
    starts = draw_starts(box, settings, source.config.seed)
    if problem.constrained:
        quiet = replace(watch, show=lambda _: None)
        solved = searched_one_by_one(
            starts,
            lambda theta: minimize(problem, optimizer, stopping, theta, seed=source.config.seed, watch=quiet),
            stop,
        )
    else:
        solved = solver_for(problem)(problem, Lanes(theta=starts), most_steps=most, stop=stop)
    best = _lowest(solved.value)
    polished = alone
    if best is not None and not watch.interrupted():
        seen = np.maximum(alone.largest, np.abs(starts[best]))
        polished = _polished(source, problem, optimizer, solved.theta[best], seen, watch)
    theta, value, ended = solved.theta.copy(), solved.value.copy(), solved.converged & solved.determined
    for lane, search in ((0, alone), (best, polished)):
        if lane is not None and search.reason in CLAIMS and (lane == 0 or search.final.loss <= value[lane]):
            theta[lane], value[lane], ended[lane] = search.theta, search.final.loss, True
    evaluations = alone.evaluations + solved.evaluations + (0 if polished is alone else polished.evaluations)
    return (
        replace(_chosen(alone, polished, constrained=problem.constrained), evaluations=evaluations),
        _summary(problem, settings, theta[ended], value[ended], box.width),
    )


def _lowest(value: Vector) -> int | None:
    """Return the lane that ended lowest, or None where none has a finite objective."""
    import numpy as np

    finite = np.where(np.isfinite(value), value, np.inf)
    best = int(np.argmin(finite))
    return best if finite[best] < np.inf else None


def _chosen(alone: Search, polished: Search, *, constrained: bool) -> Search:
    """Return the lower of two searches, the polished one with the given start as its first row.

    Under constraints one that ended at a minimum counts as lower than one that did not, which may stand where they are broken.
    """
    first, second = alone.final.loss, polished.final.loss
    better = not math.isfinite(first) or second < first - TIE * abs(first)
    if constrained and (alone.reason in CLAIMS) != (polished.reason in CLAIMS):
        better = polished.reason in CLAIMS
        if not better:
            return alone
    settled = second <= first and polished.reason in CLAIMS and alone.reason not in CLAIMS
    if not (better or settled):
        return alone
    jump = alone.history[0]
    history = (jump, *(row._replace(step=row.step + 1) for row in polished.history))
    final = polished.final._replace(step=polished.final.step + 1)
    return replace(polished, history=history, final=final, steps=polished.steps + 1)


def _polished(
    source: ConfigSource, problem: Problem, optimizer: Optimizer, end: Vector, seen: Vector, watch: Watch
) -> Search:
    """Return the search from the end of a lane.

    It begins at a minimum and may find nothing to improve. Whether that is convergence shows in the size of what is left to
    move beside the way that the lane has come, which the optimizer does not know.
    """
    import numpy as np

    stopping = source.config.stopping
    search = minimize(problem, optimizer, stopping, end, seed=source.config.seed, watch=watch)
    search = replace(search, largest=np.maximum(search.largest, seen))
    if search.reason is not Reason.STALLED:
        return search
    evidence = assess(problem, search.theta, search.largest)
    confirmed = evidence.known and confirms(evidence, stop_rule(optimizer, stopping, single=problem.single).gtol)
    return replace(search, reason=Reason.STEP_SMALL) if confirmed else search


def _summary(problem: Problem, settings: Multistart, theta: Matrix, value: Vector, width: Vector) -> MultistartSummary:
    minima = distinct_minima(theta, value, width)
    return MultistartSummary(
        starts=settings.starts,
        method=settings.method,
        converged=len(value),
        minima=tuple(
            MinimumSummary(loss=one.value, count=one.count, parameters=_numbers(values_by_name(problem, one.theta)))
            for one in minima
        ),
    )


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    """Return the parameters that are numbers, not arrays."""
    return {name: value for name, value in values.items() if isinstance(value, float)}
