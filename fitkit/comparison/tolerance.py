r"""How much two fits may differ: by rounding, or by what their standard errors explain.

Numerically, values a and b agree where |b - a| <= atol + rtol max(|a|, s), s the standard error of a: what is small beside
the error is small, also where the value itself is 0.

Statistically, `2sigma` has one of two meanings, told apart by the hash of the table and the number of its rows in use.

- **Other data**: the two estimates are independent, and their difference has the variance s_a² + s_b². k sigma is a level,
  alpha = P(|Z| > k), 4.55 % for 2: the chance that *the whole batch* raises a false alarm. It is shared out among the m
  numbers compared so (Bonferroni: valid however they depend on each other), so each may differ by
  t(1 - alpha / (2 m), nu) sqrt(s_a² + s_b²). Scales taken from residuals have degrees of freedom, which Welch and
  Satterthwaite combine: nu = (s_a² + s_b²)² / (s_a⁴ / nu_a + s_b⁴ / nu_b); known scales have infinitely many.
- **The same data**: nothing is random, and no chance is stated. Estimates may differ by k times the smaller of both errors:
  the limit from which a change of the program matters beside what the data leave open.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, final

from fitkit.comparison.record import Estimate
from fitkit.expectations import standard_errors
from fitkit.types import SIGMAS
from fitkit.uncertainty.intervals import two_sided_quantile

LEAST_RTOL: Final = 1e-11
"""A baseline has values to twelve digits."""
MOST_SIGMAS: Final = 6.0
"""Beyond, levels shared among many numbers are lost in the rounding of 1 - alpha."""


def sigmas(text: object) -> str:
    """Return a number of standard errors as written.

    Raises:
        ValueError: it is none, or none that a level can be stated for.
    """
    if not isinstance(text, str) or not re.search(SIGMAS, text) or not 0 < standard_errors(text) <= MOST_SIGMAS:
        raise ValueError(f"a number of standard errors is written `2sigma`, above 0 and up to {MOST_SIGMAS:g}sigma")
    return text


@final
@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How much is allowed."""

    rtol: float = 1e-6
    """Relative to the value or its standard error, the larger of both."""
    atol: float = 0.0
    within: str | None = None
    """`2sigma`: where both estimates have standard errors, these say what is allowed instead."""

    @property
    def level(self) -> float:
        """The chance of a false alarm in a whole batch on other data, two-sided; 0 where none is stated."""
        if self.within is None:
            return 0.0
        return 2 * NormalDist().cdf(-standard_errors(self.within))

    def numerical(self, before: Estimate) -> float:
        """Return by how much a value may differ from `before`, standard errors aside."""
        return self.atol + self.rtol * max(abs(before.value or 0.0), before.error or 0.0)

    def on_the_same_data(self, before: float, after: float) -> float:
        """Return by how much estimates with these standard errors may differ, from the same data."""
        return 0.0 if self.within is None else standard_errors(self.within) * min(before, after)

    def on_other_data(
        self, before: tuple[float, int | None], after: tuple[float, int | None], numbers: int
    ) -> tuple[float, float]:
        """Return how many combined standard errors estimates from other data may differ by, and the combined error.

        Args:
            before: a standard error and its degrees of freedom, None for a known scale.
            after: the same.
            numbers: how many numbers share the level.
        """
        variances = before[0] ** 2, after[0] ** 2
        combined = math.sqrt(sum(variances))
        share = sum(v**2 / dof for v, (_, dof) in zip(variances, (before, after), strict=True) if dof)
        # two variances that are equal but for rounding have the sum of both degrees of freedom, not one less
        dof = int(sum(variances) ** 2 / share * (1 + 1e-9)) if share > 0 else None
        return two_sided_quantile(1 - self.level / numbers, dof), combined
