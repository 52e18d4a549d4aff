"""How the text of a config is read, and how `extends` puts it on top of its parent."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO, final

from fitkit.config.kinds import TOLD_APART
from fitkit.config.short_forms import write_out
from fitkit.errors import ConfigError, Diagnostic, did_you_mean
from fitkit.yaml_text import MOST_BYTES, Broken, Entry, Mapping, Node, Scalar, decode, parse

DEEPEST: Final = 8
"""How many parents may stand above each other."""


@final
@dataclass(frozen=True)
class Merged:
    """A config with its parents merged in and its short forms written out, and what was wrong on the way."""

    root: Mapping
    problems: tuple[Diagnostic, ...]


def read_config(path: str, stdin: TextIO | None) -> Merged:
    """Read a config, `-` for standard input, and the parents that it extends.

    Raises:
        ConfigError: the text cannot be read or is no YAML map; or a parent's.
    """
    if path == "-":
        return _merge(_read_stdin(stdin), "-", Path.cwd(), (None,))
    file = Path(path)
    return _merge(_read_file(file, path, None), path, file.parent, (_real(file),))


def _merge(data: bytes, shown: str, folder: Path, chain: tuple[Path | None, ...]) -> Merged:
    words, text = decode(data, shown)
    document = parse(words, text)
    root = document.root
    if not isinstance(root, Mapping):
        if document.problems:
            raise ConfigError(*document.problems)
        way_out = "write `key: value`, with a blank after the colon"
        raise ConfigError(root.place.diagnostic("E108", "a config is a map of keys", way_out))
    root = write_out(root)
    parent = root.entries.get("extends")
    if parent is None:
        return Merged(root, document.problems)
    root = Mapping(root.place, {key: entry for key, entry in root.entries.items() if key != "extends"})
    if isinstance(parent.node, Broken):
        return Merged(root, document.problems)
    try:
        above = _parent(parent, folder, chain)
    except ConfigError as error:
        raise ConfigError(*document.problems, *error.diagnostics) from None
    return Merged(_on_top(above.root, root, whole=True), document.problems + above.problems)


def _parent(entry: Entry, folder: Path, chain: tuple[Path | None, ...]) -> Merged:
    """Read the parent that `extends` names, with what it extends itself."""
    node = entry.node
    if not isinstance(node, Scalar) or not isinstance(node.value, str):
        raise ConfigError(node.place.diagnostic("E114", "`extends` names one file", "write `extends: base.yaml`"))
    file = folder / node.value
    place = _real(file)
    if place in chain:
        circle = [p.name for p in chain[chain.index(place) :] if p is not None]
        way_out = "a config cannot be its own parent"
        message = f"`extends` runs in a circle: {' -> '.join([*circle, place.name])}"
        raise ConfigError(node.place.diagnostic("E114", message, way_out))
    if len(chain) > DEEPEST:
        message = f"more than {DEEPEST} configs extend each other"
        raise ConfigError(node.place.diagnostic("E114", message, "merge some of them"))
    own, here = _real(folder), _real(Path())
    if not (place.is_relative_to(own) or (place.is_relative_to(here) and own.is_relative_to(place.parent))):
        message = f"`{node.value}` lies outside the config's own tree"
        way_out = "a parent stands in the config's folder, below it, or above it within the current folder"
        raise ConfigError(node.place.diagnostic("E114", message, way_out))
    above = _merge(_read_file(file, os.path.normpath(file), node), os.path.normpath(file), file.parent, (*chain, place))
    return Merged(_moved(above.root, file.parent, folder), above.problems)


def _moved(root: Mapping, old: Path, new: Path) -> Mapping:
    """Return a parent's sections with `data.path`, which counts from the parent's folder, as seen from the child's."""
    data = root.entries.get("data")
    if data is None or not isinstance(data.node, Mapping) or _real(old) == _real(new):
        return root
    path = data.node.entries.get("path")
    if (
        path is None
        or not isinstance(path.node, Scalar)
        or not isinstance(path.node.value, str)
        or path.node.value == "-"
    ):
        return root
    moved = os.path.relpath(_real(old) / path.node.value, _real(new))
    node = Scalar(
        path.node.place, moved if not Path(path.node.value).is_absolute() else path.node.value, path.node.text
    )
    entries = {**data.node.entries, "path": Entry(path.place, node)}
    return Mapping(root.place, {**root.entries, "data": Entry(data.place, Mapping(data.node.place, entries))})


def _on_top(below: Mapping, above: Mapping, *, whole: bool = False) -> Mapping:
    """Return maps merged key by key, anything else from `above`.

    In the `whole` config a component of another kind keeps nothing of the old one.
    """
    entries = dict(below.entries)
    for key, entry in above.entries.items():
        old = entries.get(key)
        if old is not None and isinstance(old.node, Mapping) and isinstance(entry.node, Mapping):
            replaced = whole and key in TOLD_APART and _kind(entry.node) not in (None, _kind(old.node))
            entries[key] = Entry(entry.place, entry.node if replaced else _on_top(old.node, entry.node))
        else:
            entries[key] = entry
    return Mapping(above.place, entries)


def _kind(node: Mapping) -> object:
    kind: Node | None = node.entries["kind"].node if "kind" in node.entries else None
    return kind.value if isinstance(kind, Scalar) else None


def _read_stdin(stdin: TextIO | None) -> bytes:
    import sys

    stream = stdin or sys.stdin
    raw = getattr(stream, "buffer", None)
    return (
        raw.read(MOST_BYTES + 1) if raw is not None else stream.read(MOST_BYTES + 1).encode("utf-8", "surrogateescape")
    )


def _read_file(file: Path, shown: str, named_at: Scalar | None) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        message, way_out = _not_read(file, error)
        if named_at is not None:
            raise ConfigError(named_at.place.diagnostic("E114", f"`{named_at.value}`: {message}", way_out)) from None
        raise ConfigError(Diagnostic(code="E100", message=message, file=shown, help=way_out)) from None


def _not_read(file: Path, error: OSError | ValueError) -> tuple[str, str | None]:
    if isinstance(error, IsADirectoryError):
        return "this is a folder, not a config", "name a file in it"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        try:
            beside = [str(entry) for entry in file.parent.iterdir() if entry.suffix in {".yaml", ".yml"}]
        except OSError:
            return "there is no such file, and no such folder", None
        return "there is no such file", did_you_mean(str(file), beside)
    return f"the file cannot be read: {getattr(error, 'strerror', None) or error}", None


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
