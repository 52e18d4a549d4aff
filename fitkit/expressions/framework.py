"""What another numerical framework must bring, so that an expression can be evaluated and differentiated in it.

An expression in another framework is an independent witness: it shares the tree and the choice of branches with the
program in JAX, and neither functions nor derivative rules.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Doubles: TypeAlias = NDArray[np.float64]
    Mask: TypeAlias = NDArray[np.bool_]

FUNCTIONS = (
    "exp", "expm1", "log", "log1p", "sqrt", "abs", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
    "asinh", "acosh", "atanh", "atan2", "erf", "erfc", "lgamma", "digamma", "sigmoid", "softplus", "voigt",
)  # fmt: skip
"""The functions that a framework is asked for by these names; every other function is made of them."""


class NoCounterpartError(Exception):
    """The framework has no such function; the message says so: no function `voigt`."""


class Framework(ABC):
    """Abstract: numbers that know +, -, * and / and broadcast, functions of them, and derivatives."""

    name: ClassVar[str]
    """What the command line calls it."""
    package: ClassVar[str | None]
    """The package that has to be installed; None where none has."""

    @abstractmethod
    def array(self, values: Doubles) -> Any:
        """Return doubles as the framework's numbers, without a derivative."""

    @abstractmethod
    def plain(self, value: Any) -> Doubles:
        """Return the framework's numbers as doubles."""

    @abstractmethod
    def select(self, mask: Mask, value: Any, otherwise: Any) -> Any:
        """Return `value` where the mask holds and `otherwise` elsewhere; no derivative leaks from one to the other."""

    @abstractmethod
    def power(self, base: Any, exponent: Any) -> Any:
        """Return base to the exponent, where that is a positive base or a whole exponent that is a float."""

    @abstractmethod
    def function(self, name: str) -> Callable[..., Any]:
        """Return one of `FUNCTIONS`.

        Raises:
            NoCounterpartError: the framework does not have it.
        """

    @abstractmethod
    def total(self, values: Any) -> Any:
        """Return the sum of all entries."""

    @abstractmethod
    def differentiate(self, function: Callable[[Sequence[Any]], Any], theta: Doubles) -> tuple[float, Doubles]:
        """Return the value of a function of numbers at theta, shape (free,), and its gradient, shape (free,)."""
