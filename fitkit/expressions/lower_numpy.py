"""From a tree to a function of numpy arrays: plain, in doubles, without gradients, independent of the one for JAX."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fitkit.expressions.folding import COMPARE
from fitkit.expressions.parsing import Expression
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
    TextComparison,
    TextTest,
    postorder,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Environment: TypeAlias = Mapping[str | TextComparison, Any]
    _Doubles: TypeAlias = NDArray[np.float64]


@lru_cache(maxsize=1024)
def to_numpy(expression: Expression) -> Callable[[Environment], _Doubles]:
    """Return the function that `expression` is, of numpy arrays or numbers, in doubles.

    The function takes the columns and parameters by name, each a scalar or one number per row, and the text comparisons
    as true and false per row; it may be given more than it uses. Without a name `pi` it uses the constant. Where a
    value does not exist the result is NaN or infinite, without a warning; conditions give 1 and 0.

    Raises:
        KeyError: by the function, a name or text comparison that it uses is missing.
    """
    order = postorder([expression.root])

    def evaluate(environment: Environment) -> _Doubles:
        import numpy as np

        values: dict[int, Any] = {}
        with np.errstate(all="ignore"):
            for node in order:
                value = _compute(node, [values[id(child)] for child in node.children], environment)
                values[id(node)] = np.asarray(value, np.float64)
        result: _Doubles = values[id(expression.root)]
        return result

    return evaluate


def _compute(node: Node, operands: list[Any], environment: Environment) -> Any:
    """Return the value of `node` from those of its operands, which are arrays of doubles."""
    import numpy as np

    match node:
        case Number():
            return node.value
        case Name():
            return environment.get("pi", math.pi) if node.name == "pi" else environment[node.name]
        case TextTest():
            return np.asarray(environment[node.comparison]).astype(bool)
        case _:
            return operate(node, operands)


def operate(node: Node, operands: list[Any]) -> Any:
    """Return the value of a node that has operands from their values, arrays of doubles."""
    import numpy as np

    match node:
        case Sum():
            return _chain(operands, node.subtracted, np.add, np.subtract)
        case Product():
            return _chain(operands, node.divided, np.multiply, np.divide)
        case Negative():
            return -operands[0]
        case Power():
            return np.power(operands[0], operands[1])
        case Comparison():
            return COMPARE[node.comparator](operands[0], operands[1])
        case Choice():
            return np.where(operands[0] != 0, operands[1], operands[2])
        case Logic():
            return _logic(node.word, [operand != 0 for operand in operands])
        case Call():
            return _function(node.function)(*operands)
    raise TypeError(type(node))


def _chain(operands: list[Any], inverted: tuple[bool, ...], forward: Any, backward: Any) -> Any:
    total = operands[0]
    for operand, inverse in zip(operands[1:], inverted[1:], strict=True):
        total = backward(total, operand) if inverse else forward(total, operand)
    return total


def _logic(word: str, truths: list[Any]) -> Any:
    import numpy as np

    if word == "not":
        return np.logical_not(truths[0])
    return (np.logical_and if word == "and" else np.logical_or).reduce(np.broadcast_arrays(*truths))


_RENAMED: Final = {
    **{f"a{name}": f"arc{name}" for name in ("sin", "cos", "tan", "tan2", "sinh", "cosh", "tanh")},
}
_SPECIAL: Final = {"erf": "erf", "erfc": "erfc", "lgamma": "gammaln", "digamma": "digamma", "sigmoid": "expit"}


def _function(name: str) -> Callable[..., Any]:
    """Return numpy's or scipy's function for the language's `name`; scipy is imported for those that need it."""
    import numpy as np

    if name in _SPECIAL:
        from scipy import special

        function: Callable[..., Any] = getattr(special, _SPECIAL[name])
        return function
    own: dict[str, Callable[..., Any]] = {
        "relu": lambda x: np.maximum(x, 0.0),
        "softplus": lambda x: np.logaddexp(x, 0.0),
        "gaussian": _gaussian,
        "lorentzian": _lorentzian,
        "voigt": _voigt,
        "pseudo_voigt": _pseudo_voigt,
    }
    return own[name] if name in own else getattr(np, _RENAMED.get(name, name))


def _gaussian(x: Any, center: Any, sigma: Any) -> Any:
    import numpy as np

    return np.exp(-(((x - center) / sigma) ** 2) / 2)


def _lorentzian(x: Any, center: Any, gamma: Any) -> Any:
    return 1 / (1 + ((x - center) / gamma) ** 2)


def _voigt(x: Any, center: Any, sigma: Any, gamma: Any) -> Any:
    import numpy as np
    from scipy import special

    width = np.abs(sigma) * math.sqrt(2)
    y = np.abs(gamma) / width
    return special.wofz((x - center) / width + 1j * y).real / special.erfcx(y)


def _pseudo_voigt(x: Any, center: Any, width: Any, fraction: Any) -> Any:
    gaussian = _gaussian(x, center, width / (2 * math.sqrt(2 * math.log(2))))
    return fraction * _lorentzian(x, center, width / 2) + (1 - fraction) * gaussian
