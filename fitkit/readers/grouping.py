"""Which rows of a table belong together, by what stands in the columns that tell groups apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.expressions import Expression
from fitkit.readers.contents import Contents
from fitkit.readers.selection import fulfilling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Index = NDArray[np.intp]


@final
@dataclass(frozen=True, kw_only=True)
class Grouping:
    """The groups of a table, in the order in which their first rows stand in it.

    Groups that have no row left (by `where`, or for missing entries) are among them.
    """

    keys: dict[str, tuple[str, ...]]
    """The columns that tell groups apart, as they are written, an entry per group."""
    order: Index | None
    """The rows that are used, group after group, each in the order of the table; None where they lie so already."""
    begins: Index
    """Where in that order each group begins, and the number of rows at last; shape (groups + 1,)."""

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.begins) - 1

    @property
    def sizes(self) -> Index:
        """The number of rows of each group, shape (groups,)."""
        import numpy as np

        return np.diff(self.begins)

    def rows(self, group: int) -> Index:
        """Return the rows of one group, ascending."""
        import numpy as np

        here = slice(self.begins[group], self.begins[group + 1])
        return np.arange(here.start, here.stop) if self.order is None else self.order[here]

    def name(self, group: int) -> str:
        """Return what a group is called: its entries in the order of the columns, `plate 1/A3`."""
        return "/".join(column[group] for column in self.keys.values())


def group_rows(
    contents: Contents, names: Sequence[str], chosen: Index | None, where: Expression | None = None
) -> Grouping:
    """Return the groups of all rows, and which of the rows that are used belong to each.

    Groups that a condition on their own columns leaves out are none; of other groups it may leave nothing. Where each
    group lies in one piece, comparing neighbours finds them; else rows are sorted by where their group begins.

    Args:
        contents: all rows of the table.
        names: the columns that tell groups apart.
        chosen: the rows that are used, ascending, each with all entries of its key; None for all of them.
        where: the condition that those fulfil.
    """
    import numpy as np

    firsts, group_of_run, begins = _runs(contents, names, _absent(contents, names, where))
    group = np.repeat(group_of_run, np.diff(np.append(firsts, contents.length)))
    used = group if chosen is None else group[chosen]
    order = np.argsort(used, kind="stable") if (used[1:] < used[:-1]).any() else None
    sizes = np.bincount(used, minlength=len(begins))
    keys = {name: tuple(contents.columns[name].take(begins).texts()) for name in names}
    return Grouping(keys=keys, order=order, begins=np.concatenate([[0], np.cumsum(sizes)]))


def _absent(contents: Contents, names: Sequence[str], where: Expression | None) -> NDArray[np.bool_]:
    """Return which rows are of no group, shape (rows,): those whose key lacks an entry, or is not wanted."""
    import numpy as np

    found = np.zeros(contents.length, bool)
    for name in names:
        found |= contents.columns[name].missing
    if where is not None and where.names | {text.column for text in where.text_comparisons} <= set(names):
        found |= ~fulfilling(contents, where, ~found)
    return found


def _runs(contents: Contents, names: Sequence[str], missing: NDArray[np.bool_]) -> tuple[Index, Index, Index]:
    """Return where runs of equal keys begin, the number of each run's group, and where the groups begin.

    Groups are numbered from 0 by their first rows; a run of rows that are of no group belongs to -1.
    """
    import numpy as np
    import polars as pl

    labels = [contents.columns[name].labels() for name in names]
    changes = np.zeros(contents.length, bool)
    changes[:1] = True
    changes[1:] |= missing[1:] != missing[:-1]
    for label in labels:
        changes[1:] |= (label[1:] != label[:-1]).fill_null(value=True).to_numpy()
    firsts = np.flatnonzero(changes)
    there = ~missing[firsts]
    whole = len(firsts) == contents.length and bool(there.all())
    known = firsts[there]
    runs = pl.DataFrame({str(place): label if whole else label.gather(known) for place, label in enumerate(labels)})
    keys = list(runs.columns)
    first = runs.with_columns(run=pl.int_range(pl.len())).select(pl.col("run").min().over(keys))["run"].to_numpy()
    opens = first == np.arange(len(first))
    groups = np.full(len(firsts), -1)
    groups[there] = (np.cumsum(opens) - 1)[first]
    return firsts, groups, known[opens]
