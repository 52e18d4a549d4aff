"""What changed between two runs, or two batches, as text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fitkit.comparison import Estimate
from fitkit.comparison.changes import Comparison, FitChanges, NumberChange, Replacement
from fitkit.reports.text import TextStyle

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

GAP = 2
LEAST_NAME = 12
"""Columns that a name keeps on any page; the rest of it goes onto further lines."""
MOST_KEYS = 20
"""Keys of the config that are told; `--json` has all."""


def render(comparison: Comparison, style: TextStyle) -> str:
    """Return the comparison: of one fit in full, of several a line for each that changed."""
    import io

    buffer = io.StringIO()
    console = style.console(buffer)
    arrow = "→" if style.unicode else "->"
    console.print(f"{comparison.before} {arrow} {comparison.after}", style="bold")
    if len(comparison.fits) == 1 and not comparison.new and not comparison.gone:
        _print_fit(console, comparison.fits[0], arrow)
    else:
        _print_fits(console, comparison, arrow, verbose=style.verbose)
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def _print_fit(console: Console, changes: FitChanges, arrow: str) -> None:
    if changes.parameters:
        console.print()
        console.print(_parameters(changes, console.width))
    console.print()
    facts = [("status", _word(changes.status, arrow)), ("loss", _loss(changes.loss, arrow)), ("data", _data(changes))]
    if any(number.standard_errors for number in changes.parameters.values()):
        unit = "the smaller of both" if changes.same_data else "both combined, as of independent data"
        facts.append(("errors", unit))
    if any(changes.groups):
        facts.append(("groups", f"converged: {_groups(changes, arrow)}"))
    facts += [(one.key, _replaced(one, arrow)) for one in changes.provenance if one.key != "data_sha256"]
    told = changes.config[:MOST_KEYS]
    facts += [
        ("config" if number == 0 else "", f"{one.key}: {_replaced(one, arrow)}") for number, one in enumerate(told)
    ]
    if len(changes.config) > MOST_KEYS:
        facts.append(("", f"{len(changes.config) - MOST_KEYS} keys more"))
    console.print(_grid(facts))


def _print_fits(console: Console, comparison: Comparison, arrow: str, *, verbose: bool) -> None:
    changed = [changes for changes in comparison.fits if not changes.unchanged]
    if changed and not verbose:
        console.print()
        console.print(_summary(changed, arrow, console.width))
    for changes in comparison.fits if verbose else ():
        console.print()
        console.print(changes.name, style="bold")
        _print_fit(console, changes, arrow)
    console.print()
    same = len(comparison.fits) - len(changed)
    facts = [("fits", f"{len(comparison.fits)} in both, {same} unchanged to the last bit")]
    facts += [("new", name) for name in comparison.new] + [("gone", name) for name in comparison.gone]
    console.print(_grid(facts))


def _parameters(changes: FitChanges, page: int) -> Table:
    """Return the table of parameters, a line for each."""
    numbers = changes.parameters.values()
    columns = {
        "parameter": list(changes.parameters),
        "before": [_value(number.before) for number in numbers],
        "after": [_value(number.after) for number in numbers],
        "change": [_signed(number.change, 4) for number in numbers],
        "relative": [_percent(number) for number in numbers],
        "in errors": [_signed(number.standard_errors, 3) for number in numbers],
    }
    return _table(columns, page, folded=("parameter",), dispensable=("relative", "change", "before"))


def _summary(changed: list[FitChanges], arrow: str, page: int) -> Table:
    """Return the table of fits: how each ended, its loss, and the parameter that changed most."""
    largest = [changes.largest for changes in changed]
    columns = {
        "fit": [changes.name for changes in changed],
        "status": [_word(changes.status, arrow) for changes in changed],
        "loss": [_percent(changes.loss) for changes in changed],
        "most changed": ["" if one is None else one[0] for one in largest],
        "relative": ["" if one is None else _percent(one[1]) for one in largest],
        "in errors": ["" if one is None else _signed(one[1].standard_errors, 3) for one in largest],
    }
    return _table(columns, page, folded=("fit", "status", "most changed"), dispensable=("loss", "relative", "status"))


def _table(columns: dict[str, list[str]], page: int, folded: tuple[str, ...], dispensable: tuple[str, ...]) -> Table:
    """Return a table for a page of so many columns: names are folded, numbers never, and some columns dispensed with."""
    from rich.table import Table

    widths = {header: max(map(len, (header, *cells))) for header, cells in columns.items()}
    least = {header: min(width, LEAST_NAME) if header in folded else width for header, width in widths.items()}
    for header in dispensable:
        if sum(least.values()) + GAP * (len(least) - 1) > page:
            del least[header], widths[header]
    spare = sum(widths.values()) + GAP * (len(widths) - 1) - page
    for header in (header for header in folded if header in widths):
        taken = max(0, min(spare, widths[header] - least[header]))
        widths[header], spare = widths[header] - taken, spare - taken
    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", pad_edge=False)
    for header, width in widths.items():
        table.add_column(header, justify="left" if header in folded else "right", overflow="fold", width=width)
    for row in zip(*(columns[header] for header in widths), strict=True):
        table.add_row(*row)
    return table


def _grid(facts: list[tuple[str, str]]) -> Table:
    from rich.table import Table

    grid = Table.grid(padding=(0, GAP, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for label, text in facts:
        grid.add_row(label, text)
    return grid


def _value(estimate: Estimate | None) -> str:
    if estimate is None:
        return "none"
    return "array" if estimate.value is None else f"{estimate.value:.8g}"


def _signed(number: float | None, digits: int) -> str:
    return "" if number is None else "0" if number == 0 else f"{number:+.{digits}g}"


def _percent(number: NumberChange) -> str:
    if number.after is None or number.before is None:
        return "gone" if number.after is None else "new"
    if number.relative is None:
        return ""
    return "0" if number.relative == 0 else f"{100 * number.relative:+.2g} %"


def _word(words: tuple[str, str], arrow: str) -> str:
    before, after = (word.replace("_", " ") for word in words)
    return f"{after} as before" if before == after else f"{before} {arrow} {after}"


def _loss(loss: NumberChange, arrow: str) -> str:
    values = [None if one is None else one.value for one in (loss.before, loss.after)]
    before, after = ("none" if value is None else f"{value:.8g}" for value in values)
    if values[0] == values[1]:
        return f"{after}, to the last bit"
    percent = _percent(loss)
    return f"{before} {arrow} {after}" + (f" ({percent})" if percent else "")


def _groups(changes: FitChanges, arrow: str) -> str:
    before, after = ("none" if one is None else f"{one['converged']:,} of {one['count']:,}" for one in changes.groups)
    return f"{after} as before" if before == after else f"{before} {arrow} {after}"


def _data(changes: FitChanges) -> str:
    if changes.same_data:
        return "the same"
    table = any(one.key == "data_sha256" for one in changes.provenance)
    return "another table" if table else "other rows of the same table"


def _replaced(one: Replacement, arrow: str) -> str:
    before, after = (_plain(value) for value in (one.before, one.after))
    return f"{before} {arrow} {after}"


def _plain(value: Any) -> str:
    text = "none" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
