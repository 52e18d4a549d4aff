"""The check of a config with no more than the header of its table, for `fitkit validate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from fitkit.config.load import load
from fitkit.config.names import Roles, check_names
from fitkit.config.source import ConfigSource
from fitkit.config.tables import header_of


def validate(path: str, overrides: Sequence[str] = (), stdin: TextIO | None = None) -> tuple[ConfigSource, Roles]:
    """Return a config and the roles of its names, without importing JAX, numpy, scipy or polars.

    Where the table's columns cannot be had cheaply (Parquet, standard input), names that are not parameters are taken
    for columns.

    Raises:
        ConfigError: the config is wrong.
        DataError: the table is not there, or lacks a column that the config names.
    """
    source = load(path, overrides, stdin)
    return source, check_names(source, header_of(source))
