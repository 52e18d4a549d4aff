"""`fitkit train` of a config with groups: from a table to a fit of each, a summary of all, and the files of the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

from fitkit.backend import COMPILATIONS, jax, select_device
from fitkit.config import Config, ConfigSource, plain_values
from fitkit.errors import ConfigError, DataError, Diagnostic, ExitCode
from fitkit.grouped import UNROLLED_UP_TO, GroupedFit, GroupProgress, fit_groups, suits
from fitkit.grouped.one import problem_of
from fitkit.optimizers.stopping import Reason
from fitkit.result import LossSummary, Result, Seconds, Status
from fitkit.run.choose import choose
from fitkit.run.described import described, provenance
from fitkit.run.expectations import judged, refuse_unknown
from fitkit.run.folder import RunFolder
from fitkit.run.group_facts import fit_summary, group_warnings, shared_parameters, uncertainty_summary
from fitkit.run.group_saving import TABLE, save_groups
from fitkit.run.group_summary import groups_summary, verdict_on_groups
from fitkit.run.grouped_assembly import AssembledGroups, assemble_groups
from fitkit.run.memory import out_of_memory
from fitkit.run.numbers import number
from fitkit.run.one_group import single_fitter
from fitkit.run.printing import prints_aside
from fitkit.run.python_trial import try_python
from fitkit.uncertainty import Covariance
from fitkit.uncertainty.settings import NoUncertainty

if TYPE_CHECKING:
    from typing import BinaryIO


@final
@dataclass(frozen=True, kw_only=True)
class GroupOptions:
    """What a run of groups is told by the outside world."""

    allow_python: bool
    stdin: BinaryIO | None
    interrupted: Callable[[], int]
    """Returns the number of the signal that asked to stop, or 0."""
    show: Callable[[GroupProgress], None]
    time_limit: float | None
    """The most seconds of searching, where the config allows more."""


def train_groups(
    source: ConfigSource, options: GroupOptions, started: float, name: str, folder: RunFolder | None
) -> Result:
    """Return the result of a config with groups, saved in the folder where there is one.

    Args:
        source: the config.
        options: of the outside world.
        started: `time.perf_counter()` at the start of the process.
        name: what the run is called.
        folder: claimed, or None.

    Raises:
        FitkitError: the config, the data, the machine or the disk make fits impossible.
    """
    config = source.config
    compiled_before, programs_before = COMPILATIONS.seconds, COMPILATIONS.programs
    platform = select_device(config.device)
    assembled = assemble_groups(source, allow_python=options.allow_python, stdin=options.stdin)
    refuse_unknown(source, assembled.groups.shared)
    if assembled.groups.shared and not suits(assembled.problem):
        path = ("parameters", assembled.groups.shared[0], "shared")
        message = f"`shared` takes smooth losses without constraints, in float64, and up to {UNROLLED_UP_TO} parameters"
        raise ConfigError(source.diagnostic(path, "E111", message, "fit each group by itself: remove `shared`"))
    _try(source, assembled)
    began = time.perf_counter()
    with prints_aside(source):
        try:
            fit = _fit(source, assembled, options, began)
        except jax.errors.JaxRuntimeError as error:
            raise out_of_memory(error) from None
    run = time.perf_counter() - began
    compiling = COMPILATIONS.seconds - compiled_before
    verdict = verdict_on_groups(fit, _share(config))
    signal = options.interrupted()
    optimizer, why = choose(config.optimizer, assembled.problem)
    result = Result(
        name=name,
        path=source.shown,
        status=verdict.status,
        exit_code=int(
            ExitCode.TERMINATED if verdict.status is Status.INTERRUPTED and signal == 15 else verdict.status.exit_code
        ),
        reason=verdict.reason,
        message=verdict.message,
        parameters=shared_parameters(config, assembled, fit),
        loss=LossSummary(kind=config.loss.kind, initial=None, final=number(_loss(assembled, fit))),
        fit=fit_summary(assembled, fit),
        classes=assembled.problem.loss.classes or None if assembled.problem.loss is not None else None,
        uncertainty=uncertainty_summary(config.uncertainty, assembled, fit),
        groups=groups_summary(assembled, fit, None if folder is None else TABLE),
        optimizer={**described(optimizer, why), "solver": fit.solver},
        steps=int(fit.steps.max(initial=0)),
        evaluations=fit.evaluations,
        compilations=COMPILATIONS.programs - programs_before,
        seconds=Seconds(compile=compiling, run=max(0.0, run - compiling), total=time.perf_counter() - started),
        warnings=group_warnings(assembled, fit),
        config=plain_values(config),
        provenance=provenance(source, assembled.table, assembled.problem, platform),
    )
    result = judged(result, source)
    if folder is not None:
        save_groups(folder, source, result, assembled, fit)
    return result


def _share(config: Config) -> float:
    """Return the share of the groups that must converge."""
    return 1.0 if config.expect is None or config.expect.converged is None else float(config.expect.converged)


def _try(source: ConfigSource, assembled: AssembledGroups) -> None:
    """Refuse a table of which no group can be fitted, and try a python model on the first that can."""
    import numpy as np

    fitted = np.flatnonzero(assembled.groups.lengths)
    if len(fitted) == 0:
        first = assembled.refused[0].message if 0 in assembled.refused else "No row has a weight above zero."
        message = f"no group can be fitted; of the first, `{assembled.grouping.name(0)}`: {first}"
        raise DataError(Diagnostic(code="E324", message=message, file=assembled.table.file))
    group = int(fitted[0])
    problem = problem_of(assembled.problem, assembled.groups, group)
    try_python(source, problem, assembled.groups.start[group])


def _fit(source: ConfigSource, assembled: AssembledGroups, options: GroupOptions, began: float) -> GroupedFit:
    config = source.config
    limits = (config.stopping.time_limit, options.time_limit)
    limit = min((limit for limit in limits if limit is not None), default=float("inf"))

    def stop() -> bool:
        return bool(options.interrupted()) or time.perf_counter() - began > limit

    alone = single_fitter(config.optimizer, config.stopping, config.uncertainty, seed=config.seed, interrupted=stop)
    asked = config.uncertainty if isinstance(config.uncertainty, Covariance) else Covariance()
    fit = fit_groups(
        assembled.problem,
        assembled.groups,
        alone,
        max_steps=config.stopping.max_steps,
        exact=asked.hessian == "exact",
        sandwich=asked.sandwich == "always",
        stop=stop,
        show=options.show,
    )
    late = bool((fit.reason == Reason.INTERRUPTED).any()) and not options.interrupted()
    messages = {**fit.messages, **{group: refusal.message for group, refusal in assembled.refused.items()}}
    reasons = fit.reason
    if late:
        reasons = reasons.copy()
        for group in (reasons == Reason.INTERRUPTED).nonzero()[0].tolist():
            messages[group] = "Not converged within the time limit."
        reasons[reasons == Reason.INTERRUPTED] = int(Reason.TIME_LIMIT)
    errors = fit.errors
    if isinstance(config.uncertainty, NoUncertainty):
        errors = errors * float("nan")
    return replace(fit, messages=messages, reason=reasons, errors=errors)


def _loss(assembled: AssembledGroups, fit: GroupedFit) -> float:
    """Return the objective of all groups that converged: the mean of theirs, each by the sum of its weights."""
    import numpy as np

    if fit.shared is not None:
        return fit.shared.loss
    totals = np.concatenate([[0.0], np.cumsum(np.asarray(assembled.groups.rows.weight, np.float64))])
    weight = np.diff(totals[assembled.groups.offsets])[fit.converged]
    return float(np.sum(weight * fit.loss[fit.converged]) / weight.sum()) if weight.sum() > 0 else float("nan")
