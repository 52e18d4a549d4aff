"""The tree of a config, in which later stages point at any key by its path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias, final

from fitkit.errors import Diagnostic
from fitkit.expressions import ExpressionError
from fitkit.yaml_text import Broken, Entry, Mapping, Node, Place, Scalar, Sequence, inside

Path: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys of maps, and indices of lists from 0."""


MOST_TOLD: Final = 100
"""The most mistakes of one kind that are worked out; twenty in all are shown."""
QUOTE_COMMAS: Final = "inside braces and brackets a comma ends a text: put a formula with commas into quotes"


@final
@dataclass(frozen=True)
class Tree:
    """The nodes of a config with parents and overrides merged in; each node knows the text it came from."""

    root: Mapping

    def entry(self, path: Path) -> Entry:
        """Return the key and the value at `path`, or the deepest there are on the way to it."""
        found = Entry(self.root.place, self.root)
        for step in path:
            found = child(found.node, step) or found
        return found

    def node(self, path: Path) -> Node | None:
        """Return the value at `path`, or None where there is none."""
        node: Node = self.root
        for step in path:
            below = child(node, step)
            if below is None:
                return None
            node = below.node
        return node

    def given(self, *path: str | int) -> bool:
        """Return whether the config says something at `path`; an explicit null says nothing."""
        node = self.node(path)
        return node is not None and not (isinstance(node, Scalar) and node.value is None)

    def broken(self, path: Path) -> bool:
        """Return whether something at or above `path` was refused and told before."""
        return isinstance(self.entry(path).node, Broken)

    def diagnostic(
        self, path: Path, code: str, message: str, help_line: str | None = None, *, value: bool = False
    ) -> Diagnostic:
        """Return a mistake at the key at `path`, or at its value."""
        entry = self.entry(path)
        place = entry.node.place if value else entry.place
        return place.diagnostic(code, message, help_line)

    def formula_diagnostic(self, path: Path, error: ExpressionError) -> Diagnostic:
        """Return the mistake in the formula at `path`, with the caret inside the formula."""
        node = self.entry(path).node
        if not isinstance(node, Scalar):
            return node.place.diagnostic(error.code, error.message, error.help)
        behind = node.place.text.lines[node.place.line - 1][node.place.column + node.place.length - 1 :]
        cut = node.style is None and behind[:1] == "," and error.text.count("(") > error.text.count(")")
        place = inside(node, error.offset, error.length) or node.place
        return place.diagnostic(error.code, error.message, QUOTE_COMMAS if cut else error.help)

    def word_diagnostic(
        self, path: Path, word: str, code: str, message: str, help_line: str | None = None
    ) -> Diagnostic:
        """Return a mistake at the first `word` of the formula at `path`."""
        node = self.entry(path).node
        place = find_word(node, word)
        return (place or node.place).diagnostic(code, message, help_line)


def child(node: Node, step: str | int) -> Entry | None:
    """Return what `node` holds under a key or an index, or None."""
    if isinstance(node, Mapping):
        return node.entries.get(str(step))
    if isinstance(node, Sequence) and isinstance(step, int) and 0 <= step < len(node.items):
        item = node.items[step]
        return Entry(item.place, item)
    return None


def find_word(node: Node | None, word: str) -> Place | None:
    """Return the place of the first `word` in a scalar's text; None where it is not there."""
    import re

    if not isinstance(node, Scalar):
        return None
    found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", node.text)
    return inside(node, found.start(), len(word)) if found else None
