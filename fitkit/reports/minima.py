"""The minima that many starts led to, as text: a line for all, and a table of the lowest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.result import MultistartSummary

if TYPE_CHECKING:
    from rich.table import Table

MOST_SHOWN = 5
"""Minima in the table; `--json` has all."""
GAP = 2


def minima_sentence(summary: MultistartSummary) -> str:
    """Return how many starts ended in how many minima."""
    minima = len(summary.minima)
    places = f"{minima} distinct minima" if minima != 1 else "one minimum"
    return f"{summary.starts} ({summary.method}), of which {summary.converged} converged to {places}"


def minima_table(summary: MultistartSummary, page: int) -> Table:
    """Return the table of the lowest minima, with as many parameters as a page of so many columns holds."""
    from rich.table import Table

    shown = summary.minima[:MOST_SHOWN]
    columns = [("loss", [f"{one.loss:.8g}" for one in shown]), ("starts", [str(one.count) for one in shown])]
    columns += [(name, [f"{one.parameters[name]:.5g}" for one in shown]) for name in summary.names]
    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", pad_edge=False)
    left = page
    for header, cells in columns:
        width = max(map(len, (header, *cells)))
        if width > left:
            break
        left -= width + GAP
        table.add_column(header, justify="right", no_wrap=True, width=width)
    for row in zip(*(cells for _, cells in columns[: len(table.columns)]), strict=True):
        table.add_row(*row)
    return table
