"""The sections of a config, each validated by itself, so that a mistake in one hides none in another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, final

from pydantic_core import ValidationError

from fitkit.config.complaints import complaints, unknown_key
from fitkit.config.config import Config
from fitkit.config.scalars import described
from fitkit.config.structure import validator
from fitkit.config.tree import MOST_TOLD, QUOTE_COMMAS, Path, Tree
from fitkit.errors import Diagnostic
from fitkit.expressions import Expression, ExpressionError, check_name, parse
from fitkit.parameters import Parameter
from fitkit.yaml_text import Mapping, Scalar, plain

_SECTIONS: Final = tuple(name for name in Config.__dataclass_fields__ if name != "kind")
_MOST_DEFINITIONS: Final = 1_000
_DEFAULTS: Final = Config()


@final
@dataclass
class Sections:
    """What could be understood of a config, section by section, for the rules that span them.

    A section that is missing from `values` was left out or failed; `failed` tells which. `where` is in it where the
    condition on rows cannot be parsed.
    """

    tree: Tree
    values: dict[str, Any] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    definitions: dict[str, Expression] = field(default_factory=dict)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    problems: list[Diagnostic] = field(default_factory=list)

    def get(self, section: str) -> Any:
        """Return a section, its default where the config leaves it out, None where it failed."""
        if section in self.values or section in self.failed:
            return self.values.get(section)
        return getattr(_DEFAULTS, section)

    def names(self, section: str) -> tuple[str, ...]:
        """Return the keys of a section that is a map of names, those of entries that failed included."""
        node = self.tree.node((section,))
        return tuple(node.entries) if isinstance(node, Mapping) else ()


def read_sections(tree: Tree) -> Sections:
    """Validate every section; definitions come first, because formulas use them."""
    sections = Sections(tree)
    unknown = (key for key in tree.root.entries if key not in _SECTIONS and not tree.broken((key,)))
    sections.problems += [unknown_key((key,), tree) for key in islice(unknown, MOST_TOLD)]
    _read_definitions(sections)
    _read_parameters(sections)
    for key in _SECTIONS:
        if key in tree.root.entries and key not in {"definitions", "parameters"}:
            value = _validated(key, (key,), sections)
            if value is _FAILED:
                sections.failed.add(key)
            else:
                sections.values[key] = value
    return sections


_FAILED: Final = object()


def _validated(section: str, path: Path, sections: Sections) -> Any:
    """Return the value at `path` by the rules of `section`, or `_FAILED` with the problems told."""
    if sections.tree.broken(path):
        return _FAILED
    node = sections.tree.node(path)
    try:
        return validator(section).validate_python(
            plain(node) if node is not None else None, context=sections.definitions
        )
    except ValidationError as error:
        errors = error.errors(include_url=False)
        sections.problems += complaints(errors, path, sections.tree)
        return _FAILED


def _named(section: str, sections: Sections) -> Iterable[str]:
    """Return the names in a section that is a map of names, telling of those that are not allowed."""
    tree = sections.tree
    if not tree.given(section) or tree.broken((section,)):
        return ()
    node = tree.node((section,))
    if not isinstance(node, Mapping):
        message = f"`{section}` must be a map of names, not {described(plain(node)) if node else 'empty'}"
        sections.problems.append(tree.diagnostic((section,), "E108", message, value=True))
        sections.failed.add(section)
        return ()
    names = []
    for name in node.entries:
        if name == "<<" and tree.broken((section, name)):
            continue
        reason = None if section == "parameters" and _names_itself(tree) else check_name(name)
        if reason is None or tree.given(section, name):
            names.append(name)
        if reason is not None:
            what = "definition" if section == "definitions" else "parameter"
            message = f"a {what} cannot be called `{name}`: {reason}"
            way_out = QUOTE_COMMAS if ")" in name else None
            sections.problems.append(tree.diagnostic((section, name), "E113", message, way_out))
    return names


def _names_itself(tree: Tree) -> bool:
    """Return whether parameters are called after columns and levels, which may have any name."""
    kind = tree.node(("model", "kind")) if tree.given("model") else None
    return isinstance(kind, Scalar) and kind.value in {"linear", "mlp", "matrix_factorization"}


def _read_definitions(sections: Sections) -> None:
    tree = sections.tree
    later = list(_named("definitions", sections))
    parameters = sections.names("parameters")
    if len(later) > _MOST_DEFINITIONS:
        message = f"more than {_MOST_DEFINITIONS:,} definitions"
        sections.problems.append(tree.diagnostic(("definitions",), "E103", message))
        sections.failed.add("definitions")
        later.clear()
    while later:
        name = later.pop(0)
        path = ("definitions", name)
        if name in parameters:
            message = f"`{name}` is both a definition and a parameter"
            sections.problems.append(tree.diagnostic(path, "E113", message, "give one of them another name"))
        value = _validated("definitions", path, sections)
        if value is _FAILED:
            sections.failed.add("definitions")
            continue
        above = set[str]().union(*(sections.definitions[key].names for key, _ in value.definitions))
        for other in sorted((value.names - above) & {name, *later}):
            sections.failed.add("definitions")
            message = f"`{name}` uses {'itself' if other == name else f'`{other}`, which is defined below it'}"
            way_out = "a definition may use those above it"
            sections.problems.append(tree.word_diagnostic(path, other, "E113", message, way_out))
        sections.definitions[name] = value
    sections.values["definitions"] = sections.definitions


def _read_parameters(sections: Sections) -> None:
    for name in _named("parameters", sections):
        value = _validated("parameters", ("parameters", name), sections)
        if value is _FAILED:
            sections.failed.add("parameters")
        else:
            sections.parameters[name] = value
    sections.values["parameters"] = sections.parameters


def read_condition(sections: Sections) -> None:
    """Parse `data.where`, only to tell what is wrong with it."""
    data = sections.get("data")
    if data is not None and data.where is not None:
        try:
            parse(data.where, sections.definitions)
        except ExpressionError as error:
            sections.failed.add("where")
            sections.problems.append(sections.tree.formula_diagnostic(("data", "where"), error))
