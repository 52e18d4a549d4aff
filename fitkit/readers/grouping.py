"""Which rows of a table belong together, by what stands in the columns that tell groups apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from fitkit.readers.contents import Contents

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


def group_rows(contents: Contents, names: Sequence[str], chosen: Index | None) -> Grouping:
    """Return the groups of all rows, and which of the rows that are used belong to each.

    Where each group lies in one piece, comparing neighbours finds them; else rows are sorted by where their group begins.

    Args:
        contents: all rows of the table.
        names: the columns that tell groups apart.
        chosen: the rows that are used, ascending, each with all entries of its key; None for all of them.
    """
    import numpy as np

    firsts, group_of_run, begins = _runs(contents, names)
    group = np.repeat(group_of_run, np.diff(np.append(firsts, contents.length)))
    used = group if chosen is None else group[chosen]
    order = np.argsort(used, kind="stable") if (used[1:] < used[:-1]).any() else None
    sizes = np.bincount(used, minlength=len(begins))
    keys = {name: tuple(contents.columns[name].take(begins).texts()) for name in names}
    return Grouping(keys=keys, order=order, begins=np.concatenate([[0], np.cumsum(sizes)]))


def _runs(contents: Contents, names: Sequence[str]) -> tuple[Index, Index, Index]:
    """Return where runs of equal keys begin, the number of each run's group, and where the groups begin.

    Groups are numbered from 0 by their first rows; a run whose key lacks an entry belongs to -1.
    """
    import numpy as np
    import polars as pl

    labels = [contents.columns[name].labels() for name in names]
    missing = np.zeros(contents.length, bool)
    changes = np.zeros(contents.length, bool)
    changes[:1] = True
    for name, label in zip(names, labels, strict=True):
        lacks = contents.columns[name].missing
        missing |= lacks
        changes[1:] |= (label[1:] != label[:-1]).fill_null(value=True).to_numpy() | (lacks[1:] != lacks[:-1])
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
