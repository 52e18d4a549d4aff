"""What changed between two runs, or two batches, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fitkit.comparison import Estimate
from fitkit.comparison.changes import Comparison, FitChanges, NumberChange, Replacement
from fitkit.reports.text import TextStyle

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

GAP = 2
MOST_KEYS = 20
"""Keys of the config that are told; `--json` has all."""


def render(comparison: Comparison, style: TextStyle) -> str:
    """Return the comparison: of one fit in full, of several a line for each that changed."""
    import io

    from rich.console import Console

    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=style.width,
        force_terminal=style.color,
        color_system="standard" if style.color else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
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
        console.print(_parameters(changes))
    console.print()
    facts = [("status", _word(changes.status, arrow)), ("loss", _loss(changes.loss, arrow)), ("data", _data(changes))]
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
        console.print(_summary(changed, arrow))
    for changes in comparison.fits if verbose else ():
        console.print()
        console.print(changes.name, style="bold")
        _print_fit(console, changes, arrow)
    console.print()
    same = len(comparison.fits) - len(changed)
    facts = [("fits", f"{len(comparison.fits)} in both, {same} unchanged to the last bit")]
    facts += [("new", name) for name in comparison.new] + [("gone", name) for name in comparison.gone]
    console.print(_grid(facts))


def _parameters(changes: FitChanges) -> Table:
    """Return the table of parameters, a line for each."""
    numbers = changes.parameters.values()
    unit = "in the smaller error" if changes.same_data else "in combined errors"
    columns = {
        "parameter": list(changes.parameters),
        "before": [_value(number.before) for number in numbers],
        "after": [_value(number.after) for number in numbers],
        "change": [_signed(number.change, 4) for number in numbers],
        "relative": [_percent(number) for number in numbers],
        unit: [_signed(number.standard_errors, 3) for number in numbers],
    }
    return _table(columns, left=("parameter",))


def _summary(changed: list[FitChanges], arrow: str) -> Table:
    """Return the table of fits: how each ended, its loss, and the parameter that changed most."""
    largest = [changes.largest for changes in changed]
    columns = {
        "fit": [changes.name for changes in changed],
        "status": [_word(changes.status, arrow) for changes in changed],
        "loss": [_percent(changes.loss) for changes in changed],
        "most changed": ["" if one is None else one[0] for one in largest],
        "relative": ["" if one is None else _percent(one[1]) for one in largest],
        "errors": ["" if one is None else _signed(one[1].standard_errors, 3) for one in largest],
    }
    return _table(columns, left=("fit", "status", "most changed"))


def _table(columns: dict[str, list[str]], left: tuple[str, ...]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", pad_edge=False)
    for header in columns:
        folded = header in left
        table.add_column(header, justify="left" if folded else "right", overflow="fold", no_wrap=not folded)
    for row in zip(*columns.values(), strict=True):
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


def _data(changes: FitChanges) -> str:
    if changes.same_data:
        return "the same"
    table = any(one.key == "data_sha256" for one in changes.provenance)
    return "another table" if table else "other rows of the same table"


def _replaced(one: Replacement, arrow: str) -> str:
    before, after = (_plain(value) for value in (one.before, one.after))
    return f"{before} {arrow} {after}"


def _plain(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
