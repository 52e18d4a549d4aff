"""Independent oracles: the objective in another framework, values compared first, then gradients.

Two programs that compute one formula differ by rounding only. What rounding may do is told by how far the gradient moves
when every number of theta moves by a unit in the last place, and by the sizes of the rows' parts, which may cancel in
their sum; beyond 1e-12 of that, one of the two is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, final

from fitkit.backend import Kernel, jax, jnp
from fitkit.expressions.framework import Framework, NoCounterpartError
from fitkit.gradient_check.oracle_objective import NotLoweredError, OracleObjective
from fitkit.gradient_check.result import Check, Finding, Verdict
from fitkit.problem import Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

_AGREEMENT: Final = 1e-12
_MOST_ROWS: Final = {"torch": 20_000, "tensorflow": 20_000, "complex-step": 2_000, "mpmath": 50}
"""Rows that are compared, spread evenly: each framework is as slow as it is."""
_POINTS: Final = 3
_SHORT: Final = (1e-5, 3.7e-6)
"""Relative steps of lines on which the sixth derivative does not show; two, because rounding may keep step with one."""


@final
@dataclass(frozen=True, kw_only=True)
class Compared:
    """What an oracle said."""

    checks: tuple[Check, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def compare_with(frameworks: Sequence[Framework], problem: Problem, start: Vector, seed: int) -> Compared:
    """Compare a problem with the same problem in other frameworks, at the start and two points near it.

    Args:
        frameworks: the oracles'.
        problem: in float64.
        start: theta, shape (free,).
        seed: of the other points.
    """
    owns: dict[int, _Own] = {}
    said = []
    for framework in frameworks:
        part, notes = _part(problem, _MOST_ROWS[framework.name], framework.name)
        own = owns.setdefault(0 if part.rows is None else len(part.rows), _Own(part))
        said.append(_said(framework, own, tuple(_points(start, seed)), notes))
    return _joined(said)


def _said(framework: Framework, own: _Own, points: Sequence[tuple[str, Vector]], notes: list[str]) -> Compared:
    """Return what one oracle says of the problem of `own`."""
    name = framework.name
    try:
        objective = OracleObjective(own.problem, framework)
        found = [said for point, theta in points for said in _at(framework, own, objective, point, theta)]
    except NotLoweredError as error:
        return Compared(notes=(f"against {name}: not compared, {error} cannot be written in {name}",))
    except NoCounterpartError as error:
        return Compared(notes=(f"against {name}: not compared, {name} has {error}",))
    if not found:
        notes.append(f"against {name}: not compared, the objective is finite at none of the points")
    return Compared(
        checks=tuple(c for c in found if isinstance(c, Check)),
        findings=tuple(f for f in found if isinstance(f, Finding)),
        notes=tuple(notes),
    )


def _part(problem: Problem, most: int, name: str) -> tuple[Problem, list[str]]:
    """Return the problem with as many rows as the framework can be asked for."""
    import numpy as np

    rows = problem.rows
    if rows is None or len(rows) <= most:
        return problem, []
    chosen = np.unique(np.linspace(0, len(rows) - 1, most).astype(np.intp))
    fewer = rows.take(chosen)
    note = f"against {name}: on {len(chosen)} of {len(rows)} rows, spread evenly"
    return replace(problem, rows=fewer, total_weight=jnp.sum(fewer.weight)), [note]


def _points(start: Vector, seed: int) -> Iterator[tuple[str, Vector]]:
    import numpy as np

    yield "start", np.array(start, np.float64)
    rng = np.random.default_rng([seed, 5])
    for number in range(1, _POINTS):
        yield (
            f"near {number}",
            np.asarray(start + 0.1 * np.where(start == 0, 1.0, np.abs(start)) * rng.uniform(-1, 1, len(start))),
        )


def _at(
    framework: Framework, own: _Own, objective: OracleObjective, point: str, theta: Vector
) -> Iterator[Check | Finding]:
    """Yield what the oracle says at one point; nothing where fitkit's own numbers are not finite."""
    import numpy as np

    value, gradient = own.value_and_gradient(theta)
    if not (math.isfinite(value) and np.isfinite(gradient).all()):
        return
    other_value, other = framework.differentiate(objective, theta)
    slack, slacks = own.rounding(theta, value, gradient)
    if not abs(other_value - value) <= slack:
        message = f"{framework.name} gives the value {other_value!r} at {point}, and fitkit {value!r}"
        yield Finding(verdict=Verdict.REFUTED, parameter=None, message=message)
        return
    difference = np.abs(other - gradient)
    with np.errstate(all="ignore"):
        relative = np.where(slacks > 0, difference / slacks, np.where(difference > 0, np.inf, 0.0))
        digits = -np.log10(np.maximum(difference / np.maximum(own.sizes(theta, gradient), 1e-300), 1e-15))
    worst = int(np.argmax(np.nan_to_num(relative, nan=np.inf)))
    right = bool(np.all(difference <= slacks))
    yield Check(
        point=point,
        direction=f"against {framework.name}",
        parameter=own.problem.layout.coordinates[worst],
        autodiff=float(gradient[worst]),
        numerical=float(other[worst]),
        error_estimate=math.nan,
        tolerance=float(slacks[worst]),
        verdict=Verdict.PASS if right else Verdict.REFUTED,
        note="" if right else f"{framework.name} has another derivative",
        digits=float(max(0.0, np.min(digits))),
        resolvable_digits=12.0 if right and np.min(digits) < 12 else float(max(0.0, np.min(digits))),
    )


@final
class _Own:
    """fitkit's value and gradient, and what rounding may have done to them."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._both = Kernel(jax.value_and_grad(problem.objective)).light
        self._sizes: tuple[float, Vector] | None = None

    def value_and_gradient(self, theta: Vector) -> tuple[float, Vector]:
        """Return the objective and its gradient, shape (free,)."""
        import numpy as np

        value, gradient = self._both(theta)
        return float(value), np.asarray(gradient, np.float64)

    def sizes(self, theta: Vector, gradient: Vector) -> Vector:
        """Return the sums of the sizes of the rows' parts of the gradient, shape (free,)."""
        import numpy as np

        return np.maximum(self._of_rows(theta)[1], np.abs(gradient))

    def rounding(self, theta: Vector, value: float, gradient: Vector) -> tuple[float, Vector]:
        """Return what a value and a gradient, shape (free,), may differ by without being different."""
        import numpy as np

        moved_value, moved = 0.0, np.zeros(len(theta))
        signs = np.where(np.arange(len(theta)) % 2 == 0, 1.0, -1.0)
        for pattern in (np.ones(len(theta)), signs, -signs):
            there, slopes = self.value_and_gradient(theta * (1 + 2.0**-51 * pattern))
            moved_value = max(moved_value, abs(there - value))
            moved = np.fmax(moved, np.abs(slopes - gradient))
        for step in _SHORT:
            noise_value, noise = self._noise(theta, step * signs)
            moved_value, moved = max(moved_value, noise_value), np.fmax(moved, noise)
        size = max(self._of_rows(theta)[0], abs(value))
        return _AGREEMENT * size + 16 * moved_value, _AGREEMENT * self.sizes(theta, gradient) + 16 * moved

    def _noise(self, theta: Vector, step: Vector) -> tuple[float, Vector]:
        """Return what sixth differences along a short line are made of: noise, for a function that is smooth on it.

        It shows rounding that a unit in the last place of theta does not, such as that inside 1 - cos(1e-4).

        Reference: J. J. Moré and S. M. Wild, Estimating Computational Noise, SIAM Journal on Scientific Computing 33 (2011).
        """
        import numpy as np

        along = [self.value_and_gradient(theta * (1 + number * step)) for number in range(-5, 6)]
        values, slopes = np.array([value for value, _ in along]), np.array([slope for _, slope in along])
        with np.errstate(all="ignore"):
            sixth = [np.nan_to_num(np.abs(np.diff(found, 6, axis=0)), posinf=0.0) for found in (values, slopes)]
        usual = math.sqrt(math.comb(12, 6))  # how much larger a sixth difference is than the noise it comes from
        return float(np.max(sixth[0])) / usual, np.max(sixth[1], axis=0) / usual

    def _of_rows(self, theta: Vector) -> tuple[float, Vector]:
        import numpy as np

        if self._sizes is None:
            problem, rows = self.problem, self.problem.rows
            if rows is None:
                self._sizes = (0.0, np.zeros(len(theta)))
            else:
                share = rows.weight / jnp.asarray(problem.total_weight)

                def sizes(point: Any) -> Any:
                    costs = jnp.sum(jnp.abs(share * problem.row_costs(point, rows)))
                    slopes = jax.jacfwd(lambda t: problem.row_costs(t, rows))(point)
                    return costs, jnp.sum(jnp.abs(share[:, None] * slopes), axis=0)

                found = Kernel(sizes).light(theta)
                self._sizes = (float(found[0]), np.asarray(found[1], np.float64))
        return self._sizes


def _joined(parts: Sequence[Compared]) -> Compared:
    """Return what several oracles said together."""
    return Compared(
        checks=tuple(check for part in parts for check in part.checks),
        findings=tuple(finding for part in parts for finding in part.findings),
        notes=tuple(note for part in parts for note in part.notes),
    )
