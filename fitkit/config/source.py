"""A config that was understood, with the means to point at any key of it later on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import final

from fitkit.config.config import Config
from fitkit.config.tree import Path as KeyPath
from fitkit.config.tree import Tree, find_word
from fitkit.errors import Diagnostic
from fitkit.expressions import Expression, parse


@final
@dataclass(frozen=True, kw_only=True)
class ConfigSource:
    """A config, the name that users know it by, and the folder that its paths count from."""

    config: Config
    shown: str
    base: Path
    tree: Tree

    @cached_property
    def where(self) -> Expression | None:
        """The condition on rows, `data.where`, parsed with the definitions."""
        data = self.config.data
        return None if data is None or data.where is None else parse(data.where, self.config.definitions)

    def diagnostic(
        self, path: KeyPath, code: str, message: str, help_line: str | None = None, *, value: bool = False
    ) -> Diagnostic:
        """Return a mistake at the key at `path`, such as `("parameters", "b1", "start")`, or at its value.

        Where the config does not have the key, the place is the nearest section that it would stand in.
        """
        return self.tree.diagnostic(path, code, message, help_line, value=value)

    def name_diagnostic(
        self, path: KeyPath, name: str, code: str, message: str, help_line: str | None = None
    ) -> Diagnostic:
        """Return a mistake at a name in the formula at `path`, or in the definition that brings it in."""
        for where in (path, *(("definitions", key) for key in self.config.definitions)):
            found = find_word(self.tree.node(where), name)
            if found is not None:
                return found.diagnostic(code, message, help_line)
        return self.tree.diagnostic(path, code, message, help_line, value=True)
