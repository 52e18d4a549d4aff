"""Expressions in torch, on the CPU, in doubles, with gradients by torch.autograd."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, final

from fitkit.expressions.framework import Framework, NoCounterpartError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_SPECIAL: Final = {"erf": "erf", "erfc": "erfc"}


@final
class Torch(Framework):
    """torch's tensors of dtype float64."""

    name: ClassVar[str] = "torch"
    package: ClassVar[str | None] = "torch"

    def array(self, values: Doubles) -> Any:
        """Return a tensor."""
        import numpy as np

        torch = _torch()

        return torch.tensor(np.array(values, np.float64), dtype=torch.float64)

    def plain(self, value: Any) -> Doubles:
        """Return the tensor's numbers."""
        import numpy as np

        return np.asarray(value.detach().numpy() if hasattr(value, "detach") else value, np.float64)

    def select(self, mask: Mask, value: Any, otherwise: Any) -> Any:
        """Return torch.where."""
        import numpy as np

        torch = _torch()

        both = [side if isinstance(side, torch.Tensor) else self.array(side) for side in (value, otherwise)]
        return torch.where(torch.tensor(np.array(mask, bool)), *both)

    def power(self, base: Any, exponent: Any) -> Any:
        """Return torch.pow."""
        torch = _torch()

        if not isinstance(base, torch.Tensor) and not isinstance(exponent, torch.Tensor):
            return base**exponent
        return torch.pow(base, exponent)

    def function(self, name: str) -> Callable[..., Any]:
        """Return torch's function of that name."""
        torch = _torch()

        if name == "voigt":
            raise NoCounterpartError("no function `voigt`")
        if name == "digamma":
            raise NoCounterpartError("a derivative of `digamma` that is right to ten digits only")
        functions: Any = torch.special if name in _SPECIAL else torch
        if name == "softplus":  # torch.nn.functional's is linear beyond a threshold
            return lambda x: torch.logaddexp(self._tensor(x), self.array(0.0))  # type: ignore[arg-type]  # a number is one
        found = getattr(functions, name)
        return lambda *arguments: found(*map(self._tensor, arguments))

    def total(self, values: Any) -> Any:
        """Return torch.sum."""
        torch = _torch()

        return torch.sum(values)

    def differentiate(self, function: Callable[[Sequence[Any]], Any], theta: Doubles) -> tuple[float, Doubles]:
        """Return value and gradient in reverse mode."""
        import numpy as np

        torch = _torch()

        leaf = torch.tensor(np.array(theta, np.float64), dtype=torch.float64, requires_grad=True)
        value = self._tensor(function([leaf[index] for index in range(len(theta))]))
        if not value.requires_grad:
            return float(value), np.zeros(len(theta))
        value.backward()
        gradient = np.zeros(len(theta)) if leaf.grad is None else leaf.grad.numpy()
        return float(value.detach()), np.array(gradient, np.float64)

    def _tensor(self, value: Any) -> Any:
        torch = _torch()

        return value if isinstance(value, torch.Tensor) else self.array(value)


def _torch() -> Any:
    return importlib.import_module("torch")  # optional, and large: types of it are no one's business here
