"""The tree that a YAML text becomes: scalars, sequences and mappings, each with its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias, final

from fitkit.errors import Diagnostic
from fitkit.yaml_text.scalars import Value


@final
@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A text by the name that users know it by, and its lines."""

    shown: str
    lines: tuple[str, ...]


@final
@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: a line and a column, from 1, and how many columns it takes on that line."""

    text: Text = field(repr=False)
    line: int
    column: int
    length: int = 1

    def diagnostic(self, code: str, message: str, help_line: str | None = None) -> Diagnostic:
        """Return a mistake at this place."""
        lines = self.text.lines
        return Diagnostic(
            code=code,
            message=message,
            file=self.text.shown,
            line=self.line,
            column=self.column,
            length=self.length,
            source=lines[self.line - 1] if self.line <= len(lines) else "",
            help=help_line,
        )


@final
@dataclass(frozen=True, slots=True)
class Scalar:
    """A word, a number or a quoted text: its value, its text, and its style (`'`, `"`, `|`, `>` or None)."""

    place: Place
    value: Value
    text: str
    style: str | None = None


@final
@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    place: Place
    items: tuple[Node, ...]


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping, where it stands, and what it holds."""

    place: Place
    node: Node


@final
@dataclass(frozen=True, slots=True)
class Mapping:
    """A map from words to nodes, in the order written."""

    place: Place
    entries: dict[str, Entry]


@final
@dataclass(frozen=True, slots=True)
class Broken:
    """Stands for what was refused and already told, so that nothing more is said of it."""

    place: Place


Node: TypeAlias = Scalar | Sequence | Mapping | Broken


def plain(node: Node) -> Any:
    """Return a node as Python's own values; what is broken is the node itself, which is no value of a config."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    if isinstance(node, Mapping):
        return {key: plain(entry.node) for key, entry in node.entries.items()}
    return node
