"""Expressions in TensorFlow, eagerly, in doubles, with gradients by its tape."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, final

from fitkit.expressions.framework import Framework, NoCounterpartError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Mask = NDArray[np.bool_]


@final
class TensorFlow(Framework):
    """TensorFlow's tensors of dtype float64."""

    name: ClassVar[str] = "tensorflow"
    package: ClassVar[str | None] = "tensorflow"

    def array(self, values: Doubles) -> Any:
        """Return a constant."""
        import numpy as np

        return _tensorflow().constant(np.array(values, np.float64), dtype="float64")

    def plain(self, value: Any) -> Doubles:
        """Return the tensor's numbers."""
        import numpy as np

        return np.asarray(value.numpy() if hasattr(value, "numpy") else value, np.float64)

    def select(self, mask: Mask, value: Any, otherwise: Any) -> Any:
        """Return tf.where."""
        import numpy as np

        return _tensorflow().where(np.array(mask, bool), self._tensor(value), self._tensor(otherwise))

    def power(self, base: Any, exponent: Any) -> Any:
        """Return tf.pow."""
        return _tensorflow().pow(self._tensor(base), self._tensor(exponent))

    def function(self, name: str) -> Callable[..., Any]:
        """Return TensorFlow's function of that name."""
        tf = _tensorflow()
        if name == "voigt":
            raise NoCounterpartError("no function `voigt`")
        found = getattr(tf, name) if name == "abs" else getattr(tf.math, name)
        return lambda *arguments: found(*map(self._tensor, arguments))

    def total(self, values: Any) -> Any:
        """Return tf.reduce_sum."""
        return _tensorflow().reduce_sum(values)

    def differentiate(self, function: Callable[[Sequence[Any]], Any], theta: Doubles) -> tuple[float, Doubles]:
        """Return value and gradient in reverse mode."""
        import numpy as np

        leaf = self.array(theta)
        with _tensorflow().GradientTape() as tape:
            tape.watch(leaf)
            value = self._tensor(function([leaf[index] for index in range(len(theta))]))
        gradient = tape.gradient(value, leaf, unconnected_gradients="zero")
        return float(value), np.asarray(gradient.numpy(), np.float64)

    def _tensor(self, value: Any) -> Any:
        return value if hasattr(value, "numpy") else self.array(value)


def _tensorflow() -> Any:
    """Return the module, which says much about itself unless it is told not to."""
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    return importlib.import_module("tensorflow")
