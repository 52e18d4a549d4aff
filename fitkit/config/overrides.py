"""`--set key.path=value`: values of the command line put into the config, each with its place in the argument."""

from __future__ import annotations

import re
from collections.abc import Sequence as List
from typing import final

from fitkit.config.short_forms import write_out
from fitkit.errors import ConfigError, Diagnostic
from fitkit.yaml_text import Broken, Entry, Mapping, Node, Place, Scalar, Sequence, decode, parse, resolve

_EXAMPLE = "write `--set optimizer.learning_rate=0.1`"


def override(root: Mapping, arguments: List[str]) -> tuple[Mapping, list[Diagnostic]]:
    """Return the config with every `key.path=value` put in, in order, and what is wrong with the arguments."""
    problems: list[Diagnostic] = []
    for argument in arguments:
        try:
            setting = _Setting(argument)
            root = write_out(setting.into(root))
            problems += setting.problems
        except ConfigError as error:
            problems += error.diagnostics
    return root, problems


@final
class _Setting:
    """One argument: its keys with their places, and its value.

    Raises:
        ConfigError: it has no `=`, an empty key, or a value that is no YAML.
    """

    def __init__(self, argument: str) -> None:
        words, self._text = decode(argument.encode("utf-8", "surrogateescape"), f"--set {_shown(argument)}")
        path, equals, value = words.partition("=")
        if not equals:
            raise ConfigError(
                self._place(0, len(words)).diagnostic("E115", "`--set` needs a key and a value", _EXAMPLE)
            )
        self._keys: list[tuple[str, Place]] = []
        position = 0
        for key in path.split("."):
            place = self._place(position + len(key) - len(key.lstrip()), len(key.strip()))
            if not key.strip():
                raise ConfigError(place.diagnostic("E115", "a key is empty", _EXAMPLE))
            self._keys.append((key.strip(), place))
            position += len(key) + 1
        if self._keys[0][0] == "extends":
            message = "`extends` cannot be set on the command line"
            raise ConfigError(self._keys[0][1].diagnostic("E115", message, "write it into the config"))
        self.problems: tuple[Diagnostic, ...] = ()
        self._value = self._read(value, len(path) + 1)

    def _place(self, offset: int, length: int) -> Place:
        return Place(self._text, 1, offset + 1, max(1, length))

    def _read(self, value: str, offset: int) -> Node:
        """Return the value: collections and quoted texts as YAML, anything else as one unquoted scalar."""
        stripped = value.strip()
        if stripped[:1] in {"{", "[", "'", '"'}:
            document = parse(" " * offset + value, self._text)
            self.problems = document.problems
            return document.root
        place = self._place(offset + value.find(stripped), len(stripped))
        return Scalar(place, resolve(stripped), stripped)

    def into(self, root: Mapping) -> Mapping:
        """Return the config with the value put in.

        Raises:
            ConfigError: the way leads through something that is neither map nor list.
        """
        node = self._put(root, 0)
        if not isinstance(node, Mapping):
            raise TypeError("the root of a config stays a map")
        return node

    def _put(self, node: Node | None, depth: int) -> Node:
        if depth == len(self._keys):
            return self._value
        key, place = self._keys[depth]
        if isinstance(node, Broken):
            return node
        if isinstance(node, Sequence):
            return self._put_into_list(node, depth)
        if isinstance(node, Scalar) and node.value is not None:
            message = f"`{self._keys[depth - 1][0]}` is no map, so it has no key `{key}`"
            raise ConfigError(place.diagnostic("E115", message))
        entries = node.entries if isinstance(node, Mapping) else {}
        below = entries.get(key)
        if below is None and (entry := re.fullmatch(r"(.+)\[(\d+)\]", key)):
            message = f"there is no key `{key}`"
            way_out = f"an entry of a list is written `{entry[1]}.{entry[2]}`, and entries count from 0"
            raise ConfigError(place.diagnostic("E115", message, way_out))
        value = self._put(below.node if below is not None else None, depth + 1)
        kept = below.place if below is not None and depth + 1 < len(self._keys) else place
        return Mapping(node.place if isinstance(node, Mapping) else place, {**entries, key: Entry(kept, value)})

    def _put_into_list(self, node: Sequence, depth: int) -> Node:
        key, place = self._keys[depth]
        index = int(key) if key.isascii() and key.isdigit() and len(key) < 10 else -1
        if not 0 <= index < len(node.items):
            message = f"`{self._keys[depth - 1][0]}` is a list of {len(node.items)} entries, and has no entry `{key}`"
            raise ConfigError(place.diagnostic("E115", message, "entries count from 0"))
        items = list(node.items)
        items[index] = self._put(items[index], depth + 1)
        return Sequence(node.place, tuple(items))


def _shown(argument: str) -> str:
    line = "".join(c if c.isprintable() else "?" for c in argument)
    return line if len(line) <= 60 else line[:57] + "..."
