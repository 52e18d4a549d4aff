"""`fitkit train`: from a config to a result and a saved run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, final

from fitkit.backend import COMPILATIONS, jax, select_device
from fitkit.config import ConfigSource, plain_values
from fitkit.errors import ConfigError, ExitCode
from fitkit.minimize import HistoryRow, Search, Watch, minimize
from fitkit.result import MultistartSummary, Result, Seconds, Status
from fitkit.run.assemble import Assembled, assemble
from fitkit.run.choose import choose, refuse_hopeless
from fitkit.run.conclude import Conclusion, conclude
from fitkit.run.described import described, provenance
from fitkit.run.expectations import judged, refuse_unknown
from fitkit.run.folder import RunFolder
from fitkit.run.memory import enough_memory, out_of_memory
from fitkit.run.printing import prints_aside
from fitkit.run.saving import save
from fitkit.run.verdict import out_of_time_after

if TYPE_CHECKING:
    from fitkit.optimizers import Optimizer


@final
@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What the command line says beside the config."""

    allow_python: bool = False
    out: str | None = None
    overwrite: bool = False
    keep: bool = True
    """Whether the run is saved."""
    name: str | None = None
    """What the result is called; by default what the config says."""
    time_limit: float | None = None
    """The most seconds, where the config allows more."""
    show: Callable[[HistoryRow], None] = lambda _: None
    show_groups: Callable[[Any], None] = lambda _: None
    """Shown how far many fits have come."""
    interrupted: Callable[[], int] = lambda: 0
    """Returns the number of the signal that asked to stop, or 0."""
    stdin: BinaryIO | None = None


def train(source: ConfigSource, options: TrainOptions, started: float) -> tuple[Result, RunFolder | None]:
    """Return the result of a config, and the folder it was saved to.

    Args:
        source: the config.
        options: of the command line.
        started: `time.perf_counter()` at the start of the process, for the total.

    Raises:
        FitkitError: the config, the data, the machine or the disk make a fit impossible.
    """
    _refuse_other_uses(source)
    name = options.name or name_of(source)
    folder = RunFolder.claim(options.out, name, overwrite=options.overwrite) if options.keep else None
    try:
        if source.config.data is not None and source.config.data.group_by is not None:
            with prints_aside(source):
                return _groups(source, options, started, name, folder), folder
        with prints_aside(source):
            result, search, conclusion, assembled = _fit(source, options, started, name)
        if folder is not None:
            save(folder, source, result, search, conclusion, assembled)
    finally:
        if folder is not None:
            folder.release()
    return result, folder


def _refuse_other_uses(source: ConfigSource) -> None:
    """Refuse a config that is for `check-grad` alone, or that means many fits."""
    if source.config.check_grad.only:
        message = "this config is for `check-grad` alone: its section `check_grad` says `only: true`"
        place = source.diagnostic(("check_grad", "only"), "E123", message, f"run `fitkit check-grad {source.shown}`")
        raise ConfigError(place)
    if source.config.matrix:
        message = "`matrix` means a fit for each combination of its values, and this command makes one"
        settings = " ".join(f"--set {key}=..." for key in source.config.matrix)
        way_out = f"run `fitkit batch {source.shown}`, or settle every key: {settings}"
        raise ConfigError(source.diagnostic(("matrix",), "E124", message, way_out))


def _groups(source: ConfigSource, options: TrainOptions, started: float, name: str, folder: RunFolder | None) -> Result:
    from fitkit.run.grouped import GroupOptions, train_groups

    told = GroupOptions(
        allow_python=options.allow_python,
        stdin=options.stdin,
        interrupted=options.interrupted,
        show=options.show_groups,
        time_limit=options.time_limit,
    )
    return train_groups(source, told, started, name, folder)


def name_of(source: ConfigSource) -> str:
    """Return what the run is called: the config's `name`, or its file's stem."""
    from pathlib import PurePath

    if source.config.name is not None:
        return source.config.name
    return "stdin" if source.shown == "-" else PurePath(source.shown).stem


def _fit(
    source: ConfigSource, options: TrainOptions, started: float, name: str
) -> tuple[Result, Search, Conclusion, Assembled]:
    config = source.config
    compiled_before, programs_before = COMPILATIONS.seconds, COMPILATIONS.programs
    platform = select_device(config.device)
    assembled = assemble(source, allow_python=options.allow_python, stdin=options.stdin)
    refuse_unknown(source, assembled.parameters)
    optimizer, why = choose(config.optimizer, assembled.problem)
    refuse_hopeless(source, optimizer, assembled.problem)
    enough_memory(optimizer, assembled.problem)
    watch = Watch(interrupted=lambda: bool(options.interrupted()), show=options.show, time_limit=options.time_limit)
    began = time.perf_counter()
    try:
        search, minima = _search(source, assembled, optimizer, watch)
        conclusion = conclude(
            assembled,
            search,
            optimizer,
            config.stopping,
            config.uncertainty,
            seed=config.seed,
            stop=watch.must_end,
            with_bands=options.keep,
        )
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        raise out_of_memory(error) from None
    run = time.perf_counter() - began
    compiling = COMPILATIONS.seconds - compiled_before
    verdict = out_of_time_after(conclusion.verdict) if watch.cut_short else conclusion.verdict
    status = verdict.status
    signal = options.interrupted()
    result = Result(
        name=name,
        path=source.shown,
        status=status,
        exit_code=int(ExitCode.TERMINATED if status is Status.INTERRUPTED and signal == 15 else status.exit_code),
        reason=verdict.reason.word,
        message=verdict.message,
        parameters=conclusion.parameters,
        loss=conclusion.loss,
        fit=conclusion.fit,
        classes=None if assembled.problem.loss is None else assembled.problem.loss.classes or None,
        metrics={"train": conclusion.metrics, "validation": conclusion.held_out},
        evidence=conclusion.evidence,
        uncertainty=conclusion.uncertainty,
        multistart=minima,
        constraints=conclusion.constraints,
        optimizer=described(optimizer, why),
        steps=search.steps,
        evaluations=search.evaluations,
        compilations=COMPILATIONS.programs - programs_before,
        seconds=Seconds(compile=compiling, run=max(0.0, run - compiling), total=time.perf_counter() - started),
        warnings=conclusion.warnings,
        config=plain_values(config),
        provenance=provenance(source, assembled.table, assembled.problem, platform),
    )
    return judged(result, source), search, conclusion, assembled


def _search(
    source: ConfigSource, assembled: Assembled, optimizer: Optimizer, watch: Watch
) -> tuple[Search, MultistartSummary | None]:
    """Return the search from the start, or from many where the config asks for them, and the minima these found."""
    config = source.config
    if config.multistart is not None:
        from fitkit.run.many_starts import search_for

        return search_for(source, assembled, optimizer, watch)
    problem, start = assembled.problem, assembled.start
    return minimize(
        problem, optimizer, config.stopping, start, seed=config.seed, watch=watch, validation=assembled.validation
    ), None
