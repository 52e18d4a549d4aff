"""Expressions in mpmath, in 60 digits, differentiated by differences whose error is far below a double's last digit."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from fitkit.expressions.framework import Framework

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_DIGITS: Final = 60
_STEP: Final = "1e-20"
"""A central difference of this relative step has an error of 1e-40, and loses 20 of the 60 digits."""


@final
class Mpmath(Framework):
    """numpy's arrays of mpmath's numbers; every double is taken for exactly the number that it is."""

    name: ClassVar[str] = "mpmath"
    package: ClassVar[str | None] = "mpmath"

    def array(self, values: Doubles) -> Any:
        """Return an array of mpf."""
        import numpy as np

        mpf = _mpmath().mpf

        return _each(mpf)(np.asarray(values, np.float64).astype(object))

    def plain(self, value: Any) -> Doubles:
        """Return the nearest doubles."""
        import numpy as np

        return np.asarray(np.asarray(value, object).astype(np.float64), np.float64)

    def select(self, mask: Mask, value: Any, otherwise: Any) -> Any:
        """Return numpy.where."""
        import numpy as np

        return np.where(mask, np.asarray(value, object), np.asarray(otherwise, object))

    def power(self, base: Any, exponent: Any) -> Any:
        """Return the power of each entry."""
        mpf = _mpmath().mpf

        if isinstance(exponent, float) and exponent.is_integer():
            return _each(lambda x: mpf(x) ** int(exponent))(base)
        return _each(lambda x, p: mpf(x) ** mpf(p))(base, exponent)

    def function(self, name: str) -> Callable[..., Any]:
        """Return mpmath's function for each entry."""
        mpmath = _mpmath()

        own: dict[str, Callable[..., Any]] = {
            "abs": mpmath.fabs,
            "lgamma": lambda x: mpmath.log(mpmath.fabs(mpmath.gamma(x))),
            "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
            "softplus": lambda x: x + mpmath.log1p(mpmath.exp(-x)) if x > 0 else mpmath.log1p(mpmath.exp(x)),
            "voigt": _voigt,
        }
        found = own.get(name) or getattr(mpmath, name)

        def real(*arguments: Any) -> Any:
            value = found(*map(mpmath.mpf, arguments))
            return value if isinstance(value, mpmath.mpf) else mpmath.mpf("nan")  # complex: outside the domain

        return _each(real)

    def total(self, values: Any) -> Any:
        """Return the sum."""
        import numpy as np

        mpmath = _mpmath()

        return mpmath.fsum(np.asarray(values, object).ravel().tolist())

    def differentiate(self, function: Callable[[Sequence[Any]], Any], theta: Doubles) -> tuple[float, Doubles]:
        """Return the value and the gradient by central differences."""
        import numpy as np

        mpmath = _mpmath()

        with mpmath.workdps(_DIGITS):
            point = [mpmath.mpf(float(number)) for number in theta]
            value, gradient = _number(function(point)), np.zeros(len(theta))
            for index, number in enumerate(point):
                step = mpmath.mpf(_STEP) * (abs(number) or 1)
                sides = []
                for sign in (1, -1):
                    moved = list(point)
                    moved[index] = number + sign * step
                    sides.append(_number(function(moved)))
                gradient[index] = float((sides[0] - sides[1]) / (2 * step))
            return float(value), gradient


def _number(value: Any) -> Any:
    """Return a value that may be an array of one entry as that entry."""
    import numpy as np

    return np.asarray(value, object).reshape(-1)[0]


def _voigt(x: Any, center: Any, sigma: Any, gamma: Any) -> Any:
    """Return the profile by w(z) = exp(-z²) erfc(-iz)."""
    mpmath = _mpmath()

    def real_part(u: Any, v: Any) -> Any:
        z = mpmath.mpc(u, v)
        return (mpmath.exp(-z * z) * mpmath.erfc(-1j * z)).real

    width = abs(sigma) * mpmath.sqrt(2)
    v = abs(gamma) / width
    return real_part((x - center) / width, v) / real_part(mpmath.mpf(0), v)


def _mpmath() -> Any:
    return importlib.import_module("mpmath")


def _each(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of arrays from one of their entries; NaN is an entry like any other."""
    import numpy as np

    def mapped(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return np.frompyfunc(function, len(arguments), 1)(*arguments)

    return mapped
