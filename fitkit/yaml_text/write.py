"""From plain values to YAML text that reads back as the same values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from fitkit.yaml_text.scalars import resolve

_SIMPLE: Final = re.compile(r"[A-Za-z_./][A-Za-z0-9_./+*()^<>=~ -]*(?<! )")
_WORD: Final = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def dump(values: Mapping[str, Any]) -> str:
    """Return a map of maps, lists, texts, numbers, truth values and None as block YAML, lists in brackets."""
    return "".join(f"{line}\n" for line in _block(values, "")) or "{}\n"


def _block(values: Mapping[str, Any], indent: str) -> list[str]:
    lines = []
    for key, value in values.items():
        head = f"{indent}{_text(str(key), _WORD)}:"
        if isinstance(value, Mapping) and value:
            lines += [head, *_block(value, indent + "  ")]
        else:
            lines.append(f"{head} {_inline(value, _SIMPLE)}")
    return lines


def _inline(value: Any, simple: re.Pattern[str]) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _text(value, simple)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ".nan" if value != value else ".inf" if value > 0 else "-.inf"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(str(k), _WORD)}: {_inline(v, _WORD)}" for k, v in value.items()) + "}"
    return "[" + ", ".join(_inline(item, _WORD) for item in value) + "]"


def _text(value: str, simple: re.Pattern[str]) -> str:
    """Return a text bare where nothing else can be meant, and else in double quotes."""
    if simple.fullmatch(value) and isinstance(resolve(value), str):
        return value
    return '"' + "".join(_ESCAPES.get(c) or (c if c.isprintable() else _escape(c)) for c in value) + '"'


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
