"""The `data:` section of a config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias, final

from annotated_types import Len

from fitkit.component import Component
from fitkit.types import Count

Character: TypeAlias = Annotated[str, Len(1, 1)]
"""A text of one character."""


@final
@dataclass(frozen=True, kw_only=True)
class Data(Component):
    """Where the table is and how it is read."""

    path: str | None = None
    """The file, relative to the config's folder; `-` reads CSV from standard input. The extension says the format:
    .csv, .tsv, .txt or .dat (each also with .gz), .parquet, .npz or .npy."""
    columns: dict[str, str] | list[str] | None = None
    """Short names for columns, `{t: "Time (s)"}`, the others keep the file's; or, for a file without a header, the list
    of all names, `[t, counts]`."""
    delimiter: Character | None = None
    """The character between fields. By default a comma in .csv, a tab in .tsv and any run of blanks in .txt and .dat; a
    blank means any run of blanks."""
    decimal: Literal[".", ","] = "."
    """The decimal mark."""
    comment: str | None = "#"
    """Lines that begin with this are skipped; in blank-separated text also the rest of a line after it."""
    skip: Count = 0
    """Lines to skip at the top of the file, before the header."""
    sigma: str | float | None = None
    """The absolute standard error of the target: a column, or one number above zero for all rows."""
    weights: str | None = None
    """The column of relative row weights, zero or above."""
    where: str | None = None
    """The rows to use, as a condition on columns: `t > 0.5 and state == 'treated'`."""
    missing: Literal["error", "drop"] = "error"
    """What a missing entry (empty, NA, NaN, null) in a column in use does: `error`, or `drop` to leave out the row."""
    group_by: str | list[str] | None = None
    """The column, or columns, that tell the groups apart, each of which is fitted by itself. Rows with entries that are
    written alike belong together, wherever they stand."""
    validation: float | str | None = None
    """Rows that are held out, on which the loss is told beside that of the fit: a share of the table, drawn by the seed
    (`0.2`), or the path of another table."""
    values: dict[str, list[float | str | None]] | None = None
    """The table itself, instead of a path: `{x: [1, 2, 3], y: [0, 1, 2]}`."""

    @property
    def group_columns(self) -> tuple[str, ...]:
        """The columns that tell groups apart, none where there is one fit of all rows."""
        if self.group_by is None:
            return ()
        return (self.group_by,) if isinstance(self.group_by, str) else tuple(self.group_by)
