"""What a model is told of a fit before it begins, beside the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


@final
@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What a model is told of a fit before it begins, beside the table."""

    weight: Vector
    """Of each row, shape (rows,); zero where it has no part in the fit."""
    classes: tuple[str, ...] | None
    """Where each class has a prediction of its own."""
    plain: bool
    """Whether parameters must be searched as they are reported, because bounds, ties or priors are about them."""
    unbound: bool = False
    """Whether nothing but starts is said of parameters by name, so that any others may be searched that give them."""
    refined: bool = False
    """Whether the search ends with digits that doubles do not have, as `lm` does for sums of squares."""
    middle: float = 0.0
    """The prediction, on the scale of the link, that is best where it is the same for all rows."""
