"""What dense linear algebra costs, and up to where that is worth it."""

from __future__ import annotations

from fitkit.problem import Problem

ALWAYS_UP_TO = 200
"""Free parameters for which the triangle of the Jacobian is always formed."""
NEVER_BEYOND = 1024
"""Free parameters beyond which it is not: a decomposition of it takes seconds, and a fit has dozens."""
HOPELESS_BEYOND = 2048
"""Free parameters beyond which it takes ten seconds and more, so that a fit would take many minutes even where asked for."""
MOST_PRODUCTS = 2e10
"""Rows times squared parameters in between: a triangle takes about a second."""


def affords_triangle(problem: Problem) -> bool:
    """Return whether the Jacobian of least squares may be brought to a triangle, rows times squared parameters of work."""
    free, rows = problem.layout.size, 1 if problem.rows is None else len(problem.rows)
    return free <= ALWAYS_UP_TO or (free <= NEVER_BEYOND and rows * free**2 <= MOST_PRODUCTS)


def triangle_bytes(problem: Problem) -> int:
    """Return about what Levenberg-Marquardt holds at once: rows of [J r], its triangle, and the factors of that."""
    free, rows = problem.layout.size, 0 if problem.rows is None else len(problem.rows)
    return 8 * (free + 1) * (3 * min(rows, 65_536) + 5 * (free + 1))
