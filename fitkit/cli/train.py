"""`fitkit train`."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from fitkit.cli.options import all_settings, overrides
from fitkit.errors import FitkitError

if TYPE_CHECKING:
    from fitkit.result import Result

_STARTED = time.perf_counter()


@click.command("train", short_help="Fit a config, report convergence, and save the run.")
@click.argument("config", metavar="CONFIG")
@overrides
@click.option("--out", metavar="DIR", help="Save the run here instead of runs/<name>/<time>.")
@click.option("--overwrite", is_flag=True, help="Replace the fitkit run that --out holds.")
@click.option("--no-save", is_flag=True, help="Save nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
@click.option("--quiet", "-q", is_flag=True, help="Print the verdict only.")
@click.option("--verbose", "-v", is_flag=True, help="Print correlations, evidence and provenance too.")
@click.option("--allow-python", is_flag=True, help="Let a python model run its code.")
@click.pass_context
def command(ctx: click.Context, /, config: str, **options: Any) -> None:
    """Fit the CONFIG (a YAML file, or - for standard input), report convergence, and save the run.

    Exit codes: 0 converged or completed, 2 config, 3 data, 4 not converged, 5 diverged, 7 environment, 8 file system,
    130 interrupted.
    """
    asked = _Signals()
    try:
        with asked.listening():
            result, saved = _train(config, options, asked)
    except FitkitError as error:
        if options["as_json"]:
            _print(_failed(config, error))
        raise
    _print(_rendered(result, options))
    if saved is not None and not options["quiet"] and not options["as_json"]:
        click.echo(f"saved to {saved}", err=True)
    ctx.exit(result.exit_code)


class _Signals:
    """Hears Ctrl-C and SIGTERM: the first asks the search to stop and save, a second stops at once."""

    def __init__(self) -> None:
        self.number = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while the block runs."""
        before = {number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.number:
            raise KeyboardInterrupt
        self.number = number


def _train(config: str, options: dict[str, Any], asked: _Signals) -> tuple[Result, Any]:
    from fitkit.config import load

    source = load(config, all_settings(options["settings"], options["seed"], options["device"]))
    from fitkit.progress import Progress
    from fitkit.run.train import TrainOptions, train

    progress = None if options["quiet"] else Progress(sys.stderr)
    try:
        result, folder = train(
            source,
            TrainOptions(
                allow_python=options["allow_python"],
                out=options["out"],
                overwrite=options["overwrite"],
                keep=not options["no_save"],
                show=(lambda _: None) if progress is None else progress.show,
                interrupted=lambda: asked.number,
            ),
            _STARTED,
        )
    finally:
        if progress is not None:
            progress.close()
    return result, None if folder is None else folder.path


def _rendered(result: Result, options: dict[str, Any]) -> str:
    if options["as_json"]:
        from fitkit.reports.json_document import render

        return render(result)
    if options["quiet"]:
        return result.message
    from fitkit.cli.terminal import text_style
    from fitkit.reports.text import render as render_text

    return render_text(result, text_style(verbose=options["verbose"]))


def _failed(config: str, error: FitkitError) -> str:
    from fitkit.reports.json_document import render
    from fitkit.result import Result, Status

    headline = error.diagnostics[0].message if error.diagnostics else str(error)
    return render(Result(
        name=None,
        path=config,
        status=Status.FAILED,
        exit_code=int(error.exit_code),
        reason=error.reason,
        message=headline,
        errors=error.diagnostics,
    ))  # fmt: skip


def _print(text: str) -> None:
    click.echo(text)
