"""`--set key.path=value`: values of the command line put into the config, each with its place in the argument."""

from __future__ import annotations

from collections.abc import Sequence as List
from typing import final

from fitkit.config.placing import Placing
from fitkit.config.short_forms import write_out
from fitkit.errors import ConfigError, Diagnostic
from fitkit.yaml_text import Mapping, Node, Place, Scalar, decode, parse, resolve

_EXAMPLE = "write `--set optimizer.learning_rate=0.1`"


def keys_of(arguments: List[str]) -> frozenset[str]:
    """Return the keys that arguments `key.path=value` set, as they are written."""
    return frozenset(argument.partition("=")[0].replace(" ", "") for argument in arguments)


def override(root: Mapping, arguments: List[str]) -> tuple[Mapping, list[Diagnostic]]:
    """Return the config with every `key.path=value` put in, in order, and what is wrong with the arguments."""
    problems: list[Diagnostic] = []
    for argument in arguments:
        try:
            setting = _Setting(argument)
            root = write_out(setting.placing.into(root))
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

    @property
    def placing(self) -> Placing:
        """The value with the way to its place."""
        return Placing(self._keys, self._value)


def _shown(argument: str) -> str:
    line = "".join(c if c.isprintable() else "?" for c in argument)
    return line if len(line) <= 60 else line[:57] + "..."
