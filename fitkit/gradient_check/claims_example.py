"""The smallest counterexample to a claim: as few numbers that are not zero as can be, and those small and round."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from fitkit.expressions import Expression
from fitkit.gradient_check.claims_compare import Comparison, compare
from fitkit.gradient_check.claims_subject import ClaimSubject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

_NUMBERS: Final = (1.0, 2.0, -1.0, 3.0)
_MOST: Final = 1_500
"""Candidates that are looked at."""
_SECONDS: Final = 5.0
_VISIBLE: Final = 1e-6
"""The relative difference that an example shows, unless the claim is nearer to the truth than that everywhere."""


def counterexample(subject: ClaimSubject, name: str, claim: Expression, tried: Sequence[Comparison]) -> str:
    """Return a sentence with the smallest counterexample found; at the worst point tried where none is small."""
    import numpy as np

    worst = max(tried, key=lambda one: float(np.max(np.where(one.refuted, _relative(one), -1.0))))
    visible = min(_VISIBLE, 0.1 * float(np.max(np.where(worst.refuted, _relative(worst), 0.0))))
    deadline = time.perf_counter() + _SECONDS
    for point in itertools.chain(_small(subject), _rounded(worst.point)):
        if time.perf_counter() > deadline:
            break
        if _differs(subject, name, claim, point, visible):
            found = compare(subject, name, claim, point)
            if np.any(found.refuted & (_relative(found) > visible)):
                return _told(subject, name, found, visible)
    return _told(subject, name, worst, visible)


def _small(subject: ClaimSubject) -> Iterator[Vector]:
    """Yield points with few numbers that are not zero, the smallest first; what nothing mentions stays at its start."""
    import numpy as np

    free = [index for index, name in enumerate(subject.names) if name in subject.mentioned]
    shown = 0
    for count in range(len(free) + 1):
        chosen = itertools.product(itertools.combinations(free, count), itertools.product(_NUMBERS, repeat=count))
        ordered = itertools.islice(chosen, 20_000)
        for places, numbers in sorted(ordered, key=lambda pair: (sum(map(abs, pair[1])), -sum(pair[1]), pair[0])):
            point = np.array(subject.start)
            point[free] = 0.0
            point[list(places)] = numbers
            if np.all(point >= subject.lower) and np.all(point <= subject.upper) and _allowed(subject, point):
                yield point
                shown += 1
                if shown >= _MOST:
                    return


def _allowed(subject: ClaimSubject, point: Vector) -> bool:
    return all(value > 0 for name, value in zip(subject.names, point, strict=True) if name in subject.positive)


def _rounded(point: Vector) -> Iterator[Vector]:
    """Yield the point rounded to one digit, and to two."""
    import numpy as np

    for digits in (1, 2):
        yield np.array([float(f"{value:.{digits}g}") for value in point])


def _differs(subject: ClaimSubject, name: str, claim: Expression, point: Vector, visible: float) -> bool:
    """Return whether claim and autodiff differ there in some row: quick, before differences are asked."""
    import numpy as np

    from fitkit.expressions import to_numpy

    autodiff = subject.slope(name)(point)
    claimed = np.broadcast_to(to_numpy(claim)(subject.environment(point)), autodiff.shape)
    finite = np.isfinite(autodiff) & np.isfinite(claimed) & np.isfinite(subject.value(point))
    with np.errstate(all="ignore"):
        difference = np.abs(claimed - autodiff) / np.maximum(np.abs(claimed), np.abs(autodiff))
    return bool(np.any(finite & (difference > visible)))


def _relative(one: Comparison) -> Vector:
    """Return the difference relative to the larger of both, shape (rows,); a claim that is not finite is all wrong."""
    import numpy as np

    with np.errstate(all="ignore"):
        scale = np.maximum(np.abs(one.claimed), np.abs(one.autodiff))
        relative = np.abs(one.claimed - one.autodiff) / np.where(scale > 0, scale, 1.0)
    return np.where(np.isfinite(one.claimed), np.nan_to_num(relative, nan=0.0), 1.0)


def _told(subject: ClaimSubject, name: str, found: Comparison, visible: float) -> str:
    import numpy as np

    row = int(np.argmax(found.refuted & (_relative(found) > visible))) if np.any(
        found.refuted & (_relative(found) > visible)
    ) else int(np.argmax(found.refuted))  # fmt: skip
    shown = [
        f"{other} = {value:.6g}"
        for other, value in zip(subject.names, found.point, strict=True)
        if other in subject.mentioned
    ]
    zeros = [entry for entry in shown if entry.endswith(" = 0")]
    if len(zeros) > 2:
        rest = [entry for entry in shown if entry not in zeros]
        shown = [*rest, "the others 0"] if rest else [f"{', '.join(entry[:-4] for entry in zeros)} = 0"]
    where = "" if subject.where is None else f" {subject.where(row)}"
    digits = 6 if abs(found.claimed[row] - found.autodiff[row]) > 1e-5 * abs(found.autodiff[row]) else 15
    given, truth = (f"{value[row]:.{digits}g}" for value in (found.claimed, found.autodiff))
    at = ", ".join(shown)
    return f"at {at}{where} it gives {given}, the derivative by `{name}` is {truth}"
