"""Expressions of complex numbers in numpy, differentiated by the complex step: f'(x) = Im f(x + ih) / h.

Nothing is subtracted, so h can be so small that nothing is left of the error, which is of order h². The absolute value
and everything that branches goes by the real part.

Reference: W. Squire and G. Trapp, Using Complex Variables to Estimate Derivatives of Real Functions, SIAM Review 40 (1998).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from fitkit.expressions.framework import Framework, NoCounterpartError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_STEP: Final = 1e-100
_RENAMED: Final = {**{f"a{name}": f"arc{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")}}


@final
class ComplexStep(Framework):
    """numpy's complex numbers, and scipy's special functions of them."""

    name: ClassVar[str] = "complex-step"
    package: ClassVar[str | None] = None

    def array(self, values: Doubles) -> Any:
        """Return real numbers."""
        import numpy as np

        return np.asarray(values, np.complex128)

    def plain(self, value: Any) -> Doubles:
        """Return the real parts."""
        import numpy as np

        return np.asarray(np.real(value), np.float64)

    def select(self, mask: Mask, value: Any, otherwise: Any) -> Any:
        """Return numpy.where."""
        import numpy as np

        return np.where(mask, value, otherwise)

    def power(self, base: Any, exponent: Any) -> Any:
        """Return a product for whole exponents, exp(p log x) to first order in the imaginary parts otherwise."""
        import numpy as np

        if isinstance(exponent, float) and exponent.is_integer():
            return np.asarray(base, np.complex128) ** int(exponent)
        base, exponent = np.asarray(base, np.complex128), np.asarray(exponent, np.complex128)
        value = np.power(base.real, exponent.real)
        # numpy's complex power loses digits where the exponent is large: the modulus is right to the last one here.
        turned = exponent.imag * np.log(base.real) + exponent.real * np.arctan2(base.imag, base.real)
        return value * (np.cos(turned) + 1j * np.sin(turned))

    def function(self, name: str) -> Callable[..., Any]:
        """Return the analytic continuation of a function."""
        import numpy as np
        from scipy import special

        if name == "voigt":  # w(x + iy) of a complex y: a step of 1e-100 would be lost in x
            raise NoCounterpartError("no function `voigt` that leaves the step alone")
        own: dict[str, Callable[..., Any]] = {
            "abs": lambda x: np.where(np.real(x) < 0, -1.0, 1.0) * x,
            "log1p": _log1p,
            "atan2": _angle,
            "erf": special.erf,
            "erfc": special.erfc,
            "digamma": special.digamma,
            "lgamma": _log_gamma,
            "sigmoid": _sigmoid,
            "softplus": lambda x: np.maximum(np.real(x), 0) + _log1p(np.exp(_fold(x))) + 1j * _lifted(x),
        }
        found = own.get(name) or getattr(np, _RENAMED.get(name, name))
        return lambda *arguments: found(*(np.asarray(argument, np.complex128) for argument in arguments))

    def total(self, values: Any) -> Any:
        """Return numpy.sum."""
        import numpy as np

        return np.sum(values)

    def differentiate(self, function: Callable[[Sequence[Any]], Any], theta: Doubles) -> tuple[float, Doubles]:
        """Return the real part at theta, and the gradient by one complex step for each number."""
        import numpy as np

        value, gradient = math.nan, np.zeros(len(theta))
        with np.errstate(all="ignore"):
            for index in range(len(theta)):
                point = np.array(theta, np.complex128)
                step = _STEP * max(1.0, abs(float(theta[index])))
                point[index] += 1j * step
                found = complex(np.asarray(function(list(point)), np.complex128))
                value, gradient[index] = found.real, found.imag / step
        return value, gradient


def _log1p(x: Any) -> Any:
    import numpy as np

    real, imaginary = np.real(x), np.imag(x)
    return np.log1p(real) + np.log1p((imaginary / (1 + real)) ** 2) / 2 + 1j * np.arctan2(imaginary, 1 + real)


def _angle(y: Any, x: Any) -> Any:
    """Return atan2 continued: the angle of the real parts, and the turn that the imaginary parts make to first order."""
    import numpy as np

    turn = (np.imag(y) * np.real(x) - np.imag(x) * np.real(y)) / (np.real(x) ** 2 + np.real(y) ** 2)
    return np.arctan2(np.real(y), np.real(x)) + 1j * turn


def _log_gamma(x: Any) -> Any:
    """Return log |gamma| continued, by reflection where x is negative: scipy's has a multiple of i pi there."""
    import numpy as np
    from scipy import special

    sine = np.sin(np.pi * x)
    reflected = np.log(np.pi) - np.log(np.where(sine.real < 0, -sine, sine)) - special.loggamma(1 - x)
    return np.where(x.real < 0.5, reflected, special.loggamma(np.where(x.real < 0.5, 1.0, x)))


def _fold(x: Any) -> Any:
    """Return x or -x, whichever has no positive real part, so that its exponential cannot overflow."""
    import numpy as np

    return np.where(np.real(x) > 0, -x, x)


def _lifted(x: Any) -> Any:
    """Return the imaginary part of what softplus has linear in x."""
    import numpy as np

    return np.where(np.real(x) > 0, np.imag(x), 0.0)


def _sigmoid(x: Any) -> Any:
    import numpy as np

    small = np.exp(_fold(x))
    return np.where(np.real(x) > 0, 1 / (1 + small), small / (1 + small))
