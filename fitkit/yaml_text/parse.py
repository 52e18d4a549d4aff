"""From text to nodes, one event at a time, so that a hostile text is refused before it is big."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, final

import yaml

from fitkit.errors import ConfigError, Diagnostic
from fitkit.yaml_text.nodes import Broken, Entry, Mapping, Node, Place, Scalar, Sequence, Text
from fitkit.yaml_text.scalars import resolve
from fitkit.yaml_text.syntax import explain

if TYPE_CHECKING:
    from yaml.events import Event

DEEPEST: Final = 32
"""How deep maps and lists may lie in each other."""
MOST_NODES: Final = 50_000
"""How many values a config may hold."""
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where PyYAML was built with it


@final
@dataclass(frozen=True)
class Document:
    """A parsed text, and the mistakes that did not hinder reading the rest."""

    root: Node
    problems: tuple[Diagnostic, ...]


@final
@dataclass
class _Frame:
    """A map or list whose end has not come yet."""

    place: Place
    tagged: bool
    items: list[Node] | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    key: tuple[str, Place] | None = None
    skipping: bool = False


def parse(words: str, text: Text) -> Document:
    """Return the nodes of one YAML document; `text` holds the same words by lines.

    Raises:
        ConfigError: the text is empty, is no YAML, holds several documents, nests too deep or holds too many values.
    """
    builder = _Builder(text)
    last: Event | None = None
    try:
        for event in yaml.parse(words, Loader=_LOADER):
            builder.take(event)
            last = event
    except yaml.YAMLError as error:
        raise ConfigError(explain(error, text, last)) from None
    if builder.root is None or (isinstance(builder.root, Scalar) and builder.root.value is None):
        message = "the config is empty"
        raise ConfigError(
            Diagnostic(
                code="E101", message=message, file=text.shown, help="the smallest has `data`, `model` and `parameters`"
            )
        )
    return Document(builder.root, tuple(builder.problems))


@final
class _Builder:
    """Builds nodes from events, with its own stack: Python's would end before a hostile text does."""

    def __init__(self, text: Text) -> None:
        self.root: Node | None = None
        self.problems: list[Diagnostic] = []
        self._text = text
        self._stack: list[_Frame] = []
        self._count = 0

    def take(self, event: Any) -> None:
        """Receive one of PyYAML's events."""
        if isinstance(event, yaml.ScalarEvent):
            place = self._place(event)
            value = resolve(event.value) if not event.style else event.value
            broken = self._refuse_anchor_and_tag(event, place)
            if "\0" in event.value:
                self.problems.append(place.diagnostic("E101", "a NUL character in a text", "remove the `\\0`"))
                broken = True
            self._add(Broken(place) if broken else Scalar(place, value, event.value, event.style or None))
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            place = self._place(event)
            self.problems.append(
                place.diagnostic("E103", "aliases are not allowed", "write the value out, or use `extends`")
            )
            self._add(Broken(place))
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise ConfigError(
                self._place(event).diagnostic("E103", "a second document", "one config is one YAML document")
            )

    def _place(self, event: Any) -> Place:
        start, end = event.start_mark, event.end_mark
        line = self._text.lines[start.line] if start.line < len(self._text.lines) else ""
        stop = end.column if end.line == start.line else len(line.rstrip())
        return Place(self._text, start.line + 1, start.column + 1, max(1, stop - start.column))

    def _refuse_anchor_and_tag(self, event: Any, place: Place) -> bool:
        """Tell of an anchor or a tag, and return whether there was a tag, which leaves the value without a meaning."""
        if event.anchor is None and event.tag is None:
            return False
        line = self._text.lines[place.line - 1]
        for mark, name, way_out in (
            ("&", "anchors", "write the value out where it is needed, or use `extends`"),
            ("!", "tags", "remove it; quote what is meant as text"),
        ):
            if (event.anchor if mark == "&" else event.tag) is not None:
                found = re.compile(rf"{mark}[^\s,\[\]{{}}]*").search(line, place.column - 1)
                where = Place(place.text, place.line, found.start() + 1, len(found[0])) if found else place
                self.problems.append(
                    where.diagnostic("E103", f"{name} are not allowed: `{found[0] if found else mark}`", way_out)
                )
        return event.tag is not None

    def _open(self, event: Any) -> None:
        place = self._place(event)
        if len(self._stack) >= DEEPEST:
            raise ConfigError(
                place.diagnostic("E103", f"nested more than {DEEPEST} deep", "a config needs four or five levels")
            )
        if self._stack and self._stack[-1].items is None and self._stack[-1].key is None:
            message, way_out = "a map or a list cannot be a key", "quote texts with braces or brackets"
            raise ConfigError(place.diagnostic("E102", message, way_out))
        tagged = self._refuse_anchor_and_tag(event, place)
        self._stack.append(_Frame(place, tagged, [] if isinstance(event, yaml.SequenceStartEvent) else None))

    def _close(self) -> None:
        frame = self._stack.pop()
        node: Node = (
            Mapping(frame.place, frame.entries) if frame.items is None else Sequence(frame.place, tuple(frame.items))
        )
        self._add(Broken(frame.place) if frame.tagged else node)

    def _add(self, node: Node) -> None:
        self._count += 1
        if self._count > MOST_NODES:
            way_out = "put the table into a file and name it in `data`"
            raise ConfigError(node.place.diagnostic("E103", f"more than {MOST_NODES:,} values", way_out))
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        if frame.items is not None:
            frame.items.append(node)
        elif frame.key is None:
            self._begin_entry(frame, node)
        else:
            if not frame.skipping:
                frame.entries[frame.key[0]] = Entry(frame.key[1], node)
            frame.key = None

    def _begin_entry(self, frame: _Frame, node: Node) -> None:
        """Take a key: a word, whatever value it would have elsewhere."""
        name = node.text if isinstance(node, Scalar) else ""
        frame.key = (name, node.place)
        frame.skipping = True
        if not isinstance(node, Scalar):
            return
        if not name:
            self.problems.append(node.place.diagnostic("E102", "a key is missing before `:`"))
        elif name == "<<" and node.style is None:
            self.problems.append(
                node.place.diagnostic("E103", "merge keys are not allowed", "use `extends: base.yaml`")
            )
            frame.entries[name] = Entry(node.place, Broken(node.place))
        elif name in frame.entries:
            first = frame.entries[name].place.line
            message = f"duplicate key `{name}`, on line {node.place.line} and before that on line {first}"
            self.problems.append(node.place.diagnostic("E106", message, "keep one of them"))
        else:
            frame.skipping = False
