"""The value of one operation on constants, in doubles."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Final

from fitkit.expressions.tree import Call, Choice, Comparison, Logic, Negative, Node, Number, Power, Product, Sum

COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def evaluate(node: Node) -> float:
    """Return the value of `node`, whose operands are all numbers; it may be infinite or not a number.

    Raises:
        ArithmeticError, ValueError: there is no such value, as of `1 / 0`, `log(-1)` or `10 ** 400`.
    """
    values = [child.value for child in node.children if isinstance(child, Number)]
    match node:
        case Sum():
            total = values[0]
            for value, subtracted in zip(values[1:], node.subtracted[1:], strict=True):
                total = total - value if subtracted else total + value
            return total
        case Product():
            product = values[0]
            for value, divided in zip(values[1:], node.divided[1:], strict=True):
                product = product / value if divided else product * value
            return product
        case Negative():
            return -values[0]
        case Power():
            return math.pow(values[0], values[1])
        case Comparison() | Logic() | Choice():
            return _decide(node, values)
        case Call():
            return _FUNCTIONS[node.function](*values)
    raise TypeError(type(node))


def _decide(node: Comparison | Logic | Choice, values: list[float]) -> float:
    if isinstance(node, Choice):
        return values[1] if values[0] else values[2]
    if isinstance(node, Comparison):
        return float(COMPARE[node.comparator](values[0], values[1]))
    if node.word == "not":
        return float(not values[0])
    return float(all(values) if node.word == "and" else any(values))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _digamma(x: float) -> float:
    from scipy import special

    return float(special.digamma(x))


def _gaussian(x: float, center: float, sigma: float) -> float:
    z = (x - center) / sigma
    return math.exp(-z * z / 2)


def _lorentzian(x: float, center: float, gamma: float) -> float:
    z = (x - center) / gamma
    return 1 / (1 + z * z)


def _voigt(x: float, center: float, sigma: float, gamma: float) -> float:
    from scipy import special

    width = abs(sigma) * math.sqrt(2)
    y = abs(gamma) / width
    return float(special.wofz(complex((x - center) / width, y)).real / special.wofz(complex(0.0, y)).real)


def _pseudo_voigt(x: float, center: float, width: float, fraction: float) -> float:
    gaussian = _gaussian(x, center, width / math.sqrt(8 * math.log(2)))
    return fraction * _lorentzian(x, center, width / 2) + (1 - fraction) * gaussian


_FUNCTIONS: Final[Mapping[str, Callable[..., float]]] = {
    **{name: getattr(math, name) for name in ("exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "cbrt")},
    **{name: getattr(math, name) for name in ("sin", "cos", "tan", "asin", "acos", "atan", "atan2")},
    **{name: getattr(math, name) for name in ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh")},
    **{name: getattr(math, name) for name in ("hypot", "erf", "erfc", "lgamma")},
    "abs": abs,
    "sign": lambda x: float((x > 0) - (x < 0)),
    "floor": lambda x: float(math.floor(x)),
    "ceil": lambda x: float(math.ceil(x)),
    "digamma": _digamma,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "relu": lambda x: max(x, 0.0),
    "minimum": min,
    "maximum": max,
    "gaussian": _gaussian,
    "lorentzian": _lorentzian,
    "voigt": _voigt,
    "pseudo_voigt": _pseudo_voigt,
}
