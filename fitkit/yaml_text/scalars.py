"""What an unquoted word means, by YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema)."""

from __future__ import annotations

import math
import re
from typing import Final, TypeAlias

Value: TypeAlias = str | int | float | bool | None

_WORDS: Final[dict[str, Value]] = {
    "": None,
    **dict.fromkeys(("~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((sign + word for sign in ("", "+") for word in (".inf", ".Inf", ".INF")), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BASED: Final = re.compile(r"0(?:o(?P<octal>[0-7]+)|x(?P<hexadecimal>[0-9a-fA-F]+))")
_MOST_DIGITS: Final = 400  # beyond a double, and long before Python refuses to convert


def resolve(word: str) -> Value:
    """Return the value of an unquoted scalar: null, a truth value, a number, or else the word itself."""
    if word in _WORDS:
        return _WORDS[word]
    if len(word) <= _MOST_DIGITS:
        if _INTEGER.fullmatch(word):
            return int(word)
        if based := _BASED.fullmatch(word):
            octal = based["octal"]
            return int(octal, 8) if octal else int(based["hexadecimal"], 16)
    return float(word) if _FLOAT.fullmatch(word) else word
