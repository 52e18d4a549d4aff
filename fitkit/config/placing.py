"""A value put into a config at a dotted key: by `--set` and by `matrix`."""

from __future__ import annotations

import re
from collections.abc import Sequence as List
from typing import final

from fitkit.errors import ConfigError
from fitkit.yaml_text import Broken, Entry, Mapping, Node, Place, Scalar, Sequence


@final
class Placing:
    """A value and the way to where it belongs.

    Args:
        keys: from the outermost, each with its place.
        value: what is put there.
    """

    def __init__(self, keys: List[tuple[str, Place]], value: Node) -> None:
        self._keys, self._value = keys, value

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
