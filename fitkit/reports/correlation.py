"""The correlation matrix as text: the lower triangle, in blocks of columns that fit the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NUMBER = 7
"""The columns of a correlation: `+0.1234`."""
GAP = 2
TITLE = "correlation"


def correlation_lines(names: tuple[str, ...], matrix: NDArray[np.float64], width: int) -> list[str]:
    """Return the lines of the lower triangle.

    Columns are headed by names where all fit beside each other; otherwise parameters are numbered, columns are headed by
    the numbers, and what does not fit beside follows below.

    Args:
        names: the parameters, in the matrix's order.
        matrix: correlations, shape (names, names).
        width: the most columns of a line, at least 40.
    """
    headers, labels = list(names), list(names)
    if _needed(headers, labels) > width:
        headers = [str(number) for number in range(1, len(names) + 1)]
        labels = [_cut(f"{number} {name}", width // 3) for number, name in zip(headers, names, strict=True)]
    label = max(map(len, (TITLE, *labels)))
    columns = [max(NUMBER, len(header)) for header in headers]
    lines: list[str] = []
    first = 0
    while first < len(names):
        end = first + 1
        while end < len(names) and label + sum(GAP + column for column in columns[first : end + 1]) <= width:
            end += 1
        block, widths = range(first, end), columns[first:end]
        lines += [""] if lines else []
        lines.append(_line(TITLE, label, headers[first:end], widths))
        lines += [
            _line(labels[i], label, [f"{matrix[i, j]:+.4f}" for j in block if j <= i], widths)
            for i in range(first, len(names))
        ]
        first = end
    return lines


def _needed(headers: list[str], labels: list[str]) -> int:
    return max(map(len, (TITLE, *labels))) + sum(GAP + max(NUMBER, len(header)) for header in headers)


def _cut(text: str, width: int) -> str:
    """Return the text with its middle left out where it is too long: long names often differ at their ends."""
    if len(text) <= width:
        return text
    head = (width - 3) // 2
    return f"{text[:head]}...{text[head + 3 - width :]}"


def _line(label: str, width: int, cells: list[str], columns: list[int]) -> str:
    return label.ljust(width) + "".join(
        " " * GAP + cell.rjust(column) for cell, column in zip(cells, columns, strict=False)
    )
