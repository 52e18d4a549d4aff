"""Which configs a list of files, folders and globs means."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from fitkit.errors import ConfigError, Diagnostic

SUFFIXES = frozenset({".yaml", ".yml"})


def config_paths(paths: Sequence[str]) -> Iterator[str]:
    """Yield the configs that `paths` mean, each once, in order.

    A folder is read recursively, without files that begin with `_` (parents of others) and without saved runs.

    Raises:
        ConfigError: a folder or a glob holds none. A file that is missing is told when it is read.
    """
    seen = set()
    for path in paths:
        for found in _expand(path):
            if found not in seen:
                seen.add(found)
                yield found


def _expand(path: str) -> list[str]:
    if path != "-" and Path(path).is_dir():
        return _nonempty(path, sorted(str(file) for file in Path(path).rglob("*") if _is_config(file)))
    if path != "-" and not Path(path).exists() and any(mark in path for mark in "*?["):
        return _nonempty(path, sorted(glob.glob(path, recursive=True)))  # noqa: PTH207 - takes patterns with folders in them
    return [path]


def _is_config(file: Path) -> bool:
    in_run = (file.parent / "result.json").exists() or (file.parent.parent / "batch.jsonl").exists()
    return file.suffix in SUFFIXES and not file.name.startswith("_") and file.is_file() and not in_run


def _nonempty(path: str, found: list[str]) -> list[str]:
    if not found:
        raise ConfigError(
            Diagnostic(code="E100", message=f"`{path}` holds no config", file=path, help="configs end in .yaml or .yml")
        )
    return found
