"""The config as it was understood, written out with every default, to be saved beside a result."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from fitkit.config.source import ConfigSource
from fitkit.expressions import Constraint, Equation, Expression
from fitkit.yaml_text import dump


def resolved(source: ConfigSource, folder: Path | None = None) -> str:
    """Return YAML that loads back to an equal config.

    Args:
        source: the config.
        folder: where the text will stand, if not beside the config: a relative `data.path` is rewritten to lead from
            there to the same file.
    """
    config = source.config
    values = plain_values(config)
    if config.minimize is not None:
        del values["loss"]  # an objective has none, and a config that names both is refused
    path = values.get("data", {}).get("path")
    if folder is not None and path not in (None, "-") and not Path(path).is_absolute():
        values["data"]["path"] = os.path.relpath(os.path.realpath(source.base / path), os.path.realpath(folder))
    return dump(values)


def plain_values(value: Any) -> Any:
    """Return a component as maps, lists, texts and numbers; what is None is left out."""
    if isinstance(value, Expression | Equation | Constraint):
        return value.source
    if is_dataclass(value) and not isinstance(value, type):
        pairs = ((f.name, getattr(value, f.name)) for f in fields(value) if f.init)
        return {name: plain_values(entry) for name, entry in pairs if entry is not None}
    if isinstance(value, Mapping):
        return {key: plain_values(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(entry) for entry in value]
    return value
