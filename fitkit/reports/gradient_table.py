"""The table of a gradient check: autodiff beside the numerical derivative, line by line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from fitkit.gradient_check import Check, GradientReport, Severity, Verdict

GAP = "  "
MOST_PASSED = 24
"""How many lines that passed a short table shows: those with the fewest digits."""
DISPENSABLE = ("tol", "digits", "± E", "+- E")
"""What a narrow page goes without, in this order."""
_LONG = ("slope", "h*", "noise")


@final
@dataclass(frozen=True)
class Row:
    """One line of the table, and what its verdict does to the check."""

    text: str
    severity: Severity | None


def table(report: GradientReport, width: int | None, *, unicode: bool) -> list[Row]:
    """Return the table, its header first.

    Args:
        report: the check.
        width: the columns of the page, which fewer columns then fit; None for everything, however wide.
        unicode: whether more than ASCII may be used.
    """
    shown = report.checks if width is None else _worst(report)
    if not shown:
        return []
    columns = _columns(shown, unicode=unicode)
    if width is not None:
        columns = {name: cells for name, cells in columns.items() if name not in _LONG}
        for name in DISPENSABLE:
            if _width(columns) > width:
                columns.pop(name, None)
        for name in ("direction", "point"):
            _shorten(columns, name, width)
    rows = [Row(_line(columns, None), None)]
    alone = len({check.parameter for check in report.checks} - {None}) < 2
    for index, check in enumerate(shown):
        severity = report.severity(check.verdict)
        rows.append(Row(_line(columns, index), severity))
        note = "; ".join(_notes(check, alone=alone))
        if note:
            rows += [Row(line, severity) for line in wrapped(note, width, "    ")]
    left = len(report.checks) - len(shown)
    if left:
        rows.append(Row(f"... and {left} more that pass; --verbose shows them", None))
    return rows


def wrapped(text: str, width: int | None, indent: str) -> list[str]:
    """Return text in lines that a page of `width` columns holds, each after `indent`."""
    import textwrap

    if width is None:
        return [indent + text]
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent) or [indent]


def _worst(report: GradientReport) -> tuple[Check, ...]:
    """Return the lines in order, of those that pass only the ones with the fewest digits."""
    passed = [index for index, check in enumerate(report.checks) if check.verdict is Verdict.PASS]
    ranked = sorted(passed, key=lambda index: (_or(report.checks[index].digits, math.inf), index))
    left_out = set(ranked[MOST_PASSED:])
    return tuple(check for index, check in enumerate(report.checks) if index not in left_out)


def _columns(checks: tuple[Check, ...], *, unicode: bool) -> dict[str, list[str]]:
    return {
        "point": [check.point for check in checks],
        "direction": [check.direction for check in checks],
        "AD": [_number(check.autodiff, 6) for check in checks],
        "FD": [_number(check.numerical, 6) for check in checks],
        "± E" if unicode else "+- E": [_number(check.error_estimate, 1) for check in checks],
        "tol": [_number(check.tolerance, 1) for check in checks],
        "digits": [_digits(check) for check in checks],
        "slope": [_number(check.slope, 3) for check in checks],
        "h*": [_number(check.step, 2) for check in checks],
        "noise": [_number(check.noise, 1) for check in checks],
        "verdict": [str(check.verdict) for check in checks],
    }


def _digits(check: Check) -> str:
    """Return digits that agree / digits that could have been seen to differ."""
    return "" if math.isnan(check.digits) else f"{int(check.digits)}/{int(_or(check.resolvable_digits, 0))}"


def _notes(check: Check, *, alone: bool) -> list[str]:
    """Return what a line needs to be said of it; `alone` if no other parameter could be meant."""
    told = alone or check.parameter is None or check.direction.partition(",")[0] == check.parameter
    notes = [] if told else [f"in `{check.parameter}`"]
    if not math.isnan(check.left) and not math.isnan(check.right):
        notes.append(f"slopes {check.left:.5g} on the left, {check.right:.5g} on the right")
    return [*notes, check.note] if check.note else notes


def _number(value: float, digits: int) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}g}"


def _or(value: float, otherwise: float) -> float:
    return otherwise if math.isnan(value) else value


def _line(columns: dict[str, list[str]], index: int | None) -> str:
    cells = []
    for name, column in columns.items():
        natural = max(map(len, (name, *column)))
        cell = name if index is None else column[index]
        cells.append(cell.ljust(natural) if name in {"point", "direction", "verdict"} else cell.rjust(natural))
    return GAP.join(cells).rstrip()


def _width(columns: dict[str, list[str]]) -> int:
    return sum(max(map(len, (name, *cells))) for name, cells in columns.items()) + len(GAP) * (len(columns) - 1)


def _shorten(columns: dict[str, list[str]], name: str, width: int) -> None:
    """Cut what does not fit out of the middle of long names."""
    excess = _width(columns) - width
    if excess <= 0:
        return
    most = max(len(name), max(map(len, columns[name])) - excess, 8)
    columns[name] = [_cut(cell, most) for cell in columns[name]]


def _cut(cell: str, most: int) -> str:
    if len(cell) <= most:
        return cell
    head = (most - 2) // 2
    return f"{cell[:head]}..{cell[len(cell) - (most - 2 - head) :]}"
