"""`fitkit train`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from fitkit.cli.options import all_settings, overrides
from fitkit.cli.signals import Signals
from fitkit.cli.terminal import is_terminal, say, speaks_unicode, tell, text_style

if TYPE_CHECKING:
    from fitkit.result import Result

_STARTED = time.perf_counter()


@click.command("train", short_help="Fit a config, report convergence, and save the run.")
@click.argument("config", metavar="CONFIG", type=click.Path())
@overrides
@click.option("--out", metavar="DIR", type=click.Path(), help="Save the run here instead of runs/<name>/<time>.")
@click.option("--overwrite", is_flag=True, help="Replace the fitkit run that --out holds.")
@click.option("--no-save", is_flag=True, help="Save nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
@click.option("--quiet", "-q", is_flag=True, help="Print the verdict only.")
@click.option("--verbose", "-v", is_flag=True, help="Print correlations, evidence and provenance too.")
@click.option("--allow-python", is_flag=True, help="Let a python model run its code.")
@click.pass_context
def command(ctx: click.Context, /, config: str, **options: Any) -> None:
    """Fit the CONFIG (a YAML file, or - for standard input), report convergence, and save the run.

    Exit codes: 0 converged, or all epochs done; 1 a bug in fitkit; 2 usage, config or formula; 3 data; 4 not converged;
    5 diverged; 6 what the config expects does not hold; 7 device, memory or package missing; 8 file system; 130 and 143
    interrupted, what was reached saved.
    """
    asked = Signals("nothing of this run was saved")
    try:
        with asked.listening():
            result, saved = _train(config, options, asked)
    except Exception as error:
        if options["as_json"]:
            from fitkit.run.failed import failed_result

            _say_document(failed_result(config, error))
        raise
    _say_result(result, options)
    if result.expectations and (options["as_json"] or options["quiet"]):  # the text has them in its table
        for number, missed in enumerate(result.errors):
            tell(("\n" if number else "") + missed.render())
    if saved is not None and not options["quiet"]:
        tell(f"saved to {saved}")
    ctx.exit(result.exit_code)


def _train(config: str, options: dict[str, Any], asked: Signals) -> tuple[Result, Any]:
    from fitkit.config import load

    source = load(config, all_settings(options["settings"], options["seed"], options["device"]))
    from fitkit.progress import Progress
    from fitkit.run.folder import release_all
    from fitkit.run.train import TrainOptions, train

    progress = None if options["quiet"] or sys.stderr is None else Progress(sys.stderr, live=is_terminal(sys.stderr))
    asked.farewells = [release_all] if progress is None else [progress.close, release_all]
    try:
        result, folder = train(
            source,
            TrainOptions(
                allow_python=options["allow_python"],
                out=options["out"],
                overwrite=options["overwrite"],
                keep=not options["no_save"],
                show=(lambda _: None) if progress is None else progress.show,
                show_groups=(lambda _: None) if progress is None else progress.show_groups,
                interrupted=lambda: asked.number,
            ),
            _STARTED,
        )
    finally:
        if progress is not None:
            progress.close()
    return result, None if folder is None else folder.path


def _say_result(result: Result, options: dict[str, Any]) -> None:
    if options["as_json"]:
        _say_document(result)
    elif options["quiet"]:
        say(result.message)
    else:
        from fitkit.reports.text import render

        say(render(result, text_style(verbose=options["verbose"])))


def _say_document(result: Result) -> None:
    from fitkit.reports.json_document import render

    say(render(result, ascii_only=not speaks_unicode(sys.stdout)))
