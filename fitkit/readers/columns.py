"""The entries of one column, held as text, as numbers, or as text in polars: three ways behind one interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, final

from fitkit.readers.entries import is_missing, number

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray


class Column(Protocol):
    """Abstract: the entries of one column, one per row."""

    def __len__(self) -> int: ...

    @property
    def numbers(self) -> NDArray[np.float64]:
        """The values, shape (rows,); NaN where an entry is missing or text, infinite where it is not finite."""

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Where an entry is missing, shape (rows,)."""

    def texts(self) -> list[str]:
        """Return the entries as they were written."""

    def entry(self, row: int) -> str:
        """Return one entry as it was written."""

    def equals(self, text: str) -> NDArray[np.bool_]:
        """Return where the entry, as it was written, is `text`; shape (rows,)."""

    def take(self, rows: NDArray[np.intp]) -> Column:
        """Return the column of only these rows."""

    def labels(self) -> pl.Series:
        """Return what tells rows apart: the entries as they were written, or the numbers of a format that holds numbers."""


@final
class WrittenColumn:
    """Entries kept as they were written, in a small text file.

    Args:
        entries: one per row.
        decimal: the decimal mark, `.` or `,`.
    """

    def __init__(self, entries: list[str], decimal: str) -> None:
        self._entries = entries
        self._decimal = decimal

    def __len__(self) -> int:
        return len(self._entries)

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """The values."""
        import numpy as np

        return np.array([number(entry, self._decimal) for entry in self._entries], dtype=np.float64)

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """Where an entry is missing."""
        import numpy as np

        found = np.isnan(self.numbers)
        for row in np.flatnonzero(found):
            found[row] = is_missing(self._entries[row])
        return found

    def texts(self) -> list[str]:
        """Return the entries as they were written."""
        return list(self._entries)

    def entry(self, row: int) -> str:
        """Return one entry as it was written."""
        return self._entries[row]

    def equals(self, text: str) -> NDArray[np.bool_]:
        """Return where the entry is `text`."""
        return _equal(self._entries, text)

    def take(self, rows: NDArray[np.intp]) -> WrittenColumn:
        """Return the column of only these rows."""
        return WrittenColumn([self._entries[row] for row in rows.tolist()], self._decimal)

    def labels(self) -> pl.Series:
        """Return the entries as they were written."""
        import polars as pl

        return pl.Series(self._entries, dtype=pl.String())


@final
class NumberColumn:
    """Numbers, from a format that holds numbers or from a large text file.

    Args:
        numbers: shape (rows,); NaN is missing.
        written: returns the entries as they were written; by default the shortest decimals that give the numbers.
    """

    def __init__(self, numbers: NDArray[np.float64], written: Callable[[], Sequence[str]] | None = None) -> None:
        self._numbers = numbers
        self._written = written

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def numbers(self) -> NDArray[np.float64]:
        """The values."""
        return self._numbers

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """Where the number is NaN."""
        import numpy as np

        return np.isnan(self._numbers)

    def texts(self) -> list[str]:
        """Return the entries as they were written."""
        return (
            list(self._written())
            if self._written is not None
            else [shortest(value) for value in self._numbers.tolist()]
        )

    def entry(self, row: int) -> str:
        """Return one entry in the shortest decimals."""
        return shortest(float(self._numbers[row]))

    def equals(self, text: str) -> NDArray[np.bool_]:
        """Return where the entry, as it was written, is `text`."""
        return _equal(self.texts(), text)

    def take(self, rows: NDArray[np.intp]) -> NumberColumn:
        """Return the column of only these rows."""
        written = self._written
        if written is None:
            return NumberColumn(self._numbers[rows])

        def chosen() -> list[str]:
            whole = written()
            return [whole[row] for row in rows.tolist()]

        return NumberColumn(self._numbers[rows], chosen)

    def labels(self) -> pl.Series:
        """Return the numbers."""
        import polars as pl

        return pl.Series(self._numbers)


@final
class SeriesColumn:
    """Text in a polars series, null where missing, from a large text file or from Parquet."""

    def __init__(self, series: pl.Series, decimal: str = ".") -> None:
        self._series = series
        self._decimal = decimal

    def __len__(self) -> int:
        return len(self._series)

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """The values, worked out once for each distinct text: labels are few, rows are many."""
        import polars as pl

        distinct = self._series.drop_nulls().unique()
        worth = [number(entry, self._decimal) for entry in distinct]
        series = self._series.replace_strict(distinct, worth, default=float("nan"), return_dtype=pl.Float64)
        found: NDArray[np.float64] = series.to_numpy()
        return found

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """Where an entry is missing."""
        distinct = self._series.unique()
        spelled = [entry for entry in distinct if entry is not None and is_missing(entry)]
        gaps = self._series.is_null()
        found: NDArray[np.bool_] = (gaps | self._series.is_in(spelled) if spelled else gaps).to_numpy()
        return found

    def texts(self) -> list[str]:
        """Return the entries as they were written, empty where there is none."""
        entries: list[Any] = self._series.fill_null("").to_list()
        return entries

    def entry(self, row: int) -> str:
        """Return one entry as it was written."""
        return self._series[row] or ""

    def equals(self, text: str) -> NDArray[np.bool_]:
        """Return where the entry is `text`."""
        found: NDArray[np.bool_] = (self._series.fill_null("") == text).to_numpy()
        return found

    def take(self, rows: NDArray[np.intp]) -> SeriesColumn:
        """Return the column of only these rows."""
        return SeriesColumn(self._series.gather(rows), self._decimal)

    def labels(self) -> pl.Series:
        """Return the entries as they were written."""
        return self._series


def shortest(value: float) -> str:
    """Return the shortest text that reads back as the number, whole numbers without a point, NaN as nothing."""
    if value != value:
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 1e16 else repr(value)


def _equal(entries: Sequence[str], text: str) -> NDArray[np.bool_]:
    import numpy as np

    return np.fromiter((entry == text for entry in entries), dtype=np.bool_, count=len(entries))
