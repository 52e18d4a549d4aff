"""The table of constraints, as many of its columns as the page holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.result import ConstraintSummary

if TYPE_CHECKING:
    from rich.table import Table

GAP = 2
LEAST_NAME = 16
"""Columns that the expression keeps on any page; the rest of it goes onto further lines."""


def constraint_table(constraints: tuple[ConstraintSummary, ...], page: int) -> Table:
    """Return the table: the constraint as written, its sides, violation and multiplier, for a page of so many columns."""
    from rich.table import Table

    columns = [
        ("value", [_number(one.value) for one in constraints]),
        ("limit", [_number(one.limit) for one in constraints]),
        ("violation", [_number(one.violation, 2) for one in constraints]),
        ("multiplier", [_number(one.multiplier, 5) for one in constraints]),
        ("notes", ["active" if one.active else "broken" if one.violation else "" for one in constraints]),
    ]
    widths = [max(map(len, (header, *cells))) for header, cells in columns]
    longest = max(map(len, ("constraint", *(one.constraint for one in constraints))))
    first = max(LEAST_NAME, min(longest, page - sum(widths) - GAP * len(widths)))
    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("constraint", overflow="fold", width=first)
    for (header, _), width in zip(columns, widths, strict=True):
        table.add_column(header, justify="left" if header == "notes" else "right", overflow="fold", width=width)
    for one, row in zip(constraints, zip(*(cells for _, cells in columns), strict=True), strict=True):
        table.add_row(one.constraint, *row)
    return table


def _number(value: float | None, digits: int = 7) -> str:
    return "" if value is None else f"{value:.{digits}g}"
