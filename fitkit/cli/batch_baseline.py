"""The options of `fitkit batch` about baselines, and what they lead to at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from fitkit.cli.options import FiniteRange
from fitkit.cli.terminal import tell
from fitkit.errors import FitkitError

if TYPE_CHECKING:
    from fitkit.batch.gate import BaselineGate, BaselineUpdate
    from fitkit.batch.summary import BatchSummary


def _sigmas(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    from fitkit.comparison.tolerance import sigmas

    del ctx
    try:
        return None if value is None else sigmas(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param=parameter) from None


def baseline_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--baseline`, `--update-baseline` and the tolerances."""
    for option in (
        click.option("--atol", type=FiniteRange(min=0), metavar="A", help="Of --baseline: absolute tolerance (0)."),
        click.option(
            "--rtol", type=FiniteRange(min=1e-11), metavar="R", help="Of --baseline: relative tolerance (1e-6)."
        ),
        click.option("--within", callback=_sigmas, metavar="2sigma", help="Of --baseline: in standard errors instead."),
        click.option("--update-baseline", "update", metavar="FILE", type=click.Path(), help="Write a baseline."),
        click.option("--baseline", metavar="FILE", type=click.Path(), help="Fail where a fit is not what it was."),
    ):
        command = option(command)
    return command


def gate_for(options: dict[str, Any], paths: tuple[str, ...]) -> BaselineGate | None:
    """Return what outcomes are held against, and written to; None where nothing is asked.

    Raises:
        FitkitError: a baseline cannot be used, or none can be written there.
    """
    baseline, update = options["baseline"], options["update"]
    tolerance = {key: options[key] for key in ("rtol", "atol", "within")}
    if baseline is None and update is None:
        given = [f"`--{key}`" for key, value in tolerance.items() if value is not None]
        if given:
            raise click.UsageError(f"{' and '.join(given)} is about baselines: add `--baseline` or `--update-baseline`")
        return None
    from fitkit.batch.gate import BaselineGate

    filtered = bool(options["patterns"])
    return BaselineGate.prepare(against=baseline, update=update, asked=paths, filtered=filtered, **tolerance)


def settle(gate: BaselineGate, summary: BatchSummary, speak: Callable[[str], None]) -> list[int]:
    """Hold the batch against its baseline, then write it anew; return the exit codes of what went wrong in writing."""
    from fitkit.reports.baseline_text import render

    summary.baseline = verdict = gate.judge(summary)
    if verdict is not None:
        speak(f"\n{render(verdict.found, verdict.shown, verdict.left_out)}")
    try:
        update = gate.write(summary)
    except FitkitError as error:
        tell(error.render())
        return [int(error.exit_code)]
    if update is not None:
        speak("\n" + "\n".join(_lines(update)))
    elif gate.update is not None:
        tell(f"baseline {gate.update}: not written, because the batch was stopped")
    return []


def _lines(update: BaselineUpdate) -> Iterator[str]:
    count = len(update.written)
    yield f"wrote baseline {update.path}: {count} fit{'' if count == 1 else 's'}"
    for names, what in (
        (update.kept, "failed, and keeps its old entry"),
        (update.missing, "failed, and is not in the baseline"),
        (update.removed, "gone, and removed"),
    ):
        yield from (f"  {name}: {what}" for name in names)
