"""What the config expects, as text: a sentence on what is missed, and the table of expected, found and verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fitkit.result import Expectation

if TYPE_CHECKING:
    from rich.table import Table

GAP = 2
FOLDED = (("verdict", 20), ("expectation", 16), ("expected", 14), ("verdict", 10), ("expectation", 12), ("expected", 8))
"""What a narrow page folds, in this order, and to how many columns; numbers are never cut."""
MOST_NAMED = 5
"""Missed expectations that the sentence names; the table has all."""


def missed_sentence(expectations: tuple[Expectation, ...]) -> str:
    """Return which expectations are not met; nothing where all are."""
    missed = [one.what for one in expectations if not one.passed]
    if not missed:
        return ""
    more = f", and {len(missed) - MOST_NAMED} more" if len(missed) > MOST_NAMED else ""
    return f"Not as expected: {', '.join(missed[:MOST_NAMED])}{more} ({len(missed)} of {len(expectations)})."


def expectation_table(expectations: tuple[Expectation, ...], page: int) -> Table:
    """Return the table for a page of so many columns: names and verdicts are folded where it is narrow."""
    from rich.table import Table

    columns = {
        "expectation": [one.what for one in expectations],
        "expected": [one.expected for one in expectations],
        "found": [found_text(one) for one in expectations],
        "verdict": [_verdict(one) for one in expectations],
    }
    widths = {header: max(map(len, (header, *cells))) for header, cells in columns.items()}
    for header, least in FOLDED:
        spare = sum(widths.values()) + GAP * (len(widths) - 1) - page
        widths[header] -= max(0, min(spare, widths[header] - min(least, widths[header])))
    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", pad_edge=False)
    for header, width in widths.items():
        table.add_column(header, justify="right" if header == "found" else "left", overflow="fold", width=width)
    for one, row in zip(expectations, zip(*columns.values(), strict=True), strict=True):
        table.add_row(*row, style=None if one.passed else "red")
    return table


def found_text(one: Expectation) -> str:
    """Return what was found, as the table shows it."""
    if one.found is None or isinstance(one.found, str):
        return (one.found or "nothing").replace("_", " ")
    return f"{one.found:.8g}"


def _verdict(one: Expectation) -> str:
    return "met" if one.passed else f"missed: {one.note}" if one.note else "missed"
