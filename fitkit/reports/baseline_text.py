"""A batch beside its baseline, as text: what drifted, what is new, what is gone, and what the tolerance means."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from fitkit.comparison import BaselineComparison, Drift


def render(found: BaselineComparison, shown: str, left_out: tuple[str, ...] = (), *, unicode: bool = True) -> str:
    """Return the lines.

    Args:
        found: the comparison.
        shown: the baseline's path.
        left_out: fits that failed, and could not be compared.
        unicode: whether more than ASCII may be written.
    """
    return "\n".join(_lines(found, shown, left_out, "→" if unicode else "->"))


def _lines(found: BaselineComparison, shown: str, left_out: tuple[str, ...], arrow: str) -> Iterator[str]:
    counts = [
        (len(found.drifted), "drifted"),
        (len(found.new), "new"),
        (len(found.gone), "gone"),
        (len(left_out), "not compared"),
    ]
    told = ", ".join(f"{count} {what}" for count, what in counts if count) or "nothing drifted"
    yield f"baseline {shown}: {_counted(found.fits, 'fit')}, {_counted(found.numbers, 'number')} compared: {told}"
    yield textwrap.fill(statement(found), 79, initial_indent="  ", subsequent_indent="  ")
    for name, drifts in found.drifted.items():
        yield f"  drifted  {name}"
        for drift in drifts:
            yield f"    {drift.what.removeprefix('parameters.')}: {drift_line(drift, arrow)}"
    for name in found.unjudged:
        yield f"  unjudged {name}: of other data, and without standard errors"
    for name in found.new:
        yield f"  new      {name}: `--update-baseline` adds it"
    for name in found.gone:
        yield f"  gone     {name}: `--update-baseline` removes it"
    for name in left_out:
        yield f"  failed   {name}: not compared"


def statement(found: BaselineComparison) -> str:
    """Return what the tolerance states."""
    tolerance = found.tolerance
    plain = f"rtol {tolerance.rtol:g}, atol {tolerance.atol:g}"
    if tolerance.within is None:
        return f"allowed: {plain}"
    if not found.shared:
        return f"allowed: {tolerance.within} on the same data, where nothing is random; {plain} without standard errors"
    share = _counted(found.shared, "number")
    return (
        f"allowed: {tolerance.within}, a chance of at most {100 * tolerance.level:.3g} % of a false alarm in the whole batch, "
        f"shared by {share} on other data; {plain} without standard errors"
    )


def drift_line(drift: Drift, arrow: str = "->") -> str:
    """Return what became of what, and by how much it is too much."""
    return f"{_text(drift.before)} {arrow} {_text(drift.after)}: {drift.note}"


def _text(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return (value or "none").replace("_", " ")
    return f"{value:.8g}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
