"""What a formula and a table say before any number is looked at: which names are columns, and which parameters."""

from __future__ import annotations

import io
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from fitkit.errors import ConfigError, Diagnostic, did_you_mean, one_of
from fitkit.expressions import Equation, ExpressionError, parse_equation
from fitkit.expressions.tokens import tokenize
from fitkit.readers import Data, read_header, read_table

if TYPE_CHECKING:
    from fitkit.config import ConfigSource

_SCATTER: Final = re.compile(
    r"(?:^|[^a-z])(?:err|errors?|sigma|std|stdev|std_?dev|stderr|std_?err|sd|se|uncertainty|uncertainties|unc)(?:[^a-z]|$)"
)
"""Words in the name of a column that holds standard errors."""


@final
@dataclass(frozen=True, kw_only=True)
class Sketch:
    """A formula whose names have their roles."""

    data: Path
    """The table, as it was named."""
    equation: Equation
    columns: tuple[str, ...]
    """All columns of the table, in its order."""
    parameters: tuple[str, ...]
    """The names of the right side that are no columns, in the order in which they appear."""

    @property
    def inputs(self) -> frozenset[str]:
        """The columns on the right side."""
        prediction = self.equation.prediction
        compared = {comparison.column for comparison in prediction.text_comparisons}
        return frozenset(self.columns) & (prediction.names | compared)

    @property
    def unused(self) -> tuple[str, ...]:
        """Columns that the formula does not name."""
        target = self.equation.target
        named = self.inputs | target.names | {comparison.column for comparison in target.text_comparisons}
        return tuple(name for name in self.columns if name not in named)

    @property
    def scatter(self) -> str | None:
        """An unused column whose name says that it holds the standard errors of the target."""
        return next((name for name in self.unused if self._is_scatter(name)), None)

    def _is_scatter(self, name: str) -> bool:
        folded = name.casefold()
        return bool(_SCATTER.search(folded)) or folded == f"d{self.equation.target.source.strip().casefold()}"

    @property
    def doubts(self) -> tuple[str, ...]:
        """What a careful reader would ask about the roles of the names."""
        found = []
        for name in self.parameters:
            meant = did_you_mean(name, self.unused) if len(name) > 2 else None
            if meant is not None:
                found.append(f"`{name}` is taken for a parameter, as there is no such column; {meant}")
        if not self.inputs:
            found.append("no column stands on the right side of `~`: every row gets the same prediction")
        return tuple(found)

    def path_from(self, folder: Path) -> str:
        """Return the way from a folder to the table, as a config in that folder names it."""
        return os.path.relpath(os.path.realpath(self.data.parent) + os.sep + self.data.name, os.path.realpath(folder))

    def source(self) -> ConfigSource:
        """Return the config in which every parameter starts at 1, to be assembled.

        Raises:
            ConfigError: a parameter cannot be called so.
        """
        from fitkit.config import load

        config = {
            "data": str(self.data),
            "model": self.equation.source,
            "parameters": dict.fromkeys(self.parameters, 1),
            "precision": "float64",
        }
        return load("-", (), io.StringIO(json.dumps(config)))


def read_sketch(path: str, formula: str) -> Sketch:
    """Return the roles of the names in a formula over the table at `path`, relative to the current folder.

    Raises:
        ConfigError: the formula cannot be understood, its target is no column, or it has no parameter.
        DataError: the table cannot be read.
    """
    try:
        equation = parse_equation(formula)
    except ExpressionError as error:
        raise ConfigError(_in(formula, error.code, error.message, error.offset, error.length, error.help)) from None
    columns = _columns(path)
    known = set(columns)
    mistakes = _not_columns(equation, formula, known)
    if mistakes:
        raise ConfigError(*mistakes)
    free = equation.prediction.names - known - {"pi"}
    named = dict.fromkeys(token.text for token in tokenize(formula) if token.kind == "name" and token.text in free)
    if not named:
        message = "the formula has no parameter: every name in it is a column"
        raise ConfigError(_in(formula, "E120", message, 0, len(formula), "write `y ~ a * x + b` to fit a and b"))
    return Sketch(data=Path(path), equation=equation, columns=columns, parameters=tuple(named))


def _columns(path: str) -> tuple[str, ...]:
    """Return the names of the table's columns."""
    data = Data(path=path)
    names = read_header(data, Path())
    if names is not None:
        return names
    return read_table(data, Path(), lambda found: found[:1]).names


def _not_columns(equation: Equation, formula: str, known: set[str]) -> list[Diagnostic]:
    """Return a mistake for each name that must be a column and is none: those of the target, and compared texts."""
    compared = equation.target.text_comparisons | equation.prediction.text_comparisons
    wanted = dict.fromkeys([*sorted(equation.target.names - {"pi"}), *(comparison.column for comparison in compared)])
    found = []
    for name in wanted:
        if name not in known:
            listed = one_of(list(known)[:20]).replace("one of", "the columns are")
            offset = next(token.offset for token in tokenize(formula) if token.text == name)
            message = f"`{name}` is no column of the table" + (
                ", as the target must be" if name in equation.target.names else ""
            )
            found.append(_in(formula, "E120", message, offset, len(name), did_you_mean(name, known) or listed))
    return found


def _in(formula: str, code: str, message: str, offset: int, length: int, help_line: str | None) -> Diagnostic:
    return Diagnostic(
        code=code,
        message=message,
        file="FORMULA",
        line=1,
        column=offset + 1,
        length=length,
        source=formula,
        help=help_line,
    )
