"""Where a character of a scalar's text stands in the file, whatever the style: for carets inside formulas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fitkit.yaml_text.nodes import Place, Scalar

_HEXADECIMAL: Final = {"x": 2, "u": 4, "U": 8}
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "_": "\xa0", "N": "\x85", "L": "\u2028", "P": "\u2029", " ": " "}


def inside(scalar: Scalar, offset: int, length: int = 1) -> Place | None:
    """Return the place of `length` characters at `offset` in the scalar's text; None where it cannot be followed.

    YAML folds lines and blanks, so the text and the file are walked together over all characters that are not blank.
    """
    wanted = sum(not c.isspace() for c in scalar.text[:offset])
    behind = offset >= len(scalar.text) or scalar.text[offset].isspace()
    if behind and wanted:
        wanted -= 1  # a blank may have been folded: stand right after the character before it
    expected = (c for c in scalar.text if not c.isspace())
    for index, ((line, column, character), own) in enumerate(zip(_written(scalar), expected, strict=False)):
        if character != own:
            return None
        if index == wanted:
            rest = len(scalar.place.text.lines[line - 1]) + 1 - column - behind
            return Place(scalar.place.text, line, column + behind, max(1, min(length, rest)))
    return None


def _written(scalar: Scalar) -> Iterator[tuple[int, int, str]]:
    """Yield line, column and meaning of each character of the scalar in the file that does not mean a blank."""
    lines = scalar.place.text.lines
    line, column = scalar.place.line, scalar.place.column
    if scalar.style in ("|", ">"):
        line, column = line + 1, 1
    elif scalar.style:
        column += 1
    while line <= len(lines):
        source = lines[line - 1]
        while column <= len(source):
            meaning, width = _one(source, column - 1, scalar.style)
            if not meaning.isspace():
                yield line, column, meaning
            column += width
        line, column = line + 1, 1


def _one(source: str, index: int, style: str | None) -> tuple[str, int]:
    """Return what the character or escape at `index` means, and its width."""
    if style == "'" and source.startswith("''", index):
        return "'", 2
    if style == '"' and source[index] == "\\":
        letter = source[index + 1 : index + 2] or " "  # a backslash at the end of a line joins it to the next
        if digits := _HEXADECIMAL.get(letter):
            return chr(int(source[index + 2 : index + 2 + digits], 16)), 2 + digits
        return _LETTERS.get(letter, letter), 2
    return source[index], 1
