"""One group of many as a fit of its own, for what looks at one problem only."""

from __future__ import annotations

from dataclasses import replace

from fitkit.config import ConfigSource
from fitkit.readers import Table
from fitkit.types import ColumnName


def of_one_group(source: ConfigSource, table: Table, wanted: int) -> tuple[ConfigSource, Table, str]:
    """Return the config and the table of the first group that has as many rows as wanted, else of the largest, and its name."""
    import numpy as np

    config, grouping = source.config, table.grouping
    if config.data is None or grouping is None:
        raise AssertionError("a table without groups")
    enough = np.flatnonzero(grouping.sizes >= wanted)
    group = int(enough[0]) if len(enough) else int(np.argmax(grouping.sizes))
    alone = table.of_group(group)
    parameters = {
        name: replace(p, start=float(alone.numeric(p.start)[0])) if isinstance(p.start, ColumnName) else p
        for name, p in config.parameters.items()
    }
    data = replace(config.data, group_by=None)
    return replace(source, config=replace(config, data=data, parameters=parameters)), alone, grouping.name(group)
