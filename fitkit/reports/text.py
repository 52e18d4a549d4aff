"""A result as text for a person, in the order in which a careful colleague would tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.reports.constraints import constraint_table
from fitkit.reports.correlation import correlation_lines
from fitkit.reports.expectations import expectation_table, missed_sentence
from fitkit.reports.groups import group_facts, groups_table
from fitkit.reports.metrics import metric_facts
from fitkit.reports.minima import minima_sentence, minima_table
from fitkit.reports.parameter_table import parameter_table
from fitkit.result import Result, Status

if TYPE_CHECKING:
    from typing import TextIO

    from rich.console import Console, RenderableType

STYLES = {
    Status.CONVERGED: "bold green",
    Status.COMPLETED: "bold green",
    Status.INTERRUPTED: "bold yellow",
}


@final
@dataclass(frozen=True, kw_only=True)
class TextStyle:
    """How the text may look."""

    width: int = 80
    color: bool = False
    unicode: bool = True
    verbose: bool = False

    def console(self, page: TextIO) -> Console:
        """Return what writes on `page` in this style: plain texts, where no bracket is markup and no word an emoji."""
        from rich.console import Console

        return Console(
            file=page,
            width=self.width,
            force_terminal=self.color,
            color_system="standard" if self.color else None,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )


def render(result: Result, style: TextStyle) -> str:
    """Return the report, lines of at most `style.width` columns."""
    import io

    buffer = io.StringIO()
    console = style.console(buffer)
    _print(console, result, style)
    lines = (line.rstrip() for line in buffer.getvalue().splitlines())
    return "\n".join(lines)


def _print(console: Console, result: Result, style: TextStyle) -> None:
    console.print(result.message, style=STYLES.get(result.status, "bold red"))
    missed = missed_sentence(result.expectations)
    if missed:
        console.print(missed, style="bold red")
    if result.parameters:
        console.print()
        console.print(parameter_table(result, style.width))
    groups = None if result.groups is None else groups_table(result.groups, style.width, unicode=style.unicode)
    if groups is not None:
        console.print()
        console.print(groups)
    if result.constraints:
        console.print()
        console.print(constraint_table(result.constraints, style.width))
    console.print()
    facts = [
        *group_facts(result),
        *_loss(result, style),
        *_fit(result, style),
        *metric_facts(result),
        *_digits(result),
        *_errors(result, style),
        *_time(result),
    ]
    console.print(_facts(facts))
    if result.multistart is not None and len(result.multistart.minima) > 1:
        console.print()
        console.print(minima_table(result.multistart, style.width))
    if result.expectations:
        console.print()
        console.print(expectation_table(result.expectations, style.width))
    if style.verbose:
        _print_more(console, result)
    for warning in result.warnings:
        console.print(_hanging("warning:", warning, "yellow"))


def _hanging(label: str, text: str, label_style: str = "") -> RenderableType:
    """Return a label with its text beside it, later lines indented under the first."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True, style=label_style)
    grid.add_column(overflow="fold")
    grid.add_row(label, text)
    return grid


def _facts(facts: list[tuple[str, str]]) -> RenderableType:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for label, text in facts:
        grid.add_row(label, text)
    return grid


# -- the facts --------------------------------------------------------------------------------------------------------------


def _significant(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}g}"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _loss(result: Result, style: TextStyle) -> list[tuple[str, str]]:
    arrow = "→" if style.unicode else "->"
    facts = []
    if result.loss is not None:
        initial, final = (_significant(x, 8) or "not finite" for x in (result.loss.initial, result.loss.final))
        held_out = _significant(result.loss.validation, 8)
        told = f"; {held_out} on the rows held out" if held_out else ""
        change = f"{initial} {arrow} {final}" if result.groups is None else final
        facts.append(("loss", f"{change} ({result.loss.kind}){told}"))
    if result.multistart is not None:
        facts.append(("starts", minima_sentence(result.multistart)))
    if result.optimizer is not None:
        why = f", chosen for {result.optimizer['why']}" if "why" in result.optimizer else ""
        work = f"{_count(result.steps or 0, 'step')}, {_count(result.evaluations or 0, 'evaluation')}"
        if result.groups is not None:
            facts.append(("search", f"{result.optimizer['solver']}: at most {work} in all"))
        else:
            facts.append(("search", f"{result.optimizer['kind']}{why}: {work}"))
    return facts


def _fit(result: Result, style: TextStyle) -> list[tuple[str, str]]:
    fit = result.fit
    if fit is None or fit.rows is None:
        return []
    sizes = ((fit.rows, "row"), (fit.free_parameters, "free parameter"), (fit.dof, "degree"))
    freedom = " of freedom" if fit.dof is not None else ""
    facts = [("data", ", ".join(_count(number, word) for number, word in sizes if number is not None) + freedom)]
    quality = []
    if fit.chi_square is not None:
        reduced = "" if fit.reduced_chi_square is None else f", reduced {fit.reduced_chi_square:.5g}"
        quality.append(f"chi-square {fit.chi_square:.7g}{reduced}")
    elif fit.rss is not None:
        quality.append(f"residual sum of squares {fit.rss:.7g}")
    if fit.r_squared is not None:
        quality.append(f"{'R²' if style.unicode else 'R squared'} {fit.r_squared:.7g}")
    if quality:
        facts.append(("fit", ", ".join(quality)))
    return facts


def _digits(result: Result) -> list[tuple[str, str]]:
    """Return how many digits are right in the parameter that has the fewest; an estimate is never told as more than 15."""
    known = {name: parameter.digits for name, parameter in result.parameters.items() if parameter.digits is not None}
    if not known:
        return []
    worst = min(known, key=known.__getitem__)
    who = "" if len(known) == 1 else f" in every parameter (fewest in {worst})"
    return [("digits", f"at least {min(15, int(known[worst]))} right{who}, by estimate")]


def _errors(result: Result, style: TextStyle) -> list[tuple[str, str]]:
    uncertainty = result.uncertainty
    if uncertainty is None or uncertainty.kind == "none":
        return []
    facts = [("errors", f"{uncertainty.status}: {uncertainty.message}")]
    matrix = uncertainty.correlation
    if matrix is not None and not style.verbose:
        names = uncertainty.names
        pairs = [(abs(matrix[i, j]), i, j) for i in range(len(names)) for j in range(i) if abs(matrix[i, j]) > 0.9]
        if pairs:
            strongest = sorted(pairs, reverse=True)[:3]
            shown = ", ".join(f"{names[j]} {names[i]} {matrix[i, j]:+.4f}" for _, i, j in strongest)
            more = f", {len(pairs) - 3} more above 0.9" if len(pairs) > 3 else ""
            facts.append(("correlation", shown + more))
    return facts


def _time(result: Result) -> list[tuple[str, str]]:
    seconds = result.seconds
    if seconds is None:
        return []
    text = f"{seconds.total:.2f} s, of which {seconds.compile:.2f} s compiling and {seconds.run:.3f} s running"
    return [("time", text)]


def _print_more(console: Console, result: Result) -> None:
    """Print the whole correlation matrix, the evidence and the provenance."""
    uncertainty, evidence = result.uncertainty, result.evidence
    if uncertainty is not None and uncertainty.correlation is not None:
        lines = correlation_lines(uncertainty.names, uncertainty.correlation, console.width)
        console.print()
        console.print("\n".join(lines), no_wrap=True)
    facts = []
    if evidence is not None:
        facts += [
            ("optimality", _significant(evidence.optimality, 3)),
            ("smallest eigenvalue", _significant(evidence.smallest_eigenvalue, 3)),
            ("condition", _significant(evidence.condition, 3)),
            ("minimum", evidence.minimum or ""),
        ]
    facts += [(key, str(value)) for key, value in result.provenance.items() if value is not None]
    console.print()
    console.print(_facts(facts))
