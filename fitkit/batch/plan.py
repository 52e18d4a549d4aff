"""Which fits a list of files, folders and globs means, each with a name of its own."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import final

from fitkit.batch.entry import BatchEntry
from fitkit.config.outline import Outline, read_outline
from fitkit.config.paths import config_paths
from fitkit.errors import ConfigError, Diagnostic, did_you_mean


@final
@dataclass(frozen=True, kw_only=True)
class Plan:
    """The fits of a batch, in order."""

    entries: tuple[BatchEntry, ...]
    passed_over: tuple[str, ...] = ()
    """Paths of configs that are for check-grad alone."""


def plan(paths: Sequence[str], overrides: Sequence[str] = (), patterns: Sequence[str] = ()) -> Plan:
    """Return the fits that `paths` mean, one for each combination of a config's matrix.

    A config that cannot be read is a fit that will fail, and say why.

    Args:
        paths: configs, folders and globs.
        overrides: values put on top of each config, as `key.path=value`.
        patterns: of the names that are wanted; all where there are none.

    Raises:
        ConfigError: nothing is left to be done.
    """
    if "-" in paths:
        raise ConfigError(Diagnostic(
            code="E125", message="a batch reads its configs from files, not from standard input", help="name files or folders"
        ))  # fmt: skip
    entries: list[BatchEntry] = []
    passed_over = []
    for path in _each_once(config_paths(paths)):
        try:
            outline = read_outline(path, overrides)
        except ConfigError:
            outline = None
        if outline is not None and outline.only_checked:
            passed_over.append(path)
        else:
            entries += _fits_of(path, outline, tuple(overrides))
    wanted = tuple(entry for entry in _told_apart(entries) if _wanted(entry, patterns))
    if not wanted:
        raise ConfigError(_nothing(entries, patterns))
    return Plan(entries=wanted, passed_over=tuple(passed_over))


def _each_once(paths: Iterator[str]) -> Iterator[str]:
    """Yield paths, of several spellings of one file the first."""
    seen = set()
    for path in paths:
        file = os.path.realpath(path)
        if file not in seen:
            seen.add(file)
            yield path


def _fits_of(path: str, outline: Outline | None, overrides: tuple[str, ...]) -> Iterator[BatchEntry]:
    name = (None if outline is None else outline.name) or PurePath(path).stem
    for combination in range(1 if outline is None else len(outline.matrix)):
        label = "" if outline is None else outline.matrix.label(combination)
        label = f"[{label}]" if label else ""
        yield BatchEntry(
            name=name + label,
            path=path,
            label=label,
            combination=combination,
            overrides=overrides,
            runs_code=outline is not None and outline.runs_code,
        )


def _told_apart(entries: list[BatchEntry]) -> Iterator[BatchEntry]:
    """Yield the fits with those that share a name called by as much of their paths as tells them apart: `linear/decay`."""
    count = Counter(entry.name for entry in entries)
    shared = {
        entry.name: [e.path for e in entries if e.name == entry.name] for entry in entries if count[entry.name] > 1
    }
    for entry in entries:
        yield replace(entry, name=_by_path(entry, shared[entry.name])) if entry.name in shared else entry


def _by_path(entry: BatchEntry, paths: list[str]) -> str:
    stem = entry.name.removesuffix(entry.label)
    parts = [Path(os.path.realpath(path)).with_suffix("").parts for path in paths]
    own = Path(os.path.realpath(entry.path)).with_suffix("").parts
    length = 1
    while length < len(own) and sum(other[-length:] == own[-length:] for other in parts) > 1:
        length += 1
    called = "/".join(own[-length:]) if own[-1] == stem else f"{'/'.join(own[-length:])}:{stem}"
    return called + entry.label


def _wanted(entry: BatchEntry, patterns: Sequence[str]) -> bool:
    """Return whether a pattern is found in the fit's name or path; `*` and `?` stand for any characters, for one."""

    def found(pattern: str) -> bool:
        expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
        return any(re.search(expression, text) for text in (entry.name, entry.path))

    return not patterns or any(map(found, patterns))


def _nothing(entries: list[BatchEntry], patterns: Sequence[str]) -> Diagnostic:
    if not entries:
        message = "there is nothing to fit: every config here is for `check-grad` alone"
        return Diagnostic(code="E125", message=message, help="run `fitkit check-grad` on them")
    message = f"none of the {len(entries)} fits is called {' or '.join(f'`{pattern}`' for pattern in patterns)}"
    guess = did_you_mean(patterns[0], [entry.name for entry in entries])
    return Diagnostic(code="E125", message=message, help=guess or "`*` stands for any characters")
