"""`fitkit batch`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from fitkit.cli.options import all_settings, overrides
from fitkit.cli.terminal import say, speaks_unicode

if TYPE_CHECKING:
    from fitkit.batch import BatchOutcome, BatchSummary

_STARTED = time.perf_counter()


@click.command("batch", short_help="Fit many configs, and gate on what became of them.")
@click.argument("paths", nargs=-1, required=True, metavar="PATHS...", type=click.Path())
@overrides
@click.option(
    "--filter", "patterns", multiple=True, metavar="PATTERN", help="Only fits with this in their name or path."
)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="For each fit.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first fit that fails.")
@click.option("--out", metavar="DIR", type=click.Path(), default="runs/batch", help="Save the runs under this folder.")
@click.option("--no-save", is_flag=True, help="Save nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document per fit, each on a line.")
@click.option("--quiet", "-q", is_flag=True, help="Print what failed, and the totals, only.")
@click.option("--allow-python", is_flag=True, help="Let python models run their code.")
@click.pass_context
def command(ctx: click.Context, /, paths: tuple[str, ...], **options: Any) -> None:
    """Fit every config of PATHS: files, folders (read recursively) and globs; a `matrix` is a fit per combination.

    Exit codes: 0 every fit is as it should be; the code that `train` gives where all that failed did so for one reason,
    10 where there are several; 130 and 143 interrupted.
    """
    from fitkit.batch import BatchSummary, plan

    todo = plan(paths, all_settings(options["settings"], options["seed"], options["device"]), options["patterns"])
    summary = BatchSummary(planned=todo.entries, passed_over=todo.passed_over)
    for outcome in _run(summary, options):
        summary.outcomes.append(outcome)
        _say(outcome, options)
        if options["fail_fast"] and not outcome.passed:
            break
    summary.seconds = time.perf_counter() - _STARTED
    code = summary.exit_code()
    if not options["as_json"]:
        from fitkit.batch.text import tail

        say(tail(summary, code))
    ctx.exit(code)


def _run(summary: BatchSummary, options: dict[str, Any]) -> Iterator[BatchOutcome]:
    from fitkit.batch.fit import FitSettings
    from fitkit.batch.in_process import run_in_process

    settings = FitSettings(
        allow_python=options["allow_python"],
        out=None if options["no_save"] else options["out"],
        time_limit=options["timeout"],
    )
    return run_in_process(summary.planned, settings, lambda: 0, lambda *_: None)


def _say(outcome: BatchOutcome, options: dict[str, Any]) -> None:
    if options["as_json"]:
        say(json.dumps(outcome.document, allow_nan=False, ensure_ascii=not speaks_unicode(sys.stdout)))
    elif not options["quiet"]:
        from fitkit.batch.text import line, name_width

        say(line(outcome, name_width([outcome.entry])))
