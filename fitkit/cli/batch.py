"""`fitkit batch`."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import click

from fitkit.cli.batch_baseline import baseline_options, gate_for
from fitkit.cli.options import FiniteRange, all_settings, overrides
from fitkit.cli.signals import Signals

if TYPE_CHECKING:
    from fitkit.batch import BatchEntry, BatchOutcome, BatchSummary
    from fitkit.batch.fit import FitSettings
    from fitkit.batch.ledger import Ledger
    from fitkit.batch.workers import Show

_STARTED = time.perf_counter()


@click.command("batch", short_help="Fit many configs, and gate on what became of them.")
@click.argument("paths", nargs=-1, required=True, metavar="PATHS...", type=click.Path())
@overrides
@click.option("--filter", "patterns", multiple=True, metavar="TEXT", help="Only fits with this in their name or path.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Over N worker processes.")
@click.option("--executor", type=click.Choice(["local", "dask"]), default="local", help="Where fits are made.")
@click.option("--scheduler", metavar="ADDRESS", help="Of the Dask cluster: tcp://127.0.0.1:8786.")
@click.option(
    "--timeout", type=FiniteRange(min=0, min_open=True), metavar="SECONDS",
    help="For each fit; a python model that hangs is ended too.",
)  # fmt: skip
@click.option("--fail-fast", is_flag=True, help="Stop at the first fit that fails.")
@click.option("--resume", is_flag=True, help="Skip fits that an earlier batch has made and that have not changed.")
@click.option("--out", metavar="DIR", type=click.Path(), default="runs/batch", help="Save the runs here (runs/batch).")
@click.option("--no-save", is_flag=True, help="Save nothing.")
@click.option("--junit", metavar="FILE", type=click.Path(), help="Write a JUnit document.")
@click.option("--results", metavar="FILE", type=click.Path(), help="Write a JSON line for each fit as it ends.")
@click.option("--markdown", metavar="FILE", type=click.Path(), help="Write a page of Markdown.")
@baseline_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document per fit, each on a line.")
@click.option("--quiet", "-q", is_flag=True, help="Print what failed, and the totals, only.")
@click.option("--verbose", "-v", is_flag=True, help="Print the parameters of each fit too.")
@click.option("--allow-python", is_flag=True, help="Let python models run their code.")
@click.pass_context
def command(ctx: click.Context, /, paths: tuple[str, ...], **options: Any) -> None:
    """Fit every config of PATHS, and fail loudly where one is not as it should be.

    PATHS are configs, folders (read recursively, without files that begin with _ and without saved runs) and globs. A
    config with a `matrix` is a fit for each combination of its values. Fits run in one process, where those of one
    structure share what is compiled and several configs are fitted side by side, or over --jobs worker processes, where
    one that is killed or hangs loses only its own fit. Runs are saved under --out, and replaced there by the next batch.
    * and ? in --filter stand for any characters.

    Exit codes: 0 every fit is as it should be; where all that failed did so for one reason, its code as `train` has it
    (2 config, 3 data, 4 not converged or out of time, 5 diverged, 6 a check failed, 7 environment, or a worker killed
    twice, 8 file system); 10 several reasons; 130 and 143 interrupted.
    """
    from fitkit.batch import BatchSummary, plan
    from fitkit.batch.fit import FitSettings
    from fitkit.batch.ledger import Ledger
    from fitkit.cli.batch_display import display_for
    from fitkit.cli.batch_reports import BatchReports
    from fitkit.cli.batch_session import PATIENCE, BatchSession

    _refuse_contradictions(options)
    gate = gate_for(options, paths)
    todo = plan(paths, all_settings(options["settings"], options["seed"], options["device"]), options["patterns"])
    summary = BatchSummary(planned=todo.entries, passed_over=todo.passed_over)
    reports = BatchReports(results=options["results"], junit=options["junit"], markdown=options["markdown"])
    ledger = None if options["no_save"] else Ledger.claim(options["out"])
    reports.begin()
    asked = Signals("the reports of this batch were not written")
    display = display_for(summary, quiet=options["quiet"])
    asked.farewells.append(display.close)
    session = BatchSession(summary, display, reports, ledger, _style(options), _STARTED, gate)
    settings = FitSettings(
        allow_python=options["allow_python"],
        out=None if ledger is None else options["out"],
        time_limit=options["timeout"],
        side_by_side=not options["fail_fast"],
    )
    try:
        with asked.listening(), asked.overseen(PATIENCE, session.overdue):
            finished = _finished(summary, ledger, resume=options["resume"])
            executor = _Executor(options["jobs"], options["scheduler"], settings, lambda: asked.number, session.show)
            with closing(_outcomes(summary, finished, executor)) as outcomes:
                session.run(outcomes, fail_fast=options["fail_fast"])
            code = session.finish(asked.number)
    finally:
        display.close()
    ctx.exit(code)


def _style(options: dict[str, Any]) -> str:
    return next(
        (style for style in ("json", "quiet", "verbose") if options["as_json" if style == "json" else style]), "table"
    )


def _finished(summary: BatchSummary, ledger: Ledger | None, *, resume: bool) -> list[BatchOutcome]:
    """Return what need not be done again, and get the ledger ready for the rest."""
    if ledger is None:
        return []
    finished = ledger.finished(summary.planned) if resume else []
    ledger.begin(summary.planned, finished)
    return finished


@final
@dataclass(frozen=True)
class _Executor:
    """Where fits are made: here, in worker processes, or on a cluster."""

    jobs: int | None
    scheduler: str | None
    settings: FitSettings
    stop: Callable[[], int]
    show: Show

    def run(self, entries: Sequence[BatchEntry]) -> Iterator[BatchOutcome]:
        """Yield the outcomes of fits as they end."""
        if self.scheduler is not None:
            from fitkit.batch.dask_cluster import run_on_dask

            return run_on_dask(entries, self.settings, self.scheduler, self.stop)
        if self.jobs is not None:
            from fitkit.batch.workers import run_in_workers

            return run_in_workers(entries, self.settings, self.jobs, self.stop, self.show)
        from fitkit.batch.in_process import run_in_process

        return run_in_process(entries, self.settings, self.stop, self.show)


def _outcomes(
    summary: BatchSummary, finished: list[BatchOutcome], executor: _Executor
) -> Generator[BatchOutcome, None, None]:
    """Yield what is finished, then the other fits as they end."""
    yield from finished
    known = {outcome.name for outcome in finished}
    entries = [entry for entry in summary.planned if entry.name not in known]
    if entries:
        yield from executor.run(entries)


def _refuse_contradictions(options: dict[str, Any]) -> None:
    """Refuse options that make no sense together."""
    if options["resume"] and options["no_save"]:
        raise click.UsageError("`--resume` goes on from what is saved, and `--no-save` saves nothing")
    if (options["executor"] == "dask") != (options["scheduler"] is not None):
        raise click.UsageError("`--executor dask` and `--scheduler ADDRESS` belong together")
    if options["executor"] == "dask" and options["jobs"] is not None:
        raise click.UsageError("`--jobs` is for fits on this machine; the cluster has its own workers")
