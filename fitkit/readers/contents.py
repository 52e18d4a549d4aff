"""What a reader returns, whatever the format: the columns that are needed, and a way back to each entry's place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, final

from fitkit.errors import Diagnostic
from fitkit.readers.columns import Column
from fitkit.readers.records import Place

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_TOLD: Final = 20
"""Mistakes of one kind that are told one by one."""


def nowhere(rows: Sequence[int], index: int) -> list[Place]:
    """Return no places: the format has no lines."""
    del index
    return [Place() for _ in rows]


@final
@dataclass(frozen=True, kw_only=True)
class Contents:
    """The rows of a table, of the columns that are needed.

    `file` is the name users see, `names` all short names in file order, `columns` those that were read, `length` the
    number of rows; `places(rows, index)` finds entries of the file's column `index`; `sha256` is of the file's bytes;
    `delimiter` and `decimal` say how text was cut, and `in_file` whether the names stand in the file. `chosen` are the
    file's rows that these are, where they are not all.
    """

    file: str
    names: tuple[str, ...]
    columns: Mapping[str, Column]
    length: int
    sha256: str
    places: Callable[[Sequence[int], int], list[Place]] = nowhere
    delimiter: str | None = None
    decimal: str = "."
    in_file: bool = True
    chosen: NDArray[np.intp] | None = None

    def take(self, rows: NDArray[np.intp]) -> Contents:
        """Return only these rows."""
        columns = {name: column.take(rows) for name, column in self.columns.items()}
        chosen = rows if self.chosen is None else self.chosen[rows]
        return replace(self, columns=columns, length=len(rows), chosen=chosen)

    def in_source(self, row: int) -> int:
        """Return which row of the file, from 0, is row `row` here."""
        return row if self.chosen is None else int(self.chosen[row])

    def place(self, row: int, name: str) -> Place:
        """Return where an entry stands."""
        return self.places([self.in_source(row)], self.names.index(name))[0]

    def diagnostics(
        self,
        name: str,
        rows: Sequence[int],
        code: str,
        tell: Callable[[str], str],
        hint: Callable[[str], str | None],
    ) -> list[Diagnostic]:
        """Return one diagnostic for each of the first rows at fault in column `name`.

        Args:
            name: the column.
            rows: the rows at fault, ascending from 0, not empty.
            code: the code of the mistake.
            tell: says what is wrong with an entry, given its text.
            hint: says the way out, given its text.
        """
        shown = list(rows[:MOST_TOLD])
        column = self.columns[name]
        more = f" ({len(rows)} such entries in all)" if len(rows) > 1 else ""
        told = []
        places = self.places([self.in_source(row) for row in shown], self.names.index(name))
        for row, place in zip(shown, places, strict=True):
            entry = column.entry(row).strip()
            told.append(
                Diagnostic(
                    code=code,
                    message=f"row {self.in_source(row) + 1} of column `{name}`: {tell(entry)}{more}",
                    file=self.file,
                    line=place.line,
                    column=place.column,
                    length=place.length,
                    source=place.source,
                    help=hint(entry),
                )
            )
            more = ""
        return told
