"""The choice of an optimizer for those who leave it to fitkit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from fitkit.component import Component


@final
@dataclass(frozen=True, kw_only=True)
class Automatic(Component):
    """The optimizer that suits the problem.

    `lm` for smooth losses of residuals, up to about 1,000 parameters, `newton` for other smooth objectives of up to 200,
    `lbfgs` beyond and for objectives with kinks. `adam` with 100 epochs for `mlp`, in batches of 128 rows, and
    `matrix_factorization`, in batches of 512.
    """

    kind: Literal["auto"] = "auto"
