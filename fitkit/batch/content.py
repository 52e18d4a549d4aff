"""What a result depends on, as one hash: two fits of the same hash give the same result on the same machine."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from fitkit import __version__
from fitkit.batch.entry import BatchEntry
from fitkit.config import ConfigSource, load, resolved
from fitkit.errors import FitkitError
from fitkit.models import PythonModel


def content_key_of(entry: BatchEntry) -> str | None:
    """Return the hash of a fit; None where its config is wrong or a file is missing, so that it must be tried."""
    try:
        return content_key(load(entry.path, entry.overrides, combination=entry.combination))
    except FitkitError:
        return None


def content_key(source: ConfigSource) -> str | None:
    """Return the SHA-256 of the config as understood, with parents and overrides, of the files it names, and the version.

    None where a table comes from standard input, or a file cannot be read.
    """
    files = _files(source)
    if files is None:
        return None
    try:
        contents = {name: _hash(path, path.stat().st_mtime_ns, path.stat().st_size) for name, path in files.items()}
    except OSError:
        return None
    parts = {"fitkit": __version__, "config": resolved(source), "files": contents}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode(errors="backslashreplace")).hexdigest()


def _files(source: ConfigSource) -> dict[str, Path] | None:
    """Return the files that the fit reads, by what they are to it; None if one is standard input."""
    data, model, found = source.config.data, source.config.model, {}
    if data is not None and data.path is not None:
        if data.path == "-":
            return None
        found["data"] = source.base / data.path
    if data is not None and isinstance(data.validation, str):
        found["validation"] = source.base / data.validation
    if isinstance(model, PythonModel):
        found["code"] = code = source.base / model.function.rpartition(":")[0]
        for folder in dict.fromkeys((code.parent, source.base)):
            found.update((os.path.relpath(path, source.base), path) for path in _importable(folder))
    return found


def _importable(folder: Path) -> Iterator[Path]:
    """Yield the python files that code can import from the folder; which it does import, only running it would tell."""
    yield from sorted(folder.glob("*.py"))
    for package in sorted(path.parent for path in folder.glob("*/__init__.py")):
        yield from sorted(package.rglob("*.py"))


@lru_cache(maxsize=64)
def _hash(path: Path, changed: int, size: int) -> str:
    """Return the SHA-256 of a file; a matrix of fits of one large table reads it once."""
    del changed, size  # they are what tells an old hash from one that holds
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
