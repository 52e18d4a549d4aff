"""From a path to a config: read, extend, override, validate, check the rules; all mistakes of a config at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from fitkit.config.check_grad_rules import check_grad_rules
from fitkit.config.config import Config
from fitkit.config.constraint_rules import constraint_rules
from fitkit.config.expect_rules import expect_rules
from fitkit.config.group_rules import group_rules
from fitkit.config.names import check_names
from fitkit.config.objective_rules import objective_rules
from fitkit.config.outline import Outline, read_outline
from fitkit.config.parameter_rules import parameter_rules
from fitkit.config.reading_rules import reading_rules
from fitkit.config.sections import Sections, read_condition, read_sections
from fitkit.config.source import ConfigSource
from fitkit.config.tables import header_of
from fitkit.config.trained_rules import trained_rules
from fitkit.config.tree import MOST_TOLD, Tree
from fitkit.config.uncertainty_rules import uncertainty_rules
from fitkit.errors import ConfigError, DataError, Diagnostic
from fitkit.parameters import Parameter

_UNFIT_NAME: Final = re.compile(r"[/\\\x00-\x1f\x7f]|^\.{0,2}$|^[ -]|.{101}", re.DOTALL)


def load(
    path: str, overrides: Sequence[str] = (), stdin: TextIO | None = None, *, combination: int | None = None
) -> ConfigSource:
    """Read a config and check all that can be checked without its data.

    Args:
        path: the file, or `-` for standard input; paths in it then count from the current folder.
        overrides: values put on top, each as `key.path=value`.
        stdin: what `-` reads; standard input by default.
        combination: which one of its `matrix`, from 0; without it a matrix that the overrides do not settle is kept.

    Raises:
        ConfigError: with every mistake that was found, in the order of their places.
    """
    return understood(read_outline(path, overrides, stdin), path, combination, from_stdin=path == "-" and stdin is None)


def understood(outline: Outline, path: str, combination: int | None, *, from_stdin: bool = False) -> ConfigSource:
    """Return the config of an outline, checked as by `load`.

    Args:
        outline: of the text.
        path: the name that users know the config by.
        combination: as for `load`.
        from_stdin: whether standard input was read to its end for it.

    Raises:
        ConfigError: as by `load`.
    """
    root, mistaken = outline.picked(combination)
    sections = read_sections(Tree(root))
    read_condition(sections)
    problems = [*outline.problems, *mistaken, *sections.problems, *_name(sections)]
    problems += [
        *objective_rules(sections),
        *reading_rules(sections),
        *check_grad_rules(sections),
        *expect_rules(sections),
        *uncertainty_rules(sections),
        *group_rules(sections),
        *constraint_rules(sections),
        *trained_rules(sections),
        *islice(parameter_rules(sections), MOST_TOLD),
    ]
    problems += _one_standard_input(sections, from_stdin=from_stdin)
    if problems:
        raise ConfigError(*_in_order([*problems, *_names(sections, path)], path))
    return _source(sections, path)


def _source(sections: Sections, path: str) -> ConfigSource:
    values = dict(sections.values)
    if values.get("name") is None:
        values["name"] = "stdin" if path == "-" else Path(path).stem
    base = Path.cwd() if path == "-" else Path(path).parent
    return ConfigSource(config=Config(**values), shown=path, base=base, tree=sections.tree)


def _names(sections: Sections, path: str) -> list[Diagnostic]:
    """Return what is wrong with the names of a config that is wrong elsewhere, as far as its sound parts tell."""
    tree = sections.tree
    if not tree.given("parameters") and sections.problems:
        return []  # most likely the mistake is there: a mistyped `parameters` makes every name unknown
    complete = tree.given("minimize") != (tree.given("data") and tree.given("model"))
    if not complete or {"data", "model", "definitions", "minimize"} & sections.failed or tree.broken(("parameters",)):
        return []
    if "<<" in sections.names("parameters"):
        return []  # a merge key was refused, and with it parameters that are used
    known = {name: sections.parameters.get(name, Parameter(start=0.0)) for name in sections.names("parameters")}
    values = {**sections.values, "parameters": known}
    if "where" in sections.failed:
        values["data"] = replace(values["data"], where=None)
    source = _source(replace(sections, values=values), path)
    try:
        check_names(source, header_of(source))
    except ConfigError as error:
        return list(error.diagnostics)
    except DataError:
        return []  # told once the config is right
    return []


def _one_standard_input(sections: Sections, *, from_stdin: bool) -> list[Diagnostic]:
    """Refuse a table on standard input, from which the config was read to its end."""
    data = sections.get("data")
    if not from_stdin or data is None or data.path != "-":
        return []
    message = "the config itself came from standard input, so the table cannot"
    way_out = "write the config to a file, or name a file in `data`"
    return [sections.tree.diagnostic(("data", "path"), "E111", message, way_out, value=True)]


def _name(sections: Sections) -> list[Diagnostic]:
    """Refuse a name that cannot be a folder's: results are saved under it."""
    name = sections.get("name")
    if name is None or not _UNFIT_NAME.search(name):
        return []
    way_out = "use letters, digits, `-` and `_`, at most 100"
    return [
        sections.tree.diagnostic(
            ("name",), "E113", "results are saved in a folder of this name, and it cannot be one", way_out, value=True
        )
    ]


def _in_order(problems: Sequence[Diagnostic], path: str) -> list[Diagnostic]:
    """Return the mistakes by place: those of the config first, then those of its parents and of the command line."""
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda d: (d.file != path, d.file or "", d.line or 0, d.column or 0))
