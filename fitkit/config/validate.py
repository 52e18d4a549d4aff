"""The check of a config with no more than the header of its table, for `fitkit validate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from fitkit.config.load import understood
from fitkit.config.names import Roles, check_names
from fitkit.config.outline import read_outline
from fitkit.config.source import ConfigSource
from fitkit.config.tables import header_of
from fitkit.errors import ConfigError, Diagnostic


def validate(path: str, overrides: Sequence[str] = (), stdin: TextIO | None = None) -> tuple[ConfigSource, Roles]:
    """Return a config and the roles of its names, without importing JAX, numpy, scipy or polars.

    Where the table's columns cannot be had cheaply (Parquet, standard input), names that are not parameters are taken
    for columns.

    Of a config with a matrix every value of every key is checked, beside the first of the others; the first combination is
    returned.

    Raises:
        ConfigError: the config is wrong.
        DataError: the table is not there, or lacks a column that the config names.
    """
    outline = read_outline(path, overrides, stdin)
    sources: list[ConfigSource] = []
    problems: dict[Diagnostic, None] = {}
    for combination in outline.matrix.along_the_axes():
        try:
            sources.append(understood(outline, path, combination, from_stdin=path == "-" and stdin is None))
        except ConfigError as error:
            problems |= dict.fromkeys(error.diagnostics)
    if problems:
        raise ConfigError(*problems)
    roles = [check_names(source, header_of(source)) for source in sources]
    return sources[0], roles[0]
