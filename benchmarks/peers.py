"""NIST's nonlinear problems as tasks, and the solvers that benchmarks/solvers.py compares on them."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from fitkit.certification import ReferenceProblem, reference_problems

Vector = NDArray[np.float64]
Fit = Callable[[], Sequence[float]]
"""Runs a whole fit and returns the parameters."""
TIGHT = 1e-15


@final
@dataclass(frozen=True, kw_only=True)
class Task:
    """One problem from one start."""

    problem: ReferenceProblem
    start: tuple[float, ...]
    number: int
    formula: str
    columns: dict[str, Vector]
    target: Vector

    def function(self, module: Any) -> Callable[..., Any]:
        """Return the formula as a person would write it: a function of the columns and the parameters."""
        names = {name: getattr(module, name) for name in ("exp", "log", "sin", "cos", "arctan", "sqrt")}
        source = f"lambda {', '.join([*self.columns, *self.problem.parameter_names])}: {self.formula}"
        written: Callable[..., Any] = eval(source, names | {"pi": math.pi, "atan": module.arctan})  # noqa: S307 - our own data
        return written

    def digits(self, found: Sequence[float]) -> float:
        """Return the right digits of the worst parameter."""
        with np.errstate(all="ignore"):
            worst = float(np.max(np.abs(np.asarray(found, float) / np.array(self.problem.values) - 1)))
        return -math.log10(max(worst, 1e-16)) if math.isfinite(worst) and worst < 1 else 0.0


def tasks() -> list[Task]:
    """Return the 54 runs."""
    found = []
    for problem in reference_problems().values():
        if not problem.starts:
            continue
        left, right = str(problem.model).split("~")
        with open(problem.data["path"], encoding="utf-8") as file:  # noqa: PTH123 - one line and a table
            names = file.readline().strip().split(",")
            table = dict(zip(names, np.loadtxt(file, delimiter=",", ndmin=2).T, strict=True))
        target = eval(left, {"log": np.log}, dict(table))  # noqa: S307 - our own data
        columns = {name: column for name, column in table.items() if name != "y"}
        for number, start in enumerate(problem.starts, 1):
            formula = right.strip().replace("^", "**")
            found.append(
                Task(problem=problem, start=start, number=number, formula=formula, columns=columns, target=target)
            )
    return found


# -- the solvers --------------------------------------------------------------------------------------------------------------


def with_fitkit(task: Task) -> Fit:
    """All of fitkit but reading the table: solve, polish, evidence, covariance."""
    from fitkit.config import load
    from fitkit.minimize import Watch, minimize
    from fitkit.run.assemble import assemble
    from fitkit.run.choose import choose
    from fitkit.run.conclude import conclude

    source = load("-", (), io.StringIO(json.dumps(task.problem.config(task.number, "auto"))))
    assembled = assemble(source, allow_python=False, stdin=None)
    config = source.config
    optimizer, _ = choose(config.optimizer, assembled.problem)

    def fit() -> Sequence[float]:
        search = minimize(assembled.problem, optimizer, config.stopping, assembled.start, watch=Watch())
        concluded = conclude(assembled, search, optimizer, config.stopping, config.uncertainty)
        return [float(parameter.value or math.nan) for parameter in concluded.parameters.values()]

    return fit


def with_curve_fit(task: Task) -> Fit:
    """Scipy's MINPACK with its own differences for the Jacobian."""
    from scipy.optimize import curve_fit

    function, columns = task.function(np), tuple(task.columns.values())

    def model(_: Vector, *parameters: float) -> Vector:
        predicted: Vector = function(*columns, *parameters)
        return predicted

    def fit() -> Sequence[float]:
        found = curve_fit(
            model, columns[0], task.target, p0=task.start, method="lm", ftol=TIGHT, xtol=TIGHT, gtol=TIGHT
        )
        return [float(number) for number in found[0]]

    return fit


def with_lmfit(task: Task) -> Fit:
    """Lmfit's `leastsq`, which is MINPACK too."""
    import lmfit  # type: ignore[import-untyped]  # it has no types

    function, columns = task.function(np), tuple(task.columns.values())

    def residual(parameters: Any) -> Vector:
        difference: Vector = function(*columns, *(parameter.value for parameter in parameters.values())) - task.target
        return difference

    def fit() -> Sequence[float]:
        given = lmfit.Parameters()
        for name, start in zip(task.problem.parameter_names, task.start, strict=True):
            given.add(name, start)
        found = lmfit.minimize(residual, given, method="leastsq", ftol=TIGHT, xtol=TIGHT, gtol=TIGHT)
        return [parameter.value for parameter in found.params.values()]

    return fit


def with_iminuit(task: Task) -> Fit:
    """MINUIT's Migrad and Hesse at strategy 2."""
    from iminuit import Minuit  # type: ignore[import-untyped]  # it has no types

    function, columns = task.function(np), tuple(task.columns.values())

    def cost(parameters: Vector) -> float:
        return float(np.sum((function(*columns, *parameters) - task.target) ** 2))

    def fit() -> Sequence[float]:
        minuit = Minuit(cost, np.array(task.start))
        minuit.errordef, minuit.strategy, minuit.tol = Minuit.LEAST_SQUARES, 2, 1e-10
        minuit.migrad()
        minuit.hesse()
        return list(minuit.values)

    return fit


def with_optimistix(task: Task) -> Fit:
    """Optimistix's Levenberg-Marquardt, compiled as a whole."""
    import jax
    import jax.numpy as jnp
    import optimistix  # type: ignore[import-not-found, unused-ignore]  # perhaps not installed

    function = task.function(jnp)
    columns, target = tuple(map(jnp.asarray, task.columns.values())), jnp.asarray(task.target)
    solver: Any = optimistix.LevenbergMarquardt(rtol=1e-12, atol=1e-12)

    @jax.jit
    def solve(start: Any) -> Any:
        def residual(parameters: Any, _: Any) -> Any:
            return function(*columns, *parameters) - target

        return optimistix.least_squares(residual, solver, start, max_steps=2000, throw=False).value

    return lambda: np.asarray(solve(jnp.asarray(task.start)), float).tolist()


SOLVERS: dict[str, tuple[str, Callable[[Task], Fit]]] = {
    "fitkit": ("fitkit", with_fitkit),
    "scipy curve_fit": ("scipy", with_curve_fit),
    "lmfit": ("lmfit", with_lmfit),
    "iminuit": ("iminuit", with_iminuit),
    "optimistix": ("optimistix", with_optimistix),
}
