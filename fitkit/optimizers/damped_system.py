"""The damped system of Levenberg-Marquardt at one point, factored once for every damping that is tried there.

With D the scale, q = Q'r and R D^-1 = U s V',

    v(damping) = -D^-1 V [s / (s² + damping)] U'q,    a(damping) = -D^-1 V [1 / (s² + damping)] V' D^-1 J'r_vv,

which keep the digits of QR: nothing is squared that is then subtracted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from fitkit.optimizers.linearization import Linearization

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]


@final
class DampedSystem:
    """Steps over the movable parameters, without regard to bounds."""

    def __init__(self, point: Linearization, scale: Vector, movable: Mask) -> None:
        import numpy as np

        self._size = len(scale)
        self._movable = None if movable.all() else movable
        self._scale = scale if self._movable is None else scale[movable]
        columns = point.factor if self._movable is None else point.factor[:, movable]
        left, self._singular, self._right = np.linalg.svd(columns / self._scale, full_matrices=False)
        self._reach = self._singular * (point.projected @ left)

    def velocity(self, damping: float) -> Vector:
        """Return the v that minimises |r + J v|² + damping |D v|², shape (free,)."""
        return self._whole(self._reach, damping)

    def acceleration(self, damping: float, bend: Vector) -> Vector:
        """Return the geodesic acceleration a = -(J'J + damping D²)^-1 J'r_vv, shape (free,), from `bend` = J'r_vv.

        Reference: M. K. Transtrum and J. P. Sethna, Improvements to the Levenberg-Marquardt algorithm for nonlinear
        least-squares minimization, arXiv:1201.5885 (2012).
        """
        pull = bend if self._movable is None else bend[self._movable]
        return self._whole(self._right @ (pull / self._scale), damping)

    def _whole(self, along: Vector, damping: float) -> Vector:
        import numpy as np

        step: Vector = (-along / (self._singular**2 + damping)) @ self._right / self._scale
        if self._movable is None:
            return step
        whole = np.zeros(self._size)
        whole[self._movable] = step
        return whole
