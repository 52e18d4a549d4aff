"""`fitkit check-grad`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from fitkit.cli.options import FiniteRange, all_settings, overrides
from fitkit.cli.terminal import say, speaks_unicode, tell, text_style
from fitkit.errors import ExitCode, FitkitError, worst_exit_code

if TYPE_CHECKING:
    from fitkit.reports.gradient_outcome import GradientOutcome
    from fitkit.run.check_gradient import CheckOptions

ORACLES = ("torch", "tensorflow", "complex-step", "mpmath")


@click.command("check-grad", short_help="Verify the gradient of each config's objective.")
@click.argument("paths", nargs=-1, required=True, metavar="PATHS...", type=click.Path())
@overrides
@click.option(
    "--at", "at", multiple=True, type=click.Choice(["start", "solution", "random"]),
    help="Only at the start, at the solution of the fit, or at random points.",
)  # fmt: skip
@click.option(
    "--against", multiple=True, type=click.Choice(ORACLES), help="Compare with an independent implementation too."
)
@click.option("--order", type=click.Choice(["1", "2"]), default="1", help="2 checks second derivatives too.")
@click.option("--budget", type=FiniteRange(min=0, min_open=True), metavar="SECONDS", help="For each config.")
@click.option("--warn", is_flag=True, help="Let staircases, jumps and non-determinism warn instead of failing.")
@click.option(
    "--inconclusive", type=click.Choice(["pass", "fail"]), default="pass", help="What an inconclusive check is."
)
@click.option("--junit", metavar="FILE", type=click.Path(), help="Write a JUnit document.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document per config, each on a line.")
@click.option("--quiet", "-q", is_flag=True, help="Print the verdicts only.")
@click.option("--verbose", "-v", is_flag=True, help="Print every line and column, and what a gradient costs.")
@click.option("--allow-python", is_flag=True, help="Let python models run their code.")
@click.pass_context
def command(ctx: click.Context, /, paths: tuple[str, ...], **options: Any) -> None:
    """Verify that the gradient which `train` would use is the derivative of the objective.

    PATHS are configs, folders (read recursively, without files that begin with _ and without saved runs), globs, or -
    for standard input. Steps and tolerances are derived from what the numbers can resolve; there is nothing to tune. Of
    a matrix the first combination is checked.

    Exit codes: 0 nothing was refuted (warnings are allowed); 1 a bug in fitkit; 2 usage, config or formula; 3 data; 6 a
    gradient or a claim is refuted, or not finite at the start, or inconclusive under --inconclusive fail; 7 an oracle,
    a device or memory is missing; 8 file system. Of several configs the gravest, in the order 1, 2, 3, 7, 8, 6.
    """
    from fitkit.config.paths import config_paths

    try:
        every = list(config_paths(paths))
    except FitkitError as error:
        if options["as_json"]:
            _say(_mistaken(" ".join(paths), error), options, several=False)
        raise
    if options["against"]:
        from fitkit.run.oracles import frameworks

        frameworks(options["against"])  # told once, before any work, if one is missing
    if options["junit"] is not None:
        from fitkit.run.report_file import check_report

        check_report(options["junit"])
    outcomes = []
    for path in every:
        outcomes.append(_checked(path, options))
        _say(outcomes[-1], options, several=len(every) > 1)
    codes = [outcome.exit_code for outcome in outcomes]
    if options["junit"] is not None:
        codes += _write_junit(options["junit"], outcomes)
    if len(every) > 1 and not options["as_json"]:
        from fitkit.reports.gradient_text import summary

        say(summary(outcomes) if options["quiet"] else f"\n{summary(outcomes)}")
    ctx.exit(worst_exit_code(codes))


def _checked(path: str, options: dict[str, Any]) -> GradientOutcome:
    """Check one config; what keeps it from being checked is told on standard error, and the others go on."""
    from fitkit.config import load

    try:
        # Of a matrix the first combination, with which the others share the objective or its kind.
        source = load(path, all_settings(options["settings"], options["seed"], options["device"]), combination=0)
        from fitkit.run.check_gradient import check_gradient

        return check_gradient(source, _check_options(options))
    except FitkitError as error:
        tell(error.render())
        return _mistaken(path, error)
    except Exception as error:
        from fitkit.cli.main import report_bug

        report_bug(error)
        return _mistaken(path, error)


def _check_options(options: dict[str, Any]) -> CheckOptions:
    from fitkit.run.check_gradient import POINTS, CheckOptions

    at = dict.fromkeys(options["at"])
    points = tuple(point for kind in at for point in ((kind,) * 4 if kind == "random" else (kind,)))
    return CheckOptions(
        allow_python=options["allow_python"],
        points=points or POINTS,
        against=tuple(dict.fromkeys(options["against"])),
        order=1 if options["order"] == "1" else 2,
        budget=options["budget"],
        warn=options["warn"],
        measure=options["verbose"] and not options["as_json"],
        inconclusive_fails=options["inconclusive"] == "fail",
    )


def _mistaken(path: str, error: Exception) -> GradientOutcome:
    """Return what there is of a check that a mistake ended, or a bug."""
    from fitkit.gradient_check import GradientReport
    from fitkit.reports.gradient_outcome import GradientOutcome

    nothing = GradientReport()
    if isinstance(error, FitkitError):
        return GradientOutcome(
            path=path,
            name=None,
            report=nothing,
            message=error.diagnostics[0].message,
            errors=error.diagnostics,
            error_code=int(error.exit_code),
            reason=error.reason,
        )
    message = f"internal error: {type(error).__name__}: {error}"
    code = int(ExitCode.INTERNAL)
    return GradientOutcome(path=path, name=None, report=nothing, message=message, error_code=code, reason="internal")


def _say(outcome: GradientOutcome, options: dict[str, Any], *, several: bool) -> None:
    if options["as_json"]:
        from fitkit.reports.gradient_json import render as render_json

        say(render_json(outcome, ascii_only=not speaks_unicode(sys.stdout)))
        return
    from fitkit.reports.gradient_text import render, verdict_line

    if options["quiet"] or outcome.error_code is not None:
        say(verdict_line(outcome))
    else:
        say(render(outcome, text_style(verbose=options["verbose"]), brief=several))


def _write_junit(path: str, outcomes: list[GradientOutcome]) -> list[int]:
    """Write the document, and return the exit code of a disk that refuses."""
    from fitkit.reports.gradient_junit import render
    from fitkit.run.report_file import write_report

    try:
        write_report(path, render(outcomes))
    except FitkitError as error:
        tell(error.render())
        return [int(error.exit_code)]
    return []
