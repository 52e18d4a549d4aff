"""The table of parameters: value, error, interval, bounds and notes, as many of them as the page holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from fitkit.result import FittedParameter, Result

if TYPE_CHECKING:
    from rich.table import Table

GAP = 2
DISPENSABLE = ("bounds", "interval")
"""What a narrow page goes without, in this order: the bounds stand in the config, the interval follows from the error."""
WORDS = {"at_bound": "at its bound", "not_identified": "not identified"}


@final
@dataclass(frozen=True)
class _Column:
    kind: str
    header: str
    cells: list[str]
    justify: Literal["left", "right"] = "left"

    @property
    def natural(self) -> int:
        return max(map(len, (self.header, *self.cells)))

    def least(self, page: int) -> int:
        """Return the fewest columns that it can be read in: names and notes may be folded, numbers may not."""
        share = {"parameter": 3 * page // 10, "notes": page // 5}.get(self.kind)
        return self.natural if share is None else min(self.natural, max(len(self.header), share))


def parameter_table(result: Result, page: int) -> Table:
    """Return the table, in the order of the config, for a page of so many columns."""
    from rich.table import Table

    columns = [column for column in _columns(result) if any(column.cells)]
    for kind in DISPENSABLE:
        if _width([column.least(page) for column in columns]) > page:
            columns = [column for column in columns if column.kind != kind]
    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", pad_edge=False)
    for column, width in zip(columns, _widths(columns, page), strict=True):
        table.add_column(column.header, justify=column.justify, overflow="fold", width=width)
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*row)
    return table


def _columns(result: Result) -> list[_Column]:
    parameters = result.parameters.values()
    level = 0 if result.uncertainty is None else result.uncertainty.level or 0
    values = [_value(p) for p in parameters]
    return [
        _Column("parameter", "parameter", list(result.parameters)),
        _Column("value", "value", values, "right"),
        _Column("error", "error", [_significant(p.error, 4) for p in parameters], "right"),
        _Column("interval", f"{100 * level:g} % interval", [_interval(p.interval) for p in parameters]),
        _Column("bounds", "bounds", [_bounds(p) for p in parameters]),
        _Column("notes", "notes", [_notes(p) for p in parameters]),
    ]


def _value(parameter: FittedParameter) -> str:
    if parameter.shape is not None:
        return " x ".join(map(str, parameter.shape)) + " numbers"
    return _significant(parameter.value, _digits(parameter.value, parameter.error, 8))


def _widths(columns: list[_Column], page: int) -> list[int]:
    """Return the widths of the columns: what is too much is taken from the widest that may be folded, at last from any."""
    widths = [column.natural for column in columns]
    for least in ([column.least(page) for column in columns], [1] * len(columns)):
        while _width(widths) > page and any(width > limit for width, limit in zip(widths, least, strict=True)):
            spare = [width if width > limit else 0 for width, limit in zip(widths, least, strict=True)]
            widths[spare.index(max(spare))] -= 1
    return widths


def _width(widths: list[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _significant(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}g}"


def _digits(value: float, error: float | None, least: int) -> int:
    """Return how many digits a value needs for its error to be seen in the last three, at least `least`."""
    if not value or not error or not math.isfinite(value / error):
        return least
    return max(least, min(15, 3 + math.ceil(math.log10(abs(value / error)))))


def _interval(interval: tuple[float | None, float | None] | None) -> str:
    if interval is None or interval == (None, None):
        return ""
    low, high = interval
    if low is None:
        return f"below {high:.5g}"
    if high is None:
        return f"above {low:.5g}"
    digits = _digits(max(abs(low), abs(high)), (high - low) / 4, 5)
    return f"[{low:.{digits}g}, {high:.{digits}g}]"


def _bounds(parameter: FittedParameter) -> str:
    if parameter.min is None and parameter.max is None:
        return ""
    if parameter.max is None:
        return f">= {parameter.min:g}"
    if parameter.min is None:
        return f"<= {parameter.max:g}"
    return f"{parameter.min:g} .. {parameter.max:g}"


def _notes(parameter: FittedParameter) -> str:
    return ", ".join(f"= {parameter.tied}" if flag == "tied" else WORDS.get(flag, flag) for flag in parameter.flags)
