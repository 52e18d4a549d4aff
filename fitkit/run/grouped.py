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
from fitkit.run.coupled_rows import refuse_coupled_rows
from fitkit.run.described import described, provenance
from fitkit.run.expectations import judged, refuse_unknown
from fitkit.run.folder import RunFolder
from fitkit.run.group_facts import fit_summary, group_warnings, shared_parameters, uncertainty_summary
from fitkit.run.group_recall import TABLE
from fitkit.run.group_saving import save_groups
from fitkit.run.group_summary import groups_summary, verdict_on_groups
from fitkit.run.grouped_assembly import AssembledGroups, assemble_groups
from fitkit.run.memory import out_of_memory
from fitkit.run.numbers import number
from fitkit.run.one_group import single_fitter
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
    compiled_before, programs_before = COMPILATIONS.seconds, COMPILATIONS.programs
    platform = select_device(source.config.device)
    assembled = assemble_groups(source, allow_python=options.allow_python, stdin=options.stdin)
    _refuse(source, assembled)
    began = time.perf_counter()
    try:
        fit = _fit(source, assembled, options, began)
    except jax.errors.JaxRuntimeError as error:
        raise out_of_memory(error) from None
    run = time.perf_counter() - began
    compiling = COMPILATIONS.seconds - compiled_before
    result = replace(
        _result(source, assembled, fit, options.interrupted(), None if folder is None else TABLE),
        name=name,
        compilations=COMPILATIONS.programs - programs_before,
        seconds=Seconds(compile=compiling, run=max(0.0, run - compiling), total=time.perf_counter() - started),
        provenance=provenance(source, assembled.table, assembled.problem, platform),
    )
    result = judged(result, source)
    if folder is not None:
        save_groups(folder, source, result, assembled, fit)
    return result


def _result(source: ConfigSource, assembled: AssembledGroups, fit: GroupedFit, signal: int, file: str | None) -> Result:
    """Return what follows from the fits; `signal` has asked to stop, or is 0."""
    config, problem = source.config, assembled.problem
    verdict = verdict_on_groups(fit, _share(config))
    terminated = verdict.status is Status.INTERRUPTED and signal == 15
    optimizer, why = choose(config.optimizer, problem)
    return Result(
        name=None,
        path=source.shown,
        status=verdict.status,
        exit_code=int(ExitCode.TERMINATED if terminated else verdict.status.exit_code),
        reason=verdict.reason,
        message=verdict.message,
        parameters=shared_parameters(config, assembled, fit),
        loss=LossSummary(kind=config.loss.kind, initial=None, final=number(_loss(assembled, fit))),
        fit=fit_summary(assembled, fit),
        classes=None if problem.loss is None else problem.loss.classes or None,
        uncertainty=uncertainty_summary(config.uncertainty, assembled, fit),
        groups=groups_summary(assembled, fit, file),
        optimizer={**described(optimizer, why), "solver": fit.solver},
        steps=int(fit.steps.max(initial=0)),
        evaluations=fit.evaluations,
        warnings=group_warnings(assembled, fit),
        config=plain_values(config),
    )


def _share(config: Config) -> float:
    """Return the share of the groups that must converge."""
    return 1.0 if config.expect is None or config.expect.converged is None else float(config.expect.converged)


def _refuse(source: ConfigSource, assembled: AssembledGroups) -> None:
    """Refuse what cannot be fitted: groups without rows, what cannot be shared, a python model that fails or couples rows."""
    import numpy as np

    refuse_unknown(source, assembled.groups.shared)
    if assembled.groups.shared and not suits(assembled.problem):
        path = ("parameters", assembled.groups.shared[0], "shared")
        message = f"`shared` takes smooth losses without constraints, in float64, and up to {UNROLLED_UP_TO} parameters"
        raise ConfigError(source.diagnostic(path, "E111", message, "fit each group by itself: remove `shared`"))
    fitted = np.flatnonzero(assembled.groups.lengths)
    if len(fitted) == 0:
        first = assembled.refused[0].message if 0 in assembled.refused else "No row has a weight above zero."
        message = f"no group can be fitted; of the first, `{assembled.grouping.name(0)}`: {first}"
        raise DataError(Diagnostic(code="E324", message=message, file=assembled.table.file))
    group = int(fitted[0])
    problem = problem_of(assembled.problem, assembled.groups, group)
    try_python(source, problem, assembled.groups.start[group])
    refuse_coupled_rows(source, assembled.problem, assembled.groups)


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
        allow_flat=config.stopping.allow_flat,
        stop=stop,
        show=options.show,
    )
    fit = replace(fit, messages={**fit.messages, **{group: one.message for group, one in assembled.refused.items()}})
    if isinstance(config.uncertainty, NoUncertainty):
        fit = replace(fit, errors=fit.errors * float("nan"))
    return fit if options.interrupted() else _late(fit)


def _late(fit: GroupedFit) -> GroupedFit:
    """Return a fit that only the clock can have interrupted, with the reason that this is."""
    import numpy as np

    waiting = fit.reason == Reason.INTERRUPTED
    if not waiting.any():
        return fit
    message = "Not converged within the time limit."
    shared = None if fit.shared is None else replace(fit.shared, reason=Reason.TIME_LIMIT, message=message)
    return replace(
        fit,
        reason=np.where(waiting, np.int8(Reason.TIME_LIMIT), fit.reason),
        messages={**fit.messages, **dict.fromkeys(np.flatnonzero(waiting).tolist(), message)},
        shared=shared,
    )


def _loss(assembled: AssembledGroups, fit: GroupedFit) -> float:
    """Return the objective of all groups that converged: the mean of theirs, each by the sum of its weights."""
    import numpy as np

    if fit.shared is not None:
        return fit.shared.loss
    totals = np.concatenate([[0.0], np.cumsum(np.asarray(assembled.groups.rows.weight, np.float64))])
    weight = np.diff(totals[assembled.groups.offsets])[fit.converged]
    return float(np.sum(weight * fit.loss[fit.converged]) / weight.sum()) if weight.sum() > 0 else float("nan")
