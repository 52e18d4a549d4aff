"""Which rows of a table are used: those that `where` keeps and that have every entry the fit needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

from fitkit.errors import DataError, Diagnostic
from fitkit.readers.contents import MOST_TOLD, Contents
from fitkit.readers.data import Data
from fitkit.readers.entries import why_not_a_number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fitkit.expressions import Expression

_DROP: Final = "correct it, or write `missing: drop` to leave out such rows"


def select(
    contents: Contents, data: Data, used: Sequence[str], where: Expression | None
) -> tuple[NDArray[np.intp] | None, int]:
    """Return the rows to use, ascending, None for all of them, and how many were left out for a missing entry.

    `where` goes first: what stands in the rows that it excludes is not looked at.

    Raises:
        DataError: a missing entry under `missing: error`, an infinite one, text where `where` needs a number, or no row
            is left.
    """
    import numpy as np

    chosen: NDArray[np.bool_] = np.ones(contents.length, dtype=np.bool_)
    dropped = 0
    if where is not None:
        asked = sorted(set(contents.names) & (where.names | {text.column for text in where.text_comparisons}))
        dropped += _without_missing(contents, asked, chosen, data)
        chosen &= fulfilling(contents, where, chosen)
        if not chosen.any():
            message = f"no row fulfils `where: {data.where}`" if data.where else "no row fulfils `where`"
            hint = f"all {contents.length} rows are excluded; check the condition, and the units of its columns"
            raise DataError(Diagnostic(code="E315", message=message, file=contents.file, help=hint))
    dropped += _without_missing(contents, used, chosen, data)
    if not chosen.any():
        message = f"no row is left: each of the {dropped} rows has a missing entry in a column that is used"
        hint = "leave out a column that is mostly empty, or correct the table"
        raise DataError(Diagnostic(code="E315", message=message, file=contents.file, help=hint))
    labels = data.group_columns
    refuse_infinite(contents, [name for name in used if name not in labels], chosen)
    return None if chosen.all() else np.flatnonzero(chosen), dropped


def _without_missing(contents: Contents, names: Sequence[str], chosen: NDArray[np.bool_], data: Data) -> int:
    """Take rows with a missing entry out of `chosen`, in place, and return their number; or refuse them."""
    if data.missing == "error":
        refuse_missing(contents, names, chosen)
        return 0
    gaps = [contents.columns[name].missing for name in names]
    before = int(chosen.sum())
    for gap in gaps:
        chosen &= ~gap
    return before - int(chosen.sum())


def refuse_missing(contents: Contents, names: Sequence[str], chosen: NDArray[np.bool_]) -> None:
    """Refuse a missing entry in a chosen row.

    Raises:
        DataError: with the places of the first of them.
    """
    import numpy as np

    told: list[Diagnostic] = []
    for name in names:
        gap = contents.columns[name].missing & chosen
        if gap.any():
            told += contents.diagnostics(name, np.flatnonzero(gap).tolist(), "E312", _missing, lambda _: _DROP)
    if told:
        raise DataError(*told[:MOST_TOLD])


def _missing(entry: str) -> str:
    return f"the entry is missing (`{entry}`)" if entry else "the entry is missing"


def fulfilling(contents: Contents, where: Expression, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which of the chosen rows fulfil a condition, shape (rows,)."""
    """Return where the condition holds, shape (rows,); a NaN is no yes."""
    import numpy as np

    from fitkit.expressions import TextComparison, to_numpy

    columns = sorted(where.names & set(contents.names))
    environment: dict[str | TextComparison, Any] = {name: numeric(contents, name, chosen) for name in columns}
    for text in where.text_comparisons:
        equal = contents.columns[text.column].equals(text.value)
        environment[text] = equal if text.operator == "==" else ~equal
    result = to_numpy(where)(environment)
    return np.broadcast_to((result != 0) & (result == result), chosen.shape)


def text_rows(contents: Contents, name: str, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which of the chosen rows have text in the column, neither a number nor missing; shape (rows,)."""
    import numpy as np

    column = contents.columns[name]
    found: NDArray[np.bool_] = np.isnan(column.numbers) & ~column.missing & chosen
    return found


def numeric(contents: Contents, name: str, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the column's numbers, shape (rows,), of use only in the chosen rows.

    Raises:
        DataError: text or an infinite number in a chosen row.
    """
    import numpy as np

    rows = np.flatnonzero(text_rows(contents, name, chosen)).tolist()
    if rows:

        def hint(entry: str) -> str:
            if rows[0] == 0 and not contents.in_file and len(rows) == 1:
                return "if the first line is a header, make `columns` a mapping, {short name: name in the file}"
            return why_not_a_number(entry, contents.decimal, contents.delimiter)

        raise DataError(
            *contents.diagnostics(name, rows, "E310", lambda entry: f"`{_cut(entry)}` is not a number", hint)
        )
    refuse_infinite(contents, [name], chosen)
    return contents.columns[name].numbers


def refuse_infinite(contents: Contents, names: Collection[str], chosen: NDArray[np.bool_]) -> None:
    """Refuse an infinite number in a chosen row of a column of numbers."""
    import numpy as np

    told: list[Diagnostic] = []
    for name in names:
        infinite = np.isinf(contents.columns[name].numbers) & chosen
        if infinite.any() and not text_rows(contents, name, chosen).any():
            rows = np.flatnonzero(infinite).tolist()
            told += contents.diagnostics(
                name, rows, "E311", _infinite, lambda _: "leave out such rows with `where`, or correct them"
            )
    if told:
        raise DataError(*told[:MOST_TOLD])


def _infinite(entry: str) -> str:
    digits = any(character.isdigit() for character in entry)
    return f"`{_cut(entry)}` is too large for a double (1.8e308)" if digits else f"`{entry}` is not a finite number"


def _cut(entry: str) -> str:
    """Shorten a long entry for a message."""
    return entry if len(entry) <= 40 else entry[:37] + "..."
