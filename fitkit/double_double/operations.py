"""What computes in a traced program: arithmetic, elementary functions and comparisons of double-doubles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fitkit.double_double import functions
from fitkit.double_double.arithmetic import DoubleDouble
from fitkit.double_double.movements import Operation, UnknownOperation, Value, entered, select


def _compare(name: str) -> Operation:
    def compare(operands: list[Value], _: dict[str, Any]) -> Value:
        import numpy as np

        left, right = (each.rounded() if isinstance(each, DoubleDouble) else each for each in operands)
        if isinstance(operands[0], DoubleDouble):
            left, right = (operands[0] - operands[1]).rounded(), np.float64(0.0)
        return getattr(np, name)(left, right)

    return compare


def _arithmetic(on_floats: Callable[..., Any], name: str) -> Operation:
    def operate(operands: list[Value], _: dict[str, Any]) -> Value:
        import numpy as np

        if all(isinstance(each, DoubleDouble) for each in operands):
            return on_floats(*operands)
        return getattr(np, name)(*operands)

    return operate


def _float(function: Callable[..., DoubleDouble]) -> Operation:
    def operate(operands: list[Value], _: dict[str, Any]) -> Value:
        if not all(isinstance(each, DoubleDouble) for each in operands):
            raise UnknownOperation("of whole numbers")
        return function(*operands)

    return operate


def _smaller(x: DoubleDouble, y: DoubleDouble) -> DoubleDouble:
    smaller: DoubleDouble = select([(x - y).high > 0, x, y], {})
    return smaller


def _power(operands: list[Value], _: dict[str, Any]) -> Value:
    base, exponent = operands
    return functions.power(base, exponent if isinstance(exponent, DoubleDouble) else entered(exponent * 1.0))


def _sign(x: DoubleDouble) -> DoubleDouble:
    import numpy as np

    return DoubleDouble.of(np.sign(x.high))


def _finite(value: Value) -> Value:
    import numpy as np

    return np.isfinite(value.high if isinstance(value, DoubleDouble) else value)


COMPUTATIONS: Final[dict[str, Operation]] = {
    "add": _arithmetic(lambda x, y: x + y, "add"),
    "add_any": _arithmetic(lambda x, y: x + y, "add"),
    "sub": _arithmetic(lambda x, y: x - y, "subtract"),
    "mul": _arithmetic(lambda x, y: x * y, "multiply"),
    "div": _float(lambda x, y: x / y),
    "neg": _arithmetic(lambda x: -x, "negative"),
    "square": _float(lambda x: x * x),
    "sqrt": _float(functions.square_root),
    "rsqrt": _float(lambda x: DoubleDouble.of(1.0) / functions.square_root(x)),
    "integer_pow": lambda operands, parameters: functions.whole_power(operands[0], int(parameters["y"])),
    "pow": _power,
    "exp": _float(functions.exponential),
    "expm1": _float(functions.exponential_minus_one),
    "log": _float(functions.logarithm),
    "sin": _float(lambda x: functions.sine_and_cosine(x)[0]),
    "cos": _float(lambda x: functions.sine_and_cosine(x)[1]),
    "tanh": _float(functions.hyperbolic_tangent),
    "logistic": _float(functions.logistic),
    "sign": _float(_sign),
    "abs": _float(lambda x: x * _sign(x)),
    "max": _float(lambda x, y: -_smaller(-x, -y)),
    "min": _float(_smaller),
    "eq": _compare("equal"),
    "ne": _compare("not_equal"),
    "lt": _compare("less"),
    "le": _compare("less_equal"),
    "gt": _compare("greater"),
    "ge": _compare("greater_equal"),
    "and": _arithmetic(entered, "logical_and"),
    "or": _arithmetic(entered, "logical_or"),
    "not": _arithmetic(entered, "logical_not"),
    "is_finite": lambda operands, _: _finite(operands[0]),
}
