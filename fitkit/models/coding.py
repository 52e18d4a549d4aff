"""How columns become numbers: as they stand, or, of texts, as 1 and 0 for each level but the first.

The levels of a categorical column are sorted, as numbers where all are, and the first is the baseline that the others differ
from: `color` with the levels blue, green and red becomes `color=green` and `color=red`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from fitkit.errors import DataError, one_of
from fitkit.readers import Table
from fitkit.readers.entries import is_number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Codes = NDArray[np.int64]
    Truths = NDArray[np.bool_]


@final
@dataclass(frozen=True, kw_only=True)
class Levels:
    """The different entries of a column, sorted, written as in the table."""

    names: tuple[str, ...]
    numbers: tuple[float, ...] | None
    """What they are worth, where all are numbers: then `1` and `1.0` are one level."""

    def codes(self, table: Table, column: str) -> Codes:
        """Return the place of each row's entry among the levels, shape (rows,); -1 where it is none of them."""
        import numpy as np

        if self.numbers is None:
            places = {name: place for place, name in enumerate(self.names)}
            return np.array([places.get(entry.strip(" \t"), -1) for entry in table.text(column)], np.int64)
        known = np.array(self.numbers)
        if table.is_text(column):
            entries = [float(entry) if is_number(entry) else np.nan for entry in table.text(column)]
            values = np.array(entries, np.float64)
        else:
            values = table.numeric(column)
        found = np.minimum(np.searchsorted(known, values), len(known) - 1)
        return np.where(known[found] == values, found, -1)

    def as_json(self) -> dict[str, Any]:
        """Return the levels as JSON has them."""
        return {"levels": list(self.names), "numbers": None if self.numbers is None else list(self.numbers)}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Levels:
        """Return the levels that `as_json` told."""
        return cls(names=tuple(told["levels"]), numbers=None if told["numbers"] is None else tuple(told["numbers"]))


def levels_of(table: Table, column: str, counted: Truths | None = None) -> Levels:
    """Return the levels of a column, of the rows that are `counted`, shape (rows,), or of all."""
    import numpy as np

    entries = [entry.strip(" \t") for entry in table.text(column)]
    places = np.arange(len(entries)) if counted is None else np.flatnonzero(counted)
    if table.is_text(column):
        return Levels(names=tuple(sorted({entries[row] for row in places.tolist()})), numbers=None)
    values, first = np.unique(table.numeric(column)[places], return_index=True)
    return Levels(names=tuple(entries[row] for row in places[first].tolist()), numbers=tuple(values.tolist()))


@final
@dataclass(frozen=True, kw_only=True)
class CodedColumn:
    """A column of the table as the numbers that a model weighs."""

    name: str
    levels: Levels | None
    """None for a column of numbers."""

    def as_json(self) -> dict[str, Any]:
        """Return the coding as JSON has it."""
        told = {"levels": None, "numbers": None} if self.levels is None else self.levels.as_json()
        return {"name": self.name, **told}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> CodedColumn:
        """Return the coding that `as_json` told."""
        return cls(name=told["name"], levels=None if told["levels"] is None else Levels.from_json(told))

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the numbers."""
        if self.levels is None:
            return (self.name,)
        return tuple(f"{self.name}={level}" for level in self.levels.names[1:])

    def numbers(self, table: Table) -> Matrix:
        """Return them for every row, shape (rows, features).

        Raises:
            DataError: a level that was not there when the model was fitted.
        """
        import numpy as np

        if self.levels is None:
            return table.numeric(self.name)[:, None]
        codes = self.levels.codes(table, self.name)
        strange = np.flatnonzero(codes < 0).tolist()
        if strange:
            way_out = one_of(self.levels.names[:20]).replace("one of", "the model was fitted to")
            raise DataError(*table.diagnostics(self.name, strange, "E324", _unseen, lambda _: way_out))
        return np.asarray(codes[:, None] == np.arange(1, len(self.levels.names)), np.float64)


def _unseen(entry: str) -> str:
    return f"`{entry}` is a category that the model has not seen"


def coded_column(table: Table, name: str, *, categorical: bool) -> CodedColumn:
    """Return how a column is coded: by its levels, if it is `categorical` or has a text in it."""
    return CodedColumn(name=name, levels=levels_of(table, name) if categorical or table.is_text(name) else None)


def moments(matrix: Matrix, weight: Vector) -> tuple[Vector, Vector, Truths]:
    """Return the weighted mean of each column, its deviation, and which columns are the same in every row that counts.

    Of such a column the value itself is the mean, and the deviation one. All have the shape (columns,); the rows' weights
    need not sum to one, and those of weight zero are not looked at.
    """
    import numpy as np

    share, counted = weight / weight.sum(), matrix[weight > 0]
    center = share @ matrix
    deviation = np.sqrt(share @ (matrix - center) ** 2)
    constant = (counted == counted[:1]).all(axis=0)
    return np.where(constant, counted[0], center), np.where(constant, 1.0, deviation), constant


def design(table: Table, columns: tuple[CodedColumn, ...]) -> Matrix:
    """Return the numbers of all columns side by side, shape (rows, features)."""
    import numpy as np

    return np.hstack([column.numbers(table) for column in columns] or [np.zeros((len(table), 0))])
