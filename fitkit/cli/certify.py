"""`fitkit certify`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from fitkit.cli.options import FiniteRange
from fitkit.cli.terminal import say
from fitkit.errors import ExitCode, did_you_mean

if TYPE_CHECKING:
    from fitkit.certification import CertifiedRun, ReferenceProblem


@click.command("certify", short_help="Count the right digits on NIST's reference problems.")
@click.argument("names", nargs=-1, metavar="[PROBLEMS]...")
@click.option(
    "--start", type=click.Choice(["1", "2", "both"]), default="both", help="NIST's far start, the near, or both."
)
@click.option(
    "--optimizer", type=click.Choice(["auto", "lm", "lbfgs"]), default="auto", help="What searches; auto by default."
)
@click.option(
    "--digits",
    type=FiniteRange(0, 16),
    metavar="MIN",
    help="Digits asked of the worst parameter.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    names: tuple[str, ...],
    start: str,
    optimizer: str,
    digits: float | None,
    as_json: bool,  # noqa: FBT001 - click passes options by name
) -> None:
    """Fit NIST's Statistical Reference Datasets on this machine, with default settings, and count the right digits.

    All 27 nonlinear problems from both starts and 11 linear ones, or the PROBLEMS named. Unless --digits says otherwise,
    asked are 10 digits in the worst parameter of a nonlinear problem and 9 in its worst standard deviation (Lanczos1,
    whose residuals are rounding: 1.5), and 9 in the worst parameter of a linear problem (Filip: 7).

    Exit codes: 0 all have the digits asked for; 2 usage, or no such problem; 6 some fall short, and are named; 7 the
    reference data, a device or memory are missing.
    """
    from fitkit.certification import certify

    chosen = _chosen(names)
    runs = certify(chosen, (1, 2) if start == "both" else (int(start),), optimizer, digits)
    done = list(runs) if as_json else list(_shown(runs))
    code = ExitCode.CHECK_FAILED if any(run.short for run in done) else ExitCode.SUCCESS
    if as_json:
        import json

        from fitkit.certification.document import document

        say(json.dumps(document(done, int(code)), indent=2))
    else:
        from fitkit.certification.table import footnote, summary

        say(f"\n{footnote(chosen)}\n\n{summary(done)}")
    ctx.exit(int(code))


def _chosen(names: tuple[str, ...]) -> list[ReferenceProblem]:
    """Return the problems of these names, whatever their case, each once; all where none is named."""
    from fitkit.certification import reference_problems

    problems = reference_problems()
    by_folded = {name.casefold(): name for name in problems}
    found = {}
    for name in names or problems:
        known = by_folded.get(name.casefold())
        if known is None:
            hint = did_you_mean(name, problems) or "they are " + ", ".join(problems)
            raise click.BadParameter(f"NIST has no problem `{name}`; {hint}", param_hint="PROBLEMS")
        found[known] = problems[known]
    return list(found.values())


def _shown(runs: Iterator[CertifiedRun]) -> Iterator[CertifiedRun]:
    """Print each run when it is done, and hand it on."""
    from fitkit.certification.table import HEADER, line

    say(HEADER)
    for run in runs:
        say(line(run))
        yield run
