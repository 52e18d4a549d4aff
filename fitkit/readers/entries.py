r"""What the text of one entry of a table may be: a number, a missing token, or text.

A number is `[+-]? (digits [. digits?] | . digits) ([eE] [+-]? digits)?` in ASCII, blanks around it allowed. Python's
own `float` would also take `1_000`, `infinity` and the digits of other scripts, which in a table are mistakes.
"""

from __future__ import annotations

import math
import re
from typing import Final

_NUMBER: Final = {
    ".": re.compile(r"[ \t]*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t]*", re.ASCII),
    ",": re.compile(r"[ \t]*[+-]?(?:[0-9]+,?[0-9]*|,[0-9]+)(?:[eE][+-]?[0-9]+)?[ \t]*", re.ASCII),
}
_INFINITY: Final = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE | re.ASCII)
_MISSING: Final = frozenset({"", "na", "nan", "null"})
_DECIMAL_COMMA: Final = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")
_THOUSANDS: Final = re.compile(r"[+-]?[0-9]{1,3}(?:[,.'_ \u00a0\u202f\u2009][0-9]{3})+(?:[.,][0-9]*)?")
_FORTRAN: Final = re.compile(r"[+-]?[0-9]*\.?[0-9]*[dD][+-]?[0-9]+")
_STAND_INS: Final = frozenset({"-", "--", ".", "?", "n/a", "#n/a", "none", "nil", "missing", "-nan", "+nan"})


def is_missing(entry: str) -> bool:
    """Return whether the entry stands for a value that is not there: empty, NA, NaN or null, in any case."""
    return entry.strip(" \t").lower() in _MISSING


def is_number(entry: str, decimal: str = ".") -> bool:
    """Return whether the entry is written as a finite number, whatever its size."""
    return _NUMBER[decimal].fullmatch(entry) is not None


def number(entry: str, decimal: str = ".") -> float:
    """Return the entry's value: infinite for `inf` and for what a double cannot hold, NaN for what is no number."""
    if _NUMBER[decimal].fullmatch(entry):
        return float(entry if decimal == "." else entry.replace(",", "."))
    word = entry.strip(" \t")
    if _INFINITY.fullmatch(word):
        return -math.inf if word[0] == "-" else math.inf
    return math.nan


def why_not_a_number(entry: str, decimal: str, delimiter: str | None) -> str:
    """Return the way out for an entry that is text where a number belongs."""
    word = entry.strip()
    if decimal == "." and delimiter != "," and _DECIMAL_COMMA.fullmatch(word):
        both = ", or remove the thousands separators" if _THOUSANDS.fullmatch(word) else ""
        return f'if the comma is the decimal mark, write `decimal: ","`{both}'
    if _THOUSANDS.fullmatch(word):
        return "remove the thousands separators"
    if decimal == "," and _NUMBER["."].fullmatch(word):
        return 'numbers are written with a decimal comma here; if the point is the decimal mark, remove `decimal: ","`'
    if _FORTRAN.fullmatch(word):
        return "write the exponent with `e`: 1.5e3"
    if word.lower() in _STAND_INS:
        return "write a missing entry as NA or leave it empty, and choose `missing: drop` to leave out such rows"
    if word.endswith((",", ";")) and is_number(word[:-1], decimal):
        return f'if `{word[-1]}` separates the fields, write `delimiter: "{word[-1]}"`'
    if word.startswith(("0x", "0X")) or "_" in word:
        return "write numbers in decimal digits: 1, 1.5, -2e3"
    return "correct the entry, or leave out such rows with `where`"
