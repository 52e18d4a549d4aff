"""The units that a formula implies: what a parameter must be measured in for the formula to make sense.

The terms of a sum are measured alike, an exponential, a sine or an exponent is a pure number, and the prediction is
measured as the target is. Each of these is an equation, linear in the exponents u_pc with which the unit of column c enters
the unit of parameter p; all together are solved by least squares, so that formulas that break the rules (there are many)
get the nearest answer. In `y ~ a * exp(-k * (t - t0))` a is measured as y, k as 1/t and t0 as t: from the ranges of the
columns follow the scales of the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias, final

from fitkit.expressions import Equation
from fitkit.expressions.tree import (
    Call,
    Choice,
    Comparison,
    Logic,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Product,
    Sum,
    TextTest,
    postorder,
)

Unit: TypeAlias = Mapping[str, float]
"""The exponent with which each column, parameter or unknown enters; empty for a pure number."""

_KEEPS: Final = frozenset({"abs", "relu", "floor", "ceil", "minimum", "maximum", "clip", "hypot"})
"""Functions measured as their arguments are, which are measured alike."""
_ROOTS: Final = {"sqrt": 1 / 2, "cbrt": 1 / 3}
_ALIKE: Final = {"atan2": 2, "gaussian": 3, "lorentzian": 3, "voigt": 4, "pseudo_voigt": 3}
"""Functions to a pure number of so many arguments measured alike; further ones are pure numbers."""


def implied_units(equation: Equation, parameters: Sequence[str], columns: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return, for each parameter, the exponents of the columns in its unit."""
    import numpy as np

    walk = _Walk()
    left = walk.unit_of(equation.target.root)
    walk.alike(left, walk.unit_of(equation.prediction.root))
    unknowns = [*parameters, *walk.unknowns]
    equations = [e for e in walk.equations if any(name in e for name in unknowns)]
    if not equations:
        return {name: {} for name in parameters}
    matrix = np.array([[equation.get(name, 0.0) for name in unknowns] for equation in equations])
    known = np.array([[equation.get(name, 0.0) for name in columns] for equation in equations])
    exponents = np.linalg.lstsq(matrix, -known, rcond=1e-9)[0]
    return {
        name: {column: float(e) for column, e in zip(columns, row, strict=True) if abs(e) > 1e-6}
        for name, row in zip(parameters, exponents[: len(parameters)], strict=True)
    }


def shifting(equation: Equation, parameters: Sequence[str], columns: Sequence[str]) -> frozenset[str]:
    """Return the parameters that are places on a column: added to it or subtracted, or a peak's centre."""
    found: set[str] = set()
    for node in postorder([equation.prediction.root]):
        terms: tuple[Node, ...] = ()
        if isinstance(node, Sum):
            terms = node.terms
        elif isinstance(node, Call) and _ALIKE.get(node.function, 0) > 2:
            terms = node.arguments[:2]
        names = {term.name for term in terms if isinstance(term, Name)}
        if names & set(columns):
            found |= names & set(parameters)
    return frozenset(found)


@final
@dataclass
class _Walk:
    """A walk over trees that collects equations: combinations of units that are pure numbers."""

    equations: list[Unit] = field(default_factory=list)
    unknowns: list[str] = field(default_factory=list)

    def unit_of(self, root: Node) -> Unit:
        units: dict[int, Unit] = {}
        for node in postorder([root]):
            units[id(node)] = self._unit(node, [units[id(child)] for child in node.children])
        return units[id(root)]

    def alike(self, first: Unit, second: Unit) -> None:
        self.pure(_product([(first, 1.0), (second, -1.0)]))

    def pure(self, unit: Unit) -> None:
        if unit:
            self.equations.append(unit)

    def _unit(self, node: Node, units: list[Unit]) -> Unit:
        match node:
            case Name():
                return {} if node.name == "pi" else {node.name: 1.0}
            case Sum():
                return self._common([u for u, term in zip(units, node.terms, strict=True) if not _is_zero(term)])
            case Product():
                return _product([(u, -1.0 if by else 1.0) for u, by in zip(units, node.divided, strict=True)])
            case Negative():
                return units[0]
            case Power():
                return self._power(node, *units)
            case Choice():
                return self._common(units[1:])
            case Call():
                return self._call(node, units)
            case Comparison():
                self._common(units)
                return {}
            case Number() | TextTest() | Logic():
                return {}
        raise TypeError(type(node))

    def _common(self, units: list[Unit]) -> Unit:
        """Return the unit of terms that are measured alike: that of the first with a name in it, for 1 may be any unit."""
        reference: Unit = next((unit for unit in units if unit), {})
        for unit in units:
            if unit is not reference:
                self.alike(unit, reference)
        return reference

    def _power(self, node: Power, base: Unit, exponent: Unit) -> Unit:
        if isinstance(node.exponent, Number):
            return _product([(base, node.exponent.value)])
        self.pure(exponent)
        return self._unknown() if base else {}

    def _call(self, node: Call, units: list[Unit]) -> Unit:
        if node.function in _KEEPS:
            return self._common(units)
        if node.function in _ROOTS:
            return _product([(units[0], _ROOTS[node.function])])
        alike = _ALIKE.get(node.function, 0)
        self._common(units[:alike])
        for unit in units[alike:]:
            self.pure(unit)
        return {}

    def _unknown(self) -> Unit:
        """Return the unit of something to a power that is to be found: it can be anything."""
        self.unknowns.append(f"#{len(self.unknowns)}")
        return {self.unknowns[-1]: 1.0}


def _is_zero(node: Node) -> bool:
    return isinstance(node, Number) and node.value == 0


def _product(factors: Sequence[tuple[Unit, float]]) -> Unit:
    """Return the unit of a product of powers."""
    total: dict[str, float] = {}
    for unit, power in factors:
        for name, exponent in unit.items():
            total[name] = total.get(name, 0.0) + power * exponent
    return {name: exponent for name, exponent in total.items() if exponent != 0}
