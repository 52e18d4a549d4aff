"""What the text report says of many fits: how many converged, which did not and why, and how parameters are distributed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fitkit.result import Distribution, GroupsLeft, GroupsSummary, OneGroup, Result, Status

if TYPE_CHECKING:
    from rich.table import Table

BLOCKS: Final = " ▁▂▃▄▅▆▇█"
MARKS: Final = " .:-=+*#@"
"""The same heights where there is only ASCII."""
GAP: Final = 2
NARROWEST: Final = len("distribution")
"""Columns of a histogram at least."""
DISPENSABLE: Final = ("error", "quartiles")
"""What a narrow page goes without, in this order."""


def group_facts(result: Result) -> list[tuple[str, str]]:
    """Return what there is to say of the groups beside their parameters."""
    groups = result.groups
    if groups is None:
        return []
    low, high = groups.sizes
    rows = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    facts = [("groups", f"{groups.count:,} by {', '.join(groups.by)}, of {rows} rows; {groups.converged:,} converged")]
    if groups.alone:
        which = "1 group" if groups.alone == 1 else f"{groups.alone:,} groups"
        facts.append(("one by one", f"{which}, for which a batch could not vouch"))
    facts += [(f"{left.reason}", _left(left)) for left in groups.left]
    if groups.file is not None:
        facts.append(("table", f"a row for each group in {groups.file}"))
    return facts


def _left(left: GroupsLeft) -> str:
    names = ", ".join(left.first)
    return (
        f"1 group, {names}: {left.message}"
        if left.count == 1
        else f"{left.count:,} groups, first {names}: {left.message}"
    )


def groups_table(groups: GroupsSummary, page: int, *, unicode: bool) -> Table | None:
    """Return a table of the groups where they are few and fit on a page of so many columns, else of distributions."""
    if groups.each:
        for with_errors in (True, False):
            columns = _columns_of_each(groups, with_errors=with_errors)
            if sum(max(map(len, (name, *cells))) + GAP for name, cells in columns.items()) - GAP <= page:
                return _table_of(columns)
    if not groups.distributions:
        return None
    return distribution_table(groups.distributions, page, unicode=unicode)


def _columns_of_each(groups: GroupsSummary, *, with_errors: bool) -> dict[str, list[str]]:
    columns = {"/".join(groups.by): [one.name for one in groups.each]}
    for name in groups.each[0].values:
        columns[name] = [_value(one, name, with_errors=with_errors) for one in groups.each]
    notes = ["" if one.status is Status.CONVERGED else one.reason for one in groups.each]
    return columns | ({"notes": notes} if any(notes) else {})


def _value(one: OneGroup, name: str, *, with_errors: bool) -> str:
    value, error = one.values[name], one.errors[name]
    if value is None:
        return ""
    return f"{value:#.5g} +- {_two_digits(error)}" if with_errors and error is not None else f"{value:#.5g}"


def _two_digits(error: float) -> str:
    """Return an error to two digits, whole where it has more before its point."""
    return f"{error:.0f}" if 99.5 <= error < 99_999.5 else f"{error:.2g}"


def _table_of(columns: dict[str, list[str]]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=True)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return table


def distribution_table(distributions: dict[str, Distribution], page: int, *, unicode: bool) -> Table:
    """Return the table of the parameters' distributions over the groups that converged, for a page of so many columns."""
    from rich.table import Table

    each = list(distributions.values())
    columns = {
        "parameter": list(distributions),
        "median": [_short(one.quantiles[2]) for one in each],
        "error": ["" if one.error is None else _short(one.error) for one in each],
        "quartiles": [f"{_short(one.quantiles[1])} .. {_short(one.quantiles[3])}" for one in each],
        "from": [_short(one.edges[0]) for one in each],
        "to": [_short(one.edges[1]) for one in each],
    }
    for kind in DISPENSABLE:
        if _left_over(columns, page) < NARROWEST or not any(columns[kind]):
            del columns[kind]
    bins = max(NARROWEST, _left_over(columns, page))
    table = Table(box=None, padding=(0, GAP, 0, 0), header_style="dim", pad_edge=False)
    pictures = [histogram(one.histogram, bins, unicode=unicode) for one in each]
    for name in columns:
        if name == "to":
            table.add_column("distribution", no_wrap=True)
        table.add_column(name, justify="left" if name in {"parameter", "to"} else "right", overflow="fold")
    ends = list(columns)
    for place, picture in enumerate(pictures):
        cells = [columns[name][place] for name in ends]
        table.add_row(*cells[:-1], picture, cells[-1])
    return table


def _short(value: float) -> str:
    return f"{value:.4g}"


def _left_over(columns: dict[str, list[str]], page: int) -> int:
    """Return how wide a histogram may be beside the columns."""
    return page - sum(max(len(name), *map(len, cells)) + GAP for name, cells in columns.items())


def histogram(counts: tuple[int, ...], width: int, *, unicode: bool) -> str:
    """Return counts as a row of bars, of at most so many; anything but nothing is seen."""
    if not counts:
        return "all alike"[:width]
    merge = -(-len(counts) // width)
    sums = [sum(counts[begin : begin + merge]) for begin in range(0, len(counts), merge)]
    marks = BLOCKS if unicode else MARKS
    most, top = max(sums), len(marks) - 1
    return "".join(marks[0 if count == 0 else max(1, round(top * count / most))] for count in sums)
