"""Inverses of a curvature where parameters are held: at bounds, or by constraints, along whose tangent plane they move.

With Z a basis of the directions that keep the active constraints, the covariance is made of Z (Z'HZ)^-1 Z', as it would be
with parameters eliminated by the constraints. H is the Hessian of the Lagrangian, or Gauss-Newton's.

Reference: S. D. Silvey, The Lagrangian Multiplier Test, Annals of Mathematical Statistics 30 (1959), section 3.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fitkit.evidence import Evidence
from fitkit.optimizers.linearization import Linearization
from fitkit.uncertainty import information
from fitkit.uncertainty.information import inverse_of_hessian

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]
    Mask = NDArray[np.bool_]


def settled(evidence: Evidence) -> Mask:
    """Return the parameters that active constraints leave no way to move, shape (free,)."""
    import numpy as np

    return np.zeros(len(evidence.held), bool) if evidence.conditions is None else evidence.conditions.settled


def equalities_of(evidence: Evidence) -> int:
    """Return how many independent equality constraints there are at a point: each gives a degree of freedom back."""
    return 0 if evidence.conditions is None else evidence.conditions.equalities


def inverse_of_squares(evidence: Evidence, point: Linearization) -> Matrix:
    """Return H with H H' = (J'J)^-1 over what can move, shape (free, directions)."""
    import numpy as np

    if evidence.conditions is None:
        return information.inverse_of_squares(point, ~evidence.held)
    tangent = evidence.conditions.tangent
    factor = point.factor @ tangent
    along = replace(point, factor=factor, column_norms=np.linalg.norm(factor, axis=0), columns=None)
    half: Matrix = tangent @ information.inverse_of_squares(along, np.ones(tangent.shape[1], bool))
    return half


def inverse_of_curvature(evidence: Evidence, hessian: Matrix) -> Matrix | None:
    """Return H with H H' the inverse of a Hessian over what can move; None where that is not positive definite."""
    import numpy as np

    if evidence.conditions is None:
        return inverse_of_hessian(hessian, ~evidence.held)
    tangent = evidence.conditions.tangent
    half = inverse_of_hessian(tangent.T @ hessian @ tangent, np.ones(tangent.shape[1], bool))
    return None if half is None else tangent @ half
