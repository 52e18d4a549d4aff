"""A config before it is validated: its text with parents and overrides merged in, and the fits that its matrix means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO, final

from fitkit.config.files import read_config
from fitkit.config.matrix import Matrix, read_matrix, without_matrix
from fitkit.config.overrides import keys_of, override
from fitkit.errors import ConfigError, Diagnostic
from fitkit.yaml_text import Mapping, Node, Scalar


@final
@dataclass(frozen=True)
class Outline:
    """The tree of a config, its matrix, and what was wrong so far."""

    root: Mapping
    matrix: Matrix
    problems: tuple[Diagnostic, ...]

    @property
    def name(self) -> str | None:
        """The name that the config gives itself, if it is a text."""
        return _text(self.root.entries.get("name"))

    @property
    def only_checked(self) -> bool:
        """Whether the config says that it is for `check-grad` alone."""
        section = self.root.entries.get("check_grad")
        if section is None or not isinstance(section.node, Mapping) or "only" not in section.node.entries:
            return False
        node = section.node.entries["only"].node
        return isinstance(node, Scalar) and node.value is True

    @property
    def runs_code(self) -> bool:
        """Whether the model is a python model, or may be one in some combination of the matrix."""
        if any(dimension.key.partition(".")[0].strip() == "model" for dimension in self.matrix.dimensions):
            return True
        model = self.root.entries.get("model")
        if model is None or not isinstance(model.node, Mapping):
            return False
        kind = model.node.entries.get("kind")
        return kind is not None and isinstance(kind.node, Scalar) and kind.node.value == "python"

    def picked(self, combination: int | None) -> tuple[Mapping, list[Diagnostic]]:
        """Return the tree of one combination; the whole tree for None, unless nothing in its matrix is open."""
        if combination is None and self.matrix.dimensions:
            return self.root, []
        try:
            return self.matrix.combined(self.root, combination or 0), []
        except ConfigError as error:
            return without_matrix(self.root), list(error.diagnostics)


def read_outline(path: str, overrides: Sequence[str] = (), stdin: TextIO | None = None) -> Outline:
    """Return the outline of the config at `path`, `-` for standard input.

    Raises:
        ConfigError: it, or a parent, cannot be read or is no map.
    """
    merged = read_config(path, stdin)
    root, mistaken = override(merged.root, overrides)
    matrix, unfit = read_matrix(root, keys_of(overrides))
    return Outline(root, matrix, (*merged.problems, *mistaken, *unfit))


def _text(entry: Any) -> str | None:
    node: Node | None = None if entry is None else entry.node
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else None
