"""`matrix`: one config for many fits, one for each combination of the values that are listed for its keys.

`matrix: {optimizer.learning_rate: [1e-3, 1e-2], seed: [0, 1, 2]}` means six fits. A key that `--set` gives is settled by
that; a value is put into the config as `--set` would put it, so that a mistake in it is told at its place in the matrix.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from collections.abc import Sequence as List
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Final, final

from fitkit.config.placing import Placing
from fitkit.config.scalars import described
from fitkit.config.short_forms import write_out
from fitkit.errors import ConfigError, Diagnostic
from fitkit.yaml_text import Entry, Mapping, Node, Place, Scalar, Sequence, plain

KEY: Final = "matrix"
MOST_COMBINATIONS: Final = 10_000
_LONGEST_VALUE: Final = 32
"""Longer ones are called by their number."""
_LONGEST_LABEL: Final = 80
_OUTSIDE: Final = {"matrix", "extends", "name", "fitkit"}
"""Keys that make no other fit."""


@final
@dataclass(frozen=True)
class Dimension:
    """One key of the matrix and what it takes, in order."""

    key: str
    place: Place
    values: tuple[Node, ...]

    def put(self, root: Mapping, index: int) -> Mapping:
        """Return the config with a value of the key."""
        keys = [(part.strip(), self.place) for part in self.key.split(".")]
        return write_out(Placing(keys, self.values[index]).into(root))

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """What the values are called, each unlike the others."""
        shown = [_text(value) for value in self.values]
        if self.key.split(".")[0] == "data" and len({PurePosixPath(text).name for text in shown}) == len(shown):
            shown = [PurePosixPath(text).name for text in shown]
        shown = [text.replace("/", "_") for text in shown]
        unfit = len(set(shown)) < len(shown) or max(map(len, shown)) > _LONGEST_VALUE
        return tuple(f"#{number}" for number in range(1, len(shown) + 1)) if unfit else tuple(shown)


@final
@dataclass(frozen=True)
class Matrix:
    """The dimensions that are open, with the last varying fastest; none where a config means one fit."""

    dimensions: tuple[Dimension, ...] = ()

    def __len__(self) -> int:
        """Return how many combinations there are."""
        return math.prod(len(one.values) for one in self.dimensions)

    def indices(self, number: int) -> tuple[int, ...]:
        """Return which value of each dimension the combination `number`, from 0, takes."""
        found: list[int] = []
        for one in reversed(self.dimensions):
            number, index = divmod(number, len(one.values))
            found.append(index)
        return tuple(reversed(found))

    def label(self, number: int) -> str:
        """Return what tells a combination from the others: `learning_rate=0.01,seed=1`; empty for the only one."""
        keys = [one.key for one in self.dimensions]
        names = [_shortest(key, keys) for key in keys]
        indices = self.indices(number)
        parts = [f"{name}={one.texts[i]}" for name, one, i in zip(names, self.dimensions, indices, strict=True)]
        label = ",".join(parts)
        return label if len(label) <= _LONGEST_LABEL else f"#{number + 1}"

    def combined(self, root: Mapping, number: int) -> Mapping:
        """Return the config of one combination, without its matrix.

        Raises:
            ConfigError: a key leads through something that is neither map nor list.
        """
        for one, index in zip(self.dimensions, self.indices(number), strict=True):
            root = one.put(root, index)
        return without_matrix(root)

    def along_the_axes(self) -> list[int]:
        """Return combinations in which each value of each dimension stands once, beside the first of the others."""
        found, stride = [0], len(self)
        for one in self.dimensions:
            stride //= len(one.values)
            found += [stride * index for index in range(1, len(one.values))]
        return found


def read_matrix(root: Mapping, settled: Collection[str] = ()) -> tuple[Matrix, list[Diagnostic]]:
    """Return the matrix of a config, and what is wrong with it.

    Args:
        root: the config.
        settled: keys that the command line gives.
    """
    entry = root.entries.get(KEY)
    if entry is None or (isinstance(entry.node, Scalar) and entry.node.value is None):
        return Matrix(), []
    if not isinstance(entry.node, Mapping):
        message = f"`{KEY}` must be a map of keys to lists of values, not {described(plain(entry.node))}"
        return Matrix(), [entry.node.place.diagnostic("E108", message, "write `matrix: {seed: [0, 1, 2]}`")]
    problems: list[Diagnostic] = []
    found = []
    for key, values in entry.node.entries.items():
        try:
            one = _dimension(key, values)
        except ConfigError as error:
            problems += error.diagnostics
        else:
            found += [] if key.replace(" ", "") in settled else [one]
    matrix = Matrix(tuple(found))
    if len(matrix) > MOST_COMBINATIONS:
        message = f"{len(matrix):,} combinations; a matrix has {MOST_COMBINATIONS:,} at most"
        problems.append(entry.place.diagnostic("E109", message, "list fewer values"))
    return matrix, problems


def without_matrix(root: Mapping) -> Mapping:
    """Return the config without its matrix."""
    return Mapping(root.place, {key: entry for key, entry in root.entries.items() if key != KEY})


def settled_by_hand(dimensions: List[Dimension]) -> str:
    """Return how the command line picks the first combination: `--set seed=0`."""
    return " ".join(f"--set {one.key}={_text(one.values[0])}" for one in dimensions)


def _dimension(key: str, entry: Entry) -> Dimension:
    node = entry.node
    parts = [part.strip() for part in key.split(".")]
    if parts[0] in _OUTSIDE or not all(parts):
        message = f"`{key}` cannot vary in a matrix"
        raise ConfigError(entry.place.diagnostic("E111", message, "name a key of the fit: `optimizer.learning_rate`"))
    if not isinstance(node, Sequence):
        message = f"`{key}` in `{KEY}` must be a list of values, not {described(plain(node))}"
        raise ConfigError(node.place.diagnostic("E108", message, f"write `{key}: [1, 2]`; nested keys have dots"))
    if not node.items:
        raise ConfigError(node.place.diagnostic("E109", f"`{key}` in `{KEY}` lists no value", "list one at least"))
    return Dimension(key, entry.place, node.items)


def _shortest(key: str, keys: List[str]) -> str:
    """Return the last parts of a dotted key, as many as tell it from the others."""
    parts = key.split(".")
    tails = (".".join(parts[-length:]) for length in range(1, len(parts)))
    return next((tail for tail in tails if sum(f".{other}".endswith(f".{tail}") for other in keys) == 1), key)


def _text(node: Node) -> str:
    """Return a value on one line, as it is written."""
    if isinstance(node, Scalar):
        return "".join(c if c.isprintable() else " " for c in node.text)
    if isinstance(node, Sequence):
        return f"[{', '.join(map(_text, node.items))}]"
    if isinstance(node, Mapping):
        return f"{{{', '.join(f'{key}: {_text(entry.node)}' for key, entry in node.entries.items())}}}"
    return "?"
