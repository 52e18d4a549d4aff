"""Which fit of a saved run a row of another table belongs to, by what stands in the columns that tell groups apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from fitkit.readers.grouping import Grouping
from fitkit.run.numbers import counted
from fitkit.run.saved_model import SavedModel, unusable

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    Index = NDArray[np.intp]

TABLE, BINARY_TABLE = "groups.csv", "groups.parquet"
NAMED = 5
"""Groups that are named of those without a prediction."""


@final
@dataclass(frozen=True, kw_only=True)
class GroupsOfRows:
    """The groups of the rows of a table, shape (rows,) each."""

    in_table: Index
    """By their numbers in the table; rows that are of none belong to the last."""
    in_run: Index
    """By their numbers in the run, -1 where it has no fit of them."""
    notes: tuple[str, ...]
    """What is to be said of rows without a prediction."""


def groups_of_rows(folder: Path, saved: SavedModel, grouping: Grouping, count: int) -> GroupsOfRows:
    """Return the groups of the `count` rows of a table.

    Raises:
        SavedRunFault: the run's table of groups cannot be read.
    """
    import numpy as np

    known = _keys(folder, saved)
    fitted = ~np.isnan(saved.theta).any(axis=1)
    places = {key: place for place, key in enumerate(known.iter_rows())}
    theirs = [places.get(key, -1) for key in zip(*grouping.keys.values(), strict=True)]
    of_group = np.array([*(place if place >= 0 and fitted[place] else -1 for place in theirs), -1])
    in_table = np.full(count, len(grouping))
    order = np.arange(count) if grouping.order is None else grouping.order
    in_table[order] = np.repeat(np.arange(len(grouping)), grouping.sizes)
    notes = []
    for words, chosen in (
        ("that the run has not seen", [place < 0 for place in theirs]),
        ("whose fit has no end in the run", [place >= 0 and not fitted[place] for place in theirs]),
    ):
        lost = np.flatnonzero(np.array(chosen, bool) & (grouping.sizes > 0))
        if len(lost):
            rows, names = int(grouping.sizes[lost].sum()), [grouping.name(int(group)) for group in lost[:NAMED]]
            more = ", ..." if len(lost) > NAMED else ""
            told = (
                f"{counted(rows, 'row')} of {counted(len(lost), 'group')} {words} {'has' if rows == 1 else 'have'} no"
            )
            notes.append(f"{told} prediction: {', '.join(names)}{more}")
    return GroupsOfRows(in_table=np.minimum(in_table, len(grouping) - 1), in_run=of_group[in_table], notes=tuple(notes))


def _keys(folder: Path, saved: SavedModel) -> pl.DataFrame:
    """Return what stands in the columns that tell the run's groups apart, as it is written."""
    import polars as pl

    try:
        # Keys that are whole numbers are written as such, if each is written in the only way.
        found = pl.read_parquet(folder / BINARY_TABLE, columns=list(saved.group_by))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise unusable(folder, f"its `{BINARY_TABLE}` cannot be read ({type(error).__name__})") from None
    if len(found) != len(saved.theta):
        raise unusable(folder, f"its `{BINARY_TABLE}` has {len(found)} groups, and {len(saved.theta)} fits were saved")
    return found.select(pl.col(name).cast(pl.String()) for name in saved.group_by)
