"""Numbers and formulas in a config: what may be written for them, for pydantic to call."""

from __future__ import annotations

import math
from typing import Any

from pydantic_core import PydanticCustomError, core_schema

from fitkit.expressions import (
    Constraint,
    Equation,
    Expression,
    ExpressionError,
    constant,
    parse,
    parse_constraint,
    parse_equation,
)


def described(value: Any) -> str:
    """Return a value as a message names it: `not 2.5`, `not a list`."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"`{value}`" if len(value) <= 40 else f"`{value[:37]}...`"
    if isinstance(value, int | float):
        words = (
            repr(value) if isinstance(value, float) else f"{value:d}" if abs(value) < 10**30 else f"{float(value):g}"
        )
        return words if math.isfinite(value) else f".{words}".replace(".-", "-.")
    return "a list" if isinstance(value, list) else "a map" if isinstance(value, dict) else "that"


def number(value: Any) -> float:
    """Return a number, written as such or as a constant expression: `log(0.35)`, `1/3`."""
    if isinstance(value, str):
        return _constant(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong("a number", value)
    try:
        real = float(value)
    except OverflowError:
        real = math.inf
    if not math.isfinite(real):
        raise _wrong("a finite number", value if isinstance(value, float) else math.inf)
    return real


def whole_number(value: Any) -> int:
    """Return a whole number, written in any way that has no fraction: 1000, 1e3, 2*50."""
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 2**63:
            raise _wrong("a whole number below 2**63", value)
        return value
    real = _constant(value) if isinstance(value, str) else value
    if not isinstance(real, float) or not real.is_integer() or abs(real) >= 2**63:
        raise _wrong("a whole number", value)
    return int(real)


def expression(value: Any, info: core_schema.ValidationInfo) -> Expression:
    """Return the parsed expression; `info.context` holds the definitions."""
    try:
        return parse(_text(value), info.context or {})
    except ExpressionError as error:
        raise _formula(error) from None


def equation(value: Any, info: core_schema.ValidationInfo) -> Equation:
    """Return the parsed equation `target ~ prediction`; `info.context` holds the definitions."""
    try:
        return parse_equation(_text(value), info.context or {})
    except ExpressionError as error:
        raise _formula(error) from None


def constraint(value: Any, info: core_schema.ValidationInfo) -> Constraint:
    """Return the parsed constraint; `info.context` holds the definitions."""
    if not isinstance(value, str):
        raise _wrong("a constraint", value)
    try:
        return parse_constraint(value, info.context or {})
    except ExpressionError as error:
        raise _formula(error) from None


def _constant(text: str) -> float:
    try:
        return constant(text)
    except ExpressionError as error:
        raise _formula(error) from None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return repr(value)
    raise _wrong("a formula", value)


def _wrong(what: str, value: Any) -> PydanticCustomError:
    return PydanticCustomError("wrong_type", "not {what}", {"what": what, "found": described(value)})


def _formula(error: ExpressionError) -> PydanticCustomError:
    return PydanticCustomError("formula", "a formula", {"error": error})
